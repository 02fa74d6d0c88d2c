//! `host` and `findings`: hosts, and what the baseline says of them.

use audit::finding::{Finding, Status};
use audit::instance::Instance;
use clap::Subcommand;

use super::client::{Collector, path};
use super::{Connection, Failure, Format, drift, printer};
use crate::http::hosts::Shown;
use crate::store::hosts::Host;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List all hosts
    List(Connection),
    /// Show one host: where it stands, its deviations, what was found about its reports, its open drift
    Show {
        /// Its id or its name
        host: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Say that you have looked at a host and found it good: it becomes active, earlier drift is closed
    Inspect {
        /// Its id or its name
        host: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Subcommand)]
pub(super) enum Findings {
    /// List a host's findings
    List {
        /// Its id or its name
        #[arg(long)]
        host: String,
        /// Also what passes and what does not apply
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(connection) => {
            let hosts: Vec<Host> = Collector::new(&connection)?.list("/api/v1/hosts", &[]).await?;
            match connection.format {
                Format::Json => printer::json(&hosts)?,
                Format::Human => table(hosts)?,
            }
        }
        Command::Show { host, connection } => {
            let shown: Shown = Collector::new(&connection)?.get(&path("/api/v1/hosts/", &host, ""), &[]).await?;
            match connection.format {
                Format::Json => printer::json(&shown)?,
                Format::Human => show(shown)?,
            }
        }
        Command::Inspect { host, connection } => {
            let call = path("/api/v1/hosts/", &host, "/inspect");
            let host: Host = Collector::new(&connection)?.post(&call, &()).await?;
            match connection.format {
                Format::Json => printer::json(&host)?,
                Format::Human => printer::line(&format!("{} is {}", host.name, host.state.name()))?,
            }
        }
    }
    Ok(())
}

/// `findings`
pub(super) async fn findings(command: Findings) -> Result<(), Failure> {
    let Findings::List { host, all, connection } = command;
    let call = path("/api/v1/hosts/", &host, "/findings");
    let mut findings: Vec<Finding> = Collector::new(&connection)?.list(&call, &[("limit", "500".to_owned())]).await?;
    findings.retain(|finding| all || matches!(finding.status, Status::Deviation | Status::Unknown));
    match connection.format {
        Format::Json => printer::json(&findings)?,
        Format::Human => {
            let rows = findings.into_iter().map(|finding| {
                let status = finding.status.name().to_owned();
                let severity = finding.severity.name().to_owned();
                vec![status, severity, finding.rule, finding.subject, finding.expected, finding.observed]
            });
            printer::table(&["STATUS", "SEVERITY", "RULE", "SUBJECT", "EXPECTED", "OBSERVED"], rows.collect())?;
        }
    }
    Ok(())
}

fn table(hosts: Vec<Host>) -> std::io::Result<()> {
    let rows = hosts.into_iter().map(|host| {
        let heard = host.last_received.map_or_else(|| "never".to_owned(), printer::instant);
        let state = match host.silent_since {
            Some(_) => format!("{}, silent", host.state.name()),
            None => host.state.name().to_owned(),
        };
        vec![host.name, state, host.environment.name().to_owned(), host.roles.join(", "), heard, host.id.to_string()]
    });
    printer::table(&["HOST", "STATE", "ENVIRONMENT", "ROLES", "LAST REPORT", "ID"], rows.collect())
}

fn show(shown: Shown) -> std::io::Result<()> {
    let host = &shown.host;
    printer::line(&format!("{} ({}), {} in {}", host.name, host.id, host.state.name(), host.environment))?;
    printer::line(&format!("{}; report {} of {} judged", host.system, host.judged_sequence, host.head_sequence))?;
    if let Some(instance) = &host.instance {
        let Instance { id, account, region, image } = instance;
        printer::line(&format!("says it is instance {id} of account {account} in {region}, from image {image}"))?;
    }
    if let Some(since) = host.silent_since {
        printer::line(&format!("silent: nothing came since {}", printer::instant(since)))?;
    }
    let summary = shown.summary;
    printer::line(&format!(
        "{} pass, {} deviate, {} unknown, {} not applicable",
        summary.pass, summary.deviation, summary.unknown, summary.not_applicable
    ))?;
    for deviation in shown.deviations.iter().filter(|deviation| deviation.resolved.is_none()) {
        let since = printer::instant(deviation.opened);
        printer::line(&format!("deviates since {since}: {} {}", deviation.rule, deviation.subject))?;
    }
    for finding in &shown.chain {
        let over = if finding.resolved.is_some() { " (over)" } else { "" };
        printer::line(&format!("{}: {}{over}", finding.kind.name(), finding.detail))?;
    }
    if shown.drift.is_empty() { Ok(()) } else { drift::table(&shown.drift) }
}
