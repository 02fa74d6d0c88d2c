//! What agent and collector say to each other over HTTP, besides signed statements.
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `POST /v1/enrol` | an envelope of an [`Enrolment`](crate::report::Enrolment) | [`Enrolled`] |
//! | `POST /v1/reports` | an envelope of a [`Report`](crate::report::Report) | an envelope of a [`Receipt`](crate::report::Receipt) |
//! | `PUT /v1/reports/{report}/facts/{digest}` | the named bytes, zstd | 204 |
//!
//! Facts are accepted only if the verified report of that id names their digest, at most [`MAX_FACTS`] bytes inflated and
//! [`MAX_INFLATION`] times their sent size. Every refusal is a [`Problem`] (RFC 9457).

use serde::{Deserialize, Serialize};

use crate::report::HostId;

/// Where a host enrols.
pub const ENROL: &str = "/v1/enrol";
/// Where reports go.
pub const REPORTS: &str = "/v1/reports";
/// The header of a report's call that carries the host's clock when it was sent, RFC 3339: from it the collector measures
/// the clock's error, and tells a late report from a wrong clock. Without it only instants of receipt can be trusted. Its
/// name is short because every report carries it.
pub const SENT: &str = "sent";
/// The largest body of facts, inflated, in bytes.
pub const MAX_FACTS: usize = 16 * 1024 * 1024;
/// The largest body of facts as sent, in bytes.
pub const MAX_FACTS_SENT: usize = 4 * 1024 * 1024;
/// The most a body of facts may grow when inflated.
pub const MAX_INFLATION: usize = 100;
/// Small bodies compress better than [`MAX_INFLATION`] honestly; up to this many bytes inflated are always allowed.
pub const ALWAYS_INFLATED: usize = 64 * 1024;

/// The collector's answer to an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The identity the host reports under from now on.
    pub host: HostId,
    /// The key the collector signs receipts with, hexadecimal: pinned by the agent.
    pub receipt_key: String,
}

/// A refusal, as RFC 9457 shapes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What class of refusal: `about:blank` or a relative reference such as `/problems/chain-fork`.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words: what and where, and what the caller can do.
    #[serde(default)]
    pub detail: String,
}

fn blank() -> String {
    "about:blank".into()
}
