//! Connections sent through one chain, rule by rule, along its jumps, gotos and verdict maps.
//!
//! What comes out is never smaller than the truth: where a condition is not understood the whole is kept and the
//! condition noted; where a bound is reached, everything counts as unclear.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::flow::{Flow, Out, TANGLED};
use super::matching::{self, Constraint, Eye, crossed};
use super::ruleset::{Rule, Ruleset, chain_id, set_id};
use super::space::{Family, Region, subtract};
use super::text;
use super::tracking::Stage;
use super::translate;
use super::verdict::{Extension, Verdict, extension, verdict};

/// Rules applied to regions, for one hook and family: hostile rulesets end here, not the process.
const BUDGET: usize = 100_000;
/// Regions followed at once; beyond that drops no longer narrow, which only makes openings wider.
const MAX_FLOWS: usize = 600;
/// The kernel's own limit on nested jumps (NFT_JUMP_STACK_SIZE) is 16.
const MAX_DEPTH: usize = 20;

/// Follows the chains of one ruleset for one hook and family, within one budget.
pub(super) struct Walker<'a> {
    eye: Eye<'a>,
    /// Whether an accepted packet is gone from the stream, as it must be where the way of a packet counts and not only
    /// whether it is accepted.
    parting: bool,
    budget: &'a Cell<usize>,
}

/// What one ruleset may cost for one hook and family.
pub(super) fn budget() -> Cell<usize> {
    Cell::new(BUDGET)
}

impl<'a> Walker<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, family: Family, stage: Stage, budget: &'a Cell<usize>) -> Self {
        Self { eye: Eye { ruleset, family, stage }, parting: false, budget }
    }

    /// The same, for prerouting: what one chain accepts goes on to the next as it is.
    pub(super) fn parting(self) -> Self {
        Self { parting: true, ..self }
    }

    /// Sends `flows` through a chain; what comes out at its end or by `return`.
    pub(super) fn chain(&self, id: &str, mut flows: Vec<Flow>, depth: usize, out: &mut Out) -> Vec<Flow> {
        let Some(chain) = self.eye.ruleset.chains.get(id).filter(|_| depth < MAX_DEPTH) else {
            for mut flow in flows {
                flow.unclear.insert(format!("chain {id}, which cannot be followed"));
                out.accept(flow);
            }
            return Vec::new();
        };
        // Returns belong to this chain alone; accepts are the packet's end.
        let outer = std::mem::take(&mut out.returned);
        for rule in &chain.rules {
            if flows.is_empty() {
                break;
            }
            let cost = flows.len();
            let Some(budget) = self.budget.get().checked_sub(cost) else {
                for mut flow in flows.drain(..) {
                    flow.unclear.insert(TANGLED.to_owned());
                    out.accept(flow);
                }
                break;
            };
            self.budget.set(budget);
            let under = Under {
                table: &chain.table,
                by: format!("{id}: {}", super::short(&rule.text())),
                shape: vec![Region::all(self.eye.family)],
                given: BTreeSet::new(),
                unclear: BTreeSet::new(),
                passing: BTreeSet::new(),
                depth,
            };
            flows = self.rule(rule, under, flows, out);
        }
        flows.append(&mut std::mem::replace(&mut out.returned, outer));
        flows
    }

    fn charge(&self, cost: usize) {
        self.budget.set(self.budget.get().saturating_sub(cost));
    }

    fn rule(&self, rule: &Rule, mut under: Under<'_>, mut flows: Vec<Flow>, out: &mut Out) -> Vec<Flow> {
        for statement in &rule.statements {
            let said = || text::statement(statement).unwrap_or_default();
            let Some((kind, body)) = text::single(statement) else {
                under.unclear.insert(said());
                continue;
            };
            let verdict = match kind {
                "match" => {
                    self.charge(matching::size(self.eye.ruleset, under.table, body) / 16 + under.shape.len());
                    under.narrow(matching::constraint(&self.eye, under.table, body));
                    if under.shape.is_empty() {
                        return flows;
                    }
                    continue;
                }
                "vmap" => {
                    flows = self.verdict_map(&mut under, body, flows, out);
                    continue;
                }
                "limit" | "quota" | "ct count" | "meter" => {
                    under.given.insert(said());
                    continue;
                }
                "xt" => match extension(body) {
                    Extension::Neutral => continue,
                    Extension::Condition => {
                        under.unclear.insert(said());
                        continue;
                    }
                    Extension::Given => {
                        under.given.insert(said());
                        continue;
                    }
                    Extension::Drop => Verdict::Drop,
                    Extension::Translation => return self.translate(&under, kind, body, flows, out),
                    Extension::Unclear => Verdict::Unclear,
                },
                "notrack" => {
                    flows = self.take_out(&under, flows);
                    continue;
                }
                "redirect" | "dnat" if !translate::concerns(body, self.eye.family) => continue,
                "redirect" | "dnat" => {
                    if let Some(keys) = translate::keys(&self.eye, under.table, body) {
                        under.narrow(keys);
                    }
                    return self.translate(&under, kind, body, flows, out);
                }
                "counter" | "log" | "last" | "ct helper" | "ct timeout" | "ct expectation" | "secmark" | "dup"
                | "set" | "map" | "comment" | "flow" => continue,
                "mangle" if body.pointer("/key/payload").is_none() => continue,
                "queue" | "synproxy" | "tproxy" => Verdict::Unclear,
                _ => verdict(statement).unwrap_or(Verdict::Unclear),
            };
            if matches!(verdict, Verdict::Unclear) {
                under.unclear.insert(said());
            }
            let ends = !matches!(verdict, Verdict::Unclear);
            flows = self.apply(&verdict, &under, flows, out);
            if ends {
                return flows;
            }
        }
        flows
    }

    fn verdict_map(&self, under: &mut Under<'_>, body: &Value, mut flows: Vec<Flow>, out: &mut Out) -> Vec<Flow> {
        let said = text::compact(body);
        let (Some(key), Some(data)) = (body.get("key"), body.get("data")) else {
            under.unclear.insert(said);
            return self.apply(&Verdict::Unclear, under, flows, out);
        };
        let named = data.as_str().and_then(|name| self.eye.ruleset.sets.get(&set_id(under.table, name)));
        let pairs = match (named, data.get("set").and_then(Value::as_array)) {
            (Some(map), _) => &map.elements,
            (None, Some(pairs)) => pairs,
            (None, None) => {
                under.unclear.insert(said);
                return self.apply(&Verdict::Unclear, under, flows, out);
            }
        };
        let dynamic = named.is_some_and(|map| map.dynamic || map.elements.iter().any(super::ruleset::is_timed));
        let is_default = |pair: &&Value| pair.get(0).is_some_and(|key| matching::unwrap_element(key) == "*");
        // What no other element catches is the default's, wherever it stands.
        let (last, first): (Vec<&Value>, Vec<&Value>) = pairs.iter().partition(is_default);
        for pair in first.into_iter().chain(last) {
            let mut arm = Under {
                by: under.by.clone(),
                shape: under.shape.clone(),
                given: under.given.clone(),
                unclear: under.unclear.clone(),
                passing: under.passing.clone(),
                ..*under
            };
            let (Some(of), Some(to)) = (pair.get(0), pair.get(1)) else {
                arm.unclear.insert(text::element(pair));
                flows = self.apply(&Verdict::Unclear, &arm, flows, out);
                continue;
            };
            let constraint = matching::among(&self.eye, key, std::slice::from_ref(of), &text::element(pair));
            arm.narrow(constraint);
            if dynamic {
                arm.unclear.insert(format!("{} vmap, whose elements change", text::expression(key)));
            }
            flows = match verdict(to) {
                Some(verdict) => self.apply(&verdict, &arm, flows, out),
                None => {
                    arm.unclear.insert(text::element(pair));
                    self.apply(&Verdict::Unclear, &arm, flows, out)
                }
            };
        }
        if dynamic {
            under.unclear.insert(format!("{} vmap, whose elements change", text::expression(key)));
            flows = self.apply(&Verdict::Unclear, under, flows, out);
        }
        flows
    }

    /// Carries out a verdict on what a rule matched; what goes on to the next rule.
    fn apply(&self, verdict: &Verdict<'_>, under: &Under<'_>, flows: Vec<Flow>, out: &mut Out) -> Vec<Flow> {
        let hits = under.hits(&flows);
        if hits.is_empty() {
            return flows;
        }
        let mut back = Vec::new();
        match verdict {
            Verdict::Accept | Verdict::Unclear => {
                for mut hit in hits {
                    hit.by.insert(under.by.clone());
                    out.accept(hit);
                }
            }
            Verdict::Drop => {}
            Verdict::Continue => return flows,
            Verdict::Return => out.returned.extend(hits),
            Verdict::Jump(target) => {
                back = self.chain(&chain_id(under.table, target), hits, under.depth + 1, out);
            }
            Verdict::Goto(target) => {
                let ends = self.chain(&chain_id(under.table, target), hits, under.depth + 1, out);
                out.returned.extend(ends);
            }
        }
        // What a rule accepted is left in the stream: a later rule that accepts it again makes nothing wider, and openings
        // stay as readable as the rules. Only a rule that accepts everything ends it.
        let accepts = matches!(verdict, Verdict::Accept);
        if under.is_exact()
            && (!accepts || self.parting || under.shape.iter().any(|region| region.is_all(self.eye.family)))
        {
            let mut left = self.minus(flows, under);
            left.append(&mut back);
            return left;
        }
        match verdict {
            // What might have been turned away by a condition not understood is not known to get further.
            Verdict::Drop | Verdict::Jump(_) | Verdict::Goto(_) if !under.unclear.is_empty() => {
                let mut flows = flows;
                for flow in &mut flows {
                    if under.shape.iter().any(|region| flow.region.and(region).is_some()) {
                        flow.unclear.insert(format!("may be turned away by {}", under.by));
                    }
                }
                flows
            }
            Verdict::Accept
            | Verdict::Drop
            | Verdict::Continue
            | Verdict::Return
            | Verdict::Jump(_)
            | Verdict::Goto(_)
            | Verdict::Unclear => flows,
        }
    }

    /// `notrack`: what it touches stays in the stream, untracked.
    fn take_out(&self, under: &Under<'_>, flows: Vec<Flow>) -> Vec<Flow> {
        let mut hits = under.hits(&flows);
        for hit in &mut hits {
            hit.untracked = true;
        }
        let mut left = if under.is_exact() { self.minus(flows, under) } else { flows };
        left.append(&mut hits);
        left
    }

    /// `redirect` and `dnat`: what they touch goes on under another name.
    fn translate(&self, under: &Under<'_>, kind: &str, body: &Value, flows: Vec<Flow>, out: &mut Out) -> Vec<Flow> {
        for mut hit in under.hits(&flows) {
            hit.by.insert(under.by.clone());
            for flow in translate::translated(&self.eye, under.table, kind, body, hit) {
                out.accept(flow);
            }
        }
        if under.is_exact() { self.minus(flows, under) } else { flows }
    }

    fn minus(&self, flows: Vec<Flow>, under: &Under<'_>) -> Vec<Flow> {
        let mut left = Vec::new();
        for flow in &flows {
            let mut regions = vec![flow.region.clone()];
            for region in &under.shape {
                regions = subtract(&regions, region, self.eye.family);
                if regions.len() > MAX_FLOWS {
                    return flows;
                }
            }
            left.extend(regions.into_iter().map(|region| Flow { region, ..flow.clone() }));
            if left.len() > MAX_FLOWS {
                return flows;
            }
        }
        left
    }
}

/// A rule under way: which packets its matches so far admit.
struct Under<'a> {
    table: &'a str,
    by: String,
    shape: Vec<Region>,
    given: BTreeSet<String>,
    unclear: BTreeSet<String>,
    /// Sets whose elements come and go: what one lets in is unclear, what one keeps out is not counted.
    passing: BTreeSet<String>,
    depth: usize,
}

impl Under<'_> {
    fn narrow(&mut self, constraint: Constraint) {
        self.shape = crossed(&self.shape, &constraint.regions);
        self.given.extend(constraint.given);
        self.unclear.extend(constraint.unclear);
        self.passing.extend(constraint.passing);
    }

    fn is_exact(&self) -> bool {
        self.given.is_empty() && self.unclear.is_empty() && self.passing.is_empty()
    }

    fn hits(&self, flows: &[Flow]) -> Vec<Flow> {
        let mut hits = Vec::new();
        for flow in flows {
            for region in crossed(std::slice::from_ref(&flow.region), &self.shape) {
                let mut hit = Flow { region, ..flow.clone() };
                hit.given.extend(self.given.iter().cloned());
                hit.unclear.extend(self.unclear.iter().chain(&self.passing).cloned());
                hits.push(hit);
            }
        }
        hits
    }
}
