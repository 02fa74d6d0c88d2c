//! Drift of all hosts or one, by any mix of what narrows it.

use audit::reconcile::Verdict;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::super::drifts::{Entry, entry};
use super::super::{Conn, Row, maybe_instant, unsigned};
use super::{size, with_total};
use crate::error::Refusal;

/// A drift with its number and that of the report which showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// Its number.
    pub seq: i64,
    /// The drift.
    pub entry: Entry,
    /// The report's number.
    pub sequence: u64,
}

/// Which drift a list is of; what is `None` narrows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Of this verdict.
    pub verdict: Option<Verdict>,
    /// Only what still needs somebody.
    pub open: bool,
    /// Of the host with this id or name.
    pub host: Option<&'a str>,
    /// Seen by this probe.
    pub probe: Option<&'a str>,
    /// Decided by this record.
    pub change: Option<&'a str>,
    /// Only of hosts that count: pending ones do not.
    pub counted: bool,
}

/// Drift, newest first, and how much there is of it. Of long values the beginning: [`Entry::listed`].
pub async fn drifts(
    db: &mut Conn,
    filter: &Filter<'_>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Drifted>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT d.seq, COUNT(*) OVER () AS total
         FROM drifts d JOIN hosts h ON h.id = d.host JOIN reports r ON r.id = d.report
         WHERE ($1 IS NULL OR d.verdict = $1) AND ($2 = 0 OR d.closed IS NULL)
           AND ($3 IS NULL OR d.host = $3 OR h.name = $3) AND ($4 IS NULL OR d.probe = $4)
           AND ($5 IS NULL OR d.change_id = $5) AND ($6 = 0 OR h.state <> 'pending')
         ORDER BY d.latest DESC, d.seq DESC LIMIT $7 OFFSET $8",
    )
    .bind(filter.verdict.map(Verdict::name))
    .bind(i64::from(filter.open))
    .bind(filter.host)
    .bind(filter.probe)
    .bind(filter.change)
    .bind(i64::from(filter.counted))
    .bind(limit)
    .bind(offset)
    .fetch_all(&mut *db)
    .await?;
    let (numbers, total) = with_total(rows, |row| Ok(row.try_get::<i64, _>("seq")?))?;
    let mut drifts = Vec::with_capacity(numbers.len());
    for seq in numbers {
        let found = drift(db, seq).await?;
        drifts.extend(found.map(|found| Drifted { entry: found.entry.listed(), ..found }));
    }
    Ok((drifts, total))
}

/// The drift of that number.
pub async fn drift(db: &mut Conn, seq: i64) -> Result<Option<Drifted>, Refusal> {
    let row = sqlx::query(
        "SELECT d.*, h.name AS host_name, h.environment, r.sequence
         FROM drifts d JOIN hosts h ON h.id = d.host JOIN reports r ON r.id = d.report WHERE d.seq = $1",
    )
    .bind(seq)
    .fetch_optional(db)
    .await?;
    row.map(drifted).transpose()
}

/// On how many hosts there is drift nobody approved, and when the oldest of it was first seen.
pub async fn unapproved(db: &mut Conn) -> Result<(usize, Option<DateTime<Utc>>), Refusal> {
    let row = sqlx::query(
        "SELECT COUNT(DISTINCT d.host) AS hosts, MIN(d.latest) AS oldest FROM drifts d JOIN hosts h ON h.id = d.host
         WHERE d.closed IS NULL AND d.verdict = 'unauthorised' AND h.state <> 'pending'",
    )
    .fetch_one(db)
    .await?;
    Ok((size(row.try_get("hosts")?), maybe_instant(row.try_get("oldest")?)?))
}

fn drifted(row: Row) -> Result<Drifted, Refusal> {
    Ok(Drifted { seq: row.try_get("seq")?, sequence: unsigned(row.try_get("sequence")?), entry: entry(row)? })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, store};
    use super::super::testing::{NOBODY, drifted, host};
    use super::*;

    #[tokio::test]
    async fn a_filter_narrows_by_verdict_host_probe_and_openness_and_says_how_many_there_are() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let web = host(&mut db, "web-1", 'a', "active", 100).await;
        host(&mut db, "db-1", 'b', "active", 100).await;
        host(&mut db, "new-1", 'c', "pending", 100).await;
        drifted(&mut db, 'a', "packages", 10, NOBODY, true).await;
        drifted(&mut db, 'a', "admins", 20, NOBODY, true).await;
        drifted(&mut db, 'b', "packages", 30, ("authorised", "definitely-inside"), false).await;
        drifted(&mut db, 'c', "packages", 40, NOBODY, true).await;
        let all = Filter::default();
        let open = Filter { open: true, counted: true, ..all };
        let cases = [
            (all, 4),
            (open, 2),
            (Filter { verdict: Some(Verdict::Authorised), ..all }, 1),
            (Filter { host: Some(&web), ..all }, 2),
            (Filter { host: Some("web-1"), probe: Some("admins"), ..all }, 1),
            (Filter { probe: Some("time"), ..all }, 0),
            (Filter { change: Some("CHG-2027-0001"), ..all }, 0),
        ];
        for (filter, expected) in cases {
            let (found, total) = drifts(&mut db, &filter, 10, 0).await.unwrap();
            assert_eq!((found.len(), total), (expected, expected), "{filter:?}");
        }
        let (page, total) = drifts(&mut db, &all, 1, 1).await.unwrap();
        assert_eq!(
            (page.len(), total, page[0].entry.probe.as_str(), page[0].entry.host_name.as_str()),
            (1, 4, "packages", "db-1")
        );
        assert_eq!(page[0].entry.between, [at(25), at(30)]);
        assert_eq!(unapproved(&mut db).await.unwrap(), (1, Some(at(10))), "pending hosts count for nothing");
    }

    #[tokio::test]
    async fn of_a_long_value_lists_show_the_beginning_and_its_own_page_all_and_few_are_held_at_once() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        host(&mut db, "web-1", 'a', "active", 100).await;
        for probe in ["packages", "admins", "time"] {
            drifted(&mut db, 'a', probe, 10, NOBODY, true).await;
        }
        let long = format!("\"{}\"", "x".repeat(5 << 20));
        sqlx::raw_sql("DROP TRIGGER a_drift_stays_what_it_was").execute(&mut *db).await.unwrap();
        sqlx::query("UPDATE drifts SET value_after = $1").bind(&long).execute(&mut *db).await.unwrap();
        let (listed, _) = drifts(&mut db, &Filter::default(), 10, 0).await.unwrap();
        let api = super::super::super::drifts::list(&mut db, &Default::default(), 10).await.unwrap();
        let entries: Vec<Entry> = listed.into_iter().map(|drifted| drifted.entry).chain(api).collect();
        assert_eq!(entries.len(), 6);
        for entry in entries {
            assert!(serde_json::to_vec(&entry).unwrap().len() < 3000);
            assert!(entry.said_after().unwrap().contains(&format!("{} bytes", long.len())), "{:?}", entry.said_after());
            let before = entry.before.as_ref().unwrap().text();
            assert_eq!(before, r#"{"version":"1"}"#, "what is short is whole");
        }
        assert_eq!(drift(&mut db, 1).await.unwrap().unwrap().entry.after.unwrap().text(), long);
        let mut after = 0;
        for _ in 0..3 {
            let page = super::super::super::drifts::open(&mut db, after).await.unwrap();
            assert_eq!(page.len(), 1, "two of them are more than is held at once");
            after = page[0].seq().unwrap();
        }
        assert!(super::super::super::drifts::open(&mut db, after).await.unwrap().is_empty());
    }
}
