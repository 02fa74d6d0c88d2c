//! What a baseline asks of listening sockets.

use serde::Deserialize;

use super::super::firewall::{Ports, Sources, Words};
use super::sockets::Protocol;

/// What a rule can ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// These and no others, besides those on loopback alone.
    pub only: Option<Vec<Which>>,
    /// Who may hold UDP sockets with ports the kernel gives out.
    pub ephemeral: Option<Vec<String>>,
    /// Nobody listens there.
    #[serde(default)]
    pub forbidden: Vec<Which>,
    /// What listens there does so on loopback alone.
    #[serde(default)]
    pub on_loopback: Vec<Which>,
    /// What listens there can be reached from there alone.
    #[serde(default)]
    pub reachable: Vec<Reachable>,
}

/// Some sockets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// A port, a range, a list of both, or `any`.
    pub port: Ports,
    /// Who holds them: a unit, `user 1000`, `container`, `kernel`, a program; `*` at the end stands for any ending.
    pub owner: Option<Words>,
}

/// Sockets that only some may reach.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reachable {
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// A port, a range, a list of both, or `any`.
    pub port: Ports,
    /// Prefixes, addresses or ranges of addresses, or `any`.
    pub from: Sources,
}

impl Which {
    /// Whether it names sockets of this protocol and port.
    pub(super) fn names(&self, protocol: &str, port: u16) -> bool {
        self.protocol.name() == protocol && self.port.contains(port)
    }

    /// Whether all of these may hold them.
    pub(super) fn allows(&self, owners: &[String]) -> bool {
        self.owner.as_ref().is_none_or(|allowed| owners.iter().all(|owner| matches(allowed.list(), owner)))
    }

    pub(super) fn say(&self) -> String {
        let owner = self.owner.as_ref().map(|owner| format!(" by {}", owner.list().join(", "))).unwrap_or_default();
        format!("{} {}{owner}", self.protocol.name(), self.port.list().join(","))
    }
}

/// Whether one of `patterns` is `name`, or its beginning where it ends in `*`.
pub(super) fn matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    })
}

/// What serde could not see.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let asks_nothing = expect.only.is_none()
        && expect.ephemeral.is_none()
        && expect.forbidden.is_empty()
        && expect.on_loopback.is_empty()
        && expect.reachable.is_empty();
    if asks_nothing {
        let keys = "`only`, `ephemeral`, `forbidden`, `on_loopback` or `reachable`";
        return Err((String::new(), format!("expects nothing: give {keys}")));
    }
    for (key, list) in [("forbidden", &expect.forbidden), ("on_loopback", &expect.on_loopback)] {
        if let Some(number) = list.iter().position(|one| one.owner.is_some()) {
            return Err((format!("{key}[{number}].owner"), "whoever holds it: leave the owner out".to_owned()));
        }
    }
    Ok(())
}
