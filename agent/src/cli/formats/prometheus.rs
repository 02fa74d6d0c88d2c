//! Prometheus's text format (version 0.0.4): how many findings of each status and severity, and each rule's worst. Subjects are no labels: their number
//! has no bound.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use audit::finding::{Severity, Status};

use super::Found;
use crate::cli::safe_text::line;

const STATUSES: [Status; 4] = [Status::Pass, Status::Deviation, Status::Unknown, Status::NotApplicable];

pub(super) fn write(found: &Found<'_>) -> String {
    let mut text = String::new();
    let host = format!("host=\"{}\",baseline=\"{}\"", label(found.host), label(&found.baseline.name));
    // Writing to a String cannot fail.
    let mut push = |parts: std::fmt::Arguments<'_>| {
        let _written = text.write_fmt(parts);
    };
    push(format_args!("# HELP plumbline_findings Findings by status and severity.\n# TYPE plumbline_findings gauge\n"));
    for status in STATUSES {
        for severity in Severity::ALL {
            let of = found.findings.iter().filter(|one| one.status == status && one.severity == severity).count();
            push(format_args!("plumbline_findings{{{host},status=\"{status}\",severity=\"{severity}\"}} {of}\n"));
        }
    }
    let mut rules: BTreeMap<(&str, Severity), [usize; 4]> = BTreeMap::new();
    for finding in found.findings {
        let counts = rules.entry((&finding.rule, finding.severity)).or_default();
        if let Some(count) = STATUSES.iter().position(|one| *one == finding.status).and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
    push(format_args!(
        "# HELP plumbline_rule_deviations Deviations of each rule.\n# TYPE plumbline_rule_deviations gauge\n"
    ));
    for ((rule, severity), [_, deviations, ..]) in &rules {
        let rule = label(rule);
        push(format_args!(
            "plumbline_rule_deviations{{{host},rule=\"{rule}\",severity=\"{severity}\"}} {deviations}\n"
        ));
    }
    push(format_args!(
        "# HELP plumbline_rule_unknown What of each rule could not be determined.\n# TYPE plumbline_rule_unknown gauge\n"
    ));
    for ((rule, severity), [_, _, unknown, _]) in &rules {
        let rule = label(rule);
        push(format_args!("plumbline_rule_unknown{{{host},rule=\"{rule}\",severity=\"{severity}\"}} {unknown}\n"));
    }
    push(format_args!(
        "# HELP plumbline_check_timestamp_seconds When it was checked.\n# TYPE plumbline_check_timestamp_seconds gauge\nplumbline_check_timestamp_seconds{{{host}}} {}\n",
        found.at
    ));
    text
}

/// Quoted as the format asks.
fn label(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('"', "\\\"")
}
