//! The containers probe against the engines' own tools: containers made by Podman and LXC from their Debian packages, and what
//! `podman inspect` and `lxc-info` say of them. Needs root.
//!
//! Both keep their state where they always do, on file systems of a mount and a network namespace that the test made. Podman
//! prepares each container (`podman init`), which writes the runtime's configuration; none is ever run, and whether the runtime
//! then manages to make it (where limits cannot be raised it does not) makes no difference to what is on disk.
//!
//! Docker writes its files only through its daemon, which cannot run here: what is read of Docker is held against recorded hosts
//! in the probe's own tests, and against no real one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::run;
use serde_json::Value;
use tempfile::TempDir;

/// Names, and what `podman create` is told.
const PODMAN: [(&str, &str); 14] = [
    ("plain", "--network none"),
    ("mighty", "--network none --privileged"),
    ("network", "--network host"),
    ("process", "--network none --pid host"),
    ("names", "--network none --uts host"),
    ("memory", "--network none --ipc host"),
    ("capable", "--network none --cap-add SYS_ADMIN,NET_ADMIN --cap-drop CHOWN"),
    ("all", "--network none --cap-add all --user 7"),
    ("device", "--network none --device /dev/null --device /dev/full:/dev/other"),
    ("open", "--network none --security-opt seccomp=unconfined"),
    ("bound", "--network none -v /etc:/x:ro -v /srv:/y"),
    ("mounted", "--network none --mount type=bind,src=/usr,dst=/u --mount type=bind,src=/opt,dst=/o,ro"),
    ("kept", "--network none -v kept:/v --tmpfs /t --user 1000:1000"),
    ("several", "--network host --pid host --privileged -v /:/host"),
];

const MAKE_PODMAN: &str = r#"
set -eu
work=$1 plumbline=$2 cases=$3
mkdir -p /var/lib/containers
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/containers
engine="podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend none"
mkdir /run/image
cp /bin/true /run/image/program
tar -C /run/image -c . | $engine import - localhost/tiny:1
printf '%s\n' "$cases" | while read -r name words; do
  # Of several words on purpose.
  $engine create --name "$name" $words localhost/tiny:1 /program
  $engine init "$name" || test -s "$($engine inspect "$name" --format '{{.OCIConfigPath}}')" \
    || test -n "$(find /var/lib/containers/storage/vfs-containers -path "*$($engine inspect "$name" --format '{{.Id}}')*" -name config.json)"
done
$engine create --name never --network none --privileged localhost/tiny:1 /program
$engine inspect $($engine ps -aq) >"$work/inspect.json"
$engine image inspect localhost/tiny:1 >"$work/images.json"
"$plumbline" facts containers --format json >"$work/facts.json"
"#;

/// Runs a script in namespaces of its own; `arguments` follow the folder for its answers and the agent.
fn in_a_world_of_its_own(script: &str, work: &Path, argument: &str) {
    let agent = plumbline(&[]).get_program().to_owned();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private", "bash", "-c", script, "make"]);
    run(command.arg(work).arg(agent).arg(argument).env_remove("XDG_RUNTIME_DIR")).ok();
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

fn listed<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    value[key].as_array().into_iter().flatten().collect()
}

fn words(value: &Value, key: &str) -> BTreeSet<String> {
    set(listed(value, key).into_iter().map(|word| word.as_str().unwrap()))
}

#[test]
fn podman_inspect_says_the_same_of_each_container() {
    let work = TempDir::with_prefix("plumbline-podman-").unwrap();
    let cases = PODMAN.map(|(name, words)| format!("{name} {words}")).join("\n");
    in_a_world_of_its_own(MAKE_PODMAN, work.path(), &cases);
    let facts = json(&work.path().join("facts.json"))["containers"].clone();
    let inspected = json(&work.path().join("inspect.json"));
    let names = set(facts["items"].as_object().unwrap().keys().filter_map(|subject| subject.strip_prefix("podman:")));
    let theirs = inspected.as_array().unwrap();
    assert_eq!(names, set(theirs.iter().map(|one| one["Name"].as_str().unwrap())), "podman ps");
    assert_eq!(names.len(), PODMAN.len() + 1);
    let mut agreed = 0;
    for one in theirs {
        let name = one["Name"].as_str().unwrap();
        let seen = &facts["items"][format!("podman:{name}")];
        assert_eq!(seen["image"], one["ImageName"], "{name}");
        if name == "never" {
            // Nothing is on disk of how it would run, and nothing is claimed.
            assert_eq!(seen.as_object().unwrap().len(), 1, "{seen}");
        } else {
            compare(name, seen, one);
        }
        agreed += 1;
    }
    println!("podman inspect: {agreed} of {} containers agreed", theirs.len());
    let image = &json(&work.path().join("images.json"))[0];
    let made = image["Created"].as_str().unwrap();
    assert_eq!(facts["state"]["podman:image:localhost/tiny:1"], &made[..10]);
    println!("podman image inspect: 1 of 1 agreed");
}

fn compare(name: &str, seen: &Value, one: &Value) {
    let told = &one["HostConfig"];
    let privileged = told["Privileged"].as_bool().unwrap();
    assert_eq!(seen["privileged"].as_bool().unwrap_or(false), privileged, "{name}");
    let user = one["Config"]["User"].as_str().unwrap().split(':').next().unwrap();
    assert_eq!(seen["user"], if user.is_empty() { "0" } else { user }, "{name}");

    let modes = [("NetworkMode", "network"), ("PidMode", "pid"), ("UTSMode", "uts"), ("IpcMode", "ipc")];
    let mut shared = set(modes.into_iter().filter(|(mode, _)| told[*mode] == "host").map(|(_, kind)| kind));
    if name == "memory" {
        // Podman 4.3 calls every one shareable; what it was told is what counts.
        shared.insert("ipc".into());
    }
    assert_eq!(words(seen, "host"), shared, "{name}");

    let binds = listed(one, "Mounts").into_iter().filter(|mount| mount["Type"] == "bind").map(|mount| {
        let source = mount["Source"].as_str().unwrap();
        if mount["RW"] == true { source.to_owned() } else { format!("{source}:ro") }
    });
    assert_eq!(words(seen, "binds"), binds.collect(), "{name}");

    let added = words(told, "CapAdd").iter().map(|name| name.trim_start_matches("CAP_").to_owned()).collect();
    match name {
        _ if privileged => assert_eq!(words(seen, "added"), BTreeSet::new(), "{name}"),
        "all" => assert_eq!(words(seen, "added"), set(["ALL"]), "{name}"),
        _ => assert_eq!(words(seen, "added"), added, "{name}"),
    }
    let devices = listed(told, "Devices").into_iter().map(|device| device["PathInContainer"].as_str().unwrap());
    if !privileged {
        assert_eq!(words(seen, "devices"), set(devices), "{name}");
    }
    let unconfined = words(told, "SecurityOpt").contains("seccomp=unconfined");
    assert_eq!(words(seen, "unconfined").contains("seccomp"), unconfined, "{name}");
}

/// Names, and the configuration that `lxc-create` is given; without one it takes the distribution's own.
const LXC: [(&str, &str); 6] = [
    ("distribution", ""),
    ("mapped", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\nlxc.net.0.type = empty\n"),
    ("network", "lxc.net.0.type = none\nlxc.start.auto = 1\n"),
    ("kept", "lxc.namespace.keep = net ipc\nlxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n"),
    ("mounts", "lxc.mount.entry = /srv srv none bind,ro 0 0\nlxc.mount.entry = /etc etc none rbind 0 0\n"),
    ("unconfined", "# lxc.idmap = u 0 1 2\nlxc.apparmor.profile=unconfined\n"),
];
const KEYS: [&str; 6] =
    ["lxc.idmap", "lxc.net.0.type", "lxc.namespace.keep", "lxc.mount.entry", "lxc.apparmor.profile", "lxc.start.auto"];

const MAKE_LXC: &str = r#"
set -eu
work=$1 plumbline=$2 keys=$3
mkdir -p /var/lib/lxc
mount -t tmpfs tmpfs /var/lib/lxc
for given in "$work"/*.conf; do
  name=$(basename "$given" .conf)
  if [ -s "$given" ]; then lxc-create -t none -n "$name" -f "$given"; else lxc-create -t none -n "$name"; fi
  for key in $keys; do lxc-info -n "$name" -c "$key" >"$work/$name.$key"; done
done
lxc-ls -1 >"$work/names"
"$plumbline" facts containers --format json >"$work/facts.json"
"#;

#[test]
fn lxc_info_says_the_same_of_each_container() {
    let work = TempDir::with_prefix("plumbline-lxc-").unwrap();
    for (name, text) in LXC {
        fs::write(work.path().join(format!("{name}.conf")), text).unwrap();
    }
    in_a_world_of_its_own(MAKE_LXC, work.path(), &KEYS.join(" "));
    let items = json(&work.path().join("facts.json"))["containers"]["items"].clone();
    let read = |file: &str| fs::read_to_string(work.path().join(file)).unwrap();
    let names = set(items.as_object().unwrap().keys().filter_map(|subject| subject.strip_prefix("lxc:")));
    assert_eq!(names, set(read("names").lines().map(str::trim)), "lxc-ls");
    assert_eq!(names.len(), LXC.len());
    for name in &names {
        let seen = &items[format!("lxc:{name}")];
        // `lxc-info -c` says `key = value`, further values on lines of their own.
        let said = |key: &str| {
            let text = read(&format!("{name}.{key}"));
            text.split_once('=').map(|(_, values)| values.trim().to_owned()).unwrap_or_default()
        };
        let mut host = set(said("lxc.namespace.keep").split_ascii_whitespace());
        if host.remove("net") || said("lxc.net.0.type") == "none" {
            host.insert("network".into());
        }
        if said("lxc.idmap").is_empty() {
            host.insert("user".into());
        }
        assert_eq!(words(seen, "host"), host, "{name}");
        let entries = said("lxc.mount.entry");
        let binds = entries.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let read_only = fields[3].split(',').any(|option| option == "ro");
            format!("{}{}", fields[0], if read_only { ":ro" } else { "" })
        });
        assert_eq!(words(seen, "binds"), binds.collect(), "{name}");
        let unconfined = said("lxc.apparmor.profile") == "unconfined";
        assert_eq!(words(seen, "unconfined").contains("apparmor"), unconfined, "{name}");
        assert_eq!(seen["restart"] == "with the host", said("lxc.start.auto") == "1", "{name}");
    }
    println!("lxc-ls and lxc-info: {0} of {0} containers agreed", names.len());
}
