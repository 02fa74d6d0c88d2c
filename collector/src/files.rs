//! Files a person names, and the collector's own small ones: read whole, but never without end.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use audit::baseline::library::Library;
use rustix::fs::{Mode, OFlags, ResolveFlags};

/// The largest file that is read: a bundle of all public certificate authorities is a quarter of it.
pub const MOST: u64 = 1024 * 1024;

/// The bytes of the regular file at `file`. Neither a FIFO nor /dev/zero keeps the collector from saying what is wrong.
pub fn read(file: &Path) -> io::Result<Vec<u8>> {
    read_to(file, MOST)
}

/// The same, of at most `most` bytes.
pub fn read_to(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a FIFO waits for whoever writes to it.
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("more than the {} KiB that are read", most / 1024)));
    }
    Ok(bytes)
}

/// The files that stand beside a baseline, which it may extend: in its own folder or below, through no symbolic link.
pub struct Beside(PathBuf);

impl Beside {
    /// Beside the file at `path`.
    pub fn of(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self(folder.to_owned())
    }
}

impl Library for Beside {
    fn beside(&self, path: &str) -> Result<Vec<u8>, String> {
        let read = || -> io::Result<Vec<u8>> {
            let folder = rustix::fs::open(&self.0, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let file = File::from(rustix::fs::openat2(folder, path, flags, Mode::empty(), within)?);
            if !file.metadata()?.is_file() {
                return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
            }
            let mut bytes = Vec::new();
            file.take(MOST + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| error.to_string())
    }
}

/// The same as text.
pub fn text(file: &Path) -> io::Result<String> {
    String::from_utf8(read(file)?).map_err(|_| io::Error::new(ErrorKind::InvalidData, "not text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_or_never_begins_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [Path::new("/dev/zero"), &fifo, folder.path()] {
            assert_eq!(read(path).unwrap_err().to_string(), "not a regular file", "{}", path.display());
        }
        let huge = folder.path().join("huge");
        File::create(&huge).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&huge).unwrap_err().to_string(), "more than the 1024 KiB that are read");
        File::create(&huge).unwrap().set_len(MOST).unwrap();
        assert_eq!(read(&huge).unwrap().len() as u64, MOST);
        std::fs::write(&huge, [0xff]).unwrap();
        assert_eq!(text(&huge).unwrap_err().to_string(), "not text in UTF-8");
    }
}
