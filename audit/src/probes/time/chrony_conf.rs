//! Sources in chrony.conf(5), through `include`, `confdir` and `sourcedir`, as chronyd 4 follows them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::config::{Found, rest};
use super::{Daemon, Role};
use crate::host::Gap;

const OWN: Daemon = Daemon::Chrony;
/// Debian's place, then everybody else's. Which one chronyd was built with no file tells, so both are read.
const FILES: [&str; 2] = ["/etc/chrony/chrony.conf", "/etc/chrony.conf"];
/// chronyd gives up on deeper includes, and on more folders in one directive.
const MAX_DEPTH: usize = 10;
const MAX_FOLDERS: usize = 10;

/// Finds chrony's configured sources.
pub(super) fn collect(found: &mut Found<'_>) {
    for file in FILES {
        read(found, Path::new(file), 0);
    }
}

fn read(found: &mut Found<'_>, file: &Path, depth: usize) {
    if depth > MAX_DEPTH {
        let gap = Gap::malformed("chrony.conf", format!("includes nest deeper than {MAX_DEPTH}: a loop?"));
        return found.hide_sources(OWN, gap);
    }
    for line in found.lines(OWN, file).unwrap_or_default() {
        let mut words = words(&line);
        let Some(directive) = words.next() else { continue };
        match directive.to_ascii_lowercase().as_str() {
            "include" => {
                for included in found.expand(OWN, &rest(words)) {
                    read(found, &included, depth + 1);
                }
            }
            "confdir" => {
                for included in merged(found, words, ".conf") {
                    read(found, &included, depth + 1);
                }
            }
            "sourcedir" => {
                for sources in merged(found, words, ".sources") {
                    read_sources(found, &sources);
                }
            }
            "refclock" => {
                if let (Some(driver), Some(parameter)) = (words.next(), words.next()) {
                    let name = format!("{}:{parameter}", driver.to_ascii_uppercase());
                    found.source(OWN, Role::Refclock, &name, rest(words), file);
                }
            }
            "local" => found.source(OWN, Role::Local, "clock", rest(words), file),
            other => source(found, other, words, file),
        }
    }
}

/// A `.sources` file holds only servers, pools and peers.
fn read_sources(found: &mut Found<'_>, file: &Path) {
    for line in found.lines(OWN, file).unwrap_or_default() {
        let mut words = words(&line);
        if let Some(directive) = words.next() {
            source(found, &directive.to_ascii_lowercase(), words, file);
        }
    }
}

fn source<'a>(found: &mut Found<'_>, directive: &str, mut words: impl Iterator<Item = &'a str>, file: &Path) {
    let role = match directive {
        "server" => Role::Server,
        "pool" => Role::Pool,
        "peer" => Role::Peer,
        _ => return,
    };
    if let Some(name) = words.next() {
        found.source(OWN, role, name, rest(words), file);
    }
}

/// The files of several folders in the order of their names; of one name, the first folder's file alone counts.
fn merged<'a>(found: &mut Found<'_>, folders: impl Iterator<Item = &'a str>, suffix: &str) -> Vec<PathBuf> {
    let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in folders.take(MAX_FOLDERS) {
        for (path, _) in found.folder(OWN, Path::new(folder), suffix) {
            if let Some(name) = path.file_name() {
                files.entry(name.to_owned()).or_insert(path);
            }
        }
    }
    files.into_values().collect()
}

/// The words of a line; a comment has none. Only a whole line can be a comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let line = if line.starts_with(['!', ';', '#', '%']) { "" } else { line };
    line.split_ascii_whitespace()
}
