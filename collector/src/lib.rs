//! The collector: verifies reports, keeps them as they came, and says what nobody approved.
//!
//! Invariants:
//! - Nothing is acknowledged that is not committed; a receipt is signed only after the transaction.
//! - The bytes that were signed are the bytes that are kept.
//! - Judging happens beside the store's single writer, and is committed only if what it was judged by still stands.
//! - Who does something comes from their token, never from what they say.
//! - SQL stands in `store/`, HTTP statuses in `error.rs`, Slack's JSON in `notify/slack.rs`, and nowhere else.

pub mod app;
pub mod backup;
pub mod cli;
pub mod config;
pub mod disguise;
pub mod error;
pub mod files;
pub mod folding;
pub mod http;
pub mod inflate;
pub mod ingest;
pub mod notify;
pub mod outbox;
pub mod quota;
pub mod reconciling;
pub mod secret;
pub mod serve;
pub mod silence;
pub mod store;
pub mod verify;
pub mod web;
