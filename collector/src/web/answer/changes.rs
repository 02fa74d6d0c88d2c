//! `GET /changes`, `GET /changes/{id}`

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::super::changes::{ChangePage, ChangeRow, Changes};
use super::super::frame::{Frame, List, Place, page};
use super::super::session::Session;
use super::hosts::Asked;
use super::{PAGE, answer, next_page, page_href, page_of, rows};
use crate::app::{App, now};
use crate::error::Refusal;
use crate::store::changes;
use crate::store::pages::{self, Filter};

/// `GET /changes`
pub async fn list(State(app): State<App>, session: Session, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let made = make_list(&app, &session, &asked.map(|Query(asked)| asked.page).unwrap_or_default()).await;
    answer(Some(session.visitor), made)
}

async fn make_list(app: &App, session: &Session, asked: &str) -> Result<Response, Refusal> {
    let now = now();
    let (number, offset) = page_of(asked);
    let mut db = app.store.read().await?;
    let (records, total) = changes::page(&mut db, PAGE, offset).await?;
    let rows = records.iter().map(|record| ChangeRow::new(record, now)).collect();
    let template = Changes {
        frame: Frame::of(session.visitor.clone(), Place::Changes, now),
        changes: List::new(rows, total, None),
        older: next_page(number, total).map(|next| page_href("/changes", &[], next)),
    };
    Ok(page(StatusCode::OK, &template))
}

/// `GET /changes/{id}`
pub async fn one(State(app): State<App>, session: Session, id: Result<Path<String>, PathRejection>) -> Response {
    let made = make_one(&app, &session, &id.map(|Path(id)| id).unwrap_or_default()).await;
    answer(Some(session.visitor), made)
}

async fn make_one(app: &App, session: &Session, id: &str) -> Result<Response, Refusal> {
    let now = now();
    let mut db = app.store.read().await?;
    let Some(record) = changes::find(&mut db, id).await? else {
        return Err(Refusal::NotFound("change record of this id".into()));
    };
    let decided = Filter { change: Some(id), ..Filter::default() };
    let drifts = pages::drifts(&mut db, &decided, PAGE, 0).await?;
    let frame = Frame::of(session.visitor.clone(), Place::Changes, now);
    Ok(page(StatusCode::OK, &ChangePage::new(frame, record, rows(drifts, None), now)))
}
