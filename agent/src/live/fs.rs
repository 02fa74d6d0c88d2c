//! Files beneath one root folder, and never outside it.
//!
//! Every path is opened by `openat2(2)` with `RESOLVE_IN_ROOT`: absolute symbolic links and `..` stay inside the root,
//! whatever a hostile tree holds and however it is swapped under our feet. Opening never blocks (`O_NONBLOCK`), only
//! regular files are read, and reading stops at a cap. Kernels before 5.6 lack `openat2`: there the machine itself is
//! read by plain `openat`, and a root elsewhere is refused.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use audit::host::{
    Attribute, Checksum, Entry, EntryKind, Gap, GapKind, MAX_ENTRIES, MAX_FILE, MAX_PART, MAX_SUMMED, Stat, path_text,
};
use md5::Md5;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sha2::{Digest as Sum, Sha256};

use super::progress::{Step, Told};

/// How often a lookup is tried again that a rename elsewhere disturbed: openat2(2) answers EAGAIN then.
const TRIES: u32 = 16;
/// The longest extended attribute Linux keeps (xattr(7)).
const MAX_ATTRIBUTE: usize = 64 * 1024;
/// Those that are read here are mostly shorter than this.
const USUAL_ATTRIBUTE: usize = 512;
/// How much of a file is held while it is summed. Twice as much would be mapped and cleared anew for each file.
const BUFFER: usize = 64 * 1024;
/// Files under /proc state no size.
const LEAST_BUFFER: usize = 4 * 1024;

/// What was seen of a path at one instant, to tell later whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Look {
    /// Something is there.
    At(Box<Mark>),
    /// It could not be seen.
    Gap(GapKind),
}

/// Where a file is, what it is and when it last changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// What a symbolic link in the last place of a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Last {
    /// What it points to.
    Followed,
    /// The link itself.
    Itself,
}

impl Last {
    fn flag(self) -> OFlags {
        match self {
            Self::Followed => OFlags::empty(),
            Self::Itself => OFlags::NOFOLLOW,
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
        let (file, size) = self.open_regular(path)?;
        if size > MAX_FILE {
            return Err(too_large(path));
        }
        // Files under /proc state no size, and any file may grow while it is read: the cap holds for both.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
        let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(path, &error))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(too_large(path));
        }
        Ok(bytes)
    }

    /// The regular file at `path`, open, and its size.
    fn open_regular(&self, path: &Path) -> Result<(File, u64), Gap> {
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
        Ok((File::from(file), u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// What the folder at `path` holds, sorted by name, at most [`MAX_ENTRIES`].
    pub(super) fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let folder = self.reach(path, flags)?;
        let mut entries = Vec::new();
        let mut folder = Dir::new(folder).map_err(|error| gap(path, error))?;
        while let Some(entry) = folder.read() {
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
                let open = folder.fd().map_err(|error| gap(path, error))?;
                let Ok(stat) = rustix::fs::statat(open, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                file_type = FileType::from_raw_mode(stat.st_mode);
            }
            entries.push(Entry { name: OsStr::from_bytes(bytes).to_owned(), kind: kind(file_type) });
        }
        entries.sort();
        Ok(entries)
    }

    /// Owner, mode and size of `path`. Opens nothing that could have a side effect.
    pub(super) fn stat(&self, path: &Path, last: Last) -> Result<Stat, Gap> {
        let file = self.reach(path, OFlags::PATH | OFlags::CLOEXEC | last.flag())?;
        Ok(stat_of(&rustix::fs::fstat(&file).map_err(|error| gap(path, error))?))
    }

    /// Where the symbolic link at `path` points.
    pub(super) fn link(&self, path: &Path) -> Result<PathBuf, Gap> {
        let file = self.reach(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW)?;
        let target = rustix::fs::readlinkat(&file, "", Vec::new()).map_err(|error| match error {
            Errno::NOENT | Errno::INVAL => Gap::new(GapKind::Failed, path_text(path), "not a symbolic link"),
            other => gap(path, other),
        })?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// At most `length` bytes of the regular file at `path` from `offset`.
    pub(super) fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Gap> {
        let (file, _) = self.open_regular(path)?;
        let most = length.min(MAX_PART);
        let mut bytes = Vec::with_capacity(most);
        while bytes.len() < most {
            let at = offset.saturating_add(bytes.len() as u64);
            match rustix::io::pread(&file, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(gap(path, error)),
            }
        }
        // The room may be more than was asked for.
        bytes.truncate(most);
        Ok(bytes)
    }

    /// The checksum of the regular file at `path`; `told` of each piece.
    pub(super) fn checksum(&self, path: &Path, sum: Checksum, told: &Told) -> Result<Vec<u8>, Gap> {
        let (file, size) = self.open_regular(path)?;
        match sum {
            Checksum::Sha256 => sum_of::<Sha256>(file, size, path, told),
            Checksum::Md5 => sum_of::<Md5>(file, size, path, told),
        }
    }

    /// An extended attribute of what stands at `path` itself.
    pub(super) fn attribute(&self, path: &Path, attribute: Attribute) -> Result<Option<Vec<u8>>, Gap> {
        let file = self.reach(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW)?;
        let stat = rustix::fs::fstat(&file).map_err(|error| gap(path, error))?;
        if FileType::from_raw_mode(stat.st_mode).is_symlink() {
            return Ok(None);
        }
        let name = match attribute {
            Attribute::Capability => "security.capability",
            Attribute::AccessList => "system.posix_acl_access",
        };
        // fgetxattr(2) refuses a descriptor that only names a file; by this path the same file is meant, and not opened.
        let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
        xattr(|bytes| rustix::fs::getxattr(&by_descriptor, name, bytes)).map_err(|error| gap(path, error))
    }

    /// What tells that a file or folder has not changed; see [`Look`].
    pub(super) fn look(&self, path: &Path, last: Last) -> Look {
        let seen = self.reach(path, OFlags::PATH | OFlags::CLOEXEC | last.flag());
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

    pub(super) fn reach(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Gap> {
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

pub(super) fn kind(file_type: FileType) -> EntryKind {
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

fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: stat.st_mtime,
        device: stat.st_dev,
    }
}

/// What an attribute holds, `None` where there is none; `read` fills as much as it is given.
fn xattr(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Option<Vec<u8>>, Errno> {
    let mut usual = [0; USUAL_ATTRIBUTE];
    match read(&mut usual) {
        Ok(length) => Ok(usual.get(..length).map(<[u8]>::to_vec)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(Errno::RANGE) => {
            let mut bytes = vec![0; MAX_ATTRIBUTE];
            let length = read(&mut bytes)?;
            bytes.truncate(length);
            Ok(Some(bytes))
        }
        Err(error) => Err(error),
    }
}

/// The sum of `file`, of which `size` bytes are expected.
fn sum_of<D: Sum>(file: File, size: u64, path: &Path, told: &Told) -> Result<Vec<u8>, Gap> {
    let too_large = || {
        let detail = format!("larger than {} GiB", MAX_SUMMED / 1024 / 1024 / 1024);
        Gap::new(GapKind::TooLarge, path_text(path), detail)
    };
    if size > MAX_SUMMED {
        return Err(too_large());
    }
    let mut file = file.take(MAX_SUMMED);
    let mut sum = D::new();
    let expected = usize::try_from(size).unwrap_or(BUFFER).saturating_add(1);
    let mut buffer = vec![0; expected.clamp(LEAST_BUFFER, BUFFER)];
    loop {
        match file.read(&mut buffer) {
            // One that grew while it was read.
            Ok(0) if file.limit() == 0 => return Err(too_large()),
            Ok(0) => return Ok(sum.finalize().to_vec()),
            Ok(read) => {
                sum.update(buffer.get(..read).unwrap_or_default());
                told.step(Step::Summed(read as u64));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(path, &error)),
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Gap {
    gap(path, Errno::from_io_error(error).unwrap_or(Errno::IO))
}

fn too_large(path: &Path) -> Gap {
    Gap::new(GapKind::TooLarge, path_text(path), format!("larger than {} MiB", MAX_FILE / 1024 / 1024))
}

/// What an errno means for a probe. The words are our own where the cause is common, because they are hashed and must
/// not depend on the C library's language.
pub(super) fn gap(path: &Path, error: Errno) -> Gap {
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

mod whole;

#[cfg(test)]
mod tests;
