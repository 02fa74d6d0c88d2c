//! A rule about services against what was seen.

use super::{Enablement, Expect, Running, Services, Unit, UnitName, names};
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind};
use crate::probe::Probe as _;

/// The kinds that closed rules are about: what runs programs.
const COUNTED: [&str; 4] = ["service", "socket", "timer", "path"];

pub(super) fn judge(expect: &Expect, facts: &Facts<Unit, Running>) -> Vec<Judgement> {
    if let Some(gap) = facts.items.whole_gap().filter(|gap| gap.kind == GapKind::Unsupported) {
        let expected = "services as the rule asks";
        return vec![Judgement::new(Status::NotApplicable, "services", expected, gap.to_string())];
    }
    let mut judgements = Vec::new();
    for wanted in expect.enabled.iter().flatten() {
        judgements.push(enabled(wanted, &facts.items));
    }
    for wanted in expect.running.iter().flatten() {
        judgements.push(running(wanted, facts));
    }
    for unwanted in expect.forbidden.iter().flatten() {
        judgements.extend(forbidden(unwanted, facts));
    }
    for wanted in expect.masked.iter().flatten() {
        judgements.push(masked(wanted, &facts.items));
    }
    if let Some(allowed) = &expect.only {
        judgements.extend(only(allowed, &facts.items));
    }
    if let Some(allowed) = &expect.only_running {
        let counted = |name: &str, state: Running| match state {
            Running::Active | Running::Exited => is_counted(name),
            Running::Failed | Running::Restarting => false,
        };
        judgements.extend(closed(allowed, facts, "active only if the baseline lists it", counted));
    }
    if let Some(allowed) = &expect.failed {
        let counted = |_: &str, state: Running| matches!(state, Running::Failed | Running::Restarting);
        judgements.extend(closed(allowed, facts, "not failed", counted));
    }
    if let Some(allowed) = &expect.overrides {
        judgements.extend(overrides(allowed, &facts.items));
    }
    judgements
}

fn is_counted(subject: &str) -> bool {
    subject.starts_with("sysv:") || names::kind(subject).is_some_and(|kind| COUNTED.contains(&kind))
}

/// The gap that may hide a unit of this name.
fn gap_of<'a, T>(name: &UnitName, seen: &'a Observed<T>) -> Option<&'a Gap> {
    match name.plain() {
        Some(plain) => {
            let script = format!("sysv:{}", plain.trim_end_matches(".service"));
            seen.gap_for(plain).or_else(|| seen.gap_for(&script).filter(|_| !seen.seen.contains_key(plain)))
        }
        None => seen
            .gaps
            .iter()
            .find(|(prefix, _)| prefix.is_empty() || *prefix == "sysv:" || name.matches(prefix))
            .map(|(_, gap)| gap),
    }
}

/// What matches, aliases by the unit they lead to.
fn matching<'a>(name: &UnitName, items: &'a Observed<Unit>) -> Vec<(&'a String, &'a Unit)> {
    let named = items.seen.iter().filter(|(subject, _)| name.matches(subject));
    named
        .map(|(subject, unit)| {
            let real = unit.alias_of.as_ref().and_then(|of| items.seen.get_key_value(of));
            real.unwrap_or((subject, unit))
        })
        .collect()
}

fn enabled(wanted: &UnitName, items: &Observed<Unit>) -> Judgement {
    let expected = "starts with the host";
    let found = matching(wanted, items);
    if let Some((subject, unit)) = found.iter().find(|(_, unit)| unit.starts()) {
        return Judgement::new(Status::Pass, *subject, expected, Services::say(unit));
    }
    if let Some(gap) = gap_of(wanted, items) {
        return Judgement::unseen(gap, wanted.text(), expected);
    }
    let observed = found.first().map_or_else(|| "not installed".to_owned(), |(_, unit)| Services::say(unit));
    Judgement::new(Status::Deviation, wanted.text(), expected, observed)
}

fn running(wanted: &UnitName, facts: &Facts<Unit, Running>) -> Judgement {
    let expected = "active";
    // An alias is no unit of its own to systemd's list.
    let aliased: Vec<&String> = matching(wanted, &facts.items).into_iter().map(|(subject, _)| subject).collect();
    let found = facts.state.seen.iter().filter(|(subject, _)| wanted.matches(subject) || aliased.contains(subject));
    let found: Vec<(&String, &Running)> = found.collect();
    let is_up = |state: &Running| matches!(state, Running::Active | Running::Exited);
    if let Some((subject, state)) = found.iter().find(|(_, state)| is_up(state)) {
        return Judgement::new(Status::Pass, *subject, expected, state.name());
    }
    if let Some(gap) = gap_of(wanted, &facts.state) {
        return Judgement::unseen(gap, wanted.text(), expected);
    }
    let observed = found.first().map_or("not active", |(_, state)| state.name());
    Judgement::new(Status::Deviation, wanted.text(), expected, observed)
}

fn forbidden(unwanted: &UnitName, facts: &Facts<Unit, Running>) -> Vec<Judgement> {
    let expected = "neither starts with the host nor is active";
    let mut judgements = Vec::new();
    for (subject, unit) in matching(unwanted, &facts.items) {
        if unit.starts() {
            judgements.push(Judgement::new(Status::Deviation, subject, expected, Services::say(unit)));
        }
    }
    for (subject, state) in &facts.state.seen {
        let told = judgements.iter().any(|judgement| judgement.subject == *subject);
        if unwanted.matches(subject) && *state != Running::Failed && !told {
            judgements.push(Judgement::new(Status::Deviation, subject, expected, state.name()));
        }
    }
    if !judgements.is_empty() {
        return judgements;
    }
    // At rest, what starts is all there is to ask.
    let gap =
        gap_of(unwanted, &facts.items).or_else(|| gap_of(unwanted, &facts.state).filter(|gap| !gap.is_not_live()));
    vec![match gap {
        Some(gap) => Judgement::unseen(gap, unwanted.text(), expected),
        None => {
            let found = matching(unwanted, &facts.items);
            let observed = found.first().map_or_else(|| "not installed".to_owned(), |(_, unit)| Services::say(unit));
            Judgement::new(Status::Pass, unwanted.text(), expected, observed)
        }
    }]
}

fn masked(wanted: &UnitName, items: &Observed<Unit>) -> Judgement {
    let found = matching(wanted, items);
    let is_masked = |unit: &Unit| matches!(unit.enablement, Some(Enablement::Masked | Enablement::MaskedRuntime));
    if let Some(gap) = gap_of(wanted, items) {
        return Judgement::unseen(gap, wanted.text(), "masked");
    }
    let open = found.iter().find(|(_, unit)| !is_masked(unit));
    let observed = open.or(found.first()).map_or_else(|| "not installed".to_owned(), |(_, unit)| Services::say(unit));
    Judgement::when(!found.is_empty() && open.is_none(), wanted.text(), "masked", observed)
}

fn only(allowed: &[UnitName], items: &Observed<Unit>) -> Vec<Judgement> {
    let expected = "enabled only if the baseline lists it";
    let counts = |unit: &Unit| match unit.enablement {
        Some(Enablement::Enabled | Enablement::EnabledRuntime) => true,
        Some(_) => false,
        None => unit.starts(),
    };
    // A template starts nothing: its instances do, and they are items of their own.
    let is_one = |subject: &str| is_counted(subject) && !names::is_template(subject);
    let counted: Vec<_> = items.seen.iter().filter(|(subject, unit)| is_one(subject) && counts(unit)).collect();
    let is_listed = |subject: &str| allowed.iter().any(|name| name.matches(subject));
    let strangers = counted.iter().filter(|(subject, _)| !is_listed(subject));
    let mut judgements: Vec<Judgement> = strangers
        .map(|(subject, unit)| Judgement::new(Status::Deviation, *subject, expected, Services::say(unit)))
        .collect();
    judgements.extend(rest(judgements.is_empty(), items, expected, &format!("{} enabled, all listed", counted.len())));
    judgements
}

fn closed(
    allowed: &[UnitName],
    facts: &Facts<Unit, Running>,
    expected: &str,
    counts: impl Fn(&str, Running) -> bool,
) -> Vec<Judgement> {
    let seen = facts.state.seen.iter().filter(|(subject, state)| counts(subject, **state));
    let strangers = seen.filter(|(subject, _)| !allowed.iter().any(|name| name.matches(subject)));
    let mut judgements: Vec<Judgement> =
        strangers.map(|(subject, state)| Judgement::new(Status::Deviation, subject, expected, state.name())).collect();
    judgements.extend(rest(judgements.is_empty(), &facts.state, expected, "no other"));
    judgements
}

fn overrides(allowed: &[UnitName], items: &Observed<Unit>) -> Vec<Judgement> {
    let expected = "as it was installed";
    let is_own = |path: &String| !path.starts_with("/usr/lib/") && !path.starts_with("/lib/");
    let changed = |unit: &Unit| unit.file.is_some() || unit.drop_ins.keys().any(is_own);
    let strangers = items.seen.iter().filter(|(subject, unit)| {
        changed(unit) && !allowed.iter().any(|name| name.matches(subject.trim_end_matches(".d")))
    });
    let mut judgements: Vec<Judgement> = strangers
        .map(|(subject, unit)| Judgement::new(Status::Deviation, subject, expected, Services::say(unit)))
        .collect();
    judgements.extend(rest(judgements.is_empty(), items, expected, "no other unit is changed"));
    judgements
}

/// What a closed rule says besides its deviations: what it could not see, else a pass where there are none.
fn rest<T>(clean: bool, seen: &Observed<T>, expected: &str, all_well: &str) -> Vec<Judgement> {
    if !seen.gaps.is_empty() {
        return seen
            .gaps
            .iter()
            .map(|(prefix, gap)| {
                let subject = if prefix.is_empty() { "services" } else { prefix };
                Judgement::unseen(gap, subject, expected)
            })
            .collect();
    }
    if clean { vec![Judgement::new(Status::Pass, "services", expected, all_well)] } else { Vec::new() }
}
