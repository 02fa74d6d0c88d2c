//! `/etc/shadow`, without its secrets: shadow(5) for the ages, crypt(5) for the algorithms.

use std::path::Path;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::host::{Gap, Host, read_small};

/// What is known of an account's password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// Whether it can be used.
    pub status: Status,
    /// The algorithm that keeps it: `yescrypt`, `sha512`, also behind a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Days before it may be changed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_days: Option<i64>,
    /// Days after which it must be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_days: Option<i64>,
    /// Days of warning before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_days: Option<i64>,
    /// Days after it that the account still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactive_days: Option<i64>,
    /// The day the account expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<NaiveDate>,
}

/// Whether a password can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// None is asked for.
    Empty,
    /// There is one.
    Set,
    /// `!` or `*` keeps it from being used.
    Locked,
    /// What stands there is no hash.
    Unusable,
}

impl Password {
    /// Of a password field alone, as `/etc/passwd` may have it.
    pub(super) fn of_field(field: &[u8]) -> Self {
        let locked = field.starts_with(b"!") || field.starts_with(b"*");
        let hash = field.iter().position(|byte| *byte != b'!').and_then(|at| field.get(at..)).unwrap_or_default();
        let algorithm = algorithm(hash);
        let status = match field {
            [] => Status::Empty,
            _ if locked => Status::Locked,
            _ if algorithm.is_some() => Status::Set,
            _ => Status::Unusable,
        };
        let algorithm = algorithm.map(str::to_owned);
        Self { status, algorithm, min_days: None, max_days: None, warn_days: None, inactive_days: None, expires: None }
    }

    /// For a person.
    pub(super) fn say(&self) -> String {
        let mut said = match self.status {
            Status::Empty => "empty".to_owned(),
            Status::Set => "set".to_owned(),
            Status::Locked => "locked".to_owned(),
            Status::Unusable => "unusable".to_owned(),
        };
        if let Some(algorithm) = &self.algorithm {
            said.push_str(&format!(" ({algorithm})"));
        }
        let days = [
            ("at least", self.min_days),
            ("at most", self.max_days),
            ("warned", self.warn_days),
            ("inactive after", self.inactive_days),
        ];
        for (what, days) in days {
            if let Some(days) = days {
                said.push_str(&format!(", {what} {days} days"));
            }
        }
        if let Some(day) = self.expires {
            said.push_str(&format!(", expires on {day}"));
        }
        said
    }
}

/// The most lines that are told apart of those that are not understood.
const MAX_SPOILT: usize = 1_000;

/// One line.
pub(super) struct Line {
    pub(super) name: Vec<u8>,
    pub(super) password: Password,
    /// The day it was last changed; day 0 asks for a change at the next login.
    pub(super) changed: Option<NaiveDate>,
}

/// The lines of `/etc/shadow`, and the numbers of those that are not understood.
pub(super) fn read(host: &dyn Host) -> Result<(Vec<Line>, Vec<Gap>), Gap> {
    const PATH: &str = "/etc/shadow";
    let bytes = read_small(host, Path::new(PATH))?;
    let (mut lines, mut gaps) = (Vec::new(), Vec::new());
    for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if text.is_empty() || text.starts_with(b"#") || text.starts_with(b"+") || text.starts_with(b"-") {
            continue;
        }
        match line(text) {
            Some(line) => lines.push(line),
            None if gaps.len() < MAX_SPOILT => {
                gaps.push(Gap::malformed(PATH, format!("line {} is not understood", number + 1)));
            }
            // One gap hides as much as a thousand.
            None => {}
        }
    }
    Ok((lines, gaps))
}

fn line(text: &[u8]) -> Option<Line> {
    let fields: Vec<&[u8]> = text.split(|byte| *byte == b':').collect();
    let [name, password, changed, min, max, warn, inactive, expires, _flag] = fields.as_slice() else { return None };
    if name.is_empty() || text.contains(&0) {
        return None;
    }
    let mut kept = Password::of_field(password);
    kept.min_days = number(min)?;
    kept.max_days = number(max)?;
    kept.warn_days = number(warn)?;
    kept.inactive_days = number(inactive)?;
    kept.expires = number(expires)?.map(day).unwrap_or_default();
    Some(Line { name: name.to_vec(), password: kept, changed: number(changed)?.map(day).unwrap_or_default() })
}

/// A number that may be missing or `-1`, which are the same: not set.
#[expect(clippy::option_option, reason = "the outer is whether it is understood, the inner whether it is there")]
fn number(bytes: &[u8]) -> Option<Option<i64>> {
    if bytes.is_empty() {
        return Some(None);
    }
    let number: i64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    Some((number >= 0).then_some(number))
}

/// A day counted from 1970.
fn day(days: i64) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_days(Days::new(u64::try_from(days).ok()?))
}

/// The algorithm of a hash as crypt(5) tells it by its prefix; `None` where it is no hash.
fn algorithm(hash: &[u8]) -> Option<&'static str> {
    const PREFIXES: [(&[u8], &str); 12] = [
        (b"$y$", "yescrypt"),
        (b"$gy$", "gost-yescrypt"),
        (b"$7$", "scrypt"),
        (b"$2a$", "bcrypt"),
        (b"$2b$", "bcrypt"),
        (b"$2x$", "bcrypt"),
        (b"$2y$", "bcrypt"),
        (b"$6$", "sha512"),
        (b"$5$", "sha256"),
        (b"$sha1", "sha1"),
        (b"$1$", "md5"),
        (b"$3$", "nt"),
    ];
    if let Some((_, name)) = PREFIXES.iter().find(|(prefix, _)| hash.starts_with(prefix)) {
        return Some(name);
    }
    let alphabet = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(byte));
    match hash {
        [b'$', b'm', b'd', b'5', ..] => Some("sunmd5"),
        [b'_', rest @ ..] if rest.len() == 19 && alphabet(rest) => Some("bsdi-des"),
        rest if rest.len() == 13 && alphabet(rest) => Some("des"),
        _ => None,
    }
}
