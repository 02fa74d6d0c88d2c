//! What a baseline asks of the firewall, parsed into values that cannot lie: a source is a prefix, a port a number.

use std::fmt;

use chrono::NaiveDate;
use serde::Deserialize;
use serde::de::{Error, SeqAccess, Visitor};

use crate::duration::Length;

use super::describe;
use super::space::{Family, Region};

/// What a rule can ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Hooks that must drop what no rule accepts, over IPv4 and IPv6 alike.
    #[serde(default)]
    pub deny_by_default: Vec<Hook>,
    /// What new connections from outside may reach on this host: these and no others.
    pub openings: Option<Vec<Allowed>>,
    /// Whether the firewall must come back after a reboot.
    #[serde(default)]
    pub after_reboot: bool,
    /// How long before its last day an allowed opening that is in use deviates, so that somebody looks in time.
    #[serde(default)]
    pub warn: Option<Length>,
}

/// Where a packet is judged on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// To this host.
    Input,
    /// Through this host.
    Forward,
    /// From this host.
    Output,
}

impl Hook {
    /// nft's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
        }
    }
}

/// One opening the baseline allows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// `tcp`, `udp`, another name of /etc/protocols, a number, or `any`.
    pub protocol: Protocol,
    /// A port, a range (`8000-8010`), a list of both, or `any`. Must be given for protocols that have ports.
    #[serde(default)]
    pub port: Option<Ports>,
    /// Prefixes, addresses or ranges of addresses, one or a list, or `any`.
    pub from: Sources,
    /// Names of interfaces, one or a list; any if not given.
    #[serde(default)]
    pub interface: Option<Words>,
    /// The business reason.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day, in UTC, on which it may be open: somebody looks again by then.
    pub until: NaiveDate,
}

impl Allowed {
    /// The packets it allows of `family`, if it says anything of that family.
    pub(super) fn region(&self, family: Family) -> Option<Region> {
        let any = || vec!["any".to_owned()];
        let from: Vec<String> = self
            .from
            .0
            .iter()
            .filter(|text| *text == "any" || describe::source(text).is_some_and(|(of, _)| of == family))
            .cloned()
            .collect();
        if from.is_empty() {
            return None;
        }
        let ports = self.port.as_ref().map_or_else(any, |ports| ports.0.clone());
        let interfaces = self.interface.as_ref().map_or_else(any, |words| words.0.clone());
        describe::region(family, std::slice::from_ref(&self.protocol.0), &ports, &from, &any(), &interfaces)
    }

    /// In a few words: `tcp 22 from 10.0.0.0/8`.
    pub(super) fn say(&self) -> String {
        let mut said = self.protocol.0.clone();
        if let Some(ports) = &self.port {
            said.push_str(&format!(" {}", ports.0.join(",")));
        }
        said.push_str(&format!(" from {}", self.from.0.join(",")));
        if let Some(interfaces) = &self.interface {
            said.push_str(&format!(" on {}", interfaces.0.join(",")));
        }
        said
    }
}

/// A protocol that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol(String);

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Words(words) = Words::deserialize(deserializer)?;
        match words.as_slice() {
            [word] if word == "any" || describe::protocol(word).is_some() => Ok(Self(word.clone())),
            [word] => Err(D::Error::custom(format!("`{word}` is no protocol: write tcp, udp, a number, or any"))),
            _ => Err(D::Error::custom("one protocol an opening")),
        }
    }
}

/// Ports that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Vec<String>);

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Words(words) = Words::deserialize(deserializer)?;
        for word in &words {
            if word != "any" && describe::parse_port(word).is_none() {
                return Err(D::Error::custom(format!("`{word}` is no port: write 22, 8000-8010, or any")));
            }
        }
        Ok(Self(words))
    }
}

impl Ports {
    /// Whether `port` is among them.
    pub fn contains(&self, port: u16) -> bool {
        let port = u128::from(port);
        let within = |word: &String| describe::parse_port(word).is_some_and(|(low, high)| (low..=high).contains(&port));
        self.0.iter().any(|word| word == "any" || within(word))
    }

    /// As they were written.
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

impl Sources {
    /// As they were written.
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

impl Words {
    /// The words.
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

/// Where from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(Vec<String>);

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Words(words) = Words::deserialize(deserializer)?;
        for word in &words {
            if word != "any" && describe::source(word).is_none() {
                let hint = "write 10.0.0.0/8 (no bits set behind the prefix), an address, a range of them, or any";
                return Err(D::Error::custom(format!("`{word}` is no source: {hint}")));
            }
        }
        Ok(Self(words))
    }
}

/// One word or a list of them, not empty; numbers count as words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word, a number, or a list of them")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Words, E> {
                Ok(Words(vec![number.to_string()]))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Words, E> {
                Ok(Words(vec![word.trim().to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(Words(more)) = list.next_element::<Words>()? {
                    words.extend(more);
                }
                if words.is_empty() { Err(A::Error::custom("an empty list allows nothing")) } else { Ok(Words(words)) }
            }
        }
        deserializer.deserialize_any(One)
    }
}

/// What serde could not see.
pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let wrong = |path: String, message: &str| Err((path, message.to_owned()));
    if expect.deny_by_default.is_empty() && expect.openings.is_none() && !expect.after_reboot {
        return wrong(String::new(), "expects nothing: give `deny_by_default`, `openings` or `after_reboot`");
    }
    if expect.warn.is_some() && expect.openings.is_none() {
        return wrong("warn".to_owned(), "warns of `openings`, and there are none");
    }
    for (number, allowed) in expect.openings.iter().flatten().enumerate() {
        let at = |key: &str| format!("openings[{number}].{key}");
        let has_ports = matches!(allowed.protocol.0.as_str(), "tcp" | "udp" | "sctp" | "dccp" | "udplite");
        if has_ports && allowed.port.is_none() {
            return wrong(at("protocol"), "which port? write `port: any` if every one is meant");
        }
        if !has_ports && allowed.port.as_ref().is_some_and(|ports| ports.0 != ["any"]) {
            return wrong(at("port"), "this protocol has no ports");
        }
        for (key, text) in [("reason", &allowed.reason), ("owner", &allowed.owner)] {
            if text.trim().is_empty() {
                return wrong(at(key), "every opening has a reason and an owner");
            }
        }
        if Family::BOTH.iter().all(|family| allowed.region(*family).is_none()) {
            return wrong(at("from"), "allows nothing");
        }
    }
    Ok(())
}
