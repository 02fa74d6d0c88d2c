//! A baseline over the facts of a host: findings.
//!
//! The agent and the collector both judge with [`evaluate`]; the same inputs give the same findings, sorted.

use crate::baseline::applies::{self, Applies, Traits};
use crate::baseline::{Baseline, Check, Rule};
use crate::facts::FactSet;
use crate::finding::{Finding, Judgement, Status};
use crate::host::{Gap, GapKind, Host};
use crate::probe::{Context, Expectation};
use crate::probes;

/// The longest that a finding says was expected, or observed, in bytes.
pub const MAX_SAID: usize = 16 * 1024;

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

/// Every rule's findings, sorted by rule in the baseline's order, then by subject, where nothing is known of the host
/// beside its facts.
pub fn evaluate(baseline: &Baseline, context: &Context<'_>) -> Vec<Finding> {
    evaluate_for(baseline, context, &Traits::default())
}

/// The same of a host of which the inventory says `traits`.
pub fn evaluate_for(baseline: &Baseline, context: &Context<'_>, traits: &Traits) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The forms of one rule stand together; at most one of them applies.
    for forms in baseline.rules.chunk_by(|a, b| a.id == b.id) {
        let mut instead = None;
        let mut judged = false;
        for rule in forms {
            match applies::decide(&rule.when, traits, context.facts) {
                Applies::Yes => {
                    findings.extend(judge(rule, context));
                    judged = true;
                    break;
                }
                Applies::Unknown(why) => instead = Some((Status::Unknown, rule, why)),
                Applies::No(why) if instead.is_none() => instead = Some((Status::NotApplicable, rule, why)),
                Applies::No(_) => {}
            }
        }
        if let (false, Some((status, rule, why))) = (judged, instead) {
            let said = Judgement::new(status, rule.check.name(), "a host the rule applies to", why);
            findings.push(finding(rule, said));
        }
    }
    findings
}

fn judge(rule: &Rule, context: &Context<'_>) -> Vec<Finding> {
    let mut judgements = match &rule.check {
        Check::Probe(topic, expect) => match context.facts.get(topic.name()) {
            Some(facts) => topic.judge(expect, facts, context).unwrap_or_default(),
            None => Vec::new(),
        },
        Check::Assert(assertion) => assertion.judge(context),
    };
    if judgements.is_empty() {
        judgements = silence(rule.check.name());
    }
    judgements.sort();
    judgements.dedup();
    judgements.into_iter().map(|judgement| finding(rule, judgement)).collect()
}

/// A probe that said nothing has not passed.
fn silence(probe: &str) -> Vec<Judgement> {
    let gap = Gap::new(GapKind::Failed, probe, "the probe gave no answer");
    vec![Judgement::new(Status::Unknown, probe, "an answer", gap.to_string())]
}

fn finding(rule: &Rule, judgement: Judgement) -> Finding {
    Finding {
        rule: rule.id.clone(),
        probe: rule.check.name().to_owned(),
        subject: judgement.subject,
        status: judgement.status,
        severity: rule.severity,
        title: rule.title.clone(),
        expected: bounded(judgement.expected),
        observed: bounded(judgement.observed),
        why: rule.why.clone(),
        fix: rule.fix.clone(),
        controls: rule.controls.clone(),
    }
}

/// Text for a person, cut where it says more than anybody reads: a hostile host could make one finding megabytes.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_SAID {
        text.truncate(text.floor_char_boundary(MAX_SAID));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_no_more_than_anybody_reads() {
        assert_eq!(bounded("as it should be".into()), "as it should be");
        assert_eq!(bounded("é".repeat(100_000)).len(), MAX_SAID + "…".len());
    }
}
