//! How packets go through chains: every base chain, jumps and maps, conditions not understood, and the bounds.

use super::*;

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
