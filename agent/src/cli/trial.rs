//! `plumbline baseline test`: a baseline against recorded hosts, with the findings that are expected.
//!
//! The file is YAML: `baseline`, and `cases`, each with a `name`, a `host` (a recording beside the file, or a folder that is a root file
//! system), what is said of it (`environment`, `roles`, `labels`), the moment judged at, and what is `expect`ed: by rule, one status, or
//! statuses by subject. Rules a case does not name are not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use audit::baseline::Baseline;
use audit::baseline::applies::{Environment, Traits};
use audit::evaluate::{evaluate_for, observe};
use audit::facts::FactSet;
use audit::finding::{Finding, Status};
use audit::host::Recorded;
use audit::lifecycle::Lifecycles;
use audit::probe::Context;
use audit::yaml::{Document, did_you_mean};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{Format, Usage, baselines, given, printer, safe_text};
use crate::live::Live;

/// Hold a baseline against recorded hosts, and say where its findings are not those expected.
///
/// Exit status: 0 if all are as expected, 1 if one is not, 2 if the file is no test.
#[derive(Args)]
pub(super) struct Trial {
    /// The test files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    baseline: PathBuf,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    host: PathBuf,
    #[serde(default)]
    at: Option<DateTime<Utc>>,
    #[serde(default)]
    environment: Option<Environment>,
    #[serde(default)]
    roles: Option<BTreeSet<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    expect: BTreeMap<String, Expected>,
}

/// One status for all subjects, or some subjects each with its own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    All(Status),
    Each(BTreeMap<String, Status>),
}

/// What is not as expected.
struct Miss {
    case: String,
    said: String,
}

impl Trial {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let mut misses = Vec::new();
        let mut cases = 0;
        for file in &self.files {
            cases += hold(file, &mut misses)?;
        }
        let text = match self.format {
            Format::Human => {
                let said = |miss: &Miss| format!("{}: {}\n", safe_text::line(&miss.case), safe_text::line(&miss.said));
                let all: String = misses.iter().map(said).collect();
                format!("{all}{cases} cases, {} findings not as expected\n", misses.len())
            }
            Format::Json => {
                let said: Vec<_> = misses.iter().map(|miss| json!({"case": miss.case, "said": miss.said})).collect();
                safe_text::json(&serde_json::to_string_pretty(&json!({"cases": cases, "misses": said}))?) + "\n"
            }
        };
        printer::print(&text)?;
        Ok(u8::from(!misses.is_empty()))
    }
}

/// Holds one file's cases; how many there are.
fn hold(path: &Path, misses: &mut Vec<Miss>) -> anyhow::Result<usize> {
    let name = path.display().to_string();
    let bytes = given::document(path, "the test")?;
    let wrong = |complaint: audit::yaml::Complaint| Usage(complaint.to_string());
    let document = Document::open(&name, &bytes).map_err(wrong)?;
    let file: File = document.parse().map_err(wrong)?;
    if file.cases.is_empty() {
        return Err(wrong(document.complain("cases", "a test without cases would always pass")).into());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let shipped = file.baseline.to_str().is_some_and(|name| audit::shipped::baseline(name).is_some());
    let baseline = if shipped { file.baseline.clone() } else { folder.join(&file.baseline) };
    let baseline = baselines::load(Some(&baseline))?;
    let lifecycles = baselines::lifecycles(None)?;
    let ids: Vec<&str> = baseline.rules.iter().map(|rule| rule.id.as_str()).collect();
    for (number, case) in file.cases.iter().enumerate() {
        let at = format!("cases[{number}].expect");
        if case.expect.is_empty() {
            return Err(wrong(document.complain(&at, "a case that expects nothing always passes")).into());
        }
        if let Some(rule) = case.expect.keys().find(|rule| !ids.contains(&rule.as_str())) {
            let message = format!("the baseline has no rule `{rule}`");
            return Err(
                wrong(document.complain_of_key(&format!("{at}.{rule}"), &message, did_you_mean(rule, &ids))).into()
            );
        }
        let facts = facts(&folder.join(&case.host), &baseline)?;
        let found = judge(&baseline, &facts, case, &lifecycles);
        for (rule, expected) in &case.expect {
            let own: Vec<&Finding> = found.iter().filter(|finding| finding.rule == *rule).collect();
            let mut miss =
                |said: String| misses.push(Miss { case: case.name.clone(), said: format!("{rule}: {said}") });
            match expected {
                Expected::All(status) => {
                    for finding in own.iter().filter(|finding| finding.status != *status) {
                        miss(format!(
                            "{} is {}, expected {status}: {}",
                            finding.subject, finding.status, finding.observed
                        ));
                    }
                }
                Expected::Each(subjects) => {
                    for (subject, status) in subjects {
                        match own.iter().find(|finding| finding.subject == *subject) {
                            None => miss(format!("nothing is said about {subject}, expected {status}")),
                            Some(finding) if finding.status != *status => {
                                miss(format!(
                                    "{subject} is {}, expected {status}: {}",
                                    finding.status, finding.observed
                                ));
                            }
                            Some(_) => {}
                        }
                    }
                }
            }
        }
    }
    Ok(file.cases.len())
}

fn judge(baseline: &Baseline, facts: &FactSet, case: &Case, lifecycles: &Lifecycles) -> Vec<Finding> {
    let traits = Traits {
        environment: case.environment.as_ref().map(|environment| environment.name().to_owned()),
        roles: case.roles.clone(),
        labels: case.labels.clone(),
    };
    let now = case.at.unwrap_or_else(Utc::now);
    evaluate_for(baseline, &Context { now, facts, lifecycles }, &traits)
}

/// What `baseline` looks at, of a recording or a root file system.
fn facts(host: &Path, baseline: &Baseline) -> anyhow::Result<FactSet> {
    let (probes, rules) = (baseline.probes(), baseline.expectations());
    if host.is_dir() {
        return Ok(observe(&Live::open(Some(host))?, &probes, &rules));
    }
    Ok(observe(&recording(host)?, &probes, &rules))
}

/// The recording at `path`.
pub(super) fn recording(path: &Path) -> anyhow::Result<Recorded> {
    let bytes = given::large(path, "the recording")?;
    let read = Recorded::from_json(&bytes);
    Ok(read.map_err(|error| Usage(format!("{}: not a recording: {error}", path.display())))?)
}
