//! The services probe against systemctl, offline: every unit file of Debian roots; trees made to hold each way to enable, mask, link and
//! alias a unit; trees of files and links thrown at random; and trees that systemctl itself changed, verb after verb, presets among
//! them. `hosts_units` asks a booted systemd. Needs root.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::run;
use plumbline_tests::{root, rounds};
use serde_json::Value;

mod oracle_services {
    pub mod systemctl;
    pub mod thrown;
    pub mod tree;
}

use oracle_services::systemctl::Systemctl;
use oracle_services::thrown::{Thrown, VERBS};
use oracle_services::tree::Tree;

/// What the probe says of each unit: its enablement.
fn seen(root: &Path) -> BTreeMap<String, String> {
    let facts = run(plumbline(&["facts", "services", "--format", "json", "--root"]).arg(root)).ok().json();
    let items = &facts["services"]["items"];
    let said = |unit: &Value| {
        assert!(unit["gap"].is_null(), "{unit:#}");
        unit["enablement"].as_str().unwrap_or("not-found").to_owned()
    };
    let units = items.as_object().unwrap();
    units.iter().filter(|(name, _)| !name.ends_with(".d")).map(|(name, unit)| (name.clone(), said(unit))).collect()
}

/// What systemctl says of each.
fn listed(root: &Path) -> BTreeMap<String, String> {
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["list-unit-files", "--no-legend", "--no-pager", "--full", "--root"]).arg(root);
    let listed = run(systemctl.env("LANG", "C.UTF-8")).ok().stdout;
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    listed.lines().filter_map(row).collect()
}

fn asked(root: &Path, name: &str) -> String {
    let mut systemctl = Command::new("systemctl");
    systemctl.arg("--root").arg(root).args(["is-enabled", "--", name]);
    run(&mut systemctl).stdout.trim().to_owned()
}

/// Compares every unit of `root`; gives how many there are.
#[track_caller]
fn compare(what: &str, root: &Path) -> usize {
    let (count, wrong) = differences(root);
    println!("{what}: {} of {count} agreed", count - wrong.len());
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
    count
}

/// How many units there are, and those on which the two differ.
fn differences(root: &Path) -> (usize, Vec<String>) {
    let (mut seen, listed) = (seen(root), listed(root));
    assert!(!listed.is_empty());
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, expected) in &listed {
        count += 1;
        let found = seen.remove(name);
        if found.as_ref() != Some(expected) {
            wrong.push(format!("{name}: systemctl {expected}, plumbline {found:?}"));
        }
    }
    // Instances that targets want are not listed, but can be asked for.
    for (name, found) in seen.into_iter().filter(|(_, found)| found != "not-found") {
        count += 1;
        let expected = asked(root, &name);
        if found != expected {
            wrong.push(format!("{name}: systemctl is-enabled {expected:?}, plumbline {found}"));
        }
    }
    (count, wrong)
}

#[test]
fn every_unit_of_debian_roots_is_enabled_as_systemctl_says() {
    for suite in ["bookworm", "bullseye", "trixie"] {
        assert!(compare(suite, &root::debian(suite)) > 100);
    }
}

const TARGET: &str = "[Install]\nWantedBy=multi-user.target\n";
const PLAIN: &str = "[Service]\nExecStart=/bin/true\n";

#[test]
fn every_way_to_install_a_unit_is_called_as_systemctl_calls_it() {
    let tree = Tree::new();
    let (vendor, etc, run) = ("usr/lib/systemd/system", "etc/systemd/system", "run/systemd/system");
    let ways = [
        "on",
        "off",
        "static",
        "runtime",
        "maskedoff",
        "maskedrun",
        "empty",
        "also",
        "aliased",
        "dropped",
        "required",
        "twice",
    ];
    for name in ways {
        let install = match name {
            "static" => String::new(),
            "also" => "[Install]\nAlso=on.service\n".into(),
            "aliased" => format!("{TARGET}Alias=other-name.service another-name.service\n"),
            "required" => "[Install]\nRequiredBy=multi-user.target\n".into(),
            _ => TARGET.into(),
        };
        tree.file(&format!("{vendor}/{name}.service"), &format!("{PLAIN}{install}"));
    }
    let to = |name: &str| format!("/{vendor}/{name}.service");
    tree.link(&format!("{etc}/multi-user.target.wants/on.service"), &to("on"))
        .link(&format!("{run}/multi-user.target.wants/runtime.service"), &to("runtime"))
        .link(&format!("{etc}/multi-user.target.requires/required.service"), &to("required"))
        .link(&format!("{etc}/maskedoff.service"), "/dev/null")
        .link(&format!("{run}/maskedrun.service"), "/dev/null")
        .file(&format!("{etc}/empty.service"), "")
        .link(&format!("{etc}/other-name.service"), &to("aliased"))
        .file(&format!("{etc}/dropped.service.d/x.conf"), "[Install]\nAlias=yet-another.service\n")
        .link(&format!("{etc}/yet-another.service"), &to("dropped"))
        .file(&format!("{etc}/twice.service"), &format!("{PLAIN}{TARGET}"))
        .link(&format!("{etc}/multi-user.target.wants/twice.service"), "../twice.service")
        // Wanted by an installed folder alone.
        .file(&format!("{vendor}/vendor.service"), &format!("{PLAIN}{TARGET}"))
        .link(&format!("{vendor}/multi-user.target.wants/vendor.service"), "../vendor.service")
        .link(&format!("{vendor}/multi-user.target.wants/static.service"), "../static.service")
        // From outside the load path.
        .file("opt/own.service", &format!("{PLAIN}{TARGET}"))
        .link(&format!("{etc}/own.service"), "/opt/own.service")
        .file("opt/ownon.service", &format!("{PLAIN}{TARGET}"))
        .link(&format!("{etc}/ownon.service"), "/opt/ownon.service")
        .link(&format!("{etc}/multi-user.target.wants/ownon.service"), "/opt/ownon.service")
        .file("opt/ownrun.service", &format!("{PLAIN}{TARGET}"))
        .link(&format!("{run}/ownrun.service"), "/opt/ownrun.service")
        // Aliases, by files of the package and by hand.
        .link(&format!("{vendor}/nick.service"), "on.service")
        .link(&format!("{vendor}/nick-of-nick.service"), "nick.service")
        .link(&format!("{etc}/by-hand.service"), &to("off"))
        // Links that lead nowhere.
        .link(&format!("{etc}/gone.service"), "/opt/gone.service")
        .link(&format!("{etc}/gone-alias.service"), &to("gone"))
        .link(&format!("{etc}/loop-a.service"), "loop-b.service")
        .link(&format!("{etc}/loop-b.service"), "loop-a.service")
        .link(&format!("{etc}/other-kind.service"), &format!("/{vendor}/some.timer"))
        .file(&format!("{vendor}/some.timer"), "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
        .link(&format!("{etc}/timers.target.wants/some.timer"), &format!("/{vendor}/some.timer"))
        // Templates.
        .file(&format!("{vendor}/tmpl@.service"), &format!("{PLAIN}{TARGET}DefaultInstance=one\n"))
        .link(&format!("{etc}/multi-user.target.wants/tmpl@one.service"), &format!("/{vendor}/tmpl@.service"))
        .file(&format!("{vendor}/vpn@.service"), &format!("{PLAIN}{TARGET}"))
        .link(&format!("{etc}/multi-user.target.wants/vpn@wg0.service"), &format!("/{vendor}/vpn@.service"))
        .link(&format!("{vendor}/alt@.service"), "tmpl@.service")
        .file(&format!("{vendor}/idle@.service"), PLAIN)
        .link(&format!("{vendor}/multi-user.target.wants/idle@x.service"), "../idle@.service")
        .file(&format!("{vendor}/masked@.service"), &format!("{PLAIN}{TARGET}"))
        .link(&format!("{etc}/masked@two.service"), "/dev/null")
        // What is no unit.
        .file(&format!("{etc}/README"), "")
        .file(&format!("{etc}/bad name.service"), PLAIN)
        .file(
            &format!("{vendor}/lines.service"),
            "[Service]\nExecStart=/bin/a \\\n# [Install]\n b\n[Install]\nWantedBy=\\\n  multi-user.target\n",
        );
    let count = compare("made by hand", tree.root());
    assert!(count >= 35, "{count}");
}

/// Compares all units of a tree with one systemctl, which sees the tree's folders in place of its own. Gives how many there are and
/// on which the two differ.
fn compared(tree: &Tree, seen: &BTreeMap<String, String>, systemctl: &Systemctl) -> (usize, Vec<String>) {
    let names: Vec<&str> = seen.keys().map(String::as_str).filter(|name| !name.starts_with("sysv:")).collect();
    let said = systemctl.states(tree.root(), &names);
    let missed = said.listed.keys().filter(|name| !seen.contains_key(*name));
    let mut wrong: Vec<String> = missed.map(|name| format!("{name}: not seen")).collect();
    for name in &names {
        // What it gives up on is listed as bad, and answered with an error.
        let (found, listed, asked) = (&seen[*name], said.listed.get(*name), said.asked.get(*name));
        let agreed = match listed.or(asked).map(String::as_str) {
            // is-enabled looks for init scripts first, and for that alone without what generators made: it may give up there.
            None | Some("") => {
                ["bad", "not-found", "generated"].contains(&found.as_str())
                    || (found == "masked-runtime" && by_generator(tree, name))
            }
            Some(state) => found == state,
        };
        if !agreed {
            wrong.push(format!("{name}: systemctl lists {listed:?} and answers {asked:?}, plumbline {found}"));
        }
    }
    (names.len(), wrong)
}

/// Whether a generator made a file of that name, or of its template.
fn by_generator(tree: &Tree, name: &str) -> bool {
    let template = name.split_once('@').map(|(stem, _)| format!("{stem}@.service"));
    let names = [Some(name.to_owned()), template];
    let folders = ["generator.early", "generator", "generator.late"];
    names.iter().flatten().any(|name| {
        folders.iter().any(|folder| tree.path(&format!("run/systemd/{folder}/{name}")).symlink_metadata().is_ok())
    })
}

/// Compares each tree of `make` with a systemctl, two versions by turns.
fn compare_all(what: &str, trees: usize, mut make: impl FnMut(usize, &Systemctl) -> Tree) {
    let versions = ["bookworm", "trixie"].map(Systemctl::of);
    let (mut units, mut agreed, mut wrong, mut states) = (0, 0, Vec::new(), BTreeMap::<String, usize>::new());
    for (number, systemctl) in (0..trees).zip(versions.iter().cycle()) {
        let tree = make(number, systemctl);
        let seen = seen(tree.root());
        let (count, differences) = compared(&tree, &seen, systemctl);
        units += count;
        agreed += count - differences.len();
        for state in seen.into_values() {
            *states.entry(state).or_default() += 1;
        }
        if !differences.is_empty() {
            let name = systemctl.name();
            wrong.push(format!("tree {number}, {name}: {}\n{}", differences.join("\n  "), tree.listing()));
        }
    }
    println!("{what}: {agreed} of {units} units agreed, in {trees} trees: {states:?}");
    assert!(wrong.is_empty(), "{} trees differ:\n{}", wrong.len(), wrong.join("\n"));
    for state in ["enabled", "enabled-runtime", "linked", "masked", "static", "disabled", "indirect"] {
        assert!(states.contains_key(state), "no unit was {state}");
    }
}

/// Files, links, wants, masks, aliases and drop-ins over few names, by a sequence of numbers: what no person thinks of.
#[test]
fn units_thrown_at_random_are_called_as_systemctl_calls_them() {
    compare_all("thrown at random", rounds(240), |number, _| Thrown::new(number as u64).tree());
}

#[test]
fn units_that_systemctl_changed_are_called_as_it_calls_them() {
    compare_all("changed by systemctl", rounds(80), |number, systemctl| {
        let mut thrown = Thrown::new(number as u64);
        let tree = thrown.installed();
        let verbs: Vec<String> = (0..12).map(|_| thrown.verb()).collect();
        assert!(verbs.iter().all(|verb| VERBS.iter().any(|known| verb.starts_with(known))));
        systemctl.change(tree.root(), &verbs);
        tree
    });
}
