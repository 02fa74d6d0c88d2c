//! The agents' calls: extract, call, reply.

use std::net::SocketAddr;

use audit::api::{Enrolled, SENT};
use audit::digest::Digest;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

use super::bodies::Incoming;
use super::extract::{Bytes, Path};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::ingest;

/// `POST /v1/enrol`
pub async fn enrol(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Bytes(envelope): Bytes,
) -> Result<axum::Json<Enrolled>, Refusal> {
    let now = now();
    app.attempts.check(from.ip(), now)?;
    match ingest::enrol(&app, &envelope, now).await {
        Ok(enrolled) => Ok(axum::Json(enrolled)),
        Err(refusal) => {
            app.attempts.failed(from.ip(), now);
            Err(refusal)
        }
    }
}

/// `POST /v1/reports`
pub async fn report(State(app): State<App>, headers: HeaderMap, Bytes(envelope): Bytes) -> Result<Response, Refusal> {
    let receipt = ingest::report(&app, &envelope, sent(&headers), now()).await?;
    Ok(([(header::CONTENT_TYPE, "application/vnd.dsse.envelope.v1+json")], receipt).into_response())
}

/// `PUT /v1/reports/{report}/facts/{digest}`
pub async fn facts(
    State(app): State<App>,
    Path((report, digest)): Path<(Digest, Digest)>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let mut body = Incoming::of(request);
    let taken = take(&app, report, digest, &mut body).await;
    body.forget().await;
    taken.map(|()| StatusCode::NO_CONTENT)
}

/// Looks by the path first: of a body nobody waits for nothing is kept.
async fn take(app: &App, report: Digest, digest: Digest, body: &mut Incoming) -> Result<(), Refusal> {
    let length = body.length()?;
    let Some(wanted) = ingest::wanted(app, report, digest).await? else { return Ok(()) };
    let _held = app.bodies.hold(wanted.host(), length)?;
    let whole = body.whole().await?;
    ingest::facts(app, wanted, whole, now()).await
}

fn sent(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(SENT)?.to_str().ok()?;
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc))
}
