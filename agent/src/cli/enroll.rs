//! `plumbline enroll`: makes the host's key, proves it to the collector with a one-time token, and pins who answered.
//!
//! The identity file is written last: while it is missing the host is not enrolled, and enrolling again uses the key
//! that is there, so an answer lost on the way costs nothing but the token.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use audit::api::{ENROL, Enrolled};
use audit::host::Host as _;
use audit::report::Enrolment;
use audit::seal;
use chrono::{SubsecRound as _, Utc};
use clap::Args;

use super::{Usage, bounded, printer, safe_text};
use crate::client::Client;
use crate::config::Config;
use crate::identity::Identity;
use crate::live::Live;
use crate::spool::Head;
use crate::state::State;
use crate::{key, state};

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
    #[arg(long, value_name = "TOKEN", env = "PLUMBLINE_TOKEN", hide_env_values = true)]
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
            Some(path) => Some(pem(path)?),
            None => None,
        };
        let client = Client::new(&collector, ca.as_deref()).map_err(|error| Usage(format!("{error:#}")))?;
        let host = Live::open(self.root.as_deref())?;
        let state = State::new(&self.state);
        state.create()?;
        self.refuse_twice(&state)?;
        let key = if self.force { key::fresh()? } else { key::load(&state)?.map_or_else(|| key::make(&state), Ok)? };
        let enrolment = Enrolment {
            token,
            key: key::public_text(&key.verifying_key()),
            name: host.name(),
            machine: machine(&host),
            system: host.system(),
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
        Head::default().save(&state)?;
        identity.save(&state)?;
        printer::print(&format!(
            "enrolled as host {} with {}\nkey fingerprint {}\nthe host is pending until it is inspected there\n",
            identity.host,
            safe_text::line(&identity.collector),
            identity.fingerprint()?
        ))?;
        Ok(0)
    }

    fn token(&self) -> anyhow::Result<String> {
        let text = match (&self.token, &self.token_file) {
            (_, Some(path)) => {
                let bytes = bounded(path).with_context(|| format!("reading the token from {}", path.display()))?;
                String::from_utf8(bytes).map_err(|_| Usage(format!("{}: not text", path.display())))?
            }
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

/// The system's own id, 32 hexadecimal digits: tells clones of one disk. See machine-id(5).
fn machine(host: &Live) -> Option<String> {
    let text = String::from_utf8(host.read(Path::new("/etc/machine-id")).ok()?).ok()?;
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

fn pem(path: &Path) -> anyhow::Result<String> {
    let bytes = bounded(path).with_context(|| format!("reading the certificates from {}", path.display()))?;
    Ok(String::from_utf8(bytes).map_err(|_| Usage(format!("{} is not PEM: not text", path.display())))?)
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
