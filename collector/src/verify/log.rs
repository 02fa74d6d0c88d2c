//! The log of who did what: whether an act is missing, altered or elsewhere in its order; and what it says of hosts and
//! accounts, against which their rows are held.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Found;
use crate::error::Refusal;
use crate::store::audit_log::Act;
use crate::store::hosts::{Host, State};
use crate::store::{Conn, accounts, audit_log, evidence};

/// What is looked up in the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// `change new`, by record.
    pub(super) asked: BTreeMap<String, Act>,
    /// `change approve`, by record and account.
    pub(super) approved: BTreeMap<(String, String), Act>,
    /// `user add`, by account.
    pub(super) accounts: BTreeMap<String, Act>,
    /// `enrol`, `inspect` and `quarantine`, by host, in their order.
    pub(super) hosts: BTreeMap<String, Vec<Act>>,
}

impl Log {
    fn take(&mut self, act: Act) {
        match act.did.as_str() {
            "change new" => drop(self.asked.insert(act.what.clone(), act)),
            "change approve" => drop(self.approved.insert((act.what.clone(), act.who.clone()), act)),
            "user add" => drop(self.accounts.insert(act.what.clone(), act)),
            "enrol" | "inspect" | "quarantine" => self.hosts.entry(act.what.clone()).or_default().push(act),
            _ => {}
        }
    }

    /// When somebody inspected a host.
    pub(super) fn inspections(&self, host: &str) -> impl Iterator<Item = &Act> {
        self.hosts.get(host).into_iter().flatten().filter(|act| act.did == "inspect")
    }
}

/// Reads the log, and holds it against itself; then accounts against it.
pub(super) async fn check(db: &mut Conn, acts: &mut Log, head: Option<&str>, found: &mut Found) -> Result<(), Refusal> {
    let (mut last, mut link): (i64, Option<String>) = (0, None);
    let mut is_head_there = false;
    loop {
        let page = audit_log::from(db, last, 500).await?;
        if page.is_empty() {
            break;
        }
        for (seq, act, own) in page {
            found.checked.acts += 1;
            found.at("acts", found.checked.acts);
            if seq != last + 1 {
                let missing = if seq == last + 2 {
                    format!("act {}", last + 1)
                } else {
                    format!("acts {} to {}", last + 1, seq - 1)
                };
                found.wrong(format!("the log, {missing}"), "is not here: deleted");
            }
            match (&own, &link) {
                (Some(own), _) if act.link(link.as_deref())?.to_string() == *own => {}
                (None, None) => {}
                _ => found.wrong(
                    format!("the log, act {seq} ({} {} {})", act.who, act.did, act.what),
                    "does not follow from the act before it: one of them was altered, or stood elsewhere",
                ),
            }
            is_head_there |= own.is_some() && own.as_deref() == head;
            (last, link) = (seq, own);
            acts.take(act);
        }
    }
    let (given, _) = evidence::numbers(db, "audit_log").await?;
    if given > last {
        found.wrong(format!("the log, acts {} to {given}", last + 1), "are not here: deleted at its end");
    }
    if let Some(head) = head.filter(|_| !is_head_there) {
        found.wrong("the log", format!("once ended with {head}, which is not in it: it was cut, or written anew"));
    }
    found.head = link;
    accounts(db, acts, found).await
}

/// Accounts against what the log says of their making.
async fn accounts(db: &mut Conn, acts: &Log, found: &mut Found) -> Result<(), Refusal> {
    let hashes: BTreeMap<String, String> = evidence::token_hashes(db).await?.into_iter().collect();
    for account in accounts::list(db).await? {
        found.checked.accounts += 1;
        let what = format!("account {}", account.name);
        let Some(act) = acts.accounts.get(&account.name) else {
            found.wrong(what, "the log does not say that it was made");
            continue;
        };
        if act.at != account.created {
            found.wrong(what.clone(), "was made at another time than the log says");
        }
        let (roles, token) = act.detail.rsplit_once(" (").unwrap_or((&act.detail, ""));
        let mut stated: Vec<&str> = roles.split(", ").filter(|role| !role.is_empty()).collect();
        let mut own: Vec<&str> = account.roles.iter().map(|role| role.name()).collect();
        stated.sort_unstable();
        own.sort_unstable();
        if token.is_empty() {
            found.notes.push(format!("{what} was made before the log said by which token and roles"));
            continue;
        }
        if stated != own {
            found.wrong(what.clone(), format!("has the roles {own:?}; it was given {stated:?}"));
        }
        let hash = hashes.get(&account.name).map(String::as_str).unwrap_or_default();
        if accounts::token_words(hash) != token.trim_end_matches(')') {
            found.wrong(what, "is opened by another token than it was made with");
        }
    }
    for name in acts.accounts.keys().filter(|name| !hashes.contains_key(*name)) {
        found.wrong(format!("account {name}"), "the log says that it was made, and it is not here");
    }
    Ok(())
}

/// A host's row against what the log says was done with it.
pub(super) fn host(acts: &Log, host: &Host, found: &mut Found) {
    let what = format!("host {} ({})", host.name, host.id);
    let mut state = None;
    let mut inspected: Option<(DateTime<Utc>, &str)> = None;
    for act in acts.hosts.get(host.id.as_str()).into_iter().flatten() {
        match act.did.as_str() {
            "enrol" => {
                state = Some(State::Pending);
                if act.at != host.enrolled || act.detail != format!("{} in {}", host.name, host.environment) {
                    found.wrong(
                        what.clone(),
                        format!("enrolled otherwise than it stands here: {} says the log", act.detail),
                    );
                }
            }
            "inspect" => {
                state = Some(State::Active);
                inspected = Some((act.at, &act.who));
            }
            _ => state = Some(State::Quarantined),
        }
    }
    match state {
        None => found.wrong(what.clone(), "the log does not say that it enrolled"),
        Some(state) if state != host.state => {
            found.wrong(what.clone(), format!("is {}; by the log it is {}", host.state.name(), state.name()));
        }
        Some(_) => {}
    }
    if inspected != host.inspected.zip(host.inspected_by.as_deref()) {
        found.wrong(what, "was inspected by somebody else, or at another time, than the log says");
    }
}
