//! How much a sudo rule allows as root: anything, the commands it names, or nothing.
//!
//! Where it cannot be known (a group or netgroup in a run-as list may hold root) the rule is taken to reach root.

use std::collections::BTreeMap;

use super::{ADMINISTRATIVE, Grant, Item, State};
use crate::facts::Facts;

/// How much a rule allows as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Power {
    /// Only the commands it names.
    Limited,
    /// Anything.
    Full,
}

impl Power {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Full => "full",
        }
    }
}

/// What each WHO of the rules may do as root.
pub(super) fn powers(facts: &Facts<Item, State>) -> BTreeMap<&str, Power> {
    let mut powers: BTreeMap<&str, Power> = BTreeMap::new();
    for item in facts.items.seen.values() {
        if let Item::Sudo { who, .. } = item
            && let Some(power) = power(item, facts)
        {
            let known = powers.entry(who).or_insert(power);
            *known = power.max(*known);
        }
    }
    powers
}

/// What a rule allows as root, if anything.
pub(super) fn power(item: &Item, facts: &Facts<Item, State>) -> Option<Power> {
    let Item::Sudo { who, as_users, as_groups, grants, .. } = item else { return None };
    if who.starts_with('!') || !(reaches_root(as_users, facts) || as_groups.iter().any(|group| group_is_root(group))) {
        return None;
    }
    let allowed = grants.iter().filter(|grant| !grant.denied && !is_undefined_alias(grant));
    allowed.map(|grant| if grant.command == "ALL" { Power::Full } else { Power::Limited }).max()
}

/// A command alias nobody defined allows nothing; a command begins with a slash or a caret, or is sudo's own.
fn is_undefined_alias(grant: &Grant) -> bool {
    grant.command != "ALL" && grant.command.starts_with(|first: char| first.is_ascii_uppercase())
}

/// Whether root is among the users a list allows to run as. A group or netgroup may hold root; a user who is known here and
/// is not uid 0 is not root.
fn reaches_root(users: &[String], facts: &Facts<Item, State>) -> bool {
    for user in users.iter().rev() {
        let (negated, name) = user.strip_prefix('!').map_or((false, user.as_str()), |name| (true, name));
        let uid0 = name == "ALL"
            || name == "root"
            || name.strip_prefix('#').is_some_and(|uid| uid.parse::<u32>() == Ok(0))
            || facts.items.seen.contains_key(&format!("uid0:{name}"));
        let perhaps = name.starts_with(['%', '+']) || facts.items.gap_for("uid0:").is_some();
        if uid0 && negated {
            // `(ALL, !root)` keeps root out by that name only: another account with uid 0 would be let in.
            return name != "ALL" && name != "#0" && users.iter().any(|user| user == "ALL") && other_root(facts);
        }
        if (uid0 || perhaps) && !negated {
            return true;
        }
    }
    false
}

fn other_root(facts: &Facts<Item, State>) -> bool {
    facts.items.seen.keys().filter(|subject| subject.starts_with("uid0:")).count() > 1
        || facts.items.gap_for("uid0:").is_some()
}

fn group_is_root(group: &str) -> bool {
    let own = |name: &str| name == "ALL" || name == "root" || name == "#0" || ADMINISTRATIVE.contains(&name);
    !group.starts_with('!') && (own(group) || group.starts_with('#'))
}
