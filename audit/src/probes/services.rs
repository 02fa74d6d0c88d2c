//! # services
//!
//! What starts with the host, what runs, and what was changed about it: systemd's units with their drop-ins, and init scripts
//! where systemd is not, or has no unit for them.
//!
//! ## What it reads
//!
//! | source | feeds | without it |
//! | --- | --- | --- |
//! | the folders systemd loads units from, in its order: `system.control`, `system`, `system.attached` under `/etc/systemd` and `/run/systemd`, the generators' folders, `systemd/system` under `/usr/local/lib`, `/usr/lib` and `/lib` | items | items hidden by a gap |
//! | `/etc/init.d`, `/etc/rcN.d`, OpenRC's `/etc/runlevels` | items `sysv:*` | the same |
//! | systemd over D-Bus (`ListUnits`, which changes nothing) | state | `running`, `only_running` and `failed` are `unknown`; on a root at rest they do not apply |
//!
//! Enablement is decided from the files alone, as `systemctl is-enabled` decides it, so a root file system at rest is judged as
//! a running host is.
//!
//! ## Items
//!
//! One a unit, by its full name (`ssh.service`, `getty@tty1.service`), of every kind that has a file; a template (`getty@.service`) and each
//! instance that a target wants. Its value:
//!
//! - `enablement`, in systemctl's words: `enabled`, `enabled-runtime`, `linked`, `linked-runtime`, `alias`, `masked`, `masked-runtime`,
//!   `static`, `disabled`, `indirect`, `generated`, `bad`. Left out where a unit that is not installed is wanted, or has drop-ins.
//! - `by`: the units whose `.wants`, `.requires` or `.upholds` folder links to it, an installed folder's too.
//! - `alias_of`: the unit an alias leads to.
//! - `file` and `digest` (SHA-256), where it is loaded from anything but an installed folder: an administrator's own unit, or one that takes an
//!   installed one's place. What a package installed is the package's, and drifts with it.
//! - `drop_ins`: each file `NAME.d/*.conf` with its SHA-256 (that of an empty file for a link to `/dev/null`), the strongest of equal names. What all units of a kind or a prefix share
//!   (`service.d`, `foo-.service.d`) is an item of that name.
//!
//! The content of units and drop-ins is never shown: `Environment=` may hold a secret.
//!
//! `sysv:NAME` is an init script with its `runlevels`; where systemd is, only if no unit of that name takes its place.
//!
//! Units that programs make at run time (`/run/systemd/transient`) are nobody's decision on file and no items; they show in the state.
//!
//! ## State
//!
//! By unit: `active`, `exited` (it ran to its end and counts as active), `failed` or `restarting` (it fails and is started again and again), of
//! services, sockets, timers and paths; of every other kind only what failed. What is being started or stopped at the moment is left
//! out, and so are `user@UID.service` and `user-runtime-dir@UID.service`, which come and go with sessions.
//!
//! ## Expectations
//!
//! ```yaml
//! services:
//!   enabled: [ssh, "{rsyslog,syslog-ng}"]
//!   running: [ssh, nftables]
//!   forbidden: [debug-shell, telnet.socket, "avahi-daemon.*"]
//!   masked: [ctrl-alt-del.target]
//!   only: [ssh, "systemd-*", "*.timer"]
//!   only_running: [ssh, "systemd-*"]
//!   failed: []
//!   overrides: ["getty@.service"]
//! ```
//!
//! - `enabled`: each starts with the host: it is enabled, generated at boot, or another unit's folder wants it. With a glob, at least one does.
//! - `running`: each is active now, or ran to its end and counts as active.
//! - `forbidden`: none starts with the host, and none is active.
//! - `masked`: each is masked: nothing can start it.
//! - `only`: whatever is enabled (services, sockets, timers, paths, scripts) matches one of these. Static units, which others start, do not count.
//! - `only_running`: whatever service, socket, timer or path is active matches one of these.
//! - `failed`: nothing failed or restarts again and again but these; `[]` for nothing at all.
//! - `overrides`: no unit has its file or a drop-in outside the installed folders but these; `[]` for none.
//!
//! A name without a kind is a service's: `ssh` is `ssh.service`, and the script `ssh`. A glob is over whole names; one that ends in `*`, `]` or `}` is
//! taken as it stands. An alias counts for the unit it leads to. On a host with neither systemd nor init scripts the rules do not apply.
//!
//! ## What it cannot see
//!
//! Users' own units. What a unit's generator will make at the next boot of a root at rest (`/etc/fstab`'s mounts, say). What D-Bus or a socket
//! starts on demand does not start with the host: forbid its socket too, or mask it. Conditions that keep an enabled unit from
//! starting. Presets: they are what a package's installation asks, and what was made of it are the links that are read. Links that lead through further links
//! outside the folders: such a unit is taken for what the last one leads to.

pub(in crate::probes) mod enablement;
mod expect;
pub(in crate::probes) mod install;
mod judge;
mod links;
pub(in crate::probes) mod names;
mod running;
mod sysv;
pub(in crate::probes) mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Gap, GapKind, Host, Question, path_text, read_small};
use crate::probe::{Context, Probe};
use tree::Tree;

pub use enablement::Enablement;
pub use expect::{Expect, UnitName};
pub use running::Running;

/// The probe.
pub struct Services;

/// One unit or init script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// How it is installed; `None` where only drop-ins are there, and for scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enablement: Option<Enablement>,
    /// The units that want it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub by: BTreeSet<String>,
    /// The unit an alias leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<String>,
    /// Where it is loaded from, outside installed folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The digest of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its drop-ins with their digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drop_ins: BTreeMap<String, Digest>,
    /// The runlevels a script starts in; `None` for units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runlevels: Option<BTreeSet<String>>,
}

impl Unit {
    /// Whether it starts with the host.
    pub fn starts(&self) -> bool {
        match self.enablement {
            Some(Enablement::Enabled | Enablement::EnabledRuntime | Enablement::Generated) => true,
            Some(Enablement::Masked | Enablement::MaskedRuntime | Enablement::Bad) => false,
            Some(
                Enablement::Linked
                | Enablement::LinkedRuntime
                | Enablement::Alias
                | Enablement::Static
                | Enablement::Disabled
                | Enablement::Indirect,
            ) => !self.by.is_empty(),
            None => self.runlevels.as_ref().is_some_and(|levels| !levels.is_empty()),
        }
    }
}

/// The programs of systemd itself: without one of them nothing acts on unit files.
pub(in crate::probes) const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

impl Probe for Services {
    const NAME: &'static str = "services";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/lib",
        "/usr/lib/systemd/systemd",
        "/lib/systemd/systemd",
        tree::READS_FOLDERS,
        tree::READS_UNITS,
        tree::READS_WITHIN,
        "/etc/init.d",
        "/etc/rc?.d",
        "/etc/runlevels",
        "/etc/runlevels/*",
    ];
    const ASKS: &'static [Question] = &[Question::Units];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Unit;
    type State = Running;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Unit, Running> {
        let has_systemd = SYSTEMD.iter().any(|path| host.stat(Path::new(path)).is_ok());
        let mut items = if has_systemd { units(host) } else { Observed::new() };
        scripts(host, &mut items);
        if !has_systemd && items.seen.is_empty() && items.gaps.is_empty() {
            let gap = Gap::new(GapKind::Unsupported, sysv::SCRIPTS, "neither systemd nor init scripts are here");
            return Facts::hidden(gap);
        }
        Facts { items, state: running::read(host) }
    }

    fn judge(expect: &Expect, facts: &Facts<Unit, Running>, _context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts)
    }

    fn say(item: &Unit) -> String {
        let mut said = match (&item.enablement, &item.runlevels) {
            (Some(enablement), _) => enablement.name().to_owned(),
            (None, Some(levels)) if levels.is_empty() => "script, in no runlevel".to_owned(),
            (None, Some(levels)) => format!("script, in runlevels {}", list(levels.iter())),
            (None, None) => "not installed".to_owned(),
        };
        if let Some(of) = &item.alias_of {
            said.push_str(&format!(" of {of}"));
        }
        if !item.by.is_empty() {
            said.push_str(&format!(", wanted by {}", list(item.by.iter())));
        }
        if let (Some(file), Some(digest)) = (&item.file, &item.digest) {
            said.push_str(&format!(", file {file} ({})", digest.short()));
        }
        if !item.drop_ins.is_empty() {
            let files = item.drop_ins.iter().map(|(file, digest)| format!("{file} ({})", digest.short()));
            said.push_str(&format!(", with {}", files.collect::<Vec<_>>().join(", ")));
        }
        said
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn units(host: &dyn Host) -> Observed<Unit> {
    let mut items = Observed::new();
    let tree = Tree::read(host);
    if let Some(gap) = &tree.gap {
        items.hide("", gap.clone());
    }
    for name in tree.names() {
        match unit(&tree, &name) {
            Ok(unit) => {
                items.seen.insert(name, unit);
            }
            Err(gap) => items.hide(name, gap),
        }
    }
    for (of, files) in &tree.drop_ins {
        let entry: &mut Unit = items.seen.entry(subject_of(of)).or_default();
        for file in files.values() {
            match tree.drop_in(file) {
                Ok(Some(bytes)) => {
                    entry.drop_ins.insert(path_text(file), Digest::of(&bytes));
                }
                Ok(None) => {}
                Err(gap) => items.gaps.extend([(subject_of(of), gap)]),
            }
        }
    }
    items
}

/// A unit's drop-ins are part of its item; those of a kind or prefix have one of their own, called as the folder is.
fn subject_of(of: &str) -> String {
    if names::is_valid(of) && !of.contains("-.") { of.to_owned() } else { format!("{of}.d") }
}

fn unit(tree: &Tree<'_>, name: &str) -> Result<Unit, Gap> {
    let decided = enablement::decide(tree, name)?;
    let by = tree.wanted_by(name);
    let mut unit = Unit { enablement: decided.enablement, by, ..Unit::default() };
    match decided.enablement {
        Some(Enablement::Alias) => unit.alias_of = Some(decided.name),
        None | Some(Enablement::Masked | Enablement::MaskedRuntime | Enablement::Bad | Enablement::Generated) => {}
        Some(
            Enablement::Enabled
            | Enablement::EnabledRuntime
            | Enablement::Linked
            | Enablement::LinkedRuntime
            | Enablement::Static
            | Enablement::Disabled
            | Enablement::Indirect,
        ) => {
            if let Some((path, folder)) = decided.file
                && tree.folders.get(folder).is_some_and(|folder| is_own(folder.path))
            {
                unit.digest = Some(Digest::of(&read_small(tree.host, &path)?));
                unit.file = Some(path_text(&path));
            }
        }
    }
    Ok(unit)
}

/// Whether what stands in a folder of the load path is somebody's own rather than a package's.
fn is_own(path: &str) -> bool {
    !path.starts_with("/usr/lib/") && !path.starts_with("/lib/")
}

fn scripts(host: &dyn Host, items: &mut Observed<Unit>) {
    match sysv::read(host) {
        Ok(scripts) => {
            for (script, runlevels) in scripts {
                // systemd-sysv-generator(8) passes over a script that has a unit of its name.
                let unit = items.seen.get(&format!("{script}.service"));
                if unit.is_none_or(|unit| matches!(unit.enablement, None | Some(Enablement::Generated))) {
                    let script_item = Unit { runlevels: Some(runlevels), ..Unit::default() };
                    items.seen.insert(format!("sysv:{script}"), script_item);
                }
            }
        }
        Err(gap) => items.hide("sysv:", gap),
    }
}

#[cfg(test)]
mod tests;
