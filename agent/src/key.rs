//! The host's Ed25519 key: made by `enroll`, read by `collect` alone.
//!
//! The file holds the 32 secret bytes in hexadecimal and a newline, mode 0600 in a folder of mode 0700.

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, bail};
use audit::digest::Digest;
use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::durable;
use crate::state::State;

/// A new key, not on disk.
pub(crate) fn fresh() -> anyhow::Result<SigningKey> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("the kernel gave no randomness: {error}"))?;
    Ok(SigningKey::from_bytes(&secret))
}

/// Puts `key` on disk, in place of one that may be there.
pub(crate) fn save(state: &State, key: &SigningKey) -> anyhow::Result<()> {
    let text = hexadecimal(key.as_bytes()) + "\n";
    durable::write(&state.key(), text.as_bytes(), 0o600).context("writing the host key")
}

/// Makes a new key and puts it on disk.
pub(crate) fn make(state: &State) -> anyhow::Result<SigningKey> {
    let key = fresh()?;
    save(state, &key)?;
    Ok(key)
}

/// The key on disk; `None` if there is none. A key others can read is refused: it may no longer be this host's alone.
pub(crate) fn load(state: &State) -> anyhow::Result<Option<SigningKey>> {
    let path = state.key();
    let Some(bytes) = durable::read(&path, 1024).context("reading the host key")? else { return Ok(None) };
    let mode = std::fs::metadata(&path).context("reading the host key's mode")?.mode();
    if mode & 0o077 != 0 {
        bail!("{} has mode {:o}, so others may have read it: enrol anew with --force", path.display(), mode & 0o777);
    }
    let text = String::from_utf8(bytes).unwrap_or_default();
    let secret = octets(text.trim_end()).with_context(|| format!("{} is damaged: not a key", path.display()))?;
    Ok(Some(SigningKey::from_bytes(&secret)))
}

/// A public key as 64 hexadecimal digits.
pub(crate) fn public_text(key: &VerifyingKey) -> String {
    hexadecimal(key.as_bytes())
}

/// The public key in 64 hexadecimal digits.
pub(crate) fn public(text: &str) -> anyhow::Result<VerifyingKey> {
    let bytes = octets(text).context("a public key is 64 hexadecimal digits")?;
    VerifyingKey::from_bytes(&bytes).context("not a point on the curve")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn octets(text: &str) -> Option<[u8; 32]> {
    // The same 64 digits as a digest has; what they stand for differs.
    text.parse::<Digest>().ok().map(|digest| *digest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_refused_when_it_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        state.create().unwrap();
        assert!(load(&state).unwrap().is_none());
        let made = make(&state).unwrap();
        assert_eq!(load(&state).unwrap().unwrap(), made);
        assert_eq!(std::fs::metadata(state.key()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(state.key().parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(public(&public_text(&made.verifying_key())).unwrap(), made.verifying_key());

        std::fs::set_permissions(state.key(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load(&state).unwrap_err().to_string().contains("mode 640"));
        std::fs::write(state.key(), "torn").unwrap();
        std::fs::set_permissions(state.key(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(load(&state).unwrap_err().to_string().contains("damaged"));
    }
}
