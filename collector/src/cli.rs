//! The command line. `serve` is the collector; every other command speaks HTTP to one, with a personal token.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 bad usage or configuration.

mod account;
mod alert;
mod change;
mod client;
mod drift;
mod eol;
mod host;
pub mod printer;
mod token;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Config;

#[derive(Parser)]
#[command(name = "plumbline-collector", version, about = "Keeps signed reports and says what nobody approved")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: take reports, judge them, alert
    ///
    /// The first start makes the data folder, the database, the key receipts are signed with, and an administrator's
    /// account whose token is printed once; where standard output is closed, full or /dev/null, the token is left in the
    /// file `first-token` of the data folder instead, for its owner alone.
    Serve {
        /// The configuration [default: /etc/plumbline/collector.yaml where it exists]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Write all a collector keeps to one file, while it serves
    ///
    /// The file is for its owner only and holds the key receipts are signed with, unless that is left out.
    Backup {
        /// The collector's configuration [default: /etc/plumbline/collector.yaml where it exists]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Where to write it; nothing is overwritten
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Leave out the key receipts are signed with: it has to be kept elsewhere
        #[arg(long)]
        without_key: bool,
    },
    /// Make a collector out of a backup, in an empty data folder
    Restore {
        /// The collector's configuration [default: /etc/plumbline/collector.yaml where it exists]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Check all a collector keeps: signatures, chains, digests, approvals, verdicts, the log
    ///
    /// Reads only, whether the collector serves or not. Ends with 0 where all is whole, 1 where something is wrong, each
    /// thing named, 2 where it could not be looked at.
    Verify {
        /// The collector's configuration [default: /etc/plumbline/collector.yaml where it exists]
        #[arg(long, value_name = "FILE", conflicts_with = "data")]
        config: Option<PathBuf>,
        /// Its data folder, instead of the one the configuration names
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// What an earlier run said the log ended with: it must still be in it
        #[arg(long, value_name = "DIGEST")]
        head: Option<String>,
        /// How to answer
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// One-time tokens by which hosts enrol
    #[command(subcommand)]
    Token(token::Command),
    /// People's accounts
    #[command(subcommand)]
    User(account::Command),
    /// A one-time link that signs you in to the pages
    Login(Connection),
    /// Who did what, newest first
    Log(Connection),
    /// Hosts: list, show, inspect
    #[command(subcommand)]
    Host(host::Command),
    /// What the baseline says of hosts
    #[command(subcommand)]
    Findings(host::Findings),
    /// Change records: who may change what, where and when
    #[command(subcommand)]
    Change(change::Command),
    /// What changed, and who approved it
    #[command(subcommand)]
    Drift(drift::Command),
    /// Messages to people
    #[command(subcommand)]
    Alert(alert::Command),
    /// End-of-life dates
    #[command(subcommand)]
    Eol(eol::Command),
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// Where the collector is and who asks.
#[derive(Args, Debug)]
struct Connection {
    /// The collector's address
    #[arg(long, value_name = "URL", env = "PLUMBLINE_COLLECTOR", default_value = "http://127.0.0.1:8443")]
    collector: String,
    /// A file that holds your personal token [default: the environment's PLUMBLINE_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The certificate authority to trust, PEM, instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
enum Failure {
    /// 2: it was asked wrongly.
    Usage(anyhow::Error),
    /// 1: it was refused, or failed.
    Refused(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The provider of all TLS, before anything opens a connection; it fails only if one is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer::complain(&format!("no runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => {
            printer::complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
        Err(Failure::Refused(error)) => {
            printer::complain(&format!("{error:#}"));
            ExitCode::from(1)
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve { config } => {
            let config = Config::load(config.as_deref()).map_err(Failure::Usage)?;
            log();
            Ok(crate::serve::serve(config).await?)
        }
        Command::Backup { config, to, without_key } => {
            let config = Config::load(config.as_deref()).map_err(Failure::Usage)?;
            Ok(crate::backup::backup(&config, &to, without_key).await?)
        }
        Command::Restore { config, from } => {
            let config = Config::load(config.as_deref()).map_err(Failure::Usage)?;
            Ok(crate::backup::restore(&config, &from).await?)
        }
        Command::Verify { config, data, head, format } => {
            let data = match data {
                Some(data) => data,
                None => Config::load(config.as_deref()).map_err(Failure::Usage)?.data,
            };
            verify::run(&data, head.as_deref(), format).await
        }
        Command::Token(command) => token::run(command).await,
        Command::User(command) => account::run(command).await,
        Command::Login(connection) => account::login(connection).await,
        Command::Log(connection) => account::log(connection).await,
        Command::Host(command) => host::run(command).await,
        Command::Findings(command) => host::findings(command).await,
        Command::Change(command) => change::run(command).await,
        Command::Drift(command) => drift::run(command).await,
        Command::Alert(command) => alert::run(command).await,
        Command::Eol(command) => eol::run(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(
                shell,
                &mut <Cli as clap::CommandFactory>::command(),
                "plumbline-collector",
                &mut script,
            );
            Ok(printer::line(String::from_utf8_lossy(&script).trim_end())?)
        }
    }
}

/// Log lines go to standard error, for `RUST_LOG` or from `info` up.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
}
