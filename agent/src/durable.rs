//! Files that are either wholly there or not there at all, also after a crash or a full disk.
//!
//! A file is written under a temporary name in its own folder, synced, renamed, and the folder synced. The temporary
//! name starts with a dot and ends with `.new`; whoever lists a folder of ours skips such names.

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

/// Gives what was staged its name.
pub(crate) fn publish(staged: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(staged, path).and_then(|()| sync_folder(path)).map_err(|error| named(error, path))
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
/// last step and never blocks: the folder may be another user's.
pub(crate) fn read(path: &Path, cap: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(error, path)),
    };
    if !file.metadata()?.is_file() {
        return Err(named(io::Error::other("not a regular file"), path));
    }
    let mut bytes = Vec::new();
    file.take(cap + 1).read_to_end(&mut bytes).map_err(|error| named(error, path))?;
    if bytes.len() as u64 > cap {
        return Err(named(io::Error::other(format!("larger than {cap} bytes")), path));
    }
    Ok(Some(bytes))
}

/// Removes `path`, which may already be gone. Says whether it was there.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(named(error, path)),
    }
}

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
    fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        assert!(read(&folder.path().join("link"), 1 << 20).is_err());
        assert!(read(&folder.path().join("none"), 1).unwrap().is_none());
    }
}
