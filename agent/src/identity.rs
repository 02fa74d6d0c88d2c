//! Who this host is and whom it reports to, as `enroll` pinned it. Holds no secret: `ship` and `status` read it too.

use anyhow::{Context as _, bail};
use audit::digest::Digest;
use audit::report::HostId;
use audit::seal;
use chrono::{DateTime, Utc};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::{durable, key};

/// The largest identity read, in bytes: a bundle of certificate authorities may stand in it.
const MAX: u64 = 1024 * 1024;

/// What enrolment settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// The identity the collector gave.
    pub(crate) host: HostId,
    /// The collector's URL.
    pub(crate) collector: String,
    /// The certificates to trust, PEM; `None`: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    /// The host's public key, hexadecimal.
    pub(crate) key: String,
    /// The key the collector signs receipts with, hexadecimal.
    pub(crate) receipt_key: String,
    /// When this was settled, by the host's clock.
    pub(crate) enrolled: DateTime<Utc>,
}

impl Identity {
    /// The identity on disk; `None` if the host is not enrolled.
    pub(crate) fn load(state: &State) -> anyhow::Result<Option<Self>> {
        let Some(bytes) = durable::read(&state.identity(), MAX).context("reading the identity")? else {
            return Ok(None);
        };
        let identity: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged: enrol anew with --force", state.identity().display()))?;
        identity.public_key()?;
        identity.pinned_key()?;
        Ok(Some(identity))
    }

    /// The identity on disk, or an error that says how to get one.
    pub(crate) fn require(state: &State) -> anyhow::Result<Self> {
        match Self::load(state)? {
            Some(identity) => Ok(identity),
            None => bail!(
                "this host is not enrolled (no {}): run `plumbline enroll --collector URL --token TOKEN`",
                state.identity().display()
            ),
        }
    }

    /// Puts it on disk.
    pub(crate) fn save(&self, state: &State) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        durable::write(&state.identity(), &bytes, 0o644).context("writing the identity")
    }

    /// The host's public key.
    pub(crate) fn public_key(&self) -> anyhow::Result<VerifyingKey> {
        key::public(&self.key).context("the identity's own key")
    }

    /// The key whose receipts count.
    pub(crate) fn pinned_key(&self) -> anyhow::Result<VerifyingKey> {
        key::public(&self.receipt_key).context("the collector's receipt key")
    }

    /// The digest people compare a key by.
    pub(crate) fn fingerprint(&self) -> anyhow::Result<Digest> {
        Ok(seal::key_id(&self.public_key()?))
    }
}
