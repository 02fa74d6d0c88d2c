//! The JSON Schema of baselines (draft 2020-12): so that editors complete and point out mistakes while one writes.
//!
//! Made of the types' own shapes, so it knows every probe. It never refuses what the parser takes: what only the parser can see
//! (patterns, dates, one expectation a rule) is left to `baseline lint`.

use serde_json::{Map, Value, json};

use super::ASSERT;
use super::applies::ENVIRONMENTS;
use crate::probes;
use crate::shape::Shape;
use crate::shipped;

/// The whole schema.
pub fn schema() -> Value {
    let names: Vec<&str> = shipped::BASELINES.iter().map(|(name, _)| *name).collect();
    let text = || json!({"type": "string"});
    let clause = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["clause", "title", "why"],
        "properties": {"clause": text(), "title": text(), "why": text()},
    });
    let extended = json!({"anyOf": [{"enum": names}, {"type": "string", "pattern": "\\.ya?ml$"}]});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Plumbline baseline",
        "type": "object",
        "additionalProperties": false,
        "required": ["baseline", "version", "title"],
        "properties": {
            "baseline": {"type": "string", "description": "Its name."},
            "version": {"type": "integer", "minimum": 0, "description": "Count it up at each change."},
            "title": {"type": "string", "description": "What it is for, in one line."},
            "extends": {"description": "Baselines that ship, or files beside this one.", "$ref": "#/$defs/extends"},
            "applies_to": {"$ref": "#/$defs/applies_to"},
            "policies": {"type": "object", "additionalProperties": text(), "description": "Own policies by the prefix of their clauses."},
            "parameters": {"type": "object", "additionalProperties": {"$ref": "#/$defs/parameter"}},
            "set": {"type": "object", "description": "Values for parameters of what is extended."},
            "control": {
                "type": "object",
                "description": "Which items need an approved change record, by environment.",
                "additionalProperties": {"type": "array", "items": text()},
            },
            "remove": {"type": "array", "items": text(), "description": "Rules of what is extended, by id."},
            "rules": {"type": "array", "items": {"$ref": "#/$defs/rule"}},
            "cannot_show": {"type": "array", "items": {"$ref": "#/$defs/clause"}},
            "to_come": {"type": "array", "items": {"$ref": "#/$defs/clause"}},
        },
        "$defs": {
            "rule": rule(),
            "clause": clause,
            "applies_to": applies_to(),
            "extends": one_or_many(&json!({"anyOf": [
                extended.clone(),
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "applies_to"],
                    "properties": {"name": extended, "applies_to": {"$ref": "#/$defs/applies_to"}},
                },
            ]})),
            "parameter": {
                "type": "object",
                "additionalProperties": false,
                "required": ["type", "why"],
                "properties": {
                    "type": {"enum": ["integer", "string", "list", "boolean", "date", "duration"]},
                    "default": {},
                    "why": text(),
                },
            },
            "use": {"type": "string", "pattern": "^\\$\\{[a-z][a-z0-9_]*\\}$", "description": "A parameter's value."},
        },
    })
}

fn one_or_many(one: &Value) -> Value {
    json!({"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]})
}

fn applies_to() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "To which hosts: every key given must hold.",
        "properties": {
            "os": one_or_many(&text),
            "environment": one_or_many(&json!({"enum": ENVIRONMENTS})),
            "role": one_or_many(&text),
            "labels": {"type": "object", "additionalProperties": one_or_many(&text)},
        },
    })
}

fn rule() -> Value {
    let mut keys = Map::new();
    let text = |why: &str| json!({"type": "string", "description": why});
    keys.insert("id".into(), json!({"type": "string", "pattern": "^[a-z0-9-]{1,80}$"}));
    keys.insert("title".into(), text("One line, as it should be."));
    keys.insert("severity".into(), json!({"enum": ["low", "medium", "high", "critical"]}));
    keys.insert("why".into(), text("The reason, for whoever gets the finding."));
    keys.insert("fix".into(), text("What to do about it."));
    keys.insert("controls".into(), json!({"type": "array", "items": {"type": "string"}}));
    keys.insert("controls+".into(), json!({"type": "array", "items": {"type": "string"}}));
    keys.insert("applies_to".into(), json!({"$ref": "#/$defs/applies_to"}));
    keys.insert(ASSERT.into(), text("An expression in CEL over the facts of any probe."));
    keys.insert("message".into(), text("What is there where the assertion does not hold; {expression} is evaluated."));
    for topic in probes::ALL {
        keys.insert(topic.name().into(), expectation(&topic.shapes().expectation));
    }
    json!({"type": "object", "additionalProperties": false, "required": ["id"], "properties": keys})
}

/// An expectation's keys may be taken from what is extended (`key: null`) or added to (`key+`).
fn expectation(shape: &Shape) -> Value {
    let Shape::Struct(fields) = shape else { return of(shape) };
    let mut keys = Map::new();
    for (name, shape) in fields {
        let own = of(shape);
        if matches!(shape.inner(), Shape::List(_) | Shape::Any(_)) {
            keys.insert(format!("{name}+"), json!({"type": "array"}));
        }
        keys.insert(name.clone(), json!({"anyOf": [own, {"type": "null"}]}));
    }
    json!({"type": "object", "additionalProperties": false, "properties": keys})
}

/// Any value may be a parameter's, so each may also be written `${name}`.
fn of(shape: &Shape) -> Value {
    let or_use = |own: Value| json!({"anyOf": [own, {"$ref": "#/$defs/use"}]});
    match shape {
        Shape::Any(words) => json!({"description": words}),
        Shape::Null => json!({"type": "null"}),
        Shape::Boolean => or_use(json!({"type": "boolean"})),
        Shape::Integer => or_use(json!({"type": "integer"})),
        Shape::Number => or_use(json!({"type": "number"})),
        Shape::Text(words) => json!({"type": "string", "description": words}),
        Shape::Maybe(inner) => json!({"anyOf": [of(inner), {"type": "null"}]}),
        Shape::List(items) => or_use(json!({"type": "array", "items": of(items)})),
        Shape::Map(values) => or_use(json!({"type": "object", "additionalProperties": of(values)})),
        Shape::Struct(fields) => {
            let keys: Map<String, Value> = fields.iter().map(|(name, shape)| (name.clone(), of(shape))).collect();
            or_use(json!({"type": "object", "additionalProperties": false, "properties": keys}))
        }
        Shape::Choice(variants) => {
            let plain: Vec<&String> =
                variants.iter().filter(|(_, content)| **content == Shape::Null).map(|(name, _)| name).collect();
            let mut any = vec![json!({"enum": plain})];
            for (name, content) in variants.iter().filter(|(_, content)| **content != Shape::Null) {
                any.push(json!({
                    "type": "object",
                    "additionalProperties": false,
                    "required": [name],
                    "properties": {name.as_str(): of(content)},
                }));
            }
            if plain.is_empty() {
                any.remove(0);
            }
            any.push(json!({"$ref": "#/$defs/use"}));
            json!({"anyOf": any})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_and_every_key_of_its_expectation_is_in_it() {
        let schema = schema();
        for topic in probes::ALL {
            let Shape::Struct(fields) = topic.shapes().expectation else { panic!("{}", topic.name()) };
            let own = &schema["$defs"]["rule"]["properties"][topic.name()]["properties"];
            for name in fields.keys() {
                assert!(own[name].is_object(), "{}.{name}", topic.name());
            }
        }
    }
}
