//! A collector that is lost and comes back from its backup, while agents go on.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::processes::{Ran, binary, eventually, run};

/// `plumbline-collector WORDS… --config` of that collector.
fn local(collector: &Collector, words: &[&str]) -> Ran {
    let mut command = Command::new(binary("plumbline-collector"));
    command.args(words).arg("--config").arg(collector.folder().join("collector.yaml"));
    run(command.env_clear())
}

fn number(collector: &Collector) -> u64 {
    collector.host("web-1")["head_sequence"].as_u64().unwrap()
}

#[test]
fn a_lost_collector_comes_back_from_its_backup_and_agents_go_on() {
    let mut collector = Collector::start();
    let agent = Agent::active(&collector, "web-1");
    let collecting = agent.start_collect();
    let shipping = agent.start_ship();
    eventually("a report judged", || (collector.host("web-1")["judged_sequence"] != 0).then_some(()));
    let file = collector.folder().join("backup");
    let name = file.to_str().unwrap();
    // While reports arrive: each change is one.
    let writing = std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for version in 0..6 {
                agent.host.install("openssl", &format!("4.0.{version}-1"));
                let subject = format!("4.0.{version}-1");
                eventually("the change", || {
                    let drifts = collector.drifts();
                    drifts.iter().any(|drift| drift["after"]["version"] == subject.as_str()).then_some(())
                });
            }
        });
        let said = local(&collector, &["backup", "--to", name]).ok();
        changes.join().unwrap();
        said
    });
    assert!(writing.to_string().contains("HOLDS THE KEY"), "{writing}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = local(&collector, &["backup", "--to", name]).ended(1);
    assert!(again.to_string().contains("never overwrites"), "{again}");
    drop((collecting, shipping));
    agent.ship();
    let lost_at = number(&collector);

    // The backup is taken by now; what comes after it is lost.
    agent.host.install("openssl", "5.0.0-1");
    agent.report();
    collector.drift_until("openssl:amd64", |drift| drift["after"]["version"] == "5.0.0-1");
    let refused = local(&collector, &["restore", "--from", name]).ended(1);
    assert!(refused.to_string().contains("not empty"), "{refused}");
    collector.kill();
    std::fs::remove_dir_all(collector.data()).unwrap();
    local(&collector, &["restore", "--from", name]).ok();
    let names: Vec<_> = std::fs::read_dir(collector.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    collector.start_again();

    assert!(number(&collector) <= lost_at);
    agent.report();
    collector.drift_until("openssl:amd64", |drift| drift["after"]["version"] == "5.0.0-1");
    assert_eq!(agent.spooled().len(), 1, "the receipt is by the key the agent knows");
    agent.report();
    assert_eq!(agent.spooled().len(), 1);
    let found = collector.chain_findings("web-1");
    assert!(found.contains(&"restored".to_owned()) && !found.contains(&"gap".to_owned()), "{found:?}");
    let log = collector.cli(&["log"]).ok();
    assert!(log.to_string().contains("restore"), "{log}");
}

#[test]
fn a_backup_that_was_altered_or_is_none_is_refused_and_leaves_nothing_behind() {
    let mut collector = Collector::start();
    let agent = Agent::active(&collector, "web-1");
    agent.report();
    let file = collector.folder().join("backup");
    local(&collector, &["backup", "--without-key", "--to", file.to_str().unwrap()]).ok();
    let bytes = std::fs::read(&file).unwrap();
    let id = collector.host("web-1")["id"].as_str().unwrap().to_owned();
    collector.stop();
    std::fs::remove_dir_all(collector.data()).unwrap();
    let mut altered = bytes.clone();
    let at = altered.windows(id.len()).position(|window| window == id.as_bytes()).unwrap();
    altered[at] ^= 1;
    for bytes in [altered, bytes[..bytes.len() / 2].to_vec(), b"no database at all".repeat(99)] {
        std::fs::write(&file, bytes).unwrap();
        local(&collector, &["restore", "--from", file.to_str().unwrap()]).ended(1);
        let left: Vec<_> = std::fs::read_dir(collector.data()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
