//! Drift and its verdicts: extract, call, reply.

use std::time::Duration;

use audit::reconcile::Verdict;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::extract::{Caller, Path, Query};
use super::page::{Page, limit};
use crate::app::App;
use crate::error::Refusal;
use crate::store::accounts::Role;
use crate::store::drifts::{self, Entry, Filter, Given};
use crate::store::hosts;

/// How long a list waits for reports that have come to be judged: whoever shipped and then asks sees what was shipped.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Which drift.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    verdict: Option<Verdict>,
    host: Option<String>,
    #[serde(default)]
    open: bool,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// `GET /api/v1/drift`
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<ListQuery>,
) -> Result<Json<Page<Entry>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let limit = limit(asked.limit)?;
    app.judge.settled(CATCH_UP).await;
    let mut db = app.store.read().await?;
    let host = match &asked.host {
        Some(name) => Some(hosts::named_by_person(&mut db, name).await?.id),
        None => None,
    };
    let before = asked.cursor.as_deref().map(drifts::number).transpose()?;
    let filter = Filter { verdict: asked.verdict, host, open: asked.open, before };
    let rows = drifts::list(&mut db, &filter, limit + 1).await?;
    Ok(Json(Page::of(rows, limit, |entry| entry.id.clone())))
}

/// The most verdicts told of one drift.
const MAX_VERDICTS: i64 = 1000;

/// A drift with the verdicts it had.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// The drift.
    #[serde(flatten)]
    pub entry: Entry,
    /// The verdicts it had, first to last.
    pub verdicts: Vec<Given>,
    /// How many earlier ones are left out.
    #[serde(default)]
    pub earlier: usize,
}

/// `GET /api/v1/drift/{id}`
pub async fn explain(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Explained>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let seq = drifts::number(&id)?;
    let mut db = app.store.read().await?;
    let entry = drifts::find(&mut db, seq).await?.ok_or_else(|| Refusal::NotFound(format!("drift {id}")))?;
    let (mut verdicts, total) = drifts::verdicts(&mut db, seq, MAX_VERDICTS).await?;
    verdicts.reverse();
    let earlier = total.saturating_sub(verdicts.len());
    Ok(Json(Explained { entry, verdicts, earlier }))
}
