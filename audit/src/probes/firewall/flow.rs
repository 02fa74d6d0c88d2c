//! Connections on their way through a hook: a region of packets with the conditions that go with it, and the bounds
//! within which such regions are kept. Decides nothing about rules.

use std::collections::BTreeSet;

use super::space::{Family, Ranges, Region};
use super::tracking::Stage;

/// Accepted regions kept before all of it is called too tangled.
const MAX_ACCEPTED: usize = 3_000;
/// What is said where a bound was reached.
pub(super) const TANGLED: &str = "a ruleset too tangled to follow";

/// New connections that may pass, with what else they must fulfil and which rules say so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) region: Region,
    /// What was dialled, where destination NAT has since given the region another port or address.
    pub(super) dialled: Option<Dialled>,
    /// Whether `notrack` has touched it.
    pub(super) untracked: bool,
    pub(super) given: BTreeSet<String>,
    pub(super) unclear: BTreeSet<String>,
    pub(super) by: BTreeSet<String>,
}

/// Ports and addresses as those outside name them, where they have another name by now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dialled {
    pub(super) port: Option<Ranges>,
    pub(super) destination: Option<Ranges>,
    /// Whether the new address is known: that which a redirect gives is not.
    pub(super) placed: bool,
    /// Whether something changed for certain: a translation to the same name sets no `ct status dnat`.
    pub(super) changed: bool,
    /// Where they lead to: `8080`, `10.0.0.5:8080`.
    pub(super) to: String,
}

impl Flow {
    pub(super) fn all(family: Family) -> Self {
        Self {
            region: Region::all(family),
            dialled: None,
            untracked: false,
            given: BTreeSet::new(),
            unclear: BTreeSet::new(),
            by: BTreeSet::new(),
        }
    }

    /// What tracking says of it, once it has looked.
    pub(super) fn stage(&self) -> Stage {
        match &self.dialled {
            _ if self.untracked => Stage::Untracked,
            None => Stage::New { translated: Some(false) },
            Some(dialled) => Stage::New { translated: dialled.changed.then_some(true) },
        }
    }

    /// The region as those outside name it.
    pub(super) fn outside(&self) -> Region {
        match &self.dialled {
            None => self.region.clone(),
            Some(Dialled { port, destination, .. }) => {
                let mut region = self.region.clone();
                region.port = port.clone().unwrap_or(region.port);
                region.destination = destination.clone().unwrap_or(region.destination);
                region
            }
        }
    }

    pub(super) fn is_unconditional(&self) -> bool {
        self.given.is_empty() && self.unclear.is_empty()
    }
}

/// What both sides let through.
pub(super) fn both(left: &[Flow], right: &[Flow]) -> Vec<Flow> {
    let mut flows = Vec::new();
    for one in left {
        for two in right {
            if let Some(region) = one.region.and(&two.region) {
                let join = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.union(b).cloned().collect();
                flows.push(Flow {
                    region,
                    dialled: one.dialled.clone(),
                    untracked: one.untracked,
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

/// Where connections leave a chain.
#[derive(Default)]
pub(super) struct Out {
    /// Accepted: the hook's other chains come next.
    pub(super) accepted: Vec<Flow>,
    /// Back to the chain that jumped here.
    pub(super) returned: Vec<Flow>,
    full: bool,
}

impl Out {
    pub(super) fn accept(&mut self, mut flow: Flow) {
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
