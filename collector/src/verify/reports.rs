//! A host's chain of reports: every envelope by its signature, every folded report by its digest, every receipt by the
//! collector's key, and every number that is not here by what says why.

use std::collections::BTreeMap;

use audit::digest::Digest;
use audit::report::{Dropped, Receipt, Report};
use audit::seal;
use ed25519_dalek::VerifyingKey;

use super::Found;
use crate::error::Refusal;
use crate::ingest::{link, public_key};
use crate::store::Conn;
use crate::store::chain::Kind;
use crate::store::evidence::{self, Envelope};
use crate::store::hosts::Host;
use crate::store::runs::{self, Run};

/// Where the chain has come to.
struct Chain<'a> {
    host: &'a Host,
    key: &'a VerifyingKey,
    /// The number reached.
    last: u64,
    /// The reports that bear it: id, and whether it is forked.
    ids: Vec<(Digest, bool)>,
    /// The reports that bear the number before.
    parents: Vec<(Digest, bool)>,
    /// First and last of the numbers that are not here.
    missing: Vec<(u64, u64)>,
    /// What reports state was dropped, by the number of who states it.
    drops: BTreeMap<u64, Dropped>,
    /// Open notes about the chain: kind and key.
    noted: Vec<(String, String)>,
}

/// Looks at all reports of a host.
pub(super) async fn check(db: &mut Conn, host: &Host, key: &VerifyingKey, found: &mut Found) -> Result<(), Refusal> {
    let Ok(own) = public_key(&host.public_key) else {
        found.wrong(format!("host {} ({})", host.name, host.id), "has a key that is none");
        return Ok(());
    };
    let noted = evidence::noted(db, &host.id).await?.into_iter();
    let mut chain = Chain {
        host,
        key,
        last: 0,
        ids: Vec::new(),
        parents: Vec::new(),
        missing: Vec::new(),
        drops: BTreeMap::new(),
        noted: noted.filter(|(_, _, open)| *open).map(|(kind, key, _)| (kind, key)).collect(),
    };
    let mut after = (0, String::new());
    loop {
        let page = evidence::envelopes(db, &host.id, after.clone()).await?;
        let Some(end) = page.last() else { break };
        after = (end.stored.sequence, end.stored.id.to_string());
        for report in page {
            chain.reach(db, report.stored.sequence, found).await?;
            chain.report(&report, &own, found);
        }
    }
    chain.reach(db, host.head_sequence.saturating_add(1), found).await?;
    chain.accounted(db, found).await?;
    chain.standing(db, found).await
}

impl Chain<'_> {
    fn name(&self, sequence: u64) -> String {
        format!("report {sequence} of {} ({})", self.host.name, self.host.id)
    }

    /// Goes on to `sequence`, through the runs between; what is neither there nor in a run is missing.
    async fn reach(&mut self, db: &mut Conn, sequence: u64, found: &mut Found) -> Result<(), Refusal> {
        while self.last.saturating_add(1) < sequence {
            let next = runs::after(db, &self.host.id, self.last).await?.filter(|run| run.first < sequence);
            let Some(run) = next else {
                self.missing.push((self.last + 1, sequence - 1));
                self.step(sequence - 1);
                break;
            };
            if run.first > self.last + 1 {
                self.missing.push((self.last + 1, run.first - 1));
                self.step(run.first - 1);
            }
            self.run(db, &run, found).await?;
        }
        Ok(())
    }

    /// The number reached is `last`, and nothing bears it.
    fn step(&mut self, last: u64) {
        self.last = last;
        self.ids.clear();
        self.parents.clear();
    }

    async fn run(&mut self, db: &mut Conn, run: &Run, found: &mut Found) -> Result<(), Refusal> {
        found.checked.folded += run.count();
        let what = format!("run {} to {} of {} ({})", run.first, run.last(), self.host.name, self.host.id);
        match self.ids.iter().find(|(_, forked)| !forked) {
            None => found.wrong(what.clone(), "hangs on no report that is here"),
            Some((before, _)) => {
                if let Some(number) = run.broken(*before) {
                    found.wrong(self.name(number), "was folded as another than was signed: its digest does not follow");
                }
            }
        }
        match runs::signature(db, &run.host, run.first).await? {
            Some(signature) if seal::is_signed(&run.folded(), &signature, self.key) => {}
            Some(_) => found.wrong(what, "holds other receipts than the collector signed"),
            None => found.notes.push(format!("{what} was folded before its receipts were signed together")),
        }
        self.last = run.last();
        self.ids = run.links.last().map(|link| (link.id, false)).into_iter().collect();
        self.parents.clear();
        Ok(())
    }

    fn report(&mut self, report: &Envelope, own: &VerifyingKey, found: &mut Found) {
        found.checked.reports += 1;
        found.at("reports", found.checked.reports);
        let stored = &report.stored;
        let what = self.name(stored.sequence);
        if stored.sequence != self.last {
            self.parents = std::mem::take(&mut self.ids);
            self.last = stored.sequence;
        }
        self.ids.push((stored.id, stored.forked));
        if self.ids.iter().filter(|(_, forked)| !forked).count() > 1 {
            found.wrong(what.clone(), "bears a number that another has, and none of them is called a fork");
        }
        match seal::verify::<Report>(&report.bytes, own) {
            Err(refusal) => found.wrong(what.clone(), format!("is not what its host signed: {refusal}")),
            Ok(verified) => self.stated(report, &verified, found),
        }
        let receipt = Receipt {
            host: stored.host.clone(),
            sequence: stored.sequence,
            report: stored.id,
            received: stored.received,
            lacks: Vec::new(),
        };
        match &report.receipt {
            Some(signature) if seal::is_signed(&receipt, signature, self.key) => {}
            Some(_) => found.wrong(what, "has another receipt than the collector signed: when it came was altered"),
            None => found.notes.push(format!("{what} came before receipts were kept")),
        }
    }

    /// What a report states against what stands beside it, and against the report before it.
    fn stated(&mut self, report: &Envelope, verified: &seal::Verified<Report>, found: &mut Found) {
        let (stored, stated) = (&report.stored, verified.statement());
        let what = self.name(stored.sequence);
        let same = verified.id() == stored.id
            && stated.host == stored.host
            && stated.sequence == stored.sequence
            && stated.previous == stored.previous
            && evidence::as_stored(stated.time) == evidence::as_stored(stored.host_time)
            && stated.manifest == stored.manifest;
        if !same {
            found.wrong(what.clone(), "says something else than what stands beside it");
        }
        if let Some(said) = link::dropped(stated).filter(|_| !stored.forked) {
            self.drops.insert(stored.sequence, said.clone());
        }
        let names_a_parent = match stated.previous {
            None => stated.sequence == 1,
            Some(previous) => self.parents.is_empty() || self.parents.iter().any(|(id, _)| *id == previous),
        };
        if !names_a_parent && !self.is_noted(Kind::Rewritten, stored.sequence) {
            found.wrong(what, "names another report before it than is here: one of the two was exchanged");
        }
    }

    fn is_noted(&self, kind: Kind, key: u64) -> bool {
        let key = key.to_string();
        self.noted.iter().any(|(noted, own)| noted == kind.name() && *own == key)
    }

    /// Every number that is not here is stated dropped by a signed report, or known and shown as a gap.
    async fn accounted(&self, db: &mut Conn, found: &mut Found) -> Result<(), Refusal> {
        let kept = evidence::drops(db, &self.host.id).await?;
        let stated: Vec<[u64; 4]> = self.drops.iter().map(|(by, said)| [*by, said.from, said.to, said.count]).collect();
        if kept != stated {
            let what = format!("drops of {} ({})", self.host.name, self.host.id);
            found.wrong(what, "are others than its reports state");
        }
        for (first, last) in &self.missing {
            if (*first..=*last).all(|number| self.is_stated(number)) {
                continue;
            }
            let (what, behind) = (missing(*first, *last), last.saturating_add(1));
            let of = format!("{what} of {} ({})", self.host.name, self.host.id);
            if [Kind::Gap, Kind::Restored].into_iter().any(|kind| self.is_noted(kind, behind)) {
                found.notes.push(format!("{of} never came: the collector knows and shows it"));
            } else {
                found.wrong(of, "is not here, and nothing says why: deleted");
            }
        }
        Ok(())
    }

    /// Whether a missing number is among what reports state was dropped, and they count enough of them.
    fn is_stated(&self, number: u64) -> bool {
        self.drops.values().filter(|said| (said.from..=said.to).contains(&number)).any(|said| {
            let overlap =
                |first: u64, last: u64| last.min(said.to).saturating_add(1).saturating_sub(first.max(said.from));
            let missing: u64 = self.missing.iter().map(|(first, last)| overlap(*first, *last)).sum();
            let others = self.drops.values().filter(|other| other.from <= said.to && other.to >= said.from);
            others.fold(0_u64, |sum, other| sum.saturating_add(other.count)) >= missing
        })
    }

    /// How far the host is received and judged, and whether what was judged is here.
    async fn standing(&self, db: &mut Conn, found: &mut Found) -> Result<(), Refusal> {
        let what = format!("host {} ({})", self.host.name, self.host.id);
        if self.last > self.host.head_sequence {
            found.wrong(
                what.clone(),
                format!("has report {}, and is said to have come to {}", self.last, self.host.head_sequence),
            );
        }
        if self.host.judged_sequence > self.host.head_sequence {
            found.wrong(what, "is said to be judged further than its reports go");
        }
        for number in evidence::lacking(db, &self.host.id, self.host.judged_sequence).await? {
            if !self.is_stated_at(number) {
                found.wrong(self.name(number), "was judged, and facts it names are not here: deleted");
            }
        }
        Ok(())
    }

    /// A report that came whole, but for its facts, and was stated dropped later: they never came.
    fn is_stated_at(&self, number: u64) -> bool {
        self.drops.values().any(|said| (said.from..=said.to).contains(&number))
    }
}

fn missing(first: u64, last: u64) -> String {
    if first == last { format!("report {first}") } else { format!("reports {first} to {last}") }
}
