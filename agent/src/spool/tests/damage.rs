//! Spooled files torn, replaced or turned into folders: set aside, signed as dropped, and stopping nobody.

use super::*;

/// Makes an accident happen to the file at a path.
type Damage = fn(&Path);

/// What stands in place of a report after an accident.
fn accidents() -> [(&'static str, Damage); 6] {
    [
        ("garbage", |path| std::fs::write(path, "garbage").unwrap()),
        ("nothing", |path| std::fs::write(path, "").unwrap()),
        ("cut short", |path| {
            let whole = std::fs::read(path).unwrap();
            std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
        }),
        ("huge", |path| std::fs::write(path, vec![b' '; MAX_ENVELOPE + 1]).unwrap()),
        ("a folder", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir_all(path.join("in it")).unwrap();
        }),
        ("a link", |path| {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        }),
    ]
}

/// What the next report says was dropped.
fn said(spool: &Spool) -> Option<(u64, u64, u64)> {
    spool.head().dropped.as_ref().map(|dropped| (dropped.from, dropped.to, dropped.count))
}

#[test]
fn a_damaged_report_is_set_aside_and_signed_as_dropped_and_what_follows_is_a_transition() {
    for (what, damage) in accidents() {
        for lost in 1..=3 {
            let bench = Bench::new();
            let mut spool = bench.open();
            for facts in [1, 2, 2] {
                add(&mut spool, facts);
            }
            drop(spool);
            damage(&bench.state.report(lost));
            let mut spool = bench.open();
            assert_eq!(said(&spool), Some((lost, lost, 1)), "{what}");
            assert_eq!(spool.head().dropped.as_ref().map(|dropped| dropped.damaged), Some(1), "{what}: and why");
            assert!(!bench.numbers().contains(&lost), "{what}");
            let aside = bench.state.reports().join(format!("{lost:020}.json.damaged"));
            assert!(std::fs::symlink_metadata(aside).is_ok(), "{what}: a person may look at it");
            assert!(lost != 2 || !spool.head().is_unchanged(3), "{what}: 3 now says for the first time what 2 said");
            assert_eq!(spool.head().manifest.is_none(), lost == 3, "{what}: the next report says it again, at once");
            add(&mut spool, 2);
            drop(spool);
            assert_eq!(said(&bench.open()), None, "{what}: said once");
            assert_eq!(bench.numbers().last(), Some(&4), "{what}");
        }
    }
}

#[test]
fn what_ship_could_not_send_is_looked_at_again_and_only_what_is_damaged_is_lost() {
    let bench = Bench::new();
    let mut spool = bench.open();
    for facts in [1, 2, 3, 4, 5] {
        add(&mut spool, facts);
    }
    // Damaged while it is open: a bit of the signature, another report's bytes, facts; and one that is well.
    let mut bytes = std::fs::read(bench.state.report(1)).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    std::fs::write(bench.state.report(1), bytes).unwrap();
    std::fs::copy(bench.state.report(1), bench.state.report(2)).unwrap();
    let facts = [3, 5].map(|facts: u8| Digest::of(&[facts]));
    std::fs::write(bench.state.fact(facts[0]), "garbage").unwrap();
    std::fs::write(bench.state.fact(facts[1]), "garbage").unwrap();
    for sequence in 1..=5 {
        std::fs::write(bench.state.refused(sequence), "{}").unwrap();
    }
    spool.set_damaged_aside().unwrap();
    assert_eq!((said(&spool), bench.numbers()), (Some((1, 2, 2)), vec![3, 4, 5]));
    assert!(bench.state.refused(4).exists(), "what the collector refuses for reasons of its own stays refused");
    assert!(!spool.has(facts[0]) && !bench.state.refused(3).exists(), "sent again at once, should they be made anew");
    // The host still shows one of them.
    spool.keep(&[5]).unwrap();
    for sequence in [3, 5] {
        std::fs::write(bench.state.refused(sequence), "{}").unwrap();
    }
    spool.set_damaged_aside().unwrap();
    assert_eq!((said(&spool), bench.numbers()), (Some((1, 3, 3)), vec![4, 5]), "what cannot be completed is lost");
}

#[test]
fn a_receipt_for_a_report_damaged_since_deletes_it() {
    let bench = Bench::new();
    let mut spool = bench.open();
    add(&mut spool, 1);
    std::fs::write(bench.state.ack(1), bench.receipt(1, vec![], |_| {})).unwrap();
    std::fs::write(bench.state.report(1), "garbage").unwrap();
    assert_eq!((spool.clear().unwrap(), said(&spool)), (1, None), "nothing is lost: the collector has it");
}

#[test]
fn folders_under_our_names_do_not_stop_the_spool() {
    let bench = Bench::new();
    let mut spool = bench.open();
    add(&mut spool, 1);
    add(&mut spool, 2);
    let facts = bench.state.fact(Digest::of(b"gone"));
    for path in
        [bench.state.ack(1), bench.state.refused(2), durable::staged_name(&bench.state.report(3)).unwrap(), facts]
    {
        std::fs::create_dir_all(path.join("in it")).unwrap();
    }
    assert_eq!(spool.clear().unwrap(), 0);
    spool.set_damaged_aside().unwrap();
    spool.sweep().unwrap();
    spool.sweep().unwrap();
    add(&mut spool, 3);
    drop(spool);
    bench.open();
    bench.assert_chain(1, 3);
    assert!(!bench.state.ack(1).exists(), "ship can write its receipt");
}

#[test]
fn what_a_damaged_report_said_was_dropped_is_said_again() {
    let bench = Bench::new();
    let mut spool = bench.open();
    for facts in [1, 1, 1] {
        add(&mut spool, facts);
    }
    spool.shrink(0).unwrap();
    assert_eq!(bench.numbers(), [1, 3]);
    // Report 4 says that 2 was dropped.
    add(&mut spool, 2);
    add(&mut spool, 3);
    drop(spool);
    std::fs::write(bench.state.report(4), "garbage").unwrap();
    let spool = bench.open();
    assert_eq!(said(&spool), Some((2, 4, 2)));
    assert_eq!(spool.head().dropped.as_ref().map(|dropped| dropped.damaged), Some(1), "one of the two");
}
