//! Who a host is: tokens that work once, keys that are copied, history that is deleted or begun again.

use audit::api::ENROL;
use audit::digest::Digest;
use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::http::{self, RUNTIME};
use plumbline_tests::processes::eventually;
use plumbline_tests::puppet::{JSON, Puppet, enrolment, fresh_key};
use serde_json::Value;

/// Waits until the collector has found this about a host's reports.
#[track_caller]
fn found(collector: &Collector, host: &str, kinds: &[&str]) {
    eventually(&format!("one of {kinds:?}"), || {
        collector.chain_findings(host).iter().any(|kind| kinds.contains(&kind.as_str())).then_some(())
    });
}

#[test]
fn of_a_thousand_uses_of_one_token_at_once_exactly_one_enrols() {
    let collector = Collector::start();
    let token = collector.new_token();
    let url = format!("{}{ENROL}", collector.url());
    let bodies: Vec<Vec<u8>> =
        (0..1000).map(|number| enrolment(&token, &format!("twin-{number}"), &fresh_key())).collect();
    let statuses: Vec<u16> = RUNTIME.block_on(async {
        let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(200));
        let mut tasks = Vec::new();
        for body in bodies {
            let (url, gate) = (url.clone(), gate.clone());
            tasks.push(tokio::spawn(async move {
                let _turn = gate.acquire_owned().await.unwrap();
                http::send("POST", &url, &[JSON], body).await.unwrap().status
            }));
        }
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.unwrap());
        }
        statuses
    });
    let enrolled = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((enrolled, statuses.len()), (1, 1000));
    assert!(statuses.iter().all(|status| *status == 200 || (400..500).contains(status) || *status == 503));
    assert_eq!(collector.hosts().len(), 1);
}

#[test]
fn a_made_up_token_enrols_nobody() {
    let collector = Collector::start();
    let agent = Agent::new("web-1");
    let ran = agent.enroll(collector.url(), "plt_0000000000000000000000000000000000000000").ended(1);
    assert!(ran.stderr.contains("token"), "{ran}");
    assert_eq!(collector.hosts(), Vec::<Value>::new());
}

#[test]
fn a_cloned_host_is_a_fork_and_is_quarantined_at_the_second_twins_first_report() {
    let collector = Collector::start();
    let agent = Agent::active(&collector, "web-1");
    agent.report();
    let twin = agent.twin();
    agent.report();
    assert_eq!(collector.host("web-1")["state"], "active");
    twin.host.install("openssl", "3.9.9-1");
    twin.collect();
    twin.try_ship();
    eventually("the quarantine", || (collector.host("web-1")["state"] == "quarantined").then_some(()));
    found(&collector, "web-1", &["fork"]);
}

#[test]
fn a_spool_deleted_before_it_was_sent_is_a_gap_in_the_chain() {
    let collector = Collector::start();
    let agent = Agent::active(&collector, "web-1");
    agent.report();
    agent.host.install("openssl", "3.9.9-1");
    agent.collect();
    for report in agent.spooled() {
        std::fs::remove_file(report).unwrap();
    }
    agent.report();
    found(&collector, "web-1", &["gap"]);
}

#[test]
fn a_chain_begun_again_is_found() {
    let collector = Collector::start();
    let mut puppet = Puppet::active(&collector, "web-1");
    for version in ["1", "2", "3"] {
        puppet.report_packages(&[("openssl", version)]);
    }
    // The state was reset: the key is the same, the numbers begin at 1.
    let again = puppet.sign(1, None, Digest::of(b"another manifest"));
    puppet.post(&again.bytes);
    found(&collector, "web-1", &["fork", "rewritten"]);
}

#[test]
fn a_report_by_a_key_the_collector_does_not_know_is_refused() {
    let collector = Collector::start();
    let mut puppet = Puppet::active(&collector, "web-1");
    puppet.key = fresh_key();
    let sealed = puppet.next(Digest::of(b"a manifest"));
    let answer = puppet.post(&sealed.bytes);
    assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
}
