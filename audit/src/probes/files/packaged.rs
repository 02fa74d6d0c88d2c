//! The files of packages against the sums in the package database: dpkg's or rpm's.
//!
//! Run by the agent over the whole disk, outside of what probes declare. What differs is told sorted by path and bounded, whatever
//! the order in which the database has it.

mod dpkg;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::Changed;
use super::survey::{Least, MAX_TOLD, MAX_UNSEEN, Packaged};
use crate::host::{Checksum, Gap, GapKind, Host, path_text};
use crate::probes::packages::rpm;

/// The most files looked at; a full desktop has about half a million.
const MAX_FILES: usize = 3_000_000;

/// Where what is verified is written down: when one of these changes, so may the answer.
pub const DATABASES: [&str; 7] = [
    "/var/lib/dpkg/status",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/Packages",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
];

/// Whether the file at a path, links followed, is a regular one with this sum. A missing one is a gap.
pub type Holds<'a> = dyn Fn(&Path, Checksum, &[u8]) -> Result<bool, Gap> + 'a;

/// What differs, of every package manager that has a database here.
pub fn verify(host: &dyn Host, holds: &Holds<'_>) -> Result<Packaged, Gap> {
    let mut verifying = Verifying { holds, differ: Least::of(MAX_TOLD), unseen: Least::of(MAX_UNSEEN), count: 0 };
    let by_dpkg = dpkg::verify(host, &mut verifying)?;
    let by_rpm = rpm::files::each(host, &mut |file| verifying.of_rpm(file));
    if let Some(gap) = by_rpm.as_ref().and_then(|read| read.as_ref().err()) {
        verifying.unseen.put(gap.clone());
    }
    if !by_dpkg && by_rpm.is_none() {
        let detail = "neither dpkg's nor rpm's database is there, and no other is verified";
        return Err(Gap::new(GapKind::Unsupported, "packages", detail));
    }
    if verifying.count > MAX_FILES {
        return Err(Gap::new(GapKind::TooLarge, "packages", "more files than can be looked at"));
    }
    let differ = verifying.differ.into_sorted();
    Ok(Packaged { files: differ, unseen: verifying.unseen.into_sorted() })
}

struct Verifying<'h> {
    holds: &'h Holds<'h>,
    differ: Least<(String, Changed)>,
    unseen: Least<Gap>,
    count: usize,
}

/// What was found of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    AsBrought,
    Changed,
    Missing,
}

impl Verifying<'_> {
    /// What has become of the file at `path`; `None` where that cannot be told, and is noted.
    fn look(&mut self, path: &[u8], sum: Checksum, expected: &[u8]) -> Option<Found> {
        self.count = self.count.saturating_add(1);
        if self.count > MAX_FILES {
            return None;
        }
        match (self.holds)(Path::new(OsStr::from_bytes(path)), sum, expected) {
            Ok(true) => Some(Found::AsBrought),
            Ok(false) => Some(Found::Changed),
            Err(gap) if gap.is_missing() => Some(Found::Missing),
            Err(gap) => {
                self.unseen.put(gap);
                None
            }
        }
    }

    fn tell(&mut self, path: &[u8], package: &str, found: Found, configuration: bool) {
        let missing = match found {
            Found::AsBrought => return,
            Found::Changed => false,
            Found::Missing => true,
        };
        let path = path_text(Path::new(OsStr::from_bytes(path)));
        self.differ.put((path, Changed { package: package.to_owned(), missing, configuration }));
    }

    fn of_rpm(&mut self, file: rpm::files::Verifiable<'_>) {
        let (sum, expected) = match file.sum {
            rpm::files::Sum::Of(sum, expected) => (sum, expected),
            // Any sum will do to see whether it is there.
            rpm::files::Sum::None => (Checksum::Md5, Vec::new()),
            rpm::files::Sum::Unknown(algorithm) => {
                let detail = format!("its sums are of the unknown kind {algorithm}");
                self.unseen.put(Gap::new(GapKind::Unsupported, file.package, detail));
                return;
            }
        };
        let has_sum = !expected.is_empty();
        match self.look(&file.path, sum, &expected) {
            Some(Found::Changed) if !has_sum => {}
            Some(Found::Missing) if file.may_be_missing => {}
            Some(found) => self.tell(&file.path, file.package, found, file.configuration),
            None => {}
        }
    }
}
