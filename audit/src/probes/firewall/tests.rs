//! The probe against recorded rulesets, written as nft writes them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::baseline::Baseline;
use crate::evaluate;
use crate::facts::FactSet;
use crate::finding::{Finding, Status};
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Erased, Topic};

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
    let encoded = topic.encode(&topic.collect(host)).unwrap();
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
const SSH: &str = "openings:\n- {protocol: tcp, port: 22, from: 10.0.0.0/8, reason: administration, owner: operations}";

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
fn a_last_rule_that_drops_the_rest_denies_as_a_policy_does() {
    let dropping = |last: Value| ruleset(vec![base("inet", "input", "accept"), rule("inet", "input", last)]);
    let deny = "deny_by_default: [input]";
    assert_eq!(statuses(&dropping(json!([{"counter": null}, drop()])), deny), [Status::Pass; 2]);
    assert_eq!(statuses(&dropping(json!([{"reject": {"type": "tcp reset"}}])), deny), [Status::Pass; 2]);
    let only_tcp = dropping(json!([matches("tcp", "dport", json!({"range": [0, 65535]})), drop()]));
    assert_eq!(statuses(&only_tcp, deny), [Status::Deviation; 2]);
    let slowly = dropping(json!([{"limit": {"rate": 1, "per": "second"}}, drop()]));
    assert_eq!(statuses(&slowly, deny), [Status::Deviation; 2]);
}

#[test]
fn a_rule_that_accepts_everything_undoes_the_policy() {
    let host = ruleset(vec![base("inet", "input", "drop"), rule("inet", "input", json!([accept()]))]);
    let found = findings(&host, "deny_by_default: [input]");
    assert_eq!(found[0].status, Status::Deviation);
    assert_eq!(found[0].observed, "everything is accepted by inet/t/input: accept");
}

#[test]
fn a_packet_must_be_accepted_by_every_base_chain() {
    let mut objects = ordinary();
    let mut other = base("inet", "input", "drop");
    other["chain"]["table"] = json!("u");
    objects.push(other);
    let mut https = rule("inet", "input", json!([matches("tcp", "dport", json!({"set": [22, 443]})), accept()]));
    https["rule"]["table"] = json!("u");
    objects.push(https);
    let host = ruleset(objects);
    let open = openings(&host);
    assert_eq!(open.iter().filter(|said| said.starts_with("tcp 22 from 10.0.0.0/8")).count(), 1, "{open:?}");
    assert!(open.iter().all(|said| !said.contains("443 from") || said.contains("on lo")), "{open:?}");
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
        - {protocol: tcp, port: 0-1023, from: [10.0.0.0/9, 10.128.0.0/9], reason: r, owner: o}\n\
        - {protocol: tcp, port: [1024-65535], from: 10.0.0.0/8, reason: r, owner: o}";
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
        format!("openings:\n- {{protocol: udp, port: 53, from: any, interface: {interface}, reason: r, owner: o}}")
    };
    assert_eq!(statuses(&host, &listed("eth0")), [Status::Deviation]);
    assert_eq!(statuses(&host, &listed("'eth*'")), [Status::Pass]);
    assert_eq!(statuses(&host, &listed("[lo, 'e*']")), [Status::Pass]);
}

#[test]
fn a_listed_opening_past_its_day_no_longer_covers() {
    let host = ruleset(ordinary());
    let until = |day: &str| SSH.replace("owner", &format!("until: {day}, owner"));
    assert_eq!(statuses(&host, &until("2026-11-22")), [Status::Pass]);
    let found = findings(&host, &until("2026-11-21"));
    assert_eq!(found[0].status, Status::Deviation);
    assert!(found[0].expected.contains("allowed until 2026-11-21, owner operations"), "{}", found[0].expected);
}

#[test]
fn drops_before_an_accept_narrow_it() {
    let host = ruleset(vec![
        base("inet", "input", "drop"),
        rule(
            "inet",
            "input",
            json!([{"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                              "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}},
                   matches("tcp", "dport", 22), drop()]),
        ),
        rule("inet", "input", json!([meta("nfproto", "==", "ipv4"), matches("tcp", "dport", 22), accept()])),
    ]);
    assert_eq!(statuses(&host, SSH), [Status::Pass]);
}

#[test]
fn jumps_gotos_returns_maps_and_sets_are_followed() {
    let chain = |name: &str| json!({"chain": {"family": "inet", "table": "t", "name": name, "handle": 2}});
    let host = ruleset(vec![
        base("inet", "input", "drop"),
        chain("web"),
        chain("net"),
        json!({"set": {"family": "inet", "table": "t", "name": "trusted", "type": "ipv4_addr", "flags": ["interval"],
                       "elem": [net("192.0.2.0", 24), {"range": ["198.51.100.1", "198.51.100.3"]}]}}),
        json!({"map": {"family": "inet", "table": "t", "name": "ports", "type": "inet_service", "map": "verdict",
                       "elem": [[80, {"jump": {"target": "web"}}], [25, accept()], [26, drop()]]}}),
        rule(
            "inet",
            "input",
            json!([{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": "@ports"}}]),
        ),
        rule("inet", "input", json!([matches("udp", "dport", 53), {"goto": {"target": "net"}}])),
        rule("inet", "input", json!([matches("udp", "dport", 53), accept()])),
        rule("inet", "web", json!([matches("ip", "saddr", "192.0.2.7"), {"return": null}])),
        rule("inet", "web", json!([matches("ip", "saddr", "@trusted"), accept()])),
        rule("inet", "net", json!([matches("ip6", "saddr", net("2001:db8::", 32)), accept()])),
    ]);
    let open: Vec<String> = openings(&host).iter().map(|said| said.split(", by ").next().unwrap().to_owned()).collect();
    assert_eq!(
        open,
        [
            "tcp 25 from any",
            "tcp 80 from 192.0.2.0-192.0.2.6,192.0.2.8-192.0.2.255,198.51.100.1-198.51.100.3 (ip)",
            "udp 53 from 2001:db8::/32 (ip6)",
        ]
    );
}

#[test]
fn a_condition_not_understood_is_unknown_unless_contained_all_the_same() {
    for opaque in [
        json!({"xt": {"type": "match", "name": "recent"}}),
        json!({"xt": null}),
        json!({"future": {"key": 3}}),
        meta("mark", "==", 1),
        json!({"match": {"op": "==", "left": {"hologram": 1}, "right": 2}}),
    ] {
        let host = ruleset(vec![
            base("inet", "input", "drop"),
            rule("inet", "input", json!([matches("tcp", "dport", 22), opaque, accept()])),
        ]);
        let found = findings(&host, CLOSED);
        assert!(!found.is_empty());
        for finding in found {
            assert_eq!(finding.status, Status::Unknown, "{opaque}");
            assert!(finding.observed.contains("not understood"), "{}", finding.observed);
        }
        let wide = SSH.replace("10.0.0.0/8", "any");
        assert_eq!(statuses(&host, &wide), [Status::Pass], "{opaque}");
    }
}

#[test]
fn an_opaque_drop_closes_nothing_for_certain() {
    let host = ruleset(vec![
        base("inet", "input", "drop"),
        rule("inet", "input", json!([{"xt": {"type": "match", "name": "recent"}}, drop()])),
        rule("inet", "input", json!([matches("tcp", "dport", 22), accept()])),
    ]);
    assert_eq!(statuses(&host, CLOSED), [Status::Unknown]);
}

#[test]
fn a_set_that_fills_itself_lets_in_unknown_and_keeps_nobody_out_for_certain() {
    let with = |verdict: Value| {
        ruleset(vec![
            base("inet", "input", "drop"),
            json!({"set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "flags": ["dynamic"]}}),
            rule("inet", "input", json!([matches("ip", "saddr", "@s"), verdict])),
            rule("inet", "input", json!([matches("tcp", "dport", 80), accept()])),
        ])
    };
    assert_eq!(statuses(&with(drop()), CLOSED), [Status::Deviation]);
    let let_in = findings(&with(accept()), &SSH.replace("22, from: 10.0.0.0/8", "80, from: any"));
    assert_eq!(let_in.len(), 1);
    assert_eq!(let_in[0].status, Status::Unknown);
}

#[test]
fn loops_and_missing_chains_are_not_passed() {
    let chain = json!({"chain": {"family": "inet", "table": "t", "name": "a", "handle": 2}});
    let host = ruleset(vec![
        base("inet", "input", "drop"),
        chain,
        rule("inet", "input", json!([{"jump": {"target": "a"}}])),
        rule("inet", "a", json!([{"jump": {"target": "a"}}])),
        rule("inet", "a", json!([{"jump": {"target": "nowhere"}}])),
    ]);
    assert_eq!(statuses(&host, CLOSED), [Status::Unknown]);
}

#[test]
fn a_thicket_of_jumps_ends_in_unknown_and_in_time() {
    let mut objects = vec![base("inet", "input", "drop"), rule("inet", "input", json!([{"jump": {"target": "c0"}}]))];
    for n in 0..18 {
        let name = format!("c{n}");
        objects.push(json!({"chain": {"family": "inet", "table": "t", "name": name, "handle": 2}}));
        for port in 0..20 {
            let next = format!("c{}", n + 1);
            objects.push(rule(
                "inet",
                &name,
                json!([matches("tcp", "dport", json!({"range": [port * 100, 60000 - n * 10]})),
                       {"limit": {"rate": 1, "per": "second"}}, {"jump": {"target": next}}]),
            ));
        }
    }
    assert_eq!(statuses(&ruleset(objects), CLOSED), [Status::Unknown]);
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
fn subjects_bear_no_handle_counter_comment_or_order_of_a_set() {
    let one = |set: Value, handle: u32, packets: u32| {
        let mut rule = rule(
            "inet",
            "input",
            json!([matches("tcp", "dport", json!({ "set": set })), {"counter": {"packets": packets, "bytes": 1}}, accept()]),
        );
        rule["rule"]["handle"] = json!(handle);
        rule["rule"]["comment"] = json!("web \"x\"");
        let host = ruleset(vec![base("inet", "input", "drop"), rule.clone(), rule]);
        let topic = Erased::<Firewall>::new();
        topic.encode(&topic.collect(&host)).unwrap()
    };
    assert_eq!(one(json!([443, 80]), 4, 0), one(json!([80, 443]), 7, 12));
    let items = String::from_utf8(one(json!([443, 80]), 4, 0).items).unwrap();
    assert!(items.contains(r#""rule:inet/t/input:tcp dport { 80, 443 } accept #2":"#), "{items}");
}

#[test]
fn changing_one_rule_lets_one_vanish_and_one_appear() {
    let subjects = |port: u16| {
        let mut objects = ordinary();
        objects.insert(6, rule("inet", "input", json!([matches("tcp", "dport", port), accept()])));
        let items = Firewall::collect(&ruleset(objects)).items.seen;
        items.into_iter().map(|(subject, item)| format!("{subject} = {}", Firewall::say(&item))).collect::<Vec<_>>()
    };
    let (before, after) = (subjects(80), subjects(443));
    assert_eq!(before.iter().filter(|item| !after.contains(item)).count(), 1);
    assert_eq!(after.iter().filter(|item| !before.contains(item)).count(), 1);
}

#[test]
fn what_rules_and_clocks_put_in_a_set_is_state() {
    let with = |elements: Value| {
        ruleset(vec![
            base("inet", "input", "drop"),
            json!({"set": {"family": "inet", "table": "t", "name": "bad", "type": "ipv4_addr", "flags": ["timeout"],
                           "elem": elements}}),
            rule("inet", "input", json!([matches("ip", "saddr", "@bad"), drop()])),
            rule(
                "inet",
                "input",
                json!([{"set": {"op": "add", "elem": {"payload": {"protocol": "ip", "field": "saddr"}},
                                                  "set": "@bad"}}]),
            ),
        ])
    };
    let one = Firewall::collect(&with(json!([{"elem": {"val": "192.0.2.1", "timeout": 60, "expires": 3}}])));
    let two = Firewall::collect(&with(json!(["192.0.2.2"])));
    assert_eq!(one.items, two.items);
    assert_ne!(one.state, two.state);
}

#[test]
fn a_mistake_in_an_opening_is_pointed_at() {
    let refused = |opening: &str| {
        let text = format!(
            "baseline: b\nversion: 1\ntitle: t\nrules:\n  - id: one\n    title: t\n    severity: high\n    why: w\n    \
             fix: f\n    firewall:\n      openings:\n        - {{{opening}, reason: r, owner: o}}\n"
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

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "inet", "ip", "t", "input", "filter", "@s", "tcp", "dport", "saddr", "10.0.0.1", "new", "*", "lo", "drop",
        "accept",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "match", "op", "left", "right", "payload", "protocol", "field", "set", "elem", "val", "concat", "range",
        "prefix", "addr", "len", "vmap", "key", "data", "accept", "drop", "jump", "goto", "target", "meta", "ct", "xt",
        "map", "&", "limit", "counter",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().map(|(key, of)| (key.to_owned(), of)).collect())),
        ]
    })
}

proptest! {
    // Without optimisation a case costs 50 ms: a quarter of the usual number keeps the suite quick.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_ruleset_panics_and_no_facts_are_lost_on_the_way(
        statements in prop::collection::vec(prop::collection::vec(any_json(), 0..4), 0..6),
        elements in any_json(),
        loose in any_json(),
    ) {
        let mut objects = vec![
            base("inet", "input", "drop"),
            json!({"set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "elem": elements}}),
            loose,
        ];
        for (n, mut list) in statements.into_iter().enumerate() {
            if n % 2 == 0 {
                list.push(accept());
            }
            objects.push(rule("inet", "input", Value::Array(list)));
        }
        let host = ruleset(objects);
        let topic = Erased::<Firewall>::new();
        let bytes = topic.encode(&topic.collect(&host)).unwrap();
        let again = topic.encode(&topic.decode(&bytes.items, &bytes.state).unwrap()).unwrap();
        prop_assert_eq!(bytes, again);
        prop_assert!(!statuses(&host, SSH).is_empty());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let host = Recorded::new().answer(Question::NftRuleset, bytes);
        prop_assert!(statuses(&host, DENY).iter().all(|status| *status == Status::Unknown));
    }
}
