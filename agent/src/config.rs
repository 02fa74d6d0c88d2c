//! `agent.yaml`: what an administrator may set. Each key has its default beside it and its unit in its value.
//!
//! Unknown keys are refused at their place. Nothing secret stands here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::baseline::applies::Environment;
use audit::yaml::Document;
use serde::{Deserialize, Deserializer};

use crate::cli::{Usage, given};

/// Where the configuration is unless told otherwise.
pub(crate) const DEFAULT: &str = "/etc/plumbline/agent.yaml";

/// The agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The collector to enrol with, and to ship to in place of the one pinned at enrolment: a URL.
    pub(crate) collector: Option<String>,
    /// The PEM file of the certificates to trust, in place of those pinned at enrolment.
    pub(crate) ca: Option<PathBuf>,
    /// How often to look even if nothing woke the agent: `5m`.
    #[serde(deserialize_with = "duration")]
    pub(crate) interval: Duration,
    /// Over how long the hosts of a fleet spread their first look, each at its own place by its id. As long as the
    /// interval where nothing is said.
    #[serde(deserialize_with = "some_duration")]
    pub(crate) splay: Option<Duration>,
    /// The baseline to judge by: a file, or the name of a shipped one.
    pub(crate) baseline: Option<PathBuf>,
    /// Newer end-of-life dates than the shipped: a file. The collector should have the same.
    pub(crate) eol: Option<PathBuf>,
    /// How much the spool may hold before unchanged reports are dropped: `256MiB`.
    #[serde(deserialize_with = "size")]
    pub(crate) spool_limit: u64,
    /// What `check` takes for this host's environment. Reports do not carry it: the collector goes by its inventory.
    pub(crate) environment: Option<Environment>,
    /// What `check` takes for this host's roles.
    pub(crate) roles: Option<BTreeSet<String>>,
    /// What `check` takes for this host's labels.
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            collector: None,
            ca: None,
            interval: Duration::from_secs(300),
            splay: None,
            baseline: None,
            eol: None,
            spool_limit: 256 * 1024 * 1024,
            environment: None,
            roles: None,
            labels: None,
        }
    }
}

impl Config {
    /// The configuration at `named`, else at [`DEFAULT`] if there is one, else the defaults.
    pub(crate) fn load(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = named.unwrap_or(Path::new(DEFAULT));
        if named.is_none() && matches!(std::fs::exists(path), Ok(false)) {
            return Ok(Self::default());
        }
        let name = path.display().to_string();
        Self::parse(&name, &given::document(path, "the configuration")?)
    }

    fn parse(name: &str, bytes: &[u8]) -> anyhow::Result<Self> {
        let read = || {
            let document = Document::open(name, bytes)?;
            // A file of comments alone is a document without a value.
            let config = if document.value()?.is_null() { Self::default() } else { document.parse()? };
            if config.interval < Duration::from_secs(1) {
                return Err(document.complain("interval", "an interval under a second is no interval"));
            }
            Ok(config)
        };
        read().map_err(|complaint| Usage(complaint.to_string()).into())
    }

    /// Over how long first looks are spread.
    pub(crate) fn splay(&self) -> Duration {
        self.splay.unwrap_or(self.interval)
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    measure(&text, &units)
        .map(Duration::from_millis)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a time such as `30s`, `5m` or `1h`")))
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    measure(&text, &units)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a size such as `64MiB` or `1GiB`")))
}

/// A whole number and a unit.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(split)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse("agent.yaml", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        assert_eq!(parse("# nothing yet\n").unwrap(), Config::default());
        let config = parse("interval: 90s\nspool_limit: 1GiB\nsplay: 0s\n").unwrap();
        assert_eq!(config.interval, Duration::from_secs(90));
        assert_eq!(config.spool_limit, 1 << 30);
        assert_eq!(config.splay(), Duration::ZERO);
        assert_eq!(Config::default().splay(), Config::default().interval);
    }

    #[test]
    fn the_example_says_the_defaults_and_what_it_comments_out_is_understood() {
        let example = include_str!("../../packaging/agent.yaml");
        assert_eq!(parse(example).unwrap(), Config::default());
        let keys = ["splay: ", "baseline: ", "eol: ", "collector: ", "ca: ", "environment: ", "roles: ", "labels: "];
        let spelt_out = keys.iter().fold(example.to_owned(), |text, key| text.replace(&format!("# {key}"), key));
        let config = parse(&spelt_out).unwrap();
        assert!(config.splay.is_some() && config.baseline.is_some() && config.eol.is_some());
        assert!(config.collector.is_some() && config.ca.is_some());
        assert!(config.environment.is_some() && config.roles.is_some() && config.labels.is_some());
    }

    #[test]
    fn an_unknown_key_and_a_wrong_unit_are_pointed_at() {
        let said = parse("intervall: 5m\n").unwrap_err();
        assert!(said.starts_with("agent.yaml:1:1: unknown field `intervall`"), "{said}");
        assert!(said.ends_with("did you mean `interval`?"), "{said}");
        assert!(parse("interval: 5\n").unwrap_err().starts_with("agent.yaml:1:11: "));
        assert!(parse("interval: 5 fortnights\n").unwrap_err().contains("is not a time"));
        assert!(parse("interval: 99999999999999999999d\n").unwrap_err().contains("is not a time"));
        assert!(parse("interval: 0s\n").unwrap_err().contains("no interval"));
        assert!(parse("spool_limit: 5MB\n").unwrap_err().contains("is not a size"));
    }
}
