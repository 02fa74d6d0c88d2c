//! The last line of a backup: the SHA-256 of all before it, so that a byte that went bad on the way is found.
//!
//! Against whoever alters a backup on purpose it says nothing: they can write another. Keep backups as you keep the key.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

const WORDS: &str = "\nplumbline backup sha256 ";
/// Words, digits, and the end of the line.
const LENGTH: u64 = WORDS.len() as u64 + 64 + 1;

/// Writes the line.
pub(super) fn append(file: &Path) -> std::io::Result<()> {
    let length = std::fs::metadata(file)?.len();
    let line = line(file, length)?;
    let mut file = OpenOptions::new().append(true).open(file)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Takes the line off again, if it is there and true; whether it was.
pub(super) fn take(file: &Path) -> std::io::Result<bool> {
    let Some(length) = std::fs::metadata(file)?.len().checked_sub(LENGTH) else { return Ok(false) };
    let mut opened = OpenOptions::new().read(true).write(true).open(file)?;
    opened.seek(SeekFrom::Start(length))?;
    let mut said = Vec::new();
    opened.read_to_end(&mut said)?;
    if said != line(file, length)?.as_bytes() {
        return Ok(false);
    }
    opened.set_len(length)?;
    opened.sync_all()?;
    Ok(true)
}

fn line(file: &Path, length: u64) -> std::io::Result<String> {
    let mut rest = File::open(file)?.take(length);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = rest.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{WORDS}{digits}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_comes_off_as_it_went_on_and_only_if_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("backup");
        std::fs::write(&file, b"all of it").unwrap();
        assert!(!take(&file).unwrap());
        append(&file).unwrap();
        let whole = std::fs::read(&file).unwrap();
        for at in [0, 8, 20, whole.len() - 1] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            std::fs::write(&file, &altered).unwrap();
            assert!(!take(&file).unwrap(), "{at}");
        }
        std::fs::write(&file, &whole).unwrap();
        assert!(take(&file).unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), b"all of it");
    }
}
