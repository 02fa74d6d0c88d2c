//! From a change on a host to a verdict and an alert, across the real agent, the real collector and a stand-in for Slack.
//!
//! That something did *not* alert is shown without waiting a while: alerts leave in order, so once a later one has
//! arrived, everything before it has too.

use plumbline_tests::agent::Agent;
use plumbline_tests::collector::{Collector, People};
use plumbline_tests::processes::run;
use plumbline_tests::slack::{Mood, Slack, words};
use std::process::Command;

/// A collector with people, its Slack, and a host whose alerts mark the time.
struct Scene {
    slack: Slack,
    collector: Collector,
    people: People,
    marker: Agent,
    marks: std::cell::Cell<u32>,
}

impl Scene {
    #[track_caller]
    fn new() -> Self {
        let slack = Slack::start();
        let collector = Collector::with_slack(&slack.webhook());
        let people = collector.people();
        let marker = Agent::active(&collector, "marker");
        marker.report();
        Self { slack, collector, people, marker, marks: std::cell::Cell::new(0) }
    }

    /// An active host that has reported once.
    #[track_caller]
    fn host(&self, name: &str) -> Agent {
        let agent = Agent::active(&self.collector, name);
        agent.report();
        agent
    }

    /// Every alert so far, as text, but for the marker's own.
    #[track_caller]
    fn alerts(&self) -> Vec<String> {
        let mark = format!("mark{}", self.marks.replace(self.marks.get() + 1));
        self.marker.host.install(&mark, "1.0-1");
        self.marker.report();
        let mut count = 1;
        loop {
            let alerts: Vec<String> = self.slack.wait_for(count).iter().map(words).collect();
            if alerts.iter().any(|alert| alert.contains(&mark)) {
                return alerts.into_iter().filter(|alert| !alert.contains("marker")).collect();
            }
            count = alerts.len() + 1;
        }
    }
}

#[test]
fn drift_without_a_record_is_unauthorised_and_alerts_once_with_host_item_before_and_after() {
    let scene = Scene::new();
    let web = scene.host("web-1");
    web.host.install("openssl", "3.9.9-1");
    web.host.sudoer("mallory");
    web.report();
    let drift = scene.collector.drift_of("openssl:amd64");
    assert_eq!(drift["verdict"], "unauthorised", "{drift}");
    assert_eq!(drift["change"], serde_json::Value::Null, "{drift}");
    // Seen again, it is not news.
    web.report();
    let alerts = scene.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    for word in ["web-1", "openssl", "3.0.17-1~deb12u2", "3.9.9-1", "mallory"] {
        assert!(alerts[0].contains(word), "no {word} in {}", alerts[0]);
    }
    assert_eq!(scene.slack.refusals(), []);
}

#[test]
fn drift_under_an_approved_record_is_authorised_by_it_and_alerts_nobody() {
    let scene = Scene::new();
    let web = scene.host("web-1");
    let change = scene.collector.ask(&scene.people.rhea, "web-*", "packages/openssl:*");
    scene.collector.approve(&scene.people.ava, &change).ok();
    // Seen after the approval, so that what follows is definitely inside the window.
    web.report();
    web.host.install("openssl", "3.9.9-1");
    web.report();
    let drift = scene.collector.drift_of("openssl:amd64");
    assert_eq!((&drift["verdict"], &drift["change"]), (&"authorised".into(), &change.as_str().into()), "{drift}");
    assert_eq!(scene.alerts(), [""; 0]);
}

#[test]
fn approval_afterwards_closes_it_as_approved_only_afterwards_and_does_not_alert_again() {
    let scene = Scene::new();
    let web = scene.host("web-1");
    let change = scene.collector.ask(&scene.people.rhea, "web-1", "packages/openssl:*");
    web.host.install("openssl", "3.9.9-1");
    web.report();
    let drift = scene.collector.drift_of("openssl:amd64");
    assert_eq!(drift["verdict"], "unauthorised", "{drift}");
    assert_eq!(scene.alerts().len(), 1);
    scene.collector.approve(&scene.people.ava, &change).ok();
    let drift = scene.collector.drift_until("openssl:amd64", |drift| drift["reason"] == "approved-afterwards");
    assert_eq!(drift["verdict"], "unauthorised", "{drift}");
    assert_eq!(scene.alerts().len(), 1);
}

#[test]
fn whoever_asked_for_a_change_cannot_approve_it() {
    let scene = Scene::new();
    let change = scene.collector.ask(&scene.people.rhea, "web-1", "packages/openssl:*");
    scene.collector.approve(&scene.people.rhea, &change).ended(1);
    // An administrator may ask and may approve, but not both for one record.
    let own = scene.collector.ask(scene.collector.admin(), "web-1", "packages/openssl:*");
    scene.collector.approve(scene.collector.admin(), &own).ended(1);
    let web = scene.host("web-1");
    web.host.install("openssl", "3.9.9-1");
    web.report();
    assert_eq!(scene.collector.drift_of("openssl:amd64")["verdict"], "unauthorised");
}

#[test]
fn a_pending_host_alerts_nobody() {
    let scene = Scene::new();
    let web = Agent::pending(&scene.collector, "web-1");
    web.report();
    web.host.install("openssl", "3.9.9-1");
    web.report();
    assert_eq!(scene.alerts(), [""; 0]);
    assert_eq!(scene.collector.host("web-1")["state"], "pending");
}

#[test]
fn alerts_wait_while_slack_is_down_or_limits_and_then_arrive_once_and_in_order() {
    let mut scene = Scene::new();
    let web = scene.host("web-1");
    scene.slack.go_down();
    for (number, version) in ["3.9.1-1", "3.9.2-1", "3.9.3-1"].into_iter().enumerate() {
        web.host.install("openssl", version);
        web.report();
        scene.collector.drift_until("openssl:amd64", |drift| drift["after"].to_string().contains(version));
        if number == 1 {
            scene.slack.set(Mood::Limiting(1));
            scene.slack.come_up();
            scene.slack.wait_for_refusals(1);
            // The collector may be restarted meanwhile: the outbox is on disk.
            scene.collector.kill();
            scene.collector.start_again();
        }
    }
    scene.slack.set(Mood::Up);
    let alerts = scene.alerts();
    assert_eq!(alerts.len(), 3, "{alerts:#?}");
    for (alert, version) in alerts.iter().zip(["3.9.1-1", "3.9.2-1", "3.9.3-1"]) {
        assert!(alert.contains(version), "no {version} in {alert}");
    }
}

#[test]
fn what_cannot_be_read_is_unknown_and_not_vanished() {
    let scene = Scene::new();
    let web = scene.host("web-1");
    let status = web.host.root().join("var/lib/dpkg/status");
    let kept = std::fs::read(&status).unwrap();
    std::fs::remove_file(&status).unwrap();
    // A FIFO in the file's place: nobody may wait for its other end.
    run(Command::new("mkfifo").arg(&status)).ok();
    let check = run(&mut plumbline_tests::agent::plumbline(&["check", "--root", web.host.root().to_str().unwrap()]));
    assert!(check.stdout.contains("unknown"), "{check}");
    web.report();
    assert_eq!(scene.alerts(), [""; 0]);
    assert!(scene.collector.drifts().iter().all(|drift| drift["subject"].to_string().contains("mark")));
    // Seen again with another version: one drift, which may have happened at any time since it was last seen.
    std::fs::remove_file(&status).unwrap();
    std::fs::write(&status, kept).unwrap();
    web.host.install("openssl", "3.9.9-1");
    web.report();
    scene.collector.drift_of("openssl:amd64");
    let alerts = scene.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert!(!alerts[0].contains("coreutils"), "{}", alerts[0]);
}

/// One corpus through every sink: what a host calls its things must not act in Slack, in a terminal or in a table.
#[test]
fn hostile_names_are_shown_and_do_nothing() {
    let scene = Scene::new();
    let web = scene.host("web-1");
    let nasty = ["<!channel>", "<script>alert(1)</script>", "=cmd()", "a\u{202e}b", "c\u{1b}[2Jd", "*e*_f_`g`", "&lt;"];
    let group = web.host.text("etc/group").replace("sudo:x:27:ops", &format!("sudo:x:27:ops,{}", nasty.join(",")));
    web.host.file("etc/group", group);
    web.host.install("openssl", "3.9.9-1<!here>");
    web.report();
    let alerts = scene.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert!(alerts[0].contains("channel"), "the name itself is worth knowing: {}", alerts[0]);
    for acting in ["<!channel>", "<!here>", "<script>", "\u{202e}", "\u{1b}"] {
        assert!(!alerts[0].contains(acting), "{acting:?} reached Slack: {}", alerts[0]);
    }
    for command in [&["drift", "list"][..], &["host", "list"]] {
        let shown = scene.collector.cli(command).ok().stdout;
        for acting in ["\u{202e}", "\u{1b}[2J"] {
            assert!(!shown.contains(acting), "{acting:?} reached a terminal by {command:?}: {shown}");
        }
    }
    let check = run(&mut plumbline_tests::agent::plumbline(&["facts", "--root", web.host.root().to_str().unwrap()]));
    assert!(!check.stdout.contains('\u{1b}') && !check.stdout.contains('\u{202e}'), "{check}");
}
