//! What prerouting does before the input hook sees a connection: other ports, other addresses, no tracking.

use super::*;

fn prerouting(kind: &str, priority: i64) -> Value {
    json!({"chain": {"family": "inet", "table": "t", "name": format!("pre{kind}"), "handle": 1, "type": kind,
                     "hook": "prerouting", "prio": priority, "policy": "accept"}})
}

fn said(host: &Recorded) -> Vec<String> {
    let mut said: Vec<String> =
        openings(host).iter().map(|said| said.split(", by ").next().unwrap().to_owned()).collect();
    said.dedup();
    said
}

#[test]
fn a_redirect_opens_the_port_that_is_dialled() {
    let host = ruleset(vec![
        prerouting("nat", -100),
        base("inet", "input", "drop"),
        rule("inet", "prenat", json!([matches("tcp", "dport", 80), {"redirect": {"port": 8080}}])),
        rule("inet", "input", json!([matches("tcp", "dport", 8080), accept()])),
    ]);
    assert_eq!(said(&host), ["tcp 80 from any, which leads to 8080,", "tcp 8080 from any"]);
    let allowed = "openings: [{protocol: tcp, port: [80, 8080], from: any, reason: r, owner: o, until: 2099-01-01}]";
    assert_eq!(statuses(&host, allowed), [Status::Pass]);
}

#[test]
fn what_is_sent_to_another_host_opens_nothing_here() {
    let to = |address: &str| {
        ruleset(vec![
            prerouting("nat", -100),
            base("inet", "input", "drop"),
            rule(
                "inet",
                "prenat",
                json!([matches("tcp", "dport", 80), {"dnat": {"family": "ip", "addr": address, "port": 80}}]),
            ),
            rule(
                "inet",
                "input",
                json!([{"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}}, accept()]),
            ),
        ])
        .file("/proc/net/fib_trie", "Local:\n |-- 192.0.2.1\n /32 host LOCAL\n")
        .file("/proc/net/if_inet6", "")
    };
    assert!(said(&to("198.51.100.7")).is_empty());
    assert_eq!(said(&to("192.0.2.1")).len(), 2, "where one address had that name before, it is unclear");
}

#[test]
fn untracked_packets_are_not_new() {
    let state = |name: &str| json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": name}});
    let host = |asked: &str| {
        ruleset(vec![
            prerouting("filter", -300),
            base("inet", "input", "drop"),
            rule("inet", "prefilter", json!([matches("udp", "dport", 53), {"notrack": null}])),
            rule("inet", "input", json!([matches("udp", "dport", json!({"set": [53, 123]})), state(asked), accept()])),
        ])
    };
    assert_eq!(said(&host("new")), ["udp 123 from any"]);
    assert_eq!(said(&host("untracked")), ["udp 53 from any"]);
}

#[test]
fn a_drop_in_prerouting_closes() {
    let host = ruleset(vec![
        prerouting("filter", -150),
        base("inet", "input", "drop"),
        rule("inet", "prefilter", json!([matches("ip", "saddr", net("10.0.0.0", 8)), drop()])),
        rule("inet", "input", json!([meta("nfproto", "==", "ipv4"), matches("tcp", "dport", 22), accept()])),
    ]);
    assert_eq!(said(&host), ["tcp 22 from 0.0.0.0-9.255.255.255,11.0.0.0-255.255.255.255 (ip)"]);
}

#[test]
fn legacy_rules_filter_beside_nft_and_are_unknown_where_they_cannot_be_read() {
    let nft = ruleset(ordinary()).file("/proc/net/ip_tables_names", "filter\n");
    assert_eq!(statuses(&nft, "openings: []"), [Status::Unknown]);
    let saved = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\nCOMMIT\n";
    let both =
        ruleset(ordinary()).file("/proc/net/ip_tables_names", "filter\n").answer(Question::IptablesLegacy, saved);
    assert_eq!(statuses(&both, "openings: []"), [Status::Pass], "each drops what the other accepts");
    let other =
        ruleset(ordinary()).file("/proc/net/ip_tables_names", "filter\nnat\n").answer(Question::IptablesLegacy, saved);
    assert_eq!(statuses(&other, "openings: []"), [Status::Unknown], "a table was not shown");
}
