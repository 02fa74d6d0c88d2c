//! `plumbline baseline show`, `schema` and `test`: what a baseline is, how one is written, and whether it finds what it should.

use std::path::PathBuf;

use audit::baseline::origin::{Line, show};
use audit::baseline::schema::schema;
use clap::Args;
use serde_json::json;

use super::baselines::{self, Beside};
use super::{Format, Usage, printer, safe_text};

/// Show a baseline with all that it extends laid together, and where each line came from.
///
/// What is shown is a baseline itself, and extends nothing.
#[derive(Args)]
pub(super) struct Show {
    /// The baseline: a file, or the name of one that ships.
    #[arg(value_name = "BASELINE")]
    baseline: PathBuf,
    /// Leave out where each line came from.
    #[arg(long)]
    plain: bool,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// Print the JSON Schema of baselines, for editors.
#[derive(Args)]
pub(super) struct Schema {}

impl Show {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let (name, bytes) = baselines::text(Some(&self.baseline))?;
        let (baseline, lines) =
            show(&name, &bytes, &Beside::of(&self.baseline)).map_err(|complaint| Usage(complaint.to_string()))?;
        match self.format {
            Format::Human => printer::print(&human(&lines, self.plain))?,
            Format::Json => {
                let from = |line: &Line| line.from.as_ref().map(|(file, line)| json!({"file": file, "line": line}));
                let lines: Vec<_> = lines.iter().map(|line| json!({"text": line.text, "from": from(line)})).collect();
                let shown = json!({
                    "baseline": {"name": baseline.name, "version": baseline.version, "digest": baseline.digest},
                    "cannot_show": baseline.cannot_show,
                    "to_come": baseline.to_come,
                    "lines": lines,
                });
                printer::print_data(&(safe_text::json(&serde_json::to_string_pretty(&shown)?) + "\n"))?;
            }
        }
        Ok(0)
    }
}

fn human(lines: &[Line], plain: bool) -> String {
    let width = lines.iter().map(|line| line.text.chars().count()).filter(|width| *width < 90).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let said = safe_text::line(&line.text);
        match &line.from {
            Some((file, number)) if !plain => {
                text.push_str(&format!("{said:width$}  # {}:{number}\n", safe_text::line(file)));
            }
            Some(_) | None => text.push_str(&format!("{said}\n")),
        }
    }
    text
}

impl Schema {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        printer::print_data(&(serde_json::to_string_pretty(&schema())? + "\n"))?;
        Ok(0)
    }
}
