//! Every route on one screen, and what stands before all of them: limits of time, size and number.
//!
//! Routes of agents are opened by a signature, of people by a personal token, of browsers by a session. Who may do what
//! stands beside each route in [`people::ROUTES`]; a test walks all of it.

pub mod agents;
pub mod attempts;
pub mod extract;
pub mod people;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use audit::api::{ENROL, MAX_FACTS_SENT, REPORTS};
use audit::seal::MAX_ENVELOPE;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use tower_http::timeout::{RequestBodyDeadlineLayer, TimeoutLayer};

use crate::app::App;
use crate::error::Refusal;

/// A body must be whole within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// A request must be answered within this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest body of a person's call.
const MAX_CALL: usize = 64 * 1024;

/// All routes.
pub fn router(app: App) -> Router {
    let agents = Router::new()
        .route(ENROL, post(agents::enrol).layer(DefaultBodyLimit::max(MAX_ENVELOPE)))
        .route(REPORTS, post(agents::report).layer(DefaultBodyLimit::max(MAX_ENVELOPE)))
        .route("/v1/reports/{report}/facts/{digest}", put(agents::facts).layer(DefaultBodyLimit::max(MAX_FACTS_SENT)));
    Router::new()
        .merge(agents)
        .merge(people::router().layer(DefaultBodyLimit::max(MAX_CALL)))
        .merge(crate::web::router().layer(DefaultBodyLimit::max(MAX_CALL)))
        .route("/healthz", get(healthz))
        .fallback(nothing)
        .layer(TimeoutLayer::with_status_code(axum::http::StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .layer(RequestBodyDeadlineLayer::new(BODY_TIMEOUT))
        .layer(from_fn_with_state(app.clone(), few_at_once))
        .with_state(app)
}

/// Overload is answered at once, not queued until it hurts.
async fn few_at_once(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.requests.clone().try_acquire_owned() {
        Ok(_held) => next.run(request).await,
        Err(_) => Refusal::Busy.into_response(),
    }
}

/// Whether the store answers.
async fn healthz(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.store.read().await?;
    Ok("ok\n")
}

async fn nothing(request: Request) -> Refusal {
    Refusal::NotFound(format!("page or call at {}", request.uri().path()))
}
