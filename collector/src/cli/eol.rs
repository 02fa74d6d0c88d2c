//! `eol`: newer end-of-life dates, made here from what others publish. Speaks to no collector: it reads a file and writes one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use audit::lifecycle::{self, Imported, Lifecycles};
use clap::Subcommand;

use super::{Failure, printer};
use crate::files;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Put the dates of endoflife.date over those that ship with the program
    ///
    /// FILE is its API's document, https://endoflife.date/api/v1/products/full, as downloaded. What comes out is for `eol:` in
    /// the configuration of the collector and of the agents: give both the same file.
    Import {
        /// The document
        file: PathBuf,
        /// The dates to put them over, instead of the shipped
        #[arg(long, value_name = "FILE")]
        over: Option<PathBuf>,
        /// Where to write [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let Command::Import { file, over, output } = command;
    let base = match over {
        None => Lifecycles::shipped(),
        Some(over) => {
            let bytes = files::read(&over).with_context(|| format!("reading {}", over.display()))?;
            Lifecycles::parse(&over.display().to_string(), &bytes)
        }
    };
    let base = base.map_err(|complaint| Failure::Usage(complaint.into()))?;
    let bytes =
        files::read_to(&file, lifecycle::MAX_IMPORT as u64).with_context(|| format!("reading {}", file.display()))?;
    let imported = lifecycle::import(&file.display().to_string(), &bytes, &base)
        .map_err(|wrong| Failure::Usage(anyhow!(wrong)))?;
    match output {
        None => Ok(printer::line(imported.text.trim_end())?),
        Some(output) => {
            write(&output, &imported.text).with_context(|| format!("writing {}", output.display()))?;
            Ok(printer::line(&summary(&imported))?)
        }
    }
}

/// Whole under another name first: half a file of dates would be other dates.
fn write(output: &Path, text: &str) -> std::io::Result<()> {
    let mut draft = output.as_os_str().to_owned();
    draft.push(".new");
    std::fs::write(&draft, text)?;
    std::fs::rename(&draft, output)
}

fn summary(imported: &Imported) -> String {
    let kept = match imported.kept.as_slice() {
        [] => String::new(),
        kept => format!("\nnot in it, as they were: {}", kept.join(", ")),
    };
    let skipped = match imported.skipped {
        0 => String::new(),
        skipped => format!("\npassed over: {skipped} releases whose names are no versions"),
    };
    format!("{} products, {} cycles with new dates{kept}{skipped}", imported.products, imported.changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = include_str!("../../../audit/tests/data/products-full.json");

    #[test]
    fn a_document_becomes_dates_and_a_mistake_is_bad_usage() {
        let folder = tempfile::tempdir().unwrap();
        let (file, output) = (folder.path().join("full.json"), folder.path().join("dates.yaml"));
        std::fs::write(&file, FULL).unwrap();
        let import = |over| Command::Import { file: file.clone(), over, output: Some(output.clone()) };
        run(import(None)).unwrap();
        let made = std::fs::read(&output).unwrap();
        let dates = Lifecycles::parse("dates.yaml", &made).unwrap();
        assert!(dates.product("postgresql").unwrap().cycle("19").is_some());
        // Over its own outcome nothing changes.
        run(import(Some(output.clone()))).unwrap();
        let again = Lifecycles::parse("dates.yaml", &std::fs::read(&output).unwrap()).unwrap();
        assert_eq!(again.data.products.len(), dates.data.products.len());
        std::fs::write(&file, FULL.replacen("\"2031-11-13\"", "\"soon\"", 1)).unwrap();
        let Err(Failure::Usage(said)) = run(import(None)) else { panic!("accepted") };
        assert!(said.to_string().contains("result[0].releases[0].eolFrom"), "{said}");
        assert_eq!(std::fs::read(&output).unwrap().len(), std::fs::metadata(&output).unwrap().len() as usize);
    }
}
