//! Messages to be sent: written in the transaction that gives rise to them, once per key, sent in order.

use audit::report::HostId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Conn, Row, instant, maybe_instant, micros, named};
use crate::error::Refusal;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// To be sent.
    Waiting,
    /// Taken by whom it was for.
    Sent,
    /// Refused for good: kept and shown.
    Failed,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub seq: i64,
    /// What it is about; there is one of each.
    pub key: String,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub created: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is to be tried next.
    pub due: DateTime<Utc>,
    /// When it was taken.
    pub sent: Option<DateTime<Utc>>,
    /// Why it was not, last.
    pub error: Option<String>,
    /// The bytes to send.
    #[serde(skip)]
    pub payload: String,
}

/// Puts a message in, unless its key is there already; whether it was put in.
pub async fn add(
    db: &mut Conn,
    key: &str,
    host: Option<&HostId>,
    payload: &str,
    now: DateTime<Utc>,
) -> Result<bool, Refusal> {
    let added = sqlx::query(
        "INSERT INTO outbox (key, host, payload, created, state, due) VALUES ($1, $2, $3, $4, 'waiting', $4)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(key)
    .bind(host.map(HostId::as_str))
    .bind(payload)
    .bind(micros(now))
    .execute(db)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// The oldest message waiting: no other goes before it.
pub async fn next(db: &mut Conn) -> Result<Option<Message>, Refusal> {
    let row =
        sqlx::query("SELECT * FROM outbox WHERE state = 'waiting' ORDER BY seq LIMIT 1").fetch_optional(db).await?;
    row.map(message).transpose()
}

/// It was taken.
pub async fn set_sent(db: &mut Conn, seq: i64, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("UPDATE outbox SET state = 'sent', sent = $1, attempts = attempts + 1, error = NULL WHERE seq = $2")
        .bind(micros(now))
        .bind(seq)
        .execute(db)
        .await?;
    Ok(())
}

/// It was not; another time.
pub async fn set_due(db: &mut Conn, seq: i64, due: DateTime<Utc>, error: &str) -> Result<(), Refusal> {
    sqlx::query("UPDATE outbox SET due = $1, attempts = attempts + 1, error = $2 WHERE seq = $3")
        .bind(micros(due))
        .bind(error)
        .bind(seq)
        .execute(db)
        .await?;
    Ok(())
}

/// It never will be.
pub async fn set_failed(db: &mut Conn, seq: i64, error: &str) -> Result<(), Refusal> {
    sqlx::query("UPDATE outbox SET state = 'failed', attempts = attempts + 1, error = $1 WHERE seq = $2")
        .bind(error)
        .bind(seq)
        .execute(db)
        .await?;
    Ok(())
}

/// Lets failed messages wait again; how many.
pub async fn retry_failed(db: &mut Conn, now: DateTime<Utc>) -> Result<u64, Refusal> {
    let again = sqlx::query("UPDATE outbox SET state = 'waiting', due = $1 WHERE state = 'failed'")
        .bind(micros(now))
        .execute(db)
        .await?;
    Ok(again.rows_affected())
}

/// Messages, newest first.
pub async fn latest(db: &mut Conn, limit: i64) -> Result<Vec<Message>, Refusal> {
    let rows = sqlx::query("SELECT * FROM outbox ORDER BY seq DESC LIMIT $1").bind(limit).fetch_all(db).await?;
    rows.into_iter().map(message).collect()
}

fn message(row: Row) -> Result<Message, Refusal> {
    Ok(Message {
        seq: row.try_get("seq")?,
        key: row.try_get("key")?,
        state: named(row.try_get("state")?)?,
        created: instant(row.try_get("created")?)?,
        attempts: row.try_get("attempts")?,
        due: instant(row.try_get("due")?)?,
        sent: maybe_instant(row.try_get("sent")?)?,
        error: row.try_get("error")?,
        payload: row.try_get("payload")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, store};
    use super::*;

    #[tokio::test]
    async fn a_key_is_sent_once_and_the_oldest_goes_first() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        assert!(add(&mut db, "a", None, "1", at(0)).await.unwrap());
        assert!(add(&mut db, "b", None, "2", at(0)).await.unwrap());
        assert!(!add(&mut db, "a", None, "3", at(0)).await.unwrap());
        let first = next(&mut db).await.unwrap().unwrap();
        set_due(&mut db, first.seq, at(5), "down").await.unwrap();
        let waiting = next(&mut db).await.unwrap().unwrap();
        assert_eq!((waiting.key.as_str(), waiting.due, waiting.attempts), ("a", at(5), 1));
        set_sent(&mut db, first.seq, at(6)).await.unwrap();
        assert!(!add(&mut db, "a", None, "3", at(7)).await.unwrap());
        let second = next(&mut db).await.unwrap().unwrap();
        set_failed(&mut db, second.seq, "no_service").await.unwrap();
        assert_eq!(next(&mut db).await.unwrap(), None);
        assert_eq!(latest(&mut db, 9).await.unwrap()[0].error.as_deref(), Some("no_service"));
        assert_eq!(retry_failed(&mut db, at(8)).await.unwrap(), 1);
    }
}
