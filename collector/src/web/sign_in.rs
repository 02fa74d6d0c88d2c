//! Signing in: with a one-time link, or with a personal token; and signing out.
//!
//! Opening a link uses nothing up, so that a preview or a scanner in between does no harm; the button does. Every
//! sign-in and sign-out is written to the audit log.

use askama::Template;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::answer::answer;
use super::frame::{Frame, page};
use super::session::{self, Session};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::{accounts, audit_log, sessions};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    csrf: String,
    next: String,
    trouble: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "enter.html")]
struct Enter {
    frame: Frame,
    csrf: String,
    action: String,
}

/// The address after `?next=`.
#[derive(Debug, Default, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// The form of a personal token.
#[derive(Debug, Deserialize)]
pub struct TokenForm {
    csrf: String,
    token: String,
    #[serde(default)]
    next: String,
}

/// A form that says nothing but that it is ours.
#[derive(Debug, Deserialize)]
pub struct BareForm {
    csrf: String,
}

/// `GET /sign-in`
pub async fn form(State(app): State<App>, headers: HeaderMap, next: Result<Query<Next>, QueryRejection>) -> Response {
    let next = next.map(|Query(query)| query.next).unwrap_or_default();
    answer(None, sign_in_page(&app, &headers, &next, StatusCode::OK, None))
}

fn sign_in_page(
    app: &App,
    headers: &HeaderMap,
    next: &str,
    status: StatusCode,
    trouble: Option<&'static str>,
) -> Result<Response, Refusal> {
    let csrf = session::early_token(app, headers)?;
    let keep = session::keep_early(app, &csrf);
    let next = session::local(next).to_owned();
    let template = SignIn { frame: Frame::plain(None, now()), csrf, next, trouble };
    Ok(([(SET_COOKIE, keep)], page(status, &template)).into_response())
}

/// `POST /sign-in`
pub async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response {
    answer(None, try_sign_in(&app, &headers, form).await)
}

async fn try_sign_in(
    app: &App,
    headers: &HeaderMap,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(form) = form.map_err(not_a_form)?;
    session::check_early(app, headers, &form.csrf)?;
    let now = now();
    let mut db = app.store.write().await?;
    let Some(account) = accounts::by_token(&mut db, form.token.trim()).await? else {
        let trouble = "That token is nobody's. Check that all of it was copied.";
        return sign_in_page(app, headers, &form.next, StatusCode::FORBIDDEN, Some(trouble));
    };
    let link = sessions::add_link(&mut db, &account.name, now).await?;
    let Some((secret, account)) = sessions::enter(&mut db, link.reveal(), now).await? else {
        return Err(Refusal::internal("a sign-in link just made was not good"));
    };
    audit_log::note(&mut db, now, &account.name, "sign in", &account.name, "to the pages, with a personal token")
        .await?;
    db.commit().await?;
    Ok(go(session::local(&form.next), session::keep(app, secret.reveal())))
}

/// `GET /enter/{secret}`
pub async fn enter_page(State(app): State<App>, headers: HeaderMap, Path(secret): Path<String>) -> Response {
    let page = session::early_token(&app, &headers).map(|csrf| {
        let keep = session::keep_early(&app, &csrf);
        let action = format!("/enter/{}", session::percent_encoded(&secret));
        let template = Enter { frame: Frame::plain(None, now()), csrf, action };
        ([(SET_COOKIE, keep)], page(StatusCode::OK, &template)).into_response()
    });
    answer(None, page)
}

/// `POST /enter/{secret}`
pub async fn enter(
    State(app): State<App>,
    headers: HeaderMap,
    Path(secret): Path<String>,
    form: Result<Form<BareForm>, FormRejection>,
) -> Response {
    answer(None, try_enter(&app, &headers, &secret, form).await)
}

async fn try_enter(
    app: &App,
    headers: &HeaderMap,
    link: &str,
    form: Result<Form<BareForm>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(form) = form.map_err(not_a_form)?;
    session::check_early(app, headers, &form.csrf)?;
    let now = now();
    let mut db = app.store.write().await?;
    let Some((secret, account)) = sessions::enter(&mut db, link, now).await? else {
        return Err(Refusal::Forbidden(
            "this sign-in link was already used, or its time is over: ask for a new one, or sign in with your token"
                .into(),
        ));
    };
    audit_log::note(&mut db, now, &account.name, "sign in", &account.name, "to the pages, with a one-time link")
        .await?;
    db.commit().await?;
    Ok(go("/", session::keep(app, secret.reveal())))
}

/// `POST /sign-out`
pub async fn sign_out(
    State(app): State<App>,
    session: Session,
    form: Result<Form<BareForm>, FormRejection>,
) -> Response {
    let done = try_sign_out(&app, &session, form).await;
    answer(Some(session.visitor), done)
}

async fn try_sign_out(
    app: &App,
    session: &Session,
    form: Result<Form<BareForm>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(form) = form.map_err(not_a_form)?;
    session.check(&form.csrf)?;
    let mut db = app.store.write().await?;
    sessions::end(&mut db, &session.secret).await?;
    let who = &session.visitor.name;
    audit_log::note(&mut db, now(), who, "sign out", who, "of the pages").await?;
    db.commit().await?;
    Ok(go("/sign-in", session::forget(app)))
}

fn go(to: &str, cookie: String) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, to.to_owned()), (SET_COOKIE, cookie)]).into_response()
}

fn not_a_form(rejection: FormRejection) -> Refusal {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge(rejection.body_text()),
        _ => Refusal::Forbidden("this form is not complete: load the page again, and send it again".into()),
    }
}
