//! The state folder: where each thing of the agent's own stands, and who writes it.
//!
//! | path | written by | read by |
//! | --- | --- | --- |
//! | `key/host.key` | enroll | collect alone |
//! | `identity.json` | enroll | collect, ship, status |
//! | `head.json` | enroll, collect | collect, status |
//! | `spool/reports/<sequence>.json` | collect | ship |
//! | `spool/facts/<digest>.zst` | collect | ship |
//! | `acks/<sequence>.json`, `acks/*.refused`, `acks/last.json` | ship | collect, status |

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use audit::digest::Digest;

/// Where the state folder is unless told otherwise.
pub(crate) const DEFAULT: &str = "/var/lib/plumbline";

/// The paths beneath one state folder.
#[derive(Debug, Clone)]
pub(crate) struct State {
    folder: PathBuf,
}

impl State {
    /// The state folder at `folder`, which need not exist yet.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The host's private key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key/host.key")
    }

    /// Who this host is, and whom it reports to.
    pub(crate) fn identity(&self) -> PathBuf {
        self.folder.join("identity.json")
    }

    /// Where the chain of reports stands.
    pub(crate) fn head(&self) -> PathBuf {
        self.folder.join("head.json")
    }

    /// The folder of everything not yet acknowledged.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    /// The folder of signed reports.
    pub(crate) fn reports(&self) -> PathBuf {
        self.folder.join("spool/reports")
    }

    /// The folder of facts, each under its digest.
    pub(crate) fn facts(&self) -> PathBuf {
        self.folder.join("spool/facts")
    }

    /// The folder of receipts.
    pub(crate) fn acks(&self) -> PathBuf {
        self.folder.join("acks")
    }

    /// The report of that number, signed.
    pub(crate) fn report(&self, sequence: u64) -> PathBuf {
        self.reports().join(format!("{sequence:020}.json"))
    }

    /// The facts of that digest, compressed.
    pub(crate) fn fact(&self, digest: Digest) -> PathBuf {
        self.facts().join(format!("{digest}.zst"))
    }

    /// The receipt for the report of that number.
    pub(crate) fn ack(&self, sequence: u64) -> PathBuf {
        self.acks().join(format!("{sequence:020}.json"))
    }

    /// What the collector said when it refused the report of that number for good.
    pub(crate) fn refused(&self, sequence: u64) -> PathBuf {
        self.acks().join(format!("{sequence:020}.refused"))
    }

    /// The last receipt that acknowledged all.
    pub(crate) fn last_receipt(&self) -> PathBuf {
        self.acks().join("last.json")
    }

    /// Makes the folders that are not there yet: the key's for its owner alone, the others readable by the group too.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        let make = |path: PathBuf, mode: u32| {
            let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(&path);
            made.with_context(|| format!("making the folder {}", path.display()))
        };
        make(self.folder.clone(), 0o755)?;
        make(self.folder.join("key"), 0o700)?;
        make(self.spool(), 0o750)?;
        make(self.reports(), 0o750)?;
        make(self.facts(), 0o750)?;
        make(self.acks(), 0o750)
    }
}

/// The group `ship` reads the spool by, where the packages made it.
const GROUP: &str = "plumbline";

impl State {
    /// Lets the group [`GROUP`] read the spool and write receipts, if there is such a group and we may: then `ship` can
    /// run as a user of its own. New files inherit the group from their folder.
    pub(crate) fn share(&self) -> anyhow::Result<()> {
        let Some(group) = std::fs::read_to_string("/etc/group").ok().and_then(|text| group_id(&text, GROUP)) else {
            return Ok(());
        };
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let modes = [(self.spool(), 0o2750), (self.reports(), 0o2750), (self.facts(), 0o2750), (self.acks(), 0o2770)];
        for (path, mode) in modes {
            std::os::unix::fs::chown(&path, None, Some(group))
                .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
                .with_context(|| format!("giving {} to the group {GROUP}", path.display()))?;
        }
        Ok(())
    }
}

/// The number of the group `name` in the text of group(5).
fn group_id(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| match line.split(':').collect::<Vec<_>>().as_slice() {
        [group, _, id, ..] if *group == name => id.parse().ok(),
        _ => None,
    })
}

/// The last number a report can have: the collector's database counts no further.
pub(crate) const LAST: u64 = i64::MAX.cast_unsigned();

/// The numbers of the files in `folder` called `<20 digits>.<extension>`, in order. Other names are not ours.
pub(crate) fn numbers(folder: &Path, extension: &str) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(numbers),
        Err(error) => return Err(error),
    };
    for entry in entries {
        numbers.extend(entry?.file_name().to_str().and_then(|name| number(name, extension)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn number(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    let canonical = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| canonical && (1..=LAST).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let text = "root:x:0:\nplumbline2:x:7:\nbad\nplumbline:x:998:a,b\n";
        assert_eq!(group_id(text, "plumbline"), Some(998));
        assert_eq!(group_id(text, "bad"), None);
    }

    #[test]
    fn only_names_of_twenty_digits_are_ours() {
        assert_eq!(number("00000000000000000042.json", "json"), Some(42));
        for name in ["42.json", "+0000000000000000042.json", ".00000000000000000042.json.new", "last.json", "x"] {
            assert_eq!(number(name, "json"), None, "{name}");
        }
    }
}
