//! Retention: unchanged reports of days gone by are kept as runs, with their first, their last and one a day whole.
//!
//! What may be folded is a pure decision over neighbours. A report is folded only if its digest can be computed again from
//! what is kept; everything else stays as it came. A batch of one host is one transaction, written to the audit log.

use std::time::Duration;

use audit::digest::Digest;
use audit::report::{HostId, Report};
use chrono::{DateTime, TimeDelta, Utc};

use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::reports::{self, Stored};
use crate::store::runs::{self, Link, Run};
use crate::store::{audit_log, hosts};

/// How often it is looked.
const TICK: Duration = Duration::from_secs(60);
/// The most reports looked at in one transaction: the writer is held for tens of milliseconds.
const BATCH: i64 = 2000;
/// After so long reports are folded where nothing else is configured.
pub const AFTER: TimeDelta = TimeDelta::days(1);

/// Folds for ever.
pub async fn run(app: App) {
    loop {
        tokio::time::sleep(TICK).await;
        if let Err(refusal) = fold(&app, now()).await {
            tracing::error!(error = %refusal, "reports could not be folded; it will be tried again");
        }
    }
}

/// Folds what days gone by left, a batch at a time; how many reports.
pub async fn fold(app: &App, now: DateTime<Utc>) -> Result<u64, Refusal> {
    let before = midnight(now - app.fold_after);
    let hosts = {
        let mut db = app.store.read().await?;
        runs::unfolded(&mut db, before).await?
    };
    let mut folded = 0;
    for (host, mut through, judged) in hosts {
        while let Some((reached, count)) = batch(app, &host, through, judged, before, now).await? {
            folded += count;
            through = reached;
        }
    }
    Ok(folded)
}

/// One batch of one host; how far it reached and how many were folded, or none where there is no more.
async fn batch(
    app: &App,
    host: &HostId,
    through: u64,
    judged: u64,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<(u64, u64)>, Refusal> {
    let rows = {
        let mut db = app.store.read().await?;
        reports::from(&mut db, host, through, BATCH + 2).await?
    };
    let (plan, reached) = plan(&rows, judged, before);
    if reached <= through {
        return Ok(None);
    }
    let mut db = app.store.write().await?;
    let state = hosts::find(&mut db, host.as_str()).await?.map(|host| host.state);
    if state.is_none_or(|state| state == hosts::State::Quarantined) {
        return Ok(None);
    }
    let mut count = 0;
    for run in &plan {
        runs::fold(&mut db, run, &app.receipt_key).await?;
        count += run.count();
        let detail = format!("unchanged reports {} to {} are kept as a run", run.first, run.last());
        audit_log::note(&mut db, now, "collector", "fold", host.as_str(), &detail).await?;
    }
    runs::set_through(&mut db, host, reached).await?;
    db.commit().await?;
    Ok(Some((reached, count)))
}

/// The runs among `rows`, which stand in order of their numbers, and the number up to which all is decided.
fn plan(rows: &[Stored], judged: u64, before: DateTime<Utc>) -> (Vec<Run>, u64) {
    let mut runs: Vec<Run> = Vec::new();
    let mut reached = 0;
    for window in rows.windows(3) {
        let [left, middle, right] = window else { continue };
        if middle.received >= before || right.sequence >= judged {
            break;
        }
        reached = middle.sequence;
        if !foldable(left, middle, right) {
            continue;
        }
        let link = Link { id: middle.id, host_time: middle.host_time, received: middle.received };
        match runs.last_mut() {
            Some(run) if run.last() + 1 == middle.sequence => run.links.push(link),
            Some(_) | None => runs.push(Run {
                host: middle.host.clone(),
                first: middle.sequence,
                manifest: middle.manifest,
                links: vec![link],
            }),
        }
    }
    (runs, reached)
}

/// Whether nothing is lost but a signature if `middle` is folded: the same on both sides, linked to both, not the first of
/// its day, and its digest can be computed again.
fn foldable(left: &Stored, middle: &Stored, right: &Stored) -> bool {
    let unforked = ![left, middle, right].iter().any(|report| report.forked);
    let same = left.manifest == middle.manifest && middle.manifest == right.manifest;
    let linked = follows(left, middle) && follows(middle, right);
    let same_day = left.received.date_naive() == middle.received.date_naive();
    unforked && same && linked && same_day && runs::is_of(&rebuilt(middle, left.id), middle.id)
}

fn follows(one: &Stored, next: &Stored) -> bool {
    one.sequence + 1 == next.sequence && next.previous == Some(one.id)
}

fn rebuilt(report: &Stored, previous: Digest) -> Report {
    Report {
        host: report.host.clone(),
        sequence: report.sequence,
        previous: Some(previous),
        time: report.host_time,
        manifest: report.manifest,
        dropped: None,
    }
}

/// The beginning of that day: whole days are folded, or the newest reports of each tick would be kept as ends of runs.
fn midnight(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_hms_opt(0, 0, 0).map_or(at, |day| day.and_utc())
}

#[cfg(test)]
mod tests;
