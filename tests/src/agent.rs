//! An agent: the built `plumbline` with a root file system, a state folder and a configuration of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::collector::Collector;
use crate::debian::Debian;
use crate::processes::{Ran, Running, binary, run};

/// One agent on a made-up host.
pub struct Agent {
    /// The host it audits: change it at will.
    pub host: Debian,
    state: PathBuf,
    _folder: TempDir,
}

impl Agent {
    /// An agent on a fresh host called `name`, not enrolled anywhere.
    pub fn new(name: &str) -> Self {
        let folder = TempDir::with_prefix("plumbline-agent-").unwrap();
        let root = folder.path().join("root");
        let state = folder.path().join("state");
        std::fs::create_dir_all(&root).unwrap();
        Self { host: Debian::write(&root, name), state, _folder: folder }
    }

    /// An agent enrolled at `collector` and made active.
    #[track_caller]
    pub fn active(collector: &Collector, name: &str) -> Self {
        let agent = Self::pending(collector, name);
        collector.inspect(name);
        agent
    }

    /// An agent enrolled at `collector`, still pending.
    #[track_caller]
    pub fn pending(collector: &Collector, name: &str) -> Self {
        let agent = Self::new(name);
        agent.enroll(collector.url(), &collector.new_token()).ok();
        agent
    }

    /// A twin: another agent with copies of this one's host and state, as a cloned disk has.
    #[track_caller]
    pub fn twin(&self) -> Self {
        let folder = TempDir::with_prefix("plumbline-twin-").unwrap();
        let (root, state) = (folder.path().join("root"), folder.path().join("state"));
        for (from, to) in [(self.host.root(), &root), (&self.state, &state)] {
            run(Command::new("cp").arg("-a").arg(from).arg(to)).ok();
        }
        Self { host: Debian::at(&root), state, _folder: folder }
    }

    /// Its state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// `plumbline WORDS…` with its root and state; what needs neither is called by [`plumbline`].
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = plumbline(words);
        command.arg("--root").arg(self.host.root());
        self.with_state(command)
    }

    /// The same on the running machine instead of the made-up host.
    pub fn live_command(&self, words: &[&str]) -> Command {
        self.with_state(plumbline(words))
    }

    fn with_state(&self, mut command: Command) -> Command {
        // No waiting for a turn, and no second look by the clock: what a test sees, an event caused.
        let config = self.state.with_file_name("agent.yaml");
        std::fs::write(&config, "interval: 1h\nsplay: 0s\n").unwrap();
        command.arg("--state").arg(&self.state).arg("--config").arg(config);
        command
    }

    /// Runs `plumbline enroll`.
    #[track_caller]
    pub fn enroll(&self, url: &str, token: &str) -> Ran {
        run(&mut self.command(&["enroll", "--collector", url, "--token", token]))
    }

    /// Runs `plumbline collect --once`.
    #[track_caller]
    pub fn collect(&self) -> Ran {
        run(&mut self.command(&["collect", "--once"])).ok()
    }

    /// Runs `plumbline ship --once`, whatever comes of it.
    #[track_caller]
    pub fn try_ship(&self) -> Ran {
        run(&mut self.command(&["ship", "--once"]))
    }

    /// Runs `plumbline ship --once` and asks that it succeed.
    #[track_caller]
    pub fn ship(&self) -> Ran {
        self.try_ship().ok()
    }

    /// Observes and sends once.
    #[track_caller]
    pub fn report(&self) {
        self.collect();
        self.ship();
    }

    /// Starts `plumbline collect` for as long as the value lives.
    #[track_caller]
    pub fn start_collect(&self) -> Running {
        Running::start("plumbline collect", &mut self.command(&["collect"]))
    }

    /// Starts `plumbline ship` for as long as the value lives.
    #[track_caller]
    pub fn start_ship(&self) -> Running {
        Running::start("plumbline ship", &mut self.command(&["ship"]))
    }

    /// The envelopes in its spool, oldest first, as signed.
    pub fn spooled(&self) -> Vec<PathBuf> {
        listed(&self.state.join("spool/reports"), "json")
    }

    /// The facts in its spool.
    pub fn spooled_facts(&self) -> Vec<PathBuf> {
        listed(&self.state.join("spool/facts"), "zst")
    }
}

/// A call of the built agent with a clean environment.
pub fn plumbline(words: &[&str]) -> Command {
    let mut command = Command::new(binary("plumbline"));
    command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("RUST_BACKTRACE", "1");
    command
}

fn listed(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}
