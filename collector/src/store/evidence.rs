//! The store as `verify` reads it: read only, at one instant, all of it, a page at a time.

use std::path::Path;

use audit::digest::Digest;
use audit::report::HostId;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::reports::{Stored, stored};
use super::{Conn, Row, dialect, digest, instant, micros, number, unsigned};
use crate::error::Refusal;

/// How many rows are held at once.
const PAGE: i64 = 500;

/// The database at `file`, as it is now for as long as it is open. Whoever uses it goes on.
pub async fn open(file: &Path) -> Result<Conn, Refusal> {
    let mut db = dialect::connect(file, true).await?;
    sqlx::query("BEGIN").execute(&mut db).await?;
    Ok(db)
}

/// The newest migration it has, and the newest this program knows.
pub async fn versions(db: &mut Conn) -> Result<(i64, i64), Refusal> {
    let row = sqlx::query("SELECT COALESCE(MAX(version), 0) AS newest FROM _sqlx_migrations WHERE success = TRUE")
        .fetch_one(db)
        .await?;
    Ok((row.try_get("newest")?, dialect::newest_version()))
}

/// Tables, indices, triggers and views: kind, name, and how each was made.
pub async fn shape(db: &mut Conn) -> Result<Vec<(String, String, String)>, Refusal> {
    let rows = sqlx::query(dialect::SHAPE).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.try_get("type")?, row.try_get("name")?, row.try_get("sql")?))).collect()
}

/// The highest number a table with numbers of its own ever gave, and how many rows it has, of which the first and last.
pub async fn numbers(db: &mut Conn, table: &'static str) -> Result<(i64, i64), Refusal> {
    let (given, count) = match table {
        "audit_log" => ("audit_log", "SELECT COUNT(*) AS n FROM audit_log"),
        "drifts" => ("drifts", "SELECT COUNT(*) AS n FROM drifts"),
        _ => ("verdicts", "SELECT COUNT(*) AS n FROM verdicts"),
    };
    let counted: i64 = sqlx::query(count).fetch_one(&mut *db).await?.try_get("n")?;
    let row = sqlx::query(dialect::GIVEN).bind(given).fetch_optional(db).await?;
    Ok((row.map(|row| row.try_get("seq")).transpose()?.unwrap_or(0), counted))
}

/// A whole report with its evidence.
#[derive(Debug)]
pub struct Envelope {
    /// What stands beside the envelope.
    pub stored: Stored,
    /// As it came.
    pub bytes: Vec<u8>,
    /// The collector's signature of its receipt, from when that was kept.
    pub receipt: Option<Vec<u8>>,
}

/// The whole reports of a host after that number and id, in order.
pub async fn envelopes(db: &mut Conn, host: &HostId, after: (u64, String)) -> Result<Vec<Envelope>, Refusal> {
    let rows = sqlx::query(
        "SELECT * FROM reports WHERE host = $1 AND (sequence > $2 OR (sequence = $2 AND id > $3))
         ORDER BY sequence, id LIMIT $4",
    )
    .bind(host.as_str())
    .bind(number(after.0)?)
    .bind(after.1)
    .bind(PAGE)
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let (bytes, receipt) = (row.try_get("envelope")?, row.try_get("receipt")?);
            Ok(Envelope { stored: stored(row)?, bytes, receipt })
        })
        .collect()
}

/// How many reports there are, whole and in runs.
pub async fn report_counts(db: &mut Conn) -> Result<(u64, u64), Refusal> {
    let row = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM reports) AS whole,
                (SELECT COALESCE(SUM(last - first + 1), 0) FROM runs) AS folded",
    )
    .fetch_one(db)
    .await?;
    Ok((unsigned(row.try_get("whole")?), unsigned(row.try_get("folded")?)))
}

/// What was found about a host's reports: kind, key, and since when unless it is over.
pub async fn noted(db: &mut Conn, host: &HostId) -> Result<Vec<(String, String, bool)>, Refusal> {
    let rows = sqlx::query("SELECT kind, key, resolved FROM chain_findings WHERE host = $1")
        .bind(host.as_str())
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let resolved: Option<i64> = row.try_get("resolved")?;
            Ok((row.try_get("kind")?, row.try_get("key")?, resolved.is_none()))
        })
        .collect()
}

/// What is kept of a host's statements of drops: stated by, first, last, count.
pub async fn drops(db: &mut Conn, host: &HostId) -> Result<Vec<[u64; 4]>, Refusal> {
    let rows = sqlx::query("SELECT stated_by, first, last, count FROM dropped WHERE host = $1 ORDER BY stated_by")
        .bind(host.as_str())
        .fetch_all(db)
        .await?;
    let column = |row: &Row, name: &str| -> Result<u64, Refusal> { Ok(unsigned(row.try_get(name)?)) };
    rows.iter()
        .map(|row| Ok([column(row, "stated_by")?, column(row, "first")?, column(row, "last")?, column(row, "count")?]))
        .collect()
}

/// The numbers of a host's unforked reports, up to the one of number `judged`, of which facts are lacking.
pub async fn lacking(db: &mut Conn, host: &HostId, judged: u64) -> Result<Vec<u64>, Refusal> {
    let rows = sqlx::query(
        "SELECT sequence FROM reports AS report WHERE host = $1 AND sequence <= $2 AND forked = 0
           AND (NOT EXISTS (SELECT 1 FROM facts WHERE digest = report.manifest)
                OR NOT EXISTS (SELECT 1 FROM manifest_needs WHERE manifest = report.manifest)
                OR EXISTS (SELECT 1 FROM manifest_needs AS need WHERE need.manifest = report.manifest
                           AND NOT EXISTS (SELECT 1 FROM facts WHERE digest = need.digest)))
         ORDER BY sequence LIMIT $3",
    )
    .bind(host.as_str())
    .bind(number(judged)?)
    .bind(PAGE)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok(unsigned(row.try_get("sequence")?))).collect()
}

/// The digests of facts after `after`, with the size each is said to have.
pub async fn facts(db: &mut Conn, after: &str) -> Result<Vec<(String, u64)>, Refusal> {
    let rows = sqlx::query("SELECT digest, size FROM facts WHERE digest > $1 ORDER BY digest LIMIT $2")
        .bind(after)
        .bind(PAGE)
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("digest")?, unsigned(row.try_get("size")?)))).collect()
}

/// What a manifest is said to need.
pub async fn needs(db: &mut Conn, manifest: Digest) -> Result<Vec<Digest>, Refusal> {
    let rows = sqlx::query("SELECT digest FROM manifest_needs WHERE manifest = $1 ORDER BY digest")
        .bind(manifest.to_string())
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| digest(row.try_get("digest")?)).collect()
}

/// A change record's row beside the record itself.
#[derive(Debug)]
pub struct ChangeRow {
    /// Its id.
    pub id: String,
    /// Its year and number.
    pub number: (i64, i64),
    /// Who asked, and its class, as the columns say.
    pub said: (String, String),
    /// Window and making, as the columns say, in microseconds.
    pub times: [i64; 3],
    /// The record as it was written.
    pub record: String,
    /// Who implements it, as their table says.
    pub implementers: Vec<String>,
    /// Approvals: by whom, and when.
    pub approvals: Vec<(String, DateTime<Utc>)>,
}

/// Every change record's row, in order of its number.
pub async fn changes(db: &mut Conn) -> Result<Vec<ChangeRow>, Refusal> {
    let rows = sqlx::query("SELECT * FROM changes ORDER BY year, number").fetch_all(&mut *db).await?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        let id: String = row.try_get("id")?;
        let implementers = sqlx::query("SELECT account FROM implementers WHERE change_id = $1 ORDER BY account")
            .bind(&id)
            .fetch_all(&mut *db)
            .await?;
        let approvals = sqlx::query("SELECT account, at FROM approvals WHERE change_id = $1 ORDER BY at, account")
            .bind(&id)
            .fetch_all(&mut *db)
            .await?;
        let approval =
            |row: &Row| -> Result<_, Refusal> { Ok((row.try_get("account")?, instant(row.try_get("at")?)?)) };
        changes.push(ChangeRow {
            number: (row.try_get("year")?, row.try_get("number")?),
            said: (row.try_get("requester")?, row.try_get("class")?),
            times: [row.try_get("window_from")?, row.try_get("window_to")?, row.try_get("created")?],
            record: row.try_get("record")?,
            implementers: implementers.iter().map(|row| row.try_get("account")).collect::<Result<_, _>>()?,
            approvals: approvals.iter().map(approval).collect::<Result<_, _>>()?,
            id,
        });
    }
    Ok(changes)
}

/// Everybody with the hash of their token.
pub async fn token_hashes(db: &mut Conn) -> Result<Vec<(String, String)>, Refusal> {
    let rows = sqlx::query("SELECT name, token_hash FROM accounts ORDER BY name").fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("token_hash")?))).collect()
}

/// An instant as the store's columns have it.
pub fn as_stored(at: DateTime<Utc>) -> i64 {
    micros(at)
}
