//! What a rule asks of a version: `>= 1.2-3`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::dpkg::{BadVersion, DpkgVersion};
use super::rpm::RpmVersion;
use super::{alpm, apk};

/// Whose order of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// dpkg's: also that of snap and flatpak, which have none of their own.
    Dpkg,
    /// rpm's.
    Rpm,
    /// apk's.
    Apk,
    /// pacman's.
    Alpm,
}

impl Order {
    /// How `left` stands to `right`. With rpm and pacman a release that one of them does not name does not count: their
    /// dependencies are written so.
    pub fn compare(self, left: &str, right: &str) -> Result<Ordering, BadVersion> {
        match self {
            Self::Dpkg => Ok(DpkgVersion::parse(left)?.cmp(&DpkgVersion::parse(right)?)),
            Self::Rpm => Ok(RpmVersion::parse(left).compare_loosely(&RpmVersion::parse(right))),
            Self::Apk => apk::compare(left, right),
            Self::Alpm => Ok(alpm::compare(left, right)),
        }
    }
}

/// How a version is to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Before,
    /// `<=`
    UpTo,
    /// `=`
    Exactly,
    /// `>=`
    From,
    /// `>`
    After,
}

/// Longer signs first, so that `>=` is not read as `>`.
const SIGNS: [(&str, Operator); 5] = [
    ("<=", Operator::UpTo),
    (">=", Operator::From),
    ("<", Operator::Before),
    (">", Operator::After),
    ("=", Operator::Exactly),
];

/// An operator and a version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Constraint {
    operator: Operator,
    version: String,
}

impl Constraint {
    /// Whether `version` satisfies it.
    pub fn admits(&self, order: Order, version: &str) -> Result<bool, BadVersion> {
        let order = order.compare(version, &self.version)?;
        Ok(match self.operator {
            Operator::Before => order == Ordering::Less,
            Operator::UpTo => order != Ordering::Greater,
            Operator::Exactly => order == Ordering::Equal,
            Operator::From => order != Ordering::Less,
            Operator::After => order == Ordering::Greater,
        })
    }
}

impl FromStr for Constraint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = SIGNS.iter().find_map(|(sign, operator)| Some((*operator, text.trim().strip_prefix(sign)?.trim())));
        let Some((operator, version)) = found else {
            return Err(format!("`{text}` does not begin with one of >= > = < <= (write `>= 1.2-3`)"));
        };
        // Whose order it will be is not known yet; what dpkg refuses, nobody writes.
        DpkgVersion::parse(version).map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Self { operator, version: version.to_owned() })
    }
}

impl TryFrom<String> for Constraint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = SIGNS.iter().find(|(_, operator)| *operator == self.operator).map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_admits_what_it_says() {
        for (constraint, admitted) in [
            ("< 2", [true, false, false]),
            ("<= 2", [true, true, false]),
            ("= 2", [false, true, false]),
            (">= 2", [false, true, true]),
            (">2", [false, false, true]),
        ] {
            let constraint: Constraint = constraint.parse().unwrap();
            assert_eq!(
                ["1", "2", "3"].map(|version| constraint.admits(Order::Dpkg, version).unwrap()),
                admitted,
                "{constraint}"
            );
        }
    }

    #[test]
    fn a_release_that_is_not_named_does_not_count_where_its_manager_has_it_so() {
        let exactly: Constraint = "= 1.2".parse().unwrap();
        for (order, admitted) in [(Order::Dpkg, false), (Order::Rpm, true), (Order::Alpm, true)] {
            assert_eq!(exactly.admits(order, "1.2-3").unwrap(), admitted, "{order:?}");
        }
        assert!("> 1.2".parse::<Constraint>().unwrap().admits(Order::Apk, "1.2-r0").is_ok_and(|admitted| admitted));
    }

    #[test]
    fn what_is_no_constraint_is_refused_with_its_text() {
        for text in ["", "1.2", ">=", ">= 1 2", "== 1-", "~> 2"] {
            let said = text.parse::<Constraint>().unwrap_err();
            assert!(said.contains(&format!("`{text}`")), "{said}");
        }
    }
}
