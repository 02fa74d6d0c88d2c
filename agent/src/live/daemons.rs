//! Which time daemons run, by the `comm` names under `/proc`, with what tells a daemon from somebody's program of that
//! name: its unit and its owner. A daemon in a container on this host is counted too: it may hold the clock as well as
//! any other.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use audit::host::{EntryKind, Gap, Host as _};

use super::Live;

/// The kernel cuts `comm` to 15 bytes, hence the short last letters of systemd-timesyncd.
const DAEMONS: [&str; 6] = ["chronyd", "systemd-timesyn", "ntpd", "openntpd", "ptp4l", "phc2sys"];

/// See [`audit::host::Question::TimeDaemons`].
pub(super) fn ask(live: &Live) -> Result<Vec<u8>, Gap> {
    let mut found: Vec<(&str, Option<String>, u32)> = Vec::new();
    for entry in live.list(Path::new("/proc"))? {
        let is_process = entry.kind == EntryKind::Directory && entry.name.as_bytes().iter().all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // A process may end between the listing and the read: then it does not run.
        let process = Path::new("/proc").join(&entry.name);
        let Ok(comm) = live.read(&process.join("comm")) else { continue };
        let Some(name) = DAEMONS.iter().find(|name| name.as_bytes() == comm.trim_ascii_end()) else { continue };
        let Ok(stat) = live.stat(&process) else { continue };
        let groups = live.read(&process.join("cgroup")).unwrap_or_default();
        found.push((name, unit(&String::from_utf8_lossy(&groups)), stat.uid));
    }
    found.sort_unstable();
    found.dedup();
    let told = found.iter().map(|(name, unit, uid)| serde_json::json!({"name": name, "unit": unit, "uid": uid}));
    Ok(serde_json::Value::from_iter(told).to_string().into_bytes())
}

/// The system unit a process belongs to, by the lines of its `cgroup` file (cgroups(7)). Only systemd puts processes
/// below `system.slice`; a user's own units are below `user.slice`.
fn unit(groups: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let unit = path.strip_prefix("/system.slice/")?.split('/').next()?;
        unit.ends_with(".service").then(|| unit.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_read_from_either_kind_of_control_group() {
        assert_eq!(unit("0::/system.slice/chrony.service\n").as_deref(), Some("chrony.service"));
        let old = "12:pids:/system.slice/chronyd.service\n1:name=systemd:/system.slice/chronyd.service\n0::/\n";
        assert_eq!(unit(old).as_deref(), Some("chronyd.service"));
        for none in ["", "0::/", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/chrony.service", "x"] {
            assert_eq!(unit(none), None, "{none}");
        }
    }
}
