//! Bytes as text that cannot lie: what sudoers needs escaped is escaped, and so is what is not readable text.

use std::fmt::Write as _;

use super::grammar::{Listed, Member};
use crate::digest::Digest;

/// The longest part of a subject, in bytes: a longer one is cut and told apart by its digest.
const MAX_PART: usize = 240;

/// `bytes` as text: control characters and what is not UTF-8 as `\xNN`, the signs in `special` after a backslash.
pub(super) fn text(bytes: &[u8], special: &str) -> String {
    let mut said = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for sign in chunk.valid().chars() {
            if sign.is_control() {
                for byte in sign.to_string().bytes() {
                    let _ = write!(said, "\\x{byte:02x}");
                }
            } else {
                if special.contains(sign) {
                    said.push('\\');
                }
                said.push(sign);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(said, "\\x{byte:02x}");
        }
    }
    said
}

/// An account's or group's name.
pub(in crate::probes) fn name(bytes: &[u8]) -> String {
    text(bytes, "\\:,")
}

/// One member of a list, without its negation. A name that looks like something else keeps a backslash before it.
pub(super) fn member(member: &Member) -> String {
    match member {
        Member::All => "ALL".into(),
        Member::Alias(name) => name.clone(),
        Member::Name(bytes) if bytes == b"ALL" || matches!(bytes.first(), Some(b'%' | b'+' | b'!')) => {
            format!("\\{}", name(bytes))
        }
        Member::Name(bytes) => name(bytes),
        Member::Netgroup(bytes) | Member::Network(bytes) => text(bytes, "\\,"),
        Member::Group(bytes) => text(bytes, "\\,"),
        Member::Command(path, None) => text(path, " "),
        Member::Command(path, Some(arguments)) => format!("{} {}", text(path, " "), text(arguments, "")),
    }
}

/// One member of a list: `!ava`.
pub(super) fn listed(listed: &Listed) -> String {
    let not = if listed.negated { "!" } else { "" };
    format!("{not}{}", member(&listed.member))
}

/// A list as sudoers writes it, without blanks.
pub(super) fn list(members: &[Listed]) -> String {
    members.iter().map(listed).collect::<Vec<_>>().join(",")
}

/// `part` as one part of a subject: of bounded length, still one for each text.
pub(super) fn part(part: &str) -> String {
    if part.len() <= MAX_PART {
        return part.to_owned();
    }
    let head: String = part.chars().take(MAX_PART / 4).collect();
    format!("{head}…{}", Digest::of(part.as_bytes()).short())
}
