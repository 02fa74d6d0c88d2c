//! What the pages show, read across tables and never written: lists bounded by the caller, each with how many there are.

use audit::change::{Approval, ChangeRecord, Person};
use audit::drift::Interval;
use audit::finding::Finding;
use audit::reconcile::{Reason, Verdict};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::Row as _;

use super::chain::Kind;
use super::hosts::State;
use super::tokens::Environment;
use super::{Conn, Row, instant, maybe_instant, micros, named, unsigned};
use crate::error::Refusal;

/// How many hosts there are of one environment and state, and how many of them were not heard since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCount {
    /// Where they work.
    pub environment: Environment,
    /// Where they stand.
    pub state: State,
    /// How many.
    pub hosts: usize,
    /// How many of them were last heard before the instant asked about.
    pub silent: usize,
}

/// Counts all hosts; silent are those not heard since `heard_since`.
pub async fn host_counts(db: &mut Conn, heard_since: DateTime<Utc>) -> Result<Vec<HostCount>, Refusal> {
    let rows = sqlx::query(
        "SELECT environment, state, COUNT(*) AS hosts,
                SUM(CASE WHEN COALESCE(last_received, inspected, enrolled) < $1 THEN 1 ELSE 0 END) AS silent
         FROM hosts GROUP BY environment, state ORDER BY environment, state",
    )
    .bind(micros(heard_since))
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
    /// Whether it was not heard since the instant asked about.
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
    /// Active and not heard since.
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
pub async fn hosts(
    db: &mut Conn,
    which: Which,
    heard_since: DateTime<Utc>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Listed>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT *, COUNT(*) OVER () AS total FROM (
           SELECT h.id, h.name, h.system, h.environment, h.roles, h.state, h.enrolled, h.last_received,
                  CASE WHEN h.state = 'active' AND COALESCE(h.last_received, h.inspected, h.enrolled) < $1
                       THEN 1 ELSE 0 END AS silent,
                  (SELECT COUNT(*) FROM drifts d
                   WHERE d.host = h.id AND d.closed IS NULL AND d.verdict = 'unauthorised') AS unapproved,
                  (SELECT COUNT(*) FROM deviations v WHERE v.host = h.id AND v.resolved IS NULL) AS deviations
           FROM hosts h) AS listed
         WHERE $2 = 0 OR ($2 = 1 AND silent = 1) OR ($2 = 2 AND state = 'pending')
         ORDER BY CASE state WHEN 'quarantined' THEN 0 WHEN 'active' THEN 1 ELSE 2 END,
                  CASE WHEN state = 'active' THEN unapproved ELSE 0 END DESC, silent DESC, name, id
         LIMIT $3 OFFSET $4",
    )
    .bind(micros(heard_since))
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

/// A drift with the host it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Drifted {
    /// Its number.
    pub seq: i64,
    /// The host's id.
    pub host: String,
    /// The host's name.
    pub host_name: String,
    /// Where the host works.
    pub environment: Environment,
    /// The probe that saw it.
    pub probe: String,
    /// The item.
    pub subject: String,
    /// Its value before.
    pub before: Option<Value>,
    /// Its value after.
    pub after: Option<Value>,
    /// When.
    pub between: Interval,
    /// Whether change control asks for a record.
    pub controlled: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// The class of reason.
    pub reason: Reason,
    /// The reason in words.
    pub why: String,
    /// The record that decided.
    pub change: Option<String>,
    /// When it needed nobody any more.
    pub closed: Option<DateTime<Utc>>,
    /// Why it was closed.
    pub closed_by: Option<String>,
    /// The report that showed it.
    pub report: String,
    /// That report's number.
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

/// Drift, newest first, and how much there is of it.
pub async fn drifts(
    db: &mut Conn,
    filter: &Filter<'_>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Drifted>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT d.*, h.name AS host_name, h.environment, r.sequence, COUNT(*) OVER () AS total
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
    .fetch_all(db)
    .await?;
    with_total(rows, |row| drifted(&row))
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
    row.map(|row| drifted(&row)).transpose()
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

/// One verdict a drift had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Since when.
    pub at: DateTime<Utc>,
    /// The verdict.
    pub verdict: Verdict,
    /// The class of reason.
    pub reason: Reason,
    /// The reason in words.
    pub why: String,
    /// The record that decided.
    pub change: Option<String>,
}

/// Every verdict a drift had, newest first.
pub async fn verdicts(db: &mut Conn, drift: i64, limit: i64) -> Result<(Vec<Judged>, usize), Refusal> {
    let rows =
        sqlx::query("SELECT *, COUNT(*) OVER () AS total FROM verdicts WHERE drift = $1 ORDER BY seq DESC LIMIT $2")
            .bind(drift)
            .bind(limit)
            .fetch_all(db)
            .await?;
    with_total(rows, |row| {
        Ok(Judged {
            at: instant(row.try_get("at")?)?,
            verdict: named(row.try_get("verdict")?)?,
            reason: named(row.try_get("reason")?)?,
            why: row.try_get("why")?,
            change: row.try_get("change_id")?,
        })
    })
}

/// Something wrong with a host's reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The host's id.
    pub host: String,
    /// The host's name.
    pub host_name: String,
    /// Where the host works.
    pub environment: Environment,
    /// What.
    pub kind: Kind,
    /// In words.
    pub detail: String,
    /// Since when.
    pub found: DateTime<Utc>,
    /// Until when.
    pub resolved: Option<DateTime<Utc>>,
}

/// What puts reports in doubt and is not over, newest first; of one host where one is named, else of all.
pub async fn doubts(db: &mut Conn, host: Option<&str>, limit: i64) -> Result<(Vec<Doubt>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT c.*, h.name AS host_name, h.environment, COUNT(*) OVER () AS total
         FROM chain_findings c JOIN hosts h ON h.id = c.host
         WHERE c.resolved IS NULL AND ($1 IS NULL OR c.host = $1)
           AND ($1 IS NOT NULL OR c.kind IN ('fork', 'rewritten', 'gap'))
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
    // The other columns are those of the row with the smallest name: SQLite's documented bare columns; see
    // sqlite.org/lang_select.html#bareagg.
    let rows = sqlx::query(
        "SELECT v.rule, v.severity, COUNT(DISTINCT v.host) AS hosts, COUNT(*) AS deviations,
                (SELECT MIN(o.opened) FROM deviations o JOIN hosts g ON g.id = o.host
                 WHERE o.rule = v.rule AND o.severity = v.severity AND o.resolved IS NULL AND g.state = 'active') AS since,
                MIN(h.name) AS host_name, h.id AS host, h.environment, COUNT(*) OVER () AS total
         FROM deviations v JOIN hosts h ON h.id = v.host
         WHERE v.resolved IS NULL AND h.state = 'active'
         GROUP BY v.rule, v.severity
         ORDER BY CASE v.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END,
                  hosts DESC, v.rule
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
            one: (row.try_get("host")?, row.try_get("host_name")?, named(row.try_get("environment")?)?),
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

/// When a host's first report came.
pub async fn first_report(db: &mut Conn, host: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let row = sqlx::query("SELECT received FROM reports WHERE host = $1 ORDER BY sequence LIMIT 1")
        .bind(host)
        .fetch_optional(db)
        .await?;
    row.map(|row| instant(row.try_get("received")?)).transpose()
}

/// The ids of change records, newest first, and how many there are.
pub async fn change_ids(db: &mut Conn, limit: i64, offset: i64) -> Result<(Vec<String>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT id, COUNT(*) OVER () AS total FROM changes ORDER BY year DESC, number DESC LIMIT $1 OFFSET $2",
    )
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    with_total(rows, |row| Ok(row.try_get("id")?))
}

/// A change record with its approvals.
pub async fn change(db: &mut Conn, id: &str) -> Result<Option<ChangeRecord>, Refusal> {
    let row = sqlx::query("SELECT record FROM changes WHERE id = $1").bind(id).fetch_optional(&mut *db).await?;
    let Some(row) = row else { return Ok(None) };
    let mut record: ChangeRecord = serde_json::from_str(row.try_get("record")?)?;
    let rows = sqlx::query("SELECT account, at FROM approvals WHERE change_id = $1 ORDER BY at, account")
        .bind(id)
        .fetch_all(db)
        .await?;
    record.approvals = rows
        .into_iter()
        .map(|row| Ok(Approval { by: Person(row.try_get("account")?), at: instant(row.try_get("at")?)? }))
        .collect::<Result<_, Refusal>>()?;
    Ok(Some(record))
}

fn drifted(row: &Row) -> Result<Drifted, Refusal> {
    let value = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Drifted {
        seq: row.try_get("seq")?,
        host: row.try_get("host")?,
        host_name: row.try_get("host_name")?,
        environment: named(row.try_get("environment")?)?,
        probe: row.try_get("probe")?,
        subject: row.try_get("subject")?,
        before: value(row.try_get("value_before")?)?,
        after: value(row.try_get("value_after")?)?,
        between: Interval { from: instant(row.try_get("earliest")?)?, to: instant(row.try_get("latest")?)? },
        controlled: row.try_get::<i64, _>("controlled")? == 1,
        verdict: named(row.try_get("verdict")?)?,
        reason: named(row.try_get("reason")?)?,
        why: row.try_get("why")?,
        change: row.try_get("change_id")?,
        closed: maybe_instant(row.try_get("closed")?)?,
        closed_by: row.try_get("closed_by")?,
        report: row.try_get("report")?,
        sequence: unsigned(row.try_get("sequence")?),
    })
}

fn doubt(row: &Row) -> Result<Doubt, Refusal> {
    Ok(Doubt {
        host: row.try_get("host")?,
        host_name: row.try_get("host_name")?,
        environment: named(row.try_get("environment")?)?,
        kind: named(row.try_get("kind")?)?,
        detail: row.try_get("detail")?,
        found: instant(row.try_get("found")?)?,
        resolved: maybe_instant(row.try_get("resolved")?)?,
    })
}

/// Rows with the count of all that each carries; an empty page beyond the last counts none.
fn with_total<T>(rows: Vec<Row>, each: impl Fn(Row) -> Result<T, Refusal>) -> Result<(Vec<T>, usize), Refusal> {
    let total = rows.first().map(|row| row.try_get("total")).transpose()?.map_or(0, size);
    Ok((rows.into_iter().map(each).collect::<Result<_, _>>()?, total))
}

fn size(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, store};
    use super::super::{accounts, hosts};
    use super::*;

    /// A host in that state, its id made of `digit`, last heard at that minute.
    async fn host(db: &mut Conn, name: &str, digit: char, state: &str, heard: i64) -> String {
        let id = hosts::testing::newcomer(db, name, digit).await;
        sqlx::query("UPDATE hosts SET state = $1, last_received = $2 WHERE id = $3")
            .bind(state)
            .bind(micros(at(heard)))
            .bind(id.as_str())
            .execute(&mut *db)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO reports (id, host, sequence, host_time, received, manifest, envelope)
             VALUES ($1, $2, 1, 0, 0, 'm', x'00')",
        )
        .bind(digit.to_string().repeat(64))
        .bind(id.as_str())
        .execute(db)
        .await
        .unwrap();
        id.to_string()
    }

    /// A drift of that host, seen at that minute.
    async fn drifted(db: &mut Conn, digit: char, probe: &str, minute: i64, verdict: (&str, &str), open: bool) {
        sqlx::query(
            "INSERT INTO drifts (host, report, probe, subject, value_before, earliest, latest, controlled, verdict, reason,
                                 why, closed)
             VALUES ($1, $2, $3, 'item', '{\"version\":\"1\"}', $4, $5, 1, $6, $7, 'because', $8)",
        )
        .bind(digit.to_string().repeat(32))
        .bind(digit.to_string().repeat(64))
        .bind(probe)
        .bind(micros(at(minute - 5)))
        .bind(micros(at(minute)))
        .bind(verdict.0)
        .bind(verdict.1)
        .bind((!open).then(|| micros(at(minute))))
        .execute(db)
        .await
        .unwrap();
    }

    const NOBODY: (&str, &str) = ("unauthorised", "no-record");

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
        assert_eq!((page.len(), total, page[0].probe.as_str(), page[0].host_name.as_str()), (1, 4, "packages", "db-1"));
        assert_eq!(page[0].between, Interval { from: at(25), to: at(30) });
        assert_eq!(unapproved(&mut db).await.unwrap(), (1, Some(at(10))), "pending hosts count for nothing");
    }

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
        drifted(&mut db, 'c', "packages", 20, NOBODY, true).await;
        let (listed, total) = hosts(&mut db, Which::All, at(50), 10, 0).await.unwrap();
        let names: Vec<&str> = listed.iter().map(|host| host.name.as_str()).collect();
        assert_eq!((names, total), (vec!["d-cloned", "c-drifted", "b-silent", "a-well", "e-new"], 5));
        assert_eq!((listed[1].unapproved, listed[2].silent), (1, true));
        assert_eq!(hosts(&mut db, Which::Silent, at(50), 10, 0).await.unwrap().1, 1);
        assert_eq!(hosts(&mut db, Which::Pending, at(50), 10, 0).await.unwrap().0[0].name, "e-new");
        let counts = host_counts(&mut db, at(50)).await.unwrap();
        let active = counts.iter().find(|count| count.state == State::Active).unwrap();
        assert_eq!((active.hosts, active.silent), (3, 1));
    }

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
        let kinds = |(doubts, _): (Vec<Doubt>, usize)| doubts.into_iter().map(|doubt| doubt.kind).collect::<Vec<_>>();
        assert_eq!(kinds(doubts(&mut db, None, 10).await.unwrap()), [Kind::Fork]);
        assert_eq!(kinds(doubts(&mut db, Some(&id), 10).await.unwrap()), [Kind::OtherBaseline, Kind::Fork]);
        assert_eq!(doubts_ever(&mut db, &id, 10).await.unwrap().1, 3);
    }

    #[tokio::test]
    async fn a_record_carries_its_approvals() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        for name in ["rhea", "ava"] {
            accounts::add(&mut db, name, &Default::default(), at(0)).await.unwrap();
        }
        let record = r#"{"id":"CHG-2027-0001","title":"t","class":"minor","requester":"rhea","reason":"r",
            "scope":{"hosts":["web-*"],"items":[{"item":"packages/*"}]},"created":"2027-01-15T08:00:00Z",
            "window":{"from":"2027-01-15T08:00:00Z","to":"2027-01-15T09:00:00Z"}}"#;
        sqlx::query("INSERT INTO changes VALUES ('CHG-2027-0001', 2027, 1, 'rhea', 'minor', 1, 2, 0, $1)")
            .bind(record)
            .execute(&mut *db)
            .await
            .unwrap();
        sqlx::query("INSERT INTO approvals VALUES ('CHG-2027-0001', 'ava', $1)")
            .bind(micros(at(5)))
            .execute(&mut *db)
            .await
            .unwrap();
        let found = change(&mut db, "CHG-2027-0001").await.unwrap().unwrap();
        assert_eq!(found.approvals, [Approval { by: Person("ava".into()), at: at(5) }]);
        assert_eq!(change(&mut db, "CHG-2027-0002").await.unwrap(), None);
        assert_eq!(change_ids(&mut db, 10, 0).await.unwrap(), (vec!["CHG-2027-0001".into()], 1));
    }
}
