//! `verify`: an offline check of all a collector keeps, for people and programs.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::anyhow;

use super::{Failure, Format, printer};
use crate::verify::{self, Found};

/// Looks at the collector in `data`.
pub(super) async fn run(data: &Path, head: Option<&str>, format: Format) -> Result<(), Failure> {
    let show: Option<fn(&str, u64)> = if std::io::stderr().is_terminal() { Some(progress) } else { None };
    let found = verify::verify(data, head, show).await.map_err(Failure::Usage)?;
    if show.is_some() {
        progress("", 0);
    }
    match format {
        Format::Json => printer::json(&found)?,
        Format::Human => print(&found)?,
    }
    if found.whole {
        return Ok(());
    }
    let count = found.wrong.len() as u64 + found.more;
    Err(Failure::Refused(anyhow!(
        "{count} {} wrong in {}",
        if count == 1 { "thing is" } else { "things are" },
        data.display()
    )))
}

fn print(found: &Found) -> std::io::Result<()> {
    for wrong in &found.wrong {
        printer::line(&format!("WRONG  {}: {}", wrong.what, wrong.why))?;
    }
    if found.more > 0 {
        printer::line(&format!("WRONG  {} more that are not named", found.more))?;
    }
    for note in &found.notes {
        printer::line(&format!("note   {note}"))?;
    }
    let checked = &found.checked;
    printer::line(&format!(
        "{} hosts, {} reports by their signatures, {} folded by their digests, {} facts, {} records with {} approvals, \
         {} drift with {} verdicts, {} accounts, {} acts",
        checked.hosts,
        checked.reports,
        checked.folded,
        checked.facts,
        checked.records,
        checked.approvals,
        checked.drifts,
        checked.verdicts,
        checked.accounts,
        checked.acts
    ))?;
    if let Some(head) = &found.head {
        printer::line(&format!(
            "the log ends with {head}: keep that elsewhere, and give it to a later run with --head"
        ))?;
    }
    if found.whole { printer::line("whole: nothing is wrong") } else { Ok(()) }
}

/// One line, over and over.
fn progress(what: &str, count: u64) {
    let mut err = anstream::stderr().lock();
    // Nothing can be done if even that fails.
    let said = if what.is_empty() { "\r\u{1b}[K".to_owned() } else { format!("\r\u{1b}[K{count} {what}") };
    drop(err.write_all(said.as_bytes()).and_then(|()| err.flush()));
}
