//! What one host may send, so that none fills the database or starves the others: requests by the minute, bytes by the day.
//!
//! Counted in memory, by hosts whose signature was checked; a restart of the collector begins anew. Each count flows: a
//! host that was quiet may send much at once, one that always sends gets its rate. A small report is taken however many
//! bytes its host has sent: unchanged is what an honest host has to say when it may send no more facts.

use std::collections::HashMap;
use std::sync::Mutex;

use audit::report::HostId;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// A report this small is taken whatever its host has sent: an ordinary one is under 700 bytes.
const SMALL: u64 = 2048;
/// How many minutes' requests a host may send at once: what it kept while the collector was away comes in a heap.
const BURST: TimeDelta = TimeDelta::minutes(10);
const DAY: TimeDelta = TimeDelta::days(1);
/// The longest a host is told to wait, in seconds: longer, and what it may send would wait with what it may not, until the
/// host counts as silent, which may be after [`audit::silence::SHORTEST`].
const LONGEST: i64 = 30;

/// What one host may send.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in a minute, of ten minutes at once. A report whose facts changed takes about five: a host that changes every
    /// two seconds, which is as often as its agent looks, sends some 150.
    pub requests_per_minute: u32,
    /// MiB of facts in a day, as sent. All facts of a Debian host of 777 packages are 14 KiB, and most changes bring all
    /// packages anew: that is some 4,500 changes.
    pub facts_mib_per_day: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_minute: 240, facts_mib_per_day: 64 }
    }
}

impl Limits {
    /// Which of them cannot be, and why.
    pub fn check(self) -> Result<(), (&'static str, String)> {
        // One body of facts as large as may be must pass, or it would wait for ever.
        let least = u32::try_from(audit::api::MAX_FACTS_SENT / (1 << 20)).unwrap_or(u32::MAX);
        if self.facts_mib_per_day < least {
            return Err(("facts_mib_per_day", format!("at least {least}, the largest body of facts, is due")));
        }
        if self.requests_per_minute == 0 {
            return Err(("requests_per_minute", "at least 1 is due".to_owned()));
        }
        Ok(())
    }
}

/// Which limit was met, and how many seconds to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// In words.
    pub what: &'static str,
    /// Seconds.
    pub wait: u32,
    /// Whether this is the first time since the host was last within its limits.
    pub first: bool,
}

/// What hosts have sent.
#[derive(Debug)]
pub struct Quotas {
    limits: Limits,
    hosts: Mutex<HashMap<HostId, Sent>>,
}

/// Until when what a host sent is used up by its rates.
#[derive(Debug, Clone, Copy)]
struct Sent {
    requests: DateTime<Utc>,
    bytes: DateTime<Utc>,
    /// Whether it is noted to be over each limit; `None` until that is known.
    noted: [(&'static str, Option<bool>); 2],
}

const REQUESTS: &str = "requests";
const FACTS: &str = "facts";

impl Sent {
    fn over(&mut self, what: &'static str, wait: TimeDelta) -> Over {
        let wait = u32::try_from((wait.num_seconds() + 1).clamp(1, LONGEST)).unwrap_or(1);
        Over { what, wait, first: self.note(what, true) }
    }

    /// Notes whether it is over a limit; whether that is news.
    fn note(&mut self, what: &str, over: bool) -> bool {
        let noted = self.noted.iter_mut().find(|(name, _)| *name == what);
        noted.is_some_and(|(_, noted)| noted.replace(over) != Some(over))
    }
}

impl Quotas {
    /// None has sent anything yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, hosts: Mutex::default() }
    }

    /// Counts a report of that size; within the limits, it names those the host is over no more.
    pub fn report(&self, host: &HostId, size: usize, now: DateTime<Utc>) -> Result<Vec<&'static str>, Over> {
        self.count(host, Some(size as u64).filter(|size| *size > SMALL), now)
    }

    /// Counts a body of facts of that size as sent; likewise.
    pub fn facts(&self, host: &HostId, size: usize, now: DateTime<Utc>) -> Result<Vec<&'static str>, Over> {
        self.count(host, Some(size as u64), now)
    }

    fn count(&self, host: &HostId, bytes: Option<u64>, now: DateTime<Utc>) -> Result<Vec<&'static str>, Over> {
        // A panic while counting leaves counts, which are as good as before.
        let mut hosts = self.hosts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let nothing = Sent { requests: now, bytes: now, noted: [(REQUESTS, None), (FACTS, None)] };
        let sent = hosts.entry(host.clone()).or_insert(nothing);
        let per_request = TimeDelta::minutes(1) / i32::try_from(self.limits.requests_per_minute).unwrap_or(i32::MAX);
        sent.requests = match flow(sent.requests, per_request, BURST, now) {
            Ok(until) => until,
            Err(wait) => return Err(sent.over(REQUESTS, wait)),
        };
        let mut no_more = Vec::from_iter(sent.note(REQUESTS, false).then_some(REQUESTS));
        if let Some(bytes) = bytes {
            sent.bytes = match flow(sent.bytes, self.takes(bytes), DAY, now) {
                Ok(until) => until,
                Err(wait) => return Err(sent.over(FACTS, wait)),
            };
            no_more.extend(sent.note(FACTS, false).then_some(FACTS));
        }
        Ok(no_more)
    }

    /// How much of the day that many bytes use up.
    fn takes(&self, bytes: u64) -> TimeDelta {
        let per_day = i128::from(self.limits.facts_mib_per_day.max(1)) << 20;
        let nanoseconds = i128::from(DAY.num_nanoseconds().unwrap_or(0)) * i128::from(bytes) / per_day;
        TimeDelta::nanoseconds(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
    }
}

/// Until when all is used up with `took` more, where that is within `most` from now; else how long to wait.
fn flow(
    until: DateTime<Utc>,
    took: TimeDelta,
    most: TimeDelta,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, TimeDelta> {
    let until = until.max(now) + took;
    if until - now <= most { Ok(until) } else { Err(until - now - most) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::at;

    fn host(digit: char) -> HostId {
        digit.to_string().repeat(32).try_into().unwrap()
    }

    fn quotas() -> Quotas {
        Quotas::new(Limits { requests_per_minute: 6, facts_mib_per_day: 4 })
    }

    #[test]
    fn requests_flow_at_their_rate_after_a_burst_and_no_other_host_is_held_back() {
        let quotas = quotas();
        for number in 0..60 {
            quotas.report(&host('a'), 700, at(0)).unwrap_or_else(|over| panic!("{number}: {over:?}"));
        }
        assert_eq!(quotas.report(&host('a'), 700, at(0)), Err(Over { what: "requests", wait: 11, first: true }));
        assert!(quotas.report(&host('a'), 700, at(0)).is_err_and(|over| !over.first), "told once");
        assert!(quotas.report(&host('b'), 700, at(0)).is_ok());
        let taken = (0..100).take_while(|_| quotas.report(&host('a'), 700, at(1)).is_ok()).count();
        assert_eq!(taken, 6);
    }

    #[test]
    fn when_the_bytes_of_a_day_are_sent_small_reports_are_still_taken() {
        let quotas = quotas();
        assert_eq!(quotas.facts(&host('a'), 4 << 20, at(0)), Ok(vec!["requests", "facts"]), "not known before");
        assert_eq!(quotas.facts(&host('a'), 1 << 20, at(0)), Err(Over { what: "facts", wait: 30, first: true }));
        assert!(quotas.report(&host('a'), 60_000, at(0)).is_err());
        assert_eq!(quotas.report(&host('a'), 700, at(0)), Ok(vec![]), "that it is over is still so");
        assert_eq!(quotas.facts(&host('a'), 1 << 20, at(7 * 60)), Ok(vec!["facts"]), "over no more");
        assert_eq!(quotas.facts(&host('a'), 10, at(7 * 60)), Ok(vec![]));
    }

    #[test]
    fn limits_under_which_nothing_could_pass_are_refused() {
        assert!(Limits::default().check().is_ok());
        let none = Limits { requests_per_minute: 0, ..Limits::default() };
        let narrow = Limits { facts_mib_per_day: 3, ..Limits::default() };
        assert_eq!(
            [none, narrow].map(|limits| limits.check().unwrap_err().0),
            ["requests_per_minute", "facts_mib_per_day"]
        );
    }
}
