//! Which baseline a command judges by: the file or shipped name given, else the host's own, else `linux-server`.

use std::path::Path;

use audit::baseline::Baseline;
use audit::lifecycle::Lifecycles;
use audit::shipped;

use super::{Usage, given};

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
    let path = given.unwrap_or_else(|| {
        // Where it cannot be seen whether there is one, reading it says why.
        if matches!(std::fs::exists(OWN), Ok(false)) { Path::new(FALLBACK) } else { Path::new(OWN) }
    });
    let name = path.display().to_string();
    if let Some(shipped) = path.to_str().and_then(shipped::baseline) {
        return Ok((name, shipped.as_bytes().to_vec()));
    }
    Ok((name, given::document(path, "the baseline")?))
}

/// The baseline in `bytes`.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> anyhow::Result<Baseline> {
    Baseline::parse(name, bytes).map_err(|complaint| Usage(complaint.to_string()).into())
}

/// The end-of-life dates in the file at `given`, else those that ship with the agent.
pub(crate) fn lifecycles(other: Option<&Path>) -> anyhow::Result<Lifecycles> {
    let read = match other {
        None => Lifecycles::shipped(),
        Some(file) => {
            let name = file.display().to_string();
            Lifecycles::parse(&name, &given::document(file, "the end-of-life dates")?)
        }
    };
    read.map_err(|bad| Usage(bad.to_string()).into())
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
        assert!(load(Some(&folder.path().join("none"))).err().unwrap().is::<Usage>());
        assert!(load(Some(Path::new("/dev/zero"))).err().unwrap().is::<Usage>());
    }

    #[test]
    fn other_dates_have_another_digest_and_a_mistake_in_them_is_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.yaml");
        let product = "x: {name: X, kind: os, source: s, cycles: 1 2026-01-01}";
        std::fs::write(&path, format!("updated: 2026-11-22\nproducts:\n  {product}\n")).unwrap();
        let (given, shipped) = (lifecycles(Some(&path)).unwrap(), lifecycles(None).unwrap());
        assert!(given.product("x").is_some() && given.digest != shipped.digest);
        std::fs::write(&path, "updated: soon\n").unwrap();
        assert!(lifecycles(Some(&path)).err().unwrap().is::<Usage>());
        assert!(lifecycles(Some(&folder.path().join("none"))).err().unwrap().is::<Usage>());
    }
}
