//! `applies_to`: to which hosts a baseline or a rule speaks, and what is answered where it does not.
//!
//! Read: the operating system, from the facts of `eol`; environment, roles and labels, from what the caller knows. Those three are
//! the collector's inventory to say (a host must not declare itself out of a rule), so where they are not known the answer is
//! *unknown*, never "does not apply".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::facts::FactSet;
use crate::probes::eol::Eol;
use crate::version::{Constraint, Order};

/// The environments an inventory has.
pub const ENVIRONMENTS: [&str; 4] = ["production", "staging", "development", "utility"];

/// What is known of a host beside its facts. `None` where nobody said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// Production, staging, development or utility.
    pub environment: Option<String>,
    /// What it is for: `web`, `database`. An empty set is a host without roles.
    pub roles: Option<BTreeSet<String>>,
    /// Whatever else the inventory says of it.
    pub labels: Option<BTreeMap<String, String>>,
}

/// Which hosts: each key given must hold, of each list one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliesTo {
    /// Operating systems by os-release's `ID`, each perhaps with versions.
    #[serde(default)]
    pub os: Option<OneOrMany<System>>,
    /// Environments.
    #[serde(default)]
    pub environment: Option<OneOrMany<Environment>>,
    /// Roles.
    #[serde(default)]
    pub role: Option<OneOrMany<String>>,
    /// Labels, each with the value it must have.
    #[serde(default)]
    pub labels: BTreeMap<String, OneOrMany<String>>,
}

/// One, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_yaml::Value::deserialize(deserializer)?;
        let list = if let serde_yaml::Value::Sequence(list) = value { list } else { vec![value] };
        if list.is_empty() {
            return Err(serde::de::Error::custom("an empty list applies to nothing"));
        }
        let read = |value| {
            T::deserialize(value).map_err(|error: serde_yaml::Error| serde::de::Error::custom(error.to_string()))
        };
        list.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// `debian`, or `debian >= 12`, or `debian >= 12 < 14`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct System {
    id: String,
    versions: Vec<Constraint>,
}

impl TryFrom<String> for System {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (id, versions) = text.split_at(text.find(['<', '>', '=']).unwrap_or(text.len()));
        let id = id.trim();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(format!("`{text}` names no system: write `debian`, or `debian >= 12 < 14`"));
        }
        // A sign and a version each, with or without a blank between.
        let mut found: Vec<String> = Vec::new();
        for word in versions.split_whitespace() {
            match found.last_mut() {
                Some(last) if !word.starts_with(['<', '>', '=']) => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => found.push(word.to_owned()),
            }
        }
        let versions = found.iter().map(|text| text.trim_end_matches(',').parse()).collect::<Result<_, _>>()?;
        Ok(Self { id: id.to_owned(), versions })
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        self.versions.iter().try_for_each(|version| write!(f, " {version}"))
    }
}

/// One of [`ENVIRONMENTS`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Environment(String);

impl TryFrom<String> for Environment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if ENVIRONMENTS.contains(&text.as_str()) {
            return Ok(Self(text));
        }
        let names: Vec<String> = ENVIRONMENTS.iter().map(|name| format!("`{name}`")).collect();
        Err(format!("unknown variant `{text}`, expected one of {}", names.join(", ")))
    }
}

impl Environment {
    /// As written.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether something applies to a host, and where it does not or nobody knows, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    /// It does.
    Yes,
    /// It does not.
    No(String),
    /// What it depends on is not known.
    Unknown(String),
}

impl AppliesTo {
    /// Whether nothing is asked.
    pub fn is_everywhere(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it depends on the operating system.
    pub fn asks_os(&self) -> bool {
        self.os.is_some()
    }

    /// Whether it depends on what only the inventory says.
    pub fn asks_inventory(&self) -> bool {
        self.environment.is_some() || self.role.is_some() || !self.labels.is_empty()
    }

    /// Whether it applies: `No` where one key says so, however much is unknown.
    pub fn decide(&self, traits: &Traits, facts: &FactSet) -> Applies {
        let mut answers = Vec::new();
        if let Some(OneOrMany(systems)) = &self.os {
            answers.push(system(systems, facts));
        }
        if let Some(wanted) = &self.environment {
            answers.push(match &traits.environment {
                None => unknown("environment"),
                Some(own) if wanted.0.iter().any(|one| one.0 == *own) => Applies::Yes,
                Some(own) => {
                    Applies::No(format!("this host's environment is {own}, and it applies to {}", list(wanted)))
                }
            });
        }
        if let Some(wanted) = &self.role {
            answers.push(match &traits.roles {
                None => unknown("roles"),
                Some(own) if wanted.0.iter().any(|one| own.contains(one)) => Applies::Yes,
                Some(own) if own.is_empty() => {
                    Applies::No(format!("this host has no role, and it applies to {}", list(wanted)))
                }
                Some(own) => {
                    let own: Vec<&str> = own.iter().map(String::as_str).collect();
                    Applies::No(format!("this host's role is {}, and it applies to {}", own.join(", "), list(wanted)))
                }
            });
        }
        for (label, wanted) in &self.labels {
            answers.push(match traits.labels.as_ref().map(|labels| labels.get(label)) {
                None => unknown("labels"),
                Some(Some(own)) if wanted.0.contains(own) => Applies::Yes,
                Some(own) => {
                    let own = own.map_or("not set", String::as_str);
                    Applies::No(format!("this host's label {label} is {own}, and it applies to {}", list(wanted)))
                }
            });
        }
        all(answers)
    }
}

/// As `baseline show` says it: `role web and environment production`.
impl fmt::Display for AppliesTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said: Vec<String> = Vec::new();
        said.extend(self.os.as_ref().map(|os| format!("the system is {}", list(os))));
        said.extend(self.environment.as_ref().map(|one| format!("the environment is {}", list(one))));
        said.extend(self.role.as_ref().map(|one| format!("the role is {}", list(one))));
        said.extend(self.labels.iter().map(|(label, value)| format!("the label {label} is {}", list(value))));
        f.write_str(&said.join(" and "))
    }
}

/// `No` before `Unknown` before `Yes`.
fn all(answers: impl IntoIterator<Item = Applies>) -> Applies {
    answers.into_iter().fold(Applies::Yes, |sum, answer| match (sum, answer) {
        (no @ Applies::No(_), _) | (_, no @ Applies::No(_)) => no,
        (unknown @ Applies::Unknown(_), _) | (Applies::Yes, unknown) => unknown,
    })
}

fn unknown(what: &str) -> Applies {
    Applies::Unknown(format!("this host's {what}: only the collector's inventory says, and nobody told it here"))
}

fn list<T: fmt::Display>(of: &OneOrMany<T>) -> String {
    of.0.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn system(systems: &[System], facts: &FactSet) -> Applies {
    let Some(facts) = facts.of::<Eol>() else {
        return Applies::Unknown("which operating system this is was not looked at".into());
    };
    let Some(own) = facts.state.seen.get("os") else {
        let gap = facts.state.gap_for("os").map(ToString::to_string);
        return Applies::Unknown(format!("which operating system this is: {}", gap.unwrap_or("not said".into())));
    };
    let wanted = || systems.iter().map(System::to_string).collect::<Vec<_>>().join(", ");
    let said = format!("{}{}", own.id, own.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default());
    for system in systems.iter().filter(|system| system.id == own.id) {
        if system.versions.is_empty() {
            return Applies::Yes;
        }
        let Some(version) = &own.version else {
            return Applies::Unknown(format!("which release of {} this is: it names none", own.id));
        };
        let admitted: Result<Vec<bool>, _> =
            system.versions.iter().map(|wanted| wanted.admits(Order::Dpkg, version)).collect();
        match admitted {
            Ok(admitted) if admitted.iter().all(|admits| *admits) => return Applies::Yes,
            Ok(_) => {}
            Err(error) => return Applies::Unknown(format!("which release of {} this is: {error}", own.id)),
        }
    }
    Applies::No(format!("this host is {said}, and it applies to {}", wanted()))
}

/// Where a form of a rule applies: alternatives of conditions that hold together, or none of the alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// One of these must hold, each in all its parts.
    pub any: Vec<Vec<AppliesTo>>,
    /// `false` where none may hold instead.
    pub holds: bool,
}

impl Condition {
    /// Whether it is met on a host.
    pub fn decide(&self, traits: &Traits, facts: &FactSet) -> Applies {
        let mut sum: Option<Applies> = None;
        for alternative in &self.any {
            let one = all(alternative.iter().map(|applies| applies.decide(traits, facts)));
            sum = Some(match (sum, one) {
                (Some(Applies::Yes), _) | (_, Applies::Yes) => Applies::Yes,
                (Some(unknown @ Applies::Unknown(_)), _) | (_, unknown @ Applies::Unknown(_)) => unknown,
                (_, no @ Applies::No(_)) => no,
            });
        }
        match (sum.unwrap_or(Applies::Yes), self.holds) {
            (Applies::Yes, false) => Applies::No("another form of this rule applies to this host".into()),
            (Applies::No(_), false) => Applies::Yes,
            (answer, _) => answer,
        }
    }
}

/// Whether all of `conditions` are met.
pub fn decide(conditions: &[Condition], traits: &Traits, facts: &FactSet) -> Applies {
    all(conditions.iter().map(|condition| condition.decide(traits, facts)))
}

#[cfg(test)]
mod tests;
