//! A rule about scheduled jobs against what was seen.

use super::{Expect, Item, Job, Scheduled};
use crate::change::Pattern;
use crate::facts::Observed;
use crate::finding::{Judgement, Status};
use crate::probe::Probe as _;

pub(super) fn judge(expect: &Expect, items: &Observed<Item>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    if let Some(allowed) = &expect.only {
        let strangers = jobs(items).filter(|(subject, job)| job.ignored.is_none() && !is_named(allowed, subject));
        judgements.extend(closed(strangers, items, "only what the baseline lists", "every job is listed"));
    }
    for wanted in expect.present.iter().flatten() {
        judgements.push(present(wanted, items));
    }
    if let Some(unwanted) = &expect.absent {
        let found = jobs(items).filter(|(subject, _)| is_named(unwanted, subject));
        judgements.extend(closed(found, items, "no such job", "none is there"));
    }
    if let Some(users) = &expect.users {
        let strangers =
            jobs(items).filter(|(_, job)| job.ignored.is_none() && !users.iter().any(|user| user.matches(&job.user)));
        judgements.extend(closed(strangers, items, "only jobs of users the baseline lists", "no other user has a job"));
    }
    if expect.files.is_some() {
        judgements.extend(files(items));
    }
    judgements
}

fn jobs(items: &Observed<Item>) -> impl Iterator<Item = (&String, &Job)> {
    items.seen.iter().filter_map(|(subject, item)| match item {
        Item::Job(job) => Some((subject, job)),
        Item::Environment { .. } | Item::File { .. } | Item::Access { .. } => None,
    })
}

/// By the whole subject, or without the digest a crontab's line ends in.
fn is_named(patterns: &[Pattern], subject: &str) -> bool {
    let plain = subject.split_once('#').map_or(subject, |(plain, _)| plain);
    patterns.iter().any(|pattern| pattern.matches(subject) || pattern.matches(plain))
}

fn present(wanted: &Pattern, items: &Observed<Item>) -> Judgement {
    let expected = "there and would run";
    let named: Vec<_> = jobs(items).filter(|(subject, _)| is_named(std::slice::from_ref(wanted), subject)).collect();
    if let Some((subject, job)) = named.iter().find(|(_, job)| job.ignored.is_none()) {
        return Judgement::new(Status::Pass, *subject, expected, say(job));
    }
    match (items.gaps.values().next(), named.first()) {
        (Some(gap), None) => Judgement::unseen(gap, wanted.as_str(), expected),
        (_, Some((subject, job))) => Judgement::new(Status::Deviation, *subject, expected, say(job)),
        (None, None) => Judgement::new(Status::Deviation, wanted.as_str(), expected, "not there"),
    }
}

fn say(job: &Job) -> String {
    Scheduled::say(&Item::Job(job.clone()))
}

fn closed<'a>(
    strangers: impl Iterator<Item = (&'a String, &'a Job)>,
    items: &Observed<Item>,
    expected: &str,
    all_well: &str,
) -> Vec<Judgement> {
    let mut judgements: Vec<Judgement> =
        strangers.map(|(subject, job)| Judgement::new(Status::Deviation, subject, expected, say(job))).collect();
    judgements.extend(rest(judgements.is_empty(), items, expected, all_well));
    judgements
}

fn files(items: &Observed<Item>) -> Vec<Judgement> {
    let expected = "only root can write it";
    let unsafe_files = items.seen.iter().filter(|(_, item)| matches!(item, Item::File { .. }));
    let mut judgements: Vec<Judgement> = unsafe_files
        .map(|(subject, item)| Judgement::new(Status::Deviation, subject, expected, Scheduled::say(item)))
        .collect();
    judgements.extend(rest(judgements.is_empty(), items, expected, "only root can write what runs as root"));
    judgements
}

/// What could not be seen; else a pass where nothing deviates.
fn rest(clean: bool, items: &Observed<Item>, expected: &str, all_well: &str) -> Vec<Judgement> {
    if !items.gaps.is_empty() {
        let subject = |prefix: &str| if prefix.is_empty() { "scheduled".to_owned() } else { prefix.to_owned() };
        return items.gaps.iter().map(|(prefix, gap)| Judgement::unseen(gap, subject(prefix), expected)).collect();
    }
    if clean { vec![Judgement::new(Status::Pass, "scheduled", expected, all_well)] } else { Vec::new() }
}
