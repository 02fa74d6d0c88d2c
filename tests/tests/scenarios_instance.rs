//! Which EC2 instance a host is: asked once, at enrolment, over IMDSv2, and shown by the collector.

use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::http::{self, RUNTIME};
use plumbline_tests::metadata::{DOCUMENT, Metadata, Mood, SIGNATURE};
use plumbline_tests::processes::{Ran, run};
use serde_json::Value;

const TOKEN: &str = "/latest/api/token";
const IDENTITY: &str = "/latest/dynamic/instance-identity";

fn shown(collector: &Collector, name: &str) -> Value {
    collector.json(&["host", "show", name])
}

/// An agent whose firmware is Amazon's, enrolled while the service behaves so.
fn enrolled(collector: &Collector, name: &str, metadata: &Metadata) -> (Agent, Ran) {
    let agent = Agent::new(name);
    agent.host.file("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    let ran = enroll(&agent, collector, metadata);
    (agent, ran)
}

fn enroll(agent: &Agent, collector: &Collector, metadata: &Metadata) -> Ran {
    let words = [
        "enroll",
        "--collector",
        collector.url(),
        "--token",
        &collector.new_token(),
        "--instance-metadata",
        &metadata.url(),
    ];
    // A proxy must not see it: this one is nobody.
    let mut command = agent.command(&words);
    run(command.env("http_proxy", "http://127.0.0.1:9").env("ALL_PROXY", "http://127.0.0.1:9")).ok()
}

#[test]
fn an_instance_enrols_as_who_it_is_and_the_collector_shows_it() {
    let collector = Collector::start();
    let metadata = Metadata::start(Mood::Up);
    let (agent, ran) = enrolled(&collector, "web-1", &metadata);
    assert!(ran.stdout.contains("i-1234567890abcdef0"), "{ran}");
    let asked =
        [format!("PUT {TOKEN} 200"), format!("GET {IDENTITY}/document 200"), format!("GET {IDENTITY}/rsa2048 200")];
    assert_eq!(metadata.asked(), asked);
    let host = shown(&collector, "web-1");
    let expected = serde_json::json!({
        "id": "i-1234567890abcdef0", "account": "123456789012", "region": "eu-central-1", "image": "ami-0abcdef1234567890"
    });
    assert_eq!(host["instance"], expected);
    assert_eq!(host["instance_evidence"], serde_json::json!({"document": DOCUMENT, "signature": SIGNATURE}));
    assert_eq!(collector.hosts()[0]["instance"], expected);
    // At enrolment, and at no other time.
    agent.report();
    assert_eq!(metadata.asked().len(), 3);
}

#[test]
fn what_is_no_instance_asks_nobody() {
    let collector = Collector::start();
    let metadata = Metadata::start(Mood::Up);
    let agent = Agent::new("db-1");
    agent.host.file("sys/class/dmi/id/sys_vendor", "QEMU\n");
    let ran = enroll(&agent, &collector, &metadata);
    assert!(!ran.stdout.contains("instance"), "{ran}");
    assert_eq!(metadata.asked(), Vec::<String>::new());
    assert_eq!(collector.host("db-1")["instance"], Value::Null);
}

#[test]
fn whatever_the_service_does_the_host_enrols_and_the_reason_is_told() {
    let collector = Collector::start();
    let moods = [
        (Mood::Off, "403", 1),
        (Mood::Huge, "more than 1024 bytes", 1),
        (Mood::Silent, "within 5 seconds", 1),
        (Mood::Garbage, "does not say who", 3),
        (Mood::Elsewhere, "302", 1),
    ];
    for (mood, why, asked) in moods {
        let name = format!("{mood:?}").to_lowercase();
        let metadata = Metadata::start(mood);
        let (_agent, ran) = enrolled(&collector, &name, &metadata);
        let line =
            ran.stdout.lines().find(|line| line.starts_with("no instance identity")).unwrap_or_else(|| panic!("{ran}"));
        assert!(line.contains(why), "{line}");
        assert_eq!(metadata.asked().len(), asked, "{:?}", metadata.asked());
        assert_eq!(collector.host(&name)["instance"], Value::Null);
    }
    let unsigned = Metadata::start(Mood::Unsigned);
    enrolled(&collector, "unsigned", &unsigned);
    let host = shown(&collector, "unsigned");
    assert_eq!(host["instance"]["id"], "i-1234567890abcdef0");
    assert_eq!(host["instance_evidence"], serde_json::json!({"document": DOCUMENT}));
}

#[test]
fn the_stand_in_refuses_what_the_real_service_refuses() {
    let metadata = Metadata::start(Mood::Up);
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let url = format!("{}{path}", metadata.url());
        RUNTIME.block_on(http::send(method, &url, headers, Vec::new())).unwrap().status
    };
    let lifetime = "x-aws-ec2-metadata-token-ttl-seconds";
    assert_eq!(ask("PUT", TOKEN, &[]), 400);
    assert_eq!(ask("PUT", TOKEN, &[(lifetime, "21601")]), 400);
    assert_eq!(ask("PUT", TOKEN, &[(lifetime, "60"), ("x-forwarded-for", "192.0.2.1")]), 403);
    assert_eq!(ask("PUT", TOKEN, &[(lifetime, "60")]), 200);
    let document = format!("{IDENTITY}/document");
    assert_eq!(ask("GET", &document, &[]), 401);
    assert_eq!(ask("GET", &document, &[("x-aws-ec2-metadata-token", "wrong")]), 401);
}
