//! # sshd
//!
//! What OpenSSH's server does: its settings with `Include` and `Match`, the first value that counts, and the defaults where
//! nobody set anything.
//!
//! ## What it reads
//!
//! `/etc/ssh/sshd_config`, or `/usr/etc/ssh/sshd_config` where that is missing, and what they include below `/etc/ssh`,
//! `/usr/etc/ssh` and `/etc/crypto-policies/back-ends` (sshd_config(5)); `/etc/default/ssh` and `/etc/sysconfig/sshd`, which
//! give the service options on its command line; whether the program is there. The package's version, for the defaults,
//! comes from the packages probe.
//!
//! ## Items
//!
//! | subject | value | example |
//! | --- | --- | --- |
//! | `set:KEYWORD` | the value that counts and the file it stands in | `set:permitrootlogin` |
//! | `match:CRITERIA` | a `Match` block: what it sets | `match:user otto address 10.0.0.0/8` |
//! | `match-order` | the blocks in their order: for each setting the first that holds counts | |
//! | `options:FILE` | options the service is started with; they come before the file | `options:/etc/default/ssh` |
//!
//! Only what somebody wrote is an item. KEYWORD is in lower case, by its present name (`kbdinteractiveauthentication`, not
//! `challengeresponseauthentication`). Values have one form: words for yes and no in lower case, times in seconds, modes in
//! octal, `prohibit-password` for `without-password`. A second block with the same criteria is `…#2`. A block inside a file
//! that another block includes has the criteria of both.
//!
//! ## State
//!
//! `sshd` whether the server is installed.
//!
//! ## Expectation
//!
//! ```yaml
//! sshd:
//!   settings:
//!     PermitRootLogin: no                          # exactly this
//!     AllowGroups: [ssh-users, operators]          # exactly these, in any order
//!     LogLevel: {one_of: [INFO, VERBOSE]}
//!     Ciphers: {none_of: ["*-cbc", "arcfour*"]}    # no part of the list matches
//!     ListenAddress: {only: ["10.*"]}              # every part matches, and there is one
//!     MaxAuthTries: {at_most: 4}
//!     ClientAliveInterval: {at_least: 1, at_most: 5m}
//!     Banner: {set: true}                          # somebody set it, to whatever
//!   scope: everywhere                              # or `global`: leave Match blocks out
//!   for: {user: otto, groups: [staff], address: 192.0.2.7}   # instead: what this connection gets
//! ```
//!
//! A setting nobody wrote is judged by its default, where that is known for the installed version, and is *unknown* where
//! it is not. `everywhere` also judges what each `Match` block sets, whether or not an earlier block would keep it from
//! counting. For a time, 0 is no limit: it is never `at_most` anything.
//!
//! ## What it cannot see
//!
//! - A server started by hand with other options or another file; units are not read. Options in the two files above make
//!   the settings *unknown* unless they change none (`-4`, `-6`, `-D`, `-e`).
//! - A configuration that sshd refuses is *unknown*: it runs with an older one, or not at all. Keywords not known here are
//!   kept as written and not held against it.
//! - Included files elsewhere, `~` in an include, changes since the server last read its files.
//! - Other servers: dropbear, tinyssh.

mod criteria;
mod effective;
mod expect;
mod judge;
mod keywords;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Gap, GapKind, Host, Question, gap, path_text, read_small};
use crate::probe::{Context, Probe};

pub use criteria::{Connection, Criterion};
pub use effective::{Value, Version, effective};
pub use expect::{Bounds, Expect, Requirement, Scope, Word};

/// The probe.
pub struct Sshd;

/// Its facts.
pub type SshdFacts = Facts<Item, State>;

/// A configuration item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Item {
    /// `set:KEYWORD`.
    Setting {
        /// What it is set to.
        values: Vec<String>,
        /// Where.
        file: String,
    },
    /// `match:CRITERIA`.
    Match {
        /// All of these must hold.
        criteria: Vec<Criterion>,
        /// What it sets.
        settings: BTreeMap<String, Vec<String>>,
    },
    /// `match-order`.
    Order {
        /// The subjects of the blocks.
        blocks: Vec<String>,
    },
    /// `options:FILE`.
    Options {
        /// As written.
        options: String,
    },
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The server or its configuration is there.
    Present,
    /// Neither is.
    Absent,
}

/// Where the configuration may stand, the first that is there; SUSE's own is under `/usr/etc`.
const CONFIGS: [&str; 2] = ["/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"];
const PROGRAMS: [&str; 2] = ["/usr/sbin/sshd", "/usr/bin/sshd"];
/// Environment files of the service on Debian, and on Fedora and SUSE, with the variable that holds its options.
const STARTED_BY: [(&str, &str); 2] = [("/etc/default/ssh", "SSHD_OPTS"), ("/etc/sysconfig/sshd", "OPTIONS")];
/// Options that change no setting judged here.
const HARMLESS: [&str; 6] = ["-4", "-6", "-D", "-e", "-q", "-u0"];

impl Probe for Sshd {
    const NAME: &'static str = "sshd";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/ssh",
        "/etc/ssh/sshd_config",
        "/etc/ssh/*.d",
        "/etc/ssh/**/*.conf",
        "/etc/ssh/sshd_config.d",
        "/etc/ssh/sshd_config.d/**",
        "/usr/etc/ssh/sshd_config",
        "/usr/etc/ssh/sshd_config.d",
        "/usr/etc/ssh/sshd_config.d/**",
        "/etc/crypto-policies/back-ends/opensshserver.config",
        "/etc/default/ssh",
        "/etc/sysconfig/sshd",
        "/usr/sbin/sshd",
        "/usr/bin/sshd",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &["packages"];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> SshdFacts {
        collect(host)
    }

    fn judge(expect: &Expect, facts: &SshdFacts, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context)
    }

    fn say(item: &Item) -> String {
        match item {
            Item::Setting { values, .. } => values.join(" "),
            Item::Match { settings, .. } => judge::say_settings(settings),
            Item::Order { blocks } => blocks.join(", "),
            Item::Options { options } => options.clone(),
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

fn collect(host: &dyn Host) -> SshdFacts {
    let mut facts = SshdFacts::default();
    let config = CONFIGS.into_iter().find(|path| host.stat(Path::new(path)).is_ok_or_hidden());
    let program = PROGRAMS.into_iter().any(|path| host.stat(Path::new(path)).is_ok_or_hidden());
    let state = if config.is_some() || program { State::Present } else { State::Absent };
    facts.state.seen.insert("sshd".into(), state);
    let Some(config) = config else {
        if program {
            let why = "is missing, and without it sshd does not start";
            facts.items.hide("", Gap::new(GapKind::Missing, CONFIGS.concat(), why));
        }
        return facts;
    };

    let config = lines::read(host, Path::new(config));
    for (keyword, setting) in config.global {
        let item = Item::Setting { values: setting.values, file: setting.file };
        facts.items.seen.insert(format!("set:{keyword}"), item);
    }
    let mut order = Vec::new();
    for block in config.blocks {
        let subject = block_subject(&block.criteria, |subject| facts.items.seen.contains_key(subject));
        let settings = block.settings.into_iter().map(|(keyword, setting)| (keyword, setting.values)).collect();
        facts.items.seen.insert(subject.clone(), Item::Match { criteria: block.criteria, settings });
        order.push(subject);
    }
    if !order.is_empty() {
        facts.items.seen.insert("match-order".into(), Item::Order { blocks: order });
    }
    if let Some(gap) = config.gap {
        facts.items.hide("", gap);
    }
    for (path, variable) in STARTED_BY {
        started(host, path, variable, &mut facts);
    }
    facts
}

/// Something stands there, whether or not it may be looked at.
trait Standing {
    fn is_ok_or_hidden(&self) -> bool;
}

impl<T> Standing for Result<T, Gap> {
    fn is_ok_or_hidden(&self) -> bool {
        self.as_ref().map_or_else(|gap| !gap.is_missing(), |_| true)
    }
}

/// `match:user otto`, or `match:user otto#2` where that is taken.
fn block_subject(criteria: &[Criterion], taken: impl Fn(&str) -> bool) -> String {
    let said: Vec<String> = criteria
        .iter()
        .map(|criterion| format!("{} {}", criterion.of, criterion.wanted).trim_end().to_owned())
        .collect();
    let subject = format!("match:{}", said.join(" "));
    let mut numbered = subject.clone();
    let mut number = 1_u32;
    while taken(&numbered) {
        number += 1;
        numbered = format!("{subject}#{number}");
    }
    numbered
}

/// Options on the command line come before the file; which settings they change is not taken apart here.
fn started(host: &dyn Host, path: &str, variable: &str, facts: &mut SshdFacts) {
    let bytes = match gap::optional(read_small(host, Path::new(path))) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(gap) => {
            facts.items.hide("set:", gap);
            return;
        }
    };
    // Bytes that are not text are kept apart by how they are written.
    let text = path_text(Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes)));
    for line in text.lines() {
        let Some((name, value)) = line.trim().split_once('=') else { continue };
        let options = value.trim().trim_matches(['"', '\'']).trim();
        if name.trim() != variable || options.is_empty() {
            continue;
        }
        let subject = format!("options:{path}");
        facts.items.seen.insert(subject, Item::Options { options: options.chars().take(1000).collect() });
        if !options.split_whitespace().all(|option| HARMLESS.contains(&option)) {
            let why = format!("{variable} starts sshd with options that come before its file: {options}");
            facts.items.hide("set:", Gap::new(GapKind::Unsupported, path, why));
        }
    }
}
