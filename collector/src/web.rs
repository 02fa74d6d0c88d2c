//! The pages. Their place is kept; they come next.

use axum::Router;

use crate::app::App;

/// The pages' routes.
pub fn router() -> Router<App> {
    Router::new()
}
