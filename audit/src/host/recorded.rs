//! A host recorded once and played back: what tests judge, and what a person attaches to a bug report.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::redaction;
use super::{Attribute, Checksum, Entry, EntryKind, Gap, GapKind, Host, MAX_PART, Question, Stat, path_text};
use crate::yaml::short;

/// A host in memory.
///
/// One built by hand answers `Missing` for what it does not hold; one played back from a recording answers
/// `Unrecorded`, because nobody looked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    #[serde(default)]
    files: BTreeMap<String, Result<Content, Gap>>,
    #[serde(default)]
    folders: BTreeMap<String, Result<Vec<(Content, EntryKind)>, Gap>>,
    #[serde(default)]
    stats: BTreeMap<String, Result<Stat, Gap>>,
    #[serde(default)]
    answers: BTreeMap<Question, Result<Content, Gap>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lstats: BTreeMap<String, Result<Stat, Gap>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    links: BTreeMap<String, Result<Content, Gap>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, Vec<Part>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sums: BTreeMap<String, BTreeMap<Checksum, Result<Content, Gap>>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, BTreeMap<Attribute, Result<Option<Content>, Gap>>>,
    #[serde(skip)]
    by_hand: bool,
}

/// The bytes at an offset, and how many were asked for.
type Part = (u64, usize, Result<Content, Gap>);

/// Bytes, written as text where they are text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
struct Content(Vec<u8>);

/// How they are written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Text(String),
    Base64(String),
}

impl From<Content> for Written {
    fn from(Content(bytes): Content) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Base64(STANDARD.encode(error.as_bytes())), Self::Text)
    }
}

impl TryFrom<Written> for Content {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Text(text) => Ok(Self(text.into_bytes())),
            Written::Base64(text) => STANDARD.decode(text).map(Self).map_err(|_| "not base64"),
        }
    }
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.clone()
    }
}

impl Recorded {
    /// Itself without what must not be given away: see the table of `redaction`. Probes judge it as they judge the whole.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        let keep_name = self.is_named_in_rules();
        for (path, content) in &mut self.files {
            let name = ["/etc/hostname", "/proc/sys/kernel/hostname"].contains(&path.as_str());
            if let Ok(Content(bytes)) = content {
                *bytes = if name && !keep_name { b"host\n".to_vec() } else { redaction::redacted(path, bytes) };
            }
        }
        for (path, parts) in &mut self.parts {
            for (_, _, part) in parts {
                if let Ok(Content(bytes)) = part {
                    *bytes = redaction::redacted(path, bytes);
                }
            }
        }
        self
    }

    /// Whether rules of sudo or doas hang on the host's name.
    fn is_named_in_rules(&self) -> bool {
        let text = |path: &str| self.files.get(path)?.as_ref().ok().map(|content| String::from_utf8_lossy(&content.0));
        let name = text("/etc/hostname").or_else(|| text("/proc/sys/kernel/hostname")).unwrap_or_default();
        let name = name.trim().split('.').next().unwrap_or_default();
        let rules = ["/etc/sudoers", "/usr/etc/sudoers", "/etc/doas.conf"];
        !name.is_empty()
            && self
                .files
                .keys()
                .filter(|path| rules.iter().any(|rule| path.starts_with(rule)))
                .any(|path| text(path).is_some_and(|text| text.contains(name)))
    }

    /// An empty host, to be filled by hand.
    pub fn new() -> Self {
        Self { by_hand: true, ..Self::default() }
    }

    /// A recording as [`Recording::finish`] wrote it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        // serde quotes what it did not expect, however long.
        serde_json::from_slice(bytes).map_err(|error| short(error.to_string()))
    }

    /// With a file of mode 0644 owned by root, and its folders.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.files.insert(path.into(), Ok(Content::of(content)));
        let stat = Stat { size: content.len() as u64, ..root_owned(EntryKind::File, 0o644) };
        self.stats.insert(path.into(), Ok(stat));
        self.enter(Path::new(path), EntryKind::File);
        self
    }

    /// With a symbolic link; what it leads to must be added under its own path too, if it is to be read.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.into(), Ok(Content::of(target.as_bytes())));
        let stat = Stat { size: target.len() as u64, ..root_owned(EntryKind::Link, 0o777) };
        self.lstats.insert(path.into(), Ok(stat));
        self.enter(Path::new(path), EntryKind::Link);
        self
    }

    /// With `change` made to the metadata of the file or folder at `path`, which must be there.
    #[must_use]
    pub fn with_stat(mut self, path: &str, change: impl FnOnce(&mut Stat)) -> Self {
        if let Ok(mut stat) = self.stat(Path::new(path)) {
            change(&mut stat);
            self.stats.insert(path.into(), Ok(stat));
        }
        self
    }

    /// With an extended attribute.
    #[must_use]
    pub fn with_attribute(mut self, path: &str, attribute: Attribute, value: &[u8]) -> Self {
        self.attributes.entry(path.into()).or_default().insert(attribute, Ok(Some(Content::of(value))));
        self
    }

    /// With a checksum: for a file whose content is not held.
    #[must_use]
    pub fn with_sum(mut self, path: &str, sum: Checksum, value: &[u8]) -> Self {
        self.sums.entry(path.into()).or_default().insert(sum, Ok(Content::of(value)));
        self
    }

    /// With `path` answering `gap` to every read, listing and stat.
    #[must_use]
    pub fn gap(mut self, path: &str, kind: GapKind) -> Self {
        let gap = Gap::new(kind, path, "recorded so");
        self.files.insert(path.into(), Err(gap.clone()));
        self.folders.insert(path.into(), Err(gap.clone()));
        self.stats.insert(path.into(), Err(gap));
        self.enter(Path::new(path), EntryKind::File);
        self
    }

    /// With an empty folder.
    #[must_use]
    pub fn folder(mut self, path: &str) -> Self {
        self.folders.entry(path.into()).or_insert_with(|| Ok(Vec::new()));
        self.enter(Path::new(path), EntryKind::Directory);
        self
    }

    /// With an answer.
    #[must_use]
    pub fn answer(mut self, question: Question, answer: impl AsRef<[u8]>) -> Self {
        self.answers.insert(question, Ok(Content::of(answer.as_ref())));
        self
    }

    /// With a question that cannot be answered.
    #[must_use]
    pub fn refuse(mut self, question: Question, kind: GapKind) -> Self {
        self.answers.insert(question, Err(Gap::new(kind, format!("{question:?}"), "recorded so")));
        self
    }

    fn enter(&mut self, path: &Path, kind: EntryKind) {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        let entry = (Content::of(name.as_bytes()), kind);
        let folder = self.folders.entry(path_text(parent)).or_insert_with(|| Ok(Vec::new()));
        if let Ok(entries) = folder
            && !entries.contains(&entry)
        {
            entries.push(entry);
        }
        self.enter(parent, EntryKind::Directory);
    }

    fn absent<T>(&self, what: &str) -> Result<T, Gap> {
        Err(if self.by_hand {
            Gap::new(GapKind::Missing, what, "no such file or folder")
        } else {
            Gap::new(GapKind::Unrecorded, what, "not in this recording")
        })
    }
}

fn root_owned(kind: EntryKind, mode: u32) -> Stat {
    Stat { kind, mode, uid: 0, gid: 0, size: 0, modified: 0, device: 0 }
}

impl Host for Recorded {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Gap> {
        match self.files.get(&path_text(path)) {
            Some(content) => content.as_ref().map(Content::bytes).map_err(Gap::clone),
            None => self.absent(&path_text(path)),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap> {
        let Some(folder) = self.folders.get(&path_text(path)) else { return self.absent(&path_text(path)) };
        let mut entries = Vec::new();
        for (name, kind) in folder.as_ref().map_err(Gap::clone)? {
            entries.push(Entry { name: OsStr::from_bytes(&name.0).to_owned(), kind: *kind });
        }
        entries.sort();
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> Result<Stat, Gap> {
        match self.stats.get(&path_text(path)) {
            Some(stat) => stat.clone(),
            None if self.by_hand && self.folders.contains_key(&path_text(path)) => {
                Ok(Stat { size: 4096, ..root_owned(EntryKind::Directory, 0o755) })
            }
            None => self.absent(&path_text(path)),
        }
    }

    fn lstat(&self, path: &Path) -> Result<Stat, Gap> {
        match self.lstats.get(&path_text(path)) {
            Some(stat) => stat.clone(),
            // By hand, what is no link is the same either way.
            None if self.by_hand => self.stat(path),
            None => self.absent(&path_text(path)),
        }
    }

    fn link(&self, path: &Path) -> Result<PathBuf, Gap> {
        match self.links.get(&path_text(path)) {
            Some(target) => Ok(PathBuf::from(OsStr::from_bytes(&target.as_ref().map_err(Gap::clone)?.0))),
            None if self.by_hand && self.stat(path).is_ok() => {
                Err(Gap::new(GapKind::Failed, path_text(path), "not a symbolic link"))
            }
            None => self.absent(&path_text(path)),
        }
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Gap> {
        let parts = self.parts.get(&path_text(path));
        let part = parts.and_then(|parts| parts.iter().find(|(at, of, _)| (*at, *of) == (offset, length)));
        if let Some((_, _, part)) = part {
            return part.as_ref().map(Content::bytes).map_err(Gap::clone);
        }
        let Some(whole) = self.files.get(&path_text(path)) else { return self.absent(&path_text(path)) };
        let Content(whole) = whole.as_ref().map_err(Gap::clone)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
        let to = from.saturating_add(length.min(MAX_PART)).min(whole.len());
        Ok(whole.get(from..to).unwrap_or_default().to_vec())
    }

    fn checksum(&self, path: &Path, sum: Checksum) -> Result<Vec<u8>, Gap> {
        match self.sums.get(&path_text(path)).and_then(|sums| sums.get(&sum)) {
            Some(value) => value.as_ref().map(Content::bytes).map_err(Gap::clone),
            None if self.by_hand && sum == Checksum::Sha256 => {
                Ok(crate::digest::Digest::of(&self.read(path)?).as_bytes().to_vec())
            }
            None => self.absent(&path_text(path)),
        }
    }

    fn attribute(&self, path: &Path, attribute: Attribute) -> Result<Option<Vec<u8>>, Gap> {
        match self.attributes.get(&path_text(path)).and_then(|values| values.get(&attribute)) {
            Some(value) => Ok(value.as_ref().map_err(Gap::clone)?.as_ref().map(Content::bytes)),
            None if self.by_hand => self.lstat(path).map(|_| None),
            None => self.absent(&path_text(path)),
        }
    }

    fn ask(&self, question: Question) -> Result<Vec<u8>, Gap> {
        match self.answers.get(&question) {
            Some(answer) => answer.as_ref().map(Content::bytes).map_err(Gap::clone),
            None if self.by_hand => Err(Gap::new(GapKind::NotLive, format!("{question:?}"), "not a running system")),
            None => self.absent(&format!("{question:?}")),
        }
    }
}

/// Records every look at `host`, gaps included.
pub struct Recording<'a> {
    host: &'a dyn Host,
    seen: RefCell<Recorded>,
}

impl<'a> Recording<'a> {
    /// Begins a recording.
    pub fn new(host: &'a dyn Host) -> Self {
        Self { host, seen: RefCell::default() }
    }

    /// What was seen, ready to be serialised.
    pub fn finish(self) -> Recorded {
        self.seen.into_inner()
    }

    /// Every path looked at so far.
    pub fn paths(&self) -> Vec<PathBuf> {
        let seen = self.seen.borrow();
        let mut paths: Vec<PathBuf> =
            seen.files.keys().chain(seen.folders.keys()).chain(seen.stats.keys()).map(PathBuf::from).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

impl Host for Recording<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Gap> {
        let seen = self.host.read(path);
        self.seen.borrow_mut().files.insert(path_text(path), seen.as_deref().map(Content::of).map_err(Gap::clone));
        seen
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap> {
        let seen = self.host.list(path);
        let entries = seen
            .as_ref()
            .map_err(Gap::clone)
            .map(|entries| entries.iter().map(|entry| (Content::of(entry.name.as_bytes()), entry.kind)).collect());
        self.seen.borrow_mut().folders.insert(path_text(path), entries);
        seen
    }

    fn stat(&self, path: &Path) -> Result<Stat, Gap> {
        let seen = self.host.stat(path);
        self.seen.borrow_mut().stats.insert(path_text(path), seen.clone());
        seen
    }

    fn lstat(&self, path: &Path) -> Result<Stat, Gap> {
        let seen = self.host.lstat(path);
        self.seen.borrow_mut().lstats.insert(path_text(path), seen.clone());
        seen
    }

    fn link(&self, path: &Path) -> Result<PathBuf, Gap> {
        let seen = self.host.link(path);
        let target = seen.as_ref().map(|target| Content::of(target.as_os_str().as_bytes())).map_err(Gap::clone);
        self.seen.borrow_mut().links.insert(path_text(path), target);
        seen
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Gap> {
        let seen = self.host.read_part(path, offset, length);
        let part = seen.as_deref().map(Content::of).map_err(Gap::clone);
        let mut recorded = self.seen.borrow_mut();
        let parts = recorded.parts.entry(path_text(path)).or_default();
        parts.retain(|(at, of, _)| (*at, *of) != (offset, length));
        parts.push((offset, length, part));
        seen
    }

    fn checksum(&self, path: &Path, sum: Checksum) -> Result<Vec<u8>, Gap> {
        let seen = self.host.checksum(path, sum);
        let value = seen.as_deref().map(Content::of).map_err(Gap::clone);
        self.seen.borrow_mut().sums.entry(path_text(path)).or_default().insert(sum, value);
        seen
    }

    fn attribute(&self, path: &Path, attribute: Attribute) -> Result<Option<Vec<u8>>, Gap> {
        let seen = self.host.attribute(path, attribute);
        let value = seen.as_ref().map(|value| value.as_deref().map(Content::of)).map_err(Gap::clone);
        self.seen.borrow_mut().attributes.entry(path_text(path)).or_default().insert(attribute, value);
        seen
    }

    fn ask(&self, question: Question) -> Result<Vec<u8>, Gap> {
        let seen = self.host.ask(question);
        let answer = seen.as_deref().map(Content::of).map_err(Gap::clone);
        self.seen.borrow_mut().answers.insert(question, answer);
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_plays_back_what_was_seen_and_says_what_was_not() {
        let host = Recorded::new().file("/etc/hostname", "web-1\n").file("/etc/bin", [0xff, 0]);
        let recording = Recording::new(&host);
        assert!(recording.read(Path::new("/etc/hostname")).is_ok());
        assert!(recording.read(Path::new("/etc/bin")).is_ok());
        assert_eq!(recording.list(Path::new("/etc")).unwrap().len(), 2);
        let json = serde_json::to_vec(&recording.finish()).unwrap();

        let played = Recorded::from_json(&json).unwrap();
        assert_eq!(played.read(Path::new("/etc/hostname")).unwrap(), b"web-1\n");
        assert_eq!(played.read(Path::new("/etc/bin")).unwrap(), [0xff, 0]);
        assert_eq!(played.read(Path::new("/etc/passwd")).unwrap_err().kind, GapKind::Unrecorded);
    }
}
