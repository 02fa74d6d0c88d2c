//! Configuration in folders, merged as systemd, kmod and procps merge it: of equal names the strongest folder's file counts,
//! and files are taken in the order of their names, whatever folder they stand in (sysctl.d(5), modprobe.d(5)).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::host::{EntryKind, Gap, GapKind, Host, gap, path_text, read_small};

/// The most files of one kind.
const MOST: usize = 2000;

/// The files of `folders`, strongest first, whose names end in `suffix`: where each stands, and its content. One that is a link to
/// `/dev/null` keeps those of its name elsewhere from counting, and is left out.
pub(super) fn merged(host: &dyn Host, folders: &[&str], suffix: &str) -> Result<Vec<(String, String)>, Gap> {
    let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in folders {
        let Some(entries) = gap::optional(host.list(Path::new(folder)))? else { continue };
        for entry in entries {
            let wanted = entry.name.as_bytes().ends_with(suffix.as_bytes()) && !entry.name.as_bytes().starts_with(b".");
            if !wanted || entry.kind == EntryKind::Directory || files.contains_key(&entry.name) {
                continue;
            }
            let path = Path::new(folder).join(&entry.name);
            if entry.kind == EntryKind::Link && !is_there(host, &path)? {
                continue;
            }
            files.insert(entry.name, path);
        }
    }
    if files.len() > MOST {
        return Err(super::too_many(suffix, MOST));
    }
    let mut read = Vec::with_capacity(files.len());
    for path in files.into_values() {
        if host.link(&path).is_ok_and(|target| target == Path::new("/dev/null")) {
            continue;
        }
        if let Some(bytes) = gap::optional(read_small(host, &path))? {
            read.push((path_text(&path), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(read)
}

/// A link that leads nowhere is passed over, and does not mask; one to `/dev/null` does, be there a `/dev` or not.
fn is_there(host: &dyn Host, path: &Path) -> Result<bool, Gap> {
    if host.link(path).is_ok_and(|target| target == Path::new("/dev/null")) {
        return Ok(true);
    }
    match host.stat(path) {
        Ok(_) => Ok(true),
        Err(gap) if matches!(gap.kind, GapKind::Missing | GapKind::Failed) => Ok(false),
        Err(gap) => Err(gap),
    }
}
