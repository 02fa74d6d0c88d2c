//! From reports to verdicts and alerts, across a real socket and the real store.

use serde_json::{Value, json};

use super::*;
use crate::http::testing::{Observation, Running, TestHost, deflate};
use crate::store::accounts::Role;
use audit::reconcile::Reason;

/// A collector with people, and an active host that has reported openssl 1 once.
struct Scene {
    collector: Running,
    rhea: String,
    ava: String,
    host: TestHost,
}

impl Scene {
    async fn new() -> Self {
        let collector = Running::start().await;
        let rhea = collector.account("rhea", &[Role::Requester]).await;
        let ava = collector.account("ava", &[Role::Approver]).await;
        let mut host = collector.host("web-1", 1).await;
        collector.observe(&mut host, &[("openssl", "1"), ("curl", "1")]).await;
        judge_waiting(&collector.app).await.unwrap();
        let (status, _) = collector.call("POST", "/api/v1/hosts/web-1/inspect", &collector.admin, None).await;
        assert_eq!(status, 200);
        Self { collector, rhea, ava, host }
    }

    async fn observe(&mut self, packages: &[(&str, &str)]) {
        self.collector.observe(&mut self.host, packages).await;
        judge_waiting(&self.collector.app).await.unwrap();
        pass_time(&self.collector.app, now()).await.unwrap();
    }

    /// Asks for a change of `item` from now on; its id.
    async fn ask(&self, class: &str, item: &str) -> String {
        let asked = json!({
            "title": "patch", "class": class, "hosts": ["web-*"], "items": [{"item": item}],
            "until": now() + TimeDelta::hours(1), "reason": "CVE",
        });
        let (status, answer) = self.collector.call("POST", "/api/v1/changes", &self.rhea, Some(asked)).await;
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    async fn approve(&self, token: &str, id: &str) -> u16 {
        self.collector.call("POST", &format!("/api/v1/changes/{id}/approve"), token, None).await.0
    }

    async fn drift(&self) -> Vec<Value> {
        let (status, page) = self.collector.call("GET", "/api/v1/drift", &self.rhea, None).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    async fn alerts(&self) -> Vec<String> {
        let mut db = self.collector.app.store.read().await.unwrap();
        let mut messages = outbox::latest(&mut db, 100).await.unwrap();
        messages.reverse();
        messages.into_iter().map(|message| message.payload).collect()
    }
}

#[tokio::test]
async fn drift_without_a_record_is_unauthorised_and_told_once_per_report() {
    let mut scene = Scene::new().await;
    scene.observe(&[("openssl", "2"), ("jq", "1")]).await;
    scene.observe(&[("openssl", "2"), ("jq", "1")]).await;
    let drift = scene.drift().await;
    let told: Vec<_> = drift.iter().map(|d| (d["subject"].as_str().unwrap(), d["verdict"].as_str().unwrap())).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.contains(&("openssl:amd64", "unauthorised")) && told.contains(&("curl:amd64", "unauthorised")));
    let alerts = scene.alerts().await;
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    for word in ["web-1", "production", "packages/openssl:amd64: 1 → 2", "no change record", "/hosts/"] {
        assert!(alerts[0].contains(word), "{word}: {}", alerts[0]);
    }
    let one = drift.iter().find(|d| d["subject"] == "openssl:amd64").unwrap();
    assert_eq!((&one["reason"], &one["change"], &one["closed"]), (&json!("no-record"), &Value::Null, &Value::Null));
    assert_eq!((one["before"]["version"].as_str(), one["between"].as_array().unwrap().len()), (Some("1"), 2));
}

#[tokio::test]
async fn drift_under_an_approved_record_is_authorised_and_nobody_is_told() {
    let mut scene = Scene::new().await;
    let id = scene.ask("minor", "packages/openssl:*").await;
    assert_eq!(scene.approve(&scene.rhea, &id).await, 403, "a requester is no approver");
    assert_eq!(scene.approve(&scene.ava, &id).await, 200);
    scene.observe(&[("openssl", "1"), ("curl", "1")]).await;
    scene.observe(&[("openssl", "2"), ("curl", "1")]).await;
    let drift = scene.drift().await;
    assert_eq!((drift[0]["verdict"].as_str(), drift[0]["change"].as_str()), (Some("authorised"), Some(id.as_str())));
    assert_eq!(drift[0]["reason"], "definitely-inside");
    assert!(scene.alerts().await.is_empty());
}

#[tokio::test]
async fn approved_only_afterwards_it_closes_and_both_verdicts_are_kept() {
    let mut scene = Scene::new().await;
    scene.observe(&[("openssl", "2"), ("curl", "1")]).await;
    let asked = json!({
        "title": "patch", "class": "minor", "hosts": ["web-1"], "items": [{"item": "packages/openssl:*"}],
        "from": now() - TimeDelta::hours(1), "until": now() + TimeDelta::hours(1), "reason": "late",
    });
    let (_, record) = scene.collector.call("POST", "/api/v1/changes", &scene.rhea, Some(asked)).await;
    assert_eq!(scene.drift().await[0]["reason"], "not-approved");
    assert_eq!(scene.approve(&scene.ava, record["id"].as_str().unwrap()).await, 200);
    let drift = scene.drift().await;
    assert_eq!((&drift[0]["verdict"], &drift[0]["reason"]), (&json!("unauthorised"), &json!("approved-afterwards")));
    assert_eq!(drift[0]["closed_by"], "collector");
    let path = format!("/api/v1/drift/{}", drift[0]["id"].as_str().unwrap());
    let (_, explained) = scene.collector.call("GET", &path, &scene.rhea, None).await;
    let reasons: Vec<_> = explained["verdicts"].as_array().unwrap().iter().map(|v| v["reason"].clone()).collect();
    assert_eq!(reasons, ["no-record", "not-approved", "approved-afterwards"]);
    pass_time(&scene.collector.app, now()).await.unwrap();
    assert_eq!(scene.alerts().await.len(), 1);
}

#[tokio::test]
async fn whoever_asked_cannot_approve_not_even_an_administrator() {
    let scene = Scene::new().await;
    let asked = json!({
        "title": "patch", "class": "minor", "hosts": ["web-1"], "items": [{"item": "packages"}],
        "until": now() + TimeDelta::hours(1), "reason": "CVE", "implementers": ["ava"],
    });
    let admin = scene.collector.admin.clone();
    let (_, record) = scene.collector.call("POST", "/api/v1/changes", &admin, Some(asked)).await;
    let id = record["id"].as_str().unwrap();
    let (status, problem) = scene.collector.call("POST", &format!("/api/v1/changes/{id}/approve"), &admin, None).await;
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("asked for this change"), "{problem}");
    assert_eq!(scene.approve(&scene.ava, id).await, 403, "an implementer does not approve");
}

#[tokio::test]
async fn an_emergency_waits_and_is_told_once_when_it_is_overdue() {
    let mut scene = Scene::new().await;
    let id = scene.ask("emergency", "packages/openssl:*").await;
    scene.observe(&[("openssl", "2"), ("curl", "1")]).await;
    assert_eq!(scene.drift().await[0]["verdict"], "awaiting-approval");
    assert!(scene.alerts().await.is_empty());
    let later = now() + TimeDelta::hours(25);
    pass_time(&scene.collector.app, later).await.unwrap();
    pass_time(&scene.collector.app, later).await.unwrap();
    let drift = scene.drift().await;
    assert_eq!((&drift[0]["reason"], &drift[0]["change"]), (&json!("emergency-overdue"), &json!(id)));
    assert_eq!(scene.alerts().await.len(), 1);
}

#[tokio::test]
async fn a_pending_host_drifts_in_silence_and_inspection_closes_what_was() {
    let scene = Scene::new().await;
    let mut pending = scene.collector.host("new-1", 2).await;
    scene.collector.observe(&mut pending, &[("openssl", "1")]).await;
    scene.collector.observe(&mut pending, &[("openssl", "2")]).await;
    judge_waiting(&scene.collector.app).await.unwrap();
    pass_time(&scene.collector.app, now()).await.unwrap();
    assert_eq!(scene.drift().await[0]["closed"], Value::Null);
    let (status, host) =
        scene.collector.call("POST", "/api/v1/hosts/new-1/inspect", &scene.collector.admin, None).await;
    assert_eq!((status, &host["state"], &host["inspected_by"]), (200, &json!("active"), &json!("admin")));
    pass_time(&scene.collector.app, now()).await.unwrap();
    assert_eq!(scene.drift().await[0]["closed_by"], "admin");
    assert!(scene.alerts().await.is_empty());
}

#[tokio::test]
async fn a_fork_is_told_once_and_is_not_judged() {
    let mut scene = Scene::new().await;
    let mut twin = scene.host.clone();
    scene.observe(&[("openssl", "1"), ("curl", "1")]).await;
    scene.collector.observe(&mut twin, &[("openssl", "9")]).await;
    scene.collector.observe(&mut twin, &[("openssl", "10")]).await;
    judge_waiting(&scene.collector.app).await.unwrap();
    pass_time(&scene.collector.app, now()).await.unwrap();
    pass_time(&scene.collector.app, now()).await.unwrap();
    assert!(scene.drift().await.is_empty());
    let alerts = scene.alerts().await;
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert!(alerts[0].contains("fork"), "{}", alerts[0]);
}

#[tokio::test]
async fn facts_of_an_unknown_shape_are_a_gap_and_nothing_vanished() {
    let mut scene = Scene::new().await;
    for (items, schema) in [(br#"{"seen":{"x":{"odd":1}}}"#.to_vec(), 1), (br#"{"seen":{}}"#.to_vec(), 4_000_000)] {
        let observation = Observation::with(items, schema);
        let sealed = scene.host.report(observation.id);
        scene.collector.send(&scene.host, sealed.bytes.clone()).await.unwrap();
        for (digest, body) in &observation.bodies {
            assert_eq!(scene.collector.put(sealed.verified.id(), *digest, deflate(body)).await, 204);
        }
        judge_waiting(&scene.collector.app).await.unwrap();
        let (_, shown) = scene.collector.call("GET", "/api/v1/hosts/web-1", &scene.rhea, None).await;
        assert_eq!(shown["judged_sequence"], scene.host.sequence);
        let kinds: Vec<_> = shown["chain"].as_array().unwrap().iter().map(|found| found["kind"].clone()).collect();
        assert!(kinds.contains(&json!("not-understood")), "{kinds:?}");
    }
    assert!(scene.drift().await.is_empty());
    scene.observe(&[("openssl", "2"), ("curl", "1")]).await;
    let drift = scene.drift().await;
    assert_eq!(drift.len(), 1, "{drift:#?}");
    // It may have happened at any time since it was last seen.
    let mut db = scene.collector.app.store.read().await.unwrap();
    let first = reports::numbered(&mut db, &scene.host.id, 1).await.unwrap();
    let from: DateTime<Utc> = drift[0]["between"][0].as_str().unwrap().parse().unwrap();
    assert!((from - first[0].host_time).abs() < TimeDelta::seconds(1), "{from} {}", first[0].host_time);
}

#[tokio::test]
async fn a_clock_set_back_into_the_window_gains_nothing() {
    let mut scene = Scene::new().await;
    let asked = json!({
        "title": "patch", "class": "minor", "hosts": ["web-1"], "items": [{"item": "packages/openssl:*"}],
        "from": now() - TimeDelta::hours(3), "until": now() - TimeDelta::hours(2), "reason": "CVE",
    });
    scene.collector.call("POST", "/api/v1/changes", &scene.rhea, Some(asked)).await;
    assert_eq!(scene.approve(&scene.ava, "CHG-2026-0001").await, 200);
    scene.host.time = Some(now() - TimeDelta::minutes(150));
    scene.observe(&[("openssl", "2"), ("curl", "1")]).await;
    let drift = scene.drift().await;
    assert_eq!(drift[0]["verdict"], Reason::OutsideWindow.verdict().name(), "{drift:#?}");
}

#[tokio::test]
async fn judging_twice_writes_nothing_twice() {
    let mut scene = Scene::new().await;
    scene.observe(&[("openssl", "2"), ("curl", "1")]).await;
    let before = (scene.drift().await, scene.alerts().await);
    let app = &scene.collector.app;
    let (one, two) = tokio::join!(judge_waiting(app), judge_waiting(app));
    one.unwrap();
    two.unwrap();
    pass_time(app, now()).await.unwrap();
    assert_eq!((scene.drift().await, scene.alerts().await), before);
}

#[tokio::test]
async fn more_facts_than_are_judged_are_a_gap_and_not_a_flood() {
    let mut scene = Scene::new().await;
    let names: Vec<String> = (0..25_000).map(|number| format!("p{number}")).collect();
    let flood: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    scene.observe(&flood).await;
    assert_eq!(scene.drift().await, [] as [Value; 0]);
    let (status, host) = scene.collector.call("GET", "/api/v1/hosts/web-1", &scene.rhea, None).await;
    assert_eq!(status, 200, "{host}");
    assert!(host.to_string().contains("more than the 2048 KiB"), "{host}");
    scene.observe(&[("openssl", "2"), ("curl", "1")]).await;
    assert_eq!(scene.drift().await.len(), 1, "what was known before the gap still is");
}

#[tokio::test]
async fn one_approval_decides_all_open_drift_however_much_there_is() {
    let mut scene = Scene::new().await;
    let names: Vec<String> = (0..1_234).map(|number| format!("p{number}")).collect();
    let many: Vec<(&str, &str)> =
        [("openssl", "1"), ("curl", "1")].into_iter().chain(names.iter().map(|name| (name.as_str(), "1"))).collect();
    let record = scene.ask("minor", "packages/p*").await;
    scene.observe(&many).await;
    assert_eq!(scene.approve(&scene.ava, &record).await, 200);
    let mut db = scene.collector.app.store.read().await.unwrap();
    let counts = drifts::open_counts(&mut db).await.unwrap();
    assert!(counts.is_empty(), "{counts:?}");
}
