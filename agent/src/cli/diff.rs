//! `plumbline diff A B`: what drifted from one host, moment or root file system to another.
//!
//! Each side is a recording, a folder that is a root file system, or `this`, the machine as it runs. Only configuration items drift; what
//! one side could not see is said and is no difference.

use std::path::{Path, PathBuf};

use audit::evaluate::observe;
use audit::facts::{FactSet, Observed};
use audit::host::GapKind;
use audit::probes;
use clap::Args;
use serde_json::{Value, json};

use super::{Format, known_probes, printer, safe_text, trial};
use crate::live::Live;

/// Show what differs between two hosts, two moments or two root file systems.
///
/// Exit status: 0 if nothing differs, 1 if something does, 3 if nothing differs in what both sides could see and one could not see all.
#[derive(Args)]
pub(super) struct Diff {
    /// The one before: a recording, a folder that is a root file system, or `this`.
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The one after.
    #[arg(value_name = "B")]
    after: PathBuf,
    /// Only these probes; all of them where none is named.
    #[arg(long = "probe", value_name = "PROBE")]
    probes: Vec<String>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// One difference.
struct Difference {
    probe: &'static str,
    subject: String,
    before: Option<String>,
    after: Option<String>,
}

impl Diff {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let wanted = known_probes(&self.probes)?;
        let (before, after) = (facts(&self.before, &wanted)?, facts(&self.after, &wanted)?);
        let mut differences = Vec::new();
        let mut unseen = Vec::new();
        for topic in probes::ALL {
            let half = |facts: &FactSet| -> anyhow::Result<Option<Observed<Value>>> {
                let Some(facts) = facts.get(topic.name()) else { return Ok(None) };
                Ok(Some(serde_json::from_slice(&topic.encode(facts)?.items)?))
            };
            if !wanted.is_empty() && !wanted.contains(&topic.name()) {
                continue;
            }
            let (Some(a), Some(b)) = (half(&before)?, half(&after)?) else { continue };
            for (side, half) in [(&self.before, &a), (&self.after, &b)] {
                // What only a running system tells differs by nature between one and a root at rest.
                for (prefix, gap) in half.gaps.iter().filter(|(_, gap)| gap.kind != GapKind::NotLive) {
                    unseen.push(format!("{}: {} {prefix}: {gap}", side.display(), topic.name()));
                }
            }
            let say = |value: Option<&Value>| value.map(|value| topic.say_json(&value.to_string()));
            let subjects: std::collections::BTreeSet<&String> = a.seen.keys().chain(b.seen.keys()).collect();
            for subject in subjects {
                let (one, other) = (a.seen.get(subject), b.seen.get(subject));
                let hidden = (one.is_none() && a.gap_for(subject).is_some())
                    || (other.is_none() && b.gap_for(subject).is_some());
                if one != other && !hidden {
                    let (before, after) = (say(one), say(other));
                    differences.push(Difference { probe: topic.name(), subject: subject.clone(), before, after });
                }
            }
        }
        match self.format {
            Format::Human => printer::print(&human(&differences, &unseen))?,
            Format::Json => {
                let rows: Vec<Value> = differences
                    .iter()
                    .map(|one| json!({"probe": one.probe, "subject": one.subject, "before": one.before, "after": one.after}))
                    .collect();
                let shown = json!({"differences": rows, "unseen": unseen});
                printer::print_data(&(safe_text::json(&serde_json::to_string_pretty(&shown)?) + "\n"))?;
            }
        }
        Ok(match (differences.is_empty(), unseen.is_empty()) {
            (false, _) => 1,
            (true, false) => 3,
            (true, true) => 0,
        })
    }
}

fn human(differences: &[Difference], unseen: &[String]) -> String {
    let mut text = String::new();
    for one in differences {
        let line = |text: &Option<String>| text.as_deref().map(safe_text::line);
        let said = match (line(&one.before), line(&one.after)) {
            (None, Some(after)) => format!("+ {after}"),
            (Some(before), None) => format!("- {before}"),
            (before, after) => format!("{} → {}", before.unwrap_or_default(), after.unwrap_or_default()),
        };
        text.push_str(&format!("{}/{}  {said}\n", one.probe, safe_text::line(&one.subject)));
    }
    for one in unseen {
        text.push_str(&format!("not seen: {}\n", safe_text::line(one)));
    }
    text + &format!("{} differences, {} parts not seen\n", differences.len(), unseen.len())
}

fn facts(of: &Path, wanted: &[&str]) -> anyhow::Result<FactSet> {
    if of == Path::new("this") {
        return Ok(observe(&Live::open(None)?, wanted, &[]));
    }
    if of.is_dir() {
        return Ok(observe(&Live::open(Some(of))?, wanted, &[]));
    }
    Ok(observe(&trial::recording(of)?, wanted, &[]))
}
