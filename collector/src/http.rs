//! Every route on one screen, and what stands before all of them: limits of time, size and number.
//!
//! Routes of agents are opened by a signature, of people by a personal token, of browsers by a session. Who may do what is
//! each handler's first line; a test walks every route with every role.

pub mod accounts;
pub mod agents;
pub mod alerts;
pub mod attempts;
pub mod bodies;
pub mod changes;
pub mod drift;
pub mod extract;
pub mod hosts;
pub mod page;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use audit::api::{ENROL, REPORTS};
use audit::seal::MAX_ENVELOPE;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use tower_http::timeout::{RequestBodyDeadlineLayer, TimeoutLayer};

use crate::app::App;
use crate::error::Refusal;
use crate::web::session::wants_a_page;
use crate::web::{answer, headers};

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
        .route("/v1/reports/{report}/facts/{digest}", put(agents::facts));
    let people = Router::new()
        .route("/api/v1/accounts", get(accounts::list).post(accounts::add))
        .route("/api/v1/login-links", post(accounts::login))
        .route("/api/v1/tokens", post(accounts::new_token))
        .route("/api/v1/log", get(accounts::log))
        .route("/api/v1/hosts", get(hosts::list))
        .route("/api/v1/hosts/{host}", get(hosts::show))
        .route("/api/v1/hosts/{host}/inspect", post(hosts::inspect))
        .route("/api/v1/hosts/{host}/findings", get(hosts::findings))
        .route("/api/v1/hosts/{host}/reports", get(hosts::reports))
        .route("/api/v1/reports/{report}/envelope", get(hosts::envelope))
        .route("/api/v1/changes", get(changes::list).post(changes::add))
        .route("/api/v1/changes/{change}", get(changes::show))
        .route("/api/v1/changes/{change}/approve", post(changes::approve))
        .route("/api/v1/drift", get(drift::list))
        .route("/api/v1/drift/{drift}", get(drift::explain))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/test", post(alerts::test))
        .route("/api/v1/alerts/retry", post(alerts::retry))
        .layer(DefaultBodyLimit::max(MAX_CALL));
    Router::new()
        .merge(agents)
        .merge(people)
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

/// No route of ours: a page for a person with a browser, a problem for a program.
async fn nothing(State(app): State<App>, request: Request) -> Response {
    if wants_a_page(request.headers()) {
        return headers::add(answer::nothing(&app, request.headers()).await).await;
    }
    Refusal::NotFound(format!("page or call at {}", request.uri().path())).into_response()
}
