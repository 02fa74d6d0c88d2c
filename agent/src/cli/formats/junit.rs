//! JUnit's XML, as Jenkins's and GitLab's readers take it: a deviation is a failure, what could not be determined an error, what does
//! not apply skipped.

use std::fmt::Write as _;

use audit::finding::Status;

use super::{Found, said};
use crate::cli::safe_text::line;

pub(super) fn write(found: &Found<'_>) -> String {
    let of = found.summary();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"0\"",
        found.findings.len(),
        of.deviation,
        of.unknown,
        of.not_applicable
    );
    let name = attribute(&format!("{} on {}", found.baseline.name, found.host));
    let host = attribute(found.host);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _written = writeln!(text, "<testsuites {counts}>\n<testsuite name=\"{name}\" hostname=\"{host}\" {counts}>");
    for finding in found.findings {
        let class = attribute(&format!("{}.{}", finding.probe, finding.rule));
        let case = attribute(&format!("{}: {}", finding.title, finding.subject));
        let kind = attribute(finding.severity.name());
        let message = attribute(&said(finding));
        let body = attribute(&format!("{}\nwhy: {}\nfix: {}", said(finding), finding.why, finding.fix));
        let inner = match finding.status {
            Status::Pass => String::new(),
            Status::Deviation => format!("<failure type=\"{kind}\" message=\"{message}\">{body}</failure>"),
            Status::Unknown => format!("<error type=\"{kind}\" message=\"{message}\">{body}</error>"),
            Status::NotApplicable => format!("<skipped message=\"{message}\"/>"),
        };
        let _written = writeln!(text, "<testcase classname=\"{class}\" name=\"{case}\" time=\"0\">{inner}</testcase>");
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

/// Safe in an attribute and in text. What XML 1.0 cannot hold at all, safe text has already written as escapes, but for two
/// code points that are no characters.
fn attribute(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.split('\n').map(line).collect::<Vec<_>>().join("\n").chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
