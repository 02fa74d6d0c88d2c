//! What agents send: enrolments, reports, facts. Size, then shape, then key, then signature; only then is anything believed.
//!
//! Nothing is acknowledged that is not committed: a receipt is signed after the transaction.

pub mod link;

use audit::api::Enrolled;
use audit::digest::Digest;
use audit::instance::{Evidence, Instance};
use audit::report::{Enrolment, HostId, Manifest, Receipt, Report};
use audit::seal::{self, Verified};
use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::app::App;
use crate::error::Refusal;
use crate::quota::Over;
use crate::store::chain::{self, Kind};
use crate::store::hosts::{self, Newcomer, State};
use crate::store::reports::{self, Arrival};
use crate::store::{Conn, Store, audit_log, backup, dropped, facts, instances, tokens};
use link::{Link, Neighbours};

/// The most probes one manifest may name, and the longest name of one.
const MAX_PROBES: usize = 256;
const MAX_PROBE_NAME: usize = 64;
/// The largest manifest, in bytes: as many probes as it may name, of names as long as they may be, fit twice.
const MAX_MANIFEST: usize = 128 * 1024;
/// The longest texts of an enrolment.
const MAX_LABEL: usize = 255;

/// Enrols a host: proves it holds the key it states, takes the token, and gives it an identity.
pub async fn enrol(app: &App, envelope: &[u8], now: DateTime<Utc>) -> Result<Enrolled, Refusal> {
    let stated: Enrolment = seal::open(envelope)?.unverified()?;
    let key = public_key(&stated.key)?;
    let enrolment = seal::verify::<Enrolment>(envelope, &key)?;
    let stated = enrolment.statement();
    for (what, text) in [("name", &stated.name), ("system", &stated.system)] {
        if text.is_empty() || text.len() > MAX_LABEL {
            return Err(Refusal::Invalid(format!("a host's {what} is 1 to {MAX_LABEL} bytes")));
        }
    }
    // The store, like a kernel, takes a text to end at a NUL: one that begins there has no name at all.
    if stated.name.starts_with('\0') {
        return Err(Refusal::Invalid("a host's name cannot begin with a NUL character".into()));
    }
    if stated.machine.as_ref().is_some_and(|machine| machine.len() > MAX_LABEL) {
        return Err(Refusal::Invalid(format!("a machine id is at most {MAX_LABEL} bytes")));
    }
    let instance = stated.instance.as_ref().map(Evidence::instance).transpose().map_err(Refusal::Invalid)?;
    let host = admit(&app.store, stated, instance.as_ref(), now).await?;
    Ok(Enrolled { host, receipt_key: hexadecimal(app.receipt_key.verifying_key().as_bytes()) })
}

async fn admit(
    store: &Store,
    stated: &Enrolment,
    instance: Option<&Instance>,
    now: DateTime<Utc>,
) -> Result<HostId, Refusal> {
    let mut db = store.write().await?;
    let Some(grant) = tokens::take(&mut db, &stated.token, now).await? else {
        // The answer to an enrolment may have been lost on the way: the same key with the same token gets it again.
        let host = tokens::host_of(&mut db, &stated.token).await?;
        let known = hosts::find_by_key(&mut db, &stated.key).await?;
        return match (host, known) {
            (Some(host), Some(known)) if known.id.as_str() == host => Ok(known.id),
            _ => Err(Refusal::Forbidden("the enrolment token is unknown, used or expired: ask for a new one".into())),
        };
    };
    let id = HostId::try_from(uuid::Uuid::now_v7().simple().to_string()).map_err(Refusal::internal)?;
    let newcomer = Newcomer {
        id: &id,
        name: &stated.name,
        machine: stated.machine.as_deref(),
        system: &stated.system,
        public_key: &stated.key,
        grant: &grant,
        instance,
    };
    hosts::add(&mut db, &newcomer, now).await?;
    if let Some(evidence) = &stated.instance {
        instances::add(&mut db, &id, evidence).await?;
    }
    tokens::used_by(&mut db, &stated.token, id.as_str()).await?;
    let detail = format!("{} in {}", stated.name, grant.environment);
    audit_log::note(&mut db, now, "collector", "enrol", id.as_str(), &detail).await?;
    db.commit().await?;
    tracing::info!(host = %id, environment = %grant.environment, "a host enrolled; it is pending until inspected");
    Ok(id)
}

/// Takes a report: verified, linked to its chain, kept as it came; answers the signed receipt's bytes.
///
/// `sent` is the host's clock as the sender told it, from which its error is measured.
pub async fn report(
    app: &App,
    envelope: &[u8],
    sent: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, Refusal> {
    let claimed: Report = seal::open(envelope)?.unverified()?;
    let host = {
        let mut db = app.store.read().await?;
        hosts::find(&mut db, claimed.host.as_str()).await?
    };
    let Some(host) = host else {
        return Err(Refusal::NotFound(format!("host {}: it must enrol first", claimed.host)));
    };
    let report = seal::verify::<Report>(envelope, &public_key(&host.public_key)?)?;
    let stated = report.statement();
    if stated.sequence == 0 || i64::try_from(stated.sequence).is_err() {
        return Err(Refusal::Invalid("a report's number begins at 1".into()));
    }
    within_limits(app, &host.id, app.quotas.report(&host.id, envelope.len(), now), now).await?;
    let mut db = app.store.write().await?;
    let received = accept(&mut db, &report, envelope, sent, now, &app.receipt_key).await?;
    let lacks = facts::lacks(&mut db, stated.manifest).await?;
    db.commit().await?;
    app.judge.wake();
    let receipt =
        Receipt { host: stated.host.clone(), sequence: stated.sequence, report: report.id(), received, lacks };
    Ok(seal::seal(receipt, &app.receipt_key)?.bytes)
}

/// Refuses what is over a host's limits, and notes that once; notes too that it is over.
async fn within_limits(
    app: &App,
    host: &HostId,
    counted: Result<Vec<&'static str>, Over>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    match counted {
        Ok(no_more) if no_more.is_empty() => Ok(()),
        Ok(no_more) => {
            let mut db = app.store.write().await?;
            for what in no_more {
                chain::resolve(&mut db, host, Kind::OverLimit, what, now).await?;
            }
            Ok(db.commit().await?)
        }
        Err(over) => {
            if over.first {
                let detail = format!("the host sends more {} than it may; what is over is refused", over.what);
                let mut db = app.store.write().await?;
                chain::note(&mut db, host, Kind::OverLimit, over.what, &detail, now).await?;
                db.commit().await?;
                tracing::warn!(%host, limit = over.what, "a host sends more than it may: refused for now");
            }
            Err(Refusal::OverLimit(over.what, over.wait))
        }
    }
}

/// Keeps a verified report, unless it is here already; when it first came.
async fn accept(
    db: &mut Conn,
    report: &Verified<Report>,
    envelope: &[u8],
    sent: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    key: &SigningKey,
) -> Result<DateTime<Utc>, Refusal> {
    let stated = report.statement();
    if let Some(stored) = reports::find(db, report.id()).await? {
        return Ok(stored.received);
    }
    let twins = reports::numbered(db, &stated.host, stated.sequence).await?;
    if let Some(folded) = twins.iter().find(|twin| twin.id == report.id()) {
        return Ok(folded.received);
    }
    let near = Neighbours {
        twins,
        parents: reports::numbered(db, &stated.host, stated.sequence - 1).await?,
        children: match stated.sequence.checked_add(1) {
            Some(next) => reports::numbered(db, &stated.host, next).await?,
            None => Vec::new(),
        },
    };
    let link = link::link(report.id(), stated, &near);
    let (host, sequence) = (stated.host.clone(), stated.sequence);
    let receipt = Receipt { host, sequence, report: report.id(), received: now, lacks: Vec::new() };
    let arrival = Arrival { received: now, sent, forked: link.forked, receipt: seal::sign(&receipt, key)? };
    reports::add(db, report, envelope, arrival).await?;
    hosts::heard(db, &stated.host, stated.sequence, now).await?;
    note(db, &stated.host, &link, now).await?;
    account(db, stated, &link, now).await?;
    Ok(now)
}

/// Notes the number that lacks before a report, unless the host says it was dropped; and closes the gaps it explains
/// now, by what it states or by being one of those that were not dropped.
async fn account(db: &mut Conn, report: &Report, link: &Link, now: DateTime<Utc>) -> Result<(), Refusal> {
    let (host, sequence) = (&report.host, report.sequence);
    let mut from = sequence.saturating_sub(1).max(1);
    if let Some(said) = link::dropped(report).filter(|_| !link.forked) {
        from = from.min(said.from);
        dropped::add(db, host, sequence, said).await?;
        for (kind, words) in link::told(said) {
            chain::note(db, host, kind, &sequence.to_string(), &words, now).await?;
        }
    }
    let ranges = dropped::accounted(db, host, from, sequence).await?;
    for (first, last) in &ranges {
        chain::close_gaps(db, host, first.saturating_add(1), last.saturating_add(1), now).await?;
    }
    if let Some(lacking) = link.lacks
        && !ranges.iter().any(|(first, last)| (first..=last).contains(&&lacking))
    {
        let (kind, detail) = match backup::lost(db, host, sequence).await? {
            Some((first, taken)) => {
                let taken = taken.format("%Y-%m-%d %H:%M:%SZ");
                let words = format!("the collector was restored from a backup of {taken} and lost what came after");
                (Kind::Restored, format!("reports {first} to {lacking} are not here: {words}"))
            }
            None => (Kind::Gap, format!("report {lacking} never came, and the host does not say it was dropped")),
        };
        chain::note(db, host, kind, &sequence.to_string(), &detail, now).await?;
    }
    Ok(())
}

async fn note(db: &mut Conn, host: &HostId, link: &Link, now: DateTime<Utc>) -> Result<(), Refusal> {
    for noted in &link.findings {
        chain::note(db, host, noted.kind, &noted.key, &noted.detail, now).await?;
        if noted.kind == Kind::Fork {
            hosts::set_state(db, host, State::Quarantined).await?;
            audit_log::note(db, now, "collector", "quarantine", host.as_str(), &noted.detail).await?;
            tracing::warn!(%host, detail = noted.detail, "two machines report under one key: quarantined");
        }
    }
    if let Some(number) = link.closes {
        chain::resolve(db, host, Kind::Gap, &number.to_string(), now).await?;
    }
    Ok(())
}

/// A body of facts, or a manifest, that a verified report here names and that is not here.
#[derive(Debug)]
pub struct Wanted {
    host: HostId,
    digest: Digest,
    is_manifest: bool,
}

impl Wanted {
    /// Whose report names it.
    pub fn host(&self) -> &HostId {
        &self.host
    }
}

/// Whether a body is waited for; none where it is here already. Asked before any of it is read.
pub async fn wanted(app: &App, report: Digest, digest: Digest) -> Result<Option<Wanted>, Refusal> {
    let mut db = app.store.read().await?;
    let Some(report) = reports::find(&mut db, report).await? else {
        return Err(Refusal::NotFound("report of that id: send it first".into()));
    };
    let is_manifest = report.manifest == digest;
    if !is_manifest && !facts::names(&mut db, report.manifest, digest).await? {
        return Err(Refusal::Forbidden(
            "that report does not name these facts, or its manifest has not come yet".into(),
        ));
    }
    if facts::has(&mut db, digest).await? && (!is_manifest || facts::is_manifest(&mut db, digest).await?) {
        drop(db);
        app.judge.wake();
        return Ok(None);
    }
    Ok(Some(Wanted { host: report.host, digest, is_manifest }))
}

/// Takes a body that is waited for.
pub async fn facts(app: &App, wanted: Wanted, sent: Vec<u8>, now: DateTime<Utc>) -> Result<(), Refusal> {
    let Wanted { host, digest, is_manifest } = wanted;
    // Whoever knows a report's id knows what its host signed: that much is counted as the host's.
    within_limits(app, &host, app.quotas.facts(&host, sent.len(), now), now).await?;
    // Few at once: each may hold the largest body there is, inflated.
    let permit = app.inflating.clone().acquire_owned().await.map_err(Refusal::internal)?;
    let checked = tokio::task::spawn_blocking(move || {
        let _held = permit;
        let inflated = crate::inflate::inflate(&sent)?;
        if Digest::of(&inflated) != digest {
            return Err(Refusal::Invalid("the facts sent are not those of that digest".into()));
        }
        let manifest = if is_manifest { Some(manifest(&inflated)?) } else { None };
        Ok((sent, inflated.len(), manifest))
    });
    let (sent, size, manifest) = checked.await.map_err(Refusal::internal)??;
    let mut db = app.store.write().await?;
    facts::add(&mut db, digest, size, &sent, now).await?;
    if let Some(manifest) = manifest {
        facts::add_needs(&mut db, digest, &manifest).await?;
    }
    db.commit().await?;
    app.judge.wake();
    Ok(())
}

fn manifest(bytes: &[u8]) -> Result<Manifest, Refusal> {
    if bytes.len() > MAX_MANIFEST {
        return Err(Refusal::TooLarge(format!("a manifest of {} bytes is larger than {MAX_MANIFEST}", bytes.len())));
    }
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| Refusal::Invalid(format!("not a manifest: {error}")))?;
    if manifest.probes.len() > MAX_PROBES || manifest.probes.keys().any(|name| name.len() > MAX_PROBE_NAME) {
        return Err(Refusal::Invalid(format!(
            "a manifest names at most {MAX_PROBES} probes of {MAX_PROBE_NAME} bytes each"
        )));
    }
    Ok(manifest)
}

/// A public key out of its 64 hexadecimal digits; a weak one, under which anything verifies, is refused.
pub(crate) fn public_key(text: &str) -> Result<VerifyingKey, Refusal> {
    let invalid = || Refusal::Invalid("a host's key is an Ed25519 public key of 64 hexadecimal digits".into());
    // The digits of a key are spelt as those of a digest: 32 bytes, lower case.
    let bytes: Digest = text.parse().map_err(|_| invalid())?;
    let key = VerifyingKey::from_bytes(bytes.as_bytes()).map_err(|_| invalid())?;
    if key.is_weak() { Err(invalid()) } else { Ok(key) }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
