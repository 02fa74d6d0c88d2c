//! What each user may do, against sudo itself: `sudo -ll -U USER` in a mount namespace where made-up accounts and rules are
//! the machine's, so that its own are not touched. And what the probe says amounts to root, tried out where that is quick.
//!
//! Needs root, for the namespace.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use plumbline_tests::dice::Dice;
use plumbline_tests::processes::{Ran, binary, run};
use plumbline_tests::rounds;
use serde_json::Value;
use tempfile::TempDir;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nava:x:1000:1000::/home/ava:/bin/bash\notto:x:1001:1001::/:/bin/sh\n\
                      rhea:x:1002:200::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nava:x:1000:\notto:x:1001:\nsudo:x:27:ava\ndba:x:200:otto\n";
const SHADOW: &str = "root:*:19000::::::\nava:*:19000::::::\notto:*:19000::::::\nrhea:*:19000::::::\n";
/// Each user, and how a rule may name them.
const USERS: [(&str, &[&str]); 4] = [
    ("root", &["root", "#0", "%root", "%#0", "ALL"]),
    ("ava", &["ava", "#1000", "%ava", "%#1000", "%sudo", "%#27", "ALL"]),
    ("otto", &["otto", "#1001", "%otto", "%#1001", "%dba", "%#200", "ALL"]),
    ("rhea", &["rhea", "#1002", "%dba", "%#200", "ALL"]),
];

fn list(dice: &mut Dice, of: &[&str], most: usize) -> String {
    (0..=dice.roll(most)).map(|_| dice.pick(of)).collect::<Vec<_>>().join(", ")
}

fn policy(dice: &mut Dice) -> String {
    let users =
        ["ava", "otto", "rhea", "root", "#1001", "%dba", "%#27", "%sudo", "ALL", "!otto", "!%dba", "!#1002", "STAFF"];
    let commands = [
        "ALL",
        "/bin/a",
        "/bin/b x",
        "/bin/c \"\"",
        "/usr/bin/",
        "!/bin/su",
        "sudoedit /etc/x*",
        "/bin/d [a-z]*",
        "TOOLS",
        "!TOOLS",
        "/opt/*/e",
        "^/bin/[lm]$",
    ];
    let tags = ["", "", "", "NOPASSWD: ", "PASSWD: ", "NOEXEC: ", "SETENV: ", "NOPASSWD: SETENV: "];
    let whom = [
        "",
        "",
        "(root) ",
        "(ALL) ",
        "(ALL : ALL) ",
        "(otto, ava) ",
        "(ALL, !root) ",
        "(: dba) ",
        "() ",
        "(PEERS) ",
        "(%dba) ",
    ];
    let mut text = String::from(
        "User_Alias STAFF = ava, !rhea, %dba\nCmnd_Alias TOOLS = /bin/t, /bin/u 1, !/bin/v\nRunas_Alias PEERS = otto, #1002\n",
    );
    for _ in 0..=dice.roll(6) {
        let hosts = dice.pick(&["ALL", "ALL", "ALL", "elsewhere", "ALL, !elsewhere"]);
        let specs: Vec<String> = (0..=dice.roll(2))
            .map(|_| format!("{}{}{}", dice.pick(&whom), dice.pick(&tags), list(dice, &commands, 2)))
            .collect();
        text.push_str(&format!("{} {hosts} = {}\n", list(dice, &users, 3), specs.join(", ")));
    }
    text
}

/// A root file system with nothing but accounts and a policy.
fn root(sudoers: &str) -> TempDir {
    let folder = TempDir::with_prefix("plumbline-rights-").unwrap();
    fs::create_dir(folder.path().join("etc")).unwrap();
    for (name, content, mode) in
        [("passwd", PASSWD, 0o644), ("group", GROUP, 0o644), ("shadow", SHADOW, 0o600), ("sudoers", sudoers, 0o440)]
    {
        let path = folder.path().join("etc").join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    folder
}

const MOUNTS: &str = "for name in passwd group shadow sudoers; do mount --bind \"$1/etc/$name\" \"/etc/$name\" || exit 99; done; shift; ";

/// Runs `script` where the accounts and rules below `root` are the machine's.
fn inside(root: &Path, script: &str) -> Ran {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{MOUNTS}{script}"), "sh"]).arg(root).env("LC_ALL", "C");
    let ran = run(&mut command);
    assert_ne!(ran.code, 99, "namespaces and bind mounts need root: run this by `tests/run`\n{ran}");
    ran
}

/// One command that a user may, or with `!` may not, run: as whom, under which conditions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    users: String,
    groups: String,
    tags: BTreeSet<String>,
    command: String,
}

/// `ALL` implies `SETENV`, which sudo shows as if it were written, for the commands beside it too: left out then.
fn tidy(rights: BTreeSet<Right>) -> BTreeSet<Right> {
    let all = rights.iter().any(|right| right.command == "ALL");
    let tidied = rights.into_iter().map(|mut right| {
        right.tags.retain(|tag| !(all && tag == "setenv"));
        right
    });
    tidied.collect()
}

/// What `sudo -ll` says.
fn of_sudo(told: &str) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    let blank = Right { users: String::new(), groups: String::new(), tags: BTreeSet::new(), command: String::new() };
    let mut right = blank.clone();
    let mut listing = false;
    for line in told.lines() {
        if line.starts_with("Sudoers entry:") {
            (right, listing) = (blank.clone(), false);
        } else if let Some(command) = line.strip_prefix('\t').filter(|_| listing) {
            rights.insert(Right { command: command.to_owned(), ..right.clone() });
        } else if let Some(users) = line.trim().strip_prefix("RunAsUsers: ") {
            right.users = users.replace(", ", ",");
        } else if let Some(groups) = line.trim().strip_prefix("RunAsGroups: ") {
            right.groups = groups.replace(", ", ",");
        } else if let Some(options) = line.trim().strip_prefix("Options: ") {
            right.tags = options.split(", ").map(str::to_owned).collect();
        } else if line.trim() == "Commands:" {
            listing = true;
        }
    }
    rights
}

/// What the probe's items say that `user` may, by any of `spellings`.
fn of_items(facts: &Value, user: &str, spellings: &[&str]) -> BTreeSet<Right> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let mut rights = BTreeSet::new();
    for item in facts["items"].as_object().unwrap().values().filter(|item| item["way"] == "sudo") {
        if !spellings.contains(&item["who"].as_str().unwrap()) || item["hosts"] == "elsewhere" {
            continue;
        }
        let users = list(&item["as_users"]);
        for grant in item["grants"].as_array().unwrap() {
            if list(&grant["not_for"]).iter().any(|other| spellings.contains(&other.as_str())) {
                continue;
            }
            let option = |tag: &String| match tag.as_str() {
                "NOPASSWD" => "!authenticate".to_owned(),
                "PASSWD" => "authenticate".to_owned(),
                other => other.to_lowercase(),
            };
            let not = if grant["denied"] == true { "!" } else { "" };
            rights.insert(Right {
                users: if users.is_empty() { user.to_owned() } else { users.join(",") },
                groups: list(&item["as_groups"]).join(","),
                tags: list(&grant["tags"]).iter().map(option).collect(),
                command: format!("{not}{}", text(&grant["command"])),
            });
        }
    }
    rights
}

#[test]
fn each_user_may_do_what_sudo_says() {
    let (mut agreed, mut rights) = (0, 0);
    for seed in 0..rounds(60) {
        let policy = policy(&mut Dice::new(seed as u64));
        let root = root(&policy);
        let facts = facts(root.path());
        let script = "for user in root ava otto rhea; do echo \"== $user\"; sudo -n -ll -U \"$user\"; done";
        let told = inside(root.path(), script).ok().stdout;
        let by_user: Vec<&str> = told.split("== ").skip(1).collect();
        for ((user, spellings), told) in USERS.iter().zip(&by_user) {
            assert!(told.starts_with(user), "{told}");
            let (ours, theirs) = (tidy(of_items(&facts, user, spellings)), tidy(of_sudo(told)));
            let (more, less): (Vec<_>, Vec<_>) =
                (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
            assert!(
                more.is_empty() && less.is_empty(),
                "{user}, seed {seed}: only ours {more:#?}
only sudo's {less:#?}
{policy}
{told}"
            );
            rights += theirs.len();
            agreed += 1;
        }
    }
    assert!(rights > 500, "too few rights to compare: {rights}");
    println!("sudo -ll -U: {agreed} of {agreed} users' rights agreed, {rights} rights in all");
}

fn facts(root: &Path) -> Value {
    let ran = run(Command::new(binary("plumbline")).args(["facts", "admins", "--format", "json", "--root"]).arg(root));
    let facts = ran.ok().json()["admins"].clone();
    assert!(facts["items"].get("sudo:").is_none(), "{facts:#}");
    facts
}

/// What the probe says of otto's rules where none may amount to root.
fn amounts(root: &Path) -> bool {
    let baseline = root.join("baseline.yaml");
    let text = "baseline: x\nversion: 1\ntitle: x\nrules:\n  - id: x\n    title: x\n    severity: high\n    why: x\n    fix: x\n    admins: {amounts_to_root: []}\n";
    fs::write(&baseline, text).unwrap();
    let mut check = Command::new(binary("plumbline"));
    check.args(["check", "--format", "json", "--root"]).arg(root).arg("--baseline").arg(&baseline);
    let ran = run(&mut check);
    assert!(ran.code <= 1, "{ran}");
    ran.stdout.contains("amounting to root")
}

/// A rule, what its holder tries in order to become root by it, and whether that comes off: afterwards `/etc/proof` is there
/// (or `/tmp/proof`, where the shell that tried has seen it come off).
const ATTEMPTS: &[(&str, &str, bool)] = &[
    ("/bin/sh", "sudo -n sh -c 'touch /etc/proof'", true),
    ("/bin/sh \"\"", "echo touch /etc/proof | sudo -n sh", true),
    ("/bin/sh /srv/job", "sudo -n sh /srv/job; sudo -n sh -c 'touch /etc/proof'", false),
    ("/usr/bin/env", "sudo -n env touch /etc/proof", true),
    ("/usr/bin/env LC_ALL=C", "sudo -n env LC_ALL=C touch /etc/proof", false),
    ("/usr/bin/find /srv *", "sudo -n find /srv -maxdepth 0 -exec touch /etc/proof ';'", true),
    ("/usr/bin/find /srv -name x", "sudo -n find /srv -name x -exec touch /etc/proof ';'", false),
    ("/usr/bin/tee", "echo x | sudo -n tee /etc/proof", true),
    ("/usr/bin/tee /srv/log", "echo x | sudo -n tee /etc/proof", false),
    ("/usr/bin/", "sudo -n touch /etc/proof", true),
    ("^/usr/bin/t.*$", "sudo -n touch /etc/proof", true),
    ("sudoedit /srv/*", "cd /etc; SUDO_EDITOR='cp /etc/hostname' sudo -n -e '/srv/x' proof", true),
    ("sudoedit /srv/x", "cd /etc; SUDO_EDITOR='cp /etc/hostname' sudo -n -e /srv/x proof", false),
    (
        "/usr/bin/tar",
        "sudo -n tar -cf /dev/null /etc/hostname --checkpoint=1 --checkpoint-action=exec='touch /etc/proof'",
        true,
    ),
    (
        "/usr/bin/tar -cf /dev/null /etc/hostname",
        "sudo -n tar -cf /dev/null /etc/hostname --checkpoint=1 --checkpoint-action=exec='touch /etc/proof'",
        false,
    ),
    (
        "/usr/bin/tar -cf /srv/x /srv/*",
        "sudo -n tar -cf /srv/x /srv/. --checkpoint=1 --checkpoint-action=exec='touch /etc/proof'",
        true,
    ),
    ("/bin/su", "sudo -n su -c 'touch /etc/proof'", true),
    ("/bin/su - rhea", "sudo -n su - rhea -c 'touch /etc/proof'; sudo -n su -c 'touch /etc/proof'", false),
    ("/usr/bin/awk *", "sudo -n awk 'BEGIN { system(\"touch /etc/proof\") }'", true),
    ("/usr/bin/perl", "sudo -n perl -e 'open(F, \">/etc/proof\")'", true),
    ("/bin/chmod", "sudo -n chmod 777 /etc; touch /etc/proof", true),
    ("/bin/chmod 700 /srv/x", "sudo -n chmod 777 /etc; touch /etc/proof", false),
    ("/usr/bin/nice", "sudo -n nice touch /etc/proof", true),
    ("/usr/bin/nice /bin/sh", "echo touch /etc/proof | sudo -n nice /bin/sh", true),
    (
        "/usr/bin/less /etc/hostname",
        "printf '!touch /etc/proof\\nq' | script -qec 'sudo -n less /etc/hostname' /dev/null",
        true,
    ),
    (
        "NOEXEC: /usr/bin/less /etc/hostname",
        "printf '!touch /etc/proof\\nq' | script -qec 'sudo -n less /etc/hostname' /dev/null",
        false,
    ),
    (
        "SETENV: /usr/bin/uptime",
        "sudo -n LD_PRELOAD=/tmp/none.so uptime 2>&1 | grep -q 'LD_PRELOAD cannot be preloaded' && touch /tmp/proof",
        true,
    ),
    (
        "/usr/bin/uptime",
        "sudo -n LD_PRELOAD=/tmp/none.so uptime 2>&1 | grep -q 'LD_PRELOAD cannot be preloaded' && touch /tmp/proof",
        false,
    ),
    (
        "/tmp/otto/run",
        "mkdir -p /tmp/otto; printf '#!/bin/sh\\ntouch /etc/proof\\n' > /tmp/otto/run; chmod 755 /tmp/otto/run; sudo -n /tmp/otto/run",
        true,
    ),
    ("(rhea) ALL", "sudo -n -u rhea touch /etc/proof; sudo -n touch /etc/proof", false),
];

#[test]
fn what_amounts_to_root_does_and_what_is_limited_does_not() {
    let scratch = "mount -t tmpfs x /srv && mkdir /srv/etc && cp -a /etc/. /srv/etc && mount --bind /srv/etc /etc && \
                   mount -t tmpfs x /srv && mount -t tmpfs -o mode=1777 x /tmp && touch /srv/x /srv/job || exit 99; ";
    for (rule, attempt, comes_off) in ATTEMPTS {
        let root = root(&format!("Defaults !authenticate\notto ALL={rule}\n"));
        let script = format!(
            "{scratch}TERM=vt100 setpriv --reuid 1001 --regid 1001 --clear-groups sh -c \"$1\" >/tmp/told 2>&1 </dev/null; \
             [ -e /etc/proof ] || [ -e /tmp/proof ] && echo root || cat /tmp/told"
        );
        let mut command = Command::new("timeout");
        command
            .args(["20", "unshare", "--mount", "sh", "-c", &format!("{MOUNTS}{script}"), "sh"])
            .arg(root.path())
            .arg(attempt);
        let ran = run(&mut command);
        assert_ne!(ran.code, 99, "namespaces and bind mounts need root: run this by `tests/run`\n{ran}");
        assert_eq!(ran.stdout == "root\n", *comes_off, "{rule}: {attempt}\n{ran}");
        assert_eq!(amounts(root.path()), *comes_off, "{rule}");
    }
    println!("rules that amount to root: {0} of {0} agreed with what sudo lets happen", ATTEMPTS.len());
}
