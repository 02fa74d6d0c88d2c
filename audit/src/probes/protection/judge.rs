//! A rule about protection against what was seen.

use super::agents::{self, Agent};
use super::{Expect, Item, State};
use crate::duration::Length;
use crate::facts::Facts;
use crate::finding::{Judgement, Status};
use crate::probe::Context;
use crate::probes::packages::Packages;
use crate::probes::services::{Running, Services};

pub(super) fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    if let Some(names) = &expect.any_of {
        judgements.push(any_of(names, context));
    }
    for agent in expect.required.iter().flatten().filter_map(|name| agents::find(name)) {
        let (status, observed) = guards(agent, context);
        judgements.push(Judgement::new(status, agent.name, "guards the host", observed));
    }
    if let Some(age) = expect.definitions_age {
        judgements.extend(definitions(age, facts, context));
    }
    if expect.mandatory_access.is_some() {
        judgements.push(mandatory_access(facts));
    }
    judgements
}

fn any_of(names: &[String], context: &Context<'_>) -> Judgement {
    let expected = format!("one of {} guards the host", names.join(", "));
    let known: Vec<_> =
        names.iter().filter_map(|name| agents::find(name)).map(|agent| (agent, guards(agent, context))).collect();
    if let Some((agent, (_, observed))) = known.iter().find(|(_, (status, _))| *status == Status::Pass) {
        return Judgement::new(Status::Pass, "protection", expected, format!("{}: {observed}", agent.name));
    }
    let unknown = known.iter().find(|(_, (status, _))| *status == Status::Unknown);
    if let Some((agent, (_, observed))) = unknown {
        return Judgement::new(Status::Unknown, "protection", expected, format!("{}: {observed}", agent.name));
    }
    // What is there and does not run says more than what is not there.
    let there = known.iter().find(|(_, (_, observed))| observed != NOT_THERE);
    let observed = there
        .map_or_else(|| "none is installed".to_owned(), |(agent, (_, observed))| format!("{}: {observed}", agent.name));
    Judgement::new(Status::Deviation, "protection", expected, observed)
}

const NOT_THERE: &str = "not installed";

/// Whether an agent guards the host, and what shows it.
fn guards(agent: &Agent, context: &Context<'_>) -> (Status, String) {
    let (Some(packages), Some(services)) = (context.facts.of::<Packages>(), context.facts.of::<Services>()) else {
        return (Status::Unknown, "packages or services were not seen".to_owned());
    };
    let is_its = |name: &str| {
        agent.packages.iter().any(|known| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *known == name,
        })
    };
    let on_disk = |state| matches!(state, crate::probes::packages::State::Installed);
    let package = packages.items.seen.values().find(|package| is_its(&package.name) && on_disk(package.state));
    if agent.units.is_empty() {
        return match (package, packages.items.gaps.values().next()) {
            (Some(package), _) => (Status::Pass, format!("{} {}", package.name, package.version)),
            (None, Some(gap)) => (Status::Unknown, gap.to_string()),
            (None, None) => (Status::Deviation, NOT_THERE.to_owned()),
        };
    }
    let mut found = None;
    for unit in agent.units {
        let Some(item) = services.items.seen.get(*unit) else { continue };
        if !item.starts() {
            found.get_or_insert((Status::Deviation, format!("{unit} does not start with the host")));
            continue;
        }
        let seen = match (services.state.seen.get(*unit), services.state.gap_for(unit)) {
            (Some(Running::Active | Running::Exited), _) => {
                return (Status::Pass, format!("{unit} starts with the host and is active"));
            }
            (Some(state), _) => (Status::Deviation, format!("{unit} is {}", state.name())),
            (None, Some(gap)) if gap.is_not_live() => return (Status::Pass, format!("{unit} starts with the host")),
            (None, Some(gap)) => (Status::Unknown, gap.to_string()),
            (None, None) => (Status::Deviation, format!("{unit} is not active")),
        };
        found = Some(seen);
    }
    if let Some(found) = found {
        return found;
    }
    match (agent.units.iter().find_map(|unit| services.items.gap_for(unit)), package) {
        (Some(gap), _) => (Status::Unknown, gap.to_string()),
        (None, Some(package)) => (Status::Deviation, format!("{} is installed, and no unit of it", package.name)),
        (None, None) => (Status::Deviation, NOT_THERE.to_owned()),
    }
}

fn definitions(age: Length, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
    let expected = format!("built within {age}");
    let mut judgements = Vec::new();
    for (subject, state) in &facts.state.seen {
        let State::Definitions { version, built } = state else { continue };
        let old = context.now.timestamp().saturating_sub(*built);
        // A clock that is wrong or a header that lies; a day's difference may be a time zone's.
        let from_the_future = old < -86_400;
        let holds = !from_the_future && i128::from(old) * 1000 <= i128::from(age.milliseconds());
        let observed = match from_the_future {
            true => format!("version {version}, built in the future"),
            false => format!("version {version}, built {} days ago", old.max(0) / 86_400),
        };
        judgements.push(Judgement::when(holds, subject, &expected, observed));
    }
    for (prefix, gap) in
        facts.state.gaps.iter().filter(|(prefix, _)| prefix.is_empty() || prefix.starts_with("definitions:"))
    {
        judgements.push(Judgement::unseen(gap, if prefix.is_empty() { "definitions" } else { prefix }, &expected));
    }
    if judgements.is_empty() {
        // Without ClamAV there is nothing to be old; with it, nothing to search by is worse than something old.
        let clamav = agents::find("clamav").map(|agent| guards(agent, context));
        judgements.push(match clamav {
            Some((status, observed)) if observed != NOT_THERE => {
                let status = if status == Status::Unknown { Status::Unknown } else { Status::Deviation };
                Judgement::new(status, "definitions:clamav", expected, format!("no definitions, and {observed}"))
            }
            Some(_) | None => {
                Judgement::new(Status::NotApplicable, "definitions:clamav", expected, "ClamAV is not installed")
            }
        });
    }
    judgements
}

fn mandatory_access(facts: &Facts<Item, State>) -> Judgement {
    let (subject, expected) = ("kernel", "SELinux enforces, or AppArmor is on");
    let modes: Vec<(&str, &str)> = facts
        .state
        .seen
        .iter()
        .filter_map(|(subject, state)| match state {
            State::Kernel { mode } => Some((subject.strip_prefix("kernel:")?, mode.as_str())),
            State::Definitions { .. } => None,
        })
        .collect();
    let observed = modes.iter().map(|(name, mode)| format!("{name} {mode}")).collect::<Vec<_>>().join(", ");
    if modes.iter().any(|(_, mode)| matches!(*mode, "enforcing" | "enabled")) {
        return Judgement::new(Status::Pass, subject, expected, observed);
    }
    match facts.state.gap_for("kernel:selinux").or_else(|| facts.state.gap_for("kernel:apparmor")) {
        Some(gap) if gap.is_not_live() => match facts.items.seen.get("selinux") {
            Some(item) => Judgement::when(item.mode == "enforcing", "selinux", expected, &*item.mode),
            None => Judgement::unseen(gap, subject, expected),
        },
        Some(gap) => Judgement::unseen(gap, subject, expected),
        None if observed.is_empty() => Judgement::new(Status::Deviation, subject, expected, "the kernel has neither"),
        None => Judgement::new(Status::Deviation, subject, expected, observed),
    }
}
