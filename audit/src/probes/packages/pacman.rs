//! pacman's database: a folder a package, in it a file `desc` of headings and values.
//!
//! Source: libalpm's `lib/libalpm/be_local.c`, and alpm-db-desc(5), for the headings. A heading stands between `%`, its
//! values on the lines that follow, a blank line ends them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Manager, Origin, Package, Selection, State};
use crate::facts::Facts;
use crate::host::{EntryKind, Gap, GapKind, Host, read_small};

const FOLDER: &str = "/var/lib/pacman/local";
const MAX_PACKAGES: usize = 20_000;
const MAX_DESC: usize = 1024 * 1024;
const MAX_VALUE: usize = 300;

/// Adds all that pacman's database holds; `None` where there is no such database.
pub(super) fn read(host: &dyn Host, facts: &mut Facts<Package, Origin>) -> Option<()> {
    let entries = match host.list(Path::new(FOLDER)) {
        Ok(entries) => entries,
        Err(gap) if gap.is_missing() => return None,
        Err(gap) => {
            facts.items.hide("", gap);
            return Some(());
        }
    };
    let folders = entries.into_iter().filter(|entry| entry.kind == EntryKind::Directory);
    for (number, entry) in folders.enumerate() {
        if number >= MAX_PACKAGES {
            let detail = format!("holds more than {MAX_PACKAGES} packages");
            facts.items.hide("", Gap::new(GapKind::TooLarge, FOLDER, detail));
            break;
        }
        let path = Path::new(FOLDER).join(&entry.name).join("desc");
        let parsed = read_small(host, &path).and_then(|bytes| {
            let malformed = |why: &str| Gap::malformed(path.to_string_lossy(), why);
            if bytes.len() > MAX_DESC {
                return Err(Gap::new(GapKind::TooLarge, path.to_string_lossy(), "larger than any description"));
            }
            let package = parse(&bytes).ok_or_else(|| malformed("no name, no version, or torn"))?;
            // The folder is called by both; libalpm refuses anything else.
            let name = format!("{}-{}", package.name, package.version);
            if name.as_bytes() == entry.name.as_bytes() { Ok(package) } else { Err(malformed("names another package")) }
        });
        match parsed {
            Ok(package) => {
                let subject = package.subject();
                if facts.items.seen.insert(subject, package).is_some() {
                    facts.items.hide("", Gap::malformed(path.to_string_lossy(), "a package that stands twice"));
                }
            }
            Err(gap) => facts.items.hide("", gap),
        }
    }
    Some(())
}

fn parse(bytes: &[u8]) -> Option<Package> {
    // pacman ends the file with the blank line that ends its last values.
    if !bytes.ends_with(b"\n\n") {
        return None;
    }
    let value = |heading: &str| {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        lines.find(|line| *line == heading.as_bytes())?;
        let text = std::str::from_utf8(lines.next()?).ok()?;
        let fits = !text.is_empty() && text.len() <= MAX_VALUE && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(text)
    };
    let name = value("%NAME%")?;
    Some(Package {
        name: name.to_owned(),
        version: value("%VERSION%")?.to_owned(),
        architecture: value("%ARCH%").unwrap_or_default().to_owned(),
        state: State::Installed,
        selection: Selection::Install,
        reinstall: false,
        source: value("%BASE%").filter(|base| *base != name).map(str::to_owned),
        manager: Manager::Pacman,
        others: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    const DESC: &str = "%NAME%\nlibx\n\n%VERSION%\n1:2.0-3\n\n%BASE%\nx\n\n%ARCH%\nx86_64\n\n";

    fn of(folder: &str, desc: &str) -> Facts<Package, Origin> {
        let mut facts = Facts::default();
        let host = Recorded::new()
            .file("/var/lib/pacman/local/ALPM_DB_VERSION", "9\n")
            .file(&format!("{FOLDER}/{folder}/desc"), desc);
        read(&host, &mut facts).unwrap();
        facts
    }

    #[test]
    fn each_folder_is_a_package() {
        let facts = of("libx-1:2.0-3", DESC);
        assert_eq!(facts.items.gaps, Default::default());
        let package = &facts.items.seen["libx:x86_64"];
        assert_eq!((package.version.as_str(), package.source(), package.manager), ("1:2.0-3", "x", Manager::Pacman));
    }

    #[test]
    fn what_is_torn_or_names_another_package_is_a_gap() {
        for (folder, desc) in [("libx-1:2.0-3", &DESC[..DESC.len() - 1]), ("libx-1:2.0-3", ""), ("other-1", DESC)] {
            let facts = of(folder, desc);
            assert!(facts.items.whole_gap().is_some() && facts.items.seen.is_empty(), "{folder} {desc}");
        }
        let mut facts = Facts::default();
        assert_eq!(read(&Recorded::new(), &mut facts), None);
    }
}
