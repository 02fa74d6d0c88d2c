//! Change records: the list, and one record with its scope, window, people and what it covered.

use askama::Template;
use audit::change::{ChangeRecord, Class, EMERGENCY_DEADLINE};
use chrono::{DateTime, Utc};

use super::command;
use super::frame::{Frame, List, Tone};
use super::moment::{Between, Moment};
use super::rows::DriftRow;

/// Where a record stands, at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Still lacks an approval, and its window is not over.
    Waiting,
    /// Was never approved, and its window is over.
    Lapsed,
    /// Approved; its window has not begun.
    Ahead,
    /// Approved; its window is open.
    Open,
    /// Approved; its window is over.
    Over,
}

impl Stage {
    /// Where `record` stands at `now`.
    pub fn of(record: &ChangeRecord, now: DateTime<Utc>) -> Self {
        match record.approved_at() {
            None if now > latest_approval(record) => Self::Lapsed,
            None => Self::Waiting,
            Some(_) if now > record.window.to => Self::Over,
            Some(_) if now < record.window.from => Self::Ahead,
            Some(_) => Self::Open,
        }
    }

    /// In words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting for approval",
            Self::Lapsed => "not approved in time",
            Self::Ahead => "approved, not yet open",
            Self::Open => "approved, open now",
            Self::Over => "approved, over",
        }
    }

    /// How its sign looks.
    pub fn tone(&self) -> Tone {
        match self {
            Self::Waiting => Tone::Warn,
            Self::Open => Tone::Good,
            Self::Lapsed | Self::Ahead | Self::Over => Tone::Plain,
        }
    }
}

/// Until when an approval still makes sense: an emergency may go first.
fn latest_approval(record: &ChangeRecord) -> DateTime<Utc> {
    match record.class {
        Class::Emergency => record.window.to + EMERGENCY_DEADLINE,
        Class::Standard | Class::Minor | Class::Major => record.window.to,
    }
}

/// A record in the list.
#[derive(Debug, Clone)]
pub struct ChangeRow {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its class.
    pub class: Class,
    /// Who asked.
    pub requester: String,
    /// Where it stands.
    pub stage: Stage,
    /// When it may be done.
    pub window: Between,
}

impl ChangeRow {
    /// `record` as seen at `now`.
    pub fn new(record: &ChangeRecord, now: DateTime<Utc>) -> Self {
        Self {
            id: record.id.clone(),
            title: record.title.clone(),
            class: record.class,
            requester: record.requester.to_string(),
            stage: Stage::of(record, now),
            window: Between::new(record.window, now),
        }
    }
}

/// The list.
#[derive(Template)]
#[template(path = "changes.html")]
pub struct Changes {
    /// What stands around it.
    pub frame: Frame,
    /// The records, newest first.
    pub changes: List<ChangeRow>,
    /// Where older ones are.
    pub older: Option<String>,
}

/// One record.
#[derive(Template)]
#[template(path = "change.html")]
pub struct ChangePage {
    /// What stands around it.
    pub frame: Frame,
    /// The record.
    pub record: ChangeRecord,
    /// Where it stands.
    pub stage: Stage,
    /// When it may be done.
    pub window: Between,
    /// When it was asked for.
    pub created: Moment,
    /// Who approved, and when.
    pub approvals: Vec<(String, Moment)>,
    /// What it decided, newest first.
    pub drifts: List<DriftRow>,
}

impl ChangePage {
    /// `record` with what it decided, as seen at `now`.
    pub fn new(frame: Frame, record: ChangeRecord, drifts: List<DriftRow>, now: DateTime<Utc>) -> Self {
        Self {
            stage: Stage::of(&record, now),
            window: Between::new(record.window, now),
            created: Moment::new(record.created, now),
            approvals: record.approvals.iter().map(|by| (by.by.to_string(), Moment::new(by.at, now))).collect(),
            frame,
            record,
            drifts,
        }
    }

    fn approve(&self) -> String {
        command::change_approve(&self.record.id)
    }

    fn lacks_approval(&self) -> bool {
        self.record.approved_at().is_none()
    }

    fn needed(&self) -> usize {
        self.record.class.approvers_needed()
    }

    fn implementers(&self) -> String {
        let names: Vec<String> = self.record.implementers.iter().map(ToString::to_string).collect();
        if names.is_empty() { "whoever".into() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Place;
    use super::super::frame::testing::{at, frame};
    use super::super::rows::testing::{nasty_row, row};
    use super::super::text::nasty;
    use super::*;
    use audit::change::{Approval, ItemScope, Person, Scope};
    use audit::drift::Interval;

    fn record() -> ChangeRecord {
        ChangeRecord {
            id: "CHG-2027-0001".into(),
            title: "patch openssl".into(),
            class: Class::Minor,
            requester: Person("rhea".into()),
            implementers: Vec::new(),
            approvals: vec![Approval { by: Person("ava".into()), at: at(5) }],
            scope: Scope {
                hosts: vec!["web-*".parse().unwrap()],
                items: vec![ItemScope { item: "packages/openssl:*".parse().unwrap(), value: Some("3.0.15-1".into()) }],
            },
            window: Interval { from: at(10), to: at(70) },
            reason: "security update".into(),
            created: at(0),
        }
    }

    #[test]
    fn a_record_stands_where_its_approval_and_its_window_put_it() {
        let unapproved = ChangeRecord { approvals: Vec::new(), ..record() };
        let emergency = ChangeRecord { class: Class::Emergency, ..unapproved.clone() };
        let stages = [
            (Stage::of(&emergency, at(71)), Stage::Waiting),
            (Stage::of(&emergency, at(71 + 24 * 60)), Stage::Lapsed),
            (Stage::of(&record(), at(6)), Stage::Ahead),
            (Stage::of(&record(), at(20)), Stage::Open),
            (Stage::of(&record(), at(71)), Stage::Over),
            (Stage::of(&unapproved, at(20)), Stage::Waiting),
            (Stage::of(&unapproved, at(71)), Stage::Lapsed),
        ];
        for (found, expected) in stages {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_record_shows_scope_window_people_and_what_it_covered() {
        let drifts = List::new(vec![row()], 1, None);
        let html = ChangePage::new(frame(Place::Changes), record(), drifts, at(90)).render().unwrap();
        for part in
            ["CHG-2027-0001", "patch openssl", "rhea", "ava", "web-*", "packages/openssl:*", "3.0.15-1", "web-1"]
        {
            assert!(html.contains(part), "{part} is missing:\n{html}");
        }
        assert!(!html.contains("change approve"), "an approved record needs no approval:\n{html}");
    }

    #[test]
    fn an_unapproved_record_says_how_it_is_approved_and_by_whom_not() {
        let waiting = ChangeRecord { approvals: Vec::new(), ..record() };
        let html =
            ChangePage::new(frame(Place::Changes), waiting, List::new(Vec::new(), 0, None), at(20)).render().unwrap();
        assert!(html.contains("plumbline-collector change approve CHG-2027-0001"), "{html}");
        assert!(html.contains("not rhea"), "{html}");
    }

    #[test]
    fn hostile_text_is_harmless_in_list_and_page() {
        let text = nasty::all();
        let hostile = ChangeRecord { title: text.clone(), reason: text, ..record() };
        let row = ChangeRow::new(&hostile, at(20));
        let list = Changes { frame: frame(Place::Changes), changes: List::new(vec![row], 1, None), older: None };
        nasty::assert_harmless(&list.render().unwrap());
        let page = ChangePage::new(frame(Place::Changes), hostile, List::new(vec![nasty_row()], 1, None), at(20));
        nasty::assert_harmless(&page.render().unwrap());
    }
}
