//! Files beneath one root folder, and never outside it.
//!
//! Every path is opened by `openat2(2)` with `RESOLVE_IN_ROOT`: absolute symbolic links and `..` stay inside the root,
//! whatever a hostile tree holds and however it is swapped under our feet. Opening never blocks (`O_NONBLOCK`), only
//! regular files are read, and reading stops at a cap. Kernels before 5.6 lack `openat2`: there the machine itself is
//! read by plain `openat`, and a root elsewhere is refused.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use audit::host::{Entry, EntryKind, Gap, GapKind, MAX_ENTRIES, MAX_FILE, Stat, path_text};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a lookup is tried again that a rename elsewhere disturbed: openat2(2) answers EAGAIN then.
const TRIES: u32 = 16;

/// What was seen of a path at one instant, to tell later whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// Something is there.
    At(Box<Mark>),
    /// It could not be seen.
    Gap(GapKind),
}

/// Where a file is, what it is and when it last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    place: (u64, u64),
    size: i64,
    owner: (u32, u32, u32),
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Look {
    /// Whether an equal look later would prove that nothing changed: not where the file changed within a second of
    /// `now` (seconds since 1970), for its time stamp might hide another change in the same tick; and not under /proc
    /// and /sys, whose files have no honest time stamps.
    pub(crate) fn is_steady(&self, now: i64, volatile: &[u64]) -> bool {
        match self {
            Self::At(mark) => mark.changed.0 < now - 1 && !volatile.contains(&mark.place.0),
            Self::Gap(_) => true,
        }
    }

    /// The file system it stands on.
    pub(super) fn device(&self) -> Option<u64> {
        match self {
            Self::At(mark) => Some(mark.place.0),
            Self::Gap(_) => None,
        }
    }
}

/// A root folder.
pub(super) struct Anchor {
    root: OwnedFd,
    held: bool,
}

impl Anchor {
    /// The root folder at `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(folder, flags, Mode::empty())?;
        let tried = rustix::fs::openat2(&root, ".", flags, Mode::empty(), ResolveFlags::IN_ROOT);
        match tried {
            Ok(_) => Ok(Self { root, held: true }),
            // Old seccomp filters answer EPERM to calls they do not know.
            Err(Errno::NOSYS | Errno::PERM) if folder == Path::new("/") => Ok(Self { root, held: false }),
            Err(error) => Err(error),
        }
    }

    /// The bytes of the regular file at `path`, at most [`MAX_FILE`].
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, Gap> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = self.reach(path, flags)?;
        let stat = rustix::fs::fstat(&file).map_err(|error| gap(path, error))?;
        match kind(FileType::from_raw_mode(stat.st_mode)) {
            EntryKind::File => {}
            EntryKind::Directory => {
                return Err(Gap::new(GapKind::Failed, path_text(path), "a folder where a file is due"));
            }
            EntryKind::Link | EntryKind::Other => {
                return Err(Gap::new(GapKind::Failed, path_text(path), "a FIFO, socket or device where a file is due"));
            }
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > MAX_FILE {
            return Err(too_large(path));
        }
        // Files under /proc state no size, and any file may grow while it is read: the cap holds for both.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
        let read = File::from(file).take(MAX_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|error| gap(path, Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(too_large(path));
        }
        Ok(bytes)
    }

    /// What the folder at `path` holds, sorted by name, at most [`MAX_ENTRIES`].
    pub(super) fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let folder = self.reach(path, flags)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&folder).map_err(|error| gap(path, error))? {
            let entry = entry.map_err(|error| gap(path, error))?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") {
                continue;
            }
            if entries.len() >= MAX_ENTRIES {
                let detail = format!("more than {MAX_ENTRIES} entries");
                return Err(Gap::new(GapKind::TooLarge, path_text(path), detail));
            }
            let mut file_type = entry.file_type();
            if file_type == FileType::Unknown {
                // Some file systems keep no type in the folder. A name that is gone by now was not there.
                let Ok(stat) = rustix::fs::statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                file_type = FileType::from_raw_mode(stat.st_mode);
            }
            entries.push(Entry { name: OsStr::from_bytes(bytes).to_owned(), kind: kind(file_type) });
        }
        entries.sort();
        Ok(entries)
    }

    /// Owner, mode and size of `path`, links followed. Opens nothing that could have a side effect.
    pub(super) fn stat(&self, path: &Path) -> Result<Stat, Gap> {
        let file = self.reach(path, OFlags::PATH | OFlags::CLOEXEC)?;
        let stat = rustix::fs::fstat(&file).map_err(|error| gap(path, error))?;
        Ok(Stat {
            kind: kind(FileType::from_raw_mode(stat.st_mode)),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
        })
    }

    /// What tells that a file or folder has not changed; see [`Look`].
    pub(super) fn look(&self, path: &Path) -> Look {
        let seen = self.reach(path, OFlags::PATH | OFlags::CLOEXEC);
        match seen.and_then(|file| rustix::fs::fstat(&file).map_err(|error| gap(path, error))) {
            Ok(stat) => Look::At(Box::new(Mark {
                place: (stat.st_dev, stat.st_ino),
                size: stat.st_size,
                owner: (stat.st_uid, stat.st_gid, stat.st_mode),
                modified: (stat.st_mtime, stat.st_mtime_nsec),
                changed: (stat.st_ctime, stat.st_ctime_nsec),
            })),
            Err(gap) => Look::Gap(gap.kind),
        }
    }

    /// Whether another process holds a write lock on the file at `path`, as fcntl(2) locks go. `None`: cannot tell.
    pub(super) fn is_locked(&self, path: &Path) -> Option<bool> {
        let file = self.reach(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).ok()?;
        let asked = rustix::process::Flock::from(rustix::process::FlockType::WriteLock);
        rustix::process::fcntl_getlk(&file, &asked).ok().map(|holder| holder.is_some())
    }

    fn reach(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Gap> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        if !self.held {
            return rustix::fs::openat(&self.root, inside, flags, Mode::empty()).map_err(|error| gap(path, error));
        }
        let mut tries = 0;
        loop {
            let opened = rustix::fs::openat2(&self.root, inside, flags, Mode::empty(), ResolveFlags::IN_ROOT);
            match opened {
                Err(Errno::AGAIN | Errno::INTR) if tries < TRIES => tries += 1,
                Err(error) => return Err(gap(path, error)),
                Ok(file) => return Ok(file),
            }
        }
    }
}

fn kind(file_type: FileType) -> EntryKind {
    if file_type.is_file() {
        EntryKind::File
    } else if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_symlink() {
        EntryKind::Link
    } else {
        EntryKind::Other
    }
}

fn too_large(path: &Path) -> Gap {
    Gap::new(GapKind::TooLarge, path_text(path), format!("larger than {} MiB", MAX_FILE / 1024 / 1024))
}

/// What an errno means for a probe. The words are our own where the cause is common, because they are hashed and must
/// not depend on the C library's language.
fn gap(path: &Path, error: Errno) -> Gap {
    let (kind, detail) = match error {
        Errno::NOENT => (GapKind::Missing, "no such file or folder".to_owned()),
        Errno::NOTDIR => (GapKind::Missing, "a part of the path is not a folder".to_owned()),
        Errno::ACCESS | Errno::PERM => (GapKind::Denied, "permission denied".to_owned()),
        Errno::LOOP => (GapKind::Failed, "too many symbolic links, or one that may not be followed".to_owned()),
        Errno::NAMETOOLONG => (GapKind::Failed, "the name is too long".to_owned()),
        Errno::NXIO => (GapKind::Failed, "a FIFO, socket or device where a file is due".to_owned()),
        Errno::NOSYS | Errno::OPNOTSUPP => (GapKind::Unsupported, "not supported here".to_owned()),
        Errno::TIMEDOUT => (GapKind::TimedOut, "no answer in time".to_owned()),
        other => (GapKind::Failed, format!("errno {}", other.raw_os_error())),
    };
    Gap::new(kind, path_text(path), detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Anchor) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("root/etc")).unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        let anchor = Anchor::open(&folder.path().join("root")).unwrap();
        (folder, anchor)
    }

    #[test]
    fn a_symbolic_link_never_leads_outside_the_root() {
        let (folder, anchor) = tree();
        let etc = folder.path().join("root/etc");
        symlink("../../secret", etc.join("climbs")).unwrap();
        symlink(folder.path().join("secret"), etc.join("absolute")).unwrap();
        symlink("..", etc.join("up")).unwrap();
        std::fs::write(etc.join("inside"), "in").unwrap();
        symlink("/etc/inside", etc.join("within")).unwrap();
        for path in ["/etc/climbs", "/etc/absolute", "/../secret", "/etc/up/../secret"] {
            let seen = anchor.read(Path::new(path));
            assert_eq!(seen.unwrap_err().kind, GapKind::Missing, "{path}");
        }
        assert_eq!(anchor.read(Path::new("/etc/within")).unwrap(), b"in", "absolute links mean the root they stand in");
    }

    #[test]
    fn a_fifo_a_device_and_a_folder_are_gaps_and_do_not_block() {
        let (folder, anchor) = tree();
        let fifo = folder.path().join("root/etc/fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert_eq!(anchor.read(Path::new("/etc/fifo")).unwrap_err().kind, GapKind::Failed);
        assert_eq!(anchor.read(Path::new("/etc")).unwrap_err().kind, GapKind::Failed);
        let machine = Anchor::open(Path::new("/")).unwrap();
        assert_eq!(machine.read(Path::new("/dev/zero")).unwrap_err().kind, GapKind::Failed);
        assert_eq!(anchor.stat(Path::new("/etc/fifo")).unwrap().kind, EntryKind::Other);
    }

    #[test]
    fn a_huge_sparse_file_is_refused_and_one_without_a_size_is_read() {
        let (folder, anchor) = tree();
        let file = File::create(folder.path().join("root/etc/huge")).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(anchor.read(Path::new("/etc/huge")).unwrap_err().kind, GapKind::TooLarge);
        let machine = Anchor::open(Path::new("/")).unwrap();
        assert!(!machine.read(Path::new("/proc/self/status")).unwrap().is_empty());
    }

    #[test]
    fn names_that_are_not_utf_8_are_listed_and_read_as_they_are() {
        let (folder, anchor) = tree();
        let odd = OsStr::from_bytes(b"a\xffb");
        std::fs::write(folder.path().join("root/etc").join(odd), "odd").unwrap();
        let entries = anchor.list(Path::new("/etc")).unwrap();
        assert_eq!(entries, [Entry { name: odd.to_owned(), kind: EntryKind::File }]);
        assert_eq!(anchor.read(&Path::new("/etc").join(odd)).unwrap(), b"odd");
        let missing = anchor.read(&Path::new("/etc").join(OsStr::from_bytes(b"\xfe"))).unwrap_err();
        assert_eq!(missing.what, "/etc/\\xfe");
    }

    #[test]
    fn what_is_not_there_is_missing_and_what_is_there_has_its_owner_and_mode() {
        let (folder, anchor) = tree();
        std::fs::write(folder.path().join("root/etc/passwd"), "x").unwrap();
        for path in ["/nowhere", "/etc/passwd/below"] {
            assert!(anchor.read(Path::new(path)).unwrap_err().is_missing(), "{path}");
            assert!(anchor.list(Path::new(path)).unwrap_err().is_missing(), "{path}");
            assert!(anchor.stat(Path::new(path)).unwrap_err().is_missing(), "{path}");
        }
        let stat = anchor.stat(Path::new("/etc/passwd")).unwrap();
        assert_eq!((stat.kind, stat.size, stat.mode & 0o600), (EntryKind::File, 1, 0o600));
        assert_eq!(anchor.stat(Path::new("/")).unwrap().kind, EntryKind::Directory);
    }
}
