//! Regions as people write them (`tcp`, `8000-8010`, `10.0.0.0/8`, `eth0`) and back. The same words stand in facts, in
//! baselines and in findings; `any` is the whole of a dimension.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::Names;
use super::space::{Family, Ranges, Region};

/// Protocols by number, as /etc/protocols names them; the first name of a number is the one written.
const PROTOCOLS: [(u128, &str); 20] = [
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (4, "ipencap"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (58, "ipv6-icmp"),
    (89, "ospf"),
    (103, "pim"),
    (108, "comp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (136, "udplite"),
];

/// The number of the protocol called `name`, or written as a number.
pub(super) fn protocol(name: &str) -> Option<u128> {
    let named = PROTOCOLS.iter().find(|(_, known)| *known == name).map(|(number, _)| *number);
    named.or_else(|| name.parse::<u8>().ok().map(u128::from))
}

/// The names of a set of protocols.
pub(super) fn protocols(ranges: &Ranges) -> Vec<String> {
    said(ranges, 255, |number| match PROTOCOLS.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => (*name).to_owned(),
        None => number.to_string(),
    })
}

/// `22`, `8000-8010`.
pub(super) fn ports(ranges: &Ranges) -> Vec<String> {
    said(ranges, 65535, |port| port.to_string())
}

/// `10.0.0.0/8`, `10.0.0.1`, `10.0.0.1-10.0.0.9`.
pub(super) fn sources(ranges: &Ranges, family: Family) -> Vec<String> {
    if *ranges == Ranges::full(family.top()) {
        return vec!["any".to_owned()];
    }
    let width = if family == Family::Ip { 32 } else { 128 };
    let mut said = Vec::new();
    for (low, high) in ranges.iter() {
        let (from, to) = (address(low, family), address(high, family));
        let host_bits = (high - low).checked_add(1).map_or(128, u128::trailing_zeros);
        let is_prefix = (high - low).checked_add(1).is_none_or(|size| size.is_power_of_two() && low % size == 0);
        said.push(match (low == high, is_prefix) {
            (true, _) => from,
            (false, true) => format!("{from}/{}", width - host_bits),
            (false, false) => format!("{from}-{to}"),
        });
    }
    said
}

/// The region those words describe; `None` where one of them is not understood or says nothing in `family`.
pub(super) fn region(
    family: Family,
    protocols: &[String],
    ports: &[String],
    from: &[String],
    at: &[String],
    interfaces: &[String],
) -> Option<Region> {
    Some(Region {
        protocol: ranges(protocols, 255, |text| protocol(text).map(|number| (number, number)))?,
        port: ranges(ports, 65535, parse_port)?,
        source: ranges(from, family.top(), |text| {
            source(text).and_then(|(of, range)| (of == family).then_some(range))
        })?,
        destination: ranges(at, family.top(), |text| {
            source(text).and_then(|(of, range)| (of == family).then_some(range))
        })?,
        interface: Names::parse(interfaces),
    })
}

/// One port or a range of them.
pub(super) fn parse_port(text: &str) -> Option<(u128, u128)> {
    let number = |text: &str| text.parse::<u16>().ok().map(u128::from);
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (number(low)?, number(high)?),
        None => (number(text)?, number(text)?),
    };
    (low <= high).then_some((low, high))
}

/// An address, a prefix or a range of addresses.
pub(super) fn source(text: &str) -> Option<(Family, (u128, u128))> {
    if let Some((low, high)) = text.split_once('-') {
        let ((family, low), (other, high)) = (number(low)?, number(high)?);
        return (family == other && low <= high).then_some((family, (low, high)));
    }
    let Some((of, length)) = text.split_once('/') else {
        return number(text).map(|(family, at)| (family, (at, at)));
    };
    let (family, at) = number(of)?;
    prefix(family, at, length.parse().ok()?).map(|range| (family, range))
}

/// The addresses of a prefix; host bits that are set are refused, since the writer may have meant something else.
pub(super) fn prefix(family: Family, at: u128, length: u32) -> Option<(u128, u128)> {
    let width: u32 = if family == Family::Ip { 32 } else { 128 };
    let host = match width.checked_sub(length)? {
        128 => u128::MAX,
        bits => (1_u128 << bits) - 1,
    };
    (at & host == 0).then_some((at, at | host))
}

/// An address as a number.
pub(super) fn number(text: &str) -> Option<(Family, u128)> {
    match text.parse().ok()? {
        IpAddr::V4(address) => Some((Family::Ip, u128::from(u32::from(address)))),
        IpAddr::V6(address) => Some((Family::Ip6, u128::from(address))),
    }
}

pub(super) fn address(number: u128, family: Family) -> String {
    match (family, u32::try_from(number)) {
        (Family::Ip, Ok(number)) => Ipv4Addr::from(number).to_string(),
        (Family::Ip, Err(_)) | (Family::Ip6, _) => Ipv6Addr::from(number).to_string(),
    }
}

fn ranges(list: &[String], top: u128, parse: impl Fn(&str) -> Option<(u128, u128)>) -> Option<Ranges> {
    if list.iter().any(|text| text == "any") {
        return Some(Ranges::full(top));
    }
    let parsed: Option<Vec<_>> = list.iter().map(|text| parse(text).or_else(|| parse_plain(text, top))).collect();
    parsed.map(Ranges::of)
}

/// Protocols between two known ones are written as a range of numbers.
fn parse_plain(text: &str, top: u128) -> Option<(u128, u128)> {
    let (low, high) = text.split_once('-')?;
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high && high <= top).then_some((low, high))
}

fn said(ranges: &Ranges, top: u128, name: impl Fn(u128) -> String) -> Vec<String> {
    if *ranges == Ranges::full(top) {
        return vec!["any".to_owned()];
    }
    ranges.iter().map(|(low, high)| if low == high { name(low) } else { format!("{low}-{high}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_region() {
        let any = words(&["any"]);
        let cases = [
            (Family::Ip, words(&["tcp"]), words(&["22", "8000-8010"]), words(&["10.0.0.0/8", "192.0.2.1-192.0.2.5"])),
            (Family::Ip6, words(&["udp", "200-250"]), any.clone(), words(&["2001:db8::/32", "fe80::1"])),
            (Family::Ip6, any.clone(), words(&["53"]), any.clone()),
            (Family::Ip, any.clone(), any.clone(), words(&["0.0.0.0/1"])),
        ];
        for (family, protocol, port, from) in cases {
            let region = region(family, &protocol, &port, &from, &any, &words(&["not eth0", "not lo"])).unwrap();
            assert_eq!(protocols(&region.protocol), protocol);
            assert_eq!(ports(&region.port), port);
            assert_eq!(sources(&region.source, family), from);
            assert_eq!(region.interface.words(), words(&["not eth0", "not lo"]));
        }
    }

    #[test]
    fn the_whole_of_either_family_is_any_and_its_prefix_is_the_same() {
        assert_eq!(source("0.0.0.0/0").unwrap().1, (0, Family::Ip.top()));
        assert_eq!(source("::/0").unwrap().1, (0, Family::Ip6.top()));
        assert_eq!(sources(&Ranges::full(Family::Ip6.top()), Family::Ip6), ["any"]);
    }

    #[test]
    fn nonsense_is_not_a_source_or_port() {
        for text in ["10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "x", "", "/", "-"] {
            assert!(source(text).is_none(), "{text}");
        }
        for text in ["65536", "9-1", "", "-", "1-", "22 "] {
            assert!(parse_port(text).is_none(), "{text}");
        }
    }
}
