//! When hosts said nothing for longer than they may: at most one of a host is open, and is over when it is heard again.

use audit::duration::Length;
use audit::report::HostId;
use audit::silence::Heard;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::hosts::State;
use super::{Conn, Row, instant, maybe_instant, micros, parsed, unsigned};
use crate::error::Refusal;

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its number.
    pub seq: i64,
    /// Whose.
    pub host: HostId,
    /// When the host was last heard before it.
    pub since: DateTime<Utc>,
    /// How long it may have been silent.
    pub allowed: Length,
    /// When it was heard again.
    pub ended: Option<DateTime<Utc>>,
}

/// A host that might be silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub host: HostId,
    /// How often it says it reports.
    pub interval: Option<Length>,
    /// When its newest report came, if one did.
    pub last: Option<DateTime<Utc>>,
    /// Since when it is expected to report.
    pub expected_since: DateTime<Utc>,
}

impl Candidate {
    /// The same as the decision asks for it.
    pub fn heard(&self, listening_since: DateTime<Utc>) -> Heard {
        Heard { last: self.last, expected_since: self.expected_since, listening_since }
    }
}

/// The active hosts that are not known to be silent and were not heard since `before`.
pub async fn candidates(db: &mut Conn, before: DateTime<Utc>) -> Result<Vec<Candidate>, Refusal> {
    let rows = sqlx::query(
        "SELECT id, interval_ms, last_received, COALESCE(inspected, enrolled) AS expected_since FROM hosts
         WHERE state = $1 AND COALESCE(last_received, inspected, enrolled) < $2
           AND NOT EXISTS (SELECT 1 FROM silences WHERE host = hosts.id AND ended IS NULL) ORDER BY name, id",
    )
    .bind(State::Active.name())
    .bind(micros(before))
    .fetch_all(db)
    .await?;
    let candidate = |row: Row| {
        let interval: Option<i64> = row.try_get("interval_ms")?;
        Ok(Candidate {
            host: parsed(row.try_get("id")?)?,
            interval: interval.map(|ms| Length::of_milliseconds(unsigned(ms))),
            last: maybe_instant(row.try_get("last_received")?)?,
            expected_since: instant(row.try_get("expected_since")?)?,
        })
    };
    rows.into_iter().map(candidate).collect()
}

/// A silence begins; its number.
pub async fn begin(
    db: &mut Conn,
    host: &HostId,
    since: DateTime<Utc>,
    allowed: Length,
    now: DateTime<Utc>,
) -> Result<i64, Refusal> {
    let sql = "INSERT INTO silences (host, since, allowed_ms, found) VALUES ($1, $2, $3, $4) RETURNING seq";
    let row = sqlx::query(sql)
        .bind(host.as_str())
        .bind(micros(since))
        .bind(i64::try_from(allowed.milliseconds()).unwrap_or(i64::MAX))
        .bind(micros(now))
        .fetch_one(db)
        .await?;
    Ok(row.try_get("seq")?)
}

/// The open silences of hosts from which a report has come since each was found, with the instant it came.
pub async fn broken(db: &mut Conn) -> Result<Vec<(Silence, DateTime<Utc>)>, Refusal> {
    let rows = sqlx::query(
        "SELECT silences.*, hosts.last_received FROM silences JOIN hosts ON hosts.id = silences.host
         WHERE silences.ended IS NULL AND hosts.last_received > silences.since ORDER BY silences.seq",
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let heard = instant(row.try_get("last_received")?)?;
            Ok((silence(&row)?, heard))
        })
        .collect()
}

/// The host was heard again.
pub async fn end(db: &mut Conn, seq: i64, heard: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("UPDATE silences SET ended = $1 WHERE seq = $2 AND ended IS NULL")
        .bind(micros(heard))
        .bind(seq)
        .execute(db)
        .await?;
    Ok(())
}

/// A host's open silence.
pub async fn open(db: &mut Conn, host: &HostId) -> Result<Option<Silence>, Refusal> {
    let row = sqlx::query("SELECT * FROM silences WHERE host = $1 AND ended IS NULL")
        .bind(host.as_str())
        .fetch_optional(db)
        .await?;
    row.as_ref().map(silence).transpose()
}

/// What a host says of how often it reports.
pub async fn set_interval(db: &mut Conn, host: &HostId, interval: Option<Length>) -> Result<(), Refusal> {
    let ms = interval.map(|interval| i64::try_from(interval.milliseconds()).unwrap_or(i64::MAX));
    sqlx::query("UPDATE hosts SET interval_ms = $1 WHERE id = $2 AND interval_ms IS NOT $1")
        .bind(ms)
        .bind(host.as_str())
        .execute(db)
        .await?;
    Ok(())
}

fn silence(row: &Row) -> Result<Silence, Refusal> {
    Ok(Silence {
        seq: row.try_get("seq")?,
        host: parsed(row.try_get("host")?)?,
        since: instant(row.try_get("since")?)?,
        allowed: Length::of_milliseconds(unsigned(row.try_get("allowed_ms")?)),
        ended: maybe_instant(row.try_get("ended")?)?,
    })
}
