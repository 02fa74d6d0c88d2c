//! doas.conf against doas itself: `doas -C FILE -u TARGET COMMAND…` as each user, in a mount namespace where made-up accounts
//! are the machine's, says `permit`, `permit nopass` or `deny`. What it refuses to read must be a gap.
//!
//! Needs root, for the namespace and to be other users.

use std::fs;
use std::path::Path;
use std::process::Command;

use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::rounds;
use serde_json::Value;
use tempfile::TempDir;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nava:x:1000:1000::/:/bin/bash\notto:x:1001:1001::/:/bin/sh\n\
                      rhea:x:1002:200::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nava:x:1000:\notto:x:1001:\nwheel:x:27:ava\ndba:x:200:otto\n";
/// Each user, the ids to become it, and how a rule may name it.
const USERS: [(&str, u32, u32, &str, &[&str]); 3] = [
    ("ava", 1000, 1000, "27", &["ava", "1000", ":ava", ":1000", ":wheel", ":27"]),
    ("otto", 1001, 1001, "200", &["otto", "1001", ":otto", ":1001", ":dba", ":200"]),
    ("rhea", 1002, 200, "200", &["rhea", "1002", ":dba", ":200"]),
];
const TARGETS: [(&str, &[&str]); 3] =
    [("root", &["root", "0"]), ("otto", &["otto", "1001"]), ("rhea", &["rhea", "1002"])];
const COMMANDS: [&[&str]; 5] = [&["/bin/a"], &["/bin/a", "x"], &["/bin/a", "b c"], &["apk", "add"], &["/bin/z"]];

fn config(dice: &mut Dice) -> String {
    let whos = ["ava", "otto", "1002", ":wheel", ":dba", ":27", ":200", "nobody-here", "\"ava\"", "o\\tto"];
    let mut text = String::new();
    for _ in 0..=dice.roll(7) {
        let action = dice.pick(&[
            "permit",
            "permit",
            "permit nopass",
            "permit persist",
            "permit keepenv nolog",
            "permit setenv { A -B C=$D } nopass",
            "deny",
            "deny",
            "permit setenv {}",
            "permit nopass \\\n",
        ]);
        let who = dice.pick(&whos);
        let target = dice.pick(&["", "", " as root", " as otto", " as 1002", " as \"root\""]);
        let command = dice.pick(&[
            "",
            "",
            " cmd /bin/a",
            " cmd /bin/a args",
            " cmd /bin/a args x",
            " cmd /bin/a args \"b c\"",
            " cmd apk",
            " cmd /bin/a args b\\ c",
            " cmd /bin/z # args",
            " cmd /bin/a args \"\"",
        ]);
        text.push_str(&format!("{action} {who}{target}{command}\n"));
        if dice.roll(6) == 0 {
            text.push_str(dice.pick(&["\n", "# a comment \\\n", "  \t\n", "\\\n\n"]));
        }
    }
    text
}

/// One byte lost, doubled or replaced.
fn damage(dice: &mut Dice, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = dice.roll(bytes.len());
    match dice.roll(3) {
        0 => drop(bytes.remove(at)),
        1 => bytes.insert(at, bytes[at]),
        _ => bytes[at] = b" \n{}\"\\#ap"[dice.roll(9)],
    }
    String::from_utf8(bytes).unwrap()
}

fn root(config: &str) -> TempDir {
    let folder = TempDir::with_prefix("plumbline-doas-").unwrap();
    fs::create_dir(folder.path().join("etc")).unwrap();
    for (name, content) in [("passwd", PASSWD), ("group", GROUP), ("doas.conf", config)] {
        fs::write(folder.path().join("etc").join(name), content).unwrap();
    }
    // Others than root read it in the namespace.
    run(Command::new("chmod").args(["-R", "go=rX"]).arg(folder.path())).ok();
    folder
}

/// What doas says to each question, in order.
fn told(root: &Path) -> Vec<String> {
    let mut script =
        String::from("for name in passwd group; do mount --bind \"$1/etc/$name\" \"/etc/$name\" || exit 99; done\n");
    for (_, uid, gid, groups, _) in USERS {
        for (target, _) in TARGETS {
            for command in COMMANDS {
                let command: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
                script.push_str(&format!(
                    "setpriv --reuid {uid} --regid {gid} --groups {gid},{groups} doas -C \"$1/etc/doas.conf\" -u {target} {} 2>&1 | tail -n 1\n",
                    command.join(" ")
                ));
            }
        }
    }
    let ran = run(Command::new("unshare").args(["--mount", "sh", "-c", &script, "sh"]).arg(root));
    assert_ne!(ran.code, 99, "namespaces and bind mounts need root: run this by `tests/run`\n{ran}");
    ran.stdout.lines().map(str::to_owned).collect()
}

/// What the probe's items say to the same.
fn ours(items: &Value) -> Vec<String> {
    let mut rules: Vec<(String, Value)> = Vec::new();
    let lists: Vec<&Value> = items.as_object().unwrap().values().filter(|item| item["way"] == "doas").collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match items.get("doas:order") {
        Some(order) => {
            let mut used = std::collections::BTreeMap::new();
            for who in order["who"].as_array().unwrap().iter().map(text) {
                let list = lists.iter().find(|list| list["who"] == who).unwrap();
                let at: &mut usize = used.entry(who.clone()).or_default();
                rules.push((who, list["rules"][*at].clone()));
                *at += 1;
            }
            assert_eq!(rules.len(), lists.iter().map(|list| list["rules"].as_array().unwrap().len()).sum::<usize>());
        }
        None => {
            rules.extend(lists.iter().flat_map(|list| {
                list["rules"].as_array().unwrap().iter().map(|rule| (text(&list["who"]), rule.clone()))
            }))
        }
    }
    let mut answers = Vec::new();
    for (.., names) in USERS {
        for (_, targets) in TARGETS {
            for command in COMMANDS {
                let matches = |(who, rule): &&(String, Value)| {
                    let arguments = rule["arguments"].as_array().map(|list| list.iter().map(text).collect::<Vec<_>>());
                    names.contains(&who.as_str())
                        && rule["target"].as_str().is_none_or(|target| targets.contains(&target))
                        && rule["command"].as_str().is_none_or(|path| path == command[0])
                        && arguments.is_none_or(|arguments| arguments == command[1..])
                };
                let last = rules.iter().rfind(matches);
                answers.push(match last {
                    Some((_, rule)) if rule["permit"] == true => {
                        let free = rule["options"].as_array().into_iter().flatten().any(|option| option == "nopass");
                        if free { "permit nopass".to_owned() } else { "permit".to_owned() }
                    }
                    Some(_) | None => "deny".to_owned(),
                });
            }
        }
    }
    answers
}

/// Compares one configuration; answers whether doas reads it.
fn agree(config: &str) -> bool {
    let root = root(config);
    let sound = run(Command::new("doas").arg("-C").arg(root.path().join("etc/doas.conf"))).code == 0;
    let ran =
        run(Command::new(binary("plumbline")).args(["facts", "admins", "--format", "json", "--root"]).arg(root.path()));
    let items = ran.ok().json()["admins"]["items"].clone();
    assert_eq!(items.get("doas:").is_none(), sound, "sound for one only:\n{config}\n{items:#}");
    if sound {
        assert_eq!(ours(&items), told(root.path()), "ours is left, doas's right:\n{config}\n{items:#}");
    }
    sound
}

#[test]
fn who_may_do_what_is_what_doas_says() {
    let questions = USERS.len() * TARGETS.len() * COMMANDS.len();
    let (mut sound, mut refused) = (0, 0);
    for seed in 0..rounds(30) {
        let mut dice = Dice::new(seed as u64);
        let text = config(&mut dice);
        for config in [text.clone(), damage(&mut dice, &text)] {
            *(if agree(&config) { &mut sound } else { &mut refused }) += 1;
        }
    }
    assert!(sound > 25 && refused > 5, "{sound} sound, {refused} refused");
    let all = sound + refused;
    println!(
        "doas -C: {all} of {all} files agreed, {refused} of them refused by both; {} answers in all",
        sound * questions
    );
}
