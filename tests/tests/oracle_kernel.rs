//! The kernel probe against the system's own tools: every readable sysctl against `sysctl -a`, trees of sysctl.d against
//! what systemd-sysctl makes of them in a network namespace and what `sysctl --system --dry-run` says, modprobe.d against
//! `modprobe --showconfig`, mounts against `findmnt`, loaded modules against `lsmod`. Needs root.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::run;
use serde_json::Value;
use tempfile::TempDir;

/// Knuth's generator: the same trees each time.
struct Random(u64);

impl Random {
    fn within(&mut self, from: usize, to: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + (self.0 >> 33) as usize % (to - from)
    }
}

fn facts(root: Option<&Path>) -> Value {
    let mut facts = plumbline(&["facts", "kernel", "--format", "json"]);
    if let Some(root) = root {
        facts.arg("--root").arg(root);
    }
    run(&mut facts).ok().json()["kernel"].clone()
}

/// What `check` finds by a baseline of one rule with these sysctls: status and words by key.
fn sysctls(asked: &BTreeMap<String, String>, root: Option<&Path>) -> BTreeMap<String, (String, String)> {
    let folder = TempDir::with_prefix("plumbline-kernel-").unwrap();
    let file = folder.path().join("own.yaml");
    let mut yaml = "baseline: own\nversion: 1\ntitle: own\nrules:\n- id: own\n  title: own\n  severity: low\n  \
         why: own\n  fix: own\n  kernel:\n    sysctls:\n"
        .to_owned();
    for (key, value) in asked {
        writeln!(yaml, "      {}: {}", Value::from(key.as_str()), Value::from(value.as_str())).unwrap();
    }
    fs::write(&file, yaml).unwrap();
    let mut check = plumbline(&["check", "--format", "json", "--baseline"]);
    check.arg(&file);
    if let Some(root) = root {
        check.arg("--root").arg(root);
    }
    let ran = run(&mut check);
    let findings = ran.json()["findings"].as_array().unwrap_or_else(|| panic!("{ran}")).clone();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let row = |finding: &Value| {
        let key = word(finding, "subject").trim_start_matches("sysctl:").to_owned();
        (key, (word(finding, "status"), word(finding, "observed")))
    };
    findings.iter().map(row).collect()
}

/// `sysctl -a`, a value of several lines made one.
fn listed() -> BTreeMap<String, String> {
    let said = run(Command::new("sysctl").arg("-a").env("LANG", "C.UTF-8")).stdout;
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in
        said.lines().filter_map(|line| line.split_once(" = ").or(line.strip_suffix(" =").map(|key| (key, ""))))
    {
        let whole = values.entry(key.to_owned()).or_default();
        *whole =
            [whole.split_whitespace(), value.split_whitespace()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    }
    values
}

/// Compares once: how many keys moved between two looks of `sysctl`, and what is wrong, by key, of those that did not.
fn compare(before: &BTreeMap<String, String>) -> (usize, BTreeMap<String, String>) {
    let found = sysctls(before, None);
    let after = listed();
    let (mut moved, mut wrong) = (0, BTreeMap::new());
    for (key, value) in before {
        match found.get(key) {
            // It is in force, and another value is configured.
            Some((status, said)) if status == "pass" || said.starts_with(&format!("{value} now, but ")) => (),
            _ if after.get(key) != Some(value) => moved += 1,
            other => _ = wrong.insert(key.clone(), format!("{key}: sysctl {value:?}, plumbline {other:?}")),
        }
    }
    (moved, wrong)
}

#[test]
fn every_readable_sysctl_is_as_sysctl_says() {
    let secret = |key: &str| key.ends_with("stable_secret") || key.contains("tcp_fastopen_key");
    let mut before = listed();
    before.retain(|key, value| !secret(key) && key.contains('.') && value.chars().count() <= 300);
    let asked = before.len();
    assert!(asked > 500, "{asked}");
    let (moved, mut wrong) = compare(&before);
    let agreed = asked - moved - wrong.len();
    println!("sysctl -a: {agreed} of {asked} agreed, {moved} moved meanwhile");
    // A counter, such as the number of open files, may move there and back between the two looks: what disagreed is asked
    // again, and a real disagreement stays.
    for _ in 0..9 {
        if wrong.is_empty() {
            break;
        }
        before = listed();
        before.retain(|key, _| wrong.contains_key(key));
        wrong = compare(&before).1;
    }
    assert!(wrong.is_empty(), "{}", wrong.into_values().collect::<Vec<_>>().join("\n"));
    assert!(agreed + 20 > asked, "{agreed} of {asked}");
}

/// Keys that every network namespace has of its own, with values other than the usual.
const KEYS: [&str; 8] = [
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.log_martians",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.default.arp_ignore",
    "net.ipv4.conf.lo.arp_ignore",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.lo.rp_filter",
];
const GLOBS: [&str; 4] = [
    "net.ipv4.conf.*.rp_filter",
    "net.ipv4.conf.*.arp_ignore",
    "net.ipv4.conf.l?.arp_ignore",
    "net/ipv4/conf/*/rp_filter",
];
const FOLDERS: [&str; 4] = ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d"];

/// A tree of sysctl.d as an administrator and three packages might have left it.
fn tree(random: &mut Random, systemd: bool) -> TempDir {
    let root = TempDir::with_prefix("plumbline-sysctl-").unwrap();
    for folder in FOLDERS {
        fs::create_dir_all(root.path().join(folder)).unwrap();
        for number in 0..random.within(0, 4) {
            let name = format!("{}0-{}.conf", random.within(1, 5), ["a", "b"][number % 2]);
            let path = root.path().join(folder).join(name);
            if path.symlink_metadata().is_ok() {
                continue;
            }
            match random.within(0, 10) {
                0 => symlink("/dev/null", &path).unwrap(),
                1 => fs::write(&path, "").unwrap(),
                _ => fs::write(&path, lines(random, systemd)).unwrap(),
            }
        }
        fs::write(root.path().join(folder).join("99-not.txt"), "net.ipv4.conf.all.arp_ignore = 8\n").unwrap();
    }
    if systemd {
        fs::create_dir_all(root.path().join("usr/lib/systemd")).unwrap();
        fs::write(root.path().join("usr/lib/systemd/systemd"), "").unwrap();
    } else {
        fs::write(root.path().join("etc/sysctl.conf"), lines(random, systemd)).unwrap();
    }
    root
}

fn lines(random: &mut Random, globs: bool) -> String {
    let mut text = String::from("# a comment\n; another\n\n");
    for _ in 0..random.within(1, 6) {
        let mut key = KEYS[random.within(0, KEYS.len())].to_owned();
        if globs && random.within(0, 4) == 0 {
            key = GLOBS[random.within(0, GLOBS.len())].to_owned();
        } else if random.within(0, 4) == 0 {
            key = key.replace('.', "/");
        }
        let value = if key.contains("arp_ignore") { random.within(0, 4) } else { random.within(0, 2) };
        let (dash, equals) = (["", "-"][random.within(0, 2)], ["=", " = ", "  =\t"][random.within(0, 3)]);
        match random.within(0, 12) {
            0 if globs => writeln!(text, "-{key}").unwrap(),
            1 => writeln!(text, "  {dash}{key}{equals}{value}  ").unwrap(),
            _ => writeln!(text, "{dash}{key}{equals}{value}").unwrap(),
        }
    }
    text
}

/// Runs `script` where the tree's folders stand in place of this machine's, in a network namespace of its own.
fn inside(root: &Path, script: &str) -> String {
    let mut mounts = String::from("set -e\n");
    for folder in ["etc/sysctl.d", "run", "usr/local/lib", "usr/lib/sysctl.d"] {
        writeln!(mounts, "mount --bind {}/{folder} /{folder}", root.display()).unwrap();
    }
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "--net", "--", "sh", "-c", &format!("{mounts}{script}")]);
    run(&mut shell).ok().stdout
}

/// Each key's value in the order of [`KEYS`].
fn in_force() -> String {
    let files: Vec<String> = KEYS.iter().map(|key| format!("/proc/sys/{}", key.replace('.', "/"))).collect();
    format!("cat {}", files.join(" "))
}

#[test]
fn configured_sysctls_are_what_systemd_makes_of_the_files() {
    let random = &mut Random(20_261_122);
    let (mut agreed, mut cases, mut wrong) = (0, 0, Vec::new());
    for number in 0..40 {
        let root = tree(random, true);
        let apply = "for key in net/ipv4/conf/all/accept_redirects net/ipv4/conf/all/log_martians; do echo 0 > /proc/sys/$key; done
            for of in all default lo; do echo 0 > /proc/sys/net/ipv4/conf/$of/arp_ignore; echo 0 > /proc/sys/net/ipv4/conf/$of/rp_filter; done";
        let said = inside(
            root.path(),
            &format!("{apply}\n/usr/lib/systemd/systemd-sysctl --prefix=net 2>/dev/null || true\n{}", in_force()),
        );
        let values: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(values.len(), KEYS.len(), "{said}");
        let asked = KEYS.iter().zip(&values).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        for (key, (status, observed)) in sysctls(&asked, Some(root.path())) {
            cases += 1;
            // What nobody configured stays 0, and does not apply to a root at rest.
            let expected = &asked[&key];
            if status == "pass" || (status == "not-applicable" && expected == "0") {
                agreed += 1;
            } else {
                wrong.push(format!("tree {number}, {key}: systemd {expected}, plumbline {status} {observed}"));
            }
        }
    }
    println!("systemd-sysctl: {agreed} of {cases} agreed");
    assert!(cases >= 300 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_systemd_configured_sysctls_are_what_procps_makes_of_the_files() {
    let random = &mut Random(7);
    let (mut cases, mut wrong) = (0, Vec::new());
    for number in 0..20 {
        let root = tree(random, false);
        let script = format!(
            "mount --bind {}/etc/sysctl.conf /etc/sysctl.conf\nsysctl --system --dry-run 2>/dev/null",
            root.path().display()
        );
        let said = inside(root.path(), &script);
        let rows = said.lines().filter_map(|line| line.split_once(" = "));
        let last: BTreeMap<String, String> =
            rows.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
        let seen = facts(Some(root.path()));
        for key in KEYS {
            cases += 1;
            let found = seen["items"][format!("sysctl:{key}")]["value"].as_str();
            if found != last.get(key).map(String::as_str) {
                wrong.push(format!("tree {number}, {key}: sysctl {:?}, plumbline {found:?}\n{said}", last.get(key)));
            }
        }
    }
    println!("sysctl --system: {} of {cases} agreed", cases - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_modprobe_is_told_is_what_it_shows() {
    let root = TempDir::with_prefix("plumbline-modprobe-").unwrap();
    let folder = root.path().join("etc/modprobe.d");
    fs::create_dir_all(&folder).unwrap();
    let random = &mut Random(11);
    let mut text = String::new();
    for number in 0..200 {
        let module = format!("mod-{}_{}", number % 90, ["a", "b-c"][number % 2]);
        match random.within(0, 6) {
            0 => writeln!(text, "blacklist {module}").unwrap(),
            1 => writeln!(text, "install {module} /bin/{}", ["false", "true"][number % 2]).unwrap(),
            2 => writeln!(text, "  options {module} x=1 \\\n  y={number}").unwrap(),
            3 => writeln!(text, "# install {module} /bin/false").unwrap(),
            4 => writeln!(text, "softdep {module} pre: ext4 post: crc32").unwrap(),
            _ => writeln!(text, "remove\t{module}  /bin/true --really").unwrap(),
        }
        if number % 50 == 49 {
            fs::write(folder.join(format!("{number:03}.conf")), std::mem::take(&mut text)).unwrap();
        }
    }
    let said = run(Command::new("modprobe").arg("-c").arg("-C").arg(&folder)).ok().stdout;
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [word, module, rest @ ..] = words.as_slice() else { continue };
        if !module.starts_with("mod_") || !["blacklist", "install", "options", "softdep", "remove"].contains(word) {
            continue;
        }
        // kmod leaves out the blank before `post:` when it prints.
        let said = [&[*word], rest].concat().join(" ").replace("post:", " post:").replace("  post:", " post:");
        let known = expected.entry((*module).to_owned()).or_default();
        let repeated = ["install ", "remove "]
            .iter()
            .any(|of| said.starts_with(of) && known.iter().any(|own| own.starts_with(of)));
        if !repeated && !known.contains(&said) {
            known.push(said);
        }
    }
    let seen = facts(Some(root.path()));
    let items = seen["items"].as_object().unwrap();
    let found: BTreeMap<String, String> = items
        .iter()
        .filter_map(|(subject, item)| {
            Some((subject.strip_prefix("module:")?.to_owned(), item["value"].as_str()?.to_owned()))
        })
        .collect();
    let expected: BTreeMap<String, String> = expected
        .into_iter()
        .map(|(module, mut words)| {
            words.sort();
            (module, words.join("; "))
        })
        .collect();
    assert!(expected.len() > 60);
    assert_eq!(found, expected);
    println!("modprobe --showconfig: {} of {} modules agreed", found.len(), expected.len());
}

#[test]
fn mounts_are_as_findmnt_says() {
    let listed =
        run(Command::new("findmnt").args(["-J", "--list", "-N", "1", "-o", "TARGET,FSTYPE,VFS-OPTIONS,FS-OPTIONS"]))
            .ok();
    let listed = listed.json();
    let mut expected = BTreeMap::new();
    for row in listed["filesystems"].as_array().unwrap() {
        let word = |key: &str| row[key].as_str().unwrap();
        let read_only = word("fs-options").split(',').any(|option| option == "ro");
        let options = word("vfs-options");
        let options = if read_only { options.replacen("rw", "ro", 1) } else { options.to_owned() };
        expected.insert(word("target").to_owned(), format!("{} {options}", word("fstype")));
    }
    let seen = facts(None);
    let found: BTreeMap<String, String> = seen["state"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(subject, value)| Some((subject.strip_prefix("mount:")?.to_owned(), value.as_str()?.to_owned())))
        .collect();
    assert!(found.contains_key("/"));
    for (point, value) in &found {
        assert_eq!(expected.get(point), Some(value), "{point}");
    }
    let passed_over = ["/proc/", "/sys/", "/dev/", "/run/", "/var/lib/", "/snap/"];
    for point in expected.keys() {
        let may_be = passed_over.iter().any(|prefix| point.starts_with(prefix));
        assert!(found.contains_key(point) || may_be, "{point} is not seen");
    }
    println!("findmnt: {} of {} mounts agreed", found.len(), found.len());
}

#[test]
fn planned_mounts_are_as_findmnt_reads_the_table() {
    let root = TempDir::with_prefix("plumbline-fstab-").unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let table = "# table\nUUID=1b2c / ext4 errors=remount-ro 0 1\n/dev/sda2\t/home\text4\tnodev,nosuid\t0 2\n\
                 tmpfs /tmp tmpfs nosuid,nodev,noexec\n/dev/sda3 /mnt/a\\040b xfs defaults 0 0\nnas:/x /nas nfs4 ro,soft 0 0\n";
    fs::write(root.path().join("etc/fstab"), table).unwrap();
    let file = root.path().join("etc/fstab");
    let listed = run(Command::new("findmnt")
        .args(["-J", "--list", "-o", "SOURCE,TARGET,FSTYPE,OPTIONS", "--tab-file"])
        .arg(&file));
    let listed = listed.ok().json();
    let rows = listed["filesystems"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    let seen = facts(Some(root.path()));
    for row in rows {
        let word = |key: &str| row[key].as_str().unwrap();
        let subject = format!("fstab:{}", word("target"));
        let expected = format!("{} {} {}", word("source"), word("fstype"), word("options"));
        assert_eq!(seen["items"][&subject]["value"], expected.as_str(), "{subject}");
    }
    println!("findmnt --tab-file: {} of {} agreed", rows.len(), rows.len());
}

/// This machine's kernel may have no modules: both are shown the same made-up `/proc/modules`.
#[test]
fn loaded_modules_are_as_lsmod_says() {
    let folder = TempDir::with_prefix("plumbline-proc-").unwrap();
    let mut text = String::new();
    for number in 0..150 {
        let users = if number % 3 == 0 { format!("mod{}_x,", number + 1) } else { "-".to_owned() };
        writeln!(text, "mod{number}_x {} {} {users} Live 0x0000000000000000", 16384 * (number + 1), number % 3)
            .unwrap();
    }
    fs::write(folder.path().join("modules"), text).unwrap();
    fs::write(folder.path().join("cmdline"), "quiet\n").unwrap();
    let in_place = |program: &str| {
        let script = format!("mount --bind {} /proc && exec {program}", folder.path().display());
        run(Command::new("unshare").args(["--mount", "--", "sh", "-c", &script])).ok().stdout
    };
    let listed = in_place("lsmod");
    let mut expected: Vec<&str> = listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    expected.sort_unstable();
    assert_eq!(expected.len(), 150);
    let plumbline = plumbline(&[]).get_program().to_string_lossy().into_owned();
    let seen: Value = serde_json::from_str(&in_place(&format!("{plumbline} facts kernel --format json"))).unwrap();
    assert_eq!(seen["kernel"]["state"]["modules"], expected.join(" ").as_str());
    println!("lsmod: {} of {} agreed", expected.len(), expected.len());
}
