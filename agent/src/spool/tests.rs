//! Crashes, torn files, receipts true and false, and the limit.

use audit::report::{HostId, ProbeFacts};
use chrono::Utc;
use ed25519_dalek::SigningKey;

use super::*;

mod damage;

struct Bench {
    _folder: tempfile::TempDir,
    state: State,
    identity: Identity,
}

fn own() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn collector() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        state.create().unwrap();
        Head::default().save(&state).unwrap();
        let identity = Identity {
            host: HostId::try_from("0".repeat(32)).unwrap(),
            collector: "http://127.0.0.1:1".into(),
            ca: None,
            key: crate::key::public_text(&own().verifying_key()),
            receipt_key: crate::key::public_text(&collector().verifying_key()),
            enrolled: Utc::now(),
        };
        Self { _folder: folder, state, identity }
    }

    fn open(&self) -> Spool {
        Spool::open(&self.state, &self.identity).unwrap()
    }

    fn receipt(&self, sequence: u64, lacks: Vec<Digest>, change: impl FnOnce(&mut Receipt)) -> Vec<u8> {
        let bytes = std::fs::read(self.state.report(sequence)).unwrap();
        let report = seal::verify::<Report>(&bytes, &own().verifying_key()).unwrap().id();
        let mut receipt = Receipt { host: self.identity.host.clone(), sequence, report, received: Utc::now(), lacks };
        change(&mut receipt);
        seal::seal(receipt, &collector()).unwrap().bytes
    }

    fn numbers(&self) -> Vec<u64> {
        numbers(&self.state.reports(), "json").unwrap()
    }

    /// Every spooled report, in order, follows the one before and says what was dropped in between.
    fn assert_chain(&self, first: u64, last: u64) {
        let mut previous: Option<(u64, Digest)> = None;
        let numbers = self.numbers();
        assert_eq!((numbers.first(), numbers.last()), (Some(&first), Some(&last)));
        for sequence in numbers {
            let bytes = std::fs::read(self.state.report(sequence)).unwrap();
            let report = seal::verify::<Report>(&bytes, &own().verifying_key()).unwrap();
            if let Some((before, id)) = previous
                && before + 1 == sequence
            {
                assert_eq!(report.statement().previous, Some(id), "report {sequence}");
            }
            previous = Some((sequence, report.id()));
        }
    }
}

/// A next report, of facts that are the byte `facts`.
fn next(spool: &Spool, facts: u8) -> Sealed<Report> {
    let items = spool.keep(&[facts]).unwrap();
    let manifest = Manifest {
        agent: "test".into(),
        baseline: Digest::of(b"b"),
        lifecycles: Digest::of(b"l"),
        findings: spool.keep(b"[]").unwrap(),
        interval: None,
        probes: [("p".to_owned(), ProbeFacts { schema: 1, items, state: items })].into(),
    };
    let report = Report {
        host: spool.identity.host.clone(),
        sequence: spool.head().sequence + 1,
        previous: spool.head().report,
        time: Utc::now(),
        manifest: spool.keep(&serde_json::to_vec(&manifest).unwrap()).unwrap(),
        dropped: spool.head().dropped.clone(),
    };
    seal::seal(report, &own()).unwrap()
}

fn add(spool: &mut Spool, facts: u8) {
    let report = next(spool, facts);
    spool.commit(&report).unwrap();
}

#[test]
fn a_crash_after_any_step_of_a_commit_neither_forks_nor_breaks_the_chain() {
    for step in 0..4 {
        let bench = Bench::new();
        let mut spool = bench.open();
        add(&mut spool, 1);
        let report = next(&spool, 2);
        let path = bench.state.report(2);
        if step >= 1 {
            durable::stage(&path, &report.bytes, MODE).unwrap();
        }
        if step >= 2 {
            spool.head.next(report.verified.statement(), report.verified.id()).save(&bench.state).unwrap();
        }
        if step >= 3 {
            durable::publish(&durable::staged_name(&path).unwrap(), &path).unwrap();
        }
        drop(spool);

        let mut spool = bench.open();
        let expected = if step < 2 { 1 } else { 2 };
        assert_eq!(spool.head().sequence, expected, "crash after step {step}");
        assert_eq!(bench.numbers().len() as u64, expected, "crash after step {step}: used numbers have their report");
        assert_eq!(path.exists(), step >= 2, "a report whose number is not used up is never seen");
        add(&mut spool, 3);
        bench.assert_chain(1, expected + 1);
        assert_eq!(std::fs::read_dir(bench.state.reports()).unwrap().count() as u64, expected + 1, "nothing left over");
    }
}

#[test]
fn a_torn_file_that_never_got_its_name_is_cleared() {
    let bench = Bench::new();
    add(&mut bench.open(), 1);
    std::fs::write(durable::staged_name(&bench.state.report(2)).unwrap(), "{\"payl").unwrap();
    std::fs::write(durable::staged_name(&bench.state.fact(Digest::of(b"x"))).unwrap(), "torn").unwrap();
    let mut spool = bench.open();
    assert_eq!(spool.head().sequence, 1);
    add(&mut spool, 2);
    bench.assert_chain(1, 2);
}

#[test]
fn a_head_that_was_lost_or_is_behind_follows_the_newest_report() {
    let bench = Bench::new();
    let mut spool = bench.open();
    add(&mut spool, 1);
    let behind = spool.head().clone();
    add(&mut spool, 2);
    let ahead = spool.head().clone();
    drop(spool);
    behind.save(&bench.state).unwrap();
    assert_eq!(bench.open().head(), &ahead);
    std::fs::write(bench.state.head(), "torn").unwrap();
    assert_eq!(bench.open().head().report, ahead.report);
}

#[test]
fn without_a_head_and_without_reports_the_chain_does_not_begin_anew() {
    let bench = Bench::new();
    std::fs::remove_file(bench.state.head()).unwrap();
    let error = Spool::open(&bench.state, &bench.identity).err().unwrap();
    assert!(format!("{error:#}").contains("--force"), "{error:#}");
}

#[test]
fn a_damaged_newest_report_ahead_of_the_head_uses_its_number_up_and_is_said_dropped() {
    let bench = Bench::new();
    let mut spool = bench.open();
    add(&mut spool, 1);
    let behind = spool.head().clone();
    add(&mut spool, 2);
    drop(spool);
    behind.save(&bench.state).unwrap();
    std::fs::write(bench.state.report(2), "damaged").unwrap();
    let mut spool = bench.open();
    assert_eq!(spool.head().dropped.as_ref().map(|dropped| (dropped.from, dropped.to, dropped.count)), Some((2, 2, 1)));
    add(&mut spool, 3);
    assert_eq!(bench.numbers(), [1, 3]);
}

#[test]
fn only_a_true_receipt_that_lacks_nothing_deletes_its_report() {
    let bench = Bench::new();
    let mut spool = bench.open();
    add(&mut spool, 1);
    let ack = bench.state.ack(1);
    let other = HostId::try_from("1".repeat(32)).unwrap();
    let forged = seal::seal(
        Receipt {
            host: spool.identity.host.clone(),
            sequence: 1,
            report: Digest::of(b""),
            received: Utc::now(),
            lacks: vec![],
        },
        &own(),
    );
    for (what, bytes) in [
        ("signed by another key", forged.unwrap().bytes),
        ("for another host", bench.receipt(1, vec![], |receipt| receipt.host = other)),
        ("for another number", bench.receipt(1, vec![], |receipt| receipt.sequence = 2)),
        ("for another report", bench.receipt(1, vec![], |receipt| receipt.report = Digest::of(b"other"))),
        ("torn", b"{\"payload\":".to_vec()),
        ("huge", vec![b' '; MAX_ENVELOPE + 1]),
    ] {
        std::fs::write(&ack, bytes).unwrap();
        assert_eq!(spool.clear().unwrap(), 0, "a receipt {what}");
        assert!(!ack.exists(), "a receipt {what} is thrown away, so that ship asks again");
    }
    std::os::unix::fs::symlink("/etc/passwd", &ack).unwrap();
    assert_eq!(spool.clear().unwrap(), 0);
    std::fs::write(&ack, bench.receipt(1, vec![Digest::of(b"x")], |_| {})).unwrap();
    assert_eq!(spool.clear().unwrap(), 0, "a receipt that lacks facts waits for them");
    assert!(ack.exists());
    std::fs::write(&ack, bench.receipt(1, vec![], |_| {})).unwrap();
    assert_eq!(spool.clear().unwrap(), 1);
    assert_eq!(bench.numbers(), [] as [u64; 0]);
    assert!(!ack.exists());
}

#[test]
fn facts_go_with_the_last_report_that_names_them_but_those_of_the_newest_stay() {
    let bench = Bench::new();
    let mut spool = bench.open();
    for facts in [1, 2, 1] {
        add(&mut spool, facts);
    }
    let [one, two] = [[1], [2]].map(|facts: [u8; 1]| Digest::of(&facts));
    for sequence in 1..=3 {
        spool.sweep().unwrap();
        assert!(spool.has(one));
        assert_eq!(spool.has(two), sequence < 3, "before report {sequence} is acknowledged");
        std::fs::write(bench.state.ack(sequence), bench.receipt(sequence, vec![], |_| {})).unwrap();
        spool.clear().unwrap();
    }
    spool.sweep().unwrap();
    assert!(spool.has(one), "the newest report's facts stay");
    drop(spool);
    let mut spool = bench.open();
    assert_eq!(spool.head().sequence, 3);
    add(&mut spool, 1);
    bench.assert_chain(4, 4);
}

#[test]
fn over_its_limit_the_spool_drops_unchanged_reports_and_says_so_and_never_a_transition() {
    let bench = Bench::new();
    let mut spool = bench.open();
    for facts in [1, 1, 1, 1, 2, 2, 3] {
        add(&mut spool, facts);
    }
    assert!(spool.shrink(u64::MAX).unwrap());
    let full = folder_size(&bench.state.reports()).unwrap() + folder_size(&bench.state.facts()).unwrap();
    let one = file_size(&bench.state.report(1));
    assert!(spool.shrink(full - one).unwrap());
    assert_eq!(bench.numbers(), [1, 3, 4, 5, 6, 7], "the oldest unchanged goes first");
    assert!(spool.shrink(full - 2 * one).unwrap());
    assert_eq!(bench.numbers(), [1, 4, 5, 6, 7], "what stands right before a transition goes last");
    drop(spool);
    let mut spool = bench.open();
    assert!(!spool.shrink(0).unwrap(), "transitions alone may be over the limit");
    assert_eq!(bench.numbers(), [1, 5, 7]);
    add(&mut spool, 4);
    let bytes = std::fs::read(bench.state.report(8)).unwrap();
    let report = seal::verify::<Report>(&bytes, &own().verifying_key()).unwrap();
    let dropped = report.statement().dropped.clone().unwrap();
    assert_eq!((dropped.from, dropped.to, dropped.count), (2, 6, 4));
    assert_eq!(spool.head().dropped, None, "said once");
}

#[test]
fn what_a_dropped_report_said_was_dropped_is_said_again() {
    let bench = Bench::new();
    let mut spool = bench.open();
    for facts in [1, 1, 1] {
        add(&mut spool, facts);
    }
    spool.shrink(0).unwrap();
    assert_eq!(bench.numbers(), [1, 3]);
    add(&mut spool, 1);
    add(&mut spool, 1);
    // Report 4, which says that 2 was dropped, goes too.
    spool.shrink(0).unwrap();
    assert_eq!(bench.numbers(), [1, 5]);
    let said = spool.head().dropped.as_ref().map(|dropped| (dropped.from, dropped.to, dropped.count));
    assert_eq!(said, Some((2, 4, 3)));
}

#[test]
fn two_collects_never_hold_one_spool() {
    let bench = Bench::new();
    let spool = bench.open();
    let error = Spool::open(&bench.state, &bench.identity).err().unwrap();
    assert!(error.to_string().contains("already at work"), "{error}");
    drop(spool);
    bench.open();
}

#[test]
fn a_commit_that_cannot_be_written_leaves_the_chain_as_it_was() {
    let bench = Bench::new();
    let mut spool = bench.open();
    add(&mut spool, 1);
    let report = next(&spool, 2);
    let head = spool.head().clone();
    let hidden = bench.state.folder().join("hidden");
    std::fs::rename(bench.state.reports(), &hidden).unwrap();
    assert!(spool.commit(&report).is_err());
    assert_eq!(spool.head(), &head);
    std::fs::rename(&hidden, bench.state.reports()).unwrap();
    spool.commit(&report).unwrap();
    bench.assert_chain(1, 2);
}

#[test]
fn no_number_is_so_high_that_none_can_follow() {
    let bench = Bench::new();
    add(&mut bench.open(), 1);
    for stray in ["18446744073709551615", "09223372036854775807", "00000000000000000000"] {
        std::fs::write(bench.state.reports().join(format!("{stray}.json")), "").unwrap();
        let mut spool = bench.open();
        let next = spool.head().sequence + 1;
        add(&mut spool, 2);
        drop(spool);
        assert_eq!(bench.open().head().sequence, next, "with {stray} in the spool");
    }
    let head = std::fs::read_to_string(bench.state.head()).unwrap();
    let head = head.replacen(":4,", ":18446744073709551615,", 1);
    assert!(head.contains("18446744073709551615"), "{head}");
    std::fs::write(bench.state.head(), head).unwrap();
    assert_eq!(bench.open().head().sequence, 4, "the newest report says where the chain stands");
}
