//! `GET /hosts`, `GET /hosts/{id}`

use audit::digest::Digest;
use audit::finding::{Finding, Status};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::super::change_of;
use super::super::frame::{Frame, List, Place, Tone, page};
use super::super::hosts::{FindingRow, Findings, HostPage, HostRow, Hosts, Standing};
use super::super::moment::Moment;
use super::super::rows::{HostRef, href, sentence, tone, verdict_words};
use super::super::session::Session;
use super::super::timeline::{Entry, newest_first};
use super::overview::{chain_row, inspect_command};
use super::{PAGE, answer, next_page, page_href, page_of, rows};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::Conn;
use crate::store::hosts::{self, Host, State as HostState};
use crate::store::pages::{self, Deviated, Filter, Which};

/// How many findings of one status a page shows.
const FINDINGS: i64 = 200;
/// How many passes: they are folded away.
const PASSES: i64 = 500;
/// How many entries the time line has.
const ENTRIES: i64 = 100;

/// The page of a list.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    /// Its number.
    pub page: String,
}

/// `GET /hosts`
pub async fn list(State(app): State<App>, session: Session, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let made = make_list(&app, &session, &asked.map(|Query(asked)| asked.page).unwrap_or_default()).await;
    answer(Some(session.visitor), made)
}

async fn make_list(app: &App, session: &Session, asked: &str) -> Result<Response, Refusal> {
    let now = now();
    let (number, offset) = page_of(asked);
    let mut db = app.store.read().await?;
    let (listed, total) = pages::hosts(&mut db, Which::All, PAGE, offset).await?;
    let row = |host: pages::Listed| HostRow {
        standing: standing(host.state, host.silent),
        heard: host.heard.map(|at| Moment::new(at, now)),
        host: HostRef { id: host.id, name: host.name, environment: host.environment.name().to_owned() },
        roles: host.roles,
        system: host.system,
        unapproved: host.unapproved,
        deviations: host.deviations,
    };
    let template = Hosts {
        frame: Frame::of(session.visitor.clone(), Place::Hosts, now),
        hosts: List::new(listed.into_iter().map(row).collect(), total, None),
        next: next_page(number, total).map(|next| page_href("/hosts", &[], next)),
    };
    Ok(page(StatusCode::OK, &template))
}

fn standing(state: HostState, silent: bool) -> Standing {
    match state {
        HostState::Active if silent => Standing::Silent,
        HostState::Active => Standing::Active,
        HostState::Pending => Standing::Pending,
        HostState::Quarantined => Standing::Quarantined,
    }
}

/// `GET /hosts/{id}`
pub async fn one(State(app): State<App>, session: Session, id: Result<Path<String>, PathRejection>) -> Response {
    let made = make_one(&app, &session, id.map(|Path(id)| id).unwrap_or_default()).await;
    answer(Some(session.visitor), made)
}

async fn make_one(app: &App, session: &Session, id: String) -> Result<Response, Refusal> {
    let now = now();
    let mut db = app.store.read().await?;
    let Some(host) = hosts::find(&mut db, &id).await? else {
        return Err(Refusal::NotFound("host of this id".into()));
    };
    let standing = standing(host.state, host.silent_since.is_some());
    let open = Filter { open: true, host: Some(&id), ..Filter::default() };
    let drifts = pages::drifts(&mut db, &open, PAGE, 0).await?;
    let (doubts, _) = pages::doubts(&mut db, Some(&id), FINDINGS).await?;
    let (chain, notes): (Vec<_>, Vec<_>) =
        doubts.into_iter().map(|doubt| chain_row(doubt, now)).partition(|row| row.alarms);
    let (chain_total, notes_total) = (chain.len(), notes.len());
    let findings = Findings {
        deviations: findings(&mut db, &id, Status::Deviation, FINDINGS, now).await?,
        unknowns: findings(&mut db, &id, Status::Unknown, FINDINGS, now).await?,
        passes: findings(&mut db, &id, Status::Pass, PASSES, now).await?,
        not_applicable: findings(&mut db, &id, Status::NotApplicable, 1, now).await?.total,
    };
    let timeline = timeline(&mut db, app, &host, now).await?;
    let template = HostPage {
        frame: Frame::of(session.visitor.clone(), Place::Hosts, now),
        standing,
        key: Digest::of(host.public_key.as_bytes()).short(),
        enrolled: Moment::new(host.enrolled, now),
        inspected: host.inspected.map(|at| (host.inspected_by.clone().unwrap_or_default(), Moment::new(at, now))),
        heard: host.last_received.map(|at| Moment::new(at, now)),
        sequence: host.head_sequence,
        judged: host.judged_sequence,
        command: (host.state == HostState::Pending).then(|| inspect_command(&id)),
        chain: List::new(chain, chain_total, None),
        notes: List::new(notes, notes_total, None),
        drifts: rows(drifts, Some(page_href("/drift", &[("verdict", "any"), ("host", &id)], 1))),
        findings,
        timeline,
        host: HostRef { id, name: host.name, environment: host.environment.name().to_owned() },
        roles: host.roles,
        system: host.system,
    };
    Ok(page(StatusCode::OK, &template))
}

async fn findings(
    db: &mut Conn,
    host: &str,
    status: Status,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<List<FindingRow>, Refusal> {
    let (found, total) = pages::findings(db, host, status.name(), limit).await?;
    Ok(List::new(found.into_iter().map(|(finding, since)| finding_row(finding, since, now)).collect(), total, None))
}

fn finding_row(finding: Finding, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> FindingRow {
    FindingRow {
        rule: finding.rule,
        title: finding.title,
        subject: finding.subject,
        severity: finding.severity.name().to_owned(),
        expected: finding.expected,
        observed: finding.observed,
        why: finding.why,
        fix: finding.fix,
        controls: finding.controls,
        since: since.map(|at| Moment::new(at, now)),
    }
}

async fn timeline(db: &mut Conn, app: &App, host: &Host, now: DateTime<Utc>) -> Result<List<Entry>, Refusal> {
    let id = host.id.as_str();
    let filter = Filter { host: Some(id), ..Filter::default() };
    let (drifts, drifts_total) = pages::drifts(db, &filter, ENTRIES, 0).await?;
    let (deviations, deviations_total) = pages::deviations(db, id, ENTRIES).await?;
    let (doubts, doubts_total) = pages::doubts_ever(db, id, ENTRIES).await?;
    let mut entries: Vec<(DateTime<Utc>, Entry)> = drifts.into_iter().map(|drift| of_drift(drift, now)).collect();
    entries.extend(deviations.iter().flat_map(|deviation| of_deviation(app, deviation, now)));
    entries.extend(doubts.into_iter().flat_map(|doubt| of_doubt(doubt, now)));
    entries.push(entry(host.enrolled, now, Tone::Plain, "enrolled", host.system.clone(), String::new()));
    if let Some(at) = pages::first_report(db, id).await? {
        let detail = "The first observation is not drift: what is there is taken as it is.";
        entries.push(entry(at, now, Tone::Plain, "first report", "received".into(), detail.into()));
    }
    if let Some(at) = host.inspected {
        let by = format!("by {}", host.inspected_by.as_deref().unwrap_or("somebody"));
        entries.push(entry(at, now, Tone::Good, "inspected", by, "From here on it counts, and alerts.".into()));
    }
    // What was read and what was left unread; each list is cut at the same length, so the newest are all here.
    let unread = [drifts_total, deviations_total, doubts_total]
        .map(|total| total.saturating_sub(usize::try_from(ENTRIES).unwrap_or(usize::MAX)))
        .iter()
        .sum::<usize>();
    let total = entries.len() + unread;
    let shown = newest_first(entries, usize::try_from(ENTRIES).unwrap_or(usize::MAX));
    Ok(List::new(shown, total, Some(page_href("/drift", &[("verdict", "any"), ("host", id)], 1))))
}

fn entry(
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    tone: Tone,
    label: &str,
    title: String,
    detail: String,
) -> (DateTime<Utc>, Entry) {
    let moment = Moment::new(at, now);
    (at, Entry { at: moment, tone, label: label.to_owned(), title, href: None, parts: Vec::new(), detail })
}

fn of_drift(
    pages::Drifted { seq, entry: drift, sequence }: pages::Drifted,
    now: DateTime<Utc>,
) -> (DateTime<Utc>, Entry) {
    let at = drift.interval().to;
    let entry = Entry {
        at: Moment::new(at, now),
        tone: tone(drift.verdict, drift.closed.is_none()),
        label: verdict_words(drift.verdict, drift.reason),
        title: format!("{}/{}", drift.probe, drift.subject),
        href: Some(href(seq)),
        parts: change_of::parts(&drift.probe, drift.before.as_ref(), drift.after.as_ref()),
        detail: format!("{} Seen in report {sequence}.", sentence(&drift.why)),
    };
    (at, entry)
}

fn of_deviation(app: &App, deviation: &Deviated, now: DateTime<Utc>) -> Vec<(DateTime<Utc>, Entry)> {
    let rule = app.baseline.rules.iter().find(|rule| rule.id == deviation.rule);
    let title = rule.map_or(deviation.rule.as_str(), |rule| rule.title.as_str());
    let about = format!("{title} ({})", deviation.subject);
    let severity = format!("Severity {}.", deviation.severity);
    let mut entries = vec![entry(deviation.opened, now, Tone::Warn, "deviation opened", about.clone(), severity)];
    if let Some(resolved) = deviation.resolved {
        entries.push(entry(resolved, now, Tone::Good, "deviation resolved", about, String::new()));
    }
    entries
}

fn of_doubt(doubt: pages::Doubt, now: DateTime<Utc>) -> Vec<(DateTime<Utc>, Entry)> {
    let tone = if doubt.finding.kind.alarms() { Tone::Bad } else { Tone::Warn };
    let label = format!("reports: {}", doubt.finding.kind.name());
    let mut entries =
        vec![entry(doubt.finding.found, now, tone, &label, sentence(&doubt.finding.detail), String::new())];
    if let Some(resolved) = doubt.finding.resolved {
        entries.push(entry(
            resolved,
            now,
            Tone::Good,
            &format!("{label}, over"),
            sentence(&doubt.finding.detail),
            String::new(),
        ));
    }
    entries
}
