//! The probe on hosts built by hand.

use chrono::NaiveDate;

use super::*;
use crate::finding::Status;
use crate::host::{GapKind, Recorded};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
    git:x:105:105::/var/lib/git:/bin/sh\nava:x:1000:1000:,,,:/home/ava:/bin/bash\notto:x:1001:1001::/home/otto:/bin/zsh\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\ngit:x:105:\nava:x:1000:\notto:x:1001:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\ngit:!:19000::::::\n\
    ava:$y$j9T$secretsalt$secrethash:20000:0:365:7:::\notto:$1$secretsalt$secrethash:10000:0:99999:7:30:20500:\n";

fn host() -> Recorded {
    with(PASSWD, GROUP, SHADOW)
}

fn with(passwd: &str, group: &str, shadow: &str) -> Recorded {
    Recorded::new().file("/etc/passwd", passwd).file("/etc/group", group).file("/etc/shadow", shadow)
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn judged(host: &Recorded, expect: &str) -> Vec<(String, Status, String)> {
    let expect: Expect = serde_yaml::from_str(expect).unwrap();
    expect::check(&expect).unwrap();
    let told = judge::judge(&expect, &collect::collect(host), day("2025-06-01"));
    assert!(!told.is_empty());
    told.into_iter().map(|judgement| (judgement.subject, judgement.status, judgement.observed)).collect()
}

fn wrong(host: &Recorded, expect: &str) -> Vec<String> {
    let told = judged(host, expect);
    assert!(told.iter().all(|(_, status, _)| [Status::Pass, Status::Deviation].contains(status)), "{told:?}");
    told.into_iter().filter(|(_, status, _)| *status == Status::Deviation).map(|(subject, ..)| subject).collect()
}

#[test]
fn no_part_of_a_hash_is_in_facts() {
    let facts = collect::collect(&host());
    let said = serde_json::to_string(&facts.items).unwrap() + &serde_json::to_string(&facts.state).unwrap();
    assert!(said.contains("yescrypt") && !said.contains("secret"), "{said}");
    let facts = collect::collect(&with("a:$6$secretsalt$secrethash:1:1::/:/bin/sh\nb::2:2::/:\n", "", ""));
    let said = serde_json::to_string(&facts.items).unwrap();
    assert!(said.contains(r#""status":"set","algorithm":"sha512""#) && !said.contains("secret"), "{said}");
    assert!(said.contains(r#""status":"empty""#), "{said}");
}

#[test]
fn ages_and_expiry_are_days() {
    let facts = collect::collect(&host());
    let Some(Item::Password(otto)) = facts.items.seen.get("password:otto") else { panic!() };
    assert_eq!((otto.max_days, otto.inactive_days, otto.expires), (Some(99_999), Some(30), Some(day("2026-02-16"))));
    assert_eq!(facts.state.seen.get("changed:ava"), Some(&State::Changed { on: day("2024-10-04") }));
}

#[test]
fn people_are_these_and_no_others() {
    assert_eq!(wrong(&host(), "only: [ava]"), ["user:otto"]);
    assert_eq!(wrong(&host(), "only: ['a*', otto]"), [""; 0]);
    let higher = host().file("/etc/login.defs", "# UID_MIN 5\nUID_MIN\t1001\n");
    assert_eq!(wrong(&higher, "only: [otto]"), [""; 0]);
    assert_eq!(wrong(&host(), "forbidden: [git, 'test*']"), ["user:git"]);
}

#[test]
fn where_a_directory_is_asked_too_no_others_is_unknown() {
    let host = host().file("/etc/nsswitch.conf", "passwd: files sss\n");
    let told = judged(&host, "only: [ava, otto]");
    assert_eq!(told[0].1, Status::Unknown, "{told:?}");
    // What is wrong here is wrong whatever a directory says.
    assert!(
        judged(&host, "only: [ava]")
            .iter()
            .any(|(subject, status, _)| subject == "user:otto" && *status == Status::Deviation)
    );
}

#[test]
fn each_thing_asked_of_passwords_names_who_is_wrong() {
    assert_eq!(wrong(&host(), "empty_passwords: forbidden"), [""; 0]);
    let open = with(PASSWD, GROUP, &SHADOW.replace("git:!:", "git::"));
    assert_eq!(wrong(&open, "empty_passwords: forbidden"), ["password:git"]);
    assert_eq!(wrong(&host(), "hashes: [yescrypt, sha512]"), ["password:otto"]);
    assert_eq!(wrong(&host(), "expire: ['*']"), ["password:ava", "password:daemon", "password:git", "password:root"]);
    assert_eq!(wrong(&host(), "expire: [otto]"), [""; 0]);
    assert_eq!(wrong(&host(), "max_password_age: 365d"), ["password:otto"]);
    assert_eq!(wrong(&host(), "max_password_age: 180d"), ["password:ava", "password:otto"]);
    // Changed 240 days before the day judged.
    let dated = with(PASSWD, GROUP, &SHADOW.replace(":20000:0:365:", ":19800:0:365:"));
    assert_eq!(wrong(&dated, "max_password_age: 365d"), ["password:ava", "password:otto"]);
}

#[test]
fn an_expired_account_is_not_held_to_its_password() {
    let expired = with(PASSWD, GROUP, &SHADOW.replace(":20500:", ":20000:"));
    assert_eq!(wrong(&expired, "hashes: [yescrypt]"), [""; 0]);
}

#[test]
fn names_and_ids_that_stand_twice_are_named() {
    assert_eq!(wrong(&host(), "unique: true"), [""; 0]);
    let twice = with(
        &format!("{PASSWD}ava:x:1002:1002::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"),
        &format!("{GROUP}x:x:105:\n"),
        SHADOW,
    );
    assert_eq!(wrong(&twice, "unique: true"), ["user:ava+", "gid:105", "uid:0"]);
}

#[test]
fn system_accounts_have_no_login_shell() {
    assert_eq!(wrong(&host(), "system_shells: []"), ["user:git"]);
    assert_eq!(wrong(&host(), "system_shells: [git]"), [""; 0]);
    let none = with("sys:x:3:3::/dev:\n", "", "");
    assert_eq!(wrong(&none, "system_shells: []"), ["user:sys"]);
}

#[test]
fn homes_belong_to_their_people() {
    let of = |host: Recorded, home: &str, uid: u32, mode: u32| {
        host.folder(home).with_stat(home, |stat| {
            stat.uid = uid;
            stat.mode = mode;
        })
    };
    let host = of(of(host(), "/home/ava", 1000, 0o770), "/home/otto", 1000, 0o700);
    assert_eq!(wrong(&host, "homes: safe"), ["home:ava", "home:otto"]);
    let host = of(super::tests::host(), "/home/ava", 1000, 0o750);
    assert_eq!(wrong(&host, "homes: safe"), [""; 0]);
}

#[test]
fn policies_and_modules_are_asked_for() {
    let host = host().file("/etc/login.defs", "PASS_MAX_DAYS 99999\nUMASK\t027\n").file(
        "/etc/pam.d/common-password",
        "password requisite \\\n  pam_pwquality.so retry=3 # quality\n#pam_faillock.so\n",
    );
    assert_eq!(
        wrong(&host, "policy: {PASS_MAX_DAYS: {at_most: 365}, UMASK: {one_of: ['027']}}"),
        ["policy:PASS_MAX_DAYS"]
    );
    assert_eq!(wrong(&host, "policy: {PASS_MIN_DAYS: {at_least: 1}}"), ["policy:PASS_MIN_DAYS"]);
    assert_eq!(wrong(&host, "pam: [pam_pwquality.so, pam_faillock.so]"), ["pam:pam_faillock.so"]);
    let facts = collect::collect(&host);
    let Some(Item::Pam { lines }) = facts.items.seen.get("pam:common-password:pam_pwquality.so") else { panic!() };
    assert_eq!(lines, &["password requisite pam_pwquality.so retry=3"]);
}

#[test]
fn what_cannot_be_read_is_unknown_and_never_passes() {
    let denied =
        Recorded::new().file("/etc/passwd", PASSWD).file("/etc/group", GROUP).gap("/etc/shadow", GapKind::Denied);
    for ask in ["empty_passwords: forbidden", "hashes: [sha512]", "expire: [ava]", "max_password_age: 1d"] {
        let told = judged(&denied, ask);
        assert!(told.iter().any(|(_, status, _)| *status == Status::Unknown), "{ask}: {told:?}");
        assert!(told.iter().all(|(_, status, _)| *status != Status::Pass), "{ask}: {told:?}");
    }
    let broken = with("ava:x:1000\nroot:x:0:0::/root:/bin/sh\n", GROUP, SHADOW);
    for ask in ["only: ['*']", "unique: true", "empty_passwords: forbidden", "homes: safe"] {
        assert!(judged(&broken, ask).iter().all(|(_, status, _)| *status == Status::Unknown), "{ask}");
    }
    let torn = with(PASSWD, GROUP, "root:*:x:0:99999:7:::\n");
    assert!(judged(&torn, "empty_passwords: forbidden").iter().any(|(_, status, _)| *status == Status::Unknown));
}

#[test]
fn expectations_that_ask_nothing_are_refused() {
    for (yaml, at) in [
        ("{}", ""),
        ("unique: false", "unique"),
        ("hashes: []", "hashes"),
        ("policy: {UMASK: {}}", "policy.UMASK"),
        ("policy: {COLOUR: {at_most: 1}}", "policy.COLOUR"),
        ("pam: [pam_colour.so]", "pam[0]"),
    ] {
        let expect: Expect = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(expect::check(&expect).unwrap_err().0, at);
    }
    assert!(serde_yaml::from_str::<Expect>("onyl: [ava]").is_err());
}

#[test]
fn a_name_that_stands_a_thousand_times_is_a_gap_and_no_work_without_end() {
    let host = with(&"ava:x:1000:1000::/home/ava:/bin/sh\n".repeat(1_000), GROUP, SHADOW);
    let facts = Accounts::collect(&host);
    let twins = facts.items.seen.keys().filter(|subject| subject.starts_with("user:ava")).count();
    assert!(twins <= 21 && facts.items.gaps.keys().any(|prefix| prefix.starts_with("user:ava")), "{twins}");
    let hostile = with(&"x\n".repeat(500_000), GROUP, SHADOW);
    assert!(judged(&hostile, "only: ['*']").iter().all(|(_, status, _)| *status == Status::Unknown));
}
