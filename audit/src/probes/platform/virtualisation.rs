//! What the host runs in and on, as far as files tell it, in systemd-detect-virt(1)'s words.

use std::path::Path;

use super::text;
use crate::host::{Gap, Host};

/// What firmware calls itself, by its beginning, and whose it is.
const FIRMWARE: [(&str, &str); 18] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Oracle Corporation", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Virtual Machine", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
];
/// Container managers by the names systemd knows them by.
const MANAGERS: [&str; 9] =
    ["docker", "lxc", "lxc-libvirt", "podman", "pouch", "proot", "rkt", "systemd-nspawn", "wsl"];
const DMI: [&str; 5] = ["product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"];

/// What it runs in.
pub(super) fn container(host: &dyn Host) -> Result<Option<String>, Gap> {
    let is_there = |path: &str| host.stat(Path::new(path)).is_ok();
    if is_there("/proc/vz") && !is_there("/proc/bc") {
        return Ok(Some("openvz".into()));
    }
    let release = text(host, "/proc/sys/kernel/osrelease")?.unwrap_or_default();
    if release.contains("Microsoft") || release.contains("WSL") {
        return Ok(Some("wsl".into()));
    }
    for path in ["/run/host/container-manager", "/run/systemd/container"] {
        let said = text(host, path)?.unwrap_or_default();
        // `oci` is any manager that keeps to the runtime specification: its own mark tells which.
        match said.trim() {
            "" | "oci" => {}
            name => {
                return Ok(Some(if MANAGERS.contains(&name) { name } else { "container-other" }.into()));
            }
        }
    }
    let marked = [("/run/.containerenv", "podman"), ("/.dockerenv", "docker")];
    let found = marked.iter().find(|(path, _)| is_there(path)).map_or("none", |(_, name)| name);
    Ok(Some(found.into()))
}

/// What it runs on.
pub(super) fn machine(host: &dyn Host) -> Result<Option<String>, Gap> {
    for name in DMI {
        let said = text(host, &format!("/sys/class/dmi/id/{name}"))?.unwrap_or_default();
        // Oracle and Microsoft make machines too; their firmware names the virtual ones by product.
        let vendor_only = |name: &str, prefix: &str| name != "product_name" && prefix == "Virtual Machine";
        let known = FIRMWARE.iter().find(|(prefix, _)| said.starts_with(prefix) && !vendor_only(name, prefix));
        if let Some((prefix, whose)) = known
            && *prefix != "Oracle Corporation"
        {
            return Ok(Some((*whose).into()));
        }
    }
    if let Some(kind) = text(host, "/sys/hypervisor/type")? {
        // The first domain of Xen is on the machine itself.
        let first = text(host, "/proc/xen/capabilities")?.unwrap_or_default().contains("control_d");
        return Ok(Some(if first { "physical".into() } else { kind.trim().to_owned() }));
    }
    if let Some(compatible) = text(host, "/proc/device-tree/hypervisor/compatible")? {
        let whose = [("linux,kvm", "kvm"), ("xen", "xen"), ("vmware", "vmware")];
        let known = whose.iter().find(|(word, _)| compatible.contains(word));
        return Ok(Some(known.map_or("vm-other", |(_, whose)| whose).into()));
    }
    let processors = text(host, "/proc/cpuinfo")?.unwrap_or_default();
    if processors.lines().any(|line| line.starts_with("vendor_id") && line.contains("User Mode Linux")) {
        return Ok(Some("uml".into()));
    }
    let mut flags = processors.lines().filter(|line| line.starts_with("flags"));
    let is_virtual = flags.next().is_some_and(|line| line.split(' ').any(|flag| flag == "hypervisor"));
    Ok(Some(if is_virtual { "vm-other" } else { "physical" }.into()))
}
