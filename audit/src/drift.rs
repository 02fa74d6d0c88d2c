//! Drift: what changed between two consecutive facts of a host.
//!
//! Only configuration items drift. A gap never means vanished: what a gap hides is carried forward from the last time
//! it was seen, and when it is seen again the interval reaches back to then. What was never seen before is not drift
//! when it first shows, it is a first observation; and so is what nobody had asked for ([`crate::probe::Probe::looked`]).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::facts::{Observed, Subject};
use crate::probe::{Looked, Topic};
use crate::probes;

/// When something happened: after `from`, not after `to`. The instants are the collector's, corrected for the host's
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    /// The observation before.
    pub from: DateTime<Utc>,
    /// The observation that showed it.
    pub to: DateTime<Utc>,
}

/// One configuration item that appeared, changed or vanished. `V` is what values are held as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift<V = Value> {
    /// The probe that saw it.
    pub probe: String,
    /// The item.
    pub subject: Subject,
    /// Its value before; `None` if it appeared.
    pub before: Option<V>,
    /// Its value after; `None` if it vanished.
    pub after: Option<V>,
    /// When.
    pub between: Interval,
}

/// What is known of one probe's items on one host after some observations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known<V = Value> {
    /// The last value seen of each item, carried through gaps.
    pub items: BTreeMap<Subject, V>,
    /// For each subject prefix hidden at the last observation: when it was last seen, or `None` if never.
    pub hidden: BTreeMap<String, Option<DateTime<Utc>>>,
    /// The last observation.
    pub at: DateTime<Utc>,
}

impl<V> Known<V> {
    /// The latest instant at which `subject` could be seen before now; `None` if it never could.
    fn last_seen(&self, subject: &str) -> Option<DateTime<Utc>> {
        let hiding = self.hidden.iter().filter(|(prefix, _)| subject.starts_with(prefix.as_str()));
        // Several prefixes may hide one subject; it was last seen when the one hidden longest was.
        hiding.map(|(_, since)| *since).min().unwrap_or(Some(self.at))
    }
}

/// Takes the next observation of a probe's items: what drifted, and what is known now.
///
/// `known` is `None` at the first observation, which is not drift.
pub fn advance<V: Clone + PartialEq>(
    known: Option<&Known<V>>,
    probe: &str,
    observed: Observed<V>,
    at: DateTime<Utc>,
) -> (Vec<Drift<V>>, Known<V>) {
    let Some(known) = known else {
        let hidden = observed.gaps.into_keys().map(|prefix| (prefix, None)).collect();
        return (Vec::new(), Known { items: observed.seen, hidden, at });
    };
    let topic = probes::find(probe);
    // What nobody looked for at one of the two observations neither appeared nor vanished between them.
    let (looked_then, looked_now) = (looked(topic, &known.items), looked(topic, &observed.seen));
    let mut drifts = Vec::new();
    let mut note = |subject: &Subject, before: Option<&V>, after: Option<&V>| {
        if let Some(from) = known.last_seen(subject) {
            drifts.push(Drift {
                probe: probe.to_owned(),
                subject: subject.clone(),
                before: before.cloned(),
                after: after.cloned(),
                between: Interval { from, to: at },
            });
        }
    };
    let mut carried = BTreeMap::new();
    for (subject, before) in &known.items {
        match observed.seen.get(subject) {
            Some(after) if after == before => {}
            Some(after) => note(subject, Some(before), Some(after)),
            None if observed.gap_for(subject).is_some() => {
                carried.insert(subject.clone(), before.clone());
            }
            None if looked_now(subject) => note(subject, Some(before), None),
            None => {}
        }
    }
    for (subject, after) in &observed.seen {
        if !known.items.contains_key(subject) && looked_then(subject) {
            note(subject, None, Some(after));
        }
    }
    let hidden = still_hidden(known, &observed);
    let mut items = observed.seen;
    items.extend(carried);
    (drifts, Known { items, hidden, at })
}

/// Which subjects an observation with these items would have shown; all, of a probe that is not known.
fn looked<V>(topic: Option<&dyn Topic>, items: &BTreeMap<Subject, V>) -> Looked {
    let mut subjects = items.keys().map(String::as_str);
    topic.map_or_else(|| Box::new(|_: &str| true) as Looked, |topic| topic.looked(&mut subjects))
}

/// What is hidden now, and since when: a part hidden before stays hidden since then while any gap still covers it.
fn still_hidden<V>(known: &Known<V>, observed: &Observed<V>) -> BTreeMap<String, Option<DateTime<Utc>>> {
    let mut hidden = BTreeMap::new();
    for gap in observed.gaps.keys() {
        hidden.insert(gap.clone(), known.last_seen(gap));
        let narrower = known.hidden.iter().filter(|(prefix, _)| prefix.starts_with(gap.as_str()));
        hidden.extend(narrower.map(|(prefix, since)| (prefix.clone(), *since)));
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Gap, GapKind};
    use serde_json::json;

    fn at(minute: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + i64::from(minute) * 60, 0).unwrap()
    }

    fn seen(items: &[(&str, i32)]) -> Observed<Value> {
        items.iter().map(|(subject, value)| ((*subject).to_owned(), json!(value))).collect()
    }

    fn hiding(mut observed: Observed<Value>, prefix: &str) -> Observed<Value> {
        observed.hide(prefix, Gap::new(GapKind::Denied, "/x", "denied"));
        observed
    }

    #[test]
    fn the_first_observation_is_not_drift() {
        assert!(advance(None, "p", seen(&[("a", 1)]), at(0)).0.is_empty());
    }

    #[test]
    fn what_appears_changes_and_vanishes_is_drift_between_the_two_observations() {
        let (_, known) = advance(None, "p", seen(&[("a", 1), ("b", 1)]), at(0));
        let (drifts, known) = advance(Some(&known), "p", seen(&[("b", 2), ("c", 1)]), at(5));
        let told: Vec<_> = drifts.iter().map(|d| (d.subject.as_str(), d.before.clone(), d.after.clone())).collect();
        assert_eq!(
            told,
            [("a", Some(json!(1)), None), ("b", Some(json!(1)), Some(json!(2))), ("c", None, Some(json!(1)))]
        );
        assert_eq!(drifts[0].between, Interval { from: at(0), to: at(5) });
        assert!(advance(Some(&known), "p", seen(&[("b", 2), ("c", 1)]), at(9)).0.is_empty());
    }

    #[test]
    fn a_gap_hides_nothing_for_ever_and_widens_the_interval() {
        let (_, known) = advance(None, "p", seen(&[("sudo:a", 1), ("user:b", 1)]), at(0));
        let (drifts, known) = advance(Some(&known), "p", hiding(seen(&[("user:b", 1)]), "sudo:"), at(5));
        assert!(drifts.is_empty());
        let (drifts, known) = advance(Some(&known), "p", hiding(seen(&[("user:b", 1)]), ""), at(6));
        assert!(drifts.is_empty());
        let (drifts, _) = advance(Some(&known), "p", seen(&[("sudo:a", 2), ("user:b", 2)]), at(7));
        let intervals: Vec<_> = drifts.iter().map(|d| (d.subject.as_str(), d.between.from)).collect();
        assert_eq!(intervals, [("sudo:a", at(0)), ("user:b", at(5))]);
    }

    #[test]
    fn what_was_hidden_from_the_start_is_a_first_observation_when_it_shows() {
        let (_, known) = advance(None, "p", hiding(seen(&[("user:b", 1)]), "sudo:"), at(0));
        let (drifts, _) = advance(Some(&known), "p", seen(&[("sudo:a", 1), ("user:b", 1)]), at(5));
        assert!(drifts.is_empty());
    }
}
