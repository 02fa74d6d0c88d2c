//! The time daemons: their names, their units, whether they start with the host and whether they run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::Found;
use crate::host::{EntryKind, Gap, Host, Question, gap};

/// A program that holds the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Daemon {
    /// chronyd.
    Chrony,
    /// systemd-timesyncd.
    #[serde(rename = "systemd-timesyncd")]
    Timesyncd,
    /// ntpd of NTPsec.
    Ntpsec,
    /// ntpd of the NTP project.
    Ntp,
    /// ntpd of OpenBSD.
    Openntpd,
    /// ptp4l or phc2sys.
    Linuxptp,
}

impl Daemon {
    /// As in subjects and baselines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chrony => "chrony",
            Self::Timesyncd => "systemd-timesyncd",
            Self::Ntpsec => "ntpsec",
            Self::Ntp => "ntp",
            Self::Openntpd => "openntpd",
            Self::Linuxptp => "linuxptp",
        }
    }
}

/// Whether a daemon starts with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// Wanted by a target.
    Enabled,
    /// Masked: nothing can start it.
    Masked,
}

/// A daemon's process.
pub(super) struct Running {
    pub(super) daemon: Daemon,
    pub(super) unit: Option<String>,
}

/// Debian and Red Hat name units differently; both stand here.
const UNITS: [(&str, Daemon); 9] = [
    ("chrony.service", Daemon::Chrony),
    ("chronyd.service", Daemon::Chrony),
    ("systemd-timesyncd.service", Daemon::Timesyncd),
    ("ntpsec.service", Daemon::Ntpsec),
    ("ntp.service", Daemon::Ntp),
    ("ntpd.service", Daemon::Ntp),
    ("openntpd.service", Daemon::Openntpd),
    ("ptp4l.service", Daemon::Linuxptp),
    ("phc2sys.service", Daemon::Linuxptp),
];

/// Where units are enabled and masked, the stronger folder first; see systemd.unit(5).
const FOLDERS: [&str; 3] = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];

/// Processes of ordinary users do not count: anybody can call a program chronyd. systemd.exec(5) and login.defs(5)
/// both begin people at 1000.
const FIRST_PERSON: u32 = 1000;

/// Finds which daemons start with the host.
pub(super) fn collect_boot(found: &mut Found<'_>) {
    for folder in FOLDERS {
        match gap::optional(found.host.list(Path::new(folder))) {
            Ok(None) => {}
            Ok(Some(entries)) => {
                for entry in entries {
                    let path = Path::new(folder).join(&entry.name);
                    if let Some((_, daemon)) = UNITS.iter().find(|(unit, _)| entry.name == *unit) {
                        let masked = entry.kind == EntryKind::Link && leads_nowhere(found.host, &path);
                        if masked && folder != "/usr/lib/systemd/system" {
                            found.boot(*daemon, Boot::Masked);
                        }
                    } else if entry.kind == EntryKind::Directory && path.extension().is_some_and(|end| end == "wants") {
                        collect_wants(found, &path);
                    }
                }
            }
            Err(gap) => found.hide("daemon:", gap),
        }
    }
}

fn collect_wants(found: &mut Found<'_>, folder: &Path) {
    let entries = match found.host.list(folder) {
        Ok(entries) => entries,
        Err(gap) => return found.hide("daemon:", gap),
    };
    for entry in entries {
        let Some((_, daemon)) = UNITS.iter().find(|(unit, _)| entry.name == *unit) else { continue };
        // A removed package leaves its link behind: it enables nothing.
        if !leads_nowhere(found.host, &folder.join(&entry.name)) {
            found.boot(*daemon, Boot::Enabled);
        }
    }
}

/// A link to a device (`/dev/null`), to an empty file or to nothing at all.
pub(super) fn leads_nowhere(host: &dyn Host, path: &Path) -> bool {
    match host.stat(path) {
        Ok(stat) => stat.kind == EntryKind::Other || (stat.kind == EntryKind::File && stat.size == 0),
        Err(gap) => gap.is_missing(),
    }
}

/// One process as the agent tells it.
#[derive(Deserialize)]
struct Process {
    name: String,
    unit: Option<String>,
    uid: u32,
}

/// The daemons that run, as the host tells.
pub(super) fn running(host: &dyn Host) -> Result<Vec<Running>, Gap> {
    let answer = host.ask(Question::TimeDaemons)?;
    let processes: Vec<Process> =
        serde_json::from_slice(&answer).map_err(|error| Gap::malformed("TimeDaemons", error.to_string()))?;
    let counted = processes.into_iter().filter(|process| process.unit.is_some() || process.uid < FIRST_PERSON);
    Ok(counted
        .filter_map(|process| Some(Running { daemon: of_process(host, &process)?, unit: process.unit }))
        .collect())
}

/// Three programs are called ntpd: the unit tells them apart, else the configuration that is there.
fn of_process(host: &dyn Host, process: &Process) -> Option<Daemon> {
    match process.name.as_str() {
        "chronyd" => Some(Daemon::Chrony),
        "systemd-timesyn" => Some(Daemon::Timesyncd),
        "openntpd" => Some(Daemon::Openntpd),
        "ptp4l" | "phc2sys" => Some(Daemon::Linuxptp),
        "ntpd" => {
            let there = |path: &str| host.stat(&PathBuf::from(path)).is_ok();
            let by_unit = match process.unit.as_deref() {
                Some("ntpsec.service") => Some(Daemon::Ntpsec),
                Some("openntpd.service") => Some(Daemon::Openntpd),
                Some(_) | None => None,
            };
            let by_file = || match () {
                () if there("/etc/ntpsec/ntp.conf") => Daemon::Ntpsec,
                () if there("/etc/openntpd/ntpd.conf") => Daemon::Openntpd,
                () => Daemon::Ntp,
            };
            Some(by_unit.unwrap_or_else(by_file))
        }
        _ => None,
    }
}
