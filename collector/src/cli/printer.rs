//! The one place that prints. What came from elsewhere is shown with its control and direction characters escaped, so
//! that a host's name cannot write on the terminal.

use std::io::Write as _;

use serde::Serialize;

use crate::disguise::{safe, safe_json};

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
    writeln!(out, "{}", safe_json(&text))?;
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
