//! # packages
//!
//! What the package manager's own database says is installed, read directly: no `dpkg-query` is run.
//!
//! ## What it reads
//!
//! dpkg's database: `/var/lib/dpkg/status`, what dpkg wrote since to `/var/lib/dpkg/updates/`, and `status.d/`, where
//! distroless images keep one control file a package. Where there is no dpkg database but another package manager's
//! (rpm, apk, pacman), all of it is a gap that says which: never "no packages".
//!
//! ## Items
//!
//! One a package, in every state but *not-installed*: `{name, version, architecture, state, selection, reinstall, source}`.
//! `selection` is left out when it is `install`, `reinstall` when false, `source` when the source package has the same
//! name. A package that was removed and left its configuration is an item too, in state `config-files`.
//!
//! Subject: `name:architecture` (`openssl:amd64`). A kernel's name holds its version already, so each installed kernel
//! is an item of its own. There is no state.
//!
//! ## Expectations
//!
//! ```yaml
//! packages:
//!   present: [auditd, {name: openssl, version: ">= 3.0.17-1~deb12u2"}]
//!   absent: [telnetd, "rsh-*", {name: sudo, version: "< 1.9.5p2"}]
//!   only: [base-files, "lib*"]
//!   intact: true
//! ```
//!
//! - `present`: each is installed, every architecture of it in such a version. With a glob, at least one package is.
//! - `absent`: none is on the disk, not even half; with a version: in no such version. Configuration left behind is not it.
//! - `only`: whatever is on the disk matches one of these and nothing else is there.
//! - `intact`: no package is half-installed, half-configured, unpacked only, waiting for a trigger, or to be reinstalled
//!   (what `dpkg --audit` lists).
//!
//! A name may be a glob (`linux-image-*`) and may name an architecture (`libc6:i386`). Versions compare as dpkg orders them, with
//! `>=`, `>`, `=`, `<` and `<=`.
//!
//! ## What it cannot see
//!
//! Software that no package manager knows. Whether the files of a package are still as they were. A database cut off
//! exactly between two packages looks whole.

mod dpkg;
mod expect;
mod state;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Gap, GapKind, Host, Question};
use crate::probe::{Context, Probe};

pub use expect::{Expect, Name, Wanted};
pub use state::{Selection, State};

/// The probe.
pub struct Packages;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name: `openssl`.
    pub name: String,
    /// Its version as the package manager writes it: `3.0.17-1~deb12u2`.
    pub version: String,
    /// Its architecture: `amd64`, `all`; empty where an old database has none.
    pub architecture: String,
    /// How far it is installed.
    pub state: State,
    /// What was asked of it.
    #[serde(default, skip_serializing_if = "Selection::is_install")]
    pub selection: Selection,
    /// Whether dpkg says it must be installed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reinstall: bool,
    /// The source package it was built from, where that has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Package {
    /// `name:architecture`.
    pub fn subject(&self) -> String {
        format!("{}:{}", self.name, self.architecture)
    }

    /// The source package it was built from.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.name)
    }
}

/// Where other package managers keep their databases, to say which of them is there instead.
const OTHERS: [(&str, &str); 5] = [
    ("/var/lib/rpm", "rpm"),
    ("/usr/lib/sysimage/rpm", "rpm"),
    ("/lib/apk/db/installed", "apk"),
    ("/usr/lib/apk/db/installed", "apk"),
    ("/var/lib/pacman/local", "pacman"),
];

impl Probe for Packages {
    const NAME: &'static str = "packages";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/status.d",
        "/var/lib/dpkg/status.d/*",
        "/var/lib/dpkg/updates",
        "/var/lib/dpkg/updates/*",
        "/var/lib/rpm",
        "/usr/lib/sysimage/rpm",
        "/lib/apk/db/installed",
        "/usr/lib/apk/db/installed",
        "/var/lib/pacman/local",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Package;
    type State = ();
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Package, ()> {
        let items = match dpkg::read(host) {
            Some(items) => items,
            None => Observed::hidden(elsewhere(host)),
        };
        Facts { items, state: Observed::new() }
    }

    fn judge(expect: &Expect, facts: &Facts<Package, ()>, _context: &Context<'_>) -> Vec<Judgement> {
        expect::judge(expect, &facts.items)
    }

    fn say(item: &Package) -> String {
        let mut notes = Vec::new();
        if item.state != State::Installed {
            notes.push(item.state.name());
        }
        if item.selection == Selection::Hold {
            notes.push("hold");
        }
        if item.reinstall {
            notes.push("to be reinstalled");
        }
        if notes.is_empty() { item.version.clone() } else { format!("{} ({})", item.version, notes.join(", ")) }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

/// There is no dpkg database: which other is there?
fn elsewhere(host: &dyn Host) -> Gap {
    match OTHERS.iter().find(|(path, _)| host.stat(Path::new(path)).is_ok()) {
        Some((path, manager)) => {
            Gap::new(GapKind::Unsupported, *path, format!("{manager}'s package database, which is not read yet"))
        }
        None => Gap::new(GapKind::Unsupported, "/var/lib/dpkg/status", "no package database that is known here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    #[test]
    fn a_host_of_another_package_manager_is_a_gap_that_names_it() {
        for (path, manager) in OTHERS {
            let facts = Packages::collect(&Recorded::new().file(path, ""));
            let gap = facts.items.whole_gap().unwrap();
            assert_eq!((gap.kind, gap.what.as_str()), (GapKind::Unsupported, path));
            assert!(gap.detail.starts_with(manager), "{gap}");
        }
        let facts = Packages::collect(&Recorded::new());
        assert_eq!(facts.items.whole_gap().unwrap().kind, GapKind::Unsupported);
    }

    #[test]
    fn a_package_is_said_by_its_version_and_whatever_is_unusual() {
        let mut package = Package {
            name: "a".into(),
            version: "1-2".into(),
            architecture: "amd64".into(),
            state: State::Installed,
            selection: Selection::Install,
            reinstall: false,
            source: None,
        };
        assert_eq!(Packages::say(&package), "1-2");
        assert_eq!(
            serde_json::to_string(&package).unwrap(),
            r#"{"name":"a","version":"1-2","architecture":"amd64","state":"installed"}"#
        );
        package.state = State::HalfInstalled;
        package.selection = Selection::Hold;
        package.reinstall = true;
        assert_eq!(Packages::say(&package), "1-2 (half-installed, hold, to be reinstalled)");
    }
}
