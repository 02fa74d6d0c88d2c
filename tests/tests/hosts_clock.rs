//! Units that may set the clock, as the probe reads them from the files of a real Debian host, against the effective settings that
//! its own systemd shows of them, drop-ins of all kinds included. Its clock is never touched: the host lacks the capability.
//! Needs root.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use plumbline_tests::netns::Switch;
use plumbline_tests::nspawn::RealHost;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::root;

/// The release; see `tests/roots`.
const SUITE: &str = "bookworm";

const BASELINE: &str = "baseline: x\nversion: 1\ntitle: x\nrules:\n  - {id: x, title: x, severity: high, why: x, fix: x, time: {set_by: []}}\n";

/// What the probe says of the files of a booted host: subjects that begin with `setter:` and `kind`, without both.
#[track_caller]
fn setters(host: &RealHost, kind: &str) -> BTreeSet<String> {
    host.write("/root/baseline.yaml", BASELINE.as_bytes());
    let root = host.root();
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "time", "--format", "json", "--root"]).arg(&root);
    let facts = run(facts.arg("--baseline").arg(root.join(Path::new("root/baseline.yaml")))).ok().json();
    let items = facts["time"]["items"].as_object().unwrap_or_else(|| panic!("{facts:#}"));
    let start = format!("setter:{kind}:");
    let hidden = items.iter().find(|(subject, item)| subject.starts_with(&start) && !item["gap"].is_null());
    assert!(hidden.is_none(), "{hidden:?}");
    items.keys().filter_map(|subject| Some(subject.strip_prefix(&start)?.to_owned())).collect()
}

/// Settings of a service, and its drop-ins: in which folder, under which name, with which settings.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const TIME: &str = "AmbientCapabilities=CAP_SYS_TIME";
const OTTO: &str = "User=otto\nAmbientCapabilities=CAP_SYS_TIME";

/// Services, each by its name.
const CASES: &[Case] = &[
    ("plain", "", &[]),
    ("roots", TIME, &[]),
    ("roots-by-name", "User=root\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("roots-by-number", "User=0\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("ottos", OTTO, &[]),
    ("small", "User=otto\nAmbientCapabilities=cap_sys_time", &[]),
    ("numbered", "User=otto\nAmbientCapabilities=25", &[]),
    ("quoted", "User=otto\nAmbientCapabilities=\"CAP_SYS_TIME\" 'CAP_KILL'", &[]),
    ("joined", "User=otto\nAmbientCapabilities=CAP_KILL \\\n  CAP_SYS_TIME", &[]),
    ("other", "User=otto\nAmbientCapabilities=CAP_KILL CAP_SYS_TTY_CONFIG", &[]),
    ("unknown", "User=otto\nAmbientCapabilities=CAP_SYS_TIMES", &[]),
    ("taken", "User=otto\nAmbientCapabilities=CAP_SYS_TIME CAP_KILL\nAmbientCapabilities=~CAP_SYS_TIME", &[]),
    ("emptied", "User=otto\nAmbientCapabilities=CAP_SYS_TIME\nAmbientCapabilities=", &[]),
    ("all-but-one", "User=otto\nAmbientCapabilities=~CAP_KILL", &[]),
    ("less-one", "User=otto\nAmbientCapabilities=CAP_CHOWN\nAmbientCapabilities=~CAP_KILL", &[]),
    ("all-but-it", "User=otto\nAmbientCapabilities=~CAP_SYS_TIME", &[]),
    ("all", "User=otto\nAmbientCapabilities=~", &[]),
    ("dynamic", "DynamicUser=on\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("not-dynamic", "DynamicUser=0\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("perhaps-dynamic", "DynamicUser=perhaps\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("bound", "User=otto\nAmbientCapabilities=CAP_SYS_TIME\nCapabilityBoundingSet=CAP_KILL", &[]),
    ("bound-by-all", "User=otto\nAmbientCapabilities=CAP_SYS_TIME\nCapabilityBoundingSet=~CAP_KILL", &[]),
    ("bound-without", "User=otto\nAmbientCapabilities=CAP_SYS_TIME\nCapabilityBoundingSet=~CAP_SYS_TIME", &[]),
    ("bound-to-nothing", "User=otto\nAmbientCapabilities=CAP_SYS_TIME\nCapabilityBoundingSet=", &[]),
    ("bound-alone", "User=otto\nCapabilityBoundingSet=CAP_SYS_TIME", &[]),
    ("protected", "User=otto\nProtectClock=yes\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("not-protected", "User=otto\nProtectClock=yes\nProtectClock=no\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("wrong-section", "User=otto\n[Unit]\nAmbientCapabilities=CAP_SYS_TIME", &[]),
    ("dropped-in", "User=otto", &[("etc/systemd/system/dropped-in.service.d/a.conf", TIME)]),
    ("dropped-user", TIME, &[("usr/lib/systemd/system/dropped-user.service.d/a.conf", "User=otto")]),
    ("dropped-protection", OTTO, &[("run/systemd/system/dropped-protection.service.d/a.conf", "ProtectClock=1")]),
    (
        "overruled",
        OTTO,
        &[
            ("usr/lib/systemd/system/overruled.service.d/a.conf", "AmbientCapabilities="),
            ("etc/systemd/system/overruled.service.d/a.conf", ""),
        ],
    ),
    (
        "in-order",
        "User=otto",
        &[
            ("etc/systemd/system/in-order.service.d/b.conf", TIME),
            ("usr/lib/systemd/system/in-order.service.d/c.conf", "AmbientCapabilities="),
        ],
    ),
    (
        "out-of-order",
        "User=otto",
        &[
            ("usr/lib/systemd/system/out-of-order.service.d/a.conf", "AmbientCapabilities="),
            ("etc/systemd/system/out-of-order.service.d/b.conf", TIME),
        ],
    ),
    ("not-conf", "User=otto", &[("etc/systemd/system/not-conf.service.d/a.txt", TIME)]),
    ("of-a-prefix", "User=otto", &[("etc/systemd/system/of-a-.service.d/a.conf", TIME)]),
    ("of-other-prefix", "User=otto", &[("etc/systemd/system/of-another-.service.d/a.conf", TIME)]),
    (
        "from-prefix",
        OTTO,
        &[
            ("etc/systemd/system/from-.service.d/a.conf", "AmbientCapabilities="),
            ("usr/lib/systemd/system/from-prefix.service.d/a.conf", "Nice=1"),
        ],
    ),
];

#[test]
fn units_that_hold_the_capability_are_those_systemctl_shows() {
    let switch = Switch::new();
    let host = RealHost::boot(&switch, &root::debian(SUITE), "clock", &[]);
    let section = |settings: &str| format!("[Service]\n{settings}\n");
    let exec = "ExecStart=/bin/true\n";
    let mut names = Vec::new();
    for (name, settings, drop_ins) in CASES {
        let text = section(&format!("{exec}{settings}"));
        host.write(&format!("/etc/systemd/system/{name}.service"), text.as_bytes());
        for (file, settings) in *drop_ins {
            host.write(&format!("/{file}"), section(settings).as_bytes());
        }
        names.push(format!("{name}.service"));
    }
    for name in ["masked", "hidden", "many@"] {
        let text = section(&format!("{exec}{OTTO}"));
        host.write(&format!("/usr/lib/systemd/system/{name}.service"), text.as_bytes());
    }
    host.write("/etc/systemd/system/hidden.service", section(exec).as_bytes());
    host.write("/etc/systemd/system/many@tame.service.d/a.conf", section("ProtectClock=t").as_bytes());
    host.shell("ln -s /dev/null /etc/systemd/system/masked.service; useradd otto; systemctl daemon-reload");
    names.extend(["masked", "hidden", "many@wild", "many@tame"].map(|name| format!("{name}.service")));
    // An instance stands in the files only where something names it.
    host.shell("mkdir -p /etc/systemd/system/x.target.wants; ln -s ../many@.service /etc/systemd/system/x.target.wants/many@wild.service");
    names.extend(host.shell("cd /usr/lib/systemd/system; ls *.service").lines().map(str::to_owned));
    names.retain(|name| !name.contains("@."));
    let mut ours = setters(&host, "unit");
    assert!(ours.remove("many@.service"), "a template is told of as such: {ours:?}");
    for whole in [false, true] {
        if whole {
            // What stands in service.d is for all.
            host.write("/etc/systemd/system/service.d/zz.conf", section("ProtectClock=yes").as_bytes());
            host.shell("systemctl daemon-reload");
            ours = setters(&host, "unit");
        }
        let theirs = holders(&host, &names);
        assert_eq!(theirs.is_empty(), whole, "{theirs:?}");
        assert_eq!(ours, theirs, "ours is left, systemctl's right");
        println!("units that may set the clock: {0} of {0} agreed, {1} of them may", names.len(), theirs.len());
    }
}

/// The units that are not root's and hold the capability, by their effective settings.
fn holders(host: &RealHost, units: &[String]) -> BTreeSet<String> {
    let wanted = ["systemctl", "show", "-p", "User,DynamicUser,AmbientCapabilities,CapabilityBoundingSet"];
    let words: Vec<&str> = wanted.into_iter().chain(units.iter().map(String::as_str)).collect();
    let shown = host.run(&words).ok().stdout;
    let blocks: Vec<&str> = shown.split("\n\n").collect();
    assert_eq!(blocks.len(), units.len(), "{shown}");
    units.iter().zip(blocks).filter(|(_, block)| holds(block)).map(|(unit, _)| unit.clone()).collect()
}

fn holds(shown: &str) -> bool {
    let value =
        |key: &str| shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
    let names_it = |key: &str| value(key).split(' ').any(|name| name == "cap_sys_time");
    let root = value("DynamicUser") != "yes" && ["", "root", "0"].contains(&value("User"));
    !root && names_it("AmbientCapabilities") && names_it("CapabilityBoundingSet")
}
