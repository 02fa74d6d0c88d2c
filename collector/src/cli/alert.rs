//! `alert`: messages to people.

use clap::Subcommand;

use super::client::Collector;
use super::{Connection, Failure, Format, printer};
use crate::http::alerts::Queued;
use crate::store::outbox::Message;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Send a test message
    Test(Connection),
    /// List the newest messages: waiting, sent, or refused for good and why
    List(Connection),
    /// Let messages that were refused for good wait again
    Retry(Connection),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Test(connection) => queue(connection, "/api/v1/alerts/test", "waiting to be sent").await,
        Command::Retry(connection) => queue(connection, "/api/v1/alerts/retry", "waiting again").await,
        Command::List(connection) => {
            let messages: Vec<Message> =
                Collector::new(&connection)?.list("/api/v1/alerts", &[("limit", "500".to_owned())]).await?;
            match connection.format {
                Format::Json => printer::json(&messages)?,
                Format::Human => {
                    let rows = messages.into_iter().map(|message| {
                        let state = match message.sent {
                            Some(sent) => format!("sent {}", printer::instant(sent)),
                            None => format!("{:?}", message.state).to_lowercase(),
                        };
                        let error = message.error.unwrap_or_default();
                        vec![printer::instant(message.created), message.key, state, message.attempts.to_string(), error]
                    });
                    printer::table(&["SINCE", "ABOUT", "STATE", "ATTEMPTS", "LAST ERROR"], rows.collect())?;
                }
            }
            Ok(())
        }
    }
}

async fn queue(connection: Connection, call: &str, words: &str) -> Result<(), Failure> {
    let queued: Queued = Collector::new(&connection)?.post(call, &()).await?;
    match connection.format {
        Format::Json => printer::json(&queued)?,
        Format::Human => printer::line(&format!("{} messages {words}", queued.messages))?,
    }
    Ok(())
}
