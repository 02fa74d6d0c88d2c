//! `user`, `login` and `log`: people.

use clap::Subcommand;

use super::client::Collector;
use super::{Connection, Failure, Format, printer};
use crate::http::accounts::{Added, Link, NewAccount};
use crate::store::accounts::{Account, Role};
use crate::store::audit_log::Act;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Add an account and print its personal token, this once
    Add {
        /// Its name: a-z, 0-9, `.`, `_`, `-`. It is never changed and never given to somebody else
        name: String,
        /// What it may do: viewer, requester, approver, operator, administrator; may be given again
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List all accounts
    List(Connection),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Add { name, roles, connection } => {
            let asked = NewAccount { name, roles: roles.into_iter().collect() };
            let added: Added = Collector::new(&connection)?.post("/api/v1/accounts", &asked).await?;
            match connection.format {
                Format::Json => printer::json(&added)?,
                Format::Human => printer::line(&added.token)?,
            }
        }
        Command::List(connection) => {
            let accounts: Vec<Account> = Collector::new(&connection)?.list("/api/v1/accounts", &[]).await?;
            match connection.format {
                Format::Json => printer::json(&accounts)?,
                Format::Human => {
                    let rows = accounts.into_iter().map(|account| {
                        let roles: Vec<&str> = account.roles.iter().map(|role| role.name()).collect();
                        vec![account.name, roles.join(", "), printer::instant(account.created)]
                    });
                    printer::table(&["ACCOUNT", "ROLES", "SINCE"], rows.collect())?;
                }
            }
        }
    }
    Ok(())
}

/// `login`
pub(super) async fn login(connection: Connection) -> Result<(), Failure> {
    let link: Link = Collector::new(&connection)?.post("/api/v1/login-links", &()).await?;
    match connection.format {
        Format::Json => printer::json(&link)?,
        Format::Human => printer::line(&link.url)?,
    }
    Ok(())
}

/// `log`
pub(super) async fn log(connection: Connection) -> Result<(), Failure> {
    let acts: Vec<Act> = Collector::new(&connection)?.list("/api/v1/log", &[("limit", "500".to_owned())]).await?;
    match connection.format {
        Format::Json => printer::json(&acts)?,
        Format::Human => {
            let rows =
                acts.into_iter().map(|act| vec![printer::instant(act.at), act.who, act.did, act.what, act.detail]);
            printer::table(&["WHEN", "WHO", "DID", "TO WHAT", "DETAIL"], rows.collect())?;
        }
    }
    Ok(())
}
