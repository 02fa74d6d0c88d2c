//! Which characters of a host's text could pass it off as other text: on a terminal, in a message, on a page, in a review.
//!
//! One list for agent and collector, which write such characters out, each in the escapes of what it writes to.
//!
//! | what | why | source |
//! | --- | --- | --- |
//! | controls, C0, DEL and C1 | they move the cursor, recolour and erase on a terminal | general category Cc, the Unicode Standard 23.1; ECMA-48 |
//! | bidirectional controls | they reorder what is read: `exe.txt` | UAX #9; UTR #36 2.5; CVE-2021-42574 |
//! | line and paragraph separators | they break a line where no line ends | general categories Zl and Zp |
//! | what is ignorable by default: zero-width characters, joiners, fillers, variation selectors, tags | two names look alike, or hold text nobody sees | Default_Ignorable_Code_Point of UAX #44; UTS #39 5 |
//! | interlinear annotations | they hide text beside text | the Unicode Standard 23.8 |
//! | the blank Braille pattern | it looks like a space and is a symbol | UTS #39, confusables |
//!
//! Left out: letters that look alike across scripts (UTS #39 4), for every script is welcome here and names are compared
//! by their bytes, and spaces of other widths, which are seen as spaces.

/// Whether `c` can change how the text around it reads without being seen itself.
pub fn disguises(c: char) -> bool {
    c.is_control() || reorders(c) || ends_lines(c) || is_unseen(c) || annotates(c)
}

/// The bidirectional controls: UAX #9, table 4.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn ends_lines(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Default_Ignorable_Code_Point, of DerivedCoreProperties.txt 16.0, and the one blank that is no space.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || c == '\u{2800}'
}

fn annotates(c: char) -> bool {
    matches!(c, '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_reorders_breaks_lines_or_is_not_seen_disguises() {
        for (what, characters) in [
            ("controls", "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{9d}"),
            (
                "bidirectional controls",
                "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}",
            ),
            ("separators", "\u{2028}\u{2029}"),
            ("of no width", "\u{ad}\u{200b}\u{200c}\u{200d}\u{2060}\u{2064}\u{feff}\u{34f}\u{180e}"),
            ("deprecated format characters", "\u{206a}\u{206f}"),
            ("blanks", "\u{115f}\u{1160}\u{3164}\u{ffa0}\u{2800}"),
            ("variation selectors", "\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}"),
            ("tags", "\u{e0001}\u{e0041}\u{e007f}"),
            ("annotations", "\u{fff9}\u{fffa}\u{fffb}"),
            ("invisible musical and shorthand controls", "\u{1d173}\u{1d17a}\u{1bca0}"),
        ] {
            for c in characters.chars() {
                assert!(disguises(c), "{what}: {}", c.escape_unicode());
            }
        }
    }

    #[test]
    fn letters_digits_and_signs_of_every_script_are_left_as_they_are() {
        for text in [
            "web-1 (é, naïve) ✓ €",
            "日本語 한국어",
            "עברית العربية",
            "ไทย हिन्दी ខ្មែរ",
            "🦀 ∑ ½",
            "\u{a0}\u{202f}\u{3000}",
        ] {
            assert_eq!(text.chars().find(|c| disguises(*c)), None, "{text}");
        }
        // The fillers of Hangul are letters to Unicode, and blank.
        let letters: String = ('\0'..=char::MAX).filter(|c| c.is_alphanumeric() && disguises(*c)).collect();
        assert_eq!(letters, "\u{115f}\u{1160}\u{3164}\u{ffa0}");
    }
}
