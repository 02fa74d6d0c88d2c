//! Silence: whether a host has said nothing for longer than it may. Pure; the instants are arguments.
//!
//! How long it may be silent is the collector's to say. Where nobody configured it, two of the intervals the host itself
//! states count, within bounds: a host that states a year would never be missed. Time in which nobody listened is not a
//! host's silence, so the count begins no earlier than the listening.

use chrono::{DateTime, TimeDelta, Utc};

use crate::duration::Length;
use crate::finding::{Finding, Severity, Status};

/// The interval assumed where a host states none: the agent's own default, five minutes.
pub const INTERVAL: Length = Length::of_milliseconds(5 * 60 * 1000);
/// However short an interval a host states, so long it may be silent: a report that is merely late alarms nobody.
pub const SHORTEST: Length = Length::of_milliseconds(60 * 1000);
/// However long an interval a host states, it may not be silent for longer.
pub const LONGEST: Length = Length::of_milliseconds(24 * 60 * 60 * 1000);

/// How long a host may be silent: as configured, or else two of its intervals, at least [`SHORTEST`], at most [`LONGEST`].
pub fn allowed(configured: Option<Length>, stated: Option<Length>) -> Length {
    configured.unwrap_or_else(|| {
        let two = stated.unwrap_or(INTERVAL).milliseconds().saturating_mul(2);
        Length::of_milliseconds(two.clamp(SHORTEST.milliseconds(), LONGEST.milliseconds()))
    })
}

/// When a host was heard, and since when it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// When its newest report came, if one ever did.
    pub last: Option<DateTime<Utc>>,
    /// Since when it is expected to report: its inspection.
    pub expected_since: DateTime<Utc>,
    /// Since when somebody listens without a break.
    pub listening_since: DateTime<Utc>,
}

/// Since when a host is silent at `now`, if it is: when it was last heard, or else since it is expected to report.
pub fn silent_since(heard: &Heard, allowed: Length, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let since = heard.last.map_or(heard.expected_since, |last| last.max(heard.expected_since));
    let counted_from = since.max(heard.listening_since);
    let limit = TimeDelta::milliseconds(i64::try_from(allowed.milliseconds()).unwrap_or(i64::MAX / 2));
    (now - counted_from > limit).then(|| heard.last.unwrap_or(heard.expected_since))
}

/// The silence of a host as a finding beside the baseline's.
pub fn finding(since: DateTime<Utc>, allowed: Length) -> Finding {
    Finding {
        rule: "reports-arrive".into(),
        probe: "reports".into(),
        subject: "reports".into(),
        status: Status::Deviation,
        severity: Severity::High,
        title: "The host reports".into(),
        expected: format!("a report at least every {allowed}"),
        observed: format!("none since {}", since.format("%Y-%m-%d %H:%M:%SZ")),
        why: "What changes on a host that says nothing is not seen; everything else said of it may be outdated.".into(),
        fix: "Look whether the machine is up, then at `plumbline status` on it.".into(),
        controls: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    fn minutes(count: u64) -> Length {
        Length::of_milliseconds(count * 60_000)
    }

    fn heard(last: Option<i64>, expected_since: i64, listening_since: i64) -> Heard {
        Heard { last: last.map(at), expected_since: at(expected_since), listening_since: at(listening_since) }
    }

    #[test]
    fn a_host_is_silent_once_it_was_not_heard_for_longer_than_it_may() {
        let host = heard(Some(10), 0, 0);
        assert_eq!(silent_since(&host, minutes(10), at(20)), None);
        assert_eq!(silent_since(&host, minutes(10), at(21)), Some(at(10)));
    }

    #[test]
    fn one_that_was_never_heard_is_silent_since_it_was_inspected() {
        assert_eq!(silent_since(&heard(None, 5, 0), minutes(10), at(15)), None);
        assert_eq!(silent_since(&heard(None, 5, 0), minutes(10), at(16)), Some(at(5)));
        // Heard long ago and inspected just now: it is expected from now on.
        assert_eq!(silent_since(&heard(Some(0), 60, 0), minutes(10), at(65)), None);
        assert_eq!(silent_since(&heard(Some(0), 60, 0), minutes(10), at(71)), Some(at(0)));
    }

    #[test]
    fn time_in_which_nobody_listened_is_not_the_hosts_silence() {
        let host = heard(Some(10), 0, 100);
        assert_eq!(silent_since(&host, minutes(10), at(110)), None);
        assert_eq!(silent_since(&host, minutes(10), at(111)), Some(at(10)));
    }

    #[test]
    fn what_is_configured_decides_and_what_a_host_states_only_within_bounds() {
        assert_eq!(allowed(None, None), minutes(10));
        assert_eq!(allowed(None, Some(minutes(60))), minutes(120));
        assert_eq!(allowed(None, Some(Length::of_milliseconds(1))), SHORTEST);
        assert_eq!(allowed(None, Some(Length::of_milliseconds(u64::MAX))), LONGEST);
        assert_eq!(allowed(Some(minutes(3)), Some(minutes(60))), minutes(3));
    }
}
