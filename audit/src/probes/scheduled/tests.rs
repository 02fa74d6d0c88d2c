//! Scheduled jobs on hosts made by hand.

use std::collections::BTreeMap;

use super::*;
use crate::finding::Status;
use crate::host::{Declared, GapKind, Recorded};

fn host() -> Recorded {
    Recorded::new().file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nava:x:1000:1000::/home/ava:/bin/sh\n")
}

fn observed(host: &Recorded) -> Observed<Item> {
    Scheduled::collect(&Declared::new(host, Scheduled::READS, Scheduled::ASKS)).items
}

/// What is seen, with what it says; digests of lines left out.
fn told(host: &Recorded) -> Vec<String> {
    let items = observed(host);
    assert_eq!(items.gaps, BTreeMap::new());
    let plain = |subject: &str| subject.split('#').next().unwrap_or_default().to_owned();
    items
        .seen
        .iter()
        .map(|(subject, item)| match item {
            Item::Job(job) => {
                let ignored = job.ignored.as_ref().map(|why| format!(" !{why}")).unwrap_or_default();
                format!("{} {} [{}] {}{ignored}", plain(subject), job.user, job.when, job.program)
            }
            Item::Environment { .. } | Item::File { .. } | Item::Access { .. } => {
                format!("{subject} {}", Scheduled::say(item).split(" (").next().unwrap_or_default())
            }
        })
        .collect()
}

fn status(yaml: &str, host: &Recorded) -> (Status, String) {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Scheduled::check_expectation(&expect).unwrap();
    let told = judge::judge(&expect, &observed(host));
    assert_eq!(told.len(), 1, "{told:?}");
    (told[0].status, told[0].subject.split('#').next().unwrap_or_default().to_owned())
}

#[test]
fn a_system_crontab_names_its_users_and_a_users_own_does_not() {
    let host = host()
        .file("/etc/crontab", "SHELL=/bin/sh\n# m h dom mon dow user command\n17 *\t* * *\troot    cd / && run-parts x\n@daily ava /opt/a --b\n")
        .file("/var/spool/cron/crontabs/ava", "MAILTO=\"\"\n*/5 * * * * FOO=bar /opt/sync\n")
        .with_stat("/var/spool/cron/crontabs/ava", |stat| (stat.mode, stat.uid) = (0o600, 1000));
    assert_eq!(
        told(&host),
        [
            "cron:/etc/crontab root [17 * * * *] cd",
            "cron:/etc/crontab ava [@daily] /opt/a",
            "cron:/var/spool/cron/crontabs/ava ava [*/5 * * * *] /opt/sync",
            "environment:/etc/crontab sets SHELL",
            "environment:/var/spool/cron/crontabs/ava sets MAILTO",
        ]
    );
}

#[test]
fn a_password_in_a_command_is_shown_and_sent_nowhere() {
    let lines = [
        "/usr/bin/mysqldump -phunter2 all",
        "PGPASSWORD=hunter2 pg_dump all",
        "TOKEN=\"x hunter2\" push",
        "TOKEN='x hunter2",
        "hunter2://user@host",
        "\"hunter2\" x",
    ];
    for line in lines {
        let host = host().file("/etc/cron.d/x", format!("KEY=hunter2\n1 2 3 4 5 root {line}\n"));
        let items = observed(&host);
        assert_eq!(items.seen.len(), 2, "{line}");
        assert!(!serde_json::to_string(&items).unwrap().contains("hunter2"), "{line}");
        for item in items.seen.values() {
            assert!(!Scheduled::say(item).contains("hunter2"), "{line}");
        }
    }
    let host = host().file("/etc/crontab", "nonsense hunter2\n");
    assert!(!serde_json::to_string(&observed(&host)).unwrap().contains("hunter2"), "in a gap");
}

#[test]
fn a_changed_argument_is_another_job() {
    let of = |argument: &str| observed(&host().file("/etc/crontab", format!("1 2 3 4 5 root /bin/x {argument}\n")));
    assert_ne!(of("a").seen.keys().collect::<Vec<_>>(), of("b").seen.keys().collect::<Vec<_>>());
    let moved = observed(&host().file("/etc/crontab", "# more\n\n1  2 3 4\t5 root   /bin/x a\n"));
    assert_eq!(of("a"), moved);
}

#[test]
fn what_cron_passes_over_is_told_with_the_reason() {
    let line = "1 2 3 4 5 root /bin/x\n";
    let own = "1 2 3 4 5 /bin/x\n";
    let host = host()
        .file("/etc/cron.d/a.bak", line)
        .file("/etc/cron.d/b", line)
        .with_stat("/etc/cron.d/b", |stat| stat.mode = 0o664)
        .file("/etc/cron.d/c", line.trim_end())
        .file("/etc/cron.daily/d", "#!/bin/sh\n")
        .file("/var/spool/cron/crontabs/gone", own)
        .file("/var/spool/cron/crontabs/ava", own);
    assert_eq!(
        told(&host),
        [
            "cron:/etc/cron.d/a.bak root [1 2 3 4 5] /bin/x !the name of its file",
            "cron:/etc/cron.d/b root [1 2 3 4 5] /bin/x !its mode",
            "cron:/etc/cron.d/c root [1 2 3 4 5] /bin/x !no newline at its end",
            "cron:/var/spool/cron/crontabs/ava ava [1 2 3 4 5] /bin/x !its mode",
            "cron:/var/spool/cron/crontabs/gone gone [1 2 3 4 5] /bin/x !no such user",
            "script:/etc/cron.daily/d root [daily] /etc/cron.daily/d !it is not executable",
        ]
    );
    assert_eq!(status("only: []", &host).0, Status::Pass, "none of them runs");
    assert_eq!(status("absent: [\"script:*\"]", &host), (Status::Deviation, "script:/etc/cron.daily/d".into()));
}

#[test]
fn cronie_is_less_strict_about_names_and_newlines() {
    let host = host().file("/usr/sbin/crond", "").file("/etc/cron.d/0hourly.x", "1 2 3 4 5 root /bin/x");
    assert_eq!(told(&host), ["cron:/etc/cron.d/0hourly.x root [1 2 3 4 5] /bin/x"]);
}

#[test]
fn a_line_that_is_not_understood_is_a_gap_and_never_a_pass() {
    let host = host().file("/etc/cron.d/x", "1 2 3 4 5 root /bin/x\n61 * * * * root /bin/y\n");
    let items = observed(&host);
    assert_eq!(items.gaps["cron:/etc/cron.d/x"].kind, GapKind::Malformed);
    assert_eq!(status("only: [\"cron:/etc/cron.d/x\"]", &host).0, Status::Unknown);
    let denied = Recorded::new().gap("/etc/cron.daily", GapKind::Denied);
    assert_eq!(status("only: [\"*\"]", &denied).0, Status::Unknown);
}

#[test]
fn anacron_and_at_are_seen() {
    let host = host()
        .file(
            "/etc/anacrontab",
            "SHELL=/bin/sh\n1\t5\tcron.daily\trun-parts --report /etc/cron.daily\n@monthly 15 m x\n",
        )
        .file("/var/spool/cron/atjobs/a0000101c9f0a3", "#!/bin/sh\nPASSWORD=hunter2\n")
        .with_stat("/var/spool/cron/atjobs/a0000101c9f0a3", |stat| stat.uid = 1000)
        .file("/var/spool/cron/atjobs/.SEQ", "1");
    assert_eq!(
        told(&host),
        [
            "anacron:cron.daily root [every 1 days, after 5 minutes] run-parts",
            "anacron:m root [@monthly, after 15 minutes] x",
            "at:/var/spool/cron/atjobs/a0000101c9f0a3 uid 1000 [2027-01-23T08:35Z] sh",
        ]
    );
    assert_eq!(status("users: [root]", &host).0, Status::Deviation);
}

#[test]
fn timers_are_told_with_what_they_run_and_whether_they_start() {
    let timer = "[Timer]\nOnCalendar=daily\nPersistent=true\n[Install]\nWantedBy=timers.target\n";
    let host = host()
        .file("/usr/lib/systemd/systemd", "")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/systemd/system/a.timer", timer)
        .symlink("/etc/systemd/system/timers.target.wants/a.timer", "/lib/systemd/system/a.timer")
        .file("/etc/systemd/system/a.timer.d/x.conf", "[Timer]\nOnCalendar=\nOnCalendar=hourly\nUnit=other.service\n")
        .file("/usr/lib/systemd/system/b.timer", timer)
        .file("/var/lib/systemd/linger/ava", "")
        .file("/home/ava/.config/systemd/user/timers.target.wants/c.timer", "[Timer]\nOnBootSec=1min\n");
    assert_eq!(
        told(&host),
        [
            "timer:a.timer root [OnCalendar=hourly] other.service",
            "timer:ava/c.timer ava [OnBootSec=1min] c.service",
            "timer:b.timer root [OnCalendar=daily] b.service !disabled",
        ]
    );
    assert_eq!(status("only: [\"timer:a*\"]", &host).0, Status::Pass);
    assert_eq!(status("present: [\"timer:b.timer\"]", &host).0, Status::Deviation);
    assert_eq!(status("users: [root]", &host).1, "timer:ava/c.timer");
}

#[test]
fn what_others_can_write_and_root_runs_is_told() {
    let host = host()
        .file("/etc/crontab", "")
        .file("/etc/cron.daily/x", "")
        .with_stat("/etc/cron.daily/x", |stat| stat.mode = 0o757);
    assert_eq!(status("files: safe", &host), (Status::Deviation, "file:/etc/cron.daily/x".into()));
    assert_eq!(status("files: safe", &Recorded::new().file("/etc/crontab", "")).0, Status::Pass);
}

#[test]
fn who_may_use_cron_is_told() {
    let host = host().file("/etc/cron.allow", "root\nava\n").file("/etc/at.deny", "");
    assert_eq!(told(&host), ["access:at all but nobody", "access:cron only root, ava"]);
}

#[test]
fn an_expectation_that_asks_nothing_is_refused() {
    for yaml in ["{}", "present: []", "users: []"] {
        assert!(Scheduled::check_expectation(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
    assert!(serde_yaml::from_str::<Expect>("files: clean").is_err());
}
