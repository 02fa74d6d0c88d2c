//! A rule about containers against what was seen.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

use super::{Container, Containers, Expect};
use crate::change::Pattern;
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::probe::Probe as _;

type Seen = Facts<Container, String>;

pub(super) fn judge(expect: &Expect, facts: &Seen, now: DateTime<Utc>) -> Vec<Judgement> {
    let mut told = Vec::new();
    if expect.none.is_some() {
        let strangers = containers(facts).map(|(subject, item)| (subject.clone(), Containers::say(item)));
        told.extend(closed("no container", strangers.collect(), &facts.items, true));
    }
    let any = containers(facts).next().is_some();
    if let Some(allowed) = &expect.privileged {
        let mighty = containers(facts).filter(|(subject, item)| item.is_mighty() && !listed(allowed, subject));
        let strangers = mighty.map(|(subject, item)| (subject.clone(), Containers::say(item))).collect();
        told.extend(closed("without root's power over the host", strangers, &facts.items, any));
    }
    if let Some(allowed) = &expect.host_mounts {
        let mounts = containers(facts).flat_map(|(subject, item)| item.binds.iter().map(move |bind| (subject, bind)));
        let strangers = mounts.filter(|(subject, bind)| {
            let path = bind.strip_suffix(":ro").unwrap_or(bind);
            !listed(allowed, &format!("{subject}:{path}"))
        });
        let strangers =
            strangers.map(|(subject, bind)| (subject.clone(), format!("mounts {bind} of the host"))).collect();
        told.extend(closed(
            "nothing of the host mounted that the baseline does not list",
            strangers,
            &facts.items,
            any,
        ));
    }
    if let Some(allowed) = &expect.host_namespaces {
        let sharing = containers(facts).filter(|(subject, item)| !item.host.is_empty() && !listed(allowed, subject));
        let strangers = sharing.map(|(subject, item)| (subject.clone(), Containers::say(item))).collect();
        told.extend(closed("in namespaces of its own", strangers, &facts.items, any));
    }
    if let Some(allowed) = &expect.images {
        let foreign = containers(facts).filter(|(_, item)| !item.image.is_empty() && !listed(allowed, &item.image));
        let strangers = foreign.map(|(subject, item)| (subject.clone(), item.image.clone())).collect();
        told.extend(closed("an image that the baseline lists", strangers, &facts.items, any));
    }
    if let Some(oldest) = expect.image_age {
        told.extend(ages(oldest.milliseconds() / 86_400_000, facts, now));
    }
    told
}

/// The daemon's settings are no container.
fn containers(facts: &Seen) -> impl Iterator<Item = (&String, &Container)> {
    facts.items.seen.iter().filter(|(subject, _)| *subject != "docker-daemon")
}

fn listed(allowed: &[Pattern], name: &str) -> bool {
    allowed.iter().any(|pattern| pattern.matches(name))
}

/// A deviation for each stranger, what could not be seen, else a pass; where there is nothing to judge it does not apply.
fn closed<T>(expected: &str, strangers: Vec<(String, String)>, seen: &Observed<T>, applies: bool) -> Vec<Judgement> {
    let clean = strangers.is_empty();
    let mut told: Vec<Judgement> = strangers
        .into_iter()
        .map(|(subject, observed)| Judgement::new(Status::Deviation, subject, expected, observed))
        .collect();
    for (prefix, gap) in &seen.gaps {
        let subject = if prefix.is_empty() { "containers" } else { prefix };
        told.push(Judgement::unseen(gap, subject, expected));
    }
    if clean && seen.gaps.is_empty() {
        told.push(match applies {
            true => Judgement::new(Status::Pass, "containers", expected, "no other"),
            false => Judgement::new(Status::NotApplicable, "containers", expected, "there are no containers"),
        });
    }
    told
}

fn ages(most: u64, facts: &Seen, now: DateTime<Utc>) -> Vec<Judgement> {
    let expected = format!("made at most {most} days ago");
    let today = now.date_naive();
    let mut told = Vec::new();
    for (subject, made) in facts.state.seen.iter().filter(|(subject, _)| subject.contains(":image:")) {
        let Ok(day) = NaiveDate::parse_from_str(made, "%Y-%m-%d") else { continue };
        // What a builder writes that keeps no date, so that equal content is an equal image.
        if day.year() <= 1980 {
            told.push(Judgement::new(Status::Unknown, subject, &expected, format!("made without a date ({made})")));
            continue;
        }
        let days = today.signed_duration_since(day).num_days();
        let young = u64::try_from(days).map_or(true, |days| days <= most);
        told.push(Judgement::when(young, subject, &expected, format!("made on {made}, {days} days ago")));
    }
    let hidden = facts.state.gaps.iter().filter(|(prefix, _)| !prefix.contains(":container:"));
    told.extend(hidden.map(|(prefix, gap)| Judgement::unseen(gap, prefix, &expected)));
    if told.is_empty() {
        told.push(Judgement::new(Status::NotApplicable, "images", expected, "there are no images"));
    }
    told
}
