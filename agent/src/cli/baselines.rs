//! Which baseline a command judges by: the file or shipped name given, else the host's own, else `linux-server`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use audit::baseline::Baseline;
use audit::baseline::library::Library;
use audit::lifecycle::Lifecycles;
use audit::shipped;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{Usage, given};

/// Where a host keeps its own baseline.
pub(crate) const OWN: &str = "/etc/plumbline/baseline.yaml";
/// What applies where no other was given.
const FALLBACK: &str = "linux-server";

/// The baseline at `given`: a file, or the name of a shipped one.
pub(crate) fn load(given: Option<&Path>) -> anyhow::Result<Baseline> {
    let (name, bytes) = text(given)?;
    parse(&name, &bytes).map(|(baseline, _)| baseline)
}

/// The files that stand beside a baseline, which it may extend: in its own folder or below, through no symbolic link and no `..`, so
/// that a baseline from elsewhere cannot make the agent read and quote what it likes.
pub(crate) struct Beside {
    folder: PathBuf,
    /// What was read: the agent looks again whether it has changed.
    read: RefCell<Vec<(String, Vec<u8>)>>,
}

impl Beside {
    /// Beside the file at `path`.
    pub(crate) fn of(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { folder: folder.to_owned(), read: RefCell::default() }
    }
}

impl Library for Beside {
    fn beside(&self, path: &str) -> Result<Vec<u8>, String> {
        let read = || -> std::io::Result<Vec<u8>> {
            let folder = rustix::fs::open(&self.folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let file = std::fs::File::from(rustix::fs::openat2(folder, path, flags, Mode::empty(), within)?);
            given::bytes_of(file)
        };
        let bytes = read().map_err(|error| error.to_string())?;
        self.read.borrow_mut().push((path.to_owned(), bytes.clone()));
        Ok(bytes)
    }
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

/// What a baseline extends beside itself: names and texts.
pub(crate) type Extended = Vec<(String, Vec<u8>)>;

/// The baseline in `bytes`, read from `name`, and the files beside it that it extends.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> anyhow::Result<(Baseline, Extended)> {
    let beside = Beside::of(Path::new(name));
    let baseline = Baseline::load(name, bytes, &beside).map_err(|complaint| Usage(complaint.to_string()))?;
    Ok((baseline, beside.read.into_inner()))
}

/// Whether the files beside the baseline at `name` still hold what they did.
pub(crate) fn unchanged(name: &str, extended: &Extended) -> bool {
    let beside = Beside::of(Path::new(name));
    extended.iter().all(|(path, bytes)| beside.beside(path).is_ok_and(|now| now == *bytes))
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
    fn what_a_baseline_extends_is_read_beneath_its_own_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("own")).unwrap();
        write("secret.yaml", "root:x:0:0\n");
        write("own/base.yaml", audit::shipped::WORKSTATION);
        std::os::unix::fs::symlink("../secret.yaml", folder.path().join("own/link.yaml")).unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("own/up")).unwrap();
        let extending = |name: &str| {
            write("own/b.yaml", &format!("baseline: b\nversion: 1\ntitle: t\nextends: {name}\n"));
            load(Some(&folder.path().join("own/b.yaml"))).map_err(|error| error.to_string())
        };
        assert_eq!(extending("base.yaml").unwrap().name, "b");
        for bad in ["link.yaml", "up/secret.yaml", "../secret.yaml"] {
            let said = extending(bad).err().unwrap();
            assert!(said.contains("b.yaml:4:10: ") && !said.contains("root:x"), "{said}");
        }
        let name = folder.path().join("own/b.yaml").display().to_string();
        extending("base.yaml").unwrap();
        let (_, extended) = parse(&name, &std::fs::read(&name).unwrap()).unwrap();
        assert!(extended.len() == 1 && unchanged(&name, &extended));
        write("own/base.yaml", audit::shipped::LINUX_SERVER);
        assert!(!unchanged(&name, &extended));
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
