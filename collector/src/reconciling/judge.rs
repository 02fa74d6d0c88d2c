//! One report judged: what drifted, what each drift's verdict is, what the baseline says of the facts. Decides only; the
//! store is read before and written after.

use std::collections::{BTreeMap, BTreeSet};

use audit::baseline::Baseline;
use audit::baseline::applies::Traits;
use audit::change::ChangeRecord;
use audit::digest::Digest;
use audit::drift::{self, Drift};
use audit::evaluate::{evaluate, evaluate_for};
use audit::facts::{FactSet, Observed};
use audit::finding::Finding;
use audit::host::{Gap, GapKind};
use audit::lifecycle::Lifecycles;
use audit::probe::{Context, Probe as _, Topic};
use audit::probes;
use audit::probes::packages::Packages;
use audit::reconcile::{Happened, Judged, reconcile};
use audit::report::{Manifest, ProbeFacts};
use chrono::{DateTime, Utc};

use super::said::Said;
use super::seen::{self, TOLERANCE, seen};
use super::weight::{MOST, Weight};
use crate::error::Refusal;
use crate::store::chain::Kind;
use crate::store::hosts::{Host, Seen};
use crate::store::known::Remembered;
use crate::store::reports::Stored;

/// The most of its facts a probe may say it could not see: dozens are many, and each is held against each item.
const MAX_GAPS: usize = 1000;

/// The most items a probe may have each of which may be a finding of its own, and that is a kilobyte; of packages only those
/// are that a rule names.
const MAX_RULED: usize = 4096;

/// All a judgement is made of.
pub struct Case<'a> {
    /// The host as it stands before.
    pub host: &'a Host,
    /// The report.
    pub report: &'a Stored,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// The bodies the manifest names of probes known here, inflated, by digest; what is beyond [`MOST`] is not in it.
    pub bodies: &'a BTreeMap<Digest, Vec<u8>>,
    /// What is known of each probe's items.
    pub known: &'a BTreeMap<String, Remembered>,
    /// The probes of whose items so much is known that it was left in the store.
    pub heavy: &'a BTreeSet<String>,
    /// The change records.
    pub records: &'a [ChangeRecord],
    /// What the host is judged by.
    pub baseline: &'a Baseline,
    /// When software ends.
    pub lifecycles: &'a Lifecycles,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What is to be written.
#[derive(Debug)]
pub struct Outcome {
    /// When the report was observed.
    pub seen: Seen,
    /// What drifted, whether a record is asked for, and the verdict.
    pub drifts: Vec<(Drift<Said>, bool, Judged)>,
    /// What is now known of probes that changed.
    pub known: BTreeMap<String, Remembered>,
    /// Probes that showed the same again.
    pub same: Vec<String>,
    /// The findings, unless nothing they depend on changed.
    pub findings: Option<Vec<Finding>>,
    /// What the findings depend on.
    pub with: String,
    /// What the collector notes about the report itself: kind, key, words.
    pub notes: Vec<(Kind, String, String)>,
}

/// Judges.
pub fn judge(case: &Case<'_>) -> Result<Outcome, Refusal> {
    let seen = seen(case.report, case.host.seen, case.host.enrolled);
    let mut outcome = Outcome {
        seen,
        drifts: Vec::new(),
        known: BTreeMap::new(),
        same: Vec::new(),
        findings: None,
        with: judged_with(case, seen),
        notes: notes(case),
    };
    let changed = case.host.judged_with.as_deref() != Some(outcome.with.as_str());
    let mut facts = FactSet::default();
    for (name, named) in &case.manifest.probes {
        let Some(topic) = probes::find(name) else {
            let words = format!("facts of a probe called {name:?} are not known to this collector");
            outcome.notes.push((Kind::NotUnderstood, name.clone(), words));
            continue;
        };
        // With the shape known here: what was not understood yesterday is new to a collector that understands it.
        let source = format!("{}:{}:{}", topic.schema(), named.schema, named.items);
        let same = case.known.get(name).filter(|remembered| remembered.source == source);
        if same.is_some() && !changed {
            outcome.same.push(name.clone());
            continue;
        }
        let (decoded, observed) = read(case, topic, named, &mut outcome.notes)?;
        facts.insert(topic.name(), decoded);
        let Some(observed) = observed else { continue };
        if same.is_some() {
            outcome.same.push(name.clone());
        } else {
            advance(case, topic, source, observed, &mut outcome);
        }
    }
    if changed {
        let trusted = seen::is_believed(seen);
        // The host's own instant where it can be believed: then both sides judge at the same moment.
        let at = if trusted { case.report.host_time } else { case.report.received };
        let context = Context { now: at, facts: &facts, lifecycles: case.lifecycles };
        let findings = evaluate_for(case.baseline, &context, &traits(case.host));
        // The agent is not told environment and roles: it is held to what it could know.
        let alike = case.baseline.asks_inventory().then(|| evaluate(case.baseline, &context));
        if trusted && let Some(words) = disagreement(case, alike.as_ref().unwrap_or(&findings))? {
            outcome.notes.push((Kind::Disagreement, case.report.manifest.to_string(), words));
        }
        outcome.findings = Some(findings);
    }
    Ok(outcome)
}

/// What the inventory says of the host. It has no labels yet: rules that ask for one are unknown.
fn traits(host: &Host) -> Traits {
    let roles = host.roles.iter().cloned().collect();
    Traits { environment: Some(host.environment.name().to_owned()), roles: Some(roles), labels: None }
}

/// A name for everything the findings depend on; days too, for dates pass.
fn judged_with(case: &Case<'_>, seen: Seen) -> String {
    let parts = [case.report.manifest, case.baseline.digest, case.lifecycles.digest];
    let mut parts: Vec<String> =
        parts.iter().map(Digest::to_string).chain([seen.latest.date_naive().to_string()]).collect();
    if case.baseline.asks_inventory() {
        parts.push(case.host.environment.name().to_owned());
        parts.extend(case.host.roles.iter().cloned());
    }
    Digest::of(parts.join(" ").as_bytes()).to_string()
}

/// One probe's facts, typed for judging and raw for drift. What is not understood is a gap, never an empty list.
fn read(
    case: &Case<'_>,
    topic: &'static dyn Topic,
    named: &ProbeFacts,
    notes: &mut Vec<(Kind, String, String)>,
) -> Result<(audit::facts::AnyFacts, Option<Observed<Said>>), Refusal> {
    let name = topic.name();
    let mut hide = |kind, detail: String| {
        notes.push((Kind::NotUnderstood, name.to_owned(), format!("facts of {name}: {detail}")));
        let gap = Gap::new(kind, name, detail);
        Ok((topic.hidden(gap.clone()), Some(Observed::hidden(gap))))
    };
    if case.heavy.contains(name) {
        let (facts, _) = hide(GapKind::TooLarge, "more is known of this host than is compared at once".to_owned())?;
        return Ok((facts, None));
    }
    if named.schema != topic.schema() {
        let detail = format!("shape {} is not the shape {} this collector knows", named.schema, topic.schema());
        return hide(GapKind::Unsupported, detail);
    }
    let body = |digest| case.bodies.get(&digest);
    let (Some(items), Some(state)) = (body(named.items), body(named.state)) else {
        let detail = format!("with them the report has more than the {MOST} that are judged");
        return hide(GapKind::TooLarge, detail);
    };
    let facts = match topic.decode(items, state) {
        Ok(facts) => facts,
        Err(error) => return hide(GapKind::Malformed, error.to_string()),
    };
    match serde_json::from_slice::<Observed<Said>>(items) {
        Ok(observed) if observed.gaps.len() > MAX_GAPS => {
            hide(GapKind::TooLarge, format!("{} gaps; at most {MAX_GAPS} are told apart", observed.gaps.len()))
        }
        Ok(observed) if observed.seen.len() > MAX_RULED && name != Packages::NAME => {
            hide(GapKind::TooLarge, format!("{} items; at most {MAX_RULED} are judged", observed.seen.len()))
        }
        Ok(observed) if !carries(case.known.get(name), &observed) => {
            hide(GapKind::TooLarge, "with what they hide more would be known than is kept".to_owned())
        }
        Ok(observed) => Ok((facts, Some(observed))),
        Err(error) => hide(GapKind::Malformed, error.to_string()),
    }
}

/// Whether what is known after `observed` is no more than twice what one report may bring: what a gap hides is carried on,
/// and each report could bring as much again.
fn carries(before: Option<&Remembered>, observed: &Observed<Said>) -> bool {
    let Some(before) = before.filter(|_| !observed.gaps.is_empty()) else { return true };
    let of = |items: &BTreeMap<String, Said>| {
        items.iter().fold(Weight::default(), |sum, (subject, said)| {
            sum + Weight::of(said.text().as_bytes()) + Weight { bytes: subject.len() as u64, ..Weight::default() }
        })
    };
    let hidden =
        before.known.hidden.keys().fold(Weight::default(), |sum, prefix| {
            sum + Weight { bytes: prefix.len() as u64, containers: 1, values: 1 }
        });
    (of(&before.known.items) + of(&observed.seen) + hidden).is_within(MOST + MOST)
}

fn advance(
    case: &Case<'_>,
    topic: &'static dyn Topic,
    source: String,
    observed: Observed<Said>,
    outcome: &mut Outcome,
) {
    let name = topic.name();
    let before = case.known.get(name).map(|remembered| &remembered.known);
    let (drifts, mut known) = drift::advance(before, name, observed, outcome.seen.latest);
    // The next drift happened after this observation; where its instant is not certain, after its earliest.
    known.at = outcome.seen.earliest;
    outcome.drifts.reserve_exact(drifts.len());
    for one in drifts {
        let controlled = case.baseline.control.asks_for_record(case.host.environment.name(), name, &one.subject);
        let value = one.after.as_ref().map(|value| topic.say_json(value.text()));
        let happened = Happened {
            host: case.host.id.as_str(),
            host_name: &case.host.name,
            probe: name,
            subject: &one.subject,
            value: value.as_deref(),
            between: one.between,
            controlled,
        };
        let judged = reconcile(&happened, case.records, case.now);
        outcome.drifts.push((one, controlled, judged));
    }
    outcome.known.insert(name.to_owned(), Remembered { source, known });
}

/// What is to be said about how the agent judged, and about its clock.
fn notes(case: &Case<'_>) -> Vec<(Kind, String, String)> {
    let mut notes = Vec::new();
    let manifest = case.manifest;
    if manifest.baseline != case.baseline.digest {
        let words = format!(
            "the agent judges by baseline {}, the collector by {} {} ({})",
            manifest.baseline.short(),
            case.baseline.name,
            case.baseline.version,
            case.baseline.digest.short()
        );
        notes.push((Kind::OtherBaseline, format!("baseline {}", manifest.baseline), words));
    } else if manifest.lifecycles != case.lifecycles.digest {
        let words = "the agent judges by other end-of-life dates than the collector".to_owned();
        notes.push((Kind::OtherBaseline, format!("dates {}", manifest.lifecycles), words));
    }
    if let Some(skew) = seen::skew(case.report).filter(|skew| skew.abs() > TOLERANCE) {
        let words = format!("the host's clock is {} s off; its instants are not believed", skew.num_seconds().abs());
        notes.push((Kind::Clock, "clock".to_owned(), words));
    }
    notes
}

/// Where agent and collector judged the same facts by the same baseline and dates, they must have found the same.
fn disagreement(case: &Case<'_>, findings: &[Finding]) -> Result<Option<String>, Refusal> {
    let manifest = case.manifest;
    if manifest.baseline != case.baseline.digest || manifest.lifecycles != case.lifecycles.digest {
        return Ok(None);
    }
    if Digest::of_json(&findings)? == manifest.findings {
        return Ok(None);
    }
    Ok(Some("agent and collector judged the same facts by the same baseline and found something else".into()))
}
