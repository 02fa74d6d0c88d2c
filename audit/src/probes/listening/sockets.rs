//! Sockets out of the kernel's answer to sock_diag(7): inet_diag_msg (`linux/inet_diag.h`).

use std::net::{IpAddr, Ipv6Addr};

use crate::netlink::{self, DONE, Message};

/// The dumps of an answer, in the order they were asked for; each ends in NLMSG_DONE.
const DUMPS: [Protocol; 4] = [Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Udp];
/// INET_DIAG_SKV6ONLY and INET_DIAG_CGROUP_ID.
const ONLY_IPV6: u16 = 11;
const CGROUP: u16 = 21;

/// How they speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As written in subjects.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) protocol: Protocol,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Whether it takes packets of IPv4 and of IPv6.
    pub(super) families: (bool, bool),
    pub(super) inode: u32,
    pub(super) group: Option<u64>,
}

/// All sockets of an answer. The error says that it is no such answer.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Socket>, String> {
    let mut sockets = Vec::new();
    let mut dumps = DUMPS.iter();
    let mut of = dumps.next();
    for message in netlink::messages(bytes) {
        let Some(protocol) = of else { return Err("more follows the last dump".to_owned()) };
        if message.kind == DONE {
            of = dumps.next();
        } else {
            sockets.push(socket(*protocol, message).ok_or("a socket that was not understood")?);
        }
    }
    if of.is_some() { Err("it broke off".to_owned()) } else { Ok(sockets) }
}

/// struct inet_diag_msg: four bytes of family and states, inet_diag_sockid from 4 (ports in the network's order, then 16
/// bytes of source), the inode at 68, attributes from 72.
fn socket(protocol: Protocol, message: Message<'_>) -> Option<Socket> {
    let body = message.body;
    let port = u16::from_be_bytes(*body.get(4..)?.first_chunk()?);
    let source: [u8; 16] = *body.get(8..)?.first_chunk()?;
    let address = match body.first()? {
        2 => netlink::address(source.get(..4)?)?,
        10 => IpAddr::V6(Ipv6Addr::from(source)),
        _ => return None,
    };
    let inode = netlink::u32_at(body, 68)?;
    let (mut only_ipv6, mut group) = (false, None);
    for (kind, value) in netlink::attributes(body.get(72..)?) {
        match kind {
            ONLY_IPV6 => only_ipv6 = value.first().is_some_and(|flag| *flag != 0),
            CGROUP => group = netlink::u64_at(value, 0),
            _ => {}
        }
    }
    let families = match address {
        IpAddr::V4(_) => (true, false),
        IpAddr::V6(address) if address.is_unspecified() => (!only_ipv6, true),
        IpAddr::V6(address) => (address.to_ipv4_mapped().is_some(), address.to_ipv4_mapped().is_none()),
    };
    Some(Socket { protocol, address: address.to_canonical(), port, families, inode, group })
}

/// The kind of an address, as subjects name it.
pub(super) fn class(address: IpAddr) -> &'static str {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() {
        "any"
    } else if address.is_loopback() {
        "loopback"
    } else if address.is_multicast() {
        "multicast"
    } else if link_local {
        "link-local"
    } else {
        "address"
    }
}
