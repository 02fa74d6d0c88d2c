//! Which new connections a hook accepts: its base chains walked as the kernel walks them.
//!
//! A packet must be accepted by every base chain of the hook (an accept ends only its own chain; a drop ends all), so
//! what the hook accepts is the intersection of what its chains accept. Each answer is never smaller than the truth:
//! where a condition is not understood the whole is kept and the condition noted. What reaches the input hook has come
//! through prerouting; what chains of ingress and bridge drop before is not counted in anybody's favour.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::flow::{Flow, Out, both};
use super::follow::{self, Walker};
use super::prerouting;
use super::ruleset::{Base, Ruleset};
use super::space::Family;
use super::translate;

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
    let budget = follow::budget();
    let mut outcome = Outcome {
        denied_by: Vec::new(),
        perhaps_denied_by: Vec::new(),
        chains: Vec::new(),
        accepted: BTreeSet::new(),
        open_by: None,
    };
    let all = Flow::all(family);
    let arrivals = if hook == "input" { prerouting::arrivals(ruleset, family, &budget) } else { vec![all.clone()] };
    let mut through = vec![all.clone()];
    for (id, base, awake) in base_chains(ruleset, "filter", hook, family) {
        if awake == Some(false) {
            continue;
        }
        let mut out = Out::default();
        let walker = Walker::new(ruleset, family, all.stage(), &budget);
        let left = walker.chain(id, vec![all.clone()], 0, &mut out);
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
    // Where prerouting touches nothing, what was walked for the default is also what is open.
    if arrivals != [all] {
        through = arrivals.into_iter().flat_map(|arrival| passing(ruleset, hook, family, arrival, &budget)).collect();
    }
    outcome.accepted = through.into_iter().map(|flow| translate::doubted(flow, family)).collect();
    outcome
}

/// What every base chain of a hook lets pass of one stream.
fn passing(ruleset: &Ruleset, hook: &str, family: Family, arrival: Flow, budget: &Cell<usize>) -> Vec<Flow> {
    let mut through = vec![arrival.clone()];
    for (id, base, awake) in base_chains(ruleset, "filter", hook, family) {
        if awake == Some(false) {
            continue;
        }
        let mut out = Out::default();
        let walker = Walker::new(ruleset, family, arrival.stage(), budget);
        let left = walker.chain(id, vec![arrival.clone()], 0, &mut out);
        if base.policy != "drop" {
            for mut flow in left {
                flow.by.insert(format!("policy {} of {id}", base.policy));
                out.accept(flow);
            }
        }
        match awake {
            Some(_) => through = both(&through, &out.accepted),
            None => {
                for flow in &mut through {
                    flow.unclear.insert(format!("whether the table of {id} sleeps"));
                }
            }
        }
    }
    through
}

/// The base chains of `kind` at `hook` for `family`, and whether their table is awake: `None` where its flags are not
/// understood (nft 1.0 prints the table's name in their place).
pub(super) fn base_chains<'a>(
    ruleset: &'a Ruleset,
    kind: &'a str,
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
        let filters = base.kind == kind && base.hook == hook && family.is_in(&chain.family);
        filters.then_some((id.as_str(), base, awake))
    })
}
