//! pacman's version ordering: `[epoch:]version[-release]`.
//!
//! Source: vercmp(8). It is an older relative of rpm's: the stretches are the same, but how many separators stand between them
//! counts, and letters that remain sort before the end (`1.0rc` < `1.0`). pacman refuses nothing. The oracle is libalpm itself.
//! On odd texts this is no order in the mathematical sense (pacman's is not either); on versions that packages have, it is.

use std::cmp::Ordering;

use super::rpm::{compare_digits, split};

/// How pacman orders two versions. The release counts only where both name one.
pub fn compare(left: &str, right: &str) -> Ordering {
    let ((epoch, version, release), (other_epoch, other_version, other_release)) = (parts(left), parts(right));
    let releases = || match (release, other_release) {
        (Some(own), Some(other)) => compare_part(own, other),
        (Some(_) | None, Some(_) | None) => Ordering::Equal,
    };
    // The same text is the same version, whatever it is.
    if left == right {
        return Ordering::Equal;
    }
    compare_part(epoch, other_epoch).then_with(|| compare_part(version, other_version)).then_with(releases)
}

/// The version its makers gave it, without epoch and release.
pub fn upstream(text: &str) -> &str {
    parts(text).1
}

fn parts(text: &str) -> (&str, &str, Option<&str>) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (epoch, rest) = match text.split_at_checked(digits) {
        Some((epoch, rest)) if rest.starts_with(':') => (epoch, rest.get(1..).unwrap_or("")),
        Some(_) | None => ("0", text),
    };
    let epoch = if epoch.is_empty() { "0" } else { epoch };
    match rest.rsplit_once('-') {
        Some((version, release)) => (epoch, version, Some(release)),
        None => (epoch, rest, None),
    }
}

fn compare_part(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() && !right.is_empty() {
        let (gap, left_rest) = split(left, |byte| !byte.is_ascii_alphanumeric());
        let (other_gap, right_rest) = split(right, |byte| !byte.is_ascii_alphanumeric());
        (left, right) = (left_rest, right_rest);
        let (Some(first), Some(_)) = (left.first(), right.first()) else { break };
        if gap.len() != other_gap.len() {
            return gap.len().cmp(&other_gap.len());
        }
        let digits = first.is_ascii_digit();
        let member = if digits { u8::is_ascii_digit } else { u8::is_ascii_alphabetic };
        let (own, own_rest) = split(left, member);
        let (other, other_rest) = split(right, member);
        if other.is_empty() {
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let turn = if digits { compare_digits(own, other) } else { own.cmp(other) };
        if turn != Ordering::Equal {
            return turn;
        }
        (left, right) = (own_rest, other_rest);
    }
    match (left.first(), right.first()) {
        (None, None) => Ordering::Equal,
        (None, Some(byte)) if !byte.is_ascii_alphabetic() => Ordering::Less,
        (Some(byte), _) if byte.is_ascii_alphabetic() => Ordering::Less,
        (None | Some(_), _) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_as_the_manual_page_says() {
        let rising = ["1.0a", "1.0b", "1.0beta", "1.0p", "1.0pre", "1.0rc", "1.0", "1.0.a", "1.0.1"];
        for (at, low) in rising.iter().enumerate() {
            for (other, high) in rising.iter().enumerate() {
                assert_eq!(compare(low, high), at.cmp(&other), "{low} {high}");
            }
        }
        let more = [("1", "1.0"), ("1.0", "1.1"), ("1.1", "1.1.1"), ("1.1.1", "1.2"), ("9.9-9", "1:0.1-1")];
        assert!(more.iter().all(|(low, high)| compare(low, high) == Ordering::Less));
        assert_eq!(compare("1.5-1", "1.5"), Ordering::Equal);
    }
}
