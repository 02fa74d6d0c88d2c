//! Programs that may set the clock, against getcap over files that setcap gave capabilities. Needs root.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use plumbline_tests::processes::{binary, run};
use tempfile::TempDir;

const BASELINE: &str = "baseline: x\nversion: 1\ntitle: x\nrules:\n  - {id: x, title: x, severity: high, why: x, fix: x, time: {set_by: []}}\n";

#[test]
fn programs_that_may_set_the_clock_are_those_getcap_names() {
    let folder = TempDir::with_prefix("plumbline-setters-").unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    let grants = [
        "cap_sys_time=ep",
        "cap_sys_time=p",
        "cap_sys_time+i",
        "cap_net_raw,cap_sys_time=eip",
        "cap_net_raw=ep",
        "all=ep",
        "cap_sys_tty_config=ep",
        "all=ep cap_sys_time-eip",
        "cap_wake_alarm=p cap_sys_time=i",
        "=",
    ];
    let folders = ["usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "usr/libexec"];
    let mut count = 0;
    for (number, grant) in grants.iter().enumerate() {
        for below in folders {
            let path = root.join(below).join(format!("program{number}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            run(Command::new("setcap").arg(grant).arg(&path)).ok();
            count += 1;
        }
    }
    let told = run(Command::new("getcap").arg("-r").arg(root)).ok().stdout;
    let mut theirs = BTreeSet::new();
    for line in told.lines() {
        let (path, said) = line.split_once(' ').unwrap();
        // getcap says `=ep` of a file that has them all, and what is taken from them behind it.
        let all = said.starts_with('=') && said.len() > 1 && !said.contains("cap_sys_time-");
        if all || said.split(' ').any(|part| part.contains("cap_sys_time") && !part.contains("cap_sys_time-")) {
            theirs.insert(format!("setter:file:{}", path.strip_prefix(root.to_str().unwrap()).unwrap()));
        }
    }
    assert!(theirs.len() > 10 && theirs.len() < count, "{told}");
    let baseline = root.join("baseline.yaml");
    fs::write(&baseline, BASELINE).unwrap();
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "time", "--format", "json", "--root"]).arg(root).arg("--baseline").arg(&baseline);
    let facts = run(&mut facts).ok().json()["time"]["items"].clone();
    let subjects = facts.as_object().unwrap().keys().filter(|subject| subject.starts_with("setter:file:"));
    assert_eq!(subjects.cloned().collect::<BTreeSet<_>>(), theirs, "ours is left, getcap's right\n{told}");
    println!("getcap: {count} of {count} files agreed, {} of them may set the clock", theirs.len());
}
