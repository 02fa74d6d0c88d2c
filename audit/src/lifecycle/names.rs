//! Which packages are a product, and how a package's name says the cycle: `postgresql-{cycle}`, `openjdk-{cycle}-jre*`.

use std::fmt;

use serde::Deserialize;

/// A package's name, perhaps with the cycle in it, perhaps open at its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NamePattern {
    before: String,
    /// What follows the cycle; `None` where the name does not say the cycle.
    after: Option<String>,
    open: bool,
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// The product; the cycle is in the package's version.
    Product,
    /// The product and the beginning of its version.
    Version(&'a str),
}

impl NamePattern {
    /// The first byte of every name it reads.
    pub fn first(&self) -> u8 {
        self.before.bytes().next().unwrap_or_default()
    }

    /// What `name` says, if it is the product at all.
    pub fn read<'a>(&self, name: &'a str) -> Option<Named<'a>> {
        let rest = name.strip_prefix(self.before.as_str())?;
        let Some(after) = &self.after else {
            return (self.open || rest.is_empty()).then_some(Named::Product);
        };
        let longest = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        // What follows may begin with a point or a digit itself: `java-1.{cycle}.0-openjdk`.
        let shortest = if after.starts_with(|c: char| c.is_ascii_digit() || c == '.') { 1 } else { longest.max(1) };
        let fits = |end: usize| {
            let (version, tail) = rest.split_at_checked(end)?;
            let tail = tail.strip_prefix(after.as_str())?;
            let version = version.strip_suffix('.').unwrap_or(version);
            (!version.is_empty() && (self.open || tail.is_empty())).then_some(Named::Version(version))
        };
        (shortest..=longest).rev().find_map(fits)
    }
}

impl fmt::Display for NamePattern {
    /// As it is written in the data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        if let Some(after) = &self.after {
            write!(f, "{{cycle}}{after}")?;
        }
        f.write_str(if self.open { "*" } else { "" })
    }
}

impl TryFrom<String> for NamePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (body, open) = match text.strip_suffix('*') {
            Some(body) => (body, true),
            None => (text.as_str(), false),
        };
        let (before, after) = match body.split_once("{cycle}") {
            Some((before, after)) => (before, Some(after.to_owned())),
            None => (body, None),
        };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte));
        if before.is_empty() || !plain(before) || !after.as_deref().is_none_or(plain) {
            return Err(format!("`{text}` is not a package's name, with {{cycle}} in it or * at its end"));
        }
        Ok(Self { before: before.to_owned(), after, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_product_and_perhaps_its_cycle() {
        for (pattern, name, expected) in [
            ("nginx", "nginx", Some(Named::Product)),
            ("nginx", "nginx-core", None),
            ("nginx*", "nginx-core", Some(Named::Product)),
            ("postgresql-{cycle}", "postgresql-15", Some(Named::Version("15"))),
            ("postgresql-{cycle}", "postgresql-9.6", Some(Named::Version("9.6"))),
            ("postgresql-{cycle}", "postgresql-15-postgis-3", None),
            ("postgresql-{cycle}", "postgresql-common", None),
            ("php{cycle}-common", "php8.2-common", Some(Named::Version("8.2"))),
            ("php{cycle}-common", "php-common", None),
            ("openjdk-{cycle}-jre*", "openjdk-17-jre-headless", Some(Named::Version("17"))),
            ("linux-image-{cycle}*", "linux-image-6.1.0-18-amd64", Some(Named::Version("6.1.0"))),
            ("linux-image-{cycle}*", "linux-image-6.12.100+deb12-amd64", Some(Named::Version("6.12.100"))),
            ("linux-image-{cycle}*", "linux-image-amd64", None),
            ("postgresql{cycle}-server", "postgresql16-server", Some(Named::Version("16"))),
            ("java-{cycle}-openjdk*", "java-17-openjdk-headless", Some(Named::Version("17"))),
            ("java-1.{cycle}.0-openjdk*", "java-1.8.0-openjdk", Some(Named::Version("8"))),
            ("java-1.{cycle}.0-openjdk*", "java-17-openjdk", None),
            ("php{cycle}", "php83", Some(Named::Version("83"))),
            ("php{cycle}", "php83-fpm", None),
            ("php{cycle}", "php", None),
        ] {
            let parsed = NamePattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(parsed.read(name), expected, "{pattern} {name}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_would_match_everything_is_refused() {
        for text in ["", "*", "{cycle}", "a b", "a*b", "a{cycle}{cycle}"] {
            assert!(NamePattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
