//! One rule of iptables-save(8) as statements in nft's JSON (iptables-extensions(8)). A module whose options are not
//! known is kept as `{"xt": {"type", "name", "args"}}`, with its options as they were written.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::describe;
use super::save::Rule;

/// The rule those words of an `-A CHAIN` line make.
pub(super) fn rule(family: &str, words: &[String], chains: &BTreeSet<String>) -> Rule {
    let mut rule = Rule { statements: Vec::new(), comment: None };
    let mut protocol = None;
    let mut rest = words.iter().map(String::as_str).peekable();
    let mut negated = false;
    while let Some(word) = rest.next() {
        match word {
            "!" => {
                negated = true;
                continue;
            }
            "-f" => rule.statements.push(extension("match", "fragment", if negated { "! -f" } else { "-f" })),
            "-s" | "-d" | "-i" | "-o" | "-p" => {
                let value = rest.next().unwrap_or_default();
                if word == "-p" && !negated {
                    protocol = Some(value);
                }
                rule.statements.extend(basic(family, word, value, negated));
            }
            "-m" => {
                let name = rest.next().unwrap_or_default();
                let mut options = Vec::new();
                while let Some(option) = rest.next_if(|option| !matches!(*option, "-m" | "-j" | "-g")) {
                    options.push(option);
                }
                module(family, name, &options, protocol, &mut rule);
            }
            "-j" | "-g" => {
                let name = rest.next().unwrap_or_default();
                let options: Vec<&str> = rest.by_ref().collect();
                rule.statements.push(target(word, name, &options, chains));
            }
            other => rule.statements.push(extension("match", other, "")),
        }
        negated = false;
    }
    rule
}

fn basic(family: &str, option: &str, value: &str, negated: bool) -> Option<Value> {
    let place = |field: &str, name: &str| match address(value) {
        Some(right) => matched(payload(family, field), negated, right),
        None => extension("match", name, value),
    };
    let name = |key: &str| {
        let name = value.strip_suffix('+').map_or_else(|| value.to_owned(), |start| format!("{start}*"));
        matched(json!({"meta": {"key": key}}), negated, Value::from(name))
    };
    Some(match option {
        "-s" => place("saddr", "source"),
        "-d" => place("daddr", "destination"),
        "-i" => name("iifname"),
        "-o" => name("oifname"),
        _ if value == "all" && !negated => return None,
        _ => matched(json!({"meta": {"key": "l4proto"}}), negated, number(value)),
    })
}

fn module(family: &str, name: &str, options: &[&str], protocol: Option<&str>, rule: &mut Rule) {
    let (negated, words) = match options {
        ["!", words @ ..] => (true, words),
        words => (false, words),
    };
    // Its ports are looked for in one protocol, which nft's JSON says with them.
    let ports = |rule: &mut Rule, field: &str, list: &str| {
        let of = protocol.filter(|protocol| *protocol == name).unwrap_or("th");
        if of != "th" {
            rule.statements.retain(|statement| statement.pointer("/match/left/meta/key") != Some(&json!("l4proto")));
        }
        rule.statements.push(matched(payload(of, field), negated, list_of(list, &port)));
    };
    let state = |list: &str| {
        let names: Vec<String> = list.split(',').map(str::to_lowercase).collect();
        let translated = names.iter().any(|name| name == "dnat" || name == "snat");
        let alone = names.iter().all(|name| name == "dnat" || name == "snat");
        let key = if translated { "status" } else { "state" };
        (!translated || alone).then(|| matched(json!({"ct": {"key": key}}), negated, json!(names)))
    };
    match (name, words) {
        ("comment", ["--comment", text]) => rule.comment = Some((*text).to_owned()),
        ("tcp" | "udp" | "sctp" | "dccp" | "udplite", []) => {}
        ("tcp" | "udp" | "sctp" | "dccp" | "udplite", ["--dport", list]) => ports(rule, "dport", list),
        ("tcp" | "udp" | "sctp" | "dccp" | "udplite", ["--sport", list]) => ports(rule, "sport", list),
        ("multiport", ["--dports", list]) => ports(rule, "dport", list),
        ("multiport", ["--sports", list]) => ports(rule, "sport", list),
        ("tcp", ["--sport", from, "--dport", to]) if !negated => {
            ports(rule, "sport", from);
            ports(rule, "dport", to);
        }
        ("conntrack", ["--ctstate", list]) | ("state", ["--state", list]) => {
            rule.statements.push(state(list).unwrap_or_else(|| extension("match", name, &options.join(" "))));
        }
        ("addrtype", [side @ ("--dst-type" | "--src-type"), kind]) => {
            let of = if *side == "--dst-type" { "daddr" } else { "saddr" };
            let left = json!({"fib": {"result": "type", "flags": [of]}});
            rule.statements.push(matched(
                left,
                negated,
                list_of(&kind.to_lowercase(), &|word| Some(Value::from(word))),
            ));
        }
        ("iprange", [side @ ("--src-range" | "--dst-range"), range]) => {
            let of = if *side == "--src-range" { "saddr" } else { "daddr" };
            rule.statements.push(match range.split_once('-') {
                Some((low, high)) => matched(payload(family, of), negated, json!({"range": [low, high]})),
                None => extension("match", name, &options.join(" ")),
            });
        }
        ("icmp" | "icmp6" | "icmpv6", ["--icmp-type" | "--icmpv6-type", kind]) => {
            let of = if name == "icmp" { "icmp" } else { "icmpv6" };
            rule.statements.push(matched(payload(of, "type"), negated, Value::from(*kind)));
        }
        ("pkttype", ["--pkt-type", kind]) => {
            rule.statements.push(matched(json!({"meta": {"key": "pkttype"}}), negated, Value::from(*kind)));
        }
        _ => rule.statements.push(extension("match", name, &options.join(" "))),
    }
}

fn target(how: &str, name: &str, options: &[&str], chains: &BTreeSet<String>) -> Value {
    if how == "-g" {
        return json!({"goto": {"target": name}});
    }
    if chains.contains(name) {
        return json!({"jump": {"target": name}});
    }
    match (name, options) {
        ("ACCEPT", []) => json!({"accept": null}),
        ("DROP", []) => json!({"drop": null}),
        ("RETURN", []) => json!({"return": null}),
        ("REJECT", []) => json!({"reject": null}),
        ("REJECT", ["--reject-with", with]) => json!({"reject": {"type": with}}),
        ("NOTRACK", []) | ("CT", ["--notrack"]) => json!({"notrack": null}),
        ("REDIRECT", []) => json!({"redirect": null}),
        ("REDIRECT", ["--to-ports", to]) => match port(to) {
            Some(to) => json!({"redirect": {"port": to}}),
            None => extension("target", name, &options.join(" ")),
        },
        ("DNAT", ["--to-destination", to]) => match translation(to) {
            Some(to) => json!({ "dnat": to }),
            None => extension("target", name, &options.join(" ")),
        },
        _ => extension("target", name, &options.join(" ")),
    }
}

/// `10.0.0.5`, `10.0.0.5:80`, `[fd00::1]:80`, `:80`.
fn translation(to: &str) -> Option<Value> {
    if describe::number(to).is_some() {
        return Some(json!({"addr": to}));
    }
    let (place, to) = to.rsplit_once(':')?;
    let to = port(to)?;
    let place = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(place);
    match place {
        "" => Some(json!({"port": to})),
        place => describe::number(place).map(|_| json!({"addr": place, "port": to})),
    }
}

fn matched(left: Value, negated: bool, right: Value) -> Value {
    let op = match (&right, negated) {
        (_, true) => "!=",
        (Value::Array(_), false) => "in",
        (_, false) => "==",
    };
    json!({"match": {"op": op, "left": left, "right": right}})
}

fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn extension(kind: &str, name: &str, options: &str) -> Value {
    json!({"xt": {"type": kind, "name": name, "args": options}})
}

fn number(value: &str) -> Value {
    value.parse::<u8>().map_or_else(|_| Value::from(value), Value::from)
}

/// An address, or one with the length of its prefix; `None` for a mask that is none.
fn address(value: &str) -> Option<Value> {
    match value.split_once('/') {
        None => describe::number(value).map(|_| Value::from(value)),
        Some((of, length)) => {
            let (family, of_number) = describe::number(of)?;
            let length: u32 = length.parse().ok()?;
            describe::prefix(family, of_number, length)?;
            let whole = length == if of.contains(':') { 128 } else { 32 };
            Some(if whole { Value::from(of) } else { json!({"prefix": {"addr": of, "len": length}}) })
        }
    }
}

fn list_of(list: &str, one: &dyn Fn(&str) -> Option<Value>) -> Value {
    let said = |word: &str| one(word).unwrap_or_else(|| Value::from(word));
    match list.contains(',') {
        true => json!({"set": list.split(',').map(said).collect::<Vec<_>>()}),
        false => said(list),
    }
}

/// `80`, `80:90`, `80-90`.
fn port(text: &str) -> Option<Value> {
    match text.split_once([':', '-']) {
        None => text.parse::<u16>().ok().map(Value::from),
        Some((low, high)) => {
            let (low, high): (u16, u16) = (low.parse().ok()?, high.parse().ok()?);
            Some(json!({"range": [low, high]}))
        }
    }
}
