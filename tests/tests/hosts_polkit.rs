//! What the probes read in polkit's files against the answers of a real polkitd on a booted Debian host: who may set the clock
//! without an administrator's password (`pkcheck`), and who administers (whom polkit's own agent offers to authenticate as).
//! Needs root.

use std::collections::BTreeSet;
use std::process::Command;

use plumbline_tests::netns::Switch;
use plumbline_tests::nspawn::RealHost;
use plumbline_tests::processes::{binary, run};
use plumbline_tests::root;
use serde_json::Value;

/// The release that has polkitd; see `tests/roots`.
const BUSY: &str = "bookworm-busy";

const BASELINE: &str = "baseline: x\nversion: 1\ntitle: x\nrules:\n  - {id: x, title: x, severity: high, why: x, fix: x, time: {set_by: []}}\n  - {id: y, title: y, severity: high, why: y, fix: y, admins: {polkit: []}}\n";

const OWN: &str = "/etc/polkit-1/rules.d/10-own.rules";
const ACTIONS: [&str; 2] = ["org.freedesktop.timedate1.set-time", "org.freedesktop.timedate1.set-ntp"];
/// Accounts, and their groups.
const USERS: [(&str, &[&str]); 4] = [
    ("otto", &["otto", "ops"]),
    ("ava", &["ava", "sudo"]),
    ("rhea", &["rhea", "ops", "wheel"]),
    ("nobody", &["nogroup"]),
];

#[track_caller]
fn boot(switch: &Switch) -> RealHost {
    let host = RealHost::boot(switch, &root::debian(BUSY), "polkit", &[]);
    host.shell("groupadd ops; groupadd wheel; useradd -G ops otto; useradd -G sudo ava; useradd -G ops,wheel rhea");
    host.write("/root/baseline.yaml", BASELINE.as_bytes());
    host
}

/// The items of a probe of the host's files.
#[track_caller]
fn items(host: &RealHost, probe: &str) -> Value {
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", probe, "--format", "json", "--root"]).arg(host.root());
    run(facts.arg("--baseline").arg(host.root().join("root/baseline.yaml"))).ok().json()[probe]["items"].clone()
}

/// What polkit answers a process of `user` that asks for `action`: `yes`, `no`, or as whom it would have somebody authenticate.
#[track_caller]
fn ask(host: &RealHost, user: &str, action: &str) -> Result<bool, BTreeSet<String>> {
    // The agent waits for a password on its terminal: it is ended once it has said whom it asks.
    let line = format!(
        "cd /; : >/run/said; setsid setpriv --reuid {user} --regid $(id -g {user}) --init-groups \
         script -qefc 'pkcheck --process $$ -u --enable-internal-agent --action-id {action}; echo \"code $?\"' /dev/null \
         </dev/null >/run/said 2>&1 & \
         until grep -qE '^code|Choose identity|Password' /run/said; do sleep 0.02; done; kill $! 2>/dev/null || true; cat /run/said"
    );
    let said = host.shell(&line);
    let who: BTreeSet<String> = said
        .lines()
        .filter_map(|line| {
            line.strip_prefix("Authenticating as: ").or_else(|| line.trim_start().split_once(".  ").map(|(_, who)| who))
        })
        .map(|who| who.split([' ', ',']).next().unwrap().trim().to_owned())
        .collect();
    match said.lines().find_map(|line| line.strip_prefix("code ")).map(str::trim) {
        _ if !who.is_empty() => Err(who),
        Some("0") => Ok(true),
        Some("1") => Ok(false),
        _ => panic!("{user} asks for {action}: {said}"),
    }
}

fn rule(body: &str) -> String {
    format!("polkit.addRule(function(action, subject) {{\n    {body}\n}});\n")
}

fn admin(body: &str) -> String {
    format!("polkit.addAdminRule(function(action, subject) {{\n    {body}\n}});\n")
}

/// Whether one of the probe's ways is open to a user who has no session: `group ops`, `not user otto and group ops`.
fn may(ways: &[&str], user: &str, groups: &[&str]) -> bool {
    let holds = |part: &str| match part.split_once(' ') {
        Some(("user", name)) => name == user,
        Some(("group", name)) => groups.contains(&name),
        Some(("not", rest)) => match rest.split_once(' ') {
            Some(("user", name)) => name != user,
            Some(("group", name)) => !groups.contains(&name),
            _ => panic!("{rest} is not understood here"),
        },
        Some(_) => panic!("{part} is not understood here"),
        None => part == "anybody",
    };
    ways.iter().any(|way| way.split(" and ").all(holds))
}

#[test]
fn who_may_set_the_clock_by_polkit_is_whom_it_asks_for_no_administrator() {
    let switch = Switch::new();
    let host = boot(&switch);
    // Each with the defaults of the action itself.
    let cases = [
        (String::new(), "auth_admin"),
        (String::new(), "yes"),
        (String::new(), "auth_self"),
        (String::new(), "no"),
        (rule("if (subject.isInGroup(\"ops\")) return polkit.Result.YES;"), "auth_admin"),
        (
            rule(
                "if (action.id == \"org.freedesktop.timedate1.set-ntp\" && subject.user == \"otto\") { return polkit.Result.YES; }",
            ),
            "no",
        ),
        (
            rule(
                "if (action.id.indexOf(\"org.freedesktop.timedate1.\") == 0 && subject.user != \"otto\") return polkit.Result.AUTH_SELF;",
            ),
            "auth_admin",
        ),
        (rule("if (action.id.startsWith('org.freedesktop.login1.')) return polkit.Result.YES;"), "auth_admin"),
        (rule("if (subject.active && subject.local) return polkit.Result.YES;"), "auth_admin"),
        (
            rule(
                "if (subject.isInGroup('ops') && !subject.isInGroup('wheel')) return polkit.Result.YES; else return polkit.Result.NO;",
            ),
            "auth_admin",
        ),
        (
            rule("if (subject.user == 'otto' || subject.user == 'ava') return polkit.Result.AUTH_SELF_KEEP;"),
            "auth_admin",
        ),
        (rule("return polkit.Result.NOT_HANDLED;"), "auth_admin"),
        (rule("return null;") + &rule("if (subject.user == 'rhea') { return polkit.Result.YES; }"), "auth_admin"),
        (rule("// nobody\n    return polkit.Result.NO;"), "auth_admin"),
        (rule("return polkit.Result.AUTH_ADMIN;"), "auth_admin"),
    ];
    host.write("/etc/polkit-1/rules.d/05-admin.rules", admin("return ['unix-user:0'];").as_bytes());
    let vendor = "/usr/share/polkit-1/actions/org.freedesktop.timedate1.policy";
    let policy = std::fs::read_to_string(host.root().join(&vendor[1..])).unwrap();
    let (mut agreed, mut asked, mut let_in, mut wrong) = (0, 0, 0, Vec::new());
    for (rules, default) in cases {
        let changed = policy.replace("<allow_any>auth_admin_keep<", &format!("<allow_any>{default}<"));
        host.write(vendor, changed.as_bytes());
        host.write(OWN, rules.as_bytes());
        host.shell("systemctl reset-failed polkit || true; systemctl restart polkit");
        let items = items(&host, "time");
        let items = items.as_object().unwrap();
        assert!(
            items.iter().all(|(name, item)| !name.starts_with("setter:polkit:/") && item["gap"].is_null()),
            "{items:#?}"
        );
        let ways: Vec<&str> = items.keys().filter_map(|name| name.strip_prefix("setter:polkit:")).collect();
        // Ways that ask for a session are none for a process that has none.
        let ways: Vec<&str> =
            ways.into_iter().filter(|way| !way.contains("active") && !way.contains("local")).collect();
        for (user, groups) in [USERS[0], USERS[2], USERS[3]] {
            // Who may set the time may set this too, by the action's own annotation.
            let theirs = match ask(&host, user, ACTIONS[1]) {
                Ok(lets) => lets,
                // By one's own password; the one administrator is root.
                Err(who) => who == BTreeSet::from([user.to_owned()]),
            };
            let ours = may(&ways, user, groups);
            asked += 1;
            let_in += usize::from(theirs);
            if ours == theirs {
                agreed += 1;
            } else {
                wrong.push(format!("{user}: polkit says {theirs}, we {ours} by {ways:?}; default {default}\n{rules}"));
            }
        }
    }
    println!("who may set the clock by polkit: {agreed} of {asked} agreed, {let_in} of them may");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(let_in > 10 && let_in + 10 < asked);
}

#[test]
fn administrators_by_polkit_are_whom_its_agent_offers() {
    let switch = Switch::new();
    let host = boot(&switch);
    let shipped = "/usr/share/polkit-1/rules.d/50-default.rules";
    // Files, and whether the probe is to understand them.
    let cases: [(&[(&str, String)], bool); 11] = [
        (&[], true),
        (&[(OWN, admin("return [\"unix-user:otto\"];"))], true),
        (&[(OWN, admin("return [\"unix-group:ops\", \"unix-user:ava\"];"))], true),
        (&[(OWN, admin("return [\"unix-user:0\"];"))], true),
        (
            &[
                (OWN, admin("return [\"unix-group:wheel\"];")),
                ("/etc/polkit-1/rules.d/05-first.rules", admin("return ['unix-user:rhea', 'unix-user:otto'];")),
            ],
            true,
        ),
        (&[("/etc/polkit-1/rules.d/50-default.rules", admin("return [\"unix-group:ops\"];"))], true),
        (&[(shipped, admin("return [\"unix-group:ops\"];"))], true),
        (&[("/etc/polkit-1/rules.d/60-late.rules", admin("return [\"unix-group:ops\"];"))], true),
        (&[(OWN, rule("return polkit.Result.AUTH_ADMIN;")), (shipped, String::new())], true),
        (&[(OWN, admin("return null;") + &admin("return ['unix-group:wheel'];"))], true),
        (&[(OWN, admin("if (subject.user == 'otto') return ['unix-user:otto']; return ['unix-group:sudo'];"))], false),
    ];
    let groups = host.shell("getent group");
    let default = std::fs::read_to_string(host.root().join(&shipped[1..])).unwrap();
    let (count, mut agreed) = (cases.len(), 0);
    for (files, understood) in cases {
        host.shell("rm -f /etc/polkit-1/rules.d/*");
        host.write(shipped, default.as_bytes());
        for (file, text) in files {
            host.write(file, text.as_bytes());
        }
        host.shell("systemctl reset-failed polkit || true; systemctl restart polkit");
        let theirs = ask(&host, "nobody", ACTIONS[0]).expect_err("it asks for an administrator");
        let items = items(&host, "admins");
        let ours = items["polkit:admins"]["identities"].as_array().cloned();
        assert_eq!(ours.is_some(), understood, "{files:?}: {:#}", items["polkit:admins"]);
        let Some(ours) = ours else { continue };
        let ours: BTreeSet<String> = ours.iter().flat_map(|one| members(one.as_str().unwrap(), &groups)).collect();
        assert_eq!(ours, theirs, "ours is left, polkit's right: {files:?}");
        agreed += 1;
    }
    println!(
        "administrators by polkit: {agreed} of {agreed} agreed; {} more hang on who asks and are unknown",
        count - agreed
    );
}

/// The accounts an identity stands for.
fn members(identity: &str, groups: &str) -> Vec<String> {
    match identity.split_once(':').unwrap() {
        ("unix-user", "0") => vec!["root".into()],
        ("unix-user", user) => vec![user.to_owned()],
        ("unix-group", group) => {
            let line = groups.lines().find(|line| line.split(':').next() == Some(group)).unwrap();
            let members = line.rsplit(':').next().unwrap();
            members.split(',').filter(|user| !user.is_empty()).map(str::to_owned).collect()
        }
        other => panic!("{other:?}"),
    }
}
