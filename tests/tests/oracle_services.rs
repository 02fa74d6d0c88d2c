//! The services probe against systemctl, offline: every unit file of Debian roots, and trees made to hold each way to enable,
//! mask, link and alias a unit. What a booted systemd says of
//! running units is not compared yet. Needs root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use plumbline_tests::agent::plumbline;
use plumbline_tests::processes::run;
use plumbline_tests::root;
use serde_json::Value;
use tempfile::TempDir;

/// What the probe says of each unit: its enablement.
fn seen(root: &Path) -> BTreeMap<String, String> {
    let facts = run(plumbline(&["facts", "services", "--format", "json", "--root"]).arg(root)).ok().json();
    let items = &facts["services"]["items"];
    let said = |unit: &Value| {
        assert!(unit["gap"].is_null(), "{unit:#}");
        unit["enablement"].as_str().map(str::to_owned)
    };
    let units = items.as_object().unwrap();
    units.iter().filter_map(|(name, unit)| Some((name.clone(), said(unit)?))).collect()
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
    for (name, found) in seen {
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

/// A tree with one of each way to install a unit.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(TempDir::with_prefix("plumbline-units-").unwrap());
        tree.file("usr/lib/systemd/systemd", "");
        symlink("usr/lib", tree.path("lib")).unwrap();
        tree
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
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
    let count = compare("made by hand", tree.0.path());
    assert!(count >= 35, "{count}");
}
