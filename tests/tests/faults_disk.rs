//! Full disks, the agent's and the collector's: nothing acknowledged that is not stored, nothing half-written, and a
//! change is reported all the same. Needs root, to mount disks small enough to fill.

use audit::digest::Digest;
use audit::report::Report;
use audit::seal;
use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::disk::Disk;
use plumbline_tests::puppet::Puppet;

/// That every file of the spool is whole and nothing half-written stands beside it.
#[track_caller]
fn is_whole(agent: &Agent) -> Vec<u64> {
    for folder in ["", "spool", "spool/reports", "spool/facts", "acks"] {
        for entry in std::fs::read_dir(agent.state().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.ends_with(".new"), "{folder}/{name} was left half-written");
        }
    }
    for path in agent.spooled_facts() {
        zstd::stream::decode_all(&*std::fs::read(path).unwrap()).unwrap();
    }
    let opened = |path| seal::open(&std::fs::read(path).unwrap()).unwrap().unverified::<Report>().unwrap();
    agent.spooled().into_iter().map(|path| opened(path).sequence).collect()
}

#[test]
fn on_a_hosts_full_disk_a_change_takes_the_reserve_and_nothing_is_acknowledged_that_is_not_written() {
    let disk = Disk::new("4m");
    let collector = Collector::start();
    let agent = Agent::on_disk(&disk, "web-1");
    agent.enroll(collector.url(), &collector.new_token()).ok();
    collector.inspect("web-1");
    agent.report();
    // What was acknowledged has gone, so that no room comes of that later.
    agent.collect();
    disk.fill();
    // Nothing changed: there is no room to say so, and the host says that.
    let ran = plumbline_tests::processes::run(&mut agent.command(&["collect", "--once"])).ended(1);
    assert!(ran.stderr.contains("No space left"), "{ran}");
    assert_eq!(is_whole(&agent), [2]);
    // A change has its room kept.
    agent.host.install("openssl", "3.9.1-1");
    let ran = agent.collect();
    assert!(ran.stderr.contains("the space set aside for changes is used"), "{ran}");
    assert_eq!(is_whole(&agent), [2, 3]);
    // Its receipt has none: the collector has it, and the host may not believe so yet.
    disk.empty();
    disk.fill();
    let ran = agent.try_ship().ended(1);
    assert!(ran.stderr.contains("on this host") && ran.stderr.contains("No space left"), "{ran}");
    assert_eq!(is_whole(&agent), [2, 3], "not acknowledged, so not deleted");
    // The reserve is spent: another change cannot be written now. It is said, and not lost.
    agent.host.install("openssl", "3.9.2-1");
    let ran = plumbline_tests::processes::run(&mut agent.command(&["collect", "--once"])).ended(1);
    assert!(ran.stderr.contains("No space left"), "{ran}");
    assert!(ran.stderr.contains("changes may go unreported"), "{ran}");
    assert_eq!(is_whole(&agent), [2, 3]);
    disk.empty();
    agent.report();
    agent.report();
    collector.drift_until("openssl:amd64", |drift| drift["after"].to_string().contains("3.9.2-1"));
    let sequences: Vec<_> = collector.reports("web-1").iter().map(|report| report["sequence"].as_u64()).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5].map(Some));
    assert!(!collector.chain_findings("web-1").iter().any(|kind| ["gap", "fork", "rewritten"].contains(&&**kind)));
}

#[test]
fn on_a_collectors_full_disk_there_is_no_receipt_for_what_is_not_stored() {
    let disk = Disk::new("8m");
    let mut collector = Collector::on_disk(&disk);
    let mut puppet = Puppet::active(&collector, "web-1");
    let mut stored = vec![puppet.next(Digest::of(b"a manifest"))];
    let mut receipts = vec![puppet.receipt(&puppet.post(&stored[0].bytes))];
    disk.fill();
    let mut refused = Vec::new();
    // What its files have room for still goes in; then nothing does.
    for _ in 0..2_000 {
        let sealed = puppet.next(Digest::of(b"a manifest"));
        let answer = puppet.post(&sealed.bytes);
        if answer.status == 200 {
            assert!(refused.is_empty(), "what comes after one that was refused cannot be stored either");
            receipts.push(puppet.receipt(&answer));
            stored.push(sealed);
        } else {
            assert!((500..600).contains(&answer.status), "{} {}", answer.status, answer.text());
            refused.push(sealed);
            if refused.len() == 20 {
                break;
            }
        }
    }
    println!("{} stored, {} refused", stored.len(), refused.len());
    assert_eq!(refused.len(), 20, "the disk was never full");
    let said = collector.process().log();
    assert!(said.contains("full"), "the collector does not say why:\n{said}");
    // Reading goes on.
    assert_eq!(collector.reports("web-1").len(), stored.len());
    // A crash now, and a disk with room again.
    collector.kill();
    disk.empty();
    collector.start_again();
    puppet.at(&collector);
    for (sealed, receipt) in stored.iter().zip(&receipts) {
        let again = puppet.receipt(&puppet.post(&sealed.bytes));
        assert_eq!((again.report, again.received), (receipt.report, receipt.received), "it was there all the time");
    }
    assert_eq!(collector.reports("web-1").len(), stored.len(), "nothing that was refused was kept");
    for sealed in &refused {
        puppet.receipt(&puppet.post(&sealed.bytes));
    }
    assert_eq!(collector.reports("web-1").len(), stored.len() + refused.len());
    assert_eq!(collector.chain_findings("web-1"), [""; 0]);
}
