//! How text from a host becomes text on a page.
//!
//! One escaper serves every template (see `askama.toml`): it makes HTML's own characters harmless and writes characters
//! that disguise text (controls, bidirectional overrides, zero-width and tag characters) as `\u{202e}`, so that what a
//! reader sees is what the host said. Ordinary letters of every script are left as they are.

use std::fmt;

use askama::filters::Escaper;

use crate::disguise::disguises;

/// Escapes for HTML text and quoted attributes, and shows what would otherwise be invisible.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, mut to: W, text: &str) -> fmt::Result {
        let mut from = 0;
        for (at, c) in text.char_indices() {
            if replacement(c).is_none() && !disguises(c) {
                continue;
            }
            to.write_str(text.get(from..at).unwrap_or_default())?;
            from = at + c.len_utf8();
            match replacement(c) {
                Some(safe) => to.write_str(safe)?,
                None => write!(to, "{}", c.escape_unicode())?,
            }
        }
        to.write_str(text.get(from..).unwrap_or_default())
    }
}

fn replacement(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&#38;",
        '<' => "&#60;",
        '>' => "&#62;",
        '"' => "&#34;",
        '\'' => "&#39;",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => return None,
    })
}

/// At most `limit` characters of `text`, and how many were left out said.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((at, _)) => {
            let left_out = text.chars().count() - limit;
            format!("{}… ({left_out} more characters)", text.get(..at).unwrap_or_default())
        }
    }
}

/// `1 host`, `2 hosts`. Templates hand numbers by value or by reference, whichever they hold.
pub fn count(number: impl std::borrow::Borrow<usize>, one: &str, many: &str) -> String {
    let number = *number.borrow();
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Strings that have broken pages elsewhere, for the tests of every page.
#[cfg(test)]
pub(crate) mod nasty {
    /// Each with what must not stand in the page as such.
    pub(crate) const CORPUS: [(&str, &str); 9] = [
        ("<script>alert(1)</script>", "<script"),
        ("\"><img src=x onerror=alert(1)>", "<img src=x"),
        ("' onmouseover='alert(1)", "' onmouseover="),
        ("</code></td></table><form action=//evil>", "</table><form"),
        ("invoice\u{202e}gpj.exe", "\u{202e}"),
        ("a\u{2066}b\u{2069}c", "\u{2066}"),
        ("nul\u{0}bell\u{7}esc\u{1b}[2J", "\u{1b}"),
        ("zero\u{200b}width\u{feff}", "\u{200b}"),
        ("&lt;already&gt; &copy;", "&copy;"),
    ];

    /// All of them in one string.
    pub(crate) fn all() -> String {
        CORPUS.iter().map(|(text, _)| *text).collect::<Vec<_>>().join(" ")
    }

    /// Panics where one of them got through.
    pub(crate) fn assert_harmless(page: &str) {
        for (_, bad) in CORPUS {
            assert!(!page.contains(bad), "{bad:?} got through:\n{page}");
        }
        assert!(page.contains("&#60;script&#62;"), "the text itself must be there:\n{page}");
        assert!(page.contains("\\u{202e}"), "what disguises must be shown:\n{page}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut to = String::new();
        Visible.write_escaped_str(&mut to, text).unwrap();
        to
    }

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escaped("<a href=\"'&\">"), "&#60;a href=&#34;&#39;&#38;&#34;&#62;");
        nasty::assert_harmless(&escaped(&nasty::all()));
    }

    #[test]
    fn what_disguises_is_shown_and_letters_of_every_script_stay() {
        assert_eq!(escaped("a\u{202e}b\u{0}c\nd"), "a\\u{202e}b\\u{0}c\\nd");
        for text in ["Zürich", "עברית", "العربية", "日本語", "Ω"] {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_says_so() {
        assert_eq!(cut("éééé", 2), "éé… (2 more characters)");
        assert_eq!(cut("éé", 2), "éé");
    }
}
