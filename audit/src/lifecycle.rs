//! When software reaches its maker's end of life: the typed form of `baselines/end-of-life.yaml`, and what can be asked of it.
//!
//! The dates are data: their shape is told at the top of that file, their age is said with every answer. What the data
//! does not hold has no answer; nothing is guessed from a neighbouring version.

mod import;
mod names;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::change::Pattern;
use crate::digest::Digest;
use crate::yaml::{Complaint, Document};

pub use import::{Imported, MAX_BYTES as MAX_IMPORT, import};
pub use names::{NamePattern, Named};

/// The dates, and the digest that names them.
#[derive(Debug, Clone)]
pub struct Lifecycles {
    /// The SHA-256 of the text they were read from.
    pub digest: Digest,
    /// The data.
    pub data: Data,
}

/// The document.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The day the dates were last checked against their sources.
    pub updated: NaiveDate,
    /// Versions that a distribution does not give its own packages: `*.pgdg*`.
    #[serde(default)]
    pub foreign: Vec<Pattern>,
    /// The products, by the name rules use. An operating system's is the `ID` of its os-release(5).
    pub products: BTreeMap<String, Product>,
}

/// One product.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its name for people.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where its maker says the dates.
    pub source: String,
    /// Where the dates of a channel are said, if elsewhere.
    #[serde(default)]
    pub sources: BTreeMap<Channel, String>,
    /// What the dates were compared with, and of when that was; nothing where they were not.
    pub checked: Option<String>,
    /// The cycles of a checked product whose dates were not.
    #[serde(default)]
    pub unchecked: Vec<String>,
    /// What endoflife.date calls it, where that is another name.
    pub endoflife: Option<String>,
    /// The channel that endoflife.date's extended support is here: `extended` where nothing is said.
    pub eoes: Option<Channel>,
    /// Which packages are it.
    #[serde(default)]
    pub packages: Vec<NamePattern>,
    /// Which packages are it and come from its maker, never from a distribution.
    #[serde(default)]
    pub from_maker: Vec<NamePattern>,
    /// Its cycles, newest first.
    #[serde(deserialize_with = "table::cycles")]
    pub cycles: Vec<Cycle>,
    /// What its cycles ship, as the document says it; [`Cycle::ships`] is where to ask.
    #[serde(default, deserialize_with = "table::ships")]
    ships: table::Ships,
}

/// What a product is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An operating system.
    Os,
    /// Software on one.
    Software,
}

/// One line of releases that ends as one: Debian 12, PostgreSQL 15.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    /// The beginning of its version: `12`, `3.11`.
    pub cycle: String,
    /// Its code name.
    pub codename: Option<String>,
    /// When it came out.
    pub released: Option<NaiveDate>,
    /// The last day of each channel of support. None at all: it is maintained and no end is announced.
    #[serde(default)]
    pub ends: BTreeMap<Channel, NaiveDate>,
    /// Of an operating system: the cycles of each product that it ships and maintains itself.
    #[serde(default)]
    pub ships: BTreeMap<String, Vec<String>>,
}

/// A channel of support. Each reaches at least as far as those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The maker's ordinary support, for everybody.
    Regular,
    /// Long-term support for everybody: Debian LTS.
    Lts,
    /// Extended support, commonly by contract: Ubuntu's ESM, Red Hat's ELS, Freexian's ELTS.
    Extended,
    /// What comes after that by contract: Ubuntu's Legacy add-on.
    Legacy,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Regular => "regular",
            Self::Lts => "lts",
            Self::Extended => "extended",
            Self::Legacy => "legacy",
        })
    }
}

/// How long something is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Until the end of that day, by that channel.
    On(NaiveDate, Channel),
    /// No end is announced.
    Open,
}

impl Cycle {
    /// When support ends for somebody who has the channels up to `channel`; `None` where the data knows only later channels.
    pub fn end(&self, channel: Channel) -> Option<End> {
        if self.ends.is_empty() {
            return Some(End::Open);
        }
        self.ends.range(..=channel).max_by_key(|(_, day)| **day).map(|(channel, day)| End::On(*day, *channel))
    }
}

impl Product {
    /// The cycle `version` belongs to: the longest that it begins with, part by part.
    pub fn cycle(&self, version: &str) -> Option<&Cycle> {
        let belongs = |cycle: &&Cycle| begins(version, &cycle.cycle);
        self.cycles.iter().filter(belongs).max_by_key(|cycle| cycle.cycle.len())
    }

    /// The cycle that the digits in a package's name say, with or without their points: `php83` is 8.3.
    pub fn named_cycle(&self, digits: &str) -> Option<&Cycle> {
        let joined = |cycle: &&Cycle| cycle.cycle.contains('.') && cycle.cycle.replace('.', "") == digits;
        self.cycle(digits).or_else(|| self.cycles.iter().find(joined))
    }

    /// Whether `version` says less than any cycle does: `3` where the cycles are `3.10` and `3.11`.
    pub fn is_vague(&self, version: &str) -> bool {
        self.cycle(version).is_none() && self.cycles.iter().any(|cycle| begins(&cycle.cycle, version))
    }
}

/// Whether `version` is `cycle` or one of its releases: `1.1.1w` is of `1.1.1`, `1.1.10` is not.
fn begins(version: &str, cycle: &str) -> bool {
    let rest = version.strip_prefix(cycle);
    rest.is_some_and(|rest| !cycle.is_empty() && !rest.starts_with(|next: char| next.is_ascii_digit()))
}

impl Lifecycles {
    /// Reads the data; `file` is only its name, for complaints.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Complaint> {
        Self::read(&Document::open(file, bytes)?, bytes)
    }

    /// No dates at all, for where none will be asked for.
    pub fn unasked() -> Self {
        let data = Data { updated: NaiveDate::MIN, foreign: Vec::new(), products: BTreeMap::new() };
        Self { digest: Digest::of(b""), data }
    }

    /// The data that ships with the program.
    pub fn shipped() -> Result<Self, Complaint> {
        let text = crate::shipped::END_OF_LIFE;
        Self::read(&Document::shipped("end-of-life.yaml", text), text.as_bytes())
    }

    fn read(document: &Document<'_>, bytes: &[u8]) -> Result<Self, Complaint> {
        let mut data: Data = document.parse()?;
        for (id, product) in &mut data.products {
            for (cycle, ships) in std::mem::take(&mut product.ships) {
                match product.cycles.iter_mut().find(|known| known.cycle == cycle) {
                    Some(known) => known.ships = ships,
                    None => {
                        let message = format!("the cycle `{cycle}` is not among its cycles");
                        return Err(document.complain_of_key(&format!("products.{id}.ships"), &message, None));
                    }
                }
            }
        }
        for (id, product) in &data.products {
            if let Some(wrong) = mistake(product) {
                return Err(document.complain_of_key(&format!("products.{id}"), &wrong, None));
            }
            for (number, cycle) in product.cycles.iter().enumerate() {
                let path = |within: &str| format!("products.{id}.cycles[{number}].{within}");
                for other in cycle.ships.keys() {
                    if data.products.get(other).is_none_or(|other| other.kind != Kind::Software) {
                        let message = format!("`{other}` is not among the software here");
                        return Err(document.complain_of_key(&path(&format!("ships.{other}")), &message, None));
                    }
                }
                if !cycle.ends.values().is_sorted() {
                    let message = "a later channel ends before an earlier one";
                    return Err(document.complain(&path("ends"), message));
                }
            }
        }
        Ok(Self { digest: Digest::of(bytes), data })
    }

    /// The product of that name.
    pub fn product(&self, id: &str) -> Option<&Product> {
        self.data.products.get(id)
    }

    /// How old the dates are on `today`, in words that change once a month: findings are hashed.
    pub fn age(&self, today: NaiveDate) -> String {
        let updated = self.data.updated;
        let months = today.signed_duration_since(updated).num_days().max(0) / 30;
        match months {
            0 => format!("dates of {updated}, less than a month old"),
            1 => format!("dates of {updated}, a month old"),
            _ => format!("dates of {updated}, {months} months old"),
        }
    }

    /// Whether a distribution gives its own packages no such version.
    pub fn is_foreign(&self, version: &str) -> bool {
        self.data.foreign.iter().any(|pattern| pattern.matches(version))
    }
}

fn mistake(product: &Product) -> Option<String> {
    let packaged = !product.packages.is_empty() || !product.from_maker.is_empty();
    match product.kind {
        Kind::Os if packaged => return Some("an operating system is known by os-release, not by packages".into()),
        Kind::Software if !packaged => return Some("software is known by its packages: name them".into()),
        Kind::Os | Kind::Software => {}
    }
    if product.cycles.is_empty() {
        return Some("a product without cycles has no dates".into());
    }
    let known = |cycle: &&String| product.cycles.iter().any(|known| known.cycle == **cycle);
    if let Some(stray) = product.unchecked.iter().find(|cycle| !known(cycle)) {
        return Some(format!("the unchecked cycle `{stray}` is not among its cycles"));
    }
    let mut seen = BTreeSet::new();
    for cycle in &product.cycles {
        if !cycle.cycle.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return Some(format!("the cycle `{}` does not begin with a digit", cycle.cycle));
        }
        if !seen.insert(&cycle.cycle) {
            return Some(format!("the cycle `{}` stands twice", cycle.cycle));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Lifecycles {
        Lifecycles::parse("end-of-life.yaml", crate::shipped::END_OF_LIFE.as_bytes())
            .unwrap_or_else(|complaint| panic!("{complaint}"))
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn complaint(products: &str) -> String {
        let text = format!("updated: 2026-11-22\nproducts:\n{products}");
        Lifecycles::parse("e.yaml", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_dates_are_accepted_and_wide_enough() {
        let data = shipped().data;
        let software = data.products.values().filter(|product| product.kind == Kind::Software).count();
        assert!(software >= 50 && data.products.len() >= 60, "{software} of {}", data.products.len());
        for id in ["debian", "ubuntu", "rhel", "rocky", "almalinux", "fedora", "alpine", "amzn"] {
            assert_eq!(data.products[id].kind, Kind::Os, "{id}");
        }
        assert!(data.products.values().all(|product| product.source.starts_with("https://")));
    }

    #[test]
    fn support_reaches_as_far_as_the_channels_one_has() {
        let data = shipped();
        let debian = data.product("debian").unwrap().cycle("12").unwrap();
        assert_eq!(debian.end(Channel::Regular), Some(End::On(day("2026-07-11"), Channel::Regular)));
        assert_eq!(debian.end(Channel::Lts), Some(End::On(day("2028-06-30"), Channel::Lts)));
        let ubuntu = data.product("ubuntu").unwrap().cycle("24.04").unwrap();
        assert_eq!(ubuntu.end(Channel::Lts), ubuntu.end(Channel::Regular));
        let apache = data.product("apache").unwrap().cycle("2.4.71").unwrap();
        assert_eq!(apache.end(Channel::Regular), Some(End::Open));
    }

    #[test]
    fn a_version_belongs_to_the_longest_cycle_it_begins_with() {
        let data = shipped();
        let of = |product: &str, version: &str| {
            data.product(product).unwrap().cycle(version).map(|cycle| cycle.cycle.clone())
        };
        assert_eq!(of("openssl", "1.1.1w").as_deref(), Some("1.1.1"));
        assert_eq!(of("openssl", "1.1.10"), None);
        assert_eq!(of("amzn", "2").as_deref(), Some("2"));
        assert_eq!(of("amzn", "2023").as_deref(), Some("2023"));
        assert_eq!(of("rhel", "9.4").as_deref(), Some("9"));
        assert_eq!(of("python", "3.1"), None);
        assert!(data.product("python").unwrap().is_vague("3"));
        assert!(!data.product("python").unwrap().is_vague("3.99"));
    }

    #[test]
    fn mistakes_in_the_data_are_pointed_at() {
        for (products, why) in [
            ("  x: {name: X, kind: software, source: s, cycles: [{cycle: '1'}]}\n", "e.yaml:3:3: software is known by"),
            (
                "  x: {name: X, kind: os, source: s, packages: [x], cycles: [{cycle: '1'}]}\n",
                "e.yaml:3:3: an operating",
            ),
            ("  x: {name: X, kind: os, source: s, cycles: []}\n", "without cycles"),
            ("  x: {name: X, kind: os, source: s, cycles: [{cycle: '1'}, {cycle: '1'}]}\n", "`1` stands twice"),
            ("  x: {name: X, kind: os, source: s, cycles: [{cycle: x}]}\n", "does not begin with a digit"),
            ("  x: {name: X, kind: os, source: s, cycles: [{cycle: '1', ships: {y: ['1']}}]}\n", "`y` is not among"),
            (
                "  x: {name: X, kind: os, source: s, cycles: [{cycle: '1', ends: {regular: 2026-02-01, lts: 2026-01-01}}]}\n",
                "a later channel ends before",
            ),
            ("  x: {name: X, kind: os, source: s, cycles: [{cycle: '1', ends: {regluar: 2026-02-01}}]}\n", "`regluar`"),
            ("  x: {name: X, kind: os, source: s, cycles: [{cycle: '1', ends: {lts: 2026-02-30}}]}\n", "e.yaml:3:"),
            ("  x: {name: X, kind: os, source: s, cycles: \"1 soon soon\"}\n", "two code names"),
            ("  x: {name: X, kind: os, source: s, cycles: \"1 2026-02-30\"}\n", "e.yaml:3:45: `1 2026-02-30`"),
            ("  x: {name: X, kind: os, source: s, cycles: '1', ships: 2 y=1}\n", "the cycle `2` is not among"),
            ("  x: {name: X, kind: os, source: s, cycles: '1', ships: 1 y}\n", "`y` is not PRODUCT="),
            ("  x: {name: X, kind: os, source: s, cycles: '1', unchecked: ['2']}\n", "unchecked cycle `2`"),
            ("  x: {name: X, kind: software, source: s, packages: ['*'], cycles: [{cycle: '1'}]}\n", "`*`"),
        ] {
            let said = complaint(products);
            assert!(said.contains(why), "{products}: {said}");
        }
    }

    #[test]
    fn the_age_is_said_in_months_so_that_findings_rest() {
        let mut data = shipped();
        data.data.updated = day("2026-11-22");
        assert_eq!(data.age(day("2026-11-23")), "dates of 2026-11-22, less than a month old");
        assert_eq!(data.age(day("2026-01-01")), "dates of 2026-11-22, less than a month old");
        assert_eq!(data.age(day("2027-01-05")), "dates of 2026-11-22, a month old");
        assert_eq!(data.age(day("2027-06-01")), "dates of 2026-11-22, 6 months old");
    }
}
