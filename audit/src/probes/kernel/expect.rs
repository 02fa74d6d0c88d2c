//! What a rule can ask of the kernel.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::sysctl;
use crate::change::Pattern;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Values allowed, by key.
    #[serde(default)]
    pub sysctls: BTreeMap<String, Values>,
    /// Modules that must be loaded.
    #[serde(default)]
    pub loaded: Vec<String>,
    /// Modules that must neither be loaded nor be loadable by name.
    #[serde(default)]
    pub disabled: Vec<String>,
    /// The only modules that may be loaded.
    pub only_modules: Option<Vec<Pattern>>,
    /// Parameters that must be on the command line, with their values.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// Parameters that may not: names, or `name=value`.
    #[serde(default)]
    pub forbidden_parameters: Vec<String>,
    /// Mount points, with the options each must have.
    #[serde(default)]
    pub mounts: BTreeMap<String, Vec<String>>,
    /// The lockdown modes allowed.
    pub lockdown: Option<Vec<Lockdown>>,
    /// Whether the firmware checks what it boots.
    pub secure_boot: Option<bool>,
    /// `true`: no taint.
    pub untainted: Option<bool>,
    /// What may become of core dumps.
    pub core_dumps: Option<CoreDumps>,
}

/// A value in YAML: a number, or text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// As a number.
    Number(i64),
    /// As text.
    Text(String),
}

impl Value {
    /// As the kernel writes it, one blank between words.
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

/// One value, or several of which any will do.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// This one.
    One(Value),
    /// Any of these.
    Any(Vec<Value>),
}

impl Values {
    /// All of them, as the kernel writes them.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value.text()],
            Self::Any(values) => values.iter().map(Value::text).collect(),
        }
    }
}

/// kernel_lockdown(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lockdown {
    /// Root may do all.
    None,
    /// Root may not change the running kernel.
    Integrity,
    /// Nor read its memory.
    Confidentiality,
}

impl Lockdown {
    /// As the kernel writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
        }
    }
}

/// What may become of core dumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoreDumps {
    /// None is kept.
    Forbidden,
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let asks = !expect.sysctls.is_empty()
        || !expect.loaded.is_empty()
        || !expect.disabled.is_empty()
        || expect.only_modules.is_some()
        || !expect.parameters.is_empty()
        || !expect.forbidden_parameters.is_empty()
        || !expect.mounts.is_empty()
        || expect.lockdown.is_some()
        || expect.secure_boot.is_some()
        || expect.untainted.is_some()
        || expect.core_dumps.is_some();
    if !asks {
        return Err((String::new(), "ask for something: `sysctls`, `disabled`, `mounts`, …".into()));
    }
    for (key, values) in &expect.sysctls {
        let plain = key.bytes().all(|byte| byte.is_ascii_graphic()) && !key.contains("..") && !key.contains("//");
        let outer = key.starts_with(['.', '/']) || key.ends_with(['.', '/']);
        let one_part = !key.contains(['.', '/']) || key.contains("**") || key.contains(['{', '}', '\\']);
        if key.is_empty() || key.len() > 200 || !plain || outer || one_part {
            return Err((format!("sysctls.{key}"), "not a key such as `net.ipv4.ip_forward`".into()));
        }
        if sysctl::is_secret(&sysctl::canonical(key)) {
            return Err((format!("sysctls.{key}"), "its value is a secret, which is never read".into()));
        }
        if values.texts().is_empty() {
            return Err((format!("sysctls.{key}"), "an empty list allows nothing".into()));
        }
    }
    if let Some(point) = expect.mounts.keys().find(|point| !point.starts_with('/')) {
        return Err((format!("mounts.{point}"), "a mount point is an absolute path".into()));
    }
    if expect.untainted == Some(false) {
        return Err(("untainted".into(), "only `true` asks for anything".into()));
    }
    if expect.lockdown.as_ref().is_some_and(Vec::is_empty) {
        return Err(("lockdown".into(), "an empty list allows nothing".into()));
    }
    Ok(())
}
