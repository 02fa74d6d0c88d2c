//! The judgement: a pure function of expectation and facts.

use std::collections::BTreeSet;

use super::{Boot, Configured, Daemon, Expect, Item, Leap, Role, State};
use crate::duration::Length;
use crate::facts::Facts;
use crate::finding::{Judgement, Status};
use crate::host::Gap;

/// How far a daemon's own tracking may be off and still count as synchronised, where the rule does not say.
const USUAL_OFFSET: Length = Length::of_milliseconds(1_000);
/// What a chrony pool without `maxsources` grows to.
const POOL_SOURCES: u32 = 4;

/// Every key that is asked, each with at least one judgement.
pub(super) fn judge(expect: &Expect, facts: &Facts<Item, State>) -> Vec<Judgement> {
    let seen = Seen::of(facts);
    let mut said = Vec::new();
    if expect.synchronised == Some(true) {
        said.push(synchronised(expect.max_offset.unwrap_or(USUAL_OFFSET), &seen));
    }
    if let Some(limit) = expect.max_offset {
        said.push(offset(limit, &seen));
    }
    if let Some(limit) = expect.max_stratum {
        said.push(stratum(limit, &seen));
    }
    if let Some(allowed) = &expect.by {
        by(allowed, &seen, &mut said);
    }
    if let Some(patterns) = &expect.sources {
        sources(patterns, &seen, &mut said);
    }
    if let Some(least) = expect.min_sources {
        said.push(enough(least, &seen));
    }
    if let Some(patterns) = &expect.set_by {
        super::setters::judge(patterns, facts, &mut said);
    }
    said
}

/// The facts, sorted by what they are.
struct Seen<'a> {
    facts: &'a Facts<Item, State>,
    clock: Option<(bool, Option<i64>)>,
    running: BTreeSet<Daemon>,
    tracking: Vec<Tracking>,
    sources: Vec<Used<'a>>,
    configured: Vec<(&'a str, &'a Configured)>,
    boot: Vec<(&'a str, Boot)>,
}

#[derive(Clone, Copy)]
struct Tracking {
    daemon: Daemon,
    synchronised: bool,
    offset_ms: i64,
    stratum: u16,
}

struct Used<'a> {
    subject: &'a str,
    daemon: Daemon,
    name: Option<&'a str>,
    reachable: bool,
    selected: bool,
}

impl Used<'_> {
    fn address(&self) -> &str {
        self.subject.strip_prefix("source:").unwrap_or(self.subject)
    }

    fn said(&self) -> String {
        match self.name {
            Some(name) if name != self.address() => format!("{name} ({})", self.address()),
            Some(_) | None => self.address().to_owned(),
        }
    }
}

const ALL: [Daemon; 6] =
    [Daemon::Chrony, Daemon::Timesyncd, Daemon::Ntpsec, Daemon::Ntp, Daemon::Openntpd, Daemon::Linuxptp];

fn daemon_of(subject: &str) -> Option<Daemon> {
    let name = subject.split_once(':')?.1;
    ALL.into_iter().find(|daemon| daemon.name() == name)
}

impl<'a> Seen<'a> {
    fn of(facts: &'a Facts<Item, State>) -> Self {
        let mut seen = Self {
            facts,
            clock: None,
            running: BTreeSet::new(),
            tracking: Vec::new(),
            sources: Vec::new(),
            configured: Vec::new(),
            boot: Vec::new(),
        };
        for (subject, state) in &facts.state.seen {
            match state {
                State::Clock { synchronised, offset_ms, leap: _, max_error_s: _ } => {
                    seen.clock = Some((*synchronised, *offset_ms));
                }
                State::Daemon { .. } => seen.running.extend(daemon_of(subject)),
                State::Tracking { synchronised, leap, offset_ms, stratum } => {
                    let Some(daemon) = daemon_of(subject) else { continue };
                    // What answers runs, even where its process is hidden from us.
                    seen.running.insert(daemon);
                    let synchronised = *synchronised && *leap != Leap::Unsynchronised;
                    seen.tracking.push(Tracking { daemon, synchronised, offset_ms: *offset_ms, stratum: *stratum });
                }
                State::Source { daemon, name, reachable, selected, stratum: _ } => seen.sources.push(Used {
                    subject,
                    daemon: *daemon,
                    name: name.as_deref(),
                    reachable: *reachable,
                    selected: *selected,
                }),
            }
        }
        for (subject, item) in &facts.items.seen {
            match item {
                Item::Source(configured) => seen.configured.push((subject, configured)),
                Item::Daemon { boot } => seen.boot.push((subject, *boot)),
                Item::Setter { .. } | Item::Looked => {}
            }
        }
        seen
    }

    fn enabled(&self) -> BTreeSet<Daemon> {
        let enabled = self.boot.iter().filter(|(_, boot)| *boot == Boot::Enabled);
        enabled.filter_map(|(subject, _)| daemon_of(subject)).collect()
    }

    /// The daemons whose configuration counts.
    fn relevant(&self) -> BTreeSet<Daemon> {
        let mut relevant = self.enabled();
        relevant.extend(&self.running);
        if relevant.is_empty() {
            relevant.extend(self.configured.iter().map(|(_, source)| source.daemon));
        }
        relevant
    }

    /// Configured sources that count: a fallback serves only where its daemon has no server.
    fn effective(&self) -> Vec<(&'a str, &'a Configured)> {
        let relevant = self.relevant();
        let served: BTreeSet<Daemon> =
            self.configured.iter().filter(|(_, s)| s.role != Role::Fallback).map(|(_, s)| s.daemon).collect();
        let counts = |source: &Configured| {
            relevant.contains(&source.daemon) && (source.role != Role::Fallback || !served.contains(&source.daemon))
        };
        self.configured.iter().copied().filter(|(_, source)| counts(source)).collect()
    }

    /// A gap that may hide sources of a daemon that counts, or which daemons count.
    fn hidden_sources(&self) -> Option<&'a Gap> {
        let gaps = &self.facts.items.gaps;
        let relevant = self.relevant();
        let about =
            |prefix: &str| prefix == "daemon:" || relevant.iter().any(|d| prefix.strip_suffix(':') == Some(d.name()));
        // Where no daemon is known to matter, any of them may.
        let none = self.running.is_empty() && self.enabled().is_empty();
        gaps.iter().find(|(prefix, _)| none || prefix.is_empty() || about(prefix)).map(|(_, gap)| gap)
    }

    fn state_gap(&self, subject: &str) -> Option<&'a Gap> {
        self.facts.state.gap_for(subject)
    }

    /// The daemon's word on itself: why it is not synchronised, if it is not.
    fn trouble(&self, tracking: Tracking, limit: Length) -> Option<String> {
        let name = tracking.daemon.name();
        if !tracking.synchronised {
            return Some(format!("{name} is not synchronised"));
        }
        let Some(selected) = self.sources.iter().find(|s| s.daemon == tracking.daemon && s.selected) else {
            return Some(format!("{name} follows no source"));
        };
        if !self.sources.iter().any(|s| s.daemon == tracking.daemon && s.reachable) {
            return Some(format!("{name} reaches none of its sources, last {}", selected.said()));
        }
        let off = tracking.offset_ms.unsigned_abs() > limit.milliseconds();
        off.then(|| format!("{name} is {} off", side(tracking.offset_ms)))
    }
}

fn side(offset_ms: i64) -> String {
    match offset_ms {
        0 => "less than 1ms".into(),
        ms if ms > 0 => format!("{ms}ms ahead"),
        ms => format!("{}ms behind", ms.unsigned_abs()),
    }
}

fn synchronised(limit: Length, seen: &Seen<'_>) -> Judgement {
    let expected = format!("synchronised by a running daemon, within {limit}");
    let kernel = match seen.clock {
        Some((true, _)) => "the kernel says synchronised",
        Some((false, _)) => "the kernel says not synchronised",
        None => "the kernel could not be asked",
    };
    let say = |status, observed: String| Judgement::new(status, "clock", expected.clone(), observed);
    if let Some(gap) = seen.facts.state.whole_gap() {
        return Judgement::unseen(gap, "clock", expected);
    }
    if seen.running.is_empty() {
        return match seen.state_gap("daemon:") {
            Some(gap) => Judgement::unseen(gap, "clock", expected),
            None => say(Status::Deviation, format!("no time daemon runs; {kernel}")),
        };
    }
    let mut troubles = Vec::new();
    for tracking in &seen.tracking {
        match seen.trouble(*tracking, limit) {
            None => {
                let (name, offset) = (tracking.daemon.name(), side(tracking.offset_ms));
                let source = seen.sources.iter().find(|s| s.daemon == tracking.daemon && s.selected);
                let source = source.map_or_else(String::new, |source| format!(" {}", source.said()));
                let observed = format!("{name} follows{source}, {offset}, stratum {}; {kernel}", tracking.stratum);
                return say(Status::Pass, observed);
            }
            Some(trouble) => troubles.push(trouble),
        }
    }
    if !troubles.is_empty() {
        return say(Status::Deviation, format!("{}; {kernel}", troubles.join(", ")));
    }
    let names = seen.running.iter().map(|daemon| daemon.name()).collect::<Vec<_>>().join(", ");
    match seen.clock {
        Some((true, _)) => say(Status::Pass, format!("{kernel}; {names} runs")),
        // chronyd without `rtcsync` never marks the kernel's clock: unseen tracking leaves it open.
        Some((false, _)) => {
            match seen.state_gap("tracking:chrony").filter(|_| seen.running.contains(&Daemon::Chrony)) {
                Some(gap) => Judgement::unseen(gap, "clock", expected),
                None => say(Status::Deviation, format!("{kernel}; {names} runs")),
            }
        }
        None => match seen.state_gap("clock") {
            Some(gap) => Judgement::unseen(gap, "clock", expected),
            None => say(Status::Unknown, kernel.to_owned()),
        },
    }
}

/// The gap to name where nothing tells.
fn untold<'a>(seen: &Seen<'a>) -> Option<&'a Gap> {
    let tracking = |daemon: &Daemon| seen.state_gap(&format!("tracking:{}", daemon.name()));
    seen.facts
        .state
        .whole_gap()
        .or_else(|| seen.running.iter().find_map(tracking))
        .or_else(|| seen.state_gap("daemon:"))
}

fn offset(limit: Length, seen: &Seen<'_>) -> Judgement {
    let expected = format!("at most {limit} off");
    let worst = seen.tracking.iter().filter(|t| t.synchronised).max_by_key(|t| t.offset_ms.unsigned_abs());
    let (told, by) = match (worst, seen.clock) {
        (Some(tracking), _) => (Some(tracking.offset_ms), tracking.daemon.name()),
        (None, Some((true, offset))) if seen.tracking.is_empty() && !seen.running.is_empty() => (offset, "the kernel"),
        (None, Some(_) | None) => (None, ""),
    };
    if let Some(ms) = told {
        let holds = ms.unsigned_abs() <= limit.milliseconds();
        return Judgement::when(holds, "offset", expected, format!("{} by {by}", side(ms)));
    }
    nobody_tells("offset", expected, seen)
}

fn stratum(limit: u16, seen: &Seen<'_>) -> Judgement {
    let expected = format!("stratum at most {limit}");
    match seen.tracking.iter().filter(|t| t.synchronised).max_by_key(|t| t.stratum) {
        Some(tracking) => {
            let observed = format!("stratum {} by {}", tracking.stratum, tracking.daemon.name());
            Judgement::when((1..=limit).contains(&tracking.stratum), "stratum", expected, observed)
        }
        None => nobody_tells("stratum", expected, seen),
    }
}

fn nobody_tells(subject: &str, expected: String, seen: &Seen<'_>) -> Judgement {
    if !seen.tracking.is_empty() {
        return Judgement::new(Status::Deviation, subject, expected, "not synchronised");
    }
    match untold(seen) {
        Some(gap) => Judgement::unseen(gap, subject, expected),
        None if seen.running.is_empty() => Judgement::new(Status::Deviation, subject, expected, "no time daemon runs"),
        None => Judgement::new(Status::Unknown, subject, expected, "neither the daemon nor the kernel tells"),
    }
}

fn by(allowed: &[Daemon], seen: &Seen<'_>, said: &mut Vec<Judgement>) {
    let names = allowed.iter().map(|daemon| daemon.name()).collect::<Vec<_>>().join(", ");
    let expected = format!("one of {names}, and no other");
    let enabled = seen.enabled();
    let gap = seen.state_gap("daemon:");
    let not_live = gap.is_some_and(Gap::is_not_live);
    let held = if not_live { &enabled } else { &seen.running };
    for daemon in enabled.union(&seen.running) {
        let observed = match (seen.running.contains(daemon), enabled.contains(daemon)) {
            (true, true) => "runs, enabled at boot",
            (true, false) => "runs, not enabled at boot",
            (false, _) if gap.is_some() => "enabled at boot",
            (false, _) => "enabled at boot, does not run",
        };
        let holds = allowed.contains(daemon) && (held.contains(daemon) || held.iter().any(|d| allowed.contains(d)));
        let subject = format!("daemon:{}", daemon.name());
        match gap.filter(|gap| !gap.is_not_live() && !held.contains(daemon) && allowed.contains(daemon)) {
            Some(gap) => said.push(Judgement::unseen(gap, subject, expected.clone())),
            None => said.push(Judgement::when(holds, subject, expected.clone(), observed)),
        }
    }
    if held.len() > 1 && !not_live {
        let held = held.iter().map(|daemon| daemon.name()).collect::<Vec<_>>().join(", ");
        said.push(Judgement::new(Status::Deviation, "daemon", "one daemon", format!("several run: {held}")));
    }
    if enabled.is_empty() && seen.running.is_empty() {
        let gap = gap.filter(|gap| !gap.is_not_live()).or_else(|| seen.facts.items.gap_for("daemon:"));
        said.push(match gap {
            Some(gap) => Judgement::unseen(gap, "daemon", expected),
            None if not_live => Judgement::new(Status::Deviation, "daemon", expected, "none is enabled"),
            None => Judgement::new(Status::Deviation, "daemon", expected, "none runs and none is enabled"),
        });
    } else if let Some(gap) = seen.facts.items.gap_for("daemon:") {
        said.push(Judgement::unseen(gap, "daemon", expected));
    }
}

fn sources(patterns: &[crate::change::Pattern], seen: &Seen<'_>, said: &mut Vec<Judgement>) {
    let texts = patterns.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>().join(", ");
    let expected = format!("one of {texts}, and no other");
    let matches = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let configured = seen.effective();
    for (subject, source) in &configured {
        let files = source.files.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        said.push(Judgement::when(matches(&source.name), *subject, expected.clone(), format!("configured in {files}")));
    }
    for source in &seen.sources {
        let holds = matches(source.address()) || source.name.is_some_and(matches);
        let observed = format!("{} uses {}", source.daemon.name(), source.said());
        said.push(Judgement::when(holds, source.subject, expected.clone(), observed));
    }
    if let Some(gap) = seen.hidden_sources() {
        said.push(Judgement::unseen(gap, "sources", expected));
    } else if configured.is_empty() && seen.sources.is_empty() {
        said.push(Judgement::new(Status::Deviation, "sources", expected, "no source is configured"));
    }
}

fn enough(least: u32, seen: &Seen<'_>) -> Judgement {
    let expected = format!("at least {least} configured sources");
    let worth = |source: &Configured| match source.role {
        Role::Pool => source.options.iter().map(|options| pool_size(options)).max().unwrap_or(POOL_SOURCES),
        Role::Local => 0,
        Role::Server | Role::Peer | Role::Refclock | Role::Fallback | Role::Broadcast => 1,
    };
    let count = seen.effective().iter().fold(0u32, |sum, (_, source)| sum.saturating_add(worth(source)));
    match seen.hidden_sources() {
        Some(gap) if count < least => Judgement::unseen(gap, "sources", expected),
        Some(_) | None => Judgement::when(count >= least, "sources", expected, format!("{count} configured")),
    }
}

fn pool_size(options: &str) -> u32 {
    let mut words = options.split(' ').skip_while(|word| !word.eq_ignore_ascii_case("maxsources")).skip(1);
    words.next().and_then(|number| number.parse().ok()).unwrap_or(POOL_SOURCES)
}
