//! When a report was observed, as narrowly as can be trusted: a pure decision over three clocks.
//!
//! The host's clock is corrected by its error, which is measured when the report comes: the sender says what its clock
//! shows, the collector knows what it is. A clock beyond [`TOLERANCE`] is not believed at all; then an observation lies
//! somewhere between the one before it and its receipt, and that whole span is what a drift's interval is made of.

use chrono::{DateTime, Duration, Utc};

use crate::store::hosts::Seen;
use crate::store::reports::Stored;

/// The largest error of a host's clock that is corrected rather than disbelieved.
pub const TOLERANCE: Duration = Duration::seconds(60);

/// Below this a measured error is the network's delay and the whole seconds agents send: correcting by it would make a good
/// clock worse.
const NOISE: Duration = Duration::seconds(2);
const SECOND: Duration = Duration::seconds(1);

/// When `report` was observed; `previous` is that of the report judged before, or else no earlier than `enrolled`.
pub fn seen(report: &Stored, previous: Option<Seen>, enrolled: DateTime<Utc>) -> Seen {
    let floor = previous.map_or(enrolled, |previous| previous.earliest).min(report.received);
    // An observation comes after the one before it. Measured errors jitter by the network's delay; a clock that goes back
    // further than that is not believed.
    let Some(at) = corrected(report).filter(|at| *at + TOLERANCE >= floor) else {
        return Seen { earliest: floor, latest: report.received };
    };
    let earliest = at.max(floor).min(report.received);
    let latest = (at + resolution(report)).min(report.received).max(earliest);
    Seen { earliest, latest }
}

/// Whether so narrow a span means that the host's clock was believed.
pub fn is_believed(seen: Seen) -> bool {
    seen.latest - seen.earliest <= SECOND
}

/// Agents state whole seconds, to be short: it happened some time in that second.
fn resolution(report: &Stored) -> Duration {
    if report.host_time.timestamp_subsec_nanos() == 0 { SECOND } else { Duration::zero() }
}

/// How far the host's clock was off when it sent, if it said what it showed.
pub fn skew(report: &Stored) -> Option<Duration> {
    report.sent.map(|sent| report.received - sent)
}

/// The host's instant on the collector's clock, if the host's clock can be believed.
fn corrected(report: &Stored) -> Option<DateTime<Utc>> {
    let error = match skew(report) {
        Some(error) => error,
        // Nothing is known of the clock but that a report so fresh cannot be far off.
        None if (report.received - report.host_time).abs() <= TOLERANCE => Duration::zero(),
        None => return None,
    };
    match error.abs() {
        size if size <= NOISE => Some(report.host_time),
        size if size <= TOLERANCE => report.host_time.checked_add_signed(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::at;
    use audit::digest::Digest;

    fn report(host_time: DateTime<Utc>, sent: Option<DateTime<Utc>>, received: DateTime<Utc>) -> Stored {
        Stored {
            id: Digest::of(b"r"),
            host: "a".repeat(32).try_into().unwrap(),
            sequence: 2,
            previous: None,
            host_time,
            sent,
            received,
            manifest: Digest::of(b"m"),
            forked: false,
        }
    }

    fn previous() -> Option<Seen> {
        Some(Seen { earliest: at(8), latest: at(10) })
    }

    /// Some time in the second that begins then.
    fn in_second(at: DateTime<Utc>) -> Seen {
        Seen { earliest: at, latest: at + SECOND }
    }

    fn seconds(n: i64) -> Duration {
        Duration::seconds(n)
    }

    #[test]
    fn a_host_thirty_seconds_behind_is_corrected_even_if_its_report_waited_for_hours() {
        let late = report(at(20), Some(at(300) - seconds(30)), at(300));
        assert_eq!(seen(&late, previous(), at(0)), in_second(at(20) + seconds(30)));
    }

    #[test]
    fn an_error_as_small_as_the_measurements_own_is_no_error() {
        let good = report(at(20), Some(at(30) - seconds(1)), at(30));
        assert_eq!(seen(&good, previous(), at(0)), in_second(at(20)));
    }

    #[test]
    fn a_clock_set_back_to_reach_into_a_window_is_not_believed() {
        let back = report(at(20), Some(at(20)), at(80));
        assert_eq!(seen(&back, previous(), at(0)), Seen { earliest: at(8), latest: at(80) });
        let earlier_than_the_one_before = report(at(3), Some(at(80)), at(80));
        assert_eq!(seen(&earlier_than_the_one_before, previous(), at(0)), Seen { earliest: at(8), latest: at(80) });
    }

    #[test]
    fn without_the_senders_clock_only_a_fresh_report_is_believed() {
        let fresh = report(at(20), None, at(20) + seconds(5));
        assert_eq!(seen(&fresh, previous(), at(0)), in_second(at(20)));
        let late = report(at(20), None, at(200));
        assert_eq!(seen(&late, previous(), at(0)), Seen { earliest: at(8), latest: at(200) });
    }

    #[test]
    fn the_first_report_is_no_older_than_the_enrolment_and_nothing_is_later_than_its_receipt() {
        let wild = report(at(-5_000_000), None, at(5));
        assert_eq!(seen(&wild, None, at(1)), Seen { earliest: at(1), latest: at(5) });
        let ahead = report(at(20), Some(at(19)), at(19) + seconds(30));
        assert_eq!(seen(&ahead, previous(), at(0)), Seen { earliest: ahead.received, latest: ahead.received });
    }

    #[test]
    fn jitter_of_the_measurement_does_not_turn_the_order_round() {
        let jitter = report(at(8) - seconds(3), Some(at(11)), at(11));
        assert_eq!(seen(&jitter, previous(), at(0)), Seen { earliest: at(8), latest: at(8) });
        let fine = report(at(10) + Duration::milliseconds(1), Some(at(11)), at(11));
        assert!(is_believed(seen(&fine, previous(), at(0))));
    }
}
