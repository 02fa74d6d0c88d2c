//! When software reaches its maker's end of life: the typed form of `baselines/end-of-life.yaml`.

use crate::digest::Digest;
use crate::yaml::{Complaint, Document};
use serde::Deserialize;

/// The dates, and the digest that names them.
#[derive(Debug, Clone)]
pub struct Lifecycles {
    /// The SHA-256 of the text they were read from.
    pub digest: Digest,
    /// The data.
    pub data: Data,
}

/// The document.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The day the dates were last checked against their sources.
    pub updated: chrono::NaiveDate,
}

impl Lifecycles {
    /// Reads the data; `file` is only its name, for complaints.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Complaint> {
        Ok(Self { digest: Digest::of(bytes), data: Document::open(file, bytes)?.parse()? })
    }
}
