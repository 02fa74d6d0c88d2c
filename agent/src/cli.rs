//! The command line: what can be asked for, and the exit status of each answer.
//!
//! 0 all is well · 1 a deviation, or the command could not do its work · 2 bad usage or baseline · 3 something could not
//! be determined.

pub(crate) mod baselines;
mod check;
mod diff;
mod enroll;
mod facts;
mod formats;
pub(crate) mod given;
mod human;
mod init;
mod lint;
mod printer;
mod progress;
mod record;
mod safe_text;
mod services;
mod show;
mod status;
mod trial;

use std::process::ExitCode;

use anyhow::Context as _;
use audit::yaml::did_you_mean;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Judges this host against a baseline, and reports what has drifted, signed.
#[derive(Parser)]
#[command(name = "plumbline", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Whether to colour what is for people. Where nothing is said: on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
}

/// When to colour.
#[derive(Clone, Copy, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

impl Colour {
    fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

const AFTER_HELP: &str = "Logging goes to standard error; PLUMBLINE_LOG sets how much (error, warn, info, debug).";

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Facts(facts::Facts),
    Baseline(lint::Baselines),
    Init(init::Init),
    Diff(diff::Diff),
    Enroll(enroll::Enroll),
    Collect(services::Collect),
    Ship(services::Ship),
    Status(status::Status),
    Record(record::Record),
    Completions(Completions),
}

/// How an answer is written.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// Write a completion script for a shell.
#[derive(clap::Args)]
struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// An error that is the caller's to mend, answered with status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Reads the command line, does what it says, and answers with the exit status.
pub(crate) fn run() -> ExitCode {
    let Arguments { command, color } = Arguments::parse();
    color.choice().write_global();
    log();
    // What judges or shows answers 2 where it cannot: its 1 and 3 speak of the host.
    let (answer, failed) = match command {
        Command::Check(check) => (check.run(), 2),
        Command::Facts(facts) => (facts.run(), 2),
        Command::Baseline(baselines) => (baselines.run(), 2),
        Command::Init(init) => (init.run(), 2),
        Command::Diff(diff) => (diff.run(), 2),
        Command::Record(record) => (record.run(), 2),
        Command::Completions(completions) => (completions.run(), 2),
        Command::Enroll(enroll) => (enroll.run(), 1),
        Command::Collect(collect) => (collect.run(), 1),
        Command::Ship(ship) => (ship.run(), 1),
        Command::Status(status) => (status.run(), 1),
    };
    match answer {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            printer::complain(&format!("{error:#}"));
            ExitCode::from(if error.is::<Usage>() { 2 } else { failed })
        }
    }
}

impl Completions {
    fn run(self) -> anyhow::Result<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "plumbline", &mut script);
        printer::print_data(&String::from_utf8(script)?)?;
        Ok(0)
    }
}

/// Logs to standard error, warnings and our own information where `PLUMBLINE_LOG` says nothing else.
fn log() {
    let filter = std::env::var("PLUMBLINE_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let own = || Targets::new().with_default(LevelFilter::WARN).with_target("plumbline", LevelFilter::INFO);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    tracing_subscriber::registry().with(lines.with_filter(filter.unwrap_or_else(own))).init();
}

/// Runs `work` on this thread alone: the agent waits far more than it works, and threads cost memory.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    Ok(runtime.block_on(work))
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
