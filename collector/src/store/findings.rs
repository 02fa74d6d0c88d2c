//! What the collector found of each host by its baseline, as it stands; and deviations, followed from opened to resolved.

use std::collections::BTreeSet;

use audit::finding::{Finding, Severity, Status, Summary};
use audit::report::HostId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Conn, instant, maybe_instant, micros, named, parsed};
use crate::error::Refusal;

/// A deviation over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// Where.
    pub host: HostId,
    /// The rule.
    pub rule: String,
    /// What it is about.
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// Since when.
    pub opened: DateTime<Utc>,
    /// Until when, if it is over.
    pub resolved: Option<DateTime<Utc>>,
}

/// The bytes of findings in one page, but for one finding that is longer.
const PAGE_BYTES: i64 = 4 << 20;

/// The findings of a host after number `after`, as they stand, in the baseline's order, each with its number; and whether
/// there are more. At most `limit` of them and [`PAGE_BYTES`].
pub async fn of_host(
    db: &mut Conn,
    host: &HostId,
    after: i64,
    limit: i64,
) -> Result<(Vec<(i64, Finding)>, bool), Refusal> {
    let rows = sqlx::query(
        "SELECT number, finding FROM findings WHERE host = $1 AND number IN (SELECT number FROM (
             SELECT number, SUM(size) OVER (ORDER BY number) AS bytes, ROW_NUMBER() OVER (ORDER BY number) AS place FROM (
                 SELECT number, OCTET_LENGTH(finding) AS size FROM findings WHERE host = $1 AND number > $2
                 ORDER BY number LIMIT $3) AS sized) AS summed
             WHERE bytes <= $4 OR place = 1) ORDER BY number",
    )
    .bind(host.as_str())
    .bind(after)
    .bind(limit)
    .bind(PAGE_BYTES)
    .fetch_all(&mut *db)
    .await?;
    let found: Vec<(i64, Finding)> = rows
        .into_iter()
        .map(|row| Ok((row.try_get("number")?, serde_json::from_str(row.try_get("finding")?)?)))
        .collect::<Result<_, Refusal>>()?;
    let last = found.last().map_or(after, |(number, _)| *number);
    let more = sqlx::query("SELECT 1 FROM findings WHERE host = $1 AND number > $2 LIMIT 1")
        .bind(host.as_str())
        .bind(last)
        .fetch_optional(db)
        .await?;
    Ok((found, more.is_some()))
}

/// Puts `findings` in the place of what stood, and opens and resolves deviations by the difference.
pub async fn replace(db: &mut Conn, host: &HostId, findings: &[Finding], now: DateTime<Utc>) -> Result<(), Refusal> {
    if are(db, host, findings).await? {
        return Ok(());
    }
    sqlx::query("DELETE FROM findings WHERE host = $1").bind(host.as_str()).execute(&mut *db).await?;
    for (number, finding) in (0_i64..).zip(findings) {
        sqlx::query(
            "INSERT INTO findings (host, number, rule, subject, status, severity, finding)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(host.as_str())
        .bind(number)
        .bind(&finding.rule)
        .bind(&finding.subject)
        .bind(finding.status.name())
        .bind(finding.severity.name())
        .bind(serde_json::to_string(finding)?)
        .execute(&mut *db)
        .await?;
    }
    follow(db, host, findings, now).await
}

/// How many findings are read at once to compare them.
const AT_ONCE: usize = 500;

/// Whether what stands is `findings`: a page at a time, for in bad hands a host has many thousands of them.
async fn are(db: &mut Conn, host: &HostId, findings: &[Finding]) -> Result<bool, Refusal> {
    // One page more than there are findings: a longer list that begins alike is another.
    let pages = findings.chunks(AT_ONCE).chain([&[][..]]);
    for (page, first) in pages.zip((0_i64..).step_by(AT_ONCE)) {
        let rows =
            sqlx::query("SELECT finding FROM findings WHERE host = $1 AND number >= $2 ORDER BY number LIMIT $3")
                .bind(host.as_str())
                .bind(first)
                .bind(i64::try_from(page.len().max(1)).unwrap_or(1))
                .fetch_all(&mut *db)
                .await?;
        if rows.len() != page.len() {
            return Ok(false);
        }
        for (row, finding) in rows.iter().zip(page) {
            if serde_json::from_str::<Finding>(row.try_get("finding")?)? != *finding {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How many findings of a host there are of each status.
pub async fn summary(db: &mut Conn, host: &HostId) -> Result<Summary, Refusal> {
    let rows = sqlx::query("SELECT status, COUNT(*) AS n FROM findings WHERE host = $1 GROUP BY status")
        .bind(host.as_str())
        .fetch_all(db)
        .await?;
    let mut summary = Summary::default();
    for row in rows {
        let count = super::pages::size(row.try_get("n")?);
        match named(row.try_get("status")?)? {
            Status::Pass => summary.pass = count,
            Status::Deviation => summary.deviation = count,
            Status::Unknown => summary.unknown = count,
            Status::NotApplicable => summary.not_applicable = count,
        }
    }
    Ok(summary)
}

/// What could not be determined neither opens nor resolves a deviation: not seeing is not mending.
async fn follow(db: &mut Conn, host: &HostId, findings: &[Finding], now: DateTime<Utc>) -> Result<(), Refusal> {
    let open: BTreeSet<(String, String)> =
        open_of(db, host).await?.into_iter().map(|deviation| (deviation.rule, deviation.subject)).collect();
    let mut standing = BTreeSet::new();
    let unseen: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| finding.status == Status::Unknown)
        .map(|finding| finding.rule.as_str())
        .collect();
    for finding in findings.iter().filter(|finding| finding.status == Status::Deviation) {
        let key = (finding.rule.clone(), finding.subject.clone());
        if standing.insert(key.clone()) && !open.contains(&key) {
            sqlx::query("INSERT INTO deviations (host, rule, subject, severity, opened) VALUES ($1, $2, $3, $4, $5)")
                .bind(host.as_str())
                .bind(&finding.rule)
                .bind(&finding.subject)
                .bind(finding.severity.name())
                .bind(micros(now))
                .execute(&mut *db)
                .await?;
        }
    }
    for (rule, subject) in open.difference(&standing).filter(|(rule, _)| !unseen.contains(rule.as_str())) {
        sqlx::query(
            "UPDATE deviations SET resolved = $1 WHERE host = $2 AND rule = $3 AND subject = $4 AND resolved IS NULL",
        )
        .bind(micros(now))
        .bind(host.as_str())
        .bind(rule)
        .bind(subject)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The deviations of a host that are not resolved.
pub async fn open_of(db: &mut Conn, host: &HostId) -> Result<Vec<Deviation>, Refusal> {
    let rows = sqlx::query("SELECT * FROM deviations WHERE host = $1 AND resolved IS NULL ORDER BY seq")
        .bind(host.as_str())
        .fetch_all(db)
        .await?;
    rows.into_iter().map(deviation).collect()
}

/// The deviations of a host over time, newest first.
pub async fn history_of(db: &mut Conn, host: &HostId, limit: i64) -> Result<Vec<Deviation>, Refusal> {
    let rows = sqlx::query("SELECT * FROM deviations WHERE host = $1 ORDER BY seq DESC LIMIT $2")
        .bind(host.as_str())
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(deviation).collect()
}

fn deviation(row: super::Row) -> Result<Deviation, Refusal> {
    Ok(Deviation {
        host: parsed(row.try_get("host")?)?,
        rule: row.try_get("rule")?,
        subject: row.try_get("subject")?,
        severity: named(row.try_get("severity")?)?,
        opened: instant(row.try_get("opened")?)?,
        resolved: maybe_instant(row.try_get("resolved")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::hosts::testing::newcomer;
    use super::super::testing::{at, store};
    use super::*;

    fn finding(subject: &str, status: Status) -> Finding {
        Finding {
            rule: "r".into(),
            probe: "packages".into(),
            subject: subject.into(),
            status,
            severity: Severity::High,
            title: String::new(),
            expected: String::new(),
            observed: String::new(),
            why: String::new(),
            fix: String::new(),
            controls: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_deviation_opens_stays_through_what_is_unseen_and_is_resolved_when_seen_mended() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let host = newcomer(&mut db, "web-1", 'a').await;
        replace(&mut db, &host, &[finding("a", Status::Deviation)], at(1)).await.unwrap();
        replace(&mut db, &host, &[finding("", Status::Unknown)], at(2)).await.unwrap();
        assert_eq!(open_of(&mut db, &host).await.unwrap()[0].opened, at(1));
        replace(&mut db, &host, &[finding("a", Status::Pass)], at(3)).await.unwrap();
        assert!(open_of(&mut db, &host).await.unwrap().is_empty());
        replace(&mut db, &host, &[finding("a", Status::Deviation)], at(4)).await.unwrap();
        let history = history_of(&mut db, &host, 10).await.unwrap();
        assert_eq!(
            history.iter().map(|d| (d.opened, d.resolved)).collect::<Vec<_>>(),
            [(at(4), None), (at(1), Some(at(3)))]
        );
        assert_eq!(of_host(&mut db, &host, -1, 9).await.unwrap().0.len(), 1);
    }

    #[tokio::test]
    async fn findings_come_in_pages_of_so_many_and_of_so_many_bytes() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let host = newcomer(&mut db, "web-1", 'a').await;
        let long =
            |number: u64| Finding { observed: "x".repeat(3 << 20), ..finding(&number.to_string(), Status::Pass) };
        let all: Vec<Finding> = (0..5).map(long).chain([finding("short", Status::Pass)]).collect();
        replace(&mut db, &host, &all, at(1)).await.unwrap();
        let (mut found, mut sizes, mut after) = (Vec::new(), Vec::new(), -1);
        loop {
            let (page, more) = of_host(&mut db, &host, after, 3).await.unwrap();
            sizes.push(page.len());
            after = page.last().unwrap().0;
            found.extend(page.into_iter().map(|(_, finding)| finding));
            if !more {
                break;
            }
        }
        assert_eq!(found, all);
        assert_eq!(sizes, [1, 1, 1, 1, 2]);
        assert_eq!(of_host(&mut db, &host, after, 3).await.unwrap(), (Vec::new(), false));
    }
}
