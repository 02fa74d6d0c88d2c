//! Rules that let somebody run single commands as root, for probes that ask what those commands do.

use super::policy::Policy;
use super::power::{Power, Rights};
use super::text::name;
use super::{Item, accounts, amounts, doas, rules};
use crate::facts::Facts;
use crate::host::{Gap, Host};

/// What is read for it.
pub(in crate::probes) const READS: [&str; 13] = [
    "/etc/passwd",
    "/etc/sudo.conf",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/sudoers*",
    "/etc/sudoers*/**",
    "/usr/etc/sudoers",
    "/usr/etc/sudoers.d",
    "/usr/etc/sudoers.d/*",
    "/etc/doas.conf",
    "/etc/doas.d",
    "/etc/doas.d/*.conf",
    "/etc/hostname",
];

/// A command and whom a rule lets run it as root.
pub(in crate::probes) struct Allowed {
    /// As sudoers spells it.
    pub(in crate::probes) who: String,
    /// The program's name.
    pub(in crate::probes) program: String,
    /// Its arguments where they are fixed.
    pub(in crate::probes) arguments: Option<String>,
    /// The rule's command as written.
    pub(in crate::probes) command: String,
}

/// The commands of rules that do not amount to root by any of them: who is root by a rule can do everything anyway.
pub(in crate::probes) fn commands(host: &dyn Host) -> (Vec<Allowed>, Option<Gap>) {
    let mut facts = Facts::default();
    for account in accounts::accounts(host).lines.into_iter().filter(|account| account.uid == 0) {
        facts.items.seen.insert(format!("uid0:{}", name(&account.name)), Item::Uid0 { shell: String::new() });
    }
    let mut policy = Policy::read(host);
    let mut named = rules::items(&mut policy, &mut facts.items);
    doas::collect(host, &mut named, &mut facts);
    let rights = Rights::new(&facts);
    let mut allowed = Vec::new();
    for item in facts.items.seen.values() {
        let Some(who) = Rights::who(item) else { continue };
        if rights.power(item) != Some(Power::Limited) {
            continue;
        }
        match item {
            Item::Sudo { grants, .. } => {
                for grant in grants.iter().filter(|grant| !grant.denied) {
                    let (file, arguments) = amounts::parts(&grant.command);
                    let arguments = match arguments {
                        amounts::Arguments::Fixed(text) => Some(text.to_owned()),
                        amounts::Arguments::Any | amounts::Arguments::Wild => None,
                    };
                    let program = file.rsplit('/').next().unwrap_or_default().to_owned();
                    allowed.push(Allowed { who: who.clone(), program, arguments, command: grant.command.clone() });
                }
            }
            Item::Doas { rules, .. } => {
                for rule in doas::permits(rules) {
                    let Some(command) = &rule.command else { continue };
                    let arguments = rule.arguments.as_ref().map(|arguments| arguments.join(" "));
                    let program = command.rsplit('/').next().unwrap_or_default().to_owned();
                    allowed.push(Allowed { who: who.clone(), program, arguments, command: rule.say() });
                }
            }
            Item::Uid0 { .. }
            | Item::Member { .. }
            | Item::SameUid { .. }
            | Item::DoasOrder { .. }
            | Item::PolkitAdmins { .. }
            | Item::PolkitUnread { .. }
            | Item::Default { .. }
            | Item::Key { .. } => {}
        }
    }
    let gap = ["sudo:", "doas:"].into_iter().find_map(|prefix| facts.items.gaps.get(prefix).cloned());
    (allowed, gap)
}
