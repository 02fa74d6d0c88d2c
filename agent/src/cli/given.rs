//! What a flag or the configuration names: a file read within bounds, certificates, a folder.
//!
//! What is not there, cannot be read or is of another kind is the caller's to mend: a [`Usage`] error that names it,
//! answered with status 2. Nothing named can block or be endless.

use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use audit::yaml::MAX_BYTES;

use super::Usage;
use crate::client;
use crate::state::State;

/// The bytes at `path`, at most one more than a document may have: the parser then refuses it by its size.
pub(super) fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    // A FIFO or device must not block or be endless: opened without waiting, read up to the cap.
    let flags = rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).bits().cast_signed();
    bytes_of(std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?)
}

/// The same of a file that is open, without waiting.
pub(super) fn bytes_of(file: std::fs::File) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of the document at `path`, which is `what` it is called in complaints: `the configuration`.
pub(crate) fn document(path: &Path, what: &str) -> Result<Vec<u8>, Usage> {
    bounded(path).map_err(|error| Usage(format!("reading {what} {}: {error}", path.display())))
}

/// The bytes of a recording, which may be far larger than a document and still has an end.
pub(super) fn large(path: &Path, what: &str) -> Result<Vec<u8>, Usage> {
    const MOST: u64 = 256 * 1024 * 1024;
    let bad = |why: String| Usage(format!("reading {what} {}: {why}", path.display()));
    let flags = rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).bits().cast_signed();
    let open = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = open.map_err(|error| bad(error.to_string()))?;
    if !file.metadata().is_ok_and(|there| there.is_file()) {
        return Err(bad("not a regular file".into()));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| bad(error.to_string()))?;
    if bytes.len() as u64 > MOST { Err(bad(format!("more than {MOST} bytes"))) } else { Ok(bytes) }
}

/// The text of a file that is no document, and so has no parser to refuse it by its size.
pub(super) fn text(path: &Path, what: &str) -> Result<String, Usage> {
    let bytes = document(path, what)?;
    let bad = |why: &str| Usage(format!("reading {what} {}: {why}", path.display()));
    if bytes.len() > MAX_BYTES {
        return Err(bad(&format!("more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| bad("not text"))
}

/// The certificates to trust, PEM, each of which can be used.
pub(crate) fn certificates(path: &Path) -> Result<String, Usage> {
    let pem = text(path, "the certificates")?;
    client::authorities(&path.display().to_string(), pem.as_bytes()).map_err(|error| Usage(format!("{error:#}")))?;
    Ok(pem)
}

/// The state folder at `path`, which need not be there yet but is nothing else.
pub(super) fn state(path: &Path) -> Result<State, Usage> {
    let bad = |why: String| Err(Usage(format!("the state folder {}: {why}", path.display())));
    match std::fs::metadata(path) {
        Ok(there) if !there.is_dir() => bad("not a folder".into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => bad(error.to_string()),
        Ok(_) | Err(_) => Ok(State::new(path)),
    }
}
