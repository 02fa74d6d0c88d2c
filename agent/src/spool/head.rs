//! Where a host's chain of reports stands: the last number used, and what the next report must say.

use anyhow::{Context as _, bail};
use audit::digest::Digest;
use audit::report::{Dropped, Report};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::state::{LAST, State};

/// The largest head read, in bytes.
const MAX: u64 = 4 * 1024 * 1024;

/// The end of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// The last number used; 0 before the first report.
    pub(crate) sequence: u64,
    /// The id of that report.
    pub(crate) report: Option<Digest>,
    /// Its manifest.
    pub(crate) manifest: Option<Digest>,
    /// What was dropped since, to be stated by the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dropped: Option<Dropped>,
    /// Runs of numbers, first and last, of reports with the manifest of the one before. Only these may be dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unchanged: Vec<(u64, u64)>,
    /// What spooled reports say was dropped, by number: one that is lost must not take that with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stated: Vec<(u64, Dropped)>,
}

impl Head {
    /// The head on disk. A missing one is an error: a chain that began anew would be a fork.
    pub(crate) fn load(state: &State) -> anyhow::Result<Self> {
        let path = state.head();
        let Some(bytes) = durable::read(&path, MAX).context("reading the chain's head")? else {
            bail!("{} is missing, so the next report's number is unknown: enrol anew with --force", path.display());
        };
        let damaged = || {
            format!("{} is damaged, so the next report's number is unknown: enrol anew with --force", path.display())
        };
        let head: Self = serde_json::from_slice(&bytes).with_context(damaged)?;
        if head.sequence >= LAST {
            bail!(damaged());
        }
        Ok(head)
    }

    /// Puts it on disk.
    pub(crate) fn save(&self, state: &State) -> anyhow::Result<()> {
        self.write(state).context("writing the chain's head")
    }

    /// The same, with the failure as it came.
    pub(super) fn write(&self, state: &State) -> std::io::Result<()> {
        durable::write(&state.head(), &serde_json::to_vec(self)?, 0o644)
    }

    /// The head once `report` follows.
    pub(super) fn next(&self, report: &Report, id: Digest) -> Self {
        let mut unchanged = self.unchanged.clone();
        if self.manifest == Some(report.manifest) {
            match unchanged.last_mut() {
                Some((_, last)) if *last + 1 == report.sequence => *last = report.sequence,
                Some(_) | None => unchanged.push((report.sequence, report.sequence)),
            }
        }
        let mut stated = self.stated.clone();
        stated.extend(report.dropped.clone().map(|said| (report.sequence, said)));
        Self {
            sequence: report.sequence,
            report: Some(id),
            manifest: Some(report.manifest),
            dropped: None,
            unchanged,
            stated,
        }
    }

    /// The head once the reports `going` are dropped for want of room.
    pub(super) fn dropping(&self, going: &[u64]) -> Self {
        going.iter().fold(self.clone(), |head, sequence| head.without(*sequence, 0))
    }

    /// The head once one report is dropped, and what it said is said again: that would go with it.
    fn without(mut self, sequence: u64, damaged: u64) -> Self {
        let (own, others) = std::mem::take(&mut self.stated).into_iter().partition(|(number, _)| *number == sequence);
        self.stated = others;
        let own: Vec<(u64, Dropped)> = own;
        let head = self.saying(&Dropped { from: sequence, to: sequence, count: 1, damaged });
        own.iter().fold(head, |head, (_, said)| head.saying(said))
    }

    /// The head once the reports `lost` cannot be sent any more. What follows one of them says something new: its manifest
    /// may be that of the lost one, and nobody else has stated it.
    pub(super) fn losing(&self, lost: &[u64]) -> Self {
        let mut head = lost.iter().fold(self.clone(), |head, sequence| head.without(*sequence, 1));
        for sequence in lost {
            if *sequence == head.sequence {
                head.manifest = None;
            }
            let after = sequence.saturating_add(1);
            let runs = std::mem::take(&mut head.unchanged).into_iter();
            let split = |(first, last): (u64, u64)| {
                if (first..=last).contains(&after) {
                    [(first, after - 1), (after + 1, last)]
                } else {
                    [(first, last), (1, 0)]
                }
            };
            head.unchanged = runs.flat_map(split).filter(|(first, last)| first <= last).collect();
        }
        head
    }

    /// The head whose next report says this was dropped, besides what it says already.
    fn saying(mut self, dropped: &Dropped) -> Self {
        self.dropped = Some(match self.dropped {
            None => dropped.clone(),
            Some(said) => Dropped {
                from: said.from.min(dropped.from),
                to: said.to.max(dropped.to),
                count: said.count.saturating_add(dropped.count),
                damaged: said.damaged.saturating_add(dropped.damaged),
            },
        });
        self
    }

    /// Whether report `sequence` has the manifest of the one before it.
    pub(super) fn is_unchanged(&self, sequence: u64) -> bool {
        self.unchanged.iter().any(|(first, last)| (*first..=*last).contains(&sequence))
    }

    /// Forgets what was before `oldest`, the first report still spooled.
    pub(super) fn forget_before(&mut self, oldest: u64) {
        self.stated.retain(|(number, _)| *number >= oldest);
        self.unchanged.retain(|(_, last)| *last >= oldest);
    }
}
