//! People's calls: extract, call, reply. Who it is comes from the personal token.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::extract::{Body, Caller};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::accounts::Role;
use crate::store::tokens::{Environment, Grant};
use crate::store::{audit_log, tokens};

/// All of them.
pub fn router() -> Router<App> {
    Router::new().route("/api/v1/tokens", post(new_token))
}

/// The longest an enrolment token may wait.
const MAX_TOKEN_LIFE: i64 = 24 * 60 * 60;

/// What an enrolment token is to grant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The host's environment.
    pub environment: Environment,
    /// The host's roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// How long it is good for.
    pub seconds: i64,
}

/// An enrolment token, shown this once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    pub token: String,
    /// The environment it grants.
    pub environment: Environment,
    /// The roles it grants.
    pub roles: Vec<String>,
    /// Until when it is good.
    pub expires: DateTime<Utc>,
}

async fn new_token(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<NewToken>,
) -> Result<Json<Token>, Refusal> {
    caller.must_be(Role::Operator)?;
    if !(1..=MAX_TOKEN_LIFE).contains(&asked.seconds) {
        return Err(Refusal::Invalid("an enrolment token is good for 1 second to 24 hours".into()));
    }
    if asked.roles.len() > 32 || asked.roles.iter().any(|role| role.is_empty() || role.len() > 64) {
        return Err(Refusal::Invalid("a host has at most 32 roles of 1 to 64 bytes each".into()));
    }
    let now = now();
    let expires = now + Duration::seconds(asked.seconds);
    let grant = Grant { environment: asked.environment, roles: asked.roles };
    let mut db = app.store.write().await?;
    let token = tokens::add(&mut db, &grant, &caller.0.name, now, expires).await?;
    let detail = format!("for one host in {}, until {expires}", grant.environment);
    audit_log::note(&mut db, now, &caller.0.name, "token", "enrolment", &detail).await?;
    db.commit().await?;
    Ok(Json(Token { token: token.reveal().to_owned(), environment: grant.environment, roles: grant.roles, expires }))
}
