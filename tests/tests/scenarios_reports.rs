//! Reports on their way: sent once, kept in order, refused when altered, small when nothing changed.

use std::collections::BTreeSet;

use audit::digest::Digest;
use audit::report::Report;
use audit::seal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::puppet::Puppet;
use plumbline_tests::wire::Wire;
use serde_json::{Value, json};

/// The most an unchanged report may take on the wire, headers and all, in bytes.
const UNCHANGED: usize = 700;

fn opened(envelope: &[u8]) -> Report {
    seal::open(envelope).unwrap().unverified().unwrap()
}

#[test]
fn the_first_report_begins_the_chain_and_facts_travel_once() {
    let collector = Collector::start();
    let wire = Wire::to(collector.url().trim_start_matches("http://"));
    let agent = Agent::new("web-1");
    agent.enroll(&wire.url(), &collector.new_token()).ok();
    agent.collect();
    let spooled = agent.spooled();
    assert_eq!(spooled.len(), 1, "{spooled:?}");
    let first = opened(&std::fs::read(&spooled[0]).unwrap());
    assert_eq!((first.sequence, first.previous), (1, None));
    wire.take_sent();
    agent.ship();
    let sent = wire.take_sent();
    assert!(sent.windows(4).any(|window| window == b"PUT "), "the first report brings its facts");

    // Connection by connection what an unchanged report takes.
    agent.collect();
    assert_eq!(agent.spooled().len(), 1, "what the collector has is deleted");
    let second = opened(&std::fs::read(&agent.spooled()[0]).unwrap());
    assert_eq!((second.sequence, second.manifest), (2, first.manifest));
    agent.ship();
    let (sent, received) = (wire.take_sent(), wire.take_received());
    let text = String::from_utf8_lossy(&sent);
    println!("an unchanged report: {} bytes sent, {} received\n{text}", sent.len(), received.len());
    assert!(!text.contains("PUT "), "facts travel once");
    assert!(sent.len() <= UNCHANGED, "{} bytes: {text}", sent.len());
}

#[test]
fn while_the_collector_is_down_nothing_is_lost_and_order_is_kept() {
    let mut collector = Collector::start();
    let agent = Agent::active(&collector, "web-1");
    agent.report();
    collector.stop();
    let versions = ["3.9.1-1", "3.9.2-1", "3.9.3-1"];
    for version in versions {
        agent.host.install("openssl", version);
        agent.collect();
        assert_ne!(agent.try_ship().code, 0, "a ship that could not send says so");
    }
    assert!(agent.spooled().len() >= versions.len());
    collector.start_again();
    agent.ship();
    collector.drift_until("openssl:amd64", |drift| drift["after"].to_string().contains(versions[2]));
    let mut drifts: Vec<Value> =
        collector.drifts().into_iter().filter(|drift| drift["subject"] == "openssl:amd64").collect();
    drifts.sort_by_key(|drift| drift["after"].to_string());
    assert_eq!(drifts.len(), versions.len(), "{drifts:#?}");
    for (earlier, later) in drifts.iter().zip(&drifts[1..]) {
        assert_eq!(earlier["after"], later["before"], "each follows the one before");
    }
    // What has been acknowledged goes at the next look.
    agent.collect();
    assert_eq!(agent.spooled().len(), 1);
}

#[test]
fn an_envelope_altered_in_any_field_is_refused() {
    let collector = Collector::start();
    let mut puppet = Puppet::active(&collector, "web-1");
    let sealed = puppet.next(Digest::of(b"a manifest"));
    let honest: Value = serde_json::from_slice(&sealed.bytes).unwrap();
    let stated: Value = serde_json::from_slice(&STANDARD.decode(honest["payload"].as_str().unwrap()).unwrap()).unwrap();
    let mut altered = Vec::new();
    for (field, value) in [
        ("host", json!("0".repeat(32))),
        ("sequence", json!(2)),
        ("previous", json!("0".repeat(64))),
        ("time", json!("2020-01-01T00:00:00Z")),
        ("manifest", json!("0".repeat(64))),
        ("dropped", json!({"from": 1, "to": 1, "count": 1})),
    ] {
        let mut statement = stated.clone();
        statement[field] = value;
        let mut envelope = honest.clone();
        envelope["payload"] = STANDARD.encode(statement.to_string()).into();
        altered.push((field, envelope));
    }
    for (place, value) in [
        ("/payloadType", json!("application/vnd.plumbline.receipt+json")),
        ("/signatures/0/sig", json!(STANDARD.encode([0; 64]))),
        ("/signatures", json!([])),
        ("/payload", json!("not base64!")),
    ] {
        let mut envelope = honest.clone();
        *envelope.pointer_mut(place).unwrap() = value;
        altered.push((place, envelope));
    }
    let mut longer = honest.clone();
    longer["extra"] = json!(1);
    altered.push(("an unknown field", longer));
    for (what, envelope) in altered {
        let answer = puppet.post(envelope.to_string().as_bytes());
        assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        assert!(!answer.json()["title"].as_str().unwrap().is_empty(), "{what}: {}", answer.text());
    }
    for broken in [&b""[..], b"{", b"null", &sealed.bytes[..sealed.bytes.len() - 1], &[0xff; 100], &[b' '; 100_000]] {
        let answer = puppet.post(broken);
        assert!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());
    }
    // Nothing of it was kept: the honest one is still the first.
    let receipt = puppet.receipt(&puppet.post(&sealed.bytes));
    assert_eq!((receipt.sequence, receipt.report), (1, sealed.verified.id()));
}

#[test]
fn a_report_sent_again_gets_the_same_answer_and_changes_nothing() {
    let collector = Collector::start();
    let mut puppet = Puppet::active(&collector, "web-1");
    puppet.report_packages(&[("openssl", "1")]);
    let sealed = puppet.report_packages(&[("openssl", "2")]);
    collector.drift_of("openssl:amd64");
    let before = (collector.hosts(), collector.drifts());
    let receipts: BTreeSet<String> = (0..20)
        .map(|_| {
            let receipt = puppet.receipt(&puppet.post(&sealed.bytes));
            format!("{} {} {:?}", receipt.report, receipt.received, receipt.lacks)
        })
        .collect();
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    assert_eq!((collector.hosts(), collector.drifts()), before);
}

#[test]
fn reports_that_arrive_out_of_order_are_judged_in_order() {
    let collector = Collector::start();
    let mut puppet = Puppet::active(&collector, "web-1");
    puppet.report_packages(&[("openssl", "1")]);
    let mut chain: Vec<_> = Vec::new();
    for version in ["2", "3", "4"] {
        let bodies = plumbline_tests::puppet::Bodies::of(&[("openssl", version)]);
        chain.push((puppet.next(Digest::of(&bodies.manifest)), bodies));
    }
    for (sealed, bodies) in chain.iter().rev() {
        puppet.receipt(&puppet.post(&sealed.bytes));
        puppet.send_bodies(sealed.verified.id(), bodies);
    }
    collector.drift_until("openssl:amd64", |drift| drift["after"].to_string().contains("4"));
    let pairs: BTreeSet<(String, String)> =
        collector.drifts().iter().map(|drift| (drift["before"].to_string(), drift["after"].to_string())).collect();
    assert_eq!(pairs.len(), 3, "{pairs:#?}");
}

/// The key is good and the report names them; the bodies are not what an honest agent sends.
#[test]
fn bodies_made_to_hurt_are_refused_and_cost_little_memory() {
    let collector = Collector::start();
    let mut puppet = Puppet::active(&collector, "web-1");
    let named = Digest::of(b"a manifest");
    let sealed = puppet.next(named);
    puppet.receipt(&puppet.post(&sealed.bytes));
    let report = sealed.verified.id();
    let before = collector.process().peak();
    let bomb = zeros(1 << 30);
    assert!(bomb.len() < 200 * 1024, "{}", bomb.len());
    for (what, body) in [
        ("a gibibyte of nothing", bomb),
        ("not zstd", b"not zstd".to_vec()),
        ("cut short", zstd::bulk::compress(&[7; 100_000], 3).unwrap()[..20].to_vec()),
        ("nothing", Vec::new()),
        ("other content", zstd::bulk::compress(b"another manifest", 3).unwrap()),
    ] {
        let answer = puppet.put_as(report, named, body);
        assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    }
    // What no report of this host names is refused before it is looked at.
    let answer = puppet.put(report, b"a stranger");
    assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
    let rose = collector.process().peak() - before;
    println!("the collector's peak memory rose by {} KiB", rose / 1024);
    assert!(rose < 64 << 20, "{rose}");
}

/// That many zeros, compressed.
fn zeros(count: usize) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    let chunk = vec![0; 1 << 20];
    for _ in 0..count / chunk.len() {
        std::io::Write::write_all(&mut encoder, &chunk).unwrap();
    }
    encoder.finish().unwrap()
}
