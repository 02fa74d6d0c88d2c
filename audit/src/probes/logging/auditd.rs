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

/// The order of `ls -v`: runs of digits as numbers.
pub(super) fn by_version(one: &str, other: &str) -> Ordering {
    // The ending is set apart first, so that `10.rules` precedes `10-a.rules`.
    let stem = |name: &str| name.trim_end_matches(".rules").to_owned();
    let (one_stem, other_stem) = (stem(one), stem(other));
    let (mut left, mut right) = (one_stem.as_str(), other_stem.as_str());
    loop {
        let (left_text, left_rest) = split(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split(right, |byte| !byte.is_ascii_digit());
        let text = weights(left_text).cmp(weights(right_text));
        let (left_number, left_rest) = split(left_rest, |byte| byte.is_ascii_digit());
        let (right_number, right_rest) = split(right_rest, |byte| byte.is_ascii_digit());
        let value = |digits: &str| {
            let digits = digits.trim_start_matches('0').to_owned();
            (digits.len(), digits)
        };
        let order = text.then_with(|| value(left_number).cmp(&value(right_number)));
        if order != Ordering::Equal || (left_rest.is_empty() && right_rest.is_empty()) {
            return order.then_with(|| one.cmp(other));
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// Letters before everything else, as GNU's filevercmp weighs them; the end of a text before any of it.
fn weights(text: &str) -> impl Iterator<Item = u32> {
    text.bytes().map(|byte| match byte {
        b'~' => 0,
        byte if byte.is_ascii_alphabetic() => u32::from(byte) + 1,
        byte => u32::from(byte) + 257,
    })
}

fn split(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().take_while(|byte| belongs(*byte)).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}
