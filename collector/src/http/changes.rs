//! Change records: extract, call, reply. Who asks and who approves come from the token.

use audit::change::{ChangeRecord, Class, ItemScope, Pattern, Person, Scope, State as Standing};
use audit::drift::Interval;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::extract::{Body, Caller, Path, Query};
use super::page::{Asked, Page, limit};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::reconciling;
use crate::store::accounts::{self, Role};
use crate::store::{audit_log, changes};

/// The longest title, and the longest reason, in bytes.
const LONGEST_TITLE: usize = 200;
const LONGEST_REASON: usize = 4000;
/// The most hosts, items or implementers of one record.
const MOST: usize = 200;

/// A record to be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChange {
    /// One line.
    pub title: String,
    /// Its class.
    pub class: Class,
    /// Globs over hosts' names, or whole ids.
    pub hosts: Vec<Pattern>,
    /// The items, and where known the value each is to have.
    pub items: Vec<ItemScope>,
    /// When its window opens; now where it is not said.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    /// When its window closes.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who will do it; empty: whoever.
    #[serde(default)]
    pub implementers: Vec<String>,
}

/// What stands in the log before the digest of a record.
pub const RECORD: &str = "record ";

/// A record and where it stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The record.
    #[serde(flatten)]
    pub record: ChangeRecord,
    /// Where it stands.
    pub state: Standing,
}

impl Shown {
    fn at(record: ChangeRecord, now: DateTime<Utc>) -> Self {
        Self { state: record.state(now), record }
    }
}

/// `POST /api/v1/changes`
pub async fn add(State(app): State<App>, caller: Caller, Body(asked): Body<NewChange>) -> Result<Json<Shown>, Refusal> {
    caller.must_be(Role::Requester)?;
    if asked.title.len() > LONGEST_TITLE || asked.reason.len() > LONGEST_REASON {
        let words = format!("a title is at most {LONGEST_TITLE} bytes, a reason {LONGEST_REASON}");
        return Err(Refusal::Invalid(words));
    }
    if asked.hosts.len() > MOST || asked.items.len() > MOST || asked.implementers.len() > MOST {
        return Err(Refusal::Invalid(format!("a record names at most {MOST} hosts, items and implementers each")));
    }
    let now = now();
    let draft = ChangeRecord {
        id: String::new(),
        title: asked.title,
        class: asked.class,
        requester: caller.0.person(),
        implementers: asked.implementers.into_iter().map(Person).collect(),
        approvals: Vec::new(),
        scope: Scope { hosts: asked.hosts, items: asked.items },
        window: Interval { from: asked.from.unwrap_or(now), to: asked.until },
        reason: asked.reason,
        created: now,
    };
    let mut db = app.store.write().await?;
    for implementer in &draft.implementers {
        if accounts::find(&mut db, &implementer.0).await?.is_none() {
            return Err(Refusal::Invalid(format!("there is no account called {implementer} to implement it")));
        }
    }
    let record = changes::add(&mut db, draft).await?;
    reconciling::again(&mut db, now).await?;
    let detail = format!("{} ({RECORD}{})", record.title, changes::digest(&mut db, &record.id).await?);
    audit_log::note(&mut db, now, &caller.0.name, "change new", &record.id, &detail).await?;
    db.commit().await?;
    app.judge.wake();
    Ok(Json(Shown::at(record, now)))
}

/// `POST /api/v1/changes/{id}/approve`
pub async fn approve(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<Shown>, Refusal> {
    caller.must_be(Role::Approver)?;
    let now = now();
    let mut db = app.store.write().await?;
    let record = find(&mut db, &id).await?;
    record.may_approve(&caller.0.person())?;
    changes::approve(&mut db, &id, &caller.0.person(), now).await?;
    let decided = reconciling::again(&mut db, now).await?;
    let record = changes::digest(&mut db, &id).await?;
    let detail = format!("{decided} open drift got another verdict ({RECORD}{record})");
    audit_log::note(&mut db, now, &caller.0.name, "change approve", &id, &detail).await?;
    let record = find(&mut db, &id).await?;
    db.commit().await?;
    app.judge.wake();
    Ok(Json(Shown::at(record, now)))
}

/// `GET /api/v1/changes/{id}`
pub async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<Shown>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let mut db = app.store.read().await?;
    Ok(Json(Shown::at(find(&mut db, &id).await?, now())))
}

/// `GET /api/v1/changes`
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<Shown>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let limit = limit(asked.limit)?;
    let before = asked.cursor.as_deref().map(year_and_number).transpose()?;
    let mut db = app.store.read().await?;
    let now = now();
    let rows = changes::list(&mut db, before, limit + 1).await?;
    let rows = rows.into_iter().map(|record| Shown::at(record, now)).collect();
    Ok(Json(Page::of(rows, limit, |shown| shown.record.id.clone())))
}

/// The year and number of `CHG-2026-0001`.
fn year_and_number(id: &str) -> Result<(i64, i64), Refusal> {
    let parts = id.strip_prefix("CHG-").and_then(|rest| rest.split_once('-'));
    let numbers = parts.and_then(|(year, number)| Some((year.parse().ok()?, number.parse().ok()?)));
    numbers.ok_or_else(|| Refusal::Invalid(format!("`{id}` is not the id of a change record, such as CHG-2026-0001")))
}

async fn find(db: &mut crate::store::Conn, id: &str) -> Result<ChangeRecord, Refusal> {
    changes::find(db, id).await?.ok_or_else(|| Refusal::NotFound(format!("change record {id}")))
}
