//! What the dates mean for this system and its software on a day.

use std::collections::BTreeMap;

use chrono::{Days as Span, NaiveDate};

use super::expect::{Expect, Whose};
use super::{OS, System};
use crate::facts::Observed;
use crate::finding::{Judgement, Status};
use crate::lifecycle::{Channel, Cycle, End, Kind, Lifecycles, Named, Product};
use crate::probe::Context;
use crate::probes::packages::{Package, Packages, State};
use crate::version::DpkgVersion;
use crate::yaml::did_you_mean;

/// What every judgement needs.
struct Asked<'a> {
    expect: &'a Expect,
    data: &'a Lifecycles,
    today: NaiveDate,
    expected: String,
}

pub(super) fn judge(expect: &Expect, state: &Observed<System>, context: &Context<'_>) -> Vec<Judgement> {
    let further = match expect.warn.0 {
        0 => String::new(),
        _ => format!(" for another {}", expect.warn),
    };
    let asked = Asked {
        expect,
        data: context.lifecycles,
        today: context.now.date_naive(),
        expected: format!("supported{further}, channel {}", expect.channel),
    };
    let mut judgements = Vec::new();
    if expect.data_age.is_some() {
        judgements.extend(asked.freshness());
    }
    let system = state.seen.get(OS);
    if expect.products.os() {
        judgements.push(match (system, state.gap_for(OS)) {
            (Some(system), _) => asked.system(system),
            (None, Some(gap)) => Judgement::unseen(gap, OS, asked.expected.clone()),
            (None, None) => asked.unknown(OS, "nothing is known of the operating system"),
        });
    }
    let home = system.and_then(|system| asked.home(system));
    if expect.products.software() || expect.products.named().next().is_some() {
        judgements.extend(asked.software(home, context.facts.of::<Packages>().map(|facts| &facts.items)));
    }
    judgements
}

/// A cycle of an operating system, and its name for people: `Debian 12`.
#[derive(Clone, Copy)]
struct Home<'a> {
    product: &'a Product,
    cycle: &'a Cycle,
}

/// One cycle of one product as it is installed.
#[derive(Default)]
struct Installed<'a> {
    packages: Vec<&'a str>,
    /// Whether any of it comes from somewhere else than the distribution.
    foreign: bool,
}

impl<'a> Asked<'a> {
    fn unknown(&self, subject: impl Into<String>, why: &str) -> Judgement {
        let observed = format!("{why}; {}", self.data.age(self.today));
        Judgement::new(Status::Unknown, subject, self.expected.clone(), observed)
    }

    /// Judges an end; `who` is the beginning of the sentence: `Debian 12 (bookworm)`.
    fn until(&self, subject: String, end: Option<End>, who: &str) -> Judgement {
        let needed = self.today.checked_add_days(Span::new(self.expect.warn.0.into()));
        let (holds, said) = match end {
            None => {
                return self.unknown(subject, &format!("{who}: no end of {} support is known", self.expect.channel));
            }
            Some(End::Open) => (true, "maintained, no end announced".to_owned()),
            Some(End::On(day, channel)) => {
                let holds = needed.is_some_and(|needed| day >= needed);
                (holds, sentence(day, channel, self.today))
            }
        };
        let observed = format!("{who}: {said}; {}", self.data.age(self.today));
        Judgement::when(holds, subject, self.expected.clone(), observed)
    }

    fn freshness(&self) -> Option<Judgement> {
        let limit = self.expect.data_age?;
        let age = self.today.signed_duration_since(self.data.data.updated).num_days();
        let expected = format!("dates checked within {limit}");
        Some(Judgement::when(age <= i64::from(limit.0), "data", expected, self.data.age(self.today)))
    }

    fn home(&self, system: &System) -> Option<Home<'a>> {
        let product = self.data.product(&system.id).filter(|product| product.kind == Kind::Os)?;
        let cycle = product.cycle(system.version.as_deref()?)?;
        Some(Home { product, cycle })
    }

    fn system(&self, system: &System) -> Judgement {
        if let Some(home) = self.home(system) {
            let subject = format!("{}:{}", system.id, home.cycle.cycle);
            let who = home.name(system.codename.as_deref()) + &otherwise(system, home.cycle);
            return self.until(subject, home.cycle.end(self.expect.channel), &who);
        }
        let version = system.version.as_deref();
        let who = system.name.clone().unwrap_or_else(|| match version {
            Some(version) => format!("{} {version}", system.id),
            None => system.id.clone(),
        });
        let subject = match version {
            Some(version) => format!("{}:{version}", system.id),
            None => system.id.clone(),
        };
        let own = system.distro_info.iter().filter(|(channel, _)| **channel <= self.expect.channel);
        let own = own.filter_map(|(channel, day)| Some((day.parse::<NaiveDate>().ok()?, *channel))).max();
        if let Some((day, channel)) = own {
            let who = format!("{who}, as the host's distro-info-data says");
            return self.until(subject, Some(End::On(day, channel)), &who);
        }
        match system.support_end.as_deref().map(str::parse::<NaiveDate>) {
            Some(Ok(day)) => {
                let who = format!("{who}, as its os-release says");
                self.until(subject, Some(End::On(day, Channel::Regular)), &who)
            }
            Some(Err(_)) => self.unknown(subject, &format!("{who}: its SUPPORT_END is not a date")),
            None => self.unknown(subject, &format!("{who}: no dates are known for it")),
        }
    }

    fn software(&self, home: Option<Home<'_>>, packages: Option<&Observed<Package>>) -> Vec<Judgement> {
        let Some(packages) = packages else { return vec![self.unknown("software", "the packages were not looked at")] };
        let mut judgements = Vec::new();
        let all = self.expect.products.software();
        let wanted: Vec<&str> = self.expect.products.named().collect();
        let installed = self.installed(packages, |id| all || wanted.contains(&id));
        for ((id, version), found) in &installed {
            if let Some(product) = self.data.product(id) {
                judgements.push(self.one(id, product, version, found, home));
            }
        }
        if let Some(gap) = packages.gaps.values().next() {
            judgements.push(Judgement::unseen(gap, "software", self.expected.clone()));
        }
        for id in wanted {
            let known = self.data.product(id).is_some_and(|product| product.kind == Kind::Software);
            if !known {
                let names: Vec<&str> = self.data.data.products.keys().map(String::as_str).collect();
                let hint = did_you_mean(id, &names).unwrap_or_default();
                judgements.push(self.unknown(id, &format!("no software called `{id}` is in the data: {hint}")));
            } else if packages.gaps.is_empty() && !installed.keys().any(|(own, _)| *own == id) {
                let observed = "not installed";
                judgements.push(Judgement::new(Status::NotApplicable, id, self.expected.clone(), observed));
            }
        }
        if judgements.is_empty() {
            let known = self.data.data.products.values().filter(|product| product.kind == Kind::Software).count();
            let observed = format!("none of {known} known products is installed; {}", self.data.age(self.today));
            judgements.push(Judgement::new(Status::Pass, "software", self.expected.clone(), observed));
        }
        judgements
    }

    /// Which cycles of which products the packages are; what no cycle is known for keeps the beginning of its version.
    fn installed<'p>(
        &self,
        packages: &'p Observed<Package>,
        wanted: impl Fn(&str) -> bool,
    ) -> BTreeMap<(&'a str, String), Installed<'p>> {
        let mut installed: BTreeMap<(&str, String), Installed<'_>> = BTreeMap::new();
        let mut index: BTreeMap<u8, BTreeMap<&'a str, &'a Product>> = BTreeMap::new();
        for (id, product) in self.data.data.products.iter().filter(|(id, _)| wanted(id)) {
            for pattern in product.packages.iter().chain(&product.from_maker) {
                index.entry(pattern.first()).or_default().insert(id, product);
            }
        }
        for package in packages.seen.values().filter(|package| package.state != State::ConfigFiles) {
            let first = package.name.bytes().next().unwrap_or_default();
            for (id, product) in index.get(&first).into_iter().flatten() {
                let ours = product.packages.iter().find_map(|pattern| pattern.read(&package.name));
                let theirs = product.from_maker.iter().find_map(|pattern| pattern.read(&package.name));
                let Some(named) = ours.or(theirs) else { continue };
                let (version, cycle) = match named {
                    Named::Version(version) => (version, product.named_cycle(version)),
                    Named::Product => (upstream(&package.version), product.cycle(upstream(&package.version))),
                };
                if cycle.is_none() && product.is_vague(version) {
                    continue;
                }
                let cycle = match cycle {
                    Some(cycle) => cycle.cycle.clone(),
                    None => version.split('.').take(2).collect::<Vec<_>>().join("."),
                };
                let entry = installed.entry((id, cycle)).or_default();
                entry.packages.push(&package.name);
                entry.foreign |= theirs.is_some() || self.data.is_foreign(&package.version);
            }
        }
        installed
    }

    fn one(
        &self,
        id: &str,
        product: &Product,
        version: &str,
        found: &Installed<'_>,
        home: Option<Home<'_>>,
    ) -> Judgement {
        let subject = format!("{id}:{version}");
        let packages = match found.packages.as_slice() {
            [one] => (*one).to_owned(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        let who = format!("{} {version} ({packages})", product.name);
        let own = product.cycle(version).map(|cycle| cycle.end(self.expect.channel));
        let shipped = home.filter(|home| {
            let ships = home.cycle.ships.get(id);
            !found.foreign && ships.is_some_and(|cycles| cycles.iter().any(|cycle| cycle == version))
        });
        if let (Whose::Distribution, Some(home)) = (self.expect.software, shipped) {
            let maker = match own.flatten() {
                Some(End::On(day, _)) if day < self.today => format!(", its maker's support ended on {day}"),
                Some(End::On(day, _)) => format!(", its maker's support ends on {day}"),
                Some(End::Open) | None => String::new(),
            };
            let who = format!("{who}, maintained by {}{maker}", home.name(None));
            return self.until(subject, home.cycle.end(self.expect.channel), &who);
        }
        // Nobody said what the distribution ships of this: it may well mend what its maker no longer does.
        let silent = home.filter(|home| !found.foreign && !home.cycle.ships.contains_key(id));
        if let (Whose::Distribution, Some(home), Some(Some(End::On(day, channel)))) =
            (self.expect.software, silent, own)
            && day < self.today
        {
            let ended = sentence(day, channel, self.today);
            let why =
                format!("{who}, by its maker: {ended}; whether {} maintains it is not in the data", home.name(None));
            return self.unknown(subject, &why);
        }
        match own {
            Some(end) => self.until(subject, end, &format!("{who}, by its maker")),
            None => self.unknown(subject, &format!("{who}: no dates are known for it")),
        }
    }
}

impl Home<'_> {
    fn name(&self, codename: Option<&str>) -> String {
        match codename.or(self.cycle.codename.as_deref()) {
            Some(codename) => format!("{} {} ({codename})", self.product.name, self.cycle.cycle),
            None => format!("{} {}", self.product.name, self.cycle.cycle),
        }
    }
}

/// What the host itself says of its ends, where that is not what the data says.
fn otherwise(system: &System, cycle: &Cycle) -> String {
    let differs = |channel: Channel, day: &str| cycle.ends.get(&channel).is_none_or(|ours| ours.to_string() != day);
    let mut said: Vec<String> = system
        .distro_info
        .iter()
        .filter(|(channel, day)| differs(**channel, day))
        .map(|(channel, day)| format!("its distro-info-data says {day} for {channel}"))
        .collect();
    let own = system.support_end.as_deref().filter(|day| cycle.ends.values().all(|ours| ours.to_string() != **day));
    said.extend(own.map(|day| format!("its os-release says {day}")));
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

fn sentence(day: NaiveDate, channel: Channel, today: NaiveDate) -> String {
    if day < today { format!("{channel} support ended on {day}") } else { format!("{channel} support ends on {day}") }
}

/// What the maker called it: without epoch and revision.
fn upstream(version: &str) -> &str {
    DpkgVersion::parse(version).map_or(version, |parsed| parsed.upstream())
}
