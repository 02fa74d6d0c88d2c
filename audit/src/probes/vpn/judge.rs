//! Tunnels against a baseline.

use serde::Deserialize;

use crate::facts::Facts;
use crate::finding::{Judgement, Status};

use super::{Item, State};

/// What a rule can ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Names of links and configurations: these and no others; `*` at the end stands for any ending.
    pub tunnels: Option<Vec<String>>,
    /// Whether a tunnel may take a part of the traffic alone.
    pub split: Option<Split>,
    /// These may.
    #[serde(default)]
    pub split_except: Vec<String>,
}

/// About split tunnelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Every tunnel takes everything.
    Forbidden,
}

type Seen = Facts<Item, State>;

const ALL: &str = "all traffic of IPv4 and IPv6 goes into the tunnel";

pub(super) fn judge(expect: &Expect, facts: &Seen) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    if let Some(allowed) = &expect.tunnels {
        judgements.extend(only(allowed, facts));
    }
    match expect.split {
        Some(Split::Forbidden) => judgements.extend(split(&expect.split_except, facts)),
        None => {}
    }
    judgements
}

/// What could not be seen: a pass would be a guess.
fn gaps(facts: &Seen, expected: &str) -> Vec<Judgement> {
    let items = facts.items.gaps.iter().map(|(prefix, gap)| (format!("{prefix}*"), gap));
    let state = facts
        .state
        .gaps
        .iter()
        .filter(|(_, gap)| !gap.is_not_live())
        .map(|(prefix, gap)| (format!("tunnel:{prefix}*"), gap));
    items.chain(state).map(|(subject, gap)| Judgement::unseen(gap, subject, expected)).collect()
}

/// `tunnel:wg0`, `wireguard:wg0`, `openvpn:client/office` by their last name.
fn name(subject: &str) -> &str {
    let name = subject.split_once(':').map_or(subject, |(_, name)| name);
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

fn is_among(list: &[String], subject: &str) -> bool {
    list.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name(subject).starts_with(start),
        None => pattern == name(subject),
    })
}

fn only(allowed: &[String], facts: &Seen) -> Vec<Judgement> {
    const EXPECTED: &str = "these tunnels and no others";
    let links = facts.state.seen.iter().filter_map(|(subject, state)| match state {
        State::Tunnel { kind, .. } => Some((subject, format!("a link of kind {kind}, up"))),
        State::Default(_) => None,
    });
    let configured =
        facts.items.seen.iter().map(|(subject, item)| (subject, format!("configured for {}", item.takes.join(", "))));
    let mut judgements = gaps(facts, EXPECTED);
    let mut count = 0;
    for (subject, observed) in links.chain(configured) {
        count += 1;
        if !is_among(allowed, subject) {
            judgements.push(Judgement::new(Status::Deviation, subject, EXPECTED, observed));
        }
    }
    if judgements.is_empty() {
        judgements.push(Judgement::new(Status::Pass, "tunnels", EXPECTED, format!("{count} found, each allowed")));
    }
    judgements
}

fn split(except: &[String], facts: &Seen) -> Vec<Judgement> {
    let mut judgements = gaps(facts, ALL);
    for (subject, item) in facts.items.seen.iter().filter(|(subject, item)| !item.server && !is_among(except, subject))
    {
        let whole = ["ip", "ip6"].iter().all(|family| item.full.iter().any(|full| full == family));
        let decided = |option: &String| option.starts_with("Table") || option.starts_with("route-no");
        let said = match item.takes.as_slice() {
            [] => "takes what the other side tells".to_owned(),
            takes => format!("takes {}", takes.join(", ")),
        };
        let (status, observed) = match item.options.iter().find(|option| decided(option)) {
            Some(option) => (Status::Unknown, format!("{said}; {option}: routes are set by something else")),
            None if item.takes.is_empty() => (Status::Unknown, said),
            None if whole => (Status::Pass, said),
            None => (Status::Deviation, said),
        };
        judgements.push(Judgement::new(status, subject, ALL, observed));
    }
    for (subject, state) in &facts.state.seen {
        let State::Tunnel { routes, ip, ip6, .. } = state else { continue };
        if is_among(except, subject) {
            continue;
        }
        let status = match (ip.as_str(), ip6.as_str()) {
            ("full", "full") => Status::Pass,
            // A family no route of which leaves this host leaves by no other way either.
            ("full", "none") if no_default(facts, "default:ip6") => Status::Pass,
            ("none", "full") if no_default(facts, "default:ip") => Status::Pass,
            ("unknown", _) | (_, "unknown") => Status::Unknown,
            ("none", "none") if routes.is_empty() => Status::NotApplicable,
            _ => Status::Deviation,
        };
        let observed = format!(
            "IPv4 {ip}, IPv6 {ip6}; routed into it: {}",
            if routes.is_empty() { "nothing".to_owned() } else { routes.join(", ") }
        );
        judgements.push(Judgement::new(status, subject, ALL, observed));
    }
    if judgements.is_empty() {
        judgements.push(Judgement::new(
            Status::NotApplicable,
            "tunnels",
            ALL,
            "there is no tunnel that is not excepted",
        ));
    }
    judgements
}

fn no_default(facts: &Seen, subject: &str) -> bool {
    matches!(facts.state.seen.get(subject), Some(State::Default(links)) if links.is_empty())
}

/// What serde could not see.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    if expect.tunnels.is_none() && expect.split.is_none() {
        return Err((String::new(), "expects nothing: give `tunnels` or `split`".to_owned()));
    }
    if expect.split.is_none() && !expect.split_except.is_empty() {
        return Err(("split_except".to_owned(), "excepts from `split`, which is not given".to_owned()));
    }
    Ok(())
}
