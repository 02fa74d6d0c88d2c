//! What the collector itself found about a host's reports: gaps, forks, rewritten history, other baselines. Each is
//! found once (per host, kind and key), may be resolved, and is alerted at most once.

use audit::report::HostId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Conn, Row, instant, maybe_instant, micros, named, number, parsed};
use crate::error::Refusal;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Two reports with one number: a cloned host or a stolen key.
    Fork,
    /// A report names another predecessor than the one that is here.
    Rewritten,
    /// A number is missing and nobody said it was dropped.
    Gap,
    /// The host says it dropped unchanged reports.
    Dropped,
    /// The host says that reports were damaged before it could send them. So would somebody say who took them away.
    Damaged,
    /// Numbers are missing because the collector was restored from an older backup.
    Restored,
    /// The agent judges by another baseline, or other end-of-life dates, than the collector.
    OtherBaseline,
    /// Agent and collector judged the same by the same and disagree.
    Disagreement,
    /// Facts that could not be understood: an unknown probe or shape.
    NotUnderstood,
    /// The host's clock is off by more than is tolerated.
    Clock,
    /// The host sends more than it may, and what is over is refused.
    OverLimit,
}

impl Kind {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Rewritten => "rewritten",
            Self::Gap => "gap",
            Self::Dropped => "dropped",
            Self::Damaged => "damaged",
            Self::Restored => "restored",
            Self::OtherBaseline => "other-baseline",
            Self::Disagreement => "disagreement",
            Self::NotUnderstood => "not-understood",
            Self::Clock => "clock",
            Self::OverLimit => "over-limit",
        }
    }

    /// Whether somebody must be told at once.
    pub fn alarms(self) -> bool {
        match self {
            Self::Fork | Self::Rewritten | Self::Gap | Self::Damaged => true,
            Self::Dropped
            | Self::Restored
            | Self::OtherBaseline
            | Self::Disagreement
            | Self::NotUnderstood
            | Self::Clock
            | Self::OverLimit => false,
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFinding {
    /// Its number.
    #[serde(skip)]
    pub seq: i64,
    /// Whose reports.
    pub host: HostId,
    /// What.
    pub kind: Kind,
    /// In words.
    pub detail: String,
    /// Since when.
    pub found: DateTime<Utc>,
    /// Until when, if it is over.
    pub resolved: Option<DateTime<Utc>>,
}

/// Notes a finding; `true` if it is new, or was over and is there again.
pub async fn note(
    db: &mut Conn,
    host: &HostId,
    kind: Kind,
    key: &str,
    detail: &str,
    now: DateTime<Utc>,
) -> Result<bool, Refusal> {
    let noted = sqlx::query(
        "INSERT INTO chain_findings (host, kind, key, detail, found) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (host, kind, key) DO UPDATE SET resolved = NULL, detail = excluded.detail, found = excluded.found
         WHERE chain_findings.resolved IS NOT NULL",
    )
    .bind(host.as_str())
    .bind(kind.name())
    .bind(key)
    .bind(detail)
    .bind(micros(now))
    .execute(db)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// It is over.
pub async fn resolve(db: &mut Conn, host: &HostId, kind: Kind, key: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query(
        "UPDATE chain_findings SET resolved = $1 WHERE host = $2 AND kind = $3 AND key = $4 AND resolved IS NULL",
    )
    .bind(micros(now))
    .bind(host.as_str())
    .bind(kind.name())
    .bind(key)
    .execute(db)
    .await?;
    Ok(())
}

/// The gaps before reports numbered `from` to `to` are over.
pub async fn close_gaps(db: &mut Conn, host: &HostId, from: u64, to: u64, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query(
        "UPDATE chain_findings SET resolved = $1 WHERE host = $2 AND kind = $3 AND resolved IS NULL
         AND CAST(key AS BIGINT) BETWEEN $4 AND $5",
    )
    .bind(micros(now))
    .bind(host.as_str())
    .bind(Kind::Gap.name())
    .bind(number(from)?)
    .bind(number(to)?)
    .execute(db)
    .await?;
    Ok(())
}

/// Of that kind, all but those of these keys are over.
pub async fn resolve_all_but(
    db: &mut Conn,
    host: &HostId,
    kind: Kind,
    keys: &[&str],
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let rows = sqlx::query("SELECT key FROM chain_findings WHERE host = $1 AND kind = $2 AND resolved IS NULL")
        .bind(host.as_str())
        .bind(kind.name())
        .fetch_all(&mut *db)
        .await?;
    for row in rows {
        let key: String = row.try_get("key")?;
        if !keys.contains(&key.as_str()) {
            resolve(db, host, kind, &key, now).await?;
        }
    }
    Ok(())
}

/// Those of one host, newest first.
pub async fn of_host(db: &mut Conn, host: &HostId, limit: i64) -> Result<Vec<ChainFinding>, Refusal> {
    let rows = sqlx::query("SELECT * FROM chain_findings WHERE host = $1 ORDER BY seq DESC LIMIT $2")
        .bind(host.as_str())
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(finding).collect()
}

/// Those that nobody was told of yet, unresolved and found before `before`, oldest first. Waiting a little spares an
/// alert for reports that merely came out of order.
pub async fn unalerted(db: &mut Conn, before: DateTime<Utc>) -> Result<Vec<ChainFinding>, Refusal> {
    let rows = sqlx::query(
        "SELECT * FROM chain_findings WHERE alerted = 0 AND resolved IS NULL AND kind IN ('fork', 'rewritten', 'gap', 'damaged')
         AND found <= $1 ORDER BY seq LIMIT 1000",
    )
    .bind(micros(before))
    .fetch_all(db)
    .await?;
    rows.iter().map(finding).collect()
}

/// Somebody was told.
pub async fn set_alerted(db: &mut Conn, finding: &ChainFinding) -> Result<(), Refusal> {
    sqlx::query("UPDATE chain_findings SET alerted = 1 WHERE seq = $1").bind(finding.seq).execute(db).await?;
    Ok(())
}

/// A finding out of its row.
pub(super) fn finding(row: &Row) -> Result<ChainFinding, Refusal> {
    Ok(ChainFinding {
        seq: row.try_get("seq")?,
        host: parsed(row.try_get("host")?)?,
        kind: named(row.try_get("kind")?)?,
        detail: row.try_get("detail")?,
        found: instant(row.try_get("found")?)?,
        resolved: maybe_instant(row.try_get("resolved")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::hosts::testing::newcomer;
    use super::super::testing::{at, store};
    use super::*;

    #[tokio::test]
    async fn a_finding_is_noted_once_resolved_and_opened_again() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let host = newcomer(&mut db, "web-1", 'a').await;
        assert!(note(&mut db, &host, Kind::Gap, "3", "missing", at(1)).await.unwrap());
        assert!(!note(&mut db, &host, Kind::Gap, "3", "missing", at(2)).await.unwrap());
        assert_eq!(unalerted(&mut db, at(1)).await.unwrap().len(), 1);
        assert!(unalerted(&mut db, at(0)).await.unwrap().is_empty());
        resolve_all_but(&mut db, &host, Kind::Gap, &["3"], at(3)).await.unwrap();
        assert_eq!(of_host(&mut db, &host, 9).await.unwrap()[0].resolved, None);
        resolve_all_but(&mut db, &host, Kind::Gap, &[], at(3)).await.unwrap();
        assert_eq!(of_host(&mut db, &host, 9).await.unwrap()[0].resolved, Some(at(3)));
        assert!(note(&mut db, &host, Kind::Gap, "3", "missing again", at(4)).await.unwrap());
    }
}
