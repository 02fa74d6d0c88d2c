//! # packages
//!
//! What the package manager's own database says is installed, read directly: no `dpkg-query` is run.
//!
//! ## What it reads
//!
//! - dpkg: `/var/lib/dpkg/status`, what dpkg wrote since to `/var/lib/dpkg/updates/`, and `status.d/`, where distroless images
//!   keep one control file a package.
//! - rpm: its database in all three formats: SQLite with its write-ahead log, ndb, Berkeley DB; under
//!   `/usr/lib/sysimage/rpm` or `/var/lib/rpm`.
//! - apk: `/lib/apk/db/installed`. pacman: `/var/lib/pacman/local/*/desc`.
//! - snaps in use (`/snap/*/current`) and flatpaks of the whole system, beside any of these.
//! - who asked a package to stay as it is: dpkg's own selections, dnf's and yum's versionlock, zypper's locks, pacman's
//!   `IgnorePkg`, apk's world.
//!
//! A host with none of these databases is a gap: never "no packages".
//!
//! ## Items
//!
//! One a package, in every state but *not-installed*: `{name, version, architecture, state, selection, reinstall, source, manager,
//! others}`. `selection` is left out when it is `install`, `reinstall` when false, `source` when the source package has the same
//! name, `manager` when it is `dpkg`, `others` when no other version stands beside it. A package that was removed
//! and left its configuration is an item too, in state `config-files`.
//!
//! Subject: `name:architecture` (`openssl:amd64`, `bash:x86_64`). A kernel's name on Debian holds its version already, so each
//! installed kernel is an item of its own; rpm's kernels share a name, so the newest is the item and `others` tells of the rest.
//! The same goes for the keys that rpm keeps as packages called `gpg-pubkey`. Snaps are `snap/core22:`, their version is the
//! revision; flatpaks are `flatpak/ID/BRANCH:ARCHITECTURE`, their version is the commit.
//!
//! ## State
//!
//! `vendor:NAME`, with the subjects of rpm's packages by the vendor they name.
//!
//! ## Expectations
//!
//! ```yaml
//! packages:
//!   present: [auditd, {name: openssl, version: ">= 3.0.17-1~deb12u2"}]
//!   absent: [telnetd, "rsh-*", {name: sudo, version: "< 1.9.5p2"}]
//!   only: [base-files, "lib*"]
//!   intact: true
//!   held: []
//!   vendors: ["Red Hat, Inc.", "Fedora*"]
//! ```
//!
//! - `present`: each is installed, every architecture of it in such a version. With a glob, at least one package is.
//! - `absent`: none is on the disk, not even half; with a version: in no such version. Configuration left behind is not it.
//! - `only`: whatever is on the disk matches one of these and nothing else is there.
//! - `intact`: no package is half-installed, half-configured, unpacked only, waiting for a trigger, or to be reinstalled
//!   (what `dpkg --audit` lists).
//! - `held`: no package is held back from its updates but these; `[]` for none.
//! - `vendors`: every package of rpm's names one of these vendors; `none` is that of a package that names none. A vendor is
//!   what the package says of itself. Where there is no rpm, the rule does not apply.
//!
//! A name may be a glob (`linux-image-*`) and may name an architecture (`libc6:i386`). Versions compare as the package's own manager
//! orders them (dpkg, rpm, apk, pacman), with `>=`, `>`, `=`, `<` and `<=`; with rpm and pacman a release that the rule does not
//! name does not count, as in their dependencies.
//!
//! ## What it cannot see
//!
//! Software that no package manager knows. Whether the files of a package are still as they were. Flatpaks a user installed for
//! herself; snaps that are disabled. Whether what a package says of its vendor is true. A dpkg database cut off exactly
//! between two packages looks whole.

mod apk;
mod beside;
mod dpkg;
mod expect;
mod holds;
mod manager;
mod pacman;
pub(crate) mod rpm;
mod state;

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Gap, GapKind, Host, Question};
use crate::probe::{Context, Probe};

pub use expect::{Expect, Name, Wanted};
pub use manager::Manager;
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
    /// Whose package it is.
    #[serde(default, skip_serializing_if = "Manager::is_dpkg")]
    pub manager: Manager,
    /// Older versions installed beside it, as kernels are; rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
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

/// Where the packages of one origin came from, and which they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The subjects of the packages, sorted.
    pub packages: Vec<String>,
}

/// What dpkg's database alone holds; `None` where there is none. For probes that compare it with what is on offer.
pub(super) fn of_dpkg(host: &dyn Host) -> Option<Observed<Package>> {
    dpkg::read(host)
}

impl Probe for Packages {
    const NAME: &'static str = "packages";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/status.d",
        "/var/lib/dpkg/status.d/*",
        "/var/lib/dpkg/updates",
        "/var/lib/dpkg/updates/*",
        "/{usr/lib/sysimage,var/lib}/rpm/{rpmdb.sqlite,rpmdb.sqlite-wal,Packages.db,Packages}",
        "/{lib,usr/lib}/apk/db/installed",
        "/var/lib/pacman/local",
        "/var/lib/pacman/local/*/desc",
        "/etc/{dnf/plugins/versionlock.list,yum/pluginconf.d/versionlock.list,dnf/versionlock.toml,zypp/locks}",
        "/etc/{pacman.conf,apk/world}",
        "/{snap,var/lib/snapd/snap}",
        "/{snap,var/lib/snapd/snap}/*/current",
        "/var/lib/flatpak/{app,runtime}",
        "/var/lib/flatpak/{app,runtime}/*",
        "/var/lib/flatpak/{app,runtime}/*/*",
        "/var/lib/flatpak/{app,runtime}/*/*/*/active",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Package;
    type State = Origin;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Package, Origin> {
        let mut facts = Facts::default();
        let dpkg = dpkg::read(host).map(|items| facts.items = items);
        let others = [rpm::read(host, &mut facts), apk::read(host, &mut facts), pacman::read(host, &mut facts)];
        if dpkg.is_none() && others.iter().all(Option::is_none) {
            let detail = "no package database that is known here";
            facts.items.hide("", Gap::new(GapKind::Unsupported, "/var/lib/dpkg/status", detail));
        }
        beside::read(host, &mut facts);
        holds::mark(host, &mut facts);
        facts
    }

    fn judge(expect: &Expect, facts: &Facts<Package, Origin>, _context: &Context<'_>) -> Vec<Judgement> {
        expect::judge(expect, facts)
    }

    fn say(item: &Package) -> String {
        let mut notes = Vec::new();
        if item.state != State::Installed {
            notes.push(item.state.name().to_owned());
        }
        if item.selection == Selection::Hold {
            notes.push("hold".to_owned());
        }
        if item.reinstall {
            notes.push("to be reinstalled".to_owned());
        }
        if !item.others.is_empty() {
            notes.push(format!("beside {}", item.others.join(", ")));
        }
        if notes.is_empty() { item.version.clone() } else { format!("{} ({})", item.version, notes.join(", ")) }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    #[test]
    fn a_host_without_any_database_is_a_gap() {
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
            manager: Manager::Dpkg,
            others: Vec::new(),
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
