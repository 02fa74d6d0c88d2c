//! Hosts as a list shows them, and how many there are.

use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::super::hosts::State;
use super::super::tokens::Environment;
use super::super::{Conn, Row, instant, maybe_instant, named};
use super::{size, with_total};
use crate::error::Refusal;

/// How many hosts there are of one environment and state, and how many of them are silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCount {
    /// Where they work.
    pub environment: Environment,
    /// Where they stand.
    pub state: State,
    /// How many.
    pub hosts: usize,
    /// How many of them say nothing for longer than they may.
    pub silent: usize,
}

/// Counts all hosts.
pub async fn host_counts(db: &mut Conn) -> Result<Vec<HostCount>, Refusal> {
    let rows = sqlx::query(
        "SELECT environment, state, COUNT(*) AS hosts,
                SUM(CASE WHEN silent_since IS NOT NULL THEN 1 ELSE 0 END) AS silent
         FROM hosts_now GROUP BY environment, state ORDER BY environment, state",
    )
    .fetch_all(db)
    .await?;
    let count = |row: Row| {
        Ok(HostCount {
            environment: named(row.try_get("environment")?)?,
            state: named(row.try_get("state")?)?,
            hosts: size(row.try_get("hosts")?),
            silent: size(row.try_get("silent")?),
        })
    };
    rows.into_iter().map(count).collect()
}

/// A host with what a list says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Its operating system.
    pub system: String,
    /// Where it works.
    pub environment: Environment,
    /// What it does.
    pub roles: Vec<String>,
    /// Where it stands.
    pub state: State,
    /// When it enrolled.
    pub enrolled: DateTime<Utc>,
    /// When it last reported.
    pub heard: Option<DateTime<Utc>>,
    /// Whether it is active and says nothing for longer than it may.
    pub silent: bool,
    /// Changes nobody approved that are still open.
    pub unapproved: usize,
    /// Deviations that are still open.
    pub deviations: usize,
}

/// Which hosts a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Active, and found silent.
    Silent,
    /// Not yet inspected.
    Pending,
}

impl Which {
    fn number(self) -> i64 {
        match self {
            Self::All => 0,
            Self::Silent => 1,
            Self::Pending => 2,
        }
    }
}

/// Hosts, those that need somebody first, and how many there are of that kind.
pub async fn hosts(db: &mut Conn, which: Which, limit: i64, offset: i64) -> Result<(Vec<Listed>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT *, COUNT(*) OVER () AS total FROM (
           SELECT h.id, h.name, h.system, h.environment, h.roles, h.state, h.enrolled, h.last_received,
                  CASE WHEN h.state = 'active' AND h.silent_since IS NOT NULL THEN 1 ELSE 0 END AS silent,
                  (SELECT COUNT(*) FROM drifts d
                   WHERE d.host = h.id AND d.closed IS NULL AND d.verdict = 'unauthorised') AS unapproved,
                  (SELECT COUNT(*) FROM deviations v WHERE v.host = h.id AND v.resolved IS NULL) AS deviations
           FROM hosts_now h) AS listed
         WHERE $1 = 0 OR ($1 = 1 AND silent = 1) OR ($1 = 2 AND state = 'pending')
         ORDER BY CASE state WHEN 'quarantined' THEN 0 WHEN 'active' THEN 1 ELSE 2 END,
                  CASE WHEN state = 'active' THEN unapproved ELSE 0 END DESC, silent DESC, name, id
         LIMIT $2 OFFSET $3",
    )
    .bind(which.number())
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    with_total(rows, |row| {
        Ok(Listed {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            system: row.try_get("system")?,
            environment: named(row.try_get("environment")?)?,
            roles: serde_json::from_str(row.try_get("roles")?)?,
            state: named(row.try_get("state")?)?,
            enrolled: instant(row.try_get("enrolled")?)?,
            heard: maybe_instant(row.try_get("last_received")?)?,
            silent: row.try_get::<i64, _>("silent")? == 1,
            unapproved: size(row.try_get("unapproved")?),
            deviations: size(row.try_get("deviations")?),
        })
    })
}

/// When a host's first report came.
pub async fn first_report(db: &mut Conn, host: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let row = sqlx::query("SELECT received FROM reports WHERE host = $1 ORDER BY sequence LIMIT 1")
        .bind(host)
        .fetch_optional(db)
        .await?;
    row.map(|row| instant(row.try_get("received")?)).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::super::silences;
    use super::super::super::testing::{at, store};
    use super::super::testing::{NOBODY, drifted, host};
    use super::*;
    use audit::duration::Length;

    #[tokio::test]
    async fn hosts_that_need_somebody_stand_first() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        for (name, digit, state, heard) in [
            ("a-well", 'a', "active", 100),
            ("b-silent", 'b', "active", 10),
            ("c-drifted", 'c', "active", 100),
            ("d-cloned", 'd', "quarantined", 100),
            ("e-new", 'e', "pending", 100),
        ] {
            host(&mut db, name, digit, state, heard).await;
        }
        silences::begin(&mut db, &"b".repeat(32).try_into().unwrap(), at(10), Length::of_milliseconds(1), at(50))
            .await
            .unwrap();
        drifted(&mut db, 'c', "packages", 20, NOBODY, true).await;
        let (listed, total) = hosts(&mut db, Which::All, 10, 0).await.unwrap();
        let names: Vec<&str> = listed.iter().map(|host| host.name.as_str()).collect();
        assert_eq!((names, total), (vec!["d-cloned", "c-drifted", "b-silent", "a-well", "e-new"], 5));
        assert_eq!((listed[1].unapproved, listed[2].silent), (1, true));
        assert_eq!(hosts(&mut db, Which::Silent, 10, 0).await.unwrap().1, 1);
        assert_eq!(hosts(&mut db, Which::Pending, 10, 0).await.unwrap().0[0].name, "e-new");
        let counts = host_counts(&mut db).await.unwrap();
        let active = counts.iter().find(|count| count.state == State::Active).unwrap();
        assert_eq!((active.hosts, active.silent), (3, 1));
    }
}
