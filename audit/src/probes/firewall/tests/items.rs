//! What is an item, under which subject, and what is only state.

use super::*;

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
        topic.encode(&topic.collect(&host, &[])).unwrap()
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
