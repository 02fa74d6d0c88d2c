//! What the parsers share: the items found so far, lines of hostile files, and whether others than root can write them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Item, Job};
use crate::digest::Digest;
use crate::facts::Observed;
use crate::host::{Entry, Gap, GapKind, Host, Stat, gap, path_text, read_small};

/// A crontab is a few KiB; cron itself refuses lines longer than a thousand characters.
const MAX_FILE: u64 = 1024 * 1024;
const MAX_JOBS: usize = 5_000;

/// Items in the making.
pub(super) struct Found<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) items: Observed<Item>,
}

impl<'a> Found<'a> {
    pub(super) fn new(host: &'a dyn Host) -> Self {
        Self { host, items: Observed::new() }
    }

    /// Everything whose subject starts with `prefix` may be more than was seen.
    pub(super) fn hide(&mut self, prefix: &str, gap: Gap) {
        self.items.hide(prefix, gap);
    }

    pub(super) fn job(&mut self, subject: String, job: Job) {
        if self.items.seen.len() >= MAX_JOBS {
            return self.hide("", Gap::new(GapKind::TooLarge, subject, format!("more than {MAX_JOBS} jobs")));
        }
        self.items.seen.insert(subject, Item::Job(job));
    }

    /// A folder's entries; none where it is not there. A folder others can write is told of.
    pub(super) fn folder(&mut self, folder: &Path, prefix: &str) -> Vec<Entry> {
        match gap::optional(self.host.list(folder)) {
            Ok(None) => Vec::new(),
            Ok(Some(entries)) => entries,
            Err(gap) => {
                self.hide(prefix, gap);
                Vec::new()
            }
        }
    }

    /// A file's metadata; `None` where it is not there.
    pub(super) fn stat(&mut self, path: &Path, prefix: &str) -> Option<Stat> {
        match gap::optional(self.host.stat(path)) {
            Ok(stat) => stat,
            Err(gap) => {
                self.hide(prefix, gap);
                None
            }
        }
    }

    /// A file's bytes; `None` where it is not there, and a gap over `prefix` where it cannot be read.
    pub(super) fn read(&mut self, path: &Path, prefix: &str) -> Option<Vec<u8>> {
        let stat = self.stat(path, prefix)?;
        if stat.size > MAX_FILE {
            let gap = Gap::new(GapKind::TooLarge, path_text(path), format!("larger than {} KiB", MAX_FILE / 1024));
            self.hide(prefix, gap);
            return None;
        }
        match gap::optional(read_small(self.host, path)) {
            Ok(bytes) => bytes,
            Err(gap) => {
                self.hide(prefix, gap);
                None
            }
        }
    }

    /// Tells of what runs as root and others can write.
    pub(super) fn check_safe(&mut self, path: &Path) {
        let prefix = format!("file:{}", path_text(path));
        if let Some(stat) = self.stat(path, &prefix)
            && (stat.uid != 0 || stat.mode & 0o002 != 0 || (stat.mode & 0o020 != 0 && stat.gid != 0))
        {
            let mode = format!("{:04o}", stat.mode);
            self.items.seen.insert(prefix, Item::File { uid: stat.uid, gid: stat.gid, mode });
        }
    }
}

/// A folder's entry by its path.
pub(super) fn inside(folder: &Path, entry: &Entry) -> PathBuf {
    folder.join(&entry.name)
}

/// Whether cronie is the cron of this host: Red Hat's, which differs from Debian's in what it passes over.
pub(super) fn is_cronie(host: &dyn Host) -> bool {
    host.stat(Path::new("/usr/sbin/crond")).is_ok()
}

/// Why the file of that name is passed over in `/etc/cron.d` and by run-parts(8).
pub(super) fn name_ignored(entry: &Entry, cronie: bool) -> Option<String> {
    let name = entry.name.as_bytes();
    let ignored = match cronie {
        // cronie's database.c, and the run-parts script of crontabs(4).
        true => {
            let ends: [&[u8]; 6] = [b"~", b",", b".rpmsave", b".rpmorig", b".rpmnew", b".swp"];
            name.starts_with(b".") || name.starts_with(b"#") || ends.iter().any(|end| name.ends_with(end))
        }
        false => !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)),
    };
    ignored.then(|| "the name of its file".to_owned())
}

/// The first word of a command that is no assignment: what is shown of it. A word that could hold more than a program's
/// name is not shown either.
pub(super) fn program(command: &str) -> String {
    let is_assignment = |word: &&str| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    // An assignment with blanks in quotes would let its tail pass for a program.
    let word = command.split_whitespace().find(|word| !is_assignment(word)).unwrap_or("");
    let assigned = command.split_whitespace().next().is_some_and(|first| is_assignment(&first));
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+-[".contains(&byte));
    let quoted = assigned && command.contains(['"', '\'', '\\']);
    if is_plain && !quoted && word.len() <= 120 { word.to_owned() } else { "(not shown)".to_owned() }
}

/// What becomes of a crontab's line.
pub(super) fn digest(command: &str) -> Digest {
    Digest::of(command.as_bytes())
}

/// Bytes as text, what is not UTF-8 escaped, so that two never fall together.
pub(super) fn text(bytes: &[u8]) -> String {
    path_text(Path::new(std::ffi::OsStr::from_bytes(bytes)))
}

/// Reads who may use cron and at: crontab(1), at.allow(5).
pub(super) fn collect_access(found: &mut Found<'_>) {
    for tool in ["cron", "at"] {
        let subject = format!("access:{tool}");
        let mut lines = |end: &str| {
            let bytes = found.read(Path::new(&format!("/etc/{tool}.{end}")), &subject)?;
            let text = text(&bytes);
            Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>())
        };
        let (allow, deny) = (lines("allow"), lines("deny"));
        if allow.is_some() || deny.is_some() {
            found.items.seen.insert(subject, Item::Access { allow, deny });
        }
    }
}
