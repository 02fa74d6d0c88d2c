//! `change`: who may change what, where and when.

use audit::change::{Class, ItemPattern, ItemScope, Pattern};
use chrono::{DateTime, Duration, Utc};
use clap::{Args, Subcommand};

use super::client::{Collector, path};
use super::token::seconds;
use super::{Connection, Failure, Format, printer};
use crate::http::changes::{NewChange, Shown};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Ask for a change; somebody else approves it
    New(New),
    /// Approve a change that somebody else asked for and somebody else does
    Approve {
        /// Its id, such as CHG-2026-0001
        change: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// List all records, newest first
    List(Connection),
    /// Show one record
    Show {
        /// Its id, such as CHG-2026-0001
        change: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Args)]
pub(super) struct New {
    /// One line
    #[arg(long)]
    title: String,
    /// standard, minor, major (two approvers) or emergency (may go first, approved within 24 hours)
    #[arg(long)]
    class: Class,
    /// Hosts it covers: a name, a pattern such as web-*, or an id; may be given again
    #[arg(long = "host", value_name = "PATTERN", required = true)]
    hosts: Vec<Pattern>,
    /// Items it covers, such as packages/openssl:* or packages/openssl:amd64=3.0.15-1; may be given again
    #[arg(long = "item", value_name = "PATTERN[=VALUE]", required = true, value_parser = item)]
    items: Vec<ItemScope>,
    /// When its window opens: now, +2h, or RFC 3339
    #[arg(long, value_name = "INSTANT", default_value = "now", value_parser = instant)]
    from: Instant,
    /// When its window closes: +2h (after it opens) or RFC 3339
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Instant,
    /// Why
    #[arg(long)]
    reason: String,
    /// Whose account does it; whoever's where none is named; may be given again
    #[arg(long = "implementer", value_name = "NAME")]
    implementers: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

/// An instant as a person says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instant {
    /// Now.
    Now,
    /// So long after.
    After(Duration),
    /// Then.
    At(DateTime<Utc>),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::New(new) => {
            let (from, until) = window(new.from, new.until, Utc::now()).map_err(Failure::Usage)?;
            let asked = NewChange {
                title: new.title,
                class: new.class,
                hosts: new.hosts,
                items: new.items,
                from,
                until,
                reason: new.reason,
                implementers: new.implementers,
            };
            let shown: Shown = Collector::new(&new.connection)?.post("/api/v1/changes", &asked).await?;
            match new.connection.format {
                Format::Json => printer::json(&shown)?,
                Format::Human => printer::line(&shown.record.id)?,
            }
        }
        Command::Approve { change, connection } => {
            let call = path("/api/v1/changes/", &change, "/approve");
            let shown: Shown = Collector::new(&connection)?.post(&call, &()).await?;
            match connection.format {
                Format::Json => printer::json(&shown)?,
                Format::Human => printer::line(&format!("{} is {}", shown.record.id, shown.state.name()))?,
            }
        }
        Command::List(connection) => {
            let all: Vec<Shown> = Collector::new(&connection)?.list("/api/v1/changes", &[]).await?;
            match connection.format {
                Format::Json => printer::json(&all)?,
                Format::Human => table(&all)?,
            }
        }
        Command::Show { change, connection } => {
            let shown: Shown = Collector::new(&connection)?.get(&path("/api/v1/changes/", &change, ""), &[]).await?;
            match connection.format {
                Format::Json => printer::json(&shown)?,
                Format::Human => show(&shown)?,
            }
        }
    }
    Ok(())
}

fn table(all: &[Shown]) -> std::io::Result<()> {
    let rows = all.iter().map(|shown| {
        let record = &shown.record;
        vec![
            record.id.clone(),
            shown.state.name().to_owned(),
            record.class.name().to_owned(),
            record.title.clone(),
            record.requester.to_string(),
            names(record.approvals.iter().map(|approval| &approval.by)),
            printer::instant(record.window.from),
            printer::instant(record.window.to),
        ]
    });
    printer::table(&["ID", "STATE", "CLASS", "TITLE", "ASKED BY", "APPROVED BY", "FROM", "UNTIL"], rows.collect())
}

fn show(shown: &Shown) -> std::io::Result<()> {
    let record = &shown.record;
    printer::line(&format!("{} ({}, {}): {}", record.id, record.class.name(), shown.state.name(), record.title))?;
    printer::line(&format!(
        "asked by {} at {}: {}",
        record.requester,
        printer::instant(record.created),
        record.reason
    ))?;
    for approval in &record.approvals {
        printer::line(&format!("approved by {} at {}", approval.by, printer::instant(approval.at)))?;
    }
    if !record.implementers.is_empty() {
        printer::line(&format!("done by {}", names(record.implementers.iter())))?;
    }
    let (from, to) = (printer::instant(record.window.from), printer::instant(record.window.to));
    printer::line(&format!("from {from} until {to}"))?;
    let hosts: Vec<&str> = record.scope.hosts.iter().map(Pattern::as_str).collect();
    printer::line(&format!("hosts: {}", hosts.join(", ")))?;
    for scope in &record.scope.items {
        let value = scope.value.as_ref().map_or_else(String::new, |value| format!(" = {value}"));
        printer::line(&format!("item: {}{value}", scope.item))?;
    }
    Ok(())
}

fn names<'a>(people: impl Iterator<Item = &'a audit::change::Person>) -> String {
    people.map(|person| person.0.as_str()).collect::<Vec<_>>().join(", ")
}

/// The window; its opening is left to the collector's clock where it is now.
fn window(from: Instant, until: Instant, now: DateTime<Utc>) -> anyhow::Result<(Option<DateTime<Utc>>, DateTime<Utc>)> {
    let out_of_range = || anyhow::anyhow!("the window reaches beyond all calendars");
    let opens = match from {
        Instant::Now => None,
        Instant::After(wait) => Some(now.checked_add_signed(wait).ok_or_else(out_of_range)?),
        Instant::At(at) => Some(at),
    };
    let closes = match until {
        Instant::Now => now,
        Instant::After(length) => opens.unwrap_or(now).checked_add_signed(length).ok_or_else(out_of_range)?,
        Instant::At(at) => at,
    };
    Ok((opens, closes))
}

fn instant(text: &str) -> Result<Instant, String> {
    if text == "now" {
        return Ok(Instant::Now);
    }
    if let Some(length) = text.strip_prefix('+') {
        let length = Duration::try_seconds(seconds(length)?).ok_or("too long")?;
        return Ok(Instant::After(length));
    }
    let at = DateTime::parse_from_rfc3339(text)
        .map_err(|error| format!("`{text}` is neither now, nor a length such as +2h, nor RFC 3339: {error}"))?;
    Ok(Instant::At(at.with_timezone(&Utc)))
}

/// `packages/openssl:amd64=3.0.15-1`: a pattern, and after the first `=` the value.
fn item(text: &str) -> Result<ItemScope, String> {
    let (pattern, value) = match text.split_once('=') {
        Some((pattern, value)) => (pattern, Some(value.to_owned())),
        None => (text, None),
    };
    Ok(ItemScope { item: pattern.parse::<ItemPattern>()?, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::at;

    #[test]
    fn instants_are_said_in_three_ways() {
        assert_eq!(instant("now"), Ok(Instant::Now));
        assert_eq!(instant("+2h"), Ok(Instant::After(Duration::hours(2))));
        assert_eq!(instant("2027-01-15T08:00:00+00:00"), Ok(Instant::At(at(0))));
        for text in ["", "tomorrow", "+2", "2027-01-15", "+-1h"] {
            assert!(instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_length_counts_from_the_opening() {
        let opened = window(Instant::At(at(60)), Instant::After(Duration::hours(1)), at(0)).unwrap();
        assert_eq!(opened, (Some(at(60)), at(120)));
        assert_eq!(window(Instant::Now, Instant::After(Duration::hours(1)), at(0)).unwrap(), (None, at(60)));
        assert!(window(Instant::Now, Instant::After(Duration::MAX), at(0)).is_err());
    }

    #[test]
    fn an_item_may_carry_the_value_it_is_to_have() {
        let scope = item("packages/openssl:amd64=3.0.15-1").unwrap();
        assert_eq!(
            (scope.item.to_string().as_str(), scope.value.as_deref()),
            ("packages/openssl:amd64", Some("3.0.15-1"))
        );
        assert!(item("pakages/openssl").unwrap_err().contains("did you mean `packages`?"));
    }
}
