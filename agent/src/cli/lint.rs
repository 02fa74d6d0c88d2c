//! `plumbline baseline lint`: whether files are baselines, and where they are not.

use std::path::PathBuf;

use audit::baseline::Baseline;
use audit::yaml::Complaint;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::baselines::Beside;
use super::given::bounded;
use super::{Format, printer, safe_text, show, trial};

/// Work on baselines.
#[derive(Args)]
pub(super) struct Baselines {
    #[command(subcommand)]
    command: Work,
}

#[derive(Subcommand)]
enum Work {
    Lint(Lint),
    Show(show::Show),
    Schema(show::Schema),
    Test(trial::Trial),
}

/// Say whether files are baselines, and where they are not.
///
/// Exit status: 0 if all are, 2 if one is not.
#[derive(Args)]
struct Lint {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Baselines {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        match self.command {
            Work::Lint(lint) => lint.run(),
            Work::Show(show) => show.run(),
            Work::Schema(schema) => schema.run(),
            Work::Test(trial) => trial.run(),
        }
    }
}

impl Lint {
    fn run(self) -> anyhow::Result<u8> {
        let read: Vec<(String, Result<Baseline, Complaint>)> = self
            .files
            .iter()
            .map(|path| {
                let name = path.display().to_string();
                let parsed = match bounded(path) {
                    Ok(bytes) => Baseline::load(&name, &bytes, &Beside::of(path)),
                    Err(error) => Err(unreadable(&name, &error)),
                };
                (name, parsed)
            })
            .collect();
        let text = match self.format {
            Format::Human => read.iter().map(|(name, parsed)| human(name, parsed)).collect(),
            Format::Json => {
                let shown: Vec<Value> = read.iter().map(|(name, parsed)| document(name, parsed)).collect();
                serde_json::to_string_pretty(&shown)? + "\n"
            }
        };
        printer::print(&text)?;
        Ok(if read.iter().all(|(_, parsed)| parsed.is_ok()) { 0 } else { 2 })
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Complaint {
    let (file, message) = (name.to_owned(), error.to_string());
    Complaint { file, line: 0, column: 0, message, hint: None, source: String::new() }
}

fn human(name: &str, parsed: &Result<Baseline, Complaint>) -> String {
    match parsed {
        Ok(baseline) => {
            let name = safe_text::line(name);
            format!(
                "{name}: {} version {}, {} rules\n",
                safe_text::line(&baseline.name),
                baseline.version,
                baseline.rules.len()
            )
        }
        Err(complaint) => safe_text::lines(&complaint.to_string()) + "\n",
    }
}

fn document(name: &str, parsed: &Result<Baseline, Complaint>) -> Value {
    match parsed {
        Ok(baseline) => json!({
            "file": name,
            "baseline": { "name": baseline.name, "version": baseline.version, "digest": baseline.digest },
            "rules": baseline.rules.len(),
        }),
        Err(complaint) => json!({
            "file": name,
            "complaint": {
                "line": complaint.line,
                "column": complaint.column,
                "message": complaint.message,
                "hint": complaint.hint,
            },
        }),
    }
}
