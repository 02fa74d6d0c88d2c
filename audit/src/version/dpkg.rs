//! dpkg's version ordering: `[epoch:]upstream[-revision]`.
//!
//! Sources: deb-version(7) and Debian policy 5.6.12. What dpkg refuses outright is refused here, by name; what it only
//! warns about (an upstream version that begins with a letter, an unusual character) is ordered as it orders it, since
//! such packages are installed. Bytes outside printable ASCII are refused: no dpkg writes them, and how dpkg orders
//! them depends on the processor. The oracle is `dpkg --compare-versions`, over thousands of pairs.

use std::cmp::Ordering;
use std::fmt;

/// A version taken apart, borrowing its text. Equal means ordered the same: `1` and `0:1-0` are equal.
#[derive(Debug, Clone, Copy)]
pub struct DpkgVersion<'a> {
    epoch: u32,
    upstream: &'a str,
    revision: &'a str,
}

/// Why a text is no dpkg version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadVersion {
    /// Nothing, or blanks alone.
    #[error("the version is empty")]
    Empty,
    /// Blanks inside.
    #[error("the version has blanks in it")]
    Blanks,
    /// A byte that is not printable ASCII.
    #[error("the version has a character that is not printable ASCII")]
    Unprintable,
    /// What stands before the first colon is not a number from 0 to 2147483647.
    #[error("the epoch is not a number from 0 to 2147483647")]
    Epoch,
    /// Nothing between epoch and revision.
    #[error("the upstream version is empty")]
    Upstream,
    /// Nothing after the last hyphen.
    #[error("the revision is empty")]
    Revision,
    /// Not of the form apk writes.
    #[error("it is no version as apk writes them")]
    Apk,
}

impl<'a> DpkgVersion<'a> {
    /// Takes `text` apart; blanks around it are ignored, as dpkg does.
    pub fn parse(text: &'a str) -> Result<Self, BadVersion> {
        let text = text.trim_matches([' ', '\t']);
        if text.is_empty() {
            return Err(BadVersion::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(if text.contains([' ', '\t']) { BadVersion::Blanks } else { BadVersion::Unprintable });
        }
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch_of(epoch)?, rest),
            None => (0, text),
        };
        let (upstream, revision) = match rest.rsplit_once('-') {
            Some((_, "")) => return Err(BadVersion::Revision),
            Some((upstream, revision)) => (upstream, revision),
            None => (rest, ""),
        };
        if upstream.is_empty() {
            return Err(BadVersion::Upstream);
        }
        Ok(Self { epoch, upstream, revision })
    }

    /// The version the program's makers gave it, without what the distribution added before and after.
    pub fn upstream(&self) -> &'a str {
        self.upstream
    }
}

/// dpkg reads the epoch with strtol(3), which admits a sign.
fn epoch_of(text: &str) -> Result<u32, BadVersion> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadVersion::Epoch);
    }
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    match significant.parse::<i32>() {
        Ok(epoch) if !negative => u32::try_from(epoch).map_err(|_| BadVersion::Epoch),
        Ok(_) | Err(_) => Err(BadVersion::Epoch),
    }
}

impl Ord for DpkgVersion<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare(self.upstream.as_bytes(), other.upstream.as_bytes()))
            .then_with(|| compare(self.revision.as_bytes(), other.revision.as_bytes()))
    }
}

impl PartialOrd for DpkgVersion<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DpkgVersion<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DpkgVersion<'_> {}

impl fmt::Display for DpkgVersion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch > 0 {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(self.upstream)?;
        if self.revision.is_empty() { Ok(()) } else { write!(f, "-{}", self.revision) }
    }
}

/// Turns of a stretch without digits and a stretch of digits, until one differs.
fn compare(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split(right, |byte| !byte.is_ascii_digit());
        let (left_digits, left_tail) = split(left_rest, u8::is_ascii_digit);
        let (right_digits, right_tail) = split(right_rest, u8::is_ascii_digit);
        let turn = compare_text(left_text, right_text).then_with(|| compare_digits(left_digits, right_digits));
        if turn != Ordering::Equal {
            return turn;
        }
        (left, right) = (left_tail, right_tail);
    }
    Ordering::Equal
}

fn split(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// `~` before the end, the end before letters, letters before everything else.
fn compare_text(left: &[u8], right: &[u8]) -> Ordering {
    fn weight(byte: Option<&u8>) -> u16 {
        match byte {
            Some(b'~') => 0,
            None => 1,
            Some(letter) if letter.is_ascii_alphabetic() => 1 + u16::from(*letter),
            Some(other) => 257 + u16::from(*other),
        }
    }
    let longest = left.len().max(right.len());
    (0..longest)
        .map(|at| weight(left.get(at)).cmp(&weight(right.get(at))))
        .find(|turn| turn.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// As numbers of any length: without leading zeros the longer is the greater. None at all counts as zero.
fn compare_digits(left: &[u8], right: &[u8]) -> Ordering {
    let (_, left) = split(left, |byte| *byte == b'0');
    let (_, right) = split(right, |byte| *byte == b'0');
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(left: &str, right: &str) -> Ordering {
        DpkgVersion::parse(left).unwrap().cmp(&DpkgVersion::parse(right).unwrap())
    }

    #[test]
    fn the_examples_of_policy_are_ordered_as_policy_says() {
        let sorted = ["~~", "~~a", "~", "", "a"].map(|end| format!("1{end}"));
        for pair in sorted.windows(2) {
            assert_eq!(order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(order("1.0~beta1~svn1245", "1.0~beta1"), Ordering::Less);
        assert_eq!(order("1.0~beta1", "1.0"), Ordering::Less);
    }

    #[test]
    fn each_part_decides_in_its_turn() {
        for (left, right, expected) in [
            ("1:1", "2", Ordering::Greater),
            ("1-2", "1-10", Ordering::Less),
            ("1.10", "1.9", Ordering::Greater),
            ("1", "0:1-0", Ordering::Equal),
            ("1.00", "1.0", Ordering::Equal),
            ("1a", "1+", Ordering::Less),
            ("1-1~bpo12+1", "1-1", Ordering::Less),
            ("1-a-1", "1-b", Ordering::Greater),
            ("9", "10000000000000000000000000000000000000001", Ordering::Less),
            ("+1:1", "1:1", Ordering::Equal),
            ("-0:1", "1", Ordering::Equal),
        ] {
            assert_eq!(order(left, right), expected, "{left} {right}");
            assert_eq!(order(right, left), expected.reverse(), "{right} {left}");
        }
    }

    #[test]
    fn what_dpkg_refuses_is_refused_by_name() {
        for (text, why) in [
            ("", BadVersion::Empty),
            (" \t", BadVersion::Empty),
            ("1 2", BadVersion::Blanks),
            ("1\u{e9}", BadVersion::Unprintable),
            ("1\0", BadVersion::Unprintable),
            (":1", BadVersion::Epoch),
            ("a:1", BadVersion::Epoch),
            ("-1:1", BadVersion::Epoch),
            ("2147483648:1", BadVersion::Epoch),
            ("1:", BadVersion::Upstream),
            ("-1", BadVersion::Upstream),
            ("1-", BadVersion::Revision),
        ] {
            assert_eq!(DpkgVersion::parse(text).unwrap_err(), why, "{text:?}");
        }
        assert!(DpkgVersion::parse(" 2147483647:a_1 ").is_ok());
    }

    fn version() -> impl Strategy<Value = String> {
        "([0-3]:)?[0-2a~+.:-]{0,2}[0-2a~+.]{1,3}(-[0-2a~+.]{1,3})?"
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in version(), b in version(), c in version()) {
            let parsed = [&a, &b, &c].map(|text| DpkgVersion::parse(text));
            if let [Ok(a), Ok(b), Ok(c)] = parsed {
                prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
                prop_assert_eq!(a.cmp(&a), Ordering::Equal);
                if a <= b && b <= c {
                    prop_assert!(a <= c, "{:?} {:?} {:?}", a, b, c);
                }
                if a == b {
                    prop_assert_eq!(a.cmp(&c), b.cmp(&c));
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(a in "\\PC{0,12}", b in "[ -~]{0,40}") {
            if let (Ok(a), Ok(b)) = (DpkgVersion::parse(&a), DpkgVersion::parse(&b)) {
                let _ = a.cmp(&b);
            }
        }

        #[test]
        fn written_out_it_reads_the_same(a in version()) {
            if let Ok(parsed) = DpkgVersion::parse(&a) {
                let text = parsed.to_string();
                // Without its zero epoch an upstream version with a colon would read as one with an epoch.
                if parsed.epoch > 0 || !parsed.upstream.contains(':') {
                    prop_assert_eq!(DpkgVersion::parse(&text), Ok(parsed));
                }
            }
        }
    }
}
