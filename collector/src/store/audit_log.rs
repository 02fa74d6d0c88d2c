//! Who did what, append-only: the database refuses to edit or shorten it.

use audit::digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Conn, Row, instant, micros};
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

impl Act {
    /// What ties it to the act before it, whose link is `before`.
    pub fn link(&self, before: Option<&str>) -> Result<Digest, Refusal> {
        let said = (before, micros(self.at), &self.who, &self.did, &self.what, &self.detail);
        Ok(Digest::of_json(&said)?)
    }
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
    let [who, did, what, detail] = [who, did, what, detail].map(str::to_owned);
    let act = Act { at: now, who, did, what, detail };
    let before: Option<String> = sqlx::query("SELECT link FROM audit_log ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *db)
        .await?
        .map(|row| row.try_get("link"))
        .transpose()?
        .flatten();
    sqlx::query("INSERT INTO audit_log (at, who, did, what, detail, link) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(micros(act.at))
        .bind(&act.who)
        .bind(&act.did)
        .bind(&act.what)
        .bind(&act.detail)
        .bind(act.link(before.as_deref())?.to_string())
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
    rows.iter().map(act).collect()
}

/// The acts after number `after`, oldest first, each with its number and its link.
pub async fn from(db: &mut Conn, after: i64, limit: i64) -> Result<Vec<(i64, Act, Option<String>)>, Refusal> {
    let rows = sqlx::query("SELECT * FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("seq")?, act(row)?, row.try_get("link")?))).collect()
}

fn act(row: &Row) -> Result<Act, Refusal> {
    Ok(Act {
        at: instant(row.try_get("at")?)?,
        who: row.try_get("who")?,
        did: row.try_get("did")?,
        what: row.try_get("what")?,
        detail: row.try_get("detail")?,
    })
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
        let replaced = "INSERT OR REPLACE INTO audit_log (seq, at, who, did, what, detail) SELECT seq, at, 'otto', did, what, detail FROM audit_log";
        for sql in ["UPDATE audit_log SET who = 'otto'", "DELETE FROM audit_log", replaced] {
            let error = sqlx::query(sql).execute(&mut *db).await.unwrap_err();
            assert!(error.to_string().contains("append-only"), "{error}");
        }
        assert_eq!(latest(&mut db, 10).await.unwrap()[0].who, "ava");
    }
}
