//! Real Debian hosts, booted with systemd, that enrol over TLS, drift by an administrator's hand and are flagged. Needs
//! root.
//!
//! The agent runs by the units it is packaged with. It is the statically linked one: the dynamic one asks for a newer
//! glibc than Debian 11 has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use plumbline_tests::certificates::Authority;
use plumbline_tests::collector::Collector;
use plumbline_tests::netns::Switch;
use plumbline_tests::nspawn::RealHost;
use plumbline_tests::processes::{eventually, run, static_agent};
use plumbline_tests::root;
use plumbline_tests::slack::{Slack, words};
use serde_json::Value;

/// A collector on a switch, its Slack, and what hosts need to join.
struct Site {
    switch: Switch,
    slack: Slack,
    authority: Authority,
    collector: Collector,
}

impl Site {
    #[track_caller]
    fn new() -> Self {
        let switch = Switch::new();
        let slack = Slack::on(switch.namespace().listen(([127, 0, 0, 1], 0).into()));
        let authority = Authority::new();
        let settings = format!("slack:\n  webhook: {}\n", slack.webhook());
        let collector = Collector::on_switch(&switch, &authority, &settings);
        Self { switch, slack, authority, collector }
    }

    /// Boots a host, installs the agent with its units, enrols it and starts both.
    #[track_caller]
    fn join(&self, suite: &str) -> RealHost {
        let begun = Instant::now();
        let root = root::debian(suite);
        let host = RealHost::boot(&self.switch, &root, suite, &[(static_agent(), "/usr/bin/plumbline")]);
        for unit in ["plumbline-collect.service", "plumbline-ship.service"] {
            host.write(&format!("/etc/systemd/system/{unit}"), &packaged(unit));
        }
        host.write("/usr/lib/sysusers.d/plumbline.conf", &packaged("plumbline.sysusers"));
        host.write("/etc/plumbline/ca.pem", self.authority.pem().as_bytes());
        host.write("/etc/plumbline/agent.yaml", b"interval: 1h\nsplay: 0s\n");
        host.shell("systemd-sysusers");
        let (url, token) = (self.collector.url(), self.collector.new_token());
        host.shell(&format!("plumbline enroll --collector {url} --token {token} --ca /etc/plumbline/ca.pem"));
        host.shell("systemctl daemon-reload; systemctl start plumbline-collect plumbline-ship");
        self.collector.inspect(suite);
        eventually(&format!("the first report of {suite}"), || {
            let seen = !self.collector.host(suite)["last_received"].is_null();
            assert!(
                seen || is_active(&host),
                "{}\n{}",
                host.journal("plumbline-collect"),
                host.journal("plumbline-ship")
            );
            seen.then_some(())
        });
        println!("{suite}: booted, enrolled and reported {:?} after it was asked for", begun.elapsed());
        host
    }

    /// Waits for an alert that holds each of `expected`.
    #[track_caller]
    fn alerted(&self, expected: &[&str]) {
        let begun = Instant::now();
        let mut count = 1;
        loop {
            let alerts: Vec<String> = self.slack.wait_for(count).iter().map(words).collect();
            if alerts.iter().any(|alert| expected.iter().all(|word| alert.contains(word))) {
                println!("{expected:?} alerted {:?} after it was done", begun.elapsed());
                return;
            }
            count = alerts.len() + 1;
        }
    }
}

/// The Debian releases that are booted; the long tier adds the next one.
fn suites() -> &'static [&'static str] {
    if plumbline_tests::long() { &["bookworm", "bullseye", "trixie"] } else { &["bookworm", "bullseye"] }
}

/// A file the agent is packaged with.
fn packaged(file: &str) -> Vec<u8> {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging/systemd");
    fs::read(units.join(file)).unwrap()
}

fn is_active(host: &RealHost) -> bool {
    host.run(&["systemctl", "is-active", "plumbline-collect", "plumbline-ship"]).code == 0
}

/// A tiny package, made here and installed there.
#[track_caller]
fn install(host: &RealHost, package: &str, version: &str) {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {package}\nVersion: {version}\nArchitecture: all\nMaintainer: Somebody <somebody@example.org>\n\
         Description: made for a test\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let file: PathBuf = folder.path().join("it.deb");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zxz", "-b"]).arg(&tree).arg(&file)).ok();
    host.write(&format!("/root/{package}.deb"), &fs::read(&file).unwrap());
    host.shell(&format!("dpkg -i /root/{package}.deb"));
}

#[test]
fn real_hosts_enrol_drift_and_are_flagged() {
    let site = Site::new();
    let people = site.collector.people();
    let (newer, older) = (site.join("bookworm"), site.join("bullseye"));

    // A package nobody approved.
    install(&newer, "unasked", "1.0-1");
    site.alerted(&["bookworm", "unasked", "1.0-1"]);

    // An administrator nobody approved.
    older.shell("useradd --create-home mallory && adduser --quiet mallory sudo");
    site.alerted(&["bullseye", "mallory"]);

    // A loaded firewall rule nobody approved: no file changes.
    older.shell(
        "nft add table inet hole && nft 'add chain inet hole entry { type filter hook input priority 0; policy accept; }' \
         && nft add rule inet hole entry tcp dport 4444 accept",
    );
    site.alerted(&["bullseye", "4444"]);

    // The same kind of change under an approved record: authorised, and no alert up to the one that follows it.
    let change = site.collector.ask(&people.rhea, "bookworm", "packages/asked:*");
    site.collector.approve(&people.ava, &change).ok();
    install(&newer, "asked", "1.0-1");
    let drift = site.collector.drift_of("asked:all");
    assert_eq!(drift["verdict"], "authorised", "{drift}");
    newer.shell("dpkg --purge unasked");
    site.alerted(&["bookworm", "unasked", "1.0-1 → (none)"]);
    let alerts: Vec<String> = site.slack.messages().iter().map(words).collect();
    assert!(!alerts.iter().any(|alert| alert.replace("unasked", "").contains("asked:all")), "{alerts:#?}");
    assert_eq!(site.slack.refusals(), []);
}

/// An auditor must not audit its own sandbox: what collect sees within its unit's confinement is what is there.
#[test]
fn the_sandbox_of_collect_hides_nothing() {
    let switch = Switch::new();
    for suite in suites() {
        let host = RealHost::boot(&switch, &root::debian(suite), suite, &[(static_agent(), "/usr/bin/plumbline")]);
        host.shell("nft add table inet seen && nft 'add chain inet seen entry { type filter hook input priority 0; }'");
        host.write("/usr/lib/sysusers.d/plumbline.conf", &packaged("plumbline.sysusers"));
        host.shell("systemd-sysusers; mkdir -p /var/lib/plumbline");
        let confined: String = String::from_utf8(packaged("plumbline-collect.service"))
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with("Condition") && !line.starts_with("Restart"))
            .map(|line| match line.starts_with("ExecStart=") {
                true => "Type=oneshot\nStandardOutput=file:/run/confined.json\nExecStart=/usr/bin/plumbline facts --format json\n".into(),
                false => format!("{line}\n"),
            })
            .collect();
        assert!(confined.contains("ProtectSystem=strict") && confined.contains("plumbline facts"), "{confined}");
        host.write("/etc/systemd/system/confined.service", confined.as_bytes());
        let started = host.run(&["sh", "-c", "systemctl daemon-reload && systemctl start confined"]);
        assert_eq!(started.code, 0, "{started}\n{}", host.journal("confined"));
        let confined: Value = serde_json::from_str(&host.shell("cat /run/confined.json")).unwrap();
        let free = host.run_as_unit(&["plumbline", "facts", "--format", "json"]).ok().json();
        assert!(free["firewall"]["items"].to_string().contains("seen"), "{:#}", free["firewall"]);
        for (probe, facts) in free.as_object().unwrap() {
            assert_eq!(still(probe, &confined[probe]), still(probe, facts), "{suite}: {probe}");
        }
    }
}

/// What does not move between two looks: all of it, but for how far off the clock is, and the unit that looks.
fn still(probe: &str, facts: &Value) -> Value {
    let mut facts = facts.clone();
    if probe == "services" {
        // The transient unit that asks runs in one of the two looks alone.
        let state = facts["state"].as_object_mut().unwrap_or_else(|| panic!("systemd was not asked"));
        // Named by its number, or since systemd 256 by the process that made it.
        state.retain(|unit, _| !unit.starts_with("run-u") && !unit.starts_with("run-p"));
    }
    if probe == "platform" {
        // systemd-nspawn mounts a made-up boot id over the file; a unit with a /proc of its own sees the kernel's.
        let state = facts["state"].as_object_mut().unwrap_or_else(|| panic!("the platform was not seen"));
        assert!(state.remove("boot").is_some(), "{state:?}");
    }
    if probe == "time" {
        let clock = facts["state"]["clock"].as_object_mut().unwrap_or_else(|| panic!("the clock was not seen"));
        clock.retain(|_, value| !value.is_number());
    }
    facts
}

#[test]
fn a_check_on_a_real_debian_11_says_that_its_life_has_ended() {
    let switch = Switch::new();
    let root = root::debian("bullseye");
    let host = RealHost::boot(&switch, &root, "bullseye", &[(static_agent(), "/usr/bin/plumbline")]);
    let check = host.run_as_unit(&["plumbline", "check", "--format", "json"]).ended(1).json();
    let ended = check["findings"].as_array().unwrap().iter().any(|finding| {
        finding["probe"] == "eol" && finding["status"] == "deviation" && finding.to_string().contains("Debian")
    });
    assert!(ended, "{check:#}");
}
