//! rpm's database, in each of the three formats it has had, read directly.
//!
//! Source: rpm's `lib/backend`. All three hold the same headers (see [`header`]); which one is there is told by the
//! file's name. Keys that rpm keeps as packages called `gpg-pubkey` are listed, as `rpm -qa` lists them.

mod berkeley;
pub(crate) mod files;
mod header;
mod ndb;
mod parts;
mod sqlite;

use std::path::Path;

use super::{Manager, Origin, Package, Selection, State};
use crate::facts::{Facts, Observed};
use crate::host::{Gap, GapKind, Host};
use crate::version::RpmVersion;
use header::Header;
use parts::Parts;
use sqlite::Sqlite;

/// The databases, newest format first, in the folders rpm has used: a system that was converted may have kept the old file.
const DATABASES: [(&str, Format); 6] = [
    ("/usr/lib/sysimage/rpm/rpmdb.sqlite", Format::Sqlite),
    ("/usr/lib/sysimage/rpm/Packages.db", Format::Ndb),
    ("/usr/lib/sysimage/rpm/Packages", Format::Berkeley),
    ("/var/lib/rpm/rpmdb.sqlite", Format::Sqlite),
    ("/var/lib/rpm/Packages.db", Format::Ndb),
    ("/var/lib/rpm/Packages", Format::Berkeley),
];

/// The most packages of one host.
const MAX_PACKAGES: usize = 30_000;
/// The most vendors told apart.
const MAX_VENDORS: usize = 1_000;
/// The most malformed headers told apart; beyond it, all that was not seen is hidden.
const MAX_GAPS: usize = 100;

#[derive(Clone, Copy)]
enum Format {
    Sqlite,
    Ndb,
    Berkeley,
}

/// Adds all that rpm's database holds; `None` where there is no such database.
pub(super) fn read(host: &dyn Host, facts: &mut Facts<Package, Origin>) -> Option<()> {
    let (path, format) = database(host)?;
    let mut found = Found { path, facts, count: 0, spoilt: 0 };
    if let Err(gap) = with_blobs(host, path, format, &mut |blob| found.take(blob)) {
        found.facts.items.hide("", gap);
    }
    Some(())
}

/// The database that is used here.
fn database(host: &dyn Host) -> Option<(&'static str, Format)> {
    DATABASES.iter().find(|(path, _)| !is_missing(host, path)).copied()
}

fn is_missing(host: &dyn Host, path: &str) -> bool {
    host.stat(Path::new(path)).is_err_and(|gap| gap.is_missing())
}

/// Calls `each` with the header of each package.
fn with_blobs(host: &dyn Host, path: &str, format: Format, each: &mut dyn FnMut(&[u8])) -> Result<(), Gap> {
    let mut file = Parts::open(host, path)?;
    match format {
        Format::Sqlite => {
            let log_path = format!("{path}-wal");
            let log = crate::host::gap::optional(Parts::open(host, &log_path))?;
            Sqlite::open(file, log)?.blobs("Packages", each)
        }
        Format::Ndb => ndb::blobs(&mut file, each),
        Format::Berkeley => berkeley::blobs(&mut file, each),
    }
}

/// What was found so far.
struct Found<'f> {
    path: &'static str,
    facts: &'f mut Facts<Package, Origin>,
    count: usize,
    spoilt: usize,
}

impl Found<'_> {
    fn take(&mut self, blob: &[u8]) {
        self.count += 1;
        if self.count > MAX_PACKAGES || self.spoilt > MAX_GAPS {
            let (kind, what) = if self.count > MAX_PACKAGES {
                (GapKind::TooLarge, format!("more than {MAX_PACKAGES} packages"))
            } else {
                (GapKind::Malformed, format!("more than {MAX_GAPS} headers are malformed"))
            };
            return self.facts.items.hide("", Gap::new(kind, self.path, what));
        }
        match Header::parse(blob) {
            Ok(header) => self.add(&header),
            Err((name, why)) => {
                self.spoilt += 1;
                let (prefix, who) = match name {
                    Some(name) => (format!("{name}:"), format!("package {name}")),
                    None => (String::new(), "a package without a name".to_owned()),
                };
                self.facts.items.hide(prefix, Gap::malformed(self.path, format!("{who}: {why}")));
            }
        }
    }

    fn add(&mut self, header: &Header<'_>) {
        let package = Package {
            name: header.name.to_owned(),
            version: header.full_version(),
            architecture: header.architecture.unwrap_or_default().to_owned(),
            state: State::Installed,
            selection: Selection::Install,
            reinstall: false,
            source: header.source_name().filter(|source| *source != header.name).map(str::to_owned),
            manager: Manager::Rpm,
            others: Vec::new(),
        };
        let subject = package.subject();
        let key = format!("vendor:{}", header.vendor.unwrap_or("none"));
        let vendors = &mut self.facts.state.seen;
        if vendors.contains_key(&key) || vendors.len() < MAX_VENDORS {
            let vendor = vendors.entry(key).or_insert_with(|| Origin { packages: Vec::new() });
            if let Err(place) = vendor.packages.binary_search(&subject) {
                vendor.packages.insert(place, subject.clone());
            }
        } else {
            let detail = format!("packages of more than {MAX_VENDORS} vendors");
            self.facts.state.hide("vendor:", Gap::new(GapKind::TooLarge, self.path, detail));
        }
        install(&mut self.facts.items, subject, package);
    }
}

/// Several versions of one package may be installed side by side, as kernels are: the newest is the item, and says of the others.
fn install(items: &mut Observed<Package>, subject: String, mut package: Package) {
    let Some(known) = items.seen.remove(&subject) else {
        items.seen.insert(subject, package);
        return;
    };
    let order = |version: &str, other: &str| {
        RpmVersion::parse(version).cmp(&RpmVersion::parse(other)).then_with(|| version.cmp(other))
    };
    let mut versions = known.others.clone();
    versions.extend([known.version.clone(), package.version.clone()]);
    versions.sort_by(|left, right| order(left, right));
    let newest = versions.pop().unwrap_or_default();
    package = if newest == package.version { package } else { known };
    package.others = versions;
    items.seen.insert(subject, package);
}

#[cfg(test)]
mod tests;
