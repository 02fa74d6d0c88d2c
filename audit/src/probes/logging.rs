//! # logging
//!
//! Whether what happens on the host is written down, survives a boot, and leaves the host: journald, rsyslog, syslog-ng, auditd, and who can
//! read and write the files.
//!
//! ## What it reads
//!
//! | source | feeds |
//! | --- | --- |
//! | `journald.conf` and `journald.conf.d/*.conf` under `/etc/systemd`, `/run/systemd`, `/usr/local/lib/systemd`, `/usr/lib/systemd` | items `journald:SETTING` |
//! | `/etc/systemd/journal-upload.conf` | items `target:…` |
//! | `/etc/rsyslog.conf` and what it includes below `/etc/rsyslog.d` | items `target:…` |
//! | `/etc/syslog-ng/syslog-ng.conf`, `/etc/syslog-ng/conf.d/*.conf` | items `target:…` |
//! | `/etc/audit/rules.d/*.rules` in augenrules' order, where there are none `/etc/audit/audit.rules` | items `audit:RULE` |
//! | `/var/log/journal`, `/var/log/*` | state |
//!
//! Which of the daemons start with the host it takes from the `services` probe.
//!
//! ## Items
//!
//! - `journald:Storage` and every other key that is set: its effective value, the last drop-in's, as journald.conf(5) orders them.
//! - `target:HOST:PORT/PROTOCOL`: where logs are sent: `by` (rsyslog, syslog-ng, journal-upload) and `tls`. rsyslog's legacy `@host` and `@@host`, `omfwd` and `omrelp`
//!   actions are read. A default port is written out.
//! - `audit:RULE`: a rule or option as auditctl(8) takes it, blanks normalised: `audit:-w /etc/passwd -p wa -k identity`, `audit:-e 2`; its value is its place
//!   in the order of loading among its kind (`rule` or `option`), for the first rule that matches decides.
//!
//! ## State
//!
//! - `journal`: whether `/var/log/journal` is there, without which `Storage=auto` keeps nothing over a boot.
//! - `file:NAME`: mode and owner of each file right in `/var/log`. Rotated ones (`.1`, `.gz`, `-20270101`) are left out.
//!
//! ## Expectations
//!
//! ```yaml
//! logging:
//!   persistent: true
//!   forwarded: true
//!   encrypted: true
//!   targets: ["logs.example.org:6514/tcp"]
//!   audit_rules: ["-w /etc/sudoers *", "-w /etc/passwd *"]
//!   audit_immutable: true
//!   files_at_most: "0640"
//!   files_except: [wtmp, lastlog, faillog, "*.log"]
//! ```
//!
//! - `persistent`: journald keeps its journal on disk (`Storage=persistent`, or `auto` and the folder is there), or a syslog daemon starts with the host.
//! - `forwarded`: logs are sent to at least one target by a daemon that starts with the host.
//! - `encrypted`: every target is reached by TLS. A host that sends nowhere passes: ask `forwarded` too.
//! - `targets`: these and no others, as `HOST:PORT/PROTOCOL`.
//! - `audit_rules`: each pattern matches a rule of auditd.
//! - `audit_immutable`: `-e 2` is loaded last, so that nobody changes rules before the next boot.
//! - `files_at_most`: no log file has a bit beyond these; `files_except` are not asked.
//!
//! Whether auditd runs, ask `services`.
//!
//! ## What it cannot see
//!
//! Rules loaded by hand, and what a program writes elsewhere. Whether a target takes what it is sent. rsyslog's conditions around an action, and targets
//! made up by a template. syslog-ng's `@include` outside `conf.d`. What stands in containers.

mod auditd;
mod expect;
mod journald;
mod judge;
mod rsyslog;
mod syslog_ng;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{EntryKind, Gap, Host, Question, gap, path_text, read_small};
use crate::probe::{Context, Probe};

pub use expect::Expect;

/// The probe.
pub struct Logging;

/// What somebody decided about this host's logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Item {
    /// A setting of journald.
    Setting {
        /// Its effective value.
        value: String,
        /// The file that sets it.
        file: String,
    },
    /// Where logs are sent.
    Target {
        /// Which program sends.
        by: String,
        /// Whether by TLS.
        tls: bool,
    },
    /// A rule of auditd, by its place.
    Rule {
        /// Counted from 1.
        place: usize,
    },
    /// An option of auditd's rules.
    Option,
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum State {
    /// The journal's folder on disk.
    Journal {
        /// Whether it is there.
        on_disk: bool,
    },
    /// A log file.
    File {
        /// Permission bits, octal.
        mode: String,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

impl Probe for Logging {
    const NAME: &'static str = "logging";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/{etc,run,usr/local/lib,usr/lib}/systemd/journald.conf",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/journald.conf.d",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/journald.conf.d/*",
        "/{etc,run,usr/local/lib,usr/lib}/systemd/journal-upload.conf",
        "/{usr/lib,lib}/systemd/systemd",
        "/etc/rsyslog.conf",
        "/etc/rsyslog.d",
        "/etc/rsyslog.d/*",
        "/etc/syslog-ng/syslog-ng.conf",
        "/etc/syslog-ng/conf.d",
        "/etc/syslog-ng/conf.d/*",
        "/etc/audit/audit.rules",
        "/etc/audit/rules.d",
        "/etc/audit/rules.d/*",
        "/var/log",
        "/var/log/*",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &["services"];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        let mut items = Observed::new();
        journald::collect(host, &mut items);
        rsyslog::collect(host, &mut items);
        syslog_ng::collect(host, &mut items);
        auditd::collect(host, &mut items);
        Facts { items, state: state(host) }
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context)
    }

    fn say(item: &Item) -> String {
        match item {
            Item::Setting { value, file } => format!("{value} ({file})"),
            Item::Target { by, tls } => format!("{by}, {}", if *tls { "by TLS" } else { "in clear text" }),
            Item::Rule { place } => format!("rule {place}"),
            Item::Option => "set".to_owned(),
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

/// A small text file; `None` where it is not there, and a gap over `prefix` where it cannot be read.
fn read(host: &dyn Host, path: &Path, prefix: &str, items: &mut Observed<Item>) -> Option<String> {
    match gap::optional(read_small(host, path)) {
        Ok(bytes) => bytes.map(|bytes| path_text(Path::new(std::ffi::OsStr::from_bytes(&bytes)))),
        Err(gap) => {
            items.hide(prefix, gap);
            None
        }
    }
}

/// The files in `folder` whose names end in `end`, by name.
fn files(
    host: &dyn Host,
    folder: &str,
    end: &str,
    prefix: &str,
    items: &mut Observed<Item>,
) -> BTreeMap<String, String> {
    match gap::optional(host.list(Path::new(folder))) {
        Ok(entries) => {
            let entries = entries.unwrap_or_default().into_iter();
            let files = entries.filter(|entry| entry.kind != EntryKind::Directory);
            let named = files.filter_map(|entry| entry.name.to_str().map(str::to_owned));
            let wanted = named.filter(|name| name.ends_with(end) && !name.starts_with('.'));
            wanted.map(|name| (name.clone(), format!("{folder}/{name}"))).collect()
        }
        Err(gap) => {
            items.hide(prefix, gap);
            BTreeMap::new()
        }
    }
}

fn target(items: &mut Observed<Item>, by: &str, place: &str, tls: bool) {
    let item = Item::Target { by: by.to_owned(), tls };
    match items.seen.get_mut(&format!("target:{place}")) {
        // Sent there twice: the weaker way counts.
        Some(Item::Target { tls: known, .. }) => *known &= tls,
        Some(Item::Setting { .. } | Item::Rule { .. } | Item::Option) | None => {
            items.seen.insert(format!("target:{place}"), item);
        }
    }
}

fn state(host: &dyn Host) -> Observed<State> {
    let mut state = Observed::new();
    match gap::optional(host.stat(Path::new("/var/log/journal"))) {
        Ok(stat) => {
            let on_disk = stat.is_some_and(|stat| stat.kind == EntryKind::Directory);
            state.seen.insert("journal".to_owned(), State::Journal { on_disk });
        }
        Err(gap) => state.hide("journal", gap),
    }
    let entries = match gap::optional(host.list(Path::new("/var/log"))) {
        Ok(entries) => entries.unwrap_or_default(),
        Err(gap) => {
            state.hide("file:", gap);
            return state;
        }
    };
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
        let name = path_text(Path::new(&entry.name));
        if is_rotated(&name) {
            continue;
        }
        let subject = format!("file:{name}");
        match gap::optional(host.stat(&Path::new("/var/log").join(&entry.name))) {
            Ok(None) => {}
            Ok(Some(stat)) => {
                let mode = format!("{:04o}", stat.mode);
                state.seen.insert(subject, State::File { mode, uid: stat.uid, gid: stat.gid });
            }
            Err(gap) => state.hide(subject, gap),
        }
    }
    state
}

fn is_rotated(name: &str) -> bool {
    let packed = [".gz", ".xz", ".zst", ".bz2", ".old"].iter().any(|end| name.ends_with(end));
    let numbered = name
        .rsplit_once(['.', '-'])
        .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()));
    packed || numbered
}

/// A gap over what stands outside what may be read.
fn elsewhere(path: &str) -> Gap {
    Gap::new(crate::host::GapKind::Undeclared, path, "an include outside what this probe may read")
}

#[cfg(test)]
mod tests;
