//! The logging probe against the programs it speaks of: `systemd-analyze cat-config` orders journald's files, `augenrules` joins auditd's rules,
//! and a real rsyslogd sends to the targets that were found. Needs root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{Running, eventually, run};
use serde_json::{Map, Value};
use tempfile::TempDir;

fn items(root: &Path) -> Map<String, Value> {
    let facts = run(plumbline(&["facts", "logging", "--format", "json", "--root"]).arg(root)).ok().json();
    facts["logging"]["items"].as_object().unwrap().clone()
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn journalds_settings_are_those_of_the_files_as_systemd_orders_them() {
    let (mut agreed, mut count) = (0, 0);
    let mut dice = Dice::new(3);
    for _ in 0..plumbline_tests::rounds(40) {
        let root = TempDir::with_prefix("plumbline-journald-").unwrap();
        let mut text = || {
            let mut line = || {
                let key = dice.pick(&["Storage", "ForwardToSyslog", "SystemMaxUse"]);
                format!("{}{key}={}\n", dice.pick(&["", "", "#"]), dice.pick(&["", "a", "b", "c"]))
            };
            format!("[Journal]\n{}{}[Else]\n{}", line(), line(), line())
        };
        // A main file under /etc always: where it may stand besides differs by version of systemd.
        write(root.path(), "etc/systemd/journald.conf", &text());
        for folder in ["etc", "run", "usr/local/lib", "usr/lib"] {
            for name in ["10-a.conf", "5-b.conf", "z.conf", "ignored.txt"] {
                write(root.path(), &format!("{folder}/systemd/journald.conf.d/{name}"), &text());
            }
        }
        let mut analyze = Command::new("systemd-analyze");
        analyze.arg("--root").arg(root.path()).args(["cat-config", "--no-pager", "systemd/journald.conf"]);
        let mut expected = BTreeMap::new();
        let mut section = String::new();
        for line in run(&mut analyze).ok().stdout.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once('=') {
                _ if line.starts_with('[') => section = line.to_owned(),
                Some((key, "")) if section == "[Journal]" => drop(expected.remove(key)),
                Some((key, value)) if section == "[Journal]" => drop(expected.insert(key.to_owned(), value.to_owned())),
                _ => {}
            }
        }
        let seen = items(root.path());
        let seen: BTreeMap<String, String> = seen
            .iter()
            .map(|(subject, item)| {
                (subject.trim_start_matches("journald:").to_owned(), item["value"].as_str().unwrap().to_owned())
            })
            .collect();
        count += 1;
        agreed += usize::from(seen == expected);
        assert_eq!(seen, expected);
    }
    println!("journald: {agreed} of {count} trees agreed");
}

#[test]
fn auditds_rules_are_those_augenrules_joins() {
    let root = TempDir::with_prefix("plumbline-audit-").unwrap();
    let mut names: Vec<String> = [
        "10-a",
        "9-b",
        "9",
        "090-c",
        "a10",
        "a9",
        "A1",
        "z",
        "10.b",
        "10-b",
        "10_c",
        "1",
        "01",
        "001",
        "x-1.2",
        "x-1.10",
        "99-finalize",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut dice = Dice::new(7);
    while names.len() < 150 {
        let length = 1 + dice.roll(6);
        let name: String =
            (0..length).map(|_| dice.pick(&["0", "1", "2", "10", "a", "B", "-", "_", ".", "~", "+"])).collect();
        if !names.contains(&name) && !name.starts_with(['.', '-']) {
            names.push(name);
        }
    }
    for (number, name) in names.iter().enumerate() {
        let end = if name == "99-finalize" { "-e 2\n" } else { "" };
        let text = format!("# {name}\n\n-w /file/{number} -p wa  -k number{number}\n-b {}\n{end}", 8000 + number);
        write(root.path(), &format!("etc/audit/rules.d/{name}.rules"), &text);
    }
    write(root.path(), "etc/audit/rules.d/no.rule", "-w /never\n");
    let joined = "mount --bind \"$1/etc/audit\" /etc/audit && augenrules >&2; cat /etc/audit/audit.rules";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", joined, "augenrules"]).arg(root.path());
    let joined = run(&mut unshare).ok().stdout;
    let rules: Vec<&str> = joined.lines().filter(|line| line.starts_with("-w")).collect();
    assert_eq!(rules.len(), names.len(), "{joined}");
    assert!(joined.trim_end().ends_with("-e 2"), "{joined}");
    let seen = items(root.path());
    let mut placed: Vec<(u64, String)> = seen
        .iter()
        .filter_map(|(subject, item)| Some((item["place"].as_u64()?, subject.trim_start_matches("audit:").to_owned())))
        .collect();
    placed.sort();
    let plain = |rule: &&str| rule.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected: Vec<String> = rules.iter().map(plain).collect();
    let found: Vec<String> = placed.into_iter().map(|(_, rule)| rule).collect();
    let agreed = found.iter().zip(&expected).filter(|(one, other)| one == other).count();
    println!("auditd: {agreed} of {} rules stand in their place", expected.len());
    assert_eq!(found, expected);
    assert!(seen.contains_key("audit:-e 2"));
}

/// Each form of action, with `PORT` for one of its own, and whether anything is sent.
const FORMS: &[&str] = &[
    "*.* @127.0.0.1:PORT",
    "*.*\t@127.0.0.1:PORT;RSYSLOG_SyslogProtocol23Format",
    "*.* @@127.0.0.1:PORT",
    "*.* @@(o)127.0.0.1:PORT",
    "*.* @(z0)127.0.0.1:PORT",
    "*.* @@[127.0.0.1]:PORT",
    "user.* ~\n*.* @127.0.0.1:PORT",
    "& @@127.0.0.1:PORT",
    "*.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"PORT\" protocol=\"tcp\")",
    "action(type=\"omfwd\" target=\"127.0.0.1\"\n  port=\"PORT\" # a comment\n  protocol=\"udp\")",
    "if $msg contains 'mark' then {\n action(type=\"omfwd\" Target=\"127.0.0.1\" Port=\"PORT\" Protocol=\"TCP\") }",
    "if $msg contains 'mark' then @@127.0.0.1:PORT",
    ":msg, contains, \"mark\" @127.0.0.1:PORT",
    "*.* \\\n  @@127.0.0.1:PORT",
    "ruleset(name=\"rPORT\") { action(type=\"omfwd\" target=\"127.0.0.1\" port=\"PORT\" protocol=\"tcp\") }\ncall rPORT",
    "# *.* @127.0.0.1:PORT",
    "/* *.* @@127.0.0.1:PORT */",
    "*.* /dev/null # @@127.0.0.1:PORT",
];

enum Ear {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

#[test]
fn rsyslogd_sends_to_the_targets_that_were_found() {
    let folder = TempDir::with_prefix("plumbline-rsyslog-").unwrap();
    let mut ears = BTreeMap::new();
    let mut main = String::from(
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"/run/log.sock\")\n$IncludeConfig /etc/rsyslog.d/0*.conf\ninclude(file=\"/etc/rsyslog.d/1*.conf\")\n",
    );
    for (number, form) in FORMS.iter().enumerate() {
        // Both kinds of ear at one port.
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (tcp, udp);
            }
        };
        let port = tcp.local_addr().unwrap().port();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        ears.insert(format!("127.0.0.1:{port}/tcp"), Ear::Tcp(tcp));
        ears.insert(format!("127.0.0.1:{port}/udp"), Ear::Udp(udp));
        let text = form.replace("PORT", &port.to_string());
        match number % 3 {
            // A dropped message reaches no later action: such forms stand last, and in no file of their own.
            _ if form.contains('~') => {}
            0 => write(folder.path(), &format!("etc/rsyslog.d/{number:02}.conf"), &format!("{text}\n")),
            _ => main.push_str(&format!("{text}\n")),
        }
    }
    write(folder.path(), "etc/rsyslog.conf", &main);
    let seen: BTreeSet<String> = items(folder.path())
        .keys()
        .map(|subject| subject.strip_prefix("target:").unwrap_or(subject).replace("[127.0.0.1]", "127.0.0.1"))
        .collect();

    let set_up = "mount -t tmpfs -o mode=0755 none /run && mount --bind \"$1/etc/rsyslog.conf\" /etc/rsyslog.conf \
                  && mount --bind \"$1/etc/rsyslog.d\" /etc/rsyslog.d && echo ready && exec rsyslogd -n -i /run/rsyslogd.pid";
    fs::create_dir_all("/etc/rsyslog.d").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--kill-child", "--fork", "--pid", "--mount-proc"]);
    command.args(["sh", "-c", set_up, "rsyslog"]).arg(folder.path());
    let mut rsyslog = Running::start("rsyslogd", &mut command);
    rsyslog.wait_for("ready");
    let children = format!("/proc/{0}/task/{0}/children", rsyslog.pid());
    let inside = eventually("rsyslogd's process", || {
        fs::read_to_string(&children).ok()?.split_whitespace().next().map(str::to_owned)
    });
    let mut heard = BTreeSet::new();
    eventually("rsyslogd to send", || {
        let mut logger = Command::new("nsenter");
        logger.args(["-t", &inside, "-m", "logger", "-u", "/run/log.sock", "-p", "local3.info", "mark"]);
        let sent = run(&mut logger).code == 0;
        for (place, ear) in &ears {
            let hears = match ear {
                Ear::Tcp(listener) => listener.accept().is_ok(),
                Ear::Udp(socket) => socket.recv(&mut [0; 64]).is_ok(),
            };
            if hears {
                heard.insert(place.clone());
            }
        }
        (sent && (heard == seen || heard.len() > seen.len())).then_some(())
    });
    rsyslog.kill();
    let agreed = ears.keys().filter(|place| seen.contains(*place) == heard.contains(*place)).count();
    println!("rsyslog: {agreed} of {} targets agreed, {} of them are sent to", ears.len(), heard.len());
    assert_eq!(seen, heard);
    assert!(heard.len() >= 12, "{heard:?}");
}
