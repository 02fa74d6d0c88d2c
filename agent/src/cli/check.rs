//! `plumbline check`: judges this host, or the root file system at a folder, and prints what deviates.

use std::path::PathBuf;

use audit::baseline::Baseline;
use audit::evaluate::{evaluate, observe};
use audit::finding::{Finding, Severity, Summary, exit_code};
use audit::probe::Context;
use chrono::Utc;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{baselines, human, printer};
use crate::live::Live;

/// Judge this host against a baseline, and print what deviates.
///
/// Exit status: 1 if anything deviates at or above the severity of --fail-on, else 3 if anything of that severity could
/// not be determined, else 0. 2 means bad usage or a bad baseline.
#[derive(Args)]
pub(super) struct Check {
    /// The baseline: a file, or the name of one that ships (linux-server, workstation). Where none is given:
    /// /etc/plumbline/baseline.yaml if there is one, else linux-server.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Judge the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The mildest severity that counts for the exit status.
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = FailOn::Low)]
    fail_on: FailOn,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum FailOn {
    Low,
    Medium,
    High,
    Critical,
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
        }
    }
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let baseline = baselines::load(self.baseline.as_deref())?;
        let lifecycles = baselines::lifecycles()?;
        let host = Live::open(self.root.as_deref())?;
        let facts = observe(&host, &baseline.probes());
        let findings = evaluate(&baseline, &Context { now: Utc::now(), facts: &facts, lifecycles: &lifecycles });
        let name = host.name();
        match self.format {
            Format::Human => printer::print(&human::findings(&name, &baseline, &findings))?,
            Format::Json => {
                let shown = document(&name, &baseline, &findings);
                printer::print_data(&(serde_json::to_string_pretty(&shown)? + "\n"))?;
            }
        }
        Ok(exit_code(&findings, self.fail_on.severity()))
    }
}

fn document(host: &str, baseline: &Baseline, findings: &[Finding]) -> serde_json::Value {
    json!({
        "host": { "name": host },
        "baseline": { "name": baseline.name, "version": baseline.version, "digest": baseline.digest },
        "summary": Summary::of(findings),
        "findings": findings,
    })
}
