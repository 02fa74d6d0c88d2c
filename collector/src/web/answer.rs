//! From the store to a page: each handler reads what its page shows, at one instant, and renders it.

pub mod changes;
pub mod drift;
pub mod hosts;
pub mod overview;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::frame::{Frame, List, Message, Visitor, page};
use super::rows::{DriftRow, Drifted, HostRef, sentence};
use super::session::Session;
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::pages;

/// What a handler made, or the page that says why not.
pub fn answer(visitor: Option<Visitor>, made: Result<Response, Refusal>) -> Response {
    made.unwrap_or_else(|refusal| trouble(visitor, &refusal))
}

/// A refusal as a page.
pub fn trouble(visitor: Option<Visitor>, refusal: &Refusal) -> Response {
    if let Refusal::Internal(error) = refusal {
        tracing::error!(error = format!("{error:#}"), "a page failed inside the collector");
    }
    let problem = refusal.problem();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let frame = Frame::plain(visitor, now());
    page(status, &Message { frame, title: problem.title, detail: sentence(&problem.detail) })
}

/// The page at any address that is none of ours, asked for by somebody signed in or not.
pub async fn nothing(app: &App, headers: &HeaderMap) -> Response {
    match Session::find(app, headers).await {
        Ok(session) => {
            let visitor = session.map(|session| session.visitor);
            trouble(visitor, &Refusal::NotFound("page at this address".into()))
        }
        Err(refusal) => trouble(None, &refusal),
    }
}

/// Drift as rows.
fn rows((drifts, total): (Vec<pages::Drifted>, usize), href: Option<String>) -> List<DriftRow> {
    let now = now();
    List::new(drifts.into_iter().map(|drift| DriftRow::new(shown(drift), now)).collect(), total, href)
}

fn shown(pages::Drifted { seq, entry, .. }: pages::Drifted) -> Drifted {
    Drifted {
        id: seq,
        between: entry.interval(),
        open: entry.closed.is_none(),
        host: HostRef {
            id: entry.host.to_string(),
            name: entry.host_name,
            environment: entry.environment.name().to_owned(),
        },
        probe: entry.probe,
        subject: entry.subject,
        before: entry.before,
        after: entry.after,
        verdict: entry.verdict,
        reason: entry.reason,
        why: entry.why,
        change: entry.change,
    }
}

/// The address of a page further on: its own with another `page`.
fn page_href(path: &str, query: &[(&str, &str)], number: i64) -> String {
    let mut pairs: Vec<String> =
        query.iter().map(|(key, value)| format!("{key}={}", super::session::percent_encoded(value))).collect();
    pairs.push(format!("page={number}"));
    format!("{path}?{}", pairs.join("&"))
}

/// How many rows a page of a long list has.
const PAGE: i64 = 100;

/// The next page's number, if there is one.
fn next_page(page: i64, total: usize) -> Option<i64> {
    let seen = page.saturating_mul(PAGE);
    (i64::try_from(total).unwrap_or(i64::MAX) > seen).then_some(page.saturating_add(1))
}

/// The page asked for, from 1, and its offset.
fn page_of(asked: &str) -> (i64, i64) {
    let page = asked.parse().unwrap_or(1_i64).clamp(1, 1_000_000);
    (page, (page - 1) * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_until_all_is_shown() {
        assert_eq!((next_page(1, 100), next_page(1, 101), next_page(2, 200)), (None, Some(2), None));
        assert_eq!((page_of(""), page_of("-5"), page_of("3")), ((1, 0), (1, 0), (3, 200)));
        assert_eq!(page_href("/drift", &[("host", "a&b")], 2), "/drift?host=a%26b&page=2");
    }
}
