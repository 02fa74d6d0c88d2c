//! Findings for other programs: one file a format, each a pure function from findings to text.
//!
//! Everything the host said is made safe first, then written as the format quotes. The exit status is `check`'s own in all formats but
//! Nagios's, which has its own meaning of 0 to 3.

mod csv;
mod junit;
mod nagios;
mod prometheus;
mod sarif;
mod tap;
#[cfg(test)]
mod tests;

use audit::baseline::Baseline;
use audit::finding::{Finding, Severity, Status, Summary};
use clap::ValueEnum;

/// How `check` writes what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For a person.
    Human,
    /// Everything, for a program.
    Json,
    /// JUnit's XML, for continuous integration.
    Junit,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// One line and Nagios's exit status.
    Nagios,
    /// The Test Anything Protocol, version 13.
    Tap,
    /// Prometheus's text format, for node_exporter's textfile collector.
    Prometheus,
    /// RFC 4180, for a spreadsheet.
    Csv,
}

/// What was found, of which host, by what.
pub(super) struct Found<'a> {
    pub(super) host: &'a str,
    pub(super) baseline: &'a Baseline,
    pub(super) findings: &'a [Finding],
    pub(super) fail_on: Severity,
    /// Seconds since 1970.
    pub(super) at: i64,
}

impl Found<'_> {
    fn summary(&self) -> Summary {
        Summary::of(self.findings)
    }

    /// Whether a finding counts for the exit status.
    fn counts(&self, finding: &Finding) -> bool {
        finding.severity >= self.fail_on
    }
}

/// The text in a format other than the two that `check` writes itself.
pub(super) fn write(output: Output, found: &Found<'_>) -> anyhow::Result<String> {
    Ok(match output {
        Output::Human | Output::Json => String::new(),
        Output::Junit => junit::write(found),
        Output::Sarif => sarif::write(found)?,
        Output::Nagios => nagios::write(found),
        Output::Tap => tap::write(found),
        Output::Prometheus => prometheus::write(found),
        Output::Csv => csv::write(found),
    })
}

/// Nagios's exit status: 2 critical, 1 warning, 3 unknown, 0 well.
pub(super) fn nagios_status(found: &Found<'_>) -> u8 {
    nagios::state(found).0
}

/// One line about a finding.
fn said(finding: &Finding) -> String {
    match finding.status {
        Status::Deviation => format!("expected {}; observed {}", finding.expected, finding.observed),
        Status::Unknown | Status::NotApplicable => finding.observed.clone(),
        Status::Pass => format!("{} is as it should be", finding.subject),
    }
}
