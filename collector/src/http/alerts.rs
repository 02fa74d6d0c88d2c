//! Alerts, as they wait, were sent, or were refused: extract, call, reply.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::extract::{Caller, Query};
use super::page::{Newest, Page, limit};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::notify::{Alert, slack};
use crate::store::accounts::Role;
use crate::store::outbox::Message;
use crate::store::{audit_log, outbox};

/// `GET /api/v1/alerts`
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Newest>,
) -> Result<Json<Page<Message>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let mut db = app.store.read().await?;
    Ok(Json(Page { items: outbox::latest(&mut db, limit(asked.limit)?).await?, next: None }))
}

/// What was put in the outbox.
#[derive(Debug, Serialize, Deserialize)]
pub struct Queued {
    /// How many messages.
    pub messages: u64,
}

/// `POST /api/v1/alerts/test`
pub async fn test(State(app): State<App>, caller: Caller) -> Result<Json<Queued>, Refusal> {
    caller.must_be(Role::Operator)?;
    if !app.alerts {
        return Err(Refusal::Conflict("alerts have nowhere to go: configure `slack`".into()));
    }
    let now = now();
    let payload = slack::render(&Alert::test(&caller.0.name, &app.public_url));
    let mut db = app.store.write().await?;
    outbox::add(&mut db, &format!("test:{}", uuid::Uuid::now_v7()), None, &payload, now).await?;
    audit_log::note(&mut db, now, &caller.0.name, "alert test", "slack", "").await?;
    db.commit().await?;
    app.outbox.wake();
    Ok(Json(Queued { messages: 1 }))
}

/// `POST /api/v1/alerts/retry`
pub async fn retry(State(app): State<App>, caller: Caller) -> Result<Json<Queued>, Refusal> {
    caller.must_be(Role::Operator)?;
    let now = now();
    let mut db = app.store.write().await?;
    let messages = outbox::retry_failed(&mut db, now).await?;
    audit_log::note(&mut db, now, &caller.0.name, "alert retry", "slack", &messages.to_string()).await?;
    db.commit().await?;
    app.outbox.wake();
    Ok(Json(Queued { messages }))
}
