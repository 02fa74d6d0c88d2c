//! What the pages show, read across tables and never written: lists bounded by the caller, each with how many there are.

mod broken;
mod doubts;
mod drift;
mod hosts;

pub use broken::{Broken, Deviated, broken_rules, deviations, findings, severities, unknowns};
pub use doubts::{Doubt, doubts, doubts_ever};
pub use drift::{Drifted, Filter, drift, drifts, unapproved};
pub use hosts::{HostCount, Listed, Which, first_report, host_counts, hosts};

use sqlx::Row as _;

use super::Row;
use crate::error::Refusal;

/// Rows with the count of all that each carries; an empty page beyond the last counts none.
pub(super) fn with_total<T>(
    rows: Vec<Row>,
    each: impl Fn(Row) -> Result<T, Refusal>,
) -> Result<(Vec<T>, usize), Refusal> {
    let total = total(&rows)?;
    Ok((rows.into_iter().map(each).collect::<Result<_, _>>()?, total))
}

/// The count of all that each of these rows carries.
pub(super) fn total(rows: &[Row]) -> Result<usize, Refusal> {
    Ok(rows.first().map(|row| row.try_get("total")).transpose()?.map_or(0, size))
}

/// A count as the store gives it.
pub(super) fn size(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod testing {
    use super::super::hosts::testing::newcomer;
    use super::super::testing::at;
    use super::super::{Conn, micros};

    /// A host in that state, its id made of `digit`, last heard at that minute.
    pub(super) async fn host(db: &mut Conn, name: &str, digit: char, state: &str, heard: i64) -> String {
        let id = newcomer(db, name, digit).await;
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
    pub(super) async fn drifted(
        db: &mut Conn,
        digit: char,
        probe: &str,
        minute: i64,
        verdict: (&str, &str),
        open: bool,
    ) {
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

    pub(super) const NOBODY: (&str, &str) = ("unauthorised", "no-record");
}
