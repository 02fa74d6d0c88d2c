//! Init scripts where they count: all of them on a host without systemd, else those no unit stands for. Sources: init(8) and
//! insserv(8) for `/etc/rcN.d`, Debian policy 9.3; OpenRC's rc-update(8) for `/etc/runlevels`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::host::{EntryKind, Gap, Host, gap};

/// Where scripts stand.
pub(super) const SCRIPTS: &str = "/etc/init.d";
/// Debian's runlevel folders; Red Hat's are the same by links.
const LEVELS: [&str; 8] = ["rcS", "rc0", "rc1", "rc2", "rc3", "rc4", "rc5", "rc6"];
/// What stands beside scripts and is none: Debian's and LSB's helpers.
const NOT_SCRIPTS: [&str; 7] = ["README", "skeleton", "rc", "rcS", "functions", "functions.sh", "halt"];

/// Each script with the runlevels it starts in.
pub(super) fn read(host: &dyn Host) -> Result<BTreeMap<String, BTreeSet<String>>, Gap> {
    let mut scripts = BTreeMap::new();
    let Some(entries) = gap::optional(host.list(Path::new(SCRIPTS)))? else { return Ok(scripts) };
    for entry in entries {
        let Ok(name) = std::str::from_utf8(entry.name.as_bytes()) else { continue };
        let is_script = matches!(entry.kind, EntryKind::File | EntryKind::Link)
            && !NOT_SCRIPTS.contains(&name)
            && !name.starts_with('.')
            && ![".dpkg-", ".rpm"].iter().any(|left| name.contains(left));
        if is_script {
            scripts.insert(name.to_owned(), BTreeSet::new());
        }
    }
    let mut start = |script: &str, level: &str| {
        if let Some(levels) = scripts.get_mut(script) {
            levels.insert(level.to_owned());
        }
    };
    for level in LEVELS {
        let folder = Path::new("/etc").join(format!("{level}.d"));
        for entry in gap::optional(host.list(&folder))?.unwrap_or_default() {
            let Ok(name) = std::str::from_utf8(entry.name.as_bytes()) else { continue };
            // S, two digits, the script's name.
            if let Some(script) = name.strip_prefix('S').and_then(|rest| rest.get(2..)) {
                start(script, level.trim_start_matches("rc"));
            }
        }
    }
    for level in gap::optional(host.list(Path::new("/etc/runlevels")))?.unwrap_or_default() {
        let Ok(level) = std::str::from_utf8(level.name.as_bytes()) else { continue };
        for entry in gap::optional(host.list(&Path::new("/etc/runlevels").join(level)))?.unwrap_or_default() {
            if let Ok(name) = std::str::from_utf8(entry.name.as_bytes()) {
                start(name, level);
            }
        }
    }
    Ok(scripts)
}
