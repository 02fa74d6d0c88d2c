//! Parameters: what a baseline leaves to whoever extends it, typed, with a default.
//!
//! A parameter is used as `${name}`, alone, where a value stands in an expectation: the value is put there, never its text into
//! other text, so that no value can change the meaning of what stands around it. A list used as an item of a list is
//! spliced. Left out: parameters from the environment or the command line; what judged a host must be in the file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_yaml::Value;

use crate::duration::Length;

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// A whole number.
    Integer,
    /// Text.
    String,
    /// A list of anything.
    List,
    /// `true` or `false`.
    Boolean,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// A length of time: `500ms`, `90d`.
    Duration,
}

impl Type {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::String => "string",
            Self::List => "list",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Duration => "duration",
        }
    }

    fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
            (Self::String, Value::String(_)) | (Self::List, Value::Sequence(_)) | (Self::Boolean, Value::Bool(_)) => {
                true
            }
            (Self::Date, Value::String(text)) => text.len() == 10 && text.parse::<chrono::NaiveDate>().is_ok(),
            (Self::Duration, Value::String(text)) => {
                text.parse::<Length>().is_ok() || text.strip_suffix('w').is_some_and(|n| n.parse::<u16>().is_ok())
            }
            _ => false,
        }
    }
}

/// A parameter as declared.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it may be.
    #[serde(rename = "type")]
    pub kind: Type,
    /// What it is where nobody sets it. Without one, somebody must.
    #[serde(default)]
    pub default: Option<Value>,
    /// What it is for.
    pub why: String,
}

impl Parameter {
    /// `value`, if it is of the type.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        if self.kind.admits(value) {
            return Ok(());
        }
        Err(format!("a value of type {} is needed here", self.kind.name()))
    }
}

/// Values by name, and which were used.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) values: BTreeMap<String, Value>,
    pub(super) used: BTreeSet<String>,
}

/// What is wrong with a use: the path below the value, and why; the name where no such parameter is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadUse {
    pub(super) path: String,
    pub(super) message: String,
    pub(super) unknown: Option<String>,
}

impl Values {
    /// `value` with every use replaced. `spliced` takes the paths of lists whose items no longer stand where they were written.
    pub(super) fn put(&mut self, value: Value, path: &str, spliced: &mut BTreeSet<String>) -> Result<Value, BadUse> {
        match value {
            Value::String(text) => self.text(text, path),
            Value::Sequence(list) => {
                let mut whole = Vec::with_capacity(list.len());
                for (number, item) in list.into_iter().enumerate() {
                    let used = matches!(&item, Value::String(text) if name(text).is_some());
                    let put = self.put(item, &format!("{path}[{number}]"), spliced)?;
                    if let (true, Value::Sequence(items)) = (used, &put) {
                        spliced.insert(path.to_owned());
                        whole.extend(items.iter().cloned());
                    } else {
                        whole.push(put);
                    }
                }
                Ok(Value::Sequence(whole))
            }
            Value::Mapping(mapping) => {
                let mut whole = serde_yaml::Mapping::new();
                for (key, value) in mapping {
                    let own = format!("{path}.{}", key.as_str().unwrap_or_default());
                    whole.insert(key, self.put(value, &own, spliced)?);
                }
                Ok(Value::Mapping(whole))
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Tagged(_)) => Ok(other),
        }
    }

    fn text(&mut self, text: String, path: &str) -> Result<Value, BadUse> {
        let bad = |message: String, unknown| BadUse { path: path.to_owned(), message, unknown };
        if let Some(name) = name(&text) {
            let Some(value) = self.values.get(name) else {
                return Err(bad(format!("there is no parameter `{name}`"), Some(name.to_owned())));
            };
            self.used.insert(name.to_owned());
            return Ok(value.clone());
        }
        if let Some(literal) = text.strip_prefix("$${") {
            return Ok(Value::String(format!("${{{literal}")));
        }
        if text.contains("${") {
            return Err(bad("a parameter stands alone: it is a value, not a piece of text".into(), None));
        }
        Ok(Value::String(text))
    }
}

/// The name in `${name}`.
fn name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    is_name(name).then_some(name)
}

/// Whether it can be called so: lower-case letters, digits and `_`, a letter first.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
