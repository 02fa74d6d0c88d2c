//! Drift, its verdict as it stands, and every verdict it ever had. What drifted is evidence: the database refuses to edit it.

use std::collections::BTreeMap;

use audit::digest::Digest;
use audit::drift::{Drift, Interval};
use audit::reconcile::{Happened, Judged, Reason, Verdict};
use audit::report::HostId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::tokens::Environment;
use super::{Conn, Row, digest, hosts, instant, maybe_instant, micros, named, pages, parsed};
use crate::error::Refusal;
use crate::reconciling::said::Said;

/// One drift with its verdict, and what a reader needs of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `D-12`.
    pub id: String,
    /// The host's id.
    pub host: HostId,
    /// What the host calls itself.
    pub host_name: String,
    /// Where the host works.
    pub environment: Environment,
    /// The probe that saw it.
    pub probe: String,
    /// The item.
    pub subject: String,
    /// Its value before; none if it appeared.
    #[serde(deserialize_with = "Said::apart")]
    pub before: Option<Said>,
    /// Its value after; none if it vanished.
    #[serde(deserialize_with = "Said::apart")]
    pub after: Option<Said>,
    /// When: after the first, not after the second.
    pub between: [DateTime<Utc>; 2],
    /// The verdict.
    pub verdict: Verdict,
    /// The class of reason.
    pub reason: Reason,
    /// The reason as a sentence.
    pub why: String,
    /// The change record that decided, if one did.
    pub change: Option<String>,
    /// Whether change control asks for a record here.
    pub controlled: bool,
    /// The report that showed it.
    pub report: Digest,
    /// Since when it needs nobody any more.
    pub closed: Option<DateTime<Utc>>,
    /// Who closed it: `collector` by its verdict, or a person by inspecting the host.
    pub closed_by: Option<String>,
}

impl Entry {
    /// Its value before, as the probe says it.
    pub fn said_before(&self) -> Option<String> {
        self.before.as_ref().map(|value| say(&self.probe, value))
    }

    /// Its value after, as the probe says it.
    pub fn said_after(&self) -> Option<String> {
        self.after.as_ref().map(|value| say(&self.probe, value))
    }

    /// When.
    pub fn interval(&self) -> Interval {
        Interval { from: self.between[0], to: self.between[1] }
    }

    /// As it is reconciled; `value` is what it says after.
    pub(crate) fn happened<'a>(&'a self, value: Option<&'a str>) -> Happened<'a> {
        Happened {
            host: self.host.as_str(),
            host_name: &self.host_name,
            probe: &self.probe,
            subject: &self.subject,
            value,
            between: self.interval(),
            controlled: self.controlled,
        }
    }

    /// As a list shows it: of long values the beginning.
    pub fn listed(mut self) -> Self {
        self.before = self.before.map(Said::listed);
        self.after = self.after.map(Said::listed);
        self
    }

    /// Its number in the store.
    pub fn seq(&self) -> Result<i64, Refusal> {
        number(&self.id)
    }
}

/// A value as its probe says it.
pub fn say(probe: &str, value: &Said) -> String {
    if let Some(words) = value.cut_words() {
        return words;
    }
    audit::probes::find(probe).map_or_else(|| value.text().to_owned(), |topic| topic.say_json(value.text()))
}

/// The number in `D-12`, however a person writes it.
pub fn number(id: &str) -> Result<i64, Refusal> {
    let digits = id.trim_start_matches(['D', 'd']).trim_start_matches('-');
    digits.parse().map_err(|_| Refusal::Invalid(format!("`{id}` is not the id of a drift, such as D-12")))
}

/// Writes a drift down with its first verdict; its number.
pub async fn add(
    db: &mut Conn,
    host: &HostId,
    report: Digest,
    drift: &Drift<Said>,
    controlled: bool,
    judged: &Judged,
    now: DateTime<Utc>,
) -> Result<i64, Refusal> {
    let closed = !judged.reason.is_open();
    let row = sqlx::query(
        "INSERT INTO drifts (host, report, probe, subject, value_before, value_after, earliest, latest, controlled,
                             verdict, reason, why, change_id, closed, closed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING seq",
    )
    .bind(host.as_str())
    .bind(report.to_string())
    .bind(&drift.probe)
    .bind(&drift.subject)
    .bind(drift.before.as_ref().map(Said::text))
    .bind(drift.after.as_ref().map(Said::text))
    .bind(micros(drift.between.from))
    .bind(micros(drift.between.to))
    .bind(controlled)
    .bind(judged.verdict.name())
    .bind(reason_name(judged.reason)?)
    .bind(&judged.why)
    .bind(&judged.change)
    .bind(closed.then(|| micros(now)))
    .bind(closed.then_some("collector"))
    .fetch_one(&mut *db)
    .await?;
    let seq = row.try_get("seq")?;
    remember(db, seq, judged, now).await?;
    Ok(seq)
}

/// Gives a drift another verdict, and closes it if that needs nobody.
pub async fn judge_again(db: &mut Conn, seq: i64, judged: &Judged, now: DateTime<Utc>) -> Result<(), Refusal> {
    let closed = !judged.reason.is_open();
    sqlx::query(
        "UPDATE drifts SET verdict = $1, reason = $2, why = $3, change_id = $4, closed = $5, closed_by = $6
         WHERE seq = $7 AND closed IS NULL",
    )
    .bind(judged.verdict.name())
    .bind(reason_name(judged.reason)?)
    .bind(&judged.why)
    .bind(&judged.change)
    .bind(closed.then(|| micros(now)))
    .bind(closed.then_some("collector"))
    .bind(seq)
    .execute(&mut *db)
    .await?;
    remember(db, seq, judged, now).await
}

async fn remember(db: &mut Conn, seq: i64, judged: &Judged, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("INSERT INTO verdicts (drift, at, verdict, reason, why, change_id) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(seq)
        .bind(micros(now))
        .bind(judged.verdict.name())
        .bind(reason_name(judged.reason)?)
        .bind(&judged.why)
        .bind(&judged.change)
        .execute(db)
        .await?;
    Ok(())
}

/// Closes what drifted on a host before a person inspected it.
pub async fn close_inspected(db: &mut Conn, host: &HostId, by: &str, now: DateTime<Utc>) -> Result<u64, Refusal> {
    let closed = sqlx::query("UPDATE drifts SET closed = $1, closed_by = $2 WHERE host = $3 AND closed IS NULL")
        .bind(micros(now))
        .bind(by)
        .bind(host.as_str())
        .execute(db)
        .await?;
    Ok(closed.rows_affected())
}

/// Which drift is asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this verdict.
    pub verdict: Option<Verdict>,
    /// Of this host.
    pub host: Option<HostId>,
    /// What still needs somebody.
    pub open: bool,
    /// Older than the one of this number.
    pub before: Option<i64>,
}

/// Drift, newest first. Of long values the beginning: [`Said::listed`].
pub async fn list(db: &mut Conn, filter: &Filter, limit: i64) -> Result<Vec<Entry>, Refusal> {
    let rows = sqlx::query(
        "SELECT seq FROM drifts
         WHERE ($1 IS NULL OR verdict = $1) AND ($2 IS NULL OR host = $2) AND ($3 = 0 OR closed IS NULL) AND seq < $4
         ORDER BY seq DESC LIMIT $5",
    )
    .bind(filter.verdict.map(Verdict::name))
    .bind(filter.host.as_ref().map(HostId::as_str))
    .bind(filter.open)
    .bind(filter.before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(&mut *db)
    .await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        // One at a time: five hundred of them whole could be gigabytes.
        entries.extend(find(db, row.try_get("seq")?).await?.map(Entry::listed));
    }
    Ok(entries)
}

/// The drift of that number.
pub async fn find(db: &mut Conn, seq: i64) -> Result<Option<Entry>, Refusal> {
    let row = sqlx::query(
        "SELECT drifts.*, hosts.name AS host_name, hosts.environment FROM drifts JOIN hosts ON hosts.id = drifts.host
         WHERE seq = $1",
    )
    .bind(seq)
    .fetch_optional(db)
    .await?;
    row.map(entry).transpose()
}

/// How much drift is held in memory at once: a fleet, or one host in bad hands, may have any amount of it.
const AT_ONCE: i64 = 500;
/// And how many bytes of values, but for one drift whose own are more.
const BYTES_AT_ONCE: i64 = 8 << 20;

/// What is open after `after`, at most [`AT_ONCE`]: what a record made or approved now, or time passing, may decide otherwise.
pub async fn open(db: &mut Conn, after: i64) -> Result<Vec<Entry>, Refusal> {
    let rows = sqlx::query(
        "SELECT drifts.*, hosts.name AS host_name, hosts.environment FROM drifts JOIN hosts ON hosts.id = drifts.host
         WHERE seq IN (SELECT seq FROM (
             SELECT seq, SUM(size) OVER (ORDER BY seq) AS bytes, ROW_NUMBER() OVER (ORDER BY seq) AS place FROM (
                 SELECT seq, COALESCE(OCTET_LENGTH(value_before), 0) + COALESCE(OCTET_LENGTH(value_after), 0) AS size
                 FROM drifts WHERE closed IS NULL AND seq > $1 ORDER BY seq LIMIT $2) AS sized) AS summed
             WHERE bytes <= $3 OR place = 1) ORDER BY seq",
    )
    .bind(after)
    .bind(AT_ONCE)
    .bind(BYTES_AT_ONCE)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(entry).collect()
}

/// All drift after `after`, at most [`AT_ONCE`].
pub async fn from(db: &mut Conn, after: i64) -> Result<Vec<Entry>, Refusal> {
    let rows = sqlx::query(
        "SELECT drifts.*, hosts.name AS host_name, hosts.environment FROM drifts JOIN hosts ON hosts.id = drifts.host
         WHERE seq IN (SELECT seq FROM (
             SELECT seq, SUM(size) OVER (ORDER BY seq) AS bytes, ROW_NUMBER() OVER (ORDER BY seq) AS place FROM (
                 SELECT seq, COALESCE(OCTET_LENGTH(value_before), 0) + COALESCE(OCTET_LENGTH(value_after), 0) AS size
                 FROM drifts WHERE seq > $1 ORDER BY seq LIMIT $2) AS sized) AS summed
             WHERE bytes <= $3 OR place = 1) ORDER BY seq",
    )
    .bind(after)
    .bind(AT_ONCE)
    .bind(BYTES_AT_ONCE)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(entry).collect()
}

/// What is open and unauthorised on active hosts and nobody was told of: by host, the numbers of the drift.
pub async fn unalerted(db: &mut Conn) -> Result<BTreeMap<String, Vec<i64>>, Refusal> {
    let rows = sqlx::query(
        "SELECT drifts.host, drifts.seq FROM drifts JOIN hosts ON hosts.id = drifts.host
         WHERE closed IS NULL AND alerted = 0 AND verdict = 'unauthorised' AND hosts.state = $1 ORDER BY host, seq",
    )
    .bind(hosts::State::Active.name())
    .fetch_all(db)
    .await?;
    let mut untold: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in rows {
        untold.entry(row.try_get("host")?).or_default().push(row.try_get("seq")?);
    }
    Ok(untold)
}

/// Somebody was told.
pub async fn set_alerted(db: &mut Conn, seq: i64) -> Result<(), Refusal> {
    sqlx::query("UPDATE drifts SET alerted = 1 WHERE seq = $1").bind(seq).execute(db).await?;
    Ok(())
}

/// One verdict of a drift's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// When it was given.
    pub at: DateTime<Utc>,
    /// The verdict with its reasons.
    #[serde(flatten)]
    pub judged: Judged,
}

/// The verdicts a drift had, newest first, and how many there are.
pub async fn verdicts(db: &mut Conn, seq: i64, limit: i64) -> Result<(Vec<Given>, usize), Refusal> {
    let rows =
        sqlx::query("SELECT *, COUNT(*) OVER () AS total FROM verdicts WHERE drift = $1 ORDER BY seq DESC LIMIT $2")
            .bind(seq)
            .bind(limit)
            .fetch_all(db)
            .await?;
    pages::with_total(rows, |row| Ok(Given { at: instant(row.try_get("at")?)?, judged: judged(&row)? }))
}

/// How much drift is open on each host, by verdict.
pub async fn open_counts(db: &mut Conn) -> Result<Vec<(HostId, Verdict, i64)>, Refusal> {
    let rows =
        sqlx::query("SELECT host, verdict, COUNT(*) AS n FROM drifts WHERE closed IS NULL GROUP BY host, verdict")
            .fetch_all(db)
            .await?;
    rows.into_iter()
        .map(|row| Ok((parsed(row.try_get("host")?)?, named(row.try_get("verdict")?)?, row.try_get("n")?)))
        .collect()
}

fn judged(row: &Row) -> Result<Judged, Refusal> {
    Ok(Judged {
        verdict: named(row.try_get("verdict")?)?,
        reason: named(row.try_get("reason")?)?,
        why: row.try_get("why")?,
        change: row.try_get("change_id")?,
    })
}

/// A drift out of its row, with `host_name` and `environment` of its host.
pub(super) fn entry(row: Row) -> Result<Entry, Refusal> {
    let value = |column: &str| -> Result<Option<Said>, Refusal> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.as_deref().map(serde_json::from_str).transpose()?)
    };
    let seq: i64 = row.try_get("seq")?;
    let judged = judged(&row)?;
    Ok(Entry {
        id: format!("D-{seq}"),
        host: parsed(row.try_get("host")?)?,
        host_name: row.try_get("host_name")?,
        environment: named(row.try_get("environment")?)?,
        probe: row.try_get("probe")?,
        subject: row.try_get("subject")?,
        before: value("value_before")?,
        after: value("value_after")?,
        between: [instant(row.try_get("earliest")?)?, instant(row.try_get("latest")?)?],
        verdict: judged.verdict,
        reason: judged.reason,
        why: judged.why,
        change: judged.change,
        controlled: row.try_get("controlled")?,
        report: digest(row.try_get("report")?)?,
        closed: maybe_instant(row.try_get("closed")?)?,
        closed_by: row.try_get("closed_by")?,
    })
}

/// A reason as programs read it: `no-record`.
fn reason_name(reason: Reason) -> Result<String, Refusal> {
    let name = serde_json::to_value(reason)?;
    name.as_str().map(str::to_owned).ok_or_else(|| Refusal::internal(format!("a reason is text, not {name}")))
}
