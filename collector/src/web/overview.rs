//! The first page: what nobody approved, where, since when, and what to do; then everything else that needs somebody.
//!
//! It never says that all is well while a host is silent or its evidence is in doubt: what cannot be seen is said.

use askama::Template;

use super::frame::{Frame, List, Tone};
use super::moment::Moment;
use super::rows::{DriftRow, HostRef};
use super::text::count;

/// How many hosts there are, by where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Active hosts by environment, those with any.
    pub active: Vec<(String, usize)>,
    /// Active hosts that have not reported for longer than they should.
    pub silent: usize,
    /// Not yet inspected.
    pub pending: usize,
    /// Two machines report as one.
    pub quarantined: usize,
}

impl Fleet {
    fn actives(&self) -> usize {
        self.active.iter().map(|(_, hosts)| hosts).sum()
    }

    fn all(&self) -> usize {
        self.actives() + self.pending + self.quarantined
    }

    fn environments(&self) -> String {
        let each: Vec<String> = self.active.iter().map(|(name, hosts)| format!("{hosts} {name}")).collect();
        if each.is_empty() { "none yet".into() } else { each.join(", ") }
    }
}

/// What nobody approved, in sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unapproved {
    /// On how many hosts.
    pub hosts: usize,
    /// Since when the oldest.
    pub oldest: Option<Moment>,
}

/// Something wrong with a host's reports themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRow {
    /// Whose.
    pub host: HostRef,
    /// What kind: `fork`.
    pub kind: String,
    /// Whether it puts the chain of reports itself in doubt.
    pub alarms: bool,
    /// In words.
    pub detail: String,
    /// Since when.
    pub found: Moment,
    /// When it was over.
    pub resolved: Option<Moment>,
}

/// A host that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub host: HostRef,
    /// Its operating system.
    pub system: String,
    /// Since when; `None` if it never reported.
    pub since: Option<Moment>,
    /// What to type, where there is something.
    pub command: Option<String>,
}

/// A rule that hosts break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Its id.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// How bad.
    pub severity: String,
    /// How many hosts break it.
    pub hosts: usize,
    /// The host, where it is only one.
    pub only: Option<HostRef>,
    /// In how many places.
    pub deviations: usize,
    /// Since when the oldest.
    pub since: Moment,
}

impl RuleRow {
    fn tone(&self) -> Tone {
        severity_tone(&self.severity)
    }
}

/// How a severity's sign looks.
pub fn severity_tone(severity: &str) -> Tone {
    match severity {
        "critical" | "high" => Tone::Bad,
        "medium" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// The page.
#[derive(Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// What stands around it.
    pub frame: Frame,
    /// The hosts.
    pub fleet: Fleet,
    /// In sum.
    pub unapproved: Unapproved,
    /// What nobody approved, newest first.
    pub drifts: List<DriftRow>,
    /// Emergencies that wait for their approval.
    pub awaiting: List<DriftRow>,
    /// Whose evidence is in doubt.
    pub chain: List<ChainRow>,
    /// Who has gone silent.
    pub silent: List<Waiting>,
    /// Who waits for inspection.
    pub pending: List<Waiting>,
    /// Open deviations by severity, worst first.
    pub severities: Vec<(String, usize)>,
    /// How many findings of active hosts could not be determined.
    pub unknowns: usize,
    /// The rules broken, worst first.
    pub rules: List<RuleRow>,
}

impl Overview {
    fn doubts(&self) -> usize {
        self.silent.total + self.chain.total + self.fleet.quarantined
    }

    /// The answer, as the page's heading and title.
    fn answer(&self) -> String {
        match self.drifts.total {
            0 if self.fleet.all() == 0 => "No host reports yet".into(),
            0 if self.fleet.actives() == 0 => "No host is active yet".into(),
            0 if self.doubts() > 0 => "Nothing unapproved is known, but not everything can be seen".into(),
            0 => "Nothing unapproved".into(),
            1 => "1 change nobody approved".into(),
            n => format!("{n} changes nobody approved"),
        }
    }

    fn tone(&self) -> Tone {
        match self.drifts.total {
            0 if self.fleet.actives() == 0 => Tone::Plain,
            0 if self.doubts() > 0 => Tone::Warn,
            0 => Tone::Good,
            _ => Tone::Bad,
        }
    }

    /// What qualifies the answer.
    fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if self.silent.total > 0 {
            let silent = count(self.silent.total, "active host is", "active hosts are");
            caveats.push(format!("{silent} silent: what changes there is not seen."));
        }
        if self.chain.total > 0 {
            let findings = count(self.chain.total, "finding puts", "findings put");
            caveats.push(format!("{findings} reports themselves in doubt."));
        }
        if self.awaiting.total > 0 {
            let waiting = count(self.awaiting.total, "emergency change waits", "emergency changes wait");
            caveats.push(format!("{waiting} for approval."));
        }
        caveats
    }

    fn failing(&self) -> usize {
        self.severities.iter().map(|(_, deviations)| deviations).sum()
    }

    fn failing_words(&self) -> String {
        let each: Vec<String> =
            self.severities.iter().map(|(name, deviations)| format!("{deviations} {name}")).collect();
        if each.is_empty() { "none known".into() } else { each.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Place;
    use super::super::frame::testing::{at, frame};
    use super::super::rows::testing::{drifted, nasty_row, row};
    use super::super::text::nasty;
    use super::*;

    fn none<T>() -> List<T> {
        List::new(Vec::new(), 0, None)
    }

    fn quiet() -> Overview {
        Overview {
            frame: frame(Place::Overview),
            fleet: Fleet { active: vec![("production".into(), 3)], ..Fleet::default() },
            unapproved: Unapproved::default(),
            drifts: none(),
            awaiting: none(),
            chain: none(),
            silent: none(),
            pending: none(),
            severities: Vec::new(),
            unknowns: 0,
            rules: none(),
        }
    }

    fn waiting(name: &str) -> Waiting {
        Waiting {
            host: HostRef { name: name.into(), ..drifted().host },
            system: name.into(),
            since: Some(Moment::new(at(0), at(90))),
            command: Some("plumbline-collector host inspect x".into()),
        }
    }

    #[test]
    fn what_nobody_approved_stands_first_with_where_since_when_and_what_to_do() {
        let page = Overview {
            drifts: List::new(vec![row()], 3, Some("/drift?verdict=open".into())),
            unapproved: Unapproved { hosts: 2, oldest: Some(Moment::new(at(0), at(90))) },
            ..quiet()
        };
        let html = page.render().unwrap();
        let places: Vec<usize> = [
            "<h1>3 changes nobody approved</h1>",
            "2 hosts",
            "Find out who did it",
            "web-1",
            "packages/openssl:amd64",
            "3.0.14-1",
            "3.0.15-1",
            "datetime=\"2027-01-15T08:05:00Z\"",
            "unauthorised: no record",
            "plumbline-collector change new",
            "2 more not shown here",
        ]
        .into_iter()
        .map(|part| html.find(part).unwrap_or_else(|| panic!("{part} is missing:\n{html}")))
        .collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn all_is_well_only_while_everything_can_be_seen() {
        assert!(quiet().render().unwrap().contains("<h1>Nothing unapproved</h1>"));
        let doubtful = Overview { silent: List::new(vec![waiting("db-1")], 1, None), ..quiet() };
        let html = doubtful.render().unwrap();
        assert!(!html.contains("<h1>Nothing unapproved</h1>") && html.contains("not everything can be seen"), "{html}");
        let nobody = Overview { fleet: Fleet { pending: 1, ..Fleet::default() }, ..quiet() };
        assert!(nobody.render().unwrap().contains("<h1>No host is active yet</h1>"));
    }

    #[test]
    fn an_empty_collector_says_how_to_begin() {
        let html = Overview { fleet: Fleet::default(), ..quiet() }.render().unwrap();
        assert!(html.contains("plumbline-collector token new") && html.contains("plumbline enroll"), "{html}");
    }

    #[test]
    fn hostile_text_is_harmless_in_every_section() {
        let text = nasty::all();
        let page = Overview {
            drifts: List::new(vec![nasty_row()], 1, None),
            awaiting: List::new(vec![nasty_row()], 1, None),
            chain: List::new(
                vec![ChainRow {
                    host: HostRef { name: text.clone(), ..drifted().host },
                    kind: text.clone(),
                    alarms: true,
                    detail: text.clone(),
                    found: Moment::new(at(0), at(1)),
                    resolved: None,
                }],
                1,
                None,
            ),
            silent: List::new(vec![waiting(&text)], 1, None),
            pending: List::new(vec![waiting(&text)], 1, None),
            rules: List::new(
                vec![RuleRow {
                    rule: text.clone(),
                    title: text.clone(),
                    severity: "high".into(),
                    hosts: 1,
                    only: Some(HostRef { name: text.clone(), ..drifted().host }),
                    deviations: 1,
                    since: Moment::new(at(0), at(1)),
                }],
                1,
                None,
            ),
            severities: vec![(text, 1)],
            ..quiet()
        };
        nasty::assert_harmless(&page.render().unwrap());
    }
}
