//! A host held to what a probe declared: any other read or question is a gap, so a probe's `READS` and `ASKS` are the
//! truth about what it touches.

use std::path::{Path, PathBuf};

use crate::glob::Glob;

use super::{Attribute, Checksum, Entry, Gap, GapKind, Host, Question, Stat, Whole};

/// `host`, but only the declared part of it.
pub struct Declared<'a> {
    host: &'a dyn Host,
    reads: Vec<Glob>,
    asks: &'a [Question],
}

impl<'a> Declared<'a> {
    /// `reads` are absolute paths or globs (`*` within one folder, `**` below it). Listing a folder asks that the folder
    /// itself be declared. A glob that does not compile admits nothing; the test over all probes compiles each.
    pub fn new(host: &'a dyn Host, reads: &[&str], asks: &'a [Question]) -> Self {
        let mut reads: Vec<Glob> = reads.iter().filter_map(|read| Glob::of_paths(read).ok()).collect();
        // What would have to be compiled is asked last, and so mostly not at all.
        reads.sort_by_key(|read| !read.is_plain());
        Self { host, reads, asks }
    }

    fn admit(&self, path: &Path) -> Result<(), Gap> {
        let climbs = path.components().any(|part| matches!(part, std::path::Component::ParentDir));
        if path.is_absolute() && !climbs && self.reads.iter().any(|read| read.matches_path(path)) {
            return Ok(());
        }
        Err(Gap::new(GapKind::Undeclared, path.display().to_string(), "outside what this probe may read"))
    }
}

impl Host for Declared<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Gap> {
        self.admit(path)?;
        self.host.read(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, Gap> {
        self.admit(path)?;
        self.host.list(path)
    }

    fn stat(&self, path: &Path) -> Result<Stat, Gap> {
        self.admit(path)?;
        self.host.stat(path)
    }

    fn lstat(&self, path: &Path) -> Result<Stat, Gap> {
        self.admit(path)?;
        self.host.lstat(path)
    }

    fn link(&self, path: &Path) -> Result<PathBuf, Gap> {
        self.admit(path)?;
        self.host.link(path)
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, Gap> {
        self.admit(path)?;
        self.host.read_part(path, offset, length)
    }

    fn checksum(&self, path: &Path, sum: Checksum) -> Result<Vec<u8>, Gap> {
        self.admit(path)?;
        self.host.checksum(path, sum)
    }

    fn attribute(&self, path: &Path, attribute: Attribute) -> Result<Option<Vec<u8>>, Gap> {
        self.admit(path)?;
        self.host.attribute(path, attribute)
    }

    fn whole(&self, path: &Path, most: Option<u64>) -> Result<Whole, Gap> {
        self.admit(path)?;
        self.host.whole(path, most)
    }

    fn ask(&self, question: Question) -> Result<Vec<u8>, Gap> {
        if self.asks.contains(&question) {
            return self.host.ask(question);
        }
        Err(Gap::new(GapKind::Undeclared, format!("{question:?}"), "outside what this probe may ask"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    #[test]
    fn a_read_that_was_not_declared_is_a_gap() {
        let host = Recorded::new().file("/etc/passwd", "root:x:0:0::/:").file("/etc/shadow", "secret");
        let held = Declared::new(&host, &["/etc/passwd", "/etc/sudoers.d/*"], &[]);
        assert!(held.read(Path::new("/etc/passwd")).is_ok());
        for path in ["/etc/shadow", "/etc/sudoers.d/../shadow", "/etc/sudoers.d/a/b", "etc/passwd"] {
            assert_eq!(held.read(Path::new(path)).unwrap_err().kind, GapKind::Undeclared, "{path}");
        }
        assert_eq!(held.ask(Question::KernelClock).unwrap_err().kind, GapKind::Undeclared);
    }
}
