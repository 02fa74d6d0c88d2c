//! `ship`: sends what is spooled, in order, and keeps the collector's signed receipts. Never opens the host's key, and
//! deletes nothing but its own notes: only `collect` deletes a report, once it has verified the receipt.
//!
//! A report the collector refuses for good, or whose file is damaged, is noted with its reason, shown by `status`, tried again now and then, and does
//! not stop those behind it. What may work later stops the round, so that reports arrive in order.

pub(crate) mod run;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use audit::api::{MAX_FACTS_SENT, REPORTS};
use audit::digest::Digest;
use audit::report::{Receipt, Report};
use audit::seal::{self, MAX_ENVELOPE, Verified};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::cli::{Usage, given};
use crate::client::{Client, Trouble};
use crate::config::Config;
use crate::durable;
use crate::identity::Identity;
use crate::state::{State, numbers};

/// Receipts may be read by `collect`, which may be another user of the same group.
const MODE: u32 = 0o644;
/// How often facts are sent and the report posted again before a collector that still lacks some is left alone.
const ROUNDS: u32 = 8;
/// How long a refused report rests before it is tried again.
const REFUSED_RESTS: TimeDelta = TimeDelta::minutes(10);
/// After so many refusals in a row it is the host that is refused, not a report: the round ends.
const REFUSALS_IN_A_ROW: u32 = 3;

/// Everything a round needs.
pub(crate) struct Shipper {
    state: State,
    identity: Identity,
    own: VerifyingKey,
    pinned: VerifyingKey,
    client: Client,
}

/// What a collector said when it refused a report for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refused {
    /// The HTTP status; 0 where the collector was not the one who refused.
    pub(crate) status: u16,
    /// In words.
    pub(crate) why: String,
    /// When, by the host's clock.
    pub(crate) time: DateTime<Utc>,
}

/// What a round came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Reports acknowledged in this round.
    pub(crate) acknowledged: u32,
    /// Reports refused for good, now or before, with the last reason.
    pub(crate) refused: Option<String>,
    /// Why the round ended before all was sent.
    pub(crate) stopped: Option<Stopped>,
}

/// Why a round ended early.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// In words.
    pub(crate) why: String,
    /// How long the collector asks us to wait at least.
    pub(crate) wait: Option<Duration>,
}

impl Shipper {
    /// Reads whom to ship to.
    pub(crate) fn open(state: &State, config: &Config) -> anyhow::Result<Self> {
        let identity = Identity::require(state)?;
        let ca = match &config.ca {
            Some(path) => Some(given::certificates(path)?),
            None => identity.ca.clone(),
        };
        let url = config.collector.as_deref().unwrap_or(&identity.collector);
        // What enrolment pinned was checked then; what the configuration says instead is the caller's to mend.
        let set = config.collector.is_some() || config.ca.is_some();
        let bad = |error: anyhow::Error| if set { Usage(format!("{error:#}")).into() } else { error };
        let client = Client::new(url, ca.as_deref()).map_err(bad)?;
        let (own, pinned) = (identity.public_key()?, identity.pinned_key()?);
        Ok(Self { state: state.clone(), identity, own, pinned, client })
    }

    /// Sends everything not yet acknowledged, oldest first.
    pub(crate) async fn round(&self) -> anyhow::Result<Round> {
        let spooled = numbers(&self.state.reports(), "json").context("listing the spool")?;
        self.tidy(&spooled)?;
        let mut round = Round::default();
        let mut in_a_row = 0;
        for sequence in spooled {
            if self.is_acknowledged(sequence) {
                continue;
            }
            if let Some(resting) = self.resting(sequence) {
                round.refused = Some(format!("report {sequence}: {}", resting.why));
                continue;
            }
            match self.send(sequence).await {
                Ok(true) => {
                    round.acknowledged += 1;
                    in_a_row = 0;
                }
                // Collect has deleted or dropped it meanwhile.
                Ok(false) => {}
                Err(Trouble::Later { why, wait }) => {
                    round.stopped = Some(Stopped { why: format!("report {sequence}: {why}"), wait });
                    return Ok(round);
                }
                Err(Trouble::Refused { status, why }) => {
                    self.note_refusal(sequence, status, &why)?;
                    round.refused = Some(format!("report {sequence}: {why}"));
                    // Files that are damaged here say nothing of the collector.
                    in_a_row += u32::from(status != 0);
                    if in_a_row >= REFUSALS_IN_A_ROW {
                        let why = format!("the collector refuses one report after the other, the last: {why}");
                        round.stopped = Some(Stopped { why, wait: None });
                        return Ok(round);
                    }
                }
            }
        }
        Ok(round)
    }

    /// Whether every spooled report is acknowledged.
    pub(crate) fn is_done(&self) -> anyhow::Result<bool> {
        let spooled = numbers(&self.state.reports(), "json").context("listing the spool")?;
        Ok(spooled.into_iter().all(|sequence| self.is_acknowledged(sequence)))
    }

    /// Sends one report, and the facts the collector lacks; `false` if it is not there any more.
    async fn send(&self, sequence: u64) -> Result<bool, Trouble> {
        let Some(envelope) = self.read(&self.state.report(sequence), MAX_ENVELOPE)? else { return Ok(false) };
        let report = seal::verify::<Report>(&envelope, &self.own).map_err(|refusal| Trouble::Refused {
            status: 0,
            why: format!("the spooled file is damaged: {refusal}"),
        })?;
        if report.statement().sequence != sequence {
            let why = format!("the spooled file is damaged: it holds report {}", report.statement().sequence);
            return Err(Trouble::Refused { status: 0, why });
        }
        for _ in 0..ROUNDS {
            let answer = self.client.post(REPORTS, envelope.clone()).await?;
            let receipt = self.understand(&answer, &report)?;
            durable::write(&self.state.ack(sequence), &answer, MODE).map_err(|error| here(&error))?;
            if receipt.lacks.is_empty() {
                return self.acknowledged(sequence, &answer).map(|()| true);
            }
            tracing::debug!(sequence, lacks = receipt.lacks.len(), "the collector lacks facts");
            for digest in receipt.lacks {
                self.send_facts(&report, digest).await?;
            }
        }
        Err(Trouble::Refused {
            status: 0,
            why: format!("after {ROUNDS} rounds the collector still says it lacks facts"),
        })
    }

    async fn send_facts(&self, report: &Verified<Report>, digest: Digest) -> Result<(), Trouble> {
        let Some(packed) = self.read(&self.state.fact(digest), MAX_FACTS_SENT)? else {
            let why = format!("the collector asks for facts {digest}, which the spool does not hold");
            return Err(Trouble::Refused { status: 0, why });
        };
        self.client.put(&format!("{REPORTS}/{}/facts/{digest}", report.id()), packed).await
    }

    /// The receipt, if it is one for this report by the pinned key. Anything else came from somewhere else.
    fn understand(&self, answer: &[u8], report: &Verified<Report>) -> Result<Receipt, Trouble> {
        let worthless = |why: String| Trouble::Later { why, wait: None };
        let receipt = seal::verify::<Receipt>(answer, &self.pinned).map_err(|refusal| {
            worthless(format!("the answer is no receipt by the collector this host enrolled with: {refusal}"))
        })?;
        let receipt = receipt.statement();
        let (host, sequence) = (&report.statement().host, report.statement().sequence);
        if receipt.report != report.id() || receipt.host != *host || receipt.sequence != sequence {
            return Err(worthless("the receipt is for another report".into()));
        }
        Ok(receipt.clone())
    }

    fn acknowledged(&self, sequence: u64, answer: &[u8]) -> Result<(), Trouble> {
        let noted = durable::write(&self.state.last_receipt(), answer, MODE)
            .and_then(|()| durable::remove(&self.state.refused(sequence)).map(drop));
        noted.map_err(|error| here(&error))
    }

    /// An acknowledgement as `ship` itself wrote it down; `collect` verifies it before it deletes.
    fn is_acknowledged(&self, sequence: u64) -> bool {
        let Ok(Some(bytes)) = durable::read(&self.state.ack(sequence), MAX_ENVELOPE as u64) else { return false };
        seal::verify::<Receipt>(&bytes, &self.pinned).is_ok_and(|receipt| receipt.statement().lacks.is_empty())
    }

    fn resting(&self, sequence: u64) -> Option<Refused> {
        let refused = refusal(&self.state, sequence)?;
        let age = Utc::now() - refused.time;
        (TimeDelta::zero() <= age && age < REFUSED_RESTS).then_some(refused)
    }

    fn note_refusal(&self, sequence: u64, status: u16, why: &str) -> anyhow::Result<()> {
        tracing::error!(sequence, status, why, "the collector refuses this report; it stays in the spool");
        let refused = Refused { status, why: why.to_owned(), time: Utc::now().trunc_subsecs(0) };
        durable::write(&self.state.refused(sequence), &serde_json::to_vec(&refused)?, MODE)
            .context("noting the refusal")
    }

    /// Removes notes about reports that have gone, in case `collect` may not.
    fn tidy(&self, spooled: &[u64]) -> anyhow::Result<()> {
        for (extension, path) in [("json", State::ack as fn(&State, u64) -> _), ("refused", State::refused)] {
            for sequence in numbers(&self.state.acks(), extension).context("listing the receipts")? {
                if spooled.binary_search(&sequence).is_err() {
                    durable::remove(&path(&self.state, sequence))?;
                }
            }
        }
        Ok(())
    }

    fn read(&self, path: &Path, cap: usize) -> Result<Option<Vec<u8>>, Trouble> {
        durable::read(path, cap as u64).map_err(|error| {
            if error.kind() != std::io::ErrorKind::InvalidData {
                return here(&error);
            }
            // Waiting makes it no better, and what is behind it can be sent.
            Trouble::Refused { status: 0, why: format!("the spooled file is damaged: {error}") }
        })
    }

    /// Whom this host ships to.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// What the collector said of report `sequence` when it refused it.
pub(crate) fn refusal(state: &State, sequence: u64) -> Option<Refused> {
    let bytes = durable::read(&state.refused(sequence), MAX_ENVELOPE as u64).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// A failure on this side: a full disk, a folder that may not be written to.
fn here(error: &std::io::Error) -> Trouble {
    Trouble::Later { why: format!("on this host: {error}"), wait: None }
}

/// `--once`: an error unless everything was acknowledged.
pub(crate) async fn once(state: &State, config: &Config) -> anyhow::Result<Round> {
    let shipper = Shipper::open(state, config)?;
    let _lock = crate::spool::lock(&state.acks().join("ship.lock"))?;
    let round = shipper.round().await?;
    if let Some(stopped) = &round.stopped {
        bail!("{}", stopped.why);
    }
    if let Some(refused) = &round.refused {
        bail!("{refused}");
    }
    if !shipper.is_done()? {
        bail!("more was spooled meanwhile");
    }
    Ok(round)
}

#[cfg(test)]
mod tests;
