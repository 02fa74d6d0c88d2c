//! One line for Nagios and its kin (Monitoring Plugins' guidelines): state, numbers, the worst by name, performance data after the bar.

use audit::finding::{Finding, Severity, Status};

use super::Found;
use crate::cli::safe_text::line;

/// The longest list of names: Nagios cuts a line at 4 KiB.
const MOST: usize = 8;

/// The exit status and its word. A deviation of high or critical severity is critical, a milder one a warning.
pub(super) fn state(found: &Found<'_>) -> (u8, &'static str) {
    let of = |status| found.findings.iter().filter(move |finding| finding.status == status && found.counts(finding));
    match of(Status::Deviation).map(|finding| finding.severity).max() {
        Some(Severity::High | Severity::Critical) => (2, "CRITICAL"),
        Some(Severity::Low | Severity::Medium) => (1, "WARNING"),
        None if of(Status::Unknown).next().is_some() => (3, "UNKNOWN"),
        None => (0, "OK"),
    }
}

pub(super) fn write(found: &Found<'_>) -> String {
    let of = found.summary();
    let mut worst: Vec<&Finding> =
        found.findings.iter().filter(|finding| matches!(finding.status, Status::Deviation | Status::Unknown)).collect();
    worst.sort_by_key(|finding| (finding.status, std::cmp::Reverse(finding.severity)));
    let mut names: Vec<String> = Vec::new();
    for finding in worst {
        let name = format!("{} ({})", finding.rule, finding.status);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let list = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    // The bar begins performance data, and nothing else may hold one.
    let said = format!(
        "PLUMBLINE {} - {} deviations, {} unknown, {} passed by {}{list}",
        state(found).1,
        of.deviation,
        of.unknown,
        of.pass,
        found.baseline.name
    );
    let said = line(&said).replace('|', "/");
    format!(
        "{said} | deviations={};;;0 unknown={};;;0 passed={};;;0 not_applicable={};;;0\n",
        of.deviation, of.unknown, of.pass, of.not_applicable
    )
}
