//! What a rule can ask of sshd.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::criteria::Connection;
use super::keywords::{self, Kind};
use crate::change::Pattern;

/// What a rule can ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Requirements by keyword, as sshd_config(5) spells it, in any case.
    pub settings: BTreeMap<String, Requirement>,
    /// Where they are asked.
    #[serde(default)]
    pub scope: Scope,
    /// Ask them for one connection instead.
    #[serde(default, rename = "for")]
    pub connection: Option<Connection>,
}

/// Where a rule is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Globally and under every `Match` that sets it.
    #[default]
    Everywhere,
    /// Only outside of `Match` blocks.
    Global,
}

/// One value as YAML may write it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// `true` is `yes`.
    Flag(bool),
    /// A number.
    Number(u64),
    /// Text.
    Text(String),
}

impl Word {
    fn text(&self) -> String {
        match self {
            Self::Flag(true) => "yes".into(),
            Self::Flag(false) => "no".into(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// What is asked of one keyword.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Requirement {
    /// Exactly this value.
    Is(Word),
    /// Exactly these values, in any order.
    Are(Vec<Word>),
    /// Something of it.
    Bounds(Bounds),
}

/// Bounds of a value. At least one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The value is one of these.
    pub one_of: Option<Vec<Word>>,
    /// Every part of the value matches one of these patterns.
    pub only: Option<Vec<Pattern>>,
    /// No part of the value matches one of these patterns.
    pub none_of: Option<Vec<Pattern>>,
    /// A number or time that is at most this. A time of 0 is no limit, and is more.
    pub at_most: Option<Word>,
    /// A number or time that is at least this. A time of 0 is no limit.
    pub at_least: Option<Word>,
    /// Whether somebody must have set it: `true`, or must not: `false`.
    pub set: Option<bool>,
}

/// `word` as the values of `keyword` are kept; itself where it is not understood.
pub(super) fn canonical(keyword: &str, word: &Word) -> String {
    let text = word.text();
    let kind = keywords::find(keyword).kind;
    if matches!(kind, Kind::Rest | Kind::Words | Kind::Added | Kind::AddedOne | Kind::One) {
        return text;
    }
    let args: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    keywords::values(kind, &args, &text).map_or(text, |values| values.join(" "))
}

/// The number in a word: a time is in seconds.
pub(super) fn number(keyword: &str, text: &str) -> Option<u64> {
    let kind = keywords::find(keyword).kind;
    if matches!(kind, Kind::Time | Kind::TimeOrNone) {
        return keywords::seconds(text);
    }
    // Of MaxStartups: how many connections that are not yet authenticated there may be at all.
    let text = if kind == Kind::Startups { text.rsplit(':').next()? } else { text };
    text.parse().ok()
}

/// What is wrong with an expectation.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    if expect.settings.is_empty() {
        return Err(("settings".into(), "nothing is asked: name a setting".into()));
    }
    if expect.connection == Some(Connection::default()) {
        return Err(("for".into(), "a connection has at least a user, a host or an address".into()));
    }
    for (name, requirement) in &expect.settings {
        let at = |key: &str| format!("settings.{name}{key}");
        let keyword = keywords::canonical(name);
        let known = keywords::find(&keyword);
        if matches!(known.kind, Kind::Unknown | Kind::Ignored) {
            return Err((at(""), format!("`{name}` is no keyword of sshd_config(5)")));
        }
        let words: Vec<&Word> = match requirement {
            Requirement::Is(word) => vec![word],
            Requirement::Are(words) => words.iter().collect(),
            Requirement::Bounds(bounds) => {
                let Bounds { one_of, only, none_of, at_most, at_least, set } = bounds;
                let nothing = one_of.is_none() && only.is_none() && none_of.is_none();
                if nothing && at_most.is_none() && at_least.is_none() && set.is_none() {
                    return Err((at(""), "nothing is asked of it".into()));
                }
                for (key, bound) in [(".at_most", at_most), (".at_least", at_least)] {
                    if let Some(bound) = bound
                        && number(&keyword, &bound.text()).is_none()
                    {
                        return Err((at(key), "is neither a number nor a time".into()));
                    }
                }
                one_of.iter().flatten().collect()
            }
        };
        if let Kind::Flag | Kind::Choice(_) | Kind::Time | Kind::Number = known.kind {
            for word in words {
                let text = word.text();
                if let Err(why) = keywords::values(known.kind, std::slice::from_ref(&text), &text) {
                    return Err((at(""), format!("`{name}` {why}")));
                }
            }
        }
    }
    Ok(())
}
