//! What the firewall probe calls reachable is what connects: generated rulesets, really loaded in a namespace by nft,
//! iptables-nft and iptables-legacy, and real packets of both families, TCP and UDP, from three sources over two cables.
//!
//! A seed makes a ruleset; `PLUMBLINE_SEED` chooses the first. Where the probe says that it cannot tell (a condition that
//! it does not understand or that only narrows), the try is counted apart, and its share must stay small.

use plumbline_tests::processes::run;

mod oracle_exposure {
    pub mod iptables;
    pub mod nft;
    pub mod said;
    pub mod seeded;
    pub mod wire;
}

use oracle_exposure::said::{Said, openings, said};
use oracle_exposure::wire::Wire;
use oracle_exposure::{iptables, nft};

/// Rulesets of each kind: so many in the landing tier, and in the long one.
fn count(landing: u64, long: u64) -> u64 {
    if std::env::var("PLUMBLINE_TESTS_LONG").is_ok_and(|set| !set.is_empty()) { long } else { landing }
}

fn first_seed() -> u64 {
    std::env::var("PLUMBLINE_SEED").map_or(20_261_122, |seed| seed.parse().unwrap())
}

#[test]
fn nft_rulesets_let_through_what_the_probe_says() {
    compare("nft", count(40, 240), |wire, seed| {
        let rules = nft::ruleset(seed);
        load(wire, "nft", &["-f"], &format!("flush ruleset\n{rules}"));
        rules
    });
}

#[test]
fn iptables_nft_rulesets_let_through_what_the_probe_says() {
    compare("iptables-nft", count(20, 80), |wire, seed| both(wire, seed, "nft"));
}

#[test]
fn iptables_legacy_rulesets_let_through_what_the_probe_says() {
    compare("iptables-legacy", count(20, 80), |wire, seed| both(wire, seed + 500_000, "legacy"));
}

fn both(wire: &Wire, seed: u64, kind: &str) -> String {
    let (v4, v6) = (iptables::tables(seed, false), iptables::tables(seed, true));
    load(wire, &format!("iptables-{kind}-restore"), &[], &v4);
    load(wire, &format!("ip6tables-{kind}-restore"), &[], &v6);
    format!("{v4}\n{v6}")
}

#[track_caller]
fn load(wire: &Wire, program: &str, words: &[&str], text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    std::fs::write(&file, text).unwrap();
    let ran = run(wire.host.command(program).args(words).arg(&file));
    assert!(ran.code == 0, "{program}: {ran}\n{text}");
}

fn compare(kind: &str, rulesets: u64, load: impl Fn(&Wire, u64) -> String) {
    let (mut wire, tries, first) = (Wire::new(), Wire::tries(), first_seed());
    println!("{kind}: {rulesets} rulesets from seed {first}");
    let (mut open, mut closed, mut untold) = (0, 0, 0);
    let mut wrong = Vec::new();
    for seed in first..first + rulesets {
        let rules = load(&wire, seed);
        let openings = openings(&wire.host);
        let outcomes = wire.outcomes(&tries);
        for (one, did) in tries.iter().zip(outcomes) {
            match said(&openings, one) {
                Said::Open if did => open += 1,
                Said::Closed if !did => closed += 1,
                Said::Perhaps => untold += 1,
                said @ (Said::Open | Said::Closed) => {
                    wrong.push(format!("seed {seed}: {one:?} is called {said:?}, and did it connect? {did}"));
                    if wrong.len() == 1 {
                        wrong.push(format!("{rules}\n{openings:#?}"));
                    }
                }
            }
        }
    }
    let all = tries.len() * usize::try_from(rulesets).unwrap();
    let agreed = open + closed;
    println!(
        "{kind}: {agreed} of {} agreed ({open} open, {closed} closed); {untold} of {all} tries could not be told",
        all - untold
    );
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(untold * 20 <= all, "{untold} of {all} could not be told");
    assert!(open * 10 >= all && closed * 10 >= all, "both were met: {open} open, {closed} closed");
}
