//! dpkg's database: stanzas of `Field: value` lines, in one pass and without copying what is not kept.
//!
//! Source: deb822(5), dpkg's internal status format, dpkg-query(1). Of a stanza five fields are read; a stanza that
//! cannot be trusted hides its package, or where it has no name everything that was not seen.

use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Manager, Package, Selection, State};
use crate::facts::Observed;
use crate::host::{EntryKind, Gap, GapKind, Host};
use crate::version::DpkgVersion;

const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";
const STATUS_D: &str = "/var/lib/dpkg/status.d";

/// The most packages of one host; Debian has about 70,000 in all, and a full desktop some 5,000 of them.
const MAX_PACKAGES: usize = 30_000;
/// The most malformed stanzas told apart; beyond it, all that was not seen is hidden.
const MAX_GAPS: usize = 100;
/// The largest control file under `status.d`, in bytes.
const MAX_CONTROL: usize = 1024 * 1024;
/// The most files read from a folder. dpkg itself keeps at most 250 under `updates`.
const MAX_FILES: usize = 5_000;
/// The longest value kept, in bytes.
const MAX_VALUE: usize = 300;

/// All that dpkg's database holds; `None` where there is no such database.
pub(super) fn read(host: &dyn Host) -> Option<Observed<Package>> {
    let mut database = Database::default();
    let status = host.read(Path::new(STATUS));
    let controls = host.list(Path::new(STATUS_D));
    let missing = |gap: &Gap| gap.is_missing();
    if status.as_ref().is_err_and(missing) && controls.as_ref().is_err_and(missing) {
        return None;
    }
    let mut empty = true;
    match status {
        Ok(bytes) => {
            empty = bytes.trim_ascii().is_empty();
            database.status(STATUS, &bytes);
            database.updates(host);
        }
        Err(gap) if gap.is_missing() => {}
        Err(gap) => {
            empty = false;
            database.observed.hide("", gap);
        }
    }
    match controls {
        Ok(entries) => database.controls(host, entries.into_iter().map(|entry| (entry.name, entry.kind))),
        Err(gap) if gap.is_missing() => {}
        Err(gap) => database.observed.hide("", gap),
    }
    if empty && database.observed.seen.is_empty() {
        database.observed.hide("", Gap::malformed(STATUS, "holds no package: it is torn, or was never written"));
    }
    Some(database.observed)
}

#[derive(Default)]
struct Database {
    observed: Observed<Package>,
}

impl Database {
    fn status(&mut self, path: &str, bytes: &[u8]) {
        for stanza in Stanzas::of(bytes) {
            self.take(path, &stanza, Source::Status);
            if !stanza.ended {
                let detail = format!("ends inside the stanza of line {}: torn, or still being written", stanza.line);
                self.observed.hide("", Gap::malformed(path, detail));
            }
        }
    }

    /// dpkg notes what it does in small files with names of digits and folds them into `status` in the end.
    fn updates(&mut self, host: &dyn Host) {
        let entries = match host.list(Path::new(UPDATES)) {
            Ok(entries) => entries,
            Err(gap) if gap.is_missing() => return,
            Err(gap) => return self.observed.hide("", gap),
        };
        let digits = |name: &OsString| !name.is_empty() && name.as_bytes().iter().all(u8::is_ascii_digit);
        for entry in entries.into_iter().filter(|entry| digits(&entry.name)).take(MAX_FILES) {
            let path = Path::new(UPDATES).join(&entry.name);
            match host.read(&path) {
                Ok(bytes) => {
                    let path = path.to_string_lossy();
                    for stanza in Stanzas::of(&bytes) {
                        self.take(&path, &stanza, Source::Update);
                    }
                }
                // dpkg folded it in after we listed; the next look will see it.
                Err(gap) => self.observed.hide("", gap),
            }
        }
    }

    fn controls(&mut self, host: &dyn Host, entries: impl Iterator<Item = (OsString, EntryKind)>) {
        for (number, (name, kind)) in entries.filter(|(name, _)| !name.as_bytes().ends_with(b".md5sums")).enumerate() {
            let path = Path::new(STATUS_D).join(&name);
            let shown = path.to_string_lossy();
            if number >= MAX_FILES {
                let detail = format!("holds more than {MAX_FILES} files");
                return self.observed.hide("", Gap::new(GapKind::TooLarge, STATUS_D, detail));
            }
            match kind {
                EntryKind::File | EntryKind::Link => {}
                EntryKind::Directory | EntryKind::Other => {
                    self.observed.hide("", Gap::malformed(shown, "is not a control file"));
                    continue;
                }
            }
            match host.read(&path) {
                Ok(bytes) if bytes.len() > MAX_CONTROL => {
                    let detail = format!("{} bytes, more than the {MAX_CONTROL} of any control file", bytes.len());
                    self.observed.hide("", Gap::new(GapKind::TooLarge, shown, detail));
                }
                Ok(bytes) => {
                    let before = self.observed.seen.len() + self.observed.gaps.len();
                    for stanza in Stanzas::of(&bytes) {
                        self.take(&shown, &stanza, Source::Control);
                    }
                    if before == self.observed.seen.len() + self.observed.gaps.len() {
                        self.observed.hide("", Gap::malformed(shown, "adds no package"));
                    }
                }
                Err(gap) => self.observed.hide("", gap),
            }
        }
    }

    fn take(&mut self, path: &str, stanza: &Stanza<'_>, source: Source) {
        if self.observed.gaps.len() >= MAX_GAPS {
            let detail = format!("more than {MAX_GAPS} stanzas are malformed");
            return self.observed.hide("", Gap::malformed(path, detail));
        }
        if self.observed.seen.len() >= MAX_PACKAGES {
            let detail = format!("more than {MAX_PACKAGES} packages");
            return self.observed.hide("", Gap::new(GapKind::TooLarge, path, detail));
        }
        match stanza.package(source) {
            Ok((subject, package)) => {
                if source == Source::Update {
                    self.observed.seen.remove(&subject);
                }
                let Some(package) = package else { return };
                match self.observed.seen.entry(subject) {
                    Entry::Vacant(place) => drop(place.insert(package)),
                    Entry::Occupied(_) => self.spoil(path, stanza, Some(&package.name), "stands twice"),
                }
            }
            Err((name, why)) => self.spoil(path, stanza, name, &why),
        }
    }

    fn spoil(&mut self, path: &str, stanza: &Stanza<'_>, name: Option<&str>, why: &str) {
        let (prefix, who) = match name {
            Some(name) => (format!("{name}:"), format!("package {name}")),
            None => (String::new(), "a package without a name".to_owned()),
        };
        let gap = Gap::malformed(format!("{path}:{}", stanza.line), format!("{who}: {why}"));
        if !prefix.is_empty() {
            // What was seen of it before may be just what is wrong.
            self.observed.seen.retain(|subject, _| !subject.starts_with(&prefix));
        }
        self.observed.hide(prefix, gap);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Status,
    /// May replace, and may say that a package is gone.
    Update,
    /// A package's own control file has no Status: being there is being installed.
    Control,
}

const NAME: usize = 0;
const STATUS_FIELD: usize = 1;
const VERSION: usize = 2;
const ARCHITECTURE: usize = 3;
const SOURCE: usize = 4;
const FIELDS: [&[u8]; 5] = [b"Package", b"Status", b"Version", b"Architecture", b"Source"];

/// The fields of one stanza that are read, and where it begins.
struct Stanza<'a> {
    line: usize,
    fields: [Option<&'a [u8]>; FIELDS.len()],
    wrong: Option<&'static str>,
    /// Whether the file ends in the middle of a line that is read.
    cut: bool,
    /// Whether a blank line ends it, as dpkg ends every one.
    ended: bool,
}

type Spoilt<'a> = (Option<&'a str>, String);

impl<'a> Stanza<'a> {
    fn text(&self, field: usize) -> Option<&'a str> {
        let value = *self.fields.get(field)?;
        value.and_then(|value| std::str::from_utf8(value).ok()).filter(|text| text.len() <= MAX_VALUE)
    }

    /// The subject, and the package unless it is not installed at all.
    fn package(&self, source: Source) -> Result<(String, Option<Package>), Spoilt<'a>> {
        let name = self.text(NAME).filter(|name| is_name(name));
        let spoilt = |why: String| (name, why);
        if let Some(wrong) = self.wrong {
            return Err(spoilt(wrong.to_owned()));
        }
        // Nobody but dpkg promises to end the last line.
        if self.cut && source != Source::Control {
            return Err(spoilt("cut off in the middle of a line".into()));
        }
        let Some(own_name) = name else { return Err(spoilt("no `Package` that could be one".into())) };
        let architecture = match self.fields.get(ARCHITECTURE) {
            Some(Some(_)) => self.text(ARCHITECTURE).filter(|text| is_architecture(text)),
            Some(None) | None => Some(""),
        };
        let Some(architecture) = architecture else { return Err(spoilt("an impossible `Architecture`".into())) };
        let subject = [own_name, ":", architecture].concat();
        let (selection, reinstall, state) = match (self.text(STATUS_FIELD), source) {
            (Some(text), _) => match status(text) {
                Some((_, _, None)) => return Ok((subject, None)),
                Some((selection, reinstall, Some(state))) => (selection, reinstall, state),
                None => return Err(spoilt("an unknown `Status`".into())),
            },
            (None, Source::Control) => (Selection::Install, false, State::Installed),
            (None, Source::Status | Source::Update) => return Err(spoilt("no `Status`".into())),
        };
        let Some(version) = self.text(VERSION) else { return Err(spoilt("no `Version`".into())) };
        DpkgVersion::parse(version).map_err(|error| spoilt(error.to_string()))?;
        // `Source: name (version)`, the version only where it is another.
        let origin = self.text(SOURCE).and_then(|text| text.split_ascii_whitespace().next());
        let package = Package {
            name: own_name.to_owned(),
            version: version.to_owned(),
            architecture: architecture.to_owned(),
            state,
            selection,
            reinstall,
            source: origin.filter(|origin| *origin != own_name && is_name(origin)).map(str::to_owned),
            manager: Manager::Dpkg,
            others: Vec::new(),
        };
        Ok((subject, Some(package)))
    }
}

/// `want flag state`; no state stands for `not-installed`.
fn status(text: &str) -> Option<(Selection, bool, Option<State>)> {
    // All but a few.
    if text == "install ok installed" {
        return Some((Selection::Install, false, Some(State::Installed)));
    }
    let mut words = text.split_ascii_whitespace();
    let (want, flag, state) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let selection = Selection::ALL.into_iter().find(|selection| selection.name() == want)?;
    let reinstall = match flag {
        "ok" => false,
        "reinstreq" => true,
        _ => return None,
    };
    if state == "not-installed" {
        return Some((selection, reinstall, None));
    }
    let state = State::ALL.into_iter().find(|known| known.name() == state)?;
    Some((selection, reinstall, Some(state)))
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_'))
}

fn is_architecture(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The stanzas of a file, one after the other.
struct Stanzas<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Stanzas<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, line: 0 }
    }

    /// The next line without its end; whether it had one.
    fn line(&mut self) -> Option<(&'a [u8], bool)> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = match end.and_then(|end| self.rest.split_at_checked(end)) {
            Some((line, rest)) => (line, rest.get(1..).unwrap_or(&[])),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some((line, end.is_some()))
    }
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Stanza<'a>;

    fn next(&mut self) -> Option<Stanza<'a>> {
        let mut stanza: Option<Stanza<'a>> = None;
        // Whether the field being read is one of ours: those stand on one line.
        let mut ours = false;
        while let Some((line, whole)) = self.line() {
            if line.is_empty() {
                if let Some(stanza) = &mut stanza {
                    stanza.ended = true;
                    break;
                }
                continue;
            }
            let number = self.line;
            let stanza = stanza.get_or_insert(Stanza {
                line: number,
                fields: [None; FIELDS.len()],
                wrong: None,
                cut: false,
                ended: false,
            });
            if matches!(line.first(), Some(b' ' | b'\t')) {
                if ours {
                    stanza.wrong = Some("a field that should stand on one line does not");
                }
                continue;
            }
            ours = false;
            let Some((field, value)) = split(line) else {
                stanza.wrong = Some("a line without a field's name");
                continue;
            };
            if !matches!(field.first(), Some(b'P' | b'S' | b'V' | b'A' | b'p' | b's' | b'v' | b'a')) {
                continue;
            }
            // dpkg writes them as they stand here, and reads them in any case.
            let exact = FIELDS.iter().position(|known| *known == field);
            let Some(known) = exact.or_else(|| FIELDS.iter().position(|known| known.eq_ignore_ascii_case(field)))
            else {
                continue;
            };
            ours = true;
            let Some(place) = stanza.fields.get_mut(known) else { continue };
            if place.replace(value.trim_ascii()).is_some() {
                stanza.wrong = Some("a field stands twice");
            }
            stanza.cut |= !whole;
        }
        stanza
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line).filter(|colon| *colon > 0)?;
    let (field, value) = line.split_at_checked(colon)?;
    Some((field, value.get(1..)?))
}

#[cfg(test)]
mod tests;
