//! Text from a host, made safe for a terminal: characters that act or mislead ([`audit::disguise`] lists them) are written
//! as escapes, so that a package's name cannot move the cursor, recolour a verdict or reorder a line.

use audit::disguise::disguises;

/// `text` on one line, what acts or misleads escaped.
pub(crate) fn line(text: &str) -> String {
    escape(text, false)
}

/// `text` with its own line breaks kept.
pub(crate) fn lines(text: &str) -> String {
    escape(text, true)
}

/// JSON with the same characters in JSON's own escapes: it says the same to a program, and is safe to look at. They can
/// only stand inside its strings.
pub(crate) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !disguises(c) {
            safe.push(c);
        } else {
            safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    safe
}

/// YAML that is safe to look at. Plain YAML has no escapes, so what holds such characters is written as JSON, which YAML
/// 1.2 reads as it is.
pub(crate) fn yaml(text: String, value: &serde_json::Value) -> serde_json::Result<String> {
    if text.chars().any(|c| c != '\n' && disguises(c)) {
        return Ok(json(&serde_json::to_string_pretty(value)?) + "\n");
    }
    Ok(text)
}

fn escape(text: &str, keep_lines: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if (keep_lines && c == '\n') || !disguises(c) {
            safe.push(c);
        } else {
            safe.extend(c.escape_default());
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_or_turns_the_text_is_written_as_an_escape() {
        for (hostile, safe) in [
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{feff}\u{2066}\u{200b}", "\\u{feff}\\u{2066}\\u{200b}"),
            ("\u{7f}", "\\u{7f}"),
            ("a\u{ad}b\u{3164}\u{fe0f}\u{e0100}", "a\\u{ad}b\\u{3164}\\u{fe0f}\\u{e0100}"),
        ] {
            assert_eq!(line(hostile), safe);
        }
        assert_eq!(line("naïve 日本 ✓"), "naïve 日本 ✓");
        assert_eq!(lines("a\nb\x07"), "a\nb\\u{7}");
    }

    #[test]
    fn yaml_that_would_act_in_a_terminal_is_written_as_json_that_yaml_reads() {
        let value = serde_json::json!({"a": "\u{202e}x"});
        let shown = yaml(serde_yaml::to_string(&value).unwrap(), &value).unwrap();
        assert!(!shown.contains('\u{202e}'), "{shown}");
        assert_eq!(serde_yaml::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert_eq!(yaml("a: x\n".into(), &serde_json::json!({"a": "x"})).unwrap(), "a: x\n");
    }

    #[test]
    fn json_says_the_same_in_escapes_of_its_own() {
        let value = serde_json::json!({"a\u{202e}b": "\u{9b}31m \u{e0041} \u{7f} \u{1b} naïve"});
        let safe = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!safe.chars().any(|c| c != '\n' && disguises(c)), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
