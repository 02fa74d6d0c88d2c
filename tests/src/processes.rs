//! Starting programs, waiting for what they say, and ending them by process id.
//!
//! Waiting is for a line of output, never for a while. What a program printed is shown when the test that held it
//! panics.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for an event before it calls it missing. Generous: it is only ever waited out by a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The built binary called `name`, beside the running test program.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` first", path.display());
    path
}

/// The agent linked statically, which runs on older releases too; `tests/run static` builds it.
pub fn static_agent() -> PathBuf {
    let built = format!("{}-unknown-linux-gnu/debug/plumbline", std::env::consts::ARCH);
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(3).unwrap().join(built);
    assert!(path.exists(), "{} is not built: run `tests/run static` first", path.display());
    path
}

/// What a program that ended said.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it was called, for messages.
    pub call: String,
    /// How it ended; -1 for a signal.
    pub code: i32,
    /// Its standard output, bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Itself, if it ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// Itself, if it ended with `code`.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, code, stdout, stderr } = self;
        write!(f, "`{call}` ended with {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// Runs `command` to its end, at most twice [`PATIENCE`] long. Its standard input is what the caller made it.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    let call = call(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("starting `{call}`: {error}"));
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = wait(&mut child, 2 * PATIENCE);
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let code = status.and_then(|status| status.code()).unwrap_or(-1);
    let ran = Ran { call, code, stdout, stderr };
    assert!(status.is_some(), "did not end in {:?}: {ran}", 2 * PATIENCE);
    ran
}

fn call(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A program that was killed may leave its pipe half read; what came is what counts.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for `child` to end. There is no portable wait with a limit, so it looks every few milliseconds.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if begun.elapsed() > limit {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// A program that keeps running until it is stopped, or the value dropped.
pub struct Running {
    name: String,
    child: Child,
    log: Arc<Log>,
    ended: bool,
}

impl Running {
    /// Starts `command`; `name` is what its log is called.
    #[track_caller]
    pub fn start(name: &str, command: &mut Command) -> Self {
        let call = call(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("starting `{call}`: {error}"));
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take());
        log.follow(child.stderr.take());
        Self { name: name.to_owned(), child, log, ended: false }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever held, in bytes: VmHWM of proc(5).
    #[track_caller]
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// The first line it prints, or printed, which holds `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_within(text, PATIENCE)
    }

    /// The same, with its own limit.
    #[track_caller]
    pub fn wait_for_within(&self, text: &str, limit: Duration) -> String {
        let found = self.log.wait(limit, |lines| lines.iter().find(|line| line.contains(text)).cloned());
        found.unwrap_or_else(|| panic!("{} did not say {text:?} in {limit:?}; it said:\n{}", self.name, self.log()))
    }

    /// Everything it printed so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().text.join("\n")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end (SIGTERM) and waits.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let status = wait(&mut self.child, PATIENCE);
        self.ended = status.is_some();
        status.unwrap_or_else(|| panic!("{} did not end on SIGTERM; it said:\n{}", self.name, self.log()))
    }

    /// Whether it ends by itself within `limit`.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        self.ended = wait(&mut self.child, limit).is_some();
        self.ended
    }

    /// Ends it as a crash would (SIGKILL) and waits.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.ended = true;
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("--- the log of {}\n{}", self.name, self.log());
        }
    }
}

/// Lines as they come, from both outputs.
#[derive(Default)]
struct Log {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    text: Vec<String>,
    /// How many outputs are still open: when none is, nothing more will come.
    open: usize,
}

impl Log {
    fn follow(self: &Arc<Self>, pipe: Option<impl Read + Send + 'static>) {
        let log = Arc::clone(self);
        log.lines.lock().unwrap().open += 1;
        std::thread::spawn(move || {
            for line in pipe.map(BufReader::new).into_iter().flat_map(|reader| reader.split(b'\n')) {
                let Ok(line) = line else { break };
                log.lines.lock().unwrap().text.push(String::from_utf8_lossy(&line).into_owned());
                log.more.notify_all();
            }
            log.lines.lock().unwrap().open -= 1;
            log.more.notify_all();
        });
    }

    fn wait<T>(&self, limit: Duration, mut find: impl FnMut(&[String]) -> Option<T>) -> Option<T> {
        let until = Instant::now() + limit;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(found) = find(&lines.text) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if lines.open == 0 || left.is_zero() {
                return None;
            }
            lines = self.more.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// Asks `find` again and again until it answers, at most [`PATIENCE`] long: for what gives no event, such as another
/// process's files or its HTTP answers.
#[track_caller]
pub fn eventually<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
