//! journald's effective settings, and journal-upload's target. Sources: journald.conf(5), "CONFIGURATION DIRECTORIES AND PRECEDENCE";
//! journal-upload.conf(5).

use std::collections::BTreeMap;
use std::path::Path;

use super::{Item, files, read, target};
use crate::facts::Observed;
use crate::host::Host;
use crate::probes::services::install::settings;

/// The strongest folder first.
const FOLDERS: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

pub(super) fn collect(host: &dyn Host, items: &mut Observed<Item>) {
    let prefix = "journald:";
    // Of files of one name the strongest folder's counts; then all of them by name, and before them the main file.
    let mut drop_ins = BTreeMap::new();
    for folder in FOLDERS.iter().rev() {
        drop_ins.extend(files(host, &format!("{folder}/journald.conf.d"), ".conf", prefix, items));
    }
    let main = FOLDERS.iter().map(|folder| format!("{folder}/journald.conf"));
    let main = main.into_iter().find(|path| !host.stat(Path::new(path)).is_err_and(|gap| gap.is_missing()));
    for file in main.into_iter().chain(drop_ins.into_values()) {
        let Some(text) = read(host, Path::new(&file), prefix, items) else { continue };
        for (section, key, value) in settings(&text) {
            if section != "Journal" {
                continue;
            }
            let subject = format!("{prefix}{key}");
            match value.is_empty() {
                // Back to the default.
                true => items.seen.remove(&subject),
                false => items.seen.insert(subject, Item::Setting { value, file: file.clone() }),
            };
        }
    }
    let upload = read(host, Path::new("/etc/systemd/journal-upload.conf"), "target:", items).unwrap_or_default();
    let url =
        settings(&upload).filter(|(section, key, value)| *section == "Upload" && *key == "URL" && !value.is_empty());
    if let Some((_, _, url)) = url.last() {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", &url));
        let place = rest.trim_end_matches('/').rsplit('@').next().unwrap_or(rest);
        let port = if place.contains(':') { "" } else { ":19532" };
        target(items, "journal-upload", &format!("{place}{port}/{scheme}"), scheme == "https");
    }
}
