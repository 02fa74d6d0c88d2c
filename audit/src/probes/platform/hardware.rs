//! Processors, memory and disks, and which boot this is: proc(5), sysfs.

use std::path::Path;

use super::{keep, text};
use crate::facts::Observed;
use crate::host::{Gap, Host, gap};

/// Memory is rounded to this, in MiB: kernels keep more or less for themselves.
const GRAIN: u64 = 256;
/// The most disks that are kept.
const MOST: usize = 200;
/// Block devices that are no disks.
const NONE: [&str; 6] = ["loop", "ram", "zram", "dm-", "sr", "nbd"];

pub(super) fn read(host: &dyn Host, state: &mut Observed<String>) {
    let boot = text(host, "/proc/sys/kernel/random/boot_id");
    keep(state, "boot", boot.map(|id| id.map(|id| id.trim().to_owned())));
    match text(host, "/proc/cpuinfo") {
        Ok(Some(text)) => {
            let count = text.lines().filter(|line| line.starts_with("processor")).count();
            state.seen.insert("processors".into(), count.to_string());
            let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
            keep(state, "processor", Ok(model.map(|(_, model)| model.trim().to_owned())));
        }
        Ok(None) => state.hide("processors", Gap::malformed("/proc/cpuinfo", "not there")),
        Err(gap) => state.hide("processors", gap),
    }
    keep(state, "memory", memory(host));
    if let Err(gap) = disks(host, state) {
        state.hide("disk:", gap);
    }
}

fn memory(host: &dyn Host) -> Result<Option<String>, Gap> {
    let path = "/proc/meminfo";
    let text = text(host, path)?.unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|total| total.trim().strip_suffix(" kB")?.trim().parse().ok());
    let kib = kib.ok_or_else(|| Gap::malformed(path, "no total"))?;
    Ok(Some(((kib / 1024 + GRAIN / 2) / GRAIN * GRAIN).to_string()))
}

fn disks(host: &dyn Host, state: &mut Observed<String>) -> Result<(), Gap> {
    for entry in gap::optional(host.list(Path::new("/sys/block")))?.unwrap_or_default().into_iter().take(MOST) {
        let Some(name) = entry.name.to_str().filter(|name| !NONE.iter().any(|none| name.starts_with(none))) else {
            continue;
        };
        // In sectors of 512 bytes, whatever the disk's own are.
        let sectors = text(host, &format!("/sys/block/{name}/size"))?.and_then(|text| text.trim().parse::<u64>().ok());
        if let Some(sectors) = sectors.filter(|sectors| *sectors > 0) {
            let gib = (sectors / 2 / 1024 + 512) / 1024;
            keep(state, &format!("disk:{name}"), Ok(Some(gib.to_string())));
        }
    }
    Ok(())
}
