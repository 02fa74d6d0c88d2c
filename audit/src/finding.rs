//! One rule's answer about one subject.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::Subject;
use crate::host::Gap;

/// How bad it is when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// To be mended in the ordinary course of work.
    Medium,
    /// To be mended soon.
    High,
    /// To be mended now.
    Critical,
}

impl Severity {
    /// All of them, mildest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// As written in YAML and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As the baseline says.
    Pass,
    /// It contradicts the baseline.
    Deviation,
    /// It could not be determined. Never a pass.
    Unknown,
    /// The rule does not apply here: only a live system could tell, or the thing ruled about does not exist.
    NotApplicable,
}

impl Status {
    /// As written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Deviation => "deviation",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not-applicable",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a probe answers to one expectation about one subject; the rule adds the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Judgement {
    /// What it is about.
    pub subject: Subject,
    /// The answer.
    pub status: Status,
    /// What the baseline asks for, as a fragment a person reads.
    pub expected: String,
    /// What is there, as a fragment a person reads.
    pub observed: String,
}

impl Judgement {
    /// A judgement with each part said.
    pub fn new(
        status: Status,
        subject: impl Into<Subject>,
        expected: impl Into<String>,
        observed: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), status, expected: expected.into(), observed: observed.into() }
    }

    /// `Pass` where `holds`, else `Deviation`.
    pub fn when(
        holds: bool,
        subject: impl Into<Subject>,
        expected: impl Into<String>,
        observed: impl Into<String>,
    ) -> Self {
        Self::new(if holds { Status::Pass } else { Status::Deviation }, subject, expected, observed)
    }

    /// What a gap means for a judgement: unknown with its reason, or not applicable off a live system.
    pub fn unseen(gap: &Gap, subject: impl Into<Subject>, expected: impl Into<String>) -> Self {
        let status = if gap.is_not_live() { Status::NotApplicable } else { Status::Unknown };
        Self::new(status, subject, expected, gap.to_string())
    }
}

/// One rule's answer about one subject, with all a reader needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// The probe that judged.
    pub probe: String,
    /// What it is about, canonical.
    pub subject: Subject,
    /// The answer.
    pub status: Status,
    /// How bad a deviation is.
    pub severity: Severity,
    /// The rule's title.
    pub title: String,
    /// What the baseline asks for.
    pub expected: String,
    /// What is there.
    pub observed: String,
    /// Why the rule exists.
    pub why: String,
    /// How to mend it.
    pub fix: String,
    /// The controls it answers.
    pub controls: Vec<String>,
}

/// How many findings there are of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// As the baseline says.
    pub pass: usize,
    /// Contradicting it.
    pub deviation: usize,
    /// Not determined.
    pub unknown: usize,
    /// Not applicable.
    pub not_applicable: usize,
}

impl Summary {
    /// Counts `findings`.
    pub fn of(findings: &[Finding]) -> Self {
        findings.iter().fold(Self::default(), |mut summary, finding| {
            match finding.status {
                Status::Pass => summary.pass += 1,
                Status::Deviation => summary.deviation += 1,
                Status::Unknown => summary.unknown += 1,
                Status::NotApplicable => summary.not_applicable += 1,
            }
            summary
        })
    }
}

/// The exit status `check` answers with: 1 a deviation, else 3 an unknown, at or above the severity; else 0.
pub fn exit_code(findings: &[Finding], fail_on: Severity) -> u8 {
    let counts = findings.iter().filter(|finding| finding.severity >= fail_on);
    let worst: BTreeMap<Status, usize> = counts.fold(BTreeMap::new(), |mut seen, finding| {
        *seen.entry(finding.status).or_default() += 1;
        seen
    });
    if worst.contains_key(&Status::Deviation) {
        1
    } else if worst.contains_key(&Status::Unknown) {
        3
    } else {
        0
    }
}
