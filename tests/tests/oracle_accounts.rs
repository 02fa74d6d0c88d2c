//! The accounts probe against the shadow suite and the C library: `getent` says who there is, `passwd -S -a` and `chage -l`
//! what their passwords are, `pwck` and `grpck` what stands twice. Generated files are read by the tools in a mount
//! namespace of their own, and by the probe as a recorded host.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use audit::facts::FactSet;
use audit::host::Recorded;
use audit::lifecycle::Lifecycles;
use audit::probe::{Context, Probe as _};
use audit::probes::accounts::{AccountFacts, Accounts, Item, State};
use chrono::{NaiveDate, Utc};
use plumbline_tests::processes::run;
use plumbline_tests::rounds;
use tempfile::TempDir;

const FIELDS: [&str; 10] = [
    "*",
    "!",
    "!!",
    "!*",
    "",
    "$y$j9T$abcdefgh$abcdefghijklmnop",
    "$6$abcdefgh$abcdefghijklmnop",
    "!$5$abcdefgh$abcdefghijklmnop",
    "$1$abcdefgh$abcdefghijklmnop",
    "abJnggxhB/yWI",
];

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 40).unwrap() % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

struct Files {
    passwd: String,
    shadow: String,
    group: String,
    gshadow: String,
}

fn generate(seed: u64) -> Files {
    let mut numbers = Numbers(seed);
    let mut files = Files {
        passwd: "root:x:0:0:root:/root:/bin/bash\n".into(),
        shadow: "root:*:19000:0:99999:7:::\n".into(),
        group: "root:x:0:\n".into(),
        gshadow: "root:*::\n".into(),
    };
    for number in 0..12 {
        let name = format!("u{}", if numbers.below(12) == 0 { 0 } else { number });
        let uid = if numbers.below(8) == 0 { 1000 } else { 900 + numbers.below(300) };
        let shell = numbers.one(&["/bin/bash", "/usr/sbin/nologin", ""]);
        files.passwd.push_str(&format!("{name}:x:{uid}:{}::/:{shell}\n", 100 + number));
        let field = numbers.one(&FIELDS);
        let days = |numbers: &mut Numbers| match numbers.below(3) {
            0 => String::new(),
            _ => numbers.below(400).to_string(),
        };
        let changed = if numbers.below(5) == 0 { String::new() } else { (19_000 + numbers.below(1500)).to_string() };
        let (min, max, warn) = (days(&mut numbers), days(&mut numbers), days(&mut numbers));
        let inactive = days(&mut numbers);
        let expires = if numbers.below(2) == 0 { String::new() } else { (19_000 + numbers.below(4000)).to_string() };
        if numbers.below(12) != 0 {
            files.shadow.push_str(&format!("{name}:{field}:{changed}:{min}:{max}:{warn}:{inactive}:{expires}:\n"));
        }
        let group = format!("g{}", if numbers.below(12) == 0 { 0 } else { number });
        files.group.push_str(&format!("{group}:x:{}:\n", 100 + number));
        files.gshadow.push_str(&format!("{group}:*::\n"));
    }
    files
}

/// What the tools say in a namespace where these are the accounts.
fn ask(files: &Files, script: &str) -> String {
    let folder = TempDir::with_prefix("plumbline-accounts-").unwrap();
    let texts =
        [("passwd", &files.passwd), ("shadow", &files.shadow), ("group", &files.group), ("gshadow", &files.gshadow)];
    for (name, text) in texts {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let script = format!(
        "export LC_ALL=C; for file in passwd shadow group gshadow; do touch /etc/$file; mount --bind \"$1/$file\" /etc/$file || exit 9; done; {script}"
    );
    run(Command::new("unshare").args(["--mount", "sh", "-c", &script, "sh"]).arg(folder.path())).ok().stdout
}

fn recorded(files: &Files) -> AccountFacts {
    let host = Recorded::new()
        .file("/etc/passwd", &files.passwd)
        .file("/etc/shadow", &files.shadow)
        .file("/etc/group", &files.group);
    Accounts::collect(&host)
}

/// The words of `passwd -S` for an account: status, last change, ages.
fn status(facts: &AccountFacts, name: &str) -> String {
    let Some(Item::Password(password)) = facts.items.seen.get(&format!("password:{name}")) else {
        panic!("no password of {name}");
    };
    let json = serde_json::to_value(password).unwrap();
    let status = match json["status"].as_str().unwrap() {
        "locked" => "L",
        "empty" => "NP",
        "set" | "unusable" => "P",
        other => panic!("{other}"),
    };
    let changed = match facts.state.seen.get(&format!("changed:{name}")) {
        Some(State::Changed { on }) => on.format("%Y-%m-%d").to_string(),
        _ => "never".to_owned(),
    };
    let days = |days: Option<i64>| days.unwrap_or(-1).to_string();
    let ages = [password.min_days, password.max_days, password.warn_days, password.inactive_days].map(days);
    format!("{name} {status} {changed} {}", ages.join(" "))
}

/// A day as `chage -l` writes it.
fn written(day: Option<NaiveDate>) -> String {
    day.map_or("never".to_owned(), |day| day.format("%b %d, %Y").to_string())
}

#[test]
fn generated_accounts_are_what_the_tools_say() {
    let (mut users, mut statuses, mut expiries, mut checks) = (0, 0, 0, 0);
    for seed in 0..rounds(40) {
        let files = generate(seed as u64);
        let facts = recorded(&files);
        assert!(facts.items.gaps.is_empty(), "{:?}", facts.items.gaps);
        let said = ask(
            &files,
            "getent -s files passwd; echo ---; passwd -S -a; echo ---; \
             for user in $(cut -d: -f1 /etc/shadow | sort -u); do echo \"$user:$(chage -l $user | sed -n 's/^Account expires[^:]*: //p')\"; done; \
             echo ---; pwck -r; echo ---; grpck -r; true",
        );
        let parts: Vec<&str> = said.split("---\n").collect();
        let [passwd, status_lines, expiry, pwck, grpck] = parts.as_slice() else { panic!("{said}") };

        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let again = seen.entry(fields[0]).or_default();
            let subject = format!("user:{}{}", fields[0], "+".repeat(*again));
            *again += 1;
            let Some(Item::User { uid, gid, home, shell }) = facts.items.seen.get(&subject) else {
                panic!("{subject}")
            };
            let ours = format!("{uid}:{gid}:{home}:{shell}");
            assert_eq!(ours, format!("{}:{}:{}:{}", fields[2], fields[3], fields[5], fields[6]), "seed {seed}");
            users += 1;
        }
        assert_eq!(
            seen.values().sum::<usize>(),
            facts.items.seen.keys().filter(|key| key.starts_with("user:")).count()
        );

        let shadowed: BTreeSet<&str> = files.shadow.lines().filter_map(|line| line.split(':').next()).collect();
        for line in status_lines.lines() {
            let name = line.split(' ').next().unwrap();
            if shadowed.contains(name) {
                let line = line.replace(" 1970-01-01 ", " never ");
                assert_eq!(status(&facts, name), line, "seed {seed}\n{}", files.shadow);
                statuses += 1;
            }
        }
        for line in expiry.lines() {
            let (name, told) = line.split_once(':').unwrap();
            if let Some(Item::Password(password)) = facts.items.seen.get(&format!("password:{name}")) {
                assert_eq!(written(password.expires), told, "seed {seed}: {name}\n{}", files.shadow);
                expiries += 1;
            }
        }
        let twice = judged(&facts);
        for (told, prefix) in [(pwck, "user:"), (grpck, "group:")] {
            let theirs = told.contains("duplicate password entry") || told.contains("duplicate group entry");
            assert_eq!(
                twice.iter().any(|subject| subject.starts_with(prefix)),
                theirs,
                "seed {seed}\n{told}\n{twice:?}"
            );
            checks += 1;
        }
    }
    println!(
        "{users} of {users} accounts agreed with getent, {statuses} of {statuses} passwords with passwd -S, \
         {expiries} of {expiries} expiries with chage -l, {checks} of {checks} files with pwck and grpck"
    );
}

/// The subjects that `unique` finds wrong.
fn judged(facts: &AccountFacts) -> Vec<String> {
    let (all, lifecycles) = (FactSet::default(), Lifecycles::shipped().unwrap());
    let context = Context { now: Utc::now(), facts: &all, lifecycles: &lifecycles };
    let expect = serde_yaml::from_str("unique: true").unwrap();
    let told = Accounts::judge(&expect, facts, &context);
    told.into_iter().filter(|told| told.status == audit::finding::Status::Deviation).map(|told| told.subject).collect()
}

#[test]
fn this_machines_accounts_are_what_the_tools_say() {
    let read = |path: &str| std::fs::read(path).unwrap();
    let host = Recorded::new()
        .file("/etc/passwd", read("/etc/passwd"))
        .file("/etc/shadow", read("/etc/shadow"))
        .file("/etc/group", read("/etc/group"));
    let facts = Accounts::collect(&host);
    let told = run(Command::new("passwd").args(["-S", "-a"]).env("LC_ALL", "C")).ok().stdout;
    for line in told.lines() {
        assert_eq!(status(&facts, line.split(' ').next().unwrap()), line);
    }
    assert!(told.lines().count() > 5);
    println!("{0} of {0} passwords of this machine agreed", told.lines().count());
}
