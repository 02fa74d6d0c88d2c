//! auditd's rules as they are loaded at boot. Sources: augenrules(8), which joins `/etc/audit/rules.d/*.rules` in the order of `ls -v`, and
//! audit.rules(7).

use std::cmp::Ordering;
use std::path::Path;

use super::{Item, files, read};
use crate::facts::Observed;
use crate::host::{Gap, GapKind, Host};

const MAX_RULES: usize = 4_000;
/// What sets something rather than watches something.
const OPTIONS: [&str; 12] = [
    "-b",
    "-D",
    "-e",
    "-f",
    "-r",
    "-i",
    "-c",
    "--backlog_wait_time",
    "--loginuid-immutable",
    "--reset-lost",
    "--reset_backlog_wait_time_actual",
    "-q",
];

pub(super) fn collect(host: &dyn Host, items: &mut Observed<Item>) {
    let mut names: Vec<(String, String)> =
        files(host, "/etc/audit/rules.d", ".rules", "audit:", items).into_iter().collect();
    names.sort_by(|one, other| by_version(&one.0, &other.0));
    let mut paths: Vec<String> = names.into_iter().map(|(_, path)| path).collect();
    if paths.is_empty() {
        paths.push("/etc/audit/audit.rules".to_owned());
    }
    let mut place = 0;
    let mut enabled: Option<String> = None;
    for path in paths {
        let Some(text) = read(host, Path::new(&path), "audit:", items) else { continue };
        for line in text.lines() {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if place >= MAX_RULES {
                return items.hide("audit:", Gap::new(GapKind::TooLarge, path, format!("more than {MAX_RULES} rules")));
            }
            let first = line.split(' ').next().unwrap_or("");
            if first == "-e" {
                // augenrules puts the last of them at the end, alone.
                enabled = Some(line);
            } else if OPTIONS.contains(&first) {
                items.seen.insert(format!("audit:{line}"), Item::Option);
            } else {
                place += 1;
                items.seen.entry(format!("audit:{line}")).or_insert(Item::Rule { place });
            }
        }
    }
    if let Some(line) = enabled {
        items.seen.insert(format!("audit:{line}"), Item::Option);
    }
}

/// The order of `ls -v`, as the GNU manual of coreutils describes it ("Version sort ordering"): runs of digits as numbers, and the
/// endings of names only where all else is equal.
pub(super) fn by_version(one: &str, other: &str) -> Ordering {
    let bare = compare(without_ending(one).as_bytes(), without_ending(other).as_bytes());
    bare.then_with(|| compare(one.as_bytes(), other.as_bytes())).then_with(|| one.cmp(other))
}

/// The name without its endings: dots, each with a letter or `~` and then letters, digits and `~`.
fn without_ending(name: &str) -> &str {
    let mut bare = name;
    while let Some((rest, ending)) = bare.rsplit_once('.') {
        let starts = ending.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '~');
        if !starts || !ending.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'~') {
            break;
        }
        bare = rest;
    }
    bare
}

fn compare(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        // What is no digit, in step: a run that ends earlier weighs less than any letter.
        while !is_digit_or_end(left) || !is_digit_or_end(right) {
            let order = weight(left.first()).cmp(&weight(right.first()));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (left.get(1..).unwrap_or_default(), right.get(1..).unwrap_or_default());
        }
        let (left_number, left_rest) = number(left);
        let (right_number, right_rest) = number(right);
        let order = left_number.len().cmp(&right_number.len()).then_with(|| left_number.cmp(right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn is_digit_or_end(text: &[u8]) -> bool {
    text.first().is_none_or(u8::is_ascii_digit)
}

/// `~` before the end of a name, the end before digits, digits before letters, letters before everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -2,
        None => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

/// The digits at the beginning, zeros before them left out, and what follows.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    (digits.get(zeros..).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_the_order_of_ls_v() {
        let ordered = [
            "1~.rules",
            "1.rules",
            "001-x",
            "2",
            "9.rules",
            "9a.rules",
            "9-b.rules",
            "10.b.rules",
            "10.rules",
            "10-a.rules",
        ];
        let mut sorted = ordered;
        sorted.reverse();
        sorted.sort_by(|one, other| by_version(one, other));
        assert_eq!(sorted, ordered);
    }
}
