//! Hosts, their findings and reports: extract, call, reply.

use audit::digest::Digest;
use audit::finding::{Finding, Summary};
use audit::instance::Evidence;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::extract::{Caller, Path, Query};
use super::page::{Asked, Page, limit};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::accounts::Role;
use crate::store::chain::{self, ChainFinding};
use crate::store::findings::Deviation;
use crate::store::hosts::{self, Host};
use crate::store::{audit_log, drifts, instances, reports, silences};

/// `GET /api/v1/hosts`
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Host>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let limit = limit(asked.limit)?;
    let mut db = app.store.read().await?;
    let rows = hosts::list(&mut db, asked.cursor.as_deref().unwrap_or(""), limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |host| host.id.to_string())))
}

/// A host with what stands about it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// What it showed for the cloud instance it said it is, as given; verified by nobody here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_evidence: Option<Evidence>,
    /// How many findings there are of each status.
    pub summary: Summary,
    /// Deviations, newest first.
    pub deviations: Vec<Deviation>,
    /// What the collector found about its reports, newest first.
    pub chain: Vec<ChainFinding>,
    /// Drift that needs somebody, newest first.
    pub drift: Vec<drifts::Entry>,
}

/// `GET /api/v1/hosts/{id or name}`
pub async fn show(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Result<Json<Shown>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let mut db = app.store.read().await?;
    let host = hosts::named_by_person(&mut db, &name).await?;
    let filter = drifts::Filter { host: Some(host.id.clone()), open: true, ..drifts::Filter::default() };
    Ok(Json(Shown {
        instance_evidence: instances::find(&mut db, &host.id).await?,
        summary: crate::store::findings::summary(&mut db, &host.id).await?,
        deviations: crate::store::findings::history_of(&mut db, &host.id, 100).await?,
        chain: chain::of_host(&mut db, &host.id, 100).await?,
        drift: drifts::list(&mut db, &filter, 100).await?,
        host,
    }))
}

/// `POST /api/v1/hosts/{id or name}/inspect`
pub async fn inspect(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Result<Json<Host>, Refusal> {
    caller.must_be(Role::Operator)?;
    let now = now();
    let mut db = app.store.write().await?;
    let host = hosts::named_by_person(&mut db, &name).await?;
    hosts::inspect(&mut db, &host.id, &caller.0.name, now).await?;
    let closed = drifts::close_inspected(&mut db, &host.id, &caller.0.name, now).await?;
    let detail = format!("{}, {} before; {closed} earlier drift closed", host.name, host.state.name());
    audit_log::note(&mut db, now, &caller.0.name, "inspect", host.id.as_str(), &detail).await?;
    let host = hosts::named_by_person(&mut db, host.id.as_str()).await?;
    db.commit().await?;
    app.judge.wake();
    Ok(Json(host))
}

/// `GET /api/v1/hosts/{id or name}/findings`
pub async fn findings(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Finding>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let limit = limit(asked.limit)?;
    let after = match asked.cursor.as_deref().map(str::parse::<i64>) {
        None => None,
        Some(Ok(number)) => Some(number),
        Some(Err(_)) => return Err(Refusal::Invalid("cursor is a finding's number".into())),
    };
    let mut db = app.store.read().await?;
    let host = hosts::named_by_person(&mut db, &name).await?;
    let (found, more) = crate::store::findings::of_host(&mut db, &host.id, after.unwrap_or(-1), limit).await?;
    let next = found.last().filter(|_| more).map(|(number, _)| number.to_string());
    let mut items: Vec<Finding> = found.into_iter().map(|(_, finding)| finding).collect();
    // Beside the baseline's, and before them: on the first page alone.
    if after.is_none()
        && let Some(silence) = silences::open(&mut db, &host.id).await?
    {
        items.insert(0, audit::silence::finding(silence.since, silence.allowed));
    }
    Ok(Json(Page { items, next }))
}

/// A report, without its envelope.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReportRow {
    /// Its id.
    pub id: Digest,
    /// Its number.
    pub sequence: u64,
    /// The id of the one before.
    pub previous: Option<Digest>,
    /// The host's clock when it observed.
    pub time: DateTime<Utc>,
    /// When it came.
    pub received: DateTime<Utc>,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// Whether another report had its number first.
    pub forked: bool,
}

/// `GET /api/v1/hosts/{id or name}/reports`
pub async fn reports(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<ReportRow>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let limit = limit(asked.limit)?;
    let before = match asked.cursor.as_deref().map(str::parse::<u64>) {
        None => u64::MAX >> 1,
        Some(Ok(number)) => number,
        Some(Err(_)) => return Err(Refusal::Invalid("cursor is a report's number".into())),
    };
    let mut db = app.store.read().await?;
    let host = hosts::named_by_person(&mut db, &name).await?;
    let rows = reports::of_host(&mut db, &host.id, before, limit + 1).await?;
    let rows = rows.into_iter().map(|stored| ReportRow {
        id: stored.id,
        sequence: stored.sequence,
        previous: stored.previous,
        time: stored.host_time,
        received: stored.received,
        manifest: stored.manifest,
        forked: stored.forked,
    });
    Ok(Json(Page::of(rows.collect(), limit, |row| row.sequence.to_string())))
}

/// `GET /api/v1/reports/{report}/envelope`: the evidence itself, as it came.
pub async fn envelope(State(app): State<App>, caller: Caller, Path(id): Path<Digest>) -> Result<Response, Refusal> {
    caller.must_be(Role::Viewer)?;
    let mut db = app.store.read().await?;
    let envelope = reports::envelope(&mut db, id).await?.ok_or_else(|| Refusal::NotFound(format!("report {id}")))?;
    Ok(([(header::CONTENT_TYPE, "application/vnd.dsse.envelope.v1+json")], envelope).into_response())
}
