//! What nobody can do to the collector, however good their key: fill its memory, its disk or its time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use audit::digest::Digest;
use plumbline_tests::collector::Collector;
use plumbline_tests::http;
use plumbline_tests::processes::{Running, binary, eventually, run};
use plumbline_tests::puppet::{Bodies, Puppet};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a report may cost the collector in memory, in bytes.
const COST: u64 = 64 << 20;
/// As much as is judged of one report, less what the frame around the items takes: bytes, objects and lists, values.
const BYTES: usize = (2 << 20) - 4096;
const CONTAINERS: usize = 12 * 1024 - 16;
/// Items of other probes than packages.
const ITEMS: usize = 4096;
const VALUES: usize = 128 * 1024 - 16;

/// That many items, each an object of its own and all of them as long as may be; `seed` makes them others.
fn many(count: usize, seed: &str, one: impl Fn(&str, &str) -> String) -> Vec<u8> {
    let longest = BYTES / count - one("", "").len() - 10;
    let items: Vec<String> =
        (0..count).map(|number| one(&format!("{seed}{number:05x}"), &padding(number)[..longest])).collect();
    format!("{{\"seen\":{{{}}}}}", items.join(",")).into_bytes()
}

/// Text of no pattern: what compresses too well is refused before it is judged.
fn padding(number: usize) -> String {
    let digest = Digest::of(&number.to_le_bytes());
    format!("{digest}{digest}").repeat(4)
}

/// Many packages.
fn packages(seed: &str) -> Vec<u8> {
    many(CONTAINERS, seed, |name, version| {
        format!(r#""{name}":{{"name":"","version":"{version}","architecture":"","state":"installed"}}"#)
    })
}

/// Many administrators, each of them a deviation.
fn admins(seed: &str) -> Vec<u8> {
    many(ITEMS, seed, |name, shell| format!(r#""uid0:{name}":{{"way":"uid0","shell":"{shell}"}}"#))
}

/// One package with what costs most in memory for each byte, where nobody asks for it.
fn costly(seed: &str) -> Vec<u8> {
    // Digits of no pattern, likewise.
    let mut state = 1_u32;
    let mut digit = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % 10
    };
    let objects = (0..CONTAINERS - 2).map(|_| format!("{{\"\":{}}}", digit())).collect::<Vec<_>>().join(",");
    let numbers = (0..VALUES - CONTAINERS - 8).map(|_| digit().to_string()).collect::<Vec<_>>().join(",");
    let list = format!("[{objects},{numbers}]");
    let package = format!(r#"{{"name":"{seed}","version":"","architecture":"","state":"installed","x":{list}}}"#);
    format!(r#"{{"seen":{{"{seed}":{package}}}}}"#).into_bytes()
}

#[test]
fn wholly_different_facts_made_to_cost_memory_cost_little() {
    for (what, probe, items) in [
        ("many packages", "packages", packages as fn(&str) -> Vec<u8>),
        ("one costly package", "packages", costly),
        ("many administrators", "admins", admins),
    ] {
        let collector = Collector::start();
        let mut puppet = Puppet::active(&collector, "web-1");
        puppet.report_packages(&[("openssl", "1")]);
        judged(&collector, 1);
        let before = collector.process().peak();
        for (number, seed) in [(2, "a"), (3, "b"), (4, "c")] {
            puppet.report_bodies(&Bodies::with(probe, items(seed)));
            judged(&collector, number);
        }
        let refused = collector.chain_findings("web-1").into_iter().find(|found| found.contains("not-understood"));
        assert_eq!(refused, None, "{what}: they are judged, not refused");
        let rose = collector.process().peak() - before;
        println!("{what}: the collector's peak memory rose by {} KiB", rose / 1024);
        assert!(rose < COST, "{what}: {rose}");
    }
}

/// Waits until that report is judged.
#[track_caller]
fn judged(collector: &Collector, number: u64) {
    eventually("the report is judged", || {
        (collector.host("web-1")["judged_sequence"].as_u64() == Some(number)).then_some(())
    });
}

#[test]
fn a_noisy_host_is_held_back_and_says_so_and_another_is_served() {
    let collector = Collector::start_with("limits:\n  requests_per_minute: 3\n  facts_mib_per_day: 4\n");
    let (mut noisy, mut quiet) = (Puppet::active(&collector, "noisy"), Puppet::active(&collector, "quiet"));
    let sealed = noisy.next(Digest::of(b"a manifest"));
    // The same report again is a request like any other. Three a minute, ten minutes' at once.
    let answers: Vec<_> = (0..40).map(|_| noisy.post(&sealed.bytes)).collect();
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((30..35).contains(&taken), "{taken}");
    let refused = answers.last().unwrap();
    assert_eq!(refused.status, 429, "{}", refused.text());
    let wait: u64 = refused.retry_after.as_deref().unwrap().parse().unwrap();
    assert!((1..=21).contains(&wait), "{wait}");
    assert!(refused.text().contains("more requests than it may"), "{}", refused.text());
    quiet.report_packages(&[("openssl", "1")]);
    let over = |name: &str| collector.chain_findings(name).iter().any(|found| found.contains("over-limit"));
    assert!(over("noisy") && !over("quiet"));
}

#[test]
fn a_host_that_sent_its_days_facts_may_still_say_that_nothing_changed() {
    let collector = Collector::start_with("limits:\n  facts_mib_per_day: 4\n");
    let mut puppet = Puppet::active(&collector, "web-1");
    let named = Digest::of(b"a manifest");
    let sealed = puppet.next(named);
    puppet.receipt(&puppet.post(&sealed.bytes));
    let noise = vec![7; 3 << 20];
    assert_eq!(puppet.put_as(sealed.verified.id(), named, noise.clone()).status, 422, "noise is no zstd");
    let refused = puppet.put_as(sealed.verified.id(), named, noise);
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.retry_after.is_some());
    let unchanged = puppet.next(named);
    puppet.receipt(&puppet.post(&unchanged.bytes));
    assert!(collector.chain_findings("web-1").iter().any(|found| found.contains("over-limit")));
}

/// Whoever reaches the port can begin as many bodies as there are connections: the collector looks first, by the path,
/// whether anybody waits for that body, and holds few at once of those that are waited for.
#[test]
fn bodies_that_are_begun_and_never_end_cost_little_memory() {
    let collector = Collector::start();
    let mut puppet = Puppet::active(&collector, "web-1");
    let named = Digest::of(b"a manifest");
    let sealed = puppet.next(named);
    puppet.receipt(&puppet.post(&sealed.bytes));
    let (whole, reports) = (4 << 20, "/v1/reports".to_owned());
    let unknown = format!("{reports}/{named}/facts/{named}");
    let waited_for = format!("{reports}/{}/facts/{named}", sealed.verified.id());
    for (what, method, path, length, cost) in [
        ("facts of a report that is not here", "PUT", unknown, whole, COST / 4),
        ("facts that are waited for", "PUT", waited_for, whole, COST),
        ("reports", "POST", reports, 64 << 10, COST / 2),
        ("enrolments", "POST", "/v1/enrol".to_owned(), 64 << 10, COST / 2),
    ] {
        let before = collector.process().peak();
        let mut begun: Vec<TcpStream> = (0..BODIES).map(|_| begin(&collector, method, &path, length)).collect();
        let took: Vec<usize> = std::thread::scope(|scope| {
            let sending = begun.iter_mut().map(|socket| scope.spawn(|| send_all_but_one(socket, length)));
            sending.collect::<Vec<_>>().into_iter().map(|sender| sender.join().unwrap()).collect()
        });
        // Whatever was to be read of them has been: another request is answered after it.
        assert_eq!(http::get(&format!("{}/healthz", collector.url())).status, 200);
        // The kernel counts a process's pages by the batch: a peak may even seem to fall a little.
        let rose = collector.process().peak().saturating_sub(before);
        let sent = took.iter().sum::<usize>() / 1024;
        println!("{what}: {BODIES} bodies begun, {sent} KiB sent: peak memory rose by {} KiB", rose / 1024);
        assert!(rose < cost, "{what}: {rose}");
    }
    let answer = puppet.put_as(sealed.verified.id(), Digest::of(b"nobody's"), vec![0; 3 << 20]);
    assert_eq!(answer.status, 403, "who sends a body nobody waits for is told so: {}", answer.text());
}

/// Bodies begun at once.
const BODIES: usize = 48;

/// A request whose body is still to come.
fn begin(collector: &Collector, method: &str, path: &str, length: usize) -> TcpStream {
    let mut socket = TcpStream::connect(collector.url().trim_start_matches("http://")).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(socket, "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").unwrap();
    socket
}

/// Sends a body but for its last byte, as far as it is taken; how much.
fn send_all_but_one(socket: &mut TcpStream, length: usize) -> usize {
    let (chunk, mut sent) = ([7; 32 << 10], 0);
    while sent < length - 1 {
        match socket.write(&chunk[..chunk.len().min(length - 1 - sent)]) {
            Ok(count) => sent += count,
            // It took no more: it said no, or waits.
            Err(_) => break,
        }
    }
    sent
}

/// Half of them say nothing, a quarter stops in its headers, a quarter dribbles.
#[test]
fn slow_sockets_are_let_go_while_others_are_answered() {
    let collector = Collector::start();
    // It keeps the limit a shell gives; our own ends of the sockets need more.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let address = collector.url().trim_start_matches("http://").to_owned();
    let begun = Instant::now();
    let count = if plumbline_tests::long() { 2000 } else { 200 };
    let mut slow: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut socket = TcpStream::connect(&address).unwrap();
            match number % 4 {
                0 | 1 => {}
                2 => socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-").unwrap(),
                _ => socket.write_all(b"P").unwrap(),
            }
            socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            socket
        })
        .collect();
    let mut worst = Duration::ZERO;
    while !slow.is_empty() {
        let asked = Instant::now();
        assert_eq!(http::get(&format!("{}/healthz", collector.url())).status, 200);
        worst = worst.max(asked.elapsed());
        for socket in slow.iter_mut().skip(3).step_by(4) {
            // Whether it still takes it is what the next line asks.
            let _ = socket.write_all(b"R");
        }
        slow.retain_mut(is_open);
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(30), "{} are still held after {waited:?}", slow.len());
    }
    println!("{count} slow sockets were let go in {:?}; others waited at most {worst:?}", begun.elapsed());
    assert!(worst < Duration::from_secs(1), "{worst:?}");
}

/// Whether the other side still holds a connection.
fn is_open(socket: &mut TcpStream) -> bool {
    match socket.read(&mut [0; 1024]) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
    }
}

#[test]
fn the_first_token_is_never_lost() {
    let folder = tempfile::tempdir().unwrap();
    for (number, output) in ["/dev/null", "/dev/full", "closed"].into_iter().enumerate() {
        let (data, config) = (folder.path().join(format!("data-{number}")), folder.path().join("collector.yaml"));
        std::fs::write(&config, format!("listen: 127.0.0.1:0\ndata: {}\n", data.display())).unwrap();
        let redirected = if output == "closed" { ">&-".to_owned() } else { format!(">{output}") };
        let script = format!("exec \"$0\" serve --config \"$1\" {redirected}");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(binary("plumbline-collector")).arg(&config);
        let _running = Running::start("the collector", &mut shell);
        let file = data.join("first-token");
        let token = eventually("the token", || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')));
        assert!(token.starts_with("plt_"), "{output}: {token}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{output}");
    }
}

/// What is read by name is named in what is wrong with it, and keeps nobody waiting.
#[test]
fn a_file_without_end_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    run(Command::new("mkfifo").arg(&fifo)).ok();
    for file in [Path::new("/dev/zero"), &fifo] {
        let name = file.display().to_string();
        for flag in ["--ca", "--token-file"] {
            let mut command = Command::new(binary("plumbline-collector"));
            let ran = run(command.args(["host", "list", flag, &name]).env("PLUMBLINE_TOKEN", "plt_x")).ended(2);
            assert!(ran.stderr.contains(&name) && ran.stderr.contains("not a regular file"), "{ran}");
        }
        let config = folder.path().join("collector.yaml");
        for settings in
            [format!("slack:\n  webhook_file: {name}\n"), format!("tls:\n  certificate: {name}\n  key: {name}\n")]
        {
            let data = folder.path().join("data");
            std::fs::write(&config, format!("listen: 127.0.0.1:0\ndata: {}\n{settings}", data.display())).unwrap();
            let mut command = Command::new(binary("plumbline-collector"));
            let ran = run(command.args(["serve", "--config"]).arg(&config)).ended(1);
            assert!(ran.stderr.contains(&name) && ran.stderr.contains("not a regular file"), "{ran}");
        }
    }
}
