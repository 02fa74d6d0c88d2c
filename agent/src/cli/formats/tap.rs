//! The Test Anything Protocol, version 13, which `prove` reads: what could not be determined is not ok, what does not apply is skipped.

use std::fmt::Write as _;

use audit::finding::Status;

use super::{Found, said};
use crate::cli::safe_text::line;

pub(super) fn write(found: &Found<'_>) -> String {
    let mut text = format!("TAP version 13\n1..{}\n", found.findings.len());
    for (number, finding) in found.findings.iter().enumerate() {
        let ok = match finding.status {
            Status::Pass | Status::NotApplicable => "ok",
            Status::Deviation | Status::Unknown => "not ok",
        };
        // `#` begins a directive, `\` escapes it.
        let plain = |text: &str| line(text).replace('\\', "\\\\").replace('#', "\\#");
        let name = plain(&format!("{} {}", finding.rule, finding.subject));
        let directive = match finding.status {
            Status::NotApplicable => format!(" # SKIP {}", plain(&finding.observed)),
            Status::Pass | Status::Deviation | Status::Unknown => String::new(),
        };
        // Writing to a String cannot fail.
        let _written = writeln!(text, "{ok} {} - {name}{directive}", number + 1);
        if ok == "not ok" {
            let rows = [
                ("message", said(finding)),
                ("status", finding.status.name().to_owned()),
                ("severity", finding.severity.name().to_owned()),
                ("fix", finding.fix.clone()),
            ];
            text.push_str("  ---\n");
            for (key, value) in rows {
                // JSON's strings are YAML's.
                let value = serde_json::to_string(&line(&value)).unwrap_or_default();
                let _written = writeln!(text, "  {key}: {value}");
            }
            text.push_str("  ...\n");
        }
    }
    text
}
