//! Podman's files: the lists that containers/storage keeps, and each container's OCI runtime configuration as it was when it
//! last started.

use std::path::Path;

use serde_json::Value;

use super::Container;
use super::text::{MOST, day, json, short, word, words};
use crate::facts::Facts;
use crate::host::{Gap, GapKind, Host, path_text};

const STORE: &str = "/var/lib/containers/storage";
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];
/// What every container has mounted, made by Podman itself.
const OWN: [&str; 3] = ["/var/lib/containers/", "/run/containers/", "/run/libpod/"];
/// The capabilities Podman and Docker give by default; Podman's list is in containers.conf(5).
const USUAL: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Only a privileged container has about all of them; Linux has 41.
const NEARLY_ALL: usize = 35;

pub(super) fn read(host: &dyn Host, facts: &mut Facts<Container, String>) {
    for driver in DRIVERS {
        let home = Path::new(STORE).join(format!("{driver}-containers"));
        let images = Path::new(STORE).join(format!("{driver}-images/images.json"));
        let mut names = Vec::new();
        match list(host, &images) {
            Ok(list) => {
                for image in &list {
                    let name = words(image, "names").find(|name| !name.contains('@')).map(short);
                    let id = word(image, "id");
                    let name = name.unwrap_or_else(|| short(id.get(..12).unwrap_or(id)));
                    names.push((id.to_owned(), name.clone()));
                    let subject = format!("podman:image:{name}");
                    match day(word(image, "created")) {
                        Some(day) => {
                            facts.state.seen.insert(subject, day);
                        }
                        None => facts.state.hide(subject, Gap::malformed(path_text(&images), "an image without a day")),
                    }
                }
            }
            Err(gap) => facts.state.hide("podman:image:", gap),
        }
        let containers = match list(host, &home.join("containers.json")) {
            Ok(containers) => containers,
            Err(gap) => {
                facts.items.hide("podman:", gap);
                continue;
            }
        };
        for entry in containers {
            let id = word(&entry, "id");
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                facts.items.hide("podman:", Gap::malformed(path_text(&home), "a container without an id"));
                continue;
            }
            let name = words(&entry, "names").next().map_or_else(|| short(id.get(..12).unwrap_or(id)), short);
            let image = names.iter().find(|(id, _)| id == word(&entry, "image")).map(|(_, name)| name.clone());
            let subject = format!("podman:{name}");
            match json(host, &home.join(id).join("userdata/config.json")) {
                Ok(config) => {
                    let mut container = config.as_ref().map(container).unwrap_or_default();
                    container.image = image.unwrap_or_else(|| short(word(&entry, "image")));
                    facts.items.seen.insert(subject, container);
                }
                Err(gap) => facts.items.hide(subject, gap),
            }
        }
    }
}

fn list(host: &dyn Host, path: &Path) -> Result<Vec<Value>, Gap> {
    match json(host, path)? {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MOST => Ok(list),
        Some(Value::Array(_)) => Err(Gap::new(GapKind::TooLarge, path_text(path), format!("more than {MOST} entries"))),
        Some(_) => Err(Gap::malformed(path_text(path), "not a JSON list")),
    }
}

/// What the OCI runtime specification's `config.json` says of a container's reach.
fn container(config: &Value) -> Container {
    let mut seen = Container::default();
    if let Some(uid) = config.pointer("/process/user/uid").and_then(Value::as_u64) {
        seen.user = uid.to_string();
    }
    let bounding = config.pointer("/process/capabilities").unwrap_or(&Value::Null);
    words(bounding, "bounding").for_each(|capability| seen.add(capability));
    if seen.added.len() >= NEARLY_ALL {
        // And nothing masked: what `--privileged` amounts to, and `--cap-add all` does not.
        let masked = config.pointer("/linux/maskedPaths").and_then(Value::as_array);
        seen.privileged = masked.is_none_or(Vec::is_empty);
        seen.added = ["ALL".to_owned()].into();
    } else {
        seen.added.retain(|capability| !USUAL.contains(&capability.as_str()));
    }
    if seen.privileged {
        seen.added.clear();
    }
    // A namespace that is not listed is the runtime's own: the host's.
    let namespaces = config.pointer("/linux/namespaces").and_then(Value::as_array);
    for kind in ["network", "pid", "ipc", "uts"] {
        let listed = |namespace: &Value| word(namespace, "type") == kind;
        if namespaces.is_some_and(|namespaces| !namespaces.iter().any(listed)) {
            seen.host.insert(kind.into());
        }
    }
    for mount in config.get("mounts").and_then(Value::as_array).into_iter().flatten() {
        let source = word(mount, "source");
        if word(mount, "type") != "bind" || !source.starts_with('/') || OWN.iter().any(|own| source.starts_with(own)) {
            continue;
        }
        // What the host's IPC namespace brings with it, which `host` says already.
        let shared = ["/dev/shm", "/dev/mqueue"].contains(&source) && word(mount, "destination") == source;
        if shared && seen.host.contains("ipc") {
            continue;
        }
        let read_only = words(mount, "options").any(|option| option == "ro");
        seen.binds.insert(short(&format!("{source}{}", if read_only { ":ro" } else { "" })));
    }
    // A privileged one is given them all, which `privileged` says already.
    if !seen.privileged {
        let devices = config.pointer("/linux/devices").and_then(Value::as_array);
        seen.devices.extend(devices.into_iter().flatten().map(|device| short(word(device, "path"))));
        if config.pointer("/linux/seccomp").is_none() {
            seen.unconfined.insert("seccomp".into());
        }
    }
    seen
}
