//! Probes of what a booted Debian does, against what its own systemd, cron, at, journald, rsyslog and ClamAV say of it: which units there are and how
//! they are, which timers run what and when, who logs where, what guards the host. Needs root.

use std::collections::{BTreeMap, BTreeSet};

use plumbline_tests::netns::Switch;
use plumbline_tests::nspawn::RealHost;
use plumbline_tests::processes::{eventually, static_agent};
use plumbline_tests::root;
use serde_json::Value;

mod hosts_units {
    pub mod systemd;
}

use hosts_units::systemd;

/// The release that has systemd, cron, at, rsyslog, auditd and ClamAV; see `tests/roots`.
const BUSY: &str = "bookworm-busy";

/// In it auditd finds no audit and fails, and would be started again and again, which no two looks agree on. sshd, which its root has no keys for, would be started again and again.
#[track_caller]
fn boot(switch: &Switch) -> RealHost {
    let host = RealHost::boot(switch, &root::debian(BUSY), "busy", &[(static_agent(), "/usr/bin/plumbline")]);
    host.write("/etc/systemd/system/auditd.service.d/once.conf", b"[Service]\nRestart=no\n");
    host.shell("systemctl daemon-reload; ssh-keygen -A; systemctl reset-failed ssh; systemctl restart ssh");
    host
}

/// The facts of these probes, asked for by a unit of the host's own.
#[track_caller]
fn facts(host: &RealHost, probes: &[&str]) -> Value {
    host.run_as_unit(&[&["plumbline", "facts", "--format", "json"], probes].concat()).ok().json()
}

#[track_caller]
fn object(value: &Value) -> BTreeMap<String, Value> {
    assert!(value.is_object() && value["gap"].is_null(), "{value:#}");
    value.as_object().unwrap().clone().into_iter().collect()
}

/// Prints how many agree, and fails with those that do not.
#[track_caller]
fn agreed<T: PartialEq + std::fmt::Debug>(what: &str, host: &BTreeMap<String, T>, seen: &BTreeMap<String, T>) {
    let names: BTreeSet<&String> = host.keys().chain(seen.keys()).collect();
    let differ: Vec<String> = names
        .iter()
        .filter(|name| host.get(**name) != seen.get(**name))
        .map(|name| format!("{name}: the host {:?}, plumbline {:?}", host.get(*name), seen.get(*name)))
        .collect();
    println!("{what}: {} of {} agreed", names.len() - differ.len(), names.len());
    assert!(!names.is_empty() && differ.is_empty(), "{what}:\n{}", differ.join("\n"));
}

/// Units of each kind and fate, by hand.
fn set_up_units(host: &RealHost) {
    let service = |text: &str| format!("[Service]\n{text}\n[Install]\nWantedBy=multi-user.target\n");
    for (name, text) in [
        ("fails", "ExecStart=/bin/false"),
        ("flaps", "ExecStart=/bin/false\nRestart=always\nRestartSec=1h"),
        ("exited", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true"),
        ("gone", "Type=oneshot\nExecStart=/bin/true"),
        ("sleeps", "ExecStart=/bin/sleep infinity"),
        ("masked", "ExecStart=/bin/true"),
        ("later", "ExecStart=/bin/true"),
        ("sleeps@", "ExecStart=/bin/sleep infinity"),
    ] {
        host.write(&format!("/usr/lib/systemd/system/{name}.service"), service(text).as_bytes());
    }
    host.write("/opt/own.service", service("ExecStart=/bin/sleep infinity").as_bytes());
    host.write(
        "/usr/lib/systemd/system/ear.socket",
        b"[Socket]\nListenStream=/run/ear\nAccept=yes\n[Install]\nWantedBy=sockets.target\n",
    );
    host.write("/usr/lib/systemd/system/ear@.service", b"[Service]\nExecStart=/bin/true\n");
    host.write("/etc/systemd/system/later.service.d/own.conf", b"[Install]\nAlias=much-later.service\n");
    for (name, text) in [
        ("daily", "OnCalendar=*-*-* 03:00\nUnit=gone.service"),
        ("often", "OnBootSec=1h\nOnUnitActiveSec=1h 30min"),
        ("two", "OnCalendar=hourly\nOnCalendar=Mon 12:00\nRandomizedDelaySec=5"),
        ("idle", "OnCalendar=yearly"),
    ] {
        host.write(&format!("/usr/lib/systemd/system/{name}.service"), b"[Service]\nExecStart=/bin/true\n");
        let timer = format!("[Timer]\n{text}\n[Install]\nWantedBy=timers.target\n");
        host.write(&format!("/usr/lib/systemd/system/{name}.timer"), timer.as_bytes());
    }
    host.write("/etc/systemd/system/daily.timer.d/own.conf", b"[Timer]\nOnCalendar=\nOnCalendar=*-*-* 04:30\n");
    host.shell(
        "systemctl daemon-reload
         systemctl enable --now fails flaps exited gone sleeps sleeps@one ear.socket daily.timer often.timer two.timer || true
         systemctl link /opt/own.service; systemctl start own sleeps@two
         systemctl enable later; systemctl enable --runtime sleeps@three
         systemctl mask masked; systemctl mask --runtime idle.service",
    );
}

#[test]
fn units_of_a_booted_host_are_as_systemctl_says() {
    let switch = Switch::new();
    let host = boot(&switch);
    set_up_units(&host);
    // Between two looks of systemctl that say the same, nothing moved.
    let (states, seen) = eventually("a moment in which no unit changes", || {
        let before = systemd::states(&host);
        let seen = facts(&host, &["services"]);
        (before == systemd::states(&host)).then_some((before, seen))
    });
    let state = object(&seen["services"]["state"]);
    let state = state.into_iter().filter(|(unit, _)| !unit.starts_with("run-u"));
    let state: BTreeMap<String, String> =
        state.map(|(unit, state)| (unit, state.as_str().unwrap().to_owned())).collect();
    for (unit, expected) in
        [("fails", "failed"), ("flaps", "restarting"), ("exited", "exited"), ("sleeps@two", "active")]
    {
        assert_eq!(states.get(&format!("{unit}.service")).map(String::as_str), Some(expected));
    }
    agreed("states of units", &states, &state);

    let files = systemd::files(&host);
    let items = object(&seen["services"]["items"]);
    let enablement = |unit: &Value| unit["enablement"].as_str().map(str::to_owned);
    let mut items: BTreeMap<String, String> =
        items.into_iter().filter_map(|(name, unit)| Some((name, enablement(&unit)?))).collect();
    // Instances are in no list of files; is-enabled tells of them.
    let listed: BTreeSet<String> = files.keys().cloned().collect();
    let instances: BTreeMap<String, String> = items.extract_if(.., |name, _| !listed.contains(name)).collect();
    agreed("unit files", &files, &items);
    assert!(instances.len() >= 3, "{instances:?}");
    let asked = |name: &String| host.run(&["systemctl", "is-enabled", name]).stdout.trim().to_owned();
    agreed("instances", &instances.keys().map(|name| (name.clone(), asked(name))).collect(), &instances);
}

#[test]
fn timers_and_jobs_of_a_booted_host_are_as_its_own_tools_say() {
    let switch = Switch::new();
    let host = boot(&switch);
    set_up_units(&host);
    host.shell("echo 'touch /run/at' | at -q c now + 2 hours; echo true | at 23:59 2030-05-06");
    let jobs = object(&facts(&host, &["scheduled"])["scheduled"]["items"]);
    let would_run: BTreeMap<String, &Value> = jobs
        .iter()
        .filter(|(_, job)| job["ignored"].is_null())
        .filter_map(|(subject, job)| Some((subject.strip_prefix("timer:")?.to_owned(), job)))
        .collect();

    // A timer that is enabled and whose conditions do not hold here is no active one; systemctl says so.
    let skipped = systemd::skipped(&host, would_run.keys());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let runs = would_run.iter().filter(|(name, _)| !skipped.contains(*name));
    let runs: BTreeMap<String, String> = runs.map(|(name, job)| (name.clone(), text(&job["program"]))).collect();
    println!("{} timers are enabled and skipped by a condition: {skipped:?}", skipped.len());
    agreed("what timers run", &systemd::timers(&host), &runs);

    let when = runs.keys().map(|name| (name.clone(), systemd::plain(&host, &text(&would_run[name]["when"]))));
    let shown = runs.keys().map(|name| (name.clone(), systemd::when(&host, name)));
    agreed("when timers run", &shown.collect(), &when.collect());

    let at = jobs.iter().filter_map(|(subject, job)| Some((subject.strip_prefix("at:")?, job)));
    let at: BTreeMap<String, String> = at
        .map(|(path, job)| {
            let name = path.rsplit('/').next().unwrap();
            (
                u32::from_str_radix(&name[1..6], 16).unwrap().to_string(),
                format!("{} {}", &name[..1], text(&job["when"])),
            )
        })
        .collect();
    let listed = host.shell("atq | while read -r number day month date time year queue user; do echo \"$number $queue $(date -u -d \"$date $month $year $time\" +%Y-%m-%dT%H:%MZ)\"; done");
    let listed = listed.lines().filter_map(|line| line.split_once(' '));
    agreed("jobs of at", &listed.map(|(number, rest)| (number.to_owned(), rest.to_owned())).collect(), &at);
}

/// Lines of an anacrontab, good and bad, each with a job of its own name.
const ANACRONTAB: &str = r"SHELL=/bin/sh
A = b
1 0 plain true
@monthly 0 monthly true
@weekly 0 weekly true
@fortnight 0 fortnight true
@ 0 nothing true
x 0 letter true
1 x late true
1 -1 before true
-1 0 negative true
+1 0 signed true
1.5 0 half true
0 0 zero true
01 00 zeros true
1	0	tabs	true
   7   0   blanks   true
1 0 commandless
1 0 with=sign true
1 0 with/slash true
99999999999 0 large true
1 99999999999 long true
1 0 continued true \
1 0 continuing true
1 0 dotted.name X=1 true # no comment
=x 0 unnamed true
# 1 0 comment true
nonsense
1
  1 0 last true
";

#[test]
fn jobs_of_anacron_are_those_it_would_run() {
    let switch = Switch::new();
    let host = boot(&switch);
    host.write("/etc/anacrontab", ANACRONTAB.as_bytes());
    host.shell("mkdir /run/anacron");
    let said = host.run(&["anacron", "-d", "-f", "-n", "-s", "-S", "/run/anacron"]).ok().stderr;
    let would = said.lines().filter_map(|line| line.strip_prefix("Will run job `")?.strip_suffix('\''));
    let would: BTreeMap<String, ()> = would.map(|job| (job.to_owned(), ())).collect();
    let items = object(&facts(&host, &["scheduled"])["scheduled"]["items"]);
    assert!(items["anacron:"]["gap"].is_object(), "lines anacron skips are told of");
    let jobs = items.iter().filter(|(_, job)| job["gap"].is_null());
    let seen = jobs.filter_map(|(subject, _)| Some((subject.strip_prefix("anacron:")?.to_owned(), ())));
    agreed("jobs of anacron", &would, &seen.collect());
    assert!(would.len() > 8, "{said}");
}

/// Whether each rule of `baseline` passes, by its id.
#[track_caller]
fn check(host: &RealHost, baseline: &str) -> BTreeMap<String, String> {
    host.write("/root/own.yaml", baseline.as_bytes());
    let said = host.run_as_unit(&["plumbline", "check", "--baseline", "/root/own.yaml", "--format", "json"]);
    let said = said.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    said["findings"].as_array().unwrap().iter().map(|one| (text(&one["rule"]), text(&one["status"]))).collect()
}

const LOGGING: &str = r"
baseline: own
version: 1
title: What this test asks
rules:
  - {id: persistent, title: kept, severity: low, why: A test asks., fix: None., logging: {persistent: true}}
  - {id: forwarded, title: sent, severity: low, why: A test asks., fix: None., logging: {forwarded: true}}
";

#[test]
fn logs_of_a_booted_host_are_kept_and_sent_as_the_probe_says() {
    let switch = Switch::new();
    let host = boot(&switch);
    host.shell("systemctl disable --now rsyslog; rm -rf /var/log/journal");
    let (mut right, mut asked) = (0, 0);
    for storage in ["auto", "persistent", "volatile", "none"] {
        for folder in [false, true] {
            host.shell(&format!("rm -rf /var/log/journal; {}", if folder { "mkdir /var/log/journal" } else { "true" }));
            host.write("/etc/systemd/journald.conf.d/9.conf", format!("[Journal]\nStorage={storage}\n").as_bytes());
            host.shell("systemctl reset-failed systemd-journald; systemctl restart systemd-journald; journalctl --flush; logger mark; journalctl --sync");
            let kept = !host.shell("find /var/log/journal -name '*.journal' 2>/dev/null || true").is_empty();
            let said = &check(&host, LOGGING)["persistent"];
            asked += 1;
            right += usize::from((said == "pass") == kept);
            assert_eq!(said == "pass", kept, "Storage={storage}, folder {folder}: {said}");
        }
    }
    println!("journals kept over a boot: {right} of {asked} agreed");

    host.write(
        "/etc/rsyslog.d/9-own.conf",
        b"*.* action(type=\"omfwd\" target=\"192.0.2.1\" port=\"6514\" protocol=\"tcp\")\n",
    );
    assert_eq!(host.run(&["rsyslogd", "-N1"]).code, 0);
    assert_eq!(check(&host, LOGGING)["forwarded"], "deviation", "rsyslog is off");
    host.shell("systemctl enable --now rsyslog");
    assert_eq!(check(&host, LOGGING)["forwarded"], "pass");
    println!("forwarding while rsyslog is off and on: 2 of 2 agreed");
}

const PROTECTION: &str = r"
baseline: own
version: 1
title: What this test asks
rules:
  - {id: guarded, title: guarded, severity: low, why: A test asks., fix: None., protection: {any_of: [clamav]}}
  - {id: fresh, title: fresh, severity: low, why: A test asks., fix: None., protection: {definitions_age: 3d}}
";

#[test]
fn clamd_guards_a_booted_host_while_it_runs() {
    let switch = Switch::new();
    let host = boot(&switch);
    assert_eq!(check(&host, PROTECTION)["guarded"], "deviation", "without definitions it does not start");
    // Headers as the makers write them, without their signature: clamd refuses such a database, and fails.
    host.shell(
        "cd /tmp && touch COPYING && echo 'Plumbline.Test-1:0:*:706c756d626c696e652d74657374' >daily.ndb && cp daily.ndb main.ndb
         for name in daily main; do
           SIGNDUSER=own sigtool --unsigned --cvd-version=27 --build=$name.cud </dev/null >&2
           cp $name.cud /var/lib/clamav/$name.cld
         done
         systemctl start clamav-daemon",
    );
    eventually("clamd to give up", || {
        host.run(&["systemctl", "is-failed", "clamav-daemon"]).stdout.contains("failed").then_some(())
    });
    assert_eq!(check(&host, PROTECTION)["guarded"], "deviation", "it cannot load them");
    host.shell(
        "mkdir /opt/signatures && cp /tmp/daily.ndb /opt/signatures && chmod -R a+rX /opt/signatures
         sed -i 's|^DatabaseDirectory .*|DatabaseDirectory /opt/signatures|' /etc/clamav/clamd.conf
         systemctl restart clamav-daemon",
    );
    eventually("clamd to be ready", || host.journal("clamav-daemon").contains("Self checking").then_some(()));
    let said = check(&host, PROTECTION);
    assert_eq!((said["guarded"].as_str(), said["fresh"].as_str()), ("pass", "pass"));
    let info = host.shell("sigtool --info /var/lib/clamav/daily.cld | sed -n 's/^Version: //p'");
    let version = &facts(&host, &["protection"])["protection"]["state"]["definitions:clamav/daily"]["version"];
    assert_eq!(version.to_string(), info.trim());
    host.shell("systemctl stop clamav-daemon");
    assert_eq!(check(&host, PROTECTION)["guarded"], "deviation");
    println!("clamd without definitions, with bad ones, running and stopped; their age and version: 6 of 6 agreed");
}
