//! A stand-in for Slack on loopback, whose answers the test chooses.

use super::*;
use crate::http::testing::Running;
use crate::store::outbox::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

type Answers = Arc<Mutex<VecDeque<(u16, &'static str, Option<&'static str>)>>>;

struct Slack {
    webhook: Webhook,
    answers: Answers,
    taken: Arc<Mutex<Vec<String>>>,
}

/// A Slack that gives `answers` in turn, and then takes everything.
async fn slack(answers: &[(u16, &'static str, Option<&'static str>)]) -> Slack {
    let answers: Answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let (queue, seen) = (answers.clone(), taken.clone());
    let hook = axum::routing::post(move |body: String| async move {
        let (status, word, wait) = queue.lock().unwrap().pop_front().unwrap_or((200, "ok", None));
        if status == 200 {
            seen.lock().unwrap().push(body);
        }
        let mut headers = HeaderMap::new();
        if let Some(wait) = wait {
            headers.insert("retry-after", wait.parse().unwrap());
        }
        if (300..400).contains(&status) {
            headers.insert("location", "/elsewhere".parse().unwrap());
        }
        (StatusCode::from_u16(status).unwrap(), headers, word).into_response()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook = Webhook::new(&format!("http://{}/services/SECRET", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/services/SECRET", hook)).await });
    Slack { webhook, answers, taken }
}

async fn put(app: &App, keys: &[&str]) {
    let mut db = app.store.write().await.unwrap();
    for key in keys {
        outbox::add(&mut db, key, None, key, now()).await.unwrap();
    }
    db.commit().await.unwrap();
}

/// Delivers as if each wait had passed, until nothing waits.
async fn deliver_all(app: &App, slack: &Slack) -> Vec<i64> {
    let (mut at, mut waits) = (now(), Vec::new());
    loop {
        match deliver(app, &slack.webhook, at).await.unwrap() {
            Next::AtOnce => {}
            Next::At(due) => {
                waits.push((due - now()).num_seconds());
                at = due;
            }
            Next::WhenWoken => return waits,
        }
    }
}

#[tokio::test]
async fn messages_arrive_once_and_in_order_whatever_slack_answers_in_between() {
    let collector = Running::start().await;
    let slack = slack(&[(500, "oops", None), (429, "", Some("7")), (200, "<html>", None), (503, "", None)]).await;
    put(&collector.app, &["one", "two", "three"]).await;
    let waits = deliver_all(&collector.app, &slack).await;
    assert_eq!(waits.len(), 4, "{waits:?}");
    assert!((5..=7).contains(&waits[1]), "Retry-After is obeyed: {waits:?}");
    // The page that a proxy answered was no "ok": nobody knows whether it was taken, so it goes again.
    assert_eq!(*slack.taken.lock().unwrap(), ["one", "one", "two", "three"]);
    assert_eq!(deliver(&collector.app, &slack.webhook, now()).await.unwrap(), Next::WhenWoken);
}

#[tokio::test]
async fn what_is_refused_for_good_is_kept_and_shown_and_holds_up_nothing() {
    let collector = Running::start().await;
    let slack = slack(&[(404, "no_service", None), (302, "", None)]).await;
    put(&collector.app, &["one", "two", "three"]).await;
    deliver_all(&collector.app, &slack).await;
    assert_eq!(*slack.taken.lock().unwrap(), ["three"]);
    let mut db = collector.app.store.read().await.unwrap();
    let kept = outbox::latest(&mut db, 10).await.unwrap();
    let states: Vec<_> = kept.iter().map(|message| message.state).collect();
    assert_eq!(states, [State::Sent, State::Failed, State::Failed]);
    assert_eq!(kept[2].error.as_deref(), Some("404 no_service"));
}

#[tokio::test]
async fn while_slack_is_down_messages_wait_longer_and_longer_and_the_address_is_not_told() {
    let collector = Running::start().await;
    let down = {
        // A port nobody listens on any more.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Webhook::new(&format!("http://{}/services/SECRET", listener.local_addr().unwrap())).unwrap()
    };
    put(&collector.app, &["one"]).await;
    let mut at = now();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let Next::At(due) = deliver(&collector.app, &down, at).await.unwrap() else { panic!("it was sent") };
        waits.push((due - now()).num_seconds());
        at = due;
    }
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1] + 1) && waits[11] >= 298, "{waits:?}");
    let mut db = collector.app.store.read().await.unwrap();
    let error = outbox::latest(&mut db, 1).await.unwrap()[0].error.clone().unwrap();
    assert!(!error.contains("SECRET") && error.starts_with("no answer"), "{error}");
    let up = slack(&[]).await;
    assert_eq!(deliver(&collector.app, &up.webhook, at).await.unwrap(), Next::AtOnce);
    assert!(up.answers.lock().unwrap().is_empty());
}
