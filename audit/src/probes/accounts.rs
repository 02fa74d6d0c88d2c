//! # accounts
//!
//! Who can have a session here: accounts and groups, whether their passwords are empty, locked or too old, when they
//! expire, and what the host asks of passwords.
//!
//! ## What it reads
//!
//! `/etc/passwd`, `/etc/group`, `/etc/shadow` (passwd(5), group(5), shadow(5)); `/etc/login.defs`, or `/usr/etc/login.defs`
//! where that is missing (login.defs(5)); the files of `/etc/pam.d` that deal with passwords (pam.conf(5));
//! `/etc/nsswitch.conf` and `/etc/userdb`, which say whether accounts come from elsewhere too; owner and mode of the homes
//! below `/home`, `/var/home` and `/root`.
//!
//! ## Items
//!
//! | subject | value | example |
//! | --- | --- | --- |
//! | `user:NAME` | user id, group id, home, shell | `user:ava` |
//! | `password:NAME` | whether a password can be used, by which algorithm it is kept, its ages in days, when the account expires | `password:ava` |
//! | `group:NAME` | group id | `group:staff` |
//! | `policy:KEY` | a setting of login.defs that deals with accounts | `policy:PASS_MAX_DAYS` |
//! | `pam:FILE:MODULE` | the lines of a module that judges passwords or counts failures | `pam:common-password:pam_pwquality.so` |
//!
//! A second line of one name has a `+` after it. Bytes that are not text are written `\xNN`. No part of a password's hash
//! is ever in facts: only that there is one, and its algorithm.
//!
//! A password is `empty` (none is asked for), `set`, `locked` (it cannot be typed: `!` or `*` stands before it or for it),
//! or `unusable` (what stands there is no hash; no password has it).
//!
//! ## State
//!
//! `changed:NAME` the day the password was last changed; `home:NAME` owner, group and mode of a home.
//!
//! ## Expectation
//!
//! ```yaml
//! accounts:
//!   only: [ava, otto, "deploy-*"]      # people's accounts: these and no others
//!   forbidden: [guest, "test*"]        # of all accounts
//!   empty_passwords: forbidden
//!   unique: true                       # names and ids of accounts and of groups
//!   system_shells: [git]               # no system account but these has a login shell; [] for none
//!   hashes: [yescrypt, sha512]         # how passwords that can be used are kept
//!   expire: ["ext-*"]                  # these must have a day on which they expire
//!   max_password_age: 365d             # passwords that can be used must be changed within, and were
//!   homes: safe                        # people's homes are their own, and nobody else can write them
//!   policy: {PASS_MAX_DAYS: {at_most: 365}, UMASK: {one_of: ["027", "077"]}}
//!   pam: [pam_faillock.so, pam_pwquality.so]   # each is used by some file
//! ```
//!
//! People's accounts are those with a user id from UID_MIN to UID_MAX (1000 to 60000 where login.defs does not say); system
//! accounts those below, root excepted. An account that has expired cannot log in, and its password is not held against it.
//!
//! ## What it cannot see
//!
//! - Accounts of a directory (LDAP, SSSD, NIS, user records): where nsswitch.conf names one, `only` and `unique` are unknown.
//! - Whether a password is good, and hashes kept elsewhere (`/etc/security/opasswd`, Kerberos, TCB).
//! - Homes elsewhere than in the three folders above. What a module of PAM does with its arguments.

mod collect;
mod expect;
mod judge;
mod shadow;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};

pub use expect::{Expect, Forbidden, PolicyBounds, Safe};
pub use shadow::Password;

/// The probe.
pub struct Accounts;

/// Its facts.
pub type AccountFacts = Facts<Item, State>;

/// A configuration item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Item {
    /// `user:NAME`.
    User {
        /// User id.
        uid: u32,
        /// Its own group.
        gid: u32,
        /// Home.
        home: String,
        /// Login shell; empty stands for `/bin/sh`.
        shell: String,
    },
    /// `password:NAME`.
    Password(Password),
    /// `group:NAME`.
    Group {
        /// Group id.
        gid: u32,
    },
    /// `policy:KEY`.
    Policy {
        /// As written.
        value: String,
    },
    /// `pam:FILE:MODULE`.
    Pam {
        /// Type, control and arguments of each line, in order.
        lines: Vec<String>,
    },
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum State {
    /// `changed:NAME`.
    Changed {
        /// The day.
        on: NaiveDate,
    },
    /// `home:NAME`.
    Home {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Permission bits in octal.
        mode: String,
    },
}

impl Probe for Accounts {
    const NAME: &'static str = "accounts";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/passwd",
        "/etc/group",
        "/etc/shadow",
        "/etc/login.defs",
        "/usr/etc/login.defs",
        "/etc/nsswitch.conf",
        "/etc/userdb",
        "/etc/pam.d",
        "/etc/pam.d/*",
        "/root",
        "/home/*",
        "/var/home/*",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> AccountFacts {
        collect::collect(host)
    }

    fn judge(expect: &Expect, facts: &AccountFacts, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context.now.date_naive())
    }

    fn say(item: &Item) -> String {
        match item {
            Item::User { uid, gid, home, shell } => format!("uid {uid}, gid {gid}, home {home}, shell {shell}"),
            Item::Password(password) => password.say(),
            Item::Group { gid } => format!("gid {gid}"),
            Item::Policy { value } => value.clone(),
            Item::Pam { lines } => lines.join("; "),
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}
