//! `collect`: reads the host, judges it, signs what it saw and spools it. Opens no network connection.
//!
//! One cycle ([`Collector::cycle`]) writes facts, then a report that names them ([`crate::spool`] says in which order). A
//! cycle that something woke up and that saw nothing new writes no report; one on the interval always does, because
//! silence is a finding.

mod memory;
pub(crate) mod run;
mod surveys;

use anyhow::{Context as _, bail};
use audit::baseline::Baseline;
use audit::digest::Digest;
use audit::duration::Length;
use audit::evaluate::evaluate;
use audit::facts::{AnyFacts, FactSet};
use audit::finding::{Finding, Status, Summary};
use audit::host::{Gap, GapKind};
use audit::lifecycle::Lifecycles;
use audit::probe::{Context, Encoded, Topic};
use audit::probes;
use audit::report::{Manifest, ProbeFacts, Report};
use audit::seal;
use chrono::{DateTime, SubsecRound as _, Utc};
use ed25519_dalek::SigningKey;

use crate::cli::baselines;
use crate::config::Config;
use crate::identity::Identity;
use crate::key;
use crate::live::Live;
use crate::spool::Spool;
use crate::state::State;
use memory::Memory;

/// What a cycle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The interval has passed, or a person asked: there is a report in any case.
    Due,
    /// Something changed: there is a report if the facts did.
    Woken,
}

/// What a cycle did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A report was spooled.
    Spooled {
        /// Its number.
        sequence: u64,
        /// Whether its manifest differs from that of the report before.
        changed: bool,
        /// What the agent found.
        summary: Summary,
    },
    /// Nothing changed, and nothing was written.
    Unchanged,
    /// Nothing changed, and the spool is too full for a report that says so.
    Full,
}

/// Everything a cycle needs, and what it remembers of the last one.
pub(crate) struct Collector {
    host: Live,
    spool: Spool,
    key: SigningKey,
    identity: Identity,
    config: Config,
    lifecycles: Lifecycles,
    baseline: Option<Judged>,
    memory: Memory,
}

/// The baseline as last read, with the texts it was made of.
struct Judged {
    name: String,
    bytes: Vec<u8>,
    extended: baselines::Extended,
    baseline: Baseline,
}

impl Collector {
    /// Takes hold of the spool at `state`.
    pub(crate) fn open(state: &State, config: Config, host: Live) -> anyhow::Result<Self> {
        let identity = Identity::require(state)?;
        let Some(key) = key::load(state)? else {
            bail!("the host key {} is missing: enrol anew with --force", state.key().display());
        };
        if key::public_text(&key.verifying_key()) != identity.key {
            bail!("the host key is not the one this host enrolled with: enrol anew with --force");
        }
        let spool = Spool::open(state, &identity)?;
        let lifecycles = baselines::lifecycles(config.eol.as_deref())?;
        Ok(Self { host, spool, key, identity, config, lifecycles, baseline: None, memory: Memory::default() })
    }

    /// The host looked at.
    pub(crate) fn host(&self) -> &Live {
        &self.host
    }

    /// The paths and globs that the rules ask probes to look at besides what those always read.
    pub(crate) fn asked(&mut self) -> Vec<String> {
        // A baseline that cannot be read is the next cycle's error, not the watch's.
        let _said_by_the_cycle = self.reread_baseline();
        let rules = self.baseline.as_ref().map(|known| known.baseline.expectations()).unwrap_or_default();
        probes::ALL.iter().flat_map(|topic| topic.asked(&rules)).collect()
    }

    /// Observes, judges, signs and spools, once.
    pub(crate) fn cycle(&mut self, occasion: Occasion) -> anyhow::Result<Outcome> {
        let cleared = self.spool.clear().context("reading receipts")?;
        self.spool.set_damaged_aside()?;
        let room = self.spool.shrink(self.config.spool_limit).context("making room in the spool")?;
        self.spool.reserve();
        self.reread_baseline()?;
        let (facts, probes) = self.observe()?;
        let now = Utc::now();
        let (manifest, summary) = self.judge(&facts, probes, now)?;
        let manifest = self.spool.keep(&serde_json::to_vec(&manifest)?)?;
        let changed = self.spool.head().manifest != Some(manifest);
        let outcome = match (changed, occasion, room) {
            (false, Occasion::Woken, _) => Outcome::Unchanged,
            (false, Occasion::Due, false) => Outcome::Full,
            (true, ..) | (false, Occasion::Due, true) => {
                Outcome::Spooled { sequence: self.report(manifest, now)?, changed, summary }
            }
        };
        if cleared > 0 || changed {
            self.spool.sweep().context("clearing facts nobody needs")?;
        }
        Ok(outcome)
    }

    fn report(&mut self, manifest: Digest, now: DateTime<Utc>) -> anyhow::Result<u64> {
        let head = self.spool.head();
        let report = Report {
            host: self.identity.host.clone(),
            sequence: head.sequence + 1,
            previous: head.report,
            // Whole seconds keep an unchanged report small on the wire.
            time: now.trunc_subsecs(0),
            manifest,
            dropped: head.dropped.clone(),
        };
        let sealed = seal::seal(report, &self.key)?;
        self.spool.commit(&sealed)?;
        Ok(sealed.verified.statement().sequence)
    }

    /// A baseline that has become bad is an error, never a reason to judge by an old one in silence.
    fn reread_baseline(&mut self) -> anyhow::Result<()> {
        let (name, bytes) = baselines::text(self.config.baseline.as_deref())?;
        let same =
            |known: &Judged| known.name == name && known.bytes == bytes && baselines::unchanged(&name, &known.extended);
        if !self.baseline.as_ref().is_some_and(same) {
            let (baseline, extended) = baselines::parse(&name, &bytes)?;
            self.baseline = Some(Judged { name, bytes, extended, baseline });
            self.memory.forget_facts();
        }
        Ok(())
    }

    fn observe(&mut self) -> anyhow::Result<(FactSet, Vec<(&'static str, ProbeFacts)>)> {
        let cycle = self.memory.begin(&self.host, Utc::now().timestamp());
        let rules = self.baseline.as_ref().map(|known| known.baseline.expectations()).unwrap_or_default();
        let mut facts = FactSet::default();
        let mut named = Vec::new();
        for topic in probes::ALL.iter().copied() {
            let known = self.memory.recall(topic, &rules, &cycle);
            let known = known.and_then(|named| Some((self.kept(topic, &named)?, named)));
            let (observed, of) = match known {
                Some(known) => known,
                None => {
                    let (observed, seen) = cycle.observe(topic, &rules);
                    let (observed, encoded) = sendable(topic, observed)?;
                    let items = self.spool.keep(&encoded.items)?;
                    let state = self.spool.keep(&encoded.state)?;
                    let of = ProbeFacts { schema: topic.schema(), items, state };
                    self.memory.keep(topic, of.clone(), seen);
                    (observed, of)
                }
            };
            facts.insert(topic.name(), observed);
            named.push((topic.name(), of));
        }
        self.memory.end(cycle);
        Ok((facts, named))
    }

    /// The facts named `of` as they lie in the spool, if they lie there whole.
    fn kept(&self, topic: &dyn Topic, of: &ProbeFacts) -> Option<AnyFacts> {
        let read = |digest| self.spool.fact(digest).ok().flatten();
        topic.decode(&read(of.items)?, &read(of.state)?).ok()
    }

    fn judge(
        &self,
        facts: &FactSet,
        probes: Vec<(&'static str, ProbeFacts)>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<(Manifest, Summary)> {
        let Some(Judged { baseline, .. }) = &self.baseline else { bail!("no baseline was read") };
        // Environment and roles are the collector's to say, whatever the configuration tells `check`: rules that depend on
        // them are unknown here, and judged there.
        let findings = evaluate(baseline, &Context { now, facts, lifecycles: &self.lifecycles });
        let summary = Summary::of(&findings);
        let manifest = Manifest {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            baseline: baseline.digest,
            lifecycles: self.lifecycles.digest,
            findings: self.spool.keep(&evidence(&findings)?)?,
            interval: u64::try_from(self.config.interval.as_millis()).ok().map(Length::of_milliseconds),
            probes: probes.into_iter().map(|(name, of)| (name.to_owned(), of)).collect(),
        };
        Ok((manifest, summary))
    }
}

/// The facts as they can be sent: what is larger than a collector takes becomes a gap that says so.
fn sendable(topic: &dyn Topic, facts: AnyFacts) -> anyhow::Result<(AnyFacts, Encoded)> {
    let encoded = topic.encode(&facts)?;
    let Err(too_large) = Spool::fits(&encoded.items).and_then(|()| Spool::fits(&encoded.state)) else {
        return Ok((facts, encoded));
    };
    tracing::error!(probe = topic.name(), %too_large, "the facts are too large to be sent");
    let gap = Gap::new(GapKind::TooLarge, topic.name(), "more facts than a collector takes");
    let hidden = topic.hidden(gap);
    let encoded = topic.encode(&hidden)?;
    Ok((hidden, encoded))
}

/// The findings as they are kept as evidence. The collector judges again; where there are more than it takes, the one that
/// says so stands for all.
fn evidence(findings: &[Finding]) -> anyhow::Result<Vec<u8>> {
    let bytes = serde_json::to_vec(findings)?;
    let Err(too_large) = Spool::fits(&bytes) else { return Ok(bytes) };
    let said = findings.iter().find(|finding| finding.status == Status::Deviation).or(findings.first());
    let said =
        said.map(|first| Finding { observed: format!("{} findings: {too_large}", findings.len()), ..first.clone() });
    Ok(serde_json::to_vec(&said.into_iter().collect::<Vec<_>>())?)
}

#[cfg(test)]
mod tests;
