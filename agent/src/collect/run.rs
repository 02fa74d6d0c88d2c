//! `collect` as a service: a cycle at the start, on the interval, and whenever something a probe sees changes.
//!
//! After a wake the watch is renewed before the cycle, because folders may have come and gone: what changes before it
//! stands is seen by the cycle, what changes after is told by it. After a wake there is a moment of quiet, so that one edit of many files is one report; while the package manager
//! works, the cycle waits for it, up to a limit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::digest::Digest;
use audit::probes;
use audit::report::HostId;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Collector, Occasion, Outcome};
use crate::config::Config;
use crate::live::Live;
use crate::live::sys::give_back;
use crate::state::State;
use crate::stop::Stop;
use crate::watch::{self, Wake, Watch};

/// How long it must be quiet after a change.
const QUIET: Duration = Duration::from_millis(250);
/// How long changes that never cease can put a cycle off.
const RESTLESS: Duration = Duration::from_secs(1);
/// How long the package manager can put a cycle off.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a watch that told nothing is trusted.
const RENEWAL: Duration = Duration::from_secs(3600);
/// How often its lock is looked at.
const LOCK_POLL: Duration = Duration::from_millis(250);
/// How soon a cycle that failed is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// One cycle, after the package manager has settled.
pub(crate) async fn once(state: &State, config: Config, root: Option<PathBuf>) -> anyhow::Result<Outcome> {
    let host = Live::open(root.as_deref())?;
    let collector = Collector::open(state, config, host)?;
    settle(&collector).await;
    let (_, outcome) = cycle(collector, Occasion::Due).await?;
    outcome
}

/// Cycles until told to stop.
pub(crate) async fn forever(
    state: &State,
    config: Config,
    root: Option<PathBuf>,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let host = Live::open(root.as_deref())?;
    let watched = root.as_deref().map_or_else(|| Ok(PathBuf::from("/")), Path::canonicalize)?;
    let mut collector = Collector::open(state, config.clone(), host)?;
    let (wakes, mut woken) = channel(1);
    if root.is_none() {
        watch::ruleset(wakes.clone());
    }
    // The first wait puts each host of a fleet at its own place in the interval.
    let splay = config.splay();
    let mut wait = if splay.is_zero() { config.interval } else { phase(&collector.identity.host, splay) };
    let mut due = Instant::now();
    let mut occasion = Occasion::Due;
    let mut watch = None;
    let mut renewed = due;
    tracing::info!(host = %collector.identity.host, "collecting");
    loop {
        tokio::select! {
            () = settle(&collector) => {}
            () = stop.asked() => break,
        }
        if watch.is_none() || occasion == Occasion::Woken || renewed.elapsed() > RENEWAL {
            watch = begin_watch(&watched, &collector.asked(), &config, wakes.clone());
            renewed = Instant::now();
        }
        // What woke us up to here is seen by the cycle that follows.
        while woken.try_recv().is_ok() {}
        let outcome;
        (collector, outcome) = cycle(collector, occasion).await?;
        let failed = say(outcome);
        if failed {
            due = Instant::now() + AFTER_FAILURE.min(config.interval);
        } else if occasion == Occasion::Due {
            due = Instant::now() + jittered(wait);
            wait = config.interval;
        }
        occasion = tokio::select! {
            () = sleep_until(due) => Occasion::Due,
            () = quiet_after_wake(&mut woken) => if failed { Occasion::Due } else { Occasion::Woken },
            () = stop.asked() => break,
        };
    }
    tracing::info!("stopped");
    Ok(())
}

/// A cycle on a thread of its own: probes block, and what they use may have a runtime of its own.
async fn cycle(mut collector: Collector, occasion: Occasion) -> anyhow::Result<(Collector, anyhow::Result<Outcome>)> {
    let done = tokio::task::spawn_blocking(move || {
        let outcome = collector.cycle(occasion);
        give_back();
        (collector, outcome)
    });
    Ok(done.await?)
}

/// Logs what a cycle did; whether it failed.
fn say(outcome: anyhow::Result<Outcome>) -> bool {
    match outcome {
        Ok(Outcome::Spooled { sequence, changed, summary }) => {
            let (deviation, unknown) = (summary.deviation, summary.unknown);
            tracing::info!(sequence, changed, deviation, unknown, "spooled a report");
            false
        }
        Ok(Outcome::Unchanged) => {
            tracing::debug!("woken, and nothing had changed");
            false
        }
        Ok(Outcome::Full) => {
            tracing::warn!("the spool is full of changes nobody fetched: reports that say nothing new are not made");
            false
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "no report could be made; trying again");
            true
        }
    }
}

/// Where nothing can be watched the interval still stands; the log says so.
fn begin_watch(root: &Path, asked: &[String], config: &Config, wakes: Sender<Wake>) -> Option<Watch> {
    let reads: Vec<&str> =
        probes::ALL.iter().flat_map(|topic| topic.reads()).copied().chain(asked.iter().map(String::as_str)).collect();
    let own = config.baseline.as_deref().unwrap_or(Path::new(crate::cli::baselines::OWN));
    match Watch::begin(root, &reads, &[own], wakes) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "files cannot be watched; changes show on the interval");
            None
        }
    }
}

/// Waits for a wake, and then until it has been quiet.
async fn quiet_after_wake(woken: &mut Receiver<Wake>) {
    if woken.recv().await.is_none() {
        // Nobody can wake us any more: the interval remains.
        return std::future::pending().await;
    }
    let latest = Instant::now() + RESTLESS;
    while Instant::now() < latest {
        match timeout(QUIET, woken.recv()).await {
            Ok(Some(Wake::File | Wake::Ruleset)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// Waits while the package manager holds its lock.
async fn settle(collector: &Collector) {
    let latest = Instant::now() + PATIENCE;
    while collector.host().is_being_changed() {
        if Instant::now() >= latest {
            tracing::warn!("the package manager has held its lock for two minutes; not waiting any longer");
            return;
        }
        sleep(LOCK_POLL).await;
    }
}

/// A host's own place within `splay`, always the same.
fn phase(host: &HostId, splay: Duration) -> Duration {
    let digest = Digest::of(host.as_str().as_bytes());
    let place = digest.as_bytes().iter().take(4).fold(0_u32, |place, byte| place << 8 | u32::from(*byte));
    splay.mul_f64(f64::from(place) / f64::from(u32::MAX)).max(Duration::from_secs(1))
}

/// Up to a twentieth more or less, so that hosts that began together do not stay together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.95..=1.05))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_spread_over_the_splay_each_always_at_the_same_place() {
        let splay = Duration::from_secs(300);
        let host = |n: u32| HostId::try_from(format!("{n:032x}")).unwrap();
        let places: Vec<u64> = (0..100).map(|n| phase(&host(n), splay).as_secs()).collect();
        assert!(places.iter().all(|place| *place <= 300));
        for part in 0..5 {
            let here = places.iter().filter(|place| (part * 60..(part + 1) * 60).contains(*place)).count();
            assert!((8..=35).contains(&here), "{here} of 100 in the part {part} of 5");
        }
        assert_eq!(phase(&host(7), splay), phase(&host(7), splay));
    }

    #[tokio::test(start_paused = true)]
    async fn many_changes_are_one_wake_and_changes_without_end_do_not_put_it_off_for_ever() {
        let (wakes, mut woken) = channel(1);
        let restless = tokio::spawn(async move {
            loop {
                let _already = wakes.try_send(Wake::File);
                sleep(Duration::from_millis(100)).await;
            }
        });
        let began = Instant::now();
        quiet_after_wake(&mut woken).await;
        assert!(began.elapsed() >= RESTLESS && began.elapsed() < RESTLESS * 2, "{:?}", began.elapsed());
        restless.abort();
    }
}
