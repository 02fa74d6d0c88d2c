//! Who may set the clock besides root and those whom sudo, doas or polkit make root (the admins probe tells of those).
//!
//! Looked at only where a rule asks `set_by`:
//!
//! - `setter:unit:NAME`: a service that runs as another user than root with `CAP_SYS_TIME` in its `AmbientCapabilities=`
//!   and not out of its `CapabilityBoundingSet=`, as `ProtectClock=` takes it (systemd.exec(5)). A daemon that starts as root and drops its rights is root's.
//! - `setter:file:PATH`: a program whose file carries `cap_sys_time` (capabilities(7)), in the usual folders.
//! - `setter:sudo:WHO`: a rule of sudo or doas for a program that sets the clock, unless its fixed arguments only ask.
//! - `setter:polkit:WHO`: who needs no administrator's password for `org.freedesktop.timedate1.set-time` or `set-ntp`.
//! - `setter:chrony:socket`: chronyd's command socket, where others than its own user can write to it. Over the network
//!   chronyd takes commands that ask, and none that change (chronyc(1)), so `cmdallow` lets nobody set anything.
//! - `setter:ntp:ADDRESS`: where ntpd takes changes from: `controlkey` or `requestkey` is set, and no `restrict` says
//!   `nomodify` (ntp_acc(5)).

use std::path::Path;

use super::capabilities::{Capabilities, is_yes};
use super::{Item, State};
use crate::change::Pattern;
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::{Attribute, EntryKind, Gap, GapKind, Host, gap, path_text, read_small};
use crate::probes::admins::{limited, polkit, polkit_rules};
use crate::probes::files::rights;
use crate::probes::services::install::settings;
use crate::probes::services::{enablement, names, tree};

/// Folders whose programs are asked for capabilities.
const PROGRAMS: [&str; 7] =
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec", "/bin", "/sbin"];
/// The most programs asked.
const MAX_PROGRAMS: usize = 20_000;
const READS: [&str; 7] = [
    "/{bin,sbin,lib}",
    "/{bin,sbin}/*",
    "/usr/{bin,sbin,libexec,local/bin,local/sbin}",
    "/usr/{bin,sbin,libexec,local/bin,local/sbin}/*",
    "/usr/share/polkit-1/actions/org.freedesktop.timedate1.policy",
    "/run/{chrony,chrony/chronyd.sock}",
    "/etc/{ntp.conf,ntpsec/ntp.conf}",
];
const ACTIONS: [&str; 2] = ["org.freedesktop.timedate1.set-time", "org.freedesktop.timedate1.set-ntp"];

/// What a rule that asks who may set the clock asks to be looked at.
pub(super) fn reads() -> Vec<String> {
    let units = [tree::READS_FOLDERS, tree::READS_UNITS, tree::READS_WITHIN];
    let all = READS.into_iter().chain(units).chain(polkit::READS).chain(limited::READS);
    all.map(str::to_owned).collect()
}

/// Adds those who may.
pub(super) fn collect(host: &dyn Host, items: &mut Observed<Item>) {
    units(host, items);
    programs(host, items);
    rules(host, items);
    by_polkit(host, items);
    socket(host, items);
    for file in ["/etc/ntpsec/ntp.conf", "/etc/ntp.conf"] {
        match gap::optional(read_small(host, Path::new(file))) {
            Ok(bytes) => ntp(&String::from_utf8_lossy(&bytes.unwrap_or_default()), items),
            Err(gap) => items.hide("setter:ntp:", gap),
        }
    }
}

/// One deviation for each who is not allowed, an unknown for each part that could not be seen.
pub(super) fn judge(patterns: &[Pattern], facts: &Facts<Item, State>, said: &mut Vec<Judgement>) {
    let texts = patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ");
    let expected = match texts.as_str() {
        "" => "set by root alone".to_owned(),
        texts => format!("set by root, {texts} and no others"),
    };
    let before = said.len();
    let mut right = Vec::new();
    for (subject, item) in &facts.items.seen {
        let (Item::Setter { how }, Some(who)) = (item, subject.strip_prefix("setter:")) else { continue };
        if patterns.iter().any(|pattern| pattern.matches(who)) {
            right.push(who);
        } else {
            said.push(Judgement::new(Status::Deviation, subject.clone(), expected.clone(), format!("{who}: {how}")));
        }
    }
    for (hidden, gap) in facts.items.gaps.iter().filter(|(hidden, _)| hidden.is_empty() || hidden.starts_with("setter"))
    {
        said.push(Judgement::unseen(gap, hidden.trim_end_matches(':'), expected.clone()));
    }
    if !facts.items.seen.contains_key("setter") {
        let gap =
            Gap::new(GapKind::Undeclared, "setter", "not looked for: the host's own baseline does not ask for it");
        said.push(Judgement::unseen(&gap, "setter", expected));
    } else if said.len() == before {
        let observed = if right.is_empty() { "root alone".to_owned() } else { format!("root, {}", right.join(", ")) };
        said.push(Judgement::new(Status::Pass, "setter", expected, observed));
    }
}

fn add(items: &mut Observed<Item>, subject: &str, how: String) {
    // The first way is as good as another.
    items.seen.entry(format!("setter:{subject}")).or_insert(Item::Setter { how });
}

fn units(host: &dyn Host, items: &mut Observed<Item>) {
    let tree = tree::Tree::read(host);
    if let Some(gap) = &tree.gap {
        items.hide("setter:unit:", gap.clone());
    }
    for name in tree.names().into_iter().filter(|name| name.ends_with(".service")) {
        match unit(&tree, &name) {
            Ok(Some(how)) => add(items, &format!("unit:{name}"), how),
            Ok(None) => {}
            Err(gap) => items.hide(format!("setter:unit:{name}"), gap),
        }
    }
}

/// How a unit that is not root's holds the capability.
fn unit(tree: &tree::Tree<'_>, name: &str) -> Result<Option<String>, Gap> {
    let decided = enablement::decide(tree, name)?;
    let Some((path, _)) = decided.file.filter(|_| decided.name == name || names::is_template(&decided.name)) else {
        return Ok(None);
    };
    let drop_ins = tree.drop_ins_loaded(name).filter_map(|file| tree.drop_in(file).transpose());
    let (mut user, mut dynamic, mut ambient) = (String::new(), false, Capabilities::NONE);
    let (mut bound, mut protected) = (Capabilities::ALL, false);
    for file in std::iter::once(read_small(tree.host, &path)).chain(drop_ins) {
        let file = file?;
        for (_, key, value) in settings(&String::from_utf8_lossy(&file)).filter(|(section, ..)| *section == "Service") {
            match key {
                "User" => user = value,
                "DynamicUser" => dynamic = is_yes(&value, dynamic),
                "ProtectClock" => protected = is_yes(&value, protected),
                "AmbientCapabilities" => ambient = ambient.with(&value, Capabilities::NONE),
                "CapabilityBoundingSet" => bound = bound.with(&value, Capabilities::ALL),
                _ => {}
            }
        }
    }
    let root = !dynamic && matches!(user.as_str(), "" | "root" | "0");
    let user = if user.is_empty() { "a user of its own" } else { &user };
    let holds = ambient.set_time() && bound.set_time() && !protected;
    Ok((holds && !root).then(|| format!("runs as {user} with CAP_SYS_TIME")))
}

fn programs(host: &dyn Host, items: &mut Observed<Item>) {
    let mut count = 0;
    for folder in PROGRAMS {
        // Where /usr is merged, /bin is seen as /usr/bin.
        if host.lstat(Path::new(folder)).is_ok_and(|stat| stat.kind == EntryKind::Link) {
            continue;
        }
        let entries = match gap::optional(host.list(Path::new(folder))) {
            Ok(entries) => entries.unwrap_or_default(),
            Err(gap) => {
                items.hide("setter:file:", gap);
                continue;
            }
        };
        for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::File) {
            let path = Path::new(folder).join(entry.name);
            count += 1;
            if count > MAX_PROGRAMS {
                let why = format!("more than {MAX_PROGRAMS} programs");
                return items.hide("setter:file:", Gap::new(GapKind::TooLarge, folder, why));
            }
            let said = match gap::optional(host.attribute(&path, Attribute::Capability)) {
                Ok(Some(Some(bytes))) => {
                    rights::capabilities(&bytes).map_err(|why| Gap::malformed(path_text(&path), why))
                }
                Ok(_) => continue,
                Err(gap) => Err(gap),
            };
            match said {
                Ok(said) if rights::names(&said).any(|name| name == "cap_sys_time") => {
                    add(items, &format!("file:{}", path_text(&path)), said);
                }
                Ok(_) => {}
                Err(gap) => items.hide(format!("setter:file:{}", path_text(&path)), gap),
            }
        }
    }
}

fn rules(host: &dyn Host, items: &mut Observed<Item>) {
    let (commands, gap) = limited::commands(host);
    for allowed in commands {
        if sets(&allowed.program, allowed.arguments.as_deref()) {
            add(items, &format!("sudo:{}", allowed.who), allowed.command);
        }
    }
    if let Some(gap) = gap {
        items.hide("setter:sudo:", gap);
    }
}

/// Whether a program so called sets the clock, or may with other arguments than those that only ask.
fn sets(program: &str, arguments: Option<&str>) -> bool {
    let words = || arguments.unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let asks = |asking: &[&str]| arguments.is_some() && words().any(|word| asking.contains(&word));
    match program {
        "date" => {
            let sets = |word: &str| {
                word.starts_with("-s") || word.starts_with("--s") || word.starts_with(|c: char| c.is_ascii_digit())
            };
            arguments.is_none() || words().any(sets)
        }
        "hwclock" => !asks(&["-r", "--show", "--get", "--help", "--version", "-V"]) && arguments != Some(""),
        "timedatectl" => {
            let asking = ["status", "show", "timesync-status", "show-timesync", "list-timezones", "set-timezone"];
            !asks(&asking) && arguments != Some("")
        }
        "chronyc" => {
            let asking =
                ["tracking", "sources", "sourcestats", "activity", "ntpdata", "selectdata", "clients", "serverstats"];
            !asks(&asking)
        }
        "ntpdate" | "sntp" | "ntpdig" => !asks(&["-q", "-d"]) && arguments != Some(""),
        "adjtimex" | "busybox" | "chronyd" | "htpdate" | "ntpd" | "ntptime" | "openntpd" | "phc2sys" | "phc_ctl"
        | "rdate" | "tlsdate" => true,
        _ => false,
    }
}

fn by_polkit(host: &dyn Host, items: &mut Observed<Item>) {
    let polkit = polkit::Polkit::read(host);
    for action in ACTIONS {
        for (file, rule) in polkit.rules.iter().filter(|(_, rule)| !rule.admin) {
            for (test, answer) in &rule.answers {
                let granted = matches!(answer, polkit_rules::Answer::Result(result) if polkit::grants(result));
                for who in test.who(action).into_iter().filter(|_| granted) {
                    add(items, &format!("polkit:{who}"), format!("{action} by {}", path_text(file)));
                }
            }
        }
        for local in &polkit.local {
            for who in local.who(action) {
                let who = who.strip_prefix("unix-").unwrap_or(who).replace(':', " ");
                add(items, &format!("polkit:{who}"), format!("{action} by {}", path_text(&local.file)));
            }
        }
    }
    for (file, (why, _)) in polkit.unread {
        items
            .hide(format!("setter:polkit:{}", path_text(&file)), Gap::new(GapKind::Unsupported, path_text(&file), why));
    }
    for gap in polkit.gaps {
        items.hide("setter:polkit:", gap);
    }
    let vendor = "/usr/share/polkit-1/actions/org.freedesktop.timedate1.policy";
    match gap::optional(read_small(host, Path::new(vendor))) {
        Ok(bytes) => defaults(&String::from_utf8_lossy(&bytes.unwrap_or_default()), items),
        Err(gap) => items.hide("setter:polkit:", gap),
    }
}

/// What the actions' own defaults let people do whom no rule speaks of.
fn defaults(policy: &str, items: &mut Observed<Item>) {
    for part in policy.split("<action ").skip(1) {
        let Some(action) =
            ACTIONS.into_iter().find(|action| part.trim_start().starts_with(&format!("id=\"{action}\"")))
        else {
            continue;
        };
        for (tag, who) in [("allow_any", "anybody"), ("allow_inactive", "local"), ("allow_active", "active")] {
            let value = part.split(&format!("<{tag}>")).nth(1).and_then(|rest| rest.split('<').next());
            if value.is_some_and(|value| polkit::grants(value.trim())) {
                add(items, &format!("polkit:{who}"), format!("{action} by default"));
            }
        }
    }
}

/// chronyd makes its folder and socket its own user's; somebody may have opened them.
fn socket(host: &dyn Host, items: &mut Observed<Item>) {
    let both = ["/run/chrony", "/run/chrony/chronyd.sock"].map(|path| gap::optional(host.stat(Path::new(path))));
    let (folder, socket) = match both {
        [Ok(Some(folder)), Ok(Some(socket))] => (folder, socket),
        [Err(gap), _] | [_, Err(gap)] => return items.hide("setter:chrony:", gap),
        [Ok(_), Ok(_)] => return,
    };
    let others = folder.mode & 0o001 != 0 && socket.mode & 0o002 != 0;
    let group = folder.gid != 0 && socket.gid == folder.gid && folder.mode & 0o010 != 0 && socket.mode & 0o020 != 0;
    if others {
        add(items, "chrony:socket", "everybody can write to it".into());
    } else if group {
        add(items, "chrony:socket", format!("gid {} can write to it", socket.gid));
    }
}

fn ntp(text: &str, items: &mut Observed<Item>) {
    let lines = || text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let keyed = lines().any(|mut words| words.next().is_some_and(|word| word == "controlkey" || word == "requestkey"));
    if !keyed {
        return;
    }
    let mut by_default = false;
    for mut words in lines() {
        if words.next() != Some("restrict") {
            continue;
        }
        let mut words = words.filter(|word| !matches!(*word, "-4" | "-6"));
        let Some(address) = words.next() else { continue };
        by_default |= address == "default";
        let closed = words.any(|flag| ["nomodify", "noquery", "ignore"].contains(&flag));
        let own = address.starts_with("127.") || address == "::1" || address == "localhost";
        if !closed && !own {
            add(items, &format!("ntp:{address}"), "may change ntpd's configuration with the control key".into());
        }
    }
    if !by_default {
        add(items, "ntp:default", "nothing restricts who may change ntpd's configuration with the control key".into());
    }
}
