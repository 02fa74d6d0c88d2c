//! pacman against pacman itself: libalpm's order of versions over thousands of pairs, and what `pacman -Q` lists of a database
//! that pacman wrote.
//!
//! Needs root: pacman installs nothing for others.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use audit::version::alpm;
use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::rounds;
use tempfile::TempDir;

const PIECES: [&str; 24] = [
    "0",
    "1",
    "9",
    "10",
    "00",
    "01",
    "010",
    "a",
    "Z",
    "z",
    "A",
    "+",
    ".",
    "..",
    "_",
    "rc1",
    "alpha",
    ".a",
    "a1",
    "1a",
    "-1",
    "-2.1",
    "99999999999999999999999",
    "r5.gabc",
];

fn version(dice: &mut Dice) -> String {
    let mut text = dice.pick(&["", "", "", "0:", "1:", "01:", "10:"]).to_owned();
    text.push_str(dice.pick(&["1", "0", "2", "10", "1.0", "2024a"]));
    for _ in 0..dice.roll(5) {
        text.push_str(dice.pick(&PIECES));
    }
    text
}

#[test]
fn versions_are_ordered_exactly_as_libalpm_orders_them() {
    let mut dice = Dice::new(20_261_122);
    let mut pairs: Vec<(String, String)> = Vec::new();
    for _ in 0..rounds(5_000) {
        let first = version(&mut dice);
        let second = if dice.roll(2) == 0 { version(&mut dice) } else { format!("{first}{}", dice.pick(&PIECES)) };
        pairs.push((first, second));
    }
    let folder = TempDir::with_prefix("plumbline-alpm-").unwrap();
    let file = folder.path().join("pairs");
    fs::write(&file, pairs.iter().fold(String::new(), |all, (left, right)| all + left + " " + right + "\n")).unwrap();
    let script = "import ctypes, sys\nalpm = ctypes.CDLL('libalpm.so.13')\nfor line in open(sys.argv[1], 'rb'):\n    \
                  print(alpm.alpm_pkg_vercmp(*line.split()))";
    let answers = run(Command::new("python3").args(["-c", script]).arg(&file)).ok().stdout;
    let answers: Vec<Ordering> = answers.lines().map(|answer| answer.parse::<i32>().unwrap().cmp(&0)).collect();
    assert_eq!(answers.len(), pairs.len());
    let wrong: Vec<String> = pairs
        .iter()
        .zip(&answers)
        .filter(|((left, right), answer)| alpm::compare(left, right) != **answer)
        .map(|((left, right), answer)| format!("{left} {right}: libalpm says {answer:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
    assert!([Ordering::Less, Ordering::Equal, Ordering::Greater].iter().all(|kind| answers.contains(kind)));
    println!("libalpm's order of versions: {0} of {0} agreed", pairs.len());
}

/// A package as makepkg leaves it: what it is called, in an archive.
fn package(folder: &Path, name: &str, version: &str, dice: &mut Dice) -> PathBuf {
    let inside = folder.join(format!("{name}-{version}"));
    fs::create_dir_all(inside.join("usr/share").join(name)).unwrap();
    fs::write(inside.join("usr/share").join(name).join("file"), version).unwrap();
    let mut info = format!("pkgname = {name}\npkgver = {version}\npkgdesc = d\nbuilddate = 1\nsize = 1\n");
    let _ = writeln!(info, "arch = {}", dice.pick(&["x86_64", "any"]));
    let _ = writeln!(info, "pkgbase = {}", dice.pick(&[name, "base", "other-base"]));
    for line in ["license = GPL", "depend = nothing-here", "provides = x=1", "backup = etc/y", "group = g"] {
        if dice.roll(2) == 0 {
            let _ = writeln!(info, "{line}");
        }
    }
    fs::write(inside.join(".PKGINFO"), info).unwrap();
    let file = folder.join(format!("{name}-{version}-any.pkg.tar"));
    run(Command::new("tar").arg("-C").arg(&inside).args(["-cf"]).arg(&file).args([".PKGINFO", "usr"])).ok();
    file
}

#[test]
fn a_database_holds_what_pacman_lists() {
    let folder = TempDir::with_prefix("plumbline-pacman-").unwrap();
    let root = folder.path().join("root");
    let database = root.join("var/lib/pacman");
    fs::create_dir_all(&database).unwrap();
    let config = folder.path().join("pacman.conf");
    fs::write(&config, "[options]\nArchitecture = x86_64\nSigLevel = Never\nLocalFileSigLevel = Never\n").unwrap();
    let pacman = || {
        let mut pacman = Command::new("pacman");
        pacman.arg("--root").arg(&root).arg("--dbpath").arg(&database).arg("--config").arg(&config);
        pacman.args(["--cachedir"]).arg(folder.path()).arg("--noconfirm").env("LANG", "C");
        pacman
    };
    let mut dice = Dice::new(7);
    let made: Vec<PathBuf> = (0..80)
        .map(|at| {
            let version = dice.pick(&["1.0-1", "1:2.0rc1-3", "20240101-2.1", "0.r5.gabc-1", "2_3+b-1"]);
            package(folder.path(), &format!("p{at}{}", dice.pick(&["", "-libs", "+x", ".y", "@z"])), version, &mut dice)
        })
        .collect();
    run(pacman().args(["-U", "-dd"]).args(&made)).ok();
    // Some in another version, some gone again.
    let newer: Vec<PathBuf> = (0..10).map(|at| package(folder.path(), &format!("q{at}"), "2-1", &mut dice)).collect();
    run(pacman().args(["-U", "-dd"]).args(&newer)).ok();
    let again: Vec<PathBuf> = (0..5).map(|at| package(folder.path(), &format!("q{at}"), "3-1", &mut dice)).collect();
    run(pacman().args(["-U", "-dd"]).args(&again)).ok();
    run(pacman().args(["-R", "-dd", "q7", "q8"])).ok();

    let listed = run(pacman().arg("-Q")).ok().stdout;
    let theirs: BTreeMap<&str, &str> = listed.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert!(theirs.len() >= 85, "{listed}");
    let mut facts = Command::new(binary("plumbline"));
    let facts = run(facts.args(["facts", "packages", "--format", "json", "--root"]).arg(&root)).ok().json();
    let items = facts["packages"]["items"].as_object().unwrap_or_else(|| panic!("{facts:#}"));
    let ours: BTreeMap<&str, &str> =
        items.values().map(|item| (item["name"].as_str().unwrap(), item["version"].as_str().unwrap())).collect();
    assert_eq!(ours, theirs);
    // What it says of each: architecture, and whether it was asked for by name.
    let details = run(pacman().arg("-Qi")).ok().stdout;
    let mut name = "";
    let mut compared = 0;
    for line in details.lines() {
        let Some((key, value)) = line.split_once(" : ") else { continue };
        match key.trim() {
            "Name" => name = value,
            "Architecture" => {
                assert_eq!(items[&format!("{name}:{value}")]["architecture"], value, "{name}");
                compared += 1;
            }
            _ => (),
        }
    }
    assert_eq!(compared, theirs.len());
    println!("pacman -Q and -Qi: {0} of {0} packages agreed", theirs.len());
}
