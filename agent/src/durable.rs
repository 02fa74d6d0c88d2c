//! Files that are either wholly there or not there at all, also after a crash or a full disk.
//!
//! A file is written under a temporary name in its own folder, synced, renamed, and the folder synced. The temporary
//! name starts with a dot and ends with `.new`; whoever lists a folder of ours skips such names. What cannot be used is
//! set aside as `<name>.damaged`, for a person to look at: a folder in the way of a file stops nobody.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Puts `bytes` at `path` with `mode`, in place of what was there.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let staged = stage(path, bytes, mode)?;
    publish(&staged, path)
}

/// Writes and syncs `bytes` beside `path`, not yet under its name.
pub(crate) fn stage(path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let staged = staged_name(path)?;
    let written = write_new(&staged, bytes, mode).and_then(|()| sync_folder(path));
    if let Err(error) = written {
        // Best effort: what is left over is cleared when the folder is next opened.
        let _left_over = std::fs::remove_file(&staged);
        return Err(named(error, path));
    }
    Ok(staged)
}

/// Gives what was staged its name. A folder that bears it is set aside.
pub(crate) fn publish(staged: &Path, path: &Path) -> io::Result<()> {
    let renamed = match std::fs::rename(staged, path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            set_aside(path).and_then(|_| std::fs::rename(staged, path))
        }
        done => done,
    };
    renamed.and_then(|()| sync_folder(path)).map_err(|error| named(error, path))
}

/// The name `path` is staged under.
pub(crate) fn staged_name(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("a path without a file name"))?;
    let mut staged = std::ffi::OsString::from(".");
    staged.push(name);
    staged.push(".new");
    Ok(path.with_file_name(staged))
}

/// The bytes of the regular file at `path`, at most `cap`; `None` if there is none. Never follows a symbolic link at the
/// last step and never blocks: the folder may be another user's. What will not become readable by waiting, for it is no
/// regular file or too large, is [`io::ErrorKind::InvalidData`].
pub(crate) fn read(path: &Path, cap: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A symbolic link, a socket: open(2).
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => {
            return Err(named(useless("not a regular file"), path));
        }
        Err(error) => return Err(named(error, path)),
    };
    if !file.metadata()?.is_file() {
        return Err(named(useless("not a regular file"), path));
    }
    let mut bytes = Vec::new();
    file.take(cap + 1).read_to_end(&mut bytes).map_err(|error| named(error, path))?;
    if bytes.len() as u64 > cap {
        return Err(named(useless(&format!("larger than {cap} bytes")), path));
    }
    Ok(Some(bytes))
}

/// Removes `path`, which may already be gone; a folder, which cannot be ours, is set aside. Says whether it was there.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => set_aside(path).map(|_| true),
        Err(error) => Err(named(error, path)),
    }
}

/// Gives what stands at `path` the name `<name>.damaged`, or `<name>.damaged-2` and so on where that is taken. What bears
/// such a name already keeps it.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("a path without a file name"))?;
    if is_set_aside(name) {
        return Ok(path.to_owned());
    }
    let aside = |number: u32| {
        let mut aside = name.to_owned();
        aside.push(ASIDE);
        if number > 1 {
            aside.push(format!("-{number}"));
        }
        path.with_file_name(aside)
    };
    let free = (1..=MOST_ASIDE).map(aside).find(|aside| std::fs::symlink_metadata(aside).is_err());
    let free = free.unwrap_or_else(|| aside(MOST_ASIDE));
    std::fs::rename(path, &free).and_then(|()| sync_folder(path)).map_err(|error| named(error, path))?;
    tracing::error!(path = %path.display(), aside = %free.display(), "what cannot be used was set aside");
    Ok(free)
}

/// Whether [`set_aside`] gave this name.
pub(crate) fn is_set_aside(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(ASIDE.as_bytes()) || name.windows(ASIDE.len() + 1).any(|part| part == b".damaged-")
}

/// What is set aside ends with this.
const ASIDE: &str = ".damaged";
/// How many of one name are kept apart.
const MOST_ASIDE: u32 = 100;

fn write_new(staged: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    remove(staged)?;
    // create_new refuses a symbolic link planted under the name.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(staged)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Syncs the folder `path` stands in: without it a rename may be lost with the power.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn useless(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn named(error: io::Error, path: &Path) -> io::Error {
    let text = error.to_string();
    let said = path.display().to_string();
    if text.starts_with(&said) { error } else { io::Error::new(error.kind(), format!("{said}: {text}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"one", 0o600).unwrap();
        std::fs::write(staged_name(&path).unwrap(), "torn by a crash").unwrap();
        write(&path, b"two", 0o600).unwrap();
        assert_eq!(read(&path, 100).unwrap().unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(read(&path, 2).unwrap_err().to_string().contains("larger than 2"));
    }

    #[test]
    fn a_full_disk_leaves_what_was_there_and_says_which_file() {
        // /dev/full cannot stand in for a folder, a name that is too long can: the write fails before the rename.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(255));
        assert!(write(&path, b"two", 0o600).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_in_the_way_is_set_aside_with_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let aside = ["a.json.damaged", "a.json.damaged-2", ".a.json.new.damaged"].map(|name| folder.path().join(name));
        for _ in 0..2 {
            std::fs::create_dir_all(path.join("kept")).unwrap();
            assert_eq!(read(&path, 100).unwrap_err().kind(), io::ErrorKind::InvalidData);
            write(&path, b"one", 0o600).unwrap();
            assert_eq!(read(&path, 100).unwrap().unwrap(), b"one");
            assert!(remove(&path).unwrap());
        }
        std::fs::create_dir(staged_name(&path).unwrap()).unwrap();
        write(&path, b"two", 0o600).unwrap();
        assert!(aside.iter().all(|path| path.is_dir()) && aside[1].join("kept").is_dir());
        assert!(remove(&aside[0]).unwrap() && aside[0].is_dir(), "what was set aside stays");
        assert!(!is_set_aside(OsStr::new("a.json")) && is_set_aside(OsStr::new("a.json.damaged-2")));
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        assert!(read(&folder.path().join("link"), 1 << 20).is_err());
        assert!(read(&folder.path().join("none"), 1).unwrap().is_none());
    }
}
