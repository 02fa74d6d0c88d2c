//! Keys of administrators against `ssh-keygen -lf`: every key it tells a fingerprint of is an item, with that fingerprint
//! and that type, and there are no others.

use std::collections::BTreeSet;
use std::process::Command;

use audit::host::Recorded;
use audit::probe::Probe as _;
use audit::probes::admins::{Admins, Item};
use plumbline_tests::processes::run;
use tempfile::TempDir;

#[test]
fn fingerprints_are_those_ssh_keygen_tells() {
    let folder = TempDir::with_prefix("plumbline-keys-").unwrap();
    let mut lines = String::from("# keys\n\n");
    let kinds =
        [("ed25519", "256"), ("rsa", "2048"), ("rsa", "3072"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")];
    let before = [
        "",
        "no-pty ",
        "command=\"echo \\\"a b\\\", c\",no-port-forwarding ",
        "from=\"10.0.0.0/8,!10.1.0.0/16\",restrict ",
        "cert-authority,principals=\"ava,otto\" ",
    ];
    for (number, (kind, bits)) in kinds.iter().cycle().take(30).enumerate() {
        let path = folder.path().join(format!("key{number}"));
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-b", bits, "-N", "", "-C", "a comment, with \"quotes\"", "-f"])
            .arg(&path))
        .ok();
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        lines.push_str(before[number % before.len()]);
        lines.push_str(&public);
    }
    let file = folder.path().join("authorized_keys");
    std::fs::write(&file, &lines).unwrap();
    let told = run(Command::new("ssh-keygen").args(["-l", "-E", "sha256", "-f"]).arg(&file)).ok().stdout;
    let theirs: BTreeSet<String> = told.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(theirs.len(), 30, "{told}");

    let host = Recorded::new()
        .file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("/etc/group", "root:x:0:\n")
        .file("/root/.ssh/authorized_keys", &lines);
    let facts = Admins::collect(&host);
    let mut ours = BTreeSet::new();
    for (subject, item) in &facts.items.seen {
        if let (Item::Key { .. }, Some(fingerprint)) = (item, subject.strip_prefix("key:root:")) {
            ours.insert(fingerprint.to_owned());
        }
    }
    assert_eq!(ours, theirs);
    println!("{} of {} fingerprints agreed with ssh-keygen", ours.len(), theirs.len());
}
