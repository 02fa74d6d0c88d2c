//! Destination NAT: under which name a connection goes on once a rule has redirected it (nft(8), NAT statements).
//!
//! `redirect` keeps the packet on this host and gives it an address of the interface it came in by; a later rule that
//! looks at that address cannot be decided. `dnat` to an address that is not this host's sends it elsewhere, so it reaches nothing here. A range
//! of ports, or a form not known, leaves the port open and is unclear.

use serde_json::Value;

use super::flow::{Dialled, Flow};
use super::matching::{self, Constraint, Eye};
use super::ruleset::set_id;
use super::space::{Family, Ranges, Region};
use super::{describe, text};

/// Whether a statement touches packets of `family`; those of the other pass it by (nft_nat_inet_eval).
pub(super) fn concerns(body: &Value, family: Family) -> bool {
    let named = body.get("family").and_then(Value::as_str);
    let of = body.get("addr").and_then(Value::as_str).and_then(describe::number);
    named.is_none_or(|named| named == family.name()) && of.is_none_or(|(of, _)| of == family)
}

/// Where `flow` goes on to. Nothing, where it leaves this host.
pub(super) fn translated(eye: &Eye<'_>, table: &str, kind: &str, body: &Value, flow: Flow) -> Vec<Flow> {
    let said = || text::statement(&serde_json::json!({ kind: body })).unwrap_or_default();
    if kind == "xt" {
        return vec![unclear(flow, eye.family, said())];
    }
    let port = body.get("port");
    // Each element of a map is a translation of its own: `redirect to :tcp dport map { 80 : 8080 }`.
    if let Some(map) = port.and_then(|port| port.get("map")) {
        return mapped(eye, table, map, &flow).unwrap_or_else(|| vec![unclear(flow, eye.family, said())]);
    }
    let address = match body.get("addr").map(|addr| addr.as_str().and_then(describe::number)) {
        None => None,
        Some(Some((_, address))) => Some(address),
        Some(None) => return vec![unclear(flow, eye.family, said())],
    };
    let port = match port.map(Value::as_u64) {
        None => None,
        Some(Some(port)) => Some(u128::from(port)),
        Some(None) => return vec![unclear(flow, eye.family, said())],
    };
    named(eye, flow, address, port)
}

fn mapped(eye: &Eye<'_>, table: &str, map: &Value, flow: &Flow) -> Option<Vec<Flow>> {
    let (key, pairs) = pairs(eye, table, map)?;
    let mut flows = Vec::new();
    for pair in pairs {
        let port = u128::from(matching::unwrap_element(pair.get(1)?).as_u64()?);
        let of = matching::among(eye, key, std::slice::from_ref(pair.get(0)?), "");
        if of.given.is_some() || of.unclear.is_some() {
            return None;
        }
        for region in matching::crossed(std::slice::from_ref(&flow.region), &of.regions) {
            flows.extend(named(eye, Flow { region, ..flow.clone() }, None, Some(port)));
        }
    }
    Some(flows)
}

fn pairs<'v>(eye: &Eye<'v>, table: &str, map: &'v Value) -> Option<(&'v Value, &'v [Value])> {
    let (key, data) = (map.get("key")?, map.get("data")?);
    match (data.as_str(), data.get("set").and_then(Value::as_array)) {
        (Some(name), _) => {
            let map = eye.ruleset.sets.get(&set_id(table, name)).filter(|map| !map.dynamic)?;
            Some((key, map.elements.as_slice()))
        }
        (None, Some(pairs)) => Some((key, pairs.as_slice())),
        (None, None) => None,
    }
}

/// What a statement's map asks of a packet: one whose key is not in it goes on to the next rule.
pub(super) fn keys(eye: &Eye<'_>, table: &str, body: &Value) -> Option<Constraint> {
    let (key, pairs) = pairs(eye, table, body.get("port")?.get("map")?)?;
    let keys: Vec<Value> = pairs.iter().filter_map(|pair| pair.get(0).cloned()).collect();
    Some(matching::among(eye, key, &keys, &text::expression(key)))
}

/// `flow` under its new name, in two parts where a part of it had that name already. Nothing, where it is not this host's.
fn named(eye: &Eye<'_>, mut flow: Flow, address: Option<u128>, port: Option<u128>) -> Vec<Flow> {
    let loopback = |address: u128| match eye.family {
        Family::Ip => address >> 24 == 127,
        Family::Ip6 => address == 1,
    };
    if let Some(address) = address {
        match &eye.ruleset.addresses {
            _ if loopback(address) => {
                let note = "net.ipv4.conf.*.route_localnet, without which nothing outside reaches loopback";
                flow.unclear.insert(note.to_owned());
            }
            Some(own) if own.contains(&(eye.family, address)) => {}
            Some(_) => return Vec::new(),
            None => {
                flow.unclear.insert("which addresses are this host's".into());
            }
        }
    }
    let one = |value: u128| Ranges::of([(value, value)]);
    let place = address.map(|address| describe::address(address, eye.family));
    let to = match (place, port) {
        (None, None) => "the same port".to_owned(),
        (None, Some(port)) => port.to_string(),
        (Some(place), None) => place,
        (Some(place), Some(port)) if eye.family == Family::Ip6 => format!("[{place}]:{port}"),
        (Some(place), Some(port)) => format!("{place}:{port}"),
    };
    let same = Region {
        port: port.map_or_else(|| Ranges::full(65535), one),
        destination: address.map_or_else(|| Ranges::full(eye.family.top()), one),
        ..Region::all(eye.family)
    };
    let mut parts: Vec<(Region, bool)> =
        flow.region.minus(&same, eye.family).into_iter().map(|region| (region, true)).collect();
    parts.extend(flow.region.and(&same).map(|region| (region, false)));
    let renamed = parts.into_iter().map(|(region, changed)| {
        let dialled = Dialled {
            port: port.map(|_| region.port.clone()),
            destination: Some(region.destination.clone()),
            // A redirect gives an address of the interface, which may be the one that was dialled.
            changed,
            placed: address.is_some(),
            to: to.clone(),
        };
        let destination = address.map_or_else(|| Ranges::full(eye.family.top()), one);
        let region = Region { port: port.map_or(region.port, one), destination, ..region };
        Flow { region, dialled: Some(dialled), ..flow.clone() }
    });
    renamed.collect()
}

/// A redirect gives an address of the interface nobody here knows; a rule that asked for one decided by it.
pub(super) fn doubted(mut flow: Flow, family: Family) -> Flow {
    let is_redirect = flow.dialled.as_ref().is_some_and(|dialled| !dialled.placed);
    if is_redirect && flow.region.destination != Ranges::full(family.top()) {
        flow.unclear.insert("which address of its interface a redirect gives".to_owned());
    }
    flow
}

fn unclear(mut flow: Flow, family: Family, said: String) -> Flow {
    let (port, destination) = (flow.region.port.clone(), flow.region.destination.clone());
    let (port, destination) = (Some(port), Some(destination));
    flow.dialled = Some(Dialled { port, destination, changed: false, placed: true, to: said.clone() });
    flow.region.port = Ranges::full(65535);
    flow.region.destination = Ranges::full(family.top());
    flow.unclear.insert(said);
    flow
}
