//! Whether the firewall lets others than some reach a socket, for probes that know of sockets.

use std::net::IpAddr;

use crate::facts::Facts;
use crate::host::Gap;

use super::describe;
use super::judge::elsewhere;
use super::names::Names;
use super::space::{Family, Ranges, Region, subtract};
use super::{Item, Opening, State};

/// Who besides those allowed gets through.
pub(crate) enum Reach {
    /// The firewall could not be seen.
    Unseen(Gap),
    /// Nobody.
    Nobody,
    /// Somebody, if a condition that is not understood lets them.
    Perhaps(Vec<String>),
    /// These.
    Others(Vec<String>),
}

/// Who, besides `allowed` (sources as written in baselines), reaches a socket of `protocol` (`tcp`, `udp`) on `port`, open
/// for `families` (`ip`, `ip6`) and bound to `addresses`; to all, where there are none.
pub(crate) fn reach(
    facts: &Facts<Item, State>,
    protocol: &str,
    port: u16,
    families: &[&str],
    addresses: &[IpAddr],
    allowed: &[String],
) -> Reach {
    if let Some(gap) = facts.state.gap_for("opening:") {
        return Reach::Unseen(gap.clone());
    }
    let (mut certain, mut perhaps) = (Vec::new(), Vec::new());
    for state in facts.state.seen.values() {
        let State::Opening(opening) = state else { continue };
        let is_open = Family::BOTH
            .into_iter()
            .filter(|family| families.contains(&family.name()))
            .any(|family| is_wider(opening, family, protocol, port, addresses, allowed));
        if is_open && opening.unclear.is_empty() && elsewhere(facts).is_none() {
            certain.push(opening.say());
        } else if is_open {
            perhaps.push(opening.say());
        }
    }
    match (certain.is_empty(), perhaps.is_empty()) {
        (false, _) => Reach::Others(certain),
        (true, false) => Reach::Perhaps(perhaps),
        (true, true) => Reach::Nobody,
    }
}

fn is_wider(
    opening: &Opening,
    family: Family,
    protocol: &str,
    port: u16,
    addresses: &[IpAddr],
    allowed: &[String],
) -> bool {
    if opening.family != "any" && opening.family != family.name() {
        return false;
    }
    // What is not readable is not closed.
    let (Some(region), Some(protocol)) = (opening.region(family), describe::protocol(protocol)) else { return true };
    let (to_address, to_port) = opening.to.as_deref().map_or((None, None), leads_to);
    if to_port.is_some_and(|to| to != port) {
        return false;
    }
    let one = |value: u128| Ranges::of([(value, value)]);
    let mut asked = Region { protocol: one(protocol), ..Region::all(family) };
    if to_port.is_none() {
        asked.port = one(u128::from(port));
    }
    let own = addresses.iter().filter_map(|address| describe::number(&address.to_string()));
    let own: Vec<u128> = own.filter(|(of, _)| *of == family).map(|(_, address)| address).collect();
    if !addresses.is_empty() {
        match to_address {
            Some(to) if !addresses.contains(&to) => return false,
            Some(_) => {}
            None => asked.destination = Ranges::of(own.into_iter().map(|address| (address, address))),
        }
    }
    let Some(open) = region.and(&asked) else { return false };
    let loopback = Region { interface: Names::only(["lo".to_owned()]), ..Region::all(family) };
    let mut rest = subtract(&[open], &loopback, family);
    for source in allowed {
        let range = match describe::source(source) {
            _ if source == "any" => (0, family.top()),
            Some((of, range)) if of == family => range,
            Some(_) | None => continue,
        };
        rest = subtract(&rest, &Region { source: Ranges::of([range]), ..Region::all(family) }, family);
    }
    !rest.is_empty()
}

/// `8080`, `10.0.0.5:8080`, `[fd00::1]:8080`, `10.0.0.5` as address and port.
fn leads_to(to: &str) -> (Option<IpAddr>, Option<u16>) {
    if let Ok(port) = to.parse() {
        return (None, Some(port));
    }
    if let Ok(socket) = to.parse::<std::net::SocketAddr>() {
        return (Some(socket.ip()), Some(socket.port()));
    }
    (to.parse().ok(), None)
}
