//! What iptables-save and its kin print. The programs of iptables-nft speak netlink and tell the parameters of extensions
//! that nft's JSON leaves out; those of legacy iptables need a raw IP socket (CAP_NET_RAW), which the kernel asks for
//! before it lists a table.

use std::path::Path;
use std::time::Duration;

use audit::host::{Gap, GapKind};

use super::command::{self, Bounds};

/// One kind of answer: its name in gaps, and the programs that may give it, of which the first that exists is run.
pub(super) struct Kind {
    name: &'static str,
    programs: &'static [&'static str],
}

pub(super) const NFT: Kind =
    Kind { name: "iptables-nft-save", programs: &["/usr/sbin/iptables-nft-save", "/sbin/iptables-nft-save"] };
pub(super) const NFT6: Kind =
    Kind { name: "ip6tables-nft-save", programs: &["/usr/sbin/ip6tables-nft-save", "/sbin/ip6tables-nft-save"] };
/// Where iptables knows one kind only, its program has no kind in its name; the answer tells which it was.
pub(super) const LEGACY: Kind = Kind {
    name: "iptables-legacy-save",
    programs: &["/usr/sbin/iptables-legacy-save", "/sbin/iptables-legacy-save", "/usr/sbin/iptables-save"],
};
pub(super) const LEGACY6: Kind = Kind {
    name: "ip6tables-legacy-save",
    programs: &["/usr/sbin/ip6tables-legacy-save", "/sbin/ip6tables-legacy-save", "/usr/sbin/ip6tables-save"],
};

/// Ten thousand rules take a megabyte.
const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(5), most: 8 * 1024 * 1024 };

/// The standard output of the first program of `kind` there is.
pub(super) fn ask(kind: &Kind) -> Result<Vec<u8>, Gap> {
    for program in kind.programs {
        match command::run(Path::new(program), &[], kind.name, &BOUNDS) {
            Err(gap) if gap.kind == GapKind::Unsupported => {}
            answer => return answer,
        }
    }
    Err(Gap::new(GapKind::Unsupported, kind.name, "the program is not installed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_installed_is_a_gap() {
        let gap = ask(&Kind { name: "none-save", programs: &["/nonexistent/none-save"] }).unwrap_err();
        assert_eq!((gap.kind, gap.what.as_str()), (GapKind::Unsupported, "none-save"));
    }
}
