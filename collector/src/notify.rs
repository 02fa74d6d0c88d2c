//! What people are told, before it takes the form of any one service.

pub mod slack;

use chrono::{DateTime, Utc};

use crate::store::chain::ChainFinding;
use crate::store::drifts::Entry;
use crate::store::hosts::Host;
use crate::store::silences::Silence;

/// One message: about one host, and one report or one lapse of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The headline.
    pub title: String,
    /// What it is about, a part each.
    pub parts: Vec<Part>,
    /// How many there are besides.
    pub more: usize,
    /// The page that shows it.
    pub link: String,
}

/// One thing told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `packages/openssl:amd64`, or what was found.
    pub what: String,
    /// From what to what, where something changed.
    pub change: Option<(Option<String>, Option<String>)>,
    /// When, where that is an interval.
    pub between: Option<[DateTime<Utc>; 2]>,
    /// Why it is told.
    pub why: String,
}

impl Alert {
    /// About that many drifts of one host: `entries` are the first of them, and `first` is one.
    pub fn about(entries: &[Entry], first: &Entry, count: usize, public_url: &str) -> Self {
        let changes = if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
        Self {
            title: format!("{} ({}): {changes} nobody approved", first.host_name, first.environment),
            parts: entries.iter().map(Part::of).collect(),
            more: count.saturating_sub(entries.len()),
            link: format!("{public_url}/hosts/{}", first.host),
        }
    }

    /// About a host's chain of reports.
    pub fn of_chain(host: &Host, finding: &ChainFinding, public_url: &str) -> Self {
        let part = Part {
            what: format!("chain of reports: {}", finding.kind.name()),
            change: None,
            between: None,
            why: finding.detail.clone(),
        };
        Self {
            title: format!("{} ({}): its reports cannot be trusted as they are", host.name, host.environment),
            parts: vec![part],
            more: 0,
            link: format!("{public_url}/hosts/{}", host.id),
        }
    }

    /// About a host that says nothing.
    pub fn of_silence(host: &Host, silence: &Silence, public_url: &str) -> Self {
        let why = format!(
            "nothing came since {} and it may be silent for {}; what changes there is not seen",
            said(silence.since),
            silence.allowed
        );
        let part = Part { what: "silence".into(), change: None, between: None, why };
        Self {
            title: format!("{} ({}): it is silent", host.name, host.environment),
            parts: vec![part],
            more: 0,
            link: format!("{public_url}/hosts/{}", host.id),
        }
    }

    /// About a host that was silent and is heard again.
    pub fn of_return(host: &Host, silence: &Silence, heard: DateTime<Utc>, public_url: &str) -> Self {
        let why = format!("a report came at {}, the first since {}", said(heard), said(silence.since));
        let part = Part { what: "silence is over".into(), change: None, between: None, why };
        Self {
            title: format!("{} ({}): it is heard again", host.name, host.environment),
            parts: vec![part],
            more: 0,
            link: format!("{public_url}/hosts/{}", host.id),
        }
    }

    /// To see whether alerts arrive.
    pub fn test(by: &str, public_url: &str) -> Self {
        let why = format!("{by} asked for it; nothing has happened");
        let part = Part { what: "a test".into(), change: None, between: None, why };
        Self { title: "Plumbline: a test of alerts".into(), parts: vec![part], more: 0, link: public_url.to_owned() }
    }
}

fn said(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

impl Part {
    fn of(entry: &Entry) -> Self {
        Self {
            what: format!("{}/{}", entry.probe, entry.subject),
            change: Some((entry.said_before(), entry.said_after())),
            between: Some(entry.between),
            why: format!("{}: {}", entry.reason.name(), entry.why),
        }
    }
}
