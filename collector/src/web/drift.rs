//! Drift: all of it, filtered by what stands in the address; and one drift with every verdict it ever had.

use askama::Template;

use super::frame::{Frame, List, Tone};
use super::moment::Moment;
use super::rows::{DriftRow, HostRef, sentence};

/// A choice of the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// As it stands in the address.
    pub value: String,
    /// In words.
    pub label: String,
    /// Whether it is the one taken.
    pub taken: bool,
}

/// The list.
#[derive(Template)]
#[template(path = "drift.html")]
pub struct DriftPage {
    /// What stands around it.
    pub frame: Frame,
    /// The verdicts one can ask for.
    pub verdicts: Vec<Choice>,
    /// The probes one can ask for.
    pub probes: Vec<Choice>,
    /// The host asked for: an id or a name, as typed.
    pub host: String,
    /// In words, what is asked for: `Open and unapproved`.
    pub heading: String,
    /// What was found, newest first.
    pub drifts: List<DriftRow>,
    /// Where older drift is, if there is more.
    pub older: Option<String>,
    /// Whether a filter narrows the list.
    pub filtered: bool,
}

/// One verdict a drift had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Since when.
    pub at: Moment,
    /// How its sign looks.
    pub tone: Tone,
    /// The verdict in words.
    pub words: String,
    /// Why.
    pub why: String,
    /// The record that decided.
    pub change: Option<String>,
}

impl Judgement {
    fn sentence(&self) -> String {
        sentence(&self.why)
    }
}

/// One drift.
#[derive(Template)]
#[template(path = "drift_one.html")]
pub struct DriftOne {
    /// What stands around it.
    pub frame: Frame,
    /// The drift.
    pub row: DriftRow,
    /// The report that showed it.
    pub report: String,
    /// Whether change control asks for a record here.
    pub controlled: bool,
    /// Since when it needs nobody any more, and who or what closed it.
    pub closed: Option<(Moment, String)>,
    /// Every verdict, newest first.
    pub judgements: List<Judgement>,
}

impl DriftOne {
    fn host(&self) -> &HostRef {
        &self.row.host
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Place;
    use super::super::frame::testing::{at, frame};
    use super::super::rows::testing::{nasty_row, row};
    use super::super::text::nasty;
    use super::*;

    fn page(rows: Vec<DriftRow>) -> DriftPage {
        let total = rows.len();
        DriftPage {
            frame: frame(Place::Drift),
            verdicts: vec![Choice { value: "open".into(), label: "Open and unapproved".into(), taken: true }],
            probes: vec![Choice { value: "packages".into(), label: "packages".into(), taken: false }],
            host: "web-1".into(),
            heading: "Open and unapproved".into(),
            drifts: List::new(rows, total, None),
            older: None,
            filtered: true,
        }
    }

    #[test]
    fn the_filter_stands_as_it_was_asked_for() {
        let html = page(vec![row()]).render().unwrap();
        assert!(html.contains("<form class=\"filter\" method=\"get\" action=\"/drift\">"), "{html}");
        assert!(html.contains("<option value=\"open\" selected>Open and unapproved</option>"), "{html}");
        assert!(
            html.contains("<option value=\"packages\">packages</option>") && html.contains("value=\"web-1\""),
            "{html}"
        );
    }

    #[test]
    fn where_nothing_matches_the_page_says_what_to_do() {
        let html = page(Vec::new()).render().unwrap();
        assert!(html.contains("Nothing matches") && html.contains("href=\"/drift?verdict=any\""), "{html}");
    }

    #[test]
    fn hostile_text_is_harmless_in_list_and_page() {
        let mut list = page(vec![nasty_row()]);
        list.host = nasty::all();
        nasty::assert_harmless(&list.render().unwrap());
        let text = nasty::all();
        let one = DriftOne {
            frame: frame(Place::Drift),
            row: nasty_row(),
            report: text.clone(),
            controlled: true,
            closed: Some((Moment::new(at(0), at(1)), text.clone())),
            judgements: List::new(
                vec![Judgement {
                    at: Moment::new(at(0), at(1)),
                    tone: Tone::Bad,
                    words: text.clone(),
                    why: text.clone(),
                    change: Some(text),
                }],
                1,
                None,
            ),
        };
        nasty::assert_harmless(&one.render().unwrap());
    }
}
