//! The first administrator's token on its way to a person: printed, or where nobody can read what is printed, left in a
//! file for the collector's own account alone.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;

use super::FIRST_ACCOUNT;
use crate::cli::printer;
use crate::secret::Secret;

/// Its name in the data folder.
const FILE: &str = "first-token";

/// Prints the token, or leaves it in a file of the folder `data`.
pub(super) fn hand_over(token: &Secret, data: &Path) -> anyhow::Result<()> {
    let line = format!("account {FIRST_ACCOUNT} (administrator), personal token, shown this once: {}", token.reveal());
    if is_read() && printer::line(&line).is_ok() {
        return Ok(());
    }
    let file = data.join(FILE);
    leave(&file, token).with_context(|| format!("leaving the first token in {}", file.display()))?;
    tracing::warn!(
        file = %file.display(),
        "standard output cannot be written: the token of account {FIRST_ACCOUNT} is in this file; read it, then delete it"
    );
    Ok(())
}

/// Whether what is printed goes anywhere. A standard output that was closed is /dev/null by now: Rust opens that in its
/// place before `main`, so that no other file takes its number.
fn is_read() -> bool {
    let Ok(out) = std::io::stdout().as_fd().try_clone_to_owned() else { return false };
    match (fs::File::from(out).metadata(), fs::metadata("/dev/null")) {
        (Ok(out), Ok(null)) => !out.file_type().is_char_device() || out.rdev() != null.rdev(),
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    }
}

fn leave(file: &Path, token: &Secret) -> std::io::Result<()> {
    // One that a failed start left holds a token that never was.
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(opened, "{}", token.reveal())?;
    opened.sync_all()?;
    match file.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
