//! Change records: what they permit, who may do what with them, and in which state they are.
//!
//! Segregation of duties is decided here and nowhere else; the store repeats it as a constraint and reconciliation asks
//! again whenever it computes a verdict. People are compared as persons, never as the strings they typed.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::drift::Interval;
use crate::glob::Glob;

/// How long an emergency change may wait for its approval.
pub const EMERGENCY_DEADLINE: Duration = Duration::hours(24);
/// The longest window of any record.
pub const MAX_WINDOW: Duration = Duration::days(31);

/// A person's account in the collector. All comparisons of people are of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Person(pub String);

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// ITIL's classes of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Frequent, low risk, done by a known procedure.
    Standard,
    /// Small in risk and effect.
    Minor,
    /// Large in risk or effect: two approvers.
    Major,
    /// Must not wait: may go first and be approved within [`EMERGENCY_DEADLINE`].
    Emergency,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Minor, Self::Major, Self::Emergency];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Emergency => "emergency",
        }
    }

    /// How many different approvers a record of this class needs.
    pub fn approvers_needed(self) -> usize {
        match self {
            Self::Standard | Self::Minor | Self::Emergency => 1,
            Self::Major => 2,
        }
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|class| class.name() == text)
            .ok_or_else(|| format!("`{text}` is not a class: standard, minor, major or emergency"))
    }
}

/// An approved permission, or one that asks to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// `CHG-2026-0001`.
    pub id: String,
    /// One line.
    pub title: String,
    /// Its class.
    pub class: Class,
    /// Who asked.
    pub requester: Person,
    /// Who will do it; empty: whoever.
    #[serde(default)]
    pub implementers: Vec<Person>,
    /// Who approved, and when.
    #[serde(default)]
    pub approvals: Vec<Approval>,
    /// What it covers.
    pub scope: Scope,
    /// When it may be done.
    pub window: Interval,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub created: DateTime<Utc>,
}

/// One person's yes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: Person,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a record covers: these items on these hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Globs over a host's name, or its whole id.
    pub hosts: Vec<Pattern>,
    /// The items, and where known the value each is to have.
    pub items: Vec<ItemScope>,
}

/// Items a record covers, and the value they are to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemScope {
    /// Which items.
    pub item: ItemPattern,
    /// The value approved, as the probe says it; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A glob, kept with its text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    glob: Glob,
}

impl Pattern {
    /// Whether it matches.
    pub fn matches(&self, text: &str) -> bool {
        self.glob.matches(text)
    }

    /// Whether it matches everything.
    pub fn is_everything(&self) -> bool {
        !self.text.is_empty() && self.text.chars().all(|c| c == '*')
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 300 {
            return Err("a pattern is 1 to 300 characters".into());
        }
        // `*` matches any character here, `/` too: subjects are names, not paths.
        let glob = Glob::of_names(text).map_err(|error| format!("`{text}` is not a pattern: {error}"))?;
        Ok(Self { text: text.to_owned(), glob })
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `probe/subject` with globs in the subject (`packages/openssl:*`), a whole probe (`packages/*` or `packages`), or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemPattern {
    probe: Option<String>,
    subject: Pattern,
}

impl ItemPattern {
    /// Whether it covers `subject` of `probe`.
    pub fn matches(&self, probe: &str, subject: &str) -> bool {
        self.probe.as_deref().is_none_or(|own| own == probe) && self.subject.matches(subject)
    }

    /// Whether it covers every item of every probe.
    pub fn is_everything(&self) -> bool {
        self.probe.is_none()
    }
}

impl FromStr for ItemPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (probe, subject) = match text.split_once('/') {
            Some((probe, subject)) => (probe, subject),
            None => (text, "*"),
        };
        if probe == "*" && subject == "*" {
            return Ok(Self { probe: None, subject: "*".parse()? });
        }
        if crate::probes::find(probe).is_none() {
            let known = crate::probes::names();
            let hint = crate::yaml::did_you_mean(probe, &known).unwrap_or_default();
            return Err(format!("`{probe}` in `{text}` is not a probe: {hint}"));
        }
        Ok(Self { probe: Some(probe.to_owned()), subject: subject.parse()? })
    }
}

impl TryFrom<String> for ItemPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ItemPattern> for String {
    fn from(pattern: ItemPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for ItemPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.probe {
            Some(probe) => write!(f, "{probe}/{}", self.subject),
            None => f.write_str("*"),
        }
    }
}

/// Why something about a record is not allowed. Shown to the person as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// A record needs a reason, a title, hosts and items.
    #[error("a change record needs {0}")]
    Lacks(&'static str),
    /// The window ends before it begins, or lasts too long.
    #[error("the window {0}")]
    Window(&'static str),
    /// Everything on every host.
    #[error("a scope over every item of every host is too wide to approve: name hosts or items")]
    TooWide,
    /// Approver and requester are one person.
    #[error("{0} asked for this change and cannot also approve it")]
    OwnRequest(Person),
    /// Approver and implementer are one person.
    #[error("{0} implements this change and cannot also approve it")]
    OwnWork(Person),
    /// The same person twice.
    #[error("{0} has already approved this change")]
    Twice(Person),
}

impl ChangeRecord {
    /// What a new record must satisfy.
    pub fn check(&self) -> Result<(), NotAllowed> {
        if self.title.trim().is_empty() {
            return Err(NotAllowed::Lacks("a title"));
        }
        if self.reason.trim().is_empty() {
            return Err(NotAllowed::Lacks("a reason"));
        }
        if self.scope.hosts.is_empty() {
            return Err(NotAllowed::Lacks("at least one host in its scope"));
        }
        if self.scope.items.is_empty() {
            return Err(NotAllowed::Lacks("at least one item in its scope"));
        }
        if self.window.to <= self.window.from {
            return Err(NotAllowed::Window("ends before it begins"));
        }
        if self.window.to - self.window.from > MAX_WINDOW {
            return Err(NotAllowed::Window("is longer than 31 days"));
        }
        let every_host = self.scope.hosts.iter().any(Pattern::is_everything);
        let every_item = self.scope.items.iter().any(|scope| scope.item.is_everything());
        if every_host && every_item {
            return Err(NotAllowed::TooWide);
        }
        Ok(())
    }

    /// Whether `person` may approve it.
    pub fn may_approve(&self, person: &Person) -> Result<(), NotAllowed> {
        if *person == self.requester {
            return Err(NotAllowed::OwnRequest(person.clone()));
        }
        if self.implementers.contains(person) {
            return Err(NotAllowed::OwnWork(person.clone()));
        }
        if self.approvals.iter().any(|approval| approval.by == *person) {
            return Err(NotAllowed::Twice(person.clone()));
        }
        Ok(())
    }

    /// When it became approved: the moment the last approval it needed was given. Approvals that break the segregation of
    /// duties, however they came into the store, do not count.
    pub fn approved_at(&self) -> Option<DateTime<Utc>> {
        let mut counted: Vec<&Approval> = Vec::new();
        let mut approvals: Vec<&Approval> = self.approvals.iter().collect();
        approvals.sort_by_key(|approval| approval.at);
        for approval in approvals {
            let own = approval.by == self.requester || self.implementers.contains(&approval.by);
            if !own && !counted.iter().any(|other| other.by == approval.by) {
                counted.push(approval);
            }
        }
        counted.get(self.class.approvers_needed() - 1).map(|approval| approval.at)
    }

    /// Whether somebody who may not approve it did.
    pub fn is_self_approved(&self) -> bool {
        self.approvals.iter().any(|approval| approval.by == self.requester || self.implementers.contains(&approval.by))
    }

    /// Its state at `now`, in a word.
    pub fn state(&self, now: DateTime<Utc>) -> State {
        match self.approved_at() {
            Some(_) if now > self.window.to => State::Ended,
            Some(_) => State::Approved,
            None if now > self.window.to && self.class != Class::Emergency => State::Lapsed,
            None => State::Submitted,
        }
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waiting for its approvers.
    Submitted,
    /// Approved, its window open or to come.
    Approved,
    /// Approved, its window over.
    Ended,
    /// Never approved, its window over.
    Lapsed,
}

impl State {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Ended => "ended",
            Self::Lapsed => "lapsed",
        }
    }
}
