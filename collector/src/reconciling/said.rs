//! A value as the host said it: its JSON, shared and never taken apart. Taken apart, a byte becomes up to ninety.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The JSON of one item.
#[derive(Debug, Clone)]
pub struct Said(Arc<RawValue>);

/// Up to this many bytes it is looked whether two values differ in more than the order of their keys.
const COMPARED: usize = 64 * 1024;

impl Said {
    /// Its JSON.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// It taken apart, for a moment: see above.
    pub fn value(&self) -> Value {
        parse(self.text()).unwrap_or_default()
    }

    /// A value made here.
    #[cfg(test)]
    pub(crate) fn of(value: &Value) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap().into())
    }

    /// As it stands in an answer that serde has begun to take apart: a flattened part of it has no text any more.
    pub fn apart<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let value = Option::<Value>::deserialize(deserializer)?;
        let raw = value.map(|value| serde_json::value::to_raw_value(&value)).transpose();
        Ok(raw.map_err(D::Error::custom)?.map(|raw| Self(raw.into())))
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}

impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (self.text(), other.text());
        if one.len() != other.len() || one.len() > COMPARED {
            return one == other;
        }
        // Another agent, or another version of it, may write the same keys in another order; that changes no length.
        one == other || matches!((parse(one), parse(other)), (Some(one), Some(other)) if one == other)
    }
}

impl Eq for Said {}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_order_of_keys_is_no_difference_and_anything_else_is() {
        assert_eq!(said(r#"{"a":1,"b":2}"#), said(r#"{"b":2,"a":1}"#));
        assert_ne!(said(r#"{"a":1,"b":2}"#), said(r#"{"b":1,"a":2}"#));
        assert_ne!(said(r#"{"a":1}"#), said(r#"{"a":1,"b":2}"#));
    }

    #[test]
    fn what_was_said_is_kept_as_it_was_said() {
        let text = r#"{"b":[1,2],"a":"\u00e9"}"#;
        assert_eq!(serde_json::to_string(&said(text)).unwrap(), text);
        assert_eq!(said(text).text(), text);
    }
}
