//! What one match of a rule asks of a *new* connection, as regions. Packets of established connections are not followed:
//! whoever may not open a connection has none to continue.
//!
//! A condition outside the four dimensions only narrows a rule and is kept as text: *given* where it is understood (a
//! rate, a destination, a time of day), *unclear* where it might close the rule altogether (a packet mark, an xtables
//! extension, a form not known).

use std::collections::BTreeSet;

use serde_json::Value;

use super::describe;
use super::ruleset::{Ruleset, set_id};
use super::space::{Family, Names, Ranges, Region};
use super::text;

/// What a match lets through.
#[derive(Debug, Clone, Default)]
pub(super) struct Constraint {
    /// The union of these; never smaller than the truth. None of them: nothing new can match.
    pub(super) regions: Vec<Region>,
    /// Narrower than the regions, by a condition that is understood.
    pub(super) given: Option<String>,
    /// Narrower than the regions, nobody knows how far.
    pub(super) unclear: Option<String>,
    /// Narrower than the regions, by a set whose elements come and go.
    pub(super) passing: Option<String>,
}

impl Constraint {
    fn never() -> Self {
        Self::default()
    }

    fn of(region: Region) -> Self {
        Self { regions: vec![region], ..Self::default() }
    }
}

/// What a left side looks at.
struct Key {
    what: What,
    /// The match implies this family.
    family: Option<Family>,
    /// The match implies this protocol.
    protocol: Option<u128>,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Source(Family),
    Protocol,
    /// The next header of IPv6 is the protocol only where no extension headers stand between.
    NextHeader,
    Port,
    Interface,
    InterfaceType,
    Family,
    State,
    Narrowing,
    Unknown,
}

/// What `left op right` asks of packets of `family`, in a rule of `table`.
pub(super) fn constraint(ruleset: &Ruleset, table: &str, family: Family, body: &Value) -> Constraint {
    let unclear = || Constraint {
        unclear: Some(text::statement(&serde_json::json!({ "match": body })).unwrap_or_default()),
        ..Constraint::of(Region::all(family))
    };
    let (Some(op), Some(left), Some(right)) =
        (body.get("op").and_then(Value::as_str), body.get("left"), body.get("right"))
    else {
        return unclear();
    };
    let said = text::statement(&serde_json::json!({ "match": body })).unwrap_or_default();
    let values = elements(ruleset, table, right);
    match op {
        "==" | "in" if values.dynamic => Constraint { passing: Some(said), ..Constraint::of(implied(left, family)) },
        _ if values.dynamic => Constraint { given: Some(said), ..Constraint::of(Region::all(family)) },
        "==" | "in" => among(ruleset, left, family, &values.list, &said),
        "!=" => not_among(ruleset, left, family, &values.list, &said),
        "<" | ">" | "<=" | ">=" => compared(left, family, op, right, &said),
        _ => unclear(),
    }
}

/// What `left` being one of `values` asks; a concatenation is compared part by part.
pub(super) fn among(ruleset: &Ruleset, left: &Value, family: Family, values: &[Value], said: &str) -> Constraint {
    let Some(parts) = left.get("concat").and_then(Value::as_array) else {
        return one_among(ruleset, &key(left), family, values, said);
    };
    let mut whole = Constraint::never();
    for value in values {
        let fields = unwrap_element(value).get("concat").and_then(Value::as_array);
        let mut regions = vec![Region::all(family)];
        match fields {
            Some(fields) if fields.len() == parts.len() => {
                for (part, field) in parts.iter().zip(fields) {
                    let narrowed = one_among(ruleset, &key(part), family, std::slice::from_ref(field), said);
                    regions = crossed(&regions, &narrowed.regions);
                    whole.given = whole.given.or(narrowed.given);
                    whole.unclear = whole.unclear.or(narrowed.unclear);
                }
            }
            Some(_) | None => whole.unclear = Some(said.to_owned()),
        }
        whole.regions.extend(regions);
    }
    whole
}

fn one_among(ruleset: &Ruleset, key: &Key, family: Family, values: &[Value], said: &str) -> Constraint {
    if key.family.is_some_and(|of| of != family) {
        return Constraint::never();
    }
    let base = base(key, family);
    if values.iter().any(|value| unwrap_element(value).as_str() == Some("*")) && key.what != What::State {
        return Constraint::of(base);
    }
    let noted = |what: &str| Some(what.to_owned());
    match key.what {
        What::Narrowing => Constraint { given: noted(said), ..Constraint::of(base) },
        What::Unknown => Constraint { unclear: noted(said), ..Constraint::of(base) },
        What::State => states(ruleset, values, said, base),
        What::Family => match values.iter().map(family_of).collect::<Option<Vec<_>>>() {
            Some(families) if families.contains(&Some(family)) => Constraint::of(base),
            Some(_) => Constraint::never(),
            None => Constraint { unclear: noted(said), ..Constraint::of(base) },
        },
        What::Source(_) | What::Protocol | What::NextHeader | What::Port | What::Interface | What::InterfaceType => {
            let Some(region) = values_region(key.what, family, values) else {
                return Constraint { unclear: noted(said), ..Constraint::of(base) };
            };
            let given = (key.what == What::NextHeader).then(|| said.to_owned());
            Constraint { regions: base.and(&region).into_iter().collect(), given, ..Constraint::default() }
        }
    }
}

fn not_among(ruleset: &Ruleset, left: &Value, family: Family, values: &[Value], said: &str) -> Constraint {
    let key = key(left);
    if key.family.is_some_and(|of| of != family) {
        return Constraint::never();
    }
    let base = base(&key, family);
    match key.what {
        What::State => match state_names(values) {
            // A connection that is not new has been accepted before, or is none.
            Some(states) if states.contains("new") => Constraint::never(),
            Some(_) => Constraint::of(base),
            None => Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) },
        },
        What::Narrowing | What::NextHeader => Constraint { given: Some(said.to_owned()), ..Constraint::of(base) },
        What::Unknown => Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) },
        What::Family => match one_among(ruleset, &key, family, values, said) {
            matched if matched.unclear.is_some() => matched,
            matched if matched.regions.is_empty() => Constraint::of(base),
            _ => Constraint::never(),
        },
        What::Source(_) | What::Protocol | What::Port | What::Interface | What::InterfaceType => {
            let Some(region) = values_region(key.what, family, values) else {
                return Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) };
            };
            Constraint { regions: base.minus(&region, family), ..Constraint::default() }
        }
    }
}

fn compared(left: &Value, family: Family, op: &str, right: &Value, said: &str) -> Constraint {
    let key = key(left);
    if key.family.is_some_and(|of| of != family) {
        return Constraint::never();
    }
    let base = base(&key, family);
    let top = if key.what == What::Port { 65535 } else { 255 };
    let bound = right.as_u64().map(u128::from);
    let range = match (op, bound) {
        ("<", Some(bound)) => bound.checked_sub(1).map(|high| (0, high)).or(Some((1, 0))),
        ("<=", Some(bound)) => Some((0, bound.min(top))),
        (">", Some(bound)) => Some((bound.saturating_add(1), top)),
        (">=", Some(bound)) => Some((bound, top)),
        _ => None,
    };
    match (key.what, range) {
        (What::Port, Some(range)) => {
            let region = Region { port: Ranges::of([range]), ..Region::all(family) };
            Constraint { regions: base.and(&region).into_iter().collect(), ..Constraint::default() }
        }
        (What::Narrowing, _) => Constraint { given: Some(said.to_owned()), ..Constraint::of(base) },
        _ => Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) },
    }
}

/// Connection states a rule asks for. Established and related cannot begin a connection.
fn states(ruleset: &Ruleset, values: &[Value], said: &str, base: Region) -> Constraint {
    match state_names(values) {
        Some(states) if states.contains("new") || states.contains("*") => Constraint::of(base),
        Some(states) if states.contains("invalid") || (states.contains("untracked") && ruleset.untracked) => {
            Constraint { given: Some(said.to_owned()), ..Constraint::of(base) }
        }
        Some(_) => Constraint::never(),
        None => Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) },
    }
}

fn state_names(values: &[Value]) -> Option<BTreeSet<&str>> {
    const KNOWN: [&str; 6] = ["new", "established", "related", "invalid", "untracked", "*"];
    let mut names = BTreeSet::new();
    for value in values {
        let name = unwrap_element(value).as_str()?;
        names.insert(*KNOWN.iter().find(|known| **known == name)?);
    }
    (!names.is_empty()).then_some(names)
}

/// The two-way products of two unions.
pub(super) fn crossed(left: &[Region], right: &[Region]) -> Vec<Region> {
    left.iter().flat_map(|one| right.iter().filter_map(|two| one.and(two))).collect()
}

fn values_region(what: What, family: Family, values: &[Value]) -> Option<Region> {
    let all = Region::all(family);
    let ranges = |parse: &dyn Fn(&Value) -> Option<(u128, u128)>| {
        values.iter().map(|value| parse(unwrap_element(value))).collect::<Option<Vec<_>>>().map(Ranges::of)
    };
    Some(match what {
        What::Source(_) => Region { source: ranges(&|value| addresses(value, family))?, ..all },
        What::Protocol | What::NextHeader => {
            Region { protocol: ranges(&|value| numbers(value, &describe::protocol))?, ..all }
        }
        What::Port => {
            let port = |name: &str| name.parse::<u16>().ok().map(u128::from);
            Region { port: ranges(&|value| numbers(value, &port))?, ..all }
        }
        What::Interface => {
            let name = |value: &Value| match unwrap_element(value) {
                Value::String(name) => Some(name.clone()),
                Value::Number(index) => Some(index.to_string()),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            };
            Region { interface: Names::Only(values.iter().map(name).collect::<Option<_>>()?), ..all }
        }
        What::InterfaceType => {
            let loopback = values.iter().all(|value| unwrap_element(value).as_str() == Some("loopback"));
            loopback.then(|| Region { interface: Names::Only(BTreeSet::from(["lo".to_owned()])), ..all })?
        }
        What::Family | What::State | What::Narrowing | What::Unknown => return None,
    })
}

fn addresses(value: &Value, family: Family) -> Option<(u128, u128)> {
    let number = |value: &Value| match describe::number(value.as_str()?)? {
        (of, number) if of == family => Some(number),
        _ => None,
    };
    match text::single(value) {
        Some(("prefix", body)) => {
            let length = u32::try_from(body.get("len")?.as_u64()?).ok()?;
            describe::prefix(family, number(body.get("addr")?)?, length)
        }
        Some(("range", body)) => match body.as_array()?.as_slice() {
            [low, high] => Some((number(low)?, number(high)?)),
            _ => None,
        },
        Some(_) => None,
        None => number(value).map(|at| (at, at)),
    }
}

fn numbers(value: &Value, named: &dyn Fn(&str) -> Option<u128>) -> Option<(u128, u128)> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_u64().map(u128::from),
        Value::String(name) => named(name),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match text::single(value) {
        Some(("range", body)) => match body.as_array()?.as_slice() {
            [low, high] => Some((number(low)?, number(high)?)),
            _ => None,
        },
        Some(_) => None,
        None => number(value).map(|at| (at, at)),
    }
}

fn family_of(value: &Value) -> Option<Option<Family>> {
    match unwrap_element(value) {
        Value::String(name) => match name.as_str() {
            "ipv4" | "ip" => Some(Some(Family::Ip)),
            "ipv6" | "ip6" => Some(Some(Family::Ip6)),
            "arp" | "vlan" | "8021q" | "8021ad" => Some(None),
            _ => None,
        },
        Value::Number(number) => match number.as_u64()? {
            2 | 4 => Some(Some(Family::Ip)),
            10 | 6 => Some(Some(Family::Ip6)),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The region a match on `left` is confined to whatever it is compared with.
fn implied(left: &Value, family: Family) -> Region {
    base(&key(left), family)
}

fn base(key: &Key, family: Family) -> Region {
    let all = Region::all(family);
    match key.protocol {
        Some(protocol) => Region { protocol: Ranges::of([(protocol, protocol)]), ..all },
        None => all,
    }
}

fn key(left: &Value) -> Key {
    let plain = |what| Key { what, family: None, protocol: None };
    let Some((kind, body)) = text::single(left) else { return plain(What::Unknown) };
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    match kind {
        "payload" => payload(word("protocol"), word("field")),
        "meta" => plain(match word("key") {
            "iif" | "iifname" => What::Interface,
            "iiftype" => What::InterfaceType,
            "l4proto" => What::Protocol,
            "nfproto" | "protocol" => What::Family,
            "oif" | "oifname" | "pkttype" | "length" | "time" | "hour" | "day" | "cpu" => What::Narrowing,
            _ => What::Unknown,
        }),
        "ct" if word("key") == "state" => plain(What::State),
        "fib" => plain(What::Narrowing),
        // Flags of TCP and masks of addresses: the part that is masked still tells the protocol.
        "&" => {
            let masked = body.as_array().and_then(|parts| parts.first()).map(key);
            match masked {
                Some(Key { what: What::Narrowing, family, protocol }) => {
                    Key { what: What::Narrowing, family, protocol }
                }
                Some(Key { family, protocol, .. }) => Key { what: What::Unknown, family, protocol },
                None => plain(What::Unknown),
            }
        }
        _ => plain(What::Unknown),
    }
}

fn payload(protocol: &str, field: &str) -> Key {
    let of = |what, family, protocol| Key { what, family, protocol };
    match (protocol, field) {
        ("ip", "saddr") => of(What::Source(Family::Ip), Some(Family::Ip), None),
        ("ip6", "saddr") => of(What::Source(Family::Ip6), Some(Family::Ip6), None),
        ("ip", "protocol") => of(What::Protocol, Some(Family::Ip), None),
        ("ip6", "nexthdr") => of(What::NextHeader, Some(Family::Ip6), None),
        ("ip", _) => of(What::Narrowing, Some(Family::Ip), None),
        ("ip6", _) => of(What::Narrowing, Some(Family::Ip6), None),
        ("th", "dport") => of(What::Port, None, None),
        ("th" | "ether" | "vlan", _) => of(What::Narrowing, None, None),
        ("tcp" | "udp" | "udplite" | "sctp" | "dccp", "dport") => of(What::Port, None, describe::protocol(protocol)),
        (name, _) => match describe::protocol(name) {
            Some(number) => of(What::Narrowing, None, Some(number)),
            None => of(What::Unknown, None, None),
        },
    }
}

/// The values a right side stands for.
pub(super) struct Values {
    pub(super) list: Vec<Value>,
    /// Whether they come and go by themselves.
    pub(super) dynamic: bool,
}

/// The values of a literal, an anonymous set, a list of flags or a named set.
pub(super) fn elements(ruleset: &Ruleset, table: &str, right: &Value) -> Values {
    let fixed = |list: Vec<Value>| Values { list, dynamic: false };
    if let Some(list) = right.get("set").and_then(Value::as_array) {
        return fixed(list.clone());
    }
    match right {
        Value::Array(list) => fixed(list.clone()),
        Value::String(name) if name.starts_with('@') => match ruleset.sets.get(&set_id(table, name)) {
            Some(set) if !set.dynamic && !set.elements.iter().any(super::ruleset::is_timed) => {
                fixed(set.elements.clone())
            }
            Some(_) | None => Values { list: Vec::new(), dynamic: true },
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            fixed(vec![right.clone()])
        }
    }
}

/// How many elements a match compares with.
pub(super) fn size(ruleset: &Ruleset, table: &str, body: &Value) -> usize {
    let right = body.get("right");
    match right.and_then(Value::as_str).filter(|name| name.starts_with('@')) {
        Some(name) => ruleset.sets.get(&set_id(table, name)).map_or(0, |set| set.elements.len()),
        None => right.and_then(|right| right.get("set")).and_then(Value::as_array).map_or(1, Vec::len),
    }
}

/// An element without what a set notes about it.
pub(super) fn unwrap_element(value: &Value) -> &Value {
    value.get("elem").and_then(|inner| inner.get("val")).unwrap_or(value)
}
