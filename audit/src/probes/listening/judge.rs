//! Listening sockets against a baseline, and against what the firewall lets through.

use std::net::IpAddr;

use crate::facts::Facts;
use crate::finding::{Judgement, Status};

use super::super::firewall::{self, Reach};
use super::expect::{Expect, Reachable, Which, matches};
use super::{Item, State};

type Seen = Facts<Item, State>;
type Firewall = Facts<firewall::Item, firewall::State>;

pub(super) fn judge(expect: &Expect, facts: &Seen, firewall: Option<&Firewall>) -> Vec<Judgement> {
    if let Some(gap) = facts.items.whole_gap() {
        return vec![Judgement::unseen(gap, "sockets", "listening as the baseline says")];
    }
    let mut judgements = Vec::new();
    if let Some(only) = &expect.only {
        judgements.extend(closed_world(only, facts));
    }
    if let Some(allowed) = &expect.ephemeral {
        judgements.extend(ephemeral(allowed, facts));
    }
    for which in &expect.forbidden {
        judgements.extend(none(which, facts, &format!("{}: nobody listens", which.say()), |_| true));
    }
    for which in &expect.on_loopback {
        judgements
            .extend(none(which, facts, &format!("{}: on loopback alone", which.say()), |place| place != "loopback"));
    }
    for reachable in &expect.reachable {
        judgements.extend(reach(reachable, facts, firewall));
    }
    judgements
}

/// `tcp:22/any` as its parts.
fn parts(subject: &str) -> Option<(&str, u16, &str)> {
    let (protocol, rest) = subject.split_once(':')?;
    let (port, place) = rest.split_once('/')?;
    Some((protocol, port.parse().ok()?, place))
}

fn say(place: &str, item: &Item) -> String {
    format!("listens on {place} ({}), held by {}", item.families.join(", "), item.owners.join(", "))
}

fn closed_world(only: &[Which], facts: &Seen) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    let mut count = 0;
    for (subject, item) in &facts.items.seen {
        let Some((protocol, port, place)) = parts(subject) else { continue };
        if place == "loopback" {
            continue;
        }
        count += 1;
        let named: Vec<&Which> = only.iter().filter(|which| which.names(protocol, port)).collect();
        if named.iter().any(|which| which.allows(&item.owners)) {
            continue;
        }
        let expected = match named.as_slice() {
            [] => "not listening: not among the allowed".to_owned(),
            some => some.iter().map(|which| which.say()).collect::<Vec<_>>().join("; "),
        };
        // Whoever is unknown may be the one that is allowed.
        let unknown = !named.is_empty() && item.owners.iter().any(|owner| owner == "unknown");
        let status = if unknown { Status::Unknown } else { Status::Deviation };
        judgements.push(Judgement::new(status, subject, expected, say(place, item)));
    }
    if judgements.is_empty() {
        let observed = format!("{count} listen beyond loopback, each allowed");
        judgements.push(Judgement::new(Status::Pass, "sockets", "these and no others", observed));
    }
    judgements
}

fn ephemeral(allowed: &[String], facts: &Seen) -> Vec<Judgement> {
    let expected =
        format!("held by {} alone", if allowed.is_empty() { "nobody".to_owned() } else { allowed.join(", ") });
    let mut judgements = Vec::new();
    for (subject, state) in &facts.state.seen {
        let State::Ephemeral(owners) = state else { continue };
        if subject.ends_with("/loopback") {
            continue;
        }
        let others: Vec<&str> = owners.iter().filter(|owner| !matches(allowed, owner)).map(String::as_str).collect();
        if !others.is_empty() {
            let status = if others == ["unknown"] { Status::Unknown } else { Status::Deviation };
            judgements.push(Judgement::new(
                status,
                subject,
                expected.clone(),
                format!("held by {}", others.join(", ")),
            ));
        }
    }
    if judgements.is_empty() {
        judgements.push(Judgement::new(Status::Pass, "ephemeral", expected, "no others"));
    }
    judgements
}

fn none(which: &Which, facts: &Seen, expected: &str, bad: impl Fn(&str) -> bool) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for (subject, item) in &facts.items.seen {
        let Some((protocol, port, place)) = parts(subject) else { continue };
        if which.names(protocol, port) && bad(place) {
            judgements.push(Judgement::new(Status::Deviation, subject, expected, say(place, item)));
        }
    }
    if judgements.is_empty() {
        judgements.push(Judgement::new(Status::Pass, which.say(), expected, "as it should be"));
    }
    judgements
}

fn reach(asked: &Reachable, facts: &Seen, firewall: Option<&Firewall>) -> Vec<Judgement> {
    let expected = format!("reached from {} alone", asked.from.list().join(", "));
    let mut judgements = Vec::new();
    let mut none = true;
    for (subject, item) in &facts.items.seen {
        let Some((protocol, port, place)) = parts(subject) else { continue };
        if asked.protocol.name() != protocol || !asked.port.contains(port) {
            continue;
        }
        none = false;
        if place == "loopback" {
            judgements.push(Judgement::new(Status::Pass, subject, expected.clone(), "listens on loopback alone"));
            continue;
        }
        let Some(firewall) = firewall else {
            judgements.push(Judgement::new(
                Status::Unknown,
                subject,
                expected.clone(),
                "the firewall was not looked at",
            ));
            continue;
        };
        let addresses: Vec<IpAddr> = match facts.state.seen.get(&format!("addresses:{subject}")) {
            Some(State::Addresses(list)) => list.iter().filter_map(|text| text.parse().ok()).collect(),
            Some(State::Ephemeral(_)) | None => Vec::new(),
        };
        let families: Vec<&str> = item.families.iter().map(String::as_str).collect();
        let (status, observed) =
            match firewall::reach(firewall, protocol, port, &families, &addresses, asked.from.list()) {
                Reach::Unseen(gap) => {
                    judgements.push(Judgement::unseen(&gap, subject, expected.clone()));
                    continue;
                }
                Reach::Nobody => (Status::Pass, "the firewall lets nobody else through".to_owned()),
                Reach::Perhaps(by) => (Status::Unknown, format!("perhaps {}", by.join("; "))),
                Reach::Others(by) => (Status::Deviation, format!("let through: {}", by.join("; "))),
            };
        judgements.push(Judgement::new(status, subject, expected.clone(), observed));
    }
    if none {
        let subject = format!("{} {}", asked.protocol.name(), asked.port.list().join(","));
        judgements.push(Judgement::new(Status::Pass, subject, expected, "nobody listens there"));
    }
    judgements
}
