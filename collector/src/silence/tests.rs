//! Silence found, told and ended, over the real store.

use super::*;
use crate::http::testing::{Running, TestHost};

/// An active host that has reported once.
async fn scene(name: &str) -> (Running, TestHost) {
    let collector = Running::start().await;
    let mut host = collector.host(name, 1).await;
    collector.observe(&mut host, &[("openssl", "1")]).await;
    let path = format!("/api/v1/hosts/{name}/inspect");
    assert_eq!(collector.call("POST", &path, &collector.admin, None).await.0, 200);
    (collector, host)
}

async fn keys(app: &App) -> Vec<String> {
    let mut db = app.store.read().await.unwrap();
    let mut messages = outbox::latest(&mut db, 100).await.unwrap();
    messages.reverse();
    messages.into_iter().map(|message| message.key).collect()
}

#[tokio::test]
async fn a_host_that_says_nothing_is_told_of_once_and_once_more_when_it_is_heard() {
    let (collector, mut host) = scene("web-1").await;
    let begun = now();
    let late = begun + TimeDelta::minutes(11);
    look(&collector.app, begun, begun + TimeDelta::minutes(9)).await.unwrap();
    assert!(keys(&collector.app).await.is_empty());
    for _ in 0..2 {
        look(&collector.app, begun, late).await.unwrap();
    }
    assert_eq!(keys(&collector.app).await, ["silent:1"]);
    let (_, page) = collector.call("GET", "/api/v1/hosts", &collector.admin, None).await;
    assert!(page["items"][0]["silent_since"].is_string(), "{page}");
    let (_, found) = collector.call("GET", "/api/v1/hosts/web-1/findings", &collector.admin, None).await;
    assert_eq!(found["items"][0]["rule"], "reports-arrive", "{found}");
    collector.observe(&mut host, &[("openssl", "1")]).await;
    for _ in 0..2 {
        look(&collector.app, begun, begun + TimeDelta::minutes(1)).await.unwrap();
    }
    assert_eq!(keys(&collector.app).await, ["silent:1", "heard:1"]);
    let (_, page) = collector.call("GET", "/api/v1/hosts", &collector.admin, None).await;
    assert!(page["items"][0]["silent_since"].is_null(), "{page}");
    look(&collector.app, begun, late).await.unwrap();
    assert_eq!(keys(&collector.app).await, ["silent:1", "heard:1", "silent:2"]);
}

#[tokio::test]
async fn a_collector_that_did_not_listen_calls_nobody_silent() {
    let (collector, _host) = scene("web-1").await;
    let again = now() + TimeDelta::hours(5);
    look(&collector.app, again, again + TimeDelta::minutes(9)).await.unwrap();
    assert!(keys(&collector.app).await.is_empty());
    look(&collector.app, again, again + TimeDelta::minutes(11)).await.unwrap();
    assert_eq!(keys(&collector.app).await, ["silent:1"]);
}

#[tokio::test]
async fn a_pending_host_may_be_silent_for_ever() {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    collector.observe(&mut host, &[("openssl", "1")]).await;
    look(&collector.app, now(), now() + TimeDelta::days(9)).await.unwrap();
    assert!(keys(&collector.app).await.is_empty());
}

#[tokio::test]
async fn how_often_a_host_says_it_reports_decides_where_nothing_is_configured() {
    let (mut collector, host) = scene("web-1").await;
    let begun = now();
    {
        let mut db = collector.app.store.write().await.unwrap();
        silences::set_interval(&mut db, &host.id, Some("1h".parse().unwrap())).await.unwrap();
        db.commit().await.unwrap();
    }
    look(&collector.app, begun, begun + TimeDelta::minutes(119)).await.unwrap();
    assert!(keys(&collector.app).await.is_empty());
    collector.app.silent_after = Some("5m".parse().unwrap());
    look(&collector.app, begun, begun + TimeDelta::minutes(6)).await.unwrap();
    assert_eq!(keys(&collector.app).await, ["silent:1"]);
}
