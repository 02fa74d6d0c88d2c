//! Hosts: who they are, where they work, how far their reports are received and judged.

use audit::digest::Digest;
use audit::instance::Instance;
use audit::report::HostId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::tokens::{Environment, Grant};
use super::{Conn, Row, dialect, digest, instant, maybe_instant, micros, named, number, parsed, unsigned};
use crate::error::Refusal;

/// Where a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Enrolled, not yet inspected: stored and shown, never alerted, counted in nothing.
    Pending,
    /// Inspected.
    Active,
    /// Two machines report under its key: stored, not judged, until somebody has looked.
    Quarantined,
}

impl State {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its identity.
    pub id: HostId,
    /// What it calls itself: a label.
    pub name: String,
    /// Its `/etc/machine-id`, where it told one.
    pub machine: Option<String>,
    /// Its operating system, in its words.
    pub system: String,
    /// Its public key, hexadecimal.
    pub public_key: String,
    /// Where it works; from its enrolment token.
    pub environment: Environment,
    /// What it does; from its enrolment token.
    pub roles: Vec<String>,
    /// Which cloud instance it said it is when it enrolled, if it said so.
    #[serde(default)]
    pub instance: Option<Instance>,
    /// Where it stands.
    pub state: State,
    /// When it enrolled.
    pub enrolled: DateTime<Utc>,
    /// When it was inspected.
    pub inspected: Option<DateTime<Utc>>,
    /// By whom.
    pub inspected_by: Option<String>,
    /// The number of its newest report; 0 for none.
    pub head_sequence: u64,
    /// When its newest report came.
    pub last_received: Option<DateTime<Utc>>,
    /// Since when it says nothing, if it is silent for longer than it may.
    pub silent_since: Option<DateTime<Utc>>,
    /// The number of the newest report judged; 0 for none.
    pub judged_sequence: u64,
    /// That report's id.
    pub judged_report: Option<Digest>,
    /// What it was judged with: a digest over manifest, baseline, dates and day.
    #[serde(skip)]
    pub judged_with: Option<String>,
    /// When that report was observed, at the earliest and at the latest.
    #[serde(skip)]
    pub seen: Option<Seen>,
}

/// When something was observed: no earlier and no later than these. Equal where the host's clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Not before.
    pub earliest: DateTime<Utc>,
    /// Not after.
    pub latest: DateTime<Utc>,
}

/// A host about to be.
#[derive(Debug)]
pub struct Newcomer<'a> {
    /// Its identity.
    pub id: &'a HostId,
    /// What it calls itself.
    pub name: &'a str,
    /// Its machine id.
    pub machine: Option<&'a str>,
    /// Its system.
    pub system: &'a str,
    /// Its public key, hexadecimal.
    pub public_key: &'a str,
    /// What its token grants.
    pub grant: &'a Grant,
    /// Which cloud instance it says it is.
    pub instance: Option<&'a Instance>,
}

/// Enrols a host, pending.
pub async fn add(db: &mut Conn, host: &Newcomer<'_>, now: DateTime<Utc>) -> Result<(), Refusal> {
    let added = sqlx::query(
        "INSERT INTO hosts (id, name, machine, system, public_key, environment, roles, state, enrolled, instance)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9)",
    )
    .bind(host.id.as_str())
    .bind(host.name)
    .bind(host.machine)
    .bind(host.system)
    .bind(host.public_key)
    .bind(host.grant.environment.name())
    .bind(serde_json::to_string(&host.grant.roles)?)
    .bind(micros(now))
    .bind(host.instance.map(serde_json::to_string).transpose()?)
    .execute(&mut *db)
    .await;
    match added {
        Ok(_) => Ok(()),
        Err(error) if !dialect::is_constraint(&error) => Err(error.into()),
        Err(_) if find_by_key(db, host.public_key).await?.is_some() => {
            Err(Refusal::Conflict("this key is already enrolled: a host's key is its own".into()))
        }
        Err(_) => Err(Refusal::Invalid("the store takes no host of such a name".into())),
    }
}

/// The host of that id.
pub async fn find(db: &mut Conn, id: &str) -> Result<Option<Host>, Refusal> {
    let row = sqlx::query("SELECT * FROM hosts_now WHERE id = $1").bind(id).fetch_optional(db).await?;
    row.map(host).transpose()
}

/// The host of that key.
pub async fn find_by_key(db: &mut Conn, public_key: &str) -> Result<Option<Host>, Refusal> {
    let row = sqlx::query("SELECT * FROM hosts_now WHERE public_key = $1").bind(public_key).fetch_optional(db).await?;
    row.map(host).transpose()
}

/// The host a person means by an id or a name; a name that several bear is refused.
pub async fn named_by_person(db: &mut Conn, id_or_name: &str) -> Result<Host, Refusal> {
    let rows = sqlx::query("SELECT * FROM hosts_now WHERE id = $1 OR name = $1 ORDER BY id LIMIT 2")
        .bind(id_or_name)
        .fetch_all(db)
        .await?;
    let mut hosts = rows.into_iter().map(host);
    match (hosts.next(), hosts.next()) {
        (Some(only), None) => only,
        (Some(_), Some(_)) => {
            Err(Refusal::Conflict(format!("several hosts are called {id_or_name}: name one by its id")))
        }
        (None, _) => Err(Refusal::NotFound(format!("host called {id_or_name}"))),
    }
}

/// Hosts after the one of id `after` (empty: from the start), by id.
pub async fn list(db: &mut Conn, after: &str, limit: i64) -> Result<Vec<Host>, Refusal> {
    let rows = sqlx::query("SELECT * FROM hosts_now WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(host).collect()
}

/// Writes down that a report came: its number where it is the newest, and the instant.
pub async fn heard(db: &mut Conn, id: &HostId, sequence: u64, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query(
        "UPDATE hosts SET head_sequence = CASE WHEN head_sequence > $1 THEN head_sequence ELSE $1 END,
         last_received = $2 WHERE id = $3",
    )
    .bind(number(sequence)?)
    .bind(micros(now))
    .bind(id.as_str())
    .execute(db)
    .await?;
    Ok(())
}

/// Puts a host where it now stands.
pub async fn set_state(db: &mut Conn, id: &HostId, state: State) -> Result<(), Refusal> {
    sqlx::query("UPDATE hosts SET state = $1 WHERE id = $2").bind(state.name()).bind(id.as_str()).execute(db).await?;
    Ok(())
}

/// A person has looked at the host and found it good.
pub async fn inspect(db: &mut Conn, id: &HostId, by: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
    sqlx::query("UPDATE hosts SET state = 'active', inspected = $1, inspected_by = $2 WHERE id = $3")
        .bind(micros(now))
        .bind(by)
        .bind(id.as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// How far a host is judged.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The report's number.
    pub sequence: u64,
    /// The report's id.
    pub report: Digest,
    /// What it was judged with.
    pub with: &'a str,
    /// When it was observed.
    pub seen: Seen,
}

/// Moves a host's judgement on; `false` if it is no longer where it was when the judging began.
pub async fn advance(db: &mut Conn, before: &Host, progress: &Progress<'_>) -> Result<bool, Refusal> {
    let moved = sqlx::query(
        "UPDATE hosts SET judged_sequence = $1, judged_report = $2, judged_with = $3, seen_earliest = $4, seen_latest = $5
         WHERE id = $6 AND judged_sequence = $7 AND state = $8",
    )
    .bind(number(progress.sequence)?)
    .bind(progress.report.to_string())
    .bind(progress.with)
    .bind(micros(progress.seen.earliest))
    .bind(micros(progress.seen.latest))
    .bind(before.id.as_str())
    .bind(number(before.judged_sequence)?)
    .bind(before.state.name())
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

fn host(row: Row) -> Result<Host, Refusal> {
    let seen = match (maybe_instant(row.try_get("seen_earliest")?)?, maybe_instant(row.try_get("seen_latest")?)?) {
        (Some(earliest), Some(latest)) => Some(Seen { earliest, latest }),
        (None, _) | (_, None) => None,
    };
    let judged_report: Option<String> = row.try_get("judged_report")?;
    let instance: Option<String> = row.try_get("instance")?;
    Ok(Host {
        id: parsed(row.try_get("id")?)?,
        name: row.try_get("name")?,
        machine: row.try_get("machine")?,
        system: row.try_get("system")?,
        public_key: row.try_get("public_key")?,
        environment: named(row.try_get("environment")?)?,
        roles: serde_json::from_str(row.try_get("roles")?)?,
        instance: instance.as_deref().map(serde_json::from_str).transpose()?,
        state: named(row.try_get("state")?)?,
        enrolled: instant(row.try_get("enrolled")?)?,
        inspected: maybe_instant(row.try_get("inspected")?)?,
        inspected_by: row.try_get("inspected_by")?,
        head_sequence: unsigned(row.try_get("head_sequence")?),
        last_received: maybe_instant(row.try_get("last_received")?)?,
        silent_since: maybe_instant(row.try_get("silent_since")?)?,
        judged_sequence: unsigned(row.try_get("judged_sequence")?),
        judged_report: judged_report.as_deref().map(digest).transpose()?,
        judged_with: row.try_get("judged_with")?,
        seen,
    })
}

#[cfg(test)]
pub(crate) mod testing {
    use super::super::testing::at;
    use super::*;

    /// A pending production host of that name, its id made of `digit`.
    pub(crate) async fn newcomer(db: &mut Conn, name: &str, digit: char) -> HostId {
        let id: HostId = digit.to_string().repeat(32).try_into().unwrap();
        let grant = Grant { environment: Environment::Production, roles: vec!["web".into()] };
        let key = digit.to_string().repeat(64);
        let newcomer = Newcomer {
            id: &id,
            name,
            machine: None,
            system: "Debian",
            public_key: &key,
            grant: &grant,
            instance: None,
        };
        add(db, &newcomer, at(0)).await.unwrap();
        id
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, store};
    use super::testing::newcomer;
    use super::*;

    #[tokio::test]
    async fn a_new_host_is_pending_and_a_name_several_bear_must_be_said_by_id() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let id = newcomer(&mut db, "web-1", 'a').await;
        assert_eq!(named_by_person(&mut db, "web-1").await.unwrap().state, State::Pending);
        newcomer(&mut db, "web-1", 'b').await;
        assert!(matches!(named_by_person(&mut db, "web-1").await, Err(Refusal::Conflict(_))));
        assert_eq!(named_by_person(&mut db, id.as_str()).await.unwrap().id, id);
        assert!(matches!(named_by_person(&mut db, "db-1").await, Err(Refusal::NotFound(_))));
    }

    #[tokio::test]
    async fn a_key_enrols_once_and_only_that_is_called_so() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        newcomer(&mut db, "web-1", 'a').await;
        let id: HostId = "b".repeat(32).try_into().unwrap();
        let grant = Grant { environment: Environment::Production, roles: Vec::new() };
        let [known, fresh] = ["a", "b"].map(|digit| digit.repeat(64));
        let mut host = Newcomer {
            id: &id,
            name: "web-2",
            machine: None,
            system: "",
            public_key: &known,
            grant: &grant,
            instance: None,
        };
        assert!(matches!(add(&mut db, &host, at(0)).await, Err(Refusal::Conflict(_))));
        (host.name, host.public_key) = ("", &fresh);
        assert!(matches!(add(&mut db, &host, at(0)).await, Err(Refusal::Invalid(_))));
    }

    #[tokio::test]
    async fn judgement_moves_on_only_from_where_it_was_seen() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let id = newcomer(&mut db, "web-1", 'a').await;
        let before = find(&mut db, id.as_str()).await.unwrap().unwrap();
        let seen = Seen { earliest: at(1), latest: at(2) };
        let progress = Progress { sequence: 1, report: Digest::of(b"r"), with: "w", seen };
        assert!(advance(&mut db, &before, &progress).await.unwrap());
        assert!(!advance(&mut db, &before, &progress).await.unwrap());
        assert_eq!(find(&mut db, id.as_str()).await.unwrap().unwrap().seen, Some(seen));
    }
}
