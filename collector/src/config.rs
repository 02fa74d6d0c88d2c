//! The collector's configuration: YAML read, then checked; every complaint with file, line and caret.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use audit::duration::Length;
use audit::yaml::{Complaint, Document};
use chrono::TimeDelta;
use serde::Deserialize;

use crate::files;
use crate::quota::Limits;

/// Where it is looked for unless a file is named.
pub const DEFAULT_FILE: &str = "/etc/plumbline/collector.yaml";

/// What can be configured. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Plain HTTP only on a loopback address.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The folder of database and key.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// The collector's address as people and messages name it.
    #[serde(default)]
    pub public_url: Option<String>,
    /// The certificate and key of TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Where alerts go.
    #[serde(default)]
    pub slack: Option<Slack>,
    /// How long a host may say nothing before it counts as silent: `10m`. Two of the intervals each host states where
    /// nothing is said.
    #[serde(default)]
    pub silent_after: Option<Length>,
    /// After how long unchanged reports are folded into runs, counted from the end of their day: `1d`.
    #[serde(default)]
    pub fold_after: Option<Length>,
    /// The baseline all hosts are judged by; the shipped `linux-server` where none is named.
    #[serde(default)]
    pub baseline: Option<PathBuf>,
    /// Newer end-of-life dates than the shipped.
    #[serde(default)]
    pub eol: Option<PathBuf>,
    /// What one host may send.
    #[serde(default)]
    pub limits: Limits,
}

/// Files of TLS, PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, with its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Slack's incoming webhook. Its address is a secret: better in a file of its own.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// A file that holds the address.
    #[serde(default)]
    pub webhook_file: Option<PathBuf>,
    /// The address itself.
    #[serde(default)]
    pub webhook: Option<String>,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slack(…)")
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

fn default_data() -> PathBuf {
    PathBuf::from("/var/lib/plumbline-collector")
}

impl Config {
    /// After how long unchanged reports are folded into runs.
    pub fn fold_after(&self) -> TimeDelta {
        let configured = self.fold_after.and_then(|length| i64::try_from(length.milliseconds()).ok());
        configured.map_or(crate::folding::AFTER, TimeDelta::milliseconds)
    }

    /// The configuration in `file`, or where none is named in the default one if it exists.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let named = file.is_some();
        let file = file.unwrap_or(Path::new(DEFAULT_FILE));
        let bytes = match files::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => b"{}".to_vec(),
            Err(error) => return Err(anyhow!("{}: {error}", file.display())),
        };
        Ok(Self::parse(&file.display().to_string(), &bytes)?)
    }

    /// Reads a configuration; `file` is only its name, for complaints.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Complaint> {
        // An empty file is YAML's null; it means the defaults.
        let blank = bytes.iter().all(u8::is_ascii_whitespace);
        let document = Document::open(file, if blank { b"{}" } else { bytes })?;
        let config: Self = document.parse()?;
        if config.tls.is_none() && !config.listen.ip().is_loopback() {
            let message =
                format!("plain HTTP is served on loopback only, and {} is not: configure `tls`", config.listen);
            return Err(document.complain("listen", &message));
        }
        if let Some(url) = &config.public_url {
            check_url(url, config.tls.is_some()).map_err(|message| document.complain("public_url", &message))?;
        }
        if config.silent_after.is_some_and(|length| length.milliseconds() < 1000) {
            return Err(document.complain("silent_after", "less than a second of silence is no silence"));
        }
        if let Err((key, message)) = config.limits.check() {
            return Err(document.complain(&format!("limits.{key}"), &message));
        }
        if let Some(slack) = &config.slack {
            match (&slack.webhook, &slack.webhook_file) {
                (Some(_), Some(_)) => {
                    return Err(
                        document.complain("slack", "`webhook` and `webhook_file` both say where alerts go: keep one")
                    );
                }
                (None, None) => return Err(document.complain("slack", "`webhook_file` (or `webhook`) is missing")),
                (Some(url), None) => {
                    check_webhook(url).map_err(|message| document.complain("slack.webhook", &message))?;
                }
                (None, Some(_)) => {}
            }
        }
        Ok(config)
    }
}

impl Slack {
    /// The webhook's address.
    pub fn address(&self) -> anyhow::Result<String> {
        match (&self.webhook, &self.webhook_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(file)) => {
                let text = files::text(file).with_context(|| format!("reading {}", file.display()))?;
                check_webhook(text.trim()).map_err(|message| anyhow!("{}: {message}", file.display()))?;
                Ok(text.trim().to_owned())
            }
            (None, None) => Err(anyhow!("no webhook")),
        }
    }
}

fn check_url(url: &str, _tls: bool) -> Result<(), String> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !url.contains(char::is_whitespace) => Ok(()),
        Some(_) | None => Err("an address such as https://plumbline.example.org is due".into()),
    }
}

/// The address itself is never repeated: it is a secret, also in a complaint.
fn check_webhook(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|_| "not an address".to_owned())?;
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&parsed) => Ok(()),
        _ => Err("an https address is due (http only on loopback)".into()),
    }
}

/// Whether an address names this machine itself.
pub fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        Config::parse("c.yaml", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_regular_file_or_is_too_large_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/zero"), folder.path()] {
            let error = Config::load(Some(path)).unwrap_err().to_string();
            assert!(error.contains("not a regular file"), "{error}");
        }
        let huge = folder.path().join("huge");
        std::fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
        assert!(Config::load(Some(&huge)).unwrap_err().to_string().contains("more than the"));
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = Config::parse("c.yaml", b"\n").unwrap();
        assert_eq!(config.listen, default_listen());
    }

    #[test]
    fn plain_http_beyond_loopback_is_refused_where_it_stands() {
        let said = complaint("data: /tmp/x\nlisten: 0.0.0.0:8443\n");
        assert!(said.starts_with("c.yaml:2:9: plain HTTP is served on loopback only"), "{said}");
        let tls = "listen: 0.0.0.0:8443\ntls: {certificate: a.pem, key: b.pem}\n";
        assert!(Config::parse("c.yaml", tls.as_bytes()).is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        let said = complaint("lisen: 127.0.0.1:1\n");
        assert!(
            said.starts_with("c.yaml:1:1: unknown field `lisen`") && said.contains("did you mean `listen`?"),
            "{said}"
        );
    }

    #[test]
    fn a_webhook_must_be_https_and_is_not_repeated_in_the_complaint() {
        let said = complaint("slack:\n  webhook_file: x\n  webhook: https://hooks.example.org/T/B/X\n");
        assert!(said.contains("keep one"), "{said}");
        let parsed = Config::parse("c.yaml", b"slack: {webhook: 'http://hooks.example.org/T/B/SECRET'}");
        assert!(parsed.unwrap_err().message.contains("https address is due"));
        assert!(Config::parse("c.yaml", b"slack: {webhook: 'http://127.0.0.1:9/x'}").is_ok());
    }
}
