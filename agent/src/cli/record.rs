//! `plumbline record`: writes a recording of this host.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::printer;
use crate::live::Live;
use crate::{durable, record};

/// Record everything the probes look at on this host, as JSON.
///
/// The recording holds the files probes read, word for word: look through it before you give it away.
#[derive(Args)]
pub(super) struct Record {
    /// Where to write it, readable by you alone; standard output where nothing is said.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Look at the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Record {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let host = Live::open(self.root.as_deref())?;
        let text = serde_json::to_string(&record::record(&host))? + "\n";
        match self.output {
            Some(path) => durable::write(&path, text.as_bytes(), 0o600).context("writing the recording")?,
            None => printer::print_data(&text)?,
        }
        Ok(0)
    }
}
