//! What a hostile or damaged root file system does to `plumbline check --root`: links in loops, FIFOs, sockets, folders and endless files
//! where files are due, names that are not text, files that change while they are read, a million packages.
//!
//! Of each is asked: an end in time, the exit status that says that something could not be determined, a gap that names the
//! file, and at most 64 MiB of memory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use plumbline_tests::processes::{Ran, binary, run};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

/// The most a check may hold beyond what the program holds when it does nothing, in bytes: 64 MiB, of which one that is built for release
/// needs 8 for itself. A build without optimisation needs three times that, which says nothing about a check.
const MOST_MEMORY: u64 = (64 - 8) * 1024 * 1024;

/// Prints what the program it calls held at most, on the last line of standard error.
const MEASURE: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code if code >= 0 else 200)";

/// For each probe that reads files, one that it reads, and what makes it look there.
const READ: [(&str, &str); 30] = [
    ("packages", "var/lib/dpkg/status"),
    ("patches", "etc/apt/sources.list"),
    ("patches", "etc/apt/apt.conf"),
    ("patches", "etc/apt/preferences"),
    ("eol", "etc/os-release"),
    ("time", "etc/chrony/chrony.conf"),
    ("time", "etc/systemd/timesyncd.conf"),
    ("time", "etc/ntpsec/ntp.conf"),
    ("admins", "etc/sudoers"),
    ("admins", "etc/passwd"),
    ("admins", "etc/group"),
    ("admins", "etc/nsswitch.conf"),
    ("accounts", "etc/shadow"),
    ("accounts", "etc/login.defs"),
    ("accounts", "etc/pam.d/sshd"),
    ("kernel", "etc/sysctl.d/own.conf"),
    ("kernel", "etc/modprobe.d/own.conf"),
    ("kernel", "etc/fstab"),
    ("kernel", "etc/default/grub"),
    ("containers", "etc/docker/daemon.json"),
    ("containers", "etc/containers/systemd/web.container"),
    ("scheduled", "etc/crontab"),
    ("scheduled", "etc/cron.d/own"),
    ("sshd", "etc/ssh/sshd_config"),
    ("certificates", "etc/ssl/certs/ca-certificates.crt"),
    ("logging", "etc/systemd/journald.conf"),
    ("logging", "etc/rsyslog.conf"),
    ("logging", "etc/audit/audit.rules"),
    ("vpn", "etc/wireguard/wg0.conf"),
    ("vpn", "etc/ipsec.conf"),
];

/// cron reads regular files alone, and passes over the rest.
const OF_CRON: [&str; 2] = ["etc/crontab", "etc/cron.d/own"];

/// A root file system in the making, and a baseline by which only what cannot be seen keeps a check from passing.
struct Root {
    folder: TempDir,
}

impl Root {
    fn new() -> Self {
        let folder = TempDir::with_prefix("plumbline-hostile-").unwrap();
        let root = Self { folder };
        root.file("usr/lib/systemd/systemd", b"");
        root.file("usr/sbin/sshd", b"");
        root.file("usr/lib/os-release", b"ID=debian\nVERSION_ID=\"12\"\n");
        root.file(
            "var/lib/dpkg/status",
            b"Package: base\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n",
        );
        fs::create_dir_all(root.path("var/lib/apt/lists")).unwrap();
        let names: BTreeSet<&str> = READ.iter().map(|(probe, _)| *probe).collect();
        let rules: String = names
            .iter()
            .map(|name| {
                format!(
                    "  - {{id: see-{name}, title: t, severity: low, why: w, fix: f, assert: '{name}.items.size() + {name}.state.size() >= 0'}}\n"
                )
            })
            .collect();
        let roots = format!(
            "  - {{id: roots, title: t, severity: low, why: w, fix: f, certificates: {{roots: ['{:064}']}}}}\n",
            0
        );
        fs::write(root.baseline(), format!("baseline: seen\nversion: 1\ntitle: t\nrules:\n{rules}{roots}")).unwrap();
        root
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("root").join(path)
    }

    fn baseline(&self) -> std::path::PathBuf {
        self.folder.path().join("seen.yaml")
    }

    fn file(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// `check`, what it says, and the most memory it held.
    #[track_caller]
    fn check(&self) -> (Ran, Vec<Value>) {
        let ran = self.measured(&["check", "--format", "json"]);
        let findings = ran.json()["findings"].as_array().unwrap().clone();
        assert!(!findings.is_empty());
        (ran, findings)
    }

    #[track_caller]
    fn facts(&self) -> Value {
        self.measured(&["facts"]).ok().json()
    }

    #[track_caller]
    fn measured(&self, words: &[&str]) -> Ran {
        let begun = Instant::now();
        let mut command = Command::new("python3");
        command.args(["-c", MEASURE]).arg(binary("plumbline")).args(words);
        command.arg("--root").arg(self.path("")).arg("--baseline").arg(self.baseline());
        let ran = run(command.env_clear().env("PATH", "/usr/bin:/bin"));
        let took = begun.elapsed();
        let held = held(&ran).saturating_sub(idle());
        println!("{}: ended with {} after {took:?}, at most {} MiB more than idle", words[0], ran.code, held >> 20);
        assert!(held <= MOST_MEMORY, "held {} MiB: {}", held >> 20, ran.stderr);
        ran
    }
}

/// What was measured, in bytes.
fn held(ran: &Ran) -> u64 {
    let last = ran.stderr.lines().last().unwrap_or_default();
    last.parse::<u64>().unwrap_or_else(|_| panic!("nothing was measured: {ran}")) * 1024
}

/// What the program holds when it looks at nothing.
fn idle() -> u64 {
    static IDLE: OnceLock<u64> = OnceLock::new();
    *IDLE.get_or_init(|| {
        let mut command = Command::new("python3");
        held(&run(command.args(["-c", MEASURE]).arg(binary("plumbline")).args(["baseline", "schema"]).env_clear()).ok())
    })
}

/// The text of every gap in facts.
fn gaps(facts: &Value) -> Vec<String> {
    match facts {
        Value::Object(map) => match map.get("gap") {
            Some(gap) if gap["kind"].is_string() => vec![format!("{} {}: {}", gap["kind"], gap["what"], gap["detail"])],
            _ => map.values().flat_map(gaps).collect(),
        },
        Value::Array(list) => list.iter().flat_map(gaps).collect(),
        _ => Vec::new(),
    }
}

/// Puts something else in the place of each file that probes read, of all and of each alone, and asks that it is said; but of those
/// that the program they are for passes over too.
#[track_caller]
fn in_place_of_each_file(expected: &str, passed_over: &[&str], place: impl Fn(&Path)) {
    let put = |root: &Root, path: &str| {
        fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
        let _ = fs::remove_file(root.path(path));
        place(&root.path(path));
    };
    let root = Root::new();
    for (_, path) in READ {
        put(&root, path);
    }
    let (check, findings) = root.check();
    assert_eq!(check.code, 3, "{check}");
    let unknown =
        |probe: &str| findings.iter().any(|one| one["rule"] == format!("see-{probe}") && one["status"] == "unknown");
    let silent: BTreeSet<&str> = READ.iter().map(|(probe, _)| *probe).filter(|probe| !unknown(probe)).collect();
    assert!(silent.is_empty(), "nothing was unknown to {silent:?}");
    // Each alone, that no other gap stands before it.
    let mut unsaid = Vec::new();
    for (probe, path) in READ {
        let root = Root::new();
        put(&root, path);
        let mut facts = Command::new(binary("plumbline"));
        facts.args(["facts", probe, "--baseline"]).arg(root.baseline()).arg("--root").arg(root.path(""));
        let said = gaps(&run(facts.env_clear()).ok().json());
        let named = said.iter().any(|gap| gap.contains(&format!("/{path}")) && gap.contains(expected));
        if named == passed_over.contains(&path) {
            unsaid.push(format!("{probe}: {path}: {said:.300?}"));
        }
    }
    assert!(unsaid.is_empty(), "no gap says {expected:?} of\n  {}", unsaid.join("\n  "));
}

#[test]
fn a_link_in_a_loop_is_a_gap_that_names_the_file() {
    // A configuration folder's link that leads nowhere is passed over, by systemd-sysctl and modprobe too.
    in_place_of_each_file("too many symbolic links", &["etc/sysctl.d/own.conf", "etc/modprobe.d/own.conf"], |path| {
        let other = path.with_extension("loop");
        symlink(other.file_name().unwrap(), path).unwrap();
        symlink(path.file_name().unwrap(), other).unwrap();
    });
}

#[test]
fn a_fifo_is_a_gap_and_nothing_waits_for_its_writer() {
    in_place_of_each_file("a FIFO, socket or device", &OF_CRON, |path| {
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    });
}

#[test]
fn a_socket_is_a_gap() {
    in_place_of_each_file("a FIFO, socket or device", &OF_CRON, |path| {
        // By the folder, for the name of a socket may not be long.
        let folder = File::open(path.parent().unwrap()).unwrap();
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&folder);
        let name = path.file_name().unwrap().to_str().unwrap();
        drop(UnixListener::bind(format!("/proc/self/fd/{descriptor}/{name}")).unwrap());
    });
}

#[test]
fn a_gigabyte_in_place_of_a_file_is_a_gap_and_is_not_read() {
    in_place_of_each_file("larger than", &[], |path| File::create(path).unwrap().set_len(1 << 30).unwrap());
}

#[test]
fn a_gigabyte_in_place_of_a_database_of_packages_is_a_gap() {
    for path in [
        "var/lib/rpm/rpmdb.sqlite",
        "usr/lib/sysimage/rpm/Packages.db",
        "var/lib/rpm/Packages",
        "lib/apk/db/installed",
        "var/lib/pacman/local/bash-1-1/desc",
    ] {
        let root = Root::new();
        root.file(path, b"");
        File::create(root.path(path)).unwrap().set_len(1 << 30).unwrap();
        let facts = root.facts();
        let said = gaps(&facts["packages"]);
        assert!(said.iter().any(|gap| gap.contains(path)), "{path}: {said:?}");
        assert_eq!(root.check().0.code, 3);
    }
}

#[test]
fn names_that_are_no_text_are_shown_escaped_and_still_count() {
    let root = Root::new();
    for (_, path) in READ {
        let folder = root.path(path).parent().unwrap().to_owned();
        fs::create_dir_all(&folder).unwrap();
        for name in [&b"\xff\xfe"[..], b"a\nb", b"\x1b[2J", b"\xe2\x80\xaex", b"'\"$(x)\\"] {
            fs::write(folder.join(OsStr::from_bytes(name)), b"7 * * * * root x\n").unwrap();
        }
    }
    for folder in ["etc/sudoers.d", "etc/apt/sources.list.d", "home", "var/spool/cron/crontabs"] {
        fs::create_dir_all(root.path(folder)).unwrap();
        fs::write(root.path(folder).join(OsStr::from_bytes(b"\xff")), b"ava ALL=(ALL) NOPASSWD: ALL\n").unwrap();
    }
    root.file("etc/sudoers", b"root ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n");
    root.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nava:x:1:1::/h\xff:/bin/sh\n\xff:x:2:2::/:/\n");
    root.file("etc/group", b"root:x:0:\n\xff:x:27:\xff,ava\n");
    let (check, _) = root.check();
    assert!([0, 1, 3].contains(&check.code), "{check}");
    let text = serde_json::to_string(&root.facts()["admins"]).unwrap();
    assert!(text.contains("NOPASSWD") && text.contains("ava") && text.contains("\\\\xff"), "{text}");
    let human = root.measured(&["check"]).stdout;
    assert!(!human.contains('\u{1b}') && !human.contains('\u{202e}'), "{human:?}");
}

/// Somebody writes it anew again and again, in pieces, as no package manager should.
#[test]
fn a_database_that_is_written_while_it_is_read_is_whole_or_a_gap() {
    const PACKAGES: usize = 400;
    let root = Root::new();
    let stanza = |at: usize| {
        format!("Package: p{at}\nStatus: install ok installed\nArchitecture: all\nVersion: {at}\nDescription: d\n\n")
    };
    let whole: String = (0..PACKAGES).map(stanza).collect();
    root.file("var/lib/dpkg/status", whole.as_bytes());
    let path = root.path("var/lib/dpkg/status");
    let stop = AtomicBool::new(false);
    let (mut seen_whole, mut seen_gap) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                use std::io::Write as _;
                let mut file = File::create(&path).unwrap();
                // 37 does not divide a stanza: no piece ends where one does.
                for piece in whole.as_bytes().chunks(whole.len() / 37) {
                    file.write_all(piece).unwrap();
                    std::thread::yield_now();
                }
            }
        });
        for _ in 0..30 {
            let mut facts = Command::new(binary("plumbline"));
            let ran = run(facts.args(["facts", "packages", "--root"]).arg(root.path("")).env_clear());
            // Not asserted here, or the writer would never be told to stop.
            let facts: Option<Value> = serde_json::from_str(&ran.stdout).ok();
            let facts = facts.unwrap_or_default();
            let seen = facts["packages"]["items"]
                .as_object()
                .map_or(0, |items| items.values().filter(|item| item["name"].is_string()).count());
            match (ran.code, seen, gaps(&facts).is_empty()) {
                (0, PACKAGES, true) => seen_whole += 1,
                (0, _, false) => seen_gap += 1,
                other => {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{other:?}: {}", ran.stderr);
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("of 30 looks {seen_whole} saw all of it and {seen_gap} said that they did not");
    assert!(seen_gap > 0, "it was never met while it was written");
}

#[test]
fn a_million_packages_are_more_than_is_read_and_twenty_thousand_are_seen() {
    let stanza = |at: usize| format!("Package: p{at}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n");
    for (count, gap) in [(1_000_000, Some("larger than 32 MiB")), (300_000, Some("more than")), (20_000, None)] {
        let root = Root::new();
        root.file("var/lib/dpkg/status", (0..count).map(stanza).collect::<String>().as_bytes());
        println!("{count} packages");
        let (check, findings) = root.check();
        let status = |rule: &str| findings.iter().find(|one| one["rule"] == rule).unwrap()["status"].clone();
        match gap {
            Some(gap) => {
                assert_eq!((check.code, status("see-packages")), (3, "unknown".into()));
                let said = gaps(&root.facts()["packages"]);
                assert!(said.iter().any(|one| one.contains(gap)), "{said:?}");
            }
            None => assert_eq!(status("see-packages"), "pass"),
        }
    }
}

#[test]
fn a_folder_of_too_many_files_is_a_gap() {
    let root = Root::new();
    fs::create_dir_all(root.path("etc/cron.d")).unwrap();
    for at in 0..100_001 {
        File::create(root.path("etc/cron.d").join(at.to_string())).unwrap();
    }
    let said = gaps(&root.facts()["scheduled"]);
    assert!(said.iter().any(|gap| gap.contains("/etc/cron.d") && gap.contains("entries")), "{said:?}");
}

#[test]
fn includes_in_a_loop_end_and_are_a_gap() {
    let root = Root::new();
    root.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n");
    root.file("etc/group", b"root:x:0:\n");
    root.file("etc/sudoers", b"root ALL=(ALL) ALL\n@include /etc/sudoers.d/a\n@includedir /etc/sudoers.d\n");
    root.file("etc/sudoers.d/a", b"@include /etc/sudoers.d/b\nava ALL=(ALL) ALL\n");
    root.file("etc/sudoers.d/b", b"@include /etc/sudoers.d/a\n@include /etc/sudoers\n");
    root.file("etc/ssh/sshd_config", b"Include /etc/ssh/sshd_config\nInclude /etc/ssh/*\n");
    symlink(".", root.path("etc/ssh/more.d")).unwrap();
    let (check, findings) = root.check();
    assert_eq!(check.code, 3, "{check}");
    for rule in ["see-admins", "see-sshd"] {
        let found = findings.iter().find(|one| one["rule"] == rule).unwrap();
        assert_eq!(found["status"], "unknown", "{found:#}");
    }
    let facts = root.facts();
    let said = [gaps(&facts["admins"]), gaps(&facts["sshd"])].concat();
    assert!(said.iter().any(|gap| gap.contains("sudoers")) && said.iter().any(|gap| gap.contains("ssh")), "{said:?}");
}
