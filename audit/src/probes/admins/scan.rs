//! How long the next thing in a sudoers text is, and what it is without its backslashes.
//!
//! Each function looks at the beginning of what it is given and answers a length, 0 where the thing does not stand there.

pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

pub(super) fn run(text: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !wanted(*byte)).unwrap_or(text.len())
}

pub(super) fn newline(text: &[u8]) -> usize {
    match text {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        [..] => 0,
    }
}

/// The length of a backslash, blanks and the newline they hide.
pub(super) fn joined(text: &[u8]) -> usize {
    let Some(after) = text.strip_prefix(b"\\") else { return 0 };
    let blanks = run(after, is_blank);
    match newline(after.get(blanks..).unwrap_or_default()) {
        0 => 0,
        end => 1 + blanks + end,
    }
}

/// The length of a comment with its newline. `#` before a number is a user id.
pub(super) fn comment(text: &[u8]) -> usize {
    let Some(after) = text.strip_prefix(b"#") else { return 0 };
    match after {
        [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..] => return 0,
        [..] => {}
    }
    let body = run(after, |byte| byte != b'\n');
    1 + body + usize::from(after.get(body).is_some())
}

pub(super) fn id(text: &[u8]) -> usize {
    let Some(after) = text.strip_prefix(b"#") else { return 0 };
    let sign = usize::from(after.first() == Some(&b'-'));
    match run(after.get(sign..).unwrap_or_default(), |b| b.is_ascii_digit()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

/// The length of something where a backslash takes its next byte along, unless `never` holds that.
pub(super) fn escaped(text: &[u8], ends: &[u8], never: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = text.get(length) {
        if *byte == b'\\' {
            match text.get(length + 1) {
                Some(next) if !never.contains(next) => length += 2,
                Some(_) | None => break,
            }
        } else if ends.contains(byte) {
            break;
        } else {
            length += 1;
        }
    }
    length
}

pub(super) fn word(text: &[u8]) -> usize {
    escaped(text, b"#>!=:,() \t\r\n\"", b"\t\n")
}

/// A value in a `Defaults` line; it may hold `!`, but not begin with it.
pub(super) fn value(text: &[u8]) -> usize {
    if text.first() == Some(&b'!') { 0 } else { escaped(text, b"#=, \t\r\n\"", b"\r\n") }
}

pub(super) fn path(text: &[u8]) -> usize {
    if text.first() != Some(&b'/') {
        return 0;
    }
    let mut length = 1;
    while let Some(byte) = text.get(length) {
        match (byte, text.get(length + 1)) {
            (b'\\', Some(b',' | b':' | b'=' | b' ' | b'\t' | b'#')) => length += 2,
            (b'\\' | b',' | b':' | b'=' | b' ' | b'\t' | b'\r' | b'\n' | b'#', _) => break,
            (_, _) => length += 1,
        }
    }
    // A slash alone is no path.
    if length == 1 { 0 } else { length }
}

/// Adds a part of an argument, or a new one after a space.
pub(super) fn add(arguments: &mut Option<Vec<u8>>, part: &[u8], spaced: bool) {
    let all = arguments.get_or_insert_default();
    if spaced && !all.is_empty() {
        all.push(b' ');
    }
    all.extend_from_slice(part);
}

/// Without the backslashes; `\xNN` is a byte.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let rest = bytes.as_slice();
        match (byte, rest) {
            (b'\\', [b'x', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0);
                plain.push(digit(*high) << 4 | digit(*low));
                bytes = rest.get(3..).unwrap_or_default().iter();
            }
            (b'\\', [next, ..]) => {
                plain.push(*next);
                bytes = rest.get(1..).unwrap_or_default().iter();
            }
            (other, _) => plain.push(*other),
        }
    }
    plain
}

/// A path loses the backslashes before sudoers' own signs only: a pattern keeps its own. A regular expression is left alone.
pub(super) fn unescape_path(text: &[u8]) -> Vec<u8> {
    if text.first() == Some(&b'^') {
        return text.to_vec();
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(b',' | b':' | b'=' | b' ' | b'\t' | b'#')) => {}
            (other, _) => plain.push(*other),
        }
    }
    plain
}

/// Hexadecimal, or base64 with or without its padding, of so many bytes.
pub(super) fn is_digest(text: &[u8], bytes: usize) -> bool {
    if text.len() == bytes * 2 && text.iter().all(u8::is_ascii_hexdigit) {
        return true;
    }
    text.len() == if text.ends_with(b"=") { 4 * bytes.div_ceil(3) } else { (4 * bytes).div_ceil(3) }
}
