//! Where a report stands in its host's chain: a pure decision over the reports that are next to it.
//!
//! Order of arrival does not matter: whichever of two neighbours comes second, the link between them is checked then.
//! Whether a missing number was dropped is not decided here, for any later report may say so: see
//! [`crate::store::dropped`].

use audit::digest::Digest;
use audit::report::{Dropped, Report};

use crate::store::chain::Kind;
use crate::store::reports::Stored;

/// The reports already here that bear the number itself, the one before, and the one after.
#[derive(Debug, Default)]
pub struct Neighbours {
    /// Others of the same number.
    pub twins: Vec<Stored>,
    /// Of the number before.
    pub parents: Vec<Stored>,
    /// Of the number after.
    pub children: Vec<Stored>,
}

/// What a report means for its chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// It is on a second branch of its host's history.
    pub forked: bool,
    /// What to note.
    pub findings: Vec<Noted>,
    /// The number before it, where no report bears it: a gap, unless the host says that one was dropped.
    pub lacks: Option<u64>,
    /// The numbers of gaps it closes.
    pub closes: Option<u64>,
}

/// A finding to note.
#[derive(Debug, PartialEq, Eq)]
pub struct Noted {
    /// What.
    pub kind: Kind,
    /// Notes of one key are one.
    pub key: String,
    /// In words.
    pub detail: String,
}

/// Links the report `id` to its neighbours.
pub fn link(id: Digest, report: &Report, near: &Neighbours) -> Link {
    let sequence = report.sequence;
    let mut link = Link::default();
    let mut note = |kind, key: u64, detail: String| {
        let key = if kind == Kind::Fork { id.to_string() } else { key.to_string() };
        link.findings.push(Noted { kind, key, detail });
    };
    if let Some(first) = near.twins.first() {
        link.forked = true;
        note(
            Kind::Fork,
            sequence,
            format!("two reports bear number {sequence}: {} and {}", first.id.short(), id.short()),
        );
    }
    match (sequence, report.previous) {
        (1, None) => {}
        (1, Some(_)) => note(Kind::Rewritten, sequence, "the first report names one before it".into()),
        (_, None) => note(Kind::Rewritten, sequence, format!("report {sequence} names none before it")),
        (_, Some(previous)) => match near.parents.iter().find(|parent| parent.id == previous) {
            Some(parent) => link.forked |= parent.forked,
            None if !near.parents.is_empty() => note(
                Kind::Rewritten,
                sequence,
                format!("report {sequence} names another report {} than the one it stated", sequence - 1),
            ),
            None => link.lacks = Some(sequence - 1),
        },
    }
    if let Some(child) = near.children.iter().find(|child| !child.forked) {
        if child.previous == Some(id) {
            link.closes = Some(child.sequence);
        } else if !link.forked {
            note(
                Kind::Rewritten,
                child.sequence,
                format!("report {} names another report {sequence} than the one that came", child.sequence),
            );
        }
    }
    link
}

/// What a report says was dropped before it, if that can be: numbers below its own, in order, and some of them.
pub fn dropped(report: &Report) -> Option<&Dropped> {
    let sound =
        |said: &&Dropped| said.from >= 1 && said.from <= said.to && said.to < report.sequence && said.count >= 1;
    report.dropped.as_ref().filter(sound)
}

/// What is to be said of it: of what went for want of room, and of what could not be sent because it was damaged.
pub fn told(said: &Dropped) -> Vec<(Kind, String)> {
    let damaged = said.damaged.min(said.count);
    let unchanged = said.count - damaged;
    let among = format!("between numbers {} and {}", said.from, said.to);
    let mut told = Vec::new();
    if unchanged > 0 {
        told.push((Kind::Dropped, format!("the host dropped {unchanged} unchanged reports, {among}")));
    }
    if damaged > 0 {
        let words = format!(
            "the host says that {damaged} reports, {among}, were damaged in its spool before they could be sent: look at \
             its disk, and at who was on it; what they said is set aside in its spool folder"
        );
        told.push((Kind::Damaged, words));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::report::HostId;
    use chrono::{DateTime, Utc};

    fn host() -> HostId {
        "a".repeat(32).try_into().unwrap()
    }

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn report(sequence: u64, previous: Option<&str>) -> Report {
        let time = DateTime::<Utc>::UNIX_EPOCH;
        let previous = previous.map(digest);
        Report { host: host(), sequence, previous, time, manifest: digest("m"), dropped: None }
    }

    fn stored(id: &str, sequence: u64, previous: Option<&str>) -> Stored {
        let time = DateTime::<Utc>::UNIX_EPOCH;
        Stored {
            id: digest(id),
            host: host(),
            sequence,
            previous: previous.map(digest),
            host_time: time,
            sent: None,
            received: time,
            manifest: digest("m"),
            forked: false,
        }
    }

    fn kinds(link: &Link) -> Vec<Kind> {
        link.findings.iter().map(|noted| noted.kind).collect()
    }

    #[test]
    fn a_report_that_follows_the_one_before_says_nothing() {
        let near = Neighbours { parents: vec![stored("one", 1, None)], ..Neighbours::default() };
        assert_eq!(link(digest("two"), &report(2, Some("one")), &near), Link::default());
        assert_eq!(link(digest("one"), &report(1, None), &Neighbours::default()), Link::default());
    }

    #[test]
    fn two_reports_of_one_number_are_a_fork() {
        let near = Neighbours {
            twins: vec![stored("two", 2, Some("one"))],
            parents: vec![stored("one", 1, None)],
            ..Neighbours::default()
        };
        let found = link(digest("other"), &report(2, Some("one")), &near);
        assert!(found.forked);
        assert_eq!(kinds(&found), [Kind::Fork]);
    }

    #[test]
    fn what_follows_a_branch_is_on_the_branch() {
        let branch = Stored { forked: true, ..stored("other", 2, Some("one")) };
        let near = Neighbours { parents: vec![stored("two", 2, Some("one")), branch], ..Neighbours::default() };
        let found = link(digest("three"), &report(3, Some("other")), &near);
        assert!(found.forked && found.findings.is_empty());
    }

    #[test]
    fn naming_another_predecessor_or_none_is_rewritten_history() {
        let near = Neighbours { parents: vec![stored("one", 1, None)], ..Neighbours::default() };
        assert_eq!(kinds(&link(digest("two"), &report(2, Some("else")), &near)), [Kind::Rewritten]);
        assert_eq!(kinds(&link(digest("two"), &report(2, None), &near)), [Kind::Rewritten]);
        assert_eq!(kinds(&link(digest("one"), &report(1, Some("x")), &Neighbours::default())), [Kind::Rewritten]);
    }

    #[test]
    fn a_missing_number_is_lacking_and_a_host_can_only_have_dropped_what_it_made_before() {
        let mut late = report(9, Some("eight"));
        let found = link(digest("nine"), &late, &Neighbours::default());
        assert_eq!((found.lacks, kinds(&found)), (Some(8), vec![]));
        for (from, to, count, sound) in
            [(5, 8, 4, true), (5, 6, 1, true), (0, 8, 1, false), (6, 5, 1, false), (5, 9, 5, false), (5, 8, 0, false)]
        {
            late.dropped = Some(Dropped { from, to, count, damaged: 0 });
            assert_eq!(dropped(&late).is_some(), sound, "{from} to {to}, {count}");
        }
    }

    #[test]
    fn the_missing_one_that_comes_late_closes_the_gap_only_if_it_is_the_one_named() {
        let near = Neighbours {
            parents: vec![stored("one", 1, None)],
            children: vec![stored("three", 3, Some("two"))],
            ..Neighbours::default()
        };
        assert_eq!(link(digest("two"), &report(2, Some("one")), &near).closes, Some(3));
        let forged = link(digest("forged"), &report(2, Some("one")), &near);
        assert_eq!((forged.closes, kinds(&forged)), (None, vec![Kind::Rewritten]));
    }
}
