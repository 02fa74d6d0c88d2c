//! A host and a drift as the pages show them.

use audit::drift::Interval;
use audit::reconcile::{Reason, Verdict};
use chrono::{DateTime, Utc};

use super::change_of::{self, Part};
use super::command;
use super::frame::Tone;
use super::moment::Between;
use crate::disguise::disguises;
use crate::reconciling::said::Said;

/// A host, as far as a row names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRef {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Where it works.
    pub environment: String,
}

impl HostRef {
    /// Its page.
    pub fn href(&self) -> String {
        format!("/hosts/{}", self.id)
    }

    /// Its name, or its id where the name cannot be read: scopes know both.
    fn readable(&self) -> &str {
        if self.name.chars().any(disguises) { &self.id } else { &self.name }
    }
}

/// What is known of one drift.
#[derive(Debug, Clone)]
pub struct Drifted {
    /// Its number.
    pub id: i64,
    /// Where.
    pub host: HostRef,
    /// The probe that saw it.
    pub probe: String,
    /// The item.
    pub subject: String,
    /// Its value before.
    pub before: Option<Said>,
    /// Its value after.
    pub after: Option<Said>,
    /// When.
    pub between: Interval,
    /// Who approved it.
    pub verdict: Verdict,
    /// The class of reason.
    pub reason: Reason,
    /// The reason as a sentence.
    pub why: String,
    /// The record that decided.
    pub change: Option<String>,
    /// Whether it still needs somebody.
    pub open: bool,
}

/// What to do about most of what nobody approved.
pub const ADVICE: &str = "Find out who did it. If it was meant, ask for a record that covers it, for somebody else to \
                          approve; if not, put it back.";

/// A drift as a row.
#[derive(Debug, Clone)]
pub struct DriftRow {
    /// Its number.
    pub id: i64,
    /// Where.
    pub host: HostRef,
    /// The probe that saw it.
    pub probe: String,
    /// The item.
    pub subject: String,
    /// What changed.
    pub parts: Vec<Part>,
    /// When.
    pub between: Between,
    /// The record that decided.
    pub change: Option<String>,
    /// What one would type to go on; `None` where a name cannot be read.
    pub command: Option<String>,
    /// Whether it still needs somebody.
    pub open: bool,
    verdict: Verdict,
    reason: Reason,
    why: String,
}

impl DriftRow {
    /// `drift` as seen at `now`.
    pub fn new(drift: Drifted, now: DateTime<Utc>) -> Self {
        let command = match &drift.change {
            Some(change) if waits_for_approval(drift.reason) => Some(command::change_approve(change)),
            Some(_) | None => command::change_new(drift.host.readable(), &drift.probe, &drift.subject, drift.between),
        };
        Self {
            parts: change_of::parts(&drift.probe, drift.before.as_ref(), drift.after.as_ref()),
            between: Between::new(drift.between, now),
            id: drift.id,
            host: drift.host,
            probe: drift.probe,
            subject: drift.subject,
            change: drift.change,
            command,
            open: drift.open,
            verdict: drift.verdict,
            reason: drift.reason,
            why: drift.why,
        }
    }

    /// Its page.
    pub fn href(&self) -> String {
        href(self.id)
    }

    /// `D-7`.
    pub fn name(&self) -> String {
        name(self.id)
    }

    /// `packages/openssl:amd64`, as scopes write it.
    pub fn item(&self) -> String {
        format!("{}/{}", self.probe, self.subject)
    }

    /// How its sign looks.
    pub fn tone(&self) -> Tone {
        tone(self.verdict, self.open)
    }

    /// `unauthorised: no record`.
    pub fn verdict_words(&self) -> String {
        verdict_words(self.verdict, self.reason)
    }

    /// Why, as a sentence.
    pub fn sentence(&self) -> String {
        sentence(&self.why)
    }

    /// Whether what to do is particular to it, rather than [`ADVICE`].
    pub fn is_particular(&self) -> bool {
        waits_for_approval(self.reason)
    }

    /// What to do; `None` where there is nothing to do.
    pub fn advice(&self) -> Option<&'static str> {
        if !self.open {
            return None;
        }
        Some(match self.reason {
            Reason::NoRecord | Reason::OutsideScope | Reason::OutsideWindow | Reason::OtherValue => ADVICE,
            Reason::NotApproved | Reason::SelfApproved => {
                "Somebody who neither asked for it nor implements it must decide on that record."
            }
            Reason::EmergencyPending => "After that it counts as unauthorised.",
            Reason::EmergencyOverdue => {
                "The emergency was never approved. Approving it now closes this, and it stays on record as late."
            }
            Reason::ApprovedAfterwards | Reason::NotControlled | Reason::PossiblyInside | Reason::DefinitelyInside => {
                return None;
            }
        })
    }
}

/// The id of a drift as people and programs write it: `D-7`.
pub fn name(number: i64) -> String {
    format!("D-{number}")
}

/// The page of the drift of that number.
pub fn href(number: i64) -> String {
    format!("/drift/{}", name(number))
}

/// Whether a record is there and only an approval is missing.
fn waits_for_approval(reason: Reason) -> bool {
    match reason {
        Reason::NotApproved | Reason::SelfApproved | Reason::EmergencyPending | Reason::EmergencyOverdue => true,
        Reason::NoRecord
        | Reason::OutsideScope
        | Reason::OutsideWindow
        | Reason::OtherValue
        | Reason::ApprovedAfterwards
        | Reason::NotControlled
        | Reason::PossiblyInside
        | Reason::DefinitelyInside => false,
    }
}

/// How a verdict's sign looks.
pub fn tone(verdict: Verdict, open: bool) -> Tone {
    match verdict {
        Verdict::Unauthorised if open => Tone::Bad,
        Verdict::Unauthorised | Verdict::AwaitingApproval => Tone::Warn,
        Verdict::Authorised => Tone::Good,
        Verdict::Uncontrolled => Tone::Plain,
    }
}

/// A verdict with what qualifies it: `unauthorised: no record`, `authorised, possibly`.
pub fn verdict_words(verdict: Verdict, reason: Reason) -> String {
    match verdict {
        Verdict::Unauthorised => format!("unauthorised: {}", reason.name()),
        Verdict::AwaitingApproval => "awaiting approval".into(),
        Verdict::Authorised if reason == Reason::PossiblyInside => "authorised, possibly".into(),
        Verdict::Authorised | Verdict::Uncontrolled => verdict.name().into(),
    }
}

/// A fragment as a sentence: a capital first, a full stop last. A record's id keeps its own spelling.
pub fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let stop = if fragment.ends_with(['.', '!', '?']) { "" } else { "." };
    match letters.next() {
        Some(first) => format!("{}{}{stop}", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::super::frame::testing::at;
    use super::*;
    use serde_json::json;

    /// A package that changed on web-1 in production, without a record.
    pub(crate) fn drifted() -> Drifted {
        Drifted {
            id: 7,
            host: HostRef { id: "a".repeat(32), name: "web-1".into(), environment: "production".into() },
            probe: "packages".into(),
            subject: "openssl:amd64".into(),
            before: Some(Said::of(&json!({"version": "3.0.14-1"}))),
            after: Some(Said::of(&json!({"version": "3.0.15-1"}))),
            between: Interval { from: at(0), to: at(5) },
            verdict: Verdict::Unauthorised,
            reason: Reason::NoRecord,
            why: "no change record covers this host at that time".into(),
            change: None,
            open: true,
        }
    }

    /// As a row.
    pub(crate) fn row() -> DriftRow {
        DriftRow::new(drifted(), at(24 * 60))
    }

    /// A drift whose every text is hostile.
    pub(crate) fn nasty_row() -> DriftRow {
        let nasty = super::super::text::nasty::all();
        let host = HostRef { name: nasty.clone(), ..drifted().host };
        let drift = Drifted {
            host,
            subject: nasty.clone(),
            before: Some(Said::of(&json!(nasty))),
            after: Some(Said::of(&json!({ nasty.clone(): nasty }))),
            why: nasty.clone(),
            change: Some(nasty.clone()),
            ..drifted()
        };
        DriftRow::new(drift, at(24 * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{drifted, row};
    use super::*;

    #[test]
    fn every_open_drift_says_what_to_do_and_no_closed_one_does() {
        assert!(row().advice().is_some() && row().command.is_some());
        let closed = Drifted { reason: Reason::ApprovedAfterwards, open: false, ..drifted() };
        assert_eq!(DriftRow::new(closed, chrono::DateTime::UNIX_EPOCH).advice(), None);
    }

    #[test]
    fn a_record_that_only_lacks_approval_is_to_be_approved_not_asked_for_again() {
        let drift = Drifted { reason: Reason::NotApproved, change: Some("CHG-2027-0003".into()), ..drifted() };
        let row = DriftRow::new(drift, chrono::DateTime::UNIX_EPOCH);
        assert_eq!(row.command.as_deref(), Some("plumbline-collector change approve CHG-2027-0003"));
    }

    #[test]
    fn a_host_whose_name_cannot_be_read_is_named_by_its_id() {
        let host = HostRef { name: "web\u{202e}".into(), ..drifted().host };
        let row = DriftRow::new(Drifted { host, ..drifted() }, chrono::DateTime::UNIX_EPOCH);
        assert!(row.command.unwrap().contains(&format!("--host {} ", "a".repeat(32))));
    }

    #[test]
    fn a_verdict_is_words_before_it_is_a_colour() {
        assert_eq!(verdict_words(Verdict::Unauthorised, Reason::OutsideScope), "unauthorised: outside the scope");
        assert_eq!(verdict_words(Verdict::Authorised, Reason::PossiblyInside), "authorised, possibly");
        assert_eq!(verdict_words(Verdict::AwaitingApproval, Reason::EmergencyPending), "awaiting approval");
    }

    #[test]
    fn a_fragment_becomes_a_sentence() {
        assert_eq!(sentence("no record"), "No record.");
        assert_eq!(sentence(""), "");
    }
}
