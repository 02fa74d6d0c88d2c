//! What installs updates by itself: unattended-upgrades by apt's timers, and dnf-automatic.
//!
//! Sources: `/usr/lib/apt/apt.systemd.daily` for the meaning of `APT::Periodic`, unattended-upgrade(8), dnf-automatic(8).

use std::path::Path;

use super::Automatic;
use crate::apt::config::Config;
use crate::facts::Observed;
use crate::host::{Gap, Host, read_text};
use crate::probes::packages::{Package, State};

const UNITS: &str = "/etc/systemd/system";
const MAX_ORIGINS: usize = 50;

/// Sees each that is there.
pub(super) fn see(host: &dyn Host, installed: Option<&Observed<Package>>, items: &mut Observed<Automatic>) {
    if let Some(installed) = installed {
        match apt(host, installed) {
            Ok(apt) => drop(items.seen.insert("automatic/apt".into(), apt)),
            Err(gap) => items.hide("automatic/apt", gap),
        }
    }
    match read_text(host, "/etc/dnf/automatic.conf") {
        Ok(text) => match dnf(host, &text) {
            Ok(dnf) => drop(items.seen.insert("automatic/dnf".into(), dnf)),
            Err(gap) => items.hide("automatic/dnf", gap),
        },
        Err(gap) if gap.is_missing() => {}
        Err(gap) => items.hide("automatic/dnf", gap),
    }
}

fn apt(host: &dyn Host, installed: &Observed<Package>) -> Result<Automatic, Gap> {
    let config = Config::read(host)?;
    let mut lacking = Vec::new();
    let whole = |package: &Package| package.name == "unattended-upgrades" && package.state == State::Installed;
    if !installed.seen.values().any(whole) {
        if let Some(gap) = installed.gap_for("unattended-upgrades:") {
            return Err(gap.clone());
        }
        lacking.push("unattended-upgrades is not installed".to_owned());
    }
    // A number of days, or `always`; 0 is never.
    let on = |key: &str, unset: &str| !matches!(config.get(key).unwrap_or(unset).trim(), "" | "0");
    for (key, shown, unset) in [
        ("apt::periodic::enable", "APT::Periodic::Enable", "1"),
        ("apt::periodic::update-package-lists", "APT::Periodic::Update-Package-Lists", "0"),
        ("apt::periodic::unattended-upgrade", "APT::Periodic::Unattended-Upgrade", "0"),
    ] {
        if !on(key, unset) {
            lacking.push(format!("{shown} is off"));
        }
    }
    for timer in ["apt-daily", "apt-daily-upgrade"] {
        if !(is_enabled(host, timer)? || is_there(host, "/etc/cron.daily/apt-compat")? && !is_masked(host, timer)?) {
            lacking.push(format!("{timer}.timer is not enabled"));
        }
    }
    let mut origins: Vec<String> = ["unattended-upgrade::allowed-origins", "unattended-upgrade::origins-pattern"]
        .iter()
        .flat_map(|key| config.list(key))
        .map(str::to_owned)
        .collect();
    origins.truncate(MAX_ORIGINS);
    Ok(Automatic { lacking, origins })
}

fn dnf(host: &dyn Host, text: &str) -> Result<Automatic, Gap> {
    let value = |key: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
        let mut pairs = lines.filter_map(|line| line.split_once('='));
        pairs.find(|(own, _)| own.trim() == key).map(|(_, value)| value.trim().to_lowercase())
    };
    let mut lacking = Vec::new();
    let installs = is_enabled(host, "dnf-automatic-install")?;
    if !installs && !is_enabled(host, "dnf-automatic")? {
        lacking.push("neither dnf-automatic.timer nor dnf-automatic-install.timer is enabled".to_owned());
    }
    let applies = matches!(value("apply_updates").as_deref(), Some("yes" | "true" | "1" | "on"));
    if !applies && !installs {
        lacking.push("apply_updates is off".to_owned());
    }
    Ok(Automatic { lacking, origins: value("upgrade_type").into_iter().collect() })
}

fn is_enabled(host: &dyn Host, timer: &str) -> Result<bool, Gap> {
    Ok(is_there(host, &format!("{UNITS}/timers.target.wants/{timer}.timer"))? && !is_masked(host, timer)?)
}

/// A unit is masked by a link to nowhere; systemctl(1).
fn is_masked(host: &dyn Host, timer: &str) -> Result<bool, Gap> {
    let path = format!("{UNITS}/{timer}.timer");
    if !is_there(host, &path)? {
        return Ok(false);
    }
    Ok(host.link(Path::new(&path)).is_ok_and(|target| target == Path::new("/dev/null")))
}

fn is_there(host: &dyn Host, path: &str) -> Result<bool, Gap> {
    match host.lstat(Path::new(path)) {
        Ok(_) => Ok(true),
        Err(gap) if gap.is_missing() => Ok(false),
        Err(gap) => Err(gap),
    }
}
