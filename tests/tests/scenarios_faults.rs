//! What goes wrong on the way: files damaged in the spool, a spool over its limit, wrong clocks, duplicates out of order.
//! Full disks are in `faults_disk.rs`, which needs root.

use std::collections::BTreeMap;
use std::sync::Mutex;

use audit::digest::Digest;
use audit::report::Report;
use audit::seal;
use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::puppet::{Bodies, Puppet};
use plumbline_tests::{long, rounds};
use serde_json::Value;

/// The numbers of the reports a collector has of a host.
#[track_caller]
fn numbers(collector: &Collector, host: &str) -> Vec<u64> {
    collector.reports(host).iter().map(|report| report["sequence"].as_u64().unwrap()).collect()
}

/// How many reports a host has signed as dropped, or as damaged, as the collector says.
#[track_caller]
fn signed_away(collector: &Collector, host: &str, kind: &str) -> u64 {
    let shown = collector.json(&["host", "show", host]);
    let found = shown["chain"].as_array().unwrap();
    let dropped = found.iter().filter(|finding| finding["kind"] == kind);
    dropped
        .map(|finding| {
            let detail = finding["detail"].as_str().unwrap();
            detail.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap()
        })
        .sum()
}

/// The versions of a package in the order the collector saw them come, each drift following the one before.
#[track_caller]
fn versions(collector: &Collector, subject: &str) -> Vec<String> {
    let mut drifts: Vec<Value> = collector.drifts().into_iter().filter(|drift| drift["subject"] == subject).collect();
    // They are listed newest first.
    drifts.reverse();
    for pair in drifts.windows(2) {
        assert_eq!(pair[0]["after"], pair[1]["before"], "each follows the one before");
    }
    drifts.iter().map(|drift| drift["after"]["version"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn damaged_files_in_the_spool_stop_nobody_and_are_signed_as_dropped() {
    let collector = Collector::unhurried();
    let agent = Agent::active(&collector, "web-1");
    agent.report();
    for version in ["3.9.1-1", "3.9.2-1", "3.9.3-1", "3.9.4-1"] {
        agent.host.install("openssl", version);
        agent.collect();
    }
    // What was acknowledged is gone: reports 2 to 5 wait.
    let spooled = agent.spooled();
    assert_eq!(spooled.len(), 4, "{spooled:?}");
    let whole = std::fs::read(&spooled[0]).unwrap();
    std::fs::write(&spooled[0], &whole[..whole.len() / 2]).unwrap();
    std::fs::remove_file(&spooled[1]).unwrap();
    std::fs::create_dir_all(spooled[1].join("in it")).unwrap();
    let ack = agent.state().join("acks").join(spooled[2].file_name().unwrap());
    std::fs::create_dir_all(ack.join("in it")).unwrap();

    let ran = agent.try_ship().ended(1);
    assert!(ran.stderr.contains("damaged"), "{ran}");
    assert_eq!(numbers(&collector, "web-1"), [1, 4, 5], "those behind them arrive");
    let ran = agent.collect();
    assert!(ran.stderr.contains("the next report signs it as dropped"), "{ran}");
    agent.ship();
    assert_eq!(numbers(&collector, "web-1"), [1, 4, 5, 6]);
    let signed = ["damaged", "dropped"].map(|kind| signed_away(&collector, "web-1", kind));
    assert_eq!(signed, [2, 0], "damaged is another thing than dropped");
    assert!(!collector.chain_findings("web-1").iter().any(|kind| ["gap", "fork", "rewritten"].contains(&&**kind)));
    collector.drift_until("openssl:amd64", |drift| drift["after"].to_string().contains("3.9.4-1"));
    assert_eq!(versions(&collector, "openssl:amd64").last().unwrap(), "3.9.4-1");
    agent.collect();
    let left = agent.spooled();
    assert_eq!(left.len(), 1, "nothing is stuck: {left:?}");
    assert!(spooled[0].with_extension("json.damaged").exists() && spooled[1].with_extension("json.damaged").exists());
}

#[test]
fn damaged_facts_are_made_anew_while_the_host_still_shows_them() {
    let collector = Collector::unhurried();
    let agent = Agent::active(&collector, "web-1");
    agent.collect();
    let facts = agent.spooled_facts();
    assert!(facts.len() > 5, "{facts:?}");
    for path in &facts {
        std::fs::write(path, "garbage").unwrap();
    }
    agent.try_ship().ended(1);
    agent.collect();
    agent.ship();
    collector.drifts();
    plumbline_tests::processes::eventually("the report to be judged", || {
        (collector.host("web-1")["judged_sequence"] == 2).then_some(())
    });
    assert!(!collector.chain_findings("web-1").iter().any(|kind| kind == "gap"));
}

#[test]
fn over_its_limit_the_spool_drops_unchanged_reports_alone_and_the_collector_can_count_them() {
    let collector = Collector::unhurried();
    let mut agent = Agent::active(&collector, "web-1");
    agent.report();
    agent.configure("spool_limit: 320KiB\n");
    let (every, all) = (25, if long() { 600 } else { 200 });
    let mut expected = Vec::new();
    for round in 1..=all {
        if round % every == 0 {
            expected.push(format!("3.9.{round}-1"));
            agent.host.install("openssl", expected.last().unwrap());
        }
        agent.collect();
    }
    let spooled: Vec<Report> = agent
        .spooled()
        .iter()
        .map(|path| seal::open(&std::fs::read(path).unwrap()).unwrap().unverified().unwrap())
        .collect();
    println!("{} of {all} reports are spooled", spooled.len());
    assert!(spooled.len() < all / 2, "the limit was never met: {}", spooled.len());
    // What was dropped last is signed by the report after it.

    agent.collect();
    agent.ship();
    collector.drift_until("openssl:amd64", |drift| drift["after"].to_string().contains(expected.last().unwrap()));
    assert_eq!(versions(&collector, "openssl:amd64"), expected, "every transition, in order");
    let kept = numbers(&collector, "web-1");
    let last = *kept.last().unwrap();
    assert_eq!(
        signed_away(&collector, "web-1", "dropped") + kept.len() as u64,
        last,
        "every number is here or signed away"
    );
    assert!(!collector.chain_findings("web-1").iter().any(|kind| ["gap", "fork", "rewritten"].contains(&&**kind)));
}

#[test]
fn ten_years_ahead_or_back_order_and_verdicts_hold() {
    let collector = Collector::unhurried();
    let people = collector.people();
    let agent = Agent::active(&collector, "web-1");
    agent.report();
    let change = collector.ask(&people.rhea, "web-1", "packages/openssl:*");
    collector.approve(&people.ava, &change).ok();
    // Seen after the approval, so that what follows is inside the window.
    agent.report();
    let mut expected = Vec::new();
    // The clock of collect, of ship; wrong for both, or mended in between.
    for (number, (collect, ship)) in
        [("+10y", "+10y"), ("-10y", "-10y"), ("+10y", "+0"), ("-10y", "+0"), ("+0", "+10y"), ("+0", "-10y")]
            .into_iter()
            .enumerate()
    {
        let version = format!("3.9.{number}-1");
        agent.host.install("openssl", &version);
        agent.host.install("bash", &version);
        expected.push(version);
        agent.by_clock(collect, &["collect", "--once"]).ok();
        agent.by_clock(ship, &["ship", "--once"]).ok();
    }
    let last = expected.last().unwrap();
    collector.drift_until("bash:amd64", |drift| drift["after"].to_string().contains(last));
    for (subject, verdict) in [("openssl:amd64", "authorised"), ("bash:amd64", "unauthorised")] {
        assert_eq!(versions(&collector, subject), expected, "{subject}");
        let drifts = collector.drifts();
        let judged: Vec<&Value> = drifts.iter().filter(|drift| drift["subject"] == subject).collect();
        assert_eq!(judged.len(), expected.len());
        assert!(judged.iter().all(|drift| drift["verdict"] == verdict), "{judged:#?}");
    }
    assert!(!collector.chain_findings("web-1").iter().any(|kind| ["gap", "fork", "rewritten"].contains(&&**kind)));
    let times: Vec<Value> = collector.reports("web-1").into_iter().map(|report| report["time"].clone()).collect();
    let mut sorted = times.clone();
    sorted.sort_by_key(ToString::to_string);
    assert_ne!(times, sorted, "the clocks were not wrong: this showed nothing");
}

/// xorshift64: the same order at each run.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 33) as usize
}

#[test]
fn reports_sent_one_to_five_times_and_shuffled_are_each_one_row_and_the_same_head() {
    let collector = Collector::unhurried();
    let mut puppet = Puppet::active(&collector, "web-1");
    let all = rounds(2_000);
    let bodies = Bodies::of(&[("openssl", "1")]);
    let first = puppet.next(Digest::of(&bodies.manifest));
    puppet.receipt(&puppet.post(&first.bytes));
    puppet.send_bodies(first.verified.id(), &bodies);
    let mut chain = vec![first];
    while chain.len() < all {
        chain.push(puppet.next(Digest::of(&bodies.manifest)));
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let mut sendings: Vec<usize> = (0..all).flat_map(|number| vec![number; 1 + next(&mut seed) % 5]).collect();
    for place in (1..sendings.len()).rev() {
        sendings.swap(place, next(&mut seed) % (place + 1));
    }
    assert!(sendings.len() > 2 * all && !sendings.is_sorted());
    let (total, queue) = (sendings.len(), Mutex::new(sendings));
    let receipts: Mutex<BTreeMap<usize, Vec<String>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(number) = { queue.lock().unwrap().pop() } {
                    let receipt = puppet.receipt(&puppet.post(&chain[number].bytes));
                    assert_eq!(receipt.report, chain[number].verified.id());
                    let said = format!("{} {}", receipt.sequence, receipt.received);
                    receipts.lock().unwrap().entry(number).or_default().push(said);
                }
            });
        }
    });
    println!("{total} sendings of {all} reports");
    for said in receipts.into_inner().unwrap().into_values() {
        assert!(said.iter().all(|again| *again == said[0]), "the same receipt each time: {said:?}");
    }
    let rows = collector.reports("web-1");
    assert_eq!(rows.len(), all);
    for (row, sealed) in rows.iter().zip(&chain) {
        let stated = sealed.verified.statement();
        assert_eq!(row["id"], sealed.verified.id().to_string());
        assert_eq!((row["sequence"].as_u64(), row["forked"].as_bool()), (Some(stated.sequence), Some(false)));
        assert_eq!(row["previous"].as_str().map(str::to_owned), stated.previous.map(|id| id.to_string()));
    }
    let head = plumbline_tests::processes::eventually("the last report to be judged", || {
        let host = collector.host("web-1");
        (host["judged_sequence"] == all).then_some(host)
    });
    assert_eq!(head["head_sequence"], all);
    assert_eq!(head["judged_report"], chain.last().unwrap().verified.id().to_string());
    assert_eq!(collector.chain_findings("web-1"), [""; 0]);
    assert_eq!(collector.drifts(), [] as [Value; 0]);
}
