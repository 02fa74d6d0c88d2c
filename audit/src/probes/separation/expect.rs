//! What a rule can ask of separation.

use serde::Deserialize;

use super::products::PRODUCTS;

/// What a rule can ask; `apart` or `roles`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// `true`: not both roles.
    pub apart: Option<bool>,
    /// The only roles the host may have.
    pub roles: Option<Vec<Role>>,
    /// Products that do not count, by name.
    #[serde(default)]
    pub not_counted: Vec<String>,
}

/// What a host serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The outside.
    FrontEnd,
    /// The data.
    BackEnd,
}

impl Role {
    /// As in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::FrontEnd => "front end",
            Self::BackEnd => "back end",
        }
    }
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    if expect.apart.is_none() && expect.roles.is_none() {
        return Err((String::new(), "ask for `apart` or `roles`".into()));
    }
    if expect.apart == Some(false) {
        return Err(("apart".into(), "only `true` asks for anything".into()));
    }
    for (number, name) in expect.not_counted.iter().enumerate() {
        if !PRODUCTS.iter().any(|product| product.name == name) {
            return Err((format!("not_counted[{number}]"), format!("`{name}` is no product that is known")));
        }
    }
    Ok(())
}
