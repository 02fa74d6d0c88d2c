//! # platform
//!
//! What kind of machine this is: the system, its machine id, what it runs on, its hardware, time zone and language.
//!
//! ## What it reads
//!
//! | source | feeds | without it |
//! | --- | --- | --- |
//! | `/etc/os-release`, `/usr/lib/os-release` | items `os:*` | hidden by a gap |
//! | `/etc/machine-id` | item `machine-id` | hidden by a gap |
//! | `/etc/localtime` (where the link leads), `/etc/timezone` | item `timezone` | hidden by a gap |
//! | `/etc/locale.conf`, `/etc/default/locale` | item `locale` | hidden by a gap |
//! | `uname(2)` | whether this is a running system | on a root at rest nothing of the state applies |
//! | `/run/systemd/container`, `/run/.containerenv`, `/.dockerenv`, `/run/host/container-manager`, `/proc/sys/kernel/osrelease` | state `container` | `unknown` |
//! | `/sys/class/dmi/id`, `/sys/hypervisor/type`, `/proc/device-tree/hypervisor/compatible`, `/proc/cpuinfo` | state `machine` | `unknown` |
//! | `/proc/cpuinfo`, `/proc/meminfo`, `/sys/block`, `/proc/sys/kernel/random/boot_id` | state `processors`, `processor`, `memory`, `disk:*`, `boot` | hidden by a gap |
//!
//! ## Items
//!
//! `os:id`, `os:version`; `machine-id`; `timezone`; `locale`. The machine id is confidential (machine-id(5)), and never shown: the item is
//! the first 32 digits of SHA-256 over `plumbline`, a zero byte and the id, which tells two machines apart and nothing else.
//! `none` where the file is empty or says `uninitialized`, as an image's should be.
//!
//! ## State
//!
//! - `container`: `none`, or `docker`, `podman`, `lxc`, `systemd-nspawn`, `wsl`, … in systemd-detect-virt(1)'s words.
//! - `machine`: `physical`, or `kvm`, `qemu`, `amazon`, `google`, `microsoft`, `vmware`, `oracle`, `xen`, …; `vm-other` where the processor says
//!   that it is virtual and no table knows by whom.
//! - `boot`: the boot's id, another after each. `processor`, `processors`; `memory`, rounded to 256 MiB, in MiB; `disk:NAME`, in GiB.
//!
//! ## Expectations
//!
//! ```yaml
//! platform:
//!   os: [debian, ubuntu]
//!   timezone: [Etc/UTC, UTC]
//!   locale: [C.UTF-8, en_GB.UTF-8]
//!   machines: [kvm, amazon, physical]
//!   containers: [none]
//!   machine_id: set
//!   memory_at_least: 2048
//!   processors_at_least: 2
//! ```
//!
//! Each list: one of these and no other. `machine_id`: `set` for a host, `none` for an image that is to become many. A host without
//! `/etc/localtime` is on UTC.
//!
//! ## What it cannot see
//!
//! What only the processor's own instructions tell (`cpuid`): KVM under a QEMU without its name in DMI is `vm-other` or `qemu`. A container
//! whose manager leaves no file. A virtual machine is not told from a bare-metal instance of Amazon by its firmware. The identity of a cloud
//! instance: `plumbline enroll` asks EC2 for it, once.

mod hardware;
mod virtualisation;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind, Host, Question, gap, path_text, read_small};
use crate::probe::{Context, Probe};

/// The probe.
pub struct Platform;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// `ID` of os-release.
    pub os: Option<Vec<String>>,
    /// Time zones by name.
    pub timezone: Option<Vec<String>>,
    /// Values of `LANG`.
    pub locale: Option<Vec<String>>,
    /// What it may run on.
    pub machines: Option<Vec<String>>,
    /// What it may run in.
    pub containers: Option<Vec<String>>,
    /// Whether there is to be a machine id.
    pub machine_id: Option<MachineId>,
    /// In MiB.
    pub memory_at_least: Option<u64>,
    /// How many.
    pub processors_at_least: Option<u64>,
}

/// Whether a machine id is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineId {
    /// A host's own.
    Set,
    /// An image's.
    None,
}

const ZONES: &str = "/usr/share/zoneinfo/";
/// The longest value, in characters.
const LONGEST: usize = 200;

impl Probe for Platform {
    const NAME: &'static str = "platform";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/os-release",
        "/usr/lib/os-release",
        "/etc/machine-id",
        "/etc/localtime",
        "/etc/timezone",
        "/etc/locale.conf",
        "/etc/default/locale",
        "/run/systemd/container",
        "/run/host/container-manager",
        "/run/.containerenv",
        "/.dockerenv",
        "/proc/sys/kernel/osrelease",
        "/proc/vz",
        "/proc/bc",
        "/proc/xen/capabilities",
        "/sys/class/dmi/id/{product_name,sys_vendor,board_vendor,bios_vendor,product_version}",
        "/sys/hypervisor/type",
        "/proc/device-tree/hypervisor/compatible",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/sys/kernel/random/boot_id",
        "/sys/block",
        "/sys/block/*/size",
    ];
    const ASKS: &'static [Question] = &[Question::KernelRelease];
    const NEEDS: &'static [&'static str] = &[];
    type Item = String;
    type State = String;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<String, String> {
        let mut facts = Facts { items: Observed::new(), state: Observed::new() };
        system(host, &mut facts.items);
        keep(&mut facts.items, "machine-id", machine_id(host));
        keep(&mut facts.items, "timezone", timezone(host));
        keep(&mut facts.items, "locale", locale(host));
        match host.ask(Question::KernelRelease) {
            Ok(_) => {
                keep(&mut facts.state, "container", virtualisation::container(host));
                keep(&mut facts.state, "machine", virtualisation::machine(host));
                hardware::read(host, &mut facts.state);
            }
            Err(gap) => facts.state = Observed::hidden(gap),
        }
        facts
    }

    fn judge(expect: &Expect, facts: &Facts<String, String>, _context: &Context<'_>) -> Vec<Judgement> {
        let mut told = Vec::new();
        for (wanted, subject) in [(&expect.os, "os:id"), (&expect.timezone, "timezone"), (&expect.locale, "locale")] {
            told.extend(wanted.as_ref().map(|wanted| one_of(wanted, subject, &facts.items)));
        }
        for (wanted, subject) in [(&expect.machines, "machine"), (&expect.containers, "container")] {
            told.extend(wanted.as_ref().map(|wanted| one_of(wanted, subject, &facts.state)));
        }
        if let Some(wanted) = expect.machine_id {
            let expected = if wanted == MachineId::Set { "set" } else { "none" };
            let holds = |id: &str| (id == "none") == (wanted == MachineId::None);
            told.push(judged("machine-id", expected, &facts.items, holds));
        }
        for (least, subject) in [(expect.memory_at_least, "memory"), (expect.processors_at_least, "processors")] {
            told.extend(least.map(|least| {
                let holds = |value: &str| value.parse::<u64>().is_ok_and(|value| value >= least);
                judged(subject, &format!("at least {least}"), &facts.state, holds)
            }));
        }
        told
    }

    fn say(item: &String) -> String {
        item.clone()
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        let Expect { os, timezone, locale, machines, containers, machine_id, memory_at_least, processors_at_least } =
            expect;
        let lists = [
            ("os", os),
            ("timezone", timezone),
            ("locale", locale),
            ("machines", machines),
            ("containers", containers),
        ];
        if let Some((key, _)) = lists.iter().find(|(_, list)| list.as_ref().is_some_and(Vec::is_empty)) {
            return Err(((*key).to_owned(), "an empty list allows nothing".into()));
        }
        let asks = lists.iter().any(|(_, list)| list.is_some()) || machine_id.is_some();
        if !asks && memory_at_least.is_none() && processors_at_least.is_none() {
            return Err((String::new(), "ask for something: `os`, `timezone`, `machines`, …".into()));
        }
        Ok(())
    }
}

fn one_of(wanted: &[String], subject: &str, seen: &Observed<String>) -> Judgement {
    judged(subject, &wanted.join(" or "), seen, |value| wanted.iter().any(|own| own == value))
}

fn judged(subject: &str, expected: &str, seen: &Observed<String>, holds: impl Fn(&str) -> bool) -> Judgement {
    match (seen.gap_for(subject), seen.seen.get(subject)) {
        (Some(gap), _) => Judgement::unseen(gap, subject, expected),
        (None, Some(value)) => Judgement::when(holds(value), subject, expected, value),
        (None, None) => Judgement::new(Status::Deviation, subject, expected, "not set"),
    }
}

/// What was found; nothing where there is nothing, a gap where it could not be seen.
fn keep(seen: &mut Observed<String>, subject: &str, found: Result<Option<String>, Gap>) {
    match found {
        Ok(Some(value)) => {
            seen.seen.insert(subject.to_owned(), short(&value));
        }
        Ok(None) => {}
        Err(gap) => seen.hide(subject, gap),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn text(host: &dyn Host, path: &str) -> Result<Option<String>, Gap> {
    let bytes = gap::optional(read_small(host, Path::new(path)))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The value of `KEY=value` in `text`, without quotes.
fn assigned<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = text.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\''])).filter(|value| !value.is_empty())
}

fn system(host: &dyn Host, items: &mut Observed<String>) {
    let own = text(host, "/etc/os-release");
    let release = match own {
        Ok(None) => text(host, "/usr/lib/os-release"),
        found => found,
    };
    match release {
        Ok(Some(release)) => {
            // An os-release that does not say is Linux's: os-release(5).
            items.seen.insert("os:id".into(), short(assigned(&release, "ID").unwrap_or("linux")));
            if let Some(version) = assigned(&release, "VERSION_ID") {
                items.seen.insert("os:version".into(), short(version));
            }
        }
        Ok(None) => items.hide("os:", Gap::new(GapKind::Missing, "/etc/os-release", "no such file or folder")),
        Err(gap) => items.hide("os:", gap),
    }
}

fn machine_id(host: &dyn Host) -> Result<Option<String>, Gap> {
    let id = text(host, "/etc/machine-id")?.unwrap_or_default();
    let id = id.trim();
    if id.is_empty() || id == "uninitialized" {
        return Ok(Some("none".into()));
    }
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Gap::malformed("/etc/machine-id", "not 32 hexadecimal digits"));
    }
    let digest = Digest::of([b"plumbline\0", id.as_bytes()].concat().as_slice());
    Ok(Some(digest.as_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()))
}

/// localtime(5): the link's target beneath the zones; Debian keeps the name in a file too.
fn timezone(host: &dyn Host) -> Result<Option<String>, Gap> {
    let path = Path::new("/etc/localtime");
    match host.link(path) {
        Ok(target) => {
            let target = path_text(&target);
            let name = target.split_once(ZONES.trim_start_matches('/')).map(|(_, name)| name.to_owned());
            return name.map(Some).ok_or_else(|| Gap::malformed("/etc/localtime", "it leads to no time zone"));
        }
        Err(gap) if gap.is_missing() => return Ok(Some("UTC".into())),
        // A copy of the zone's file.
        Err(gap) if gap.kind == GapKind::Failed => {}
        Err(gap) => return Err(gap),
    }
    match text(host, "/etc/timezone")? {
        Some(name) => Ok(Some(name.trim().to_owned())),
        None => Err(Gap::new(GapKind::Unsupported, "/etc/localtime", "a copy of a zone, which does not tell its name")),
    }
}

fn locale(host: &dyn Host) -> Result<Option<String>, Gap> {
    for path in ["/etc/locale.conf", "/etc/default/locale"] {
        if let Some(text) = text(host, path)? {
            return Ok(assigned(&text, "LANG").map(str::to_owned));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
