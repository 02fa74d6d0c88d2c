//! `plumbline`, the agent: judges this host against a baseline and ships signed reports.
//!
//! This file starts logging and answers with the exit status; everything a person can ask for stands in [`cli`].

mod cli;
mod live;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
