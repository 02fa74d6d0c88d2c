//! The probe's facts out of the files.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::shadow::{self, Password};
use super::{AccountFacts, Item, State};
use crate::facts::Observed;
use crate::host::{Gap, GapKind, Host, gap, read_small, read_text};
use crate::probes::admins::accounts;
use crate::probes::admins::rules::together;
use crate::probes::admins::text::name;

/// The most accounts and groups that become items: facts travel.
const MAX_LINES: usize = 5_000;
/// The settings of login.defs that deal with accounts.
pub(super) const POLICY: [&str; 11] = [
    "PASS_MAX_DAYS",
    "PASS_MIN_DAYS",
    "PASS_WARN_AGE",
    "PASS_MIN_LEN",
    "UMASK",
    "HOME_MODE",
    "ENCRYPT_METHOD",
    "UID_MIN",
    "UID_MAX",
    "SYS_UID_MAX",
    "LOGIN_RETRIES",
];
/// The modules of PAM that judge passwords, count failures or keep others out.
pub(super) const MODULES: [&str; 14] = [
    "pam_access.so",
    "pam_cracklib.so",
    "pam_deny.so",
    "pam_faillock.so",
    "pam_ldap.so",
    "pam_passwdqc.so",
    "pam_permit.so",
    "pam_pwhistory.so",
    "pam_pwquality.so",
    "pam_sss.so",
    "pam_tally2.so",
    "pam_u2f.so",
    "pam_unix.so",
    "pam_wheel.so",
];
/// The most lines of one name that are told apart.
const MAX_TWINS: usize = 20;
/// The folders whose homes are looked at.
const HOMES: [&str; 2] = ["/home", "/var/home"];

/// Observes.
pub(super) fn collect(host: &dyn Host) -> AccountFacts {
    let mut facts = AccountFacts::default();
    let users = accounts::accounts(host);
    let groups = accounts::groups(host);
    if users.lines.len().max(groups.lines.len()) > MAX_LINES {
        let why = format!("more than {MAX_LINES} accounts or groups");
        return AccountFacts::hidden(Gap::new(GapKind::TooLarge, "/etc/passwd", why));
    }
    passwords(host, &users.lines, &mut facts);
    for user in &users.lines {
        let said = name(&user.name);
        if let Some(state) = home(host, &user.home, &said, &mut facts.state) {
            facts.state.seen.entry(format!("home:{said}")).or_insert(state);
        }
        let (home, shell) = (name(&user.home).replace("\\:", ":"), name(&user.shell));
        let item = Item::User { uid: user.uid, gid: user.gid, home, shell };
        insert(&mut facts.items, format!("user:{said}"), item);
    }
    for group in &groups.lines {
        insert(&mut facts.items, format!("group:{}", name(&group.name)), Item::Group { gid: group.gid });
    }
    for (prefix, table) in [("user:", users.gaps), ("group:", groups.gaps)] {
        if let Some(gap) = together(table) {
            facts.items.hide(prefix, gap.clone());
            if prefix == "user:" {
                facts.items.hide("password:", gap.clone());
                facts.state.hide("", gap);
            }
        }
    }
    let compat = [("passwd", users.compat), ("group", groups.compat)];
    let compat = compat.into_iter().filter_map(|(database, gap)| Some((database, gap?)));
    for (database, gap) in compat.chain(accounts::elsewhere(host)) {
        if database != "sudoers" {
            // Under a prefix of its own: what vanishes from a local file has vanished.
            facts.items.hide(format!("directory:{database}"), gap);
        }
    }
    policy(host, &mut facts.items);
    pam(host, &mut facts.items);
    facts
}

/// A second line of one name never decides a login, but it is there.
fn insert(items: &mut Observed<Item>, mut subject: String, item: Item) {
    let name = subject.len();
    while items.seen.contains_key(&subject) {
        if subject.len() - name >= MAX_TWINS {
            let detail = format!("a name stands more than {MAX_TWINS} times");
            return items.hide(subject, Gap::malformed("/etc/passwd", detail));
        }
        subject.push('+');
    }
    items.seen.insert(subject, item);
}

fn passwords(host: &dyn Host, users: &[accounts::Account], facts: &mut AccountFacts) {
    let mut by_name: BTreeMap<Vec<u8>, shadow::Line> = BTreeMap::new();
    match shadow::read(host) {
        Ok((lines, gaps)) => {
            for line in lines {
                by_name.entry(line.name.clone()).or_insert(line);
            }
            if let Some(gap) = together(gaps) {
                facts.items.hide("password:", gap.clone());
                facts.state.hide("changed:", gap);
            }
        }
        // A host without the file keeps passwords in /etc/passwd; whoever says `x` there has none that can be used.
        Err(gap) if gap.is_missing() => {}
        Err(gap) => {
            facts.items.hide("password:", gap.clone());
            facts.state.hide("changed:", gap);
            return;
        }
    }
    for user in users {
        let said = name(&user.name);
        let (password, changed) = match (user.password.as_slice(), by_name.get(&user.name)) {
            (b"x", Some(line)) => (line.password.clone(), line.changed),
            (field, _) => (Password::of_field(field), None),
        };
        insert(&mut facts.items, format!("password:{said}"), Item::Password(password));
        if let Some(on) = changed {
            facts.state.seen.insert(format!("changed:{said}"), State::Changed { on });
        }
    }
}

/// Owner and mode of a home that is among those looked at; `None` where there is none.
fn home(host: &dyn Host, home: &[u8], said: &str, state: &mut Observed<State>) -> Option<State> {
    let path = Path::new(std::ffi::OsStr::from_bytes(home));
    let parent = path.parent().map(Path::to_path_buf);
    let looked_at =
        path == Path::new("/root") || HOMES.iter().any(|folder| parent.as_deref() == Some(Path::new(folder)));
    if !looked_at {
        return None;
    }
    match gap::optional(host.stat(path)) {
        Ok(stat) => stat.map(|stat| State::Home { uid: stat.uid, gid: stat.gid, mode: format!("{:04o}", stat.mode) }),
        Err(gap) => {
            state.hide(format!("home:{said}"), gap);
            None
        }
    }
}

fn policy(host: &dyn Host, items: &mut Observed<Item>) {
    let text = match gap::optional(read_text(host, "/etc/login.defs")) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => gap::optional(read_text(host, "/usr/etc/login.defs")).map(Option::unwrap_or_default),
        Err(gap) => Err(gap),
    };
    let text = match text {
        Ok(text) => text,
        Err(gap) => return items.hide("policy:", gap),
    };
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        if POLICY.contains(&key) {
            // The last line counts (getdef.c overwrites).
            items.seen.insert(format!("policy:{key}"), Item::Policy { value: value.trim_matches('"').to_owned() });
        }
    }
}

fn pam(host: &dyn Host, items: &mut Observed<Item>) {
    let files = match gap::optional(host.list(Path::new("/etc/pam.d"))) {
        Ok(files) => files.unwrap_or_default(),
        Err(gap) => return items.hide("pam:", gap),
    };
    for entry in files.iter().take(500) {
        let path = Path::new("/etc/pam.d").join(&entry.name);
        let file = name(entry.name.as_bytes());
        let bytes = match read_small(host, &path) {
            Ok(bytes) => bytes,
            Err(gap) => {
                items.hide(format!("pam:{file}:"), gap);
                continue;
            }
        };
        let text = String::from_utf8_lossy(&bytes).replace("\\\n", " ");
        let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some(module) = MODULES.iter().find(|module| line.contains(*module)) else { continue };
            let words: Vec<&str> = line.split_whitespace().collect();
            found.entry(module).or_default().push(words.join(" ").chars().take(500).collect());
        }
        for (module, lines) in found {
            items.seen.insert(format!("pam:{file}:{module}"), Item::Pam { lines });
        }
    }
}
