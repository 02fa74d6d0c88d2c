//! The time probe against real chronyds: a server and a client, each in a network, mount and process namespace of its
//! own, with `chronyc` and adjtimex(2) as the oracles. The machine's clock is never touched: every chronyd runs with -x.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use plumbline_tests::netns::{Namespace, Switch};
use plumbline_tests::processes::{PATIENCE, Ran, Running, binary, run};
use serde_json::Value;
use tempfile::TempDir;

const NAME: &str = "ntp.example.test";

/// A host as far as time goes: its own network, processes, /run and configuration.
struct Cell {
    network: Namespace,
    folder: TempDir,
    inside: u32,
    _first: Running,
}

impl Cell {
    /// With `chrony.conf` as its configuration, in a folder of its own that stands at /etc/chrony.
    fn new(network: Namespace, chrony_conf: &str, server: &str) -> Self {
        let folder = TempDir::with_prefix("plumbline-time-").unwrap();
        let etc = folder.path().join("chrony");
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("chrony.conf"), chrony_conf).unwrap();
        fs::write(folder.path().join("hosts"), format!("127.0.0.1 localhost\n{server} {NAME}\n")).unwrap();
        for path in [folder.path(), &etc] {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let set_up = "mount -t tmpfs -o mode=0755 none /run && install -d -m 0750 -o _chrony -g _chrony /run/chrony \
                      && mount -t tmpfs none /dev/shm && mount --bind \"$1/hosts\" /etc/hosts \
                      && mount --bind \"$1/chrony\" /etc/chrony && echo ready && exec sleep infinity";
        let mut command = network.command("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", set_up, "cell"]);
        let first = Running::start("cell", command.arg(folder.path()));
        first.wait_for("ready");
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", first.pid())).unwrap();
        let inside = children.split_whitespace().next().expect("unshare has a child").parse().unwrap();
        Self { network, folder, inside, _first: first }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.network.command("nsenter");
        command.args(["-t", &self.inside.to_string(), "--mount", "--pid"]).arg(program);
        command
    }

    /// chronyd in the foreground, `by` programs before it.
    fn chronyd(&self, by: &[&str]) -> Running {
        let words: Vec<&str> = by.iter().copied().chain(["chronyd", "-d", "-x"]).collect();
        Running::start("chronyd", self.command(words[0]).args(&words[1..]))
    }

    fn chronyc(&self, words: &str) -> Ran {
        run(self.command("chronyc").args(words.split(' ')))
    }

    /// The fields of the first line `chronyc -c` prints.
    fn fields(&self, words: &str) -> Vec<String> {
        let ran = self.chronyc(words).ok();
        let line = ran.stdout.lines().next().unwrap_or_else(|| panic!("no line: {ran}"));
        line.split(',').map(str::to_owned).collect()
    }

    fn facts(&self) -> Value {
        run(self.command(binary("plumbline")).args(["facts", "time", "--format", "json"])).ok().json()["time"].clone()
    }

    /// Every finding's status and observation by subject, for a rule that asks `expectation`.
    fn judge(&self, expectation: &str) -> Value {
        let rule = format!(
            "baseline: t\nversion: 1\ntitle: t\nrules:\n  - id: t\n    title: t\n    severity: high\n    why: w\n    fix: f\n    time: {expectation}\n"
        );
        let baseline = self.folder.path().join("baseline.yaml");
        fs::write(&baseline, rule).unwrap();
        let ran =
            run(self.command(binary("plumbline")).args(["check", "--format", "json", "--baseline"]).arg(&baseline));
        ran.json()["findings"].clone()
    }

    #[track_caller]
    fn status(&self, expectation: &str, subject: &str) -> String {
        let findings = self.judge(expectation);
        let found = findings.as_array().unwrap().iter().find(|finding| finding["subject"] == subject);
        let found = found.unwrap_or_else(|| panic!("{subject} is not among {findings:#}"));
        found["status"].as_str().unwrap().to_owned()
    }
}

const SERVER: &str = "local stratum 2\nallow 10.77.0.0/24\nbindcmdaddress /\ncmdport 0\n";

fn client() -> String {
    // Half a second between polls, so that an unreachable server shows after eight of them.
    format!("server {NAME} iburst minpoll -1 maxpoll -1\ncmdport 0\nconfdir /etc/chrony/conf.d\n")
}

/// A server and a client plugged into one switch, both chronyds running; the client has chosen the server.
struct Pair {
    _switch: Switch,
    server: Cell,
    client: Cell,
    _server: Running,
    _client: Running,
}

fn pair(server_by: &[&str]) -> Pair {
    let switch = Switch::new();
    let (server, address) = switch.plug("plumb-ts");
    let (client_network, _) = switch.plug("plumb-tc");
    let server = Cell::new(server, SERVER, &address);
    let client = Cell::new(client_network, &client(), &address);
    let serving = server.chronyd(server_by);
    let following = client.chronyd(&[]);
    following.wait_for("Selected source");
    Pair { _switch: switch, server, client, _server: serving, _client: following }
}

/// What the chronyd of `cell` says, by chronyc, in the probe's words: tracking and sources.
fn told(cell: &Cell) -> (Value, Vec<(String, Value)>) {
    let tracking = cell.fields("-c -n tracking");
    let leap = match tracking[13].as_str() {
        "Normal" => "none",
        "Not synchronised" => "unsynchronised",
        other => panic!("leap {other}"),
    };
    let stratum: u16 = tracking[2].parse().unwrap();
    let seconds: f64 = tracking[4].parse().unwrap();
    let said = serde_json::json!({
        "kind": "tracking", "synchronised": leap == "none", "leap": leap, "stratum": stratum,
        "offset_ms": -(seconds * 1000.0).round() as i64,
    });
    let sources = cell.chronyc("-c -n sources").ok();
    let names = cell.chronyc("-c -N sources").ok();
    let lines = sources.stdout.lines().zip(names.stdout.lines()).map(|(numeric, named)| {
        let fields: Vec<&str> = numeric.split(',').collect();
        let source = serde_json::json!({
            "kind": "source", "daemon": "chrony", "name": named.split(',').nth(2).unwrap(),
            "reachable": u32::from_str_radix(fields[5], 8).unwrap() != 0, "selected": fields[1] == "*",
            "stratum": fields[3].parse::<u16>().unwrap(),
        });
        (format!("source:{}", fields[2]), source)
    });
    (said, lines.collect())
}

/// Looks until what `see` returns satisfies `done`; the daemon says nothing when a source's reachability runs out.
fn until<T>(what: &str, see: impl Fn() -> T, done: impl Fn(&T) -> bool) -> T {
    let begun = Instant::now();
    loop {
        let seen = see();
        if done(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn a_following_client_is_seen_as_chronyc_sees_it_and_passes_until_its_server_is_cut_off() {
    let pair = pair(&[]);
    let cell = &pair.client;
    let (tracking, sources) = told(cell);
    assert_eq!(sources.len(), 1);
    let facts = cell.facts();
    assert_eq!(facts["state"]["tracking:chrony"], tracking, "{facts:#}");
    for (subject, source) in &sources {
        assert_eq!(&facts["state"][subject], source, "{facts:#}");
    }
    assert_eq!(facts["state"]["daemon:chrony"]["kind"], "daemon");
    let options = &facts["items"][format!("chrony:server:{NAME}")]["options"];
    assert_eq!(options, &serde_json::json!(["iburst minpoll -1 maxpoll -1"]));

    let all = format!(
        "{{synchronised: true, max_offset: 500ms, by: [chrony], max_stratum: 3, sources: ['{NAME}'], min_sources: 1}}"
    );
    let findings = cell.judge(&all);
    let findings = findings.as_array().unwrap();
    assert!(findings.len() >= 6, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding["status"] == "pass"), "{findings:#?}");
    assert_eq!(cell.status("{max_stratum: 2}", "stratum"), "deviation");
    assert_eq!(cell.status("{sources: ['*.example.org']}", &sources[0].0), "deviation");
    assert_eq!(cell.status("{by: [ntpsec]}", "daemon:chrony"), "deviation");
    let left = run(cell.command("ls").arg("/run/chrony")).ok().stdout;
    assert!(!left.contains("plumbline"), "sockets left behind: {left}");

    run(Command::new("ip").args(["-n", pair.server.network.name(), "link", "set", "eth0", "down"])).ok();
    let subject = sources[0].0.as_str();
    until("an unreachable source", || cell.facts(), |facts| facts["state"][subject]["reachable"] == false);
    assert!(!told(cell).1[0].1["reachable"].as_bool().unwrap(), "chronyc agrees");
    assert_eq!(cell.status("{synchronised: true}", "clock"), "deviation");
}

#[test]
fn a_lying_server_shows_as_an_offset_with_the_sign_chronyc_gives_it() {
    let pair = pair(&["faketime", "--exclude-monotonic", "-f", "+5s"]);
    let cell = &pair.client;
    let report = cell.chronyc("-n tracking").ok().stdout;
    assert!(report.contains("seconds slow of NTP time"), "{report}");
    let offset = cell.facts()["state"]["tracking:chrony"]["offset_ms"].as_i64().unwrap();
    assert!((-5_100..-4_900).contains(&offset), "{offset}ms");
    assert_eq!(cell.status("{max_offset: 500ms}", "offset"), "deviation");
    assert_eq!(cell.status("{synchronised: true, max_offset: 500ms}", "clock"), "deviation");
    assert_eq!(cell.status("{max_offset: 10s}", "offset"), "pass");
}

#[test]
fn an_unchanged_host_keeps_the_same_state() {
    let pair = pair(&[]);
    let first = pair.client.facts();
    // Four polls later chronyc counts differently; the probe must not.
    let before = pair.client.fields("-c -n tracking")[3].clone();
    until("another measurement", || pair.client.fields("-c -n tracking")[3].clone(), |now| *now != before);
    assert_eq!(pair.client.facts(), first);
}

#[test]
fn without_a_daemon_with_a_stopped_one_and_with_its_own_clock_alone_nothing_passes() {
    let cell = Cell::new(Namespace::new("plumb-tn"), &client(), "10.77.0.1");
    assert_ne!(cell.status("{synchronised: true}", "clock"), "pass");
    assert_eq!(cell.status("{by: [chrony]}", "daemon:chrony"), "deviation", "enabled, and does not run");
    assert_ne!(cell.status("{max_offset: 1s}", "offset"), "pass");

    let daemon = cell.chronyd(&[]);
    daemon.wait_for("chronyd version");
    until("its socket", || cell.facts(), |facts| facts["state"]["tracking:chrony"]["kind"] == "tracking");
    assert_eq!(cell.facts()["state"]["tracking:chrony"], told(&cell).0);
    assert_eq!(cell.status("{synchronised: true}", "clock"), "deviation");
    cell.chronyc("-n local stratum 10").ok();
    until("its own clock", || cell.facts(), |facts| facts["state"]["tracking:chrony"]["synchronised"] == true);
    assert_eq!(cell.status("{synchronised: true}", "clock"), "deviation", "a clock that follows itself follows nobody");
    cell.chronyc("shutdown").ok();
    until("its end", || cell.facts(), |facts| facts["state"].get("daemon:chrony").is_none());
    assert_ne!(cell.status("{synchronised: true}", "clock"), "pass");
}

#[test]
fn chronyds_socket_is_a_denied_gap_for_whoever_may_not_use_it() {
    let pair = pair(&[]);
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let program = pair.client.folder.path().join("plumbline");
    fs::copy(binary("plumbline"), &program).unwrap();
    let ran =
        run(pair.client.command("setpriv").args(nobody).arg(&program).args(["facts", "time", "--format", "json"]));
    let facts = ran.ok().json();
    let gap = &facts["time"]["state"]["tracking:chrony"]["gap"];
    assert_eq!(gap["kind"], "denied", "{facts:#}");
    assert_eq!(facts["time"]["state"]["daemon:chrony"]["kind"], "daemon", "it is still seen to run");
}

#[test]
fn the_kernels_clock_is_what_adjtimex_says() {
    let script = "import ctypes\nb=(ctypes.c_char*512)()\nr=ctypes.CDLL(None).adjtimex(b)\n\
                  print(r, int.from_bytes(b[40:44],'little'), int.from_bytes(b[24:32],'little'))";
    let said = run(Command::new("python3").args(["-c", script])).ok().stdout;
    let numbers: Vec<i64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [returned, status, maxerror] = numbers[..] else { panic!("{said}") };
    let facts = run(Command::new(binary("plumbline")).args(["facts", "time", "--format", "json"])).ok().json();
    let clock = &facts["time"]["state"]["clock"];
    assert_eq!(clock["synchronised"], (returned != 5 && status & 0x1040 == 0), "{said}{clock}");
    let seconds = (maxerror + 999_999) / 1_000_000;
    assert!((clock["max_error_s"].as_i64().unwrap() - seconds).abs() <= 1, "{said}{clock}");
}

#[test]
fn debians_own_chrony_conf_is_read_as_chronyd_reads_it() {
    let folder = TempDir::new().unwrap();
    let etc = folder.path().join("etc/chrony");
    for child in ["conf.d", "sources.d"] {
        fs::create_dir_all(etc.join(child)).unwrap();
    }
    fs::copy("/usr/share/chrony/chrony.conf", etc.join("chrony.conf"))
        .or_else(|_| fs::copy("/etc/chrony/chrony.conf", etc.join("chrony.conf")))
        .unwrap();
    fs::write(etc.join("sources.d/local.sources"), "server one.example.test iburst\n").unwrap();
    fs::write(etc.join("conf.d/more.conf"), "peer two.example.test\n").unwrap();
    let facts = |root: &Path| {
        let ran = run(Command::new(binary("plumbline")).args(["facts", "time", "--root"]).arg(root));
        ran.ok().json()["time"].clone()
    };
    let seen = facts(folder.path());
    let names: Vec<&str> = seen["items"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["chrony:peer:two.example.test", "chrony:pool:2.debian.pool.ntp.org", "chrony:server:one.example.test"];
    assert_eq!(names, expected);
    assert_eq!(seen["state"]["gap"]["kind"], "not-live");

    run(Command::new("mkfifo").arg(etc.join("sources.d/pipe.sources"))).ok();
    let begun = Instant::now();
    let seen = facts(folder.path());
    assert_eq!(seen["items"]["chrony:"]["gap"]["what"], "/etc/chrony/sources.d/pipe.sources");
    fs::remove_file(etc.join("sources.d/pipe.sources")).unwrap();
    let lines = "include /etc/chrony/*.conf\nconfdir /etc/chrony\n".repeat(4_000);
    fs::write(etc.join("chrony.conf"), lines + "server loop.example.test\n").unwrap();
    assert!(facts(folder.path())["items"].get("chrony:server:loop.example.test").is_some());
    assert!(begun.elapsed() < PATIENCE);
}
