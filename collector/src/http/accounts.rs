//! Accounts, enrolment tokens, sign-in links, and the log of who did what: extract, call, reply.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::extract::{Body, Caller, Query};
use super::page::{Newest, Page, limit};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::accounts::{Account, Role};
use crate::store::audit_log::Act;
use crate::store::sessions::LINK_LASTS;
use crate::store::tokens::{Environment, Grant};
use crate::store::{accounts, audit_log, sessions, tokens};

/// The longest an enrolment token may wait, in seconds.
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

/// `POST /api/v1/tokens`
pub async fn new_token(
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
    audit_log::note(&mut db, now, &caller.0.name, "token new", "enrolment", &detail).await?;
    db.commit().await?;
    Ok(Json(Token { token: token.reveal().to_owned(), environment: grant.environment, roles: grant.roles, expires }))
}

/// An account to be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its name.
    pub name: String,
    /// What it may do; nothing more than looking where empty.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
}

/// A new account with its token, shown this once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Added {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Its personal token.
    pub token: String,
}

/// `POST /api/v1/accounts`
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<NewAccount>,
) -> Result<Json<Added>, Refusal> {
    caller.must_be(Role::Administrator)?;
    let now = now();
    let mut db = app.store.write().await?;
    let token = accounts::add(&mut db, &asked.name, &asked.roles, now).await?;
    let roles: Vec<&str> = asked.roles.iter().map(|role| role.name()).collect();
    let detail = format!("{} ({})", roles.join(", "), accounts::token_words(token.hash().as_str()));
    audit_log::note(&mut db, now, &caller.0.name, "user add", &asked.name, &detail).await?;
    db.commit().await?;
    Ok(Json(Added { name: asked.name, roles: asked.roles, token: token.reveal().to_owned() }))
}

/// `GET /api/v1/accounts`
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Page<Account>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let mut db = app.store.read().await?;
    Ok(Json(Page { items: accounts::list(&mut db).await?, next: None }))
}

/// A sign-in link, good once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Link {
    /// The address to open.
    pub url: String,
    /// Until when it is good.
    pub expires: DateTime<Utc>,
}

/// `POST /api/v1/login-links`
pub async fn login(State(app): State<App>, caller: Caller) -> Result<Json<Link>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let now = now();
    let mut db = app.store.write().await?;
    let link = sessions::add_link(&mut db, &caller.0.name, now).await?;
    audit_log::note(&mut db, now, &caller.0.name, "login", &caller.0.name, "asked for a sign-in link").await?;
    db.commit().await?;
    Ok(Json(Link { url: format!("{}/enter/{}", app.public_url, link.reveal()), expires: now + LINK_LASTS }))
}

/// `GET /api/v1/log`
pub async fn log(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Newest>,
) -> Result<Json<Page<Act>>, Refusal> {
    caller.must_be(Role::Viewer)?;
    let mut db = app.store.read().await?;
    Ok(Json(Page { items: audit_log::latest(&mut db, limit(asked.limit)?).await?, next: None }))
}
