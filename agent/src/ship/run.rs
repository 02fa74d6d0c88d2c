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

/// The ceiling of the first wait after a failure; it doubles up to [`longest`].
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// However long the interval is.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// And however short: a host that reports every few seconds needs not ask that often whether a collector is back.
const SHORTEST_WAIT: Duration = Duration::from_secs(15);
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
        let pause = pause(round, &mut failures, longest(config.interval));
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
fn pause(round: anyhow::Result<Round>, failures: &mut u32, longest: Duration) -> Option<Duration> {
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
    let pause = backoff(*failures, longest, rand::random_range(0.0..1.0)) + wait.unwrap_or_default();
    tracing::warn!(why, seconds = pause.as_secs(), "not everything was sent; trying again");
    *failures = failures.saturating_add(1);
    Some(pause)
}

/// The ceiling of every wait: half an interval. A collector that comes back calls a host silent that it does not hear for
/// two intervals or a minute ([`audit::silence::allowed`]); until then there is room for two waits and what each attempt
/// may take.
fn longest(interval: Duration) -> Duration {
    (interval / 2).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

/// Exponential backoff with full jitter: anything up to a ceiling that doubles, so that a fleet does not return at once.
fn backoff(failures: u32, longest: Duration, random: f64) -> Duration {
    let ceiling = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(longest);
    ceiling.mul_f64(random).max(Duration::from_millis(200))
}

#[cfg(test)]
mod tests {
    use audit::duration::Length;

    use super::*;
    use crate::client;
    use crate::ship::Stopped;

    #[test]
    fn the_wait_grows_to_a_limit_and_is_spread_over_all_of_it() {
        let longest = Duration::from_secs(150);
        assert_eq!(backoff(0, longest, 1.0), Duration::from_secs(2));
        assert_eq!(backoff(3, longest, 1.0), Duration::from_secs(16));
        assert_eq!(backoff(3, longest, 0.5), Duration::from_secs(8));
        assert_eq!(backoff(u32::MAX, longest, 1.0), longest);
        assert_eq!(backoff(9, longest, 0.0), Duration::from_millis(200));
    }

    /// An attempt that had begun when the collector came back may still fail; the one after the longest wait does not.
    #[test]
    fn after_any_outage_a_host_is_heard_before_it_counts_as_silent() {
        for seconds in [1, 5, 20, 30, 60, 300, 600, 3600, 24 * 3600] {
            let interval = Duration::from_secs(seconds);
            let stated = Length::of_milliseconds(seconds * 1000);
            let allowed = Duration::from_millis(audit::silence::allowed(None, Some(stated)).milliseconds());
            let heard = client::CONNECT + backoff(u32::MAX, longest(interval), 1.0);
            assert!(
                heard < allowed,
                "every {seconds} s: heard after {heard:?} at the latest, silent after {allowed:?}"
            );
        }
    }

    #[test]
    fn what_the_collector_asks_for_is_the_least_and_a_whole_round_forgets_failures() {
        let mut failures = 4;
        let asked = Some(Duration::from_secs(60));
        let stopped = Some(Stopped { why: "busy".into(), wait: asked });
        assert!(pause(Ok(Round { stopped, ..Round::default() }), &mut failures, LONGEST_WAIT) >= asked);
        assert_eq!(failures, 5);
        assert_eq!(pause(Ok(Round::default()), &mut failures, LONGEST_WAIT), None);
        assert_eq!(failures, 0);
    }
}
