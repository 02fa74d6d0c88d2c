//! Which version of an installed package apt would choose, and where it comes from.
//!
//! Source: apt's `pkgPolicy::GetCandidateVer`: of the versions that are not older than the installed one (unless their priority
//! is 1000 or more) the one of the highest priority, and of those the highest version. The installed version has priority 100 by
//! being installed, more where a list still offers it; a pin of its own replaces that, and may be less.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::lists::{List, field, stanzas};
use super::pins::Pins;
use crate::host::{Gap, GapKind, Host};
use crate::version::DpkgVersion;

/// The priority of dpkg's own status file.
const BY_BEING_INSTALLED: i32 = 100;
/// The most versions of one package on offer; a repository that keeps every version ever made has some hundreds.
const MAX_OFFERS: usize = 5_000;
/// The most versions on offer of all packages together.
const MAX_ALL: usize = 100_000;
/// The longest version on offer, as of those installed, in bytes.
const MAX_VERSION: usize = 300;

/// A package as it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its architecture.
    pub architecture: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// A version on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The version.
    pub version: String,
    /// Which lists offer it, by their place.
    pub lists: Vec<usize>,
    /// To how many hosts of a hundred it is offered so far, where its maker says so.
    pub phased: Option<u8>,
}

/// What is on offer for each of `installed`, in their order.
///
/// A package of architecture `all` may have become one of `native`, or the other way round.
pub fn offers(
    host: &dyn Host,
    lists: &[List],
    installed: &[Installed<'_>],
    native: &str,
) -> Result<Vec<Vec<Offer>>, Gap> {
    let mut places: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (place, package) in installed.iter().enumerate() {
        places.entry(package.name.as_bytes()).or_default().push(place);
    }
    let mut offers: Vec<Vec<Offer>> = vec![Vec::new(); installed.len()];
    let (mut count, mut beyond) = (0, None);
    for (number, list) in lists.iter().enumerate() {
        stanzas(host, &list.path, |stanza| {
            if beyond.is_some() {
                return;
            }
            // Every repository begins a stanza so; one that does not is looked through.
            let name = match stanza.strip_prefix(b"Package: ") {
                Some(rest) => rest.get(..memchr::memchr(b'\n', rest).unwrap_or(rest.len())).unwrap_or_default(),
                None => field(stanza, b"Package").unwrap_or_default().as_bytes(),
            };
            let Some(places) = places.get(name.trim_ascii()) else { return };
            let (Some(version), Some(architecture)) = (field(stanza, b"Version"), field(stanza, b"Architecture"))
            else {
                return;
            };
            if version.len() > MAX_VERSION {
                beyond = Some("offers a version longer than any");
                return;
            }
            for place in places {
                let Some((package, offers)) = installed.get(*place).zip(offers.get_mut(*place)) else { continue };
                let swapped = [package.architecture, architecture];
                if architecture != package.architecture && !(swapped.contains(&"all") && swapped.contains(&native)) {
                    continue;
                }
                let full = offers.len() >= MAX_OFFERS || count >= MAX_ALL;
                match offers.iter_mut().find(|offer| offer.version == version) {
                    Some(offer) if offer.lists.contains(&number) => {}
                    Some(offer) => offer.lists.push(number),
                    None if full => beyond = Some("offers too many versions"),
                    None => {
                        count += 1;
                        let phased = field(stanza, b"Phased-Update-Percentage").and_then(|text| text.parse().ok());
                        offers.push(Offer { version: version.to_owned(), lists: vec![number], phased });
                    }
                }
            }
        })?;
        if let Some(detail) = beyond {
            return Err(Gap::new(GapKind::TooLarge, list.path.clone(), detail));
        }
    }
    Ok(offers)
}

/// The version apt would choose, where it is not the one installed; the place among `offers`.
pub fn candidate(installed: &Installed<'_>, offers: &[Offer], lists: &[List], pins: &Pins) -> Option<usize> {
    let current = DpkgVersion::parse(installed.version).ok()?;
    let mut best: Option<(i32, DpkgVersion<'_>, Option<usize>)> = None;
    let mut consider = |priority: i32, version, place| {
        let better = match &best {
            Some((own, highest, _)) => (priority, version) > (*own, *highest),
            None => priority > 0,
        };
        if better {
            best = Some((priority, version, place));
        }
    };
    let offered = offers.iter().find(|offer| offer.version == installed.version);
    let own = offered.map_or(&[][..], |offer| offer.lists.as_slice());
    consider(priority(installed, installed.version, own, lists, pins, BY_BEING_INSTALLED), current, None);
    for (place, offer) in offers.iter().enumerate() {
        let Ok(version) = DpkgVersion::parse(&offer.version) else { continue };
        let priority = priority(installed, &offer.version, &offer.lists, lists, pins, 0);
        let order = version.cmp(&current);
        if priority <= 0 || order == Ordering::Equal || (order == Ordering::Less && priority < 1000) {
            continue;
        }
        consider(priority, version, Some(place));
    }
    best.and_then(|(_, _, place)| place)
}

/// What a version has that no pin names: as much as the best of its lists gives it, and at least `least`.
fn priority(package: &Installed<'_>, version: &str, from: &[usize], lists: &[List], pins: &Pins, least: i32) -> i32 {
    let from: Vec<&List> = from.iter().filter_map(|place| lists.get(*place)).collect();
    let general = || from.iter().map(|list| pins.of_list(list)).max().map_or(least, |best| best.max(least));
    pins.of_version(package.name, version, &from).unwrap_or_else(general)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::release::Release;
    use crate::host::Recorded;

    fn list(path: &str, not_automatic: bool) -> List {
        let release = Release { not_automatic, but_automatic_upgrades: false, ..Release::default() };
        List { path: path.into(), release, site: String::new(), component: "main".into() }
    }

    fn stanza(name: &str, version: &str, architecture: &str) -> String {
        format!("Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n\n")
    }

    #[test]
    fn the_highest_version_of_the_highest_priority_is_chosen_and_none_goes_back() {
        let main =
            stanza("a", "2", "amd64") + &stanza("a", "3", "i386") + &stanza("b", "1", "all") + &stanza("c", "9", "all");
        let new = stanza("a", "4", "amd64") + &stanza("b", "5", "amd64");
        let host = Recorded::new().file("/m_Packages", main).file("/n_Packages", new);
        let lists = [list("/m_Packages", false), list("/n_Packages", true)];
        let installed = [("a", "amd64", "1"), ("b", "all", "2"), ("d", "all", "1")]
            .map(|(name, architecture, version)| Installed { name, architecture, version });
        let offers = offers(&host, &lists, &installed, "amd64").unwrap();
        let chosen = |at: usize, pins: &Pins| {
            candidate(&installed[at], &offers[at], &lists, pins).map(|place| offers[at][place].version.as_str())
        };
        let none = Pins::default();
        assert_eq!([0, 1, 2].map(|at| chosen(at, &none)), [Some("2"), None, None]);
        let pinned = |text: &str| Pins::read(&Recorded::new().file("/etc/apt/preferences", text), None).unwrap();
        assert_eq!(chosen(0, &pinned("Package: a\nPin: version 4\nPin-Priority: 600\n")), Some("4"));
        assert_eq!(chosen(0, &pinned("Package: a\nPin: version 2\nPin-Priority: -1\n")), None);
        assert_eq!(chosen(0, &pinned("Package: a\nPin: version *\nPin-Priority: 99\n")), Some("4"));
        assert_eq!(chosen(1, &pinned("Package: b\nPin: version 1\nPin-Priority: 1000\n")), Some("1"));
    }

    #[test]
    fn a_list_that_offers_more_than_any_repository_does_is_refused() {
        let installed = [Installed { name: "a", architecture: "amd64", version: "1" }];
        let lists = [list("/m_Packages", false)];
        let seen = |text: String| {
            offers(&Recorded::new().file("/m_Packages", text), &lists, &installed, "amd64").map(|all| all[0].len())
        };
        let many = |count: usize| (0..count).map(|at| stanza("a", &at.to_string(), "amd64")).collect::<String>();
        assert_eq!(seen(many(MAX_OFFERS)).unwrap(), MAX_OFFERS);
        assert_eq!(seen(many(MAX_OFFERS + 1)).unwrap_err().kind, GapKind::TooLarge);
        assert_eq!(seen(stanza("a", &"1".repeat(MAX_VERSION), "amd64")).unwrap(), 1);
        assert_eq!(seen(stanza("a", &"1".repeat(MAX_VERSION + 1), "amd64")).unwrap_err().kind, GapKind::TooLarge);
    }
}
