//! Change records and their approvals. A record is never edited; who may not approve is refused here by the database too.

use audit::change::{Approval, ChangeRecord, Person};
use audit::digest::Digest;
use chrono::{DateTime, Datelike as _, Utc};
use sqlx::Row as _;

use super::{Conn, Row, dialect, instant, micros, pages};
use crate::error::Refusal;

/// Makes a record under the year's next number, without gaps; with its id.
pub async fn add(db: &mut Conn, draft: ChangeRecord) -> Result<ChangeRecord, Refusal> {
    draft.check()?;
    let year = i64::from(draft.created.year());
    let row = sqlx::query("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM changes WHERE year = $1")
        .bind(year)
        .fetch_one(&mut *db)
        .await?;
    let number: i64 = row.try_get("next")?;
    let record = ChangeRecord { id: format!("CHG-{year}-{number:04}"), approvals: Vec::new(), ..draft };
    sqlx::query(
        "INSERT INTO changes (id, year, number, requester, class, window_from, window_to, created, record)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&record.id)
    .bind(year)
    .bind(number)
    .bind(&record.requester.0)
    .bind(record.class.name())
    .bind(micros(record.window.from))
    .bind(micros(record.window.to))
    .bind(micros(record.created))
    .bind(serde_json::to_string(&record)?)
    .execute(&mut *db)
    .await?;
    for implementer in &record.implementers {
        sqlx::query("INSERT INTO implementers (change_id, account) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&record.id)
            .bind(&implementer.0)
            .execute(&mut *db)
            .await
            .map_err(|error| match dialect::is_constraint(&error) {
                true => Refusal::Invalid(format!("there is no account called {implementer} to implement it")),
                false => error.into(),
            })?;
    }
    count_up(db).await?;
    Ok(record)
}

/// Approves a record. The caller has asked [`ChangeRecord::may_approve`]; the database asks again.
pub async fn approve(db: &mut Conn, id: &str, by: &Person, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("INSERT INTO approvals (change_id, account, at) VALUES ($1, $2, $3)")
        .bind(id)
        .bind(&by.0)
        .bind(micros(now))
        .execute(&mut *db)
        .await
        .map_err(|error| match dialect::is_constraint(&error) {
            true => Refusal::Forbidden(format!("{by} may not approve {id}, or has already")),
            false => error.into(),
        })?;
    count_up(db).await
}

/// The record of that id.
pub async fn find(db: &mut Conn, id: &str) -> Result<Option<ChangeRecord>, Refusal> {
    let row = sqlx::query("SELECT * FROM changes WHERE id = $1").bind(id).fetch_optional(&mut *db).await?;
    match row {
        Some(row) => Ok(Some(record(db, row).await?)),
        None => Ok(None),
    }
}

/// The digest of a record as it was asked for, without its approvals: the log says which record was approved.
pub async fn digest(db: &mut Conn, id: &str) -> Result<Digest, Refusal> {
    let row = sqlx::query("SELECT record FROM changes WHERE id = $1").bind(id).fetch_one(db).await?;
    let record: String = row.try_get("record")?;
    Ok(Digest::of(record.as_bytes()))
}

/// Records older than the one of year and number `before`, newest first.
pub async fn list(db: &mut Conn, before: Option<(i64, i64)>, limit: i64) -> Result<Vec<ChangeRecord>, Refusal> {
    let (year, number) = before.unwrap_or((i64::MAX, i64::MAX));
    let rows = sqlx::query(
        "SELECT * FROM changes WHERE year < $1 OR (year = $1 AND number < $2) ORDER BY year DESC, number DESC LIMIT $3",
    )
    .bind(year)
    .bind(number)
    .bind(limit)
    .fetch_all(&mut *db)
    .await?;
    records(db, rows).await
}

/// A page of records, newest first, and how many there are.
pub async fn page(db: &mut Conn, limit: i64, offset: i64) -> Result<(Vec<ChangeRecord>, usize), Refusal> {
    let rows = sqlx::query(
        "SELECT *, COUNT(*) OVER () AS total FROM changes ORDER BY year DESC, number DESC LIMIT $1 OFFSET $2",
    )
    .bind(limit)
    .bind(offset)
    .fetch_all(&mut *db)
    .await?;
    let total = pages::total(&rows)?;
    Ok((records(db, rows).await?, total))
}

/// All records: what a drift is reconciled with.
pub async fn all(db: &mut Conn) -> Result<Vec<ChangeRecord>, Refusal> {
    let rows = sqlx::query("SELECT * FROM changes ORDER BY year, number").fetch_all(&mut *db).await?;
    records(db, rows).await
}

/// Counts up whenever a record is made or approved.
pub async fn revision(db: &mut Conn) -> Result<i64, Refusal> {
    let row = sqlx::query("SELECT revision FROM revisions WHERE name = 'changes'").fetch_one(db).await?;
    Ok(row.try_get("revision")?)
}

async fn count_up(db: &mut Conn) -> Result<(), Refusal> {
    sqlx::query("UPDATE revisions SET revision = revision + 1 WHERE name = 'changes'").execute(db).await?;
    Ok(())
}

async fn records(db: &mut Conn, rows: Vec<Row>) -> Result<Vec<ChangeRecord>, Refusal> {
    let mut records = Vec::new();
    for row in rows {
        records.push(record(db, row).await?);
    }
    Ok(records)
}

/// A record out of its row. Who asked comes from the column the database guards, approvals from their own table.
async fn record(db: &mut Conn, row: Row) -> Result<ChangeRecord, Refusal> {
    let mut record: ChangeRecord = serde_json::from_str(row.try_get("record")?)?;
    record.requester = Person(row.try_get("requester")?);
    let rows = sqlx::query("SELECT account, at FROM approvals WHERE change_id = $1 ORDER BY at, account")
        .bind(&record.id)
        .fetch_all(db)
        .await?;
    record.approvals = rows
        .into_iter()
        .map(|row| Ok(Approval { by: Person(row.try_get("account")?), at: instant(row.try_get("at")?)? }))
        .collect::<Result<_, Refusal>>()?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::super::accounts;
    use super::super::testing::{at, store};
    use super::*;
    use audit::change::{Class, ItemScope, Scope};
    use audit::drift::Interval;

    fn draft() -> ChangeRecord {
        ChangeRecord {
            id: String::new(),
            title: "patch openssl".into(),
            class: Class::Minor,
            requester: Person("rhea".into()),
            implementers: vec![Person("otto".into())],
            approvals: Vec::new(),
            scope: Scope {
                hosts: vec!["web-*".parse().unwrap()],
                items: vec![ItemScope { item: "packages/openssl:*".parse().unwrap(), value: None }],
            },
            window: Interval { from: at(10), to: at(70) },
            reason: "CVE".into(),
            created: at(0),
        }
    }

    #[tokio::test]
    async fn ids_have_no_gaps_and_nobody_approves_their_own_even_by_raw_sql() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        for name in ["rhea", "ava", "otto"] {
            accounts::add(&mut db, name, &Default::default(), at(0)).await.unwrap();
        }
        let first = add(&mut db, draft()).await.unwrap();
        let second = add(&mut db, draft()).await.unwrap();
        assert_eq!((first.id.as_str(), second.id.as_str()), ("CHG-2027-0001", "CHG-2027-0002"));
        for name in ["rhea", "otto"] {
            let raw = sqlx::query("INSERT INTO approvals (change_id, account, at) VALUES ($1, $2, 1)");
            let error = raw.bind(&first.id).bind(name).execute(&mut *db).await.unwrap_err();
            assert!(error.to_string().contains("nobody approves"), "{error}");
            let refusal = approve(&mut db, &first.id, &Person(name.into()), at(1)).await.unwrap_err();
            assert!(matches!(refusal, Refusal::Forbidden(_)), "{refusal}");
        }
        let before = revision(&mut db).await.unwrap();
        approve(&mut db, &first.id, &Person("ava".into()), at(1)).await.unwrap();
        assert!(revision(&mut db).await.unwrap() > before);
        assert!(approve(&mut db, &first.id, &Person("ava".into()), at(2)).await.is_err());
        for sql in [
            "UPDATE changes SET requester = 'otto'",
            "DELETE FROM changes",
            "DELETE FROM approvals",
            "UPDATE approvals SET account = 'otto'",
            "DELETE FROM implementers",
            "INSERT OR REPLACE INTO changes SELECT id, year, number, 'ava', class, window_from, window_to, created, record
             FROM changes",
            "INSERT OR REPLACE INTO approvals SELECT change_id, account, 7 FROM approvals",
        ] {
            assert!(sqlx::query(sql).execute(&mut *db).await.is_err(), "{sql}");
        }
        let found = find(&mut db, &first.id).await.unwrap().unwrap();
        assert_eq!(found.approvals, [Approval { by: Person("ava".into()), at: at(1) }]);
        assert_eq!(find(&mut db, "CHG-2027-0003").await.unwrap(), None);
        let (newest, total) = page(&mut db, 1, 0).await.unwrap();
        assert_eq!((newest[0].id.as_str(), newest.len(), total), ("CHG-2027-0002", 1, 2));
        assert_eq!(list(&mut db, Some((2027, 2)), 9).await.unwrap().len(), 1);
    }
}
