//! rpm against rpm itself: its order of versions over thousands of pairs, and what it lists of databases that it wrote, in each
//! format it has had: SQLite (with and without a write-ahead log), Berkeley DB, ndb.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use audit::version::RpmVersion;
use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::rounds;
use tempfile::TempDir;

const PIECES: [&str; 26] = [
    "0",
    "1",
    "9",
    "10",
    "00",
    "01",
    "010",
    "~",
    "~~",
    "^",
    "^git",
    "a",
    "Z",
    "z",
    "A",
    "+",
    ".",
    "-",
    "-0",
    "~a",
    "rc1",
    "el9",
    "_",
    "..",
    "-~",
    "99999999999999999999999",
];

fn version(dice: &mut Dice) -> String {
    let mut text = dice.pick(&["", "", "", "0:", "1:", "01:", "10:", "4294967297:"]).to_owned();
    text.push_str(dice.pick(&["1", "0", "2", "10", ""]));
    for _ in 0..dice.roll(5) {
        text.push_str(dice.pick(&PIECES));
    }
    if text.is_empty() { "1".into() } else { text }
}

#[test]
fn versions_are_ordered_exactly_as_rpm_orders_them() {
    let mut dice = Dice::new(20_261_122);
    let mut pairs: Vec<(String, String)> = Vec::new();
    for _ in 0..rounds(5_000) {
        let first = version(&mut dice);
        let second = if dice.roll(2) == 0 { version(&mut dice) } else { format!("{first}{}", dice.pick(&PIECES)) };
        pairs.push((first, second));
    }
    let folder = TempDir::with_prefix("plumbline-rpm-").unwrap();
    let file = folder.path().join("pairs");
    fs::write(&file, pairs.iter().fold(String::new(), |all, (left, right)| all + left + " " + right + "\n")).unwrap();
    let script = format!(
        "%{{lua: for line in io.lines('{}') do local a, b = line:match('(%S+) (%S+)'); print(rpm.vercmp(a, b) .. ' ') end}}",
        file.display()
    );
    let answers = run(Command::new("rpm").args(["-E", &script])).ok().stdout;
    let answers: Vec<Ordering> =
        answers.split_whitespace().map(|answer| answer.parse::<i32>().unwrap().cmp(&0)).collect();
    assert_eq!(answers.len(), pairs.len());
    let wrong: Vec<String> = pairs
        .iter()
        .zip(&answers)
        .filter(|((left, right), answer)| RpmVersion::parse(left).cmp(&RpmVersion::parse(right)) != **answer)
        .map(|((left, right), answer)| format!("{left} {right}: rpm says {answer:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
    assert!([Ordering::Less, Ordering::Equal, Ordering::Greater].iter().all(|kind| answers.contains(kind)));
    println!("rpm's order of versions: {0} of {0} agreed", pairs.len());
}

/// Packages of a spec file, built at once: subpackages with epochs, odd versions, vendors, architectures, and a change log long
/// enough that no header fits on a page.
fn spec(release: usize, packages: usize, log: usize) -> String {
    let mut spec = String::from("Name: whole\nVersion: 1\nSummary: s\nLicense: x\n");
    let _ = writeln!(spec, "Release: {release}\n%description\nd");
    let mut dice = Dice::new(7);
    for at in 0..packages {
        let version = dice.pick(&["1.0", "2.0~rc1", "5^git1", "0.1+b", "2024a", "1_2.3"]);
        let _ =
            writeln!(spec, "%package -n p{at}\nSummary: s\nVersion: {version}\nRelease: {release}.el{}", dice.roll(10));
        for line in ["Epoch: 0", "Epoch: 1", "Epoch: 4294967295", "BuildArch: noarch", "Vendor: Example: of Good, Inc."]
        {
            if dice.roll(3) == 0 && (line != "BuildArch: noarch" || at % 2 == 0) {
                let _ = writeln!(spec, "{line}");
            }
        }
        let _ = writeln!(spec, "%description -n p{at}\nd\n%files -n p{at}");
    }
    spec.push_str("%changelog\n");
    for entry in 0..log {
        let _ = writeln!(
            spec,
            "* Thu Jan 01 2026 Somebody <somebody@example.org> - {}\n- {}",
            log - entry,
            "why ".repeat(9)
        );
    }
    // Only one epoch can be said of a package.
    let mut kept = String::new();
    let mut said = false;
    for line in spec.lines() {
        said &= !line.starts_with("%package");
        if line.starts_with("Epoch") && std::mem::replace(&mut said, true) {
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

fn build(folder: &Path, release: usize, packages: usize, log: usize) -> Vec<PathBuf> {
    let top = folder.join(format!("build-{release}"));
    fs::create_dir_all(&top).unwrap();
    let file = top.join("many.spec");
    fs::write(&file, spec(release, packages, log)).unwrap();
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["--define", &format!("_topdir {}", top.display()), "--define", "_binary_payload w0.ufdio", "-bb"]);
    run(rpmbuild.arg(&file)).ok();
    let folders = fs::read_dir(top.join("RPMS")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect();
    files.sort();
    assert!(files.len() >= packages, "{} of {packages} packages were built", files.len());
    files
}

fn rpm(database: &Path) -> Command {
    let mut rpm = Command::new("rpm");
    rpm.arg("--dbpath").arg(database);
    rpm
}

/// A database that rpm itself filled: hundreds of packages, some in two versions, some erased again.
fn database() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = TempDir::with_prefix("plumbline-rpm-").unwrap();
        let database = folder.path().join("db");
        run(rpm(&database).arg("--initdb")).ok();
        let put = ["-i", "--justdb", "--nodeps", "--ignorearch", "--noscripts", "--nosignature", "--force"];
        run(rpm(&database).args(put).args(build(folder.path(), 1, 400, 120))).ok();
        run(rpm(&database).args(put).args(build(folder.path(), 2, 40, 3))).ok();
        let gone: Vec<String> = (0..60).map(|at| format!("p{}", at * 5 + 50)).collect();
        run(rpm(&database).args(["-e", "--justdb", "--nodeps"]).args(&gone)).ok();
        folder
    });
    Box::leak(folder.path().join("db").into_boxed_path())
}

/// Name, version with epoch and release, architecture, vendor, source package's file.
type Row = (String, String, String, String, String);

const FORMAT: &str = "%{NAME}\\t%{EPOCH}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{VENDOR}\\t%{SOURCERPM}\\n";

fn rows(listed: &str) -> BTreeSet<Row> {
    let none = |text: &str| if text == "(none)" { String::new() } else { text.to_owned() };
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let epoch = match columns[1] {
            "(none)" | "0" => String::new(),
            epoch => format!("{epoch}:"),
        };
        let source = columns[5].rsplit_once('-').and_then(|(rest, _)| rest.rsplit_once('-'));
        let source = source.map_or(columns[0], |(name, _)| name).to_owned();
        let vendor = if columns[4] == "(none)" { "none" } else { columns[4] };
        (columns[0].to_owned(), format!("{epoch}{}", columns[2]), none(columns[3]), vendor.to_owned(), source)
    };
    listed.lines().map(row).collect()
}

fn by_rpm(database: &Path, backend: &str) -> BTreeSet<Row> {
    let mut query = rpm(database);
    query.args(["--define", &format!("_db_backend {backend}"), "-qa", "--qf", FORMAT]);
    rows(&run(&mut query).ok().stdout)
}

/// What we say of a root whose database is `file`, there called `name`.
fn by_us(files: &[(&Path, &str)]) -> BTreeSet<Row> {
    let root = TempDir::with_prefix("plumbline-rpm-root-").unwrap();
    let home = root.path().join("usr/lib/sysimage/rpm");
    fs::create_dir_all(&home).unwrap();
    for (file, name) in files {
        fs::copy(file, home.join(name)).unwrap();
    }
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "packages", "--format", "json", "--root"]).arg(root.path());
    let facts = run(&mut facts).ok().json();
    let packages = &facts["packages"];
    assert_eq!(packages.get("gaps"), None, "{packages:#}");
    let vendor_of = |subject: &str| {
        let vendors = packages["state"].as_object().unwrap();
        let holds =
            |origin: &serde_json::Value| origin["packages"].as_array().unwrap().iter().any(|one| one == subject);
        let names: Vec<&str> =
            vendors.iter().filter(|(_, origin)| holds(origin)).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 1, "{subject}: {names:?}");
        names[0].strip_prefix("vendor:").unwrap().to_owned()
    };
    let mut rows = BTreeSet::new();
    for (subject, item) in packages["items"].as_object().unwrap() {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("manager"), "rpm");
        let source = item["source"].as_str().or(item["name"].as_str()).unwrap().to_owned();
        let others = item["others"].as_array().cloned().unwrap_or_default();
        let others = others.iter().map(|version| version.as_str().unwrap().to_owned());
        for version in others.chain([text("version")]) {
            rows.insert((text("name"), version, text("architecture"), vendor_of(subject), source.clone()));
        }
    }
    rows
}

#[track_caller]
fn the_same(what: &str, rpm: &BTreeSet<Row>, us: &BTreeSet<Row>, at_least: usize) {
    assert!(rpm.len() >= at_least, "rpm lists only {} packages", rpm.len());
    let missing: Vec<&Row> = rpm.difference(us).collect();
    let invented: Vec<&Row> = us.difference(rpm).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{what}: rpm has {missing:#?}\nwe have {invented:#?}");
    println!("{what}: {0} of {0} packages agreed", rpm.len());
}

#[test]
fn a_sqlite_database_holds_what_rpm_lists() {
    let database = database();
    the_same(
        "rpm, SQLite",
        &by_rpm(database, "sqlite"),
        &by_us(&[(&database.join("rpmdb.sqlite"), "rpmdb.sqlite")]),
        350,
    );
}

#[test]
fn what_only_the_write_ahead_log_holds_counts() {
    let copy = TempDir::with_prefix("plumbline-rpm-wal-").unwrap();
    let (work, kept) = (copy.path().join("work"), copy.path().join("kept"));
    for folder in [&work, &kept] {
        fs::create_dir(folder).unwrap();
    }
    fs::copy(database().join("rpmdb.sqlite"), work.join("rpmdb.sqlite")).unwrap();
    let script = format!(
        "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; DELETE FROM Packages WHERE hnum % 3 = 0;\n\
         .shell cp {work}/rpmdb.sqlite {work}/rpmdb.sqlite-wal {kept}/\n",
        work = work.display(),
        kept = kept.display()
    );
    let commands = copy.path().join("commands");
    fs::write(&commands, script).unwrap();
    let read = format!(".read {}", commands.display());
    run(Command::new("sqlite3").arg(work.join("rpmdb.sqlite")).arg(read)).ok();
    let files = ["rpmdb.sqlite", "rpmdb.sqlite-wal"];
    let before = by_us(&[(&kept.join(files[0]), files[0])]).len();
    let us = by_us(&files.map(|name| (kept.join(name), name)).each_ref().map(|(path, name)| (path.as_path(), *name)));
    assert!(us.len() < before, "the log changes nothing");
    // rpm folds the log in when it closes, so it is asked last.
    the_same("rpm, SQLite with a log", &by_rpm(&kept, "sqlite"), &us, 200);
}

#[test]
fn a_berkeley_database_holds_what_rpm_lists() {
    let folder = TempDir::with_prefix("plumbline-rpm-bdb-").unwrap();
    let select = "SELECT printf(' %02x%02x%02x%02x', hnum & 255, hnum >> 8 & 255, hnum >> 16 & 255, hnum >> 24) || char(10) || ' ' || lower(hex(blob)) FROM Packages";
    let rows = run(Command::new("sqlite3").arg(database().join("rpmdb.sqlite")).arg(select)).ok().stdout;
    // The counter that rpm keeps under the number 0 is there too.
    let dump = format!(
        "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n 00000000\n ff010000\n{rows}DATA=END\n"
    );
    let input = folder.path().join("dump");
    fs::write(&input, dump).unwrap();
    let file = folder.path().join("Packages");
    run(Command::new("db5.3_load").arg("-f").arg(&input).arg(&file)).ok();
    fs::remove_file(&input).unwrap();
    // rpm looks for its indexes only to complain that they are not there.
    the_same("rpm, Berkeley DB", &by_rpm(folder.path(), "bdb_ro"), &by_us(&[(&file, "Packages")]), 350);
}

/// Debian's rpm is built without ndb. The database in `oracle_rpm` was written by rpm 4.18.0 built with it (`--rebuilddb` of one
/// as above), and the list beside it is that rpm's own.
#[test]
fn an_ndb_database_holds_what_rpm_listed() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle_rpm");
    let folder = TempDir::with_prefix("plumbline-rpm-ndb-").unwrap();
    let file = folder.path().join("Packages.db");
    fs::write(&file, zstd::decode_all(fs::File::open(kept.join("Packages.db.zst")).unwrap()).unwrap()).unwrap();
    let listed = rows(&fs::read_to_string(kept.join("Packages.db.txt")).unwrap());
    the_same("rpm, ndb", &listed, &by_us(&[(&file, "Packages.db")]), 100);
}
