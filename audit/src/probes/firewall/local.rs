//! This host's own addresses, as the kernel's routing tables under `/proc/net` tell them: `fib_trie`, whose leaves of type
//! `LOCAL` are IPv4 addresses, and `if_inet6`, one IPv6 address a line (proc(5)).

use std::collections::BTreeSet;
use std::path::Path;

use crate::host::{Host, read_text};

use super::describe;
use super::space::Family;

/// All of both families; `None` where either cannot be read.
pub(super) fn addresses(host: &dyn Host) -> Option<BTreeSet<(Family, u128)>> {
    // A router has a leaf for each of its routes: larger than what people write.
    let mut found = ipv4(&String::from_utf8_lossy(&host.read(Path::new("/proc/net/fib_trie")).ok()?));
    // A kernel without IPv6 has no such file, and no such address.
    found.extend(ipv6(&read_text(host, "/proc/net/if_inet6").unwrap_or_default()));
    Some(found)
}

/// A leaf is `|-- 10.0.0.1`, and the line after it says what it is: `/32 host LOCAL`.
fn ipv4(text: &str) -> BTreeSet<(Family, u128)> {
    let mut leaf = None;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = describe::number(address);
        } else if line.ends_with("host LOCAL") && line.starts_with("/32") {
            found.extend(leaf);
        }
    }
    found
}

fn ipv6(text: &str) -> BTreeSet<(Family, u128)> {
    let digits = text.lines().filter_map(|line| line.split_whitespace().next());
    digits
        .filter(|digits| digits.len() == 32)
        .filter_map(|digits| Some((Family::Ip6, u128::from_str_radix(digits, 16).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_the_kernel_calls_its_own() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /8 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\n";
        assert_eq!(ipv4(trie), BTreeSet::from([(Family::Ip, 0x0a00_0007)]));
        let table = "fd000000000000000000000000000001 02 40 00 80     eth0\nodd\n";
        assert_eq!(ipv6(table), BTreeSet::from([describe::number("fd00::1").unwrap()]));
    }
}
