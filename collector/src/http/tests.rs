//! Calls across a real socket: what agents send, and what is refused.

use super::testing::{Observation, Running, deflate, enrolment};
use crate::store::accounts::Role;
use crate::store::chain::{self, Kind};
use crate::store::hosts::{self, State};
use crate::store::reports;
use audit::api::{ENROL, MAX_FACTS_SENT, REPORTS};
use audit::digest::Digest;
use audit::report::Dropped;
use audit::seal::MAX_ENVELOPE;
use ed25519_dalek::SigningKey;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_report_goes_in_its_receipt_says_what_lacks_and_facts_follow() {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    let observation = Observation::of(&[("openssl", "3.0.15-1")]);
    let sealed = host.report(observation.id);
    let id = sealed.verified.id();
    let receipt = collector.send(&host, sealed.bytes.clone()).await.unwrap();
    assert_eq!((receipt.report, receipt.sequence, &receipt.host), (id, 1, &host.id));
    assert_eq!(receipt.lacks, [observation.id]);

    let (items, body) = &observation.bodies[1];
    assert_eq!(collector.put(id, *items, deflate(body)).await, 403, "facts before the manifest that names them");
    let (manifest, body) = &observation.bodies[0];
    assert_eq!(collector.put(id, *manifest, deflate(body)).await, 204);
    let mut lacking = collector.send(&host, sealed.bytes.clone()).await.unwrap();
    assert_eq!((lacking.lacks.len(), lacking.received), (3, receipt.received));
    for (digest, body) in &observation.bodies[1..] {
        assert_eq!(collector.put(id, *digest, deflate(body)).await, 204);
        assert_eq!(collector.put(id, *digest, deflate(body)).await, 204, "twice is as good as once");
    }
    lacking = collector.send(&host, sealed.bytes.clone()).await.unwrap();
    assert!(lacking.lacks.is_empty());

    let mut db = collector.app.store.read().await.unwrap();
    assert_eq!(reports::envelope(&mut db, id).await.unwrap(), Some(sealed.bytes));
    assert_eq!(reports::numbered(&mut db, &host.id, 1).await.unwrap().len(), 1, "a replay is kept once");
}

#[tokio::test]
async fn what_is_not_this_hosts_signed_report_is_refused_by_name() {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    let sealed = host.report(Digest::of(b"m"));
    let tampered = String::from_utf8(sealed.bytes.clone()).unwrap().replace("\"sig\":\"", "\"sig\":\"AAAA");
    assert_eq!(collector.send(&host, tampered.into_bytes()).await.unwrap_err().kind, "/problems/bad-signature");
    let other = SigningKey::from_bytes(&[7; 32]);
    let stranger = audit::seal::seal(sealed.verified.statement().clone(), &other).unwrap();
    assert_eq!(collector.send(&host, stranger.bytes).await.unwrap_err().status, 403);
    let enrolment = enrolment(&host.key, "ple_x", "web-1");
    assert_eq!(collector.send(&host, enrolment).await.unwrap_err().kind, "/problems/not-evidence");
    assert_eq!(collector.send(&host, b"{}".to_vec()).await.unwrap_err().status, 422);
    assert_eq!(collector.send(&host, vec![b' '; MAX_ENVELOPE + 1]).await.unwrap_err().status, 413);
    let mut unknown = host.clone();
    unknown.id = "f".repeat(32).try_into().unwrap();
    let envelope = unknown.report(Digest::of(b"m")).bytes;
    assert_eq!(collector.send(&host, envelope).await.unwrap_err().status, 404);
    let mut db = collector.app.store.read().await.unwrap();
    assert!(reports::of_host(&mut db, &host.id, 100, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn facts_are_taken_only_if_named_true_to_their_digest_and_bounded() {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    let bomb = vec![0; 64 * 1024 * 1024];
    let observation = Observation::with(bomb, 1);
    let sealed = host.report(observation.id);
    let id = sealed.verified.id();
    collector.send(&host, sealed.bytes).await.unwrap();
    let (manifest, body) = &observation.bodies[0];
    assert_eq!(collector.put(Digest::of(b"no report"), *manifest, deflate(body)).await, 404);
    assert_eq!(collector.put(id, Digest::of(b"unnamed"), deflate(b"unnamed")).await, 403);
    assert_eq!(collector.put(id, *manifest, deflate(b"other bytes")).await, 422);
    assert_eq!(collector.put(id, *manifest, b"not zstd".to_vec()).await, 422);
    assert_eq!(collector.put(id, *manifest, vec![0; MAX_FACTS_SENT + 1]).await, 413);
    assert_eq!(collector.put(id, *manifest, deflate(body)).await, 204);
    let (items, bomb) = &observation.bodies[1];
    assert_eq!(collector.put(id, *items, deflate(bomb)).await, 413);
}

#[tokio::test]
async fn of_a_thousand_uses_of_one_token_exactly_one_succeeds() {
    let collector = Running::start().await;
    let token = collector.token().await;
    // Both ends of each connection are ours, and a user's shell allows 1,024 open files.
    let gate = Arc::new(Semaphore::new(200));
    let attempts = (0..1000_u32).map(|number| {
        let mut seed = [3; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let envelope = enrolment(&SigningKey::from_bytes(&seed), &token, "web-1");
        let request = collector.http.post(format!("{}{ENROL}", collector.base)).body(envelope);
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            let _turn = gate.acquire_owned().await.unwrap();
            request.send().await.unwrap().status().as_u16()
        })
    });
    let mut statuses = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    let mut db = collector.app.store.read().await.unwrap();
    assert_eq!(hosts::list(&mut db, "", 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_that_ends_before_it_begins_is_refused_for_that() {
    let collector = Running::start().await;
    let envelope = enrolment(&SigningKey::from_bytes(&[7; 32]), &collector.token().await, "\0web-1");
    let response = collector.post(ENROL, envelope).await;
    assert_eq!(response.status(), 422);
    let problem = response.text().await.unwrap();
    assert!(problem.contains("cannot begin with a NUL"), "{problem}");
}

#[tokio::test]
async fn a_lost_answer_to_an_enrolment_is_given_again_to_the_same_key_alone() {
    let collector = Running::start().await;
    let token = collector.token().await;
    let key = SigningKey::from_bytes(&[5; 32]);
    let first: serde_json::Value = collector.post(ENROL, enrolment(&key, &token, "web-1")).await.json().await.unwrap();
    let again: serde_json::Value = collector.post(ENROL, enrolment(&key, &token, "web-1")).await.json().await.unwrap();
    assert_eq!(first, again);
    let other = SigningKey::from_bytes(&[6; 32]);
    assert_eq!(collector.post(ENROL, enrolment(&other, &token, "web-1")).await.status(), 403);
    let fresh = collector.token().await;
    assert_eq!(collector.post(ENROL, enrolment(&key, &fresh, "web-1")).await.status(), 409);
}

#[tokio::test]
async fn two_reports_of_one_number_quarantine_the_host_and_both_are_kept() {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    collector.observe(&mut host, &[("openssl", "1")]).await;
    let mut twin = host.clone();
    collector.observe(&mut host, &[("openssl", "2")]).await;
    collector.observe(&mut twin, &[("openssl", "3")]).await;
    let mut db = collector.app.store.read().await.unwrap();
    let both = reports::numbered(&mut db, &host.id, 2).await.unwrap();
    assert_eq!(both.iter().map(|report| report.forked).collect::<Vec<_>>(), [false, true]);
    assert_eq!(hosts::find(&mut db, host.id.as_str()).await.unwrap().unwrap().state, State::Quarantined);
    assert_eq!(chain::of_host(&mut db, &host.id, 10).await.unwrap()[0].kind, Kind::Fork);
}

/// Sends reports 1 to 9 but those dropped, in the order given, where 8 states `said`; the gaps open at the end, by the
/// number of the report behind them, and whether a drop was told.
async fn gaps(order: &[u64], said: (u64, u64, u64)) -> (Vec<String>, bool) {
    let collector = Running::start().await;
    let mut host = collector.host("web-1", 1).await;
    let (from, to, count) = said;
    let all: Vec<_> = (1..=9)
        .map(|number| {
            host.stating(Digest::of(b"m"), (number == 8).then_some(Dropped { from, to, count, damaged: 0 })).bytes
        })
        .collect();
    for number in order {
        collector.send(&host, all[usize::try_from(*number).unwrap() - 1].clone()).await.unwrap();
    }
    let mut db = collector.app.store.read().await.unwrap();
    let found = chain::of_host(&mut db, &host.id, 100).await.unwrap();
    let told = found.iter().any(|finding| finding.kind == Kind::Dropped);
    let open = found.into_iter().filter(|finding| finding.kind != Kind::Dropped && finding.resolved.is_none());
    (open.map(|finding| finding.detail).collect(), told)
}

#[tokio::test]
async fn scattered_numbers_a_later_report_says_were_dropped_are_no_gap_in_any_order_of_arrival() {
    // 2, 3 and 5 were dropped.
    for order in [[1, 4, 6, 7, 8, 9], [9, 8, 7, 6, 4, 1], [8, 6, 1, 9, 4, 7], [4, 8, 1, 7, 9, 6]] {
        assert_eq!(gaps(&order, (2, 5, 3)).await, (vec![], true), "{order:?}");
    }
}

#[tokio::test]
async fn what_nobody_said_was_dropped_stays_a_gap() {
    let never = |number: u64| format!("report {number} never came, and the host does not say it was dropped");
    // Counted too few: one of 2, 3, 5 was taken away on its way.
    for order in [[1, 4, 6, 7, 8, 9], [9, 8, 7, 6, 4, 1]] {
        let (mut open, told) = gaps(&order, (2, 5, 2)).await;
        open.sort();
        assert_eq!((open, told), (vec![never(3), never(5)], true), "{order:?}");
    }
    // Outside the range.
    assert_eq!(gaps(&[1, 4, 6, 7, 8, 9], (2, 3, 2)).await, (vec![never(5)], true));
    assert_eq!(gaps(&[9, 8, 7, 6, 4, 1], (2, 3, 2)).await, (vec![never(5)], true));
    // No such range can be.
    assert_eq!(gaps(&[1, 2, 3, 4, 5, 6, 8, 9], (7, 8, 2)).await, (vec![never(7)], false));
}

/// Every route of people, with what it asks: `{…}` stands for a thing there is not.
const ROUTES: &[(&str, &str, Role)] = &[
    ("GET", "/api/v1/accounts", Role::Viewer),
    ("POST", "/api/v1/accounts", Role::Administrator),
    ("POST", "/api/v1/login-links", Role::Viewer),
    ("POST", "/api/v1/tokens", Role::Operator),
    ("GET", "/api/v1/log", Role::Viewer),
    ("GET", "/api/v1/hosts", Role::Viewer),
    ("GET", "/api/v1/hosts/{host}", Role::Viewer),
    ("POST", "/api/v1/hosts/{host}/inspect", Role::Operator),
    ("GET", "/api/v1/hosts/{host}/findings", Role::Viewer),
    ("GET", "/api/v1/hosts/{host}/reports", Role::Viewer),
    ("GET", "/api/v1/reports/{report}/envelope", Role::Viewer),
    ("GET", "/api/v1/changes", Role::Viewer),
    ("POST", "/api/v1/changes", Role::Requester),
    ("GET", "/api/v1/changes/{change}", Role::Viewer),
    ("POST", "/api/v1/changes/{change}/approve", Role::Approver),
    ("GET", "/api/v1/drift", Role::Viewer),
    ("GET", "/api/v1/drift/{drift}", Role::Viewer),
    ("GET", "/api/v1/alerts", Role::Viewer),
    ("POST", "/api/v1/alerts/test", Role::Operator),
    ("POST", "/api/v1/alerts/retry", Role::Operator),
];

#[tokio::test]
async fn every_route_asks_for_a_token_and_for_the_role_it_names() {
    let collector = Running::start().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, collector.account(&format!("the-{role}"), &[role]).await));
    }
    // Bodies good enough to be understood; what they ask for may not exist.
    let until = chrono::Utc::now() + chrono::Duration::hours(1);
    let change = json!({"title": "t", "class": "minor", "hosts": ["a"], "items": [{"item": "packages"}],
        "until": until, "reason": "r"});
    for (method, path, needed) in ROUTES {
        let url = path.replace("{report}", &"0".repeat(64)).replace("{drift}", "D-1").replace(['{', '}'], "");
        let body = match *path {
            "/api/v1/accounts" => Some(json!({"name": "Not A Name", "roles": []})),
            "/api/v1/tokens" => Some(json!({"environment": "utility", "seconds": 60})),
            "/api/v1/changes" => Some(change.clone()),
            _ => None,
        };
        let body = body.filter(|_| *method == "POST");
        for nobody in ["", "plt_000", "ple_x"] {
            assert_eq!(collector.call(method, &url, nobody, body.clone()).await.0, 401, "{method} {path}");
        }
        for (role, token) in &tokens {
            let may = *needed == Role::Viewer || role == needed || *role == Role::Administrator;
            let (status, answer) = collector.call(method, &url, token, body.clone()).await;
            assert_eq!(status != 403, may, "{method} {path} by {role}: {status} {answer}");
            assert_ne!(status, 401, "{method} {path} by {role}");
            assert_ne!(status, 405, "{method} {path} is no route");
        }
    }
}

#[test]
fn no_route_of_people_is_without_its_row() {
    let source = include_str!("../http.rs");
    let routed: Vec<&str> = source.split(".route(\"/api/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routed.len() > 10, "{routed:?}");
    for path in routed {
        assert!(ROUTES.iter().any(|(_, row, _)| *row == format!("/api/{path}")), "/api/{path} has no row");
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_wrong_questions_are_problems() {
    let collector = Running::start().await;
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        collector.host(name, seed).await;
    }
    let (mut path, mut names) = ("/api/v1/hosts?limit=2".to_owned(), Vec::new());
    loop {
        let (_, page) = collector.call("GET", &path, &collector.admin, None).await;
        names.extend(page["items"].as_array().unwrap().iter().map(|host| host["name"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/hosts?limit=2&cursor={next}");
    }
    assert_eq!(names, ["a", "b", "c"]);
    for path in ["/api/v1/hosts?limit=0", "/api/v1/hosts?limit=x", "/api/v1/drift?verdict=good", "/api/v1/hosts?x=1"] {
        let (status, problem) = collector.call("GET", path, &collector.admin, None).await;
        assert_eq!((status, problem["type"].as_str()), (422, Some("/problems/invalid")), "{path}");
    }
    let wrong = json!({"title": "t", "class": "minor", "hosts": ["a"], "items": [{"item": "pakages"}], "until": "x", "reason": "r"});
    let (status, problem) = collector.call("POST", "/api/v1/changes", &collector.admin, Some(wrong)).await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `packages`"), "{problem}");
}

#[tokio::test]
async fn agents_calls_have_their_methods_and_the_rest_is_not_found() {
    let collector = Running::start().await;
    let (status, _) = collector.call("GET", REPORTS, "", None).await;
    assert_eq!(status, 405);
    let (status, problem) = collector.call("GET", "/nothing/here", "", None).await;
    assert_eq!((status, problem["type"].as_str()), (404, Some("/problems/not-found")));
    let response = collector.http.get(format!("{}/healthz", collector.base)).send().await.unwrap();
    assert_eq!(response.status(), 200);
}
