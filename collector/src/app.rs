//! What every handler and worker shares.

use std::sync::Arc;

use audit::baseline::Baseline;
use audit::lifecycle::Lifecycles;
use chrono::{DateTime, SubsecRound as _, Utc};
use ed25519_dalek::SigningKey;
use tokio::sync::{Notify, Semaphore};

use crate::http::attempts::Attempts;
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
    /// How many bodies may be inflated at once.
    pub inflating: Arc<Semaphore>,
    /// How many requests may be under way at once.
    pub requests: Arc<Semaphore>,
    /// Enrolments that failed, by address.
    pub attempts: Arc<Attempts>,
}

/// The clock, as finely as the store keeps it: what is answered now must be what is read back later.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Bodies inflated at once: each may reach 16 MiB.
pub const INFLATING: usize = 2;
/// Requests under way at once.
pub const REQUESTS: usize = 512;

/// Wakes a worker: it looks at least once after each call.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// There may be something to do.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Until there may be.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
