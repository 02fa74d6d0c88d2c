//! `plumbline record`: writes a recording of this host.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Usage, baselines, printer, safe_text};
use crate::live::Live;
use crate::{durable, record};

/// Record everything the probes look at on this host, as JSON.
///
/// It is judged elsewhere as it is here. Hashes of passwords, private keys, environments and what is called a secret are left out; names,
/// addresses and the rest of the files are in it: look through it before you give it away.
#[derive(Args)]
pub(super) struct Record {
    /// Where to write it, readable by you alone; standard output where nothing is said.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The baseline whose rules name files to look at: a file, or the name of one that ships. Where none is given, the one
    /// that `check` would judge by.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Look at the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Leave nothing out: the files word for word, with all that is secret in them.
    #[arg(long)]
    unredacted: bool,
}

impl Record {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let rules = baselines::load(self.baseline.as_deref())?.expectations();
        let host = Live::open(self.root.as_deref())?;
        let seen = record::record(&host, &rules);
        let seen = if self.unredacted { seen } else { seen.redacted() };
        let text = safe_text::json(&serde_json::to_string(&seen)?) + "\n";
        match self.output {
            Some(path) => {
                // Putting a file in place of /dev/null, or of the link /dev/stdout, would break the machine.
                if std::fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
                    return Err(Usage(format!("{}: not a regular file, and is left as it is", path.display())).into());
                }
                durable::write(&path, text.as_bytes(), 0o600).context("writing the recording")?;
            }
            None => printer::print_data(&text)?,
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("stdout");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let root = || Some(folder.path().into());
        let record = Record { output: Some(link.clone()), baseline: None, root: root(), unredacted: false };
        assert!(record.run().unwrap_err().is::<Usage>());
        assert!(link.is_symlink());
        let file = folder.path().join("recording.json");
        for _ in 0..2 {
            Record { output: Some(file.clone()), baseline: None, root: root(), unredacted: false }.run().unwrap();
        }
        assert!(file.is_file());
    }
}
