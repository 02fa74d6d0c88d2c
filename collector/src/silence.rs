//! Listens for silence: whom nobody hears any more is found, told of once, and told of once more when it is heard again.
//!
//! Decided by [`audit::silence`]; each finding and its message are written in one transaction. Whatever kept the collector
//! itself from listening (it was stopped, the machine slept, its clock was set) is no host's silence.

use std::time::Duration;

use audit::duration::Length;
use audit::report::HostId;
use audit::silence::{allowed, silent_since};
use chrono::{DateTime, TimeDelta, Utc};

use crate::app::{App, now};
use crate::error::Refusal;
use crate::notify::{Alert, slack};
use crate::store::silences::Silence;
use crate::store::{Conn, hosts, outbox, silences};

/// How often it is looked.
const TICK: Duration = Duration::from_secs(2);
/// Two looks further apart than this were not listening between them.
const BREAK: TimeDelta = TimeDelta::seconds(60);

/// Listens for ever.
pub async fn run(app: App) {
    let mut listening_since = now();
    let mut looked = listening_since;
    loop {
        tokio::time::sleep(TICK).await;
        let now = now();
        if !(TimeDelta::zero()..BREAK).contains(&(now - looked)) {
            tracing::warn!(since = %looked, "nobody listened for a while: it counts as no host's silence");
            listening_since = now;
        }
        looked = now;
        if let Err(refusal) = look(&app, listening_since, now).await {
            tracing::error!(error = %refusal, "silence could not be looked for; it will be tried again");
        }
    }
}

/// Finds who is silent at `now`, and who is no longer.
pub async fn look(app: &App, listening_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Refusal> {
    {
        let mut db = app.store.read().await?;
        let quiet = begun(app, &mut db, listening_since, now).await?.is_empty();
        if quiet && silences::broken(&mut db).await?.is_empty() {
            return Ok(());
        }
    }
    let mut db = app.store.write().await?;
    // Read again: a report may have come since. Those that end come first, so that one host's messages keep their order.
    for (silence, heard) in silences::broken(&mut db).await? {
        silences::end(&mut db, silence.seq, heard).await?;
        tracing::info!(host = %silence.host, since = %silence.since, "a silent host is heard again");
        tell(app, &mut db, &silence, Some(heard), now).await?;
    }
    for (host, since, allowed) in begun(app, &mut db, listening_since, now).await? {
        let seq = silences::begin(&mut db, &host, since, allowed, now).await?;
        tracing::warn!(%host, %since, "a host is silent");
        tell(app, &mut db, &Silence { seq, host, since, allowed, ended: None }, None, now).await?;
    }
    db.commit().await?;
    app.outbox.wake();
    Ok(())
}

/// Whose silence begins: host, since when, and how long it might have been silent.
async fn begun(
    app: &App,
    db: &mut Conn,
    listening_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<(HostId, DateTime<Utc>, Length)>, Refusal> {
    // Whoever was heard within the shortest silence there can be needs no look.
    let shortest = app.silent_after.unwrap_or(audit::silence::SHORTEST).milliseconds();
    let before = now - TimeDelta::milliseconds(i64::try_from(shortest).unwrap_or(i64::MAX / 2));
    let mut begun = Vec::new();
    for candidate in silences::candidates(db, before).await? {
        let allowed = allowed(app.silent_after, candidate.interval);
        if let Some(since) = silent_since(&candidate.heard(listening_since), allowed, now) {
            begun.push((candidate.host, since, allowed));
        }
    }
    Ok(begun)
}

/// One message when it begins, one when it is over. Each key is sent once, whatever happens in between.
async fn tell(
    app: &App,
    db: &mut Conn,
    silence: &Silence,
    heard: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    if !app.alerts {
        return Ok(());
    }
    let Some(host) = hosts::find(db, silence.host.as_str()).await? else { return Ok(()) };
    let (key, alert) = match heard {
        None => (format!("silent:{}", silence.seq), Alert::of_silence(&host, silence, &app.public_url)),
        Some(heard) => (format!("heard:{}", silence.seq), Alert::of_return(&host, silence, heard, &app.public_url)),
    };
    outbox::add(db, &key, Some(&host.id), &slack::render(&alert), now).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
