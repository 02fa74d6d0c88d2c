//! The loaded ruleset against a baseline: is the default to deny, and is nothing open but what is listed?

use chrono::{Days, NaiveDate};

use crate::duration::Length;
use crate::facts::Facts;
use crate::finding::{Judgement, Status};

use super::boot;
use super::describe;
use super::expect::{Allowed, Expect, Hook};
use super::names::Names;
use super::space::{Family, Ranges, Region, subtract};
use super::{Item, Opening, State};

type Seen = Facts<Item, State>;

pub(super) fn judge(expect: &Expect, facts: &Seen, today: NaiveDate) -> Vec<Judgement> {
    let mut judgements: Vec<Judgement> = expect
        .deny_by_default
        .iter()
        .flat_map(|hook| Family::BOTH.map(|family| denies(*hook, family, facts)))
        .collect();
    if let Some(allowed) = &expect.openings {
        judgements.extend(openings(allowed, facts, today));
        if let Some(warn) = expect.warn {
            judgements.extend(ending(allowed, facts, today, warn));
        }
    }
    if expect.after_reboot {
        judgements.extend(boot::judge(facts));
    }
    judgements
}

fn denies(hook: Hook, family: Family, facts: &Seen) -> Judgement {
    let subject = default_subject(hook, family);
    let expected = "dropped unless a rule accepts it";
    if let Some(gap) = facts.state.gap_for(&subject) {
        return Judgement::unseen(gap, subject, expected);
    }
    let Some(State::Default { denied_by, perhaps_denied_by, chains, open_by }) = facts.state.seen.get(&subject) else {
        return Judgement::new(Status::Unknown, subject, expected, "no answer about this hook");
    };
    if !denied_by.is_empty() && open_by.is_none() {
        return Judgement::new(Status::Pass, subject, expected, denied_by.join(", "));
    }
    let observed = match (open_by, chains.as_slice()) {
        (Some(rule), _) => format!("everything is accepted by {rule}"),
        (None, []) => "accepted: nothing is filtered, no nftables chain looks at these packets".to_owned(),
        (None, chains) => format!("accepted unless a rule drops it: {}", chains.join(", ")),
    };
    if let Some(why) = elsewhere(facts) {
        return Judgement::new(Status::Unknown, subject, expected, format!("{observed}; {why}"));
    }
    if !perhaps_denied_by.is_empty() {
        let why = format!("{}, if its table is not dormant, which nft does not say", perhaps_denied_by.join(", "));
        return Judgement::new(Status::Unknown, subject, expected, why);
    }
    Judgement::new(Status::Deviation, subject, expected, observed)
}

fn openings(allowed: &[Allowed], facts: &Seen, today: NaiveDate) -> Vec<Judgement> {
    const NO_OTHERS: &str = "these openings and no others";
    if let Some(gap) = facts.state.gap_for("opening:") {
        return vec![Judgement::unseen(gap, "openings", NO_OTHERS)];
    }
    let mut count = 0;
    let mut judgements = Vec::new();
    for (subject, state) in &facts.state.seen {
        let State::Opening(opening) = state else { continue };
        count += 1;
        judgements.extend(judge_opening(subject, opening, allowed, facts, today));
    }
    if judgements.is_empty() {
        let observed = format!("{count} found, each allowed, of loopback or of ICMP");
        judgements.push(Judgement::new(Status::Pass, "openings", NO_OTHERS, observed));
    }
    judgements
}

/// Allowed openings that are in use and end soon.
fn ending(allowed: &[Allowed], facts: &Seen, today: NaiveDate, warn: Length) -> Vec<Judgement> {
    let days = warn.milliseconds() / 86_400_000;
    let soon = today.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX);
    let opens = |one: &Allowed, opening: &Opening| {
        opening.families().into_iter().any(|family| match (opening.region(family), one.region(family)) {
            (Some(region), Some(permitted)) => region.and(&permitted).is_some(),
            _ => false,
        })
    };
    let in_use = |one: &&Allowed| {
        facts.state.seen.values().any(|state| matches!(state, State::Opening(opening) if opens(one, opening)))
    };
    let due = allowed.iter().filter(|one| (today..=soon).contains(&one.until)).filter(in_use);
    due.map(|one| {
        let expected = format!("allowed for more than {days} days yet");
        let observed = format!("allowed until {}, owner {}: {}", one.until, one.owner, one.reason);
        Judgement::new(Status::Deviation, format!("ends:{}", one.say()), expected, observed)
    })
    .collect()
}

/// `None` where all of the opening is allowed.
fn judge_opening(
    subject: &str,
    opening: &Opening,
    allowed: &[Allowed],
    facts: &Seen,
    today: NaiveDate,
) -> Option<Judgement> {
    let mut left_over = false;
    let mut part_of: Vec<&Allowed> = Vec::new();
    let mut expired: Vec<&Allowed> = Vec::new();
    for family in opening.families() {
        let Some(region) = opening.region(family) else {
            let said = "an opening this program cannot read back";
            return Some(Judgement::new(Status::Unknown, subject, "closed, or listed", said));
        };
        let mut rest = vec![region];
        for harmless in harmless(family) {
            rest = subtract(&rest, &harmless, family);
        }
        for one in allowed {
            let Some(permitted) = one.region(family) else { continue };
            let meets = rest.iter().any(|region| region.and(&permitted).is_some());
            if !meets {
                continue;
            }
            if one.until < today {
                expired.push(one);
            } else {
                part_of.push(one);
                rest = subtract(&rest, &permitted, family);
            }
        }
        left_over |= !rest.is_empty();
    }
    if !left_over {
        return None;
    }
    let named = |list: &[&Allowed]| {
        let mut said: Vec<String> = list.iter().map(|one| one.say()).collect();
        said.dedup();
        said.join("; ")
    };
    let (expected, mut observed) = match (part_of.as_slice(), expired.as_slice()) {
        ([], []) => ("closed: not among the allowed openings".to_owned(), opening.say()),
        ([], gone) => {
            let ends: Vec<String> = gone
                .iter()
                .map(|one| format!("{} was allowed until {}, owner {}", one.say(), one.until, one.owner))
                .collect();
            (format!("closed: {}", ends.join("; ")), opening.say())
        }
        (part, _) => (named(part), format!("wider than that: {}", opening.say())),
    };
    let mut status = Status::Deviation;
    if !opening.unclear.is_empty() {
        status = Status::Unknown;
        observed.push_str(&format!("; not understood: {}", opening.unclear.join("; ")));
    } else if let Some(why) = elsewhere(facts) {
        status = Status::Unknown;
        observed.push_str(&format!("; {why}"));
    }
    Some(Judgement::new(status, subject, expected, observed))
}

/// What opens nothing to anybody outside: the host's own loopback, and ICMP, without which neither IP works
/// (RFC 4890, RFC 1191).
fn harmless(family: Family) -> [Region; 2] {
    // Rules for both families often name both; neither reaches a service over the other's IP.
    let icmp = Ranges::of([(1, 1), (58, 58)]);
    let loopback = Names::only(["lo".to_owned()]);
    [Region { interface: loopback, ..Region::all(family) }, Region { protocol: icmp, ..Region::all(family) }]
}

/// Why something else than nftables may be filtering: legacy iptables has hooks of its own, which can only close more.
pub(super) fn elsewhere(facts: &Seen) -> Option<String> {
    facts.items.gaps.iter().find(|(prefix, _)| prefix.starts_with("legacy:")).map(|(_, gap)| gap.to_string())
}

/// `default:input/ip6`.
pub(super) fn default_subject(hook: Hook, family: Family) -> String {
    format!("default:{}/{}", hook.name(), family.name())
}

impl Opening {
    fn families(&self) -> Vec<Family> {
        Family::BOTH.into_iter().filter(|family| self.family == "any" || self.family == family.name()).collect()
    }

    pub(super) fn region(&self, family: Family) -> Option<Region> {
        describe::region(family, &self.protocol, &self.port, &self.from, &self.at, &self.interface)
    }

    /// `tcp 22 from 10.0.0.0/8 on eth0, by inet/filter/input: tcp dport 22 accept`.
    pub(super) fn say(&self) -> String {
        let list = |words: &[String]| super::short(&words.join(","));
        let mut said = match (list(&self.protocol).as_str(), list(&self.port).as_str()) {
            ("any", "any") => "everything".to_owned(),
            (protocol, "any") => format!("{protocol}, any port,"),
            (protocol, port) => format!("{protocol} {port}"),
        };
        let family = if self.family == "any" { String::new() } else { format!(" ({})", self.family) };
        said.push_str(&format!(" from {}{family}", list(&self.from)));
        if self.at != ["any"] {
            said.push_str(&format!(" at {}", list(&self.at)));
        }
        if let Some(to) = &self.to {
            said.push_str(&format!(", which leads to {to},"));
        }
        if self.interface != ["any"] {
            said.push_str(&format!(" on {}", list(&self.interface)));
        }
        if !self.given.is_empty() {
            said.push_str(&format!(", given {}", self.given.join("; ")));
        }
        if !self.by.is_empty() {
            said.push_str(&format!(", by {}", self.by.join(" and ")));
        }
        said
    }
}
