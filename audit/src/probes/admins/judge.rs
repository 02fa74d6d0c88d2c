//! The answers to what a rule asks of administrators.
//!
//! Every answer is one about an item that is seen, plus an unknown for each part that could not be: what is hidden may
//! hold one administrator more, so *no others* never passes over a gap.

use std::collections::{BTreeMap, BTreeSet};

use super::expect::{Expect, NoPassword};
use super::power::{Power, Rights};
use super::say::{among, some};
use super::{Grant, Item, Setting, State, doas, groups, judge_polkit, say};
use crate::facts::Facts;
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind};
use crate::probe::Context;
use crate::probes::sshd::{self, Sshd, SshdFacts};

/// Judges.
pub(super) fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    if let Some(allowed) = &expect.only {
        only(allowed, facts, &mut judgements);
    }
    if let Some(allowed) = &expect.uid0 {
        let expected = among("accounts with uid 0", allowed);
        judge_part("uid0", &["uid0:", "directory:passwd"], &expected, uid0(allowed, facts), facts, &mut judgements);
    }
    if let Some(NoPassword(allowed)) = &expect.nopasswd {
        let expected = if allowed.is_empty() {
            "sudo always asks for a password".to_owned()
        } else {
            among("sudo without a password", allowed)
        };
        judge_part(
            "sudo",
            &["sudo:", "doas:", "directory:sudoers"],
            &expected,
            nopasswd(allowed, facts),
            facts,
            &mut judgements,
        );
    }
    if let Some(allowed) = &expect.amounts_to_root {
        amounts(allowed, facts, &mut judgements);
    }
    if let Some(allowed) = &expect.polkit {
        judge_polkit::judge(allowed, facts, &mut judgements);
    }
    for (group, allowed) in expect.group_members.iter().flatten() {
        members(group, allowed, facts, &mut judgements);
    }
    if let Some(allowed) = &expect.keys {
        keys(allowed, facts, context, &mut judgements);
    }
    if expect.key_files.is_some() {
        let expected = "keys of administrators can be changed by nobody else";
        files(
            ("keys", "sshd refuses it, if it is strict", "no administrator has keys"),
            expected,
            facts,
            &mut judgements,
        );
    }
    if expect.sudoers_files.is_some() {
        let expected = "sudo's and doas's files belong to root and nobody else can write them";
        files(("file", "it is refused", "there is no sudoers file"), expected, facts, &mut judgements);
    }
    judgements
}

/// What a part of the facts answers: who is right as it is, and what is not (subject, observed).
#[derive(Default)]
struct Answer {
    right: Vec<String>,
    wrong: Vec<(String, String)>,
}

impl Answer {
    fn add(&mut self, right: bool, who: &str, subject: &str, observed: String) {
        if right {
            self.right.push(who.to_owned());
        } else {
            self.wrong.push((subject.to_owned(), observed));
        }
    }
}

/// One deviation for each wrong subject, one unknown for each gap, and a pass where there is neither.
fn judge_part(
    part: &str,
    prefixes: &[&str],
    expected: &str,
    answer: Answer,
    facts: &Facts<Item, State>,
    judgements: &mut Vec<Judgement>,
) {
    let gaps: BTreeMap<&str, &Gap> = facts
        .items
        .gaps
        .iter()
        .filter(|(hidden, _)| {
            prefixes.iter().any(|prefix| hidden.starts_with(prefix) || prefix.starts_with(hidden.as_str()))
        })
        .map(|(hidden, gap)| (hidden.as_str(), gap))
        .collect();
    if gaps.is_empty() && answer.wrong.is_empty() {
        judgements.push(Judgement::new(Status::Pass, part, expected, some(&answer.right)));
    }
    for (hidden, gap) in gaps {
        let subject = match hidden.trim_end_matches(':') {
            "" => part,
            subject => subject,
        };
        judgements.push(Judgement::unseen(gap, subject, expected));
    }
    for (subject, observed) in answer.wrong {
        judgements.push(Judgement::new(Status::Deviation, subject, expected, observed));
    }
}

fn only(allowed: &BTreeSet<String>, facts: &Facts<Item, State>, judgements: &mut Vec<Judgement>) {
    let expected = among("administrators", allowed);
    let passwd = ["uid0:", "directory:passwd"];
    judge_part("uid0", &passwd, &expected, uid0(allowed, facts), facts, judgements);
    let groups = ["group:", "sudo-group:", "same-uid:", "directory:passwd", "directory:group"];
    judge_part("group", &groups, &expected, grouped(allowed, facts), facts, judgements);
    judge_part(
        "sudo",
        &["sudo:", "doas:", "directory:sudoers"],
        &expected,
        ruled(allowed, Power::Limited, facts),
        facts,
        judgements,
    );
}

fn uid0(allowed: &BTreeSet<String>, facts: &Facts<Item, State>) -> Answer {
    let mut answer = Answer::default();
    for (subject, item) in &facts.items.seen {
        if let (Item::Uid0 { .. }, Some(name)) = (item, subject.strip_prefix("uid0:")) {
            // Two lines of one name are never right.
            answer.add(allowed.contains(name), name, subject, format!("{name} has uid 0"));
        }
    }
    answer
}

/// Administrators by membership: of the administrative groups, and of those a rule lets become root.
fn grouped(allowed: &BTreeSet<String>, facts: &Facts<Item, State>) -> Answer {
    let mut answer = Answer::default();
    let powers = Rights::new(facts).all();
    for (subject, item) in &facts.items.seen {
        match item {
            Item::Member { .. } => {
                let mut parts = subject.splitn(3, ':');
                let (Some(prefix), Some(group), Some(member)) = (parts.next(), parts.next(), parts.next()) else {
                    continue;
                };
                let spellings = spellings(group, facts);
                let power = spellings.iter().filter_map(|spelling| powers.get(spelling.as_str())).max();
                let counts = power.is_some() || (prefix == "group" && groups::administers(group));
                if !counts {
                    continue;
                }
                let covered = allowed.contains(member) || spellings.iter().any(|spelling| allowed.contains(spelling));
                let by_sudo = power.map_or(String::new(), |power| format!(", {} by sudo", power.name()));
                let known = groups::of(group).filter(|_| prefix == "group");
                let can = known.map_or(String::new(), |known| format!(", which {}", known.why));
                answer.add(covered, member, subject, format!("{member} is a {} of {group}{can}{by_sudo}", say(item)));
            }
            Item::SameUid { of, .. } => {
                let Some(name) = subject.strip_prefix("same-uid:") else { continue };
                let administers = of.iter().any(|other| is_administrator(other, &powers, facts));
                if administers {
                    answer.add(allowed.contains(name), name, subject, format!("{name} {}", say(item)));
                }
            }
            Item::Uid0 { .. }
            | Item::Sudo { .. }
            | Item::Doas { .. }
            | Item::DoasOrder { .. }
            | Item::PolkitAdmins { .. }
            | Item::PolkitUnread { .. }
            | Item::Default { .. }
            | Item::Key { .. } => {}
        }
    }
    answer
}

fn is_administrator(user: &str, powers: &BTreeMap<String, Power>, facts: &Facts<Item, State>) -> bool {
    powers.contains_key(user)
        || groups::GROUPS
            .iter()
            .filter(|known| known.makes != groups::Makes::Watched)
            .any(|known| facts.items.seen.contains_key(&format!("group:{}:{user}", known.name)))
        || facts.items.seen.keys().any(|subject| {
            let rest = subject.strip_prefix("sudo-group:").or_else(|| subject.strip_prefix("group:"));
            let Some((group, member)) = rest.and_then(|rest| rest.split_once(':')) else { return false };
            member == user && spellings(group, facts).iter().any(|spelling| powers.contains_key(spelling.as_str()))
        })
}

/// How sudoers may write a group: by name and by each of its ids.
fn spellings(group: &str, facts: &Facts<Item, State>) -> Vec<String> {
    let mut all = vec![format!("%{group}")];
    if let Some(State::Group { gids }) = facts.state.seen.get(&format!("group:{group}")) {
        all.extend(gids.iter().map(|gid| format!("%#{gid}")));
    }
    all
}

/// Administrators by the rules themselves: every WHO must be listed as written; `#1000` also by the name it means.
fn ruled(allowed: &BTreeSet<String>, least: Power, facts: &Facts<Item, State>) -> Answer {
    let mut answer = Answer::default();
    let rights = Rights::new(facts);
    for (subject, item) in &facts.items.seen {
        let Some(who) = &Rights::who(item) else { continue };
        let Some(power) = rights.power(item).filter(|power| *power >= least) else { continue };
        let mut covered = allowed.contains(who);
        let mut meaning = String::new();
        if let Some(uid) = who.strip_prefix('#')
            && let Some(State::Uid { names }) = facts.state.seen.get(&format!("uid:{uid}"))
        {
            covered |= !names.is_empty() && names.iter().all(|name| allowed.contains(name));
            meaning = format!(" ({})", some(names));
        }
        if who.starts_with('%') && !covered {
            let known = group_spelled(who, facts);
            covered |= known.iter().any(|group| spellings(group, facts).iter().any(|other| allowed.contains(other)));
            let members: Vec<String> = known.iter().flat_map(|group| members_of(group, facts)).collect();
            meaning = format!(" (members: {})", some(&members));
        }
        answer.add(covered, who, subject, format!("{who}{meaning} may run, {}: {}", power.name(), say(item)));
    }
    answer
}

/// Rules that let run anything as root, or what amounts to it.
fn amounts(allowed: &BTreeSet<String>, facts: &Facts<Item, State>, judgements: &mut Vec<Judgement>) {
    let expected = among("sudo rules that amount to root", allowed);
    let least = Power::Amounts(String::new());
    judge_part(
        "sudo",
        &["sudo:", "doas:", "directory:sudoers"],
        &expected,
        ruled(allowed, least, facts),
        facts,
        judgements,
    );
    for (subject, gap) in facts.state.gaps.iter().filter(|(subject, _)| subject.starts_with("command:")) {
        judgements.push(Judgement::unseen(gap, subject, &*expected));
    }
}

/// The groups a WHO means.
fn group_spelled(who: &str, facts: &Facts<Item, State>) -> Vec<String> {
    let groups = facts.state.seen.keys().filter_map(|subject| subject.strip_prefix("group:"));
    groups.filter(|group| spellings(group, facts).iter().any(|spelling| spelling == who)).map(str::to_owned).collect()
}

fn members_of(group: &str, facts: &Facts<Item, State>) -> Vec<String> {
    let prefixes = [format!("group:{group}:"), format!("sudo-group:{group}:")];
    let names = facts.items.seen.keys().filter_map(|subject| {
        prefixes.iter().find_map(|prefix| subject.strip_prefix(prefix.as_str())).map(str::to_owned)
    });
    names.collect()
}

fn nopasswd(allowed: &BTreeSet<String>, facts: &Facts<Item, State>) -> Answer {
    let mut answer = Answer::default();
    for (subject, item) in &facts.items.seen {
        match item {
            // sudo never asks root.
            Item::Sudo { who, grants, .. } if who != "root" && who != "#0" && !who.starts_with('!') => {
                let free = |grant: &&Grant| !grant.denied && grant.tags.iter().any(|tag| tag == "NOPASSWD");
                let free: Vec<Grant> = grants.iter().filter(free).cloned().collect();
                if !free.is_empty() {
                    answer.add(allowed.contains(who), who, subject, format!("{who}: {}", say(item)));
                }
            }
            Item::Default { scope, name, settings } if name == "authenticate" => {
                if settings.last() == Some(&Setting::Off) {
                    let bound: Vec<&str> =
                        scope.strip_prefix(':').map_or(Vec::new(), |users| users.split(',').collect());
                    let covered = !bound.is_empty() && bound.iter().all(|who| allowed.contains(*who));
                    answer.add(covered, scope, subject, format!("Defaults{scope} !authenticate"));
                }
            }
            Item::Default { scope, name, settings } if name == "exempt_group" => {
                for setting in settings {
                    if let Setting::Is(group) = setting {
                        let who = format!("%{group}");
                        answer.add(
                            allowed.contains(&who),
                            &who,
                            subject,
                            format!("Defaults{scope} exempt_group={group}"),
                        );
                    }
                }
            }
            Item::Doas { who, rules } if who != "root" && who != "0" => {
                let who = doas::in_sudo(who);
                if doas::permits(rules).iter().any(|rule| rule.options.contains("nopass")) {
                    answer.add(allowed.contains(&who), &who, subject, format!("{who} by doas: {}", say(item)));
                }
            }
            Item::Sudo { .. }
            | Item::Doas { .. }
            | Item::DoasOrder { .. }
            | Item::PolkitAdmins { .. }
            | Item::PolkitUnread { .. }
            | Item::Default { .. }
            | Item::Uid0 { .. }
            | Item::Member { .. }
            | Item::SameUid { .. }
            | Item::Key { .. } => {}
        }
    }
    answer
}

fn members(group: &str, allowed: &BTreeSet<String>, facts: &Facts<Item, State>, judgements: &mut Vec<Judgement>) {
    let expected = among(&format!("members of {group}"), allowed);
    let part = format!("group:{group}");
    let watched = groups::of(group).is_some();
    if !watched && !facts.state.seen.contains_key(&part) {
        let why = "not observed: neither an administrative group nor named by a sudo rule";
        let gap = Gap::new(GapKind::Undeclared, part.clone(), why);
        judgements.push(Judgement::unseen(&gap, part, expected));
        return;
    }
    let mut answer = Answer::default();
    for (subject, item) in &facts.items.seen {
        let member = ["group:", "sudo-group:"]
            .into_iter()
            .find_map(|prefix| subject.strip_prefix(prefix)?.strip_prefix(group)?.strip_prefix(':'));
        if let (Item::Member { .. }, Some(member)) = (item, member) {
            answer.add(allowed.contains(member), member, subject, format!("{member} is a {} of {group}", say(item)));
        }
    }
    let own = if watched { "group:" } else { "sudo-group:" };
    judge_part(&part, &[own, "directory:passwd", "directory:group"], &expected, answer, facts, judgements);
}

/// The keys of administrators, by fingerprint. Where sshd is told to look elsewhere, there may be others.
fn keys(
    allowed: &BTreeMap<String, BTreeSet<String>>,
    facts: &Facts<Item, State>,
    context: &Context<'_>,
    judgements: &mut Vec<Judgement>,
) {
    let expected = "keys that log in as an administrator: those listed and no others";
    let mut answer = Answer::default();
    for (subject, item) in &facts.items.seen {
        let parts = subject.strip_prefix("key:").and_then(|rest| rest.split_once(':'));
        if let (Item::Key { .. }, Some((user, fingerprint))) = (item, parts) {
            let plain = fingerprint.trim_end_matches('+');
            let listed = allowed.get(user).is_some_and(|keys| keys.contains(plain));
            answer.add(listed, user, subject, format!("{user} can log in by {plain}, {}", say(item)));
        }
    }
    let elsewhere = match context.facts.of::<Sshd>() {
        Some(sshd) => keys_elsewhere(sshd),
        None => Some("where sshd looks for keys is not known".to_owned()),
    };
    let homes = facts.state.gaps.iter().filter(|(hidden, _)| hidden.is_empty() || hidden.starts_with("keys:"));
    let unseen: Vec<String> = homes.map(|(_, gap)| gap.to_string()).chain(elsewhere).collect();
    if unseen.is_empty() || !answer.wrong.is_empty() {
        judge_part("keys", &["key:"], expected, answer, facts, judgements);
    }
    for why in unseen {
        judgements.push(Judgement::new(Status::Unknown, "keys elsewhere", expected, why));
    }
}

/// Whether sshd takes keys from anywhere but the files that are looked at.
fn keys_elsewhere(sshd: &SshdFacts) -> Option<String> {
    if let Some(gap) = sshd.items.gap_for("set:authorizedkeysfile") {
        return Some(format!("where sshd looks for keys is not known: {gap}"));
    }
    let told = |keyword: &str, values: &[String]| {
        let other = match keyword {
            "authorizedkeysfile" => values.iter().any(|file| {
                let file = file.strip_prefix("%h/").unwrap_or(file);
                file != "none" && !super::keys::FILES.contains(&file)
            }),
            "authorizedkeyscommand" | "trustedusercakeys" => values.iter().any(|value| value != "none"),
            _ => false,
        };
        other.then(|| format!("sshd also takes keys by {keyword} {}", values.join(" ")))
    };
    sshd.items.seen.iter().find_map(|(subject, item)| match item {
        sshd::Item::Setting { values, .. } => told(subject.strip_prefix("set:")?, values),
        sshd::Item::Match { settings, .. } => settings.iter().find_map(|(keyword, values)| told(keyword, values)),
        sshd::Item::Order { .. } | sshd::Item::Options { .. } => None,
    })
}

/// The files of one kind: the prefix of their subjects, what a refusal means, and what is said where there are none.
fn files(
    (prefix, refusal, none): (&str, &str, &str),
    expected: &str,
    facts: &Facts<Item, State>,
    judgements: &mut Vec<Judgement>,
) {
    let mut sound = Vec::new();
    let mut all_sound = true;
    for (subject, state) in &facts.state.seen {
        let path = subject.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(':'));
        let (State::File { uid, gid, mode, refused }, Some(path)) = (state, path) else {
            continue;
        };
        match refused {
            None => sound.push(path.to_owned()),
            Some(why) => {
                all_sound = false;
                let observed = format!("{why}: uid {uid}, gid {gid}, mode {mode}; {refusal}");
                judgements.push(Judgement::new(Status::Deviation, subject.clone(), expected, observed));
            }
        }
    }
    let part = format!("{prefix}:");
    let hides = |hidden: &str| part.starts_with(hidden) || hidden.starts_with(&part);
    let hidden = facts.state.gaps.iter().find(|(hidden, _)| hides(hidden));
    if let Some((_, gap)) = hidden {
        judgements.push(Judgement::unseen(gap, prefix, expected));
    } else if all_sound && sound.is_empty() {
        judgements.push(Judgement::new(Status::NotApplicable, prefix, expected, none));
    } else if all_sound {
        judgements.push(Judgement::new(Status::Pass, prefix, expected, some(&sound)));
    }
}
