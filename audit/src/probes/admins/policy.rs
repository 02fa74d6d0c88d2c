//! The files of a sudoers policy, in the order sudo reads them.
//!
//! `@include` and `@includedir` are followed where they stand (sudoers(5), "Including other files from within sudoers").
//! From a folder sudo takes the regular files in the order of their names, except those with a dot in the name or a
//! tilde at its end: package managers and editors leave such. Loops, depth, the number of files and their size are
//! bounded; what lies outside the probe's reads, and every line not understood, is a gap.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::State;
use super::aliases::Aliases;
use super::grammar::{self, Assigned, Line, Listed, Privilege};
use super::text::text;
use super::token::Scope;
use crate::host::{EntryKind, Gap, GapKind, Host, gap, read_small};

/// Where sudo looks: its own file, the vendor's where that is missing (openSUSE), and the one sudo-rs prefers.
const ROOTS: [(&str, Option<&str>); 2] = [("/etc/sudoers", Some("/usr/etc/sudoers")), ("/etc/sudoers-rs", None)];
/// sudo's own limit.
const MAX_DEPTH: usize = 128;
/// The most files read, counting a file each time it is included.
const MAX_FILES: usize = 1000;
/// The most bytes read, counted likewise.
const MAX_BYTES: usize = 1024 * 1024;

/// What the files of a policy say.
#[derive(Default)]
pub(super) struct Policy {
    pub(super) rules: Vec<(Vec<Listed>, Vec<Privilege>)>,
    pub(super) defaults: Vec<(Scope, Vec<Listed>, Vec<Assigned>)>,
    pub(super) aliases: Aliases,
    /// What could not be seen or understood.
    pub(super) gaps: Vec<Gap>,
    /// The files themselves.
    pub(super) files: BTreeMap<String, State>,
}

impl Policy {
    /// Reads the policy of `host`. No sudoers file at all is an answer: nobody may do anything by sudo.
    pub(super) fn read(host: &dyn Host) -> Self {
        let mut reader = Reader { host, policy: Self::default(), open: Vec::new(), files: 0, bytes: 0 };
        for (root, vendor) in ROOTS {
            let exists = reader.file(Path::new(root), false);
            if let (false, Some(vendor)) = (exists, vendor) {
                reader.file(Path::new(vendor), false);
            }
        }
        reader.front_end();
        reader.policy
    }
}

struct Reader<'a> {
    host: &'a dyn Host,
    policy: Policy,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    files: usize,
    bytes: usize,
}

impl Reader<'_> {
    fn gap(&mut self, kind: GapKind, path: &Path, why: impl Into<String>) {
        self.policy.gaps.push(Gap::new(kind, shown(path), why));
    }

    /// Reads one file and what it includes; `false` if there is none.
    fn file(&mut self, path: &Path, asked_for: bool) -> bool {
        let bytes = match read_small(self.host, path) {
            Ok(bytes) => bytes,
            Err(gap) if gap.is_missing() && !asked_for => return false,
            Err(gap) if gap.is_missing() => {
                self.gap(GapKind::Missing, path, "included, but there is no such file");
                return false;
            }
            Err(gap) => {
                self.policy.gaps.push(gap);
                return true;
            }
        };
        self.note(path, EntryKind::File);
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.files > MAX_FILES || self.bytes > MAX_BYTES {
            let why = format!("the policy includes more than {MAX_FILES} files or {MAX_BYTES} bytes");
            self.gap(GapKind::TooLarge, path, why);
            return true;
        }
        self.open.push(path.to_owned());
        for line in grammar::parse(&bytes) {
            self.line(path, line);
        }
        self.open.pop();
        true
    }

    fn line(&mut self, path: &Path, line: Line) {
        match line {
            Line::Rule(users, privileges) => self.policy.rules.push((users, privileges)),
            Line::Defaults(scope, bound, settings) => self.policy.defaults.push((scope, bound, settings)),
            Line::Fault(fault) => self.gap(GapKind::Malformed, path, format!("line {}: {}", fault.line, fault.why)),
            Line::Alias(kind, name, members, line) => {
                let why = format!("line {line}: the alias {name} is defined twice");
                if !self.policy.aliases.define(kind, name, members) {
                    self.gap(GapKind::Malformed, path, why);
                }
            }
            Line::Include { path: written, folder, line } => match self.resolve(path, &written) {
                Err(why) => self.gap(GapKind::Malformed, path, format!("line {line}: {why}")),
                Ok(included) if folder => self.folder(&included),
                Ok(included) => self.include(&included),
            },
        }
    }

    /// The path an include means: `%h` is the host's short name, and what does not begin with a slash stands beside the
    /// including file.
    fn resolve(&self, from: &Path, written: &[u8]) -> Result<PathBuf, String> {
        let written = match written {
            [b'"', inner @ .., b'"'] => inner,
            [..] => written,
        };
        let mut path: Vec<u8> = Vec::new();
        if !written.starts_with(b"/") {
            path.extend_from_slice(from.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes());
            path.push(b'/');
        }
        let mut rest = written;
        while let Some((first, after)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(b"%h") {
                path.extend_from_slice(&short_name(self.host)?);
                rest = after;
            } else {
                path.push(*first);
                rest = after;
            }
        }
        if written.is_empty() || path.contains(&0) || path.len() > 4096 {
            return Err("an include names no possible path".into());
        }
        // Without doubled or trailing slashes, so that the path compares with the declared reads.
        Ok(PathBuf::from(OsString::from_vec(path)).components().collect())
    }

    fn include(&mut self, path: &Path) {
        if self.open.iter().any(|open| open == path) {
            self.gap(GapKind::Malformed, path, "includes itself");
        } else if self.open.len() > MAX_DEPTH {
            self.gap(GapKind::Malformed, path, format!("included deeper than {MAX_DEPTH}"));
        } else if self.files <= MAX_FILES && self.bytes <= MAX_BYTES {
            self.file(path, true);
        }
    }

    fn folder(&mut self, folder: &Path) {
        let entries = match gap::optional(self.host.list(folder)) {
            // sudo takes a missing folder for an empty one.
            Ok(None) => return,
            Ok(Some(entries)) => entries,
            Err(gap) => {
                self.policy.gaps.push(gap);
                return;
            }
        };
        self.note(folder, EntryKind::Directory);
        for entry in entries {
            let path = folder.join(&entry.name);
            let name = entry.name.as_bytes();
            if name.contains(&b'.') || name.ends_with(b"~") {
                let why = "sudo skips a name with a dot or a tilde at its end".to_owned();
                self.policy.files.insert(format!("skipped:{}", shown(&path)), State::Skipped { why });
                continue;
            }
            let regular = match entry.kind {
                EntryKind::File => true,
                EntryKind::Directory | EntryKind::Other => false,
                EntryKind::Link => match gap::optional(self.host.stat(&path)) {
                    Ok(stat) => stat.is_some_and(|stat| stat.kind == EntryKind::File),
                    Err(gap) => {
                        self.policy.gaps.push(gap);
                        false
                    }
                },
            };
            if regular {
                self.include(&path);
            }
        }
    }

    /// Notes owner and mode, and whether sudo heeds the file: it must be root's and writable by nobody else.
    fn note(&mut self, path: &Path, wanted: EntryKind) {
        let state = match self.host.stat(path) {
            Ok(stat) => {
                let refused = if stat.kind != wanted {
                    Some("of the wrong kind")
                } else if stat.uid != 0 {
                    Some("not owned by root")
                } else if stat.mode & 0o002 != 0 {
                    Some("writable by everybody")
                } else if stat.mode & 0o020 != 0 && stat.gid != 0 {
                    Some("writable by a group other than root's")
                } else {
                    None
                };
                let mode = format!("{:04o}", stat.mode);
                State::File { uid: stat.uid, gid: stat.gid, mode, refused: refused.map(str::to_owned) }
            }
            Err(gap) => {
                self.policy.gaps.push(gap);
                return;
            }
        };
        self.policy.files.insert(format!("file:{}", shown(path)), state);
    }

    /// sudo.conf(5) can put another policy in sudoers' place, or point it at another file: then we did not see it.
    fn front_end(&mut self) {
        let path = Path::new("/etc/sudo.conf");
        let bytes = match gap::optional(read_small(self.host, path)) {
            Ok(None) => return,
            Ok(Some(bytes)) => bytes,
            Err(gap) => return self.policy.gaps.push(gap),
        };
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            if words.next() != Some(b"Plugin") {
                continue;
            }
            let (symbol, file) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let ours = file.rsplit(|byte| *byte == b'/').next() == Some(b"sudoers.so");
            let moved = words.any(|word| word.starts_with(b"sudoers_file=") || word.starts_with(b"ldap_"));
            if moved || (symbol.ends_with(b"policy") && !ours) {
                let why = format!("names another policy: {}", text(line, ""));
                self.gap(GapKind::Unsupported, path, why);
            }
        }
    }
}

/// The host's name up to its first dot, as the kernel has it, or as `/etc/hostname` does where no kernel runs.
fn short_name(host: &dyn Host) -> Result<Vec<u8>, String> {
    for path in ["/proc/sys/kernel/hostname", "/etc/hostname"] {
        if let Ok(bytes) = read_small(host, Path::new(path)) {
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let name = line.split(|byte| *byte == b'.').next().unwrap_or_default();
            if !name.is_empty() && !name.contains(&b'/') {
                return Ok(name.to_vec());
            }
        }
    }
    Err("an include is named after the host, whose name is unknown".into())
}

fn shown(path: &Path) -> String {
    let os: &OsStr = path.as_os_str();
    text(os.as_bytes(), "\\")
}
