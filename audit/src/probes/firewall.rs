//! # firewall
//!
//! Which packets this host lets in: the rules that are loaded in the kernel now, not the files they may have come from,
//! whether nft, iptables, ufw or firewalld loaded them. It answers: is the default to deny, is anything open besides what
//! was allowed, and does the firewall come back after a reboot?
//!
//! ## What it reads
//! `nft -j list ruleset` (libnftables-json(5)), run only when the kernel's generation id says that something changed.
//! Where rules hold xtables extensions, whose parameters that JSON leaves out, `iptables-nft-save` and
//! `ip6tables-nft-save`, under the same condition. `/proc/net/ip_tables_names` and `/proc/net/ip6_tables_names` tell that
//! legacy iptables is in use; what it holds only `iptables-legacy-save` tells, over an IP socket: `check` and `facts` run
//! it, `collect` opens no such socket and says *unknown*. `/proc/net/fib_trie` and `/proc/net/if_inet6`, where a rule
//! sends packets to an address, tell whether that is this host's. Of a root file system at rest only configuration can be
//! seen: the rules about the loaded ruleset are not applicable there.
//!
//! ## Items (they drift)
//! | subject | value |
//! | --- | --- |
//! | `table:inet/filter` | its flags |
//! | `chain:inet/filter/input` | type, hook, priority, policy, devices; and `order`, the run of its rules' verdicts |
//! | `rule:inet/filter/input:tcp dport 22 ip saddr 10.0.0.0/8 accept` | the rule's text, its comment |
//! | `set:inet/filter/trusted`, `map:…` | what it holds, its flags, its lasting elements, sorted |
//! | `counter:…`, `flowtable:…`, … | any other object, as compact JSON |
//! | `file:/etc/nftables.conf`, `file:/etc/iptables/rules.v4`, … | its SHA-256 |
//! | `boot:nftables`, `boot:ufw`, `boot:firewalld`, `boot:iptables` | its enabled units, and the families for which what it loads denies by default |
//!
//! A rule's subject is its text: without handle, counters and comment, the elements of sets sorted, statements in their
//! own order. The second of two equal rules in a chain ends in ` #2`; a text over 240 bytes is cut and ends in its digest.
//! So reloading the same file changes nothing, and changing one rule lets one item vanish and one appear. A rule has no
//! number, or inserting one would rename all that follow; that a drop moved before or behind an accept shows in the chain's
//! `order`. Swapping two rules of one verdict across a third shows only in the openings. Elements of sets that rules or
//! clocks fill (fail2ban, port knocking) are state.
//!
//! ## State (judged, never drifts)
//! `default:input/ip` and so on: what happens to a new connection no rule names. `opening:…`: what new connections from
//! outside reach this host, derived from the base chains of prerouting and input through jumps, gotos, sets and verdict
//! maps: a packet must be accepted by every base chain, a drop anywhere wins. Ports and addresses are those that are
//! dialled; where destination NAT leads them elsewhere on this host, `to` says where. `elements:…`: what dynamic sets hold.
//!
//! ## Expectations
//! ```yaml
//! firewall:
//!   deny_by_default: [input, forward]    # of input, forward, output; IPv4 and IPv6 must both be denied
//!   openings:                            # these and no others; [] for none
//!     - protocol: tcp                    # tcp, udp, another of /etc/protocols, a number, any
//!       port: [22, 8000-8010]            # a port, a range, a list, any
//!       from: [10.0.0.0/8, fd00::/8]     # prefixes, addresses, ranges, any
//!       interface: eth0                  # may be left out: any
//!       reason: administration by ssh
//!       owner: operations
//!       until: 2027-06-30                # the last day; every opening has a reason, an owner and an end
//!   after_reboot: true                   # an enabled unit loads rules that deny by default, for both families
//!   warn: 30d                            # deviate so long before the last day of one that is in use; may be left out
//! ```
//! Deny by default holds where a base chain drops by policy or by a last rule that drops the rest, and no rule accepts
//! everything. An empty ruleset deviates: nothing is filtered. Chains of iptables are named `ip/filter/INPUT`, those of
//! legacy iptables `legacy-ip/filter/INPUT`. An opening is fine where the listed ones contain it
//! together, address by address; one that is wider names both. Replies (`established`, `related`), loopback and ICMP are
//! no openings. A condition that is not understood (a packet mark, an ipset, a set that changes by itself) makes an opening that is not contained `unknown`: neither pass
//! nor deviation.
//!
//! ## What it cannot see
//! Where legacy iptables cannot be read, that it exists is a gap, and what nftables leaves open is then unknown; so are
//! rules with extensions where iptables-nft-save is missing. What chains of ingress, bridge and arp drop is shown as items
//! and counted in nobody's favour. Which address of its interface a redirect gives is not known: a rule that looks at it
//! afterwards is unclear. Openings of the forward hook (published ports of containers) are not derived. Packet marks are
//! not followed. eBPF programs and filters outside this network namespace are not looked at. What comes back after a reboot is
//! told by nftables.conf, the files of iptables-save and the settings of ufw and firewalld, where their units are enabled: not by
//! units of one's own; what a script of nft includes is not followed, and then unknown.

mod boot;
mod describe;
mod expect;
mod flow;
mod follow;
mod judge;
mod key;
mod local;
mod matching;
mod names;
mod observe;
mod prerouting;
mod reach;
mod ruleset;
mod save;
mod save_rule;
mod space;
#[cfg(test)]
mod tests;
mod text;
mod tracking;
mod translate;
mod verdict;
mod walk;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};

pub use expect::{Allowed, Expect, Hook, Ports, Sources, Words};
pub(crate) use reach::{Reach, reach};

/// The probe.
pub struct Firewall;

/// A part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Item {
    /// A table.
    Table {
        /// `dormant`, `owner`, …; nft 1.0 prints its name instead.
        flags: Vec<String>,
    },
    /// A chain. Those that are no base chains have no type, hook, priority and policy.
    Chain {
        /// `filter`, `nat`, `route`.
        #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
        kind: Option<String>,
        /// Where the kernel calls it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        hook: Option<String>,
        /// Its place among the hook's chains.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        priority: Option<String>,
        /// What becomes of a packet at its end.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        policy: Option<String>,
        /// The devices of a netdev chain.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        devices: Vec<String>,
        /// Its rules' verdicts in order, equal neighbours folded: `accept drop accept`.
        order: String,
    },
    /// A rule.
    Rule {
        /// All of it.
        text: String,
        /// The comment it carries.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        comment: Option<String>,
    },
    /// A set or map.
    Set {
        /// `ipv4_addr . inet_service`.
        of: String,
        /// `interval`, `timeout`, …
        flags: Vec<String>,
        /// What it lastingly holds, sorted.
        elements: Vec<String>,
    },
    /// Anything else, as compact JSON.
    Other {
        /// That JSON.
        text: String,
    },
    /// What loads rules at boot.
    Boot {
        /// Its units that are enabled.
        enabled: Vec<String>,
        /// Families for which what it loads denies by default.
        denies: Vec<String>,
    },
    /// A configuration file.
    File {
        /// Its SHA-256.
        sha256: Digest,
    },
}

/// What follows from the configuration, or comes and goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum State {
    /// What a hook does with a new connection that no rule names.
    Default {
        /// The chains that drop it.
        denied_by: Vec<String>,
        /// Chains that would, were their table known to be awake.
        perhaps_denied_by: Vec<String>,
        /// All chains that filter here.
        chains: Vec<String>,
        /// The rule that accepts everything all the same.
        open_by: Option<String>,
    },
    /// What gets in.
    Opening(Opening),
    /// What a dynamic set holds now.
    Elements {
        /// How many.
        count: usize,
        /// The first of them, sorted.
        first: Vec<String>,
    },
}

/// New connections that reach this host: the product of its lists. `any` is the whole of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// `ip`, `ip6` or `any`.
    pub family: String,
    /// Protocols, by name where they have one.
    pub protocol: Vec<String>,
    /// Destination ports.
    pub port: Vec<String>,
    /// Prefixes, addresses, ranges.
    pub from: Vec<String>,
    /// Addresses of this host they are for.
    #[serde(skip_serializing_if = "is_any", default = "anything")]
    pub at: Vec<String>,
    /// Where destination NAT sends them: a port of this host, or an address and a port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// Interfaces they arrive on; `not eth0` for all but that.
    pub interface: Vec<String>,
    /// What else is asked of them and understood.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub given: Vec<String>,
    /// What else is asked of them, or may be, and is not understood.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unclear: Vec<String>,
    /// The rules that accept them.
    pub by: Vec<String>,
}

fn anything() -> Vec<String> {
    vec!["any".to_owned()]
}

fn is_any(words: &[String]) -> bool {
    words == ["any"]
}

impl Probe for Firewall {
    const NAME: &'static str = "firewall";
    const SCHEMA: u32 = 2;
    const READS: &'static [&'static str] = &[
        "/etc/nftables.conf",
        "/proc/net/ip_tables_names",
        "/proc/net/ip6_tables_names",
        "/proc/net/fib_trie",
        "/proc/net/if_inet6",
        "/etc/iptables/rules.v4",
        "/etc/iptables/rules.v6",
        "/etc/sysconfig/iptables",
        "/etc/sysconfig/ip6tables",
        "/etc/ufw/ufw.conf",
        "/etc/default/ufw",
        "/etc/firewalld/firewalld.conf",
        "/etc/firewalld/zones/*.xml",
        "/etc/systemd/system/{nftables,ufw,firewalld,netfilter-persistent,iptables,ip6tables}.service",
        "/etc/systemd/system/{sysinit,basic,multi-user,network-pre}.target.wants/{nftables,ufw,firewalld,netfilter-persistent,iptables,ip6tables}.service",
    ];
    const ASKS: &'static [Question] = &[
        Question::NftGeneration,
        Question::NftRuleset,
        Question::IptablesNft,
        Question::Ip6tablesNft,
        Question::IptablesLegacy,
        Question::Ip6tablesLegacy,
    ];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Item;
    type State = State;
    type Expect = Expect;

    fn collect(host: &dyn Host) -> Facts<Item, State> {
        observe::observe(host)
    }

    fn judge(expect: &Expect, facts: &Facts<Item, State>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, facts, context.now.date_naive())
    }

    fn say(item: &Item) -> String {
        match item {
            Item::Table { flags } if flags.is_empty() => "table".to_owned(),
            Item::Table { flags } => flags.join(","),
            Item::Chain { policy: Some(policy), order, .. } => format!("policy {policy}; {order}"),
            Item::Chain { policy: None, order, .. } => order.clone(),
            Item::Rule { text, comment: Some(comment) } => format!("{text} comment {comment:?}"),
            Item::Rule { text, comment: None } | Item::Other { text } => text.clone(),
            Item::Set { elements, .. } => elements.join(", "),
            Item::Boot { enabled, denies } => format!("{}; denies {}", enabled.join(", "), denies.join(", ")),
            Item::File { sha256 } => sha256.to_string(),
        }
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

/// `text`, or its beginning and its digest where it is longer than 240 bytes: short enough for a subject, and still of
/// that text alone.
fn short(text: &str) -> String {
    const MOST: usize = 240;
    if text.len() <= MOST {
        return text.to_owned();
    }
    let cut = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… {}", text.get(..cut).unwrap_or_default(), Digest::of(text.as_bytes()).short())
}
