//! Baselines: YAML in, typed rules out, every error with file, line, column and a hint.
//!
//! A rule has an id, a title, a severity, a reason, a fix, the controls it answers, and exactly one expectation, which
//! stands under the name of the probe that judges it, or under `assert`. A baseline may extend others, leave parameters to those that extend
//! it, and say to which hosts it applies. The language is documented in `docs/baseline.md`.

pub mod applies;
mod controls;
mod layers;
pub mod library;
mod merge;
pub mod origin;
pub mod parameters;
pub mod schema;
mod typed;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::assert::Assertion;
use crate::digest::Digest;
use crate::finding::Severity;
use crate::probe::{Expectation, Topic};
use crate::probes;
use crate::yaml::Complaint;
use applies::{AppliesTo, Condition};
use layers::Layers;
use library::{Library, Shipped};

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
    /// The rules, in the order written. Where a rule has several forms for different hosts, they stand together.
    pub rules: Vec<Rule>,
    /// Clauses that no host can show, and why.
    pub cannot_show: Vec<Clause>,
    /// Clauses a host could show, for which there is no rule yet.
    pub to_come: Vec<Clause>,
    /// The SHA-256 of the text; of a baseline that extends others, of all their texts.
    pub digest: Digest,
}

/// One rule.
pub struct Rule {
    /// Unique within the baseline, but for forms of one rule.
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
    /// To which hosts it applies: all of these must be met.
    pub when: Vec<Condition>,
    /// What is expected.
    pub check: Check,
}

/// What a rule expects, and who judges it.
pub enum Check {
    /// An expectation of one probe.
    Probe(&'static dyn Topic, Expectation),
    /// An expression over the facts of any.
    Assert(Arc<Assertion>),
}

impl Check {
    /// The name findings carry: the probe's, or `assert`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Probe(topic, _) => topic.name(),
            Self::Assert(_) => ASSERT,
        }
    }
}

/// The key of an expression.
pub const ASSERT: &str = "assert";

/// A clause of a policy for which a baseline has no rule, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// The clause: `J-9`.
    pub clause: String,
    /// What it asks for.
    pub title: String,
    /// Why no rule shows it, or what is needed for one.
    pub why: String,
}

/// Which configuration items need an approved record, by environment: a list of item patterns (`packages/*`,
/// `admins/sudo:*`, `*`). Where nothing is said: everything in production, nothing elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Control(BTreeMap<String, Vec<crate::change::ItemPattern>>);

impl Control {
    /// With what `other` says in place of what is said here, environment by environment.
    fn lay(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(environment, patterns)| (environment.clone(), patterns.clone())));
    }

    /// Whether a change to `subject` of `probe` in `environment` needs an approved record.
    pub fn asks_for_record(&self, environment: &str, probe: &str, subject: &str) -> bool {
        match self.0.get(environment) {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(probe, subject)),
            None => environment == "production",
        }
    }
}

impl Baseline {
    /// Reads a baseline that extends none but shipped ones; `file` is only its name, for complaints.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Complaint> {
        Self::load(file, bytes, &Shipped)
    }

    /// Reads a baseline and what it extends.
    pub fn load(file: &str, bytes: &[u8], library: &dyn Library) -> Result<Self, Complaint> {
        typed::baseline(&Layers::read(file, bytes, library)?).map(|(baseline, _)| baseline)
    }

    /// The probes its rules ask, without repeats; with the one that tells the operating system, where a rule depends on it.
    pub fn probes(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = Vec::new();
        for rule in &self.rules {
            match &rule.check {
                Check::Probe(topic, _) => names.push(topic.name()),
                Check::Assert(assertion) => names.extend(assertion.probes()),
            }
            if rule.conditions().any(AppliesTo::asks_os) {
                names.push(<probes::eol::Eol as crate::probe::Probe>::NAME);
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What the rules expect, each of its own probe.
    pub fn expectations(&self) -> Vec<Expectation> {
        let of = |rule: &Rule| match &rule.check {
            Check::Probe(_, expect) => Some(expect.clone()),
            Check::Assert(_) => None,
        };
        self.rules.iter().filter_map(of).collect()
    }

    /// Whether a finding depends on what only the collector's inventory says of a host.
    pub fn asks_inventory(&self) -> bool {
        self.rules.iter().any(|rule| rule.conditions().any(AppliesTo::asks_inventory))
    }
}

impl Rule {
    fn conditions(&self) -> impl Iterator<Item = &AppliesTo> {
        self.when.iter().flat_map(|condition| condition.any.iter().flatten())
    }
}

#[cfg(test)]
mod tests;
