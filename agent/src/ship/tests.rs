//! Rounds against a small HTTP responder on loopback, which answers by a script and keeps what it was sent.

use std::collections::BTreeMap;

use audit::report::{HostId, Manifest, ProbeFacts};
use ed25519_dalek::SigningKey;
use tokio::net::TcpListener;

use super::*;
use crate::client::responder::{Answer, Collector, Request};
use crate::key;
use crate::spool::{Head, Spool};

fn own() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn collector_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn receipt(request: &Request, key: &SigningKey, lacks: Vec<Digest>) -> Vec<u8> {
    let report = seal::verify::<Report>(&request.body, &own().verifying_key()).unwrap();
    let statement = report.statement();
    let receipt = Receipt {
        host: statement.host.clone(),
        sequence: statement.sequence,
        report: report.id(),
        received: Utc::now(),
        lacks,
    };
    seal::seal(receipt, key).unwrap().bytes
}

/// A state folder with `count` spooled reports, enrolled with `url`.
fn spooled(url: &str, count: u8) -> (tempfile::TempDir, State) {
    spooled_after(0, url, count)
}

/// The same, of a host that has used `used` numbers before.
fn spooled_after(used: u64, url: &str, count: u8) -> (tempfile::TempDir, State) {
    let folder = tempfile::tempdir().unwrap();
    let state = State::new(folder.path());
    state.create().unwrap();
    let mut head = Head::default();
    head.sequence = used;
    head.save(&state).unwrap();
    let identity = Identity {
        host: HostId::try_from("0".repeat(32)).unwrap(),
        collector: url.to_owned(),
        ca: None,
        key: key::public_text(&own().verifying_key()),
        receipt_key: key::public_text(&collector_key().verifying_key()),
        enrolled: Utc::now(),
    };
    identity.save(&state).unwrap();
    let mut spool = Spool::open(&state, &identity).unwrap();
    for facts in 0..count {
        let items = spool.keep(&[facts]).unwrap();
        let manifest = Manifest {
            agent: "test".into(),
            baseline: items,
            lifecycles: items,
            findings: items,
            interval: None,
            probes: BTreeMap::from([("p".to_owned(), ProbeFacts { schema: 1, items, state: items })]),
        };
        let report = Report {
            host: identity.host.clone(),
            sequence: spool.head().sequence + 1,
            previous: spool.head().report,
            time: Utc::now().trunc_subsecs(0),
            manifest: spool.keep(&serde_json::to_vec(&manifest).unwrap()).unwrap(),
            dropped: None,
        };
        spool.commit(&seal::seal(report, &own()).unwrap()).unwrap();
    }
    (folder, state)
}

async fn round(state: &State) -> Round {
    Shipper::open(state, &Config::default()).unwrap().round().await.unwrap()
}

#[tokio::test]
async fn reports_go_in_order_as_they_were_signed_and_their_receipts_are_kept_as_they_came() {
    let collector =
        Collector::start(Box::new(|request| (200, String::new(), receipt(request, &collector_key(), vec![])))).await;
    let (_folder, state) = spooled(&collector.url, 3);
    assert_eq!(round(&state).await.acknowledged, 3);
    let sent: Vec<Vec<u8>> = collector.requests().into_iter().map(|request| request.body).collect();
    let signed: Vec<Vec<u8>> = (1..=3).map(|sequence| std::fs::read(state.report(sequence)).unwrap()).collect();
    assert_eq!(sent, signed);
    assert_eq!(round(&state).await.acknowledged, 0, "what is acknowledged is not sent again");
    assert_eq!(collector.requests().len(), 3);
    let identity = Identity::require(&state).unwrap();
    assert_eq!(Spool::open(&state, &identity).unwrap().clear().unwrap(), 3, "collect accepts these receipts");
}

#[tokio::test]
async fn an_unchanged_report_is_at_most_700_bytes_on_the_wire() {
    let collector =
        Collector::start(Box::new(|request| (200, String::new(), receipt(request, &collector_key(), vec![])))).await;
    // Ten years of five minutes.
    let (_folder, state) = spooled_after(1_000_000, &collector.url, 2);
    round(&state).await;
    assert_eq!(collector.requests().len(), 2);
    for request in collector.requests() {
        let size = request.head.len() + request.body.len();
        assert!(size <= 700, "{size} bytes: {}", request.head);
    }
}

#[tokio::test]
async fn what_the_collector_lacks_is_put_as_it_is_spooled_and_the_report_posted_again() {
    let wanted = Digest::of(&[0]);
    let collector = Collector::start(Box::new(move |request| {
        if request.head.starts_with("PUT") {
            return (204, String::new(), Vec::new());
        }
        // A collector that never has enough would be asked for ever.
        static POSTS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let first = POSTS.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        (200, String::new(), receipt(request, &collector_key(), if first { vec![wanted] } else { vec![] }))
    }))
    .await;
    let (_folder, state) = spooled(&collector.url, 1);
    assert_eq!(round(&state).await.acknowledged, 1);
    let requests = collector.requests();
    assert_eq!(requests.len(), 3);
    let report = seal::verify::<Report>(&requests[0].body, &own().verifying_key()).unwrap().id();
    let line = format!("PUT /v1/reports/{report}/facts/{wanted} HTTP/1.1\r\n");
    assert!(requests[1].head.starts_with(&line), "{}", requests[1].head);
    assert_eq!(requests[1].body, std::fs::read(state.fact(wanted)).unwrap());
}

#[tokio::test]
async fn a_collector_that_always_lacks_something_is_left_alone_after_some_rounds() {
    let wanted = Digest::of(&[0]);
    let collector = Collector::start(Box::new(move |request| {
        if request.head.starts_with("PUT") {
            return (204, String::new(), Vec::new());
        }
        (200, String::new(), receipt(request, &collector_key(), vec![wanted]))
    }))
    .await;
    let (_folder, state) = spooled(&collector.url, 1);
    let round = round(&state).await;
    assert_eq!(round.acknowledged, 0);
    assert!(round.refused.unwrap().contains("after 8 rounds"));
    assert_eq!(collector.requests().len(), 16);
}

#[tokio::test]
async fn a_refused_report_is_noted_and_does_not_stop_those_behind_it() {
    let collector = Collector::start(Box::new(|request| {
        let report = seal::verify::<Report>(&request.body, &own().verifying_key()).unwrap();
        if report.statement().sequence == 1 {
            return (
                409,
                String::new(),
                br#"{"title":"Forked","status":409,"detail":"two with this number"}"#.to_vec(),
            );
        }
        (200, String::new(), receipt(request, &collector_key(), vec![]))
    }))
    .await;
    let (_folder, state) = spooled(&collector.url, 2);
    let first = round(&state).await;
    assert_eq!(first.acknowledged, 1);
    assert!(first.refused.unwrap().contains("two with this number"));
    assert_eq!(refusal(&state, 1).unwrap().status, 409);
    let second = round(&state).await;
    assert!(second.refused.is_some(), "it is still said");
    assert_eq!(collector.requests().len(), 2, "but not tried again at once");
    assert!(once(&state, &Config::default()).await.unwrap_err().to_string().contains("two with this number"));
}

#[tokio::test]
async fn a_busy_collector_stops_the_round_and_says_how_long_to_wait() {
    let collector = Collector::start(Box::new(|_| (429, "retry-after: 9\r\n".into(), Vec::new()))).await;
    let (_folder, state) = spooled(&collector.url, 2);
    let stopped = round(&state).await.stopped.unwrap();
    assert_eq!(stopped.wait, Some(Duration::from_secs(9)));
    assert_eq!(collector.requests().len(), 1, "the order is kept: nothing behind it is sent");
}

#[tokio::test]
async fn an_answer_that_is_no_receipt_by_the_pinned_key_acknowledges_nothing() {
    for answer in [
        Box::new(|request: &Request| (200_u16, String::new(), receipt(request, &own(), vec![]))) as Answer,
        Box::new(|_: &Request| (200, String::new(), b"<html>welcome</html>".to_vec())),
        Box::new(|_: &Request| (200, String::new(), vec![b'x'; MAX_ENVELOPE + 1])),
        Box::new(|_: &Request| (302, "location: http://127.0.0.1:1/\r\n".into(), Vec::new())),
    ] {
        let collector = Collector::start(answer).await;
        let (_folder, state) = spooled(&collector.url, 1);
        let round = round(&state).await;
        assert!(round.stopped.is_some() && round.acknowledged == 0);
        assert!(!state.ack(1).exists());
    }
}

#[tokio::test]
async fn a_collector_that_does_not_run_is_said_in_words() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let (_folder, state) = spooled(&url, 1);
    let stopped = round(&state).await.stopped.unwrap();
    assert!(stopped.why.contains("the connection was refused"), "{}", stopped.why);
}

#[tokio::test]
async fn damaged_reports_are_refused_here_never_sent_and_stop_nobody() {
    let collector =
        Collector::start(Box::new(|request| (200, String::new(), receipt(request, &collector_key(), vec![])))).await;
    let (_folder, state) = spooled(&collector.url, 6);
    std::fs::write(state.report(1), "torn").unwrap();
    std::fs::remove_file(state.report(2)).unwrap();
    std::fs::create_dir(state.report(2)).unwrap();
    std::fs::write(state.report(3), vec![b' '; MAX_ENVELOPE + 1]).unwrap();
    std::fs::copy(state.report(6), state.report(4)).unwrap();
    let round = round(&state).await;
    assert_eq!((round.acknowledged, round.stopped.is_some()), (2, false));
    assert!(round.refused.unwrap().contains("report 4: the spooled file is damaged: it holds report 6"));
    assert!((1..=4).all(|sequence| refusal(&state, sequence).unwrap().why.contains("damaged")));
    assert_eq!(collector.requests().len(), 2);
    let said = once(&state, &Config::default()).await.unwrap_err().to_string();
    assert!(said.contains("damaged"), "{said}");
    // Collect sets them aside, and all that is left is acknowledged.
    let identity = Identity::require(&state).unwrap();
    let mut spool = Spool::open(&state, &identity).unwrap();
    spool.clear().unwrap();
    spool.set_damaged_aside().unwrap();
    once(&state, &Config::default()).await.unwrap();
    assert_eq!(numbers(&state.acks(), "refused").unwrap(), [] as [u64; 0]);
}

#[tokio::test]
async fn folders_in_the_place_of_notes_are_set_aside() {
    let collector =
        Collector::start(Box::new(|request| (200, String::new(), receipt(request, &collector_key(), vec![])))).await;
    let (_folder, state) = spooled(&collector.url, 2);
    for path in [state.ack(1), state.refused(1), state.last_receipt(), state.ack(9), state.refused(9)] {
        std::fs::create_dir_all(path.join("in it")).unwrap();
    }
    std::fs::write(state.report(2), "torn").unwrap();
    std::fs::create_dir(state.refused(2)).unwrap();
    let round = round(&state).await;
    assert_eq!((round.acknowledged, round.stopped.is_some()), (1, false));
    assert!(round.refused.unwrap().contains("report 2"));
    assert!(state.ack(1).is_file() && state.refused(2).is_file() && !state.ack(9).exists());
}
