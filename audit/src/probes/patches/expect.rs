//! What a rule can ask of updates, and the answers.

use serde::Deserialize;

use super::{Automatic, Fact};
use crate::change::Pattern;
use crate::duration::Length;
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::Gap;
use crate::probe::Context;
use crate::probes::packages::{Manager, Package, Packages, State};
use crate::version::{DpkgVersion, RpmVersion};

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// That no security update is pending.
    pub security: Option<Applied>,
    /// That no update is pending.
    pub updates: Option<Applied>,
    /// How long ago the lists may have been fetched.
    pub lists_age: Option<Length>,
    /// How long ago something must have been upgraded, unless nothing is pending.
    pub upgraded_within: Option<Length>,
    /// That updates install themselves.
    pub automatic: Option<bool>,
    /// That no reboot is pending.
    pub reboot: Option<Nothing>,
    /// That the package database is whole.
    pub database: Option<Whole>,
    /// The only repositories packages may be from.
    pub origins: Option<Vec<Pattern>>,
}

/// `applied`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Applied {
    /// None is pending.
    Applied,
}

/// `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nothing {
    /// Nothing asks for one.
    None,
}

/// `whole`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whole {
    /// Neither interrupted nor between two states.
    Whole,
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let Expect { security, updates, lists_age, upgraded_within, automatic, reboot, database, origins } = expect;
    let ages = lists_age.is_some() || upgraded_within.is_some();
    let states =
        security.is_some() || updates.is_some() || automatic.is_some() || reboot.is_some() || database.is_some();
    if origins.as_ref().is_some_and(Vec::is_empty) {
        return Err(("origins".into(), "an empty list asks nothing".into()));
    }
    if *automatic == Some(false) {
        return Err(("automatic".into(), "`automatic: false` asks nothing: leave it out".into()));
    }
    if !ages && !states && origins.is_none() {
        let all = "`security`, `updates`, `lists_age`, `upgraded_within`, `automatic`, `reboot`, `database`, `origins`";
        return Err((String::new(), format!("ask at least one of {all}")));
    }
    Ok(())
}

type Seen = Observed<Fact>;

pub(super) fn judge(expect: &Expect, facts: &Facts<Automatic, Fact>, context: &Context<'_>) -> Vec<Judgement> {
    let state = &facts.state;
    let packages = context.facts.of::<Packages>().map(|facts| &facts.items);
    let mut judgements = Vec::new();
    if expect.security.is_some() {
        judgements.extend(pending(state, packages, true));
    }
    if expect.updates.is_some() {
        judgements.extend(pending(state, packages, false));
    }
    if let Some(age) = expect.lists_age {
        judgements.push(lists_age(state, age, context));
    }
    if let Some(age) = expect.upgraded_within {
        judgements.push(upgraded_within(state, age, context));
    }
    if expect.automatic.is_some() {
        judgements.push(automatic(&facts.items));
    }
    if expect.reboot.is_some() {
        judgements.push(reboot(state, packages));
    }
    if expect.database.is_some() {
        judgements.extend(database(state, packages));
    }
    if let Some(allowed) = &expect.origins {
        judgements.extend(origins(state, allowed));
    }
    judgements
}

/// What is on offer is read where apt keeps it: packages of another manager beside dpkg's must not pass with them.
fn beside(packages: Option<&Observed<Package>>) -> Option<&Package> {
    packages?.seen.values().find(|package| match package.manager {
        Manager::Rpm | Manager::Apk | Manager::Pacman => true,
        Manager::Dpkg | Manager::Snap | Manager::Flatpak => false,
    })
}

fn pending(state: &Seen, packages: Option<&Observed<Package>>, only_security: bool) -> Vec<Judgement> {
    let what = if only_security { "security update" } else { "update" };
    let expected = format!("no {what} is pending");
    let mut judgements = Vec::new();
    for (subject, fact) in &state.seen {
        let Fact::Update { installed, candidate, from, security, held, phased } = fact else { continue };
        if !security && (only_security || phased.is_some()) {
            continue;
        }
        let held = if *held { ", held back" } else { "" };
        let observed = format!("{installed} is installed, {candidate} is in {from}{held}");
        let subject = subject.strip_prefix("update/").unwrap_or(subject);
        judgements.push(Judgement::new(Status::Deviation, subject, expected.clone(), observed));
    }
    let known = judgements.len();
    judgements.extend(hidden(state, "update/", &expected));
    if let Some(other) = beside(packages).filter(|_| judgements.len() == known) {
        let why = format!("what is on offer is only read where apt keeps it, and {} is not of dpkg", other.name);
        judgements.push(Judgement::new(Status::Unknown, "updates", expected.clone(), why));
    }
    if !judgements.is_empty() {
        return judgements;
    }
    let (status, observed) = match state.seen.get("lists") {
        Some(Fact::Lists { count: 0, .. }) => {
            (Status::Unknown, "no list of what is on offer is on the disk".to_owned())
        }
        Some(Fact::Lists { security: 0, .. }) if only_security => {
            (Status::Unknown, "no list of a security suite is on the disk".to_owned())
        }
        Some(Fact::Lists { fetched, .. }) => {
            let when = fetched.map_or_else(|| "an unknown day".to_owned(), |at| at.date_naive().to_string());
            (Status::Pass, format!("none by the lists of {when}"))
        }
        Some(_) | None => (Status::Unknown, "the lists were not looked at".to_owned()),
    };
    vec![Judgement::new(status, "updates", expected, observed)]
}

fn hidden(state: &Seen, prefix: &str, expected: &str) -> Vec<Judgement> {
    let gaps = state.gaps.iter().filter(|(own, _)| own.is_empty() || own.starts_with(prefix));
    let subject = |own: &str| match own.strip_prefix(prefix).map(|rest| rest.trim_end_matches(':')) {
        Some(name) if !name.is_empty() => name.to_owned(),
        Some(_) | None => "updates".to_owned(),
    };
    gaps.map(|(own, gap)| Judgement::unseen(gap, subject(own), expected)).collect()
}

fn lists_age(state: &Seen, most: Length, context: &Context<'_>) -> Judgement {
    let expected = format!("fetched within {most}");
    if let Some(gap) = state.gap_for("lists") {
        return Judgement::unseen(gap, "lists", expected);
    }
    let Some(Fact::Lists { count, fetched, .. }) = state.seen.get("lists") else {
        return Judgement::new(Status::Unknown, "lists", expected, "the lists were not looked at");
    };
    let Some(fetched) = fetched else {
        let observed = if *count == 0 { "no list is on the disk" } else { "nothing says when" };
        return Judgement::new(Status::Deviation, "lists", expected, observed);
    };
    Judgement::when(!is_older(context, *fetched, most), "lists", expected, format!("fetched {}", fetched.date_naive()))
}

fn upgraded_within(state: &Seen, most: Length, context: &Context<'_>) -> Judgement {
    let expected = format!("upgraded within {most}, or nothing is pending");
    let pending = state.seen.keys().any(|subject| subject.starts_with("update/"));
    let looked = matches!(state.seen.get("lists"), Some(Fact::Lists { count, .. }) if *count > 0);
    if !pending && looked && state.gap_for("update/").is_none() {
        return Judgement::new(Status::Pass, "upgraded", expected, "nothing is pending");
    }
    if let Some(gap) = state.gap_for("upgraded") {
        return Judgement::unseen(gap, "upgraded", expected);
    }
    let Some(Fact::Upgraded { on }) = state.seen.get("upgraded") else {
        return Judgement::new(Status::Unknown, "upgraded", expected, "no log tells of an upgrade");
    };
    let end = on.succ_opt().and_then(|day| day.and_hms_opt(0, 0, 0)).map(|end| end.and_utc());
    let late = end.is_some_and(|end| is_older(context, end, most));
    Judgement::when(!late, "upgraded", expected, format!("last upgraded {on}"))
}

fn is_older(context: &Context<'_>, at: chrono::DateTime<chrono::Utc>, most: Length) -> bool {
    let most = i64::try_from(most.milliseconds()).unwrap_or(i64::MAX);
    context.now.signed_duration_since(at).num_milliseconds() > most
}

fn automatic(items: &Observed<Automatic>) -> Judgement {
    let expected = "updates install themselves";
    if let Some((subject, automatic)) = items.seen.iter().find(|(_, automatic)| automatic.lacking.is_empty()) {
        let from =
            if automatic.origins.is_empty() { String::new() } else { format!(": {}", automatic.origins.join(", ")) };
        return Judgement::new(Status::Pass, subject.as_str(), expected, format!("on{from}"));
    }
    if let Some((prefix, gap)) = items.gaps.iter().next() {
        return Judgement::unseen(gap, if prefix.is_empty() { "automatic" } else { prefix }, expected);
    }
    match items.seen.iter().next() {
        Some((subject, automatic)) => {
            Judgement::new(Status::Deviation, subject.as_str(), expected, automatic.lacking.join(", "))
        }
        None => {
            let observed = "nothing that is known installs updates by itself";
            Judgement::new(Status::Deviation, "automatic", expected, observed)
        }
    }
}

fn reboot(state: &Seen, packages: Option<&Observed<Package>>) -> Judgement {
    let expected = "no reboot is pending";
    let judge = |status, observed: String| Judgement::new(status, "reboot", expected, observed);
    if let Some(gap) = state.gap_for("reboot") {
        return Judgement::unseen(gap, "reboot", expected);
    }
    if let Some(Fact::Reboot { packages, asked: true }) = state.seen.get("reboot") {
        let by = if packages.is_empty() { "a package".to_owned() } else { packages.join(", ") };
        return judge(Status::Deviation, format!("asked for by {by}"));
    }
    let Some(Fact::Kernel { release, version }) = state.seen.get("kernel") else {
        return judge(Status::Unknown, "the running kernel is not known".into());
    };
    let Some(packages) = packages else { return judge(Status::Unknown, "the packages were not looked at".into()) };
    if let Some(gap) = packages.whole_gap().or_else(|| packages.gaps.values().next()) {
        return Judgement::unseen(gap, "reboot", expected);
    }
    match newer_kernel(release, version, packages) {
        Some(newer) => judge(Status::Deviation, format!("{release} runs, {newer} is installed")),
        None => judge(Status::Pass, format!("{release} runs, nothing newer of its kind is installed")),
    }
}

/// The kernel that the next boot would bring, where it is another than the one that runs.
fn newer_kernel(release: &str, version: &str, packages: &Observed<Package>) -> Option<String> {
    let whole = packages.seen.values().filter(|package| package.state == State::Installed);
    let (mut newest, mut own): (Option<&str>, Option<&Package>) = (None, None);
    for package in whole {
        match package.manager {
            Manager::Dpkg => {
                let name = package.name.strip_prefix("linux-image-");
                let Some(image) = name.map(|name| name.strip_prefix("unsigned-").unwrap_or(name)) else { continue };
                if image == release {
                    own = Some(package);
                }
                let newer = |than: &str| DpkgVersion::parse(image).ok() > DpkgVersion::parse(than).ok();
                if flavour(image) == flavour(release) && newer(release) && newest.is_none_or(newer) {
                    newest = Some(image);
                }
            }
            Manager::Rpm if ["kernel-core", "kernel", "kernel-default"].contains(&package.name.as_str()) => {
                let installed = package.version.split_once(':').map_or(package.version.as_str(), |(_, rest)| rest);
                let running = release.strip_suffix(&format!(".{}", package.architecture)).unwrap_or(release);
                let running = running.strip_suffix("-default").unwrap_or(running);
                if RpmVersion::parse(installed) > RpmVersion::parse(running)
                    && !installed.starts_with(&format!("{running}."))
                {
                    return Some(package.version.clone());
                }
            }
            Manager::Rpm | Manager::Apk | Manager::Pacman | Manager::Snap | Manager::Flatpak => {}
        }
    }
    // Debian mends a kernel without giving it another release: then its own version tells.
    let mended =
        own.filter(|package| version.contains("Debian ") && !version.contains(&format!("Debian {} ", package.version)));
    newest.map(str::to_owned).or_else(|| mended.map(|package| format!("{} {}", package.name, package.version)))
}

/// `6.1.0-28-cloud-amd64`: what follows release and build, `cloud-amd64`.
fn flavour(release: &str) -> Option<&str> {
    let starts = release.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    release.splitn(3, '-').nth(2).filter(|_| starts)
}

fn database(state: &Seen, packages: Option<&Observed<Package>>) -> Vec<Judgement> {
    let expected = "whole";
    let Some(packages) = packages else {
        return vec![Judgement::new(Status::Unknown, "database", expected, "the packages were not looked at")];
    };
    let torn = |package: &Package| package.reinstall || !matches!(package.state, State::Installed | State::ConfigFiles);
    let torn: Vec<&str> =
        packages.seen.iter().filter(|(_, package)| torn(package)).map(|(subject, _)| subject.as_str()).collect();
    let mut judgements = Vec::new();
    if !torn.is_empty() {
        let more = if torn.len() > 5 { format!(" and {} more", torn.len() - 5) } else { String::new() };
        let named = torn.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let observed = format!("between two states: {named}{more}");
        judgements.push(Judgement::new(Status::Deviation, "database", expected, observed));
    }
    if let Some(Fact::Journal { files }) = state.seen.get("journal")
        && *files > 0
    {
        let observed = format!("dpkg was interrupted: {files} of its notes are not folded in");
        judgements.push(Judgement::new(Status::Deviation, "database", expected, observed));
    }
    let gap: Option<&Gap> = packages.gaps.values().next().or_else(|| state.gap_for("journal"));
    judgements.extend(gap.map(|gap| Judgement::unseen(gap, "database", expected)));
    if judgements.is_empty() {
        judgements.push(Judgement::new(
            Status::Pass,
            "database",
            expected,
            format!("{} packages", packages.seen.len()),
        ));
    }
    judgements
}

fn origins(state: &Seen, allowed: &[Pattern]) -> Vec<Judgement> {
    let expected = "from a repository that is listed";
    let (mut judgements, mut count) = (Vec::new(), 0);
    for (subject, fact) in &state.seen {
        let (Some(origin), Fact::Origin { packages }) = (subject.strip_prefix("origin/"), fact) else { continue };
        count += packages.len();
        if allowed.iter().any(|pattern| pattern.matches(origin)) {
            continue;
        }
        let observed = match origin {
            "local" => "offered by no list: installed by hand, or no longer offered".to_owned(),
            origin => format!("from {origin}"),
        };
        judgements.extend(
            packages
                .iter()
                .map(|package| Judgement::new(Status::Deviation, package.as_str(), expected, observed.clone())),
        );
    }
    let no_lists = matches!(state.seen.get("lists"), Some(Fact::Lists { count: 0, .. }));
    if no_lists {
        return vec![Judgement::new(
            Status::Unknown,
            "origins",
            expected,
            "no list of what is on offer is on the disk",
        )];
    }
    judgements.extend(hidden(state, "origin/", expected));
    if judgements.is_empty() {
        judgements.push(Judgement::new(Status::Pass, "origins", expected, format!("{count} packages, each of them")));
    }
    judgements
}
