//! Which time daemons run, by the `comm` names under `/proc`. A daemon in a container on this host is counted too: it
//! may hold the clock as well as any other.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use audit::host::{EntryKind, Gap, Host as _};

use super::Live;

/// The kernel cuts `comm` to 15 bytes, hence the short last letters of systemd-timesyncd.
const DAEMONS: [&str; 4] = ["chronyd", "systemd-timesyn", "ntpd", "openntpd"];

/// A sorted JSON array of the names among [`DAEMONS`] that run.
pub(super) fn ask(live: &Live) -> Result<Vec<u8>, Gap> {
    let mut found: Vec<&str> = Vec::new();
    for entry in live.list(Path::new("/proc"))? {
        let is_process = entry.kind == EntryKind::Directory && entry.name.as_bytes().iter().all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // A process may end between the listing and the read: then it does not run.
        let Ok(comm) = live.read(&Path::new("/proc").join(&entry.name).join("comm")) else { continue };
        found.extend(DAEMONS.iter().filter(|name| name.as_bytes() == comm.trim_ascii_end()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(serde_json::json!(found).to_string().into_bytes())
}
