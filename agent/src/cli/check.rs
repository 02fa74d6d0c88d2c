//! `plumbline check`: judges this host, or the root file system at a folder, and prints what deviates.

use std::path::{Path, PathBuf};

use audit::digest::Digest;
use audit::evaluate::{evaluate, observe};
use audit::finding::{Finding, Severity, Summary, exit_code};
use audit::probe::Context;
use audit::report::HostId;
use chrono::Utc;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Format, Usage, baselines, given, human, printer, safe_text};
use crate::config::Config;
use crate::identity::Identity;
use crate::live::Live;
use crate::state;

/// Judge this host against a baseline, and print what deviates.
///
/// Exit status: 1 if anything deviates at or above the severity of --fail-on, else 3 if anything of that severity could
/// not be determined, else 0. 2 means bad usage or a bad baseline.
#[derive(Args)]
pub(super) struct Check {
    /// The baseline: a file, or the name of one that ships (linux-server, workstation). Where none is given:
    /// the configuration's, else /etc/plumbline/baseline.yaml if there is one, else linux-server.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Judge the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where the agent keeps its own things: says under which id this host is enrolled.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The configuration. Where none is given: /etc/plumbline/agent.yaml if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The mildest severity that counts for the exit status.
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = FailOn::Low)]
    fail_on: FailOn,
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
        let config = Config::load(self.config.as_deref())?;
        let baseline = baselines::load(self.baseline.as_deref().or(config.baseline.as_deref()))?;
        let lifecycles = baselines::lifecycles(config.eol.as_deref())?;
        let host = Live::open(self.root.as_deref())?;
        let facts = observe(&host, &baseline.probes(), &baseline.expectations());
        let findings = evaluate(&baseline, &Context { now: Utc::now(), facts: &facts, lifecycles: &lifecycles });
        let id = self.id()?;
        let name = host.name();
        match self.format {
            Format::Human => printer::print(&human::findings(&name, &baseline, &findings))?,
            Format::Json => {
                let shown = Document {
                    host: Host { name, id },
                    baseline: Judged { name: &baseline.name, version: baseline.version, digest: baseline.digest },
                    summary: Summary::of(&findings),
                    findings: &findings,
                };
                printer::print_data(&(safe_text::json(&serde_json::to_string_pretty(&shown)?) + "\n"))?;
            }
        }
        Ok(exit_code(&findings, self.fail_on.severity()))
    }

    /// Judging needs no enrolment: an identity that is not there, or not readable, is left out. That of this machine is
    /// not said of a root file system elsewhere.
    fn id(&self) -> Result<Option<HostId>, Usage> {
        let own = self.root.is_none().then_some(Path::new(state::DEFAULT));
        let Some(folder) = self.state.as_deref().or(own) else { return Ok(None) };
        let identity = Identity::load(&given::state(folder)?);
        Ok(identity.ok().flatten().map(|identity| identity.host))
    }
}

/// The answer for programs.
#[derive(Serialize)]
struct Document<'a> {
    host: Host,
    baseline: Judged<'a>,
    summary: Summary,
    findings: &'a [Finding],
}

#[derive(Serialize)]
struct Host {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<HostId>,
}

#[derive(Serialize)]
struct Judged<'a> {
    name: &'a str,
    version: u32,
    digest: Digest,
}
