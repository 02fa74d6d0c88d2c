//! rpm's version ordering: `[epoch:]version[-release]`.
//!
//! Sources: rpm-version(7) and rpm's manual, "Dependencies: versioning". A version falls into stretches of digits and stretches
//! of letters; everything else only separates. `~` sorts before the end, `^` after the end and before anything else.
//! rpm refuses nothing, so nothing is refused here. The oracle is rpm itself, over thousands of pairs.

use std::cmp::Ordering;

/// A version taken apart, borrowing its text. Equal means ordered the same: `1` and `0:1` are equal.
#[derive(Debug, Clone, Copy)]
pub struct RpmVersion<'a> {
    epoch: &'a str,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> RpmVersion<'a> {
    /// Takes `text` apart. Every text is a version.
    pub fn parse(text: &'a str) -> Self {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (epoch, rest) = match text.split_at_checked(digits) {
            Some((epoch, rest)) if rest.starts_with(':') => (epoch, rest.get(1..).unwrap_or("")),
            Some(_) | None => ("0", text),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        Self { epoch: if epoch.is_empty() { "0" } else { epoch }, version, release }
    }

    /// The version its makers gave it, without epoch and release.
    pub fn upstream(&self) -> &'a str {
        self.version
    }

    /// As dependencies are compared: the release counts only where both sides name one.
    pub fn compare_loosely(&self, other: &Self) -> Ordering {
        let releases = || match (self.release, other.release) {
            (Some(own), Some(other)) => compare(own, other),
            (Some(_) | None, Some(_) | None) => Ordering::Equal,
        };
        self.before_release(other).then_with(releases)
    }

    fn before_release(&self, other: &Self) -> Ordering {
        compare(self.epoch, other.epoch).then_with(|| compare(self.version, other.version))
    }
}

impl Ord for RpmVersion<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let releases = || match (self.release, other.release) {
            (Some(own), Some(other)) => compare(own, other),
            (own, other) => own.is_some().cmp(&other.is_some()),
        };
        self.before_release(other).then_with(releases)
    }
}

impl PartialOrd for RpmVersion<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RpmVersion<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for RpmVersion<'_> {}

/// One part of a version, epoch or release against another: what rpm calls `rpmvercmp`.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        (left, right) = (skip(left), skip(right));
        let (own, other) = (left.first().copied(), right.first().copied());
        let turn = rank(own).cmp(&rank(other));
        if turn != Ordering::Equal {
            return turn;
        }
        match own {
            None => return Ordering::Equal,
            Some(b'~' | b'^') => {
                (left, right) = (left.get(1..).unwrap_or_default(), right.get(1..).unwrap_or_default());
            }
            Some(first) => {
                let member = if first.is_ascii_digit() { u8::is_ascii_digit } else { u8::is_ascii_alphabetic };
                let (own, own_rest) = split(left, member);
                let (other, other_rest) = split(right, member);
                let turn = if first.is_ascii_digit() { compare_digits(own, other) } else { own.cmp(other) };
                if turn != Ordering::Equal {
                    return turn;
                }
                (left, right) = (own_rest, other_rest);
            }
        }
    }
}

/// What comes next, lowest first: `~`, the end, `^`, letters, digits.
fn rank(next: Option<u8>) -> u8 {
    match next {
        Some(b'~') => 0,
        None => 1,
        Some(b'^') => 2,
        Some(byte) if byte.is_ascii_digit() => 4,
        Some(_) => 3,
    }
}

fn skip(bytes: &[u8]) -> &[u8] {
    let separators = bytes.iter().take_while(|byte| !byte.is_ascii_alphanumeric() && **byte != b'~' && **byte != b'^');
    bytes.get(separators.count()..).unwrap_or_default()
}

pub(super) fn split(bytes: &[u8], member: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().take_while(|byte| member(byte)).count();
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// Numbers of any length: without leading zeros, the longer is greater.
pub(super) fn compare_digits(left: &[u8], right: &[u8]) -> Ordering {
    let trim = |digits: &[u8]| digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let (left, right) = (left.get(trim(left)..).unwrap_or_default(), right.get(trim(right)..).unwrap_or_default());
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tilde_comes_before_the_end_and_caret_after_it() {
        let rising = ["1.0~rc1", "1.0", "1.0^git1", "1.0a", "1.0.1", "1.1", "1.10", "1:0.1"];
        for (at, low) in rising.iter().enumerate() {
            for (other, high) in rising.iter().enumerate() {
                assert_eq!(RpmVersion::parse(low).cmp(&RpmVersion::parse(high)), at.cmp(&other), "{low} {high}");
            }
        }
        assert_eq!(RpmVersion::parse("1.0-01.el9"), RpmVersion::parse("0:1_0-1.el.9"));
    }

    #[test]
    fn a_release_that_one_side_does_not_name_does_not_count_in_a_dependency() {
        let (named, bare) = (RpmVersion::parse("1.0-3"), RpmVersion::parse("1.0"));
        assert_eq!(named.compare_loosely(&bare), Ordering::Equal);
        assert_eq!(named.cmp(&bare), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn it_is_an_order(a in "[0-9a-c.~^:-]{0,9}", b in "[0-9a-c.~^:-]{0,9}", c in "[0-9a-c.~^:-]{0,9}") {
            let [a, b, c] = [&a, &b, &c].map(|text| RpmVersion::parse(text));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&a), Ordering::Equal);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
