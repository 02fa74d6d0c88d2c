//! What every handler and worker shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audit::baseline::Baseline;
use audit::duration::Length;
use audit::lifecycle::Lifecycles;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use tokio::sync::{Notify, Semaphore, watch};

use crate::http::attempts::Attempts;
use crate::http::bodies::Bodies;
use crate::quota::Quotas;
use crate::store::Store;

/// The running collector. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// What is kept.
    pub store: Store,
    /// What receipts are signed with.
    pub receipt_key: Arc<SigningKey>,
    /// The collector's address as people and messages name it, without a slash at its end.
    pub public_url: Arc<str>,
    /// What hosts are judged by.
    pub baseline: Arc<Baseline>,
    /// When software ends.
    pub lifecycles: Arc<Lifecycles>,
    /// Wakes the judging.
    pub judge: Wake,
    /// Wakes the outbox.
    pub outbox: Wake,
    /// Whether alerts have anywhere to go.
    pub alerts: bool,
    /// After how long unchanged reports are folded into runs.
    pub fold_after: TimeDelta,
    /// How long a host may say nothing, where that is configured for all.
    pub silent_after: Option<Length>,
    /// How many bodies may be inflated at once.
    pub inflating: Arc<Semaphore>,
    /// Facts on their way in.
    pub bodies: Arc<Bodies>,
    /// How many requests may be under way at once.
    pub requests: Arc<Semaphore>,
    /// Enrolments that failed, by address.
    pub attempts: Arc<Attempts>,
    /// What each host has sent lately.
    pub quotas: Arc<Quotas>,
}

/// The clock, as finely as the store keeps it: what is answered now must be what is read back later.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Bodies inflated at once: each may reach 16 MiB.
pub const INFLATING: usize = 2;
/// Requests under way at once.
pub const REQUESTS: usize = 512;

/// Wakes a worker: it looks at least once after each call. Whoever reads what it writes can wait for it to catch up.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Calls>);

#[derive(Debug, Default)]
struct Calls {
    notify: Notify,
    /// How often it was called.
    made: AtomicU64,
    /// How many of those calls the worker has looked after; `None` before it first looked.
    answered: watch::Sender<Option<u64>>,
}

impl Wake {
    /// There may be something to do.
    pub fn wake(&self) {
        self.0.made.fetch_add(1, Ordering::SeqCst);
        self.0.notify.notify_one();
    }

    /// Until there may be.
    pub async fn woken(&self) {
        self.0.notify.notified().await;
    }

    /// The worker begins to look; to be given to [`Wake::looked`] when it has.
    pub fn looking(&self) -> u64 {
        self.0.made.load(Ordering::SeqCst)
    }

    /// The worker has looked after all calls up to then.
    pub fn looked(&self, calls: u64) {
        self.0.answered.send_replace(Some(calls));
    }

    /// Until the worker has looked after every call made before, but no longer than `limit`; at once where none works.
    pub async fn settled(&self, limit: Duration) {
        let made = self.0.made.load(Ordering::SeqCst);
        let mut answered = self.0.answered.subscribe();
        let settled = answered.wait_for(|answered| answered.is_none_or(|answered| answered >= made));
        // Late is no error: what is there is shown.
        drop(tokio::time::timeout(limit, settled).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_waits_for_the_worker_to_look_after_what_came_before() {
        let wake = Wake::default();
        wake.wake();
        wake.settled(Duration::MAX).await;
        let calls = wake.looking();
        wake.looked(calls);
        wake.settled(Duration::MAX).await;
        wake.wake();
        let reader = wake.clone();
        let waiting = tokio::spawn(async move { reader.settled(Duration::MAX).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        wake.looked(wake.looking());
        waiting.await.unwrap();
    }
}
