//! A policy into configuration items: who may do what, aliases taken apart.
//!
//! One item is everything one user, group or netgroup may do on one list of hosts as one list of users, in the order the
//! policy says it, because the last match decides. So one edited rule is one drift for each person it concerns.

use std::collections::{BTreeMap, BTreeSet};

use super::aliases::Tangle;
use super::grammar::{Assigned, How, Listed, Member, Privilege, RunAs, Spec};
use super::policy::Policy;
use super::text::{list, listed, member, part, text};
use super::token::{AliasKind, Scope};
use super::{Grant, Item, Setting};
use crate::facts::Observed;
use crate::host::{Gap, GapKind};

/// The most bytes of items: lists of users times lists of commands can be many.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The items of `policy` under `sudo:`, and its gaps. Returns the groups the rules name, `%` and all.
pub(super) fn items(policy: &mut Policy, items: &mut Observed<Item>) -> BTreeSet<Vec<u8>> {
    let mut maker = Maker { items: BTreeMap::new(), groups: BTreeSet::new(), bytes: 0 };
    let mut gaps = std::mem::take(&mut policy.gaps);
    let mut tangled = |result: Result<(), Tangle>| {
        if let Err(tangle) = result {
            gaps.push(Gap::new(GapKind::Malformed, "/etc/sudoers", tangle.why()));
        }
    };
    for (users, privileges) in std::mem::take(&mut policy.rules) {
        tangled(maker.rule(policy, &users, &privileges));
    }
    for (scope, bound, settings) in std::mem::take(&mut policy.defaults) {
        tangled(maker.defaults(policy, scope, &bound, &settings));
    }
    if maker.bytes > MAX_BYTES {
        gaps.push(Gap::new(
            GapKind::TooLarge,
            "/etc/sudoers",
            format!("its rules expand to more than {MAX_BYTES} bytes"),
        ));
    }
    if let Some(gap) = together(gaps) {
        items.hide("sudo:", gap);
    }
    items.seen.extend(maker.items);
    maker.groups
}

/// One gap for several: the first, saying how many more there are.
pub(in crate::probes) fn together(gaps: Vec<Gap>) -> Option<Gap> {
    let more = gaps.len().saturating_sub(1);
    let mut first = gaps.into_iter().next()?;
    if more > 0 {
        first.detail = format!("{} (and {more} more)", first.detail);
    }
    Some(first)
}

struct Maker {
    items: BTreeMap<String, Item>,
    groups: BTreeSet<Vec<u8>>,
    bytes: usize,
}

impl Maker {
    fn rule(&mut self, policy: &mut Policy, users: &[Listed], privileges: &[Privilege]) -> Result<(), Tangle> {
        let users = policy.aliases.expand(AliasKind::User, users)?;
        for privilege in privileges {
            let hosts = list(&policy.aliases.expand(AliasKind::Host, &privilege.hosts)?);
            for spec in &privilege.specs {
                let runas = Self::runas(policy, spec)?;
                let commands = policy.aliases.expand(AliasKind::Command, std::slice::from_ref(&spec.command))?;
                let grants: Vec<Grant> = commands.iter().map(|command| grant(spec, command)).collect();
                self.grants(&users, &hosts, &runas, &grants);
            }
        }
        Ok(())
    }

    fn runas(policy: &mut Policy, spec: &Spec) -> Result<(Vec<String>, Vec<String>), Tangle> {
        let Some(RunAs { users, groups }) = spec.runas.as_deref() else { return Ok((vec!["root".into()], Vec::new())) };
        let mut said = |list: &[Listed]| -> Result<Vec<String>, Tangle> {
            Ok(policy.aliases.expand(AliasKind::Runas, list)?.iter().map(listed).collect())
        };
        Ok((said(users)?, said(groups)?))
    }

    /// Adds `grants` to each of `users`. A negated user takes from those before it.
    fn grants(&mut self, users: &[Listed], hosts: &str, runas: &(Vec<String>, Vec<String>), grants: &[Grant]) {
        let mut except: Vec<String> = Vec::new();
        let granted = users.iter().any(|user| !user.negated);
        for user in users.iter().rev() {
            let who = listed(user);
            if user.negated && granted {
                except.push(member(&user.member));
                continue;
            }
            if let (Member::Group(name), false) = (&user.member, user.negated) {
                self.groups.insert(name.clone());
            }
            let mut not_for = except.clone();
            not_for.sort();
            let cost = |grant: &Grant| 64 + grant.command.len() + not_for.iter().map(String::len).sum::<usize>();
            self.bytes = grants.iter().map(cost).fold(self.bytes, usize::saturating_add);
            if self.bytes > MAX_BYTES {
                return;
            }
            let (as_users, as_groups) = runas;
            let as_whom = super::runas_text(as_users, as_groups);
            let subject = format!("sudo:{}:{}:({})", part(&who), part(hosts), part(&as_whom));
            let item = self.items.entry(subject).or_insert_with(|| Item::Sudo {
                who: who.clone(),
                hosts: hosts.to_owned(),
                as_users: as_users.clone(),
                as_groups: as_groups.clone(),
                grants: Vec::new(),
            });
            if let Item::Sudo { grants: all, .. } = item {
                all.extend(grants.iter().cloned().map(|grant| Grant { not_for: not_for.clone(), ..grant }));
            }
        }
    }

    fn defaults(
        &mut self,
        policy: &mut Policy,
        scope: Scope,
        bound: &[Listed],
        settings: &[Assigned],
    ) -> Result<(), Tangle> {
        let (sign, kind) = match scope {
            Scope::Everywhere => ("", AliasKind::User),
            Scope::Users => (":", AliasKind::User),
            Scope::Hosts => ("@", AliasKind::Host),
            Scope::Runas => (">", AliasKind::Runas),
            Scope::Commands => ("!", AliasKind::Command),
        };
        let bound = policy.aliases.expand(kind, bound)?;
        let scope = format!("{sign}{}", list(&bound));
        for assigned in settings {
            let setting = match &assigned.how {
                How::On => Setting::On,
                How::Off => Setting::Off,
                How::Is(value) => Setting::Is(text(value, "\\\"")),
                How::Adds(value) => Setting::Adds(text(value, "\\\"")),
                How::Removes(value) => Setting::Removes(text(value, "\\\"")),
            };
            self.bytes = self.bytes.saturating_add(64 + scope.len() + assigned.name.len() + setting.value().len());
            if self.bytes > MAX_BYTES {
                return Ok(());
            }
            let subject = format!("sudo:Defaults{}:{}", part(&scope), part(&assigned.name));
            let item = self.items.entry(subject).or_insert_with(|| Item::Default {
                scope: scope.clone(),
                name: assigned.name.clone(),
                settings: Vec::new(),
            });
            if let Item::Default { settings, .. } = item {
                settings.push(setting);
            }
        }
        Ok(())
    }
}

fn grant(spec: &Spec, command: &Listed) -> Grant {
    Grant {
        command: member(&command.member),
        denied: command.negated,
        digests: command.digests.clone(),
        tags: spec.tags.names().map(str::to_owned).collect(),
        options: spec.options.iter().map(|(option, value)| ((*option).to_owned(), text(value, "\\"))).collect(),
        not_for: Vec::new(),
    }
}
