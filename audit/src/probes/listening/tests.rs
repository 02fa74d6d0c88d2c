//! The probe against recorded sockets, written as the kernel writes them.

use super::*;
use crate::baseline::Baseline;
use crate::evaluate;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Erased, Topic};
use crate::probes::firewall::Firewall;

/// One inet_diag_msg in its nlmsghdr, with the id of a control group and whether it is for IPv6 alone.
fn socket(address: &str, port: u16, inode: u32, group: u64, only_ipv6: bool) -> Vec<u8> {
    let mut body = vec![if address.contains(':') { 10 } else { 2 }, 10, 0, 0];
    body.extend(port.to_be_bytes());
    body.extend([0, 0]);
    match address.parse().unwrap() {
        std::net::IpAddr::V4(at) => body.extend([at.octets().as_slice(), &[0; 12]].concat()),
        std::net::IpAddr::V6(at) => body.extend(at.octets()),
    }
    body.resize(68, 0);
    body.extend(inode.to_ne_bytes());
    body.extend([[5, 0, 11, 0], [u8::from(only_ipv6), 0, 0, 0], [12, 0, 21, 0]].concat());
    body.extend(group.to_ne_bytes());
    message(20, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat()
}

fn answer(tcp4: &[Vec<u8>], tcp6: &[Vec<u8>], udp4: &[Vec<u8>], udp6: &[Vec<u8>]) -> Vec<u8> {
    let done = message(3, &[0; 4]);
    [tcp4, tcp6, udp4, udp6].iter().flat_map(|dump| dump.concat().into_iter().chain(done.clone())).collect()
}

/// ssh for everybody, a database on loopback, chrony's command port, a name server on one address, WireGuard, and a
/// client that waits for an answer.
fn ordinary() -> Recorded {
    let told = answer(
        &[
            socket("0.0.0.0", 22, 1, 7, false),
            socket("127.0.0.1", 5432, 2, 8, false),
            socket("192.0.2.1", 53, 3, 1, false),
        ],
        &[socket("::", 22, 4, 7, true)],
        &[
            socket("127.0.0.1", 323, 5, 9, false),
            socket("0.0.0.0", 51820, 0, 1, false),
            socket("0.0.0.0", 40000, 6, 9, false),
        ],
        &[socket("::", 123, 7, 9, false)],
    );
    let groups = r#"{"1": "/", "7": "/system.slice/ssh.service", "8": "/system.slice/system-postgresql.slice/postgresql@15-main.service",
                     "9": "/system.slice/chrony.service"}"#;
    Recorded::new()
        .answer(Question::Sockets, told)
        .answer(Question::ControlGroups, groups)
        .answer(Question::SocketOwners, r#"{"3": ["named"]}"#)
        .file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
}

fn findings(host: &Recorded, expectation: &str) -> Vec<(String, Status, String)> {
    let indented = expectation.replace('\n', "\n      ");
    let text = format!(
        "baseline: b\nversion: 1\ntitle: t\nrules:\n  - id: one\n    title: t\n    severity: high\n    why: w\n    \
         fix: f\n    listening:\n      {indented}\n"
    );
    let baseline = Baseline::parse("b.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut facts = FactSet::default();
    for topic in [&Erased::<Listening>::new() as &dyn Topic, &Erased::<Firewall>::new()] {
        facts.insert(topic.name(), topic.collect(host, &[]));
    }
    let now = chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let lifecycles = Lifecycles::shipped().unwrap();
    let context = Context { now, facts: &facts, lifecycles: &lifecycles };
    let findings = evaluate::evaluate(&baseline, &context);
    findings.into_iter().map(|finding| (finding.subject, finding.status, finding.observed)).collect()
}

#[test]
fn sockets_are_items_by_protocol_port_and_place() {
    let facts = Listening::collect(&ordinary());
    let said: Vec<String> =
        facts.items.seen.iter().map(|(subject, item)| format!("{subject} {}", Listening::say(item))).collect();
    assert_eq!(
        said,
        [
            "tcp:22/any ip,ip6 by ssh.service",
            "tcp:53/address ip by named",
            "tcp:5432/loopback ip by postgresql@15-main.service",
            "udp:123/any ip,ip6 by chrony.service",
            "udp:323/loopback ip by chrony.service",
            "udp:51820/any ip by kernel",
        ]
    );
    let state: Vec<String> = facts.state.seen.iter().map(|(subject, state)| format!("{subject} {state:?}")).collect();
    assert_eq!(
        state,
        [r#"addresses:tcp:53/address Addresses(["192.0.2.1"])"#, r#"ephemeral:udp/any Ephemeral(["chrony.service"])"#]
    );
}

#[test]
fn these_and_no_others_asks_for_the_owner_too() {
    let all = "only:\n- {protocol: tcp, port: 22, owner: ssh.service}\n- {protocol: tcp, port: 53, owner: [named, 'bind*']}\n\
               - {protocol: udp, port: [123, 51820]}";
    assert_eq!(findings(&ordinary(), all)[0].1, Status::Pass);
    let found = findings(&ordinary(), &all.replace("ssh.service", "dropbear.service").replace("123, ", ""));
    let said: Vec<_> = found.iter().map(|(subject, status, _)| (subject.as_str(), *status)).collect();
    assert_eq!(said, [("tcp:22/any", Status::Deviation), ("udp:123/any", Status::Deviation)]);
    let blind = ordinary().answer(Question::SocketOwners, "{}");
    assert_eq!(findings(&blind, all)[0].1, Status::Unknown, "named may be the unknown one");
    assert_eq!(findings(&ordinary(), "ephemeral: [chrony.service]")[0].1, Status::Pass);
    assert_eq!(findings(&ordinary(), "ephemeral: []")[0].1, Status::Deviation);
}

#[test]
fn forbidden_ports_and_those_for_loopback_alone() {
    let ask = |text: &str| findings(&ordinary(), text)[0].1;
    assert_eq!(ask("forbidden: [{protocol: tcp, port: 23}]"), Status::Pass);
    assert_eq!(ask("forbidden: [{protocol: tcp, port: 5000-6000}]"), Status::Deviation);
    assert_eq!(ask("on_loopback: [{protocol: tcp, port: [5432, 6379]}]"), Status::Pass);
    assert_eq!(ask("on_loopback: [{protocol: tcp, port: 22}]"), Status::Deviation);
}

#[test]
fn the_firewall_decides_who_reaches() {
    let rules = |statement: &str| {
        let text = format!(
            r#"{{"nftables": [{{"chain": {{"family": "inet", "table": "t", "name": "i", "type": "filter", "hook": "input",
                "prio": 0, "policy": "drop"}}}}, {{"rule": {{"family": "inet", "table": "t", "chain": "i", "expr": [
                {{"match": {{"op": "==", "left": {{"payload": {{"protocol": "ip", "field": "saddr"}}}},
                   "right": {{"prefix": {{"addr": "10.0.0.0", "len": 8}}}}}}}}, {statement} {{"accept": null}}]}}}}]}}"#
        );
        ordinary().answer(Question::NftRuleset, text)
    };
    let asked = |from: &str| format!("reachable: [{{protocol: tcp, port: [22, 5432], from: {from}}}]");
    let statuses = |host: &Recorded, from: &str| -> Vec<Status> {
        findings(host, &asked(from)).into_iter().map(|(_, status, _)| status).collect()
    };
    assert_eq!(statuses(&rules(""), "10.0.0.0/8"), [Status::Pass, Status::Pass]);
    assert_eq!(statuses(&rules(""), "10.0.0.0/9"), [Status::Deviation, Status::Pass]);
    assert_eq!(statuses(&ordinary(), "any"), [Status::NotApplicable, Status::Pass], "the firewall is at rest");
    let marked = r#"{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}},"#;
    assert_eq!(statuses(&rules(marked), "10.0.0.0/9"), [Status::Unknown, Status::Pass]);
    let other =
        r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "192.0.2.9"}},"#;
    let name_server = "reachable: [{protocol: tcp, port: 53, from: 198.51.100.1}]";
    assert_eq!(findings(&rules(other), name_server)[0].1, Status::Pass, "open at another address");
    assert_eq!(findings(&rules(""), name_server)[0].1, Status::Deviation);
}

#[test]
fn what_is_no_answer_is_unknown_and_at_rest_nothing_applies() {
    for bad in [&b""[..], b"\x14\0\0\0", &message(20, &[2; 30]), &answer(&[], &[], &[], &[])[..40]] {
        let host = Recorded::new().answer(Question::Sockets, bad);
        assert_eq!(findings(&host, "only: []")[0].1, Status::Unknown, "{bad:?}");
    }
    let gap = crate::host::Gap::new(GapKind::NotLive, "Sockets", "at rest");
    assert!(Listening::collect(&Recorded::new()).items.whole_gap().is_some());
    assert_eq!(Judgement::unseen(&gap, "x", "y").status, Status::NotApplicable);
    assert_eq!(
        findings(&Recorded::new().answer(Question::Sockets, answer(&[], &[], &[], &[])), "only: []")[0].1,
        Status::Pass
    );
}
