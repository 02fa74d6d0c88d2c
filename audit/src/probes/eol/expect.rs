//! What a rule can ask about the end of life.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::lifecycle::Channel;

/// What a rule can ask; what it leaves out has the default said there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The furthest channel of support this host has. Long-term support by default: it is for everybody.
    #[serde(default = "lts")]
    pub channel: Channel,
    /// How much longer than today support must last; by default no longer.
    #[serde(default)]
    pub warn: Days,
    /// What is judged; everything by default.
    #[serde(default)]
    pub products: Products,
    /// Whose word counts for software the distribution ships; the distribution's by default.
    #[serde(default)]
    pub software: Whose,
    /// How old the dates may be; any age by default.
    pub data_age: Option<Days>,
}

fn lts() -> Channel {
    Channel::Lts
}

/// Whose end of life counts for software that the distribution ships.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// The distribution's: it mends what it ships.
    #[default]
    Distribution,
    /// The maker's.
    Maker,
}

/// A number of days, written `90d` or `12w`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Days(pub u16);

impl TryFrom<String> for Days {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a time such as `90d` or `12w`, of ten years at most");
        let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('w')) {
            (Some(days), _) => (days, 1),
            (None, Some(weeks)) => (weeks, 7),
            (None, None) => return Err(wrong()),
        };
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let days = number.parse::<u16>().ok().filter(|_| plain).and_then(|number| number.checked_mul(unit));
        days.filter(|days| *days <= 3_660).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} days", self.0)
    }
}

/// What is judged: `all`, or a list of `os`, `software` and products by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Products(pub(super) Vec<String>);

impl Default for Products {
    fn default() -> Self {
        Self(vec!["all".into()])
    }
}

impl Products {
    pub(super) fn os(&self) -> bool {
        self.0.iter().any(|name| name == "all" || name == "os")
    }

    pub(super) fn software(&self) -> bool {
        self.0.iter().any(|name| name == "all" || name == "software")
    }

    /// The products asked for by name.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|name| !["all", "os", "software"].contains(name))
    }
}

impl<'de> Deserialize<'de> for Products {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Products;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all`, `os`, `software`, or a list of those and of products")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Products, E> {
                Ok(Products(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Products, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Products(names))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    if expect.products.0.is_empty() && expect.data_age.is_none() {
        let message = "no products and no `data_age`: that asks nothing";
        return Err(("products".into(), message.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(yaml: &str) -> Result<Expect, String> {
        let expect: Expect = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        check(&expect).map_err(|(at, message)| format!("{at}: {message}"))?;
        Ok(expect)
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let expect = expect("{}").unwrap();
        assert_eq!((expect.channel, expect.warn, expect.software), (Channel::Lts, Days(0), Whose::Distribution));
        assert!(expect.products.os() && expect.products.software() && expect.data_age.is_none());
    }

    #[test]
    fn days_and_weeks_are_times_and_nothing_else_is() {
        for (text, days) in [("0d", 0), ("90d", 90), ("12w", 84)] {
            assert_eq!(Days::try_from(text.to_owned()), Ok(Days(days)));
        }
        for text in ["", "d", "90", "-1d", "+1d", "3m", "1.5d", "90 d", "9999d", "99999d", "60000w"] {
            assert!(Days::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_asks_nothing_or_is_misspelt_is_refused() {
        for (yaml, why) in [
            ("products: []", "asks nothing"),
            ("products: 3", "`all`, `os`"),
            ("chanel: lts", "unknown field `chanel`"),
            ("channel: elts", "unknown variant `elts`"),
            ("software: debian", "unknown variant `debian`"),
            ("warn: soon", "`soon` is not a time"),
        ] {
            let said = expect(yaml).unwrap_err();
            assert!(said.contains(why), "{yaml}: {said}");
        }
        assert!(expect("{products: [], data_age: 180d}").is_ok());
    }
}
