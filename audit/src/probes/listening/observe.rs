//! Sockets folded to items: one for each protocol, port and kind of address.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Facts;
use crate::host::{Gap, Host, Question, read_text};

use super::owners::Owners;
use super::sockets::{self, Protocol, Socket};
use super::{Item, State};

/// Addresses of one item that are shown.
const MOST_ADDRESSES: usize = 100;
/// The kernel's own default (`net/ipv4/af_inet.c`).
const DEFAULT_RANGE: (u16, u16) = (32_768, 60_999);

#[derive(Default)]
struct Fold {
    families: BTreeSet<&'static str>,
    owners: BTreeSet<String>,
    addresses: BTreeSet<String>,
}

pub(super) fn observe(host: &dyn Host) -> Facts<Item, State> {
    let bytes = match host.ask(Question::Sockets) {
        Ok(bytes) => bytes,
        Err(gap) => return Facts::hidden(gap),
    };
    let sockets = match sockets::parse(&bytes) {
        Ok(sockets) => sockets,
        Err(cause) => return Facts::hidden(Gap::malformed("sockets", cause)),
    };
    let given_out = read_text(host, "/proc/sys/net/ipv4/ip_local_port_range").ok();
    let given_out = given_out.and_then(|text| range(&text)).unwrap_or(DEFAULT_RANGE);
    let owners = Owners::of(host);
    let mut folds: BTreeMap<String, Fold> = BTreeMap::new();
    let mut ephemeral: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for socket in &sockets {
        let class = sockets::class(socket.address);
        if is_client(socket, given_out) {
            ephemeral.entry(format!("ephemeral:udp/{class}")).or_default().extend(owners.name(socket));
            continue;
        }
        let fold = folds.entry(format!("{}:{}/{class}", socket.protocol.name(), socket.port)).or_default();
        fold.owners.extend(owners.name(socket));
        fold.families.extend(socket.families.0.then_some("ip"));
        fold.families.extend(socket.families.1.then_some("ip6"));
        if !matches!(class, "any" | "loopback") {
            fold.addresses.insert(socket.address.to_string());
        }
    }
    let mut facts = Facts::default();
    for (subject, fold) in folds {
        if !fold.addresses.is_empty() {
            let addresses = fold.addresses.into_iter().take(MOST_ADDRESSES).collect();
            facts.state.seen.insert(format!("addresses:{subject}"), State::Addresses(addresses));
        }
        let families = fold.families.into_iter().map(str::to_owned).collect();
        facts.items.seen.insert(subject, Item { families, owners: fold.owners.into_iter().collect() });
    }
    for (subject, owners) in ephemeral {
        facts.state.seen.insert(subject, State::Ephemeral(owners.into_iter().collect()));
    }
    facts
}

/// Whether a socket most likely waits for an answer rather than for a caller.
fn is_client(socket: &Socket, given_out: (u16, u16)) -> bool {
    socket.protocol == Protocol::Udp && socket.inode != 0 && (given_out.0..=given_out.1).contains(&socket.port)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace();
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
