//! Baselines: YAML in, typed rules out, every error with file, line, column and a hint.
//!
//! A rule has an id, a title, a severity, a reason, a fix, the controls it answers, and exactly one expectation, which
//! stands under the name of the probe that judges it. The language is documented in `docs/baseline.md`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use crate::digest::Digest;
use crate::finding::Severity;
use crate::probe::{Expectation, Topic};
use crate::probes;
use crate::yaml::{Complaint, Document, did_you_mean};

/// A named, versioned set of rules.
pub struct Baseline {
    /// Its name: `linux-server`.
    pub name: String,
    /// Its version, counted up by whoever edits it.
    pub version: u32,
    /// What it is for.
    pub title: String,
    /// Which items need an approved change record where.
    pub control: Control,
    /// The rules, in the order written.
    pub rules: Vec<Rule>,
    /// The SHA-256 of the text.
    pub digest: Digest,
}

/// One rule.
pub struct Rule {
    /// Unique within the baseline.
    pub id: String,
    /// One line.
    pub title: String,
    /// How bad a deviation is.
    pub severity: Severity,
    /// Why the rule exists.
    pub why: String,
    /// How to mend a deviation.
    pub fix: String,
    /// The controls it answers: `HIPAA 164.312(b)`.
    pub controls: Vec<String>,
    /// The probe that judges it.
    pub topic: &'static dyn Topic,
    /// What is expected.
    pub expect: Expectation,
}

/// Which configuration items need an approved record, by environment: a list of item patterns (`packages/*`,
/// `admins/sudo:*`, `*`). Where nothing is said: everything in production, nothing elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Control(BTreeMap<String, Vec<crate::change::ItemPattern>>);

impl Control {
    /// Whether a change to `subject` of `probe` in `environment` needs an approved record.
    pub fn asks_for_record(&self, environment: &str, probe: &str, subject: &str) -> bool {
        match self.0.get(environment) {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(probe, subject)),
            None => environment == "production",
        }
    }
}

const RULE_KEYS: [&str; 6] = ["id", "title", "severity", "why", "fix", "controls"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBaseline {
    baseline: String,
    version: u32,
    title: String,
    #[serde(default)]
    control: Control,
    rules: Vec<Mapping>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    title: String,
    severity: Severity,
    why: String,
    fix: String,
    #[serde(default)]
    controls: Vec<String>,
}

impl Baseline {
    /// Reads a baseline; `file` is only its name, for complaints.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Complaint> {
        let document = Document::open(file, bytes)?;
        let raw: RawBaseline = document.parse()?;
        if raw.rules.is_empty() {
            return Err(document.complain("rules", "a baseline without rules would pass everything"));
        }
        let mut rules = Vec::new();
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        for (number, mapping) in raw.rules.into_iter().enumerate() {
            let rule = rule(&document, &format!("rules[{number}]"), mapping)?;
            if let Some(first) = ids.insert(rule.id.clone(), number) {
                let message = format!("the id `{}` is already that of rule {}", rule.id, first + 1);
                return Err(document.complain(&format!("rules[{number}].id"), &message));
            }
            rules.push(rule);
        }
        Ok(Self {
            name: raw.baseline,
            version: raw.version,
            title: raw.title,
            control: raw.control,
            rules,
            digest: Digest::of(bytes),
        })
    }

    /// The probes its rules ask, without repeats.
    pub fn probes(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self.rules.iter().map(|rule| rule.topic.name()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What the rules expect, each of its own probe.
    pub fn expectations(&self) -> Vec<Expectation> {
        self.rules.iter().map(|rule| rule.expect.clone()).collect()
    }
}

fn rule(document: &Document<'_>, path: &str, mapping: Mapping) -> Result<Rule, Complaint> {
    let mut common = Mapping::new();
    let mut expectation: Option<(&'static dyn Topic, Value)> = None;
    for (key, value) in mapping {
        let Some(name) = key.as_str().map(str::to_owned) else {
            return Err(document.complain(path, "a rule's keys are text"));
        };
        let own = format!("{path}.{name}");
        if RULE_KEYS.contains(&name.as_str()) {
            common.insert(key, value);
        } else if let Some(topic) = probes::find(&name) {
            if let Some((other, _)) = expectation {
                let message = format!("a rule has one expectation, and this one already asks `{}`", other.name());
                return Err(document.complain_of_key(&own, &message, Some("make it two rules".into())));
            }
            expectation = Some((topic, value));
        } else {
            let known: Vec<&str> = RULE_KEYS.into_iter().chain(probes::names()).collect();
            let message = format!("`{name}` is neither a key of a rule nor a probe");
            return Err(document.complain_of_key(&own, &message, did_you_mean(&name, &known)));
        }
    }
    let raw: RawRule = serde_path_to_error::deserialize(Value::Mapping(common)).map_err(|error| {
        let inner = error.path().to_string();
        let at = if inner == "." { path.to_owned() } else { format!("{path}.{inner}") };
        document.complain(&at, &error.inner().to_string())
    })?;
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if raw.id.is_empty() || raw.id.len() > 80 || !raw.id.chars().all(valid) {
        let message = "an id is lower-case letters, digits and hyphens, at most 80";
        return Err(document.complain(&format!("{path}.id"), message));
    }
    let Some((topic, value)) = expectation else {
        let message = format!("rule `{}` expects nothing", raw.id);
        let hint = format!("give it one of: {}", probes::names().join(", "));
        return Err(document.complain_of_key(&format!("{path}.id"), &message, Some(hint)));
    };
    let expect = topic.expectation(value).map_err(|bad| {
        let inner = bad.path.trim_matches('.');
        let own = format!("{path}.{}", topic.name());
        let at = match inner {
            "" => own,
            index if index.starts_with('[') => format!("{own}{index}"),
            key => format!("{own}.{key}"),
        };
        document.complain(&at, &bad.message)
    })?;
    Ok(Rule {
        id: raw.id,
        title: raw.title,
        severity: raw.severity,
        why: raw.why,
        fix: raw.fix,
        controls: raw.controls,
        topic,
        expect,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "baseline: b\nversion: 1\ntitle: t\nrules:\n";
    const RULE: &str = "  - id: one\n    title: t\n    severity: low\n    why: w\n    fix: f\n";

    fn complaint(text: &str) -> String {
        Baseline::parse("b.yaml", text.as_bytes()).err().expect("refused").to_string()
    }

    #[test]
    fn an_unknown_probe_is_pointed_at_with_the_nearest_name() {
        let said = complaint(&format!("{HEAD}{RULE}    package:\n      present: [x]\n"));
        assert!(said.starts_with("b.yaml:10:5: `package` is neither"), "{said}");
        assert!(said.ends_with("did you mean `packages`?"), "{said}");
    }

    #[test]
    fn a_mistake_inside_an_expectation_is_pointed_at() {
        let said = complaint(&format!("{HEAD}{RULE}    packages:\n      presnt: [x]\n"));
        assert!(said.starts_with("b.yaml:11:7: unknown field `presnt`"), "{said}");
        let said = complaint(&format!("{HEAD}{RULE}    packages:\n      present: 3\n"));
        assert!(said.starts_with("b.yaml:11:16: "), "{said}");
    }

    #[test]
    fn a_duplicate_id_names_the_rule_that_had_it_first() {
        let rule = format!("{RULE}    packages: {{present: [x]}}\n");
        let said = complaint(&format!("{HEAD}{rule}{rule}"));
        assert!(said.starts_with("b.yaml:11:9: the id `one` is already that of rule 1"), "{said}");
    }

    #[test]
    fn a_rule_without_expectation_or_with_two_is_refused() {
        assert!(complaint(&format!("{HEAD}{RULE}")).contains("expects nothing"));
    }

    #[test]
    fn an_unknown_severity_suggests_the_nearest() {
        let text = format!("{HEAD}{RULE}    packages: {{present: [x]}}\n").replace("severity: low", "severity: hihg");
        let said = complaint(&text);
        assert!(said.starts_with("b.yaml:7:15: unknown variant `hihg`"), "{said}");
        assert!(said.contains("did you mean `high`?"), "{said}");
    }

    #[test]
    fn the_shipped_baselines_are_accepted() {
        for text in [crate::shipped::LINUX_SERVER, crate::shipped::WORKSTATION] {
            let parsed = Baseline::parse("shipped", text.as_bytes());
            assert!(parsed.is_ok(), "{}", parsed.err().map_or_else(String::new, |error| error.to_string()));
        }
    }
}
