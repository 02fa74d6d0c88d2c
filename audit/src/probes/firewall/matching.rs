//! What one match of a rule asks of a *new* connection, as regions. Packets of established connections are not followed:
//! whoever may not open a connection has none to continue.
//!
//! A condition outside the four dimensions only narrows a rule and is kept as text: *given* where it is understood (a
//! rate, a destination, a time of day), *unclear* where it might close the rule altogether (a packet mark, an xtables
//! extension, a form not known).

use serde_json::Value;

use super::describe;
use super::key::{Key, What, key};
use super::names::Names;
use super::ruleset::{Ruleset, set_id};
use super::space::{Family, Ranges, Region};
use super::text;
use super::tracking::{self, Answer, Stage};

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

/// Who looks at a rule.
#[derive(Clone, Copy)]
pub(super) struct Eye<'a> {
    /// The sets that rules name.
    pub(super) ruleset: &'a Ruleset,
    /// Whose packets.
    pub(super) family: Family,
    /// What tracking says of them.
    pub(super) stage: Stage,
}

/// What `left op right` asks of packets of `family`, in a rule of `table`.
pub(super) fn constraint(eye: &Eye<'_>, table: &str, body: &Value) -> Constraint {
    let family = eye.family;
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
    let values = elements(eye.ruleset, table, right);
    match op {
        "==" | "in" if values.dynamic => Constraint { passing: Some(said), ..Constraint::of(implied(left, family)) },
        _ if values.dynamic => Constraint { given: Some(said), ..Constraint::of(Region::all(family)) },
        "==" | "in" => among(eye, left, &values.list, &said),
        "!=" => not_among(eye, left, &values.list, &said),
        "<" | ">" | "<=" | ">=" => compared(left, family, op, right, &said),
        _ => unclear(),
    }
}

/// What `left` being one of `values` asks; a concatenation is compared part by part.
pub(super) fn among(eye: &Eye<'_>, left: &Value, values: &[Value], said: &str) -> Constraint {
    let Some(parts) = left.get("concat").and_then(Value::as_array) else {
        return one_among(eye, &key(left), values, said);
    };
    let mut whole = Constraint::never();
    for value in values {
        let fields = unwrap_element(value).get("concat").and_then(Value::as_array);
        let mut regions = vec![Region::all(eye.family)];
        match fields {
            Some(fields) if fields.len() == parts.len() => {
                for (part, field) in parts.iter().zip(fields) {
                    let narrowed = one_among(eye, &key(part), std::slice::from_ref(field), said);
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

fn one_among(eye: &Eye<'_>, key: &Key, values: &[Value], said: &str) -> Constraint {
    let family = eye.family;
    if key.family.is_some_and(|of| of != family) {
        return Constraint::never();
    }
    let base = base(key, family);
    if values.iter().any(|value| unwrap_element(value).as_str() == Some("*"))
        && !matches!(key.what, What::State | What::Status)
    {
        return Constraint::of(base);
    }
    let noted = |what: &str| Some(what.to_owned());
    match key.what {
        What::Narrowing => Constraint { given: noted(said), ..Constraint::of(base) },
        What::Unknown => Constraint { unclear: noted(said), ..Constraint::of(base) },
        What::State => tracked(tracking::state(eye.stage, values), said, base),
        What::Status => tracked(tracking::status(eye.stage, values), said, base),
        What::Local if values.iter().all(|value| unwrap_element(value).as_str() == Some("local")) => {
            Constraint::of(base)
        }
        What::Local => Constraint { given: noted(said), ..Constraint::of(base) },
        What::Family => match values.iter().map(family_of).collect::<Option<Vec<_>>>() {
            Some(families) if families.contains(&Some(family)) => Constraint::of(base),
            Some(_) => Constraint::never(),
            None => Constraint { unclear: noted(said), ..Constraint::of(base) },
        },
        What::Source(_)
        | What::Destination(_)
        | What::Protocol
        | What::NextHeader
        | What::Port
        | What::Interface
        | What::InterfaceType => {
            let Some(region) = values_region(key.what, family, values) else {
                return Constraint { unclear: noted(said), ..Constraint::of(base) };
            };
            let given = (key.what == What::NextHeader).then(|| said.to_owned());
            Constraint { regions: base.and(&region).into_iter().collect(), given, ..Constraint::default() }
        }
    }
}

fn not_among(eye: &Eye<'_>, left: &Value, values: &[Value], said: &str) -> Constraint {
    let family = eye.family;
    let key = key(left);
    if key.family.is_some_and(|of| of != family) {
        return Constraint::never();
    }
    let base = base(&key, family);
    match key.what {
        What::State => not_tracked(tracking::state(eye.stage, values), said, base),
        What::Status => not_tracked(tracking::status(eye.stage, values), said, base),
        What::Local if values.iter().all(|value| unwrap_element(value).as_str() == Some("local")) => {
            Constraint::never()
        }
        What::Narrowing | What::NextHeader | What::Local => {
            Constraint { given: Some(said.to_owned()), ..Constraint::of(base) }
        }
        What::Unknown => Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) },
        What::Family => match one_among(eye, &key, values, said) {
            matched if matched.unclear.is_some() => matched,
            matched if matched.regions.is_empty() => Constraint::of(base),
            _ => Constraint::never(),
        },
        What::Source(_)
        | What::Destination(_)
        | What::Protocol
        | What::Port
        | What::Interface
        | What::InterfaceType => {
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

fn tracked(answer: Option<Answer>, said: &str, base: Region) -> Constraint {
    match answer {
        Some(Answer::Always) => Constraint::of(base),
        Some(Answer::Never) => Constraint::never(),
        Some(Answer::Oddly) => Constraint { given: Some(said.to_owned()), ..Constraint::of(base) },
        None => Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) },
    }
}

fn not_tracked(answer: Option<Answer>, said: &str, base: Region) -> Constraint {
    match answer {
        Some(Answer::Always) => Constraint::never(),
        Some(Answer::Never | Answer::Oddly) => Constraint::of(base),
        None => Constraint { unclear: Some(said.to_owned()), ..Constraint::of(base) },
    }
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
        What::Destination(_) => Region { destination: ranges(&|value| addresses(value, family))?, ..all },
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
            Region { interface: Names::only(values.iter().map(name).collect::<Option<Vec<_>>>()?), ..all }
        }
        What::InterfaceType => {
            let loopback = values.iter().all(|value| unwrap_element(value).as_str() == Some("loopback"));
            loopback.then(|| Region { interface: Names::only(["lo".to_owned()]), ..all })?
        }
        What::Family | What::State | What::Status | What::Local | What::Narrowing | What::Unknown => return None,
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
