//! Who may do what: collect has no network, ship has no key, and collect wakes when a file it reads changes.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::processes::{PATIENCE, eventually, run};

/// What `command` does of the system calls in `filter`, one a line.
#[track_caller]
fn traced(folder: &Path, filter: &str, command: &Command) -> String {
    let log = folder.join("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-s", "256", "-e", filter, "-o"]).arg(&log).arg(command.get_program()).args(command.get_args());
    run(&mut strace).ok();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.lines().count() > 1, "strace saw nothing");
    text
}

#[test]
fn collect_opens_no_ip_socket_and_ship_never_opens_the_key() {
    let collector = Collector::start();
    let agent = Agent::pending(&collector, "web-1");
    let network = "trace=%network";
    // On the running machine, where it has something to ask: chronyd, D-Bus, netlink.
    let collected = traced(collector.folder(), network, &agent.live_command(&["collect", "--once"]));
    // What netlink tells of routes and sockets names AF_INET too: what counts is a socket of that family, and an address.
    let is_ip = |line: &&str| line.contains("socket(AF_INET") || line.contains("sa_family=AF_INET");
    let inet: Vec<&str> = collected.lines().filter(is_ip).collect();
    assert!(inet.is_empty(), "collect used the network:\n{}", inet.join("\n"));
    let shipped = traced(collector.folder(), network, &agent.live_command(&["ship", "--once"]));
    assert!(
        shipped.lines().any(|line| is_ip(&line)),
        "were ship not seen to use it, collect's not being seen would mean nothing"
    );

    let files = "trace=%file";
    let collected = traced(collector.folder(), files, &agent.live_command(&["collect", "--once"]));
    assert!(collected.contains("host.key"), "collect signs, so it must have been seen to open the key");
    let shipped = traced(collector.folder(), files, &agent.live_command(&["ship", "--once"]));
    assert!(!shipped.contains("host.key"), "ship touched the key:\n{shipped}");
}

#[test]
fn a_changed_file_wakes_collect() {
    let collector = Collector::start();
    let agent = Agent::pending(&collector, "web-1");
    let mut collect = agent.start_collect();
    eventually("the first report", || (agent.spooled().len() == 1).then_some(()));
    for (number, version) in ["3.9.1-1", "3.9.2-1", "3.9.3-1"].into_iter().enumerate() {
        let begun = Instant::now();
        agent.host.install("openssl", version);
        while agent.spooled().len() < number + 2 {
            assert!(begun.elapsed() < PATIENCE, "no report came of it; collect said:\n{}", collect.log());
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = begun.elapsed();
        println!("spooled {took:?} after the change");
        // The aim is 2 s; a machine busy with other tests is allowed more.
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    assert!(collect.stop().success());
}
