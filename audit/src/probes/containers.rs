//! # containers
//!
//! Containers that this host is to run, and what they may reach of it: Docker, Podman, LXC (and Incus), systemd-nspawn.
//!
//! ## What it reads
//!
//! | source | feeds | without it |
//! | --- | --- | --- |
//! | `/var/lib/docker/containers/*/config.v2.json` and `hostconfig.json` | items `docker:*` | hidden by a gap |
//! | `/var/lib/docker/image/*/repositories.json` and `imagedb` | state `docker:image:*` | image ages are `unknown` |
//! | `/etc/docker/daemon.json` | item `docker-daemon` | hidden by a gap |
//! | `/var/lib/containers/storage/*-containers/containers.json`, each container's `config.json` there | items `podman:*` | hidden by a gap |
//! | `/var/lib/containers/storage/*-images/images.json` | state `podman:image:*` | image ages are `unknown` |
//! | `*.container` quadlets under `/etc/containers/systemd` and `/usr/share/containers/systemd` | items `quadlet:*` | hidden by a gap |
//! | `/var/lib/lxc/*/config` | items `lxc:*` | hidden by a gap |
//! | `/etc/systemd/nspawn/*.nspawn`, folders in `/var/lib/machines` | items `nspawn:*` | hidden by a gap |
//!
//! Files alone: who may speak to Docker's socket is root, and the agent does not.
//!
//! ## Items
//!
//! `docker:NAME`, `podman:NAME`, `quadlet:FILE`, `lxc:NAME`, `nspawn:NAME`, each with what is so of:
//!
//! - `image`, `user`, `restart`: as they were asked for.
//! - `privileged`: it is root on the host in all but name.
//! - `host`: which of the host's own namespaces it is in: `network`, `pid`, `ipc`, `user`, `uts`.
//! - `binds`: what of the host is mounted in it, `:ro` where it cannot write; volumes that the engine keeps do not count.
//! - `added`: capabilities beyond the engine's own. `devices`: of the host's, Podman's by their names inside.
//! - `unconfined`: a protection that was switched off: `seccomp`, `apparmor`, `label`.
//!
//! `docker-daemon`: what `/etc/docker/daemon.json` says, as `KEY: VALUE`; values of keys that may hold secrets (proxies) are not shown.
//!
//! Environment variables, labels and commands of containers never enter the facts: they hold secrets.
//!
//! ## State
//!
//! `ENGINE:image:NAME`: the day it was made, `2026-05-01`, the `0001-01-01` of images built without a date left as it is.
//! Images without a name go by the first 12 digits of their id. `ENGINE:container:NAME`: `running` or `stopped`, of Docker.
//!
//! ## Expectations
//!
//! ```yaml
//! containers:
//!   privileged: []
//!   host_mounts: ["docker:proxy:/etc/ssl/*"]
//!   host_namespaces: []
//!   images: ["registry.example.org/*"]
//!   image_age: 180d
//!   none: true
//! ```
//!
//! - `privileged`: none is, nor has a protection switched off or `SYS_ADMIN`, `SYS_MODULE`, `SYS_PTRACE`, `SYS_RAWIO`, `DAC_READ_SEARCH`
//!   or `ALL` added, but these: globs over subjects.
//! - `host_mounts`: nothing of the host is mounted but these: globs over `SUBJECT:PATH`.
//! - `host_namespaces`: none shares the host's but these: globs over subjects.
//! - `images`: containers come from these and no others: globs over the image as it was asked for.
//! - `image_age`: no image is older than this: what nobody rebuilds, nobody patches.
//! - `none`: there are no containers at all.
//!
//! On a host with none of these engines the rules do not apply; `none` holds.
//!
//! ## What it cannot see
//!
//! Podman's own database (`db.sql`, or BoltDB before 5): what it tells of privilege is taken from the container's OCI configuration
//! instead, written when it last started; one that never started shows name and image alone. Containers of users without
//! privilege, under their home folders. Kubernetes and containerd's own. Incus keeps its containers in a database: only their names are
//! seen. A Docker whose `data-root` is elsewhere is a gap. Whether a container is running, but for Docker's. What a file named by
//! `lxc.include` adds to a container of LXC.

mod docker;
mod expect;
mod files;
mod judge;
mod podman;
mod text;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};

pub use expect::Expect;

/// The probe.
pub struct Containers;

/// One container as it is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Container {
    /// As it was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Whom its first process runs as; empty for the image's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// When it is started again.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub restart: String,
    /// All of root's power.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// The host's namespaces it is in.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub host: BTreeSet<String>,
    /// What of the host is mounted in it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub binds: BTreeSet<String>,
    /// Capabilities added, without `CAP_`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub added: BTreeSet<String>,
    /// Devices of the host's.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub devices: BTreeSet<String>,
    /// Protections switched off.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unconfined: BTreeSet<String>,
    /// What the daemon is told.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub settings: BTreeSet<String>,
}

impl Container {
    /// Whether it has, or can get, root's power over the host.
    fn is_mighty(&self) -> bool {
        const MIGHTY: [&str; 6] = ["ALL", "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"];
        self.privileged
            || !self.unconfined.is_empty()
            || self.added.iter().any(|added| MIGHTY.contains(&added.as_str()))
    }

    fn add(&mut self, capability: &str) {
        let upper = capability.to_ascii_uppercase();
        self.added.insert(text::short(upper.strip_prefix("CAP_").unwrap_or(&upper)));
    }
}

impl Probe for Containers {
    const NAME: &'static str = "containers";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/docker/daemon.json",
        "/var/lib/docker",
        "/var/lib/docker/containers",
        "/var/lib/docker/containers/*/{config.v2,hostconfig}.json",
        "/var/lib/docker/image",
        "/var/lib/docker/image/*/repositories.json",
        "/var/lib/docker/image/*/imagedb/content/sha256/*",
        "/var/lib/containers/storage",
        "/var/lib/containers/storage/{overlay,vfs,btrfs,zfs}-containers/containers.json",
        "/var/lib/containers/storage/{overlay,vfs,btrfs,zfs}-containers/*/userdata/config.json",
        "/var/lib/containers/storage/{overlay,vfs,btrfs,zfs}-images/images.json",
        "/{etc,usr/share}/containers/systemd",
        "/{etc,usr/share}/containers/systemd/*.container",
        "/var/lib/lxc",
        "/var/lib/lxc/*/config",
        "/var/lib/incus/containers",
        "/var/lib/lxd/containers",
        "/etc/systemd/nspawn",
        "/etc/systemd/nspawn/*.nspawn",
        "/var/lib/machines",
    ];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Container;
    type State = String;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Container, String> {
        let mut facts = Facts { items: Observed::new(), state: Observed::new() };
        docker::read(host, &mut facts);
        podman::read(host, &mut facts);
        files::read(host, &mut facts);
        facts
    }

    fn judge(expect: &Expect, facts: &Facts<Container, String>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context.now)
    }

    fn say(item: &Container) -> String {
        let mut said = Vec::new();
        let list = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        for (word, value) in [("", &item.image), ("as ", &item.user), ("restarts ", &item.restart)] {
            if !value.is_empty() {
                said.push(format!("{word}{value}"));
            }
        }
        if item.privileged {
            said.push("privileged".into());
        }
        let sets = [
            ("in the host's ", &item.host),
            ("mounts ", &item.binds),
            ("with capabilities ", &item.added),
            ("with devices ", &item.devices),
            ("unconfined by ", &item.unconfined),
            ("", &item.settings),
        ];
        said.extend(sets.iter().filter(|(_, set)| !set.is_empty()).map(|(word, set)| format!("{word}{}", list(set))));
        if said.is_empty() { "a container".to_owned() } else { said.join("; ") }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

#[cfg(test)]
mod tests;
