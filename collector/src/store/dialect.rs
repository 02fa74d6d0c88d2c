//! What is SQLite's own: how it is opened, how a write begins, how it says no. PostgreSQL's answers to the same
//! questions will stand beside these.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _};

/// A connection of this engine.
pub type Conn = sqlx::SqliteConnection;
/// A row of this engine.
pub type Row = sqlx::sqlite::SqliteRow;

/// Takes the write lock at once: a transaction that began by reading could not be upgraded later.
pub const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// SQLite before this can corrupt a write-ahead log: <https://sqlite.org/wal.html#walresetbug>.
const OLDEST: (u32, u32, u32) = (3, 51, 3);

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/sqlite/0001_first.sql")),
    (2, "nothing is replaced", include_str!("../../migrations/sqlite/0002_nothing_is_replaced.sql")),
    (3, "silence", include_str!("../../migrations/sqlite/0003_silence.sql")),
    (4, "runs", include_str!("../../migrations/sqlite/0004_runs.sql")),
    (5, "restored", include_str!("../../migrations/sqlite/0005_restored.sql")),
    (6, "verifiable", include_str!("../../migrations/sqlite/0006_verifiable.sql")),
    (7, "instances", include_str!("../../migrations/sqlite/0007_instances.sql")),
];

/// The writer's pool of one, and the readers' pool.
pub async fn open(file: &Path) -> anyhow::Result<(SqlitePool, SqlitePool)> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged report is on disk: NORMAL would lose the last commits with the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(true);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options.clone().create_if_missing(true))
        .await
        .with_context(|| format!("opening the database {}", file.display()))?;
    check_version(&writer).await?;
    migrator().run(&writer).await.context("bringing the database to this version's shape")?;
    let reader = SqlitePoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options.read_only(true))
        .await
        .context("opening the database for reading")?;
    Ok((writer, reader))
}

/// Copies the database into another file, which must be empty, as one reader sees it: writers go on.
pub const COPY: &str = "VACUUM INTO $1";
/// What there is besides rows, but for what SQLite made itself.
pub const SHAPE: &str = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
                         AND name NOT LIKE '_sqlx_%' ORDER BY type, name";
/// The highest number ever given in a table that counts by itself.
pub const GIVEN: &str = "SELECT seq FROM sqlite_sequence WHERE name = $1";
/// Answers `ok`, or what is damaged first.
pub const INTEGRITY: &str = "PRAGMA integrity_check(1)";
/// What is deleted from now on is overwritten.
pub const ERASE: &str = "PRAGMA secure_delete = ON";

/// A connection to a database that is there, as it is.
pub async fn connect(file: &Path, read_only: bool) -> Result<Conn, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(read_only);
    options
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(true)
        .connect()
        .await
}

/// An empty database of this version's shape, in memory.
pub async fn blank() -> anyhow::Result<Conn> {
    let mut db = SqliteConnectOptions::new().in_memory(true).connect().await?;
    for (_, _, sql) in MIGRATIONS {
        sqlx::raw_sql((*sql).into_sql_str()).execute(&mut db).await?;
    }
    Ok(db)
}

/// Closes such a connection.
pub async fn close(db: Conn) -> Result<(), crate::error::Refusal> {
    Ok(db.close().await?)
}

/// The newest migration this program knows.
pub fn newest_version() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, _, _)| *version)
}

async fn check_version(pool: &SqlitePool) -> anyhow::Result<()> {
    let text: String = sqlx::query("SELECT sqlite_version()").fetch_one(pool).await?.try_get(0)?;
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    if (next(), next(), next()) < OLDEST {
        bail!("SQLite {text} can corrupt its write-ahead log; 3.51.3 is the oldest that may be used");
    }
    Ok(())
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Whether a constraint or trigger of ours refused, rather than the disk or the engine.
pub fn is_constraint(error: &sqlx::Error) -> bool {
    // SQLITE_CONSTRAINT is 19; its extended codes carry it in the low byte. See sqlite.org/rescode.html.
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<i64>().ok()).is_some_and(|code| code & 0xff == 19)
}

#[cfg(test)]
mod tests {
    use crate::store::testing;

    #[tokio::test]
    async fn a_commit_is_on_disk_before_it_is_answered() {
        let (store, _folder) = testing::store().await;
        let mut db = store.write().await.unwrap();
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *db).await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *db).await.unwrap();
        assert_eq!((journal.as_str(), synchronous), ("wal", 2));
    }

    #[tokio::test]
    async fn opening_again_changes_nothing() {
        let (store, folder) = testing::store().await;
        store.close().await;
        super::super::Store::open(&folder.path().join("test.db")).await.unwrap();
    }
}
