//! `plumbline enroll`: makes the host's key, proves it to the collector with a one-time token, and pins who answered.
//!
//! The identity file is written last: while it is missing the host is not enrolled, and enrolling again uses the key
//! that is there, so an answer lost on the way costs nothing but the token.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use audit::api::{ENROL, Enrolled};
use audit::host::Host as _;
use audit::instance::Evidence;
use audit::report::Enrolment;
use audit::seal;
use chrono::{SubsecRound as _, Utc};
use clap::Args;
use reqwest::Url;

use super::{Usage, given, printer, safe_text};
use crate::client::Client;
use crate::config::Config;
use crate::identity::Identity;
use crate::live::Live;
use crate::spool::Head;
use crate::state::State;
use crate::{instance, key, state};

/// Enrol this host with a collector, by a one-time token.
///
/// Run as root: it makes the host key, which only `collect` may read, and pins the collector's address, its CA and the
/// key it signs receipts with.
#[derive(Args)]
pub(super) struct Enroll {
    /// The collector: https://collector.example:8443. Plain http is for loopback alone.
    #[arg(long, value_name = "URL")]
    collector: Option<String>,
    /// The one-time token. Other users of this machine can see it on the command line: --token-file and the environment
    /// keep it to yourself.
    #[arg(long, value_name = "TOKEN", env = "PLUMBLINE_ENROLMENT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The certificates to trust, PEM, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the agent keeps its own things.
    #[arg(long, value_name = "DIR", default_value = state::DEFAULT)]
    state: PathBuf,
    /// Enrol the root file system under DIR instead of the running machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to ask which EC2 instance this is, if its firmware says that it is one. For tests alone: real instances all find
    /// it at the same link-local address.
    #[arg(long, value_name = "URL", env = "PLUMBLINE_INSTANCE_METADATA", default_value = instance::SERVICE, value_parser = instance::service)]
    instance_metadata: Url,
    /// Enrol anew: a new key and a new identity. What was spooled under the old one is set aside.
    #[arg(long)]
    force: bool,
}

impl Enroll {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let config = Config::load(self.config.as_deref())?;
        let token = self.token()?;
        let Some(collector) = self.collector.clone().or(config.collector) else {
            return Err(Usage("give the collector's address with --collector URL".into()).into());
        };
        let ca = match self.ca.as_deref().or(config.ca.as_deref()) {
            Some(path) => Some(given::certificates(path)?),
            None => None,
        };
        let client = Client::new(&collector, ca.as_deref()).map_err(|error| Usage(format!("{error:#}")))?;
        let host = Live::open(self.root.as_deref())?;
        let state = given::state(&self.state)?;
        state.create()?;
        self.refuse_twice(&state)?;
        let key = if self.force { key::fresh()? } else { key::load(&state)?.map_or_else(|| key::make(&state), Ok)? };
        let instance = instance::ask(&host, &self.instance_metadata);
        let enrolment = Enrolment {
            token,
            key: key::public_text(&key.verifying_key()),
            name: host.name(),
            machine: machine(&host),
            system: host.system(),
            instance: instance.as_ref().and_then(|asked| asked.as_ref().ok()).cloned(),
            time: Utc::now().trunc_subsecs(0),
        };
        let sealed = seal::seal(enrolment, &key)?;
        let answer = super::block_on(client.post(ENROL, sealed.bytes))?.context("enrolling")?;
        let enrolled: Enrolled = serde_json::from_slice(&answer)
            .with_context(|| format!("{collector} did not answer as a collector does: is this its address?"))?;
        let identity = Identity {
            host: enrolled.host,
            collector,
            ca,
            key: key::public_text(&key.verifying_key()),
            receipt_key: enrolled.receipt_key,
            enrolled: Utc::now().trunc_subsecs(0),
        };
        identity.pinned_key().context("the collector's answer")?;
        if self.force {
            set_aside(&state)?;
            key::save(&state, &key)?;
        }
        state.share()?;
        Head::default().save(&state)?;
        identity.save(&state)?;
        printer::print(&format!(
            "enrolled as host {} with {}\nkey fingerprint {}\nthe host is pending until it is inspected there\n",
            identity.host,
            safe_text::line(&identity.collector),
            identity.fingerprint()?
        ))?;
        printer::print(&told(instance.as_ref()))?;
        Ok(0)
    }

    fn token(&self) -> anyhow::Result<String> {
        let text = match (&self.token, &self.token_file) {
            (_, Some(path)) => given::text(path, "the token in")?,
            (Some(token), None) => token.clone(),
            (None, None) => return Err(Usage("give the one-time token with --token or --token-file".into()).into()),
        };
        let token = text.trim().to_owned();
        if token.is_empty() || token.len() > 1000 || token.contains(char::is_whitespace) {
            return Err(Usage("that is not a token: one word is expected".into()).into());
        }
        Ok(token)
    }

    fn refuse_twice(&self, state: &State) -> anyhow::Result<()> {
        if self.force {
            return Ok(());
        }
        match Identity::load(state)? {
            Some(identity) => bail!(
                "this host is already enrolled as {} with {}: --force makes a new key and a new identity",
                identity.host,
                identity.collector
            ),
            None => Ok(()),
        }
    }
}

/// Which instance the collector was told this is, or why it was told of none.
fn told(instance: Option<&anyhow::Result<Evidence>>) -> String {
    match instance {
        None => String::new(),
        Some(Ok(evidence)) => match evidence.instance() {
            Ok(instance) => {
                format!("instance {} of account {} in {}\n", instance.id, instance.account, instance.region)
            }
            Err(why) => format!("no instance identity: {why}\n"),
        },
        Some(Err(why)) => format!("no instance identity: {}\n", safe_text::line(&format!("{why:#}"))),
    }
}

/// The system's own id, 32 hexadecimal digits: tells clones of one disk. See machine-id(5).
fn machine(host: &Live) -> Option<String> {
    let text = String::from_utf8(host.read(Path::new("/etc/machine-id")).ok()?).ok()?;
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// What was spooled under an old identity stays on disk, out of the new one's way.
fn set_aside(state: &State) -> anyhow::Result<()> {
    let name = format!("old-{}", Utc::now().format("%Y%m%dT%H%M%S%.3fZ"));
    let aside = state.folder().join(name);
    std::fs::create_dir(&aside).with_context(|| format!("making {}", aside.display()))?;
    for path in [state.identity(), state.head(), state.spool(), state.acks()] {
        let Some(name) = path.file_name() else { continue };
        match std::fs::rename(&path, aside.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("setting {} aside", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    state.create()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::responder::{Answer, Collector, Request};
    use crate::spool::Spool;

    const RECEIPT_KEY: [u8; 32] = [2; 32];

    fn enrolled(_: &Request) -> (u16, String, Vec<u8>) {
        let key = ed25519_dalek::SigningKey::from_bytes(&RECEIPT_KEY).verifying_key();
        let body = serde_json::json!({"host": "b".repeat(32), "receipt_key": key::public_text(&key)});
        (201, String::new(), body.to_string().into_bytes())
    }

    /// Runs `enroll` against a collector that answers with `answer`; what it was sent.
    fn enroll(state: &Path, answer: Answer, change: impl FnOnce(&mut Enroll)) -> (anyhow::Result<u8>, Vec<Request>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let collector = runtime.block_on(Collector::start(answer));
        let mut enroll = Enroll {
            collector: Some(collector.url.clone()),
            token: Some("once".into()),
            token_file: None,
            ca: None,
            state: state.to_owned(),
            root: None,
            config: None,
            instance_metadata: instance::service(instance::SERVICE).unwrap(),
            force: false,
        };
        change(&mut enroll);
        let done = enroll.run();
        (done, collector.requests())
    }

    #[test]
    fn enrolling_proves_the_key_pins_the_collector_and_begins_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        let (done, requests) = enroll(folder.path(), Box::new(enrolled), |_| {});
        assert_eq!(done.unwrap(), 0);
        let key = key::load(&state).unwrap().unwrap().verifying_key();
        let sent = seal::verify::<Enrolment>(&requests[0].body, &key).unwrap();
        assert_eq!((sent.statement().token.as_str(), &sent.statement().key), ("once", &key::public_text(&key)));
        assert!(requests[0].head.starts_with("POST /v1/enrol HTTP/1.1"));
        let identity = Identity::require(&state).unwrap();
        assert_eq!(identity.host.as_str(), "b".repeat(32));
        assert_eq!(Spool::open(&state, &identity).unwrap().head(), &Head::default());
        let everything = std::fs::read_to_string(state.identity()).unwrap();
        assert!(!everything.contains("once"), "the token is not kept");
    }

    #[test]
    fn an_enrolled_host_is_enrolled_again_only_by_force_and_its_old_spool_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        enroll(folder.path(), Box::new(enrolled), |_| {}).0.unwrap();
        let first = key::load(&state).unwrap().unwrap();
        std::fs::write(state.report(1), "old").unwrap();
        let (again, requests) = enroll(folder.path(), Box::new(enrolled), |_| {});
        assert!(again.unwrap_err().to_string().contains("already enrolled"));
        assert!(requests.is_empty(), "the token is not spent");
        enroll(folder.path(), Box::new(enrolled), |enroll| enroll.force = true).0.unwrap();
        assert_ne!(key::load(&state).unwrap().unwrap(), first);
        assert!(!state.report(1).exists());
        let aside = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let aside = aside.filter(|path| path.to_string_lossy().contains("old-")).collect::<Vec<_>>();
        assert_eq!(std::fs::read(aside[0].join("spool/reports/00000000000000000001.json")).unwrap(), b"old");
    }

    #[test]
    fn a_refused_token_leaves_the_host_unenrolled_and_the_next_try_uses_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        let refuse = br#"{"title":"Refused","status":401,"detail":"the token is used or has expired"}"#;
        let (done, _) = enroll(folder.path(), Box::new(|_| (401, String::new(), refuse.to_vec())), |_| {});
        assert!(format!("{:#}", done.unwrap_err()).contains("used or has expired"));
        assert!(Identity::load(&state).unwrap().is_none());
        let key = key::load(&state).unwrap().unwrap();
        for answer in ["<html>", r#"{"host":"short","receipt_key":""}"#] {
            let body = answer.as_bytes().to_vec();
            let (done, _) = enroll(folder.path(), Box::new(move |_| (200, String::new(), body.clone())), |_| {});
            assert!(done.is_err(), "{answer}");
            assert!(Identity::load(&state).unwrap().is_none(), "{answer}");
        }
        enroll(folder.path(), Box::new(enrolled), |_| {}).0.unwrap();
        assert_eq!(key::load(&state).unwrap().unwrap(), key);
    }

    #[test]
    fn what_is_no_token_or_no_address_is_a_usage_error_before_anything_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let bad: [fn(&mut Enroll); 4] = [
            |enroll| enroll.token = Some(" ".into()),
            |enroll| enroll.token = Some("two words".into()),
            |enroll| enroll.token = None,
            |enroll| enroll.collector = Some("http://collector.example".into()),
        ];
        for change in bad {
            let (done, requests) = enroll(&state, Box::new(enrolled), change);
            assert!(done.unwrap_err().is::<Usage>() && requests.is_empty());
            assert!(!state.exists());
        }
    }
}
