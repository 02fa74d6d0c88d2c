//! apk's version ordering: `digits{.digits}[letter]{_suffix[digits]}[~hash][-rdigits]`.
//!
//! Sources: apk-package(5), and what Gentoo's package manager specification says of versions, which apk follows: a later
//! component with a leading zero compares as text; `_alpha`, `_beta`, `_pre` and `_rc` sort before the bare version, `_cvs`,
//! `_svn`, `_git`, `_hg` and `_p` after it.

use std::cmp::Ordering;

use super::dpkg::BadVersion;
use super::rpm::{compare_digits, split};

const SUFFIXES: [&str; 9] = ["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"];
/// How many of them come before the version itself.
const EARLY: usize = 4;

/// One piece of a version. Their order here decides when one version ends and the other goes on: see [`compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    First(&'a [u8]),
    Number(&'a [u8]),
    Letter(u8),
    Suffix(usize),
    SuffixNumber(&'a [u8]),
    Hash(&'a [u8]),
    Revision(&'a [u8]),
    End,
}

impl Piece<'_> {
    fn rank(self) -> u8 {
        match self {
            Self::First(_) => 0,
            Self::Number(_) => 1,
            Self::Letter(_) => 2,
            Self::Suffix(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::Hash(_) => 5,
            Self::Revision(_) => 6,
            Self::End => 7,
        }
    }

    fn is_early(self) -> bool {
        matches!(self, Self::Suffix(suffix) if suffix < EARLY)
    }
}

/// How apk orders two versions; a text that apk would not take for a version is refused.
pub fn compare(left: &str, right: &str) -> Result<Ordering, BadVersion> {
    let (left, right) = (pieces(left)?, pieces(right)?);
    for (own, other) in left.iter().zip(&right) {
        let turn = match (*own, *other) {
            (Piece::Number(own), Piece::Number(other)) if own.starts_with(b"0") || other.starts_with(b"0") => {
                own.cmp(other)
            }
            (Piece::First(own), Piece::First(other))
            | (Piece::Number(own), Piece::Number(other))
            | (Piece::SuffixNumber(own), Piece::SuffixNumber(other))
            | (Piece::Revision(own), Piece::Revision(other)) => compare_digits(own, other),
            (Piece::Letter(own), Piece::Letter(other)) => own.cmp(&other),
            (Piece::Suffix(own), Piece::Suffix(other)) => own.cmp(&other),
            (Piece::Hash(own), Piece::Hash(other)) => own.cmp(other),
            // One goes on where the other does not: greater, unless what goes on says "before".
            (own, other) if own.rank() != other.rank() => {
                return Ok(if own.is_early() {
                    Ordering::Less
                } else if other.is_early() {
                    Ordering::Greater
                } else {
                    other.rank().cmp(&own.rank())
                });
            }
            (_, _) => Ordering::Equal,
        };
        if turn != Ordering::Equal {
            return Ok(turn);
        }
    }
    Ok(Ordering::Equal)
}

/// The version its makers gave it, without apk's revision.
pub fn upstream(text: &str) -> &str {
    match text.rsplit_once("-r") {
        Some((version, revision)) if revision.bytes().all(|byte| byte.is_ascii_digit()) => version,
        Some(_) | None => text,
    }
}

/// Whether apk would take `text` for a version.
pub fn check(text: &str) -> Result<(), BadVersion> {
    pieces(text).map(|_| ())
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, BadVersion> {
    let digits = |rest| Some(split(rest, u8::is_ascii_digit)).filter(|(digits, _)| !digits.is_empty());
    let (first, mut rest) = digits(text.as_bytes()).ok_or(BadVersion::Apk)?;
    let mut pieces = vec![Piece::First(first)];
    while let Some((sign, tail)) = rest.split_first() {
        let last = pieces.last().map_or(0, |piece| piece.rank());
        let (piece, after) = match sign {
            b'.' if last <= 1 => digits(tail).map(|(number, after)| (Piece::Number(number), after)),
            b'a'..=b'z' if last <= 1 => Some((Piece::Letter(*sign), tail)),
            b'_' if last <= 4 => {
                let (word, after) = split(tail, u8::is_ascii_lowercase);
                SUFFIXES.iter().position(|suffix| suffix.as_bytes() == word).map(|at| (Piece::Suffix(at), after))
            }
            b'0'..=b'9' if last == 3 => digits(rest).map(|(number, after)| (Piece::SuffixNumber(number), after)),
            b'~' if last <= 4 => {
                let (hash, after) = split(tail, u8::is_ascii_hexdigit);
                Some((Piece::Hash(hash), after)).filter(|_| !hash.is_empty())
            }
            b'-' if last <= 5 => {
                let number = tail.strip_prefix(b"r").and_then(digits);
                number.map(|(number, after)| (Piece::Revision(number), after))
            }
            _ => None,
        }
        .ok_or(BadVersion::Apk)?;
        pieces.push(piece);
        rest = after;
    }
    pieces.push(Piece::End);
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_rise_as_apk_says() {
        let rising = [
            "0.9-r9",
            "1.2_alpha",
            "1.2_alpha1",
            "1.2_beta",
            "1.2_pre3",
            "1.2_rc1",
            "1.2_rc1_p1",
            "1.2",
            "1.2-r0",
            "1.2-r1",
            "1.2-r10",
            "1.2_git20240101",
            "1.2_p1",
            "1.2_p1-r1",
            "1.2b",
            "1.2.0",
            "1.2.01",
            "1.2.1",
            "1.2.10",
            "1.10",
            "10",
        ];
        for (at, low) in rising.iter().enumerate() {
            for (other, high) in rising.iter().enumerate() {
                assert_eq!(compare(low, high), Ok(at.cmp(&other)), "{low} {high}");
            }
        }
    }

    #[test]
    fn what_apk_does_not_take_for_a_version_is_refused() {
        for text in ["", "a", "1.", "1.a", "1-2", "1_foo", "1-r", "1aa", "1.0 ", "1:2"] {
            assert_eq!(check(text), Err(BadVersion::Apk), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_an_order(
            a in "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}[a-b]?(_(rc|p)[0-9]?){0,2}(-r[0-9])?",
            b in "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}[a-b]?(_(rc|p)[0-9]?){0,2}(-r[0-9])?",
        ) {
            prop_assert_eq!(compare(&a, &b).unwrap(), compare(&b, &a).unwrap().reverse());
            prop_assert_eq!(compare(&a, &a), Ok(Ordering::Equal));
        }
    }
}
