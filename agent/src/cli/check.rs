//! `plumbline check`: judges this host, or the root file system at a folder, and prints what deviates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use audit::baseline::applies::{ENVIRONMENTS, Traits};
use audit::digest::Digest;
use audit::evaluate::{evaluate_for, observe};
use audit::finding::{Finding, Severity, Summary, exit_code};
use audit::lifecycle::Lifecycles;
use audit::probe::{Context, Probe as _};
use audit::probes::eol::Eol;
use audit::report::HostId;
use chrono::Utc;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::formats::{self, Found, Output};
use super::{Usage, baselines, given, human, printer, progress, safe_text};
use crate::config::Config;
use crate::identity::Identity;
use crate::live::Live;
use crate::state;

/// Judge this host against a baseline, and print what deviates.
///
/// Exit status: 1 if anything deviates at or above the severity of --fail-on, else 3 if anything of that severity could
/// not be determined, else 0. 2 means bad usage or a bad baseline. With --format nagios: 2 critical, 1 warning, 3 unknown, 0 well.
#[derive(Args)]
pub(super) struct Check {
    /// The baseline: a file, or the name of one that ships (linux-server, web-server,
    /// database-server, workstation, policy-j, policy-l). Where none is given:
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
    /// What to take for the host's environment, where a rule applies to some only; the configuration's otherwise.
    #[arg(long, value_name = "ENVIRONMENT", value_parser = ENVIRONMENTS)]
    environment: Option<String>,
    /// What to take for its roles. May be given more than once; `--role ''` says that it has none.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// What to take for its labels. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    format: Output,
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
        // Reading the dates takes as long as reading the baseline; a file that was named is read to be refused if it is none.
        let lifecycles = match &config.eol {
            None if !baseline.probes().contains(&Eol::NAME) => Lifecycles::unasked(),
            file => baselines::lifecycles(file.as_deref())?,
        };
        let host = Live::open(self.root.as_deref())?;
        let look = |host: &Live| observe(host, &baseline.probes(), &baseline.expectations());
        let (host, facts) = progress::during(host, look);
        let context = Context { now: Utc::now(), facts: &facts, lifecycles: &lifecycles };
        let findings = evaluate_for(&baseline, &context, &self.traits(&config));
        let id = self.id()?;
        let name = host.name();
        let fail_on = self.fail_on.severity();
        match self.format {
            Output::Human => printer::print(&human::findings(&name, &baseline, &findings))?,
            Output::Json => {
                let shown = Document {
                    host: Host { name: &name, id },
                    baseline: Judged { name: &baseline.name, version: baseline.version, digest: baseline.digest },
                    summary: Summary::of(&findings),
                    findings: &findings,
                };
                printer::print_data(&(safe_text::json(&serde_json::to_string_pretty(&shown)?) + "\n"))?;
            }
            other @ (Output::Junit
            | Output::Sarif
            | Output::Nagios
            | Output::Tap
            | Output::Prometheus
            | Output::Csv) => {
                let at = Utc::now().timestamp();
                let found = Found { host: &name, baseline: &baseline, findings: &findings, fail_on, at };
                printer::print_data(&formats::write(other, &found)?)?;
                if other == Output::Nagios {
                    return Ok(formats::nagios_status(&found));
                }
            }
        }
        Ok(exit_code(&findings, fail_on))
    }

    /// What is said of this host: by flags, else by the configuration, else nothing.
    fn traits(&self, config: &Config) -> Traits {
        let own = config.environment.as_ref().map(|environment| environment.name().to_owned());
        let roles: BTreeSet<String> = self.role.iter().filter(|role| !role.is_empty()).cloned().collect();
        let labels: BTreeMap<String, String> = self.label.iter().cloned().collect();
        Traits {
            environment: self.environment.clone().or(own),
            roles: if self.role.is_empty() { config.roles.clone() } else { Some(roles) },
            labels: if self.label.is_empty() { config.labels.clone() } else { Some(labels) },
        }
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

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The answer for programs.
#[derive(Serialize)]
struct Document<'a> {
    host: Host<'a>,
    baseline: Judged<'a>,
    summary: Summary,
    findings: &'a [Finding],
}

#[derive(Serialize)]
struct Host<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<HostId>,
}

#[derive(Serialize)]
struct Judged<'a> {
    name: &'a str,
    version: u32,
    digest: Digest,
}
