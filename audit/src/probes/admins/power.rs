//! How much a sudo rule allows as root: anything, what amounts to it, the commands it names, or nothing.
//!
//! Where it cannot be known (a group or netgroup in a run-as list may hold root) the rule is taken to reach root.

use std::collections::{BTreeMap, BTreeSet};

use super::{DoasRule, Grant, Item, Setting, State, amounts, doas, groups};
use crate::facts::Facts;

/// How much a rule allows as root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Power {
    /// Only the commands it names.
    Limited,
    /// Commands that make root, and why the first of them does.
    Amounts(String),
    /// Anything.
    Full,
}

impl Power {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Limited => "limited".into(),
            Self::Amounts(why) => format!("amounting to root ({why})"),
            Self::Full => "full".into(),
        }
    }
}

/// What the rules of one host come to, once it is known what holds for all of them.
pub(super) struct Rights<'a> {
    facts: &'a Facts<Item, State>,
    /// Whether another account than `root` has user id 0, or might.
    several_roots: bool,
    /// Those who are root without a password by a group: as them is as root.
    grouped: BTreeMap<&'a str, &'a str>,
    /// Settings that let the caller choose what is loaded into a command, with their scope.
    loads: Vec<(&'a str, String)>,
    /// The scopes of `Defaults noexec`.
    noexec: BTreeSet<&'a str>,
}

/// Variables that make a program load what the caller wrote. ld.so(8), python(1), perlrun(1), ruby(1), bash(1).
const LOADED: [&str; 12] = [
    "*",
    "BASH_ENV",
    "ENV",
    "LD_*",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PERL5LIB",
    "PERL5OPT",
    "PYTHONPATH",
    "RUBYLIB",
    "RUBYOPT",
];

impl<'a> Rights<'a> {
    pub(super) fn new(facts: &'a Facts<Item, State>) -> Self {
        let roots =
            facts.items.seen.range("uid0:".to_owned()..).take_while(|(subject, _)| subject.starts_with("uid0:"));
        let several_roots = roots.count() > 1 || facts.items.gap_for("uid0:").is_some();
        let mut rights =
            Self { facts, several_roots, grouped: BTreeMap::new(), loads: Vec::new(), noexec: BTreeSet::new() };
        for (subject, item) in &facts.items.seen {
            match item {
                Item::Member { .. } => {
                    let of = subject.strip_prefix("group:").and_then(|rest| rest.split_once(':'));
                    rights
                        .grouped
                        .extend(of.filter(|(group, _)| groups::is_root(group)).map(|(group, who)| (who, group)));
                }
                Item::Default { scope, name, settings } => rights.default(scope, name, settings),
                Item::Uid0 { .. }
                | Item::SameUid { .. }
                | Item::Sudo { .. }
                | Item::Doas { .. }
                | Item::DoasOrder { .. }
                | Item::PolkitAdmins { .. }
                | Item::PolkitUnread { .. }
                | Item::Key { .. } => {}
            }
        }
        rights
    }

    fn default(&mut self, scope: &'a str, name: &str, settings: &[Setting]) {
        match name {
            "setenv" if settings.last() == Some(&Setting::On) => self.loads.push((scope, "setenv".into())),
            "noexec" if settings.last() == Some(&Setting::On) => {
                self.noexec.insert(scope);
            }
            "env_keep" => {
                // The last of each sign decides; that a name is taken away again is rare, and not believed.
                let kept = settings.iter().filter(|setting| matches!(setting, Setting::Is(_) | Setting::Adds(_)));
                let names = kept.flat_map(|setting| setting.value().split(' '));
                let found =
                    names.map(|name| name.split('=').next().unwrap_or_default()).find(|name| LOADED.contains(name));
                self.loads.extend(found.map(|name| (scope, format!("env_keep {name}"))));
            }
            _ => {}
        }
    }

    /// What each WHO of the rules may do as root.
    pub(super) fn all(&self) -> BTreeMap<String, Power> {
        let mut powers: BTreeMap<String, Power> = BTreeMap::new();
        for item in self.facts.items.seen.values() {
            if let Some(who) = Self::who(item)
                && let Some(power) = self.power(item)
            {
                let known = powers.entry(who).or_insert_with(|| power.clone());
                if power > *known {
                    *known = power;
                }
            }
        }
        powers
    }

    /// Whom a rule is for, as sudoers spells it.
    pub(super) fn who(item: &Item) -> Option<String> {
        match item {
            Item::Sudo { who, .. } => Some(who.clone()),
            Item::Doas { who, .. } => Some(doas::in_sudo(who)),
            Item::Uid0 { .. }
            | Item::Member { .. }
            | Item::SameUid { .. }
            | Item::DoasOrder { .. }
            | Item::PolkitAdmins { .. }
            | Item::PolkitUnread { .. }
            | Item::Default { .. }
            | Item::Key { .. } => None,
        }
    }

    /// What a rule allows as root, if anything.
    pub(super) fn power(&self, item: &Item) -> Option<Power> {
        if let Item::Doas { rules, .. } = item {
            return doas::permits(rules).into_iter().filter_map(|rule| self.doas(rule)).max();
        }
        let Item::Sudo { who, as_users, as_groups, grants, .. } = item else { return None };
        let reaches = self.reaches_root(as_users) || as_groups.iter().any(|group| group_is_root(group));
        let through = as_users.iter().find_map(|user| self.grouped.get_key_value(user.as_str()));
        if who.starts_with('!') || !(reaches || through.is_some()) {
            return None;
        }
        let mut most = None;
        for grant in grants.iter().filter(|grant| !grant.denied && !is_undefined_alias(grant)) {
            let power = match (grant.command.as_str(), through) {
                ("ALL", _) if reaches => Power::Full,
                ("ALL", Some((user, group))) => Power::Amounts(format!("{user} is in {group}")),
                _ => self.amounts(who, grant).map_or(Power::Limited, Power::Amounts),
            };
            // The first reason is as good as another.
            let more = most.as_ref().is_none_or(|most| match (most, &power) {
                (Power::Amounts(_), Power::Amounts(_)) => false,
                (most, power) => power > most,
            });
            if more {
                most = Some(power);
            }
        }
        most
    }

    /// What a rule of doas permits as root, if anything.
    fn doas(&self, rule: &DoasRule) -> Option<Power> {
        let target = rule.target.as_deref();
        let grouped = target.and_then(|user| self.grouped.get_key_value(user));
        let root = target.is_none_or(|user| user == "0" || self.reaches_root(&[user.to_owned()]));
        if !root && grouped.is_none() {
            return None;
        }
        Some(match (&rule.command, grouped) {
            (None, _) if root => Power::Full,
            (None, Some((user, group))) => Power::Amounts(format!("{user} is in {group}")),
            (None, None) => return None,
            (Some(command), _) => {
                let arguments = rule.arguments.as_ref().map(|arguments| arguments.join(" "));
                let why = amounts::why_literal(command, arguments.as_deref());
                why.or_else(|| self.written(command)).map_or(Power::Limited, Power::Amounts)
            }
        })
    }

    /// Why one command of `who` amounts to root.
    fn amounts(&self, who: &str, grant: &Grant) -> Option<String> {
        let tagged = |tag: &str| grant.tags.iter().any(|other| other == tag);
        let bound = |scope: &str| is_bound(scope, who, &grant.command);
        let noexec = tagged("NOEXEC") || (!tagged("EXEC") && self.noexec.iter().any(|scope| bound(scope)));
        if let Some(why) = amounts::why(&grant.command, noexec) {
            return Some(why);
        }
        if tagged("SETENV") && grant.command != "list" {
            return Some("SETENV lets the caller load code by LD_PRELOAD".into());
        }
        let file = amounts::parts(&grant.command).0;
        if !matches!(file, "list" | "sudoedit") {
            if let Some((_, why)) = self.loads.iter().find(|(scope, _)| bound(scope) && !tagged("NOSETENV")) {
                return Some(format!("Defaults {why} lets the caller load code"));
            }
            if grant.digests.is_empty() {
                return self.written(&grant.command);
            }
        }
        None
    }

    /// Which file of a command others can write: it, or a script its arguments name.
    fn written(&self, command: &str) -> Option<String> {
        amounts::files(command).find_map(|file| {
            if let Some(whose) =
                ["/home/", "/tmp/", "/var/tmp/", "/dev/shm/"].into_iter().find(|open| file.starts_with(open))
            {
                return Some(format!("{file} stands below {whose}, where others write"));
            }
            match self.facts.state.seen.get(&format!("command:{file}")) {
                Some(State::File { refused: Some(why), .. }) => Some(format!("{file}: {why}")),
                _ => None,
            }
        })
    }

    /// Whether root is among the users a list allows to run as. A group or netgroup may hold root; a user who is known here
    /// and is not uid 0 is not root.
    fn reaches_root(&self, users: &[String]) -> bool {
        for user in users.iter().rev() {
            let (negated, name) = user.strip_prefix('!').map_or((false, user.as_str()), |name| (true, name));
            let uid0 = name == "ALL"
                || name == "root"
                || name.strip_prefix('#').is_some_and(|uid| uid.parse::<u32>() == Ok(0))
                || self.facts.items.seen.contains_key(&format!("uid0:{name}"));
            let perhaps = name.starts_with(['%', '+']) || self.facts.items.gap_for("uid0:").is_some();
            if uid0 && negated {
                // `(ALL, !root)` keeps root out by that name only: another account with uid 0 would be let in.
                return name != "ALL" && name != "#0" && users.iter().any(|user| user == "ALL") && self.several_roots;
            }
            if (uid0 || perhaps) && !negated {
                return true;
            }
        }
        false
    }
}

/// Whether a setting of `scope` holds for a rule. Hosts and run-as lists are taken to fit.
fn is_bound(scope: &str, who: &str, command: &str) -> bool {
    let mut parts = scope.chars();
    let sign = parts.next();
    let mut listed = parts.as_str().split(',');
    match sign {
        Some(':') => listed.any(|user| user == who || user == "ALL"),
        Some('!') => listed.any(|other| other == command || other == "ALL" || other == amounts::parts(command).0),
        Some(_) | None => true,
    }
}

/// A command alias nobody defined allows nothing; a command begins with a slash or a caret, or is sudo's own.
fn is_undefined_alias(grant: &Grant) -> bool {
    grant.command != "ALL" && grant.command.starts_with(|first: char| first.is_ascii_uppercase())
}

fn group_is_root(group: &str) -> bool {
    let own = |name: &str| name == "ALL" || name == "root" || name == "#0" || groups::administers(name);
    !group.starts_with('!') && (own(group) || group.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deviates, facts, host, judge, with, wrong};
    use super::*;

    /// The power otto has by a rule of his.
    fn otto(rule: &str) -> Option<Power> {
        let facts = facts(&with(rule));
        assert!(facts.items.gaps.is_empty(), "{:?}", facts.items.gaps);
        Rights::new(&facts).all().get("otto").cloned()
    }

    fn why(rule: &str) -> String {
        match otto(&format!("otto ALL={rule}\n")) {
            Some(Power::Amounts(why)) => why,
            Some(Power::Full) => "full".into(),
            Some(Power::Limited) => "limited".into(),
            None => "nothing".into(),
        }
    }

    #[test]
    fn commands_that_amount_to_root_do_so_for_a_reason() {
        for (rule, reason) in [
            ("/bin/bash", "bash runs any commands"),
            ("/bin/sh \"\"", "sh runs any commands"),
            ("/bin/bash -i", "bash runs any commands"),
            ("/usr/bin/python3.12", "python3.12 runs any commands"),
            ("/usr/bin/vim /etc/motd", "vim starts a shell on a key"),
            ("/usr/bin/less /var/log/syslog", "less starts a shell on a key"),
            ("/usr/bin/find /srv *", "find runs any program it is told to, and `*` in its arguments fits everything"),
            ("/usr/bin/env PATH=/x /bin/sh", "env runs /bin/sh runs any commands"),
            ("/usr/bin/tee /etc/sudoers.d/x", "tee may write /etc/sudoers.d/x"),
            ("/bin/dd of=/dev/sda", "dd may write /dev/sda"),
            ("/bin/cp", "cp writes any file it is told to"),
            ("/usr/bin/apt-get", "apt-get changes what runs as root"),
            ("/bin/systemctl edit nginx", "systemctl edit changes what runs as root"),
            (
                "/usr/bin/passwd [a-z]*",
                "passwd changes any account, root's too, and `*` in its arguments fits everything",
            ),
            ("/usr/sbin/usermod -aG sudo\\,x otto", "usermod changes sudo"),
            ("/usr/sbin/chpasswd", "chpasswd takes what it does from its input"),
            ("/bin/su", "su becomes root"),
            ("/bin/su -", "su becomes root"),
            ("/bin/su -c id", "su becomes root"),
            ("/usr/bin/", "/usr/bin/ is any program in that folder"),
            ("/usr/bin/v*", "/usr/bin/v* fits vi starts a shell on a key"),
            ("^/usr/bin/.*$", "^/usr/bin/.*$ fits any program"),
            ("sudoedit", "sudoedit edits any file"),
            ("sudoedit /etc/crontab", "sudoedit edits /etc/crontab, which root trusts"),
            ("SETENV: /opt/tool", "SETENV lets the caller load code by LD_PRELOAD"),
            ("/home/otto/bin/x", "/home/otto/bin/x stands below /home/, where others write"),
            ("/bin/sh /tmp/x.sh", "/tmp/x.sh stands below /tmp/, where others write"),
            ("!/bin/su, ALL", "full"),
        ] {
            assert_eq!(why(rule), reason, "{rule}");
        }
        assert!(why("sudoedit /srv/*").contains("a blank and a second name"));
    }

    #[test]
    fn commands_that_are_held_to_what_they_name_are_limited() {
        for rule in [
            "/opt/tool",
            "/bin/bash /opt/backup.sh",
            "/usr/bin/vimtutor",
            "/bin/su - postgres",
            "/bin/su -c id otto",
            "/usr/bin/apt-get update",
            "/bin/systemctl restart nginx",
            "/usr/bin/passwd rhea",
            "/usr/bin/tee /var/log/app",
            "/usr/bin/find /srv -name x",
            "/usr/bin/find /srv -name \\*",
            "sudoedit /etc/motd",
            "/usr/bin/crontab -l",
            "NOEXEC: /usr/bin/less",
            "/usr/bin/psql -c select",
            "/opt/[ab]*",
            "list",
            "sha224:d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f /home/otto/x",
        ] {
            assert_eq!(why(rule), "limited", "{rule}");
        }
        assert_eq!(why("(postgres) /bin/bash"), "nothing");
        assert_eq!(why("!/bin/bash"), "nothing");
        assert_eq!(why("NOEXEC: /usr/bin/vim"), "vim starts a shell on a key", "it can still write any file");
    }

    #[test]
    fn settings_that_let_the_caller_load_code_hold_for_those_they_name() {
        for yes in [
            "Defaults setenv",
            "Defaults:otto setenv",
            "Defaults env_keep += \"X LD_PRELOAD\"",
            "Defaults!/opt/x setenv",
        ] {
            let power = otto(&format!("{yes}\notto ALL=/opt/x\n"));
            assert!(matches!(power, Some(Power::Amounts(why)) if why.contains("lets the caller load code")), "{yes}");
        }
        for no in ["Defaults:ava setenv", "Defaults !setenv", "Defaults env_keep += X", "Defaults!/opt/y setenv"] {
            assert_eq!(otto(&format!("{no}\notto ALL=/opt/x\n")), Some(Power::Limited), "{no}");
        }
        assert_eq!(otto("Defaults noexec\notto ALL=/usr/bin/less\n"), Some(Power::Limited));
        assert_ne!(otto("Defaults noexec\notto ALL=EXEC: /usr/bin/less\n"), Some(Power::Limited));
    }

    #[test]
    fn to_run_as_somebody_in_docker_is_to_run_as_root() {
        let docker = "root:x:0:\nsudo:x:27:ava\ndocker:x:300:rhea\n";
        let host = with("otto ALL=(rhea) ALL\n").file("/etc/group", docker);
        let powers = Rights::new(&facts(&host)).all().into_values().collect::<Vec<_>>();
        assert_eq!(powers, [Power::Amounts("rhea is in docker".into())]);
    }

    #[test]
    fn a_rule_can_say_whose_rules_may_amount_to_root() {
        let host = with("%sudo ALL=ALL\notto ALL=/bin/less\nava ALL=/opt/x\nrhea ALL=(otto) ALL\n").file("/opt/x", "");
        assert_eq!(wrong(&host, "amounts_to_root: [otto, '%sudo']"), []);
        assert_eq!(wrong(&host, "amounts_to_root: ['%sudo']"), deviates(&["sudo:otto:ALL:(root)"]));
        let said = judge(&host, "amounts_to_root: []");
        assert_eq!(said.len(), 2);
        assert!(said.iter().any(|(_, _, observed)| observed
            == "otto may run, amounting to root (less starts a shell on a key): /bin/less as root"));
    }

    #[test]
    fn a_command_that_others_can_write_amounts_to_root() {
        let rules = with("otto ALL=/opt/x/run, /bin/sh /srv/job.sh a\n").file("/opt/x/run", "").file("/srv/job.sh", "");
        assert_eq!(wrong(&rules, "amounts_to_root: []"), []);
        for path in ["/opt/x/run", "/opt/x", "/opt", "/srv/job.sh"] {
            for (uid, gid, mode) in [(1001, 0, 0o755), (0, 0, 0o777), (0, 50, 0o775)] {
                let open = rules.clone().with_stat(path, |stat| (stat.uid, stat.gid, stat.mode) = (uid, gid, mode));
                assert_eq!(wrong(&open, "amounts_to_root: []"), deviates(&["sudo:otto:ALL:(root)"]), "{path}");
            }
            let sticky = rules.clone().with_stat(path, |stat| stat.mode = 0o1777);
            assert_eq!(wrong(&sticky, "amounts_to_root: []"), [], "{path}");
        }
        // Where the file stands is outside what is looked at: unknown, and no pass.
        let far = with("otto ALL=/var/lib/x/run\n").file("/var/lib/x/run", "");
        let told = wrong(&far, "amounts_to_root: []");
        assert_eq!(told, [(crate::finding::Status::Unknown, "command:/var/lib/x/run".into())]);
        assert_eq!(wrong(&host(), "amounts_to_root: []"), []);
    }

    #[test]
    fn the_probes_page_names_every_group_and_program() {
        let page = include_str!("../admins.rs");
        let programs = super::super::programs::PROGRAMS.iter().flat_map(|(_, names)| names.split(' '));
        for name in programs.chain(groups::GROUPS.iter().map(|known| known.name)) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
