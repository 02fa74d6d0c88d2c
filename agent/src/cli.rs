//! The command line: what can be asked for, and the exit status of each answer.
//!
//! 0 all is well · 1 a deviation, or the command could not do its work · 2 bad usage or baseline · 3 something could not
//! be determined.

mod baselines;
mod check;
mod facts;
mod human;
mod printer;
mod safe_text;

use std::process::ExitCode;

use audit::yaml::did_you_mean;
use clap::{Parser, Subcommand};

/// Judges this host against a baseline, and reports what has drifted, signed.
#[derive(Parser)]
#[command(name = "plumbline", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Facts(facts::Facts),
}

/// An error that is the caller's to mend, answered with status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Reads the command line, does what it says, and answers with the exit status.
pub(crate) fn run() -> ExitCode {
    let answer = match Arguments::parse().command {
        Command::Check(check) => check.run().map_err(|error| (error, 2)),
        Command::Facts(facts) => facts.run().map_err(|error| (error, 2)),
    };
    match answer {
        Ok(code) => ExitCode::from(code),
        Err((error, code)) => {
            printer::complain(&format!("{error:#}"));
            ExitCode::from(if error.is::<Usage>() { 2 } else { code })
        }
    }
}

/// The probes called `names`, or the nearest name to one that is none.
pub(crate) fn known_probes(names: &[String]) -> Result<Vec<&str>, Usage> {
    let known = audit::probes::names();
    let check = |name: &'_ String| {
        let hint = did_you_mean(name, &known).map(|hint| format!("; {hint}")).unwrap_or_default();
        Usage(format!("there is no probe `{name}`{hint}"))
    };
    names.iter().map(|name| if known.contains(&name.as_str()) { Ok(name.as_str()) } else { Err(check(name)) }).collect()
}
