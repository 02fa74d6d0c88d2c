//! Containers that stand in configuration files of lines: quadlets (podman-systemd.unit(5)), LXC (lxc.container.conf(5)) and
//! systemd-nspawn (systemd.nspawn(5)).

use std::path::Path;

use super::Container;
use super::text::{entries, folders, short};
use crate::facts::Facts;
use crate::host::{EntryKind, Gap, Host, gap, path_text, read_small};

type Seen = Facts<Container, String>;

pub(super) fn read(host: &dyn Host, facts: &mut Seen) {
    for folder in ["/etc/containers/systemd", "/usr/share/containers/systemd"] {
        each(host, folder, ".container", "quadlet:", facts, quadlet);
    }
    each(host, "/etc/systemd/nspawn", ".nspawn", "nspawn:", facts, nspawn);
    lxc(host, facts);
    for (folder, prefix) in
        [("/var/lib/machines", "nspawn:"), ("/var/lib/incus/containers", "incus:"), ("/var/lib/lxd/containers", "lxd:")]
    {
        match entries(host, folder) {
            Ok(entries) => {
                let names = entries
                    .iter()
                    .filter(|entry| entry.kind != EntryKind::File)
                    .filter_map(|entry| entry.name.to_str());
                for name in names.filter(|name| !name.starts_with('.')) {
                    facts.items.seen.entry(format!("{prefix}{}", short(name))).or_default();
                }
            }
            Err(gap) => facts.items.hide(prefix, gap),
        }
    }
}

/// Reads each file of the folder whose name ends so; the first of a name counts.
fn each(host: &dyn Host, folder: &str, suffix: &str, prefix: &str, facts: &mut Seen, parse: fn(&str) -> Container) {
    let entries = match entries(host, folder) {
        Ok(entries) => entries,
        Err(gap) => return facts.items.hide(prefix, gap),
    };
    for entry in entries {
        let Some(stem) = entry.name.to_str().and_then(|name| name.strip_suffix(suffix)) else { continue };
        let subject = format!("{prefix}{}", short(stem));
        if facts.items.seen.contains_key(&subject) {
            continue;
        }
        match gap::optional(read_small(host, &Path::new(folder).join(&entry.name))) {
            Ok(Some(bytes)) => {
                facts.items.seen.insert(subject, parse(&String::from_utf8_lossy(&bytes)));
            }
            Ok(None) => {}
            Err(gap) => facts.items.hide(subject, gap),
        }
    }
}

/// Keys and values of an ini-like file.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim()))
}

fn is_yes(value: &str) -> bool {
    ["yes", "true", "on", "1"].contains(&value.to_ascii_lowercase().as_str())
}

/// A volume's part of the host: an absolute path before the first colon.
fn bind(seen: &mut Container, value: &str, read_only: bool) {
    let mut parts = value.split(':');
    let source = parts.next().unwrap_or_default();
    if source.starts_with('/') {
        let read_only =
            read_only || parts.nth(1).is_some_and(|options| options.split(',').any(|option| option == "ro"));
        seen.binds.insert(short(&format!("{source}{}", if read_only { ":ro" } else { "" })));
    }
}

fn quadlet(text: &str) -> Container {
    let mut seen = Container::default();
    for (key, value) in pairs(text) {
        match key {
            "Image" => seen.image = short(value),
            "User" => seen.user = short(value),
            "Restart" => seen.restart = short(value),
            "AddCapability" => value.split_ascii_whitespace().for_each(|capability| seen.add(capability)),
            "AddDevice" => {
                seen.devices.insert(short(value.split(':').next().unwrap_or_default()));
            }
            "Network" if value == "host" => {
                seen.host.insert("network".into());
            }
            "Volume" => bind(&mut seen, value, false),
            "SeccompProfile" if value == "unconfined" => {
                seen.unconfined.insert("seccomp".into());
            }
            "SecurityLabelDisable" if is_yes(value) => {
                seen.unconfined.insert("label".into());
            }
            "PodmanArgs" => arguments(&mut seen, value),
            _ => {}
        }
    }
    seen
}

/// Of what is handed on to Podman, what widens a container's reach.
fn arguments(seen: &mut Container, value: &str) {
    for word in value.split_ascii_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("--privileged", "" | "true") => seen.privileged = true,
            ("--pid", "host") => {
                seen.host.insert("pid".into());
            }
            ("--ipc", "host") => {
                seen.host.insert("ipc".into());
            }
            ("--network" | "--net", "host") => {
                seen.host.insert("network".into());
            }
            ("--cap-add", added) => added.split(',').for_each(|capability| seen.add(capability)),
            ("-v" | "--volume", volume) => bind(seen, volume, false),
            _ => {}
        }
    }
}

fn nspawn(text: &str) -> Container {
    let mut seen = Container::default();
    // As units start it, a machine has its own users and network unless its file says otherwise.
    for (key, value) in pairs(text) {
        match key {
            "User" => seen.user = short(value),
            "Capability" => value.split_ascii_whitespace().for_each(|capability| seen.add(capability)),
            "PrivateUsers" if !is_yes(value) && ["no", "false", "0", "off"].contains(&value) => {
                seen.host.insert("user".into());
            }
            "Private" | "VirtualEthernet" if ["no", "false", "0", "off"].contains(&value) => {
                seen.host.insert("network".into());
            }
            "Bind" => bind(&mut seen, value.trim_start_matches('+'), false),
            "BindReadOnly" => bind(&mut seen, value.trim_start_matches('+'), true),
            _ => {}
        }
    }
    if seen.added.contains("ALL") {
        seen.privileged = true;
    }
    seen
}

fn lxc(host: &dyn Host, facts: &mut Seen) {
    let home = "/var/lib/lxc";
    let names = match folders(host, home) {
        Ok(names) => names,
        Err(gap) => return facts.items.hide("lxc:", gap),
    };
    for name in names {
        let path = Path::new(home).join(&name).join("config");
        match gap::optional(read_small(host, &path)) {
            Ok(Some(bytes)) => {
                facts
                    .items
                    .seen
                    .insert(format!("lxc:{}", short(&name)), lxc_container(&String::from_utf8_lossy(&bytes)));
            }
            Ok(None) => {}
            Err(gap) => facts.items.hide(format!("lxc:{}", short(&name)), Gap { what: path_text(&path), ..gap }),
        }
    }
}

fn lxc_container(text: &str) -> Container {
    let mut seen = Container::default();
    let mut mapped = false;
    for (key, value) in pairs(text) {
        match key {
            "lxc.idmap" | "lxc.id_map" => mapped = true,
            "lxc.net.0.type" | "lxc.network.type" if value == "none" => {
                seen.host.insert("network".into());
            }
            "lxc.namespace.keep" => {
                let kept = value.split_ascii_whitespace().map(|kind| if kind == "net" { "network" } else { kind });
                seen.host.extend(kept.map(short));
            }
            "lxc.apparmor.profile" | "lxc.aa_profile" if value == "unconfined" => {
                seen.unconfined.insert("apparmor".into());
            }
            "lxc.mount.entry" => {
                let mut fields = value.split_ascii_whitespace();
                let source = fields.next().unwrap_or_default();
                let options = fields.nth(2).unwrap_or_default();
                if options.split(',').any(|option| option == "bind" || option == "rbind") {
                    bind(&mut seen, source, options.split(',').any(|option| option == "ro"));
                }
            }
            "lxc.start.auto" if value == "1" => seen.restart = "with the host".into(),
            _ => {}
        }
    }
    // Without a map of ids, root in there is root out here: lxc.container.conf(5).
    if !mapped {
        seen.host.insert("user".into());
    }
    seen
}
