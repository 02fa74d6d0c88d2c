//! Drift and verdicts: each value against the facts that showed it, each verdict against what reconciliation says with
//! the records and approvals of its time, and whether what is closed was closed by what closes.

use std::collections::BTreeMap;

use audit::change::ChangeRecord;
use audit::digest::Digest;
use audit::facts::Observed;
use audit::reconcile::{Happened, Judged, reconcile};
use audit::report::Manifest;
use chrono::{DateTime, TimeDelta, Utc};

use super::Found;
use super::log::Log;
use crate::error::Refusal;
use crate::inflate::inflate;
use crate::reconciling::said::Said;
use crate::store::drifts::{self, Entry, Given};
use crate::store::{Conn, evidence, facts, reports};

/// The most verdicts of one drift that are reconciled again, the newest.
const VERDICTS: i64 = 1000;
/// Somebody who approves waits for the writer at most so long; meanwhile a verdict may be given that does not know of it.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(30);

/// What one look at all drift carries along.
struct Look<'a> {
    acts: &'a Log,
    records: &'a [ChangeRecord],
    /// When records were made and approved, in order.
    instants: Vec<DateTime<Utc>>,
    /// The records as of an instant: how many of `instants` are not after it, and the records.
    as_of: (usize, Vec<ChangeRecord>),
    /// The items of the last report and probe that were asked for.
    items: Option<(Digest, String, Option<Observed<Said>>)>,
    /// The value each item had after its last drift.
    after: BTreeMap<Digest, Option<Digest>>,
}

/// Looks at all drift.
pub(super) async fn check(
    db: &mut Conn,
    acts: &Log,
    records: &[ChangeRecord],
    found: &mut Found,
) -> Result<(), Refusal> {
    let mut instants: Vec<_> = records.iter().map(|record| record.created).collect();
    instants.extend(records.iter().flat_map(|record| record.approvals.iter().map(|approval| approval.at)));
    instants.sort_unstable();
    let mut look = Look { acts, records, instants, as_of: (0, Vec::new()), items: None, after: BTreeMap::new() };
    let mut last = 0;
    loop {
        let page = drifts::from(db, last).await?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            let seq = entry.seq()?;
            for missing in (last + 1)..seq.min(last + 100) {
                found.wrong(format!("D-{missing}"), "is not here: deleted");
            }
            last = seq;
            found.checked.drifts += 1;
            found.at("drift", found.checked.drifts);
            look.one(db, seq, &entry, found).await?;
        }
    }
    let (given, _) = evidence::numbers(db, "drifts").await?;
    if given > last {
        found.wrong(format!("D-{} to D-{given}", last + 1), "are not here: deleted");
    }
    let (given, count) = evidence::numbers(db, "verdicts").await?;
    if given != count {
        found.wrong("verdicts", format!("{} of {given} are not here: deleted", given - count));
    }
    Ok(())
}

impl Look<'_> {
    async fn one(&mut self, db: &mut Conn, seq: i64, entry: &Entry, found: &mut Found) -> Result<(), Refusal> {
        let (mut verdicts, _) = drifts::verdicts(db, seq, VERDICTS).await?;
        let Some(newest) = verdicts.first().cloned() else {
            found.wrong(entry.id.clone(), "has no verdict: deleted");
            return Ok(());
        };
        if newest.judged != standing(entry) {
            let why = format!(
                "stands as {} ({}); its last verdict was {} ({})",
                entry.verdict.name(),
                entry.reason.name(),
                newest.judged.verdict.name(),
                newest.judged.reason.name()
            );
            found.wrong(entry.id.clone(), why);
        }
        verdicts.reverse();
        for given in &verdicts {
            found.checked.verdicts += 1;
            self.verdict(entry, given, found);
        }
        self.closed(entry, verdicts.first().map(|given| given.at), &newest, found);
        self.values(db, entry, found).await
    }

    /// A verdict against what reconciliation says of it.
    fn verdict(&mut self, entry: &Entry, given: &Given, found: &mut Found) {
        let value = entry.said_after();
        let happened = entry.happened(value.as_deref());
        let known = self.instants.partition_point(|instant| *instant <= given.at);
        let under_way = self.instants.partition_point(|instant| *instant + UNDER_WAY < given.at);
        let due = self.reconciled(&happened, known, given.at);
        if due == given.judged {
            return;
        }
        for fewer in (under_way..known).rev() {
            if self.reconciled(&happened, fewer, given.at) == given.judged {
                return;
            }
        }
        let why = format!(
            "was judged {} ({}) on {}; by the records and approvals of then it is {} ({}): {}",
            given.judged.verdict.name(),
            given.judged.reason.name(),
            given.at.format("%Y-%m-%d %H:%M:%SZ"),
            due.verdict.name(),
            due.reason.name(),
            due.why
        );
        found.wrong(entry.id.clone(), why);
    }

    /// What reconciliation says with the first `known` of what was ever made or approved.
    fn reconciled(&mut self, happened: &Happened<'_>, known: usize, now: DateTime<Utc>) -> Judged {
        if known == self.instants.len() {
            return reconcile(happened, self.records, now);
        }
        if self.as_of.0 != known || known == 0 {
            let last = known.checked_sub(1).and_then(|place| self.instants.get(place)).copied();
            let is_known = |at: DateTime<Utc>| last.is_some_and(|last| at <= last);
            let records = self.records.iter().filter(|record| is_known(record.created)).cloned();
            let with_approvals = |mut record: ChangeRecord| {
                record.approvals.retain(|approval| is_known(approval.at));
                record
            };
            self.as_of = (known, records.map(with_approvals).collect());
        }
        reconcile(happened, &self.as_of.1, now)
    }

    /// Closed by its verdict, or by somebody who inspected the host; or open, and neither.
    fn closed(&self, entry: &Entry, since: Option<DateTime<Utc>>, newest: &Given, found: &mut Found) {
        let inspected = |at: DateTime<Utc>, by: &str| {
            self.acts.inspections(entry.host.as_str()).any(|act| act.at == at && act.who == by)
        };
        let why = match (entry.closed, entry.closed_by.as_deref()) {
            (Some(at), Some("collector")) if newest.judged.reason.is_open() || at != newest.at => {
                "is closed, and its verdict does not close it"
            }
            (Some(_), Some("collector")) => return,
            (Some(at), Some(by)) if inspected(at, by) => return,
            (Some(_), _) => "is closed by somebody who did not inspect its host then",
            (None, _) if !newest.judged.reason.is_open() => "is open, and its verdict closed it",
            (None, _) if self.acts.inspections(entry.host.as_str()).any(|act| Some(act.at) > since) => {
                "is open, and who inspected its host closed it"
            }
            (None, _) => return,
        };
        found.wrong(entry.id.clone(), why);
    }

    /// The value after against the facts of the report that showed it, the value before against the drift before.
    async fn values(&mut self, db: &mut Conn, entry: &Entry, found: &mut Found) -> Result<(), Refusal> {
        let digest = |said: &Option<Said>| said.as_ref().map(|said| Digest::of(said.text().as_bytes()));
        let item = Digest::of_json(&(entry.host.as_str(), &entry.probe, &entry.subject))?;
        if let Some(last) = self.after.insert(item, digest(&entry.after))
            && last != digest(&entry.before)
        {
            found.wrong(entry.id.clone(), "begins with another value than the drift before it ended with");
        }
        if self.items.as_ref().is_none_or(|(report, probe, _)| *report != entry.report || *probe != entry.probe) {
            let items = items(db, entry).await?;
            self.items = Some((entry.report, entry.probe.clone(), items));
        }
        let items = self.items.as_ref().and_then(|(_, _, items)| items.as_ref());
        match items {
            None => {
                found.wrong(entry.id.clone(), "cannot be compared with the facts that showed it: they are not here")
            }
            Some(items) if items.seen.get(&entry.subject) != entry.after.as_ref() => {
                found.wrong(entry.id.clone(), "has another value than the facts that showed it");
            }
            Some(_) => {}
        }
        Ok(())
    }
}

fn standing(entry: &Entry) -> Judged {
    Judged { verdict: entry.verdict, reason: entry.reason, why: entry.why.clone(), change: entry.change.clone() }
}

/// The items a drift's report shows of its probe; none where they are not here, or cannot be read.
async fn items(db: &mut Conn, entry: &Entry) -> Result<Option<Observed<Said>>, Refusal> {
    let Some(report) = reports::find(db, entry.report).await?.filter(|report| report.host == entry.host) else {
        return Ok(None);
    };
    let Some(manifest) = body::<Manifest>(db, report.manifest).await? else { return Ok(None) };
    match manifest.probes.get(&entry.probe) {
        Some(named) => body(db, named.items).await,
        None => Ok(None),
    }
}

async fn body<T: serde::de::DeserializeOwned>(db: &mut Conn, digest: Digest) -> Result<Option<T>, Refusal> {
    let sent = facts::body(db, digest).await?;
    Ok(sent.and_then(|sent| inflate(&sent).ok()).and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
