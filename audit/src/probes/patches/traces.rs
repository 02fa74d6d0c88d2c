//! What updating left behind: logs, the wish for a reboot, the running kernel, an interruption.

use std::path::Path;

use chrono::NaiveDate;

use super::{Fact, hide};
use crate::facts::Observed;
use crate::host::{Gap, Host, Question, gap::optional, read_small};

/// How much of the end of a log is read.
const TAIL: usize = 256 * 1024;
const MAX_NAMES: usize = 50;

/// Sees all of them.
pub(super) fn see(host: &dyn Host, state: &mut Observed<Fact>) {
    match last_upgrade(host) {
        Ok(Some(on)) => drop(state.seen.insert("upgraded".into(), Fact::Upgraded { on })),
        Ok(None) => {}
        Err(gap) => hide(state, "upgraded", gap),
    }
    match kernel(host) {
        Ok(kernel) => {
            state.seen.insert("kernel".into(), kernel);
            match reboot(host) {
                Ok(reboot) => drop(state.seen.insert("reboot".into(), reboot)),
                Err(gap) => hide(state, "reboot", gap),
            }
        }
        // What stands in /run of a system at rest means nothing.
        Err(gap) => {
            hide(state, "kernel", gap.clone());
            hide(state, "reboot", gap);
        }
    }
    match host.list(Path::new("/var/lib/dpkg/updates")) {
        Ok(entries) => {
            let digits = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            let files = entries.iter().filter(|entry| entry.name.to_str().is_some_and(digits)).count();
            state.seen.insert("journal".into(), Fact::Journal { files });
        }
        Err(gap) if gap.is_missing() => {}
        Err(gap) => hide(state, "journal", gap),
    }
}

fn kernel(host: &dyn Host) -> Result<Fact, Gap> {
    let answer = |question| host.ask(question).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Ok(Fact::Kernel { release: answer(Question::KernelRelease)?, version: answer(Question::KernelVersion)? })
}

fn reboot(host: &dyn Host) -> Result<Fact, Gap> {
    for folder in ["/run", "/var/run"] {
        let asked = optional(host.stat(Path::new(&format!("{folder}/reboot-required"))))?;
        if asked.is_none() {
            continue;
        }
        let listed =
            optional(read_small(host, Path::new(&format!("{folder}/reboot-required.pkgs"))))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&listed);
        let mut packages: Vec<String> =
            text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
        packages.sort();
        packages.dedup();
        packages.truncate(MAX_NAMES);
        return Ok(Fact::Reboot { packages, asked: true });
    }
    Ok(Fact::Reboot { packages: Vec::new(), asked: false })
}

/// The day of the last upgrade, by apt's log, else by dpkg's and the one before it.
fn last_upgrade(host: &dyn Host) -> Result<Option<NaiveDate>, Gap> {
    let mut latest = None;
    for path in ["/var/log/apt/history.log", "/var/log/dpkg.log", "/var/log/dpkg.log.1"] {
        let Some(stat) = optional(host.stat(Path::new(path)))? else { continue };
        let from = stat.size.saturating_sub(TAIL as u64);
        let bytes = host.read_part(Path::new(path), from, TAIL)?;
        let text = String::from_utf8_lossy(&bytes);
        latest = latest.max(if path.ends_with("history.log") { by_apt(&text) } else { by_dpkg(&text) });
    }
    Ok(latest)
}

/// `Start-Date:`, `Upgrade:`, `End-Date: 2026-01-02  03:04:05`, a blank line.
fn by_apt(text: &str) -> Option<NaiveDate> {
    let upgrades = text.split("\n\n").filter(|run| run.lines().any(|line| line.starts_with("Upgrade:")));
    upgrades.filter_map(|run| run.lines().find_map(|line| line.strip_prefix("End-Date:"))).filter_map(day).max()
}

/// `2026-01-02 03:04:05 upgrade openssl:amd64 1 2`.
fn by_dpkg(text: &str) -> Option<NaiveDate> {
    text.lines().filter(|line| line.split(' ').nth(2) == Some("upgrade")).filter_map(day).max()
}

fn day(text: &str) -> Option<NaiveDate> {
    text.split_whitespace().next()?.parse().ok()
}
