//! The store as a backup: copied at one instant while it is in use, checked, and made fit to be used again.

use std::path::Path;

use audit::digest::Digest;
use audit::report::HostId;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{Conn, Row, dialect, instant, maybe_instant, micros, number, unsigned};
use crate::error::Refusal;

/// What a backup says of itself, in a table of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// When it was taken.
    pub taken: DateTime<Utc>,
    /// [`heads`] when it was taken.
    pub heads: Digest,
    /// The key receipts are signed with, unless it was left out.
    pub receipt_key: Option<Vec<u8>>,
}

/// Copies the database at `from` into the empty file `to`, as it is at one instant. Whoever uses it goes on.
pub async fn copy(from: &Path, to: &Path) -> Result<(), Refusal> {
    let mut db = dialect::connect(from, true).await?;
    let name = to.to_str().ok_or_else(|| Refusal::Invalid(format!("{} is not a name in UTF-8", to.display())))?;
    sqlx::query(dialect::COPY).bind(name).execute(&mut db).await?;
    dialect::close(db).await
}

/// Opens a copy, which nobody else uses.
pub async fn open(file: &Path) -> Result<Conn, Refusal> {
    Ok(dialect::connect(file, false).await?)
}

/// Closes it again; what was written is on disk.
pub async fn close(db: Conn) -> Result<(), Refusal> {
    dialect::close(db).await
}

/// Complains of a database that is damaged, or of another version's shape than this program can bring to its own.
pub async fn check(db: &mut Conn) -> Result<(), Refusal> {
    let said: String = sqlx::query(dialect::INTEGRITY).fetch_one(&mut *db).await?.try_get(0)?;
    if said != "ok" {
        return Err(Refusal::Invalid(format!("the database is damaged: {said}")));
    }
    let newest: i64 = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success = TRUE")
        .fetch_one(db)
        .await?
        .try_get(0)?;
    if newest > dialect::newest_version() {
        return Err(Refusal::Invalid("the backup was made by a newer version: use that, or a newer one".into()));
    }
    Ok(())
}

/// A digest over every host's standing: how far it is received and judged, its newest report, how many there are.
pub async fn heads(db: &mut Conn) -> Result<Digest, Refusal> {
    let rows = sqlx::query(
        "SELECT id, head_sequence, judged_sequence, (SELECT COUNT(*) FROM reports WHERE host = hosts.id) AS whole,
                COALESCE((SELECT reports.id FROM reports WHERE host = hosts.id ORDER BY sequence DESC, forked, reports.id
                          LIMIT 1), '') AS newest
         FROM hosts ORDER BY id",
    )
    .fetch_all(db)
    .await?;
    let mut text = String::new();
    for row in rows {
        let (id, newest): (String, String) = (row.try_get("id")?, row.try_get("newest")?);
        let numbers: [i64; 3] = [row.try_get("head_sequence")?, row.try_get("judged_sequence")?, row.try_get("whole")?];
        text.push_str(&format!("{id} {numbers:?} {newest}\n"));
    }
    Ok(Digest::of(text.as_bytes()))
}

/// Writes the label.
pub async fn label(db: &mut Conn, label: &Label) -> Result<(), Refusal> {
    sqlx::query("CREATE TABLE backup_label (taken BIGINT NOT NULL, heads TEXT NOT NULL, receipt_key BLOB)")
        .execute(&mut *db)
        .await?;
    sqlx::query("INSERT INTO backup_label (taken, heads, receipt_key) VALUES ($1, $2, $3)")
        .bind(micros(label.taken))
        .bind(label.heads.to_string())
        .bind(&label.receipt_key)
        .execute(db)
        .await?;
    Ok(())
}

/// The label; a database without one is no backup.
pub async fn labelled(db: &mut Conn) -> Result<Label, Refusal> {
    let row = sqlx::query("SELECT taken, heads, receipt_key FROM backup_label").fetch_one(db).await;
    let row = row.map_err(|_| Refusal::Invalid("not a backup made by `plumbline-collector backup`".into()))?;
    Ok(Label {
        taken: instant(row.try_get("taken")?)?,
        heads: super::digest(row.try_get("heads")?)?,
        receipt_key: row.try_get("receipt_key")?,
    })
}

/// Takes the label off, the key's bytes with it.
pub async fn unlabel(db: &mut Conn) -> Result<(), Refusal> {
    sqlx::query(dialect::ERASE).execute(&mut *db).await?;
    sqlx::query("DROP TABLE backup_label").execute(db).await?;
    Ok(())
}

/// Makes a copy fit to be used: notes how far each host was, and lets nothing be used twice that may have been used since.
pub async fn restored(db: &mut Conn, taken: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("UPDATE hosts SET restored_head = head_sequence, restored_to = $1")
        .bind(micros(taken))
        .execute(&mut *db)
        .await?;
    sqlx::query("UPDATE enrolment_tokens SET expires = $1 WHERE used IS NULL AND expires > $1")
        .bind(micros(now))
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM login_links").execute(&mut *db).await?;
    sqlx::query("DELETE FROM sessions").execute(db).await?;
    Ok(())
}

/// Whether the numbers missing right before `sequence` were lost with the collector: the newest number here below it is
/// no newer than what the restored backup held. Then the first number lost, and when the backup was taken.
pub async fn lost(db: &mut Conn, host: &HostId, sequence: u64) -> Result<Option<(u64, DateTime<Utc>)>, Refusal> {
    let row = sqlx::query(
        "SELECT restored_head, restored_to FROM hosts WHERE id = $1 AND restored_head IS NOT NULL AND restored_head < $2 - 1
           AND NOT EXISTS (SELECT 1 FROM reports WHERE host = $1 AND sequence > hosts.restored_head AND sequence < $2)",
    )
    .bind(host.as_str())
    .bind(number(sequence)?)
    .fetch_optional(db)
    .await?;
    let lost = |row: Row| -> Result<_, Refusal> {
        let (head, taken): (i64, Option<i64>) = (row.try_get("restored_head")?, row.try_get("restored_to")?);
        Ok(maybe_instant(taken)?.map(|taken| (unsigned(head) + 1, taken)))
    };
    Ok(row.map(lost).transpose()?.flatten())
}
