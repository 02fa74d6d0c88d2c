//! A host's text with the characters shown that could pass it off as other text (`audit::disguise` lists them): on a
//! terminal, in a message, on a page. Ordinary letters of every script are left as they are.

pub use audit::disguise::disguises;

/// Text with those characters as escapes (`\\u{202e}`), so that a name cannot write on the terminal; line ends stay.
pub fn safe(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '\n' => safe.push(c),
            c if disguises(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
        safe
    })
}

/// JSON with those characters in JSON's own escapes: the same to a program, and safe to look at. They can only stand
/// inside its strings.
pub fn safe_json(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '\n' => safe.push(c),
            c if disguises(c) => safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
            c => safe.push(c),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_in_its_own_escapes() {
        let value = serde_json::json!({"a\u{202e}": "\u{9b}31m \u{e0041} 日本"});
        let shown = safe_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.chars().any(|c| c != '\n' && disguises(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_hosts_name_cannot_write_on_the_terminal() {
        assert_eq!(safe("web\u{1b}[2J\u{202e}1\u{9b}"), "web\\u{1b}[2J\\u{202e}1\\u{9b}");
        assert_eq!(safe("a\u{61c}b\u{2028}\u{e0041}\tc\nd"), "a\\u{61c}b\\u{2028}\\u{e0041}\\tc\nd");
        assert_eq!(safe("wéb-1 日本"), "wéb-1 日本");
    }
}
