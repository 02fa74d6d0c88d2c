//! Runs: unchanged reports between two that are kept whole, folded to what cannot be computed again.
//!
//! Of each are kept its digest, the host's clock and the receipt; host, number, the one before and the manifest follow from
//! the run. So [`Run::reports`] gives them back, digest by digest provable, without their signatures: the next whole
//! envelope names the last of them, and its signature vouches for all. The database lets a report go only while the run
//! that holds its digest is there.

use audit::digest::Digest;
use audit::report::{HostId, Report};
use audit::seal::{self, Statement};
use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::reports::Stored;
use super::{Conn, Row, digest, instant, micros, number, parsed, unsigned};
use crate::error::Refusal;

/// The bytes a folded report takes: digest, clock, receipt.
const LINK: usize = 48;

/// Folded reports of one host, numbered without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Whose.
    pub host: HostId,
    /// The number of the first.
    pub first: u64,
    /// The manifest all of them name.
    pub manifest: Digest,
    /// What is kept of each.
    pub links: Vec<Link>,
}

/// What the collector signs when it folds: the receipts that were signed one by one till then.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folded {
    host: HostId,
    first: u64,
    manifest: Digest,
    /// The digest of all links as they are kept.
    links: Digest,
}

impl Statement for Folded {
    const TYPE: &'static str = "application/vnd.plumbline.run+json";
}

/// What is kept of one folded report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: Digest,
    /// The host's clock when it observed.
    pub host_time: DateTime<Utc>,
    /// When it came.
    pub received: DateTime<Utc>,
}

impl Run {
    /// The number of the last.
    pub fn last(&self) -> u64 {
        self.first.saturating_add(self.count()).saturating_sub(1)
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        u64::try_from(self.links.len()).unwrap_or(u64::MAX)
    }

    /// The reports with their links, given the id of the report before the first.
    pub fn reports(&self, before: Digest) -> impl Iterator<Item = (Report, Link)> + '_ {
        let previous = std::iter::once(before).chain(self.links.iter().map(|link| link.id));
        let numbered = (self.first..).zip(self.links.iter().copied()).zip(previous);
        numbered.map(|((sequence, link), previous)| (self.report(sequence, Some(previous), link), link))
    }

    /// The number of the first report whose digest does not follow from what is kept, if there is one.
    pub fn broken(&self, before: Digest) -> Option<u64> {
        self.reports(before).find(|(report, link)| !is_of(report, link.id)).map(|(report, _)| report.sequence)
    }

    /// What is signed of it.
    pub fn folded(&self) -> Folded {
        Folded { host: self.host.clone(), first: self.first, manifest: self.manifest, links: Digest::of(&self.bytes()) }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut links = Vec::with_capacity(LINK * self.links.len());
        for link in &self.links {
            links.extend_from_slice(link.id.as_bytes());
            links.extend_from_slice(&micros(link.host_time).to_be_bytes());
            links.extend_from_slice(&micros(link.received).to_be_bytes());
        }
        links
    }

    fn report(&self, sequence: u64, previous: Option<Digest>, link: Link) -> Report {
        let (host, manifest) = (self.host.clone(), self.manifest);
        Report { host, sequence, previous, time: link.host_time, manifest, dropped: None }
    }

    fn stored(&self, sequence: u64, previous: Option<Digest>, link: Link) -> Stored {
        Stored {
            id: link.id,
            host: self.host.clone(),
            sequence,
            previous,
            host_time: link.host_time,
            sent: None,
            received: link.received,
            manifest: self.manifest,
            forked: false,
        }
    }
}

/// Whether a report as rebuilt is the one that was signed under `id`.
pub fn is_of(report: &Report, id: Digest) -> bool {
    seal::id_of(report).is_ok_and(|computed| computed == id)
}

/// Folds: writes the run down and lets its reports go. In the caller's transaction.
pub async fn fold(db: &mut Conn, run: &Run, key: &SigningKey) -> Result<(), Refusal> {
    let (first, last) = (number(run.first)?, number(run.last())?);
    sqlx::query("INSERT INTO runs (host, first, last, manifest, links, signature) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(run.host.as_str())
        .bind(first)
        .bind(last)
        .bind(run.manifest.to_string())
        .bind(run.bytes())
        .bind(seal::sign(&run.folded(), key)?.as_slice())
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM reports WHERE host = $1 AND sequence BETWEEN $2 AND $3 AND forked = 0")
        .bind(run.host.as_str())
        .bind(first)
        .bind(last)
        .execute(db)
        .await?;
    Ok(())
}

/// The folded report of a host that bears a number.
pub async fn numbered(db: &mut Conn, host: &HostId, sequence: u64) -> Result<Option<Stored>, Refusal> {
    let row = sqlx::query("SELECT * FROM runs WHERE host = $1 AND first <= $2 AND last >= $2")
        .bind(host.as_str())
        .bind(number(sequence)?)
        .fetch_optional(&mut *db)
        .await?;
    let Some(run) = row.map(run).transpose()? else { return Ok(None) };
    let place = usize::try_from(sequence - run.first).unwrap_or(usize::MAX);
    let previous = match place.checked_sub(1) {
        Some(before) => run.links.get(before).map(|link| link.id),
        None => whole_before(db, &run).await?,
    };
    Ok(run.links.get(place).map(|link| run.stored(sequence, previous, *link)))
}

/// The id of the whole report a run hangs on.
pub async fn whole_before(db: &mut Conn, run: &Run) -> Result<Option<Digest>, Refusal> {
    let row = sqlx::query("SELECT id FROM reports WHERE host = $1 AND sequence = $2 AND forked = 0")
        .bind(run.host.as_str())
        .bind(number(run.first.saturating_sub(1))?)
        .fetch_optional(db)
        .await?;
    row.map(|row| digest(row.try_get("id")?)).transpose()
}

/// The first run of a host after the report numbered `after`.
pub async fn after(db: &mut Conn, host: &HostId, after: u64) -> Result<Option<Run>, Refusal> {
    let row = sqlx::query("SELECT * FROM runs WHERE host = $1 AND first > $2 ORDER BY first LIMIT 1")
        .bind(host.as_str())
        .bind(number(after)?)
        .fetch_optional(db)
        .await?;
    row.map(run).transpose()
}

/// The hosts whose reports from before `before` were not all looked at, with how far they were and how far they are judged.
pub async fn unfolded(db: &mut Conn, before: DateTime<Utc>) -> Result<Vec<(HostId, u64, u64)>, Refusal> {
    let rows = sqlx::query(
        "SELECT id, folded_through, judged_sequence FROM hosts
         WHERE judged_sequence > folded_through + 1 AND state <> 'quarantined'
           AND (SELECT received FROM reports WHERE host = hosts.id AND sequence > hosts.folded_through
                ORDER BY sequence LIMIT 1 OFFSET 1) < $1
         ORDER BY id",
    )
    .bind(micros(before))
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let (through, judged) = (row.try_get("folded_through")?, row.try_get("judged_sequence")?);
            Ok((parsed(row.try_get("id")?)?, unsigned(through), unsigned(judged)))
        })
        .collect()
}

/// A host's reports were looked at up to that number.
pub async fn set_through(db: &mut Conn, host: &HostId, sequence: u64) -> Result<(), Refusal> {
    sqlx::query("UPDATE hosts SET folded_through = $1 WHERE id = $2")
        .bind(number(sequence)?)
        .bind(host.as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// The signature of the run that begins at that number.
pub async fn signature(db: &mut Conn, host: &HostId, first: u64) -> Result<Option<Vec<u8>>, Refusal> {
    let row = sqlx::query("SELECT signature FROM runs WHERE host = $1 AND first = $2")
        .bind(host.as_str())
        .bind(number(first)?)
        .fetch_one(db)
        .await?;
    Ok(row.try_get("signature")?)
}

fn run(row: Row) -> Result<Run, Refusal> {
    let bytes: Vec<u8> = row.try_get("links")?;
    let links = bytes.chunks_exact(LINK).map(link).collect::<Result<_, Refusal>>()?;
    Ok(Run {
        host: parsed(row.try_get("host")?)?,
        first: unsigned(row.try_get("first")?),
        manifest: digest(row.try_get("manifest")?)?,
        links,
    })
}

fn link(bytes: &[u8]) -> Result<Link, Refusal> {
    let broken = || Refusal::internal("a run in the store is cut short");
    let (id, rest) = bytes.split_first_chunk::<32>().ok_or_else(broken)?;
    let (host_time, rest) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
    let received = rest.first_chunk::<8>().ok_or_else(broken)?;
    Ok(Link {
        id: Digest::from_bytes(*id),
        host_time: instant(i64::from_be_bytes(*host_time))?,
        received: instant(i64::from_be_bytes(*received))?,
    })
}
