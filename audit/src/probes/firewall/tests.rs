//! The probe against recorded rulesets, written as nft writes them: what an expectation finds, and what is unknown.

mod arrivals;
mod chains;
mod hostile;
mod items;

use super::*;
use crate::baseline::Baseline;
use crate::evaluate;
use crate::facts::FactSet;
use crate::finding::{Finding, Status};
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Erased, Topic};
use serde_json::{Value, json};

fn ruleset(objects: Vec<Value>) -> Recorded {
    let mut all = vec![json!({"metainfo": {"version": "1.0.6", "json_schema_version": 1}})];
    all.extend(objects);
    Recorded::new().answer(Question::NftRuleset, json!({ "nftables": all }).to_string())
}

fn base(family: &str, hook: &str, policy: &str) -> Value {
    json!({"chain": {"family": family, "table": "t", "name": hook, "handle": 1, "type": "filter", "hook": hook,
                     "prio": 0, "policy": policy}})
}

fn rule(family: &str, chain: &str, statements: Value) -> Value {
    json!({"rule": {"family": family, "table": "t", "chain": chain, "handle": 9, "expr": statements}})
}

fn matches(protocol: &str, field: &str, right: impl Into<Value>) -> Value {
    json!({"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right.into()}})
}

fn meta(key: &str, op: &str, right: impl Into<Value>) -> Value {
    json!({"match": {"op": op, "left": {"meta": {"key": key}}, "right": right.into()}})
}

fn net(address: &str, length: u8) -> Value {
    json!({"prefix": {"addr": address, "len": length}})
}

fn accept() -> Value {
    json!({"accept": null})
}

fn drop() -> Value {
    json!({"drop": null})
}

fn established() -> Value {
    json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}})
}

/// An ordinary host: deny by default, replies, loopback, ICMP, and ssh from one network.
fn ordinary() -> Vec<Value> {
    let input = |statements| rule("inet", "input", statements);
    vec![
        json!({"table": {"family": "inet", "name": "t", "handle": 1}}),
        base("inet", "input", "drop"),
        base("inet", "forward", "drop"),
        input(json!([established(), accept()])),
        input(json!([{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "invalid"}}, drop()])),
        input(json!([meta("iifname", "==", "lo"), accept()])),
        input(json!([meta("l4proto", "==", json!({"set": ["icmp", "ipv6-icmp"]})), accept()])),
        input(json!([matches("ip", "saddr", net("10.0.0.0", 8)), matches("tcp", "dport", 22), accept()])),
        input(json!([{"counter": {"packets": 5, "bytes": 400}}, {"log": {"prefix": "no: "}}])),
    ]
}

fn findings(host: &Recorded, expectation: &str) -> Vec<Finding> {
    let indented = expectation.replace('\n', "\n      ");
    let text = format!(
        "baseline: b\nversion: 1\ntitle: t\nrules:\n  - id: one\n    title: t\n    severity: high\n    why: w\n    \
         fix: f\n    firewall:\n      {indented}\n"
    );
    let baseline = Baseline::parse("b.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut facts = FactSet::default();
    let topic = Erased::<Firewall>::new();
    // Through the bytes that travel, so that what the collector judges is what is judged here.
    let encoded = topic.encode(&topic.collect(host, &[])).unwrap();
    facts.insert("firewall", topic.decode(&encoded.items, &encoded.state).unwrap());
    let context = Context {
        now: "2026-11-22T12:00:00Z".parse().unwrap(),
        facts: &facts,
        lifecycles: &Lifecycles::parse("eol", crate::shipped::END_OF_LIFE.as_bytes()).unwrap(),
    };
    evaluate::evaluate(&baseline, &context)
}

fn statuses(host: &Recorded, expectation: &str) -> Vec<Status> {
    let found = findings(host, expectation);
    // Shown where a test fails.
    println!("{:?}", found.iter().map(|finding| &finding.observed).collect::<Vec<_>>());
    found.into_iter().map(|finding| finding.status).collect()
}

const DENY: &str = "deny_by_default: [input, forward]";
const CLOSED: &str = "openings: []";
const SSH: &str = "openings:\n- {protocol: tcp, port: 22, from: 10.0.0.0/8, reason: administration, owner: operations, until: 2099-01-01}";

fn openings(host: &Recorded) -> Vec<String> {
    let seen = Firewall::collect(host).state.seen;
    seen.values()
        .filter_map(|state| match state {
            State::Opening(opening) => Some(opening.say()),
            State::Default { .. } | State::Elements { .. } => None,
        })
        .collect()
}

#[test]
fn an_ordinary_ruleset_that_denies_by_default_is_clean() {
    let host = ruleset(ordinary());
    assert_eq!(statuses(&host, DENY), [Status::Pass; 4]);
    assert_eq!(statuses(&host, SSH), [Status::Pass]);
    let found = findings(&host, CLOSED);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].status, Status::Deviation);
    assert_eq!(
        found[0].observed,
        "tcp 22 from 10.0.0.0/8 (ip), by inet/t/input: ip saddr 10.0.0.0/8 tcp dport 22 accept"
    );
}

#[test]
fn nothing_loaded_means_nothing_is_filtered() {
    let host = ruleset(Vec::new());
    let found = findings(&host, DENY);
    assert_eq!(found.len(), 4);
    for finding in found {
        assert_eq!(finding.status, Status::Deviation);
        assert!(finding.observed.contains("nothing is filtered"), "{}", finding.observed);
    }
    assert_eq!(statuses(&host, SSH), [Status::Deviation]);
}

#[test]
fn a_table_for_ipv4_alone_leaves_ipv6_open() {
    let host = ruleset(vec![base("ip", "input", "drop"), base("ip", "forward", "drop")]);
    let found = findings(&host, DENY);
    let said: Vec<_> = found.iter().map(|finding| (finding.subject.as_str(), finding.status)).collect();
    assert_eq!(
        said,
        [
            ("default:forward/ip", Status::Pass),
            ("default:forward/ip6", Status::Deviation),
            ("default:input/ip", Status::Pass),
            ("default:input/ip6", Status::Deviation),
        ]
    );
    assert_eq!(openings(&host), ["everything from any (ip6)"]);
}

#[test]
fn an_opening_wider_than_the_listed_one_names_both() {
    let host = ruleset(vec![
        base("inet", "input", "drop"),
        rule("inet", "input", json!([matches("tcp", "dport", 22), accept()])),
    ]);
    let found = findings(&host, SSH);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].status, Status::Deviation);
    assert_eq!(found[0].expected, "tcp 22 from 10.0.0.0/8");
    assert!(found[0].observed.starts_with("wider than that: tcp 22 from any"), "{}", found[0].observed);
}

#[test]
fn several_listed_openings_cover_one_together() {
    let open = |from: Value, port: Value| {
        ruleset(vec![
            base("inet", "input", "drop"),
            rule("inet", "input", json!([matches("ip", "saddr", from), matches("tcp", "dport", port), accept()])),
        ])
    };
    let listed = "openings:\n\
        - {protocol: tcp, port: 0-1023, from: [10.0.0.0/9, 10.128.0.0/9], reason: r, owner: o, until: 2099-01-01}\n\
        - {protocol: tcp, port: [1024-65535], from: 10.0.0.0/8, reason: r, owner: o, until: 2099-01-01}";
    assert_eq!(statuses(&open(net("10.0.0.0", 8), json!({"range": [1000, 2000]})), listed), [Status::Pass]);
    assert_eq!(statuses(&open(net("10.0.0.0", 7), json!({"range": [1000, 2000]})), listed), [Status::Deviation]);
}

#[test]
fn an_interface_narrows_and_is_asked_for() {
    let host = ruleset(vec![
        base("inet", "input", "drop"),
        rule("inet", "input", json!([meta("iifname", "==", "eth*"), matches("udp", "dport", 53), accept()])),
    ]);
    let listed = |interface: &str| {
        format!(
            "openings:\n- {{protocol: udp, port: 53, from: any, interface: {interface}, reason: r, owner: o, until: 2099-01-01}}"
        )
    };
    assert_eq!(statuses(&host, &listed("eth0")), [Status::Deviation]);
    assert_eq!(statuses(&host, &listed("'eth*'")), [Status::Pass]);
    assert_eq!(statuses(&host, &listed("[lo, 'e*']")), [Status::Pass]);
}

#[test]
fn a_listed_opening_past_its_day_no_longer_covers() {
    let host = ruleset(ordinary());
    let until = |day: &str| SSH.replace("2099-01-01", day);
    assert_eq!(statuses(&host, &until("2026-11-22")), [Status::Pass]);
    let found = findings(&host, &until("2026-11-21"));
    assert_eq!(found[0].status, Status::Deviation);
    assert!(found[0].expected.contains("allowed until 2026-11-21, owner operations"), "{}", found[0].expected);
    let warned = |warn: &str| findings(&host, &format!("{}\nwarn: {warn}", until("2026-12-22")));
    assert_eq!(warned("29d")[0].status, Status::Pass);
    let soon = warned("30d");
    assert_eq!((soon[0].status, soon[0].subject.as_str()), (Status::Deviation, "ends:tcp 22 from 10.0.0.0/8"));
}

#[test]
fn a_dormant_table_denies_nothing() {
    let asleep = |flags: Value| {
        ruleset(vec![json!({"table": {"family": "inet", "name": "t", "flags": flags}}), base("inet", "input", "drop")])
    };
    let deny = "deny_by_default: [input]";
    assert_eq!(statuses(&asleep(json!(["dormant"])), deny), [Status::Deviation; 2]);
    assert_eq!(statuses(&asleep(json!("owner")), deny), [Status::Pass; 2]);
    // nft 1.0 prints the name of the table where its flags should be.
    assert_eq!(statuses(&asleep(json!("t")), deny), [Status::Unknown; 2]);
    assert_eq!(statuses(&asleep(json!("t")), CLOSED), [Status::Unknown]);
}

#[test]
fn legacy_iptables_hides_what_nftables_leaves_open() {
    let with = |host: Recorded| host.file("/proc/net/ip_tables_names", "filter\n");
    assert_eq!(statuses(&with(ruleset(Vec::new())), DENY), [Status::Unknown; 4]);
    assert_eq!(statuses(&with(ruleset(ordinary())), DENY), [Status::Pass; 4]);
    assert_eq!(statuses(&with(ruleset(ordinary())), CLOSED), [Status::Unknown]);
    assert_eq!(statuses(&with(ruleset(ordinary())), SSH), [Status::Pass]);
    let empty = ruleset(Vec::new()).file("/proc/net/ip_tables_names", "");
    assert_eq!(statuses(&empty, DENY), [Status::Deviation; 4]);
    let denied = ruleset(Vec::new()).gap("/proc/net/ip_tables_names", GapKind::Denied);
    assert_eq!(statuses(&denied, DENY), [Status::Unknown; 4]);
}

#[test]
fn what_cannot_be_read_is_never_a_pass() {
    let at_rest = Recorded::new().file("/etc/nftables.conf", "flush ruleset\n");
    assert_eq!(statuses(&at_rest, DENY), [Status::NotApplicable; 4]);
    assert_eq!(statuses(&at_rest, CLOSED), [Status::NotApplicable]);
    let facts = Firewall::collect(&at_rest);
    assert!(facts.items.seen.contains_key("file:/etc/nftables.conf"));
    assert!(facts.items.gap_for("rule:inet/t/input:accept").is_some());

    let denied = Recorded::new().refuse(Question::NftRuleset, GapKind::Denied);
    assert_eq!(statuses(&denied, DENY), [Status::Unknown; 4]);
    let broken = Recorded::new().answer(Question::NftRuleset, "{\"nftables\": [");
    assert_eq!(statuses(&broken, CLOSED), [Status::Unknown]);
    let mut odd = ordinary();
    odd.push(json!({"rule": {"family": "inet", "table": "t"}}));
    assert_eq!(statuses(&ruleset(odd), SSH), [Status::Unknown]);
}

#[test]
fn without_nft_only_a_kernel_that_never_loaded_rules_is_known_to_be_open() {
    let without = |generation: &str| {
        Recorded::new().refuse(Question::NftRuleset, GapKind::Unsupported).answer(Question::NftGeneration, generation)
    };
    assert_eq!(statuses(&without("1"), DENY), [Status::Deviation; 4]);
    assert_eq!(statuses(&without("2"), DENY), [Status::Unknown; 4]);
}

#[test]
fn a_mistake_in_an_opening_is_pointed_at() {
    let refused = |opening: &str| {
        let text = format!(
            "baseline: b\nversion: 1\ntitle: t\nrules:\n  - id: one\n    title: t\n    severity: high\n    why: w\n    \
             fix: f\n    firewall:\n      openings:\n        - {{{opening}, reason: r, owner: o, until: 2099-01-01}}\n"
        );
        Baseline::parse("b.yaml", text.as_bytes()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused("protocol: tcp, port: 22, from: any"), "");
    for (opening, start, says) in [
        ("protocol: tcp, prot: 22, from: any", "b.yaml:12:27: ", "unknown field `prot`"),
        ("protocol: tcp, port: 70000, from: any", "b.yaml:12:33: ", "`70000` is no port"),
        ("protocol: tcp, port: 22, from: 10.0.0.1/8", "b.yaml:12:43: ", "no bits set behind the prefix"),
        ("protocol: tpc, port: 22, from: any", "b.yaml:12:22: ", "`tpc` is no protocol"),
        ("protocol: tcp, from: any", "b.yaml:12:22: ", "port: any"),
        ("protocol: esp, port: 3, from: any", "b.yaml:12:33: ", "no ports"),
    ] {
        let said = refused(opening);
        assert!(said.starts_with(start) && said.contains(says), "{opening}: {said}");
    }
}
