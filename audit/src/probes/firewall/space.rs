//! Sets of packets, as far as an opening is told by them: who from, to which address, which protocol, which destination
//! port, which interface. A set is a union of [`Region`]s, each a product of one set per dimension; the two address families are
//! computed apart. Everything else a rule may ask of a packet is kept beside the region as text.

use super::names::Names;

/// Disjoint, ascending, inclusive ranges of numbers: addresses, protocols or ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// The union of `ranges`, in any order; a range that ends before it begins is empty.
    pub(super) fn of(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut sorted: Vec<(u128, u128)> = ranges.into_iter().filter(|(low, high)| low <= high).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (low, high) in sorted {
            match merged.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
                Some(_) | None => merged.push((low, high)),
            }
        }
        Self(merged)
    }

    /// Every number up to `max`.
    pub(super) fn full(max: u128) -> Self {
        Self(vec![(0, max)])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u128)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(&&(a, b)), Some(&&(c, d))) = (left.peek(), right.peek()) {
            let (low, high) = (a.max(c), b.min(d));
            if low <= high {
                both.push((low, high));
            }
            if b < d {
                left.next();
            } else {
                right.next();
            }
        }
        Self(both)
    }

    /// Every number up to `max` that is not here.
    pub(super) fn complement(&self, max: u128) -> Self {
        let mut gaps = Vec::new();
        let mut next = Some(0);
        for (low, high) in self.iter() {
            if let Some(from) = next
                && from < low
            {
                gaps.push((from, low - 1));
            }
            next = high.checked_add(1);
        }
        if let Some(from) = next
            && from <= max
        {
            gaps.push((from, max));
        }
        Self(gaps)
    }
}

/// The highest value of each dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::Ip, Self::Ip6];

    /// nft's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        }
    }

    /// The highest address.
    pub(super) fn top(self) -> u128 {
        match self {
            Self::Ip => u128::from(u32::MAX),
            Self::Ip6 => u128::MAX,
        }
    }

    /// Whether a table of nft family `table` sees its packets.
    pub(super) fn is_in(self, table: &str) -> bool {
        table == "inet" || table.strip_prefix("legacy-").unwrap_or(table) == self.name()
    }
}

const TOP_PROTOCOL: u128 = 255;
const TOP_PORT: u128 = 65535;

/// A product of sets, one a dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Region {
    pub(super) source: Ranges,
    pub(super) destination: Ranges,
    pub(super) protocol: Ranges,
    pub(super) port: Ranges,
    pub(super) interface: Names,
}

impl Region {
    /// Every packet of `family`.
    pub(super) fn all(family: Family) -> Self {
        Self {
            source: Ranges::full(family.top()),
            destination: Ranges::full(family.top()),
            protocol: Ranges::full(TOP_PROTOCOL),
            port: Ranges::full(TOP_PORT),
            interface: Names::any(),
        }
    }

    pub(super) fn is_all(&self, family: Family) -> bool {
        *self == Self::all(family)
    }

    /// The packets in both; `None` if there are none.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let both = Self {
            source: self.source.and(&other.source),
            destination: self.destination.and(&other.destination),
            protocol: self.protocol.and(&other.protocol),
            port: self.port.and(&other.port),
            interface: self.interface.and(&other.interface),
        };
        (!both.is_empty()).then_some(both)
    }

    /// The packets here or in `other`, where one product can say so: they differ in one dimension.
    pub(super) fn or(&self, other: &Self) -> Option<Self> {
        let join = |left: &Ranges, right: &Ranges| Ranges::of(left.iter().chain(right.iter()));
        let joined = [
            Some(Self { source: join(&self.source, &other.source), ..self.clone() }),
            Some(Self { destination: join(&self.destination, &other.destination), ..self.clone() }),
            Some(Self { protocol: join(&self.protocol, &other.protocol), ..self.clone() }),
            Some(Self { port: join(&self.port, &other.port), ..self.clone() }),
            self.interface.or(&other.interface).map(|interface| Self { interface, ..self.clone() }),
        ];
        let differs = [
            self.source != other.source,
            self.destination != other.destination,
            self.protocol != other.protocol,
            self.port != other.port,
            self.interface != other.interface,
        ];
        let mut all = joined.into_iter().zip(differs).filter(|(_, differs)| *differs);
        match (all.next(), all.next()) {
            (None, _) => Some(self.clone()),
            (Some((joined, _)), None) => joined,
            (Some(_), Some(_)) => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.source.is_empty()
            || self.destination.is_empty()
            || self.protocol.is_empty()
            || self.port.is_empty()
            || self.interface.is_empty()
    }

    /// The packets here and not in `other`, as disjoint regions: one a dimension at most.
    pub(super) fn minus(&self, other: &Self, family: Family) -> Vec<Self> {
        let Some(both) = self.and(other) else { return vec![self.clone()] };
        let mut rest = self.clone();
        let mut pieces = Vec::new();
        let mut take = |piece: Self| {
            if !piece.is_empty() {
                pieces.push(piece);
            }
        };
        take(Self { source: rest.source.and(&other.source.complement(family.top())), ..rest.clone() });
        rest.source = both.source;
        take(Self { destination: rest.destination.and(&other.destination.complement(family.top())), ..rest.clone() });
        rest.destination = both.destination;
        take(Self { protocol: rest.protocol.and(&other.protocol.complement(TOP_PROTOCOL)), ..rest.clone() });
        rest.protocol = both.protocol;
        take(Self { port: rest.port.and(&other.port.complement(TOP_PORT)), ..rest.clone() });
        rest.port = both.port;
        for outside in other.interface.complement() {
            take(Self { interface: rest.interface.and(&outside), ..rest.clone() });
        }
        pieces
    }
}

/// `regions` without `other`.
pub(super) fn subtract(regions: &[Region], other: &Region, family: Family) -> Vec<Region> {
    regions.iter().flat_map(|region| region.minus(other, family)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[(u128, u128)]) -> Ranges {
        Ranges::of(list.iter().copied())
    }

    #[test]
    fn ranges_merge_meet_and_complement() {
        assert_eq!(ranges(&[(5, 9), (1, 4), (20, 10)]), ranges(&[(1, 9)]));
        assert_eq!(ranges(&[(1, 9), (20, 30)]).and(&ranges(&[(5, 25)])), ranges(&[(5, 9), (20, 25)]));
        assert_eq!(ranges(&[(0, 1), (5, 6)]).complement(9), ranges(&[(2, 4), (7, 9)]));
        let all = Ranges::full(u128::MAX);
        assert!(all.complement(u128::MAX).is_empty());
        assert_eq!(Ranges::of([]).complement(u128::MAX), all);
    }

    #[test]
    fn what_is_taken_away_and_what_is_left_make_the_whole() {
        // Every small region is counted point by point.
        let region = |source: (u128, u128), port: (u128, u128)| Region {
            source: ranges(&[source]),
            port: ranges(&[port]),
            ..Region::all(Family::Ip)
        };
        let count = |regions: &[Region]| -> u128 {
            regions
                .iter()
                .map(|r| {
                    let size = |ranges: &Ranges| ranges.iter().map(|(low, high)| high - low + 1).sum::<u128>();
                    size(&r.source) * size(&r.port)
                })
                .sum()
        };
        let a = region((10, 19), (0, 9));
        for b in [region((0, 9), (0, 9)), region((12, 14), (3, 5)), region((15, 30), (0, 4)), a.clone()] {
            let both = a.and(&b).map_or(0, |both| count(&[both]));
            assert_eq!(count(&a.minus(&b, Family::Ip)) + both, 100);
        }
        assert!(a.minus(&a, Family::Ip).is_empty());
    }
}
