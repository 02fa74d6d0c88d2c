//! Sources in timesyncd.conf(5) and its drop-ins, by systemd's order of precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::config::Found;
use super::daemon::leads_nowhere;
use super::{Daemon, Role};
use crate::host::EntryKind;

const OWN: Daemon = Daemon::Timesyncd;
/// The strongest first. Of the main file only the first that is there is read; of drop-ins with one name likewise.
const FOLDERS: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

/// One server and the file that named it.
type Named = (String, PathBuf);

/// Finds timesyncd's configured sources. Where neither list is written the built-in one serves, and is an item too if
/// there is a configuration file at all.
pub(super) fn collect(found: &mut Found<'_>) {
    let mut servers: Vec<Named> = Vec::new();
    let mut fallback: Option<Vec<Named>> = None;
    let mut first = None;
    for file in files(found) {
        let Some(lines) = found.lines(OWN, &file) else { continue };
        first.get_or_insert_with(|| file.clone());
        let mut inside = false;
        for line in lines {
            if let Some(section) = line.strip_prefix('[') {
                inside = section == "Time]";
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';'])) else {
                continue;
            };
            match key.trim_end() {
                "NTP" => assign(&mut servers, value, &file),
                "FallbackNTP" => assign(fallback.get_or_insert_default(), value, &file),
                _ => {}
            }
        }
    }
    if let (None, Some(file)) = (&fallback, first) {
        found.source(OWN, Role::Fallback, "built-in", String::new(), &file);
    }
    let fallback = fallback.unwrap_or_default().into_iter().map(|named| (Role::Fallback, named));
    for (role, (name, file)) in servers.into_iter().map(|named| (Role::Server, named)).chain(fallback) {
        found.source(OWN, role, &name, String::new(), &file);
    }
}

/// Words add to a list, an empty value clears it: systemd.syntax(7).
fn assign(list: &mut Vec<Named>, value: &str, file: &Path) {
    if value.trim().is_empty() {
        list.clear();
    }
    list.extend(value.split_ascii_whitespace().map(|name| (name.to_owned(), file.to_owned())));
}

/// The files systemd would read, in its order.
fn files(found: &mut Found<'_>) -> Vec<PathBuf> {
    let mains = FOLDERS.iter().map(|folder| Path::new(folder).join("timesyncd.conf"));
    let host = found.host;
    let main = mains.into_iter().find(|path| host.stat(path).map_or_else(|gap| !gap.is_missing(), |_| true));
    let mut drop_ins: BTreeMap<OsString, Option<PathBuf>> = BTreeMap::new();
    for folder in FOLDERS {
        for (path, kind) in found.folder(OWN, &Path::new(folder).join("timesyncd.conf.d"), ".conf") {
            let Some(name) = path.file_name().map(OsString::from) else { continue };
            let masks = kind == EntryKind::Link && leads_nowhere(host, &path);
            drop_ins.entry(name).or_insert((!masks).then_some(path));
        }
    }
    main.into_iter().chain(drop_ins.into_values().flatten()).collect()
}
