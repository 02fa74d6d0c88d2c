//! The harness the scenarios are written with: each file one thing a test can hold.
//!
//! Everything a test starts it also ends, by process id, when the value that holds it is dropped; a test that fails
//! prints the logs of the processes it held. Ports are the system's choice, folders vanish, names of network namespaces
//! and hosts are unique, so tests may run side by side.

pub mod agent;
pub mod browser;
pub mod certificates;
pub mod collector;
pub mod debian;
pub mod dice;
pub mod disk;
pub mod http;
pub mod metadata;
pub mod netns;
pub mod nspawn;
pub mod processes;
pub mod puppet;
pub mod root;
pub mod slack;
pub mod wire;

/// Whether the long tier runs (`tests/run --long`): then loops are ten times as long.
pub fn long() -> bool {
    std::env::var_os("PLUMBLINE_TESTS_LONG").is_some_and(|value| !value.is_empty())
}

/// `times`, or ten times as many in the long tier.
pub fn rounds(times: usize) -> usize {
    if long() { times * 10 } else { times }
}

/// How long the parsers are fuzzed in all, in seconds: `PLUMBLINE_FUZZ_SECONDS`, else a minute, or two hours in the long tier.
pub fn fuzz_seconds() -> u64 {
    let given = std::env::var("PLUMBLINE_FUZZ_SECONDS").ok();
    given
        .map_or(if long() { 7_200 } else { 60 }, |text| text.parse().expect("PLUMBLINE_FUZZ_SECONDS is a whole number"))
}

/// A number below `bound`, another at each call. Only for moments to strike at: nothing depends on which it is.
pub fn random(bound: u64) -> u64 {
    use std::io::Read as _;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % bound.max(1)
}
