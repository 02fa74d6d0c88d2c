//! The baseline's rules: which are broken and where, since when, and what could not be determined.

use audit::finding::Finding;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::super::tokens::Environment;
use super::super::{Conn, instant, maybe_instant, named};
use super::{size, with_total};
use crate::error::Refusal;

/// A rule that hosts break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its id.
    pub rule: String,
    /// How bad.
    pub severity: String,
    /// By how many hosts.
    pub hosts: usize,
    /// One of them: its id, name and environment.
    pub one: (String, String, Environment),
    /// In how many places.
    pub deviations: usize,
    /// Since when the oldest.
    pub since: DateTime<Utc>,
}

/// The rules that active hosts break, worst first, and how many there are.
pub async fn broken_rules(db: &mut Conn, limit: i64) -> Result<(Vec<Broken>, usize), Refusal> {
    let rows = sqlx::query(
        "WITH broken AS (
             SELECT v.rule, v.severity, v.host, v.opened, h.name, h.environment,
                    ROW_NUMBER() OVER (PARTITION BY v.rule, v.severity ORDER BY h.name, h.id) AS place
             FROM deviations v JOIN hosts h ON h.id = v.host
             WHERE v.resolved IS NULL AND h.state = 'active'
         )
         SELECT rule, severity, COUNT(DISTINCT host) AS hosts, COUNT(*) AS deviations, MIN(opened) AS since,
                MIN(CASE WHEN place = 1 THEN name END) AS first_name, MIN(CASE WHEN place = 1 THEN host END) AS first_host,
                MIN(CASE WHEN place = 1 THEN environment END) AS first_environment, COUNT(*) OVER () AS total
         FROM broken
         GROUP BY rule, severity
         ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END,
                  hosts DESC, rule
         LIMIT $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await?;
    with_total(rows, |row| {
        Ok(Broken {
            rule: row.try_get("rule")?,
            severity: row.try_get("severity")?,
            hosts: size(row.try_get("hosts")?),
            one: (row.try_get("first_host")?, row.try_get("first_name")?, named(row.try_get("first_environment")?)?),
            deviations: size(row.try_get("deviations")?),
            since: instant(row.try_get("since")?)?,
        })
    })
}

/// Open deviations of active hosts by severity, worst first.
pub async fn severities(db: &mut Conn) -> Result<Vec<(String, usize)>, Refusal> {
    let rows = sqlx::query(
        "SELECT v.severity, COUNT(*) AS deviations FROM deviations v JOIN hosts h ON h.id = v.host
         WHERE v.resolved IS NULL AND h.state = 'active' GROUP BY v.severity
         ORDER BY CASE v.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END",
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((row.try_get("severity")?, size(row.try_get("deviations")?)))).collect()
}

/// How many findings of active hosts could not be determined.
pub async fn unknowns(db: &mut Conn) -> Result<usize, Refusal> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS unknown FROM findings f JOIN hosts h ON h.id = f.host
         WHERE f.status = 'unknown' AND h.state = 'active'",
    )
    .fetch_one(db)
    .await?;
    Ok(size(row.try_get("unknown")?))
}

/// A host's findings of one status, worst first, each with since when it deviates, and how many there are.
pub async fn findings(
    db: &mut Conn,
    host: &str,
    status: &str,
    limit: i64,
) -> Result<(Vec<(Finding, Option<DateTime<Utc>>)>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT f.finding, v.opened, COUNT(*) OVER () AS total FROM findings f
         LEFT JOIN deviations v ON v.host = f.host AND v.rule = f.rule AND v.subject = f.subject AND v.resolved IS NULL
         WHERE f.host = $1 AND f.status = $2
         ORDER BY CASE f.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END,
                  f.rule, f.subject
         LIMIT $3",
    )
    .bind(host)
    .bind(status)
    .bind(limit)
    .fetch_all(db)
    .await?;
    with_total(rows, |row| Ok((serde_json::from_str(row.try_get("finding")?)?, maybe_instant(row.try_get("opened")?)?)))
}

/// A deviation over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviated {
    /// The rule.
    pub rule: String,
    /// What about.
    pub subject: String,
    /// How bad.
    pub severity: String,
    /// When it opened.
    pub opened: DateTime<Utc>,
    /// When it was resolved.
    pub resolved: Option<DateTime<Utc>>,
}

/// A host's deviations that opened or were resolved last, newest first, and how many there ever were.
pub async fn deviations(db: &mut Conn, host: &str, limit: i64) -> Result<(Vec<Deviated>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT *, COUNT(*) OVER () AS total FROM deviations WHERE host = $1
         ORDER BY COALESCE(resolved, opened) DESC, seq DESC LIMIT $2",
    )
    .bind(host)
    .bind(limit)
    .fetch_all(db)
    .await?;
    with_total(rows, |row| {
        Ok(Deviated {
            rule: row.try_get("rule")?,
            subject: row.try_get("subject")?,
            severity: row.try_get("severity")?,
            opened: instant(row.try_get("opened")?)?,
            resolved: maybe_instant(row.try_get("resolved")?)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::micros;
    use super::super::super::testing::{at, store};
    use super::super::testing::host;
    use super::*;

    #[tokio::test]
    async fn rules_are_counted_by_host_and_place_worst_first() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        host(&mut db, "web-2", 'a', "active", 100).await;
        host(&mut db, "web-1", 'b', "active", 100).await;
        host(&mut db, "new-1", 'c', "pending", 100).await;
        for (digit, rule, subject, severity, minute) in [
            ('a', "eol", "x", "low", 5),
            ('a', "admins", "x", "critical", 9),
            ('b', "admins", "x", "critical", 7),
            ('b', "admins", "y", "critical", 8),
            ('c', "admins", "y", "critical", 1),
        ] {
            sqlx::query("INSERT INTO deviations (host, rule, subject, severity, opened) VALUES ($1, $2, $3, $4, $5)")
                .bind(digit.to_string().repeat(32))
                .bind(rule)
                .bind(subject)
                .bind(severity)
                .bind(micros(at(minute)))
                .execute(&mut *db)
                .await
                .unwrap();
        }
        let (broken, total) = broken_rules(&mut db, 10).await.unwrap();
        assert_eq!((broken.len(), total), (2, 2));
        let worst = &broken[0];
        assert_eq!((worst.rule.as_str(), worst.hosts, worst.deviations, worst.since), ("admins", 2, 3, at(7)));
        assert_eq!(worst.one.1, "web-1");
        assert_eq!(severities(&mut db).await.unwrap(), [("critical".into(), 3), ("low".into(), 1)]);
    }
}
