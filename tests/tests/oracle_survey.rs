//! Surveys of the whole disk against the system's own tools: find(1) and getcap over generated trees and over this machine; dpkg
//! --verify and debsums over this machine and a root whose files were tampered with; rpm -V over a root that rpm itself filled.
//!
//! Needs root, for owners and capabilities.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use audit::probes::files::places::besides_the_root;
use audit::probes::files::survey::MAX_TOLD;
use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{binary, run};
use serde_json::Value;
use tempfile::TempDir;

/// What the probe says under `rule`: of this machine where no root is given.
fn ours(root: Option<&Path>, rule: &str) -> Value {
    let folder = TempDir::with_prefix("plumbline-survey-rule-").unwrap();
    let baseline = folder.path().join("baseline.yaml");
    let text = format!(
        "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: r, title: t, severity: low, why: w, fix: f, files: {rule}}}\n"
    );
    fs::write(&baseline, text).unwrap();
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "files", "--baseline"]).arg(&baseline);
    if let Some(root) = root {
        facts.arg("--root").arg(root);
    }
    run(&mut facts).ok().json()["files"]["items"].take()
}

/// The subjects of one kind, without it, and whether a gap says that there are more.
fn listed(items: &Value, kind: &str) -> (BTreeSet<String>, bool) {
    let of_kind =
        items.as_object().unwrap().iter().filter_map(|(subject, item)| Some((subject.strip_prefix(kind)?, item)));
    let (gaps, seen): (Vec<_>, Vec<_>) = of_kind.partition(|(_, item)| item.get("gap").is_some());
    let cut = gaps.iter().any(|(path, _)| path.is_empty());
    assert!(gaps.iter().all(|(path, _)| path.is_empty()), "{gaps:?}");
    (seen.into_iter().map(|(path, _)| path.to_owned()).collect(), cut)
}

/// The first [`MAX_TOLD`] of what a tool lists, and whether there are more.
fn first(of: &BTreeSet<String>) -> (BTreeSet<String>, bool) {
    (of.iter().take(MAX_TOLD).cloned().collect(), of.len() > MAX_TOLD)
}

#[track_caller]
fn the_same(what: &str, theirs: &BTreeSet<String>, items: &Value, kind: &str, at_least: usize) {
    let ((theirs_first, more), (us, cut)) = (first(theirs), listed(items, kind));
    let missing: Vec<_> = theirs_first.difference(&us).take(20).collect();
    let invented: Vec<_> = us.difference(&theirs_first).take(20).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{what}: they have {missing:#?}\nwe have {invented:#?}");
    assert_eq!(more, cut, "{what}: {} in all", theirs.len());
    assert!(theirs.len() >= at_least, "{what}: only {} to compare", theirs.len());
    let rest = if more { format!(" (the first of {})", theirs.len()) } else { String::new() };
    println!("{what}: {0} of {0} agreed{rest}", us.len());
}

/// What find lists below `places`, each on its own file system, `root` taken off.
fn by_find(root: &Path, places: &[PathBuf], test: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for place in places {
        let mut find = Command::new("find");
        find.arg(place).arg("-xdev").arg("(");
        for (number, over) in ["proc", "sys", "dev", "run"].iter().enumerate() {
            if number > 0 {
                find.arg("-o");
            }
            find.arg("-path").arg(root.join(over));
        }
        find.args([")", "-prune", "-o", "("]).args(test).args([")", "-print0"]);
        let output = find.output().unwrap();
        // Files come and go on a machine that is at work; find complains, and goes on.
        let text = output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        found.extend(text.map(|path| {
            let path = String::from_utf8(path.to_vec()).unwrap();
            format!("/{}", Path::new(&path).strip_prefix(root).unwrap().display())
        }));
    }
    found
}

const WRITABLE: [&str; 12] =
    ["-type", "f", "-perm", "-0002", "-o", "-type", "d", "-perm", "-0002", "!", "-perm", "-1000"];

fn by_getcap(root: &Path) -> BTreeSet<String> {
    let said = run(Command::new("getcap").arg("-r").arg(root)).ok().stdout;
    let paths = said.lines().filter_map(|line| line.rsplit_once(' ').map(|(path, _)| path));
    paths.map(|path| format!("/{}", Path::new(path).strip_prefix(root).unwrap().display())).collect()
}

/// A tree of every kind of file with every kind of mode, links out of it, and what is not walked.
fn tree(seed: u64) -> TempDir {
    assert!(rustix::process::geteuid().is_root(), "owners and capabilities need root: run this by `tests/run`");
    let folder = TempDir::with_prefix("plumbline-survey-").unwrap();
    // The folder of a temporary tree is 0700; what stands in it has all modes.
    let root = folder.path();
    let mut dice = Dice::new(seed);
    let modes = [0o644, 0o755, 0o4755, 0o2755, 0o6711, 0o1777, 0o777, 0o666, 0o2775, 0o1755, 0o602, 0o4000, 0, 0o2777];
    for name in ["proc", "sys", "dev", "run", "usr/run"] {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::write(root.join(name).join("x"), "").unwrap();
        fs::set_permissions(root.join(name).join("x"), Permissions::from_mode(0o4777)).unwrap();
    }
    let mut folders = vec![root.join("usr")];
    for number in 0..400 {
        let below = folders[dice.roll(folders.len())].clone();
        let path = below.join(format!("{number} {}", dice.pick(&["a", ".b", "umlaut-ä", "-rf", "star*"])));
        match dice.roll(8) {
            0 => symlink(dice.pick(&["/", "..", "nowhere", "/usr"]), &path).unwrap(),
            1 | 2 => {
                fs::create_dir(&path).unwrap();
                folders.push(path.clone());
            }
            3 => {
                let mode = rustix::fs::Mode::from_raw_mode(0o666);
                rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            }
            _ => fs::write(&path, "x").unwrap(),
        }
        if !path.is_symlink() {
            fs::set_permissions(&path, Permissions::from_mode(modes[dice.roll(modes.len())])).unwrap();
            if path.is_file() && dice.roll(5) == 0 {
                run(Command::new("setcap").arg(dice.pick(&["cap_net_raw=ep", "cap_chown=eip"])).arg(&path)).ok();
            }
        }
    }
    folder
}

#[test]
fn what_stands_out_in_a_made_tree_is_what_find_and_getcap_list() {
    let mut compared = 0;
    for seed in 1..=5 {
        let folder = tree(seed);
        let root = folder.path();
        let items = ours(Some(root), "{privileged: [], world_writable: []}");
        let places = [root.to_owned()];
        let mut privileged = by_find(root, &places, &["-type", "f", "-perm", "/6000"]);
        // Without a right to run, capabilities are of no use: the walk passes them over.
        let mut runs = by_find(root, &places, &["-type", "f", "-perm", "/0111"]);
        runs.retain(|path| by_getcap(root).contains(path));
        privileged.extend(runs);
        the_same("find and getcap, privileged in a made tree", &privileged, &items, "privileged:", 30);
        let writable = by_find(root, &places, &WRITABLE);
        the_same("find, world-writable in a made tree", &writable, &items, "world-writable:", 30);
        compared += privileged.len() + writable.len();
    }
    println!("made trees: {compared} of {compared} agreed");
}

#[test]
fn what_stands_out_on_this_machine_is_what_find_lists() {
    let mounted = besides_the_root(&fs::read("/proc/self/mountinfo").unwrap());
    let places: Vec<PathBuf> = std::iter::once(PathBuf::from("/")).chain(mounted).collect();
    // Other tests make and remove files while this one looks: what both looks of find agree on is compared.
    let look = || {
        let mut privileged = by_find(Path::new("/"), &places, &["-type", "f", "-perm", "/6000"]);
        privileged.retain(|path| !path.starts_with("/tmp/") && !path.contains("/plumbline-"));
        privileged
    };
    let before = look();
    let items = ours(None, "{privileged: [], world_writable: []}");
    let after = look();
    let (us, cut) = listed(&items, "privileged:");
    assert!(!cut, "this machine has more than are told: nothing can be compared");
    let capable = |path: &String| {
        items[format!("privileged:{path}")]["file"]["capabilities"].is_string() && !before.contains(path)
    };
    let us: BTreeSet<String> = us
        .into_iter()
        .filter(|path| !path.starts_with("/tmp/") && !path.contains("/plumbline-") && !capable(path))
        .collect();
    let stayed: BTreeSet<&String> = before.intersection(&after).collect();
    let ever: BTreeSet<&String> = before.union(&after).collect();
    assert!(
        stayed.iter().all(|path| us.contains(*path)),
        "missing: {:?}",
        stayed.iter().find(|path| !us.contains(**path))
    );
    assert!(us.iter().all(|path| ever.contains(path)), "invented: {:?}", us.iter().find(|path| !ever.contains(path)));
    assert!(us.len() >= 5, "{us:?}");
    println!("this machine, find: {0} of {0} agreed", us.len());
}

/// What dpkg has sums of: it also tells of folders that are missing, which have no content.
fn with_sums(root: &Path) -> BTreeSet<String> {
    let info = fs::read_dir(root.join("var/lib/dpkg/info")).unwrap().map(|entry| entry.unwrap().path());
    let mut all = BTreeSet::new();
    for list in info.filter(|path| path.extension().is_some_and(|kind| kind == "md5sums")) {
        let text = fs::read_to_string(list).unwrap();
        all.extend(text.lines().filter_map(|line| Some(format!("/{}", line.get(34..)?))));
    }
    all
}

/// What dpkg --verify prints: path, and whether it is missing and whether configuration.
fn by_dpkg(root: Option<&Path>) -> BTreeMap<String, (bool, bool)> {
    let mut dpkg = Command::new("dpkg");
    if let Some(root) = root {
        dpkg.arg("--root").arg(root);
    }
    let said = run(dpkg.arg("--verify")).stdout;
    let row = |line: &str| {
        let (marks, path) = (line.get(..10)?, line.get(12..)?);
        let path = path.strip_suffix(" (No such file or directory)").unwrap_or(path);
        Some((path.to_owned(), (marks.starts_with("missing"), line.get(10..11) == Some("c"))))
    };
    let summed = with_sums(root.unwrap_or(Path::new("/")));
    said.lines().filter_map(row).filter(|(path, (_, configuration))| *configuration || summed.contains(path)).collect()
}

/// Whether each changed file is missing and configuration, as `dpkg` or `rpm` says too.
#[track_caller]
fn marked_alike(items: &Value, theirs: &BTreeMap<String, (bool, bool)>) {
    for (path, (missing, configuration)) in theirs {
        let item = &items[format!("changed:{path}")]["changed"];
        if item.is_object() {
            let mark = |name: &str| item[name].as_bool().unwrap_or(false);
            assert_eq!((mark("missing"), mark("configuration")), (*missing, *configuration), "{path}: {item}");
        }
    }
}

#[test]
fn changed_files_of_this_machines_packages_are_what_dpkg_tells() {
    let items = ours(None, "{changed: [], changed_configuration: []}");
    let theirs = by_dpkg(None);
    the_same("dpkg --verify, this machine", &theirs.keys().cloned().collect(), &items, "changed:", 0);
    marked_alike(&items, &theirs);
}

/// What debsums lists as changed: it passes over what is missing.
#[track_caller]
fn as_debsums_tells(root: &Path, items: &Value) -> usize {
    let said = run(Command::new("debsums").args(["-a", "-c", "-r"]).arg(root)).stdout;
    let inside =
        |path: &str| format!("/{}", path.strip_prefix(root.to_str().unwrap()).unwrap_or(path).trim_start_matches('/'));
    let theirs: BTreeSet<String> = said.lines().map(inside).collect();
    let there = |path: &String| items[format!("changed:{path}")]["changed"]["missing"].as_bool() != Some(true);
    let (us, cut) = listed(items, "changed:");
    assert!(!cut, "more than are told");
    let us: BTreeSet<String> = us.into_iter().filter(there).collect();
    assert_eq!(us, theirs);
    us.len()
}

/// A root with some of this machine's packages, as dpkg unpacked them.
fn debian_root() -> TempDir {
    let folder = TempDir::with_prefix("plumbline-survey-dpkg-").unwrap();
    let root = folder.path();
    let info = root.join("var/lib/dpkg/info");
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("format"), "1\n").unwrap();
    let packages =
        ["sudo", "cron", "openssl", "procps", "passwd", "kmod", "acl", "debianutils", "sed", "login", "libpam-runtime"];
    let status = fs::read_to_string("/var/lib/dpkg/status").unwrap();
    let chosen = |stanza: &&str| packages.iter().any(|package| stanza.starts_with(&format!("Package: {package}\n")));
    let kept: String = status.split_inclusive("\n\n").filter(chosen).collect();
    fs::write(root.join("var/lib/dpkg/status"), kept).unwrap();
    for package in packages {
        for kind in ["list", "md5sums", "conffiles"] {
            let name = format!("{package}.{kind}");
            if kind != "conffiles" || Path::new("/var/lib/dpkg/info").join(&name).exists() {
                fs::copy(Path::new("/var/lib/dpkg/info").join(&name), info.join(&name)).unwrap();
            }
        }
        for path in fs::read_to_string(info.join(format!("{package}.list"))).unwrap().lines() {
            let to = root.join(path.trim_start_matches('/'));
            if Path::new(path).is_file() && !Path::new(path).is_symlink() {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(path, to).unwrap();
            }
        }
    }
    folder
}

/// Changes, removes or leaves each of `files`, six of `sides` changed; how many it touched.
fn tamper(root: &Path, files: &[String], sides: usize, dice: &mut Dice) -> usize {
    let mut touched = 0;
    for file in files {
        let path = root.join(file.trim_start_matches('/'));
        if !path.is_file() || path.is_symlink() {
            continue;
        }
        touched += 1;
        match dice.roll(sides) {
            0 => fs::remove_file(&path).unwrap(),
            1 => fs::write(&path, "changed").unwrap(),
            2 => {
                let mut content = fs::read(&path).unwrap();
                if let Some(last) = content.last_mut() {
                    *last ^= 1;
                }
                fs::write(&path, content).unwrap();
            }
            3 => fs::write(&path, "").unwrap(),
            // The same content in a new file.
            4 => {
                let content = fs::read(&path).unwrap();
                fs::remove_file(&path).unwrap();
                fs::write(&path, content).unwrap();
            }
            5 => fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap(),
            _ => touched -= 1,
        }
    }
    touched
}

#[test]
fn tampered_files_of_packages_are_what_dpkg_and_debsums_tell() {
    let (mut compared, mut by_debsums) = (0, 0);
    for seed in 1..=4 {
        let folder = debian_root();
        let root = folder.path();
        let mut divert = Command::new("dpkg-divert");
        divert.args(["--root"]).arg(root).args(["--quiet", "--local", "--rename", "--add", "/bin/kmod"]);
        run(&mut divert).ok();
        let mut foreign = Command::new("dpkg-divert");
        foreign.args(["--root"]).arg(root).args(["--quiet", "--package", "acl", "--divert", "/usr/bin/getfacl.other"]);
        run(foreign.args(["--no-rename", "--add", "/usr/bin/getfacl"])).ok();
        let lists = fs::read_dir(root.join("var/lib/dpkg/info")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<String> = lists
            .filter(|path| path.extension().is_some_and(|kind| kind == "list"))
            .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        files.sort();
        assert!(files.len() > 500, "{}", files.len());
        let whole = by_dpkg(Some(root));
        let touched = tamper(root, &files, 30, &mut Dice::new(seed));
        let items = ours(Some(root), "{changed: [], changed_configuration: []}");
        let theirs = by_dpkg(Some(root));
        assert!(theirs.len() > whole.len() + 50, "{touched} touched, {} told", theirs.len());
        the_same("dpkg --verify, a tampered root", &theirs.keys().cloned().collect(), &items, "changed:", 50);
        marked_alike(&items, &theirs);
        compared += theirs.len().min(MAX_TOLD);
        by_debsums += as_debsums_tells(root, &items);
    }
    println!("tampered roots, debsums: {by_debsums} of {by_debsums} agreed");
    println!("tampered roots, dpkg --verify: {compared} of {compared} agreed");
}

const SPEC: &str = "Name: tool\nVersion: 1\nRelease: 1\nSummary: s\nLicense: x\nBuildArch: noarch\n%description\nd\n\
    %package other\nSummary: s\n%description other\nd\n%install\nmkdir -p %{buildroot}/usr/share/tool %{buildroot}/etc/tool\n\
    for n in $(seq 1 120); do echo content $n > %{buildroot}/usr/share/tool/f$n; done\n\
    for n in $(seq 1 40); do echo setting $n > %{buildroot}/etc/tool/c$n; echo x > %{buildroot}/etc/tool/m$n; done\n\
    for n in $(seq 1 20); do echo g > %{buildroot}/etc/tool/g$n; echo n > %{buildroot}/etc/tool/n$n; done\n\
    touch %{buildroot}/etc/tool/empty; ln -s f1 %{buildroot}/usr/share/tool/link\n\
    %files\n/usr/share/tool/f*\n/usr/share/tool/link\n/etc/tool/empty\n%ghost /etc/tool/g*\n\
    %verify(not filedigest) /etc/tool/n*\n%files other\n%config /etc/tool/c*\n%config(missingok) /etc/tool/m*\n";

/// What `rpm -Va` prints of content: path, and whether it is missing and whether configuration.
fn by_rpm(root: &Path) -> BTreeMap<String, (bool, bool)> {
    let said =
        run(Command::new("rpm").arg("--root").arg(root).args(["--dbpath", "/usr/lib/sysimage/rpm", "-Va", "--nodeps"]))
            .stdout;
    let row = |line: &str| {
        // `S.5....T.  c /path`, but `missing   c /path`.
        let missing = line.starts_with("missing");
        let at = if missing { 10 } else { 11 };
        let (mark, path) = (line.get(at..=at)?, line.get(at + 2..)?);
        let path = path.strip_suffix(" (No such file or directory)").unwrap_or(path);
        let told = missing || line.get(2..3) == Some("5");
        told.then(|| (path.to_owned(), (missing, mark == "c")))
    };
    said.lines().filter_map(row).collect()
}

#[test]
fn tampered_files_of_packages_are_what_rpm_tells() {
    let build = TempDir::with_prefix("plumbline-survey-rpm-").unwrap();
    let mut compared = 0;
    for (seed, algorithm) in [(1, "8"), (2, "1"), (3, "8")] {
        let top = build.path().join(seed.to_string());
        fs::create_dir_all(&top).unwrap();
        fs::write(top.join("tool.spec"), SPEC).unwrap();
        let mut rpmbuild = Command::new("rpmbuild");
        rpmbuild.args(["--define", &format!("_topdir {}", top.display()), "--define", "_binary_payload w0.ufdio"]);
        rpmbuild.args(["--define", &format!("_binary_filedigest_algorithm {algorithm}")]);
        run(rpmbuild.arg("-bb").arg(top.join("tool.spec"))).ok();
        let packages = fs::read_dir(top.join("RPMS/noarch")).unwrap().map(|entry| entry.unwrap().path());
        let root = top.join("root");
        let mut install = Command::new("rpm");
        install.arg("--root").arg(&root).args(["--dbpath", "/usr/lib/sysimage/rpm", "-i", "--nodeps", "--nosignature"]);
        run(install.args(packages)).ok();
        let mut files: Vec<String> = Vec::new();
        for folder in ["usr/share/tool", "etc/tool"] {
            for entry in fs::read_dir(root.join(folder)).unwrap() {
                files.push(format!("/{folder}/{}", entry.unwrap().file_name().to_str().unwrap()));
            }
        }
        files.sort();
        assert!(files.len() > 200, "{}", files.len());
        let touched = tamper(&root, &files, 12, &mut Dice::new(seed));
        let items = ours(Some(&root), "{changed: [], changed_configuration: []}");
        let theirs = by_rpm(&root);
        the_same("rpm -V, a tampered root", &theirs.keys().cloned().collect(), &items, "changed:", 20);
        marked_alike(&items, &theirs);
        assert!(theirs.len() < touched, "{} of {touched}: what may change or be missing was touched too", theirs.len());
        compared += theirs.len();
    }
    println!("tampered roots, rpm -V: {compared} of {compared} agreed");
}
