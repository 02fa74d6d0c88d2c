//! Prefixes, and whether some of them are together everything.

use std::net::IpAddr;

/// A prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prefix {
    pub(super) address: IpAddr,
    pub(super) length: u8,
}

impl Prefix {
    /// `10.0.0.0/8`, `10.0.0.1`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = if length.is_empty() { width } else { length.parse().ok().filter(|length| *length <= width)? };
        Some(Self { address, length })
    }

    pub(super) fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Its addresses as a range of numbers.
    fn range(self) -> (u128, u128) {
        let (number, width) = match self.address {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let host = width - u32::from(self.length);
        let mask = if host >= 128 { u128::MAX } else { (1 << host) - 1 };
        (number & !mask, number | mask)
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// Whether the prefixes of one family are together all of it: `0.0.0.0/0`, or `0.0.0.0/1` with `128.0.0.0/1`. For IPv6 all
/// that is routed to the world, `2000::/3`, counts as all.
pub(super) fn is_everything(prefixes: &[Prefix], ipv4: bool) -> bool {
    let mut ranges: Vec<(u128, u128)> =
        prefixes.iter().filter(|prefix| prefix.is_ipv4() == ipv4).map(|prefix| prefix.range()).collect();
    ranges.sort_unstable();
    let (mut next, last) = if ipv4 { (0, u128::from(u32::MAX)) } else { (0x2 << 124, (0x4 << 124) - 1) };
    for (low, high) in ranges {
        if low <= next && high >= next {
            match high.checked_add(1) {
                Some(after) if high < last => next = after,
                _ => return true,
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_are_everything_and_less_is_not() {
        let all = |list: &[&str], ipv4| {
            is_everything(&list.iter().map(|text| Prefix::parse(text).unwrap()).collect::<Vec<_>>(), ipv4)
        };
        assert!(all(&["0.0.0.0/0"], true) && all(&["128.0.0.0/1", "0.0.0.0/1"], true));
        assert!(all(&["::/0"], false) && all(&["2000::/3"], false) && all(&["::/1", "8000::/1"], false));
        assert!(
            !all(&["0.0.0.0/1"], true) && !all(&["10.0.0.0/8", "128.0.0.0/1"], true) && !all(&["0.0.0.0/0"], false)
        );
        assert!(!all(&["fd00::/8"], false) && !all(&[], true));
        assert!(Prefix::parse("10.0.0.0/33").is_none() && Prefix::parse("x/8").is_none());
    }
}
