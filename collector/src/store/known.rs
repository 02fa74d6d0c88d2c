//! What is known of each probe's items on each host: [`audit::drift::Known`], which drift is taken against.

use std::collections::BTreeMap;

use audit::drift::Known;
use audit::report::HostId;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{Conn, instant, micros};
use crate::error::Refusal;

/// Knowledge of one probe, and which facts it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Shape and digest of the items last observed: the same again cannot have drifted.
    pub source: String,
    /// What is known.
    pub known: Known,
}

/// What is known of a host, by probe.
pub async fn of_host(db: &mut Conn, host: &HostId) -> Result<BTreeMap<String, Remembered>, Refusal> {
    let rows = sqlx::query("SELECT probe, source, at, body FROM known WHERE host = $1")
        .bind(host.as_str())
        .fetch_all(db)
        .await?;
    let mut known = BTreeMap::new();
    for row in rows {
        let body: Vec<u8> = row.try_get("body")?;
        let mut one: Known = serde_json::from_slice(&body)?;
        // The instant moves with every report, the body only when something changed.
        one.at = instant(row.try_get("at")?)?;
        known.insert(row.try_get("probe")?, Remembered { source: row.try_get("source")?, known: one });
    }
    Ok(known)
}

/// Keeps what is now known of a probe.
pub async fn keep(db: &mut Conn, host: &HostId, probe: &str, now_known: &Remembered) -> Result<(), Refusal> {
    sqlx::query(
        "INSERT INTO known (host, probe, source, at, body) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (host, probe) DO UPDATE SET source = excluded.source, at = excluded.at, body = excluded.body",
    )
    .bind(host.as_str())
    .bind(probe)
    .bind(&now_known.source)
    .bind(micros(now_known.known.at))
    .bind(serde_json::to_vec(&now_known.known)?)
    .execute(db)
    .await?;
    Ok(())
}

/// The same was seen again.
pub async fn touch(db: &mut Conn, host: &HostId, probe: &str, at: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("UPDATE known SET at = $1 WHERE host = $2 AND probe = $3")
        .bind(micros(at))
        .bind(host.as_str())
        .bind(probe)
        .execute(db)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::hosts::testing::newcomer;
    use super::super::testing::{at, store};
    use super::*;

    #[tokio::test]
    async fn what_is_known_comes_back_and_its_instant_moves_alone() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let host = newcomer(&mut db, "web-1", 'a').await;
        let known = Known {
            items: BTreeMap::from([("a".to_owned(), serde_json::json!(1))]),
            hidden: BTreeMap::from([("b".to_owned(), Some(at(1)))]),
            at: at(2),
        };
        let mut one = Remembered { source: "1:x".into(), known };
        keep(&mut db, &host, "packages", &one).await.unwrap();
        touch(&mut db, &host, "packages", at(9)).await.unwrap();
        one.known.at = at(9);
        assert_eq!(of_host(&mut db, &host).await.unwrap()["packages"], one);
    }
}
