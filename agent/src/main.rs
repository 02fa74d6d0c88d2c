//! `plumbline`, the agent: judges this host against a baseline and ships signed reports.
//!
//! This file starts logging and answers with the exit status; everything a person can ask for stands in [`cli`].

mod cli;
mod client;
mod collect;
mod config;
mod durable;
mod identity;
mod instance;
mod key;
mod live;
mod record;
mod ship;
mod spool;
mod state;
mod stop;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
