//! `plumbline init`: a baseline from this host as it is, the golden host.
//!
//! It extends a shipped baseline, removes the rules that do not hold here (each with the reason, so that a person decides), and adds rules
//! that close the world: these packages and no others, these administrators and no others. Before it is given out it is judged
//! on the same facts, and what does not pass is left out.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use audit::baseline::Baseline;
use audit::evaluate::{evaluate, observe};
use audit::facts::{FactSet, Observed};
use audit::finding::{Finding, Status};
use audit::probe::Context;
use audit::probes;
use chrono::Utc;
use clap::Args;
use serde_json::Value;

use super::{Usage, baselines, printer, safe_text};
use crate::durable;
use crate::live::Live;

/// Write a baseline from this host as it is.
///
/// It passes on this host. Read it before you use it: what is wrong here becomes what is right everywhere.
#[derive(Args)]
pub(super) struct Init {
    /// The shipped baseline to begin with.
    #[arg(long, value_name = "NAME", default_value = "linux-server")]
    extends: String,
    /// What to call it.
    #[arg(long, value_name = "NAME", default_value = "golden")]
    name: String,
    /// Where to write it; standard output where nothing is said. A file that is there is left as it is.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Look at the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// A rule as text, and which it is.
struct Golden {
    id: String,
    text: String,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let Some(shipped) = audit::shipped::baseline(&self.extends) else {
            let names: Vec<&str> = audit::shipped::BASELINES.iter().map(|(name, _)| *name).collect();
            return Err(Usage(format!("no baseline `{}` ships; one of: {}", self.extends, names.join(", "))).into());
        };
        let base = Baseline::parse(&self.extends, shipped.as_bytes()).map_err(|error| Usage(error.to_string()))?;
        let lifecycles = baselines::lifecycles(None)?;
        let host = Live::open(self.root.as_deref())?;
        let facts = observe(&host, &[], &base.expectations());
        let now = Utc::now();
        let judge = |baseline: &Baseline| evaluate(baseline, &Context { now, facts: &facts, lifecycles: &lifecycles });
        let failing = |findings: &[Finding]| -> BTreeSet<String> {
            let bad = findings.iter().filter(|one| matches!(one.status, Status::Deviation | Status::Unknown));
            bad.map(|one| one.rule.clone()).collect()
        };
        let found = judge(&base);
        let removed = failing(&found);
        let mut golden = golden(&facts)?;
        // What does not hold on the host it was made from would be no baseline of it.
        loop {
            let text = self.text(&host.name(), &golden, &removed, &found);
            let parsed = Baseline::parse("golden.yaml", text.as_bytes()).map_err(|error| anyhow::anyhow!("{error}"))?;
            let bad = failing(&judge(&parsed));
            if bad.is_empty() {
                return self.give(&text);
            }
            let before = golden.len();
            golden.retain(|rule| !bad.contains(&rule.id));
            if golden.len() == before {
                anyhow::bail!("no baseline could be made that passes here: {bad:?}");
            }
        }
    }

    fn text(&self, host: &str, golden: &[Golden], removed: &BTreeSet<String>, found: &[Finding]) -> String {
        let quote = |text: &str| serde_json::to_string(&safe_text::line(text)).unwrap_or_default();
        let mut text = format!(
            "# Made by `plumbline init` from a host as it was. Read it before you use it: what was wrong there becomes right everywhere.\nbaseline: {}\nversion: 1\ntitle: {}\nextends: {}\n",
            quote(&self.name),
            quote(&format!("As {host} was")),
            self.extends
        );
        if !removed.is_empty() {
            text.push_str("\n# These did not hold on the host it was made from.\nremove:\n");
            for id in removed {
                let why = found.iter().find(|one| one.rule == *id && one.status != Status::Pass);
                let why =
                    why.map(|one| safe_text::line(&format!("{}: {}", one.subject, one.observed))).unwrap_or_default();
                let short: String = why.chars().take(120).collect();
                text.push_str(&format!("  - {id} # {short}\n"));
            }
        }
        text.push_str(if golden.is_empty() { "" } else { "\nrules:\n" });
        for rule in golden {
            text.push_str(&rule.text);
        }
        text
    }

    fn give(&self, text: &str) -> anyhow::Result<u8> {
        let Some(path) = &self.output else {
            printer::print_data(text)?;
            return Ok(0);
        };
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(Usage(format!("{} is there already, and is left as it is", path.display())).into());
        }
        durable::write(path, text.as_bytes(), 0o644).context("writing the baseline")?;
        Ok(0)
    }
}

/// Rules that close the world as it is.
fn golden(facts: &FactSet) -> anyhow::Result<Vec<Golden>> {
    let mut rules = Vec::new();
    let items = |name: &str| -> anyhow::Result<Option<Observed<Value>>> {
        let Some((topic, facts)) = probes::find(name).zip(facts.get(name)) else { return Ok(None) };
        let items: Observed<Value> = serde_json::from_slice(&topic.encode(facts)?.items)?;
        // What was not wholly seen cannot be closed.
        Ok(Some(items).filter(|items| items.gaps.is_empty() && !items.seen.is_empty()))
    };
    if let Some(packages) = items("packages")? {
        // Kernels carry their version in their names, and come with each update.
        let name = |subject: &String| subject.split(':').next().unwrap_or(subject).to_owned();
        let names: BTreeSet<String> =
            packages.seen.keys().map(name).filter(|name| !name.starts_with("linux-image-")).collect();
        let list = names.iter().map(String::as_str).chain(["linux-image-*"]);
        rules.push(rule("golden-packages", "These packages and no others", "packages", "only", list));
    }
    for topic in probes::ALL.iter().filter(|topic| !["packages", "eol", "time"].contains(&topic.name())) {
        let Some(items) = items(topic.name())? else { continue };
        // No host's text stands in an expression: a subject that would need escapes keeps its probe out.
        let plain = |subject: &String| subject.chars().all(|c| c.is_ascii_graphic() && !"'\\\"".contains(c));
        let list: Vec<String> = items.seen.keys().map(|subject| format!("'{subject}'")).collect();
        if !items.seen.keys().all(plain)
            || list.iter().map(|one| one.len() + 2).sum::<usize>() > 3500
            || list.len() > 400
        {
            continue;
        }
        let name = topic.name();
        let variable = name.replace('-', "_");
        let id = format!("golden-{name}");
        let new = format!("{variable}.items.filter(one, !(one in [{}]))", list.join(", "));
        let text = format!(
            "  - id: {id}\n    title: Nothing is new in what {name} sees\n    severity: medium\n    why: It was not there on the host this baseline was made from.\n    fix: Remove it, or add it here after approval.\n    assert: {}\n    message: {}\n",
            serde_json::to_string(&format!("{new} == []"))?,
            serde_json::to_string(&format!("something is new in {name}"))?
        );
        rules.push(Golden { id, text });
    }
    Ok(rules)
}

fn rule<'a>(id: &str, title: &str, probe: &str, key: &str, list: impl Iterator<Item = &'a str>) -> Golden {
    let list: String =
        list.map(|one| format!("        - {}\n", serde_json::to_string(one).unwrap_or_default())).collect();
    let text = format!(
        "  - id: {id}\n    title: {title}\n    severity: medium\n    why: They are what the host had that this baseline was made from.\n    fix: Remove what is new, or add it here after approval.\n    {probe}:\n      {key}:\n{list}"
    );
    Golden { id: id.to_owned(), text }
}
