//! What a drift changed, as few words as say it.
//!
//! A probe says its items shortly (a package's version); where both values read the same, the fields that differ are
//! shown instead, so that before and after never look alike.

use std::collections::BTreeSet;

use audit::probes;
use serde_json::Value;

use super::text::cut;
use crate::reconciling::said::Said;

/// The most characters of one value that a page shows.
const SHOWN: usize = 1200;

/// One value, or one field of it, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field; `None` for the value as a whole.
    pub field: Option<String>,
    /// Before; `None` if it was not there.
    pub before: Option<String>,
    /// After; `None` if it is gone.
    pub after: Option<String>,
}

/// The parts in which `before` and `after` differ: at least one.
pub fn parts(probe: &str, before: Option<&Said>, after: Option<&Said>) -> Vec<Part> {
    if [before, after].into_iter().flatten().any(|said| said.cut_words().is_some()) {
        let words = |said: &Said| said.cut_words().unwrap_or_else(|| say(probe, &said.value()));
        return vec![Part { field: None, before: before.map(words), after: after.map(words) }];
    }
    parts_of(probe, before.map(Said::value).as_ref(), after.map(Said::value).as_ref())
}

fn parts_of(probe: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<Part> {
    let (said_before, said_after) = (before.map(|value| say(probe, value)), after.map(|value| say(probe, value)));
    let unsaid = |value: Option<&Value>, said: &Option<String>| value.map(plain) == *said;
    // The same words for two values, or no words but the JSON itself, say less than the fields do.
    let fields_say_more = said_before == said_after || (unsaid(before, &said_before) && unsaid(after, &said_after));
    if fields_say_more && let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let differing = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
        let parts: Vec<Part> = differing
            .map(|key| Part {
                field: Some(key.clone()),
                before: old.get(key).map(plain),
                after: new.get(key).map(plain),
            })
            .collect();
        if !parts.is_empty() {
            return parts;
        }
    }
    vec![Part { field: None, before: said_before, after: said_after }]
}

fn say(probe: &str, value: &Value) -> String {
    cut(&probes::find(probe).map_or_else(|| plain(value), |topic| topic.say_json(&value.to_string())), SHOWN)
}

/// A string without its quotes, anything else as JSON.
fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    cut(&text, SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(version: &str, state: &str) -> Value {
        json!({"name": "openssl", "version": version, "architecture": "amd64", "state": state})
    }

    #[test]
    fn a_probe_says_its_value_shortly() {
        let parts = parts_of("packages", Some(&package("1", "installed")), Some(&package("2", "installed")));
        assert_eq!(parts, [Part { field: None, before: Some("1".into()), after: Some("2".into()) }]);
    }

    #[test]
    fn where_both_read_the_same_the_field_that_differs_is_shown() {
        let of_unknown = parts_of("no-such-probe", Some(&json!({"a": 1, "b": "x"})), Some(&json!({"a": 1, "b": "x"})));
        assert_eq!(of_unknown.len(), 1, "equal values still give one part");
        let found = parts_of("packages", Some(&package("1", "installed")), Some(&package("1", "held")));
        let differing = |part: &Part| part.before != part.after;
        assert!(!found.is_empty() && found.iter().all(differing), "{found:?}");
    }

    #[test]
    fn of_a_value_no_probe_says_only_the_fields_that_differ_are_shown() {
        let found = parts_of("no-such-probe", Some(&json!({"a": 1, "b": "x"})), Some(&json!({"a": 2, "b": "x"})));
        assert_eq!(found, [Part { field: Some("a".into()), before: Some("1".into()), after: Some("2".into()) }]);
    }

    #[test]
    fn what_appeared_has_no_before() {
        assert_eq!(
            parts_of("x", None, Some(&json!("v")))[0],
            Part { field: None, before: None, after: Some("v".into()) }
        );
    }
}
