//! Silence across real processes: an agent that stops is told of once, and once more when it is heard again; a collector
//! that was down calls nobody silent for it.
//!
//! Time itself is what is tested here, so this file sleeps where nothing can be awaited.

use std::thread::sleep;
use std::time::Duration;

use plumbline_tests::agent::{Agent, plumbline};
use plumbline_tests::collector::Collector;
use plumbline_tests::processes::{Running, eventually};
use plumbline_tests::slack::{Slack, words};

/// How long hosts may be silent here.
const ALLOWED: Duration = Duration::from_secs(5);

/// Both halves of an agent that reports every second.
struct Halves {
    collect: Running,
    ship: Running,
}

impl Halves {
    #[track_caller]
    fn start(agent: &Agent) -> Self {
        let config = agent.state().with_file_name("often.yaml");
        std::fs::write(&config, "interval: 1s\nsplay: 0s\n").unwrap();
        let half = |name: &str| {
            let mut command = plumbline(&[name]);
            command.arg("--root").arg(agent.host.root()).arg("--state").arg(agent.state());
            Running::start(name, command.arg("--config").arg(&config))
        };
        Self { collect: half("collect"), ship: half("ship") }
    }

    fn stop(mut self) {
        self.ship.stop();
        self.collect.stop();
    }
}

/// How many reports have come.
fn number(collector: &Collector) -> u64 {
    collector.host("web-1")["head_sequence"].as_u64().unwrap()
}

fn told(slack: &Slack, count: usize) -> Vec<String> {
    slack.wait_for(count).iter().map(words).collect()
}

#[test]
fn an_agent_that_stops_is_told_of_once_and_a_collector_that_was_down_tells_of_nobody() {
    let slack = Slack::start();
    let settings = format!("silent_after: 5s\nslack:\n  webhook: {}\n", slack.webhook());
    let mut collector = Collector::start_with(&settings);
    let agent = Agent::active(&collector, "web-1");
    // Another host, pending: it never says anything, and nobody is told.
    Agent::pending(&collector, "new-1");
    let halves = Halves::start(&agent);
    eventually("reports for longer than it may be silent", || (number(&collector) > 7).then_some(()));
    assert_eq!(slack.messages().len(), 0, "it reports all the time");
    halves.stop();
    let alerts = told(&slack, 1);
    assert!(alerts[0].contains("web-1 (production): it is silent"), "{alerts:#?}");
    assert!(collector.host("web-1")["silent_since"].is_string());
    let listed = collector.cli(&["host", "list"]).ok();
    assert!(listed.to_string().contains("active, silent"), "{listed}");
    let findings = collector.cli(&["findings", "list", "--host", "web-1"]).ok();
    assert!(findings.to_string().contains("reports-arrive"), "{findings}");

    // Still silent after a restart, which is no news.
    collector.stop();
    collector.start_again();
    let halves = Halves::start(&agent);
    let alerts = told(&slack, 2);
    assert!(alerts[1].contains("web-1 (production): it is heard again"), "{alerts:#?}");
    assert!(collector.host("web-1")["silent_since"].is_null());

    halves.stop();
    collector.stop();
    sleep(ALLOWED + Duration::from_secs(2));
    collector.start_again();
    // It has looked at least once by then, and nobody has reported.
    sleep(Duration::from_secs(3));
    assert!(collector.host("web-1")["silent_since"].is_null(), "the outage was the collector's own");
    let before = number(&collector);
    let halves = Halves::start(&agent);
    eventually("news", || (number(&collector) > before).then_some(()));
    halves.stop();
    let alerts = told(&slack, 3);
    assert!(alerts[2].contains("it is silent"), "{alerts:#?}");
    let about: Vec<String> = collector
        .json(&["alert", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(about, ["silent:2", "heard:1", "silent:1"]);
}
