//! `verify`: whether all a collector keeps still is what was signed, judged and written down: read only, at one instant,
//! while the collector serves or not.
//!
//! What hosts signed is held against their keys, receipts against the collector's, facts against their digests, verdicts
//! against [`audit::reconcile`] with the records and approvals of their time, and records, approvals and accounts against
//! the log. Everything wrong is named; nothing is mended. Left out: what is made anew from the rest (findings, what is
//! known of items), and what is nobody's evidence (alerts, sessions).

mod drifts;
mod facts;
mod log;
mod records;
mod reports;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Context as _, bail};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::Serialize;

use crate::error::Refusal;
use crate::files;
use crate::store::{Conn, dialect, evidence, hosts};
use log::Log;

/// The most that is named one by one; what is beyond is counted.
const MOST: usize = 1000;

/// Something that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Which row: `report 3 of web-1 (…)`, `CHG-2026-0001`, `D-12`.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// How much was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Hosts.
    pub hosts: u64,
    /// Reports kept whole, each by its host's signature.
    pub reports: u64,
    /// Reports folded into runs, each by its digest.
    pub folded: u64,
    /// Bodies of facts, manifests and findings.
    pub facts: u64,
    /// Change records.
    pub records: u64,
    /// Approvals.
    pub approvals: u64,
    /// Drift.
    pub drifts: u64,
    /// Verdicts, each reconciled again.
    pub verdicts: u64,
    /// Accounts.
    pub accounts: u64,
    /// Acts in the log.
    pub acts: u64,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    /// Whether nothing is wrong.
    pub whole: bool,
    /// What is wrong.
    pub wrong: Vec<Wrong>,
    /// How much more is wrong than is named.
    pub more: u64,
    /// What is no fault, and yet to be known.
    pub notes: Vec<String>,
    /// How much was looked at.
    pub checked: Checked,
    /// The link of the log's last act: kept elsewhere, it shows later whether the log was cut or written anew.
    pub head: Option<String>,
    #[serde(skip)]
    progress: Option<Progress>,
}

/// Shows how far it is, where a person waits for it.
type Progress = fn(&str, u64);

impl Found {
    fn wrong(&mut self, what: impl Into<String>, why: impl Into<String>) {
        if self.wrong.len() < MOST {
            self.wrong.push(Wrong { what: what.into(), why: why.into() });
        } else {
            self.more += 1;
        }
    }

    /// A part of the store that could not be read to its end is wrong by that alone.
    fn whether_read(&mut self, what: &str, read: Result<(), Refusal>) {
        if let Err(refusal) = read {
            self.wrong(what, format!("cannot be read further: {refusal:#}"));
        }
    }

    fn at(&self, what: &str, count: u64) {
        if let Some(show) = self.progress
            && count.is_multiple_of(200)
        {
            show(what, count);
        }
    }
}

/// Looks at all of the collector in `data`; `head` is one an earlier run printed.
pub async fn verify(data: &Path, head: Option<&str>, progress: Option<Progress>) -> anyhow::Result<Found> {
    let file = data.join("collector.db");
    if !file.exists() {
        bail!("there is no collector in {}", data.display());
    }
    let key = receipt_key(&data.join("receipt.key"))?;
    let mut db = evidence::open(&file).await.with_context(|| format!("opening {}", file.display()))?;
    let (has, knows) = evidence::versions(&mut db).await.with_context(|| format!("reading {}", file.display()))?;
    if has != knows {
        bail!("the database has shape {has} and this program knows {knows}: use the version that serves it");
    }
    let found = look(&mut db, &key.verifying_key(), head, progress).await?;
    dialect::close(db).await?;
    Ok(found)
}

/// Looks at all there is in a database of this version's shape.
async fn look(
    db: &mut Conn,
    key: &VerifyingKey,
    head: Option<&str>,
    progress: Option<Progress>,
) -> anyhow::Result<Found> {
    let mut found = Found { progress, ..Found::default() };
    shape(db, &mut found).await?;
    let mut acts = Log::default();
    let read = log::check(db, &mut acts, head, &mut found).await;
    found.whether_read("the log", read);
    let read = facts::check(db, &mut found).await;
    found.whether_read("facts", read);
    let records = match records::check(db, &acts, &mut found).await {
        Ok(records) => records,
        Err(refusal) => {
            found.whether_read("change records", Err(refusal));
            Vec::new()
        }
    };
    let read = each_host(db, &acts, key, &mut found).await;
    found.whether_read("hosts", read);
    let read = drifts::check(db, &acts, &records, &mut found).await;
    found.whether_read("drift", read);
    found.whole = found.wrong.is_empty();
    Ok(found)
}

async fn each_host(db: &mut Conn, acts: &Log, key: &VerifyingKey, found: &mut Found) -> Result<(), Refusal> {
    let mut after = String::new();
    loop {
        let page = hosts::list(db, &after, 100).await?;
        let Some(last) = page.last() else { break };
        after = last.id.to_string();
        for host in page {
            found.checked.hosts += 1;
            log::host(acts, &host, found);
            let read = reports::check(db, &host, key, found).await;
            found.whether_read(&format!("reports of {} ({})", host.name, host.id), read);
        }
    }
    for id in acts.hosts.keys() {
        if hosts::find(db, id).await?.is_none() {
            found.wrong(format!("host {id}"), "the log says that it enrolled, and it is not here");
        }
    }
    Ok(())
}

/// Triggers that refuse to edit and delete, and all else that belongs to the database's shape.
async fn shape(db: &mut Conn, found: &mut Found) -> anyhow::Result<()> {
    let mut blank = dialect::blank().await?;
    let due = evidence::shape(&mut blank).await?;
    let has = evidence::shape(db).await?;
    for (kind, name, _) in due.iter().filter(|part| !has.contains(part)) {
        found.wrong(format!("{kind} {name}"), "is missing or altered: what it refuses may have been done");
    }
    for (kind, name, _) in has.iter().filter(|part| !due.contains(part)) {
        if !due.iter().any(|(_, known, _)| known == name) {
            found.wrong(format!("{kind} {name}"), "is none of this program's");
        }
    }
    Ok(())
}

fn receipt_key(file: &Path) -> anyhow::Result<SigningKey> {
    let bytes = files::read(file).with_context(|| format!("reading the key of receipts, {}", file.display()))?;
    let seed = <[u8; 32]>::try_from(bytes).ok().with_context(|| format!("{} is not a key", file.display()))?;
    Ok(SigningKey::from_bytes(&seed))
}
