//! Items as a person reads them.

use std::collections::BTreeSet;

use super::{DoasRule, Grant, Item, Membership, Setting};

/// One line for a person: `NOPASSWD: ALL as root`.
pub(super) fn say(item: &Item) -> String {
    match item {
        Item::Uid0 { shell } => format!("uid 0, shell {}", if shell.is_empty() { "/bin/sh" } else { shell }),
        Item::Member { how } => {
            let how: Vec<&str> = how.iter().map(|how| how.name()).collect();
            format!("{} member", how.join(" and "))
        }
        Item::SameUid { uid, of } => format!("has uid {uid} of {}", of.join(", ")),
        Item::Sudo { as_users, as_groups, grants, .. } => {
            format!("{}{}", commands(grants), as_whom(as_users, as_groups))
        }
        Item::Key { of, options, .. } if options.is_empty() => of.clone(),
        Item::Key { of, options, .. } => format!("{of} with {}", options.join(",")),
        Item::Doas { rules, .. } => rules.iter().map(DoasRule::say).collect::<Vec<_>>().join("; "),
        Item::PolkitAdmins { identities, .. } => identities.join(", "),
        Item::PolkitUnread { why, sha256 } => format!("{why}, {sha256}"),
        Item::DoasOrder { who } => who.join(", "),
        Item::Default { name, settings, .. } => {
            let said: Vec<String> = settings.iter().map(|setting| setting.say(name)).collect();
            said.join(", ")
        }
    }
}

impl Membership {
    fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Supplementary => "supplementary",
        }
    }
}

impl DoasRule {
    /// As doas.conf writes it, without its identity: `permit nopass as root cmd /bin/a args b`.
    pub(super) fn say(&self) -> String {
        let mut said = String::from(if self.permit { "permit" } else { "deny" });
        for option in &self.options {
            said.push_str(&format!(" {option}"));
        }
        if !self.setenv.is_empty() {
            said.push_str(&format!(" setenv {{ {} }}", self.setenv.join(" ")));
        }
        for (keyword, value) in [("as", &self.target), ("cmd", &self.command)] {
            if let Some(value) = value {
                said.push_str(&format!(" {keyword} {value}"));
            }
        }
        if let Some(arguments) = &self.arguments {
            said.push_str(" args");
            for argument in arguments {
                said.push_str(&format!(" {argument}"));
            }
        }
        said
    }
}

impl Setting {
    pub(super) fn say(&self, name: &str) -> String {
        match self {
            Self::On => name.to_owned(),
            Self::Off => format!("!{name}"),
            Self::Is(value) => format!("{name}={value}"),
            Self::Adds(value) => format!("{name}+={value}"),
            Self::Removes(value) => format!("{name}-={value}"),
        }
    }
}

/// Commands, those with the same tags, options and exceptions together.
fn commands(grants: &[Grant]) -> String {
    let mut said = String::new();
    let mut before: Option<String> = None;
    for grant in grants {
        let mut conditions = String::new();
        if !grant.not_for.is_empty() {
            conditions.push_str(&format!("not for {}: ", grant.not_for.join(", ")));
        }
        for (option, value) in &grant.options {
            conditions.push_str(&format!("{option}={value} "));
        }
        for tag in &grant.tags {
            conditions.push_str(&format!("{tag}: "));
        }
        let same = before.as_ref() == Some(&conditions);
        said.push_str(match &before {
            None => "",
            Some(_) if same => ", ",
            Some(_) => "; ",
        });
        if !same {
            said.push_str(&conditions);
            before = Some(conditions);
        }
        for digest in &grant.digests {
            said.push_str(&format!("{digest} "));
        }
        said.push_str(if grant.denied { "!" } else { "" });
        said.push_str(&grant.command);
    }
    said
}

fn as_whom(users: &[String], groups: &[String]) -> String {
    match (users, groups) {
        ([], []) => " as themselves".into(),
        ([], groups) => format!(" as themselves in group {}", groups.join(",")),
        (users, []) => format!(" as {}", users.join(",")),
        (users, groups) => format!(" as {}:{}", users.join(","), groups.join(",")),
    }
}

/// What stands between the brackets of a run-as list.
pub(super) fn runas_text(users: &[String], groups: &[String]) -> String {
    if groups.is_empty() { users.join(",") } else { format!("{}:{}", users.join(","), groups.join(",")) }
}

/// What a list of names allows.
pub(super) fn among(what: &str, allowed: &BTreeSet<String>) -> String {
    if allowed.is_empty() {
        return format!("{what}: none");
    }
    let names: Vec<String> = allowed.iter().cloned().collect();
    format!("{what}: {} and no others", names.join(", "))
}

/// A list for a person, not endless.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let distinct: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if distinct.is_empty() {
        return "none".into();
    }
    let shown: Vec<&str> = distinct.iter().copied().take(SHOWN).collect();
    let more = distinct.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
