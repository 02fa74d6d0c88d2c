//! Who is asking, and what they ask for, taken out of a request; every refusal is a problem.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::Refusal;
use crate::store::accounts::{self, Account, Role};

/// Somebody whose personal token came with the request.
#[derive(Debug)]
pub struct Caller(pub Account);

impl Caller {
    /// Refuses who may not do what `role` does.
    pub fn must_be(&self, role: Role) -> Result<(), Refusal> {
        if self.0.may(role) {
            return Ok(());
        }
        Err(Refusal::Forbidden(format!("{} is no {role}", self.0.name)))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let token = bearer(&parts.headers).ok_or(Refusal::Unauthenticated)?;
        let mut db = app.store.read().await?;
        accounts::by_token(&mut db, token).await?.map(Self).ok_or(Refusal::Unauthenticated)
    }
}

/// The token of `Authorization: Bearer …`, RFC 6750.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// A body of JSON; what is wrong with it comes back as a problem.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        Ok(Self(Json::from_request(request, app).await?.0))
    }
}

/// The query's parameters; likewise.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        Ok(Self(axum::extract::Query::from_request_parts(parts, app).await?.0))
    }
}

/// The path's parameters; likewise.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        Ok(Self(axum::extract::Path::from_request_parts(parts, app).await?.0))
    }
}

/// The body's bytes; likewise.
#[derive(Debug)]
pub struct Bytes(pub axum::body::Bytes);

impl FromRequest<App> for Bytes {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        Ok(Self(axum::body::Bytes::from_request(request, app).await?))
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        of(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        of(rejection.status(), rejection.body_text())
    }
}

fn of(status: StatusCode, text: String) -> Refusal {
    if status == StatusCode::PAYLOAD_TOO_LARGE { Refusal::TooLarge(text) } else { Refusal::Invalid(text) }
}
