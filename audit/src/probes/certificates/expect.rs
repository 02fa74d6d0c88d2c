//! What a rule can ask of certificates.

use serde::Deserialize;

use crate::digest::Digest;
use crate::duration::Length;
use crate::probes::files::paths::Asking;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The files meant.
    pub paths: Option<Vec<Asking>>,
    /// For how long each must be valid still.
    pub valid_for: Option<Length>,
    /// The least bits of an RSA key.
    pub rsa_bits: Option<u32>,
    /// The least bits of a key on an elliptic curve.
    pub ec_bits: Option<u32>,
    /// That no weak hash was signed.
    pub signature: Option<Strong>,
    /// That somebody else vouches.
    pub self_signed: Option<Forbidden>,
    /// What each file's first certificate is for.
    pub names: Option<Vec<String>>,
    /// Private keys that only their owner and group may read.
    pub keys: Option<Vec<Asking>>,
    /// The only trusted roots.
    pub roots: Option<Vec<Digest>>,
    /// The only roots added on this host.
    pub added_roots: Option<Vec<Digest>>,
}

/// The one thing to ask of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strong {
    /// No hash for which collisions can be made.
    Strong,
}

/// The one thing to ask of certificates that vouch for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forbidden {
    /// None.
    Forbidden,
}

/// What serde could not see.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let refuse = |key: &str, why: &str| Err((key.to_owned(), why.to_owned()));
    let asks_of_paths = expect.valid_for.is_some()
        || expect.rsa_bits.is_some()
        || expect.ec_bits.is_some()
        || expect.signature.is_some()
        || expect.self_signed.is_some()
        || expect.names.is_some();
    for (key, length) in [
        ("paths", expect.paths.as_ref().map(Vec::len)),
        ("keys", expect.keys.as_ref().map(Vec::len)),
        ("names", expect.names.as_ref().map(Vec::len)),
        ("roots", expect.roots.as_ref().map(Vec::len)),
    ] {
        if length == Some(0) {
            return refuse(key, "an empty list asks nothing");
        }
    }
    match (&expect.paths, asks_of_paths) {
        (Some(_), false) => refuse("paths", "nothing is asked of them: say `valid_for: 30d`, `signature: strong`, …"),
        (None, true) => refuse("", "of which certificates? Name their files in `paths`"),
        (None, false) if expect.keys.is_none() && expect.roots.is_none() && expect.added_roots.is_none() => {
            refuse("", "ask at least one of `paths`, `keys`, `roots`, `added_roots`")
        }
        (Some(_), true) | (None, false) => Ok(()),
    }
}
