//! `token`: one-time tokens by which hosts enrol.

use clap::Subcommand;

use super::client::Collector;
use super::{Connection, Failure, Format, printer};
use crate::http::accounts::{NewToken, Token};
use crate::store::tokens::Environment;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a token that enrols one host; its environment and roles come from the token
    New {
        /// Where the host works: production, staging, development or utility
        #[arg(long, default_value = "production")]
        environment: Environment,
        /// What the host does; may be given again
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// How long the token is good for: 90s, 10m, 2h
        #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = seconds)]
        expires: i64,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let Command::New { environment, roles, expires, connection } = command;
    let asked = NewToken { environment, roles, seconds: expires };
    let token: Token = Collector::new(&connection)?.post("/api/v1/tokens", &asked).await?;
    match connection.format {
        Format::Json => printer::json(&token)?,
        Format::Human => printer::line(&token.token)?,
    }
    Ok(())
}

/// A duration such as `90s`, `10m`, `2h`, `1d`, in seconds.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a duration such as 90s, 10m, 2h or 1d");
    let split = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: i64 = number.parse().ok().filter(|number| *number >= 0).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!((seconds("90s"), seconds("10m"), seconds("2h")), (Ok(90), Ok(600), Ok(7200)));
        for text in ["", "10", "m", "-1m", "1w", "1é", "9999999999999999999d", "999999999999999999d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
