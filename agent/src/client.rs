//! HTTPS to the collector: what may be trusted, what is sent, and what a failure means in words.
//!
//! TLS 1.3 alone, the host name always checked, trust roots those given with `--ca` or else the system's; there is no
//! way to switch that off. Plain HTTP is for loopback. Redirects are not followed: a collector that has moved is told to
//! the agent by its configuration, not by whoever answers.

mod diagnosis;
#[cfg(test)]
pub(crate) mod responder;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use audit::api::{Problem, SENT};
use audit::seal::MAX_ENVELOPE;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Where distributions keep the bundle of certificates they trust: Debian and Alpine, Fedora and RHEL, SUSE.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
/// How long a connection may take to be made.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// How long one exchange may take, the body included.
const EXCHANGE: Duration = Duration::from_secs(60);
/// The longest a collector can make us wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A collector that can be spoken to.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// Why an exchange came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It may work later: the network, an overloaded collector.
    #[error("{why}")]
    Later {
        /// In words.
        why: String,
        /// How long the collector asks us to wait at least.
        wait: Option<Duration>,
    },
    /// The collector refuses this, and will again.
    #[error("{why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// In words.
        why: String,
    },
}

impl Client {
    /// A client of the collector at `url`, trusting the certificates in `ca` (PEM) or else the system's.
    pub(crate) fn new(url: &str, ca: Option<&str>) -> anyhow::Result<Self> {
        let parsed = address(url)?;
        let loopback = is_loopback(&parsed);
        // Installing it twice is an error that changes nothing; both installs are the same.
        let _already = rustls::crypto::ring::default_provider().install_default();
        // Plain HTTP asks for no certificate, and a minimal system may have none.
        let roots = match ca {
            Some(pem) => authorities("--ca", pem.as_bytes())?,
            None if parsed.scheme() == "https" => system_bundle().and_then(|(name, pem)| authorities(name, &pem))?,
            None => RootCertStore::empty(),
        };
        let tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(EXCHANGE)
            .pool_max_idle_per_host(1);
        if loopback {
            builder = builder.no_proxy();
        }
        let http = builder.build().context("preparing the HTTP client")?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned() })
    }

    /// Posts `body`, JSON, and says what time it is here; the answer's body, at most [`MAX_ENVELOPE`] bytes.
    pub(crate) async fn post(&self, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        let request = self.http.post(format!("{}{path}", self.base)).header(CONTENT_TYPE, "application/json");
        let request = request.header(SENT, Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true));
        self.exchange(request.body(body)).await
    }

    /// Puts `body`, zstd.
    pub(crate) async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), Trouble> {
        let request = self.http.put(format!("{}{path}", self.base)).header(CONTENT_TYPE, "application/zstd");
        self.exchange(request.body(body)).await.map(drop)
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Trouble> {
        let later = |error: reqwest::Error| Trouble::Later { why: diagnosis::of(&error, &self.base), wait: None };
        let mut answer = request.send().await.map_err(later)?;
        let (status, wait) = (answer.status(), retry_after(answer.headers(), Utc::now()));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(later)? {
            if body.len() + chunk.len() > MAX_ENVELOPE {
                let why = format!("{} answered with more than {MAX_ENVELOPE} bytes", self.base);
                return Err(Trouble::Later { why, wait: None });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() { Ok(body) } else { Err(refusal(&self.base, status, wait, &body)) }
    }
}

/// What a status that is no success means.
fn refusal(base: &str, status: StatusCode, wait: Option<Duration>, body: &[u8]) -> Trouble {
    let said = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if problem.detail.is_empty() => problem.title,
        Ok(problem) => problem.detail,
        Err(_) => String::new(),
    };
    let mut why = format!("{base} answered {status}");
    if !said.is_empty() {
        why = format!("{why}: {}", said.chars().take(1000).collect::<String>());
    }
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if status.is_client_error() && !passing {
        return Trouble::Refused { status: status.as_u16(), why };
    }
    if status.is_redirection() {
        why.push_str(" (redirects are not followed: give the collector's own address)");
    }
    Trouble::Later { why, wait }
}

/// `Retry-After` as RFC 9110 10.2.3 has it: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// A URL a collector can be reached at.
fn address(url: &str) -> anyhow::Result<Url> {
    let parsed =
        Url::parse(url).with_context(|| format!("`{url}` is not a URL such as https://collector.example:8443"))?;
    match parsed.scheme() {
        "https" => {}
        "http" if is_loopback(&parsed) => {}
        "http" => bail!("`{url}`: plain HTTP is for loopback alone; use https"),
        other => bail!("`{url}`: a collector speaks https, not {other}"),
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        bail!("the collector's URL holds a user name or password; it must not");
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        bail!("`{url}`: a collector's URL has no query and no fragment");
    }
    Ok(parsed)
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The certificates of `pem`, to be trusted; `name` is what complaints call it.
pub(crate) fn authorities(name: &str, pem: &[u8]) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.with_context(|| format!("{name} is not PEM"))?;
        roots.add(certificate).with_context(|| format!("{name}: a certificate authority that cannot be used"))?;
    }
    if roots.is_empty() {
        bail!("{name} holds no certificate in PEM");
    }
    Ok(roots)
}

fn system_bundle() -> anyhow::Result<(&'static str, Vec<u8>)> {
    for path in BUNDLES {
        if Path::new(path).exists() {
            return Ok((path, std::fs::read(path).with_context(|| format!("reading {path}"))?));
        }
    }
    bail!(
        "this system trusts no certificate authority (none of {}): install ca-certificates, or give --ca FILE",
        BUNDLES.join(", ")
    )
}

#[cfg(test)]
mod tls_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for good in ["https://collector.example", "http://127.0.0.1:8443", "http://[::1]:1", "http://localhost:9/"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://collector.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "collector",
            "https://user:secret@collector.example",
            "https://collector.example/?a",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(!address("https://user:secret@c.example").unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_for_ever() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let wait = |text: &str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Sun, 22 Nov 2026 10:00:30 GMT"), Some(30));
        assert_eq!(wait("Sun, 22 Nov 2026 09:00:30 GMT"), Some(0));
        assert_eq!(wait("99999999999"), Some(3600));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn a_refusal_says_what_the_collector_said_and_whether_to_try_again() {
        let body = br#"{"title":"Forked","status":409,"detail":"two reports with number 4"}"#;
        let refused = refusal("https://c", StatusCode::CONFLICT, None, body);
        assert!(matches!(&refused, Trouble::Refused { status: 409, .. }));
        assert_eq!(refused.to_string(), "https://c answered 409 Conflict: two reports with number 4");
        for status in [429, 503, 500, 408, 302] {
            let trouble = refusal("https://c", StatusCode::from_u16(status).unwrap(), None, b"<html>");
            assert!(matches!(trouble, Trouble::Later { .. }), "{status}");
        }
    }
}
