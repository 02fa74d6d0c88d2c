//! # vpn
//!
//! Which tunnels this host has and whether all of its traffic goes through them or only some: split tunnelling is a way
//! round whatever watches the network of the company.
//!
//! ## What it reads
//! `/etc/wireguard/*.conf` (wg-quick(8)), `/etc/openvpn/*.conf` and its folders `client` and `server` (openvpn(8)),
//! `/etc/ipsec.conf`, `/etc/ipsec.d/*.conf` (ipsec.conf(5)) and `/etc/swanctl/swanctl.conf`, `/etc/swanctl/conf.d/*.conf`
//! (swanctl.conf(5)). And the links, routing rules and routes that are in force, over netlink (rtnetlink(7)): what a
//! configuration meant is one thing, where packets leave is another. The kernel tells a WireGuard link's peers only with
//! their keys beside them, so they are not asked for.
//!
//! Keys and passwords never enter the facts: of every file only the lines named below are looked at, and of a peer not even
//! its public key.
//!
//! ## Items (they drift)
//! | subject | value |
//! | --- | --- |
//! | `wireguard:wg0` | `AllowedIPs` of all peers, sorted; how many peers; `Table`, where it is set |
//! | `openvpn:client/office` | role, `redirect-gateway` with its flags, routes, whether routes pushed by the server are taken |
//! | `ipsec:office` | the subnets on the other side, sorted |
//!
//! ## State (judged, never drifts)
//! `tunnel:wg0`: a link of kind `wireguard`, `tun`, `xfrm`, `vti`, `ppp`, `gre`, `ipip` or `sit` that is up, with the
//! destinations routed into it, `split` or `full` for each family: full, where every packet that is not for a network
//! nearer goes into it, by the default route or by the two halves of it, in the table that the rules look into first.
//! `default:ip`, `default:ip6`: the links the default routes lead to.
//!
//! ## Expectations
//! ```yaml
//! vpn:
//!   tunnels: [wg0]              # these links and configurations and no others; `*` at the end for any ending
//!   split: forbidden            # every tunnel that is configured or up takes all traffic, of both families
//!   split_except: [wg-backup]   # these may be split
//! ```
//! A host without any tunnel has nothing to split: `split` is then not applicable.
//!
//! ## What it cannot see
//! User-space tunnels that make no link (SSH forwarding, proxies), policies of IPsec loaded by hand, routes that a server
//! pushes before they are in force, and per-application rules by packet mark or user: where rules other than the kernel's
//! own and wg-quick's stand, whether a tunnel takes everything is *unknown*.

mod config;
mod judge;
mod routes;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};

pub use judge::Expect;

/// The probe.
pub struct Vpn;

/// One configured tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Destinations it takes, sorted: prefixes, or words of its own configuration.
    pub takes: Vec<String>,
    /// Whether those are everything, by family: `ip`, `ip6`.
    pub full: Vec<String>,
    /// Whether it decides for others (a server) or for this host.
    pub server: bool,
    /// What else decides where packets go: `Table = off`, `route-nopull`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<String>,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum State {
    /// A link that is a tunnel.
    Tunnel {
        /// `wireguard`, `tun`, …
        kind: String,
        /// Destinations routed into it, sorted, at most a hundred.
        routes: Vec<String>,
        /// By family, whether all traffic goes into it: `full`, `split`, `none`, `unknown`.
        ip: String,
        /// The same of IPv6.
        ip6: String,
    },
    /// Links that default routes lead to.
    Default(Vec<String>),
}

impl Probe for Vpn {
    const NAME: &'static str = "vpn";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[
        "/etc/wireguard",
        "/etc/wireguard/*.conf",
        "/etc/openvpn",
        "/etc/openvpn/*.conf",
        "/etc/openvpn/client",
        "/etc/openvpn/client/*.conf",
        "/etc/openvpn/server",
        "/etc/openvpn/server/*.conf",
        "/etc/ipsec.conf",
        "/etc/ipsec.d",
        "/etc/ipsec.d/*.conf",
        "/etc/swanctl/swanctl.conf",
        "/etc/swanctl/conf.d",
        "/etc/swanctl/conf.d/*.conf",
    ];
    const ASKS: &'static [Question] = &[Question::Routes];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        let mut facts = Facts::default();
        config::observe(host, &mut facts.items);
        routes::observe(host, &mut facts.state);
        facts
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, _context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts)
    }

    fn say(item: &Item) -> String {
        let mut said = item.takes.join(", ");
        for option in &item.options {
            said.push_str(&format!("; {option}"));
        }
        said
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        judge::check(expect)
    }
}
