//! Values of assertions: constants, what expressions make, and facts, which are only looked at.

#![expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is complained of by its name")]

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use serde_json::Value as Json;

use super::eval::Fail;
use crate::facts::Observed;

/// Both halves of a probe's facts.
pub(super) struct Pair {
    pub(super) items: Observed<Json>,
    pub(super) state: Observed<Json>,
}

/// A value.
#[derive(Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    List(Rc<Vec<Value<'a>>>),
    Map(Rc<Vec<(Value<'a>, Value<'a>)>>),
    /// A list or an object of the facts or parameters.
    Json(&'a Json),
    /// Everything a probe saw.
    Probe(&'a Pair),
    /// Items or state, with its gaps.
    Half(&'a Observed<Json>),
}

impl<'a> Value<'a> {
    /// A fact, or a part of one.
    pub(super) fn of(json: &'a Json) -> Result<Self, Fail> {
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(value)) if number.is_f64() => Self::Double(value),
                (None, _) => return Err(Fail::Error(format!("{number} is larger than 64 bits hold with a sign"))),
            },
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        })
    }

    /// What it is called in complaints.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Double(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) | Self::Json(Json::Array(_)) => "a list",
            Self::Map(_) | Self::Json(_) | Self::Half(_) => "a map",
            Self::Probe(_) => "a probe",
        }
    }
}

/// As a finding quotes it: a list by its items, the rest as JSON would.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                for (number, item) in items.iter().take(100).enumerate() {
                    if number > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{item}")?;
                }
                if items.is_empty() { f.write_str("none") } else { Ok(()) }
            }
            Self::Json(Json::Array(items)) => {
                let said: Vec<String> = items
                    .iter()
                    .take(100)
                    .map(|item| match item {
                        Json::String(text) => text.clone(),
                        other => other.to_string(),
                    })
                    .collect();
                f.write_str(if said.is_empty() { "none" } else { "" })?;
                f.write_str(&said.join(", "))
            }
            Self::Json(json) => write!(f, "{json}"),
            Self::Map(entries) => write!(f, "{} entries", entries.len()),
            Self::Half(half) => write!(f, "{} subjects", half.seen.len()),
            Self::Probe(_) => f.write_str("facts"),
        }
    }
}
