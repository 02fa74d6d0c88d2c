//! What the left side of a match looks at, of all that nft can look at: the dimensions of a region, tracking, or
//! something that only narrows.

use serde_json::Value;

use super::describe;
use super::ruleset::words;
use super::space::Family;
use super::text;

/// What a left side looks at.
pub(super) struct Key {
    pub(super) what: What,
    /// The match implies this family.
    pub(super) family: Option<Family>,
    /// The match implies this protocol.
    pub(super) protocol: Option<u128>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum What {
    Source(Family),
    Destination(Family),
    Protocol,
    /// The next header of IPv6 is the protocol only where no extension headers stand between.
    NextHeader,
    Port,
    Interface,
    InterfaceType,
    Family,
    State,
    Status,
    /// The kind of the destination's address: every packet to this host has a local one, broadcasts aside.
    Local,
    Narrowing,
    Unknown,
}

/// What the left side of a match looks at.
pub(super) fn key(left: &Value) -> Key {
    let plain = |what| Key { what, family: None, protocol: None };
    let Some((kind, body)) = text::single(left) else { return plain(What::Unknown) };
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    match kind {
        "payload" => payload(word("protocol"), word("field")),
        "meta" => plain(match word("key") {
            "iif" | "iifname" => What::Interface,
            "iiftype" => What::InterfaceType,
            "l4proto" => What::Protocol,
            "nfproto" | "protocol" => What::Family,
            "oif" | "oifname" | "pkttype" | "length" | "time" | "hour" | "day" | "cpu" => What::Narrowing,
            _ => What::Unknown,
        }),
        "ct" if word("key") == "state" => plain(What::State),
        "ct" if word("key") == "status" => plain(What::Status),
        "fib" if word("result") == "type" && words(body.get("flags")) == ["daddr"] => plain(What::Local),
        "fib" => plain(What::Narrowing),
        // Flags of TCP and masks of addresses: the part that is masked still tells the protocol.
        "&" => {
            let masked = body.as_array().and_then(|parts| parts.first()).map(key);
            match masked {
                Some(Key { what: What::Narrowing | What::Destination(_), family, protocol }) => {
                    Key { what: What::Narrowing, family, protocol }
                }
                Some(Key { family, protocol, .. }) => Key { what: What::Unknown, family, protocol },
                None => plain(What::Unknown),
            }
        }
        _ => plain(What::Unknown),
    }
}

fn payload(protocol: &str, field: &str) -> Key {
    let of = |what, family, protocol| Key { what, family, protocol };
    match (protocol, field) {
        ("ip", "saddr") => of(What::Source(Family::Ip), Some(Family::Ip), None),
        ("ip", "daddr") => of(What::Destination(Family::Ip), Some(Family::Ip), None),
        ("ip6", "daddr") => of(What::Destination(Family::Ip6), Some(Family::Ip6), None),
        ("ip6", "saddr") => of(What::Source(Family::Ip6), Some(Family::Ip6), None),
        ("ip", "protocol") => of(What::Protocol, Some(Family::Ip), None),
        ("ip6", "nexthdr") => of(What::NextHeader, Some(Family::Ip6), None),
        ("ip", _) => of(What::Narrowing, Some(Family::Ip), None),
        ("ip6", _) => of(What::Narrowing, Some(Family::Ip6), None),
        ("th", "dport") => of(What::Port, None, None),
        ("th" | "ether" | "vlan", _) => of(What::Narrowing, None, None),
        ("tcp" | "udp" | "udplite" | "sctp" | "dccp", "dport") => of(What::Port, None, describe::protocol(protocol)),
        (name, _) => match describe::protocol(name) {
            Some(number) => of(What::Narrowing, None, Some(number)),
            None => of(What::Unknown, None, None),
        },
    }
}
