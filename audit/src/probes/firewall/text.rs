//! nft's JSON as canonical text: near to what `nft list ruleset` prints, without handles, counters and clocks, and with
//! the elements of sets sorted, because the kernel gives a hash set's elements in an order that changes at each load.
//! A form that is not known is written as compact JSON with sorted keys: never dropped, never guessed at.

use serde_json::{Map, Value};

/// Members that change while nobody decides anything.
const VOLATILE: [&str; 6] = ["handle", "packets", "bytes", "used", "expires", "last"];

/// One statement of a rule; `None` for an anonymous counter, which says nothing about the rule.
pub(super) fn statement(value: &Value) -> Option<String> {
    let Some((kind, body)) = single(value) else { return Some(compact(value)) };
    Some(match kind {
        "counter" if body.is_object() || body.is_null() => return None,
        "last" => return None,
        "match" => match (body.get("op").and_then(Value::as_str), body.get("left"), body.get("right")) {
            (Some("==" | "in"), Some(left), Some(right)) => format!("{} {}", expression(left), expression(right)),
            (Some(op), Some(left), Some(right)) => format!("{} {op} {}", expression(left), expression(right)),
            _ => compact(value),
        },
        "vmap" => match (body.get("key"), body.get("data")) {
            (Some(key), Some(data)) => format!("{} vmap {}", expression(key), expression(data)),
            _ => compact(value),
        },
        "jump" | "goto" => match body.get("target").and_then(Value::as_str) {
            Some(target) => format!("{kind} {}", word(target)),
            None => compact(value),
        },
        "xt" => match (body.get("type").and_then(Value::as_str), body.get("name").and_then(Value::as_str)) {
            (Some(of), Some(name)) => match body.get("args").and_then(Value::as_str) {
                None | Some("") => format!("xt {} {}", word(of), word(name)),
                Some(options) => format!("xt {} {} {}", word(of), word(name), word(options)),
            },
            _ => "xt".to_owned(),
        },
        "set" => match (body.get("op").and_then(Value::as_str), body.get("set"), body.get("elem")) {
            (Some(op), Some(set), Some(elem)) => format!("{op} {} {{ {} }}", expression(set), expression(elem)),
            _ => compact(value),
        },
        "dnat" | "snat" | "redirect" | "masquerade" => translation(kind, body),
        "reject" => match (body.get("type").and_then(Value::as_str), body.get("expr")) {
            (Some(of), Some(with)) => format!("reject with {of} {}", expression(with)),
            (Some(of), None) => format!("reject with {of}"),
            (None, _) => "reject".to_owned(),
        },
        _ => match body {
            Value::Null => kind.to_owned(),
            Value::String(name) => format!("{kind} {}", word(name)),
            Value::Object(members) => format!("{kind}{}", options(members)),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => format!("{kind} {}", expression(body)),
        },
    })
}

/// `dnat ip to 10.0.0.5:80`, `redirect to :80`.
fn translation(kind: &str, body: &Value) -> String {
    let mut rest = body.as_object().cloned().unwrap_or_default();
    let mut take = |name: &str| rest.remove(name).map(|value| expression(&value));
    let (family, address, port) = (take("family"), take("addr"), take("port"));
    let mut said = kind.to_owned();
    if let Some(family) = family {
        said.push_str(&format!(" {family}"));
    }
    match (address, port) {
        (None, None) => {}
        (Some(address), None) => said.push_str(&format!(" to {address}")),
        (address, Some(port)) => said.push_str(&format!(" to {}:{port}", address.unwrap_or_default())),
    }
    said + &options(&rest)
}

/// An expression: what a match compares, what a set holds.
pub(super) fn expression(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => word(text),
        Value::Array(list) => sorted(list.iter().map(expression)).join(","),
        Value::Object(_) => object(value).unwrap_or_else(|| compact(value)),
    }
}

fn object(value: &Value) -> Option<String> {
    let (kind, body) = single(value)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(word);
    Some(match kind {
        "payload" => match (text("protocol"), text("field"), text("base")) {
            (Some(protocol), Some(field), _) => format!("{protocol} {field}"),
            (_, _, Some(base)) => format!("@{base},{},{}", body.get("offset")?, body.get("len")?),
            _ => return None,
        },
        "meta" => match text("key")?.as_str() {
            key @ ("iif" | "iifname" | "oif" | "oifname") => key.to_owned(),
            key => format!("meta {key}"),
        },
        "ct" => match (text("dir"), text("family"), text("key")?) {
            (None, None, key) => format!("ct {key}"),
            (dir, family, key) => {
                [Some("ct".to_owned()), dir, family, Some(key)].into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
        },
        "concat" => body.as_array()?.iter().map(expression).collect::<Vec<_>>().join(" . "),
        "prefix" => format!("{}/{}", expression(body.get("addr")?), body.get("len")?),
        "range" => match body.as_array()?.as_slice() {
            [low, high] => format!("{}-{}", expression(low), expression(high)),
            _ => return None,
        },
        "set" => match body {
            Value::Array(elements) => format!("{{ {} }}", self::elements(elements).join(", ")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => return None,
        },
        "elem" => {
            let members = body.as_object()?;
            let mut rest = members.clone();
            let of = rest.remove("val")?;
            format!("{}{}", expression(&of), options(&rest))
        }
        "accept" | "drop" | "return" | "continue" | "jump" | "goto" => statement(value)?,
        "fib" => format!(
            "fib {} {}",
            match body.get("flags")?.as_array() {
                Some(flags) => flags.iter().map(expression).collect::<Vec<_>>().join(" . "),
                None => expression(body.get("flags")?),
            },
            text("result")?
        ),
        "map" => format!("{} map {}", expression(body.get("key")?), expression(body.get("data")?)),
        "&" | "|" | "^" | "<<" | ">>" => match body.as_array()?.as_slice() {
            [left, right @ ..] if !right.is_empty() => {
                let parts = std::iter::once(left).chain(right).map(operand).collect::<Vec<_>>();
                parts.join(&format!(" {kind} "))
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn operand(value: &Value) -> String {
    match value.as_array() {
        Some(list) => format!("({})", sorted(list.iter().map(expression)).join("|")),
        None => expression(value),
    }
}

/// The elements of a set or map, canonical and sorted.
pub(super) fn elements(list: &[Value]) -> Vec<String> {
    sorted(list.iter().map(element))
}

/// One element; those of a map are pairs.
pub(super) fn element(value: &Value) -> String {
    match value.as_array() {
        Some(pair) if pair.len() == 2 => pair.iter().map(expression).collect::<Vec<_>>().join(" : "),
        Some(_) | None => expression(value),
    }
}

/// Members of a statement this crate has no sentence for, in the order of their names.
fn options(members: &Map<String, Value>) -> String {
    let mut names: Vec<&String> = members.keys().filter(|name| !VOLATILE.contains(&name.as_str())).collect();
    names.sort();
    names.into_iter().filter_map(|name| Some(format!(" {name} {}", expression(members.get(name)?)))).collect()
}

/// Compact JSON with sorted keys, without what changes by itself.
pub(super) fn compact(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().filter(|name| !VOLATILE.contains(&name.as_str())).collect();
            names.sort();
            let inside: Vec<String> = names
                .into_iter()
                .filter_map(|name| Some(format!("{}:{}", Value::from(name.as_str()), compact(members.get(name)?))))
                .collect();
            format!("{{{}}}", inside.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(compact).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// The one member of an object that has just one.
pub(super) fn single(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object()?;
    let mut all = members.iter();
    match (all.next(), all.next()) {
        (Some((kind, body)), None) => Some((kind.as_str(), body)),
        _ => None,
    }
}

/// A name as it is where it could not be taken for anything else, else quoted.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/*@+-".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { Value::from(text).to_string() }
}

/// Numbers by value, the rest by their bytes.
fn sorted(list: impl Iterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = list.collect();
    list.sort_by_cached_key(|text| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).take(39).collect();
        (digits.parse::<u128>().unwrap_or(u128::MAX), text.clone())
    });
    list
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statements_read_as_nft_prints_them() {
        let cases = [
            (
                json!({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}),
                "tcp dport 22",
            ),
            (json!({"match": {"op": "!=", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}), "iifname != eth0"),
            (
                json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["related", "established"]}}),
                "ct state established,related",
            ),
            (
                json!({"match": {"op": "==", "left": {"meta": {"key": "l4proto"}},
                       "right": {"set": [100, {"range": [8000, 8010]}, 22]}}}),
                "meta l4proto { 22, 100, 8000-8010 }",
            ),
            (json!({"jump": {"target": "web"}}), "jump web"),
            (json!({"limit": {"rate": 10, "per": "second", "burst": 5}}), "limit burst 5 per second rate 10"),
            (json!({"log": {"prefix": "no: "}}), "log prefix \"no: \""),
            (json!({"xt": {"type": "match", "name": "conntrack"}}), "xt match conntrack"),
            (json!({"counter": "c1"}), "counter c1"),
            (json!({"dnat": {"family": "ip", "addr": "10.0.0.5", "port": 80}}), "dnat ip to 10.0.0.5:80"),
            (json!({"redirect": {"port": 80, "flags": "random"}}), "redirect to :80 flags random"),
            (json!({"masquerade": null}), "masquerade"),
            (json!({"accept": null}), "accept"),
            (json!({"reject": {"type": "tcp reset"}}), "reject with tcp reset"),
        ];
        for (json, text) in cases {
            assert_eq!(statement(&json).as_deref(), Some(text));
        }
        assert_eq!(statement(&json!({"counter": {"packets": 5, "bytes": 400}})), None);
    }

    #[test]
    fn a_form_nobody_knows_is_kept_as_sorted_json() {
        assert_eq!(statement(&json!({"b": 1, "a": {"handle": 3, "x": [2]}})).unwrap(), r#"{"a":{"x":[2]},"b":1}"#);
        assert_eq!(expression(&json!({"future": {"key": "z"}})), r#"{"future":{"key":"z"}}"#);
    }

    #[test]
    fn the_order_of_a_set_does_not_matter_and_its_clocks_do_not_count() {
        let one = json!([{"elem": {"val": "10.0.0.1", "timeout": 60, "expires": 59}}, "10.0.0.2"]);
        let two = json!(["10.0.0.2", {"elem": {"val": "10.0.0.1", "timeout": 60, "expires": 3}}]);
        assert_eq!(elements(one.as_array().unwrap()), elements(two.as_array().unwrap()));
    }

    #[test]
    fn a_name_cannot_pass_for_a_statement() {
        assert_eq!(statement(&json!({"jump": {"target": "a accept"}})).unwrap(), "jump \"a accept\"");
    }
}
