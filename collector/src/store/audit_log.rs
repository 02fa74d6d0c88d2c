//! Who did what, append-only: the database refuses to edit or shorten it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Conn, instant, micros};
use crate::error::Refusal;

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When.
    pub at: DateTime<Utc>,
    /// Whose account; `collector` for what it did by itself.
    pub who: String,
    /// What was done: `approve`, `inspect`.
    pub did: String,
    /// To what: a record's id, a host's id.
    pub what: String,
    /// The rest, in words.
    pub detail: String,
}

/// Writes one act down, in the transaction that does it.
pub async fn note(
    db: &mut Conn,
    now: DateTime<Utc>,
    who: &str,
    did: &str,
    what: &str,
    detail: &str,
) -> Result<(), Refusal> {
    sqlx::query("INSERT INTO audit_log (at, who, did, what, detail) VALUES ($1, $2, $3, $4, $5)")
        .bind(micros(now))
        .bind(who)
        .bind(did)
        .bind(what)
        .bind(detail)
        .execute(db)
        .await?;
    Ok(())
}

/// The newest acts, newest first.
pub async fn latest(db: &mut Conn, limit: i64) -> Result<Vec<Act>, Refusal> {
    let rows = sqlx::query("SELECT at, who, did, what, detail FROM audit_log ORDER BY seq DESC LIMIT $1")
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Act {
                at: instant(row.try_get("at")?)?,
                who: row.try_get("who")?,
                did: row.try_get("did")?,
                what: row.try_get("what")?,
                detail: row.try_get("detail")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, store};
    use super::*;

    #[tokio::test]
    async fn what_was_done_cannot_be_edited_or_deleted_by_raw_sql() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        note(&mut db, at(0), "ava", "approve", "CHG-2026-0001", "").await.unwrap();
        let replaced = "INSERT OR REPLACE INTO audit_log SELECT seq, at, 'otto', did, what, detail FROM audit_log";
        for sql in ["UPDATE audit_log SET who = 'otto'", "DELETE FROM audit_log", replaced] {
            let error = sqlx::query(sql).execute(&mut *db).await.unwrap_err();
            assert!(error.to_string().contains("append-only"), "{error}");
        }
        assert_eq!(latest(&mut db, 10).await.unwrap()[0].who, "ava");
    }
}
