//! Judging at work: complete reports in sequence order, drift reconciled, verdicts looked at again as records are
//! approved and time passes, and what nobody approved put in the outbox: each in one transaction.
//!
//! Judging happens beside the store's writer. It is committed only if the host and the change records still are what it
//! was judged by; otherwise it is done again.

pub mod judge;
pub mod said;
pub mod seen;
#[cfg(test)]
mod tests;
pub mod weight;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::change::ChangeRecord;
use audit::digest::Digest;
use audit::probes;
use audit::reconcile::{Judged, Verdict, reconcile};
use audit::report::{HostId, Manifest};
use chrono::{DateTime, TimeDelta, Utc};

use crate::app::{App, now};
use crate::error::Refusal;
use crate::notify::Alert;
use crate::notify::slack;
use crate::store::chain::{self, Kind};
use crate::store::drifts::{self, Entry};
use crate::store::hosts::{self, Host, Progress, State};
use crate::store::known::{self, Remembered};
use crate::store::reports::{self, Stored};
use crate::store::{Conn, changes, facts, findings, outbox, sessions, silences};
use judge::{Case, Outcome};
use weight::{MOST, Weight};

/// How often it is looked at what time alone decides: deadlines, windows, gaps that did not close.
const TICK: Duration = Duration::from_secs(5);
/// How long a missing report may be merely late: so long it is no gap, and what comes after it is not judged.
const LATE: TimeDelta = TimeDelta::seconds(10);

/// Judges whenever woken, and as time passes, for ever.
pub async fn run(app: App) {
    let mut looked: Option<Instant> = None;
    loop {
        let calls = app.judge.looking();
        complain(judge_waiting(&app).await);
        app.judge.looked(calls);
        if looked.is_none_or(|looked| looked.elapsed() >= TICK) {
            complain(pass_time(&app, now()).await);
            looked = Some(Instant::now());
        }
        // Either is a reason to look; which of them it was makes no difference.
        drop(tokio::time::timeout(TICK, app.judge.woken()).await);
    }
}

fn complain(done: Result<(), Refusal>) {
    if let Err(refusal) = done {
        tracing::error!(error = %refusal, "judging failed; it will be tried again");
    }
}

/// Judges every report that can be judged now.
pub async fn judge_waiting(app: &App) -> Result<(), Refusal> {
    let waiting = {
        let mut db = app.store.read().await?;
        reports::hosts_to_judge(&mut db).await?
    };
    for host in waiting {
        // One host's trouble must not keep the others from being judged.
        if let Err(refusal) = host_in_order(app, &host).await {
            tracing::error!(%host, error = %refusal, "a report could not be judged; it will be tried again");
        }
    }
    Ok(())
}

async fn host_in_order(app: &App, host: &HostId) -> Result<(), Refusal> {
    while next_report(app, host).await? {}
    Ok(())
}

/// What a judgement was made by.
struct Gathered {
    host: Host,
    report: Stored,
    manifest: Manifest,
    bodies: BTreeMap<Digest, Vec<u8>>,
    known: BTreeMap<String, Remembered>,
    heavy: BTreeSet<String>,
    records: Vec<ChangeRecord>,
    revision: i64,
}

/// Judges a host's next complete report; whether there was one.
async fn next_report(app: &App, id: &HostId) -> Result<bool, Refusal> {
    let Some(gathered) = gather(app, id).await? else { return Ok(false) };
    let (baseline, lifecycles, now) = (Arc::clone(&app.baseline), Arc::clone(&app.lifecycles), now());
    let interval = gathered.manifest.interval;
    let judged = tokio::task::spawn_blocking(move || {
        let case = Case {
            host: &gathered.host,
            report: &gathered.report,
            manifest: &gathered.manifest,
            bodies: &gathered.bodies,
            known: &gathered.known,
            heavy: &gathered.heavy,
            records: &gathered.records,
            baseline: &baseline,
            lifecycles: &lifecycles,
            now,
        };
        judge::judge(&case).map(|outcome| (outcome, gathered.host, gathered.report, gathered.revision))
    });
    let (outcome, host, report, revision) = judged.await.map_err(Refusal::internal)??;
    let mut db = app.store.write().await?;
    let progress = Progress { sequence: report.sequence, report: report.id, with: &outcome.with, seen: outcome.seen };
    if changes::revision(&mut db).await? != revision || !hosts::advance(&mut db, &host, &progress).await? {
        // Somebody approved, inspected or quarantined meanwhile: judge by what is now.
        return Ok(true);
    }
    write(app, &mut db, &host, &report, &outcome, now).await?;
    silences::set_interval(&mut db, &host.id, interval).await?;
    db.commit().await?;
    app.outbox.wake();
    Ok(true)
}

async fn gather(app: &App, id: &HostId) -> Result<Option<Gathered>, Refusal> {
    let mut db = app.store.read().await?;
    let Some(host) = hosts::find(&mut db, id.as_str()).await? else { return Ok(None) };
    if host.state == State::Quarantined {
        return Ok(None);
    }
    let Some(report) = reports::next_complete(&mut db, id, host.judged_sequence).await? else { return Ok(None) };
    if report.sequence > host.judged_sequence + 1 && report.received + LATE > now() {
        return Ok(None);
    }
    let manifest: Manifest = serde_json::from_slice(&body(&mut db, report.manifest).await?)?;
    let bodies = bodies(&mut db, &manifest).await?;
    let (known, heavy) = known::of_host(&mut db, id, (MOST + MOST + MOST).bytes).await?;
    Ok(Some(Gathered {
        known,
        heavy,
        records: changes::all(&mut db).await?,
        revision: changes::revision(&mut db).await?,
        host,
        report,
        manifest,
        bodies,
    }))
}

/// The bodies of the probes known here, the smallest first, as far as [`MOST`] goes. One envelope may name hundreds of the
/// largest bodies there are: what is beyond is not even inflated, and the judge says that it was too large.
async fn bodies(db: &mut Conn, manifest: &Manifest) -> Result<BTreeMap<Digest, Vec<u8>>, Refusal> {
    let mut known = Vec::new();
    for (_, named) in manifest.probes.iter().filter(|(name, _)| probes::find(name).is_some()) {
        let size = facts::size(db, named.items).await?.saturating_add(facts::size(db, named.state).await?);
        known.push((size, named));
    }
    known.sort_by_key(|(size, _)| *size);
    let (mut weight, mut bodies) = (Weight::default(), BTreeMap::new());
    for (size, named) in known {
        if !(weight + Weight { bytes: size, ..Weight::default() }).is_within(MOST) {
            break;
        }
        let (items, state) = (body(db, named.items).await?, body(db, named.state).await?);
        let with = weight + Weight::of(&items) + Weight::of(&state);
        if !with.is_within(MOST) {
            continue;
        }
        weight = with;
        bodies.extend([(named.items, items), (named.state, state)]);
    }
    Ok(bodies)
}

async fn body(db: &mut Conn, digest: Digest) -> Result<Vec<u8>, Refusal> {
    let sent = facts::body(db, digest).await?.ok_or_else(|| Refusal::internal("a body of facts is missing"))?;
    crate::inflate::inflate(&sent)
}

async fn write(
    app: &App,
    db: &mut Conn,
    host: &Host,
    report: &Stored,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    for (name, remembered) in &outcome.known {
        known::keep(db, &host.id, name, remembered).await?;
    }
    for name in &outcome.same {
        known::touch(db, &host.id, name, outcome.seen.earliest).await?;
    }
    if let Some(found) = &outcome.findings {
        findings::replace(db, &host.id, found, outcome.seen.latest).await?;
    }
    note(db, &host.id, outcome, now).await?;
    let mut untold = Vec::new();
    for (drift, controlled, judged) in &outcome.drifts {
        let seq = drifts::add(db, &host.id, report.id, drift, *controlled, judged, now).await?;
        tracing::info!(
            host = %host.id, drift = seq, probe = drift.probe, subject = drift.subject,
            verdict = judged.verdict.name(), reason = judged.reason.name(), "drift"
        );
        if judged.verdict == Verdict::Unauthorised && judged.reason.is_open() && host.state == State::Active {
            untold.push(seq);
        }
    }
    tell(app, db, &format!("report:{}", report.id), &untold, now).await
}

/// Keeps the notes of one report, and resolves those of its kinds that no longer hold.
async fn note(db: &mut Conn, host: &HostId, outcome: &Outcome, now: DateTime<Utc>) -> Result<(), Refusal> {
    for kind in [Kind::OtherBaseline, Kind::Disagreement, Kind::NotUnderstood, Kind::Clock] {
        // What was judged by the same as before says nothing new of the facts themselves.
        if outcome.findings.is_none() && matches!(kind, Kind::Disagreement | Kind::NotUnderstood) {
            continue;
        }
        let keys: Vec<&str> =
            outcome.notes.iter().filter(|(own, _, _)| *own == kind).map(|(_, key, _)| key.as_str()).collect();
        chain::resolve_all_but(db, host, kind, &keys, now).await?;
    }
    for (kind, key, words) in &outcome.notes {
        chain::note(db, host, *kind, key, words, now).await?;
    }
    Ok(())
}

/// One message about `untold` drift of one host, unless one of that key was written before. None where there is nothing.
async fn tell(app: &App, db: &mut Conn, key: &str, untold: &[i64], now: DateTime<Utc>) -> Result<(), Refusal> {
    let mut told = Vec::new();
    for seq in untold.iter().take(slack::MOST_PARTS) {
        told.extend(drifts::find(db, *seq).await?);
    }
    let Some(first) = told.first() else { return Ok(()) };
    if app.alerts {
        let payload = slack::render(&Alert::about(&told, first, untold.len(), &app.public_url));
        outbox::add(db, key, Some(&first.host), &payload, now).await?;
    }
    for seq in untold {
        drifts::set_alerted(db, *seq).await?;
    }
    Ok(())
}

/// Looks again at everything open, with the records as they are at `now`. Idempotent: what is the same is left.
/// In the transaction of whoever made or approved a record.
pub async fn again(db: &mut Conn, now: DateTime<Utc>) -> Result<usize, Refusal> {
    let (mut decided, mut after) = (0, 0);
    let records = changes::all(db).await?;
    loop {
        let open = drifts::open(db, after).await?;
        let Some(last) = open.last() else { return Ok(decided) };
        after = last.seq()?;
        for (entry, judged) in open.into_iter().filter_map(|entry| decide_otherwise(entry, &records, now)) {
            drifts::judge_again(db, entry.seq()?, &judged, now).await?;
            decided += 1;
            tracing::info!(
                host = %entry.host, drift = entry.id, verdict = judged.verdict.name(), reason = judged.reason.name(),
                "another verdict"
            );
        }
    }
}

/// Whether [`again`] would decide anything otherwise.
async fn would_decide_otherwise(db: &mut Conn, now: DateTime<Utc>) -> Result<bool, Refusal> {
    let (mut open, mut records) = (drifts::open(db, 0).await?, None);
    while let Some(last) = open.last() {
        let last = last.seq()?;
        let records = match &mut records {
            Some(records) => records,
            None => records.insert(changes::all(db).await?),
        };
        if open.into_iter().any(|entry| decide_otherwise(entry, records, now).is_some()) {
            return Ok(true);
        }
        open = drifts::open(db, last).await?;
    }
    Ok(false)
}

/// The drift with its verdict at `now`, where that is another.
fn decide_otherwise(entry: Entry, records: &[ChangeRecord], now: DateTime<Utc>) -> Option<(Entry, Judged)> {
    let value = entry.said_after();
    let happened = entry.happened(value.as_deref());
    let judged = reconcile(&happened, records, now);
    let same = judged.verdict == entry.verdict
        && judged.reason == entry.reason
        && judged.why == entry.why
        && judged.change == entry.change;
    (!same).then_some((entry, judged))
}

/// What time alone decides: verdicts whose deadline passed, drift nobody was told of, gaps that did not close.
pub async fn pass_time(app: &App, now: DateTime<Utc>) -> Result<(), Refusal> {
    let (verdicts, untold, broken) = {
        let mut db = app.store.read().await?;
        let verdicts = would_decide_otherwise(&mut db, now).await?;
        let untold = !drifts::unalerted(&mut db).await?.is_empty();
        (verdicts, untold, !due(&mut db, now).await?.is_empty())
    };
    if !verdicts && !untold && !broken {
        return Ok(());
    }
    let mut db = app.store.write().await?;
    again(&mut db, now).await?;
    for untold in drifts::unalerted(&mut db).await?.values() {
        if let Some(first) = untold.first() {
            tell(app, &mut db, &format!("again:D-{first}"), untold, now).await?;
        }
    }
    for finding in due(&mut db, now).await? {
        let host = hosts::find(&mut db, finding.host.as_str()).await?;
        let Some(host) = host else { continue };
        if app.alerts && host.state != State::Pending {
            let payload = slack::render(&Alert::of_chain(&host, &finding, &app.public_url));
            outbox::add(&mut db, &format!("chain:{}", finding.seq), Some(&host.id), &payload, now).await?;
        }
        chain::set_alerted(&mut db, &finding).await?;
    }
    sessions::sweep(&mut db, now).await?;
    db.commit().await?;
    app.outbox.wake();
    Ok(())
}

/// Forks and rewritten history at once; a gap only once it cannot be mere lateness.
async fn due(db: &mut Conn, now: DateTime<Utc>) -> Result<Vec<chain::ChainFinding>, Refusal> {
    let found = chain::unalerted(db, now).await?;
    Ok(found.into_iter().filter(|finding| finding.kind != Kind::Gap || finding.found + LATE <= now).collect())
}
