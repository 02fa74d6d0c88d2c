//! `GET /drift`, `GET /drift/{id}`

use audit::probes;
use audit::reconcile::Verdict;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::drift::{Choice, DriftOne, DriftPage, Judgement};
use super::super::frame::{Frame, List, Place, page};
use super::super::moment::Moment;
use super::super::rows::{DriftRow, tone, verdict_words};
use super::super::session::Session;
use super::{PAGE, answer, next_page, page_href, page_of, rows, shown};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::drifts::{self, Given};
use crate::store::pages::{self, Filter};

/// How many verdicts of one drift are shown.
const VERDICTS: i64 = 50;

/// What the address asks for. What it does not understand narrows nothing.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    probe: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    page: String,
}

/// `GET /drift`
pub async fn list(State(app): State<App>, session: Session, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let made = make_list(&app, &session, &asked).await;
    answer(Some(session.visitor), made)
}

/// One way to ask for verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Open,
    Any,
    One(Verdict),
}

impl Wanted {
    /// What the address says; the open and unapproved where it says nothing.
    fn of(text: &str) -> Self {
        let one = Verdict::ALL.into_iter().find(|verdict| verdict.name() == text).map(Self::One);
        match text {
            "any" => Self::Any,
            _ => one.unwrap_or(Self::Open),
        }
    }

    fn value(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Any => "any",
            Self::One(verdict) => verdict.name(),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Open => "Nobody approved, still open",
            Self::Any => "All drift",
            Self::One(Verdict::Authorised) => "Authorised",
            Self::One(Verdict::Uncontrolled) => "Uncontrolled: no record is asked for",
            Self::One(Verdict::AwaitingApproval) => "Awaiting approval",
            Self::One(Verdict::Unauthorised) => "Unauthorised, open or closed",
        }
    }
}

async fn make_list(app: &App, session: &Session, asked: &Asked) -> Result<Response, Refusal> {
    let (number, offset) = page_of(&asked.page);
    let wanted = Wanted::of(&asked.verdict);
    let host = asked.host.trim();
    let probe = probes::find(&asked.probe).map(|topic| topic.name());
    let filter = Filter {
        verdict: match wanted {
            Wanted::Open => Some(Verdict::Unauthorised),
            Wanted::Any => None,
            Wanted::One(verdict) => Some(verdict),
        },
        open: wanted == Wanted::Open,
        host: (!host.is_empty()).then_some(host),
        probe,
        ..Filter::default()
    };
    let mut db = app.store.read().await?;
    let (drifts, total) = pages::drifts(&mut db, &filter, PAGE, offset).await?;
    let choice = |value: &str, label: &str, taken| Choice { value: value.into(), label: label.into(), taken };
    let all = [Wanted::Open, Wanted::Any].into_iter().chain(Verdict::ALL.into_iter().map(Wanted::One));
    let query = [("verdict", wanted.value()), ("probe", probe.unwrap_or_default()), ("host", host)];
    let template = DriftPage {
        frame: Frame::of(session.visitor.clone(), Place::Drift, now()),
        verdicts: all.map(|each| choice(each.value(), each.label(), each == wanted)).collect(),
        probes: probes::names().into_iter().map(|name| choice(name, name, probe == Some(name))).collect(),
        host: host.to_owned(),
        heading: wanted.label().to_owned(),
        drifts: rows((drifts, total), None),
        older: next_page(number, total).map(|next| page_href("/drift", &query, next)),
        filtered: wanted != Wanted::Any || !host.is_empty() || probe.is_some(),
    };
    Ok(page(StatusCode::OK, &template))
}

/// `GET /drift/{id}`
pub async fn one(State(app): State<App>, session: Session, id: Result<Path<String>, PathRejection>) -> Response {
    let made = make_one(&app, &session, id.ok().and_then(|Path(id)| number(&id))).await;
    answer(Some(session.visitor), made)
}

/// The collector closes by a verdict; a person, by inspecting the host.
fn closed_by(who: Option<&str>) -> String {
    match who {
        None | Some("collector") => "its verdict,".into(),
        Some(person) => format!("{person}, who inspected the host,"),
    }
}

/// The number in `D-7`.
fn number(id: &str) -> Option<i64> {
    id.strip_prefix("D-")?.parse().ok()
}

async fn make_one(app: &App, session: &Session, id: Option<i64>) -> Result<Response, Refusal> {
    let now = now();
    let mut db = app.store.read().await?;
    let found = match id {
        Some(id) => pages::drift(&mut db, id).await?,
        None => None,
    };
    let Some(drift) = found else { return Err(Refusal::NotFound("drift of this number".into())) };
    let (verdicts, total) = drifts::verdicts(&mut db, drift.seq, VERDICTS).await?;
    let judged = |Given { at, judged }: Given| Judgement {
        at: Moment::new(at, now),
        tone: tone(judged.verdict, judged.reason.is_open()),
        words: verdict_words(judged.verdict, judged.reason),
        why: judged.why,
        change: judged.change,
    };
    let template = DriftOne {
        frame: Frame::of(session.visitor.clone(), Place::Drift, now),
        report: drift.entry.report.to_string(),
        controlled: drift.entry.controlled,
        closed: drift.entry.closed.map(|at| (Moment::new(at, now), closed_by(drift.entry.closed_by.as_deref()))),
        judgements: List::new(verdicts.into_iter().map(judged).collect(), total, None),
        row: DriftRow::new(shown(drift), now),
    };
    Ok(page(StatusCode::OK, &template))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_which_verdicts_and_nonsense_narrows_to_what_is_open() {
        assert_eq!(Wanted::of(""), Wanted::Open);
        assert_eq!(Wanted::of("<script>"), Wanted::Open);
        assert_eq!(Wanted::of("any"), Wanted::Any);
        for verdict in Verdict::ALL {
            assert_eq!(Wanted::of(Wanted::One(verdict).value()), Wanted::One(verdict));
        }
    }
}
