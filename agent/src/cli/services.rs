//! `plumbline collect` and `plumbline ship`: the two halves of the agent, once or as services.

use std::path::PathBuf;

use clap::Args;

use super::{block_on, given, printer};
use crate::collect::{self, Outcome};
use crate::config::Config;
use crate::ship;
use crate::state;
use crate::stop::Stop;

/// Read this host, judge it, sign what was seen and spool it. Opens no network connection.
///
/// Without --once: again on the interval, and within two seconds of a change to a file a probe reads.
#[derive(Args)]
pub(super) struct Collect {
    /// One report, then end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    where_to: WhereTo,
    /// Look at the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Send what is spooled to the collector. Cannot read the host's key.
///
/// With --once the exit status is 0 if everything was acknowledged, else 1. Without it: again whenever something is
/// spooled, and after a failure until it works.
#[derive(Args)]
pub(super) struct Ship {
    /// One round, then end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    where_to: WhereTo,
    /// Accepted for symmetry with collect: shipping looks at no root file system.
    #[arg(long, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
}

#[derive(Args)]
struct WhereTo {
    /// Where the agent keeps its own things.
    #[arg(long, value_name = "DIR", default_value = state::DEFAULT)]
    state: PathBuf,
    /// The configuration. Where none is given: /etc/plumbline/agent.yaml if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Collect {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let config = Config::load(self.where_to.config.as_deref())?;
        let state = given::state(&self.where_to.state)?;
        if !self.once {
            block_on(async { collect::run::forever(&state, config, self.root, Stop::listen()?).await })??;
            return Ok(0);
        }
        let said = match block_on(collect::run::once(&state, config, self.root))?? {
            Outcome::Spooled { sequence, changed, summary } => format!(
                "report {sequence} spooled ({}): {} deviations, {} unknown\n",
                if changed { "something changed" } else { "nothing changed" },
                summary.deviation,
                summary.unknown
            ),
            Outcome::Unchanged | Outcome::Full => {
                "nothing changed, and the spool is over its limit: no report was made\n".to_owned()
            }
        };
        printer::print(&said)?;
        Ok(0)
    }
}

impl Ship {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let config = Config::load(self.where_to.config.as_deref())?;
        let state = given::state(&self.where_to.state)?;
        if !self.once {
            block_on(async { ship::run::forever(&state, &config, Stop::listen()?).await })??;
            return Ok(0);
        }
        let round = block_on(ship::once(&state, &config))??;
        printer::print(&format!("{} reports acknowledged\n", round.acknowledged))?;
        Ok(0)
    }
}
