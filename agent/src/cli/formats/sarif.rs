//! SARIF 2.1.0 (OASIS): rules with their help, results by rule. A result that is no failure has the level `none`, as the standard demands
//! (§3.27.10).

use std::collections::BTreeMap;

use audit::baseline::Rule;
use audit::finding::{Finding, Severity, Status};
use serde_json::{Value, json};

use super::{Found, said};
use crate::cli::safe_text;

pub(super) fn write(found: &Found<'_>) -> anyhow::Result<String> {
    // Forms of one rule are one rule to a reader.
    let mut rules: Vec<&Rule> = Vec::new();
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in &found.baseline.rules {
        if let std::collections::btree_map::Entry::Vacant(entry) = index.entry(&rule.id) {
            entry.insert(rules.len());
            rules.push(rule);
        }
    }
    let results: Vec<Value> = found.findings.iter().map(|finding| result(found.host, finding, &index)).collect();
    let shown = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "plumbline",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.into_iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "utf16CodeUnits",
            "properties": {
                "host": found.host,
                "baseline": {"name": found.baseline.name, "version": found.baseline.version, "digest": found.baseline.digest},
            },
            "results": results,
        }],
    });
    Ok(safe_text::json(&serde_json::to_string_pretty(&shown)?) + "\n")
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": rule.controls, "security-severity": score(rule.severity)},
    })
}

fn result(host: &str, finding: &Finding, index: &BTreeMap<&str, usize>) -> Value {
    let (kind, level) = match finding.status {
        Status::Pass => ("pass", "none"),
        Status::Deviation => ("fail", level(finding.severity)),
        Status::Unknown => ("open", "none"),
        Status::NotApplicable => ("notApplicable", "none"),
    };
    let name = format!("{}/{}", finding.probe, finding.subject);
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index.get(finding.rule.as_str()),
        "kind": kind,
        "level": level,
        "message": {"text": said(finding)},
        "locations": [{"logicalLocations": [{"name": finding.subject, "fullyQualifiedName": name, "kind": "resource"}]}],
        "partialFingerprints": {"plumbline/v1": format!("{host}/{}/{}", finding.rule, finding.subject)},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

/// The number code scanning sorts by, of CVSS's scale.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "3.0",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    }
}
