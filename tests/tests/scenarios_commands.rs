//! The commands for whoever writes baselines, as commands: `init` and what it wrote, `diff`, `baseline show` and `baseline test`, and `record`, whose
//! fixture is judged as its host is and holds none of its secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use audit::baseline::Baseline;
use audit::evaluate::observe;
use audit::host::Recorded;
use audit::probes;
use audit::shipped;
use plumbline_tests::agent::plumbline;
use plumbline_tests::debian::Debian;
use plumbline_tests::processes::{Ran, run};
use serde_json::Value;
use tempfile::TempDir;

/// What must not be given away; each place has its own, so that a leak says where it was.
fn secret(place: &str) -> String {
    format!("hunter2{place}")
}

/// Puts something secret wherever a host has it.
fn secrets(debian: &Debian) -> usize {
    let places = [
        (
            "etc/shadow",
            "root:$y$j9T$saltsaltsalt$SECRET:19000:0:99999:7:::\nava:!$6$rounds=9000$salt$SECRET:1:0:9:7:::\n",
        ),
        (
            "etc/wireguard/wg0.conf",
            "[Interface]\nPrivateKey = SECRET\nPostUp = curl -u SECRET x\n[Peer]\nAllowedIPs = 0.0.0.0/0, ::/0\n",
        ),
        (
            "etc/openvpn/client/a.conf",
            "client\nredirect-gateway def1\n<tls-auth>\nSECRET\n</tls-auth>\n<key>\nSECRET\n</key>\n",
        ),
        (
            "etc/swanctl/conf.d/a.conf",
            "connections { a { children { x { remote_ts = 10.0.0.0/8 } } } }\nsecrets {\n ike {\n  secret = SECRET\n }\n}\n",
        ),
        (
            "var/lib/docker/containers/ab01/config.v2.json",
            r#"{"State":{"Running":true},"Name":"/web","Image":"sha256:9a","Path":"x","Args":["--password","SECRET"],
               "Config":{"User":"1","Image":"nginx:1","Env":["A=SECRET"],"Labels":{"t":"SECRET"},"Cmd":["SECRET"]}}"#,
        ),
        (
            "var/lib/docker/containers/ab01/hostconfig.json",
            r#"{"Binds":["/srv:/x"],"Privileged":true,"NetworkMode":"host","Runtime":"runc"}"#,
        ),
        ("etc/docker/daemon.json", r#"{"http-proxy":"http://u:SECRET@p","hosts":["tcp://0.0.0.0:2375"]}"#),
        (
            "etc/containers/systemd/web.container",
            "[Container]\nImage=x\nEnvironment=A=SECRET\nPodmanArgs=--password SECRET\n",
        ),
        ("etc/crontab", "DB_PASSWORD=SECRET\n1 2 * * * root PGPASSWORD=SECRET dump --token SECRET\n"),
        (
            "etc/systemd/system/a.service.d/own.conf",
            "[Service]\nEnvironment=\"A=SECRET\"\nExecStart=/bin/x --api-key=SECRET\n",
        ),
        ("etc/rsyslog.conf", "action(type=\"ommysql\" server=\"x\" pwd=\"SECRET\")\n*.* @@logs.example.org:6514\n"),
        ("etc/apt/sources.list", "deb https://u:SECRET@deb.example.org/debian bookworm main\n"),
        ("etc/fstab", "//nas/x /mnt cifs username=a,password=SECRET,nosuid 0 0\n"),
        ("etc/ssl/site/both.pem", "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"),
        ("etc/machine-id", "feedc0ffeefeedc0ffeefeedc0ffee00\n"),
    ];
    for (path, text) in places {
        debian.file(path, text.replace("SECRET", &secret(&path.replace(['/', '.', '-'], ""))));
    }
    for (path, text) in [
        ("usr/lib/systemd/systemd", ""),
        ("usr/lib/systemd/system/a.service", "[Install]\nWantedBy=multi-user.target\n"),
    ] {
        debian.file(path, text);
    }
    places.len()
}

fn host(folder: &Path, name: &str) -> Debian {
    let debian = Debian::write(&folder.join(name), "web-1");
    debian.file("etc/ssh/sshd_config", "PermitRootLogin no\n");
    debian.file("usr/sbin/sshd", "");
    debian.file("usr/lib/systemd/systemd", "");
    debian
}

#[track_caller]
fn called(words: &[&str], path: &Path) -> Ran {
    run(plumbline(words).arg(path))
}

/// What every probe makes of a recording, each half as JSON.
fn facts(host: &Recorded, baseline: &str) -> BTreeMap<String, Value> {
    let rules = Baseline::parse("given.yaml", baseline.as_bytes()).unwrap().expectations();
    let facts = observe(host, &[], &rules);
    let mut halves = BTreeMap::new();
    for topic in probes::ALL {
        let encoded = topic.encode(facts.get(topic.name()).unwrap()).unwrap();
        halves.insert(format!("{} items", topic.name()), serde_json::from_slice(&encoded.items).unwrap());
        halves.insert(format!("{} state", topic.name()), serde_json::from_slice(&encoded.state).unwrap());
    }
    halves
}

/// What differs, but for what is documented to: ids, and digests of what was replaced.
fn differences(of: &BTreeMap<String, Value>, and: &BTreeMap<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for (half, before) in of {
        compare(half, before, &and[half], &mut found);
    }
    let documented = |path: &String| {
        ["platform items.seen.machine-id", "platform state.seen.boot"].contains(&path.as_str())
            || (path.starts_with("scheduled items.") && (path.ends_with(".digest") || path.contains('#')))
            || (path.starts_with("services items.") && (path.ends_with(".digest") || path.contains(".drop_ins.")))
    };
    found.retain(|path| !documented(path));
    found
}

fn compare(at: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let null = Value::Null;
                compare(&format!("{at}.{key}"), a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), found);
            }
        }
        (a, b) if a != b => found.push(at.to_owned()),
        _ => {}
    }
}

#[test]
fn a_recording_is_judged_as_its_host_and_holds_none_of_its_secrets() {
    let folder = TempDir::with_prefix("plumbline-record-").unwrap();
    let debian = host(folder.path(), "root");
    let places = secrets(&debian);
    let baseline = "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {id: a, title: t, severity: low, why: w, fix: f, certificates: {paths: [/etc/ssl/site/both.pem], valid_for: 1d}}\n";
    let file = folder.path().join("b.yaml");
    std::fs::write(&file, baseline).unwrap();
    let record = |words: &[&str]| {
        let mut command = plumbline(&["record", "--root"]);
        run(command.arg(debian.root()).arg("--baseline").arg(&file).args(words)).ok().stdout
    };
    let (given, whole) = (record(&[]), record(&["--unredacted"]));
    assert!(whole.matches("hunter2").count() >= places, "the host has secrets to tell");
    let leaks: Vec<&str> = given.split("hunter2").skip(1).map(|rest| rest.get(..24).unwrap_or(rest)).collect();
    assert!(leaks.is_empty() && !given.contains("feedc0ffee"), "told: {leaks:?}");
    let read = |text: &str| facts(&Recorded::from_json(text.as_bytes()).unwrap(), baseline);
    assert_eq!(differences(&read(&whole), &read(&given)), Vec::<String>::new());
    // What is documented to differ does, so that the list is not longer than it must be.
    assert_ne!(read(&whole)["scheduled items"], read(&given)["scheduled items"]);
}

/// On the machine at hand, whatever it has.
#[test]
fn a_recording_of_this_machine_is_judged_as_it_is() {
    let folder = TempDir::with_prefix("plumbline-record-").unwrap();
    let file = folder.path().join("this.json");
    run(plumbline(&["record", "--unredacted", "--output"]).arg(&file)).ok();
    let whole = Recorded::from_json(&std::fs::read(&file).unwrap()).unwrap();
    let baseline = shipped::baseline("linux-server").unwrap();
    let (before, after) = (facts(&whole, baseline), facts(&whole.clone().redacted(), baseline));
    assert_eq!(differences(&before, &after), Vec::<String>::new());
    let seen: usize = before.values().map(|half| half["seen"].as_object().map_or(0, serde_json::Map::len)).sum();
    assert!(seen > 100, "{seen} facts");
    println!("{seen} facts, each the same of the redacted recording");
}

#[test]
fn what_init_writes_passes_on_the_host_it_was_written_on() {
    let folder = TempDir::with_prefix("plumbline-init-").unwrap();
    let debian = host(folder.path(), "root");
    for (number, root) in [None, Some(debian.root())].into_iter().enumerate() {
        let golden = folder.path().join(format!("golden-{number}.yaml"));
        let with_root = |words: &[&str]| {
            let mut command = plumbline(words);
            if let Some(root) = root {
                command.arg("--root").arg(root);
            }
            command
        };
        run(with_root(&["init"]).arg("--output").arg(&golden)).ok();
        called(&["baseline", "lint"], &golden).ok();
        let check = run(with_root(&["check", "--format", "json"]).arg("--baseline").arg(&golden)).json();
        // Sockets of other programs come and go on a machine that runs.
        let bad = |one: &&Value| ["deviation", "unknown"].contains(&one["status"].as_str().unwrap());
        let bad: Vec<&Value> = check["findings"].as_array().unwrap().iter().filter(bad).collect();
        let passing = |one: &&Value| root.is_none() && one["rule"] == "golden-listening";
        assert!(bad.iter().all(passing), "{bad:#?}");
        assert!(check["summary"]["pass"].as_u64().unwrap() > 5, "{check:#}");
        // Nothing is written over.
        run(with_root(&["init"]).arg("--output").arg(&golden)).ended(2);
        println!("init: {} pass", check["summary"]["pass"]);
    }
    // What appears afterwards deviates.
    debian.install("stranger", "1.0");
    let golden = folder.path().join("golden-1.yaml");
    let mut check = plumbline(&["check", "--format", "json", "--baseline"]);
    let check = run(check.arg(&golden).arg("--root").arg(debian.root())).ended(1).json();
    let deviates = |one: &&Value| one["status"] == "deviation";
    let found: Vec<&Value> = check["findings"].as_array().unwrap().iter().filter(deviates).collect();
    assert!(!found.is_empty() && found.iter().all(|one| one.to_string().contains("stranger")), "{found:#?}");
}

#[test]
fn diff_says_just_what_differs() {
    let folder = TempDir::with_prefix("plumbline-diff-").unwrap();
    let (before, after) = (host(folder.path(), "a"), host(folder.path(), "b"));
    let diff =
        |words: &[&str]| run(plumbline(&["diff", "--format", "json"]).arg(before.root()).arg(after.root()).args(words));
    let same = diff(&[]);
    assert_eq!((same.code, same.json()["differences"].as_array().unwrap().len()), (0, 0), "{same}");
    after.file("etc/sudoers.d/ava", "ava ALL=(ALL) NOPASSWD: ALL\n");
    let told = diff(&[]).ended(1).json();
    let rows = told["differences"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["probe"] == "admins"), "{told:#}");
    assert!(rows.iter().all(|row| row["before"].is_null() && row["after"].is_string()), "{told:#}");
    diff(&["--probe", "packages"]).ended(0);
    // A recording stands for the host it is of.
    let file = folder.path().join("a.json");
    run(plumbline(&["record", "--root"]).arg(before.root()).arg("--output").arg(&file)).ok();
    let of_recording =
        run(plumbline(&["diff", "--format", "json", "--probe", "admins"]).arg(&file).arg(after.root())).ended(1);
    assert_eq!(of_recording.json()["differences"], told["differences"]);
    run(plumbline(&["diff"]).arg(before.root()).arg(folder.path().join("none"))).ended(2);
    let unseen = host(folder.path(), "c");
    std::fs::remove_file(unseen.root().join("etc/passwd")).unwrap();
    std::fs::create_dir(unseen.root().join("etc/passwd")).unwrap();
    run(plumbline(&["diff", "--probe", "accounts"]).arg(unseen.root()).arg(unseen.root())).ended(3);
}

#[test]
fn show_says_where_each_line_came_from_and_test_holds_a_baseline_to_what_is_expected() {
    let folder = TempDir::with_prefix("plumbline-show-").unwrap();
    let debian = host(folder.path(), "root");
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let site = write(
        "site.yaml",
        "baseline: site\nversion: 1\ntitle: t\nextends: linux-server\nremove: [end-of-life-dates-fresh]\nrules:\n  - id: clock-synchronised\n    severity: critical\n",
    );
    let shown = called(&["baseline", "show"], &site).ok().stdout;
    let line = |text: &str| {
        shown.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {shown}")).to_owned()
    };
    assert!(line("severity: critical").contains("site.yaml:8"), "{}", line("severity: critical"));
    assert!(line("id: clock-synchronised").contains("linux-server") || shown.contains("linux-server:"), "{shown}");
    assert!(!shown.contains("end-of-life-dates-fresh"), "{shown}");

    let recording = folder.path().join("web.json");
    run(plumbline(&["record", "--root"]).arg(debian.root()).arg("--output").arg(&recording)).ok();
    let cases = |host: &str, status: &str| {
        format!(
            "baseline: linux-server\ncases:\n  - name: n\n    host: {host}\n    at: 2026-11-22T12:00:00Z\n    expect:\n      packages-intact: {status}\n      clock-synchronised: not-applicable\n"
        )
    };
    for host in ["web.json", "root"] {
        called(&["baseline", "test"], &write("good.yaml", &cases(host, "pass"))).ok();
        let missed = called(&["baseline", "test"], &write("bad.yaml", &cases(host, "deviation"))).ended(1);
        assert!(missed.stdout.contains("packages-intact") && missed.stdout.contains("1 cases, 1 findings"), "{missed}");
    }
    let slip =
        called(&["baseline", "test"], &write("slip.yaml", &cases("root", "pass").replace("intact", "intakt"))).ended(2);
    assert!(slip.stderr.contains("did you mean `packages-intact`"), "{slip}");
    called(&["baseline", "test"], &write("none.yaml", &cases("none.json", "pass"))).ended(2);
}
