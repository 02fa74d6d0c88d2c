//! What a rule can ask of packages, and the answers.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Origin, Package, Packages, Selection, State};
use crate::change::Pattern;
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::Gap;
use crate::probe::Probe as _;
use crate::version::Constraint;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Packages that must be installed.
    pub present: Option<Vec<Wanted>>,
    /// Packages that must not be on the disk.
    pub absent: Option<Vec<Wanted>>,
    /// The only packages that may be on the disk.
    pub only: Option<Vec<Name>>,
    /// That no package is between two states.
    pub intact: Option<bool>,
    /// The only packages that may be held back from updates.
    pub held: Option<Vec<Name>>,
    /// The only vendors rpm's packages may name.
    pub vendors: Option<Vec<Pattern>>,
}

/// A package, and perhaps its version: `openssl` or `{name: openssl, version: ">= 3"}`.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which.
    pub name: Name,
    /// In which version.
    pub version: Option<Constraint>,
}

/// A package's name, or a glob over names; with a colon, over `name:architecture`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Name {
    text: String,
    /// Whether it names an architecture too.
    whole: bool,
    /// Compiled only where the text has anything to expand.
    glob: Option<Pattern>,
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pattern: Pattern = text.parse()?;
        let glob = text.contains(['*', '?', '[', '{', '\\']).then_some(pattern);
        if glob.is_none() && !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._:".contains(&byte)) {
            return Err(format!("`{text}` cannot be the name of a package"));
        }
        Ok(Self { whole: text.contains(':'), text, glob })
    }
}

impl Name {
    fn matches(&self, subject: &str, name: &str) -> bool {
        let candidate = if self.whole { subject } else { name };
        match &self.glob {
            Some(glob) => glob.matches(candidate),
            None => self.text == candidate,
        }
    }

    /// The gap that may hide a package of this name.
    fn hidden<'a>(&self, items: &'a Observed<Package>) -> Option<&'a Gap> {
        let own = self.text.split(':').next().unwrap_or("");
        let may_hide = |prefix: &str| match prefix.strip_suffix(':') {
            None => true,
            Some(name) => match &self.glob {
                // A glob that names an architecture is not taken apart.
                Some(glob) => self.whole || glob.matches(name),
                None => own == name,
            },
        };
        items.gaps.iter().find(|(prefix, _)| may_hide(prefix)).map(|(_, gap)| gap)
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            name: Name,
            version: Option<Constraint>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Wanted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a package's name, or {name: …, version: \">= …\"}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Wanted, E> {
                let name = Name::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Wanted { name, version: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Wanted, A::Error> {
                let Long { name, version } = Long::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Wanted { name, version })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let empty = |key: &str| Err((key.to_owned(), "an empty list asks nothing".to_owned()));
    if expect.present.as_ref().is_some_and(Vec::is_empty) {
        return empty("present");
    }
    if expect.absent.as_ref().is_some_and(Vec::is_empty) {
        return empty("absent");
    }
    if expect.only.as_ref().is_some_and(Vec::is_empty) {
        return empty("only");
    }
    if expect.vendors.as_ref().is_some_and(Vec::is_empty) {
        return empty("vendors");
    }
    if expect.intact == Some(false) {
        return Err(("intact".into(), "`intact: false` asks nothing: leave it out".into()));
    }
    let lists = [expect.present.is_some(), expect.absent.is_some(), expect.only.is_some(), expect.held.is_some()];
    if !lists.contains(&true) && expect.intact.is_none() && expect.vendors.is_none() {
        let all = "`present`, `absent`, `only`, `intact`, `held`, `vendors`";
        return Err((String::new(), format!("ask at least one of {all}")));
    }
    Ok(())
}

/// A package with its subject.
type Seen<'a> = (&'a String, &'a Package);

pub(super) fn judge(expect: &Expect, facts: &Facts<Package, Origin>) -> Vec<Judgement> {
    let items = &facts.items;
    let mut judgements = Vec::new();
    for wanted in expect.present.iter().flatten() {
        judgements.extend(present(wanted, items));
    }
    for unwanted in expect.absent.iter().flatten() {
        judgements.extend(absent(unwanted, items));
    }
    if let Some(names) = &expect.only {
        judgements.extend(only(names, items));
    }
    if expect.intact.is_some() {
        judgements.extend(intact(items));
    }
    if let Some(names) = &expect.held {
        judgements.extend(held(names, items));
    }
    if let Some(vendors) = &expect.vendors {
        judgements.extend(vendors_of(vendors, facts));
    }
    judgements
}

fn matching<'a>(name: &Name, items: &'a Observed<Package>) -> Vec<Seen<'a>> {
    items.seen.iter().filter(|(subject, package)| name.matches(subject, &package.name)).collect()
}

fn present(wanted: &Wanted, items: &Observed<Package>) -> Vec<Judgement> {
    let expected = match &wanted.version {
        Some(version) => format!("installed, {version}"),
        None => "installed".to_owned(),
    };
    let found = matching(&wanted.name, items);
    let (whole, parts): (Vec<Seen<'_>>, Vec<Seen<'_>>) =
        found.into_iter().partition(|(_, package)| is_whole(package.state));
    if whole.is_empty() {
        if let Some(gap) = wanted.name.hidden(items) {
            return vec![Judgement::unseen(gap, wanted.name.text.clone(), expected)];
        }
        let observed = match parts.first() {
            Some((_, package)) => Packages::say(package),
            None => "not installed".to_owned(),
        };
        return vec![Judgement::new(Status::Deviation, wanted.name.text.clone(), expected, observed)];
    }
    let Some(version) = &wanted.version else {
        return vec![Judgement::new(Status::Pass, subject(&wanted.name, &whole), expected, list(&whole))];
    };
    whole
        .into_iter()
        .map(|(subject, package)| match version.admits(package.manager.order(), &package.version) {
            Ok(admitted) => Judgement::when(admitted, subject.clone(), expected.clone(), Packages::say(package)),
            Err(error) => Judgement::new(
                Status::Unknown,
                subject.clone(),
                expected.clone(),
                format!("{}: {error}", Packages::say(package)),
            ),
        })
        .collect()
}

fn absent(unwanted: &Wanted, items: &Observed<Package>) -> Vec<Judgement> {
    let expected = match &unwanted.version {
        Some(version) => format!("not installed in any version {version}"),
        None => "not installed".to_owned(),
    };
    let found: Vec<Seen<'_>> =
        matching(&unwanted.name, items).into_iter().filter(|(_, package)| is_on_disk(package.state)).collect();
    let mut judgements = Vec::new();
    for (subject, package) in &found {
        let admitted = unwanted
            .version
            .as_ref()
            .map_or(Ok(true), |version| version.admits(package.manager.order(), &package.version));
        let observed = Packages::say(package);
        match admitted {
            Ok(true) => {
                judgements.push(Judgement::new(Status::Deviation, subject.as_str(), expected.clone(), observed));
            }
            Ok(false) => {}
            Err(error) => {
                let observed = format!("{observed}: {error}");
                judgements.push(Judgement::new(Status::Unknown, subject.as_str(), expected.clone(), observed));
            }
        }
    }
    if let Some(gap) = unwanted.name.hidden(items) {
        judgements.push(Judgement::unseen(gap, unwanted.name.text.clone(), expected));
    } else if judgements.is_empty() {
        let observed = if found.is_empty() { "not installed".to_owned() } else { list(&found) };
        judgements.push(Judgement::new(Status::Pass, unwanted.name.text.clone(), expected, observed));
    }
    judgements
}

fn only(names: &[Name], items: &Observed<Package>) -> Vec<Judgement> {
    let expected = "no package but those listed";
    let all: Vec<Seen<'_>> = items.seen.iter().filter(|(_, package)| is_on_disk(package.state)).collect();
    let judgements = all
        .iter()
        .filter(|(subject, package)| !names.iter().any(|name| name.matches(subject, &package.name)))
        .map(|(subject, package)| {
            Judgement::new(
                Status::Deviation,
                subject.as_str(),
                expected,
                format!("installed, {}", Packages::say(package)),
            )
        })
        .collect();
    close(judgements, items, expected, || format!("{} packages, each of them listed", all.len()))
}

fn intact(items: &Observed<Package>) -> Vec<Judgement> {
    let expected = "installed whole";
    let torn = |package: &Package| package.reinstall || !matches!(package.state, State::Installed | State::ConfigFiles);
    let judgements = items
        .seen
        .iter()
        .filter(|(_, package)| torn(package))
        .map(|(subject, package)| Judgement::new(Status::Deviation, subject.as_str(), expected, Packages::say(package)))
        .collect();
    close(judgements, items, expected, || format!("{} packages, none between two states", items.seen.len()))
}

fn held(names: &[Name], items: &Observed<Package>) -> Vec<Judgement> {
    let expected = "not held back from updates";
    let holds = |package: &Package| package.selection == Selection::Hold && is_on_disk(package.state);
    let judgements = items
        .seen
        .iter()
        .filter(|(subject, package)| holds(package) && !names.iter().any(|name| name.matches(subject, &package.name)))
        .map(|(subject, package)| Judgement::new(Status::Deviation, subject.as_str(), expected, Packages::say(package)))
        .collect();
    close(judgements, items, expected, || match names {
        [] => "no package is held".to_owned(),
        [..] => "no package is held but those listed".to_owned(),
    })
}

fn vendors_of(allowed: &[Pattern], facts: &Facts<Package, Origin>) -> Vec<Judgement> {
    let expected = "a vendor that is listed";
    let vendors = facts.state.seen.iter().filter_map(|(key, origin)| Some((key.strip_prefix("vendor:")?, origin)));
    let (mut judgements, mut count) = (Vec::new(), 0);
    for (vendor, origin) in vendors {
        count += 1;
        if allowed.iter().any(|pattern| pattern.matches(vendor)) {
            continue;
        }
        let observed = if vendor == "none" { "names no vendor".to_owned() } else { format!("from {vendor}") };
        for subject in &origin.packages {
            judgements.push(Judgement::new(Status::Deviation, subject.as_str(), expected, observed.clone()));
        }
    }
    judgements.extend(facts.state.gaps.values().map(|gap| Judgement::unseen(gap, "packages", expected)));
    if count == 0 && judgements.is_empty() && facts.items.gaps.is_empty() {
        let observed = "no package of rpm's is installed";
        return vec![Judgement::new(Status::NotApplicable, "packages", expected, observed)];
    }
    close(judgements, &facts.items, expected, || format!("{count} vendors, each of them listed"))
}

/// What is said of all packages at once: unknown where something is hidden, and pass only where nothing deviates.
fn close(
    mut judgements: Vec<Judgement>,
    items: &Observed<Package>,
    expected: &str,
    passed: impl FnOnce() -> String,
) -> Vec<Judgement> {
    for (prefix, gap) in &items.gaps {
        let subject = prefix.strip_suffix(':').filter(|name| !name.is_empty()).unwrap_or("packages");
        judgements.push(Judgement::unseen(gap, subject, expected));
    }
    if judgements.is_empty() {
        judgements.push(Judgement::new(Status::Pass, "packages", expected, passed()));
    }
    judgements
}

/// One package is named itself; several are named by what asked for them.
fn subject(name: &Name, found: &[Seen<'_>]) -> String {
    match found {
        [(subject, _)] => (*subject).clone(),
        _ => name.text.clone(),
    }
}

fn list(found: &[Seen<'_>]) -> String {
    let said = |(subject, package): &Seen<'_>| format!("{subject} {}", Packages::say(package));
    match found {
        [(_, package)] => Packages::say(package),
        [..] if found.len() <= 5 => found.iter().map(said).collect::<Vec<_>>().join(", "),
        [..] => format!("{} packages", found.len()),
    }
}

/// Unpacked and configured; a trigger that has yet to run does not make it less present.
fn is_whole(state: State) -> bool {
    match state {
        State::Installed | State::TriggersAwaited | State::TriggersPending => true,
        State::ConfigFiles | State::HalfInstalled | State::Unpacked | State::HalfConfigured => false,
    }
}

/// Whether any of its files but configuration are there.
fn is_on_disk(state: State) -> bool {
    match state {
        State::ConfigFiles => false,
        State::HalfInstalled
        | State::Unpacked
        | State::HalfConfigured
        | State::TriggersAwaited
        | State::TriggersPending
        | State::Installed => true,
    }
}

#[cfg(test)]
mod tests;
