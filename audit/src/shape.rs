//! The shape of a type, asked of its own `Deserialize`: which keys, which kinds of values, which variants.
//!
//! The JSON Schema of baselines and the type check of assertions are made of it, so both know every probe the day it is added, and
//! neither can say something else than the parser does. Each question reads nothing: a deserialiser that holds no data walks to one
//! place in the type, notes what is asked for there, and stops. What a type decides only from the value (an untagged enum, a
//! visitor of its own) is [`Shape::Any`], with the words it uses for what it expects.

mod tracer;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use tracer::{Hint, Step, hint};

/// How deep a type is looked into.
const MAX_DEPTH: usize = 10;

/// What a type takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// More than one kind of value, or one that only its own code knows; in its own words.
    Any(String),
    /// Nothing.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Text; in its own words.
    Text(String),
    /// A value, or nothing.
    Maybe(Box<Shape>),
    /// A list.
    List(Box<Shape>),
    /// Keys of the user's own, with values of one shape.
    Map(Box<Shape>),
    /// These keys.
    Struct(BTreeMap<String, Shape>),
    /// One of these names, or one of these keys with its content.
    Choice(BTreeMap<String, Shape>),
}

impl Shape {
    /// That of `T`.
    pub fn of<T: DeserializeOwned>() -> Self {
        at::<T>(&mut Vec::new())
    }

    /// Without the outer "or nothing".
    pub fn inner(&self) -> &Self {
        if let Self::Maybe(inner) = self { inner.inner() } else { self }
    }
}

fn at<T: DeserializeOwned>(path: &mut Vec<Step>) -> Shape {
    if path.len() > MAX_DEPTH {
        return Shape::Any("anything".into());
    }
    let below = |path: &mut Vec<Step>, step: Step| {
        path.push(step);
        let shape = at::<T>(path);
        path.pop();
        shape
    };
    match hint::<T>(path) {
        None => Shape::Any("anything".into()),
        Some(Hint::Any(words)) => Shape::Any(words),
        Some(Hint::Null) => Shape::Null,
        Some(Hint::Boolean) => Shape::Boolean,
        Some(Hint::Integer) => Shape::Integer,
        Some(Hint::Number) => Shape::Number,
        Some(Hint::Text(words)) => Shape::Text(words),
        Some(Hint::Maybe) => Shape::Maybe(Box::new(below(path, Step::Inside))),
        Some(Hint::List) => Shape::List(Box::new(below(path, Step::Element))),
        Some(Hint::Map) => Shape::Map(Box::new(below(path, Step::Key("a")))),
        Some(Hint::Struct(names)) => {
            let fields = names.iter().map(|name| ((*name).to_owned(), below(path, Step::Key(name))));
            Shape::Struct(fields.collect())
        }
        Some(Hint::Choice(names)) => {
            let variants = names.iter().map(|name| ((*name).to_owned(), below(path, Step::Variant(name))));
            Shape::Choice(variants.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Outer {
        name: String,
        count: Option<u16>,
        rows: Vec<Row>,
        by_name: BTreeMap<String, bool>,
        free: serde_json::Value,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only its shape is asked for")]
    enum Row {
        Plain,
        WithText(String),
        WithKeys { size: i64 },
    }

    #[test]
    fn a_type_tells_its_keys_kinds_and_variants() {
        let text = || Shape::Text("a string".into());
        let row = Shape::Choice(BTreeMap::from([
            ("plain".into(), Shape::Null),
            ("with-text".into(), text()),
            ("with-keys".into(), Shape::Struct(BTreeMap::from([("size".into(), Shape::Integer)]))),
        ]));
        let wanted = Shape::Struct(BTreeMap::from([
            ("name".into(), text()),
            ("count".into(), Shape::Maybe(Box::new(Shape::Integer))),
            ("rows".into(), Shape::List(Box::new(row))),
            ("by_name".into(), Shape::Map(Box::new(Shape::Boolean))),
            ("free".into(), Shape::Any("any valid JSON value".into())),
        ]));
        assert_eq!(Shape::of::<Outer>(), wanted);
    }

    #[test]
    fn every_probe_tells_the_keys_of_its_expectation() {
        for topic in crate::probes::ALL {
            let Shape::Struct(keys) = topic.shapes().expectation else { panic!("{}", topic.name()) };
            assert!(!keys.is_empty(), "{}", topic.name());
        }
    }
}
