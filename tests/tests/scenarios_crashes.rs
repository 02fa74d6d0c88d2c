//! Killed at random: the agent loses no transition and its chain stays whole; the collector keeps what it acknowledged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit::digest::Digest;
use audit::report::{Receipt, Report};
use audit::seal;
use ed25519_dalek::VerifyingKey;
use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::processes::Running;
use plumbline_tests::puppet::Puppet;
use plumbline_tests::{random, rounds};

#[test]
fn an_agent_killed_at_random_keeps_its_chain_whole() {
    let collector = Collector::start();
    let agent = Agent::active(&collector, "web-1");
    agent.report();
    // How long an undisturbed look takes, to strike anywhere within it.
    let begun = Instant::now();
    agent.collect();
    let whole = begun.elapsed();
    let mut finished = 0;
    for round in 0..rounds(50) {
        agent.host.install("openssl", &format!("3.9.{round}-1"));
        let mut collect = Running::start("collect", &mut agent.command(&["collect", "--once"]));
        let moment = Duration::from_micros(random(whole.as_micros() as u64 * 5 / 4));
        if collect.ends_within(moment) {
            finished += 1;
        } else {
            collect.kill();
        }
    }
    agent.host.install("openssl", "9.9.9-1");
    agent.collect();
    println!("{finished} of {} looks of {whole:?} were finished before they were killed", rounds(50));

    let key = public_key(&agent);
    let mut reports: Vec<(Report, Digest)> = Vec::new();
    for path in agent.spooled() {
        let verified = seal::verify::<Report>(&std::fs::read(path).unwrap(), &key).unwrap();
        reports.push((verified.statement().clone(), verified.id()));
    }
    assert!(reports.len() >= 2, "{reports:?}");
    for pair in reports.windows(2) {
        let [(earlier, id), (later, _)] = pair else { unreachable!() };
        assert_eq!(
            (later.sequence, later.previous),
            (earlier.sequence + 1, Some(*id)),
            "after report {}",
            earlier.sequence
        );
    }
    agent.ship();
    let drift = collector.drift_until("openssl:amd64", |drift| drift["after"].to_string().contains("9.9.9-1"));
    assert_eq!(drift["verdict"], "unauthorised");
    assert_eq!(broken(&collector, "web-1"), [""; 0]);
}

/// What was found that a whole chain does not have.
fn broken(collector: &Collector, host: &str) -> Vec<String> {
    let mut found = collector.chain_findings(host);
    found.retain(|kind| ["fork", "gap", "rewritten"].contains(&kind.as_str()));
    found
}

fn public_key(agent: &Agent) -> VerifyingKey {
    let identity: serde_json::Value =
        serde_json::from_slice(&std::fs::read(agent.state().join("identity.json")).unwrap()).unwrap();
    let key: Digest = identity["key"].as_str().unwrap().parse().unwrap();
    VerifyingKey::from_bytes(key.as_bytes()).unwrap()
}

#[test]
fn a_collector_killed_under_load_has_every_report_it_acknowledged() {
    let mut collector = Collector::start();
    let puppets: Vec<Puppet> = (0..4).map(|number| Puppet::active(&collector, &format!("load-{number}"))).collect();
    let acknowledged: Mutex<Vec<(usize, Vec<u8>, Receipt)>> = Mutex::default();
    let (done, puppets) = (AtomicBool::new(false), Mutex::new(puppets.into_iter().map(Some).collect::<Vec<_>>()));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (acknowledged, puppets, done) = (&acknowledged, &puppets, &done);
            scope.spawn(move || {
                let mut puppet = puppets.lock().unwrap()[number].take().unwrap();
                while !done.load(Ordering::Relaxed) {
                    let sealed = puppet.next(Digest::of(b"a manifest"));
                    // As ship does: again and again until it is acknowledged.
                    while !done.load(Ordering::Relaxed) {
                        if let Some(answer) = puppet.try_post(&sealed.bytes).filter(|answer| answer.status == 200) {
                            let receipt = puppet.receipt(&answer);
                            acknowledged.lock().unwrap().push((number, sealed.bytes.clone(), receipt));
                            break;
                        }
                        std::thread::yield_now();
                    }
                }
                puppets.lock().unwrap()[number] = Some(puppet);
            });
        }
        for round in 0..rounds(8) {
            let before = acknowledged.lock().unwrap().len();
            plumbline_tests::processes::eventually("load", || {
                (acknowledged.lock().unwrap().len() > before + 5).then_some(())
            });
            std::thread::sleep(Duration::from_micros(random(200_000)));
            collector.kill();
            collector.start_again();
            println!("killed {} times, {} acknowledged", round + 1, acknowledged.lock().unwrap().len());
        }
        done.store(true, Ordering::Relaxed);
    });
    let (acknowledged, puppets) = (acknowledged.into_inner().unwrap(), puppets.into_inner().unwrap());
    assert!(acknowledged.len() > 5 * rounds(8), "{}", acknowledged.len());
    for (number, envelope, receipt) in acknowledged {
        let puppet = puppets[number].as_ref().unwrap();
        let again = puppet.receipt(&puppet.post(&envelope));
        // Known since then: a report that had been lost would be received now.
        assert_eq!((again.report, again.received), (receipt.report, receipt.received));
    }
    for host in collector.hosts() {
        assert_eq!(broken(&collector, host["name"].as_str().unwrap()), [""; 0]);
    }
}
