//! `plumbline status`: whether this host is enrolled, what waits in the spool and why, and what the agent itself uses.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use audit::digest::Digest;
use audit::report::{HostId, Receipt, Report};
use audit::seal::{self, MAX_ENVELOPE};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::safe_text::line;
use super::{Format, given, printer};
use crate::durable;
use crate::identity::Identity;
use crate::ship::{Refused, refusal};
use crate::spool::{Head, folder_size};
use crate::state::{self, State, numbers};

/// Show how the agent on this host is doing.
#[derive(Args)]
pub(super) struct Status {
    /// Where the agent keeps its own things.
    #[arg(long, value_name = "DIR", default_value = state::DEFAULT)]
    state: PathBuf,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// What is shown.
#[derive(Debug, Serialize)]
struct Shown {
    enrolled: bool,
    host: Option<HostId>,
    collector: Option<String>,
    /// The SHA-256 of the host's public key.
    fingerprint: Option<Digest>,
    /// The number of the last report made.
    last_sequence: Option<u64>,
    spooled: usize,
    spool_bytes: u64,
    oldest_unacknowledged: Option<Waiting>,
    refused: Vec<RefusedReport>,
    last_receipt: Option<Receipt>,
    collect: Option<Process>,
    ship: Option<Process>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    sequence: u64,
    time: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
struct RefusedReport {
    sequence: u64,
    #[serde(flatten)]
    refused: Refused,
}

/// A running half of the agent.
#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    /// Resident, in bytes.
    memory: u64,
}

impl Status {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let shown = look(&given::state(&self.state)?)?;
        let text = match self.format {
            Format::Human => human(&shown),
            Format::Json => serde_json::to_string_pretty(&shown)? + "\n",
        };
        printer::print(&text)?;
        Ok(0)
    }
}

fn look(state: &State) -> anyhow::Result<Shown> {
    let identity = Identity::load(state)?;
    let spooled = numbers(&state.reports(), "json").context("listing the spool")?;
    let acknowledged = |sequence: &u64| {
        let receipt = identity.as_ref().and_then(|identity| receipt(&state.ack(*sequence), identity));
        receipt.is_some_and(|receipt| receipt.lacks.is_empty())
    };
    let oldest = spooled.iter().copied().find(|sequence| !acknowledged(sequence));
    let refused = spooled
        .iter()
        .copied()
        .filter_map(|sequence| refusal(state, sequence).map(|refused| RefusedReport { sequence, refused }));
    let size = |folder: &Path| folder_size(folder).unwrap_or(0);
    Ok(Shown {
        enrolled: identity.is_some(),
        host: identity.as_ref().map(|identity| identity.host.clone()),
        collector: identity.as_ref().map(|identity| identity.collector.clone()),
        fingerprint: identity.as_ref().map(Identity::fingerprint).transpose()?,
        last_sequence: Head::load(state).ok().map(|head| head.sequence),
        spooled: spooled.len(),
        spool_bytes: size(&state.reports()) + size(&state.facts()),
        oldest_unacknowledged: oldest.map(|sequence| Waiting { sequence, time: time(&state.report(sequence)) }),
        refused: refused.collect(),
        last_receipt: identity.as_ref().and_then(|identity| receipt(&state.last_receipt(), identity)),
        collect: process(&state.folder().join("collect.lock")),
        ship: process(&state.acks().join("ship.lock")),
    })
}

fn receipt(path: &Path, identity: &Identity) -> Option<Receipt> {
    let bytes = durable::read(path, MAX_ENVELOPE as u64).ok()??;
    Some(seal::verify::<Receipt>(&bytes, &identity.pinned_key().ok()?).ok()?.statement().clone())
}

fn time(report: &Path) -> Option<DateTime<Utc>> {
    let bytes = durable::read(report, MAX_ENVELOPE as u64).ok()??;
    Some(seal::open(&bytes).ok()?.unverified::<Report>().ok()?.time)
}

/// The process that holds the lock at `path`, if one does.
fn process(path: &Path) -> Option<Process> {
    let file = std::fs::File::open(path).ok()?;
    // A lock that can be taken is held by nobody; shared, and given back at once when the file closes.
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).err()?;
    let bytes = durable::read(path, 32).ok()??;
    let pid: u32 = std::str::from_utf8(&bytes).ok()?.trim().parse().ok()?;
    let mut system = System::new().ok()?;
    let only = [Pid::from_u32(pid)];
    let kind = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&only), false, kind);
    system.process(Pid::from_u32(pid)).map(|process| Process { pid, memory: process.memory() })
}

fn human(shown: &Shown) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut say = |name: &str, value: String| {
        let _written = writeln!(text, "{name:<22} {}", line(&value));
    };
    let Some(host) = shown.host.as_ref().filter(|_| shown.enrolled) else {
        say("enrolled", "no".into());
        return text;
    };
    say("host", host.to_string());
    say("collector", shown.collector.clone().unwrap_or_default());
    say("key fingerprint", shown.fingerprint.map(|digest| digest.to_string()).unwrap_or_default());
    say("last report", shown.last_sequence.map_or_else(|| "unknown".into(), |sequence| sequence.to_string()));
    say("spooled", format!("{} reports, {} KiB", shown.spooled, shown.spool_bytes / 1024));
    let oldest = shown.oldest_unacknowledged.as_ref().map(|waiting| {
        let time = waiting.time.map_or_else(|| "an unknown time".into(), |time| time.to_rfc3339());
        format!("report {} of {time}", waiting.sequence)
    });
    say("oldest unacknowledged", oldest.unwrap_or_else(|| "none".into()));
    for report in &shown.refused {
        say(
            "refused",
            format!("report {}: {} ({})", report.sequence, report.refused.why, report.refused.time.to_rfc3339()),
        );
    }
    let receipt = shown.last_receipt.as_ref();
    let receipt =
        receipt.map(|receipt| format!("report {} received {}", receipt.sequence, receipt.received.to_rfc3339()));
    say("last receipt", receipt.unwrap_or_else(|| "none".into()));
    for (name, process) in [("collect", &shown.collect), ("ship", &shown.ship)] {
        let process = process.as_ref();
        let running = process.map(|process| format!("running, {} KiB of memory", process.memory / 1024));
        say(name, running.unwrap_or_else(|| "not running".into()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_not_enrolled_is_said_to_be_so() {
        let folder = tempfile::tempdir().unwrap();
        let shown = look(&State::new(folder.path())).unwrap();
        assert!(!shown.enrolled);
        assert_eq!(human(&shown), "enrolled               no\n");
    }

    #[test]
    fn who_holds_a_lock_is_shown_with_its_memory_and_a_free_one_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("collect.lock");
        let held = crate::spool::lock(&path).unwrap();
        let process = process(&path).unwrap();
        assert_eq!(process.pid, std::process::id());
        assert!(process.memory > 0);
        drop(held);
        assert!(super::process(&path).is_none());
    }
}
