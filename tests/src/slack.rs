//! A stand-in for Slack's incoming webhooks, which refuses what the real one refuses.
//!
//! Source: Slack's "Sending messages using incoming webhooks" (error table) and the Block Kit reference (50 blocks a
//! message, 3,000 characters a section, 150 a header), "Rate limits" (429 with `Retry-After`). Refusals are plain text.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::processes::PATIENCE;

/// The secret part of the webhook's address.
const SECRET: &str = "T00000000/B00000000/madeupforatest";

/// What the stand-in does with a message that is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes it and answers `ok`.
    Up,
    /// Answers 503, as in an outage behind its front.
    Failing,
    /// Answers 429 and asks to come back after so many seconds.
    Limiting(u64),
}

/// A running stand-in.
pub struct Slack {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// A runtime of its own: ending it closes every connection, the kept ones too.
    serving: Option<Runtime>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    more: Condvar,
}

struct Seen {
    mood: Mood,
    accepted: Vec<Value>,
    refused: Vec<(u16, String)>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { mood: Mood::Up, accepted: Vec::new(), refused: Vec::new() }
    }
}

impl Slack {
    /// On a loopback port of the system's choice.
    pub fn start() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    fn at(address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        Self::on(listener)
    }

    /// On a listener made elsewhere, for example inside a network namespace.
    pub fn on(listener: std::net::TcpListener) -> Self {
        let mut slack =
            Self { address: listener.local_addr().unwrap(), shared: Arc::new(Shared::default()), serving: None };
        slack.serve(listener);
        slack
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let routes = Router::new()
            .route("/services/{*secret}", any(receive))
            .fallback(async || (StatusCode::NOT_FOUND, "no_service"))
            .layer(DefaultBodyLimit::max(1 << 20))
            .with_state(Arc::clone(&self.shared));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
        self.serving = Some(runtime);
    }

    /// The address to give the collector.
    pub fn webhook(&self) -> String {
        format!("http://{}/services/{SECRET}", self.address)
    }

    /// What it does with well-formed messages from now on.
    pub fn set(&self, mood: Mood) {
        self.shared.seen.lock().unwrap().mood = mood;
    }

    /// Refuses connections from now on, as when the network is gone.
    pub fn go_down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// Takes connections again, at the same address.
    pub fn come_up(&mut self) {
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        self.serve(listener);
    }

    /// The messages taken so far.
    pub fn messages(&self) -> Vec<Value> {
        self.shared.seen.lock().unwrap().accepted.clone()
    }

    /// What was refused so far: status and word.
    pub fn refusals(&self) -> Vec<(u16, String)> {
        self.shared.seen.lock().unwrap().refused.clone()
    }

    /// Waits until it has taken `count` messages, and gives them all.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Value> {
        let enough = self.wait(|seen| seen.accepted.len() >= count);
        assert!(enough, "{count} messages were due; taken: {:#?}, refused: {:?}", self.messages(), self.refusals());
        self.messages()
    }

    /// Waits until it has refused `count` messages.
    #[track_caller]
    pub fn wait_for_refusals(&self, count: usize) {
        let enough = self.wait(|seen| seen.refused.len() >= count);
        assert!(enough, "{count} refusals were due: {:?}", self.refusals());
    }

    fn wait(&self, enough: impl Fn(&Seen) -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        let mut seen = self.shared.seen.lock().unwrap();
        while !enough(&seen) {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return false;
            }
            seen = self.shared.more.wait_timeout(seen, left).unwrap().0;
        }
        true
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.go_down();
        if std::thread::panicking() {
            eprintln!("--- Slack took {:#?}\n--- and refused {:?}", self.messages(), self.refusals());
        }
    }
}

/// Every text in a message, one a line: what a person reads, wherever in its blocks it stands.
pub fn words(message: &Value) -> String {
    match message {
        Value::String(text) => format!("{text}\n"),
        Value::Array(list) => list.iter().map(words).collect(),
        Value::Object(fields) => fields.values().map(words).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    Path(secret): Path<String>,
    method: axum::http::Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut seen = shared.seen.lock().unwrap();
    let refusal = if secret != SECRET {
        Some((404, "no_service"))
    } else if method != axum::http::Method::POST {
        Some((400, "http_method_not_post"))
    } else {
        match (examine(&headers, &body), seen.mood) {
            (Err(word), _) => Some((400, word)),
            (Ok(_), Mood::Failing) => Some((503, "service_unavailable")),
            (Ok(_), Mood::Limiting(_)) => Some((429, "rate_limited")),
            (Ok(message), Mood::Up) => {
                seen.accepted.push(message);
                None
            }
        }
    };
    let answer = match refusal {
        None => "ok".into_response(),
        Some((status, word)) => {
            seen.refused.push((status, word.to_owned()));
            let mut answer = (StatusCode::from_u16(status).unwrap(), word).into_response();
            if let (429, Mood::Limiting(seconds)) = (status, seen.mood) {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            answer
        }
    };
    drop(seen);
    shared.more.notify_all();
    answer
}

/// The message, or the word Slack refuses it with.
fn examine(headers: &HeaderMap, body: &[u8]) -> Result<Value, &'static str> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.starts_with("application/json") {
        return Err("invalid_payload");
    }
    let message: Value = serde_json::from_slice(body).map_err(|_| "invalid_payload")?;
    let text = message.get("text").and_then(Value::as_str).unwrap_or_default();
    let blocks = match message.get("blocks") {
        None => &Vec::new(),
        Some(Value::Array(blocks)) => blocks,
        Some(_) => return Err("invalid_blocks"),
    };
    if text.trim().is_empty() && blocks.is_empty() {
        return Err("no_text");
    }
    if text.chars().count() > 40_000 {
        return Err("msg_too_long");
    }
    if blocks.len() > 50 || !blocks.iter().all(is_valid) {
        return Err("invalid_blocks");
    }
    Ok(message)
}

fn is_valid(block: &Value) -> bool {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    let text_within = |text: &Value, limit: usize| {
        let words = text.get("text").and_then(Value::as_str).unwrap_or_default();
        let kind = text.get("type").and_then(Value::as_str).unwrap_or_default();
        matches!(kind, "mrkdwn" | "plain_text") && !words.is_empty() && words.chars().count() <= limit
    };
    let all = |key: &str, most: usize, limit: usize| {
        block.get(key).is_some_and(|list| {
            list.as_array().is_some_and(|list| {
                (1..=most).contains(&list.len()) && list.iter().all(|text| text_within(text, limit))
            })
        })
    };
    match kind {
        "section" => block.get("text").is_some_and(|text| text_within(text, 3000)) || all("fields", 10, 2000),
        "header" => block.get("text").is_some_and(|text| text_within(text, 150)),
        "context" => all("elements", 10, 3000),
        "divider" | "actions" | "rich_text" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RUNTIME, request};

    const JSON: (&str, &str) = ("content-type", "application/json");

    fn word(slack: &Slack, body: &str) -> (u16, String) {
        let answer = request("POST", &slack.webhook(), &[JSON], body);
        (answer.status, answer.text())
    }

    #[test]
    fn it_takes_what_slack_takes_and_refuses_what_slack_refuses() {
        let slack = Slack::start();
        assert_eq!(word(&slack, r#"{"text":"hello"}"#), (200, "ok".into()));
        assert_eq!(word(&slack, "hello"), (400, "invalid_payload".into()));
        assert_eq!(word(&slack, "{}"), (400, "no_text".into()));
        let section = |characters: usize| serde_json::json!({"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(characters)}});
        let message = |blocks: Vec<Value>| serde_json::json!({ "blocks": blocks }).to_string();
        assert_eq!(word(&slack, &message(vec![section(3000); 50])).0, 200);
        assert_eq!(word(&slack, &message(vec![section(3001)])), (400, "invalid_blocks".into()));
        assert_eq!(word(&slack, &message(vec![section(1); 51])), (400, "invalid_blocks".into()));
        let elsewhere = slack.webhook().replace("madeup", "other");
        assert_eq!(request("POST", &elsewhere, &[JSON], r#"{"text":"x"}"#).status, 404);
        assert_eq!(request("POST", &slack.webhook(), &[("content-type", "text/plain")], r#"{"text":"x"}"#).status, 400);
        assert_eq!(slack.messages().len(), 2);
    }

    #[test]
    fn it_can_fail_limit_go_down_and_come_back_at_the_same_address() {
        let mut slack = Slack::start();
        slack.set(Mood::Limiting(7));
        let answer = request("POST", &slack.webhook(), &[JSON], r#"{"text":"x"}"#);
        assert_eq!((answer.status, answer.retry_after.as_deref()), (429, Some("7")));
        slack.set(Mood::Failing);
        assert_eq!(word(&slack, r#"{"text":"x"}"#).0, 503);
        slack.go_down();
        assert!(RUNTIME.block_on(crate::http::send("POST", &slack.webhook(), &[JSON], Vec::new())).is_err());
        slack.come_up();
        slack.set(Mood::Up);
        assert_eq!(word(&slack, r#"{"text":"x"}"#).0, 200);
        assert_eq!(slack.wait_for(1).len(), 1);
    }
}
