//! A value as the host said it: its JSON, shared and never taken apart. Taken apart, a byte becomes up to ninety.

use std::sync::Arc;

use audit::digest::Digest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The JSON of one item.
#[derive(Debug, Clone)]
pub struct Said(Arc<RawValue>);

/// The longest value a list shows whole, in bytes. What one would read of it in a list is far less.
const LISTED: usize = 4096;
/// How much of a longer one it shows.
const BEGINNING: usize = 1024;

/// What a list shows in the place of a long value.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    /// The beginning of its JSON.
    cut: String,
    /// How long all of it is.
    bytes: usize,
    /// The digest of all of it.
    sha256: Digest,
}

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

    /// As a list shows it: whole, or else an object of its beginning (`cut`), its length (`bytes`) and its digest (`sha256`).
    pub fn listed(self) -> Self {
        let text = self.text();
        if text.len() <= LISTED {
            return self;
        }
        let cut = text.get(..text.floor_char_boundary(BEGINNING)).unwrap_or_default().to_owned();
        let cut = Cut { cut, bytes: text.len(), sha256: Digest::of(text.as_bytes()) };
        // Text and numbers always make JSON; if they did not, the whole value would still be true.
        serde_json::value::to_raw_value(&cut).map_or(self, |raw| Self(raw.into()))
    }

    /// What [`Said::listed`] made of it in words, if it was cut.
    pub fn cut_words(&self) -> Option<String> {
        let text = self.text();
        if text.len() > 2 * LISTED || !text.starts_with("{\"") {
            return None;
        }
        let Cut { cut, bytes, sha256 } = serde_json::from_str(text).ok()?;
        let start = cut.get(..cut.floor_char_boundary(100)).unwrap_or_default();
        Some(format!("{start}… ({bytes} bytes, SHA-256 {sha256})"))
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
    fn a_list_shows_of_a_long_value_its_beginning_its_length_and_its_digest() {
        let short = format!("\"{}\"", "é".repeat(2047));
        assert_eq!(said(&short).listed().text(), short);
        let long = format!("{{\"a\":\"{}\"}}", "é".repeat(1 << 20));
        let listed = said(&long).listed();
        assert!(listed.text().len() < 2048, "{}", listed.text().len());
        let shown = listed.value();
        assert_eq!(
            (shown["bytes"].as_u64(), shown["sha256"].as_str().unwrap()),
            (Some(long.len() as u64), &*Digest::of(long.as_bytes()).to_string())
        );
        assert!(long.starts_with(shown["cut"].as_str().unwrap()));
        assert!(listed.cut_words().unwrap().contains("2097160 bytes"), "{:?}", listed.cut_words());
        assert_eq!(said(&long).cut_words(), None);
        assert_eq!(said(r#"{"cut":"a"}"#).cut_words(), None);
    }

    #[test]
    fn what_was_said_is_kept_as_it_was_said() {
        let text = r#"{"b":[1,2],"a":"\u00e9"}"#;
        assert_eq!(serde_json::to_string(&said(text)).unwrap(), text);
        assert_eq!(said(text).text(), text);
    }
}
