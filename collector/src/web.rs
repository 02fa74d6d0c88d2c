//! The pages: what nobody approved, where, since when, and what to do. Made on the server, whole without a script.
//!
//! Every page but those of signing in asks for a session. What a page shows is a plain struct (`overview`, `hosts`,
//! `drift`, `changes`) with its template; `answer` fills it from the store. Every text goes through one escaper
//! ([`text::Visible`]); every answer carries the same headers ([`headers`]).

pub mod answer;
pub mod assets;
pub mod change_of;
pub mod changes;
pub mod command;
pub mod drift;
pub mod frame;
pub mod headers;
pub mod hosts;
pub mod moment;
pub mod overview;
pub mod rows;
pub mod session;
pub mod sign_in;
pub mod text;
pub mod timeline;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{get, post};

use crate::app::App;

/// All routes of the pages.
pub fn router() -> Router<App> {
    Router::new()
        .route("/", get(answer::overview::get))
        .route("/drift", get(answer::drift::list))
        .route("/drift/{id}", get(answer::drift::one))
        .route("/hosts", get(answer::hosts::list))
        .route("/hosts/{id}", get(answer::hosts::one))
        .route("/changes", get(answer::changes::list))
        .route("/changes/{id}", get(answer::changes::one))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/enter/{secret}", get(sign_in::enter_page).post(sign_in::enter))
        .route("/assets/{name}", get(assets::get))
        .layer(map_response(headers::add))
}

#[cfg(test)]
mod tests;
