//! The hosts: a list, and one host with what it is, what deviates, what drifted, and its time line.

use askama::Template;

use super::frame::{Frame, List, Tone};
use super::moment::Moment;
use super::overview::{ChainRow, severity_tone};
use super::rows::{DriftRow, HostRef};
use super::timeline::Entry;

/// Where a host stands, as a reader must know it: silence is a state of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Reports and counts.
    Active,
    /// Active, but nothing came for longer than it should.
    Silent,
    /// Not yet inspected.
    Pending,
    /// Two machines report as one.
    Quarantined,
}

impl Standing {
    /// In a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Silent => "silent",
            Self::Pending => "pending",
            Self::Quarantined => "quarantined",
        }
    }

    /// How its sign looks.
    pub fn tone(&self) -> Tone {
        match self {
            Self::Active => Tone::Good,
            Self::Silent | Self::Pending => Tone::Warn,
            Self::Quarantined => Tone::Bad,
        }
    }

    /// What to do about it; `None` where there is nothing to do.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Active => None,
            Self::Silent => Some(
                "Nothing came for longer than it should, so what changes there is not seen. Look whether the machine is up, \
                 then at plumbline status on it.",
            ),
            Self::Pending => Some(
                "It counts for nothing and alerts nobody until somebody has looked at it and made it active with the command \
                 below.",
            ),
            Self::Quarantined => Some(
                "Two machines report under its key, or its history was rewritten. Its reports are kept but not judged. Find \
                 out which machine is the real one before anything else.",
            ),
        }
    }
}

/// A host in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// Which.
    pub host: HostRef,
    /// What it does.
    pub roles: Vec<String>,
    /// Its operating system.
    pub system: String,
    /// Where it stands.
    pub standing: Standing,
    /// When it last reported.
    pub heard: Option<Moment>,
    /// How many changes nobody approved.
    pub unapproved: usize,
    /// How many deviations are open.
    pub deviations: usize,
}

/// The list.
#[derive(Template)]
#[template(path = "hosts.html")]
pub struct Hosts {
    /// What stands around it.
    pub frame: Frame,
    /// The hosts, those that need somebody first.
    pub hosts: List<HostRow>,
    /// Where the next hosts are, if there are more.
    pub next: Option<String>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// The rule's id.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// What it is about.
    pub subject: String,
    /// How bad.
    pub severity: String,
    /// What the baseline asks for.
    pub expected: String,
    /// What is there; for an unknown: why it could not be seen.
    pub observed: String,
    /// Why the rule exists.
    pub why: String,
    /// How to mend it.
    pub fix: String,
    /// The controls it answers.
    pub controls: Vec<String>,
    /// Since when it deviates, where it does.
    pub since: Option<Moment>,
}

impl FindingRow {
    fn tone(&self) -> Tone {
        severity_tone(&self.severity)
    }
}

/// A host's findings by status.
#[derive(Debug, Clone)]
pub struct Findings {
    /// What contradicts the baseline, worst first.
    pub deviations: List<FindingRow>,
    /// What could not be determined, worst first.
    pub unknowns: List<FindingRow>,
    /// What is as it should be.
    pub passes: List<FindingRow>,
    /// What does not apply.
    pub not_applicable: usize,
}

impl Findings {
    fn none_at_all(&self) -> bool {
        self.deviations.total + self.unknowns.total + self.passes.total + self.not_applicable == 0
    }
}

/// One host.
#[derive(Template)]
#[template(path = "host.html")]
pub struct HostPage {
    /// What stands around it.
    pub frame: Frame,
    /// Which.
    pub host: HostRef,
    /// Where it stands.
    pub standing: Standing,
    /// What it does.
    pub roles: Vec<String>,
    /// Its operating system.
    pub system: String,
    /// Its public key's fingerprint.
    pub key: String,
    /// When it enrolled.
    pub enrolled: Moment,
    /// Who inspected it, and when.
    pub inspected: Option<(String, Moment)>,
    /// When it last reported.
    pub heard: Option<Moment>,
    /// The number of its newest report.
    pub sequence: u64,
    /// The number of the newest report judged.
    pub judged: u64,
    /// What makes a pending host active.
    pub command: Option<String>,
    /// What is wrong with its reports.
    pub chain: List<ChainRow>,
    /// What else the collector noted about them.
    pub notes: List<ChainRow>,
    /// What changed and still needs somebody.
    pub drifts: List<DriftRow>,
    /// What the baseline says to what it is.
    pub findings: Findings,
    /// What happened, newest first.
    pub timeline: List<Entry>,
}

#[cfg(test)]
mod tests {
    use super::super::frame::Place;
    use super::super::frame::testing::{at, frame};
    use super::super::rows::testing::{drifted, nasty_row, row};
    use super::super::text::nasty;
    use super::super::timeline::testing::nasty_entries;
    use super::*;

    fn none<T>() -> List<T> {
        List::new(Vec::new(), 0, None)
    }

    fn finding(text: &str) -> FindingRow {
        FindingRow {
            rule: text.into(),
            title: text.into(),
            subject: text.into(),
            severity: "high".into(),
            expected: text.into(),
            observed: text.into(),
            why: text.into(),
            fix: text.into(),
            controls: vec![text.into()],
            since: Some(Moment::new(at(0), at(9))),
        }
    }

    fn page() -> HostPage {
        HostPage {
            frame: frame(Place::Hosts),
            host: drifted().host,
            standing: Standing::Active,
            roles: vec!["web".into()],
            system: "Debian GNU/Linux 13".into(),
            key: "0123456789abcdef".into(),
            enrolled: Moment::new(at(0), at(90)),
            inspected: Some(("otto".into(), Moment::new(at(5), at(90)))),
            heard: Some(Moment::new(at(88), at(90))),
            sequence: 12,
            judged: 12,
            command: None,
            chain: none(),
            notes: none(),
            drifts: List::new(vec![row()], 1, None),
            findings: Findings {
                deviations: List::new(vec![finding("deviating")], 1, None),
                unknowns: List::new(vec![finding("unseen")], 1, None),
                passes: List::new(vec![finding("upright")], 1, None),
                not_applicable: 2,
            },
            timeline: none(),
        }
    }

    #[test]
    fn a_host_shows_who_it_is_what_drifted_what_deviates_and_what_could_not_be_seen() {
        let html = page().render().unwrap();
        for part in
            ["<h1><bdi>web-1</bdi></h1>", "production", "Debian GNU/Linux 13", "report 12", "deviating", "unseen"]
        {
            assert!(html.contains(part), "{part} is missing:\n{html}");
        }
        assert!(html.find("unauthorised: no record").unwrap() < html.find("deviating").unwrap());
        assert!(html.contains("Whole"), "the chain is said to be whole:\n{html}");
    }

    #[test]
    fn a_broken_chain_is_never_called_whole() {
        let chain = ChainRow {
            host: drifted().host,
            kind: "fork".into(),
            alarms: true,
            detail: "report 3 exists twice".into(),
            found: Moment::new(at(0), at(1)),
            resolved: None,
        };
        let html = HostPage { chain: List::new(vec![chain], 1, None), ..page() }.render().unwrap();
        assert!(!html.contains("Whole") && html.contains("Report 3 exists twice."), "{html}");
    }

    #[test]
    fn a_host_never_judged_does_not_look_well() {
        let findings = Findings { deviations: none(), unknowns: none(), passes: none(), not_applicable: 0 };
        let html = HostPage { findings, judged: 0, ..page() }.render().unwrap();
        assert!(html.contains("not been judged yet"), "{html}");
    }

    #[test]
    fn hostile_text_is_harmless_on_a_hosts_page() {
        let text = nasty::all();
        let html = HostPage {
            host: HostRef { name: text.clone(), ..drifted().host },
            roles: vec![text.clone()],
            system: text.clone(),
            command: Some(text.clone()),
            drifts: List::new(vec![nasty_row()], 1, None),
            findings: Findings {
                deviations: List::new(vec![finding(&text)], 1, None),
                unknowns: List::new(vec![finding(&text)], 1, None),
                passes: List::new(vec![finding(&text)], 1, None),
                not_applicable: 0,
            },
            timeline: List::new(nasty_entries(), 9, None),
            ..page()
        }
        .render()
        .unwrap();
        nasty::assert_harmless(&html);
    }

    #[test]
    fn hostile_text_is_harmless_in_the_list() {
        let text = nasty::all();
        let row = HostRow {
            host: HostRef { name: text.clone(), ..drifted().host },
            roles: vec![text.clone()],
            system: text,
            standing: Standing::Silent,
            heard: None,
            unapproved: 1,
            deviations: 2,
        };
        let html =
            Hosts { frame: frame(Place::Hosts), hosts: List::new(vec![row], 1, None), next: None }.render().unwrap();
        nasty::assert_harmless(&html);
        assert!(html.contains("silent") && html.contains("never"));
    }
}
