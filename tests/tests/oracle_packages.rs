//! Packages against dpkg itself: its order of versions over thousands of pairs, and its own list of what is installed, on this
//! machine, on Debian roots, and on a database that dpkg brought into every unusual state.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use audit::version::DpkgVersion;
use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::{root, rounds};
use tempfile::TempDir;

/// Every version this machine knows of: installed, and in the lists of its repositories.
fn real_versions() -> Vec<String> {
    let installed = run(Command::new("dpkg-query").args(["-W", "-f", "${Version}\n"])).ok().stdout;
    let offered = run(Command::new("apt-cache").arg("dumpavail")).ok().stdout;
    let offered = offered.lines().filter_map(|line| line.strip_prefix("Version: "));
    let all: BTreeSet<&str> = installed.lines().chain(offered).filter(|version| !version.is_empty()).collect();
    let mut all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    assert!(all.len() >= 100, "only {} versions on this machine", all.len());
    all.sort_by(|left, right| DpkgVersion::parse(left).unwrap().cmp(&DpkgVersion::parse(right).unwrap()));
    all
}

/// Made of the pieces on which orders disagree.
fn nasty(dice: &mut Dice) -> String {
    let epochs =
        ["", "", "", "", "0:", "1:", "01:", "2147483647:", "2147483648:", "x:", ":", "1a:", "+1:", "4294967297:"];
    let pieces = [
        "0",
        "1",
        "9",
        "10",
        "00",
        "01",
        "010",
        "~",
        "~~",
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
        "dfsg",
        ":",
        "_",
        "..",
        "-~",
        "%",
        "99999999999999999999999",
        "18446744073709551616",
    ];
    let mut text = dice.pick(&epochs).to_owned();
    if dice.roll(8) > 0 {
        text.push_str(dice.pick(&["1", "0", "2", "10"]));
    }
    for _ in 0..dice.roll(5) {
        text.push_str(dice.pick(&pieces));
    }
    askable(text)
}

/// A version changed in one place.
fn changed(version: &str, dice: &mut Dice) -> String {
    let pieces = ["0", "5", "~", "+", ".", "a", "z", "-"];
    let mut bytes = version.as_bytes().to_vec();
    let at = dice.roll(bytes.len());
    match dice.roll(3) {
        0 => bytes[at] = dice.pick(&pieces).as_bytes()[0],
        1 => bytes.insert(at, dice.pick(&pieces).as_bytes()[0]),
        _ => drop(bytes.remove(at)),
    }
    askable(String::from_utf8(bytes).unwrap())
}

/// dpkg would take a leading hyphen for an option, and nothing at all for "no version".
fn askable(text: String) -> String {
    if text.is_empty() || text.starts_with('-') { format!("1{text}") } else { text }
}

/// What dpkg says of each pair: one shell asks it again and again. `!` where it refuses.
fn ask_dpkg(pairs: &[(String, String)]) -> Vec<char> {
    let script = r#"while IFS= read -r a && IFS= read -r b; do
  dpkg --compare-versions "$a" lt "$b" 2>/dev/null; r=$?
  if [ $r = 0 ]; then echo '<'; continue; elif [ $r != 1 ]; then echo '!'; continue; fi
  if dpkg --compare-versions "$a" eq "$b" 2>/dev/null; then echo '='; else echo '>'; fi
done"#;
    let mut input = tempfile::tempfile().unwrap();
    for (left, right) in pairs {
        writeln!(input, "{left}\n{right}").unwrap();
    }
    input.rewind().unwrap();
    let output = Command::new("sh").args(["-c", script]).stdin(Stdio::from(input)).output().unwrap();
    assert!(output.status.success(), "sh: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.chars().next().unwrap()).collect()
}

fn ask_us(left: &str, right: &str) -> char {
    match (DpkgVersion::parse(left), DpkgVersion::parse(right)) {
        (Ok(left), Ok(right)) => match left.cmp(&right) {
            Ordering::Less => '<',
            Ordering::Equal => '=',
            Ordering::Greater => '>',
        },
        _ => '!',
    }
}

#[test]
fn versions_are_ordered_exactly_as_dpkg_orders_them() {
    let mut dice = Dice::new(20_261_122);
    let real = real_versions();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for _ in 0..rounds(1_500) {
        let at = dice.roll(real.len() - 1);
        pairs.push((real[at].clone(), real[at + 1].clone()));
        pairs.push((real[dice.roll(real.len())].clone(), real[dice.roll(real.len())].clone()));
        pairs.push((real[at].clone(), changed(&real[at], &mut dice)));
        pairs.push((nasty(&mut dice), nasty(&mut dice)));
    }
    let answers = ask_dpkg(&pairs);
    assert_eq!(answers.len(), pairs.len());
    assert!(pairs.len() >= 5_000);
    for answer in ['<', '=', '>', '!'] {
        let count = answers.iter().filter(|given| **given == answer).count();
        assert!(count >= 50, "only {count} pairs are `{answer}`: the pairs no longer test much");
    }
    let wrong: Vec<String> = pairs
        .iter()
        .zip(&answers)
        .filter(|((left, right), answer)| ask_us(left, right) != **answer)
        .map(|((left, right), answer)| format!("{left} {answer} {right}, not {}", ask_us(left, right)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}

/// A package as both sides tell it: name, version, architecture, selection, flag, state, source.
type Row = [String; 7];

fn by_dpkg(root: &Path) -> BTreeSet<Row> {
    let format = "${Package}\t${Version}\t${Architecture}\t${db:Status-Want}\t${db:Status-Eflag}\t${db:Status-Status}\t${source:Package}\n";
    let mut query = Command::new("dpkg-query");
    query.arg(format!("--admindir={}", root.join("var/lib/dpkg").display())).args(["-W", "-f", format]);
    let rows = run(&mut query).ok().stdout;
    let rows = rows.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap());
    rows.filter(|row: &Row| row[5] != "not-installed").collect()
}

fn by_us(root: &Path) -> BTreeSet<Row> {
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "packages", "--format", "json", "--root"]).arg(root);
    let facts = run(&mut facts).ok().json();
    let packages = &facts["packages"];
    assert_eq!(packages.get("gaps"), None, "{packages:#}");
    let items = packages["items"].as_object().unwrap_or_else(|| panic!("{packages:#}"));
    let rows = items.iter().map(|(subject, item)| {
        let text = |key: &str, other: &str| item[key].as_str().unwrap_or(other).to_owned();
        let name = text("name", "");
        assert_eq!(*subject, format!("{name}:{}", text("architecture", "")));
        let flag = if item["reinstall"] == true { "reinstreq" } else { "ok" };
        let (version, architecture, source) = (text("version", ""), text("architecture", ""), text("source", &name));
        [name, version, architecture, text("selection", "install"), flag.into(), text("state", ""), source]
    });
    rows.collect()
}

#[track_caller]
fn the_same(root: &Path, at_least: usize) {
    let (dpkg, us) = (by_dpkg(root), by_us(root));
    assert!(dpkg.len() >= at_least, "dpkg sees only {} packages", dpkg.len());
    let missing: Vec<&Row> = dpkg.difference(&us).collect();
    let invented: Vec<&Row> = us.difference(&dpkg).collect();
    assert!(missing.is_empty() && invented.is_empty(), "dpkg has {missing:#?}\nwe have {invented:#?}");
}

#[test]
fn this_machine_has_the_packages_dpkg_says_it_has() {
    the_same(Path::new("/"), 100);
}

#[test]
fn debian_roots_have_the_packages_dpkg_says_they_have() {
    for suite in ["bookworm", "bullseye"] {
        the_same(&root::debian(suite), 50);
    }
}

/// A package of its own, built by dpkg-deb, with these maintainer scripts.
fn build(folder: &Path, name: &str, fields: &str, scripts: &[(&str, &str)]) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = folder.join(name);
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join(format!("etc/{name}.conf")), "x\n").unwrap();
    fs::write(tree.join("DEBIAN/conffiles"), format!("/etc/{name}.conf\n")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: 1:2~rc1+b-3\nArchitecture: all\nMaintainer: Somebody <somebody@example.org>\n{fields}Description: of\n no use\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    for (script, body) in scripts {
        let path = tree.join("DEBIAN").join(script);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let deb = folder.join(format!("{name}.deb"));
    run(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&deb)).ok();
    deb
}

/// A root whose database dpkg itself brought into each state it has.
fn troubled() -> TempDir {
    let folder = TempDir::with_prefix("plumbline-dpkg-").unwrap();
    let (root, debs) = (folder.path().join("root"), folder.path().join("debs"));
    for inner in ["info", "updates"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(inner)).unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = |action: &str, what: &Path| {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", root.display())).args(["--force-script-chrootless", "--force-depends", action]);
        run(dpkg.arg(what))
    };
    dpkg("--install", &build(&debs, "whole", "Source: of-another-name (1.0)\n", &[])).ok();
    let held = build(&debs, "held", "", &[]);
    dpkg("--install", &held).ok();
    // Selections are only taken for packages that are on offer.
    dpkg("--record-avail", &held).ok();
    dpkg("--install", &build(&debs, "removed", "", &[])).ok();
    dpkg("--remove", Path::new("removed")).ok();
    dpkg("--install", &build(&debs, "purged", "", &[])).ok();
    dpkg("--purge", Path::new("purged")).ok();
    dpkg("--unpack", &build(&debs, "unpacked", "", &[])).ok();
    dpkg("--install", &build(&debs, "half-configured", "", &[("postinst", "exit 1")])).ended(1);
    dpkg("--install", &build(&debs, "half-installed", "", &[("preinst", "exit 1"), ("postrm", "exit 1")])).ended(1);
    // `run` gives a program no standard input.
    let mut select = Command::new("sh");
    select.args(["-c", "echo held hold | dpkg --root=\"$1\" --set-selections", "sh"]).arg(&root);
    run(&mut select).ok();
    folder
}

#[test]
fn every_state_dpkg_can_leave_a_package_in_is_seen() {
    let folder = troubled();
    let root = folder.path().join("root");
    the_same(&root, 6);
    let rows = by_us(&root);
    let states: BTreeSet<&str> = rows.iter().map(|row| row[5].as_str()).collect();
    let expected = ["config-files", "half-configured", "half-installed", "installed", "unpacked"];
    assert_eq!(states.into_iter().collect::<Vec<_>>(), expected, "dpkg no longer makes these");
    assert!(rows.iter().any(|row| row[3] == "hold") && rows.iter().any(|row| row[4] == "reinstreq"), "{rows:#?}");
}

#[test]
fn what_dpkg_audit_complains_of_is_what_is_not_intact() {
    let folder = troubled();
    let root = folder.path().join("root");
    let mut audit = Command::new("dpkg");
    audit.arg(format!("--root={}", root.display())).arg("--audit");
    // `dpkg --audit` indents each package's name by one blank.
    let said = run(&mut audit).stdout;
    let by_dpkg: BTreeSet<String> =
        said.lines().filter_map(|line| line.strip_prefix(' ')?.split_whitespace().next().map(str::to_owned)).collect();

    let baseline = folder.path().join("b.yaml");
    let text = "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {id: intact, title: t, severity: low, why: w, fix: f, packages: {intact: true}}\n";
    fs::write(&baseline, text).unwrap();
    let mut check = Command::new(binary("plumbline"));
    check.args(["check", "--format", "json", "--baseline"]).arg(&baseline).arg("--root").arg(&root);
    let findings = run(&mut check).ended(1).json();
    let by_us: BTreeSet<String> = findings["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["subject"].as_str().unwrap().trim_end_matches(":all").to_owned())
        .collect();
    assert_eq!(by_us, by_dpkg);
    assert!(by_us.len() >= 3, "{by_us:?}");
}
