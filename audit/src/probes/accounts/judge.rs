//! The answers to what a rule asks of accounts: one about each that is wrong, or one pass; and an unknown for what is hidden.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::expect::{Expect, PolicyBounds};
use super::shadow::{Password, Status as Usable};
use super::{AccountFacts, Item, State};
use crate::change::Pattern;
use crate::finding::{Judgement, Status};

/// Shells that let nobody in: shells(5) is a list of valid ones, and these are not among them or do one thing.
const NO_LOGIN: [&str; 7] = ["nologin", "false", "true", "sync", "shutdown", "halt", "null"];

/// Judges.
pub(super) fn judge(expect: &Expect, facts: &AccountFacts, today: NaiveDate) -> Vec<Judgement> {
    let judge = Judge { facts, users: users(facts), today };
    let mut told = Vec::new();
    let among = |patterns: &[Pattern]| patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ");
    if let Some(allowed) = &expect.only {
        let expected = format!("people's accounts: {} and no others", among(allowed));
        judge.say("people", &["user:", "policy:", "directory:passwd"], &expected, judge.people(allowed), &mut told);
    }
    if let Some(forbidden) = &expect.forbidden {
        let named = |user: &User<'_>| matches(forbidden, user.name).then(|| "is there".to_owned());
        let expected = format!("no account {}", among(forbidden));
        judge.say("accounts", &["user:", "directory:passwd"], &expected, judge.each("user", named), &mut told);
    }
    if expect.empty_passwords.is_some() {
        let empty = |user: &User<'_>| {
            let asks = judge.password(user).is_some_and(|password| password.status == Usable::Empty);
            asks.then(|| "asks for no password".to_owned())
        };
        let expected = "every account asks for a password";
        judge.say("passwords", &["user:", "password:"], expected, judge.each("password", empty), &mut told);
    }
    if expect.unique == Some(true) {
        judge.say(
            "ids",
            &["user:", "group:", "directory:"],
            "names and ids of accounts and groups are unique",
            judge.twice(),
            &mut told,
        );
    }
    if let Some(allowed) = &expect.system_shells {
        let expected = match allowed.is_empty() {
            true => "no system account has a login shell".to_owned(),
            false => format!("no system account but {} has a login shell", among(allowed)),
        };
        judge.say("system accounts", &["user:", "policy:"], &expected, judge.shells(allowed), &mut told);
    }
    if let Some(hashes) = &expect.hashes {
        let weak = |user: &User<'_>| {
            let password = judge.usable(user)?;
            let by = password.algorithm.as_deref()?;
            (!hashes.iter().any(|known| known == by)).then(|| format!("kept by {by}"))
        };
        let expected = format!("passwords are kept by {}", hashes.join(" or "));
        judge.say("passwords", &["user:", "password:"], &expected, judge.each("password", weak), &mut told);
    }
    if let Some(expire) = &expect.expire {
        let never = |user: &User<'_>| {
            let expires = judge.password(user).is_some_and(|password| password.expires.is_some());
            (matches(expire, user.name) && !expires).then(|| "never expires".to_owned())
        };
        let expected = format!("{} have a day on which they expire", among(expire));
        judge.say("expiry", &["user:", "password:"], &expected, judge.each("password", never), &mut told);
    }
    if let Some(most) = expect.max_password_age {
        let days = i64::try_from(most.milliseconds() / 86_400_000).unwrap_or(i64::MAX);
        let expected = format!("passwords are changed within {days} days");
        let old = |user: &User<'_>| judge.old(user, days);
        let parts = ["user:", "password:"];
        judge.say("password ages", &parts, &expected, judge.each("password", old), &mut told);
        for (prefix, gap) in &facts.state.gaps {
            if prefix.is_empty() || prefix == "changed:" {
                told.push(Judgement::unseen(gap, "password ages", expected.clone()));
            }
        }
    }
    if expect.homes.is_some() {
        judge.homes(&mut told);
    }
    for (key, bounds) in expect.policy.iter().flatten() {
        told.push(judge.policy(key, bounds));
    }
    for module in expect.pam.iter().flatten() {
        told.push(judge.module(module));
    }
    told
}

struct User<'a> {
    /// As in the subject.
    name: &'a str,
    uid: u32,
    shell: &'a str,
}

fn users(facts: &AccountFacts) -> Vec<User<'_>> {
    let mut found = Vec::new();
    for (subject, item) in &facts.items.seen {
        if let (Item::User { uid, shell, .. }, Some(name)) = (item, subject.strip_prefix("user:")) {
            found.push(User { name, uid: *uid, shell });
        }
    }
    found
}

fn matches(patterns: &[Pattern], name: &str) -> bool {
    let name = name.trim_end_matches('+');
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// Subjects with what is wrong about them.
type Wrong = Vec<(String, String)>;

struct Judge<'a> {
    facts: &'a AccountFacts,
    users: Vec<User<'a>>,
    today: NaiveDate,
}

impl Judge<'_> {
    /// Says what is wrong, what is hidden, or that all is well.
    fn say(&self, about: &str, parts: &[&str], expected: &str, wrong: Wrong, told: &mut Vec<Judgement>) {
        let before = told.len();
        for (subject, observed) in wrong {
            told.push(Judgement::new(Status::Deviation, subject, expected, observed));
        }
        for (prefix, gap) in &self.facts.items.gaps {
            if parts.iter().any(|part| prefix.starts_with(part) || part.starts_with(prefix.as_str())) {
                told.push(Judgement::unseen(gap, format!("{about} ({prefix})"), expected));
            }
        }
        if told.len() == before {
            told.push(Judgement::new(Status::Pass, about, expected, "so it is"));
        }
    }

    fn each(&self, prefix: &str, wrong: impl Fn(&User<'_>) -> Option<String>) -> Wrong {
        self.users.iter().filter_map(|user| Some((format!("{prefix}:{}", user.name), wrong(user)?))).collect()
    }

    fn password(&self, user: &User<'_>) -> Option<&Password> {
        match self.facts.items.seen.get(&format!("password:{}", user.name)) {
            Some(Item::Password(password)) => Some(password),
            Some(Item::User { .. } | Item::Group { .. } | Item::Policy { .. } | Item::Pam { .. }) | None => None,
        }
    }

    /// The password of an account that has one and has not expired.
    fn usable(&self, user: &User<'_>) -> Option<&Password> {
        let password = self.password(user)?;
        let expired = password.expires.is_some_and(|day| day <= self.today);
        (password.status == Usable::Set && !expired).then_some(password)
    }

    fn setting(&self, key: &str) -> Option<&str> {
        match self.facts.items.seen.get(&format!("policy:{key}")) {
            Some(Item::Policy { value }) => Some(value),
            Some(Item::User { .. } | Item::Password(_) | Item::Group { .. } | Item::Pam { .. }) | None => None,
        }
    }

    fn number(&self, key: &str, otherwise: u32) -> u32 {
        self.setting(key).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }

    fn people(&self, allowed: &[Pattern]) -> Wrong {
        let range = self.number("UID_MIN", 1000)..=self.number("UID_MAX", 60_000);
        let other = |user: &User<'_>| {
            (range.contains(&user.uid) && !matches(allowed, user.name))
                .then(|| format!("uid {}, shell {}", user.uid, user.shell))
        };
        self.each("user", other)
    }

    fn shells(&self, allowed: &[Pattern]) -> Wrong {
        let people = self.number("UID_MIN", 1000);
        let login = |user: &User<'_>| {
            let program = user.shell.rsplit('/').next().unwrap_or_default();
            let open = user.uid != 0 && user.uid < people && !NO_LOGIN.contains(&program);
            let shell = if user.shell.is_empty() { "/bin/sh" } else { user.shell };
            (open && !matches(allowed, user.name)).then(|| format!("shell {shell}"))
        };
        self.each("user", login)
    }

    fn old(&self, user: &User<'_>, days: i64) -> Option<String> {
        let password = self.usable(user)?;
        if password.max_days.is_none_or(|most| most > days) {
            let said = password.max_days.map_or("never".to_owned(), |most| format!("after {most} days"));
            return Some(format!("must be changed {said}"));
        }
        match self.facts.state.seen.get(&format!("changed:{}", user.name)) {
            Some(State::Changed { on }) if (self.today - *on).num_days() > days => {
                Some(format!("last changed on {on}"))
            }
            Some(State::Changed { .. } | State::Home { .. }) | None => None,
        }
    }

    /// What is there more than once.
    fn twice(&self) -> Wrong {
        let mut wrong = Wrong::new();
        let mut by_id: BTreeMap<(&str, u32), Vec<&str>> = BTreeMap::new();
        for (subject, item) in &self.facts.items.seen {
            let id = match item {
                Item::User { uid, .. } => ("uid", *uid),
                Item::Group { gid } => ("gid", *gid),
                Item::Password(_) | Item::Policy { .. } | Item::Pam { .. } => continue,
            };
            if subject.ends_with('+') {
                wrong.push((subject.clone(), "is the name of another line too".into()));
            }
            by_id.entry(id).or_default().push(subject);
        }
        for ((kind, id), subjects) in by_id {
            if let [_, _, ..] = subjects.as_slice() {
                wrong.push((format!("{kind}:{id}"), format!("belongs to {}", subjects.join(", "))));
            }
        }
        wrong
    }

    fn homes(&self, told: &mut Vec<Judgement>) {
        let expected = "people's homes are their own, and nobody else can write them";
        let people = self.number("UID_MIN", 1000);
        let mut wrong = Wrong::new();
        for user in &self.users {
            let subject = format!("home:{}", user.name);
            if let Some(State::Home { uid, mode, .. }) = self.facts.state.seen.get(&subject)
                && (user.uid == 0 || user.uid >= people)
            {
                let bits = u32::from_str_radix(mode, 8).unwrap_or(0o777);
                if *uid != user.uid {
                    wrong.push((subject, format!("belongs to uid {uid}, not to {}", user.uid)));
                } else if bits & 0o022 != 0 {
                    wrong.push((subject, format!("mode {mode}")));
                }
            }
        }
        for (prefix, gap) in &self.facts.state.gaps {
            if prefix.is_empty() || prefix.starts_with("home:") {
                told.push(Judgement::unseen(gap, "homes", expected));
            }
        }
        if wrong.is_empty() && told.iter().any(|judgement| judgement.subject == "homes") {
            return;
        }
        self.say("homes", &["user:", "policy:"], expected, wrong, told);
    }

    fn policy(&self, key: &str, bounds: &PolicyBounds) -> Judgement {
        let subject = format!("policy:{key}");
        let PolicyBounds { at_most, at_least, one_of } = bounds;
        let said = [
            at_most.map(|most| format!("at most {most}")),
            at_least.map(|least| format!("at least {least}")),
            one_of.as_ref().map(|words| format!("one of {}", words.join(", "))),
        ];
        let expected = said.into_iter().flatten().collect::<Vec<_>>().join(", ");
        if let Some(gap) = self.facts.items.gap_for(&subject) {
            return Judgement::unseen(gap, subject, expected);
        }
        let Some(value) = self.setting(key) else {
            return Judgement::new(Status::Deviation, subject, expected, "not set in login.defs");
        };
        let number = value.parse::<i64>().ok();
        let holds = at_most.is_none_or(|most| number.is_some_and(|number| (0..=most).contains(&number)))
            && at_least.is_none_or(|least| number.is_some_and(|number| number >= least))
            && one_of.as_ref().is_none_or(|words| words.iter().any(|word| word == value));
        Judgement::when(holds, subject, expected, value)
    }

    fn module(&self, module: &str) -> Judgement {
        let ending = format!(":{module}");
        let mut files = Vec::new();
        for subject in self.facts.items.seen.keys() {
            if let Some(file) = subject.strip_prefix("pam:").and_then(|rest| rest.strip_suffix(&ending)) {
                files.push(file);
            }
        }
        let expected = format!("{module} is used");
        if files.is_empty()
            && let Some((_, gap)) =
                self.facts.items.gaps.iter().find(|(prefix, _)| prefix.is_empty() || prefix.starts_with("pam:"))
        {
            return Judgement::unseen(gap, format!("pam:{module}"), expected);
        }
        let observed = if files.is_empty() { "by no file".to_owned() } else { format!("by {}", files.join(", ")) };
        Judgement::when(!files.is_empty(), format!("pam:{module}"), expected, observed)
    }
}
