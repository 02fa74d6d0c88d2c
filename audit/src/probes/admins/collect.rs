//! The probe's facts out of accounts, groups and policy.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{self, Account, Group};
use super::policy::Policy;
use super::text::name;
use super::{Expect, Item, Membership, State, commands, doas, groups, judge_polkit, keys};
use crate::facts::Facts;
use crate::host::{Gap, GapKind, Host};

/// Observes.
pub(super) fn collect(host: &dyn Host, rules: &[&Expect]) -> Facts<Item, State> {
    let mut facts = Facts::default();
    let accounts = accounts::accounts(host);
    let lines = accounts::groups(host);
    let mut policy = Policy::read(host);

    for account in accounts.lines.iter().filter(|account| account.uid == 0) {
        let shell = name(&account.shell);
        // A second line of one name never decides a log-in, but it is there.
        let mut subject = format!("uid0:{}", name(&account.name));
        while facts.items.seen.contains_key(&subject) {
            subject.push('+');
        }
        facts.items.seen.insert(subject, Item::Uid0 { shell });
    }

    let mut named = super::rules::items(&mut policy, &mut facts.items);
    facts.state.seen.extend(policy.files);
    doas::collect(host, &mut named, &mut facts);
    let by_rule = resolve(&named, &lines.lines);
    let mut index = Index::new(&accounts.lines, &lines.lines);
    for known in &groups::GROUPS {
        index.group(known.name.as_bytes(), "group", &mut facts);
    }
    for group in &by_rule {
        if !groups::GROUPS.iter().any(|known| known.name.as_bytes() == group.as_slice()) {
            index.group(group, "sudo-group", &mut facts);
        }
    }
    index.rule_ids(&mut facts);
    index.same_ids(&mut facts);
    keys::collect(host, &accounts.lines, &mut facts);
    if rules.iter().any(|rule| rule.polkit.is_some()) {
        judge_polkit::collect(host, &mut facts);
    }
    if rules.iter().any(|rule| rule.amounts_to_root.is_some()) {
        commands::collect(host, &mut facts);
    }

    let policy_gap = ["sudo:", "doas:"].into_iter().find_map(|prefix| facts.items.gaps.get(prefix).cloned());
    if let Some(gap) = policy_gap {
        // Without the rules nobody knows which groups they name.
        facts.items.hide("sudo-group:", gap.clone());
        facts.items.hide("same-uid:", gap.clone());
        facts.items.hide("key:", gap.clone());
        for prefix in ["file:", "skipped:", "uid:"] {
            facts.state.hide(prefix, gap.clone());
        }
    }
    if let Some(gap) = super::rules::together(accounts.gaps) {
        for prefix in ["uid0:", "group:", "sudo-group:", "same-uid:", "key:"] {
            facts.items.hide(prefix, gap.clone());
        }
        facts.state.hide("uid:", gap);
    }
    if let Some(gap) = super::rules::together(lines.gaps) {
        for prefix in ["group:", "sudo-group:", "same-uid:", "key:"] {
            facts.items.hide(prefix, gap.clone());
        }
        facts.state.hide("group:", gap);
    }
    // What a directory holds hides nothing that was seen here: what vanishes from a local file has vanished. So these gaps
    // stand under a prefix of their own, which the judgement asks for.
    for (database, gap) in [("passwd", accounts.compat), ("group", lines.compat)] {
        if let Some(gap) = gap {
            facts.items.hide(format!("directory:{database}"), gap);
        }
    }
    for (database, gap) in accounts::elsewhere(host) {
        facts.items.hide(format!("directory:{database}"), gap);
    }
    facts
}

/// The names of the groups that rules name: `%dba`, `%#27`. `%:…` is no group of this system.
fn resolve(named: &BTreeSet<Vec<u8>>, groups: &[Group]) -> BTreeSet<Vec<u8>> {
    let mut resolved = BTreeSet::new();
    for group in named {
        match group.strip_prefix(b"%").unwrap_or_default() {
            [] | [b':', ..] => {}
            [b'#', digits @ ..] => {
                let gid = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u32>().ok());
                let of = groups.iter().filter(|group| Some(group.gid) == gid);
                resolved.extend(of.map(|group| group.name.clone()));
            }
            group => {
                resolved.insert(group.to_vec());
            }
        }
    }
    resolved
}

/// The most memberships looked at: lines with one group id count for every group that has it.
const MAX_MEMBERSHIPS: usize = 1_000_000;

struct Index<'a> {
    spent: usize,
    accounts: &'a [Account],
    by_gid: BTreeMap<u32, Vec<&'a Account>>,
    by_uid: BTreeMap<u32, Vec<&'a Account>>,
    groups_by_gid: BTreeMap<u32, Vec<&'a Group>>,
    groups_by_name: BTreeMap<&'a [u8], Vec<&'a Group>>,
}

impl<'a> Index<'a> {
    fn new(accounts: &'a [Account], groups: &'a [Group]) -> Self {
        let mut index = Self {
            spent: 0,
            accounts,
            by_gid: BTreeMap::new(),
            by_uid: BTreeMap::new(),
            groups_by_gid: BTreeMap::new(),
            groups_by_name: BTreeMap::new(),
        };
        for account in accounts {
            index.by_gid.entry(account.gid).or_default().push(account);
            index.by_uid.entry(account.uid).or_default().push(account);
        }
        for group in groups {
            index.groups_by_gid.entry(group.gid).or_default().push(group);
            index.groups_by_name.entry(&group.name).or_default().push(group);
        }
        index
    }

    /// The members of the group called `group`: the kernel knows only its id, so every line of its name or of one of its
    /// ids adds members, and so does every account whose own group it is.
    fn group(&mut self, group: &[u8], prefix: &str, facts: &mut Facts<Item, State>) {
        let Some(lines) = self.groups_by_name.get(group) else { return };
        let gids: BTreeSet<u32> = lines.iter().map(|line| line.gid).collect();
        let mut members: BTreeMap<String, BTreeSet<Membership>> = BTreeMap::new();
        for gid in &gids {
            let primary = self.by_gid.get(gid).map_or(0, Vec::len);
            let listed = self.groups_by_gid.get(gid).into_iter().flatten().map(|line| 1 + line.members.len());
            self.spent = listed.fold(self.spent.saturating_add(primary), usize::saturating_add);
            if self.spent > MAX_MEMBERSHIPS {
                let why = format!("more than {MAX_MEMBERSHIPS} memberships in groups that administer");
                facts.items.hide(format!("{prefix}:"), Gap::new(GapKind::TooLarge, "/etc/group", why));
                return;
            }
            for account in self.by_gid.get(gid).into_iter().flatten() {
                members.entry(name(&account.name)).or_default().insert(Membership::Primary);
            }
            for member in self.groups_by_gid.get(gid).into_iter().flatten().flat_map(|line| &line.members) {
                members.entry(name(member)).or_default().insert(Membership::Supplementary);
            }
        }
        let group = name(group);
        for (member, how) in members {
            let subject = format!("{prefix}:{group}:{member}");
            facts.items.seen.insert(subject, Item::Member { how: how.into_iter().collect() });
        }
        facts.state.seen.insert(format!("group:{group}"), State::Group { gids: gids.into_iter().collect() });
    }

    /// Which accounts the rules for `#uid` mean.
    fn rule_ids(&self, facts: &mut Facts<Item, State>) {
        let mut found = Vec::new();
        for item in facts.items.seen.values() {
            let Some(who) = super::power::Rights::who(item) else { continue };
            if let Some(uid) = who.strip_prefix('#').and_then(|digits| digits.parse::<u32>().ok()) {
                let names = self.by_uid.get(&uid).into_iter().flatten().map(|account| name(&account.name)).collect();
                found.push((format!("uid:{uid}"), State::Uid { names }));
            }
        }
        facts.state.seen.extend(found);
    }

    /// Accounts that share a user id with somebody whom a rule or a group names: to sudo they are the same person.
    fn same_ids(&self, facts: &mut Facts<Item, State>) {
        let mut named: BTreeSet<String> = BTreeSet::new();
        for (subject, item) in &facts.items.seen {
            match item {
                Item::Sudo { who, .. } | Item::Doas { who, .. } => named.insert(who.clone()),
                Item::Member { .. } if subject.starts_with("group:") && watched_only(subject) => false,
                Item::Member { .. } => {
                    subject.splitn(3, ':').nth(2).is_some_and(|member| named.insert(member.to_owned()))
                }
                Item::Uid0 { .. }
                | Item::SameUid { .. }
                | Item::Default { .. }
                | Item::DoasOrder { .. }
                | Item::PolkitAdmins { .. }
                | Item::PolkitUnread { .. }
                | Item::Key { .. } => false,
            };
        }
        let administrators: BTreeSet<(u32, String)> = self
            .accounts
            .iter()
            .filter(|account| account.uid != 0)
            .map(|account| (account.uid, name(&account.name)))
            .filter(|(_, account)| named.contains(account))
            .collect();
        let mut of: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for (uid, administrator) in administrators {
            of.entry(uid).or_default().push(administrator);
        }
        for (uid, administrators) in of {
            for account in self.by_uid.get(&uid).into_iter().flatten() {
                let twin = name(&account.name);
                if !administrators.contains(&twin) {
                    let item = Item::SameUid { uid, of: administrators.clone() };
                    facts.items.seen.insert(format!("same-uid:{twin}"), item);
                }
            }
        }
    }
}

/// Whether a `group:` subject is of a group that is watched but not administrative.
fn watched_only(subject: &str) -> bool {
    subject
        .split(':')
        .nth(1)
        .is_some_and(|group| groups::of(group).is_some_and(|known| known.makes == groups::Makes::Watched))
}
