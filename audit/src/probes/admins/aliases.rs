//! Aliases taken apart, bounded.
//!
//! Within a list the last match decides (sudoers(5)), so of equal members only the last counts. Dropping the others keeps
//! an expanded list no longer than the number of different members there are, however often aliases double each other.
//! Negating an alias turns each of its members round.

use std::collections::{BTreeMap, BTreeSet};

use super::grammar::{Listed, Member};
use super::token::AliasKind;

/// How deep aliases may hold aliases. Nobody writes ten.
const MAX_DEPTH: usize = 100;
/// The most bytes of members copied while expanding, over a whole policy.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Why aliases could not be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tangle {
    Cycle(String),
    TooDeep(String),
    TooMany,
}

impl Tangle {
    pub(super) fn why(&self) -> String {
        match self {
            Self::Cycle(name) => format!("the alias {name} holds itself"),
            Self::TooDeep(name) => format!("the alias {name} is nested deeper than {MAX_DEPTH}"),
            Self::TooMany => format!("the aliases expand to more than {MAX_BYTES} bytes"),
        }
    }
}

/// The aliases of a policy.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    defined: BTreeMap<(AliasKind, String), Vec<Listed>>,
    expanded: BTreeMap<(AliasKind, String), Result<Vec<Listed>, Tangle>>,
    open: BTreeSet<(AliasKind, String)>,
    spent: usize,
}

impl Aliases {
    /// Defines an alias; `false` if there is one of that name, which stays.
    pub(super) fn define(&mut self, kind: AliasKind, name: String, members: Vec<Listed>) -> bool {
        let key = (kind, name);
        let fresh = !self.defined.contains_key(&key);
        if fresh {
            self.defined.insert(key, members);
        }
        fresh
    }

    /// `list` without aliases, each member once. A user, host or run-as alias nobody defined is a name, as sudo takes it;
    /// such a command alias stays and allows nothing.
    pub(super) fn expand(&mut self, kind: AliasKind, list: &[Listed]) -> Result<Vec<Listed>, Tangle> {
        let mut flat = Vec::new();
        for listed in list {
            let Member::Alias(name) = &listed.member else {
                self.spend(std::slice::from_ref(listed))?;
                flat.push(listed.clone());
                continue;
            };
            match self.alias(kind, name)? {
                Some(members) => {
                    flat.extend(members.into_iter().map(|mut member| {
                        member.negated ^= listed.negated;
                        member
                    }));
                }
                None if kind == AliasKind::Command => flat.push(listed.clone()),
                None => {
                    let member = Member::Name(name.clone().into_bytes());
                    flat.push(Listed { member, ..listed.clone() });
                }
            }
        }
        Ok(last_of_each(flat))
    }

    fn spend(&mut self, members: &[Listed]) -> Result<(), Tangle> {
        self.spent = members.iter().map(weight).fold(self.spent.saturating_add(1), usize::saturating_add);
        if self.spent > MAX_BYTES { Err(Tangle::TooMany) } else { Ok(()) }
    }

    fn alias(&mut self, kind: AliasKind, name: &str) -> Result<Option<Vec<Listed>>, Tangle> {
        let key = (kind, name.to_owned());
        if let Some(known) = self.expanded.get(&key) {
            let weight = known.as_ref().map_or(0, |members| members.iter().map(weight).fold(1, usize::saturating_add));
            self.spent = self.spent.saturating_add(weight);
            return if self.spent > MAX_BYTES { Err(Tangle::TooMany) } else { known.clone().map(Some) };
        }
        let Some(members) = self.defined.get(&key).cloned() else { return Ok(None) };
        if self.open.contains(&key) {
            return Err(Tangle::Cycle(name.to_owned()));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Tangle::TooDeep(name.to_owned()));
        }
        self.spend(&members)?;
        self.open.insert(key.clone());
        let expanded = self.expand(kind, &members);
        self.open.remove(&key);
        self.expanded.insert(key, expanded.clone());
        expanded.map(Some)
    }
}

/// What a copy of `listed` costs, in bytes.
fn weight(listed: &Listed) -> usize {
    let member = match &listed.member {
        Member::All => 0,
        Member::Alias(name) => name.len(),
        Member::Name(name) | Member::Group(name) | Member::Netgroup(name) | Member::Network(name) => name.len(),
        Member::Command(path, arguments) => path.len() + arguments.as_ref().map_or(0, Vec::len),
    };
    16 + member + listed.digests.iter().map(String::len).sum::<usize>()
}

fn last_of_each(list: Vec<Listed>) -> Vec<Listed> {
    let mut seen: BTreeSet<(Member, Vec<String>)> = BTreeSet::new();
    let mut kept: Vec<Listed> = Vec::new();
    for listed in list.into_iter().rev() {
        if seen.insert((listed.member.clone(), listed.digests.clone())) {
            kept.push(listed);
        }
    }
    kept.reverse();
    kept
}
