//! A baseline as it is after all that it extends was laid together, and where each line came from.
//!
//! Read: what [`Baseline::load`](super::Baseline::load) reads. The merged text is itself a baseline that extends nothing: parameters are put
//! in, and what applies only somewhere says so in a comment where YAML has no words for it.

#![expect(clippy::wildcard_enum_match_arm, reason = "every other kind of YAML value stands on one line")]

use serde_yaml::{Mapping, Value};

use super::applies::Condition;
use super::layers::Layers;
use super::library::Library;
use super::{Baseline, Clause, typed};
use crate::yaml::Complaint;

/// A line of the merged text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub text: String,
    /// The file it was written in, and the line there.
    pub from: Option<(String, usize)>,
}

/// The order in which a rule's keys are shown; the expectation comes last.
const ORDER: [&str; 7] = ["id", "title", "severity", "why", "fix", "controls", "applies_to"];

/// Lays together, and says where everything came from.
pub fn show(file: &str, bytes: &[u8], library: &dyn Library) -> Result<(Baseline, Vec<Line>), Complaint> {
    let layers = Layers::read_with_places(file, bytes, library)?;
    let (baseline, rules) = typed::baseline(&layers)?;
    let mut lines = Vec::new();
    let plain = |text: String| Line { text, from: None };
    let last = layers.0.len().saturating_sub(1);
    let at = |layer: usize, path: &str| {
        let layer = layers.0.get(layer)?;
        Some((layer.document.file().to_owned(), nearest(path, |path| layer.document.line(path))?))
    };
    let top = |key: &str, value: String| Line { text: format!("{key}: {value}"), from: at(last, key) };
    lines.push(top("baseline", scalar(&Value::from(baseline.name.as_str()))));
    lines.push(top("version", baseline.version.to_string()));
    lines.push(top("title", scalar(&Value::from(baseline.title.as_str()))));
    if !baseline.control.0.is_empty() {
        lines.push(plain("control:".into()));
        for (environment, patterns) in &baseline.control.0 {
            let list: Vec<String> = patterns.iter().map(|one| scalar(&Value::from(one.to_string()))).collect();
            let path = format!("control.{environment}");
            let from = (0..layers.0.len()).rev().find_map(|layer| {
                let line = layers.0.get(layer)?.document.line(&path)?;
                Some((layers.0.get(layer)?.document.file().to_owned(), line))
            });
            lines.push(Line { text: format!("  {environment}: [{}]", list.join(", ")), from });
        }
    }
    lines.push(plain("rules:".into()));
    for (_, mapping, when, origins) in &rules {
        for condition in when {
            lines.push(plain(format!("  # {}", said(condition))));
        }
        let from = |path: &str| origins.find(path).and_then(|(layer, own)| at(layer, &own));
        let mut text = Vec::new();
        let known = ORDER.iter().filter_map(|key| Some((*key, mapping.get(*key)?)));
        let rest = mapping.iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
        for (key, value) in known.chain(rest.filter(|(key, _)| !ORDER.contains(key))) {
            keyed(key, value, 4, key, &mut text);
        }
        for (number, (mut line, path)) in text.into_iter().enumerate() {
            if number == 0 {
                line.replace_range(2..3, "-");
            }
            lines.push(Line { text: line, from: from(&path) });
        }
    }
    clauses("cannot_show", &baseline.cannot_show, &mut lines);
    clauses("to_come", &baseline.to_come, &mut lines);
    Ok((baseline, lines))
}

fn clauses(key: &str, clauses: &[Clause], lines: &mut Vec<Line>) {
    if clauses.is_empty() {
        return;
    }
    lines.push(Line { text: format!("{key}:"), from: None });
    for clause in clauses {
        let one = [("  - clause", &clause.clause), ("    title", &clause.title), ("    why", &clause.why)];
        let said = one.map(|(key, value)| format!("{key}: {}", scalar(&Value::from(value.as_str()))));
        lines.extend(said.map(|text| Line { text, from: None }));
    }
}

/// The line of the node at `path`, or of the nearest above it.
fn nearest(path: &str, line: impl Fn(&str) -> Option<usize>) -> Option<usize> {
    let mut path = path;
    loop {
        if let Some(found) = line(path) {
            return Some(found);
        }
        path = path.get(..path.rfind(['.', '['])?)?;
    }
}

fn said(condition: &Condition) -> String {
    let ways: Vec<String> =
        condition.any.iter().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")).collect();
    let word = if condition.holds { "applies where" } else { "applies but where" };
    format!("{word} {}", ways.join(", or "))
}

/// Text for one key and its value, each line with its path.
fn keyed(key: &str, value: &Value, indent: usize, path: &str, out: &mut Vec<(String, String)>) {
    let pad = " ".repeat(indent);
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => {
            out.push((format!("{pad}{}:", scalar(&Value::from(key))), path.to_owned()));
            mapped(mapping, indent + 2, path, out);
        }
        Value::Sequence(items) if items.iter().any(|item| !is_scalar(item)) => {
            out.push((format!("{pad}{}:", scalar(&Value::from(key))), path.to_owned()));
            for (number, item) in items.iter().enumerate() {
                let path = format!("{path}[{number}]");
                let mut inner = Vec::new();
                match item {
                    Value::Mapping(mapping) => mapped(mapping, indent + 4, &path, &mut inner),
                    other => inner.push((format!("{pad}    {}", flow(other)), path.clone())),
                }
                if let Some((first, _)) = inner.first_mut() {
                    first.replace_range(indent + 2..indent + 3, "-");
                }
                out.extend(inner);
            }
        }
        other => out.push((format!("{pad}{}: {}", scalar(&Value::from(key)), flow(other)), path.to_owned())),
    }
}

fn mapped(mapping: &Mapping, indent: usize, path: &str, out: &mut Vec<(String, String)>) {
    for (key, value) in mapping {
        let name = key.as_str().map_or_else(|| scalar(key), str::to_owned);
        keyed(&name, value, indent, &format!("{path}.{name}"), out);
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Sequence(_) | Value::Mapping(_))
}

/// A value on one line. JSON is YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Mapping(mapping) => {
            let entries: Vec<String> =
                mapping.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => scalar(other),
    }
}

/// A scalar, quoted where YAML would read something else.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return serde_yaml::to_string(value).map_or_else(|_| "null".into(), |text| text.trim_end().to_owned());
    };
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./ ()".contains(c);
    let reads_back = || serde_yaml::from_str::<Value>(text).is_ok_and(|read| read == *value);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(' ')
        && text.chars().all(safe)
        && reads_back()
    {
        return text.clone();
    }
    serde_json::to_string(text).unwrap_or_default()
}
