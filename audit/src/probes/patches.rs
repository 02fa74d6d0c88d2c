//! # patches
//!
//! Which updates are pending, and whether they come by themselves. Nothing is fetched and nothing is run: what is on offer stands in
//! the lists that `apt-get update` left on the disk.
//!
//! ## What it reads
//!
//! - apt's configuration, sources, pins and lists (as they are, or compressed with LZ4), and dpkg's database. Of the versions on
//!   offer the one counts that apt would choose: by priority, then by version.
//! - when the lists were last fetched: `/var/lib/apt/periodic/update-success-stamp`, else the folder of lists.
//! - when a package was last upgraded: `/var/log/apt/history.log`, `/var/log/dpkg.log`, by the day.
//! - `/run/reboot-required`, and of a running system its kernel's release and version, to compare with the kernels installed.
//! - what installs updates by itself: apt's `APT::Periodic` with unattended-upgrades, dnf-automatic, and their timers.
//!
//! ## Items
//!
//! `automatic/apt` and `automatic/dnf`, where there is such a thing: `{lacking, origins}`. `lacking` names what keeps it from working:
//! empty, it is on. `origins` is what unattended-upgrades may take.
//!
//! ## State
//!
//! - `update/NAME:ARCHITECTURE`: `{installed, candidate, from, security, held, phased}`, each pending update.
//! - `lists`: how many there are, how many of them from a security suite, and when they were fetched.
//! - `upgraded`: the day of the last upgrade. `reboot`: who asks for one. `kernel`: the one that runs. `journal`: whether dpkg was
//!   interrupted.
//! - `origin/NAME`: the dpkg packages whose installed version that repository offers; `origin/local` those that none offers.
//!
//! An update is a security update if its version, or one between it and the installed, is offered by a suite whose name ends in
//! `-security`.
//!
//! ## Expectations
//!
//! ```yaml
//! patches:
//!   security: applied      # no security update is pending
//!   updates: applied       # no update at all is
//!   lists_age: 7d          # the lists were fetched within
//!   upgraded_within: 40d   # something was upgraded within, or nothing is pending
//!   automatic: true          # updates install themselves
//!   reboot: none           # no reboot is pending
//!   database: whole        # the package database is neither interrupted nor between two states
//!   origins: ["Debian/*"]  # every dpkg package is one that such a repository offers
//! ```
//!
//! Each key may be left out. `held` packages count as pending; a phased update (Ubuntu) that is not for all hosts yet does not,
//! unless it is a security update. `origins` are globs over `Origin/Label/Codename` as the repositories call themselves; `local` is what
//! no list offers: installed by hand, or no longer offered.
//!
//! ## What it cannot see
//!
//! What was published since the lists were fetched. Pending updates of rpm, apk, pacman, snap and flatpak: there the answer is
//! *unknown*, not *none*. Lists compressed with gzip or xz, and pins by regular expression or source package: unknown. Whether an
//! update can be installed: what it depends on is not followed. The zone of the times that logs hold: a day may be off by one.

mod automatic;
mod expect;
mod pending;
mod traces;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Gap, GapKind, Host, Question};
use crate::probe::{Context, Probe};
use crate::probes::packages;

pub use expect::Expect;

/// The probe.
pub struct Patches;

/// Something that installs updates by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automatic {
    /// What keeps it from working, as sentence fragments.
    pub lacking: Vec<String>,
    /// What it may take updates from, where it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fact {
    /// A pending update.
    Update {
        /// The version that is installed.
        installed: String,
        /// The version that would be.
        candidate: String,
        /// Who offers it: `Debian/Debian-Security/bookworm-security`.
        from: String,
        /// Whether it mends a security flaw.
        security: bool,
        /// Whether somebody holds the package back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        held: bool,
        /// To how many hosts of a hundred it is offered so far.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phased: Option<u8>,
    },
    /// The lists of what is on offer.
    Lists {
        /// How many.
        count: usize,
        /// How many of them are from a security suite.
        security: usize,
        /// When they were fetched.
        fetched: Option<DateTime<Utc>>,
    },
    /// The last upgrade of any package.
    Upgraded {
        /// The day.
        on: NaiveDate,
    },
    /// A reboot that was asked for.
    Reboot {
        /// By which packages, where they say.
        packages: Vec<String>,
        /// Whether it was asked for at all.
        asked: bool,
    },
    /// The kernel that runs; uname(2).
    Kernel {
        /// `6.1.0-28-amd64`
        release: String,
        /// `#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)`
        version: String,
    },
    /// What dpkg has noted and not yet folded in: files left by an interruption.
    Journal {
        /// How many.
        files: usize,
    },
    /// The packages of one repository.
    Origin {
        /// Their subjects, sorted.
        packages: Vec<String>,
    },
}

impl Probe for Patches {
    const NAME: &'static str = "patches";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/apt/{apt.conf,sources.list,preferences}",
        "/etc/apt/{apt.conf.d,sources.list.d,preferences.d}",
        "/etc/apt/{apt.conf.d,sources.list.d,preferences.d}/*",
        "/var/lib/apt/lists",
        "/var/lib/apt/lists/*_{Packages,Packages.*,InRelease,Release}",
        "/var/lib/apt/periodic/update-success-stamp",
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/status.d",
        "/var/lib/dpkg/status.d/*",
        "/var/lib/dpkg/updates",
        "/var/lib/dpkg/updates/*",
        "/var/log/{apt/history.log,dpkg.log,dpkg.log.1}",
        "/{run,var/run}/{reboot-required,reboot-required.pkgs}",
        "/etc/dnf/automatic.conf",
        "/etc/systemd/system/{apt-daily.timer,apt-daily-upgrade.timer,dnf-automatic.timer,dnf-automatic-install.timer}",
        "/etc/systemd/system/timers.target.wants/{apt-daily,apt-daily-upgrade,dnf-automatic,dnf-automatic-install}.timer",
        "/etc/cron.daily/apt-compat",
    ];
    const ASKS: &'static [Question] = &[Question::KernelRelease, Question::KernelVersion];
    const NEEDS: &'static [&'static str] = &["packages"];
    type Item = Automatic;
    type State = Fact;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Automatic, Fact> {
        let mut facts = Facts::default();
        let installed = packages::of_dpkg(host);
        match &installed {
            Some(installed) => pending::see(host, installed, &mut facts.state),
            None => {
                let detail = "what is on offer is only read where apt keeps it";
                for prefix in ["update/", "lists", "origin/"] {
                    facts.state.hide(prefix, Gap::new(GapKind::Unsupported, "/var/lib/apt/lists", detail));
                }
            }
        }
        traces::see(host, &mut facts.state);
        automatic::see(host, installed.as_ref(), &mut facts.items);
        facts
    }

    fn judge(expect: &Expect, facts: &Facts<Automatic, Fact>, context: &Context<'_>) -> Vec<Judgement> {
        expect::judge(expect, facts, context)
    }

    fn say(item: &Automatic) -> String {
        if item.lacking.is_empty() { "on".into() } else { format!("off: {}", item.lacking.join(", ")) }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

/// A gap in what one subject of the state says.
fn hide(state: &mut Observed<Fact>, prefix: &str, gap: Gap) {
    state.hide(prefix, gap);
}

#[cfg(test)]
mod tests;
