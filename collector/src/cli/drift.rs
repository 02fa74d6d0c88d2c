//! `drift`: what changed, and who approved it.

use audit::reconcile::Verdict;
use clap::Subcommand;

use super::client::{Collector, path};
use super::{Connection, Failure, Format, printer};
use crate::http::drift::Explained;
use crate::store::drifts::Entry;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List drift, newest first
    List {
        /// Only this verdict: authorised, uncontrolled, awaiting-approval or unauthorised
        #[arg(long, value_parser = verdict)]
        verdict: Option<Verdict>,
        /// Only this host, by id or name
        #[arg(long)]
        host: Option<String>,
        /// Only what still needs somebody
        #[arg(long)]
        open: bool,
        /// Also what is closed [the default]
        #[arg(long, conflicts_with = "open")]
        all: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Explain one drift: its verdict, and every verdict it had
    Explain {
        /// Its id, such as D-12
        drift: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { verdict, host, open, all: _, connection } => {
            let mut query = vec![("limit", "500".to_owned()), ("open", open.to_string())];
            query.extend(verdict.map(|verdict| ("verdict", verdict.name().to_owned())));
            query.extend(host.map(|host| ("host", host)));
            let entries: Vec<Entry> = Collector::new(&connection)?.list("/api/v1/drift", &query).await?;
            match connection.format {
                Format::Json => printer::json(&entries)?,
                Format::Human => table(&entries)?,
            }
        }
        Command::Explain { drift, connection } => {
            let explained: Explained =
                Collector::new(&connection)?.get(&path("/api/v1/drift/", &drift, ""), &[]).await?;
            match connection.format {
                Format::Json => printer::json(&explained)?,
                Format::Human => explain(&explained)?,
            }
        }
    }
    Ok(())
}

/// Drift as a table.
pub(super) fn table(entries: &[Entry]) -> std::io::Result<()> {
    let rows = entries.iter().map(|entry| {
        vec![
            entry.id.clone(),
            entry.host_name.clone(),
            format!("{}/{}", entry.probe, entry.subject),
            format!("{} → {}", value(entry.said_before()), value(entry.said_after())),
            printer::instant(entry.between[1]),
            entry.verdict.name().to_owned(),
            entry.reason.name().to_owned(),
            entry.change.clone().unwrap_or_default(),
        ]
    });
    printer::table(&["ID", "HOST", "ITEM", "CHANGE", "BY", "VERDICT", "REASON", "RECORD"], rows.collect())
}

fn explain(explained: &Explained) -> std::io::Result<()> {
    let entry = &explained.entry;
    printer::line(&format!("{} {}/{} on {}", entry.id, entry.probe, entry.subject, entry.host_name))?;
    printer::line(&format!("{} → {}", value(entry.said_before()), value(entry.said_after())))?;
    let [from, to] = entry.between;
    printer::line(&format!("after {}, not after {}", printer::instant(from), printer::instant(to)))?;
    printer::line(&format!("{} ({}): {}", entry.verdict.name(), entry.reason.name(), entry.why))?;
    if let (Some(closed), Some(by)) = (entry.closed, &entry.closed_by) {
        printer::line(&format!("closed {} by {by}", printer::instant(closed)))?;
    }
    if explained.earlier > 0 {
        printer::line(&format!("  {} earlier verdicts are left out", explained.earlier))?;
    }
    for given in &explained.verdicts {
        let judged = &given.judged;
        printer::line(&format!("  {} {}: {}", printer::instant(given.at), judged.verdict.name(), judged.why))?;
    }
    Ok(())
}

fn value(said: Option<String>) -> String {
    said.unwrap_or_else(|| "(none)".to_owned())
}

fn verdict(text: &str) -> Result<Verdict, String> {
    let known = Verdict::ALL.map(Verdict::name);
    Verdict::ALL.into_iter().find(|verdict| verdict.name() == text).ok_or_else(|| {
        let hint = audit::yaml::did_you_mean(text, &known).unwrap_or_default();
        format!("`{text}` is not a verdict: {hint}")
    })
}
