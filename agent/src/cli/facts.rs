//! `plumbline facts`: what the probes see, keyed by probe.
//!
//! `{"packages": {"items": {subject: value}, "state": {…}}}`. What could not be seen stands in its place as
//! `{"gap": {kind, what, detail}}`: under the hidden prefix, instead of a half, or instead of a whole probe.

use std::path::PathBuf;

use anyhow::Context as _;
use audit::evaluate::observe;
use audit::facts::{FactSet, Observed};
use audit::host::Gap;
use audit::probes;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::{baselines, known_probes, printer, progress, safe_text};
use crate::live::Live;

/// Show what the probes see on this host.
#[derive(Args)]
pub(super) struct Facts {
    /// Only these probes; all of them where none is named.
    #[arg(value_name = "PROBE")]
    probes: Vec<String>,
    /// The baseline whose rules name files to look at: a file, or the name of one that ships. Where none is given, the one
    /// that `check` would judge by.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Look at the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Accepted for symmetry with collect: facts need nothing of the agent's own.
    #[arg(long, value_name = "DIR", hide = true)]
    state: Option<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

impl Facts {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let wanted = known_probes(&self.probes)?;
        let rules = baselines::load(self.baseline.as_deref())?.expectations();
        let host = Live::open(self.root.as_deref())?;
        let (_, facts) = progress::during(host, |host| observe(host, &wanted, &rules));
        let shown = show(&facts, &wanted)?;
        let text = match self.format {
            Format::Json => safe_text::json(&serde_json::to_string_pretty(&shown)?) + "\n",
            Format::Yaml => safe_text::yaml(serde_yaml::to_string(&shown)?, &shown)?,
        };
        printer::print_data(&text)?;
        Ok(0)
    }
}

/// The facts of the `wanted` probes (all where none is named) as a person reads them.
fn show(facts: &FactSet, wanted: &[&str]) -> anyhow::Result<Value> {
    let mut shown = Map::new();
    for topic in probes::ALL {
        let asked = wanted.is_empty() || wanted.contains(&topic.name());
        let Some(facts) = facts.get(topic.name()).filter(|_| asked) else { continue };
        let encoded = topic.encode(facts)?;
        let items = serde_json::from_slice(&encoded.items).context("items")?;
        let state = serde_json::from_slice(&encoded.state).context("state")?;
        shown.insert(topic.name().to_owned(), probe(items, state));
    }
    Ok(Value::Object(shown))
}

fn probe(items: Observed<Value>, state: Observed<Value>) -> Value {
    match (items.whole_gap(), state.whole_gap()) {
        (Some(of_items), Some(of_state)) if of_items == of_state => gap(of_items),
        _ => json!({ "items": half(items), "state": half(state) }),
    }
}

fn half(observed: Observed<Value>) -> Value {
    if let Some(whole) = observed.whole_gap() {
        return gap(whole);
    }
    let mut shown: Map<String, Value> = observed.seen.into_iter().collect();
    for (prefix, hidden) in &observed.gaps {
        shown.insert(prefix.clone(), gap(hidden));
    }
    Value::Object(shown)
}

fn gap(gap: &Gap) -> Value {
    json!({ "gap": gap })
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::host::GapKind;

    fn denied() -> Gap {
        Gap::new(GapKind::Denied, "/etc/x", "permission denied")
    }

    #[test]
    fn a_gap_stands_in_the_place_of_what_it_hides() {
        let said = json!({"gap": {"kind": "denied", "what": "/etc/x", "detail": "permission denied"}});
        let seen = || Observed::from_iter([("a".to_owned(), json!(1))]);
        let mut partial = seen();
        partial.hide("sudo:", denied());
        assert_eq!(probe(partial, seen()), json!({"items": {"a": 1, "sudo:": said}, "state": {"a": 1}}));
        assert_eq!(probe(Observed::hidden(denied()), seen()), json!({"items": said, "state": {"a": 1}}));
        assert_eq!(probe(Observed::hidden(denied()), Observed::hidden(denied())), said);
    }

    #[test]
    fn an_unknown_probe_is_refused_with_the_nearest_name() {
        let error = known_probes(&["package".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "there is no probe `package`; did you mean `packages`?");
    }
}
