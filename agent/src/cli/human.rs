//! Findings for a person: deviations first, worst first; then what could not be determined, and why; then the count.
//!
//! Colour is written always and taken out by the printer where nobody would see it.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use audit::baseline::Baseline;
use audit::finding::{Finding, Severity, Status, Summary};

use super::safe_text::line;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();

/// All of it.
pub(super) fn findings(host: &str, baseline: &Baseline, findings: &[Finding]) -> String {
    let mut text = String::new();
    for severity in Severity::ALL.into_iter().rev() {
        let of: Vec<&Finding> = with(findings, Status::Deviation).filter(|f| f.severity == severity).collect();
        if !of.is_empty() {
            let style = if severity >= Severity::High { RED } else { YELLOW };
            push(&mut text, format_args!("{style}{} {severity}{style:#}\n\n", of.len()));
            of.into_iter().for_each(|finding| deviation(&mut text, finding));
        }
    }
    let unknown: Vec<&Finding> = with(findings, Status::Unknown).collect();
    if !unknown.is_empty() {
        push(&mut text, format_args!("{YELLOW}{} could not be determined{YELLOW:#}\n\n", unknown.len()));
        unknown.into_iter().for_each(|finding| unseen(&mut text, finding));
    }
    summary(&mut text, host, baseline, Summary::of(findings));
    text
}

fn with(findings: &[Finding], status: Status) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(move |finding| finding.status == status)
}

fn deviation(text: &mut String, finding: &Finding) {
    head(text, finding);
    push(text, format_args!("    expected  {}\n", line(&finding.expected)));
    push(text, format_args!("    observed  {}\n", line(&finding.observed)));
    push(text, format_args!("    fix       {}\n\n", line(&finding.fix)));
}

fn unseen(text: &mut String, finding: &Finding) {
    head(text, finding);
    push(text, format_args!("    reason    {}\n\n", line(&finding.observed)));
}

fn head(text: &mut String, finding: &Finding) {
    let (title, rule, subject) = (line(&finding.title), line(&finding.rule), line(&finding.subject));
    push(text, format_args!("  {BOLD}{subject}{BOLD:#}  {title} {DIM}[{rule}]{DIM:#}\n"));
}

fn summary(text: &mut String, host: &str, baseline: &Baseline, summary: Summary) {
    let (style, verdict) = match (summary.deviation, summary.unknown) {
        (0, 0) => (GREEN, "upright"),
        (0, _) => (YELLOW, "not all could be determined"),
        _ => (RED, "deviates"),
    };
    push(
        text,
        format_args!(
            "{style}{} {verdict}{style:#}: {} deviations, {} unknown, {} passed, {} not applicable {DIM}({} version {}){DIM:#}\n",
            line(host),
            summary.deviation,
            summary.unknown,
            summary.pass,
            summary.not_applicable,
            line(&baseline.name),
            baseline.version
        ),
    );
}

fn push(text: &mut String, parts: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _written = text.write_fmt(parts);
}
