//! The one place that prints. What came from elsewhere is shown with its control and direction characters escaped, so
//! that a host's name cannot write on the terminal.

use std::io::Write as _;

use serde::Serialize;

/// One line to standard output.
pub fn line(text: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", safe(text))?;
    out.flush()
}

/// A value as JSON.
pub fn json(value: &impl Serialize) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    writeln!(out, "{text}")?;
    out.flush()
}

/// A table under a heading each.
pub fn table(headings: &[&str], rows: Vec<Vec<String>>) -> std::io::Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)));
    }
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))?;
    out.flush()
}

/// An instant for people, to the second.
pub fn instant(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// One complaint to standard error. Nothing can be done if even that fails.
pub fn complain(text: &str) {
    drop(writeln!(anstream::stderr(), "plumbline-collector: {}", safe(text)));
}

/// Text with control and bidirectional formatting characters escaped; line ends and tabs of our own texts stay.
pub fn safe(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '\n' => safe.push(c),
            // Unicode's explicit direction marks, embeddings, overrides and isolates (UAX #9), and the zero widths.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                safe.extend(c.escape_unicode());
            }
            c if c.is_control() => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_name_cannot_write_on_the_terminal() {
        assert_eq!(safe("web\u{1b}[2J\u{202e}1\u{9b}"), "web\\u{1b}[2J\\u{202e}1\\u{9b}");
        assert_eq!(safe("wéb-1"), "wéb-1");
    }
}
