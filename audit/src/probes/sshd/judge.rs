//! Judges sshd's settings: globally, under every `Match`, or for one connection.

use std::collections::BTreeMap;

use super::effective::{Value, Version, blocks, effective, global, resolve};
use super::expect::{Bounds, Expect, Requirement, Scope, Word, canonical, number};
use super::keywords::{self, Kind};
use super::{SshdFacts, State};
use crate::change::Pattern;
use crate::finding::{Judgement, Status};
use crate::probe::Context;
use crate::probes::packages::Packages;

/// Judges.
pub(super) fn judge(expect: &Expect, facts: &SshdFacts, context: &Context<'_>) -> Vec<Judgement> {
    if facts.state.seen.get("sshd") == Some(&State::Absent) {
        return vec![Judgement::new(
            Status::NotApplicable,
            "sshd",
            "settings of sshd",
            "OpenSSH's server is not installed",
        )];
    }
    let version = version(context);
    let mut judgements = Vec::new();
    for (name, requirement) in &expect.settings {
        let keyword = keywords::canonical(name);
        let asked = Asked { keyword: &keyword, requirement };
        // The file that sshd does not accept, or that was not read to its end, says nothing for certain.
        if let Some(gap) = facts.items.gap_for(&format!("set:{keyword}")) {
            judgements.push(Judgement::unseen(gap, &keyword, asked.expected()));
            continue;
        }
        match &expect.connection {
            Some(connection) => {
                let value = effective(facts, version, Some(connection)).remove(&keyword);
                let unknown = || Value::Unknown(format!("`{keyword}` is not set, and its default is not known here"));
                judgements.push(asked.judge(&keyword, &value.unwrap_or_else(unknown)));
            }
            None => {
                let set = global(facts);
                let value = resolve(&keyword, set.get(keyword.as_str()).copied(), version);
                judgements.push(asked.judge(&keyword, &value));
                if expect.scope == Scope::Everywhere {
                    judgements.extend(under_matches(&asked, facts, version));
                }
            }
        }
    }
    judgements
}

fn under_matches(asked: &Asked<'_>, facts: &SshdFacts, version: Option<Version>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for (subject, _, settings) in blocks(facts) {
        if let Some(values) = settings.get(asked.keyword) {
            let about = format!("{} under {subject}", asked.keyword);
            judgements.push(asked.judge(&about, &resolve(asked.keyword, Some(values), version)));
        }
    }
    judgements
}

/// The version of the installed package.
fn version(context: &Context<'_>) -> Option<Version> {
    let packages = context.facts.of::<Packages>()?;
    let named = |name: &str| packages.items.seen.values().find(|package| package.name == name);
    // Debian, Fedora and Alpine call it the first; Arch and Gentoo the second.
    let package = named("openssh-server").or_else(|| named("openssh"))?;
    Version::of_package(&package.version)
}

struct Asked<'a> {
    keyword: &'a str,
    requirement: &'a Requirement,
}

impl Asked<'_> {
    fn judge(&self, subject: &str, value: &Value) -> Judgement {
        let expected = self.expected();
        let (values, origin) = match value {
            Value::Set(values) => (values, ""),
            Value::Default(values) => (values, " (the default)"),
            Value::Unknown(why) => return Judgement::new(Status::Unknown, subject, expected, why.clone()),
        };
        let said = if values.is_empty() { "nothing".to_owned() } else { values.join(" ") };
        let holds = self.holds(values, matches!(value, Value::Set(_)));
        Judgement::when(holds, subject, expected, format!("{said}{origin}"))
    }

    fn holds(&self, values: &[String], set: bool) -> bool {
        let whole = values.join(" ");
        match self.requirement {
            Requirement::Is(word) => whole == canonical(self.keyword, word),
            Requirement::Are(words) => {
                let mut wanted: Vec<String> = words.iter().map(|word| canonical(self.keyword, word)).collect();
                let mut found: Vec<String> = self.parts(values).map(str::to_owned).collect();
                wanted.sort();
                found.sort();
                wanted == found
            }
            Requirement::Bounds(bounds) => self.within(bounds, values, &whole, set),
        }
    }

    fn within(&self, bounds: &Bounds, values: &[String], whole: &str, set: bool) -> bool {
        let Bounds { one_of, only, none_of, at_most, at_least, set: must_be_set } = bounds;
        let matching = |patterns: &[Pattern], part: &str| patterns.iter().any(|pattern| pattern.matches(part));
        let found = number(self.keyword, whole);
        let unlimited = found == Some(0) && matches!(keywords::find(self.keyword).kind, Kind::Time);
        let bound = |word: &Word| number(self.keyword, &canonical(self.keyword, word));
        one_of.as_ref().is_none_or(|words| words.iter().any(|word| canonical(self.keyword, word) == whole))
            && only.as_ref().is_none_or(|patterns| {
                let mut parts = self.parts(values).peekable();
                parts.peek().is_some() && parts.all(|part| matching(patterns, part))
            })
            && none_of.as_ref().is_none_or(|patterns| !self.parts(values).any(|part| matching(patterns, part)))
            && at_most.as_ref().is_none_or(|most| !unlimited && found.is_some() && found <= bound(most))
            && at_least.as_ref().is_none_or(|least| unlimited || (found.is_some() && found >= bound(least)))
            && must_be_set.is_none_or(|must| must == set)
    }

    /// The parts of a value: algorithms of a list, words of a line.
    fn parts<'v>(&self, values: &'v [String]) -> impl Iterator<Item = &'v str> {
        let comma = keywords::find(self.keyword).kind == Kind::Algorithms;
        values.iter().flat_map(move |value| {
            let pieces: Vec<&str> = if comma { value.split(',').collect() } else { vec![value.as_str()] };
            pieces
        })
    }

    fn expected(&self) -> String {
        let list =
            |words: &[Word]| words.iter().map(|word| canonical(self.keyword, word)).collect::<Vec<_>>().join(", ");
        let patterns = |patterns: &[Pattern]| patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ");
        match self.requirement {
            Requirement::Is(word) => canonical(self.keyword, word),
            Requirement::Are(words) => list(words),
            Requirement::Bounds(bounds) => {
                let Bounds { one_of, only, none_of, at_most, at_least, set } = bounds;
                let said = [
                    one_of.as_ref().map(|words| format!("one of {}", list(words))),
                    only.as_ref().map(|only| format!("only {}", patterns(only))),
                    none_of.as_ref().map(|none| format!("none of {}", patterns(none))),
                    at_most.as_ref().map(|most| format!("at most {}", canonical(self.keyword, most))),
                    at_least.as_ref().map(|least| format!("at least {}", canonical(self.keyword, least))),
                    set.map(|set| if set { "set by somebody".to_owned() } else { "set by nobody".to_owned() }),
                ];
                said.into_iter().flatten().collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// One line for a person.
pub(super) fn say_settings(settings: &BTreeMap<String, Vec<String>>) -> String {
    let said: Vec<String> = settings.iter().map(|(name, values)| format!("{name} {}", values.join(" "))).collect();
    said.join("; ")
}
