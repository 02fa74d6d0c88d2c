//! An agent played by the test itself: its key, its chain, and every envelope it cares to send, honest or not.
//!
//! For what the real agent would never do (tamper, fork, flood), and for load without a process per report.

use std::collections::BTreeMap;
use std::io::Read as _;

use audit::api::{ENROL, Enrolled, REPORTS};
use audit::digest::Digest;
use audit::report::{Enrolment, HostId, Manifest, ProbeFacts, Receipt, Report};
use audit::seal::{self, Sealed};
use chrono::Utc;
use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::collector::Collector;
use crate::http::{self, Answer};

/// The header of everything an agent sends.
pub const JSON: (&str, &str) = ("content-type", "application/json");

/// A host that exists only as a key and a chain.
pub struct Puppet {
    /// Its key.
    pub key: SigningKey,
    /// Its identity.
    pub host: HostId,
    receipt_key: VerifyingKey,
    url: String,
    sequence: u64,
    previous: Option<Digest>,
}

impl Puppet {
    /// Enrols with a fresh token and becomes active.
    #[track_caller]
    pub fn active(collector: &Collector, name: &str) -> Self {
        let puppet = Self::enrol(collector, name);
        collector.inspect(puppet.host.as_str());
        puppet
    }

    /// Enrols with a fresh token.
    #[track_caller]
    pub fn enrol(collector: &Collector, name: &str) -> Self {
        let key = fresh_key();
        let body = enrolment(&collector.new_token(), name, &key);
        let answer = http::request("POST", &format!("{}{ENROL}", collector.url()), &[JSON], body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let enrolled: Enrolled = serde_json::from_slice(&answer.body).unwrap();
        let receipt_key: Digest = enrolled.receipt_key.parse().unwrap();
        let receipt_key = VerifyingKey::from_bytes(receipt_key.as_bytes()).unwrap();
        Self { key, host: enrolled.host, receipt_key, url: collector.url().into(), sequence: 0, previous: None }
    }

    /// Sends to where this collector listens now.
    pub fn at(&mut self, collector: &Collector) {
        self.url = collector.url().into();
    }

    /// Signs the next report of its chain.
    pub fn next(&mut self, manifest: Digest) -> Sealed<Report> {
        self.sequence += 1;
        let sealed = self.sign(self.sequence, self.previous, manifest);
        self.previous = Some(sealed.verified.id());
        sealed
    }

    /// Signs any report.
    pub fn sign(&self, sequence: u64, previous: Option<Digest>, manifest: Digest) -> Sealed<Report> {
        let report = Report { host: self.host.clone(), sequence, previous, time: Utc::now(), manifest, dropped: None };
        seal::seal(report, &self.key).unwrap()
    }

    /// Sends an envelope, whatever it holds.
    #[track_caller]
    pub fn post(&self, envelope: &[u8]) -> Answer {
        http::request("POST", &format!("{}{REPORTS}", self.url), &[JSON], envelope)
    }

    /// Sends an envelope; an error is one of the connection.
    pub fn try_post(&self, envelope: &[u8]) -> Option<Answer> {
        let url = format!("{}{REPORTS}", self.url);
        http::RUNTIME.block_on(http::send("POST", &url, &[JSON], envelope.to_vec())).ok()
    }

    /// The receipt in an answer, verified.
    #[track_caller]
    pub fn receipt(&self, answer: &Answer) -> Receipt {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let receipt = seal::verify::<Receipt>(&answer.body, &self.receipt_key).unwrap();
        receipt.statement().clone()
    }

    /// Sends a body of facts for a report.
    #[track_caller]
    pub fn put(&self, report: Digest, bytes: &[u8]) -> Answer {
        self.put_as(report, Digest::of(bytes), zstd::bulk::compress(bytes, 3).unwrap())
    }

    /// Sends any body under any digest.
    #[track_caller]
    pub fn put_as(&self, report: Digest, digest: Digest, body: Vec<u8>) -> Answer {
        let url = format!("{}{REPORTS}/{report}/facts/{digest}", self.url);
        http::request("PUT", &url, &[("content-type", "application/zstd")], body)
    }

    /// Sends the next report with all its facts: these packages and versions, and nothing of any other probe.
    #[track_caller]
    pub fn report_packages(&mut self, packages: &[(&str, &str)]) -> Sealed<Report> {
        self.report_bodies(&Bodies::of(packages))
    }

    /// Sends the next report with these facts.
    #[track_caller]
    pub fn report_bodies(&mut self, bodies: &Bodies) -> Sealed<Report> {
        let sealed = self.next(Digest::of(&bodies.manifest));
        self.receipt(&self.post(&sealed.bytes));
        self.send_bodies(sealed.verified.id(), bodies);
        sealed
    }

    /// Sends everything a report names, the manifest first: it says that the rest belongs to it.
    #[track_caller]
    pub fn send_bodies(&self, report: Digest, bodies: &Bodies) {
        for body in [&bodies.manifest, &bodies.findings, &bodies.items, &bodies.state] {
            let answer = self.put(report, body);
            assert_eq!(answer.status, 204, "{}", answer.text());
        }
    }
}

/// The documents a report with nothing but packages names.
pub struct Bodies {
    /// What the report names.
    pub manifest: Vec<u8>,
    findings: Vec<u8>,
    items: Vec<u8>,
    state: Vec<u8>,
}

impl Bodies {
    /// As the agent would write them.
    pub fn of(packages: &[(&str, &str)]) -> Self {
        let seen: BTreeMap<String, serde_json::Value> = packages
            .iter()
            .map(|(name, version)| {
                let item = serde_json::json!({
                    "name": name, "version": version, "architecture": "amd64", "state": "installed",
                });
                (format!("{name}:amd64"), item)
            })
            .collect();
        Self::with("packages", serde_json::to_vec(&serde_json::json!({ "seen": seen })).unwrap())
    }

    /// With these items of one probe, and no state.
    pub fn with(probe: &str, items: Vec<u8>) -> Self {
        let (state, findings) = (br#"{"seen":{}}"#.to_vec(), b"[]".to_vec());
        let schema = audit::probes::find(probe).unwrap().schema();
        let facts = ProbeFacts { schema, items: Digest::of(&items), state: Digest::of(&state) };
        let manifest = Manifest {
            agent: "0.1.0".into(),
            baseline: Digest::of(b"a baseline"),
            lifecycles: Digest::of(b"dates"),
            findings: Digest::of(&findings),
            interval: None,
            probes: BTreeMap::from([(probe.into(), facts)]),
        };
        Self { manifest: serde_json::to_vec(&manifest).unwrap(), findings, items, state }
    }
}

/// A signed enrolment.
pub fn enrolment(token: &str, name: &str, key: &SigningKey) -> Vec<u8> {
    let enrolment = Enrolment {
        token: token.into(),
        key: key.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        name: name.into(),
        machine: None,
        system: "Debian GNU/Linux 12 (bookworm)".into(),
        instance: None,
        time: Utc::now(),
    };
    seal::seal(enrolment, key).unwrap().bytes
}

/// A key nobody else has.
pub fn fresh_key() -> SigningKey {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut seed).unwrap();
    SigningKey::from_bytes(&seed)
}
