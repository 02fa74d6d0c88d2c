//! What hosts say their spools dropped, and whether that accounts for the numbers missing here.
//!
//! A statement names the first and the last number dropped and how many of those between: the others were sent. So what
//! is missing in a range is accounted for once it is no more than what the host counted there. Both only get better as
//! reports arrive, in whichever order.

use audit::report::{Dropped, HostId};
use sqlx::Row as _;

use super::{Conn, number, unsigned};
use crate::error::Refusal;

/// The most statements looked at for one report: more is hostile, and costs it only an open gap.
const MOST: i64 = 100;

/// Keeps what the report of number `stated_by` says was dropped.
pub async fn add(db: &mut Conn, host: &HostId, stated_by: u64, dropped: &Dropped) -> Result<(), Refusal> {
    sqlx::query(
        "INSERT INTO dropped (host, stated_by, first, last, count) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(host.as_str())
    .bind(number(stated_by)?)
    .bind(number(dropped.from)?)
    .bind(number(dropped.to)?)
    .bind(i64::try_from(dropped.count).unwrap_or(i64::MAX))
    .execute(db)
    .await?;
    Ok(())
}

/// The ranges stated that reach into the numbers `from` to `to` and whose missing numbers are all accounted for, each
/// as its first and last number.
pub async fn accounted(db: &mut Conn, host: &HostId, from: u64, to: u64) -> Result<Vec<(u64, u64)>, Refusal> {
    // Statements may overlap, each counting its own. Counts are the host's word: floating point cannot overflow.
    let rows = sqlx::query(
        "SELECT first, last FROM dropped AS said WHERE host = $1 AND first <= $3 AND last >= $2
           AND (SELECT SUM(CAST(count AS DOUBLE PRECISION)) FROM dropped
                WHERE host = $1 AND first <= said.last AND last >= said.first)
               >= said.last - said.first + 1
                  - (SELECT COUNT(DISTINCT sequence) FROM reports
                     WHERE host = $1 AND sequence BETWEEN said.first AND said.last)
                  - COALESCE((SELECT SUM(MIN(last, said.last) - MAX(first, said.first) + 1) FROM runs
                              WHERE host = $1 AND first <= said.last AND last >= said.first), 0)
         ORDER BY stated_by DESC LIMIT $4",
    )
    .bind(host.as_str())
    .bind(number(from)?)
    .bind(number(to)?)
    .bind(MOST)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((unsigned(row.try_get("first")?), unsigned(row.try_get("last")?)))).collect()
}
