//! What is on offer, against what is installed.

use std::path::Path;

use chrono::DateTime;

use super::{Fact, hide};
use crate::apt::config::Config;
use crate::apt::lists::{self, List};
use crate::apt::pins::Pins;
use crate::apt::policy::{Installed, Offer, candidate, offers};
use crate::apt::{LISTS, sources};
use crate::facts::Observed;
use crate::host::{Gap, Host};
use crate::probes::packages::{Package, Selection, State};
use crate::version::DpkgVersion;

const STAMP: &str = "/var/lib/apt/periodic/update-success-stamp";

/// Sees what is pending, the lists themselves, and which repository offers each package.
pub(super) fn see(host: &dyn Host, installed: &Observed<Package>, state: &mut Observed<Fact>) {
    if let Err(gap) = look(host, installed, state) {
        for prefix in ["update/", "lists", "origin/"] {
            hide(state, prefix, gap.clone());
        }
    }
}

fn look(host: &dyn Host, installed: &Observed<Package>, state: &mut Observed<Fact>) -> Result<(), Gap> {
    let config = Config::read(host)?;
    let pins = Pins::read(host, config.get("apt::default-release"))?;
    let lists = match lists::find(host, &sources::read(host)?) {
        Ok(lists) => lists,
        Err(gap) if gap.is_missing() => Vec::new(),
        Err(gap) => return Err(gap),
    };
    let fetched = [STAMP, LISTS].into_iter().find_map(|path| host.stat(Path::new(path)).ok());
    let fetched = fetched.filter(|_| !lists.is_empty()).and_then(|stat| DateTime::from_timestamp(stat.modified, 0));
    let security = lists.iter().filter(|list| list.release.is_security()).count();
    state.seen.insert("lists".into(), Fact::Lists { count: lists.len(), security, fetched });

    let packages: Vec<(&String, &Package)> =
        installed.seen.iter().filter(|(_, package)| is_there(package.state)).collect();
    let known: Vec<Installed<'_>> = packages
        .iter()
        .map(|(_, package)| Installed {
            name: &package.name,
            architecture: &package.architecture,
            version: &package.version,
        })
        .collect();
    let native = known.iter().find(|package| package.name == "dpkg").map_or("", |package| package.architecture);
    let offered = offers(host, &lists, &known, native)?;
    for (((subject, package), known), offers) in packages.iter().zip(&known).zip(&offered) {
        let origin = origin(package, offers, &lists);
        let Fact::Origin { packages } =
            state.seen.entry(format!("origin/{origin}")).or_insert_with(|| Fact::Origin { packages: Vec::new() })
        else {
            continue;
        };
        packages.push((*subject).clone());
        let chosen = candidate(known, offers, &lists, &pins).and_then(|place| offers.get(place));
        if let Some(offer) = chosen {
            let update = update(package, offer, offers, &lists);
            state.seen.insert(format!("update/{subject}"), update);
        }
    }
    for (prefix, gap) in &installed.gaps {
        hide(state, &format!("update/{prefix}"), gap.clone());
    }
    if let Some(gap) = pins.unknown {
        hide(state, "update/", gap);
    }
    Ok(())
}

fn update(package: &Package, offer: &Offer, offers: &[Offer], lists: &[List]) -> Fact {
    let secure = |offer: &Offer| from(offer, lists).any(|list| list.release.is_security());
    fn parsed(text: &str) -> Option<DpkgVersion<'_>> {
        DpkgVersion::parse(text).ok()
    }
    let (low, high) = (parsed(&package.version), parsed(&offer.version));
    let between = |other: &&Offer| {
        let version = parsed(&other.version);
        version > low && version <= high
    };
    Fact::Update {
        installed: package.version.clone(),
        candidate: offer.version.clone(),
        from: from(offer, lists).next().map_or(String::new(), |list| list.release.name()),
        security: offers.iter().filter(between).any(secure),
        held: package.selection == Selection::Hold,
        phased: offer.phased.filter(|phased| *phased < 100),
    }
}

/// The repository that offers the installed version; a security suite is said only where no other offers it.
fn origin(package: &Package, offers: &[Offer], lists: &[List]) -> String {
    let Some(offer) = offers.iter().find(|offer| offer.version == package.version) else { return "local".into() };
    let plain = from(offer, lists).find(|list| !list.release.is_security());
    let name = plain.or_else(|| from(offer, lists).next()).map_or(String::new(), |list| list.release.name());
    if name.is_empty() { "unnamed".into() } else { name }
}

fn from<'a>(offer: &'a Offer, lists: &'a [List]) -> impl Iterator<Item = &'a List> {
    offer.lists.iter().filter_map(|place| lists.get(*place))
}

/// Whether apt holds it for installed: its files are there, configured or not.
fn is_there(state: State) -> bool {
    match state {
        State::ConfigFiles | State::HalfInstalled => false,
        State::Unpacked
        | State::HalfConfigured
        | State::TriggersAwaited
        | State::TriggersPending
        | State::Installed => true,
    }
}
