//! `ship` as a service: a round at the start, when a report is spooled, and on the interval for what was refused. After
//! a failure it waits, longer each time and each host differently, and at least as long as the collector asks.

use std::time::Duration;

use tokio::sync::mpsc::channel;
use tokio::time::sleep;

use super::{Round, Shipper};
use crate::config::Config;
use crate::state::State;
use crate::stop::Stop;
use crate::watch;

/// The first and the longest wait after a failure; in between it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// What collect writes at once is sent at once.
const QUIET: Duration = Duration::from_millis(50);

/// Ships until told to stop.
pub(crate) async fn forever(state: &State, config: &Config, mut stop: Stop) -> anyhow::Result<()> {
    let shipper = Shipper::open(state, config)?;
    let _lock = crate::spool::lock(&state.acks().join("ship.lock"))?;
    let (wakes, mut woken) = channel(1);
    let watch = watch::folder(&state.reports(), wakes.clone());
    if let Err(error) = &watch {
        tracing::warn!(error = format!("{error:#}"), "the spool cannot be watched; it is looked at on the interval");
    }
    tracing::info!(host = %shipper.identity().host, "shipping");
    let mut failures = 0;
    loop {
        let round = tokio::select! {
            round = shipper.round() => round,
            () = stop.asked() => break,
        };
        let pause = pause(round, &mut failures);
        tokio::select! {
            () = sleep(pause.unwrap_or(config.interval)) => {}
            // While the collector cannot be reached a new report does not make it reachable.
            Some(_) = woken.recv(), if pause.is_none() => sleep(QUIET).await,
            () = stop.asked() => break,
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// How long to wait after a round that stopped early.
fn pause(round: anyhow::Result<Round>, failures: &mut u32) -> Option<Duration> {
    let (why, wait) = match round {
        Ok(Round { acknowledged, stopped: None, .. }) => {
            *failures = 0;
            if acknowledged > 0 {
                tracing::info!(acknowledged, "the collector has everything");
            }
            return None;
        }
        Ok(Round { stopped: Some(stopped), .. }) => (stopped.why, stopped.wait),
        Err(error) => (format!("{error:#}"), None),
    };
    let pause = backoff(*failures, rand::random_range(0.0..1.0)) + wait.unwrap_or_default();
    tracing::warn!(why, seconds = pause.as_secs(), "not everything was sent; trying again");
    *failures = failures.saturating_add(1);
    Some(pause)
}

/// Exponential backoff with full jitter: anything up to a ceiling that doubles, so that a fleet does not return at once.
fn backoff(failures: u32, random: f64) -> Duration {
    let ceiling = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    ceiling.mul_f64(random).max(Duration::from_millis(200))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::Stopped;

    #[test]
    fn the_wait_grows_to_a_limit_and_is_spread_over_all_of_it() {
        assert_eq!(backoff(0, 1.0), Duration::from_secs(2));
        assert_eq!(backoff(3, 1.0), Duration::from_secs(16));
        assert_eq!(backoff(3, 0.5), Duration::from_secs(8));
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST_WAIT);
        assert_eq!(backoff(9, 0.0), Duration::from_millis(200));
    }

    #[test]
    fn what_the_collector_asks_for_is_the_least_and_a_whole_round_forgets_failures() {
        let mut failures = 4;
        let asked = Some(Duration::from_secs(60));
        let stopped = Some(Stopped { why: "busy".into(), wait: asked });
        assert!(pause(Ok(Round { stopped, ..Round::default() }), &mut failures) >= asked);
        assert_eq!(failures, 5);
        assert_eq!(pause(Ok(Round::default()), &mut failures), None);
        assert_eq!(failures, 0);
    }
}
