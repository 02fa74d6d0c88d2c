//! What the firewall probe says of the next boot, from files alone, against what filters on a real Debian host once it has booted
//! from those files. Needs root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::netns::Switch;
use plumbline_tests::nspawn::RealHost;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::root;
use tempfile::TempDir;

const BASELINE: &str = "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {id: r, title: t, severity: low, why: w, fix: f, firewall: {after_reboot: true}}\n";

const INPUT: &str = "type filter hook input priority 0;";

/// What the probe says of a root at rest: the finding's status.
fn ours(root: &Path) -> String {
    fs::write(root.join("baseline.yaml"), BASELINE).unwrap();
    let mut check = Command::new(binary("plumbline"));
    check.args(["check", "--format", "json", "--baseline"]).arg(root.join("baseline.yaml")).arg("--root").arg(root);
    let said = run(&mut check).json();
    said["findings"][0]["status"].as_str().unwrap().to_owned()
}

/// Whether a chain of input drops by policy, or by its last rule, for both families, as the kernel has it.
fn denies(host: &RealHost) -> bool {
    let said: serde_json::Value = serde_json::from_str(&host.shell("nft -j list ruleset")).unwrap();
    let objects = said["nftables"].as_array().unwrap();
    let denying = |family: &str| {
        objects.iter().filter_map(|object| object.get("chain")).filter(|chain| chain["hook"] == "input").any(|chain| {
            let of = chain["family"] == family || chain["family"] == "inet";
            let mut rules =
                objects.iter().filter_map(|object| object.get("rule")).filter(|rule| rule["chain"] == chain["name"]);
            let last = rules.next_back().map(|rule| rule["expr"].clone());
            let drops = last.is_some_and(|expr| expr.as_array().unwrap().len() == 1 && expr[0].get("drop").is_some());
            of && (chain["policy"] == "drop" || drops)
        })
    };
    denying("ip") && denying("ip6")
}

#[test]
fn what_is_said_of_the_next_boot_is_what_filters_after_it() {
    let switch = Switch::new();
    let lower = root::debian("bookworm");
    let inet = |body: &str| format!("flush ruleset\ntable inet filter {{\n chain input {{\n  {INPUT}{body}\n }}\n}}\n");
    let cases: [(&str, String, bool, bool); 6] = [
        ("drop by policy", inet(" policy drop;\n  iif lo accept"), true, false),
        ("not enabled", inet(" policy drop;"), false, false),
        ("masked", inet(" policy drop;"), true, true),
        ("accept by policy", inet(" policy accept;\n  tcp dport 22 drop"), true, false),
        ("drop by the last rule", inet("\n  tcp dport { 22, 80 } accept\n  drop"), true, false),
        ("IPv4 alone", inet(" policy drop;").replace("inet", "ip"), true, false),
    ];
    let count = cases.len();
    let mut denied = 0;
    for (what, script, enabled, masked) in cases {
        let folder = TempDir::with_prefix("plumbline-boot-").unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("etc/systemd/system")).unwrap();
        let wants = "etc/systemd/system/sysinit.target.wants";
        let mut copy = Command::new("cp");
        let there = lower.join(wants);
        if there.exists() {
            run(copy.arg("-a").arg(there).arg(at("etc/systemd/system"))).ok();
        }
        fs::create_dir_all(at(wants)).unwrap();
        fs::write(at("etc/nftables.conf"), script).unwrap();
        if enabled {
            symlink("/lib/systemd/system/nftables.service", at(wants).join("nftables.service")).unwrap();
        }
        let mut binds: Vec<(PathBuf, &str)> = vec![
            (at("etc/nftables.conf"), "/etc/nftables.conf"),
            (at(wants), "/etc/systemd/system/sysinit.target.wants"),
        ];
        if masked {
            // A link cannot be mounted: an empty unit masks as well as the link does.
            symlink("/dev/null", at("etc/systemd/system/nftables.service")).unwrap();
            fs::write(at("empty"), "").unwrap();
            binds.push((at("empty"), "/etc/systemd/system/nftables.service"));
        }
        let said = ours(folder.path());
        let host = RealHost::boot(&switch, &lower, "boots", &binds);
        let denies = denies(&host);
        let state = host.run(&["systemctl", "is-enabled", "nftables"]).stdout;
        assert_eq!(said == "pass", denies, "{what}: we say {said}; systemd: {state}{}", host.journal("nftables"));
        denied += usize::from(denies);
    }
    assert!(denied > 0 && denied < count, "all alike: {denied} of {count}");
    println!("booted hosts, the firewall after a reboot: {count} of {count} agreed");
}
