//! Merged rules to typed ones: the last step, where every complaint finds the line it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::applies::{AppliesTo, Condition};
use super::layers::{Layer, Layers};
use super::merge::{Form, Origins, merge};
use super::parameters::Values;
use super::{ASSERT, Baseline, Check, Control, Rule, controls};
use crate::assert::Assertion;
use crate::finding::Severity;
use crate::probes;
use crate::yaml::{Complaint, did_you_mean};

const RULE_KEYS: [&str; 8] = ["id", "title", "severity", "why", "fix", "controls", "applies_to", "message"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(rename = "id")]
    _id: String,
    title: String,
    severity: Severity,
    why: String,
    fix: String,
    #[serde(default)]
    controls: Vec<String>,
    #[serde(default)]
    applies_to: Option<AppliesTo>,
    #[serde(default)]
    message: Option<String>,
}

/// A rule's id, merged text and origins: what `baseline show` shows.
pub(super) type Shown = Vec<(String, Mapping, Vec<Condition>, Origins)>;

/// Everything typed, and the merged rules untyped.
pub(super) fn baseline(layers: &Layers) -> Result<(Baseline, Shown), Complaint> {
    let keys: Vec<&str> = probes::names().into_iter().chain([ASSERT]).collect();
    let mut values = Values { values: layers.parameters()?, used: BTreeSet::new() };
    let own: Vec<&str> = layers.0.iter().flat_map(|layer| layer.raw.policies.keys().map(String::as_str)).collect();
    let forms = merge(layers, &mut values, &keys)?;
    let mut rules = Vec::new();
    let mut shown = Vec::new();
    for form in forms {
        let rule = Maker { layers, form: &form, keys: &keys, own: &own }.rule(&mut values)?;
        rules.push(rule);
        shown.push((form.id, form.mapping, form.when, form.origins));
    }
    layers.all_used(&values.used)?;
    let Some(top) = layers.top() else { return Err(nothing()) };
    if rules.is_empty() {
        return Err(top.document.complain("rules", "a baseline without rules would pass everything"));
    }
    let mut control = Control::default();
    for layer in layers.0.iter().filter(|layer| layer.always()) {
        control.lay(&layer.raw.control);
    }
    let clauses = |of: fn(&Layer) -> &Vec<super::Clause>| layers.0.iter().flat_map(of).cloned().collect();
    let baseline = Baseline {
        name: top.raw.baseline.clone(),
        version: top.raw.version,
        title: top.raw.title.clone(),
        control,
        rules,
        cannot_show: clauses(|layer| &layer.raw.cannot_show),
        to_come: clauses(|layer| &layer.raw.to_come),
        digest: layers.digest(),
    };
    Ok((baseline, shown))
}

/// Cannot be: reading leaves one document at least.
fn nothing() -> Complaint {
    let message = "no document".to_owned();
    Complaint { file: String::new(), line: 0, column: 0, message, hint: None, source: String::new() }
}

struct Maker<'a> {
    layers: &'a Layers,
    form: &'a Form,
    keys: &'a [&'a str],
    own: &'a [&'a str],
}

impl Maker<'_> {
    fn rule(&self, values: &mut Values) -> Result<Rule, Complaint> {
        let mut common = Mapping::new();
        let mut expectation: Option<(&str, Value)> = None;
        for (key, value) in &self.form.mapping {
            let name = key.as_str().unwrap_or_default();
            if RULE_KEYS.contains(&name) {
                common.insert(key.clone(), value.clone());
            } else if let Some(known) = self.keys.iter().copied().find(|known| *known == name) {
                if let Some((other, _)) = expectation {
                    let message = format!("a rule has one expectation, and this one already asks `{other}`");
                    return Err(self.of_key(name, &message, Some("make it two rules".into())));
                }
                expectation = Some((known, value.clone()));
            } else {
                let known: Vec<&str> = RULE_KEYS.iter().chain(self.keys).copied().collect();
                let message = format!("`{name}` is neither a key of a rule nor a probe");
                return Err(self.of_key(name, &message, did_you_mean(name, &known)));
            }
        }
        let raw: RawRule = serde_path_to_error::deserialize(Value::Mapping(common)).map_err(|error| {
            let inner = error.path().to_string();
            self.complain(if inner == "." { "" } else { &inner }, &error.inner().to_string())
        })?;
        for (index, control) in raw.controls.iter().enumerate() {
            controls::check(control, self.own)
                .map_err(|(message, hint)| self.at(&format!("controls[{index}]"), &message, hint))?;
        }
        let Some((name, value)) = expectation else {
            let message = format!("rule `{}` expects nothing", self.form.id);
            let hint = format!("give it one of: {}", self.keys.join(", "));
            return Err(self.of_key("id", &message, Some(hint)));
        };
        let check = self.check(name, value, raw.message.as_deref(), values)?;
        let own = raw.applies_to.filter(|applies| !applies.is_everywhere());
        let own = own.map(|applies| Condition { any: vec![vec![applies]], holds: true });
        Ok(Rule {
            id: self.form.id.clone(),
            title: raw.title,
            severity: raw.severity,
            why: raw.why,
            fix: raw.fix,
            controls: raw.controls,
            when: self.form.when.iter().cloned().chain(own).collect(),
            check,
        })
    }

    fn check(&self, name: &str, value: Value, message: Option<&str>, values: &mut Values) -> Result<Check, Complaint> {
        let Some(topic) = probes::find(name) else {
            let Value::String(text) = value else {
                return Err(self.complain(ASSERT, "an assertion is text: an expression in CEL"));
            };
            let assertion = Assertion::parse(&text, message, &values.values).map_err(|bad| {
                let key = if bad.in_message { "message" } else { ASSERT };
                self.at(key, &bad.to_string(), bad.hint)
            })?;
            values.used.extend(assertion.parameters().map(str::to_owned));
            return Ok(Check::Assert(Arc::new(assertion)));
        };
        if message.is_some() {
            return Err(self.of_key("message", "only an assertion has a message: a probe says its own", None));
        }
        let expect = topic.expectation(value).map_err(|bad| {
            let inner = bad.path.trim_matches('.');
            let own = topic.name();
            let at = match inner {
                "" => own.to_owned(),
                index if index.starts_with('[') => format!("{own}{index}"),
                key => format!("{own}.{key}"),
            };
            self.complain(&at, &bad.message)
        })?;
        Ok(Check::Probe(topic, expect))
    }

    /// The layer and place of what is written at `path` of the rule.
    fn place(&self, path: &str) -> Option<(&Layer, String)> {
        let (layer, own) = self.form.origins.find(path)?;
        Some((self.layers.0.get(layer)?, own))
    }

    fn complain(&self, path: &str, message: &str) -> Complaint {
        self.place(path).map_or_else(nothing, |(layer, own)| layer.document.complain(&own, message))
    }

    fn at(&self, path: &str, message: &str, hint: Option<String>) -> Complaint {
        self.place(path).map_or_else(nothing, |(layer, own)| layer.document.complain_at(&own, message, hint))
    }

    fn of_key(&self, path: &str, message: &str, hint: Option<String>) -> Complaint {
        self.place(path).map_or_else(nothing, |(layer, own)| layer.document.complain_of_key(&own, message, hint))
    }
}
