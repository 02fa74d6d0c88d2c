//! A collector: the built `plumbline-collector` on a data folder of its own, its first account's token, and calls of its
//! command line, which speaks HTTP to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::disk::Disk;
use crate::http;
use crate::netns::{SWITCH_ADDRESS, Switch};
use crate::processes::{Ran, Running, binary, eventually, run};

/// No limit a test could meet.
const UNHURRIED: &str = "limits:\n  requests_per_minute: 1000000\n";

/// A running collector. It can be stopped, killed and started again on the same data at the same address.
pub struct Collector {
    running: Option<Running>,
    url: String,
    settings: String,
    admin: String,
    /// What runs its commands where it runs: nothing, or `ip netns exec NAME`.
    within: Vec<String>,
    /// The authority its certificate is by, if it speaks TLS.
    authority: Option<PathBuf>,
    folder: TempDir,
}

impl Collector {
    /// On a loopback port of the system's choice, with no Slack.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// One that holds back no host, however often it reports: for tests that send years' worth in a minute.
    #[track_caller]
    pub fn unhurried() -> Self {
        Self::start_with(UNHURRIED)
    }

    /// One that sends to this webhook.
    #[track_caller]
    pub fn with_slack(webhook: &str) -> Self {
        Self::start_with(&format!("slack:\n  webhook: {webhook}\n"))
    }

    /// With further lines of configuration.
    #[track_caller]
    pub fn start_with(settings: &str) -> Self {
        let folder = TempDir::with_prefix("plumbline-collector-").unwrap();
        Self::begin("http://127.0.0.1:0", settings, Vec::new(), None, folder)
    }

    /// The same as [`Self::unhurried`] with its data on a disk of its own. Needs root.
    #[track_caller]
    pub fn on_disk(disk: &Disk) -> Self {
        let folder = TempDir::with_prefix("plumbline-collector-").unwrap();
        std::fs::create_dir(disk.path().join("data")).unwrap();
        std::os::unix::fs::symlink(disk.inside().join("data"), folder.path().join("data")).unwrap();
        Self::begin("http://127.0.0.1:0", UNHURRIED, disk.enter(), None, folder)
    }

    /// Inside a switch's namespace, on TLS at its address, with further lines of configuration. Needs root.
    #[track_caller]
    pub fn on_switch(switch: &Switch, authority: &Authority, settings: &str) -> Self {
        let folder = TempDir::with_prefix("plumbline-collector-").unwrap();
        let (certificate, key) = authority.issue(SWITCH_ADDRESS, folder.path());
        let trusted = folder.path().join("authority.pem");
        std::fs::write(&trusted, authority.pem()).unwrap();
        let (certificate, key) = (certificate.display(), key.display());
        let settings = format!("tls:\n  certificate: {certificate}\n  key: {key}\n{settings}");
        let within = ["ip", "netns", "exec", switch.namespace().name()].map(str::to_owned).to_vec();
        Self::begin(&format!("https://{SWITCH_ADDRESS}:8443"), &settings, within, Some(trusted), folder)
    }

    #[track_caller]
    fn begin(url: &str, settings: &str, within: Vec<String>, authority: Option<PathBuf>, folder: TempDir) -> Self {
        let (url, settings) = (url.to_owned(), settings.to_owned());
        let mut collector = Self { running: None, url, settings, admin: String::new(), within, authority, folder };
        collector.start_again();
        collector
    }

    /// Starts it after a stop or a kill.
    #[track_caller]
    pub fn start_again(&mut self) {
        let config = self.folder.path().join("collector.yaml");
        let listen = self.url.split("//").nth(1).unwrap();
        let data = self.data();
        let text = format!("listen: {listen}\ndata: {}\n{}", data.display(), self.settings);
        std::fs::write(&config, text).unwrap();
        let running = Running::start("the collector", self.command(&["serve"]).arg("--config").arg(&config));
        if self.admin.is_empty() {
            self.admin = first_token(&running);
        }
        let line = running.wait_for("listening on http");
        let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        self.url = url.trim_end_matches('/').to_owned();
        self.running = Some(running);
    }

    /// Asks it to end, and waits.
    #[track_caller]
    pub fn stop(&mut self) {
        self.running.take().unwrap().stop();
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// The running process.
    pub fn process(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder beside its data, for files a test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The token of the first account, an administrator.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Runs `plumbline-collector WORDS…` as the person whose token this is.
    #[track_caller]
    pub fn cli_as(&self, token: &str, words: &[&str]) -> Ran {
        let mut command = self.command(words);
        command.env("PLUMBLINE_COLLECTOR", &self.url).env("PLUMBLINE_TOKEN", token);
        if let Some(authority) = &self.authority {
            command.arg("--ca").arg(authority);
        }
        run(&mut command)
    }

    /// The same as the first administrator.
    #[track_caller]
    pub fn cli(&self, words: &[&str]) -> Ran {
        self.cli_as(&self.admin, words)
    }

    /// What a command answers with `--format json`, as the first administrator.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        self.cli(&[words, &["--format", "json"]].concat()).ok().json()
    }

    /// A fresh enrolment token for a production host.
    #[track_caller]
    pub fn new_token(&self) -> String {
        let made = self.json(&["token", "new", "--environment", "production"]);
        made["token"].as_str().unwrap_or_else(|| panic!("no token in {made}")).to_owned()
    }

    /// Adds an account and gives its personal token.
    #[track_caller]
    pub fn add_user(&self, name: &str, role: &str) -> String {
        let made = self.json(&["user", "add", name, "--role", role]);
        made["token"].as_str().unwrap_or_else(|| panic!("no token in {made}")).to_owned()
    }

    /// Three people, none an administrator.
    #[track_caller]
    pub fn people(&self) -> People {
        let [rhea, ava, otto] = [("rhea", "requester"), ("ava", "approver"), ("otto", "approver")]
            .map(|(name, role)| self.add_user(name, role));
        People { rhea, ava, otto }
    }

    /// Asks for a minor change of `item` on `host`, open from now for an hour, and gives its id.
    #[track_caller]
    pub fn ask(&self, token: &str, host: &str, item: &str) -> String {
        let asked = self.cli_as(
            token,
            &[
                "change", "new", "--title", "a change", "--class", "minor", "--host", host, "--item", item, "--from",
                "now", "--until", "+1h", "--reason", "a test", "--format", "json",
            ],
        );
        let made = asked.ok().json();
        made["id"].as_str().unwrap_or_else(|| panic!("no id in {made}")).to_owned()
    }

    /// Approves a change, or tries to.
    #[track_caller]
    pub fn approve(&self, token: &str, change: &str) -> Ran {
        self.cli_as(token, &["change", "approve", change])
    }

    /// Makes the pending host `name` active.
    #[track_caller]
    pub fn inspect(&self, name: &str) {
        self.cli(&["host", "inspect", name]).ok();
    }

    /// All hosts.
    #[track_caller]
    pub fn hosts(&self) -> Vec<Value> {
        list(self.json(&["host", "list"]))
    }

    /// The one host called `name`.
    #[track_caller]
    pub fn host(&self, name: &str) -> Value {
        let hosts = self.hosts();
        hosts.iter().find(|host| host["name"] == name).unwrap_or_else(|| panic!("no {name} in {hosts:#?}")).clone()
    }

    /// The reports it has of a host, oldest first.
    #[track_caller]
    pub fn reports(&self, host: &str) -> Vec<Value> {
        let (mut reports, mut cursor) = (Vec::new(), String::new());
        loop {
            let url = format!("{}/api/v1/hosts/{host}/reports?limit=500{cursor}", self.url);
            let bearer = format!("Bearer {}", self.admin);
            let answer = http::request("GET", &url, &[("authorization", &bearer)], Vec::new());
            assert_eq!(answer.status, 200, "{}", answer.text());
            let mut page = answer.json();
            let next = page["next"].as_str().map(|next| format!("&cursor={next}"));
            reports.append(page["items"].as_array_mut().unwrap());
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        reports.reverse();
        reports
    }

    /// The kinds of what the collector found about a host's reports, and is not over: `fork`, `gap`, `rewritten`…
    #[track_caller]
    pub fn chain_findings(&self, host: &str) -> Vec<String> {
        let shown = self.json(&["host", "show", host]);
        let found = shown["chain"].as_array().unwrap_or_else(|| panic!("no chain in {shown}"));
        let open = found.iter().filter(|finding| finding["resolved"].is_null());
        open.map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// All drift.
    #[track_caller]
    pub fn drifts(&self) -> Vec<Value> {
        list(self.json(&["drift", "list", "--all"]))
    }

    /// Waits for the drift of `subject` to be judged, and gives it.
    #[track_caller]
    pub fn drift_of(&self, subject: &str) -> Value {
        self.drift_until(subject, |_| true)
    }

    /// Waits until the drift of `subject` is as asked, and gives it.
    #[track_caller]
    pub fn drift_until(&self, subject: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("drift of {subject}"), || {
            self.drifts().into_iter().find(|drift| drift["subject"] == subject && holds(drift))
        })
    }

    /// A call of the built collector with a clean environment, where this one runs.
    fn command(&self, words: &[&str]) -> Command {
        let program = binary("plumbline-collector");
        let mut command = match self.within.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("RUST_BACKTRACE", "1");
        command
    }
}

/// Personal tokens of three people: rhea asks for changes, ava and otto approve.
pub struct People {
    /// The requester's.
    pub rhea: String,
    /// An approver's.
    pub ava: String,
    /// Another approver's.
    pub otto: String,
}

/// The list a command answered: itself, or the one list in the object it answered.
#[track_caller]
fn list(answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(list) => list,
        Value::Object(fields) => {
            let found = fields.into_iter().find_map(|(_, value)| value.as_array().cloned());
            found.unwrap_or_else(|| panic!("no list in the answer"))
        }
        other => panic!("no list in {other}"),
    }
}

/// The first start prints the first account's token, once.
#[track_caller]
fn first_token(running: &Running) -> String {
    let line = running.wait_for("personal token");
    line.split_whitespace().last().unwrap().trim_matches(['`', '"', '.']).to_owned()
}
