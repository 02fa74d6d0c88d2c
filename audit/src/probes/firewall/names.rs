//! Sets of interface names: some, or all, without some others. A name that ends in `*` stands for all that begin so, as
//! in nft.

use std::collections::BTreeSet;

/// A set of interface names, in one form for one meaning as far as its patterns go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Names {
    /// These; every one where there is no list.
    only: Option<BTreeSet<String>>,
    /// But these.
    except: BTreeSet<String>,
}

impl Names {
    pub(super) fn any() -> Self {
        Self { only: None, except: BTreeSet::new() }
    }

    pub(super) fn only(names: impl IntoIterator<Item = String>) -> Self {
        Self::of(Some(names.into_iter().collect()), BTreeSet::new())
    }

    /// `only` (every name where it is `None`) without `except`.
    pub(super) fn of(only: Option<BTreeSet<String>>, except: BTreeSet<String>) -> Self {
        let covered =
            |list: &BTreeSet<String>, name: &String| list.iter().any(|other| other != name && covers(other, name));
        let only = only.map(|only| {
            let kept = |name: &&String| !covered(&only, name) && !except.iter().any(|pattern| covers(pattern, name));
            only.iter().filter(kept).cloned().collect::<BTreeSet<_>>()
        });
        let meets = |name: &String| only.as_ref().is_none_or(|only| only.iter().any(|one| meet(one, name).is_some()));
        let except = except.iter().filter(|name| !covered(&except, name) && meets(name)).cloned().collect();
        Self { only, except }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.only.as_ref().is_some_and(BTreeSet::is_empty)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let only = match (&self.only, &other.only) {
            (None, None) => None,
            (Some(only), None) | (None, Some(only)) => Some(only.clone()),
            (Some(left), Some(right)) => Some(
                left.iter().flat_map(|one| right.iter().filter_map(|two| meet(one, two))).map(str::to_owned).collect(),
            ),
        };
        Self::of(only, self.except.union(&other.except).cloned().collect())
    }

    /// All names that are not here, as disjoint sets.
    pub(super) fn complement(&self) -> Vec<Self> {
        let outside = self.only.as_ref().map(|only| Self::of(None, only.clone()));
        let excepted = Self::of(Some(self.except.clone()), BTreeSet::new());
        let inside = match &self.only {
            Some(only) => excepted.and(&Self::only(only.iter().cloned())),
            None => excepted,
        };
        outside.into_iter().chain([inside]).filter(|names| !names.is_empty()).collect()
    }

    /// The names here or in `other`, where one set can say so.
    pub(super) fn or(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            _ if self == other => Some(self.clone()),
            (Self { only: Some(only), except }, all) | (all, Self { only: Some(only), except })
                if except.is_empty() && only.is_subset(&all.except) =>
            {
                Some(Self::of(all.only.clone(), all.except.difference(only).cloned().collect()))
            }
            _ => None,
        }
    }

    /// As people write them: `any`, `eth0`, `not eth0`, `eth*` with `not eth0`.
    pub(super) fn words(&self) -> Vec<String> {
        let except = self.except.iter().map(|name| format!("not {name}"));
        match &self.only {
            None if self.except.is_empty() => vec!["any".to_owned()],
            None => except.collect(),
            Some(only) => only.iter().cloned().chain(except).collect(),
        }
    }

    /// What those words mean.
    pub(super) fn parse(words: &[String]) -> Self {
        let (except, only): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.starts_with("not "));
        let except = except.into_iter().filter_map(|word| word.strip_prefix("not ")).map(str::to_owned).collect();
        let any = only.is_empty() || only.iter().any(|word| *word == "any");
        Self::of((!any).then(|| only.into_iter().cloned().collect()), except)
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    pattern == name || pattern.strip_suffix('*').is_some_and(|start| name.starts_with(start))
}

fn meet<'a>(one: &'a str, two: &'a str) -> Option<&'a str> {
    if covers(one, two) {
        Some(two)
    } else if covers(two, one) {
        Some(one)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> Names {
        Names::parse(&words.split(", ").map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn patterns_cover_names_and_exceptions_stay_exact() {
        assert_eq!(said("eth*, lo").and(&said("eth0, wg0")), said("eth0"));
        assert_eq!(said("eth*, lo").and(&said("not eth0")).words(), ["eth*", "lo", "not eth0"]);
        assert_eq!(said("eth0, lo").and(&said("not eth*")), said("lo"));
        assert_eq!(said("eth*, not eth1").complement(), [said("not eth*"), said("eth1")]);
        assert!(said("lo").and(&said("not lo")).is_empty());
        assert!(said("any").complement().is_empty());
        assert_eq!(said("not eth0").or(&said("eth0")), Some(said("any")));
        assert_eq!(said("eth0").or(&said("eth1")), None);
    }

    #[test]
    fn of_every_name_a_set_and_its_complement_hold_just_one() {
        let sets = ["any", "eth0", "eth*", "eth*, not eth1", "not eth1", "eth0, wg*, not wg1", "not eth*, not wg0"];
        let holds = |names: &Names, name: &str| !names.and(&said(name)).is_empty();
        for (set, name) in sets.iter().flat_map(|set| ["eth0", "eth1", "wg0", "wg1", "lo"].map(|name| (set, name))) {
            let count = said(set).complement().iter().filter(|rest| holds(rest, name)).count();
            assert_eq!(count + usize::from(holds(&said(set), name)), 1, "{set}: {name}");
        }
    }
}
