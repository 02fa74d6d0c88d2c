//! # protection
//!
//! Whether something guards the host: endpoint protection that is there, starts and runs, how old its definitions are, and whether the kernel enforces
//! mandatory access control.
//!
//! ## What it reads
//!
//! | source | feeds |
//! | --- | --- |
//! | the first 512 bytes of `daily`, `main` and `bytecode` (`.cvd` or `.cld`) in `/var/lib/clamav` | state `definitions:clamav/NAME` |
//! | `/etc/selinux/config` | item `selinux` |
//! | `/sys/fs/selinux/enforce`, `/sys/module/apparmor/parameters/enabled` | state `kernel:selinux`, `kernel:apparmor` |
//!
//! Which agents are there it takes from the `packages` and `services` probes, by names of packages and units:
//!
//! clamav, crowdstrike, sentinelone, defender, wazuh, osquery, sophos, trendmicro, eset, carbonblack, elastic, cortex, auditd, aide, tripwire, samhain, fail2ban,
//! rkhunter, apparmor.
//!
//! ## Items and state
//!
//! - item `selinux`: the mode configured for the next boot.
//! - state `definitions:clamav/NAME`: `version` and `built`, when the makers built it, in seconds since 1970, by the file's own header.
//! - state `kernel:selinux`: `enforcing` or `permissive`; `kernel:apparmor`: `enabled` or `disabled`. Nothing where the kernel has neither.
//!
//! The age of definitions is no fact: it is counted when judged.
//!
//! ## Expectations
//!
//! ```yaml
//! protection:
//!   any_of: [clamav, crowdstrike, defender]
//!   required: [auditd]
//!   definitions_age: 3d
//!   mandatory_access: enforced
//! ```
//!
//! - `any_of`: at least one of these guards the host: a unit of it starts with the host and, on a running one, is active. Tools without a unit of their own
//!   (aide, tripwire, rkhunter) count as soon as they are installed.
//! - `required`: each of these does.
//! - `definitions_age`: every ClamAV database was built within this time. Without ClamAV it does not apply.
//! - `mandatory_access: enforced`: SELinux enforces, or AppArmor is on; at rest, SELinux's configuration says so.
//!
//! ## What it cannot see
//!
//! What an agent does, whether it reaches its makers, and an agent that is in no table: ask `services` for its unit. Definitions of agents other than ClamAV:
//! they keep them in forms of their own. An agent installed without a package and without a unit.

mod agents;
mod clamav;
mod judge;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::duration::Length;
use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Gap, GapKind, Host, Question, gap, read_text};
use crate::probe::{Context, Probe};

/// The probe.
pub struct Protection;

/// SELinux's configured mode: `enforcing`, `permissive`, `disabled`, or what else is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// In lower case.
    pub mode: String,
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum State {
    /// A database of definitions.
    Definitions {
        /// Counted up by its makers.
        version: u64,
        /// When it was built, in seconds since 1970.
        built: i64,
    },
    /// A security module of the running kernel.
    Kernel {
        /// What it says of itself.
        mode: String,
    },
}

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Agents of which one must guard the host.
    pub any_of: Option<Vec<String>>,
    /// Agents that must.
    pub required: Option<Vec<String>>,
    /// How old definitions may be.
    pub definitions_age: Option<Length>,
    /// That the kernel enforces mandatory access control.
    pub mandatory_access: Option<Access>,
}

/// What may be asked of mandatory access control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// SELinux enforces, or AppArmor is on.
    Enforced,
}

const SELINUX: &str = "/sys/fs/selinux/enforce";
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";

impl Probe for Protection {
    const NAME: &'static str = "protection";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] =
        &["/var/lib/clamav/{daily,main,bytecode}.{cvd,cld}", "/etc/selinux/config", "/sys/kernel", SELINUX, APPARMOR];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &["packages", "services"];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        let mut facts = Facts::default();
        match gap::optional(read_text(host, "/etc/selinux/config")) {
            Ok(text) => {
                let mode = text
                    .as_deref()
                    .and_then(|text| text.lines().rev().find_map(|line| line.trim().strip_prefix("SELINUX=")));
                if let Some(mode) = mode {
                    facts.items.seen.insert("selinux".into(), Item { mode: mode.trim().to_lowercase() });
                }
            }
            Err(gap) => facts.items.hide("selinux", gap),
        }
        clamav::collect(host, &mut facts.state);
        kernel(host, &mut facts.state);
        facts
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context)
    }

    fn say(item: &Item) -> String {
        item.mode.clone()
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        for (key, list) in [("any_of", &expect.any_of), ("required", &expect.required)] {
            if list.as_ref().is_some_and(Vec::is_empty) {
                return Err((key.to_owned(), "an empty list asks nothing".to_owned()));
            }
            for (place, name) in list.iter().flatten().enumerate() {
                if agents::find(name).is_none() {
                    let known = agents::AGENTS.iter().map(|agent| agent.name).collect::<Vec<_>>().join(", ");
                    return Err((format!("{key}[{place}]"), format!("no agent `{name}` is known; known are {known}")));
                }
            }
        }
        let Expect { any_of, required, definitions_age, mandatory_access } = expect;
        if any_of.is_none() && required.is_none() && definitions_age.is_none() && mandatory_access.is_none() {
            let keys = "`any_of`, `required`, `definitions_age`, `mandatory_access`";
            return Err((String::new(), format!("ask at least one of {keys}")));
        }
        Ok(())
    }
}

fn kernel(host: &dyn Host, state: &mut Observed<State>) {
    // A root at rest has an empty /sys.
    if host.stat(Path::new("/sys/kernel")).is_err_and(|gap| gap.is_missing()) {
        return state.hide("kernel:", Gap::new(GapKind::NotLive, "/sys/kernel", "only a running system can tell"));
    }
    for (name, path, on, off) in
        [("selinux", SELINUX, "enforcing", "permissive"), ("apparmor", APPARMOR, "enabled", "disabled")]
    {
        match gap::optional(read_text(host, path)) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let mode = if matches!(text.trim(), "1" | "Y") { on } else { off };
                state.seen.insert(format!("kernel:{name}"), State::Kernel { mode: mode.into() });
            }
            Err(gap) => state.hide(format!("kernel:{name}"), gap),
        }
    }
}

#[cfg(test)]
mod tests;
