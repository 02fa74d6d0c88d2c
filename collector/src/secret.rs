//! Secrets the collector hands out: personal tokens, enrolment tokens, sign-in links, sessions.
//!
//! Each is 192 bits from the kernel behind a prefix that says what it is (and that secret scanners can look for). Only
//! its SHA-256 is stored: the secret has full entropy, so a fast hash is enough and a slow one would only be a burden.

use std::fmt;

use audit::digest::Digest;
use subtle::ConstantTimeEq as _;

use crate::error::Refusal;

const BYTES: usize = 24;
/// The longest text that is looked at as a secret at all.
const MAX_LENGTH: usize = 200;

/// What a secret is for; its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A person's token for the API.
    Personal,
    /// One host's enrolment.
    Enrolment,
    /// One sign-in on the web pages.
    Link,
    /// A browser's session.
    Session,
}

impl Purpose {
    fn prefix(self) -> &'static str {
        match self {
            Self::Personal => "plt_",
            Self::Enrolment => "ple_",
            Self::Link => "pll_",
            Self::Session => "pls_",
        }
    }
}

/// A secret in clear: to be shown once. Its `Debug` keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one.
    pub fn new(purpose: Purpose) -> Result<Self, Refusal> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| Refusal::internal(format!("the kernel gave no random bytes: {error}")))?;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("{}{digits}", purpose.prefix())))
    }

    /// The text, to be shown to whom it belongs and to nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> Hash {
        Hash::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The stored form of a secret.
#[derive(Clone)]
pub struct Hash(String);

impl Hash {
    /// The hash of what somebody presented. Over-long text hashes to something nobody has.
    pub fn of(presented: &str) -> Self {
        let text = presented.get(..presented.len().min(MAX_LENGTH)).unwrap_or_default();
        Self(Digest::of(text.as_bytes()).to_string())
    }

    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `stored` is the same, compared in constant time.
    pub fn is(&self, stored: &str) -> bool {
        self.0.as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_new_each_time_and_never_shown_by_debug() {
        let (one, two) = (Secret::new(Purpose::Personal).unwrap(), Secret::new(Purpose::Personal).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.reveal().len(), 4 + 2 * BYTES);
        assert!(!format!("{one:?}").contains(one.reveal()));
        assert!(one.hash().is(Hash::of(one.reveal()).as_str()) && !one.hash().is(two.hash().as_str()));
    }
}
