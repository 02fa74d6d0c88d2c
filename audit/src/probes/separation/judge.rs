//! Which roles a host has, by what is installed and what starts or runs.

use std::collections::{BTreeMap, BTreeSet};

use super::products::{PRODUCTS, Product, means};
use super::{Expect, Role};
use crate::facts::FactSet;
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind};
use crate::probes::packages::Packages;
use crate::probes::services::{Running, Services};

pub(super) fn judge(expect: &Expect, facts: &FactSet) -> Vec<Judgement> {
    let (evidence, gaps) = evidence(facts);
    let mut found: BTreeMap<Role, Vec<String>> = BTreeMap::new();
    for product in PRODUCTS.iter().filter(|product| !expect.not_counted.iter().any(|name| name == product.name)) {
        if let Some(by) = evidence.iter().find(|evidence| evidence.shows(product)) {
            found.entry(product.role).or_default().push(format!("{} ({})", product.name, by.text()));
        }
    }
    let said = |role: Role| found.get(&role).map(|products| format!("{}: {}", role.name(), products.join(", ")));
    let all: Vec<String> = [Role::FrontEnd, Role::BackEnd].into_iter().filter_map(said).collect();
    let observed = if all.is_empty() { "neither front end nor back end".to_owned() } else { all.join("; ") };
    let mut told = Vec::new();
    if expect.apart.is_some() {
        told.push(answer("front end and back end on different hosts", found.len() < 2, &observed, &gaps));
    }
    if let Some(roles) = &expect.roles {
        let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        let expected = if names.is_empty() { "neither role".to_owned() } else { format!("only {}", names.join(", ")) };
        told.push(answer(&expected, found.keys().all(|role| roles.contains(role)), &observed, &gaps));
    }
    told
}

/// What was seen may break a rule; it keeps one only where nothing was hidden.
fn answer(expected: &str, holds: bool, observed: &str, gaps: &[Gap]) -> Judgement {
    match gaps.first() {
        _ if !holds => Judgement::new(Status::Deviation, "roles", expected, observed),
        Some(gap) => Judgement::new(Status::Unknown, "roles", expected, format!("{observed}, but {gap}")),
        None => Judgement::new(Status::Pass, "roles", expected, observed),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    Package(String),
    Unit(String),
}

impl Evidence {
    fn shows(&self, product: &Product) -> bool {
        match self {
            Self::Package(name) => product.packages.iter().any(|pattern| means(pattern, name)),
            Self::Unit(name) => product.units.iter().any(|pattern| means(pattern, name)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Package(name) => format!("package {name}"),
            Self::Unit(name) => format!("{name}.service"),
        }
    }
}

fn evidence(facts: &FactSet) -> (BTreeSet<Evidence>, Vec<Gap>) {
    let mut evidence = BTreeSet::new();
    let mut gaps = Vec::new();
    let missing = |what: &str| Gap::new(GapKind::Failed, what, "its facts were not collected");
    match facts.of::<Packages>() {
        Some(packages) => {
            let installed = packages.items.seen.values().filter(|package| package.state.name() != "config-files");
            evidence.extend(installed.map(|package| Evidence::Package(package.name.clone())));
            gaps.extend(packages.items.gaps.values().cloned());
        }
        None => gaps.push(missing("packages")),
    }
    match facts.of::<Services>() {
        Some(services) => {
            let starting = services.items.seen.iter().filter(|(_, unit)| unit.starts()).map(|(name, _)| name);
            let is_up = |state: &Running| match state {
                Running::Active | Running::Exited | Running::Restarting => true,
                Running::Failed => false,
            };
            let running = services.state.seen.iter().filter(|(_, state)| is_up(state)).map(|(name, _)| name);
            let stem = |name: &String| {
                let script = name.strip_prefix("sysv:");
                script.or_else(|| name.strip_suffix(".service")).map(str::to_owned)
            };
            evidence.extend(starting.chain(running).filter_map(stem).map(Evidence::Unit));
            // A host without any init system, and a root at rest, have packages to go by.
            let hides = |gap: &&Gap| gap.kind != GapKind::Unsupported && !gap.is_not_live();
            let hidden = services.items.gaps.values().chain(services.state.gaps.values());
            gaps.extend(hidden.filter(hides).cloned());
        }
        None => gaps.push(missing("services")),
    }
    (evidence, gaps)
}
