//! # certificates
//!
//! Certificates in files that rules name, private keys beside them, and the roots this host trusts.
//!
//! ## What it reads
//!
//! The paths and globs that rules name (see [files](files.md) for how globs are walked). The trust store, only if a rule
//! asks for `roots`: `/etc/ssl/certs/ca-certificates.crt` (Debian, Alpine), `/etc/pki/tls/certs/ca-bundle.crt` (Red Hat). Roots
//! added on this host, only if a rule asks for `added_roots`: `/usr/local/share/ca-certificates` and
//! `/etc/pki/ca-trust/source/anchors`. PEM with any number of certificates among other text, and DER. Of private keys only owner
//! and mode: they are not opened. `/etc/passwd` and `/etc/group` give owners their names.
//!
//! ## Items
//!
//! | subject | is |
//! | --- | --- |
//! | `asked:/etc/ssl/site.pem`, `asked:root`, `asked:added` | that it was looked at |
//! | `/etc/ssl/site.pem:1` | the first certificate in that file: `{name, issuer, sha256, from, until, key, signature, ca, names}` |
//! | `key:/etc/ssl/site.key` | a private key's `{mode, owner, group}` |
//! | `root:SHA256` | a root in the trust store: the same as a certificate |
//! | `added:/usr/local/share/ca-certificates/x.crt:1` | a root added on this host |
//!
//! `names` are the DNS names and addresses it is for. There is no state.
//!
//! ## Expectations
//!
//! ```yaml
//! certificates:
//!   paths: ["/etc/ssl/site/*.pem"]
//!   valid_for: 30d
//!   rsa_bits: 2048
//!   signature: strong
//! ```
//!
//! - `paths`: the files. One that holds no certificate, or a damaged one, is unknown.
//! - `valid_for`: valid already, and for this much longer; `0s` for: now.
//! - `rsa_bits`, `ec_bits`: the least size of a key of that kind. Ed25519 and Ed448 always suffice.
//! - `signature: strong`: not signed with MD2, MD4, MD5 or SHA-1. A root's own signature counts for nothing and is not judged.
//! - `self_signed: forbidden`: none that names itself as its issuer, but for authorities.
//! - `names`: DNS names or addresses that each file's first certificate is for; `*.example.org` is matched as written there.
//! - `keys`: private key files, which nobody but their owner may write and nobody may read but owner and group: `"0640"`.
//! - `roots`: the only trusted roots, by the SHA-256 of the certificate (`openssl x509 -noout -fingerprint -sha256` without colons, in lower case).
//! - `added_roots`: the only roots added on this host, likewise; `[]` for none.
//!
//! `valid_for`, `rsa_bits` and the others apply to what `paths` names; with `roots` or `added_roots` in the same rule, not to those.
//!
//! ## What it cannot see
//!
//! Whether a chain is complete or a signature true: nothing is verified. Certificates in PKCS#7, PKCS#12 or Java stores.
//! Revocation. Roots that programs bring along (browsers, Java, Python).

mod decode;
mod expect;
mod judge;
mod observe;
mod pem;

use serde::{Deserialize, Serialize};

use super::files::paths;
use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Looked, Probe};

pub use expect::Expect;

/// The probe.
pub struct Certificates;

/// One configuration item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    /// Looked at, whatever was found.
    Asked,
    /// A certificate.
    Certificate(Certificate),
    /// A private key's file.
    Key(KeyFile),
}

/// A certificate, as RFC 5280 names its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its subject: `C=DE, O=Example, CN=www.example.org`.
    pub name: String,
    /// Its issuer, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The SHA-256 of its DER.
    pub sha256: String,
    /// From when it is valid, in seconds since 1970.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// Its key: `RSA 2048`, `EC P-256`, `Ed25519`.
    pub key: String,
    /// What it was signed with: `SHA-256 with RSA`.
    pub signature: String,
    /// Whether it may sign others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ca: bool,
    /// The DNS names and addresses it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// Who may use a private key's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    /// Four octal digits.
    pub mode: String,
    /// The owner's name, or number.
    pub owner: String,
    /// The group's name, or number.
    pub group: String,
}

impl Probe for Certificates {
    const NAME: &'static str = "certificates";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/passwd",
        "/etc/group",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/usr/local/share/ca-certificates",
        "/usr/local/share/ca-certificates/**",
        "/etc/pki/ca-trust/source/anchors",
        "/etc/pki/ca-trust/source/anchors/**",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Item;
    type State = ();
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, ()> {
        Self::collect_for(host, &[])
    }

    fn asked(expect: &Expect) -> Vec<String> {
        expect.paths.iter().chain(&expect.keys).flatten().flat_map(paths::Asking::reads).collect()
    }

    fn collect_for(host: &dyn Host, rules: &[&Expect]) -> Facts<Item, ()> {
        Facts { items: observe::observe(host, rules), ..Facts::default() }
    }

    fn looked(seen: &mut dyn Iterator<Item = &str>) -> Looked {
        let looked = paths::looked(seen);
        Box::new(move |subject| match (subject.strip_prefix("key:"), subject.rsplit_once(':')) {
            (Some(path), _) => looked(path),
            (None, Some((path, _number))) if subject.starts_with('/') => looked(path),
            (None, _) => looked(subject),
        })
    }

    fn judge(expect: &Expect, facts: &Facts<Item, ()>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, &facts.items, context.now)
    }

    fn say(item: &Item) -> String {
        match item {
            Item::Asked => "looked at".into(),
            Item::Certificate(certificate) => {
                format!("{} until {}, {}", certificate.name, judge::day(certificate.until), certificate.sha256)
            }
            Item::Key(key) => format!("{} {}:{}", key.mode, key.owner, key.group),
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

#[cfg(test)]
mod tests;
