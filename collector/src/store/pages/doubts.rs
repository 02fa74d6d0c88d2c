//! What puts reports in doubt: gaps, forks, rewritten history, and what else the collector found of them.

use sqlx::Row as _;

use super::super::chain::{self, ChainFinding};
use super::super::tokens::Environment;
use super::super::{Conn, Row, named};
use super::with_total;
use crate::error::Refusal;

/// Something wrong with a host's reports, with what a reader needs of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What was found.
    pub finding: ChainFinding,
    /// The host's name.
    pub host_name: String,
    /// Where the host works.
    pub environment: Environment,
}

/// What puts reports in doubt and is not over, newest first; of one host where one is named, else of all.
pub async fn doubts(db: &mut Conn, host: Option<&str>, limit: i64) -> Result<(Vec<Doubt>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT c.*, h.name AS host_name, h.environment, COUNT(*) OVER () AS total
         FROM chain_findings c JOIN hosts h ON h.id = c.host
         WHERE c.resolved IS NULL AND ($1 IS NULL OR c.host = $1)
           AND ($1 IS NOT NULL OR c.kind IN ('fork', 'rewritten', 'gap', 'damaged'))
         ORDER BY c.seq DESC LIMIT $2",
    )
    .bind(host)
    .bind(limit)
    .fetch_all(db)
    .await?;
    with_total(rows, |row| doubt(&row))
}

/// Everything ever found about one host's reports, newest first.
pub async fn doubts_ever(db: &mut Conn, host: &str, limit: i64) -> Result<(Vec<Doubt>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT c.*, h.name AS host_name, h.environment, COUNT(*) OVER () AS total
         FROM chain_findings c JOIN hosts h ON h.id = c.host WHERE c.host = $1 ORDER BY c.seq DESC LIMIT $2",
    )
    .bind(host)
    .bind(limit)
    .fetch_all(db)
    .await?;
    with_total(rows, |row| doubt(&row))
}

fn doubt(row: &Row) -> Result<Doubt, Refusal> {
    Ok(Doubt {
        finding: chain::finding(row)?,
        host_name: row.try_get("host_name")?,
        environment: named(row.try_get("environment")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::chain::Kind;
    use super::super::super::micros;
    use super::super::super::testing::{at, store};
    use super::super::testing::host;
    use super::*;

    #[tokio::test]
    async fn doubts_of_all_hosts_are_those_that_alarm_and_of_one_host_all_that_last() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let id = host(&mut db, "web-1", 'a', "active", 100).await;
        for (kind, resolved) in [("fork", None), ("gap", Some(9)), ("other-baseline", None)] {
            sqlx::query("INSERT INTO chain_findings (host, kind, key, detail, found, resolved) VALUES ($1, $2, 'k', 'd', $3, $4)")
                .bind(&id)
                .bind(kind)
                .bind(micros(at(1)))
                .bind(resolved.map(|minute| micros(at(minute))))
                .execute(&mut *db)
                .await
                .unwrap();
        }
        let kinds =
            |(doubts, _): (Vec<Doubt>, usize)| doubts.into_iter().map(|doubt| doubt.finding.kind).collect::<Vec<_>>();
        assert_eq!(kinds(doubts(&mut db, None, 10).await.unwrap()), [Kind::Fork]);
        assert_eq!(kinds(doubts(&mut db, Some(&id), 10).await.unwrap()), [Kind::OtherBaseline, Kind::Fork]);
        assert_eq!(doubts_ever(&mut db, &id, 10).await.unwrap().1, 3);
    }
}
