//! What a probe observed.
//!
//! Facts have two halves, hashed apart: *items* are configuration items, which somebody decided and which drift;
//! *state* merely is (a clock's offset) and is judged but never drifts. Each half maps canonical subjects to values
//! and says, by subject prefix, what it could not see.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::host::{Gap, GapKind};
use crate::probe::Probe;

/// The canonical name of one thing within a probe: `openssl:amd64`. Each probe documents its own form.
pub type Subject = String;

/// The longest subject, in bytes: a path may have 4096 (PATH_MAX), and something before it.
pub const MAX_SUBJECT: usize = 4096 + 256;

/// One half of a probe's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed<T> {
    /// What was seen.
    pub seen: BTreeMap<Subject, T>,
    /// What could not be seen: everything whose subject starts with the key. The empty key hides the whole half.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub gaps: BTreeMap<String, Gap>,
}

impl<T> Observed<T> {
    /// Nothing seen yet, nothing hidden: a true empty list.
    pub fn new() -> Self {
        Self { seen: BTreeMap::new(), gaps: BTreeMap::new() }
    }

    /// All of it hidden.
    pub fn hidden(gap: Gap) -> Self {
        Self { seen: BTreeMap::new(), gaps: BTreeMap::from([(String::new(), gap)]) }
    }

    /// Marks every subject that starts with `prefix` as unseen. The first gap for a prefix is kept.
    pub fn hide(&mut self, prefix: impl Into<String>, gap: Gap) {
        self.gaps.entry(prefix.into()).or_insert(gap);
    }

    /// Itself without subjects no host can mean: what is longer than [`MAX_SUBJECT`] hides the half, and is not shown.
    #[must_use]
    pub fn within_bounds(mut self) -> Self {
        let count = self.seen.len();
        self.seen.retain(|subject, _| subject.len() <= MAX_SUBJECT);
        if self.seen.len() < count {
            let detail = format!("{} names are longer than {MAX_SUBJECT} bytes", count - self.seen.len());
            self.hide("", Gap::new(GapKind::TooLarge, "names", detail));
        }
        while let Some(long) = self.gaps.keys().find(|prefix| prefix.len() > MAX_SUBJECT).cloned() {
            // A shorter prefix hides at least as much.
            let prefix = long.get(..long.floor_char_boundary(MAX_SUBJECT)).unwrap_or_default().to_owned();
            if let Some(gap) = self.gaps.remove(&long) {
                self.hide(prefix, gap);
            }
        }
        self
    }

    /// The gap that hides `subject`, if one does.
    pub fn gap_for(&self, subject: &str) -> Option<&Gap> {
        self.gaps.iter().find(|(prefix, _)| subject.starts_with(prefix.as_str())).map(|(_, gap)| gap)
    }

    /// The gap that hides the whole half, if one does.
    pub fn whole_gap(&self) -> Option<&Gap> {
        self.gaps.get("")
    }
}

impl<T> Default for Observed<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FromIterator<(Subject, T)> for Observed<T> {
    fn from_iter<I: IntoIterator<Item = (Subject, T)>>(seen: I) -> Self {
        Self { seen: seen.into_iter().collect(), gaps: BTreeMap::new() }
    }
}

/// Both halves of what a probe observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<I, S> {
    /// Configuration items: they drift.
    pub items: Observed<I>,
    /// State: judged, never drifts.
    pub state: Observed<S>,
}

impl<I, S> Default for Facts<I, S> {
    fn default() -> Self {
        Self { items: Observed::new(), state: Observed::new() }
    }
}

impl<I, S> Facts<I, S> {
    /// The probe could see nothing at all.
    pub fn hidden(gap: Gap) -> Self {
        Self { items: Observed::hidden(gap.clone()), state: Observed::hidden(gap) }
    }
}

/// The facts of one probe, its types erased.
pub type AnyFacts = Arc<dyn Any + Send + Sync>;

/// The facts of one host, by probe.
#[derive(Clone, Default)]
pub struct FactSet(BTreeMap<&'static str, AnyFacts>);

impl FactSet {
    /// Puts the erased facts of the probe called `name`.
    pub fn insert(&mut self, name: &'static str, facts: AnyFacts) {
        self.0.insert(name, facts);
    }

    /// The facts of probe `P`; `None` if they were not collected or could not be decoded.
    pub fn of<P: Probe>(&self) -> Option<&Facts<P::Item, P::State>> {
        self.0.get(P::NAME)?.downcast_ref()
    }

    /// The erased facts of the probe called `name`.
    pub fn get(&self, name: &str) -> Option<&AnyFacts> {
        self.0.get(name)
    }

    /// The probes whose facts are here, by name.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_longer_than_any_path_hides_the_half_and_is_not_shown() {
        let mut observed: Observed<u8> = [("a".to_owned(), 1), ("b".repeat(5_000), 2)].into_iter().collect();
        observed.hide("é".repeat(5_000), Gap::malformed("x", "y"));
        let observed = observed.within_bounds();
        assert_eq!(observed.seen.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(observed.whole_gap().unwrap().kind, GapKind::TooLarge);
        let longest = observed.gaps.keys().map(String::len).max().unwrap();
        assert!(longest <= MAX_SUBJECT && observed.gap_for(&"é".repeat(5_000)).is_some());
    }
}
