//! The scheduled probe against Debian's own cron: of many crontabs, which does it run, and which does it pass over? Every file
//! holds a job for `@reboot`, which cron runs as soon as it starts, so nothing waits for a minute to end. Needs root.
//! `hosts_units` compares timers, at's and anacron's jobs on a booted host.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::{Running, eventually, run};
use tempfile::TempDir;

/// Times as people write them, well and badly.
const TIMES: &[&str] = &[
    "* * * * *",
    "*/5 * * * *",
    "0 0 1 1 0",
    "59 23 31 12 7",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 0 *",
    "* * * 13 *",
    "* * * * 8",
    "1-5 * * * *",
    "5-1 * * * *",
    "1-5/2 * * * *",
    "1,2,3 * * * *",
    "1,,2 * * * *",
    "1, * * * *",
    "*/0 * * * *",
    "*/60 * * * *",
    "0 0 * jan mon",
    "0 0 * JAN Mon",
    "0 0 * january *",
    "0 0 * * monday",
    "0 0 * jan-mar *",
    "0 0 * * mon-fri",
    "0 0 * * fri-mon",
    "0 0 * * sun",
    "0 0 * * 0,7",
    "@daily",
    "@hourly",
    "@midnight",
    "@yearly",
    "@annually",
    "@weekly",
    "@monthly",
    "@often",
    "@",
    "x * * * *",
    "1.5 * * * *",
    "-1 * * * *",
    "* * * *",
    "*/5,7 * * * *",
    "*-5 * * * *",
    "00 007 * * *",
    "1-2-3 * * * *",
    "1/2 * * * *",
    "+1 * * * *",
    "@DAILY",
    "@Hourly",
    "99-1 * * * *",
    "5-99 * * * *",
    "*/x * * * *",
    "1-x * * * *",
    "*5 * * * *",
    "0-59/70 * * * *",
    "mon * * * *",
    "* * * 1mar *",
];

/// An `/etc` and a `/var/spool/cron`, and the jobs in them.
struct Crontabs {
    folder: TempDir,
    marks: BTreeSet<String>,
}

impl Crontabs {
    fn new() -> Self {
        let folder = TempDir::with_prefix("plumbline-cron-").unwrap();
        for path in ["etc/cron.d", "var/spool/cron/crontabs", "marks"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::copy("/etc/passwd", folder.path().join("etc/passwd")).unwrap();
        Self { folder, marks: BTreeSet::new() }
    }

    /// A crontab at `path` whose one job for now leaves a mark of that name, with `before` and `after` around it.
    fn add(&mut self, path: &str, before: &str, user: &str, after: &str) -> PathBuf {
        let mark = Path::new(path).file_name().unwrap().to_str().unwrap().to_owned();
        let file = self.folder.path().join(path);
        fs::write(&file, format!("{before}@reboot {user} touch /run/marks/{mark}{after}")).unwrap();
        let mode = if path.starts_with("var") { 0o600 } else { 0o644 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert!(self.marks.insert(mark), "{path} twice");
        file
    }

    /// The files whose job the probe says would run, by name; what is hidden by a gap would not.
    fn seen(&self) -> BTreeSet<String> {
        let facts = run(plumbline(&["facts", "scheduled", "--format", "json", "--root"]).arg(self.folder.path())).ok();
        let facts = facts.json();
        let items = facts["scheduled"]["items"].as_object().unwrap();
        let gaps: Vec<&String> = items.iter().filter(|(_, item)| item["gap"].is_object()).map(|(key, _)| key).collect();
        let runs = items.iter().filter(|(subject, item)| {
            let plain = subject.split('#').next().unwrap();
            item["when"] == "@reboot" && item["ignored"].is_null() && !gaps.iter().any(|gap| *gap == plain)
        });
        let name = |subject: &String| subject.split('#').next().unwrap().rsplit('/').next().unwrap().to_owned();
        runs.map(|(subject, _)| name(subject)).collect()
    }

    /// The files whose job cron runs.
    fn ran(&self, expected: &BTreeSet<String>) -> BTreeSet<String> {
        let set_up = "mount -t tmpfs -o mode=0755 none /run && mkdir /run/marks && mount --bind \"$1/marks\" /run/marks \
                      && touch /etc/crontab && mount --bind \"$1/etc/crontab\" /etc/crontab && mount --bind \"$1/etc/cron.d\" /etc/cron.d \
                      && mount --bind \"$1/var/spool/cron\" /var/spool/cron && echo ready && exec cron -f";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-c", set_up, "cron"]).arg(self.folder.path());
        let mut cron = Running::start("cron", &mut command);
        cron.wait_for("ready");
        let marks = || -> BTreeSet<String> {
            let entries = fs::read_dir(self.folder.path().join("marks")).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        // It starts all of them in one go, so none is to come once no more have come for a while.
        let mut last = (BTreeSet::new(), Instant::now());
        eventually("cron to run its jobs", || {
            let marks = marks();
            if marks != last.0 {
                last = (marks, Instant::now());
            }
            let is_quiet = last.1.elapsed() > Duration::from_secs(5);
            (last.0.contains("sentinel") && (last.0 == *expected || is_quiet)).then_some(())
        });
        cron.kill();
        marks()
    }
}

#[test]
fn what_the_probe_says_would_run_is_what_cron_runs() {
    let mut crontabs = Crontabs::new();
    for (number, time) in TIMES.iter().enumerate() {
        crontabs.add(&format!("etc/cron.d/time{number}"), &format!("{time} root true\n"), "root", "\n");
    }
    crontabs.add("etc/cron.d/sentinel", "", "root", "\n");
    crontabs.add("etc/crontab", "SHELL=/bin/sh\nPATH=/usr/bin:/bin\n", "root", "\n");
    // Names run-parts and cron pass over.
    for name in ["dotted.name", "backup~", "UPPER", "under_score", "with-hyphen", "dpkg.dpkg-old", "-hyphen"] {
        crontabs.add(&format!("etc/cron.d/{name}"), "", "root", "\n");
    }
    // Settings, comments, blanks and lines that are nothing.
    for (name, before) in [
        ("set", "A = b\n"),
        ("setquoted", "A = \"b c\"\n"),
        ("namequoted", "\"A\"=b\n"),
        ("setempty", "A=\n"),
        ("comment", "  # x\n\t\n"),
        ("nothing", "what is this\n"),
        ("noname", "=b\n"),
        ("nocommand", "* * * * * root\n"),
        ("nouser", "* * * * *\n"),
        ("tabs", "*\t*\t*\t*\t*\troot\ttrue\n"),
        ("leading", "   * * * * * root true\n"),
        ("spaced", "*  *  *  *  *  root  true\n"),
        ("digitname", "1A=b\n"),
        ("setsingle", "A='b'\n"),
        ("percent", "1 1 1 1 1 root date +\\%s%x\n"),
    ] {
        crontabs.add(&format!("etc/cron.d/{name}"), before, "root", "\n");
    }
    crontabs.add("etc/cron.d/cutoff", "", "root", "");
    crontabs.add("etc/cron.d/nosuchuser", "1 1 1 1 1 nosuchuser-x true\n", "root", "\n");
    for (name, mode) in
        [("mode666", 0o666), ("mode664", 0o664), ("mode600", 0o600), ("mode755", 0o755), ("mode444", 0o444)]
    {
        let file = crontabs.add(&format!("etc/cron.d/{name}"), "", "root", "\n");
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    let file = crontabs.add("etc/cron.d/owned", "", "root", "\n");
    chown(file, Some(1), Some(1)).unwrap();
    // Users' own, where no user stands in the line.
    for (user, mode, owner) in
        [("root", 0o600, 0), ("daemon", 0o600, 1), ("bin", 0o644, 2), ("sys", 0o600, 1), ("nobody-such", 0o600, 0)]
    {
        let file = crontabs.add(&format!("var/spool/cron/crontabs/{user}"), "", "", "\n");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        chown(file, Some(owner), None).unwrap();
    }
    fs::set_permissions(crontabs.folder.path().join("marks"), fs::Permissions::from_mode(0o777)).unwrap();

    let seen = crontabs.seen();
    let ran = crontabs.ran(&seen);
    let differ: Vec<String> = crontabs
        .marks
        .iter()
        .filter(|mark| seen.contains(*mark) != ran.contains(*mark))
        .map(|mark| {
            let time = mark.strip_prefix("time").and_then(|number| TIMES.get(number.parse::<usize>().ok()?));
            format!("{mark} {time:?}: cron {}, plumbline {}", ran.contains(mark), seen.contains(mark))
        })
        .collect();
    println!(
        "crontabs: {} of {} agreed, {} of them run",
        crontabs.marks.len() - differ.len(),
        crontabs.marks.len(),
        ran.len()
    );
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
