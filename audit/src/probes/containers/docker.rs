//! Docker's files: `config.v2.json` and `hostconfig.json` of each container (moby's `container.Container` and
//! `container.HostConfig`), `repositories.json`, and the images' own configuration (the OCI image specification).

use std::path::Path;

use serde_json::Value;

use super::text::{day, folders, json, short, word, words};
use super::{Container, text};
use crate::facts::Facts;
use crate::host::{Gap, GapKind, Host};

const HOME: &str = "/var/lib/docker";
const DAEMON: &str = "/etc/docker/daemon.json";

type Seen = Facts<Container, String>;

pub(super) fn read(host: &dyn Host, facts: &mut Seen) {
    let daemon = json(host, Path::new(DAEMON));
    let elsewhere = match &daemon {
        Ok(Some(Value::Object(settings))) => {
            let said = settings.iter().map(|(key, value)| short(&format!("{key}: {}", shown(key, value)))).collect();
            facts.items.seen.insert("docker-daemon".into(), Container { settings: said, ..Container::default() });
            settings.get("data-root").or(settings.get("graph")).and_then(Value::as_str)
        }
        Ok(Some(_)) => {
            facts.items.hide("docker-daemon", Gap::malformed(DAEMON, "not a JSON object"));
            None
        }
        Ok(None) => None,
        Err(gap) => {
            facts.items.hide("docker-daemon", gap.clone());
            None
        }
    };
    if let Some(folder) = elsewhere.filter(|folder| folder.trim_end_matches('/') != HOME) {
        let gap =
            Gap::new(GapKind::Unsupported, short(folder), "Docker keeps its containers elsewhere than /var/lib/docker");
        facts.items.hide("docker:", gap.clone());
        return facts.state.hide("docker:", gap);
    }
    containers(host, facts);
    images(host, facts);
}

/// What may hold a password or name an inner host with one is not shown.
fn shown(key: &str, value: &Value) -> String {
    let telling = ["prox", "opts", "auth", "label", "env"].iter().any(|word| key.contains(word));
    if telling { "(not shown)".into() } else { value.to_string() }
}

fn containers(host: &dyn Host, facts: &mut Seen) {
    let home = format!("{HOME}/containers");
    let ids = match folders(host, &home) {
        Ok(ids) => ids,
        Err(gap) => {
            facts.items.hide("docker:", gap.clone());
            return facts.state.hide("docker:container:", gap);
        }
    };
    for id in ids {
        let at = |file: &str| Path::new(&home).join(&id).join(file);
        let config = json(host, &at("config.v2.json"));
        let limits = json(host, &at("hostconfig.json"));
        let (config, limits) = match (config, limits) {
            (Ok(Some(config)), Ok(Some(limits))) => (config, limits),
            // Being made, or removed, at this moment.
            (Ok(None), Ok(_)) => continue,
            (Ok(Some(_)), Ok(None)) => {
                facts.items.hide("docker:", Gap::malformed(format!("{home}/{id}"), "no hostconfig.json"));
                continue;
            }
            (Err(gap), _) | (_, Err(gap)) => {
                facts.items.hide("docker:", gap);
                continue;
            }
        };
        let name = short(word(&config, "Name").trim_start_matches('/'));
        let name = if name.is_empty() { short(id.get(..12).unwrap_or(&id)) } else { name };
        let running = config.pointer("/State/Running").and_then(Value::as_bool).unwrap_or(false);
        facts.state.seen.insert(format!("docker:container:{name}"), if running { "running" } else { "stopped" }.into());
        facts.items.seen.insert(format!("docker:{name}"), container(&config, &limits));
    }
}

fn container(config: &Value, limits: &Value) -> Container {
    let asked = config.get("Config").unwrap_or(&Value::Null);
    let mut seen = Container {
        image: short(word(asked, "Image")),
        user: short(word(asked, "User")),
        restart: short(limits.pointer("/RestartPolicy/Name").and_then(Value::as_str).unwrap_or_default()),
        privileged: limits.get("Privileged").and_then(Value::as_bool).unwrap_or(false),
        ..Container::default()
    };
    if seen.restart == "no" {
        seen.restart.clear();
    }
    for (key, namespace) in
        [("NetworkMode", "network"), ("PidMode", "pid"), ("IpcMode", "ipc"), ("UTSMode", "uts"), ("UsernsMode", "user")]
    {
        if word(limits, key) == "host" {
            seen.host.insert(namespace.into());
        }
    }
    for bind in words(limits, "Binds") {
        let mut parts = bind.split(':');
        let source = parts.next().unwrap_or_default();
        // A name without a slash is a volume of Docker's own.
        if source.starts_with('/') {
            let read_only = parts.nth(1).is_some_and(|options| options.split(',').any(|option| option == "ro"));
            seen.binds.insert(short(&format!("{source}{}", if read_only { ":ro" } else { "" })));
        }
    }
    for mount in limits.get("Mounts").and_then(Value::as_array).into_iter().flatten() {
        if word(mount, "Type") == "bind" {
            let read_only = mount.get("ReadOnly").and_then(Value::as_bool).unwrap_or(false);
            seen.binds.insert(short(&format!("{}{}", word(mount, "Source"), if read_only { ":ro" } else { "" })));
        }
    }
    words(limits, "CapAdd").for_each(|capability| seen.add(capability));
    for device in limits.get("Devices").and_then(Value::as_array).into_iter().flatten() {
        seen.devices.insert(short(word(device, "PathOnHost")));
    }
    for option in words(limits, "SecurityOpt") {
        let (kind, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        if value == "unconfined" || value == "disable" {
            seen.unconfined.insert(short(kind));
        }
    }
    seen
}

fn images(host: &dyn Host, facts: &mut Seen) {
    const PREFIX: &str = "docker:image:";
    let home = format!("{HOME}/image");
    let drivers = match folders(host, &home) {
        Ok(drivers) => drivers,
        Err(gap) => return facts.state.hide(PREFIX, gap),
    };
    for driver in drivers {
        let store = Path::new(&home).join(&driver);
        let repositories = match json(host, &store.join("repositories.json")) {
            Ok(Some(repositories)) => repositories,
            Ok(None) => continue,
            Err(gap) => {
                facts.state.hide(PREFIX, gap);
                continue;
            }
        };
        let names = repositories.get("Repositories").and_then(Value::as_object);
        let tags = names.into_iter().flatten().filter_map(|(_, tags)| tags.as_object()).flatten();
        // A name by digest says nothing that the tag does not.
        for (tag, id) in tags.filter(|(tag, _)| !tag.contains('@')).take(text::MOST) {
            let id = id.as_str().and_then(|id| id.strip_prefix("sha256:")).unwrap_or_default();
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                facts.state.hide(format!("{PREFIX}{}", short(tag)), Gap::malformed(HOME, "an image without an id"));
                continue;
            }
            let subject = format!("{PREFIX}{}", short(tag));
            match json(host, &store.join("imagedb/content/sha256").join(id)) {
                Ok(config) => match config.and_then(|config| day(word(&config, "created"))) {
                    Some(day) => {
                        facts.state.seen.insert(subject, day);
                    }
                    None => facts.state.hide(subject, Gap::malformed(HOME, "an image without a day it was made")),
                },
                Err(gap) => facts.state.hide(subject, gap),
            }
        }
    }
}
