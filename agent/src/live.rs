//! The only real [`Host`]: this machine, or a root file system at rest under `--root DIR`.
//!
//! Files are reached beneath one folder descriptor and never outside it (`fs`). Questions go to one file a kind; of a
//! root file system at rest every question is a [`GapKind::NotLive`] gap. Nothing here parses: probes do.

mod chrony;
mod clock;
mod command;
mod daemons;
mod fs;
mod iptables;
mod kernel;
mod netlink;
pub(crate) mod nft;
mod ntp;
mod packaged;
pub(crate) mod progress;
mod routes;
mod sockets;
mod survey;
pub(crate) mod sys;
mod timesync;
mod units;

use std::path::{Path, PathBuf};

use audit::host::{Attribute, Checksum, Entry, EntryKind, Gap, GapKind, Host, Question, Stat, Whole};

use crate::cli::Usage;
use fs::Anchor;
pub(crate) use fs::{Last, Look};
pub(crate) use packaged::Verified;
use progress::Told;

/// A machine as it runs, or a root file system at rest.
pub(crate) struct Live {
    anchor: Anchor,
    running: bool,
    told: Told,
}

impl Live {
    /// This machine, or the root file system at `root`. One that is none is the caller's to mend.
    pub(crate) fn open(root: Option<&Path>) -> anyhow::Result<Self> {
        let folder = root.unwrap_or(Path::new("/"));
        let anchor = Anchor::open(folder).map_err(|error| {
            let error = std::io::Error::from(error);
            Usage(format!("opening the root folder {}: {error}", folder.display()))
        })?;
        Ok(Self { anchor, running: root.is_none(), told: Told::default() })
    }

    /// With somebody told how far a long look has come.
    pub(crate) fn telling(self, told: Told) -> Self {
        Self { told, ..self }
    }

    /// The answer to [`Question::ChangedPackageFiles`] at `now`, seconds since 1970, files passed over that are `verified`.
    pub(crate) fn changed_package_files(&self, verified: &mut Verified, now: i64) -> Result<Vec<u8>, Gap> {
        packaged::ask(self, Some((verified, now)))
    }

    /// The sum of a file; `None` where something else than a regular file stands there.
    fn sum_of_regular(&self, path: &Path, sum: Checksum) -> Result<Option<Vec<u8>>, Gap> {
        match self.anchor.checksum(path, sum, &self.told) {
            Ok(sum) => Ok(Some(sum)),
            Err(gap) if gap.is_missing() => Err(gap),
            Err(gap) => match self.anchor.stat(path, Last::Followed) {
                Ok(stat) if stat.kind != EntryKind::File => Ok(None),
                Ok(_) | Err(_) => Err(gap),
            },
        }
    }

    /// What tells whether the file or folder at `path` changes.
    pub(crate) fn look(&self, path: &Path, last: Last) -> Look {
        self.anchor.look(path, last)
    }

    /// The file systems whose time stamps tell nothing: those mounted at /proc and /sys.
    pub(crate) fn volatile(&self) -> Vec<u64> {
        let root = self.look(Path::new("/"), Last::Followed).device();
        let mounted = ["/proc", "/sys"].map(|path| self.look(Path::new(path), Last::Followed).device());
        mounted.into_iter().filter(|device| *device != root).flatten().collect()
    }

    /// Whether a package manager is at work: dpkg, apt and rpm hold fcntl locks on these files from start to end.
    pub(crate) fn is_being_changed(&self) -> bool {
        PACKAGE_LOCKS.iter().any(|path| self.anchor.is_locked(Path::new(path)) == Some(true))
    }

    /// The host's own name: a label, never an identity. `localhost` where it has none.
    pub(crate) fn name(&self) -> String {
        let running = if self.running { sysinfo::System::host_name().ok() } else { None };
        let written = || self.read(Path::new("/etc/hostname")).ok();
        let name = running.or_else(|| Some(String::from_utf8_lossy(&written()?).trim().to_owned()));
        name.filter(|name| !name.is_empty()).map_or_else(|| "localhost".into(), |name| label(&name))
    }

    /// The operating system and, where it runs, its kernel: for people. Source: os-release(5).
    pub(crate) fn system(&self) -> String {
        let release = ["/etc/os-release", "/usr/lib/os-release"];
        let text = release.iter().find_map(|path| audit::host::read_text(self, path).ok()).unwrap_or_default();
        let pretty = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let name = pretty.map_or("Linux", |value| value.trim_matches(['"', '\'']));
        let kernel = if self.running { sysinfo::System::kernel_version().ok() } else { None };
        let system = kernel.map_or_else(|| name.to_owned(), |kernel| format!("{name}, kernel {kernel}"));
        label(&system)
    }
}

/// See [`Live::is_being_changed`].
const PACKAGE_LOCKS: [&str; 4] =
    ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/usr/lib/sysimage/rpm/.rpm.lock", "/var/lib/rpm/.rpm.lock"];

/// At most 255 bytes of `text`, which is as long as a label may be.
fn label(text: &str) -> String {
    let end = (0..=255.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

impl Host for Live {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Gap> {
        self.anchor.read(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap> {
        self.anchor.list(path)
    }

    fn stat(&self, path: &Path) -> Result<Stat, Gap> {
        self.anchor.stat(path, Last::Followed)
    }

    fn lstat(&self, path: &Path) -> Result<Stat, Gap> {
        self.anchor.stat(path, Last::Itself)
    }

    fn link(&self, path: &Path) -> Result<PathBuf, Gap> {
        self.anchor.link(path)
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Gap> {
        self.anchor.read_part(path, offset, length)
    }

    fn checksum(&self, path: &Path, sum: Checksum) -> Result<Vec<u8>, Gap> {
        self.anchor.checksum(path, sum, &self.told)
    }

    fn attribute(&self, path: &Path, attribute: Attribute) -> Result<Option<Vec<u8>>, Gap> {
        self.anchor.attribute(path, attribute)
    }

    fn whole(&self, path: &Path, most: Option<u64>) -> Result<Whole, Gap> {
        self.anchor.whole(path, most, &self.told)
    }

    fn ask(&self, question: Question) -> Result<Vec<u8>, Gap> {
        // What stands on a disk can be told at rest, too.
        if !self.running && !matches!(question, Question::UnusualFiles | Question::ChangedPackageFiles) {
            let detail = "only a running system can tell, and this is a root file system at rest";
            return Err(Gap::new(GapKind::NotLive, format!("{question:?}"), detail));
        }
        match question {
            Question::UnusualFiles => survey::unusual(&self.anchor, self.running, &self.told),
            Question::ChangedPackageFiles => packaged::ask(self, None),
            Question::KernelClock => clock::ask(),
            Question::ChronyTracking => chrony::ask_tracking(),
            Question::ChronySources => chrony::ask_sources(),
            Question::Timesync => timesync::ask(),
            Question::NtpSystem => ntp::ask(),
            Question::TimeDaemons => daemons::ask(self),
            Question::NftGeneration => nft::ask_generation(),
            Question::NftRuleset => nft::ask_ruleset(),
            Question::Units => units::ask(),
            Question::IptablesNft => iptables::ask(&iptables::NFT),
            Question::Ip6tablesNft => iptables::ask(&iptables::NFT6),
            Question::IptablesLegacy => iptables::ask(&iptables::LEGACY),
            Question::Ip6tablesLegacy => iptables::ask(&iptables::LEGACY6),
            Question::KernelRelease => kernel::ask(),
            Question::KernelVersion => kernel::ask_version(),
            Question::Sockets => sockets::ask(),
            Question::ControlGroups => sockets::ask_groups(),
            Question::SocketOwners => sockets::ask_owners(),
            Question::Routes => routes::ask(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_cut_between_characters() {
        assert_eq!(label("web-1"), "web-1");
        assert_eq!(label(&"é".repeat(200)), "é".repeat(127));
    }

    #[test]
    fn a_root_at_rest_answers_no_question_and_names_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let live = Live::open(Some(folder.path())).unwrap();
        assert_eq!(live.ask(Question::KernelClock).unwrap_err().kind, GapKind::NotLive);
        assert_eq!((live.name().as_str(), live.system().as_str()), ("localhost", "Linux"));
        std::fs::write(folder.path().join("etc/hostname"), "web-1\n").unwrap();
        std::fs::write(folder.path().join("etc/os-release"), "ID=x\nPRETTY_NAME=\"Some Linux 3\"\n").unwrap();
        assert_eq!((live.name().as_str(), live.system().as_str()), ("web-1", "Some Linux 3"));
        assert!(Live::open(Some(&folder.path().join("none"))).is_err());
    }
}
