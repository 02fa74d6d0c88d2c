//! What the parsers of configuration files share: the items found so far, lines and words of hostile files, and how
//! much may be read in all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Boot, Configured, Daemon, Item, Role};
use crate::facts::Observed;
use crate::glob::Glob;
use crate::host::{EntryKind, Gap, GapKind, Host, gap, read_small};

/// A configuration file of a time daemon is a few KiB.
const MAX_FILES: usize = 256;
const MAX_FILE: usize = 256 * 1024;
const MAX_SOURCES: usize = 1_000;
/// chronyd refuses longer lines.
const MAX_LINE: usize = 2_048;

/// Items in the making.
pub(super) struct Found<'a> {
    pub(super) host: &'a dyn Host,
    items: Observed<Item>,
    read: BTreeSet<(Daemon, PathBuf)>,
}

impl<'a> Found<'a> {
    pub(super) fn new(host: &'a dyn Host) -> Self {
        Self { host, items: Observed::new(), read: BTreeSet::new() }
    }

    pub(super) fn finish(self) -> Observed<Item> {
        self.items
    }

    /// Everything whose subject starts with `prefix` may be more than was seen.
    pub(super) fn hide(&mut self, prefix: &str, gap: Gap) {
        self.items.hide(prefix, gap);
    }

    /// Hides all sources of `daemon`.
    pub(super) fn hide_sources(&mut self, daemon: Daemon, gap: Gap) {
        self.hide(&format!("{}:", daemon.name()), gap);
    }

    /// The daemon starts with the host, or cannot. A mask beats a want.
    pub(super) fn boot(&mut self, daemon: Daemon, boot: Boot) {
        let item = self.items.seen.entry(format!("daemon:{}", daemon.name())).or_insert(Item::Daemon { boot });
        if boot == Boot::Masked {
            *item = Item::Daemon { boot };
        }
    }

    /// A line of `file` makes `name` a source.
    pub(super) fn source(&mut self, daemon: Daemon, role: Role, name: &str, options: String, file: &Path) {
        let name = canonical(role, name);
        let subject = format!("{}:{}:{name}", daemon.name(), role.name());
        if self.items.seen.len() >= MAX_SOURCES && !self.items.seen.contains_key(&subject) {
            let gap = Gap::new(GapKind::TooLarge, text(file), format!("more than {MAX_SOURCES} sources"));
            return self.hide_sources(daemon, gap);
        }
        let empty = Configured { daemon, role, name, options: BTreeSet::new(), files: BTreeSet::new() };
        if let Item::Source(source) = self.items.seen.entry(subject).or_insert(Item::Source(empty)) {
            if !options.is_empty() {
                source.options.insert(options);
            }
            source.files.insert(text(file));
        }
    }

    /// The lines of a configuration file of `daemon`; none where there is no such file, and none the second time, so that
    /// a loop of includes ends and costs nothing. What is wrong with the file hides the daemon's sources.
    pub(super) fn lines(&mut self, daemon: Daemon, file: &Path) -> Option<Vec<String>> {
        if !self.read.insert((daemon, file.to_owned())) {
            return None;
        }
        if self.read.len() > MAX_FILES {
            let detail = format!("time daemons' configuration in more than {MAX_FILES} files");
            self.hide_sources(daemon, Gap::new(GapKind::TooLarge, daemon.name(), detail));
            return None;
        }
        let bytes = match gap::optional(read_small(self.host, file)) {
            Ok(bytes) => bytes?,
            Err(gap) => {
                self.hide_sources(daemon, gap);
                return None;
            }
        };
        if bytes.len() > MAX_FILE {
            let gap = Gap::new(GapKind::TooLarge, text(file), format!("larger than {} KiB", MAX_FILE / 1024));
            self.hide_sources(daemon, gap);
            return None;
        }
        if bytes.split(|byte| *byte == b'\n').any(|line| line.len() > MAX_LINE) {
            self.hide_sources(daemon, Gap::malformed(text(file), format!("a line longer than {MAX_LINE} bytes")));
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| line.len() <= MAX_LINE);
        Some(lines.map(|line| escaped(line).trim().to_owned()).collect())
    }

    /// The files in `folder` whose names end in `suffix`, sorted by name; none where there is no such folder.
    pub(super) fn folder(&mut self, daemon: Daemon, folder: &Path, suffix: &str) -> Vec<(PathBuf, EntryKind)> {
        match gap::optional(self.host.list(folder)) {
            Ok(None) => Vec::new(),
            Ok(Some(entries)) => {
                let wanted = |entry: &&crate::host::Entry| {
                    entry.kind != EntryKind::Directory && entry.name.as_encoded_bytes().ends_with(suffix.as_bytes())
                };
                entries.iter().filter(wanted).map(|entry| (folder.join(&entry.name), entry.kind)).collect()
            }
            Err(gap) => {
                self.hide_sources(daemon, gap);
                Vec::new()
            }
        }
    }

    /// The files a glob(7) pattern names, sorted: the pattern itself where it has no wildcard.
    pub(super) fn expand(&mut self, daemon: Daemon, pattern: &str) -> Vec<PathBuf> {
        if !pattern.starts_with('/') {
            self.hide_sources(daemon, Gap::malformed(pattern, "an included path that is not absolute"));
            return Vec::new();
        }
        let mut paths = vec![PathBuf::from("/")];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            if !part.contains(['*', '?', '[', '\\']) {
                paths.iter_mut().for_each(|path| path.push(part));
                continue;
            }
            let Ok(glob) = Glob::of_paths(part) else {
                self.hide_sources(daemon, Gap::malformed(pattern, "not a pattern of files"));
                return Vec::new();
            };
            let mut next = Vec::new();
            for path in &paths {
                let entries = match gap::optional(self.host.list(path)) {
                    Ok(entries) => entries.unwrap_or_default(),
                    Err(gap) => {
                        self.hide_sources(daemon, gap);
                        continue;
                    }
                };
                // A wildcard does not match a leading dot: glob(7).
                let shown =
                    |name: &std::ffi::OsStr| part.starts_with('.') || !name.as_encoded_bytes().starts_with(b".");
                let named =
                    entries.iter().filter(|entry| shown(&entry.name) && glob.matches_path(Path::new(&entry.name)));
                next.extend(named.map(|entry| path.join(&entry.name)));
                if next.len() > MAX_FILES {
                    let gap = Gap::new(GapKind::TooLarge, pattern, format!("names more than {MAX_FILES} files"));
                    self.hide_sources(daemon, gap);
                    return Vec::new();
                }
            }
            paths = next;
        }
        paths
    }
}

/// Bytes as text, those that are not UTF-8 and control characters escaped, so that two names never fall together.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' | '\r' | '\x0b' | '\x0c' => text.push(' '),
                character if character.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(character))),
                character => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A path as text.
pub(super) fn text(path: &Path) -> String {
    escaped(path.as_os_str().as_encoded_bytes())
}

/// The words left of a line, one space between.
pub(super) fn rest<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// Host names are equal in any case and with or without a final dot; devices are not.
fn canonical(role: Role, name: &str) -> String {
    match role {
        Role::Refclock => name.to_owned(),
        Role::Server | Role::Pool | Role::Peer | Role::Fallback | Role::Broadcast | Role::Local => {
            let name = name.to_lowercase();
            name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(&name).to_owned()
        }
    }
}
