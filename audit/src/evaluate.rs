//! A baseline over the facts of a host: findings.
//!
//! The agent and the collector both judge with [`evaluate`]; the same inputs give the same findings, sorted.

use crate::baseline::{Baseline, Rule};
use crate::facts::FactSet;
use crate::finding::{Finding, Judgement, Status};
use crate::host::{Gap, GapKind, Host};
use crate::probe::{Context, Expectation, Topic};
use crate::probes;

/// Observes everything `wanted` names and what those need; all probes where `wanted` is empty. `rules` are the expectations
/// it will be judged by, for probes that look at what rules name.
pub fn observe(host: &dyn Host, wanted: &[&str], rules: &[Expectation]) -> FactSet {
    let mut facts = FactSet::default();
    for topic in probes::ALL {
        let needed = wanted.is_empty()
            || wanted.contains(&topic.name())
            || wanted.iter().filter_map(|name| probes::find(name)).any(|other| other.needs().contains(&topic.name()));
        if needed {
            facts.insert(topic.name(), topic.collect(host, rules));
        }
    }
    facts
}

/// Every rule's findings, sorted by rule in the baseline's order, then by subject.
pub fn evaluate(baseline: &Baseline, context: &Context<'_>) -> Vec<Finding> {
    baseline.rules.iter().flat_map(|rule| judge(rule, context)).collect()
}

fn judge(rule: &Rule, context: &Context<'_>) -> Vec<Finding> {
    let topic = rule.topic;
    let mut judgements = match context.facts.get(topic.name()) {
        Some(facts) => topic.judge(&rule.expect, facts, context).unwrap_or_else(|| silence(topic)),
        None => silence(topic),
    };
    if judgements.is_empty() {
        judgements = silence(topic);
    }
    judgements.sort();
    judgements.dedup();
    judgements.into_iter().map(|judgement| finding(rule, judgement)).collect()
}

/// A probe that said nothing has not passed.
fn silence(topic: &dyn Topic) -> Vec<Judgement> {
    let gap = Gap::new(GapKind::Failed, topic.name(), "the probe gave no answer");
    vec![Judgement::new(Status::Unknown, topic.name(), "an answer", gap.to_string())]
}

fn finding(rule: &Rule, judgement: Judgement) -> Finding {
    Finding {
        rule: rule.id.clone(),
        probe: rule.topic.name().to_owned(),
        subject: judgement.subject,
        status: judgement.status,
        severity: rule.severity,
        title: rule.title.clone(),
        expected: judgement.expected,
        observed: judgement.observed,
        why: rule.why.clone(),
        fix: rule.fix.clone(),
        controls: rule.controls.clone(),
    }
}
