//! What a rule can ask of accounts.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::change::Pattern;
use crate::duration::Length;

/// What a rule can ask. At least one key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// People's accounts: these and no others.
    pub only: Option<Vec<Pattern>>,
    /// Accounts that may not be.
    pub forbidden: Option<Vec<Pattern>>,
    /// Accounts that ask for no password.
    pub empty_passwords: Option<Forbidden>,
    /// Whether names and ids must be unique; only `true` can be asked.
    pub unique: Option<bool>,
    /// The system accounts that may have a login shell.
    pub system_shells: Option<Vec<Pattern>>,
    /// The algorithms that may keep passwords.
    pub hashes: Option<Vec<String>>,
    /// The accounts that must expire.
    pub expire: Option<Vec<Pattern>>,
    /// How old passwords may become.
    pub max_password_age: Option<Length>,
    /// Owner and mode of people's homes.
    pub homes: Option<Safe>,
    /// Bounds of settings of login.defs.
    pub policy: Option<BTreeMap<String, PolicyBounds>>,
    /// Modules of PAM some file must use.
    pub pam: Option<Vec<String>>,
}

/// May not be.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forbidden {
    /// `forbidden`.
    Forbidden,
}

/// The user's own, and writable by nobody else.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Safe {
    /// `safe`.
    Safe,
}

/// Bounds of a setting. At least one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyBounds {
    /// At most this number.
    pub at_most: Option<i64>,
    /// At least this number.
    pub at_least: Option<i64>,
    /// One of these words.
    pub one_of: Option<Vec<String>>,
}

/// What is wrong with an expectation.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let wrong = |path: &str, why: &str| Err((path.to_owned(), why.to_owned()));
    let Expect {
        only,
        forbidden,
        empty_passwords,
        unique,
        system_shells,
        hashes,
        expire,
        max_password_age,
        homes,
        policy,
        pam,
    } = expect;
    let asked = [
        only.is_some(),
        forbidden.is_some(),
        empty_passwords.is_some(),
        unique.is_some(),
        system_shells.is_some(),
        hashes.is_some(),
        expire.is_some(),
        max_password_age.is_some(),
        homes.is_some(),
        policy.as_ref().is_some_and(|policy| !policy.is_empty()),
        pam.as_ref().is_some_and(|pam| !pam.is_empty()),
    ];
    if !asked.contains(&true) {
        return wrong("", "nothing is asked: give at least one key, such as `only` or `empty_passwords`");
    }
    if *unique == Some(false) {
        return wrong("unique", "only `true` can be asked: leave the key out to ask nothing");
    }
    if hashes.as_ref().is_some_and(Vec::is_empty) {
        return wrong("hashes", "an empty list allows no password at all");
    }
    for (key, bounds) in policy.iter().flatten() {
        let PolicyBounds { at_most, at_least, one_of } = bounds;
        if at_most.is_none() && at_least.is_none() && one_of.is_none() {
            return wrong(&format!("policy.{key}"), "nothing is asked of it");
        }
        if !super::collect::POLICY.contains(&key.as_str()) {
            let known = super::collect::POLICY.join(", ");
            return wrong(&format!("policy.{key}"), &format!("is not looked at; these are: {known}"));
        }
    }
    for (at, module) in pam.iter().flatten().enumerate() {
        if !super::collect::MODULES.contains(&module.as_str()) {
            let known = super::collect::MODULES.join(", ");
            return wrong(&format!("pam[{at}]"), &format!("is not looked at; these are: {known}"));
        }
    }
    Ok(())
}
