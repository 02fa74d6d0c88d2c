//! A cap on failed enrolments by address, so that tokens cannot be tried out in bulk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use chrono::{DateTime, Duration, Utc};

use crate::error::Refusal;

/// Failures allowed per address in one [`WINDOW`].
const ALLOWED: u32 = 30;
const WINDOW: Duration = Duration::minutes(1);
/// Addresses remembered; beyond it the memory starts anew rather than growing.
const REMEMBERED: usize = 10_000;

/// Who failed how often since when.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<IpAddr, (DateTime<Utc>, u32)>>);

impl Attempts {
    /// Refuses an address that failed too often lately.
    pub fn check(&self, from: IpAddr, now: DateTime<Utc>) -> Result<(), Refusal> {
        let failed = self.lock();
        match failed.get(&from) {
            Some((since, count)) if *count >= ALLOWED && now < *since + WINDOW => {
                let wait = (*since + WINDOW - now).num_seconds().max(1);
                Err(Refusal::TooMany(u32::try_from(wait).unwrap_or(60)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a failure.
    pub fn failed(&self, from: IpAddr, now: DateTime<Utc>) {
        let mut failed = self.lock();
        if failed.len() >= REMEMBERED {
            failed.clear();
        }
        let entry = failed.entry(from).or_insert((now, 0));
        if now >= entry.0 + WINDOW {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, (DateTime<Utc>, u32)>> {
        // A panic while counting leaves counts, which are as good as before.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::at;

    #[test]
    fn an_address_that_fails_too_often_waits_and_no_other_does() {
        let attempts = Attempts::default();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        for _ in 0..ALLOWED {
            assert!(attempts.check(one, at(0)).is_ok());
            attempts.failed(one, at(0));
        }
        assert!(matches!(attempts.check(one, at(0)), Err(Refusal::TooMany(60))));
        assert!(attempts.check(other, at(0)).is_ok());
        assert!(attempts.check(one, at(1)).is_ok());
    }
}
