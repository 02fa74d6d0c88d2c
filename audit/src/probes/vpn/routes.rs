//! Where packets leave: links, rules and routes out of the kernel's answer (rtnetlink(7), `linux/rtnetlink.h`,
//! `linux/fib_rules.h`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::facts::Observed;
use crate::host::{Gap, Host, Question};
use crate::netlink::{self, DONE};

use super::State;
use super::words::{Prefix, is_everything};

/// RTM_NEWLINK, RTM_NEWRULE, RTM_NEWROUTE.
const LINK: u16 = 16;
const RULE: u16 = 32;
const ROUTE: u16 = 24;
/// Kinds of links that are tunnels, by IFLA_INFO_KIND.
const TUNNELS: [&str; 10] = ["wireguard", "tun", "xfrm", "vti", "vti6", "ppp", "gre", "ipip", "sit", "ip6tnl"];
/// RT_TABLE_LOCAL, MAIN, DEFAULT.
const OWN_TABLES: [u32; 3] = [255, 254, 253];
const MOST_ROUTES: usize = 100;

#[derive(Default)]
struct Network {
    /// Name, kind, whether it is up.
    links: BTreeMap<u32, (String, String, bool)>,
    routes: Vec<Route>,
    rules: Vec<Rule>,
}

struct Route {
    to: Prefix,
    table: u32,
    link: u32,
    metric: u32,
}

struct Rule {
    ipv4: bool,
    priority: u32,
    table: u32,
    /// Whether it looks at more than the destination.
    narrow: bool,
    /// `suppress_prefixlength 0`, by which wg-quick lets nearer routes go before.
    suppresses: bool,
    /// `not fwmark`, wg-quick's own: everything but the tunnel's own packets.
    all_but_marked: bool,
}

pub(super) fn observe(host: &dyn Host, state: &mut Observed<State>) {
    let bytes = match host.ask(Question::Routes) {
        Ok(bytes) => bytes,
        Err(gap) => return state.hide("", gap),
    };
    let Some(network) = parse(&bytes) else {
        return state.hide("", Gap::malformed("routes", "an answer of another form than rtnetlink.h says"));
    };
    for (index, (name, kind, up)) in &network.links {
        if !TUNNELS.contains(&kind.as_str()) || !up {
            continue;
        }
        let into: BTreeSet<Prefix> = network
            .routes
            .iter()
            .filter(|route| route.link == *index && route.table != 255)
            .map(|route| route.to)
            .collect();
        let takes = |ipv4| network.takes(*index, ipv4).to_owned();
        let routes = into.iter().take(MOST_ROUTES).map(Prefix::to_string).collect();
        state.seen.insert(
            format!("tunnel:{name}"),
            State::Tunnel { kind: kind.clone(), routes, ip: takes(true), ip6: takes(false) },
        );
    }
    for (family, ipv4) in [("ip", true), ("ip6", false)] {
        let defaults = network
            .routes
            .iter()
            .filter(|route| route.to.length == 0 && route.to.is_ipv4() == ipv4 && route.table == 254);
        let names: BTreeSet<String> =
            defaults.filter_map(|route| Some(network.links.get(&route.link)?.0.clone())).collect();
        state.seen.insert(format!("default:{family}"), State::Default(names.into_iter().collect()));
    }
}

impl Network {
    /// Whether all traffic of a family goes into a link: `full`, `split`, `none` (no route leads there) or `unknown`.
    fn takes(&self, link: u32, ipv4: bool) -> &'static str {
        let into = || {
            self.routes.iter().filter(|route| route.link == link && route.to.is_ipv4() == ipv4 && route.table != 255)
        };
        let beyond = |route: &&Route| !is_own_network(route.to);
        if !into().any(|route| beyond(&route)) {
            return "none";
        }
        let mut rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.ipv4 == ipv4).collect();
        rules.sort_by_key(|rule| rule.priority);
        for rule in rules {
            // The local table holds this host's own addresses, and a table of nearer routes decides about those alone.
            if rule.table == 255 || rule.suppresses {
                continue;
            }
            if rule.narrow && !rule.all_but_marked {
                return "unknown";
            }
            match self.first_hop(rule.table, link, ipv4) {
                Some(true) => return "full",
                Some(false) => return "split",
                None => {}
            }
        }
        "split"
    }

    /// Whether a table sends everything into `link`; `None`, where it does not decide about everything.
    fn first_hop(&self, table: u32, link: u32, ipv4: bool) -> Option<bool> {
        let of = || self.routes.iter().filter(move |route| route.table == table && route.to.is_ipv4() == ipv4);
        let into: Vec<Prefix> = of().filter(|route| route.link == link).map(|route| route.to).collect();
        // Halves beat a default route, whoever's it is: longer prefixes go first.
        let halves: Vec<Prefix> = into.iter().copied().filter(|prefix| prefix.length > 0).collect();
        if is_everything(&halves, ipv4) {
            return Some(true);
        }
        let best = of().filter(|route| route.to.length == 0).min_by_key(|route| route.metric)?;
        Some(best.link == link)
    }
}

/// Link-local and multicast routes stand for every link that is up.
fn is_own_network(prefix: Prefix) -> bool {
    match prefix.address {
        IpAddr::V4(address) => address.is_link_local() || address.is_multicast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
    }
}

fn parse(bytes: &[u8]) -> Option<Network> {
    let mut network = Network::default();
    let mut ends = 0;
    for message in netlink::messages(bytes) {
        match message.kind {
            LINK => link(&mut network, message.body)?,
            RULE => rule(&mut network, message.body)?,
            ROUTE => route(&mut network, message.body)?,
            DONE => ends += 1,
            _ => return None,
        }
    }
    (ends == 3).then_some(network)
}

/// ifinfomsg: the index at 4, flags at 8; IFLA_IFNAME 3, IFLA_LINKINFO 18 with IFLA_INFO_KIND 1.
fn link(network: &mut Network, body: &[u8]) -> Option<()> {
    const POINT_TO_POINT: u32 = 0x10;
    let (index, flags) = (netlink::u32_at(body, 4)?, netlink::u32_at(body, 8)?);
    let (mut name, mut kind) = (String::new(), String::new());
    for (attribute, value) in netlink::attributes(body.get(16..)?) {
        match attribute {
            3 => name = text(value),
            18 => {
                kind = netlink::attributes(value)
                    .find(|(inner, _)| *inner == 1)
                    .map(|(_, value)| text(value))
                    .unwrap_or_default()
            }
            _ => {}
        }
    }
    if kind.is_empty() && flags & POINT_TO_POINT != 0 {
        kind = "ppp".to_owned();
    }
    network.links.insert(index, (name, kind, flags & 1 != 0));
    Some(())
}

/// rtmsg: family at 0, prefix length at 1, table at 4, type at 7 (1 is unicast); RTA_DST 1, RTA_OIF 4, RTA_PRIORITY 6,
/// RTA_MULTIPATH 9, RTA_TABLE 15.
fn route(network: &mut Network, body: &[u8]) -> Option<()> {
    const UNICAST: u8 = 1;
    const CACHED: u32 = 0x200;
    let (family, length, kind) = (*body.first()?, *body.get(1)?, *body.get(7)?);
    let mut address = match family {
        2 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        10 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return Some(()),
    };
    if kind != UNICAST || netlink::u32_at(body, 8)? & CACHED != 0 {
        return Some(());
    }
    let (mut table, mut metric, mut links) = (u32::from(*body.get(4)?), 0, Vec::new());
    for (attribute, value) in netlink::attributes(body.get(12..)?) {
        match attribute {
            1 => address = netlink::address(value)?,
            4 => links.extend(netlink::u32_at(value, 0)),
            6 => metric = netlink::u32_at(value, 0)?,
            // rtnexthop: its length at 0, the link at 4.
            9 => {
                let mut rest = value;
                while let Some(length) = netlink::u16_at(rest, 0).map(usize::from).filter(|length| *length >= 8) {
                    links.extend(netlink::u32_at(rest, 4));
                    rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                }
            }
            15 => table = netlink::u32_at(value, 0)?,
            _ => {}
        }
    }
    let to = Prefix { address, length };
    network.routes.extend(links.into_iter().map(|link| Route { to, table, link, metric }));
    Some(())
}

/// fib_rule_hdr: family at 0, lengths of destination and source at 1 and 2, table at 4, action at 7 (1 is a table), flags at
/// 8 (2 inverts); FRA_IIFNAME 3, FRA_PRIORITY 6, FRA_FWMARK 10, FRA_SUPPRESS_PREFIXLEN 14, FRA_TABLE 15, FRA_OIFNAME 17,
/// FRA_UID_RANGE 20, FRA_IP_PROTO 22, FRA_SPORT_RANGE 23, FRA_DPORT_RANGE 24.
fn rule(network: &mut Network, body: &[u8]) -> Option<()> {
    const INVERTED: u32 = 2;
    let family = *body.first()?;
    if !matches!(family, 2 | 10) {
        return Some(());
    }
    let inverted = netlink::u32_at(body, 8)? & INVERTED != 0;
    let mut rule = Rule {
        ipv4: family == 2,
        priority: 0,
        table: u32::from(*body.get(4)?),
        narrow: *body.get(1)? > 0 || *body.get(2)? > 0 || *body.get(7)? != 1,
        suppresses: false,
        all_but_marked: false,
    };
    for (attribute, value) in netlink::attributes(body.get(12..)?) {
        match attribute {
            6 => rule.priority = netlink::u32_at(value, 0)?,
            10 => {
                rule.all_but_marked = inverted && !rule.narrow;
                rule.narrow = true;
            }
            14 => rule.suppresses = netlink::u32_at(value, 0)? == 0,
            15 => rule.table = netlink::u32_at(value, 0)?,
            3 | 17 | 20 | 22 | 23 | 24 => {
                rule.narrow = true;
                rule.all_but_marked = false;
            }
            _ => {}
        }
    }
    // A rule that looks into nothing but the kernel's own tables and asks for more than a destination decides less, not else.
    rule.narrow &= !(OWN_TABLES.contains(&rule.table) && rule.suppresses);
    network.rules.push(rule);
    Some(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}
