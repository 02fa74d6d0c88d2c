//! What every page has around it, and the small shapes all pages share: signs, bounded lists, the message page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};

use super::assets;
use super::moment::Moment;

/// The pages one can go to from every page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What nobody approved, and what else needs somebody.
    Overview,
    /// Every drift, filtered.
    Drift,
    /// The hosts.
    Hosts,
    /// The change records.
    Changes,
}

impl Place {
    /// In the order shown.
    pub const ALL: [Self; 4] = [Self::Overview, Self::Drift, Self::Hosts, Self::Changes];

    /// Its address.
    pub fn href(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Drift => "/drift",
            Self::Hosts => "/hosts",
            Self::Changes => "/changes",
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Drift => "Drift",
            Self::Hosts => "Hosts",
            Self::Changes => "Changes",
        }
    }
}

/// Who looks at a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The account's name.
    pub name: String,
    /// What every form of this session must send along.
    pub csrf: String,
}

/// What stands around a page's content.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Who looks; `None` before signing in.
    pub visitor: Option<Visitor>,
    here: Option<Place>,
    now: DateTime<Utc>,
}

impl Frame {
    /// For somebody signed in.
    pub fn of(visitor: Visitor, here: Place, now: DateTime<Utc>) -> Self {
        Self { visitor: Some(visitor), here: Some(here), now }
    }

    /// For whoever it is, on a page that is none of the places.
    pub fn plain(visitor: Option<Visitor>, now: DateTime<Utc>) -> Self {
        Self { visitor, here: None, now }
    }

    /// The pages of the navigation.
    pub fn places(&self) -> [Place; 4] {
        Place::ALL
    }

    /// Whether this page is that place.
    pub fn is_at(&self, place: &Place) -> bool {
        self.here == Some(*place)
    }

    /// When the page was made.
    pub fn as_of(&self) -> Moment {
        Moment::new(self.now, self.now)
    }

    /// Where the stylesheet is.
    pub fn stylesheet(&self) -> &'static str {
        assets::stylesheet_href()
    }

    /// Where the mark is.
    pub fn mark(&self) -> &'static str {
        assets::mark_href()
    }
}

/// How a sign looks; its word says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nobody approved it; it contradicts the baseline.
    Bad,
    /// It waits for somebody, or cannot be known.
    Warn,
    /// As it should be.
    Good,
    /// Neither.
    Plain,
}

impl Tone {
    /// The class in the stylesheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Good => "good",
            Self::Plain => "plain",
        }
    }
}

/// The first of many: never a page without end, and never silent about the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T> {
    /// What is shown.
    pub rows: Vec<T>,
    /// How many there are.
    pub total: usize,
    /// Where all of them are.
    pub href: Option<String>,
}

impl<T> List<T> {
    /// `rows` of `total`, all of which are at `href`.
    pub fn new(rows: Vec<T>, total: usize, href: Option<String>) -> Self {
        Self { rows, total, href }
    }

    /// How many are not shown.
    pub fn more(&self) -> usize {
        self.total.saturating_sub(self.rows.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A template as an answer.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "This page could not be made; the collector's log says more.\n")
                .into_response()
        }
    }
}

/// A page that says one thing: not found, refused, failed.
#[derive(Template)]
#[template(path = "message.html")]
pub struct Message {
    /// What stands around it.
    pub frame: Frame,
    /// The heading.
    pub title: String,
    /// What happened and what to do.
    pub detail: String,
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// An instant, in minutes.
    pub(crate) fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    /// The frame a signed-in visitor with a hostile name sees.
    pub(crate) fn frame(here: Place) -> Frame {
        Frame::of(Visitor { name: "ava".into(), csrf: "c5rf".into() }, here, at(24 * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::nasty;
    use super::*;

    #[test]
    fn every_page_marks_where_one_is_and_can_be_left() {
        let frame = testing::frame(Place::Hosts);
        let html = Message { frame, title: "T".into(), detail: nasty::all() }.render().unwrap();
        nasty::assert_harmless(&html);
        assert!(!html.contains("aria-current") || html.contains("href=\"/hosts\" aria-current=\"page\""), "{html}");
        assert!(html.contains("name=\"csrf\" value=\"c5rf\""), "signing out carries the token:\n{html}");
        for part in ["<html lang=\"en\">", "<h1>T</h1>", "class=\"skip\" href=\"#main\"", "<main id=\"main\">"] {
            assert!(html.contains(part), "{part} is missing:\n{html}");
        }
    }

    #[test]
    fn no_page_has_script_or_style_of_its_own() {
        let html =
            Message { frame: testing::frame(Place::Drift), title: "T".into(), detail: "d".into() }.render().unwrap();
        assert!(!html.contains("<script") && !html.contains("<style") && !html.contains(" style="), "{html}");
    }

    #[test]
    fn a_list_says_how_many_it_does_not_show() {
        assert_eq!(List::new(vec![1, 2], 5, None).more(), 3);
        assert_eq!(List::new(vec![1, 2], 2, None).more(), 0);
    }
}
