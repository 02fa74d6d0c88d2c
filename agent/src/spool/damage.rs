//! Spooled files that cannot be used any more: torn by a failing disk, or something else under their name.
//!
//! `ship` passes over what it cannot send and leaves a note of it; here, where the spool may be changed, those reports and
//! the facts they name are looked at again. Facts are made anew while the host still shows them. A report that cannot be
//! sent for good is set aside for a person to look at, and its number is signed as dropped with the next report. What it
//! said is not known any more, so the report after it counts as a transition: it is made at once, and never dropped.

use std::io;

use anyhow::Context as _;
use audit::api::MAX_FACTS_SENT;
use audit::digest::Digest;
use audit::report::{Manifest, Report};
use audit::seal;

use super::{Spool, pack};
use crate::durable;
use crate::state::numbers;

impl Spool {
    /// Looks again at the reports `ship` could not send: what is damaged is set aside, and signed as dropped.
    pub(crate) fn set_damaged_aside(&mut self) -> anyhow::Result<()> {
        let noted = numbers(&self.state.acks(), "refused").context("listing what ship could not send")?;
        let mut lost = Vec::new();
        for sequence in noted.into_iter().filter(|sequence| self.reports.contains_key(sequence)) {
            match seal::verify::<Report>(&self.envelope(sequence)?, &self.own) {
                Ok(report) if report.statement().sequence == sequence => {
                    match self.look_at_facts(report.statement().manifest)? {
                        Facts::Whole => {}
                        Facts::SetAside => {
                            // Sent again at once instead of after the rest a refusal means.
                            let _left_to_ship = durable::remove(&self.state.refused(sequence));
                        }
                        Facts::Gone => lost.push(sequence),
                    }
                }
                Ok(_) | Err(_) => lost.push(sequence),
            }
        }
        self.lose(&lost)
    }

    /// Sets the reports `lost` aside, and says so in the chain's head first: a report that is stated dropped and yet
    /// arrives does no harm, the reverse is a gap.
    pub(super) fn lose(&mut self, lost: &[u64]) -> anyhow::Result<()> {
        // A number the chain has not come to was never used by us: a stray, which is nobody's loss.
        let used: Vec<u64> = lost.iter().copied().filter(|sequence| *sequence <= self.head.sequence).collect();
        if !used.is_empty() {
            let head = self.head.losing(&used);
            head.save(&self.state)?;
            self.head = head;
        }
        for sequence in lost {
            let path = self.state.report(*sequence);
            tracing::error!(sequence, "a spooled report is damaged: the next report signs it as dropped");
            durable::set_aside(&path).context("setting a damaged report aside")?;
            self.reports.remove(sequence);
        }
        Ok(())
    }

    /// The facts of `digest`; `None` where they are not there, or are not what they should be.
    pub(crate) fn fact(&self, digest: Digest) -> io::Result<Option<Vec<u8>>> {
        let packed = match durable::read(&self.state.fact(digest), MAX_FACTS_SENT as u64) {
            Ok(packed) => packed,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(error),
        };
        Ok(packed.and_then(|packed| pack::unpack(&packed).ok()).filter(|bytes| Digest::of(bytes) == digest))
    }

    /// Looks at `manifest` and the facts it names; at all there are, where it is damaged and names none. What is damaged is
    /// set aside, to be made anew by this cycle if the host still shows the same.
    fn look_at_facts(&self, manifest: Digest) -> anyhow::Result<Facts> {
        if !self.has(manifest) {
            return Ok(Facts::Gone);
        }
        let named = self.fact(manifest)?.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
        let named = match named {
            Some(manifest) => manifest.needs(),
            None => self.facts()?,
        };
        let mut seen = Facts::Whole;
        for digest in named {
            if !self.has(digest) {
                return Ok(Facts::Gone);
            }
            if self.fact(digest)?.is_none() {
                tracing::error!(%digest, "spooled facts are damaged");
                durable::set_aside(&self.state.fact(digest)).context("setting damaged facts aside")?;
                seen = Facts::SetAside;
            }
        }
        Ok(seen)
    }

    /// The digests under which something stands among the facts.
    fn facts(&self) -> io::Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for entry in std::fs::read_dir(self.state.facts())? {
            let name = entry?.file_name();
            digests.extend(name.to_str().and_then(|name| name.strip_suffix(".zst")?.parse::<Digest>().ok()));
        }
        Ok(digests)
    }
}

/// The facts one report names.
enum Facts {
    /// All there.
    Whole,
    /// Some were damaged, and are not there now.
    SetAside,
    /// Some were not there before: no cycle since could make them anew.
    Gone,
}
