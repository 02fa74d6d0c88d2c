//! Cycles as a table, one a line: `12 bookworm 2026-07-11 lts=2028-06-30`. A hundred lines of it are read in the time YAML
//! takes for ten mappings, and a person sees the dates below each other. The mappings are understood too.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize as _, Deserializer};

use super::{Channel, Cycle};

/// Cycle by cycle of an operating system: the cycles of each product that it ships.
pub(super) type Ships = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// A table, or a list of mappings.
pub(super) fn cycles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Cycle>, D::Error> {
    struct TableOrList;
    impl<'de> Visitor<'de> for TableOrList {
        type Value = Vec<Cycle>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of cycles, or a list of them")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<Cycle>, E> {
            rows(text).map(|row| cycle(row).map_err(|why| E::custom(format!("`{row}`: {why}")))).collect()
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Cycle>, A::Error> {
            let mut cycles = Vec::new();
            while let Some(cycle) = list.next_element()? {
                cycles.push(cycle);
            }
            Ok(cycles)
        }
    }
    deserializer.deserialize_any(TableOrList)
}

/// A table `CYCLE PRODUCT=CYCLE,CYCLE …`.
pub(super) fn ships<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ships, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut ships = Ships::new();
    for row in rows(&text) {
        let mut words = row.split_ascii_whitespace();
        let entry = ships.entry(words.next().unwrap_or_default().to_owned()).or_default();
        for word in words {
            let (product, cycles) =
                word.split_once('=').ok_or_else(|| D::Error::custom(format!("`{word}` is not PRODUCT=CYCLE,CYCLE")))?;
            entry.insert(product.to_owned(), cycles.split(',').map(str::to_owned).collect());
        }
    }
    Ok(ships)
}

fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_ascii).filter(|row| !row.is_empty() && !row.starts_with('#'))
}

/// `CYCLE [CODENAME] [released=DATE] [DATE] [CHANNEL=DATE]…`; the date alone is that of regular support.
fn cycle(row: &str) -> Result<Cycle, String> {
    let mut words = row.split_ascii_whitespace();
    let cycle = words.next().unwrap_or_default().to_owned();
    let mut read = Cycle { cycle, codename: None, released: None, ends: BTreeMap::new(), ships: BTreeMap::new() };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or(("", word));
        let channel = match key {
            "" if !value.starts_with(|first: char| first.is_ascii_digit()) => {
                if read.codename.replace(value.to_owned()).is_some() {
                    return Err("two code names".into());
                }
                continue;
            }
            "released" => {
                read.released = Some(day(value)?);
                continue;
            }
            "" | "regular" => Channel::Regular,
            "lts" => Channel::Lts,
            "extended" => Channel::Extended,
            "legacy" => Channel::Legacy,
            other => return Err(format!("`{other}` is neither `released` nor a channel")),
        };
        if read.ends.insert(channel, day(value)?).is_some() {
            return Err(format!("two ends of {channel} support"));
        }
    }
    Ok(read)
}

fn day(text: &str) -> Result<NaiveDate, String> {
    // chrono's own reading of a text, which allows for far more, takes ten times as long.
    let day = match text.as_bytes() {
        [year @ .., b'-', m1, m2, b'-', d1, d2] if year.len() == 4 => {
            number(year).zip(number(&[*m1, *m2])).zip(number(&[*d1, *d2]))
        }
        _ => None,
    };
    let day = day.and_then(|((year, month), day)| NaiveDate::from_ymd_opt(year.cast_signed(), month, day));
    day.ok_or_else(|| format!("`{text}` is not a day such as 2026-11-22"))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

/// The row that says `cycle`.
pub(super) fn row(cycle: &Cycle) -> String {
    let mut row = cycle.cycle.clone();
    if let Some(codename) = &cycle.codename {
        row += &format!(" {codename}");
    }
    if let Some(released) = cycle.released {
        row += &format!(" released={released}");
    }
    for (channel, day) in &cycle.ends {
        row += &match channel {
            Channel::Regular => format!(" {day}"),
            Channel::Lts | Channel::Extended | Channel::Legacy => format!(" {channel}={day}"),
        };
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_a_cycle_and_is_said_again_as_it_was() {
        for text in [
            "2.4",
            "18 2030-11-14",
            "12 bookworm released=2023-06-10 2026-07-11 lts=2028-06-30 extended=2033-06-30",
            "24.04 noble 2029-05-31 extended=2034-04-25 legacy=2036-04-29",
        ] {
            assert_eq!(row(&cycle(text).unwrap()), text);
        }
    }

    #[test]
    fn a_row_that_says_something_else_is_refused() {
        for (text, why) in [
            ("1 2026-02-30", "`2026-02-30` is not a day"),
            ("1 2026-01-01 2026-01-02", "two ends of regular"),
            ("1 a b", "two code names"),
            ("1 esm=2026-01-01", "neither `released` nor a channel"),
        ] {
            assert!(cycle(text).unwrap_err().contains(why), "{text}");
        }
    }
}
