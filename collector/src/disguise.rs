//! Which characters of a host's text could pass it off as other text, and the text with them shown: on a terminal, in a
//! message, on a page. Ordinary letters of every script are left as they are.

/// Whether `c` can change how the text around it reads without being seen itself: Unicode's general category Cc, its
/// bidirectional controls (UAX #9), and characters that are ignorable by default (UAX #44) or break lines.
pub fn disguises(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

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
