//! # listening
//!
//! Which sockets of this host wait for others: the protocol, the port, where they are bound, which unit or program holds
//! them, and, with the facts of the firewall, who can reach them.
//!
//! ## What it reads
//! The sockets of this network namespace over netlink (sock_diag(7)): TCP in LISTEN, UDP that is connected to nobody. Who
//! holds one is told by its control group, whose id every socket bears and whose path names the unit; only where that names
//! none, by looking through the open files of processes, which takes power over them: without it the owner is `unknown`.
//! `/proc/sys/net/ipv4/ip_local_port_range` tells which ports the kernel gives out by itself. Of a root file system at rest
//! nothing can be seen, and the rules are not applicable.
//!
//! ## Items (they drift)
//! By `PROTOCOL:PORT/WHERE`: `tcp:22/any`, `udp:323/loopback`. *Where* is `any` (every address), `loopback`, `link-local`,
//! `multicast` or `address` (any other; which ones is state, since DHCP may change them). The value is the families it is
//! open for (`ip`, `ip6`; a socket on `::` that is not for IPv6 alone is open for both) and its owners: a unit
//! (`ssh.service`), `user 1000` for anything a user's session runs, `container`, `kernel` (WireGuard, NFS), a program
//! (`sshd`), or `unknown`. A socket that systemd holds for a unit to be started is `init.scope`'s.
//!
//! A UDP socket with a port of the range the kernel gives out is most often a client that waits for an answer. It is no
//! item, unless the kernel itself holds it: who holds such sockets is state.
//!
//! ## State (judged, never drifts)
//! `addresses:tcp:22/address`: the addresses. `ephemeral:udp/any`: the owners of UDP sockets with ports given out.
//!
//! ## Expectations
//! ```yaml
//! listening:
//!   only:                                # these and no others; those bound to loopback alone are not asked
//!     - {protocol: tcp, port: 22, owner: ssh.service}      # owner: one, a list, `*` at the end; may be left out: any
//!     - {protocol: udp, port: [68, 546]}
//!   ephemeral: [chrony.service]          # who may hold UDP ports given out; not asked if left out
//!   forbidden:                           # nobody listens there, not even on loopback
//!     - {protocol: tcp, port: 23}
//!   on_loopback:                         # what listens there does so on loopback alone
//!     - {protocol: tcp, port: [5432, 6379]}
//!   reachable:                           # what listens there can be reached from there alone, by the firewall
//!     - {protocol: tcp, port: 22, from: [10.0.0.0/8, "fd00::/8"]}
//! ```
//! `reachable` uses the facts of the firewall probe and is *unknown* where those are.
//!
//! ## What it cannot see
//! Sockets of other network namespaces (containers with a network of their own), Unix sockets, raw and packet sockets,
//! SCTP and DCCP, and what takes packets without a socket (eBPF, user-space network stacks). What other filters and routers
//! on the way let through is not known.

mod expect;
mod judge;
mod observe;
mod owners;
mod sockets;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};

pub use expect::Expect;

/// The probe.
pub struct Listening;

/// Sockets of one protocol, port and kind of address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// `ip`, `ip6`.
    pub families: Vec<String>,
    /// Who holds them, sorted.
    pub owners: Vec<String>,
}

/// What merely is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum State {
    /// The addresses of sockets that are bound to some of their own, sorted, at most a hundred.
    Addresses(Vec<String>),
    /// The owners of UDP sockets with ports given out.
    Ephemeral(Vec<String>),
}

impl Probe for Listening {
    const NAME: &'static str = "listening";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &["/proc/sys/net/ipv4/ip_local_port_range"];
    const ASKS: &'static [Question] = &[Question::Sockets, Question::ControlGroups, Question::SocketOwners];
    const NEEDS: &'static [&'static str] = &["firewall"];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        observe::observe(host)
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context.facts.of::<super::firewall::Firewall>())
    }

    fn say(item: &Item) -> String {
        format!("{} by {}", item.families.join(","), item.owners.join(", "))
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}
