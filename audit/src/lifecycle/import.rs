//! Newer dates from endoflife.date: its API's version 1 document `products/full`, put over the dates at hand.
//!
//! Which products there are, which packages are them and what a distribution ships stays as it is here; only dates are taken.
//! The document comes from elsewhere: its size, the number of its entries and the form of every name and date are checked, and
//! what is wrong is said with its place. Entries that are not products known here are passed over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Channel, Cycle, Lifecycles, Product, table};
use crate::yaml::short;

/// The largest document, in bytes; the real one has some 6 MB.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The most products; the real document has some 450.
const MAX_PRODUCTS: usize = 5_000;
/// The most releases of one product; real ones have some 300.
const MAX_RELEASES: usize = 2_000;
/// The longest name of a cycle kept, in bytes.
const MAX_NAME: usize = 32;

/// What came of it.
#[derive(Debug)]
pub struct Imported {
    /// The dates as a document that [`Lifecycles::parse`] accepts.
    pub text: String,
    /// How many products have dates from the document.
    pub products: usize,
    /// How many cycles of them were new or have other dates than before.
    pub changed: usize,
    /// Products that the document does not hold: their dates are as they were.
    pub kept: Vec<String>,
    /// Cycles whose names cannot be the beginning of a version.
    pub skipped: usize,
}

/// The document. Fields this reads nothing from are passed over: the API adds some from time to time.
#[derive(Deserialize)]
struct Full {
    schema_version: String,
    generated_at: DateTime<Utc>,
    result: Vec<Theirs>,
}

#[derive(Deserialize)]
struct Theirs {
    name: String,
    releases: Vec<Release>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Release {
    name: String,
    is_eol: bool,
    eol_from: Option<chrono::NaiveDate>,
    #[serde(default)]
    eoes_from: Option<chrono::NaiveDate>,
}

/// Puts the dates of `bytes` over those of `base`. `file` is only its name, for complaints.
pub fn import(file: &str, bytes: &[u8], base: &Lifecycles) -> Result<Imported, String> {
    take_over(file, bytes, base).map_err(short)
}

fn take_over(file: &str, bytes: &[u8], base: &Lifecycles) -> Result<Imported, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("{file}: {} bytes, more than the {MAX_BYTES} allowed", bytes.len()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let full: Full = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| format!("{file}: {}: {}", error.path(), error.inner()))?;
    json.end().map_err(|error| format!("{file}: {error}"))?;
    if !full.schema_version.starts_with("1.") {
        let message = format!("{file}: schema_version: {:?}, not a version 1", full.schema_version);
        return Err(message);
    }
    if full.result.len() > MAX_PRODUCTS {
        return Err(format!("{file}: result: more than {MAX_PRODUCTS} products"));
    }
    let mut theirs = BTreeMap::new();
    for (number, product) in full.result.iter().enumerate() {
        if product.releases.len() > MAX_RELEASES {
            return Err(format!("{file}: result[{number}].releases: more than {MAX_RELEASES} releases"));
        }
        if theirs.insert(product.name.as_str(), product).is_some() {
            return Err(format!("{file}: result[{number}].name: {:?} stands twice", product.name));
        }
    }
    let mut imported = Imported { text: String::new(), products: 0, changed: 0, kept: Vec::new(), skipped: 0 };
    let mut products = base.data.products.clone();
    for (id, product) in &mut products {
        match theirs.get(product.endoflife.as_deref().unwrap_or(id)) {
            Some(theirs) => {
                imported.products += 1;
                take(product, theirs, &mut imported);
                product.checked = Some(format!("endoflife.date {}", full.generated_at.format("%Y-%m")));
                product.unchecked = Vec::new();
            }
            None => imported.kept.push(id.clone()),
        }
    }
    imported.text = document(base, full.generated_at, &products)?;
    let read = Lifecycles::parse(file, imported.text.as_bytes());
    read.map_err(|complaint| format!("{file}: its dates contradict each other: {complaint}"))?;
    Ok(imported)
}

/// Takes the dates of each release: a channel it says is theirs, one it does not say stays as it was.
fn take(product: &mut Product, theirs: &Theirs, imported: &mut Imported) {
    let extended = product.eoes.unwrap_or(Channel::Extended);
    for release in &theirs.releases {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if release.name.len() > MAX_NAME
            || !release.name.starts_with(|first: char| first.is_ascii_digit())
            || !release.name.bytes().all(plain)
        {
            imported.skipped += 1;
            continue;
        }
        // Ended, nobody says when: no date to judge by.
        if release.is_eol && release.eol_from.is_none() {
            continue;
        }
        let known = product.cycles.iter_mut().find(|cycle| cycle.cycle == release.name);
        let before = known.as_ref().map(|cycle| cycle.ends.clone());
        let mut ends = before.clone().unwrap_or_default();
        if let Some(day) = release.eol_from {
            ends.insert(Channel::Regular, day);
        }
        if let Some(day) = release.eoes_from {
            ends.insert(extended, day);
        }
        imported.changed += usize::from(before.as_ref() != Some(&ends));
        match known {
            Some(cycle) => cycle.ends = ends,
            None => product.cycles.push(Cycle {
                cycle: release.name.clone(),
                codename: None,
                released: None,
                ends,
                ships: BTreeMap::new(),
            }),
        }
    }
}

/// The document that says `products`.
fn document(base: &Lifecycles, made: DateTime<Utc>, products: &BTreeMap<String, Product>) -> Result<String, String> {
    let quoted = |text: &str| serde_json::to_string(text).map_err(|error| error.to_string());
    let list = |names: &[super::NamePattern]| -> Result<String, String> {
        let names: Result<Vec<String>, String> = names.iter().map(|name| quoted(&name.to_string())).collect();
        Ok(names?.join(", "))
    };
    let foreign: Result<Vec<String>, String> = base.data.foreign.iter().map(|glob| quoted(&glob.to_string())).collect();
    let mut text = format!(
        "# Made by `eol import` from endoflife.date's products/full and the dates of {}.\nupdated: {}\nforeign: [{}]\nproducts:\n",
        base.data.updated,
        made.date_naive(),
        foreign?.join(", ")
    );
    for (id, product) in products {
        let kind = match product.kind {
            super::Kind::Os => "os",
            super::Kind::Software => "software",
        };
        text += &format!("  {id}:\n    name: {}\n    kind: {kind}\n", quoted(&product.name)?);
        text += &format!("    source: {}\n", quoted(&product.source)?);
        for (key, value) in [("checked", &product.checked), ("endoflife", &product.endoflife)] {
            if let Some(value) = value {
                text += &format!("    {key}: {}\n", quoted(value)?);
            }
        }
        if let Some(channel) = product.eoes {
            text += &format!("    eoes: {channel}\n");
        }
        for (key, names) in [("packages", &product.packages), ("from_maker", &product.from_maker)] {
            if !names.is_empty() {
                text += &format!("    {key}: [{}]\n", list(names)?);
            }
        }
        text += "    cycles: |\n";
        for cycle in &product.cycles {
            text += &format!("      {}\n", table::row(cycle));
        }
        if product.cycles.iter().any(|cycle| !cycle.ships.is_empty()) {
            text += "    ships: |\n";
        }
        for cycle in product.cycles.iter().filter(|cycle| !cycle.ships.is_empty()) {
            let words: Vec<String> =
                cycle.ships.iter().map(|(product, cycles)| format!("{product}={}", cycles.join(","))).collect();
            text += &format!("      {} {}\n", cycle.cycle, words.join(" "));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::End;
    use super::*;

    /// Written by hand after the API's own description, version 1.1.0, with what it says beside the dates.
    const FULL: &str = include_str!("../../tests/data/products-full.json");

    fn shipped() -> Lifecycles {
        Lifecycles::shipped().unwrap()
    }

    fn refused(from: &str, to: &str) -> String {
        let text = FULL.replacen(from, to, 1);
        assert_ne!(text, FULL, "{from} is not in the document");
        import("full.json", text.as_bytes(), &shipped()).unwrap_err()
    }

    #[test]
    fn a_complaint_does_not_repeat_all_that_was_written() {
        let said = import("full.json", format!("\"{}\"", "c".repeat(100_000)).as_bytes(), &shipped()).unwrap_err();
        assert!(said.starts_with("full.json: ") && said.len() < 2100, "{}", said.len());
    }

    #[test]
    fn newer_dates_are_taken_and_all_else_stays() {
        let base = shipped();
        let imported = import("full.json", FULL.as_bytes(), &base).unwrap();
        assert_eq!((imported.products, imported.changed, imported.skipped), (3, 4, 1));
        assert!(imported.kept.contains(&"perl".to_owned()) && !imported.kept.contains(&"debian".to_owned()));
        let read = Lifecycles::parse("new.yaml", imported.text.as_bytes()).unwrap();
        assert_eq!(read.data.updated.to_string(), "2026-12-01");
        assert_ne!(read.digest, base.digest);
        let end = |product: &str, cycle: &str, channel| {
            let found = read.product(product).unwrap().cycle(cycle).and_then(|cycle| cycle.end(channel));
            found.map(|end| match end {
                End::On(day, _) => day.to_string(),
                End::Open => "open".to_owned(),
            })
        };
        assert_eq!(end("postgresql", "19", Channel::Regular).as_deref(), Some("2031-11-13"));
        assert_eq!(end("postgresql", "9.6", Channel::Regular).as_deref(), Some("2021-11-11"));
        // Extended support there is Debian's LTS; what the document does not say stays.
        assert_eq!(end("debian", "12", Channel::Lts).as_deref(), Some("2028-07-01"));
        assert_eq!(end("debian", "12", Channel::Extended).as_deref(), Some("2033-06-30"));
        assert_eq!(end("apache", "2.6", Channel::Regular).as_deref(), Some("open"));
        let debian = read.product("debian").unwrap();
        let before = base.product("debian").unwrap();
        assert_eq!(debian.cycle("12").unwrap().ships, before.cycle("12").unwrap().ships);
        assert_eq!(read.product("php").unwrap().packages, base.product("php").unwrap().packages);
        assert_eq!(read.data.foreign.len(), base.data.foreign.len());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (from, to, why) in [
            ("\"2031-11-13\"", "\"soon\"", "full.json: result[0].releases[0].eolFrom: "),
            ("\"isEol\": false", "\"isEol\": 0", "full.json: result[0].releases[0].isEol: "),
            ("\"releases\": [", "\"releases\": [3, ", "full.json: result[0].releases[0]: "),
            ("\"generated_at\"", "\"made\"", "missing field `generated_at`"),
            ("\"1.1.0\"", "\"2.0.0\"", "full.json: schema_version: \"2.0.0\", not a version 1"),
            ("\"debian\"", "\"postgresql\"", "full.json: result[1].name: \"postgresql\" stands twice"),
            ("\"2028-07-01\"", "\"2020-01-01\"", "a later channel ends before an earlier one"),
        ] {
            let said = refused(from, to);
            assert!(said.contains(why), "{to}: {said}");
        }
        assert!(import("f", b"{", &shipped()).unwrap_err().contains("line 1 column"));
        let followed = format!("{FULL}{{}}");
        assert!(import("f", followed.as_bytes(), &shipped()).unwrap_err().contains("trailing"));
        let deep = "[".repeat(100_000);
        let nested = FULL.replacen("\"identifiers\": []", &format!("\"identifiers\": {deep}"), 1);
        assert!(import("f", nested.as_bytes(), &shipped()).unwrap_err().contains("line "));
        assert!(import("f", &vec![b' '; MAX_BYTES + 1], &shipped()).unwrap_err().contains("more than the"));
    }

    #[test]
    fn too_many_of_anything_is_refused() {
        let product = |name: usize, releases: &str| format!("{{\"name\":\"{name}\",\"releases\":[{releases}]}}");
        let wrap = |products: &str| {
            format!("{{\"schema_version\":\"1.0\",\"generated_at\":\"2026-12-01T00:00:00Z\",\"result\":[{products}]}}")
        };
        let many: Vec<String> = (0..=MAX_PRODUCTS).map(|number| product(number, "")).collect();
        let said = import("f", wrap(&many.join(",")).as_bytes(), &shipped()).unwrap_err();
        assert!(said.contains("more than 5000 products"), "{said}");
        let release = "{\"name\":\"1\",\"isEol\":false,\"eolFrom\":null}";
        let long = product(1, &vec![release; MAX_RELEASES + 1].join(","));
        let said = import("f", wrap(&long).as_bytes(), &shipped()).unwrap_err();
        assert!(said.contains("result[0].releases: more than 2000"), "{said}");
    }
}
