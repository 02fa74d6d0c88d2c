//! Every file and folder a flag or the agent's configuration can name, each absent, of another kind, hostile or endless:
//! status 2 and a sentence that names it, soon.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plumbline_tests::agent::{Agent, plumbline};
use plumbline_tests::collector::Collector;
use plumbline_tests::processes::{Ran, run};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// Far more than a refusal takes, even on a busy machine; far less than what is endless would.
const SOON: Duration = Duration::from_secs(10);

/// What a name can turn out to be where a file is meant, and what the complaint of it says.
fn no_files(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let at = |name: &str| folder.join(name);
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("file"), "text\n").unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    File::create(at("sparse")).unwrap().set_len(1 << 40).unwrap();
    std::fs::write(at("binary"), [0xff, 0xfe, 0x00]).unwrap();
    let mut named = vec![
        (at("none"), "No such file"),
        (at("file/below"), "Not a directory"),
        (at("dangling"), "No such file"),
        (at("folder"), "not a regular file"),
        (at("fifo"), "not a regular file"),
        (PathBuf::from("/dev/zero"), "not a regular file"),
        (PathBuf::from("/dev/full"), "not a regular file"),
        (at("sparse"), "more than"),
        (at("binary"), "not "),
        // A regular file as far as stat(2) tells, and 64 TiB long to whoever reads on.
        (PathBuf::from("/proc/self/pagemap"), ""),
    ];
    // The kernel's memory, 128 TiB by its size; containers often hide it.
    if Path::new("/proc/kcore").exists() {
        named.push((PathBuf::from("/proc/kcore"), ""));
    }
    named
}

#[track_caller]
fn refused(words: &[&str], named: &Path, why: &str) {
    let begun = Instant::now();
    let ran = run(&mut plumbline(words));
    assert!(begun.elapsed() < SOON, "{:?}: {ran}", begun.elapsed());
    judge(&ran.ended(2), named, why);
}

#[track_caller]
fn judge(ran: &Ran, named: &Path, why: &str) {
    // `baseline lint` answers on standard output, for that is what it was asked.
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains(&*named.to_string_lossy()), "which one is not said: {ran}");
    assert!(said.contains(why), "no {why:?} in: {ran}");
    assert!(said.len() < 2000 && !said.contains("panicked"), "{ran}");
}

#[test]
fn a_flag_that_names_no_file_of_its_kind_is_bad_usage() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let enroll = ["enroll", "--collector", "http://127.0.0.1:1", "--state", state];
    let flags: Vec<Vec<&str>> = vec![
        vec!["check", "--baseline"],
        vec!["check", "--config"],
        vec!["baseline", "lint"],
        vec!["collect", "--once", "--state", state, "--config"],
        vec!["collect", "--state", state, "--config"],
        vec!["ship", "--once", "--state", state, "--config"],
        vec!["ship", "--state", state, "--config"],
        [&enroll[..], &["--token", "once", "--config"]].concat(),
        [&enroll[..], &["--token", "once", "--ca"]].concat(),
        [&enroll[..], &["--token-file"]].concat(),
    ];
    let named = no_files(folder.path());
    assert!(named.len() >= 10);
    for (path, why) in &named {
        for flag in &flags {
            refused(&[&flag[..], &[path.to_str().unwrap()]].concat(), path, why);
        }
    }
    assert!(!Path::new(state).exists(), "nothing was made");
}

#[test]
fn a_ca_that_is_no_certificate_is_bad_usage_whatever_the_collectors_address() {
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    for (text, why) in [
        ("", "no certificate"),
        ("not a certificate\n", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be used"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "PEM"),
    ] {
        std::fs::write(&ca, text).unwrap();
        for url in ["https://127.0.0.1:1", "http://127.0.0.1:1"] {
            let state = folder.path().join("state");
            let words = ["enroll", "--token", "once", "--collector", url, "--state", state.to_str().unwrap(), "--ca"];
            refused(&[&words[..], &[ca.to_str().unwrap()]].concat(), &ca, why);
            assert!(!state.exists(), "nothing was made");
        }
    }
}

#[test]
fn a_root_or_state_that_is_no_folder_is_bad_usage() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let named = no_files(folder.path());
    let find = |name: &str| named.iter().map(|(path, _)| path).find(|path| path.ends_with(name)).unwrap();
    for (name, why) in [
        ("none", "No such file"),
        ("file/below", "Not a directory"),
        ("sparse", "Not a directory"),
        ("fifo", "Not a directory"),
    ] {
        let path = find(name);
        let root = path.to_str().unwrap();
        for words in [vec!["check"], vec!["facts"], vec!["record"]] {
            refused(&[&words[..], &["--root", root]].concat(), path, why);
        }
        for words in [
            vec!["collect", "--once"],
            vec!["collect"],
            vec!["enroll", "--collector", "http://127.0.0.1:1", "--token", "once"],
        ] {
            refused(&[&words[..], &["--state", state, "--root", root]].concat(), path, why);
        }
    }
    for (name, why) in [("file/below", "Not a directory"), ("sparse", "not a folder"), ("fifo", "not a folder")] {
        let path = find(name);
        let at = path.to_str().unwrap();
        for words in [
            vec!["check", "--baseline", "linux-server"],
            vec!["collect", "--once"],
            vec!["collect"],
            vec!["ship", "--once"],
            vec!["ship"],
            vec!["status"],
            vec!["enroll", "--collector", "http://127.0.0.1:1", "--token", "once"],
        ] {
            refused(&[&words[..], &["--state", at]].concat(), path, why);
        }
    }
    // A recording replaces files, and nothing else.
    for name in ["fifo", "folder"] {
        let path = find(name);
        refused(
            &["record", "--root", folder.path().to_str().unwrap(), "--output", path.to_str().unwrap()],
            path,
            "not a regular file",
        );
    }
    // A state folder that is not there yet is not enrolled: that is no mistake of the call.
    for words in [["collect", "--once", "--state"], ["ship", "--once", "--state"]] {
        let ran = run(&mut plumbline(&[&words[..], &[find("none").to_str().unwrap()]].concat())).ended(1);
        assert!(ran.stderr.contains("not enrolled"), "{ran}");
    }
}

#[test]
fn what_the_configuration_names_is_held_to_the_same() {
    let collector = Collector::start();
    let agent = Agent::pending(&collector, "web-1");
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("agent.yaml");
    let (state, root) = (agent.state().to_str().unwrap(), agent.host.root().to_str().unwrap());
    let named = no_files(folder.path());
    assert!(named.len() >= 10);
    for (path, why) in &named {
        for (key, words) in
            [("baseline", ["collect", "--once", "--root", root]), ("ca", ["ship", "--once", "--root", root])]
        {
            std::fs::write(&config, format!("{key}: {}\n", path.display())).unwrap();
            refused(&[&words[..], &["--state", state, "--config", config.to_str().unwrap()]].concat(), path, why);
        }
    }
    std::fs::write(&config, "collector: http://collector.example\n").unwrap();
    let words = ["ship", "--once", "--state", state, "--config", config.to_str().unwrap()];
    refused(&words, Path::new("http://collector.example"), "loopback");
}
