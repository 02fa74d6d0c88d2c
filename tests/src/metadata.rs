//! A stand-in for EC2's instance metadata service, version 2, which refuses what the real one refuses.
//!
//! Source: "Use the Instance Metadata Service to access instance metadata" in the EC2 user guide (a token by `PUT` with a
//! lifetime of 1 to 21,600 seconds, 400 without one, 403 for a `PUT` with `X-Forwarded-For`, 401 for a `GET` without a valid
//! token where version 1 is off) and "Instance identity documents". Hop limits and real lifetimes are not modelled.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::runtime::Runtime;

/// What the stand-in's instance shows: as EC2 writes it, two spaces deep.
pub const DOCUMENT: &str = r#"{
  "accountId" : "123456789012",
  "architecture" : "x86_64",
  "availabilityZone" : "eu-central-1a",
  "billingProducts" : null,
  "imageId" : "ami-0abcdef1234567890",
  "instanceId" : "i-1234567890abcdef0",
  "instanceType" : "t3.small",
  "pendingTime" : "2026-11-20T09:00:00Z",
  "privateIp" : "192.0.2.10",
  "region" : "eu-central-1",
  "version" : "2017-09-30"
}"#;
/// Its signature: base64 in lines, not a real one.
pub const SIGNATURE: &str =
    "MIAGCSqGSIb3DQEHAqCAMIACAQExDzANBglghkgBZQMEAgEFADCABgkqhkiG9w0BBwGg\ngCSABIIB23sKICAiYWNjb3VudElk\n";
const TOKEN: &str = "AQAEAMadeUpForATestAndOfTheLengthThatRealOnesHave1234567==";

/// How the service behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As the real one.
    Up,
    /// It is switched off: 403.
    Off,
    /// It answers with more than anybody wants, to everything.
    Huge,
    /// It takes the request and never answers.
    Silent,
    /// It answers with something else.
    Garbage,
    /// It sends whoever asks elsewhere.
    Elsewhere,
    /// It gives the document and no signature.
    Unsigned,
}

/// A running stand-in.
pub struct Metadata {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    serving: Option<Runtime>,
}

impl Metadata {
    /// On a loopback port of the system's choice.
    pub fn start(mood: Mood) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let routes = Router::new().fallback(answer).with_state((mood, Arc::clone(&asked)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
        Self { address, asked, serving: Some(runtime) }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far: method, path and the status it gave.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

type Shared = (Mood, Arc<Mutex<Vec<String>>>);

async fn answer(State((mood, asked)): State<Shared>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if mood == Mood::Silent {
        asked.lock().unwrap().push(format!("{method} {uri} never"));
        return std::future::pending().await;
    }
    let (status, body) = match mood {
        Mood::Off => (StatusCode::FORBIDDEN, String::new()),
        Mood::Huge => (StatusCode::OK, "A".repeat(64 << 20)),
        Mood::Elsewhere => (StatusCode::FOUND, String::new()),
        Mood::Garbage if method == Method::GET => (StatusCode::OK, "<html>\u{1b}[2J</html>".to_owned()),
        Mood::Up | Mood::Garbage | Mood::Unsigned => real(mood, &method, uri.path(), &headers),
        Mood::Silent => unreachable!(),
    };
    asked.lock().unwrap().push(format!("{method} {uri} {}", status.as_u16()));
    let mut response = (status, body).into_response();
    if mood == Mood::Elsewhere {
        response.headers_mut().insert("location", "/latest/elsewhere".parse().unwrap());
    }
    response
}

fn real(mood: Mood, method: &Method, path: &str, headers: &HeaderMap) -> (StatusCode, String) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let lifetime = header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|text| text.parse().ok());
    let no = |status: StatusCode| (status, String::new());
    if path == "/latest/api/token" {
        return match lifetime {
            _ if *method != Method::PUT => no(StatusCode::METHOD_NOT_ALLOWED),
            _ if header("x-forwarded-for").is_some() => no(StatusCode::FORBIDDEN),
            Some(1..=21_600) => (StatusCode::OK, TOKEN.to_owned()),
            Some(0_u32 | 21_601..) | None => no(StatusCode::BAD_REQUEST),
        };
    }
    if *method != Method::GET {
        return no(StatusCode::METHOD_NOT_ALLOWED);
    }
    if header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        return no(StatusCode::UNAUTHORIZED);
    }
    match path {
        "/latest/dynamic/instance-identity/document" => (StatusCode::OK, DOCUMENT.to_owned()),
        "/latest/dynamic/instance-identity/rsa2048" if mood != Mood::Unsigned => (StatusCode::OK, SIGNATURE.to_owned()),
        _ => no(StatusCode::NOT_FOUND),
    }
}
