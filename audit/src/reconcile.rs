//! Reconciliation: one drift × all change records → a verdict with the record that decided and a sentence of why.
//!
//! Pure, and idempotent: it is asked again whenever a record changes, a window closes or a deadline passes. Time is an
//! interval, so a verdict says whether the drift was *definitely* or *possibly* inside the window.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::change::{ChangeRecord, Class, EMERGENCY_DEADLINE};
use crate::drift::Interval;

/// A drift as reconciliation sees it: on which host, and whether a record is asked for at all.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    /// The host's id.
    pub host: &'a str,
    /// The host's name.
    pub host_name: &'a str,
    /// The probe.
    pub probe: &'a str,
    /// The item.
    pub subject: &'a str,
    /// Its value after, as the probe says it; `None` if it vanished.
    pub value: Option<&'a str>,
    /// When.
    pub between: Interval,
    /// Whether the baseline's change control asks for an approved record for this item in the host's environment.
    pub controlled: bool,
}

/// The answer to "who approved this?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// An approved record covers it.
    Authorised,
    /// No record is asked for here.
    Uncontrolled,
    /// An emergency record covers it, not yet approved, inside its deadline.
    AwaitingApproval,
    /// Nobody approved it; [`Judged::reason`] says how nearly.
    Unauthorised,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Authorised, Self::Uncontrolled, Self::AwaitingApproval, Self::Unauthorised];

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Uncontrolled => "uncontrolled",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Unauthorised => "unauthorised",
        }
    }
}

/// Why a verdict is what it is. The order is nearness: of several records, the one that came nearest to covering the
/// drift is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No record speaks of this host and time at all.
    NoRecord,
    /// A record is open for this host at this time, but does not cover this item.
    OutsideScope,
    /// A record covers the item, but its window does not reach the time it happened.
    OutsideWindow,
    /// A record covers the item with another value.
    OtherValue,
    /// A record covers it and is still waiting for its approval.
    NotApproved,
    /// An emergency was not approved within its deadline.
    EmergencyOverdue,
    /// The only approvals are by people who may not give them.
    SelfApproved,
    /// It was approved, but only after it had happened.
    ApprovedAfterwards,
    /// Change control does not ask for a record here.
    NotControlled,
    /// An emergency record waits for its approval, inside its deadline.
    EmergencyPending,
    /// Covered, possibly inside the window (or possibly approved before).
    PossiblyInside,
    /// Covered, definitely.
    DefinitelyInside,
}

impl Reason {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRecord => "no record",
            Self::OutsideScope => "outside the scope",
            Self::OutsideWindow => "outside the window",
            Self::OtherValue => "other value than approved",
            Self::NotApproved => "not approved",
            Self::EmergencyOverdue => "emergency overdue",
            Self::SelfApproved => "self-approved",
            Self::ApprovedAfterwards => "approved only afterwards",
            Self::NotControlled => "no record is asked for",
            Self::EmergencyPending => "emergency, inside its deadline",
            Self::PossiblyInside => "possibly inside the window",
            Self::DefinitelyInside => "definitely inside the window",
        }
    }

    /// The verdict this reason stands for.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::NoRecord
            | Self::OutsideScope
            | Self::OutsideWindow
            | Self::OtherValue
            | Self::NotApproved
            | Self::EmergencyOverdue
            | Self::SelfApproved
            | Self::ApprovedAfterwards => Verdict::Unauthorised,
            Self::NotControlled => Verdict::Uncontrolled,
            Self::EmergencyPending => Verdict::AwaitingApproval,
            Self::PossiblyInside | Self::DefinitelyInside => Verdict::Authorised,
        }
    }

    /// Whether the drift still needs somebody: approved only afterwards is unauthorised, but closed.
    pub fn is_open(self) -> bool {
        match self {
            Self::NoRecord
            | Self::OutsideScope
            | Self::OutsideWindow
            | Self::OtherValue
            | Self::NotApproved
            | Self::EmergencyOverdue
            | Self::SelfApproved
            | Self::EmergencyPending => true,
            Self::ApprovedAfterwards | Self::NotControlled | Self::PossiblyInside | Self::DefinitelyInside => false,
        }
    }
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// The class of reason, for programs.
    pub reason: Reason,
    /// A sentence, for people.
    pub why: String,
    /// The record that decided, if one did.
    pub change: Option<String>,
}

/// Judges one drift against the records, at `now`.
pub fn reconcile(happened: &Happened<'_>, records: &[ChangeRecord], now: DateTime<Utc>) -> Judged {
    let nearest = records
        .iter()
        .filter_map(|record| weigh(happened, record, now).map(|reason| (reason, record)))
        // Of two that come equally near, the one asked for last is the one people mean.
        .max_by(|(a, first), (b, second)| (a, first.created, &first.id).cmp(&(b, second.created, &second.id)));
    match nearest {
        Some((reason, record)) if reason.verdict() != Verdict::Unauthorised || happened.controlled => Judged {
            verdict: reason.verdict(),
            reason,
            why: explain(reason, happened, record),
            change: Some(record.id.clone()),
        },
        _ if !happened.controlled => Judged {
            verdict: Verdict::Uncontrolled,
            reason: Reason::NotControlled,
            why: "change control does not ask for a record for this item in this environment".into(),
            change: None,
        },
        _ => Judged {
            verdict: Verdict::Unauthorised,
            reason: Reason::NoRecord,
            why: "no change record covers this host at that time".into(),
            change: None,
        },
    }
}

/// How near `record` comes to covering the drift; `None` if it has nothing to do with it.
fn weigh(happened: &Happened<'_>, record: &ChangeRecord, now: DateTime<Utc>) -> Option<Reason> {
    let scope = &record.scope;
    if !scope.hosts.iter().any(|host| host.matches(happened.host_name) || host.matches(happened.host)) {
        return None;
    }
    let inside = inside(happened.between, record.window);
    let mut covering = scope.items.iter().filter(|item| item.item.matches(happened.probe, happened.subject)).peekable();
    if covering.peek().is_none() {
        return (inside != Inside::No).then_some(Reason::OutsideScope);
    }
    if inside == Inside::No {
        return Some(Reason::OutsideWindow);
    }
    if !covering.any(|item| item.value.as_deref().is_none_or(|value| Some(value) == happened.value)) {
        return Some(Reason::OtherValue);
    }
    Some(match record.approved_at() {
        Some(approved) if approved <= happened.between.from && inside == Inside::Definitely => Reason::DefinitelyInside,
        Some(approved) if approved <= happened.between.to => Reason::PossiblyInside,
        // An emergency may go first: approved within its deadline it is authorised all the same.
        Some(approved) if record.class == Class::Emergency && approved <= deadline(happened) => match inside {
            Inside::Definitely => Reason::DefinitelyInside,
            Inside::Possibly | Inside::No => Reason::PossiblyInside,
        },
        Some(_) => Reason::ApprovedAfterwards,
        None if record.class == Class::Emergency && now <= deadline(happened) => Reason::EmergencyPending,
        None if record.class == Class::Emergency => Reason::EmergencyOverdue,
        None if record.is_self_approved() => Reason::SelfApproved,
        None => Reason::NotApproved,
    })
}

fn deadline(happened: &Happened<'_>) -> DateTime<Utc> {
    happened.between.to + EMERGENCY_DEADLINE
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    No,
    Possibly,
    Definitely,
}

fn inside(between: Interval, window: Interval) -> Inside {
    if between.from >= window.from && between.to <= window.to {
        Inside::Definitely
    } else if between.to >= window.from && between.from <= window.to {
        Inside::Possibly
    } else {
        Inside::No
    }
}

fn explain(reason: Reason, happened: &Happened<'_>, record: &ChangeRecord) -> String {
    let id = &record.id;
    let item = format!("{}/{}", happened.probe, happened.subject);
    match reason {
        Reason::DefinitelyInside => format!("{id} covers {item} and its window was open all that time"),
        Reason::PossiblyInside => {
            format!(
                "{id} covers {item}; the host was seen before and after, and it may have happened inside the window"
            )
        }
        Reason::OutsideWindow if happened.between.from > record.window.to => format!(
            "{id} covers {item}, but its window ended {} before the earliest moment this could have happened",
            span(happened.between.from - record.window.to)
        ),
        Reason::OutsideWindow => format!(
            "{id} covers {item}, but its window opened {} after the latest moment this could have happened",
            span(record.window.from - happened.between.to)
        ),
        Reason::OutsideScope => format!("{id} is open for this host, but does not cover {item}"),
        Reason::OtherValue => {
            let found = happened.value.unwrap_or("gone");
            format!("{id} covers {item}, but with another value than {found}")
        }
        Reason::NotApproved => format!("{id} covers {item}, but nobody has approved it yet"),
        Reason::SelfApproved => {
            format!("{id} covers {item}, but only people who asked for it or implement it approved it")
        }
        Reason::ApprovedAfterwards => format!("{id} covers {item}, but was approved only afterwards"),
        Reason::EmergencyPending => format!("{id} is an emergency record; it must be approved within 24 hours"),
        Reason::EmergencyOverdue => format!("{id} is an emergency record that was not approved within 24 hours"),
        Reason::NoRecord | Reason::NotControlled => reason.name().to_owned(),
    }
}

/// A duration in its two largest units: "2 days 3 h", "40 min".
fn span(delta: TimeDelta) -> String {
    let (days, hours, minutes) = (delta.num_days(), delta.num_hours() % 24, delta.num_minutes() % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", delta.num_seconds()),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Approval, ItemScope, Person, Scope};

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    fn person(name: &str) -> Person {
        Person(name.into())
    }

    /// Approved at minute 5, open from 10 to 70, for openssl on web-*.
    fn record() -> ChangeRecord {
        ChangeRecord {
            id: "CHG-2026-0001".into(),
            title: "patch openssl".into(),
            class: Class::Minor,
            requester: person("rhea"),
            implementers: Vec::new(),
            approvals: vec![Approval { by: person("ava"), at: at(5) }],
            scope: Scope {
                hosts: vec!["web-*".parse().unwrap()],
                items: vec![ItemScope { item: "packages/openssl:*".parse().unwrap(), value: None }],
            },
            window: Interval { from: at(10), to: at(70) },
            reason: "CVE".into(),
            created: at(0),
        }
    }

    fn happened(from: i64, to: i64) -> Happened<'static> {
        Happened {
            host: "0123456789abcdef0123456789abcdef",
            host_name: "web-1",
            probe: "packages",
            subject: "openssl:amd64",
            value: Some("3.0.15-1"),
            between: Interval { from: at(from), to: at(to) },
            controlled: true,
        }
    }

    fn reason(happened: &Happened<'_>, records: &[ChangeRecord]) -> Reason {
        reconcile(happened, records, at(1000)).reason
    }

    #[test]
    fn without_a_record_a_controlled_drift_is_unauthorised() {
        assert_eq!(reason(&happened(20, 25), &[]), Reason::NoRecord);
    }

    #[test]
    fn inside_an_approved_window_it_is_authorised_definitely_or_possibly() {
        assert_eq!(reason(&happened(20, 25), &[record()]), Reason::DefinitelyInside);
        assert_eq!(reason(&happened(5, 25), &[record()]), Reason::PossiblyInside);
        assert_eq!(reason(&happened(60, 80), &[record()]), Reason::PossiblyInside);
    }

    #[test]
    fn outside_the_window_the_sentence_says_by_how_much() {
        let judged = reconcile(&happened(110, 115), &[record()], at(1000));
        assert_eq!((judged.verdict, judged.reason), (Verdict::Unauthorised, Reason::OutsideWindow));
        assert!(judged.why.contains("ended 40 min before"), "{}", judged.why);
        assert_eq!(judged.change.as_deref(), Some("CHG-2026-0001"));
    }

    #[test]
    fn another_item_of_the_same_host_is_outside_the_scope() {
        let other = Happened { subject: "curl:amd64", ..happened(20, 25) };
        assert_eq!(reason(&other, &[record()]), Reason::OutsideScope);
        let elsewhere = Happened { host_name: "db-1", ..happened(20, 25) };
        assert_eq!(reason(&elsewhere, &[record()]), Reason::NoRecord);
    }

    #[test]
    fn another_value_than_approved_is_unauthorised() {
        let mut record = record();
        record.scope.items[0].value = Some("3.0.15-1".into());
        assert_eq!(reason(&happened(20, 25), std::slice::from_ref(&record)), Reason::DefinitelyInside);
        let other = Happened { value: Some("9.9"), ..happened(20, 25) };
        assert_eq!(reason(&other, std::slice::from_ref(&record)), Reason::OtherValue);
        let gone = Happened { value: None, ..happened(20, 25) };
        assert_eq!(reason(&gone, &[record]), Reason::OtherValue);
    }

    #[test]
    fn an_approval_by_the_requester_counts_for_nothing_however_it_got_there() {
        let mut record = record();
        record.approvals = vec![Approval { by: person("rhea"), at: at(5) }];
        assert_eq!(reason(&happened(20, 25), &[record]), Reason::SelfApproved);
    }

    #[test]
    fn a_major_change_needs_two_different_approvers() {
        let mut record = ChangeRecord { class: Class::Major, ..record() };
        record.approvals.push(Approval { by: person("ava"), at: at(6) });
        assert_eq!(reason(&happened(20, 25), std::slice::from_ref(&record)), Reason::NotApproved);
        record.approvals.push(Approval { by: person("otto"), at: at(7) });
        assert_eq!(reason(&happened(20, 25), &[record]), Reason::DefinitelyInside);
    }

    #[test]
    fn approved_only_afterwards_stays_unauthorised_and_is_closed() {
        let mut record = record();
        record.approvals[0].at = at(30);
        let found = reason(&happened(20, 25), &[record]);
        assert_eq!(found, Reason::ApprovedAfterwards);
        assert_eq!((found.verdict(), found.is_open()), (Verdict::Unauthorised, false));
    }

    #[test]
    fn an_emergency_waits_a_day_for_its_approval() {
        let mut record = ChangeRecord { class: Class::Emergency, approvals: Vec::new(), ..record() };
        let judged = reconcile(&happened(20, 25), std::slice::from_ref(&record), at(60));
        assert_eq!(judged.verdict, Verdict::AwaitingApproval);
        let judged = reconcile(&happened(20, 25), std::slice::from_ref(&record), at(25 + 24 * 60 + 1));
        assert_eq!(judged.reason, Reason::EmergencyOverdue);
        record.approvals.push(Approval { by: person("ava"), at: at(100) });
        assert_eq!(reason(&happened(20, 25), &[record]), Reason::DefinitelyInside);
    }

    #[test]
    fn where_change_control_asks_for_nothing_it_is_uncontrolled_unless_a_record_covers_it() {
        let free = Happened { controlled: false, ..happened(20, 25) };
        assert_eq!(reason(&free, &[]), Reason::NotControlled);
        assert_eq!(reason(&free, &[record()]), Reason::DefinitelyInside);
        let late = Happened { controlled: false, ..happened(110, 115) };
        assert_eq!(reason(&late, &[record()]), Reason::NotControlled);
    }

    #[test]
    fn of_several_records_the_one_that_covers_decides() {
        let lapsed =
            ChangeRecord { id: "CHG-2026-0002".into(), window: Interval { from: at(1), to: at(2) }, ..record() };
        let judged = reconcile(&happened(20, 25), &[lapsed.clone(), record(), lapsed], at(1000));
        assert_eq!(judged.change.as_deref(), Some("CHG-2026-0001"));
    }
}
