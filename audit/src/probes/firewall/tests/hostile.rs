//! Anything as a ruleset: no panic, and no facts lost on the way to the collector.

use proptest::prelude::*;

use super::*;

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
        let bytes = topic.encode(&topic.collect(&host, &[])).unwrap();
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
