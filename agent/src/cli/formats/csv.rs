//! Comma-separated values (RFC 4180). A cell that a spreadsheet would take for a formula begins with an apostrophe: a package's name must not
//! become a command on an auditor's desk.

use super::Found;
use crate::cli::safe_text::line;

const HEAD: &str =
    "host,baseline,version,rule,probe,subject,status,severity,title,expected,observed,why,fix,controls\r\n";

pub(super) fn write(found: &Found<'_>) -> String {
    let mut text = HEAD.to_owned();
    let version = found.baseline.version.to_string();
    for finding in found.findings {
        let controls = finding.controls.join("; ");
        let cells = [
            found.host,
            &found.baseline.name,
            &version,
            &finding.rule,
            &finding.probe,
            &finding.subject,
            finding.status.name(),
            finding.severity.name(),
            &finding.title,
            &finding.expected,
            &finding.observed,
            &finding.why,
            &finding.fix,
            &controls,
        ];
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// OWASP's list of what begins a formula.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let cell = format!("{}{}", if formula { "'" } else { "" }, line(cell));
    if cell.contains(['"', ',', ';', '\'', ' ']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
