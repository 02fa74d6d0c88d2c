//! A collector on a loopback port, and a host whose key the test holds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use audit::api::{ENROL, Enrolled, Problem, REPORTS, SENT};
use audit::baseline::Baseline;
use audit::digest::Digest;
use audit::facts::Observed;
use audit::lifecycle::Lifecycles;
use audit::report::{Dropped, Enrolment, HostId, Manifest, ProbeFacts, Receipt, Report};
use audit::seal::{Sealed, seal, verify};
use audit::shipped;
use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::app::{App, Wake};
use crate::quota::{Limits, Quotas};
use crate::store::accounts::{self, Role};
use crate::store::{Store, testing};

/// A collector that listens, its administrator's token, and a client.
pub(crate) struct Running {
    pub(crate) app: App,
    pub(crate) base: String,
    pub(crate) admin: String,
    pub(crate) http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (store, folder) = testing::store().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = app(store, &base);
        let router = super::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut running = Self { app, base, admin: String::new(), http, _folder: folder };
        running.admin = running.account("admin", &[Role::Administrator]).await;
        running
    }

    /// A new account's token.
    pub(crate) async fn account(&self, name: &str, roles: &[Role]) -> String {
        let mut db = self.app.store.write().await.unwrap();
        let roles = roles.iter().copied().collect();
        let token = accounts::add(&mut db, name, &roles, Utc::now()).await.unwrap();
        db.commit().await.unwrap();
        token.reveal().to_owned()
    }

    /// Status and JSON of a call by whoever holds `token`.
    pub(crate) async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// A new enrolment token.
    pub(crate) async fn token(&self) -> String {
        let asked = json!({"environment": "production", "roles": ["web"], "seconds": 600});
        let (status, answer) = self.call("POST", "/api/v1/tokens", &self.admin, Some(asked)).await;
        assert_eq!(status, 200, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    }

    /// A host enrolled with a new token.
    pub(crate) async fn host(&self, name: &str, seed: u8) -> TestHost {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let envelope = enrolment(&key, &self.token().await, name);
        let response = self.post(ENROL, envelope).await;
        assert_eq!(response.status(), 200);
        let enrolled: Enrolled = response.json().await.unwrap();
        let receipt_key: Digest = enrolled.receipt_key.parse().unwrap();
        let receipt_key = VerifyingKey::from_bytes(receipt_key.as_bytes()).unwrap();
        TestHost { id: enrolled.host, key, receipt_key, sequence: 0, previous: None, time: None }
    }

    pub(crate) async fn post(&self, path: &str, body: Vec<u8>) -> reqwest::Response {
        self.http.post(format!("{}{path}", self.base)).body(body).send().await.unwrap()
    }

    /// Sends a report's envelope; the receipt, or the problem.
    pub(crate) async fn send(&self, host: &TestHost, envelope: Vec<u8>) -> Result<Receipt, Problem> {
        let sent = Utc::now().to_rfc3339();
        let request = self.http.post(format!("{}{REPORTS}", self.base)).header(SENT, sent).body(envelope);
        let response = request.send().await.unwrap();
        if response.status() == 200 {
            let bytes = response.bytes().await.unwrap();
            return Ok(verify::<Receipt>(&bytes, &host.receipt_key).unwrap().statement().clone());
        }
        Err(response.json().await.unwrap())
    }

    /// Sends facts; the status.
    pub(crate) async fn put(&self, report: Digest, digest: Digest, body: Vec<u8>) -> u16 {
        let url = format!("{}{REPORTS}/{report}/facts/{digest}", self.base);
        self.http.put(url).body(body).send().await.unwrap().status().as_u16()
    }

    /// Reports packages by version, whole: report, manifest, facts.
    pub(crate) async fn observe(&self, host: &mut TestHost, packages: &[(&str, &str)]) -> Sealed<Report> {
        let observation = Observation::of(packages);
        let sealed = host.report(observation.id);
        self.send(host, sealed.bytes.clone()).await.unwrap();
        for (digest, bytes) in &observation.bodies {
            assert_eq!(self.put(sealed.verified.id(), *digest, deflate(bytes)).await, 204);
        }
        assert!(self.send(host, sealed.bytes.clone()).await.unwrap().lacks.is_empty());
        sealed
    }
}

pub(crate) fn app(store: Store, base: &str) -> App {
    App {
        store,
        receipt_key: Arc::new(SigningKey::from_bytes(&[99; 32])),
        public_url: base.into(),
        baseline: Arc::new(Baseline::parse("linux-server", shipped::LINUX_SERVER.as_bytes()).unwrap()),
        lifecycles: Arc::new(Lifecycles::parse("eol", shipped::END_OF_LIFE.as_bytes()).unwrap()),
        judge: Wake::default(),
        outbox: Wake::default(),
        alerts: true,
        fold_after: crate::folding::AFTER,
        silent_after: None,
        inflating: Arc::new(Semaphore::new(2)),
        bodies: Arc::default(),
        requests: Arc::new(Semaphore::new(2000)),
        attempts: Arc::default(),
        quotas: Arc::new(Quotas::new(Limits { requests_per_minute: 10_000, facts_mib_per_day: 10_000 })),
    }
}

pub(crate) fn enrolment(key: &SigningKey, token: &str, name: &str) -> Vec<u8> {
    let enrolment = Enrolment {
        token: token.into(),
        key: crate::ingest::hexadecimal(key.verifying_key().as_bytes()),
        name: name.into(),
        machine: None,
        system: "Debian GNU/Linux 12 (bookworm)".into(),
        instance: None,
        time: Utc::now(),
    };
    seal(enrolment, key).unwrap().bytes
}

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// A manifest and the bodies it needs, in the order an agent sends them.
pub(crate) struct Observation {
    pub(crate) id: Digest,
    pub(crate) bodies: Vec<(Digest, Vec<u8>)>,
}

impl Observation {
    /// Packages by name and version.
    pub(crate) fn of(packages: &[(&str, &str)]) -> Self {
        let items: Observed<Value> = packages
            .iter()
            .map(|(name, version)| {
                let package = json!({"name": name, "version": version, "architecture": "amd64", "state": "installed"});
                (format!("{name}:amd64"), package)
            })
            .collect();
        Self::with(serde_json::to_vec(&items).unwrap(), 1)
    }

    /// Items of the packages probe as given.
    pub(crate) fn with(items: Vec<u8>, schema: u32) -> Self {
        let state = serde_json::to_vec(&Observed::<Value>::new()).unwrap();
        let findings = b"[]".to_vec();
        let facts = ProbeFacts { schema, items: Digest::of(&items), state: Digest::of(&state) };
        let manifest = Manifest {
            agent: "0.1.0".into(),
            baseline: Digest::of(b"another baseline"),
            lifecycles: Digest::of(b"other dates"),
            findings: Digest::of(&findings),
            interval: None,
            probes: BTreeMap::from([("packages".to_owned(), facts)]),
        };
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let bodies: Vec<_> =
            [manifest, items, state, findings].into_iter().map(|body| (Digest::of(&body), body)).collect();
        Self { id: bodies[0].0, bodies }
    }
}

/// A host whose key the test holds.
#[derive(Clone)]
pub(crate) struct TestHost {
    pub(crate) id: HostId,
    pub(crate) key: SigningKey,
    pub(crate) receipt_key: VerifyingKey,
    pub(crate) sequence: u64,
    pub(crate) previous: Option<Digest>,
    /// Its clock, where it is not the test's.
    pub(crate) time: Option<DateTime<Utc>>,
}

impl TestHost {
    /// Its next report.
    pub(crate) fn report(&mut self, manifest: Digest) -> Sealed<Report> {
        self.stating(manifest, None)
    }

    /// Its next report, which says what was dropped before it.
    pub(crate) fn stating(&mut self, manifest: Digest, dropped: Option<Dropped>) -> Sealed<Report> {
        self.sequence += 1;
        let time = self.time.unwrap_or_else(Utc::now);
        let (host, sequence, previous) = (self.id.clone(), self.sequence, self.previous);
        let report = Report { host, sequence, previous, time, manifest, dropped };
        let sealed = seal(report, &self.key).unwrap();
        self.previous = Some(sealed.verified.id());
        sealed
    }
}
