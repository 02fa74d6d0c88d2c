//! Which baseline a command judges by: the file or shipped name given, else the host's own, else `linux-server`.

use std::path::Path;

use anyhow::Context as _;
use audit::baseline::Baseline;
use audit::lifecycle::Lifecycles;
use audit::shipped;

use super::Usage;

/// Where a host keeps its own baseline.
pub(crate) const OWN: &str = "/etc/plumbline/baseline.yaml";
/// What applies where no other was given.
const FALLBACK: &str = "linux-server";

/// The baseline at `given`: a file, or the name of a shipped one.
pub(crate) fn load(given: Option<&Path>) -> anyhow::Result<Baseline> {
    let (name, bytes) = text(given)?;
    parse(&name, &bytes)
}

/// Its name for complaints, and its text.
pub(crate) fn text(given: Option<&Path>) -> anyhow::Result<(String, Vec<u8>)> {
    let given = given.unwrap_or_else(|| {
        // Where it cannot be seen whether there is one, reading it says why.
        if matches!(std::fs::exists(OWN), Ok(false)) { Path::new(FALLBACK) } else { Path::new(OWN) }
    });
    let name = given.display().to_string();
    if let Some(shipped) = given.to_str().and_then(shipped::baseline) {
        return Ok((name, shipped.as_bytes().to_vec()));
    }
    let bytes = bounded(given).with_context(|| format!("reading the baseline {name}"))?;
    Ok((name, bytes))
}

/// The baseline in `bytes`.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> anyhow::Result<Baseline> {
    Baseline::parse(name, bytes).map_err(|complaint| Usage(complaint.to_string()).into())
}

/// The end-of-life dates that ship with the agent.
pub(crate) fn lifecycles() -> anyhow::Result<Lifecycles> {
    Lifecycles::shipped().map_err(|bad| Usage(bad.to_string()).into())
}

/// The bytes at `path`, at most one more than a document may have: the parser then refuses it by its size.
pub(crate) fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    // A FIFO or device as a baseline must not block or be endless: opened without waiting, read up to the cap.
    let flags = rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(audit::yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shipped_name_is_understood_and_a_mistake_in_a_file_is_a_usage_error() {
        assert_eq!(load(Some(Path::new("workstation"))).unwrap().name, "workstation");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.yaml");
        std::fs::write(&path, "baseline: 1\nrule: []\n").unwrap();
        assert!(load(Some(&path)).err().unwrap().is::<Usage>());
        assert!(load(Some(&folder.path().join("none"))).is_err());
        assert!(load(Some(Path::new("/dev/zero"))).is_err());
    }
}
