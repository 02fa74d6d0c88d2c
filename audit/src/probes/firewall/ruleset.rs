//! A tolerant model of `nft -j list ruleset` (libnftables-json(5)): the frame of tables, chains, rules and sets is
//! typed, what stands inside a rule stays JSON. One unknown form never fails the rest: it is kept under
//! [`Ruleset::others`], and an object of a known kind whose frame is not as documented under [`Ruleset::misread`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::save::Saved;
use super::space::Family;
use super::text;

/// `inet/filter`: family and table. Names with odd characters are quoted, so that two never fall together.
pub(super) type TableId = String;
/// `inet/filter/input`.
pub(super) type ChainId = String;

#[derive(Debug, Default)]
pub(super) struct Ruleset {
    pub(super) tables: BTreeMap<TableId, Vec<String>>,
    pub(super) chains: BTreeMap<ChainId, Chain>,
    pub(super) sets: BTreeMap<String, Set>,
    /// Objects that carry no rule: counters, limits, helpers, flow tables, and kinds not known. Kind and name, then text.
    pub(super) others: Vec<(String, String)>,
    /// This host's own addresses, where they were looked up.
    pub(super) addresses: Option<BTreeSet<(Family, u128)>>,
    /// What should have been a table, chain, rule or set and was not understood.
    pub(super) misread: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) family: String,
    pub(super) table: TableId,
    /// Only base chains have one.
    pub(super) base: Option<Base>,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug)]
pub(super) struct Base {
    pub(super) kind: String,
    pub(super) hook: String,
    pub(super) priority: String,
    pub(super) policy: String,
    pub(super) devices: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) statements: Vec<Value>,
    pub(super) comment: Option<String>,
}

#[derive(Debug)]
pub(super) struct Set {
    pub(super) map: bool,
    /// What it holds: `ipv4_addr . inet_service`, `inet_service : verdict`.
    pub(super) kind: String,
    pub(super) flags: Vec<String>,
    pub(super) elements: Vec<Value>,
    /// Whether rules add to it.
    pub(super) dynamic: bool,
}

impl Rule {
    /// The rule in one line, without its comment.
    pub(super) fn text(&self) -> String {
        let said: Vec<String> = self.statements.iter().filter_map(text::statement).collect();
        if said.is_empty() { "(nothing)".to_owned() } else { said.join(" ") }
    }

    /// Whether it holds xtables extensions, whose parameters nft's JSON does not tell.
    pub(super) fn is_opaque(&self) -> bool {
        self.statements.iter().any(|statement| {
            text::single(statement).is_some_and(|(kind, body)| {
                let is_comment = body.get("name").and_then(Value::as_str) == Some("comment");
                kind == "xt" && !is_comment && body.get("args").is_none()
            })
        })
    }
}

impl Ruleset {
    /// Reads nft's output. The error says why it is no such output at all.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut whole: Value = serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
        let Some(Value::Array(objects)) = whole.get_mut("nftables").map(Value::take) else {
            return Err("not nft's: no list called `nftables`".to_owned());
        };
        let mut ruleset = Self::default();
        ruleset.add(objects);
        ruleset.mark_dynamic();
        Ok(ruleset)
    }

    /// Adds what nft lists, or the tables of legacy iptables put as nft would list them.
    pub(super) fn add(&mut self, objects: Vec<Value>) {
        for mut object in objects {
            if self.take(&mut object).is_none() {
                self.misread.push(text::compact(&object));
            }
        }
    }

    /// Whether a rule of `family` holds extensions whose parameters are not known.
    pub(super) fn is_opaque(&self, family: &str) -> bool {
        self.chains.values().any(|chain| chain.family == family && chain.rules.iter().any(Rule::is_opaque))
    }

    /// Puts in what iptables-save says of the rules whose parameters nft does not tell. A chain in which the two do not
    /// count the same rules stays as it is.
    pub(super) fn explain(&mut self, saved: &Saved, family: &str) {
        for (table, inside) in &saved.tables {
            for (chain, rules) in &inside.rules {
                let Some(known) = self.chains.get_mut(&join(&[family, table, chain])) else { continue };
                if known.rules.len() != rules.len() {
                    continue;
                }
                for (rule, said) in known.rules.iter_mut().zip(rules).filter(|(rule, _)| rule.is_opaque()) {
                    rule.statements.clone_from(&said.statements);
                    rule.comment.clone_from(&said.comment);
                }
            }
        }
    }

    /// Understands an object, moving out of it what may be long.
    fn take(&mut self, object: &mut Value) -> Option<()> {
        let (kind, _) = text::single(object)?;
        let kind = kind.to_owned();
        let body = object.get_mut(&kind)?;
        match kind.as_str() {
            "metainfo" => {
                let schema = body.get("json_schema_version").and_then(Value::as_u64);
                schema.is_none_or(|schema| schema == 1).then_some(())
            }
            "table" => {
                let id = join(&[member(body, "family")?, member(body, "name")?]);
                self.tables.insert(id, words(body.get("flags")));
                Some(())
            }
            "chain" => self.take_chain(body),
            "rule" => self.take_rule(body),
            "set" | "map" => self.take_set(kind == "map", body),
            _ => {
                let name = ["family", "table", "name"].map(|part| member(body, part));
                let subject = match name {
                    [Some(family), Some(table), Some(name)] => join(&[family, table, name]),
                    _ => text::compact(body),
                };
                self.others.push((format!("{}:{subject}", kind.replace(' ', "-")), text::compact(body)));
                Some(())
            }
        }
    }

    fn take_chain(&mut self, body: &Value) -> Option<()> {
        let (id, table, family) = place(body, "name")?;
        let base = member(body, "hook").map(|hook| Base {
            kind: member(body, "type").unwrap_or("?").to_owned(),
            hook: hook.to_owned(),
            priority: body.get("prio").map(text::expression).unwrap_or_default(),
            policy: member(body, "policy").unwrap_or("accept").to_owned(),
            devices: words(body.get("dev").or_else(|| body.get("devices"))),
        });
        let chain = self.chains.entry(id).or_default();
        (chain.family, chain.table, chain.base) = (family, table, base);
        Some(())
    }

    fn take_rule(&mut self, body: &mut Value) -> Option<()> {
        let (id, table, family) = place(body, "chain")?;
        let statements = std::mem::take(body.get_mut("expr")?.as_array_mut()?);
        let chain = self.chains.entry(id).or_default();
        if chain.table.is_empty() {
            (chain.family, chain.table) = (family, table);
        }
        chain.rules.push(Rule { statements, comment: member(body, "comment").map(str::to_owned) });
        Some(())
    }

    fn take_set(&mut self, map: bool, body: &mut Value) -> Option<()> {
        let (id, ..) = place(body, "name")?;
        let of = |value: &Value| match value {
            Value::Array(parts) => parts.iter().map(text::expression).collect::<Vec<_>>().join(" . "),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                text::expression(value)
            }
        };
        let mut kind = of(body.get("type")?);
        if let Some(to) = body.get("map") {
            kind = format!("{kind} : {}", of(to));
        }
        let flags = words(body.get("flags"));
        let elements = match body.get_mut("elem") {
            None => Vec::new(),
            Some(list) => std::mem::take(list.as_array_mut()?),
        };
        let dynamic = flags.iter().any(|flag| flag == "dynamic");
        self.sets.insert(id, Set { map, kind, flags, elements, dynamic });
        Some(())
    }

    /// nft 1.0 leaves the flag `dynamic` out of its JSON, so a set that a rule adds to counts as dynamic too.
    fn mark_dynamic(&mut self) {
        let mut targets = BTreeSet::new();
        for chain in self.chains.values() {
            for statement in chain.rules.iter().flat_map(|rule| &rule.statements) {
                let Some(("set" | "map", body)) = text::single(statement) else { continue };
                if let Some(name) = body.get("set").or_else(|| body.get("map")).and_then(Value::as_str) {
                    targets.insert(set_id(&chain.table, name));
                }
            }
        }
        for (id, set) in &mut self.sets {
            set.dynamic |= targets.contains(id);
        }
    }
}

/// The id of the set a rule of `table` calls `@name`.
pub(super) fn set_id(table: &str, reference: &str) -> String {
    format!("{table}/{}", name(reference.strip_prefix('@').unwrap_or(reference)))
}

/// The id of the chain a rule of `table` jumps to.
pub(super) fn chain_id(table: &str, target: &str) -> ChainId {
    format!("{table}/{}", name(target))
}

/// Whether an element comes and goes by a clock.
pub(super) fn is_timed(element: &Value) -> bool {
    let of = match element {
        Value::Array(pair) => pair.first().unwrap_or(element),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => element,
    };
    of.get("elem").is_some_and(|inner| inner.get("timeout").is_some() || inner.get("expires").is_some())
}

fn place(body: &Value, last: &str) -> Option<(String, TableId, String)> {
    let (family, table) = (member(body, "family")?, member(body, "table")?);
    Some((join(&[family, table, member(body, last)?]), join(&[family, table]), family.to_owned()))
}

fn member<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}

pub(super) fn words(value: Option<&Value>) -> Vec<String> {
    let mut words = match value {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(text::expression).collect(),
        Some(one) => vec![text::expression(one)],
    };
    words.sort();
    words
}

fn join(parts: &[&str]) -> String {
    parts.iter().map(|part| name(part)).collect::<Vec<_>>().join("/")
}

fn name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unknown_form_does_not_fail_the_rest() {
        let ruleset = Ruleset::parse(
            br#"{"nftables": [{"metainfo": {"json_schema_version": 1}}, 7,
                {"table": {"family": "inet", "name": "t", "handle": 1}},
                {"chain": {"family": "inet", "table": "t", "name": "c", "handle": 1}},
                {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 2, "expr": "odd"}},
                {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 2, "expr": [{"accept": null}]}},
                {"hologram": {"family": "inet", "table": "t", "name": "h", "handle": 3}}]}"#,
        )
        .unwrap();
        assert_eq!(ruleset.chains["inet/t/c"].rules.len(), 1);
        assert_eq!(ruleset.misread.len(), 2);
        assert_eq!(ruleset.others[0].0, "hologram:inet/t/h");
    }

    #[test]
    fn names_with_a_slash_stay_apart() {
        assert_ne!(join(&["ip", "a/b", "c"]), join(&["ip", "a", "b/c"]));
    }

    #[test]
    fn what_is_not_a_ruleset_says_so() {
        assert!(Ruleset::parse(b"").unwrap_err().starts_with("not JSON"));
        assert!(Ruleset::parse(b"{}").unwrap_err().contains("nftables"));
    }
}
