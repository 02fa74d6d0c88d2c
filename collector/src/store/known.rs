//! What is known of each probe's items on each host: [`audit::drift::Known`], which drift is taken against.

use std::collections::{BTreeMap, BTreeSet};

use audit::drift::Known;
use audit::report::HostId;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{Conn, instant, micros, unsigned};
use crate::error::Refusal;
use crate::reconciling::said::Said;

/// Knowledge of one probe, and which facts it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Shape and digest of the items last observed: the same again cannot have drifted.
    pub source: String,
    /// What is known.
    pub known: Known<Said>,
}

/// What is known of a host, by probe; and of which probes more is known than fits into `most` bytes with the smaller ones.
/// Reports of one probe each may have brought as much as a report may have, once for every probe.
pub async fn of_host(
    db: &mut Conn,
    host: &HostId,
    most: u64,
) -> Result<(BTreeMap<String, Remembered>, BTreeSet<String>), Refusal> {
    let sizes =
        sqlx::query("SELECT probe, source, at, length(body) AS size FROM known WHERE host = $1 ORDER BY size, probe")
            .bind(host.as_str())
            .fetch_all(&mut *db)
            .await?;
    let (mut known, mut heavy, mut left) = (BTreeMap::new(), BTreeSet::new(), most);
    for row in sizes {
        let probe: String = row.try_get("probe")?;
        match left.checked_sub(unsigned(row.try_get("size")?)) {
            None => {
                heavy.insert(probe);
            }
            Some(rest) => {
                left = rest;
                let mut one = body(db, host, &probe).await?;
                // The instant moves with every report, the body only when something changed.
                one.at = instant(row.try_get("at")?)?;
                known.insert(probe, Remembered { source: row.try_get("source")?, known: one });
            }
        }
    }
    Ok((known, heavy))
}

async fn body(db: &mut Conn, host: &HostId, probe: &str) -> Result<Known<Said>, Refusal> {
    let row = sqlx::query("SELECT body FROM known WHERE host = $1 AND probe = $2")
        .bind(host.as_str())
        .bind(probe)
        .fetch_one(db)
        .await?;
    Ok(serde_json::from_slice(row.try_get("body")?)?)
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
            items: BTreeMap::from([("a".to_owned(), Said::of(&serde_json::json!(1)))]),
            hidden: BTreeMap::from([("b".to_owned(), Some(at(1)))]),
            at: at(2),
        };
        let mut one = Remembered { source: "1:x".into(), known };
        keep(&mut db, &host, "packages", &one).await.unwrap();
        touch(&mut db, &host, "packages", at(9)).await.unwrap();
        one.known.at = at(9);
        assert_eq!(of_host(&mut db, &host, 1000).await.unwrap().0["packages"], one);
        let (known, heavy) = of_host(&mut db, &host, 10).await.unwrap();
        assert!(known.is_empty() && heavy.contains("packages"), "too much is said to be, not forgotten");
    }
}
