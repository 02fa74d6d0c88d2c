//! A rule about logging against what was seen.

use super::{Expect, Item, Logging, State};
use crate::change::Pattern;
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::Gap;
use crate::probe::{Context, Probe as _};
use crate::probes::services::Services;

/// Who keeps or sends logs, by their units.
const DAEMONS: [(&str, &str); 3] = [
    ("rsyslog", "rsyslog.service"),
    ("syslog-ng", "syslog-ng.service"),
    ("journal-upload", "systemd-journal-upload.service"),
];

pub(super) fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    if expect.persistent.is_some() {
        judgements.push(persistent(facts, context));
    }
    if expect.forwarded.is_some() {
        judgements.push(forwarded(&facts.items, context));
    }
    if expect.encrypted.is_some() {
        let plain = targets(&facts.items).filter(|(_, _, tls)| !tls);
        judgements.extend(closed(plain, &facts.items, "sent by TLS", "nothing is sent in clear text"));
    }
    if let Some(allowed) = &expect.targets {
        let strangers =
            targets(&facts.items).filter(|(place, ..)| !allowed.iter().any(|pattern| pattern.matches(place)));
        judgements.extend(closed(strangers, &facts.items, "only targets the baseline lists", "no other target"));
    }
    for wanted in expect.audit_rules.iter().flatten() {
        judgements.push(audit_rule(wanted, &facts.items));
    }
    if expect.audit_immutable.is_some() {
        let holds = facts.items.seen.contains_key("audit:-e 2");
        let expected = "-e 2 is loaded last";
        judgements.push(match facts.items.gap_for("audit:-e 2").filter(|_| !holds) {
            Some(gap) => Judgement::unseen(gap, "audit:-e 2", expected),
            None => Judgement::when(holds, "audit:-e 2", expected, if holds { "it is" } else { "it is not" }),
        });
    }
    if let Some(most) = expect.files_at_most {
        judgements.extend(files(most.0, &expect.files_except, &facts.state));
    }
    judgements
}

/// Whether the unit of a daemon starts with the host; the gap where that is not known.
fn starts<'a>(daemon: &str, context: &'a Context<'_>) -> Result<bool, Option<&'a Gap>> {
    let Some((_, unit)) = DAEMONS.iter().find(|(name, _)| *name == daemon) else { return Ok(false) };
    let facts = context.facts.of::<Services>().ok_or(None)?;
    match facts.items.seen.get(*unit) {
        Some(unit) => Ok(unit.starts()),
        None => facts.items.gap_for(unit).map_or(Ok(false), |gap| Err(Some(gap))),
    }
}

fn persistent(facts: &Facts<Item, State>, context: &Context<'_>) -> Judgement {
    let (subject, expected) = ("journald:Storage", "logs survive a boot");
    let written = ["rsyslog", "syslog-ng"].into_iter().find(|daemon| starts(daemon, context) == Ok(true));
    if let Some(daemon) = written {
        return Judgement::new(Status::Pass, subject, expected, format!("{daemon} writes them"));
    }
    let storage = match facts.items.seen.get(subject) {
        Some(Item::Setting { value, .. }) => value.to_lowercase(),
        Some(Item::Target { .. } | Item::Rule { .. } | Item::Option) | None => "auto".to_owned(),
    };
    if let Some(gap) = facts.items.gap_for(subject) {
        return Judgement::unseen(gap, subject, expected);
    }
    // Without systemd there is no journal at all.
    let has_systemd = match context.facts.of::<Services>() {
        Some(services) => services.items.seen.contains_key("systemd-journald.service"),
        None => true,
    };
    if !has_systemd {
        return match starts("rsyslog", context) {
            Err(Some(gap)) => Judgement::new(Status::NotApplicable, subject, expected, gap.to_string()),
            Err(None) | Ok(_) => {
                Judgement::new(Status::Deviation, subject, expected, "neither journald nor a syslog daemon")
            }
        };
    }
    let folder = match facts.state.seen.get("journal") {
        Some(State::Journal { on_disk }) => *on_disk,
        Some(State::File { .. }) | None => match facts.state.gap_for("journal") {
            Some(gap) => return Judgement::unseen(gap, subject, expected),
            None => false,
        },
    };
    let holds = storage == "persistent" || (storage == "auto" && folder);
    let there = if folder { "is there" } else { "is not there" };
    Judgement::when(holds, subject, expected, format!("Storage={storage}, and /var/log/journal {there}"))
}

fn targets(items: &Observed<Item>) -> impl Iterator<Item = (&str, &Item, bool)> {
    items.seen.iter().filter_map(|(subject, item)| match item {
        Item::Target { tls, .. } => Some((subject.strip_prefix("target:")?, item, *tls)),
        Item::Setting { .. } | Item::Rule { .. } | Item::Option => None,
    })
}

fn forwarded(items: &Observed<Item>, context: &Context<'_>) -> Judgement {
    let (subject, expected) = ("target", "logs are sent to another host");
    let mut idle = None;
    for (place, item, _) in targets(items) {
        let Item::Target { by, .. } = item else { continue };
        match starts(by, context) {
            Ok(true) => return Judgement::new(Status::Pass, format!("target:{place}"), expected, Logging::say(item)),
            Ok(false) => idle = Some(format!("{place} by {by}, which does not start with the host")),
            Err(Some(gap)) => return Judgement::unseen(gap, subject, expected),
            Err(None) => return Judgement::new(Status::Unknown, subject, expected, "the services were not seen"),
        }
    }
    if let Some(gap) = items.gap_for("target:") {
        return Judgement::unseen(gap, subject, expected);
    }
    Judgement::new(Status::Deviation, subject, expected, idle.unwrap_or_else(|| "nowhere".to_owned()))
}

fn closed<'a>(
    strangers: impl Iterator<Item = (&'a str, &'a Item, bool)>,
    items: &Observed<Item>,
    expected: &str,
    all_well: &str,
) -> Vec<Judgement> {
    let mut judgements: Vec<Judgement> = strangers
        .map(|(place, item, _)| {
            Judgement::new(Status::Deviation, format!("target:{place}"), expected, Logging::say(item))
        })
        .collect();
    match items.gap_for("target:") {
        Some(gap) => judgements.push(Judgement::unseen(gap, "target", expected)),
        None if judgements.is_empty() => judgements.push(Judgement::new(Status::Pass, "target", expected, all_well)),
        None => {}
    }
    judgements
}

fn audit_rule(wanted: &Pattern, items: &Observed<Item>) -> Judgement {
    let expected = "a rule of auditd";
    let rules = items.seen.keys().filter_map(|subject| Some((subject, subject.strip_prefix("audit:")?)));
    let found = rules.into_iter().find(|(_, rule)| wanted.matches(rule)).map(|(subject, _)| subject);
    match (found, items.gap_for("audit:")) {
        (Some(subject), _) => Judgement::new(Status::Pass, subject, expected, "it is there"),
        (None, Some(gap)) => Judgement::unseen(gap, format!("audit:{}", wanted.as_str()), expected),
        (None, None) => {
            Judgement::new(Status::Deviation, format!("audit:{}", wanted.as_str()), expected, "no rule matches")
        }
    }
}

fn files(most: u32, except: &[Pattern], state: &Observed<State>) -> Vec<Judgement> {
    let expected = format!("at most mode {most:04o}");
    let mut judgements = Vec::new();
    for (subject, item) in &state.seen {
        let (State::File { mode, uid, gid }, Some(name)) = (item, subject.strip_prefix("file:")) else { continue };
        let bits = u32::from_str_radix(mode, 8).unwrap_or(u32::MAX);
        if bits & !most != 0 && !except.iter().any(|pattern| pattern.matches(name)) {
            let observed = format!("mode {mode}, owner {uid}, group {gid}");
            judgements.push(Judgement::new(Status::Deviation, subject, &expected, observed));
        }
    }
    match state.gaps.iter().find(|(prefix, _)| prefix.is_empty() || prefix.starts_with("file:")) {
        Some((_, gap)) => judgements.push(Judgement::unseen(gap, "file", &expected)),
        None if judgements.is_empty() => {
            judgements.push(Judgement::new(Status::Pass, "file", &expected, "all of them"))
        }
        None => {}
    }
    judgements
}
