//! What a rule can ask of packages, and the answers.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Package, Packages, State};
use crate::change::Pattern;
use crate::facts::Observed;
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
        Ok(Self { text, glob })
    }
}

impl Name {
    fn matches(&self, subject: &str, name: &str) -> bool {
        let candidate = if self.text.contains(':') { subject } else { name };
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
                Some(glob) => self.text.contains(':') || glob.matches(name),
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
    if expect.intact == Some(false) {
        return Err(("intact".into(), "`intact: false` asks nothing: leave it out".into()));
    }
    if expect.present.is_none() && expect.absent.is_none() && expect.only.is_none() && expect.intact.is_none() {
        return Err((String::new(), "ask at least one of `present`, `absent`, `only`, `intact`".into()));
    }
    Ok(())
}

/// A package with its subject.
type Seen<'a> = (&'a String, &'a Package);

pub(super) fn judge(expect: &Expect, items: &Observed<Package>) -> Vec<Judgement> {
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
        .map(|(subject, package)| match version.admits(&package.version) {
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
        let admitted = unwanted.version.as_ref().map_or(Ok(true), |version| version.admits(&package.version));
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
mod tests {
    use super::*;
    use crate::host::{GapKind, Recorded};

    fn items(stanzas: &[(&str, &str, &str)]) -> Observed<Package> {
        let text: String = stanzas
            .iter()
            .map(|(name, status, version)| {
                format!("Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\n\n")
            })
            .collect();
        Packages::collect(&Recorded::new().file("/var/lib/dpkg/status", text)).items
    }

    fn expect(yaml: &str) -> Result<Expect, String> {
        let expect: Expect = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        check(&expect).map_err(|(at, message)| format!("{at}: {message}"))?;
        Ok(expect)
    }

    fn said(yaml: &str, items: &Observed<Package>) -> Vec<String> {
        let told = |judgement: &Judgement| {
            format!("{} {} | {} | {}", judgement.status, judgement.subject, judgement.expected, judgement.observed)
        };
        judge(&expect(yaml).unwrap(), items).iter().map(told).collect()
    }

    const OK: &str = "install ok installed";

    #[test]
    fn a_package_is_present_when_it_is_whole_and_new_enough() {
        let items = items(&[
            ("openssl", OK, "3.0.17-1~deb12u2"),
            ("auditd", "install ok unpacked", "1"),
            ("gone", "deinstall ok config-files", "2"),
        ]);
        assert_eq!(said("present: [openssl]", &items), ["pass openssl:amd64 | installed | 3.0.17-1~deb12u2"]);
        assert_eq!(
            said("present: [{name: openssl, version: '>= 3.0.17-1'}]", &items),
            ["deviation openssl:amd64 | installed, >= 3.0.17-1 | 3.0.17-1~deb12u2"]
        );
        assert_eq!(
            said("present: [auditd, gone, none, 'open*']", &items),
            [
                "deviation auditd | installed | 1 (unpacked)",
                "deviation gone | installed | 2 (config-files)",
                "deviation none | installed | not installed",
                "pass openssl:amd64 | installed | 3.0.17-1~deb12u2",
            ]
        );
    }

    #[test]
    fn a_package_half_there_is_not_absent_but_its_leftover_configuration_is() {
        let items = items(&[
            ("telnetd", "install reinstreq half-installed", "1"),
            ("ftp", "deinstall ok config-files", "2"),
            ("sudo", OK, "1.9.13"),
        ]);
        assert_eq!(
            said(
                "absent: [telnetd, ftp, {name: sudo, version: '< 1.9.5p2'}, {name: 'su*', version: '>= 1.9'}]",
                &items
            ),
            [
                "deviation telnetd:amd64 | not installed | 1 (half-installed, to be reinstalled)",
                "pass ftp | not installed | not installed",
                "pass sudo | not installed in any version < 1.9.5p2 | 1.9.13",
                "deviation sudo:amd64 | not installed in any version >= 1.9 | 1.9.13",
            ]
        );
    }

    #[test]
    fn these_and_no_others() {
        let items =
            items(&[("a", OK, "1"), ("liba", OK, "1"), ("b", OK, "1"), ("c", "deinstall ok config-files", "1")]);
        assert_eq!(
            said("only: [a, 'lib*']", &items),
            ["deviation b:amd64 | no package but those listed | installed, 1"]
        );
        assert_eq!(
            said("only: ['?', 'lib*:amd64']", &items),
            ["pass packages | no package but those listed | 3 packages, each of them listed"]
        );
    }

    #[test]
    fn intact_finds_what_dpkg_audit_finds() {
        let whole = items(&[("a", OK, "1"), ("b", "deinstall ok config-files", "1")]);
        assert_eq!(
            said("intact: true", &whole),
            ["pass packages | installed whole | 2 packages, none between two states"]
        );
        for status in [
            "install ok half-installed",
            "install ok unpacked",
            "install ok half-configured",
            "install ok triggers-awaited",
            "install ok triggers-pending",
            "install reinstreq installed",
        ] {
            let said = said("intact: true", &items(&[("a", status, "1"), ("b", OK, "1")]));
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with("deviation a:amd64"), "{said:?}");
        }
    }

    #[test]
    fn what_a_gap_may_hide_is_unknown_and_never_absent_or_listed() {
        let gap = || Gap::new(GapKind::Malformed, "status:1", "torn");
        let mut hidden = items(&[("a", OK, "1")]);
        hidden.hide("telnetd:", gap());
        assert_eq!(
            said("absent: [telnetd, 'telnet*', rsh]", &hidden),
            [
                "unknown telnetd | not installed | status:1: torn",
                "unknown telnet* | not installed | status:1: torn",
                "pass rsh | not installed | not installed",
            ]
        );
        assert_eq!(
            said("{present: [a, telnetd], only: [a], intact: true}", &hidden),
            [
                "pass a:amd64 | installed | 1",
                "unknown telnetd | installed | status:1: torn",
                "unknown telnetd | no package but those listed | status:1: torn",
                "unknown telnetd | installed whole | status:1: torn",
            ]
        );
        hidden.hide("", gap());
        assert_eq!(
            said("{present: [a, b], absent: [rsh]}", &hidden),
            [
                "pass a:amd64 | installed | 1",
                "unknown b | installed | status:1: torn",
                "unknown rsh | not installed | status:1: torn",
            ]
        );
    }

    #[test]
    fn an_expectation_that_asks_nothing_or_something_impossible_is_refused() {
        for (yaml, why) in [
            ("{}", "at least one"),
            ("present: []", "present: an empty list"),
            ("absent: []", "absent: an empty list"),
            ("only: []", "only: an empty list"),
            ("intact: false", "asks nothing"),
            ("present: ['a b']", "cannot be the name"),
            ("present: ['a[']", "not a pattern"),
            ("present: [3]", "a package's name, or"),
            ("present: [{name: a, version: []}]", "string"),
            ("present: [{name: a, version: '1.2'}]", "does not begin with"),
            ("present: [{name: a, ver: '1'}]", "unknown field `ver`"),
            ("installed: [a]", "unknown field `installed`"),
        ] {
            let said = expect(yaml).unwrap_err();
            assert!(said.contains(why), "{yaml}: {said}");
        }
    }
}
