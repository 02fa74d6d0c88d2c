//! The way of a new connection before the input hook: chains of prerouting drop it, take it out of tracking, or give it
//! another port or address, in the order of their priorities (nft(8), the table of priorities). NAT chains see tracked
//! packets only, and the first that translates ends that.

use std::cell::Cell;

use super::flow::{Flow, Out};
use super::follow::Walker;
use super::ruleset::Ruleset;
use super::space::Family;
use super::tracking::Stage;
use super::walk::base_chains;

/// NF_IP_PRI_CONNTRACK: what runs before sees nothing tracked.
const CONNTRACK: i64 = -200;
/// Streams kept apart; beyond that the rest goes on as if prerouting had ended.
const MAX_STREAMS: usize = 400;
/// More than these are not compared with each other.
const MAX_JOINED: usize = 100;

/// What reaches the input hook, and under which name.
pub(super) fn arrivals(ruleset: &Ruleset, family: Family, budget: &Cell<usize>) -> Vec<Flow> {
    let mut chains: Vec<_> = ["filter", "nat"]
        .into_iter()
        .flat_map(|kind| base_chains(ruleset, kind, "prerouting", family))
        .map(|(id, base, awake)| (base.priority.parse::<i64>().unwrap_or(0), id, base, awake))
        .collect();
    chains.sort_by_key(|(priority, ..)| *priority);
    let mut flows = vec![Flow::all(family)];
    for (priority, id, base, awake) in chains {
        if awake == Some(false) {
            continue;
        }
        let is_nat = base.kind == "nat";
        let mut next = Vec::new();
        for flow in flows {
            if (is_nat && (flow.untracked || flow.dialled.is_some())) || next.len() > MAX_STREAMS {
                next.push(flow);
                continue;
            }
            let stage = if priority < CONNTRACK { Stage::Early } else { flow.stage() };
            let mut out = Out::default();
            let kept = (awake.is_none()).then(|| flow.clone());
            let by = flow.by.clone();
            let mut left = Walker::new(ruleset, family, stage, budget).parting().chain(id, vec![flow], 0, &mut out);
            if base.policy != "drop" {
                out.accepted.append(&mut left);
            }
            // Which rule of prerouting let a packet pass says nothing; which one renamed it does.
            for flow in out.accepted.iter_mut().filter(|flow| flow.dialled.is_none()) {
                flow.by.clone_from(&by);
            }
            next.append(&mut out.accepted);
            if let Some(mut kept) = kept {
                kept.unclear.insert(format!("whether the table of {id} sleeps"));
                next.push(kept);
            }
        }
        flows = joined(next);
    }
    flows
}

/// Streams that differ in one dimension of their region and in nothing else are one: what a rule only looked at and let
/// go on leaves no trace.
fn joined(flows: Vec<Flow>) -> Vec<Flow> {
    if flows.len() > MAX_JOINED {
        return flows;
    }
    let mut joined: Vec<Flow> = Vec::new();
    for mut flow in flows {
        // What was joined once may now be joined again.
        while let Some((at, region)) = joined.iter().enumerate().find_map(|(at, other)| {
            let alike = Flow { region: other.region.clone(), ..flow.clone() } == *other;
            Some((at, other.region.or(&flow.region).filter(|_| alike)?))
        }) {
            joined.remove(at);
            flow.region = region;
        }
        joined.push(flow);
    }
    joined
}
