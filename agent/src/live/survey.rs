//! A walk over the disk for files that stand out: those that run with more rights than their caller, those everybody may write.
//!
//! It begins at the root and at each other local file system, and never enters one from another. It opens folders alone, follows no
//! link, and keeps nothing of what is ordinary. One disk gives one answer, in whatever order its folders list their names.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use audit::host::{EntryKind, Gap, GapKind, path_text};
use audit::probes::files::places::{PASSED_OVER, besides_the_root};
use audit::probes::files::survey::{Least, MAX_TOLD, MAX_UNSEEN, Row, Unusual};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::fs::{Anchor, Last, gap, kind};
use super::progress::{Step, Told};

/// The most names walked over.
const MAX_ENTRIES: u64 = 20_000_000;
/// The most folders waiting to be walked: of wide trees the widest level.
const MAX_FOLDERS: usize = 2_000_000;
/// The longest `security.capability` the kernel accepts, `XATTR_CAPS_SZ_3`, is 24 bytes.
const MAX_CAPABILITY: usize = 64;

/// The answer to `Question::UnusualFiles`. `running`: what is mounted is known, and the root is this machine's.
pub(super) fn unusual(anchor: &Anchor, running: bool, told: &Told) -> Result<Vec<u8>, Gap> {
    let mut walk = Walk {
        anchor,
        told,
        walked: 0,
        privileged: Least::of(MAX_TOLD),
        writable: Least::of(MAX_TOLD),
        unseen: Least::of(MAX_UNSEEN),
    };
    walk.from(Path::new("/"))?;
    if running {
        for place in besides_the_root(&anchor.read(Path::new("/proc/self/mountinfo"))?) {
            match walk.from(&place) {
                // Unmounted since, or covered by another mount.
                Err(gap) if gap.is_missing() => {}
                other => other?,
            }
        }
    }
    let found = Unusual {
        privileged: walk.privileged.into_sorted(),
        writable: walk.writable.into_sorted(),
        unseen: walk.unseen.into_sorted(),
    };
    serde_json::to_vec(&found).map_err(|error| Gap::malformed("survey", error.to_string()))
}

struct Walk<'a> {
    anchor: &'a Anchor,
    told: &'a Told,
    walked: u64,
    privileged: Least<Row>,
    writable: Least<Row>,
    unseen: Least<Gap>,
}

impl Walk<'_> {
    /// Walks the file system that stands at `place`.
    fn from(&mut self, place: &Path) -> Result<(), Gap> {
        let device = self.anchor.stat(place, Last::Itself)?.device;
        let mut folders = vec![place.to_owned()];
        while let Some(folder) = folders.pop() {
            match self.folder(&folder, device, &mut folders) {
                // Gone since its name was read.
                Err(gap) if gap.is_missing() => {}
                Err(gap) if gap.kind == GapKind::TooLarge => return Err(gap),
                Err(gap) => self.unseen.put(gap),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn folder(&mut self, folder: &Path, device: u64, folders: &mut Vec<PathBuf>) -> Result<(), Gap> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = self.anchor.reach(folder, flags)?;
        let here = rustix::fs::fstat(&open).map_err(|error| gap(folder, error))?;
        // Something was mounted over it since.
        if here.st_dev != device {
            return Ok(());
        }
        let entries = Dir::read_from(&open).map_err(|error| gap(folder, error))?;
        let before = self.walked;
        for entry in entries {
            let entry = entry.map_err(|error| gap(folder, error))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.walked += 1;
            if self.walked > MAX_ENTRIES || folders.len() > MAX_FOLDERS {
                return Err(Gap::new(GapKind::TooLarge, "/", "more files than are walked over"));
            }
            // A link has no rights of its own, and what is neither file nor folder is not told of.
            let can_be_told = [FileType::RegularFile, FileType::Directory, FileType::Unknown];
            if can_be_told.contains(&entry.file_type()) {
                self.entry(&open, folder, name, device, folders)?;
            }
        }
        self.told.step(Step::Walked(self.walked - before));
        Ok(())
    }

    fn entry(
        &mut self,
        open: &OwnedFd,
        folder: &Path,
        name: &CStr,
        device: u64,
        folders: &mut Vec<PathBuf>,
    ) -> Result<(), Gap> {
        let path = || folder.join(OsStr::from_bytes(name.to_bytes()));
        let stat = match rustix::fs::statat(open, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => {
                self.unseen.put(gap(&path(), error));
                return Ok(());
            }
        };
        // Another file system is walked from its own place, or not at all.
        if stat.st_dev != device {
            return Ok(());
        }
        match kind(FileType::from_raw_mode(stat.st_mode)) {
            EntryKind::Directory => {
                let path = path();
                if !PASSED_OVER.iter().any(|over| path == Path::new(over)) {
                    let sticky = stat.st_mode & 0o1000 != 0;
                    self.note_writable(&stat, !sticky, &|| path.clone());
                    folders.push(path);
                }
            }
            EntryKind::File => {
                // Only a program can have a use for capabilities; asking each file would double the cost.
                let may_run = stat.st_mode & 0o111 != 0;
                let capability = if may_run { self.capability(open, name, &path) } else { None };
                if stat.st_mode & 0o6000 != 0 || capability.is_some() {
                    self.privileged.put(row(&stat, &path(), capability));
                }
                self.note_writable(&stat, true, &path);
            }
            EntryKind::Link | EntryKind::Other => {}
        }
        Ok(())
    }

    fn note_writable(&mut self, stat: &Stat, counts: bool, path: &dyn Fn() -> PathBuf) {
        if counts && stat.st_mode & 0o002 != 0 {
            self.writable.put(row(stat, &path(), None));
        }
    }

    /// The capabilities of a file in the open folder.
    fn capability(&mut self, open: &OwnedFd, name: &CStr, path: &dyn Fn() -> PathBuf) -> Option<Vec<u8>> {
        // There is no fgetxattr(2) relative to a folder; by this path that very folder is meant.
        let mut place = format!("/proc/self/fd/{}/", open.as_raw_fd()).into_bytes();
        place.extend_from_slice(name.to_bytes());
        let mut bytes = [0; MAX_CAPABILITY];
        match rustix::fs::lgetxattr(OsStr::from_bytes(&place), "security.capability", bytes.as_mut_slice()) {
            Ok(length) => bytes.get(..length).map(<[u8]>::to_vec),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOENT) => None,
            Err(error) => {
                self.unseen.put(gap(&path(), error));
                None
            }
        }
    }
}

fn row(stat: &Stat, path: &Path, capability: Option<Vec<u8>>) -> Row {
    Row {
        path: path_text(path),
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        capability,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_walk_tells_what_stands_out_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        let make = |path: &Path, mode: u32| {
            fs::write(path, "x").unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        make(&folder.path().join("outside"), 0o4777);
        make(&root.join("usr/bin/su"), 0o4755);
        make(&root.join("usr/bin/wall"), 0o2755);
        make(&root.join("usr/bin/ls"), 0o755);
        make(&root.join("usr/open"), 0o666);
        symlink(folder.path(), root.join("usr/away")).unwrap();
        symlink("bin", root.join("usr/loop")).unwrap();
        for (name, mode) in [("usr/sticky", 0o1777), ("usr/shared", 0o777), ("run", 0o777), ("usr/ids", 0o2755)] {
            fs::create_dir(root.join(name)).unwrap();
            fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
        }
        make(&root.join("run/gone"), 0o4777);
        let anchor = Anchor::open(&root).unwrap();
        let answer = unusual(&anchor, false, &Told::default()).unwrap();
        assert_eq!(answer, unusual(&anchor, false, &Told::default()).unwrap());
        let found: Unusual = serde_json::from_slice(&answer).unwrap();
        let paths = |rows: &[Row]| rows.iter().map(|row| row.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&found.privileged), ["/usr/bin/su", "/usr/bin/wall"]);
        assert_eq!(paths(&found.writable), ["/usr/open", "/usr/shared"]);
        assert!(found.unseen.is_empty(), "{:?}", found.unseen);
    }

    #[test]
    fn a_path_longer_than_the_kernel_takes_is_told_and_does_not_end_the_walk() {
        let folder = tempfile::tempdir().unwrap();
        let mut at = rustix::fs::open(folder.path(), OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let name = "d".repeat(200);
        for _ in 0..25 {
            rustix::fs::mkdirat(&at, &name, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
            at = rustix::fs::openat(&at, &name, OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        }
        let anchor = Anchor::open(folder.path()).unwrap();
        let found: Unusual = serde_json::from_slice(&unusual(&anchor, false, &Told::default()).unwrap()).unwrap();
        let [only] = found.unseen.as_slice() else { panic!("{:?}", found.unseen) };
        assert!(only.detail.contains("too long"), "{only}");
    }
}
