//! Reports: the envelopes as they came, by the digest of what was signed. The database refuses to edit them,
//! and to delete any but those a run holds in their place: see [`super::runs`].

use audit::digest::Digest;
use audit::report::{HostId, Report};
use audit::seal::Verified;
use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{Conn, Row, digest, instant, maybe_instant, micros, number, parsed, runs, unsigned};
use crate::error::Refusal;

/// What is kept of a report besides its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id: the digest of what was signed.
    pub id: Digest,
    /// Whose.
    pub host: HostId,
    /// Its number.
    pub sequence: u64,
    /// The id of the one before, as it states.
    pub previous: Option<Digest>,
    /// The host's clock when it observed.
    pub host_time: DateTime<Utc>,
    /// The host's clock when it sent, if it said so.
    pub sent: Option<DateTime<Utc>>,
    /// When it came.
    pub received: DateTime<Utc>,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// Whether another report had its number first.
    pub forked: bool,
}

/// When and how a report came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The collector's clock.
    pub received: DateTime<Utc>,
    /// The host's clock as the sender told it.
    pub sent: Option<DateTime<Utc>>,
    /// Whether another report had its number first.
    pub forked: bool,
    /// The collector's signature of the receipt that lacks nothing.
    pub receipt: [u8; 64],
}

/// Keeps a report. Asks for a verified one: nothing else is evidence.
pub async fn add(db: &mut Conn, report: &Verified<Report>, envelope: &[u8], arrival: Arrival) -> Result<(), Refusal> {
    let stated = report.statement();
    sqlx::query(
        "INSERT INTO reports (id, host, sequence, previous, host_time, sent, received, manifest, forked, envelope,
                              receipt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(report.id().to_string())
    .bind(stated.host.as_str())
    .bind(number(stated.sequence)?)
    .bind(stated.previous.map(|id| id.to_string()))
    .bind(micros(stated.time))
    .bind(arrival.sent.map(micros))
    .bind(micros(arrival.received))
    .bind(stated.manifest.to_string())
    .bind(arrival.forked)
    .bind(envelope)
    .bind(arrival.receipt.as_slice())
    .execute(db)
    .await?;
    Ok(())
}

/// The report of that id.
pub async fn find(db: &mut Conn, id: Digest) -> Result<Option<Stored>, Refusal> {
    let row = sqlx::query("SELECT * FROM reports WHERE id = $1").bind(id.to_string()).fetch_optional(db).await?;
    row.map(stored).transpose()
}

/// A report's envelope, as it came.
pub async fn envelope(db: &mut Conn, id: Digest) -> Result<Option<Vec<u8>>, Refusal> {
    let row = sqlx::query("SELECT envelope FROM reports WHERE id = $1").bind(id.to_string()).fetch_optional(db).await?;
    Ok(row.map(|row| row.try_get("envelope")).transpose()?)
}

/// The reports of a host that bear a number: none, one, or the branches of a fork. Also one that was folded into a run.
pub async fn numbered(db: &mut Conn, host: &HostId, sequence: u64) -> Result<Vec<Stored>, Refusal> {
    let rows = sqlx::query("SELECT * FROM reports WHERE host = $1 AND sequence = $2 ORDER BY forked, received, id")
        .bind(host.as_str())
        .bind(number(sequence)?)
        .fetch_all(&mut *db)
        .await?;
    let folded = runs::numbered(db, host, sequence).await?;
    folded.into_iter().map(Ok).chain(rows.into_iter().map(stored)).collect()
}

/// A host's whole reports from number `from` on, oldest first.
pub async fn from(db: &mut Conn, host: &HostId, from: u64, limit: i64) -> Result<Vec<Stored>, Refusal> {
    let rows = sqlx::query(
        "SELECT id, host, sequence, previous, host_time, sent, received, manifest, forked FROM reports
         WHERE host = $1 AND sequence >= $2 ORDER BY sequence, forked, received, id LIMIT $3",
    )
    .bind(host.as_str())
    .bind(number(from)?)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(stored).collect()
}

/// A host's whole reports numbered below `before`, newest first.
pub async fn of_host(db: &mut Conn, host: &HostId, before: u64, limit: i64) -> Result<Vec<Stored>, Refusal> {
    let rows =
        sqlx::query("SELECT * FROM reports WHERE host = $1 AND sequence < $2 ORDER BY sequence DESC, id LIMIT $3")
            .bind(host.as_str())
            .bind(number(before)?)
            .bind(limit)
            .fetch_all(db)
            .await?;
    rows.into_iter().map(stored).collect()
}

/// The next report of a host to judge after number `after`: the lowest that has all its facts. Older ones still
/// incomplete are passed over; the interval widens by itself.
pub async fn next_complete(db: &mut Conn, host: &HostId, after: u64) -> Result<Option<Stored>, Refusal> {
    let row = sqlx::query(
        "SELECT * FROM reports AS report
         WHERE host = $1 AND sequence > $2 AND forked = 0
           AND EXISTS (SELECT 1 FROM manifest_needs WHERE manifest = report.manifest)
           AND NOT EXISTS (SELECT 1 FROM manifest_needs AS need WHERE need.manifest = report.manifest
                           AND NOT EXISTS (SELECT 1 FROM facts WHERE digest = need.digest))
         ORDER BY sequence, received, id LIMIT 1",
    )
    .bind(host.as_str())
    .bind(number(after)?)
    .fetch_optional(db)
    .await?;
    row.map(stored).transpose()
}

/// The hosts that have reports not yet judged.
pub async fn hosts_to_judge(db: &mut Conn) -> Result<Vec<HostId>, Refusal> {
    let rows = sqlx::query("SELECT id FROM hosts WHERE head_sequence > judged_sequence AND state <> 'quarantined'")
        .fetch_all(db)
        .await?;
    rows.into_iter().map(|row| parsed(row.try_get("id")?)).collect()
}

pub(super) fn stored(row: Row) -> Result<Stored, Refusal> {
    let previous: Option<String> = row.try_get("previous")?;
    Ok(Stored {
        id: digest(row.try_get("id")?)?,
        host: parsed(row.try_get("host")?)?,
        sequence: unsigned(row.try_get("sequence")?),
        previous: previous.as_deref().map(digest).transpose()?,
        host_time: instant(row.try_get("host_time")?)?,
        sent: maybe_instant(row.try_get("sent")?)?,
        received: instant(row.try_get("received")?)?,
        manifest: digest(row.try_get("manifest")?)?,
        forked: row.try_get("forked")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::hosts::testing::newcomer;
    use super::super::testing::{at, store};
    use super::super::{facts, reports};
    use super::*;
    use audit::report::Manifest;
    use audit::seal::{Sealed, seal};
    use ed25519_dalek::SigningKey;

    fn report(host: &HostId, sequence: u64, manifest: Digest) -> Sealed<Report> {
        let report = Report { host: host.clone(), sequence, previous: None, time: at(0), manifest, dropped: None };
        seal(report, &SigningKey::from_bytes(&[1; 32])).unwrap()
    }

    #[tokio::test]
    async fn an_envelope_is_kept_as_it_came_and_cannot_be_edited_or_deleted_by_raw_sql() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let host = newcomer(&mut db, "web-1", 'a').await;
        let sealed = report(&host, 1, Digest::of(b"m"));
        let arrival = Arrival { received: at(1), sent: None, forked: false, receipt: [0; 64] };
        add(&mut db, &sealed.verified, &sealed.bytes, arrival).await.unwrap();
        let replaced = "INSERT OR REPLACE INTO reports (id, host, sequence, host_time, received, manifest, envelope)
             SELECT id, host, sequence, host_time, received, manifest, x'00' FROM reports";
        for sql in
            ["UPDATE reports SET envelope = x'00'", "DELETE FROM reports", "UPDATE reports SET received = 0", replaced]
        {
            let error = sqlx::query(sql).execute(&mut *db).await.unwrap_err();
            assert!(error.to_string().contains("evidence"), "{error}");
        }
        assert_eq!(envelope(&mut db, sealed.verified.id()).await.unwrap(), Some(sealed.bytes));
    }

    #[tokio::test]
    async fn an_incomplete_report_is_passed_over_once_a_later_one_is_complete() {
        let (store, _folder) = store().await;
        let mut db = store.write().await.unwrap();
        let host = newcomer(&mut db, "web-1", 'a').await;
        let arrival = Arrival { received: at(1), sent: None, forked: false, receipt: [0; 64] };
        for (sequence, manifest) in [(1, b"one"), (2, b"two")] {
            let sealed = report(&host, sequence, Digest::of(manifest));
            add(&mut db, &sealed.verified, &sealed.bytes, arrival).await.unwrap();
        }
        let [baseline, lifecycles, findings] = [b"b", b"l", b"f"].map(|bytes| Digest::of(bytes));
        let manifest =
            Manifest { agent: "0".into(), baseline, lifecycles, findings, interval: None, probes: Default::default() };
        facts::add_needs(&mut db, Digest::of(b"two"), &manifest).await.unwrap();
        assert_eq!(reports::next_complete(&mut db, &host, 0).await.unwrap(), None);
        facts::add(&mut db, findings, 1, b"f", at(1)).await.unwrap();
        assert_eq!(reports::next_complete(&mut db, &host, 0).await.unwrap().unwrap().sequence, 2);
        assert_eq!(reports::next_complete(&mut db, &host, 2).await.unwrap(), None);
    }
}
