//! Containers on hosts made by hand, in the shapes that the engines write.

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{Declared, GapKind, Recorded};
use crate::lifecycle::Lifecycles;

const WEB: &str = "4f1c0ffee0000000000000000000000000000000000000000000000000000001";
const AGENT: &str = "4f1c0ffee0000000000000000000000000000000000000000000000000000002";
const IMAGE: &str = "9a0000000000000000000000000000000000000000000000000000000000000a";

/// As Docker 24 writes them.
fn docker() -> Recorded {
    let config = |name: &str, image: &str, running: bool| {
        format!(
            r#"{{"StreamConfig":{{}},"State":{{"Running":{running},"Paused":false,"Pid":812,"StartedAt":"2026-11-01T08:00:00.1Z"}},
            "ID":"x","Created":"2026-10-01T10:00:00.5Z","Managed":false,"Path":"nginx","Args":["-g","daemon off;"],
            "Config":{{"Hostname":"a","User":"101","Env":["PASSWORD=hunter2","PATH=/usr/bin"],"Cmd":["x"],"Image":"{image}",
            "Labels":{{"token":"hunter2"}}}},"Image":"sha256:{IMAGE}","Name":"/{name}","Driver":"overlay2","OS":"linux",
            "MountPoints":{{}},"RestartCount":0}}"#
        )
    };
    let tame = r#"{"Binds":["/srv/www:/usr/share/nginx/html:ro","cache:/var/cache"],"NetworkMode":"bridge","PortBindings":{},
        "RestartPolicy":{"Name":"always","MaximumRetryCount":0},"CapAdd":["CAP_NET_ADMIN"],"CapDrop":null,"IpcMode":"private",
        "PidMode":"","Privileged":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"","Devices":[],"Mounts":null}"#;
    let wild = r#"{"Binds":null,"NetworkMode":"host","RestartPolicy":{"Name":"no"},"CapAdd":null,"IpcMode":"host","PidMode":"host",
        "Privileged":true,"SecurityOpt":["label=disable","seccomp=unconfined"],"UTSMode":"","UsernsMode":"",
        "Devices":[{"PathOnHost":"/dev/fuse","PathInContainer":"/dev/fuse","CgroupPermissions":"rwm"}],
        "Mounts":[{"Type":"bind","Source":"/var/run/docker.sock","Target":"/var/run/docker.sock"},
        {"Type":"volume","Source":"data","Target":"/data"}]}"#;
    let home = "/var/lib/docker";
    Recorded::new()
        .file(
            "/etc/docker/daemon.json",
            r#"{"live-restore":true,"http-proxy":"http://u:hunter2@p","hosts":["tcp://0.0.0.0:2375"]}"#,
        )
        .file(&format!("{home}/containers/{WEB}/config.v2.json"), config("web", "nginx:1.27", true))
        .file(&format!("{home}/containers/{WEB}/hostconfig.json"), tame)
        .file(&format!("{home}/containers/{AGENT}/config.v2.json"), config("agent", "example.org/agent", false))
        .file(&format!("{home}/containers/{AGENT}/hostconfig.json"), wild)
        .file(
            &format!("{home}/image/overlay2/repositories.json"),
            format!(
                r#"{{"Repositories":{{"nginx":{{"nginx:1.27":"sha256:{IMAGE}","nginx@sha256:00":"sha256:{IMAGE}"}}}}}}"#
            ),
        )
        .file(
            &format!("{home}/image/overlay2/imagedb/content/sha256/{IMAGE}"),
            r#"{"architecture":"amd64","created":"2026-05-01T03:04:05.6Z","config":{"Env":["SECRET=hunter2"]}}"#,
        )
}

/// As Podman 4 writes them, and configuration of lines.
fn others() -> Recorded {
    let store = "/var/lib/containers/storage";
    let oci = r#"{"ociVersion":"1.1.0","process":{"user":{"uid":999},"env":["PGPASSWORD=hunter2"],
        "capabilities":{"bounding":["CAP_CHOWN","CAP_KILL","CAP_SYS_ADMIN"]}},
        "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
        {"destination":"/etc/hosts","type":"bind","source":"/run/containers/storage/x/hosts","options":["bind"]},
        {"destination":"/data","type":"bind","source":"/srv/db","options":["rbind","rw"]}],
        "linux":{"namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"}],"seccomp":{},"maskedPaths":["/proc/kcore"]}}"#;
    Recorded::new()
        .file(
            &format!("{store}/overlay-containers/containers.json"),
            r#"[{"id":"ab01","names":["db"],"image":"cd02","layer":"e","metadata":"{}","created":"2026-10-02T00:00:00Z"}]"#,
        )
        .file(&format!("{store}/overlay-containers/ab01/userdata/config.json"), oci)
        .file(
            &format!("{store}/overlay-images/images.json"),
            r#"[{"id":"cd02","digest":"sha256:1","names":["docker.io/library/postgres:16"],"layer":"e","created":"2026-11-01T00:00:00Z"}]"#,
        )
        .file(
            "/etc/containers/systemd/cache.container",
            "[Container]\nImage=redis:7\nEnvironment=PASSWORD=hunter2\nVolume=/srv/cache:/data\nVolume=named.volume:/x\nNetwork=host\nPodmanArgs=--privileged --pid=host\n[Service]\nRestart=always\n",
        )
        .file(
            "/var/lib/lxc/old/config",
            "# old\nlxc.rootfs.path = dir:/var/lib/lxc/old/rootfs\nlxc.apparmor.profile = unconfined\nlxc.mount.entry = /srv srv none bind,ro 0 0\nlxc.start.auto = 1\n",
        )
        .file("/etc/systemd/nspawn/build.nspawn", "[Exec]\nPrivateUsers=no\nCapability=CAP_SYS_ADMIN\n[Files]\nBindReadOnly=/usr/src\n[Network]\nPrivate=no\n")
        .folder("/var/lib/machines/idle")
}

fn observed(host: &Recorded) -> Facts<Container, String> {
    Containers::collect(&Declared::new(host, Containers::READS, Containers::ASKS))
}

fn judged(yaml: &str, host: &Recorded) -> Vec<(Status, String)> {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Containers::check_expectation(&expect).unwrap();
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    let lifecycles = Lifecycles::parse("dates", crate::shipped::END_OF_LIFE.as_bytes()).unwrap();
    let context = Context { now, facts: &FactSet::default(), lifecycles: &lifecycles };
    let told = Containers::judge(&expect, &observed(host), &context);
    told.into_iter().map(|one| (one.status, one.subject)).collect()
}

fn said(host: &Recorded) -> Vec<String> {
    let facts = observed(host);
    assert!(facts.items.gaps.is_empty() && facts.state.gaps.is_empty(), "{facts:?}");
    assert!(!format!("{facts:?}").contains("hunter2"), "{facts:?}");
    let items = facts.items.seen.iter().map(|(subject, item)| format!("{subject}: {}", Containers::say(item)));
    items.chain(facts.state.seen.iter().map(|(subject, state)| format!("{subject} = {state}"))).collect()
}

#[test]
fn what_docker_runs_and_what_it_may_reach() {
    assert_eq!(
        said(&docker()),
        [
            "docker-daemon: hosts: [\"tcp://0.0.0.0:2375\"], http-proxy: (not shown), live-restore: true",
            "docker:agent: example.org/agent; as 101; privileged; in the host's ipc, network, pid; mounts /var/run/docker.sock; with devices /dev/fuse; unconfined by label, seccomp",
            "docker:web: nginx:1.27; as 101; restarts always; mounts /srv/www:ro; with capabilities NET_ADMIN",
            "docker:container:agent = stopped",
            "docker:container:web = running",
            "docker:image:nginx:1.27 = 2026-05-01",
        ]
    );
}

#[test]
fn what_the_other_engines_run() {
    assert_eq!(
        said(&others()),
        [
            "lxc:old: restarts with the host; in the host's user; mounts /srv:ro; unconfined by apparmor",
            "nspawn:build: in the host's network, user; mounts /usr/src:ro; with capabilities SYS_ADMIN",
            "nspawn:idle: a container",
            "podman:db: docker.io/library/postgres:16; as 999; in the host's network; mounts /srv/db; with capabilities SYS_ADMIN",
            "quadlet:cache: redis:7; restarts always; privileged; in the host's network, pid; mounts /srv/cache",
            "podman:image:docker.io/library/postgres:16 = 2026-11-01",
        ]
    );
}

#[test]
fn rules_name_those_that_break_them() {
    use Status::{Deviation, Pass};
    let host = docker();
    assert_eq!(judged("privileged: []", &host), [(Deviation, "docker:agent".into())]);
    assert_eq!(judged("privileged: [\"docker:agent\"]", &host), [(Pass, "containers".into())]);
    assert_eq!(judged("host_mounts: [\"docker:web:/srv/*\"]", &host), [(Deviation, "docker:agent".into())]);
    assert_eq!(judged("host_namespaces: []", &host), [(Deviation, "docker:agent".into())]);
    assert_eq!(judged("images: [\"nginx:*\"]", &host), [(Deviation, "docker:agent".into())]);
    assert_eq!(judged("image_age: 180d", &host), [(Deviation, "docker:image:nginx:1.27".into())]);
    assert_eq!(judged("image_age: 205d", &host), [(Pass, "docker:image:nginx:1.27".into())]);
    assert_eq!(judged("none: true", &host).len(), 2);
    assert_eq!(judged("privileged: []", &others()).len(), 4);
}

#[test]
fn without_containers_rules_do_not_apply_and_none_holds() {
    let none = Recorded::new();
    for rule in ["privileged: []", "host_mounts: []", "images: [x]", "image_age: 1d"] {
        assert_eq!(judged(rule, &none)[0].0, Status::NotApplicable, "{rule}");
    }
    assert_eq!(judged("none: true", &none), [(Status::Pass, "containers".into())]);
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let home = "/var/lib/docker/containers";
    let broken = docker().file(&format!("{home}/{WEB}/hostconfig.json"), "{\"Privileged\":");
    let unseen = docker().gap(home, GapKind::Denied);
    let moved = docker().file("/etc/docker/daemon.json", r#"{"data-root":"/srv/docker"}"#);
    for host in [&broken, &unseen, &moved] {
        let told = judged("privileged: [\"docker:agent\"]", host);
        assert!(told.iter().any(|(status, _)| *status == Status::Unknown), "{told:?}");
        assert!(told.iter().all(|(status, _)| *status != Status::Pass), "{told:?}");
    }
    let undated = others().file(
        "/var/lib/containers/storage/overlay-images/images.json",
        r#"[{"id":"cd","names":["a"],"created":"0001-01-01T00:00:00Z"}]"#,
    );
    assert_eq!(judged("image_age: 9d", &undated), [(Status::Unknown, "podman:image:a".into())]);
}

#[test]
fn an_expectation_that_asks_nothing_is_refused() {
    for yaml in ["{}", "none: false"] {
        assert!(Containers::check_expectation(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
    assert!(serde_yaml::from_str::<Expect>("image_age: 30").is_err());
}
