//! An agent: the built `plumbline` with a root file system, a state folder and a configuration of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::collector::Collector;
use crate::debian::Debian;
use crate::disk::Disk;
use crate::processes::{Ran, Running, binary, run};

/// One agent on a made-up host.
pub struct Agent {
    /// The host it audits: change it at will.
    pub host: Debian,
    state: PathBuf,
    /// Further lines of its configuration.
    settings: String,
    folder: TempDir,
}

impl Agent {
    /// An agent on a fresh host called `name`, not enrolled anywhere.
    pub fn new(name: &str) -> Self {
        let folder = TempDir::with_prefix("plumbline-agent-").unwrap();
        let state = folder.path().join("state");
        Self::with_state_at(name, state, folder)
    }

    /// The same with its state on a disk of its own.
    pub fn on_disk(disk: &Disk, name: &str) -> Self {
        let folder = TempDir::with_prefix("plumbline-agent-").unwrap();
        Self::with_state_at(name, disk.path().join("state"), folder)
    }

    fn with_state_at(name: &str, state: PathBuf, folder: TempDir) -> Self {
        let root = folder.path().join("root");
        std::fs::create_dir_all(&root).unwrap();
        Self { host: Debian::write(&root, name), state, settings: String::new(), folder }
    }

    /// Adds lines to its configuration, from the next command on.
    pub fn configure(&mut self, settings: &str) {
        self.settings.push_str(settings);
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
        Self { host: Debian::at(&root), state, settings: self.settings.clone(), folder }
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
        let config = self.folder.path().join("agent.yaml");
        std::fs::write(&config, format!("interval: 1h\nsplay: 0s\n{}", self.settings)).unwrap();
        command.arg("--state").arg(&self.state).arg("--config").arg(config);
        command
    }

    /// `plumbline WORDS…` by a clock that is wrong by `offset`, such as `+10y`: see faketime(1).
    pub fn by_clock(&self, offset: &str, words: &[&str]) -> Ran {
        let honest = self.command(words);
        let mut command = Command::new("faketime");
        command.args(["-f", offset]).arg(honest.get_program()).args(honest.get_args()).env_clear();
        run(command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
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
