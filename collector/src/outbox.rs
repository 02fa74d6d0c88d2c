//! Sends what the outbox holds, oldest first: again and again until it is taken, once when it is, never out of order.
//!
//! The webhook's address is a secret: errors are told without it.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::app::{App, now};
use crate::config::is_loopback;
use crate::error::Refusal;
use crate::store::outbox::{self, Message};

/// The first wait after a failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: i64 = 1;
/// The longest wait of our own, in seconds.
const LONGEST_WAIT: i64 = 300;
/// The longest wait the service may ask for, in seconds.
const LONGEST_ASKED: i64 = 3600;
/// How long Slack may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How often it is looked anyway.
const TICK: Duration = Duration::from_secs(30);

/// Where messages go.
pub struct Webhook {
    http: reqwest::Client,
    address: reqwest::Url,
}

impl Webhook {
    /// A webhook at that address.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        // The error is dropped: it may repeat the address.
        let address = reqwest::Url::parse(address).ok().context("the webhook is not an address")?;
        let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
        if is_loopback(&address) {
            http = http.no_proxy();
        }
        Ok(Self { http: http.build()?, address })
    }

    async fn post(&self, payload: &str) -> Answer {
        let request =
            self.http.post(self.address.clone()).header(CONTENT_TYPE, "application/json").body(payload.to_owned());
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer::Later(None, format!("no answer: {}", error.without_url())),
        };
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Slack's answers are a word; no more than a little of anything else is read.
        let body = match response.chunk().await {
            Ok(chunk) => chunk.unwrap_or_default(),
            Err(error) => return Answer::Later(None, format!("the answer broke off: {}", error.without_url())),
        };
        let word: String = String::from_utf8_lossy(&body).trim().chars().take(100).collect();
        answer(status, &word, wait)
    }
}

/// What the service made of a message.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    /// Not now; perhaps after so many seconds.
    Later(Option<i64>, String),
    Never(String),
}

fn answer(status: StatusCode, word: &str, wait: Option<i64>) -> Answer {
    let said = format!("{} {word}", status.as_u16());
    match status.as_u16() {
        200 if word == "ok" => Answer::Taken,
        429 => Answer::Later(Some(wait.unwrap_or(30)), said),
        // An answer that is not Slack's own: a proxy's page, perhaps. It was not taken as far as anybody knows.
        200..=299 | 500..=599 | 408 => Answer::Later(wait, said),
        300..=399 => Answer::Never(format!("{said} (a redirect, which is not followed)")),
        _ => Answer::Never(said),
    }
}

/// Sends for ever.
pub async fn run(app: App, webhook: Webhook) {
    loop {
        let wait = match deliver(&app, &webhook, now()).await {
            Ok(Next::AtOnce) => continue,
            Ok(Next::At(due)) => (due - now()).to_std().unwrap_or_default().min(TICK),
            Ok(Next::WhenWoken) => TICK,
            Err(refusal) => {
                tracing::error!(error = %refusal, "the outbox cannot be read or written");
                Duration::from_secs(1)
            }
        };
        // A newer message does not make an older one due: waking only looks again.
        drop(tokio::time::timeout(wait, app.outbox.woken()).await);
    }
}

/// When to look again.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    AtOnce,
    At(DateTime<Utc>),
    WhenWoken,
}

/// Tries the oldest message, if it is due.
async fn deliver(app: &App, webhook: &Webhook, at: DateTime<Utc>) -> Result<Next, Refusal> {
    let oldest = {
        let mut db = app.store.read().await?;
        outbox::next(&mut db).await?
    };
    let Some(message) = oldest else { return Ok(Next::WhenWoken) };
    if message.due > at {
        return Ok(Next::At(message.due));
    }
    let answer = webhook.post(&message.payload).await;
    let mut db = app.store.write().await?;
    let next = match answer {
        Answer::Taken => {
            outbox::set_sent(&mut db, message.seq, now()).await?;
            tracing::info!(message = message.seq, "an alert was sent");
            Next::AtOnce
        }
        Answer::Later(wait, error) => {
            let wait = wait.map_or_else(|| backoff(&message), |asked| asked.clamp(1, LONGEST_ASKED));
            let due = now() + TimeDelta::seconds(wait);
            outbox::set_due(&mut db, message.seq, due, &error).await?;
            tracing::warn!(message = message.seq, error, %due, "an alert was not taken; it waits");
            Next::At(due)
        }
        Answer::Never(error) => {
            outbox::set_failed(&mut db, message.seq, &error).await?;
            tracing::error!(message = message.seq, error, "an alert was refused for good; `alert list` shows it");
            Next::AtOnce
        }
    };
    db.commit().await?;
    Ok(next)
}

fn backoff(message: &Message) -> i64 {
    let doublings = u32::try_from(message.attempts.clamp(0, 16)).unwrap_or(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests;
