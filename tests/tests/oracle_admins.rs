//! The admins probe against sudo's own reader: `visudo -c` says which files are sound, `cvtsudoers -e` what they mean,
//! and the C library who is in which group.
//!
//! What visudo refuses must be a gap, what it accepts must be understood, and the probe's items, read by the built
//! `plumbline facts`, must say what cvtsudoers says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use plumbline_tests::processes::{Ran, binary, run};
use plumbline_tests::rounds;
use serde_json::Value;
use tempfile::TempDir;

mod oracle_admins {
    pub mod corpus;
    pub mod generate;
    pub mod meaning;
}

use oracle_admins::corpus::CORPUS;
use oracle_admins::generate::Generator;
use oracle_admins::meaning::{Meaning, of_cvtsudoers, of_items};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nava:x:1000:1000::/home/ava:/bin/bash\n";
const GROUP: &str = "root:x:0:\nsudo:x:27:ava\n";

/// A root file system with nothing but accounts and a policy.
struct Root(TempDir);

impl Root {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = TempDir::with_prefix("plumbline-sudoers-").unwrap();
        for (path, content) in [("etc/passwd", PASSWD.as_bytes()), ("etc/group", GROUP.as_bytes())].iter().chain(files)
        {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
        }
        run(Command::new("chmod").args(["-R", "go-w"]).arg(folder.path())).ok();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn facts(&self) -> Value {
        let ran = run(Command::new(binary("plumbline"))
            .args(["facts", "admins", "--format", "json", "--root"])
            .arg(self.path()));
        ran.ok().json()["admins"].clone()
    }

    /// Whether sudo accepts the policy, with what visudo said.
    fn sound(&self) -> (bool, Ran) {
        let ran = run(Command::new("visudo").args(["-c", "-f"]).arg(self.path().join("etc/sudoers")));
        // A cycle is only a warning to visudo; sudo then matches nothing by it. To us it is a line not understood.
        (ran.code == 0 && !ran.stderr.contains("cycle in"), ran)
    }

    /// What sudo makes of it, aliases taken apart if `expand`.
    fn meaning(&self, expand: bool) -> Meaning {
        let expand = if expand { &["-e"][..] } else { &[] };
        let ran =
            run(Command::new("cvtsudoers").args(expand).args(["-f", "json"]).arg(self.path().join("etc/sudoers")));
        of_cvtsudoers(&ran.ok().stdout)
    }
}

/// Compares the two readings of one policy; answers whether sudo accepts it.
fn agree(name: &str, root: &Root) -> bool {
    let (sound, said) = root.sound();
    let facts = root.facts();
    let gap = facts["items"].get("sudo:");
    let text = std::fs::read_to_string(root.path().join("etc/sudoers")).unwrap_or_default();
    assert_eq!(gap.is_none(), sound, "sound for one only: {name}\n{text}\n{said}\n{gap:?}");
    // cvtsudoers leaves out an alias nobody defined, which sudo takes for a name: there it is asked without expanding,
    // and can be compared where there is nothing to expand.
    let undefined = said.stderr.contains("referenced but not defined");
    if sound && !(undefined && text.contains("_Alias")) {
        let (ours, theirs) = (of_items(&facts["items"]), root.meaning(!undefined));
        assert_eq!(ours.but(&theirs), theirs.but(&ours), "ours is left, sudo's right: {name}\n{text}");
    }
    sound
}

#[test]
fn every_file_of_the_corpus_means_what_sudo_says() {
    assert!(CORPUS.len() >= 40);
    for (name, text) in CORPUS {
        // One file holds bytes that are no UTF-8: Latin-1 written as such.
        let bytes: Vec<u8> = if name.ends_with("not-utf8") {
            text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
        } else {
            text.as_bytes().to_vec()
        };
        let root = Root::with(&[("etc/sudoers", &bytes)]);
        if name.ends_with("not-utf8") {
            // cvtsudoers writes JSON that is no UTF-8 here; the names are compared by hand.
            assert!(root.sound().0);
            let items = root.facts()["items"].clone();
            assert_eq!(items["sudo:caf\\xe9:ALL:(root)"]["grants"][0]["command"], "/bin/\\xe9 \\xfc", "{items:#}");
            continue;
        }
        assert_eq!(agree(name, &root), name.starts_with("ok/"), "{name} is not what its name says");
    }
}

#[test]
fn generated_policies_mean_what_sudo_says() {
    let (mut sound, mut refused) = (0, 0);
    for seed in 0..rounds(300) {
        let text = Generator::new(seed as u64).policy();
        let root = Root::with(&[("etc/sudoers", text.as_bytes())]);
        if agree(&format!("seed {seed}"), &root) {
            sound += 1;
        } else {
            refused += 1;
        }
    }
    assert!(
        sound > refused && sound >= 150,
        "the generator writes too few sound policies: {sound} of {}",
        sound + refused
    );
}

/// One byte of a sound policy lost, doubled or replaced: what sudo then refuses must be a gap, what it still accepts must
/// still mean the same to both.
#[test]
fn damaged_policies_are_refused_where_sudo_refuses_them() {
    let (mut sound, mut refused) = (0, 0);
    for seed in 0..rounds(300) {
        let mut generator = Generator::new(1_000_000 + seed as u64);
        let text = generator.policy();
        let damaged = generator.damage(&text);
        let root = Root::with(&[("etc/sudoers", damaged.as_bytes())]);
        let (_, said) = root.sound();
        // We do not check names and values of settings, and do not compile patterns: said in the probe's documentation.
        let settings = [
            "unknown defaults",
            "invalid for option",
            "value specified for",
            "no value specified",
            "regular expression",
            "Unmatched",
            "Invalid ",
            "Trailing backslash",
        ];
        if settings.iter().any(|known| said.stderr.contains(known) || said.stdout.contains(known)) {
            continue;
        }
        if agree(&format!("damaged seed {seed}"), &root) {
            sound += 1;
        } else {
            refused += 1;
        }
    }
    assert!(sound > 20 && refused > 20, "{sound} sound, {refused} refused");
}

#[test]
fn included_files_mean_what_sudo_says() {
    let root = Root::with(&[
        (
            "etc/sudoers",
            b"ava ALL=/first\n@include sudoers.local\n@includedir sudoers.d\n#include sudoers.old\nA ALL=/last\n",
        ),
        ("etc/sudoers.local", b"User_Alias A = ava, otto\nava ALL=NOPASSWD: /local"),
        ("etc/sudoers.old", b"ava ALL=/old\n"),
        ("etc/sudoers.d/20-b", b"ava ALL=/b\n"),
        ("etc/sudoers.d/10-a", b"ava ALL=/a\n@include ../sudoers.d/nested/c\n"),
        ("etc/sudoers.d/backup~", b"ava ALL=/backup\n"),
        ("etc/sudoers.d/x.dpkg-old", b"ava ALL=/dpkg\n"),
        ("etc/sudoers.d/.hidden", b"ava ALL=/hidden\n"),
        ("etc/sudoers.d/nested/c", b"ava ALL=/c\n"),
    ]);
    // The climbing include is outside what the probe may read, and said to be.
    let facts = root.facts();
    assert!(facts["items"]["sudo:"]["gap"]["detail"].as_str().unwrap().contains("outside"), "{facts:#}");
    std::fs::write(root.path().join("etc/sudoers.d/10-a"), "ava ALL=/a\n@include nested/c\n").unwrap();
    assert!(agree("includes", &root));
    let commands = of_items(&root.facts()["items"]).commands("ava");
    assert_eq!(commands, ["/first", "/local", "/a", "/c", "/b", "/old", "/last"]);
}

#[test]
fn members_of_groups_are_those_the_c_library_knows() {
    let users = ["root", "ava", "otto", "rhea", "toor", "deploy"];
    let passwd = "root:x:0:0::/:/bin/sh\nava:x:1000:1000::/:/bin/sh\notto:x:1001:27::/:/bin/sh\nrhea:x:1002:1002::/:/bin/sh\n\
                  toor:x:0:0::/:/bin/sh\ndeploy:x:1003:200::/:/bin/sh\n";
    let group = "root:x:0:\nadm:x:4:rhea\nsudo:x:27:ava,rhea,rhea\nsudo2:x:27:deploy\ndba:x:200:ava\ndocker:x:300:otto\nwheel:x:301:\n";
    let sudoers = b"%dba ALL=ALL\n";
    let root =
        Root::with(&[("etc/passwd", passwd.as_bytes()), ("etc/group", group.as_bytes()), ("etc/sudoers", sudoers)]);
    // `id` in a mount namespace of its own, where these are the accounts.
    let script = "mount --bind \"$1/etc/passwd\" /etc/passwd && mount --bind \"$1/etc/group\" /etc/group && shift && \
                  for user; do echo \"$user $(id -Gn \"$user\")\"; done";
    let mut id = Command::new("unshare");
    id.args(["--mount", "sh", "-c", script, "sh"]).arg(root.path()).args(users);
    let told = run(&mut id).ok().stdout;
    let watched = ["root", "adm", "sudo", "dba", "docker", "wheel"];
    let mut wanted = BTreeSet::new();
    for line in told.lines() {
        let (user, groups) = line.split_once(' ').unwrap();
        wanted.extend(groups.split(' ').filter(|group| watched.contains(group)).map(|group| format!("{group}:{user}")));
    }
    assert!(wanted.len() >= 8, "{told}");
    assert_eq!(members(&root.facts()), wanted);
}

#[test]
fn members_of_this_machines_groups_are_those_the_c_library_knows() {
    let facts = run(Command::new(binary("plumbline")).args(["facts", "admins"])).ok().json()["admins"].clone();
    let passwd = run(Command::new("getent").arg("passwd")).ok().stdout;
    let watched: BTreeSet<String> = facts["state"]
        .as_object()
        .unwrap()
        .keys()
        .filter_map(|key| key.strip_prefix("group:"))
        .map(str::to_owned)
        .collect();
    assert!(watched.contains("root"), "{facts:#}");
    let mut wanted = BTreeSet::new();
    let mut uid0 = BTreeSet::new();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let groups = run(Command::new("id").arg("-Gn").arg(fields[0])).ok().stdout;
        wanted.extend(
            groups
                .split_whitespace()
                .filter(|group| watched.contains(*group))
                .map(|group| format!("{group}:{}", fields[0])),
        );
        if fields[2] == "0" {
            uid0.insert(format!("uid0:{}", fields[0]));
        }
    }
    assert_eq!(members(&facts), wanted);
    let seen: BTreeSet<String> =
        facts["items"].as_object().unwrap().keys().filter(|key| key.starts_with("uid0:")).cloned().collect();
    assert_eq!(seen, uid0);
}

fn members(facts: &Value) -> BTreeSet<String> {
    let prefixed =
        |key: &String| ["group:", "sudo-group:"].iter().find_map(|prefix| key.strip_prefix(prefix)).map(str::to_owned);
    facts["items"].as_object().unwrap().keys().filter_map(prefixed).collect()
}

#[test]
fn this_machines_policy_is_understood() {
    // With -f, visudo judges the text alone; without it the modes of the files too.
    let sound = run(Command::new("visudo").args(["-c", "-f", "/etc/sudoers"])).code == 0;
    let facts = run(Command::new(binary("plumbline")).args(["facts", "admins"])).ok().json()["admins"].clone();
    assert_eq!(facts["items"].get("sudo:").is_none(), sound, "{facts:#}");
    let ran = run(Command::new("cvtsudoers").args(["-e", "-f", "json", "/etc/sudoers"]));
    let meant: BTreeMap<_, _> = of_cvtsudoers(&ran.ok().stdout).rules;
    assert!(!meant.is_empty());
    assert_eq!(of_items(&facts["items"]).rules, meant);
}
