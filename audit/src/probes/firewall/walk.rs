//! Which new connections a hook accepts: its base chains walked as the kernel walks them.
//!
//! A packet must be accepted by every base chain of the hook (an accept ends only its own chain; a drop ends all), so
//! what the hook accepts is the intersection of what its chains accept. Each answer is never smaller than the truth:
//! where a condition is not understood the whole is kept and the condition noted. What chains of other hooks
//! (prerouting, ingress, bridge) drop before is not counted in anybody's favour.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::matching::{self, Constraint, crossed};
use super::ruleset::{Base, Rule, Ruleset, chain_id, set_id};
use super::space::{Family, Region, subtract};
use super::text;

/// Rules applied to regions, for one hook and family: hostile rulesets end here, not the process.
const BUDGET: usize = 100_000;
/// Regions followed at once; beyond that drops no longer narrow, which only makes openings wider.
const MAX_FLOWS: usize = 600;
/// Accepted regions kept before all of it is called too tangled.
const MAX_ACCEPTED: usize = 3_000;
/// The kernel's own limit on nested jumps (NFT_JUMP_STACK_SIZE) is 16.
const MAX_DEPTH: usize = 20;

/// New connections that may pass, with what else they must fulfil and which rules say so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) region: Region,
    pub(super) given: BTreeSet<String>,
    pub(super) unclear: BTreeSet<String>,
    pub(super) by: BTreeSet<String>,
}

impl Flow {
    fn all(family: Family) -> Self {
        Self { region: Region::all(family), given: BTreeSet::new(), unclear: BTreeSet::new(), by: BTreeSet::new() }
    }

    fn is_unconditional(&self) -> bool {
        self.given.is_empty() && self.unclear.is_empty()
    }
}

/// What a hook does with new connections of one family.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The base chains that drop what no rule accepts, and how.
    pub(super) denied_by: Vec<String>,
    /// As `denied_by`, of tables that may be asleep.
    pub(super) perhaps_denied_by: Vec<String>,
    /// All that filter here, denying or not.
    pub(super) chains: Vec<String>,
    /// What gets through all of them.
    pub(super) accepted: BTreeSet<Flow>,
    /// A rule that accepts everything, which makes the default meaningless.
    pub(super) open_by: Option<String>,
}

/// Walks every filtering base chain of `hook` that sees `family`.
pub(super) fn hook(ruleset: &Ruleset, hook: &str, family: Family) -> Outcome {
    let walker = Walker { ruleset, family, budget: Cell::new(BUDGET) };
    let mut outcome = Outcome {
        denied_by: Vec::new(),
        perhaps_denied_by: Vec::new(),
        chains: Vec::new(),
        accepted: BTreeSet::new(),
        open_by: None,
    };
    let mut through = vec![Flow::all(family)];
    for (id, base, awake) in base_chains(ruleset, hook, family) {
        if awake == Some(false) {
            continue;
        }
        let mut out = Out::default();
        let left = walker.chain(id, vec![Flow::all(family)], 0, &mut out);
        let how = match (base.policy.as_str(), left.is_empty()) {
            ("drop", _) => Some(format!("policy drop of {id}")),
            (_, true) => Some(format!("the last rule of {id}")),
            (_, false) => None,
        };
        outcome.chains.push(format!("{id} (policy {})", base.policy));
        if base.policy != "drop" {
            for mut flow in left {
                flow.by.insert(format!("policy {} of {id}", base.policy));
                out.accept(flow);
            }
        }
        let wide = out.accepted.iter().find(|flow| flow.region.is_all(family) && flow.is_unconditional());
        match (how, awake) {
            // A table that may be asleep closes nothing for certain.
            (Some(how), None) => outcome.perhaps_denied_by.push(how),
            (Some(how), Some(_)) if wide.is_none() => {
                outcome.denied_by.push(how);
                through = both(&through, &out.accepted);
            }
            (Some(_), Some(_)) => {
                outcome.open_by = wide.map(|flow| flow.by.iter().cloned().collect::<Vec<_>>().join(", "));
            }
            (None, Some(_)) => through = both(&through, &out.accepted),
            (None, None) => {}
        }
    }
    if outcome.denied_by.is_empty() && !outcome.perhaps_denied_by.is_empty() {
        for flow in &mut through {
            flow.unclear.insert(format!("unless its table sleeps: {}", outcome.perhaps_denied_by.join(", ")));
        }
    }
    outcome.accepted = through.into_iter().collect();
    outcome
}

/// The filtering base chains of `hook` for `family`, and whether their table is awake: `None` where its flags are not
/// understood (nft 1.0 prints the table's name in their place).
fn base_chains<'a>(
    ruleset: &'a Ruleset,
    hook: &'a str,
    family: Family,
) -> impl Iterator<Item = (&'a str, &'a Base, Option<bool>)> {
    ruleset.chains.iter().filter_map(move |(id, chain)| {
        let base = chain.base.as_ref()?;
        let flags = ruleset.tables.get(&chain.table).map(Vec::as_slice).unwrap_or_default();
        let awake = if flags.iter().any(|flag| flag == "dormant") {
            Some(false)
        } else {
            flags.iter().all(|flag| flag == "owner" || flag == "persist").then_some(true)
        };
        let filters = base.kind == "filter" && base.hook == hook && family.is_in(&chain.family);
        filters.then_some((id.as_str(), base, awake))
    })
}

fn both(left: &[Flow], right: &[Flow]) -> Vec<Flow> {
    let mut flows = Vec::new();
    for one in left {
        for two in right {
            if let Some(region) = one.region.and(&two.region) {
                let join = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.union(b).cloned().collect();
                flows.push(Flow {
                    region,
                    given: join(&one.given, &two.given),
                    unclear: join(&one.unclear, &two.unclear),
                    by: join(&one.by, &two.by),
                });
            }
        }
        if flows.len() > MAX_ACCEPTED {
            // Either side alone is no smaller than both.
            let mut left = left.to_vec();
            for flow in &mut left {
                flow.unclear.insert(TANGLED.to_owned());
            }
            return left;
        }
    }
    flows
}

const TANGLED: &str = "a ruleset too tangled to follow";

#[derive(Default)]
struct Out {
    accepted: Vec<Flow>,
    returned: Vec<Flow>,
    full: bool,
}

impl Out {
    fn accept(&mut self, mut flow: Flow) {
        if self.accepted.len() >= MAX_ACCEPTED {
            if !self.full {
                self.full = true;
                // Everything, so that nothing is left out; unclear, so that nobody is accused.
                let family = if flow.region.source.iter().any(|(_, high)| high > Family::Ip.top()) {
                    Family::Ip6
                } else {
                    Family::Ip
                };
                flow.region = Region::all(family);
                flow.unclear.insert(TANGLED.to_owned());
                self.accepted.push(flow);
            }
            return;
        }
        self.accepted.push(flow);
    }
}

struct Walker<'a> {
    ruleset: &'a Ruleset,
    family: Family,
    budget: Cell<usize>,
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

/// What becomes of a rule's packets.
enum Verdict<'v> {
    Accept,
    Drop,
    Continue,
    Return,
    Jump(&'v str),
    Goto(&'v str),
    /// Not understood: it may accept.
    Unclear,
}

impl Walker<'_> {
    /// Sends `flows` through a chain; what comes out at its end or by `return`.
    fn chain(&self, id: &str, mut flows: Vec<Flow>, depth: usize, out: &mut Out) -> Vec<Flow> {
        let Some(chain) = self.ruleset.chains.get(id).filter(|_| depth < MAX_DEPTH) else {
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
                shape: vec![Region::all(self.family)],
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
                    self.charge(matching::size(self.ruleset, under.table, body) / 16 + under.shape.len());
                    under.narrow(matching::constraint(self.ruleset, under.table, self.family, body));
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
                    Extension::Drop => Verdict::Drop,
                    Extension::Unclear => Verdict::Unclear,
                },
                "counter" | "log" | "last" | "notrack" | "ct helper" | "ct timeout" | "ct expectation" | "secmark"
                | "dup" | "set" | "map" | "comment" | "flow" => continue,
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
        let named = data.as_str().and_then(|name| self.ruleset.sets.get(&set_id(under.table, name)));
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
            let constraint =
                matching::among(self.ruleset, key, self.family, std::slice::from_ref(of), &text::element(pair));
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
        if under.is_exact() && (!accepts || under.shape.iter().any(|region| region.is_all(self.family))) {
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

    fn minus(&self, flows: Vec<Flow>, under: &Under<'_>) -> Vec<Flow> {
        let mut left = Vec::new();
        for flow in &flows {
            let mut regions = vec![flow.region.clone()];
            for region in &under.shape {
                regions = subtract(&regions, region, self.family);
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

fn verdict(value: &Value) -> Option<Verdict<'_>> {
    let (kind, body) = text::single(value)?;
    let target = || body.get("target").and_then(Value::as_str);
    Some(match kind {
        "accept" => Verdict::Accept,
        "drop" | "reject" => Verdict::Drop,
        "continue" => Verdict::Continue,
        "return" => Verdict::Return,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}

enum Extension {
    Neutral,
    Condition,
    Drop,
    Unclear,
}

/// What is known of an xtables extension by its name alone; nft's JSON tells no more.
fn extension(body: &Value) -> Extension {
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    match (word("type"), word("name")) {
        ("match", "comment") | ("watcher", _) => Extension::Neutral,
        ("match", _) => Extension::Condition,
        (
            "target",
            "LOG" | "NFLOG" | "TCPMSS" | "MARK" | "CONNMARK" | "CT" | "CLASSIFY" | "DSCP" | "TRACE" | "AUDIT"
            | "SECMARK" | "CONNSECMARK" | "CHECKSUM" | "IDLETIMER" | "LED" | "HL" | "TTL" | "SET" | "RATEEST",
        ) => Extension::Neutral,
        ("target", "REJECT") => Extension::Drop,
        _ => Extension::Unclear,
    }
}
