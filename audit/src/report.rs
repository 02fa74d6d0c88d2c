//! The statements agent and collector sign, and the manifest a report names.
//!
//! A report is small and names big things by digest: one manifest, which lists each probe's facts by digest and the
//! baseline, end-of-life data and findings that go with them. So an unchanged host costs one small envelope.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::duration::Length;
use crate::instance::Evidence;
use crate::seal::Statement;

/// The identity of a host, given by the collector at enrolment: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostId(String);

impl HostId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let valid = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if valid { Ok(Self(text)) } else { Err("a host id is 32 hexadecimal digits".into()) }
    }
}

impl From<HostId> for String {
    fn from(id: HostId) -> Self {
        id.0
    }
}

impl std::fmt::Display for HostId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an agent states about its host at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Who states it.
    pub host: HostId,
    /// Its number: 1 for the first, without gaps except where `dropped` says so.
    pub sequence: u64,
    /// The id of the report before; `None` only for the first.
    pub previous: Option<Digest>,
    /// The host's clock when the facts had been observed. A label: order comes from `sequence`.
    pub time: DateTime<Utc>,
    /// The digest of the [`Manifest`].
    pub manifest: Digest,
    /// What the spool had to drop since the last report that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

impl Statement for Report {
    const TYPE: &'static str = "application/vnd.plumbline.report+json";
}

/// Reports the spool dropped, counted and signed with the next one: unchanged ones for want of room, never a transition;
/// and any whose file was damaged before it was sent, which the report that follows then makes good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// The first number dropped.
    pub from: u64,
    /// The last number dropped.
    pub to: u64,
    /// How many.
    pub count: u64,
    /// How many of them could not be sent because their files were damaged; the others went for want of room. Agents before
    /// this was stated counted them alike.
    #[serde(default, skip_serializing_if = "is_none")]
    pub damaged: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields by reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What a report is about, by digest. Its canonical JSON is what is hashed and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The agent's version.
    pub agent: String,
    /// The SHA-256 of the text of the baseline the agent judged by.
    pub baseline: Digest,
    /// The SHA-256 of the end-of-life data it judged with.
    pub lifecycles: Digest,
    /// The SHA-256 of its findings, canonical JSON: kept as evidence.
    pub findings: Digest,
    /// How often the agent says it reports: after two of these it is missed. Agents before it stated none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Length>,
    /// Each probe's facts.
    pub probes: BTreeMap<String, ProbeFacts>,
}

/// One probe's facts, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeFacts {
    /// The number of the facts' shape.
    pub schema: u32,
    /// Canonical JSON of its items.
    pub items: Digest,
    /// Canonical JSON of its state.
    pub state: Digest,
}

impl Manifest {
    /// Every digest a report with this manifest needs, besides the manifest's own.
    pub fn needs(&self) -> Vec<Digest> {
        let facts = self.probes.values().flat_map(|probe| [probe.items, probe.state]);
        let mut needs: Vec<Digest> = std::iter::once(self.findings).chain(facts).collect();
        needs.sort();
        needs.dedup();
        needs
    }
}

/// What a host states to be enrolled: signed with its new key, which proves it holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The one-time token, as given.
    pub token: String,
    /// The host's public key, hexadecimal.
    pub key: String,
    /// The host's own name: a label.
    pub name: String,
    /// `/etc/machine-id` where there is one: tells clones of one disk.
    pub machine: Option<String>,
    /// The operating system, for people.
    pub system: String,
    /// Which cloud instance it is, where it is one that could tell. Left out otherwise, so that a collector which does not
    /// know of it yet enrols every other host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Evidence>,
    /// The host's clock.
    pub time: DateTime<Utc>,
}

impl Statement for Enrolment {
    const TYPE: &'static str = "application/vnd.plumbline.enrolment+json";
}

/// The collector's answer to a report it has on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Whose report.
    pub host: HostId,
    /// Its number.
    pub sequence: u64,
    /// Its id.
    pub report: Digest,
    /// When the collector first had it.
    pub received: DateTime<Utc>,
    /// What the collector lacks of what it names. Empty: it has all, and the agent may delete its own.
    pub lacks: Vec<Digest>,
}

impl Statement for Receipt {
    const TYPE: &'static str = "application/vnd.plumbline.receipt+json";
}
