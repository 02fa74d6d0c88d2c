//! What a rule can ask of services.

use serde::Deserialize;

use super::names;
use crate::change::Pattern;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Units that must start with the host.
    pub enabled: Option<Vec<UnitName>>,
    /// Units that must be active.
    pub running: Option<Vec<UnitName>>,
    /// Units that may neither start with the host nor be active.
    pub forbidden: Option<Vec<UnitName>>,
    /// Units that must be masked.
    pub masked: Option<Vec<UnitName>>,
    /// The only units that may be enabled.
    pub only: Option<Vec<UnitName>>,
    /// The only units that may be active.
    pub only_running: Option<Vec<UnitName>>,
    /// The only units that may have failed.
    pub failed: Option<Vec<UnitName>>,
    /// The only units that may differ from what was installed.
    pub overrides: Option<Vec<UnitName>>,
}

/// A unit's name or a glob over names, its kind completed.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct UnitName {
    written: String,
    name: String,
    /// Compiled only where there is anything to expand.
    glob: Option<Pattern>,
}

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let is_glob = written.contains(['*', '?', '[', '{']);
        let name = match is_glob && written.ends_with(['*', '}', ']', '?']) {
            true => written.clone(),
            false => names::with_kind(&written),
        };
        if !is_glob && !names::is_valid(&name) {
            return Err(format!("`{written}` cannot be the name of a unit"));
        }
        let glob = is_glob.then(|| name.parse()).transpose()?;
        Ok(Self { written, name, glob })
    }
}

impl UnitName {
    /// Whether it means the unit, or the script, of that subject.
    pub fn matches(&self, subject: &str) -> bool {
        let script = subject.strip_prefix("sysv:").map(|script| format!("{script}.service"));
        let candidate = script.as_deref().unwrap_or(subject);
        match &self.glob {
            Some(glob) => glob.matches(candidate),
            None => self.name == candidate,
        }
    }

    /// The one name it means, unless it is a glob.
    pub fn plain(&self) -> Option<&str> {
        self.glob.is_none().then_some(self.name.as_str())
    }

    /// For messages: the full name, or the glob as written.
    pub fn text(&self) -> &str {
        self.plain().unwrap_or(&self.written)
    }
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let Expect { enabled, running, forbidden, masked, only, only_running, failed, overrides } = expect;
    let asking = [("enabled", enabled), ("running", running), ("forbidden", forbidden), ("masked", masked)];
    for (key, list) in asking {
        if list.as_ref().is_some_and(Vec::is_empty) {
            return Err((key.to_owned(), "an empty list asks nothing".to_owned()));
        }
    }
    for (key, list) in [("only", only), ("only_running", only_running)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            return Err((key.to_owned(), "an empty list allows nothing at all, and no host boots so".to_owned()));
        }
    }
    let closed = [only, only_running, failed, overrides];
    if asking.iter().all(|(_, list)| list.is_none()) && closed.iter().all(|list| list.is_none()) {
        let keys = "`enabled`, `running`, `forbidden`, `masked`, `only`, `only_running`, `failed`, `overrides`";
        return Err((String::new(), format!("ask at least one of {keys}")));
    }
    Ok(())
}
