//! os-release(5): `KEY=value` lines, the value perhaps in quotes as a shell has them.

use super::System;
use crate::host::{Gap, GapKind};

/// The largest file, in bytes; real ones have a few hundred.
const MAX_BYTES: usize = 64 * 1024;
/// The longest value kept, in characters.
const MAX_VALUE: usize = 200;

pub(super) fn parse(path: &str, bytes: &[u8]) -> Result<System, Gap> {
    if bytes.len() > MAX_BYTES {
        let detail = format!("{} bytes, more than the {MAX_BYTES} of any os-release", bytes.len());
        return Err(Gap::new(GapKind::TooLarge, path, detail));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Gap::malformed(path, format!("not UTF-8 after byte {}", error.valid_up_to())))?;
    let mut system = System::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |detail: &str| Gap::malformed(format!("{path}:{}", number + 1), detail);
        let (key, raw) = line.split_once('=').ok_or_else(|| wrong("a line without `=`"))?;
        let place = match key {
            "ID" => None,
            "VERSION_ID" => Some(&mut system.version),
            "VERSION_CODENAME" => Some(&mut system.codename),
            "PRETTY_NAME" => Some(&mut system.name),
            "SUPPORT_END" => Some(&mut system.support_end),
            _ => continue,
        };
        let value = unquote(raw).ok_or_else(|| wrong("a value that is not quoted as a shell does"))?;
        if value.chars().count() > MAX_VALUE || value.chars().any(char::is_control) {
            return Err(wrong("a value too long or with control characters"));
        }
        match place {
            None => system.id = value,
            Some(place) => *place = Some(value).filter(|value| !value.is_empty()),
        }
    }
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if system.id.is_empty() || !system.id.chars().all(valid) {
        return Err(Gap::malformed(path, "no `ID` that could be one"));
    }
    Ok(system)
}

/// The value without its quotes; `None` where they are not closed or something follows them.
fn unquote(raw: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = raw.chars();
    match raw.chars().next() {
        Some('\'') => {
            let inner = raw.strip_prefix('\'')?.strip_suffix('\'')?;
            (!inner.contains('\'')).then(|| inner.to_owned())
        }
        Some('"') => {
            chars.next();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => value.push(chars.next()?),
                    other => value.push(other),
                }
            }
            chars.next().is_none().then_some(value)
        }
        Some(_) => {
            while let Some(next) = chars.next() {
                match next {
                    '\\' => value.push(chars.next()?),
                    '"' | '\'' | ' ' | '\t' => return None,
                    other => value.push(other),
                }
            }
            Some(value)
        }
        None => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_a_shell_would() {
        let text = "# comment\n\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"A \\\"B\\\" \\$1\"\nVERSION_CODENAME='book worm'\nSUPPORT_END=\nOTHER=x y\n";
        let system = parse("/etc/os-release", text.as_bytes()).unwrap();
        assert_eq!((system.id.as_str(), system.version.as_deref()), ("debian", Some("12")));
        assert_eq!((system.name.as_deref(), system.codename.as_deref()), (Some("A \"B\" $1"), Some("book worm")));
        assert_eq!(system.support_end, None);
    }

    #[test]
    fn what_cannot_be_read_is_a_gap_that_says_where() {
        for (text, place, why) in [
            ("", "/o", "no `ID`"),
            ("NAME=x\n", "/o", "no `ID`"),
            ("ID=../etc\n", "/o", "no `ID`"),
            ("ID=debian\nVERSION_ID=\"12\n", "/o:2", "quoted"),
            ("ID=debian\nVERSION_ID=\"12\"3\n", "/o:2", "quoted"),
            ("ID=debian x\n", "/o:1", "quoted"),
            ("ID=debian\nrubbish\n", "/o:2", "without `=`"),
            ("ID=debian\nPRETTY_NAME=\"a\u{1b}b\"\n", "/o:2", "control"),
        ] {
            let gap = parse("/o", text.as_bytes()).unwrap_err();
            assert_eq!(gap.what, place, "{text:?}");
            assert!(gap.detail.contains(why), "{text:?}: {gap}");
        }
        assert!(parse("/o", b"ID=\xff\n").is_err());
        assert_eq!(parse("/o", &vec![b'#'; MAX_BYTES + 1]).unwrap_err().kind, GapKind::TooLarge);
    }
}
