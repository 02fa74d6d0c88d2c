//! The spool: signed reports and the facts they name, kept until the collector's signed receipt says it has them, and the
//! chain they form.
//!
//! Order of writing, so that no crash forks or breaks the chain: facts first; then the report under a temporary name;
//! then `head.json`, which uses up its number; and only then the report's own name, which `ship` sees. A crash before
//! the head was written leaves a report nobody saw, which is deleted; a crash after it leaves one that is given its name
//! when the spool is opened next.
//!
//! Over its limit the spool drops *unchanged* reports (those whose manifest is that of the report before), oldest first,
//! and those that stand right before a transition last, because they say since when. Transitions are never dropped; while
//! transitions alone fill it, unchanged reports are no longer made. The next report states what was dropped, and what the
//! dropped ones had stated.
//!
//! A spooled report that is damaged can never be sent: it is set aside and signed as dropped (`damage`).

mod damage;
mod head;
mod pack;
mod reserve;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use audit::digest::Digest;
use audit::report::{Manifest, Receipt, Report};
use audit::seal::{self, MAX_ENVELOPE, Sealed};
use ed25519_dalek::VerifyingKey;

use crate::durable;
use crate::identity::Identity;
use crate::state::{State, numbers};

pub(crate) use head::Head;
pub(crate) use pack::TooLarge;

/// Readable by the group, so that `ship` can run as another user.
const MODE: u32 = 0o640;

/// The spool, held by this process alone.
pub(crate) struct Spool {
    state: State,
    identity: Identity,
    own: VerifyingKey,
    pinned: VerifyingKey,
    head: Head,
    /// Each spooled report's manifest, by number.
    reports: BTreeMap<u64, Digest>,
    _lock: File,
}

/// What to do with a receipt.
enum Ack {
    /// All is there: the report may go.
    Complete,
    /// The collector still lacks facts: `ship` is at it.
    Lacking,
    /// It acknowledges nothing that is ours, for this reason.
    Worthless(String),
}

impl Spool {
    /// Opens the spool, alone, and mends what a crash left.
    pub(crate) fn open(state: &State, identity: &Identity) -> anyhow::Result<Self> {
        let lock = lock(&state.folder().join("collect.lock"))?;
        state.create()?;
        let mut spool = Self {
            state: state.clone(),
            identity: identity.clone(),
            own: identity.public_key()?,
            pinned: identity.pinned_key()?,
            head: Head::default(),
            reports: BTreeMap::new(),
            _lock: lock,
        };
        spool.recover().context("opening the spool")?;
        Ok(spool)
    }

    /// Where the chain stands.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Whether the facts of `digest` are spooled.
    pub(crate) fn has(&self, digest: Digest) -> bool {
        self.state.fact(digest).exists()
    }

    /// Keeps `bytes` under their digest, compressed.
    pub(crate) fn keep(&self, bytes: &[u8]) -> anyhow::Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.has(digest) {
            let packed = pack::pack(bytes)?;
            reserve::spend(&self.state, || durable::write(&self.state.fact(digest), &packed, MODE))
                .context("spooling facts")?;
        }
        Ok(digest)
    }

    /// Whether `bytes` are of a size the collector takes.
    pub(crate) fn fits(bytes: &[u8]) -> Result<(), TooLarge> {
        pack::fits(bytes)
    }

    /// Sets space aside for transitions on a full disk, if there is some.
    pub(crate) fn reserve(&self) {
        reserve::make(&self.state);
    }

    /// Adds a report to the chain. It must be the next one.
    pub(crate) fn commit(&mut self, report: &Sealed<Report>) -> anyhow::Result<()> {
        let statement = report.verified.statement();
        if statement.sequence != self.head.sequence + 1 || statement.previous != self.head.report {
            bail!("report {} does not follow report {}", statement.sequence, self.head.sequence);
        }
        self.finish()?;
        let path = self.state.report(statement.sequence);
        let stage = || durable::stage(&path, &report.bytes, MODE);
        // On a full disk a transition takes the space kept for it; a report that says nothing new does not.
        let is_transition = self.head.manifest != Some(statement.manifest);
        let staged = self.write(is_transition, stage).context("spooling the report")?;
        let mut head = self.head.next(statement, report.verified.id());
        head.forget_before(self.reports.keys().next().copied().unwrap_or(statement.sequence));
        if let Err(error) = self.write(is_transition, || head.write(&self.state)) {
            let _left_over = durable::remove(&staged);
            return Err(error).context("writing the chain's head");
        }
        // From here on the number is used up, whatever fails.
        self.head = head;
        self.reports.insert(statement.sequence, statement.manifest);
        durable::publish(&staged, &path).context("spooling the report")
    }

    fn write<T>(&self, may_spend: bool, work: impl Fn() -> std::io::Result<T>) -> std::io::Result<T> {
        if may_spend { reserve::spend(&self.state, work) } else { work() }
    }

    /// Deletes the reports whose receipts say the collector has all; answers how many.
    pub(crate) fn clear(&mut self) -> anyhow::Result<usize> {
        let mut cleared = 0;
        for sequence in numbers(&self.state.acks(), "json").context("listing the receipts")? {
            match self.judge(sequence) {
                Ack::Complete => {
                    durable::remove(&self.state.report(sequence))?;
                    self.reports.remove(&sequence);
                    cleared += 1;
                    self.discard(sequence);
                }
                Ack::Lacking => {}
                Ack::Worthless(why) => {
                    tracing::warn!(sequence, why, "a receipt acknowledges nothing and is thrown away");
                    self.discard(sequence);
                }
            }
        }
        Ok(cleared)
    }

    /// Brings the spool under `limit` bytes if unchanged reports can; answers whether it is under it.
    pub(crate) fn shrink(&mut self, limit: u64) -> anyhow::Result<bool> {
        let mut size = folder_size(&self.state.reports())? + folder_size(&self.state.facts())?;
        if size <= limit {
            return Ok(true);
        }
        let unchanged = |sequence: u64| self.head.is_unchanged(sequence);
        let droppable = self.reports.keys().copied().filter(|n| *n != self.head.sequence && unchanged(*n));
        let (first, last): (Vec<u64>, Vec<u64>) = droppable.partition(|n| unchanged(n + 1));
        let mut going = Vec::new();
        for sequence in first.into_iter().chain(last) {
            if size <= limit {
                break;
            }
            size = size.saturating_sub(file_size(&self.state.report(sequence)));
            going.push(sequence);
        }
        if !going.is_empty() {
            // Said before it is done: a report that is stated dropped and yet arrives does no harm, the reverse is a gap.
            let head = self.head.dropping(&going);
            head.save(&self.state)?;
            self.head = head;
            for sequence in &going {
                durable::remove(&self.state.report(*sequence))?;
                self.reports.remove(sequence);
            }
            tracing::warn!(dropped = going.len(), limit, "the spool is over its limit: unchanged reports were dropped");
        }
        Ok(size <= limit)
    }

    /// Deletes facts no spooled report names, besides those of the newest report.
    pub(crate) fn sweep(&self) -> anyhow::Result<()> {
        let manifests: BTreeSet<Digest> = self.reports.values().copied().chain(self.head.manifest).collect();
        let mut needed = manifests.clone();
        for manifest in manifests {
            // Without the manifest nobody knows what is needed: then nothing goes.
            let Some(manifest) = self.manifest(manifest)? else { return Ok(()) };
            needed.extend(manifest.needs());
        }
        for entry in std::fs::read_dir(self.state.facts())? {
            let path = entry?.path();
            if path.file_name().is_some_and(durable::is_set_aside) {
                continue;
            }
            let digest = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if digest.is_none_or(|digest| !needed.contains(&digest)) {
                durable::remove(&path)?;
            }
        }
        Ok(())
    }

    fn manifest(&self, digest: Digest) -> anyhow::Result<Option<Manifest>> {
        Ok(self.fact(digest)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn judge(&self, sequence: u64) -> Ack {
        let read = |path: &Path| durable::read(path, MAX_ENVELOPE as u64);
        let ack = match read(&self.state.ack(sequence)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ack::Worthless("it is gone".into()),
            Err(error) => return Ack::Worthless(error.to_string()),
        };
        let receipt = match seal::verify::<Receipt>(&ack, &self.pinned) {
            Ok(verified) => verified,
            Err(refusal) => return Ack::Worthless(refusal.to_string()),
        };
        let receipt = receipt.statement();
        if receipt.host != self.identity.host || receipt.sequence != sequence {
            return Ack::Worthless("it is for another report".into());
        }
        let report = match read(&self.state.report(sequence)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ack::Complete,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Vec::new(),
            Err(error) => return Ack::Worthless(error.to_string()),
        };
        match seal::verify::<Report>(&report, &self.own) {
            Ok(verified) if verified.id() != receipt.report => {
                Ack::Worthless("it is for a report of other content".into())
            }
            // Damaged here since it was sent, it is whole there.
            Ok(_) | Err(_) if receipt.lacks.is_empty() => Ack::Complete,
            Ok(_) => Ack::Lacking,
            Err(refusal) => Ack::Worthless(format!("the report itself is damaged: {refusal}")),
        }
    }

    /// The folder of receipts may be another user's: where it cannot be written to, `ship` clears it.
    fn discard(&self, sequence: u64) {
        if let Err(error) = durable::remove(&self.state.ack(sequence)) {
            tracing::debug!(%error, "leaving a receipt to ship");
        }
    }

    fn recover(&mut self) -> anyhow::Result<()> {
        self.head = self.last_head()?;
        self.finish()?;
        clear_staged(&self.state.reports())?;
        clear_staged(&self.state.facts())?;
        let mut lost = Vec::new();
        for sequence in numbers(&self.state.reports(), "json")? {
            match self.spooled(sequence)? {
                Some(report) => drop(self.reports.insert(sequence, report.manifest)),
                None => lost.push(sequence),
            }
        }
        self.lose(&lost)
    }

    /// Gives the report whose number is used up its name, where a crash or an error came in between.
    fn finish(&self) -> anyhow::Result<()> {
        let pending = self.state.report(self.head.sequence);
        let staged = durable::staged_name(&pending)?;
        if !pending.exists()
            && let Some(bytes) = durable::read(&staged, MAX_ENVELOPE as u64)?
            && seal::verify::<Report>(&bytes, &self.own).is_ok_and(|report| Some(report.id()) == self.head.report)
        {
            durable::publish(&staged, &pending)?;
            tracing::info!(sequence = self.head.sequence, "a report that a crash had left unnamed is in the spool");
        }
        Ok(())
    }

    /// `head.json`, or the newest report where that is newer: whichever shows the higher number used.
    fn last_head(&mut self) -> anyhow::Result<Head> {
        let written = Head::load(&self.state);
        let Some(newest) = numbers(&self.state.reports(), "json")?.pop() else { return written };
        if written.as_ref().is_ok_and(|head| head.sequence >= newest) {
            return written;
        }
        let path = self.state.report(newest);
        let bytes = self.envelope(newest)?;
        let head = match seal::verify::<Report>(&bytes, &self.own) {
            Ok(report) => written.unwrap_or_default().next(report.statement(), report.id()),
            Err(refusal) => {
                let mut head = written.with_context(|| format!("and report {newest} is damaged: {refusal}"))?;
                tracing::error!(sequence = newest, %refusal, "the newest report is damaged");
                durable::set_aside(&path)?;
                // Only the next number can have been used up by us: a stray far ahead must not end the chain.
                if newest != head.sequence.saturating_add(1) {
                    return self.last_head();
                }
                head = head.losing(&[newest]);
                head.sequence = newest;
                head
            }
        };
        tracing::warn!(sequence = newest, "the chain's head was behind the newest report and follows it now");
        head.save(&self.state)?;
        Ok(head)
    }

    /// A spooled report as far as it can be read; `None` if it is damaged, or another's.
    fn spooled(&self, sequence: u64) -> anyhow::Result<Option<Report>> {
        let report = seal::open(&self.envelope(sequence)?).and_then(|envelope| envelope.unverified::<Report>()).ok();
        Ok(report.filter(|report| report.sequence == sequence && report.host == self.identity.host))
    }

    /// The bytes of a spooled report; none where it is gone, or no file that can be read.
    fn envelope(&self, sequence: u64) -> std::io::Result<Vec<u8>> {
        match durable::read(&self.state.report(sequence), MAX_ENVELOPE as u64) {
            Ok(bytes) => Ok(bytes.unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Takes the lock at `path`, which lasts as long as the file is open.
pub(crate) fn lock(path: &Path) -> anyhow::Result<File> {
    let mut file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("opening the lock {}", path.display()))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => bail!("another process holds {}: it is already at work", path.display()),
        Err(error) => return Err(error).with_context(|| format!("locking {}", path.display())),
    }
    // For `status`, which shows how much memory this process uses.
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

fn clear_staged(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".new")) {
            durable::remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// What the files in `folder` take on disk.
pub(crate) fn folder_size(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.try_fold(0, |size, entry| Ok(size + file_size(&entry?.path())))
}

fn file_size(path: &Path) -> u64 {
    // 512 whatever the file system's block size: stat(2).
    std::fs::symlink_metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

#[cfg(test)]
mod tests;
