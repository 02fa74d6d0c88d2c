//! Lists in pages: a limit, and where the next page begins.

use serde::{Deserialize, Serialize};

use crate::error::Refusal;

/// The most rows of one page.
const MOST: i64 = 500;

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Where it begins: the `next` of the page before.
    pub cursor: Option<String>,
    /// How many rows.
    pub limit: Option<i64>,
}

/// How many of the newest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    /// How many rows.
    pub limit: Option<i64>,
}

/// One page of a list.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The `cursor` of the next page; none where this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of rows of which one more than `limit` was asked for; `cursor` of the last row shown begins the next.
    pub fn of(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { items: rows, next }
    }
}

/// How many rows, from what was asked.
pub fn limit(asked: Option<i64>) -> Result<i64, Refusal> {
    match asked {
        None => Ok(100),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(other) => Err(Refusal::Invalid(format!("limit is 1 to {MOST}, not {other}"))),
    }
}
