//! The store: one SQLite database, one writer, several readers. All SQL stands in the files of this folder, one table's in one file.
//!
//! Functions take a connection, so that a caller decides what belongs into one transaction: reading through
//! [`Store::read`], writing through [`Store::write`], which holds the only write connection until it commits.
//! What differs by engine is in [`dialect`].

pub mod accounts;
pub mod audit_log;
pub mod backup;
pub mod chain;
pub mod changes;
pub mod dialect;
pub mod drifts;
pub mod dropped;
pub mod evidence;
pub mod facts;
pub mod findings;
pub mod hosts;
pub mod instances;
pub mod known;
pub mod outbox;
pub mod pages;
pub mod reports;
pub mod runs;
pub mod sessions;
pub mod silences;
pub mod tokens;

use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::{Sqlite, Transaction};

use crate::error::Refusal;

pub use dialect::{Conn, Row};

/// The database, opened and migrated.
#[derive(Debug, Clone)]
pub struct Store {
    writer: sqlx::SqlitePool,
    reader: sqlx::SqlitePool,
}

impl Store {
    /// Opens the database at `file`, makes it where there is none, and brings it to this version's shape.
    pub async fn open(file: &Path) -> anyhow::Result<Self> {
        let (writer, reader) = dialect::open(file).await?;
        Ok(Self { writer, reader })
    }

    /// A connection to read by.
    pub async fn read(&self) -> Result<sqlx::pool::PoolConnection<Sqlite>, Refusal> {
        Ok(self.reader.acquire().await?)
    }

    /// The transaction to write in. There is one at a time; what is dropped without commit never was.
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, Refusal> {
        Ok(self.writer.begin_with(dialect::BEGIN_WRITE).await?)
    }

    /// Waits for what is under way and closes the files.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// An instant as stored: microseconds since 1970.
pub(crate) fn micros(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_micros()
}

/// A stored instant.
pub(crate) fn instant(micros: i64) -> Result<DateTime<Utc>, Refusal> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| Refusal::internal("an instant in the store is out of range"))
}

/// A stored instant that may be absent.
pub(crate) fn maybe_instant(micros: Option<i64>) -> Result<Option<DateTime<Utc>>, Refusal> {
    micros.map(instant).transpose()
}

/// Stored text as the type it was.
pub(crate) fn parsed<T: TryFrom<String>>(text: String) -> Result<T, Refusal>
where
    T::Error: std::fmt::Display,
{
    T::try_from(text).map_err(|error| Refusal::internal(format!("in the store: {error}")))
}

/// A stored digest.
pub(crate) fn digest(text: &str) -> Result<audit::digest::Digest, Refusal> {
    text.parse().map_err(|error| Refusal::internal(format!("in the store: {error}")))
}

/// A stored name of one of our enumerations.
pub(crate) fn named<T: serde::de::DeserializeOwned>(text: String) -> Result<T, Refusal> {
    Ok(serde_json::from_value(serde_json::Value::String(text))?)
}

/// A count or sequence number as stored.
pub(crate) fn number(value: u64) -> Result<i64, Refusal> {
    i64::try_from(value).map_err(|_| Refusal::Invalid(format!("{value} is larger than any sequence number")))
}

/// A stored count or sequence number.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A fresh store in a folder that vanishes with the value.
    pub(crate) async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Store::open(&folder.path().join("test.db")).await.unwrap(), folder)
    }

    /// An instant, in minutes.
    pub(crate) fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }
}
