//! apk's database: one file of records, each a few lines of a letter and a value.
//!
//! Source: apk-tools' `src/database.c` and the Alpine wiki, "Apk spec", for the letters: P name, V version, A architecture,
//! o origin (the source package), f what is broken of it. Files (F, R and what belongs to them) are passed over.

use std::path::Path;

use super::{Manager, Origin, Package, Selection, State};
use crate::facts::Facts;
use crate::host::{Gap, Host};
use crate::version::apk::check;

const DATABASES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
const MAX_VALUE: usize = 300;
const MAX_GAPS: usize = 100;

/// Adds all that apk's database holds; `None` where there is no such database.
pub(super) fn read(host: &dyn Host, facts: &mut Facts<Package, Origin>) -> Option<()> {
    for path in DATABASES {
        match host.read(Path::new(path)) {
            Ok(bytes) => {
                database(path, &bytes, facts);
                return Some(());
            }
            Err(gap) if gap.is_missing() => {}
            Err(gap) => {
                facts.items.hide("", gap);
                return Some(());
            }
        }
    }
    None
}

#[derive(Default)]
struct Record<'a> {
    line: usize,
    name: Option<&'a str>,
    version: Option<&'a str>,
    architecture: Option<&'a str>,
    origin: Option<&'a str>,
    broken: bool,
    twice: bool,
}

fn database(path: &str, bytes: &[u8], facts: &mut Facts<Package, Origin>) {
    if bytes.trim_ascii().is_empty() {
        return facts.items.hide("", Gap::malformed(path, "holds no package: it is torn, or was never written"));
    }
    // apk ends every record with a blank line, and the file with that of the last.
    if !bytes.ends_with(b"\n\n") {
        facts.items.hide("", Gap::malformed(path, "ends inside a record: torn, or still being written"));
    }
    let mut record: Option<Record<'_>> = None;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            if let Some(record) = record.take() {
                add(path, &record, facts);
            }
            continue;
        }
        let record = record.get_or_insert_with(|| Record { line: number + 1, ..Record::default() });
        let (Some(letter), Some(b':')) = (line.first(), line.get(1)) else { continue };
        let value = || line.get(2..).and_then(text);
        let place = match letter {
            b'P' => &mut record.name,
            b'V' => &mut record.version,
            b'A' => &mut record.architecture,
            b'o' => &mut record.origin,
            b'f' => {
                record.broken = true;
                continue;
            }
            _ => continue,
        };
        record.twice |= place.is_some();
        *place = value();
    }
}

fn add(path: &str, record: &Record<'_>, facts: &mut Facts<Package, Origin>) {
    let items = &mut facts.items;
    let (Some(name), Some(version), false) = (record.name, record.version, record.twice) else {
        return spoil(path, record, "no name, no version, or one of them twice", facts);
    };
    if check(version).is_err() {
        return spoil(path, record, "an impossible version", facts);
    }
    let package = Package {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: record.architecture.unwrap_or_default().to_owned(),
        state: if record.broken { State::HalfInstalled } else { State::Installed },
        selection: Selection::Install,
        reinstall: false,
        source: record.origin.filter(|origin| *origin != name).map(str::to_owned),
        manager: Manager::Apk,
        others: Vec::new(),
    };
    let subject = package.subject();
    if items.seen.insert(subject, package).is_some() {
        spoil(path, record, "stands twice", facts);
    }
}

fn spoil(path: &str, record: &Record<'_>, why: &str, facts: &mut Facts<Package, Origin>) {
    let gap = Gap::malformed(format!("{path}:{}", record.line), why);
    // Enough of them, and the file is no database.
    let prefix = match record.name {
        Some(name) if facts.items.gaps.len() < MAX_GAPS => format!("{name}:"),
        Some(_) | None => String::new(),
    };
    facts.items.hide(prefix, gap);
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = !text.is_empty() && text.len() <= MAX_VALUE && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    const TWO: &str = "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\no:musl\nF:lib\nR:ld.so\na:0:0:755\n\nP:openssl-libs\nV:3.1.4-r5\nA:x86_64\no:openssl\nf:s\n\n";

    fn of(text: &str) -> Facts<Package, Origin> {
        let mut facts = Facts::default();
        read(&Recorded::new().file(DATABASES[0], text), &mut facts).unwrap();
        facts
    }

    #[test]
    fn each_record_is_a_package() {
        let facts = of(TWO);
        assert_eq!(facts.items.gaps, Default::default());
        let names: Vec<_> = facts.items.seen.keys().collect();
        assert_eq!(names, ["musl:x86_64", "openssl-libs:x86_64"]);
        let second = &facts.items.seen["openssl-libs:x86_64"];
        assert_eq!((second.source(), second.state, second.manager), ("openssl", State::HalfInstalled, Manager::Apk));
    }

    #[test]
    fn a_database_cut_off_anywhere_is_a_gap() {
        for end in 0..TWO.len() {
            let whole = TWO[..end].ends_with("\n\n");
            assert_eq!(of(&TWO[..end]).items.gaps.is_empty(), whole, "{end}");
        }
        for bad in ["P:a\n\n", "V:1\n\n", "P:a\nP:b\nV:1\n\n", "P:a\nV:x\n\n", "P:a\nV:1\n\nP:a\nV:1\n\n"] {
            assert!(!of(bad).items.gaps.is_empty(), "{bad}");
        }
    }
}
