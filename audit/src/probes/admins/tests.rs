//! The probe against recorded hosts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Admins, Expect, Item, State, say};
use crate::facts::{FactSet, Facts};
use crate::finding::Status;
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Context, Erased, Expectation, Probe, Topic};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nava:x:1000:1000::/home/ava:/bin/bash\n\
                      otto:x:1001:1001::/home/otto:/bin/sh\nrhea:x:1002:27::/home/rhea:\n";
const GROUP: &str = "root:x:0:\nsudo:x:27:ava\ndba:x:200:otto\ndocker:x:300:\n";

pub(super) fn host() -> Recorded {
    Recorded::new().file("/etc/passwd", PASSWD).file("/etc/group", GROUP)
}

pub(super) fn with(sudoers: &str) -> Recorded {
    host().file("/etc/sudoers", sudoers)
}

pub(super) fn facts(host: &Recorded) -> Facts<Item, State> {
    facts_for(host, &[])
}

fn facts_for(host: &Recorded, rules: &[Expectation]) -> Facts<Item, State> {
    let topic = Erased::<Admins>::new();
    let all = topic.collect(host, rules);
    all.downcast_ref::<Facts<Item, State>>()
        .map(|facts| Facts { items: facts.items.clone(), state: facts.state.clone() })
        .unwrap()
}

/// Items below `prefix` as they are said.
pub(super) fn said(host: &Recorded, prefix: &str) -> BTreeMap<String, String> {
    let facts = facts(host);
    assert!(facts.items.gaps.is_empty(), "{:?}", facts.items.gaps);
    let items = facts.items.seen.iter().filter(|(subject, _)| subject.starts_with(prefix));
    items.map(|(subject, item)| (subject.clone(), say(item))).collect()
}

fn is(host: &Recorded, prefix: &str, wanted: &[(&str, &str)]) {
    let wanted = wanted.iter().map(|(subject, said)| ((*subject).to_owned(), (*said).to_owned())).collect();
    assert_eq!(said(host, prefix), wanted);
}

fn why_hidden(host: &Recorded) -> String {
    why_hidden_by(host, "sudo:")
}

pub(super) fn why_hidden_by(host: &Recorded, prefix: &str) -> String {
    facts(host).items.gaps.get(prefix).map(ToString::to_string).unwrap_or_default()
}

pub(super) fn judge(host: &Recorded, expect: &str) -> Vec<(Status, String, String)> {
    let rule = Erased::<Admins>::new().expectation(serde_yaml::from_str(expect).unwrap()).unwrap();
    let expect: &Expect = rule.downcast_ref().unwrap();
    let lifecycles = Lifecycles::parse("dates", crate::shipped::END_OF_LIFE.as_bytes()).unwrap();
    let context = Context { now: chrono::DateTime::UNIX_EPOCH, facts: &FactSet::default(), lifecycles: &lifecycles };
    let mut judged: Vec<_> = Admins::judge(expect, &facts_for(host, std::slice::from_ref(&rule)), &context)
        .into_iter()
        .map(|judgement| (judgement.status, judgement.subject, judgement.observed))
        .collect();
    judged.sort();
    judged
}

/// The subjects of a judgement that are not right, by status.
pub(super) fn wrong(host: &Recorded, expect: &str) -> Vec<(Status, String)> {
    let judged = judge(host, expect);
    assert!(!judged.is_empty());
    judged
        .into_iter()
        .filter(|(status, ..)| *status != Status::Pass)
        .map(|(status, subject, _)| (status, subject))
        .collect()
}

pub(super) fn deviates(subjects: &[&str]) -> Vec<(Status, String)> {
    subjects.iter().map(|subject| (Status::Deviation, (*subject).to_owned())).collect()
}

#[test]
fn accounts_and_members_are_seen_however_they_belong() {
    let host = host();
    is(&host, "uid0:", &[("uid0:root", "uid 0, shell /bin/bash")]);
    is(&host, "group:sudo", &[("group:sudo:ava", "supplementary member"), ("group:sudo:rhea", "primary member")]);
}

#[test]
fn no_sudoers_is_an_answer() {
    assert!(said(&host(), "sudo").is_empty());
    assert_eq!(wrong(&host(), "only: [root, '%sudo']"), []);
}

#[test]
fn a_group_is_its_id_and_every_line_of_its_name_or_id_adds_members() {
    let host = Recorded::new()
        .file("/etc/passwd", "root:x:0:0::/:\nrhea:x:5:99::/:\n")
        .file("/etc/group", "sudo:x:27:ava,ava\nadmins2:x:27:otto\nsudo:x:99:\n");
    let members: Vec<String> = said(&host, "group:sudo").into_keys().collect();
    assert_eq!(members, ["group:sudo:ava", "group:sudo:otto", "group:sudo:rhea"]);
}

#[test]
fn a_rule_reads_like_sudoers_and_its_tags_carry_over() {
    let host = with("ava ALL=NOPASSWD: /bin/a, /bin/b x\\,y, PASSWD: /bin/c : db=(otto:dba) ALL\nava ALL=() ALL\n");
    is(
        &host,
        "sudo:",
        &[
            ("sudo:ava:ALL:()", "ALL as themselves"),
            ("sudo:ava:ALL:(root)", "NOPASSWD: /bin/a, /bin/b x,y; PASSWD: /bin/c as root"),
            ("sudo:ava:db:(otto:dba)", "ALL as otto:dba"),
        ],
    );
}

#[test]
fn aliases_are_taken_apart_nested_and_negated() {
    let host = with(
        "User_Alias A = ava, B : B = otto, !rhea\nCmnd_Alias C = /bin/a, !D : D = /bin/b\nRunas_Alias R = root, deploy\n\
         Host_Alias H = web, !db\nA H = (R) C\n!A ALL = /bin/z\n",
    );
    is(
        &host,
        "sudo:",
        &[
            ("sudo:ava:web,!db:(root,deploy)", "not for rhea: /bin/a, !/bin/b as root,deploy"),
            ("sudo:otto:web,!db:(root,deploy)", "not for rhea: /bin/a, !/bin/b as root,deploy"),
            ("sudo:rhea:ALL:(root)", "/bin/z as root"),
        ],
    );
}

#[test]
fn an_alias_nobody_defined_is_a_user_and_allows_no_command() {
    is(&with("STAFF ALL=TOOLS\n"), "sudo:", &[("sudo:STAFF:ALL:(root)", "TOOLS as root")]);
    assert_eq!(wrong(&with("STAFF ALL=TOOLS\n"), "only: [root, '%sudo']"), []);
    assert_eq!(wrong(&with("STAFF ALL=/x\n"), "only: [root, '%sudo']"), deviates(&["sudo:STAFF:ALL:(root)"]));
}

#[test]
fn ids_groups_netgroups_and_quoted_names_are_told_apart() {
    let host = with("#1001, %dba, %#27, %:ad, +ng, \"%a b\", \\%x, \"ALL\" ALL = ALL # a comment \\\n");
    let names: Vec<String> = said(&host, "sudo:").into_keys().collect();
    let whos = ["#1001", "%#27", "%:ad", "%a b", "%dba", "+ng", "\\%x", "\\ALL"];
    assert_eq!(names, whos.map(|who| format!("sudo:{who}:ALL:(root)")));
    assert_eq!(said(&host, "sudo-group:").into_keys().collect::<Vec<_>>(), ["sudo-group:dba:otto"]);
}

#[test]
fn defaults_are_kept_by_scope_in_order() {
    is(
        &with(
            "Defaults env_reset, !rootpw, x = \"a b\"\nDefaults:ava,otto !authenticate\nDefaults!/bin/a env_keep += Z\nDefaults env_keep -= Q\nDefaults env_keep+=R\n",
        ),
        "sudo:",
        &[
            ("sudo:Defaults!/bin/a:env_keep", "env_keep+=Z"),
            ("sudo:Defaults:ava,otto:authenticate", "!authenticate"),
            ("sudo:Defaults:env_keep", "env_keep-=Q, env_keep+=R"),
            ("sudo:Defaults:env_reset", "env_reset"),
            ("sudo:Defaults:rootpw", "!rootpw"),
            ("sudo:Defaults:x", "x=a b"),
        ],
    );
}

#[test]
fn a_line_that_is_not_understood_hides_the_rest_but_keeps_what_was_seen() {
    let host = with("ava ALL=ALL\notto ALL bad\nrhea ALL=ALL\n");
    assert_eq!(why_hidden(&host), "/etc/sudoers: line 2: hosts are followed by `=`");
    let facts = facts(&host);
    assert!(
        facts.items.seen.contains_key("sudo:ava:ALL:(root)") && facts.items.seen.contains_key("sudo:rhea:ALL:(root)")
    );
    let judged = wrong(&host, "only: [root, '%sudo', ava, rhea]");
    assert_eq!(
        judged,
        [
            (Status::Unknown, "same-uid".into()),
            (Status::Unknown, "sudo".into()),
            (Status::Unknown, "sudo-group".into())
        ]
    );
}

#[test]
fn includes_are_followed_in_order_and_backups_are_skipped() {
    let host = with("#include sudoers.local\n@includedir /etc/sudoers.d/\n@include /etc/sudoers.%h\n")
        .file("/etc/hostname", "web-1.example\n")
        .file("/etc/sudoers.local", "ava ALL=/bin/1\n")
        .file("/etc/sudoers.d/20", "ava ALL=/bin/3\n")
        .file("/etc/sudoers.d/10", "ava ALL=/bin/2\n")
        .file("/etc/sudoers.d/10.bak", "ava ALL=ALL\n")
        .file("/etc/sudoers.d/10~", "ava ALL=ALL\n")
        .file("/etc/sudoers.d/folder/x", "ava ALL=ALL\n")
        .file("/etc/sudoers.web-1", "ava ALL=/bin/4\n");
    is(&host, "sudo:", &[("sudo:ava:ALL:(root)", "/bin/1, /bin/2, /bin/3, /bin/4 as root")]);
    assert!(facts(&host).state.seen.contains_key("skipped:/etc/sudoers.d/10.bak"));
}

#[test]
fn what_is_included_from_elsewhere_or_from_itself_is_a_gap() {
    assert!(why_hidden(&with("@include /opt/rules\n")).contains("outside what this probe may read"));
    assert!(why_hidden(&with("@include /etc/sudoers.d/../../opt/x\n")).contains("outside what this probe may read"));
    assert!(why_hidden(&with("@include /etc/sudoers\n")).contains("includes itself"));
    assert!(why_hidden(&with("@include /etc/sudoers.none\n")).contains("no such file"));
    assert!(why_hidden(&with("@include /etc/sudoers.%h\n")).contains("name is unknown"));
    assert_eq!(why_hidden(&with("@includedir /etc/sudoers.none\n")), "");
}

#[test]
fn files_that_include_each_other_twice_over_are_bounded() {
    let mut host = with("@include /etc/sudoers.0\n");
    for number in 0..40 {
        let next = number + 1;
        let text = format!("@include /etc/sudoers.{next}\n@include /etc/sudoers.{next}\n");
        host = host.file(&format!("/etc/sudoers.{number}"), text);
    }
    assert!(why_hidden(&host.file("/etc/sudoers.40", "")).contains("more than"));
}

#[test]
fn aliases_that_double_each_other_stay_small_and_those_that_hold_themselves_are_a_gap() {
    let mut sudoers = String::from("User_Alias A0 = ava, otto\n");
    for number in 1..90 {
        let before = number - 1;
        sudoers.push_str(&format!("User_Alias A{number} = A{before}, A{before}, !A{before}, A{before}\n"));
    }
    let host = with(&format!("{sudoers}A89 ALL=ALL\n"));
    assert_eq!(said(&host, "sudo:").len(), 2);
    assert!(why_hidden(&with("User_Alias A = B : B = A\nA ALL=ALL\n")).contains("holds itself"));
    assert!(why_hidden(&with("User_Alias A = x : A = y\n")).contains("defined twice"));
    let deep: String = (1..5000).map(|n| format!("User_Alias A{n} = A{}\n", n - 1)).collect();
    assert!(why_hidden(&with(&format!("User_Alias A0 = x\n{deep}A4999 ALL=ALL\n"))).contains("nested deeper"));
}

#[test]
fn many_users_times_many_commands_are_bounded() {
    let users: Vec<String> = (0..20_000).map(|n| format!("u{n}")).collect();
    let commands: Vec<String> = (0..20_000).map(|n| format!("/c{n}")).collect();
    let host = with(&format!("{} ALL={}\n", users.join(","), commands.join(",")));
    assert!(why_hidden(&host).contains("expand to more than"));
}

#[test]
fn only_names_each_way_that_is_not_covered() {
    let host = with(
        "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n%dba ALL=(postgres) ALL\notto ALL=/bin/less\nALL ALL=(otto) ALL\n",
    );
    assert_eq!(wrong(&host, "only: [root, '%sudo', otto]"), []);
    assert_eq!(
        wrong(&host, "only: [root, ava]"),
        deviates(&["group:sudo:rhea", "sudo:%sudo:ALL:(ALL:ALL)", "sudo:otto:ALL:(root)"])
    );
    let observed = judge(&host, "only: [root, ava]");
    let rule = observed.iter().find(|(_, subject, _)| subject.starts_with("sudo:%sudo")).unwrap();
    assert_eq!(rule.2, "%sudo (members: ava, rhea) may run, full: ALL as ALL:ALL");
    assert!(observed.iter().any(|(_, subject, observed)| {
        subject.starts_with("sudo:otto")
            && observed == "otto may run, amounting to root (less starts a shell on a key): /bin/less as root"
    }));
    assert!(
        observed
            .iter()
            .any(|(status, subject, observed)| { *status == Status::Pass && subject == "uid0" && observed == "root" })
    );
}

#[test]
fn a_member_of_a_group_that_starts_containers_administers_without_any_rule() {
    let host = Recorded::new().file("/etc/passwd", PASSWD).file("/etc/group", "docker:x:300:otto\nadm:x:4:ava\n");
    assert_eq!(wrong(&host, "only: [root]"), deviates(&["group:docker:otto"]));
    assert_eq!(wrong(&host, "only: [root, '%docker']"), []);
    assert_eq!(wrong(&host, "group_members: {docker: [], adm: [ava]}"), deviates(&["group:docker:otto"]));
}

#[test]
fn members_of_a_group_that_a_rule_names_administer() {
    let host = with("%#200 ALL=ALL\n");
    assert_eq!(wrong(&host, "only: [root, '%sudo']"), deviates(&["sudo-group:dba:otto", "sudo:%#200:ALL:(root)"]));
    assert_eq!(wrong(&host, "only: [root, '%sudo', '%dba']"), []);
    assert_eq!(wrong(&host, "group_members: {dba: []}"), deviates(&["sudo-group:dba:otto"]));
    assert_eq!(wrong(&host, "group_members: {mail: []}"), [(Status::Unknown, "group:mail".into())]);
}

#[test]
fn a_second_root_and_a_shared_id_are_administrators() {
    let host = Recorded::new()
        .file("/etc/passwd", format!("{PASSWD}toor:x:0:0::/:/bin/sh\nava2:x:1000:1::/:/bin/sh\nroot:x:0:1::/:/bin/x\n"))
        .file("/etc/group", GROUP);
    assert_eq!(wrong(&host, "uid0: [root]"), deviates(&["uid0:root+", "uid0:toor"]));
    assert_eq!(wrong(&host, "only: [root, toor, 'root+', '%sudo']"), deviates(&["same-uid:ava2"]));
    let ruled = host.file("/etc/sudoers", "otto ALL=(toor) ALL\n");
    let only = "only: [root, toor, 'root+', '%sudo', ava2]";
    assert_eq!(wrong(&ruled, only), deviates(&["sudo:otto:ALL:(toor)"]));
}

#[test]
fn who_can_run_as_root_is_decided_by_the_last_match() {
    let reaches = |runas: &str| !wrong(&with(&format!("otto ALL=({runas}) ALL\n")), "only: [root, '%sudo']").is_empty();
    for yes in ["root", "ALL", "#0", "#000", "ava, root", "%dba", "ALL : ALL", ": docker", "!root, ALL", "+ng"] {
        assert!(reaches(yes), "{yes}");
    }
    for no in ["ava", "", ":", "ALL, !root", ": dba", "root, !root", "#1000"] {
        assert!(!reaches(no), "{no}");
    }
}

#[test]
fn sudo_without_a_password_is_found_in_tags_and_defaults() {
    let host = with(
        "otto ALL=NOPASSWD: /bin/a, PASSWD: /bin/b\nroot ALL=NOPASSWD: ALL\nDefaults:ava !authenticate\nDefaults exempt_group=dba\n",
    );
    let all = ["sudo:Defaults:ava:authenticate", "sudo:Defaults:exempt_group", "sudo:otto:ALL:(root)"];
    assert_eq!(wrong(&host, "nopasswd: forbidden"), deviates(&all));
    assert_eq!(wrong(&host, "nopasswd: [ava, otto, '%dba']"), []);
    assert_eq!(wrong(&with("Defaults !authenticate\n"), "nopasswd: [ava]"), deviates(&["sudo:Defaults:authenticate"]));
}

#[test]
fn an_unreadable_sudoers_is_unknown_and_uid_0_is_judged_all_the_same() {
    let host = host().gap("/etc/sudoers", GapKind::Denied);
    let judged = judge(&host, "only: [root, '%sudo']");
    let statuses: Vec<(Status, &str)> = judged.iter().map(|(status, subject, _)| (*status, subject.as_str())).collect();
    let unknown = Status::Unknown;
    assert_eq!(statuses, [(Status::Pass, "uid0"), (unknown, "same-uid"), (unknown, "sudo"), (unknown, "sudo-group")]);
    assert_eq!(wrong(&host, "uid0: [root]"), []);
    assert_eq!(wrong(&host, "group_members: {sudo: [ava, rhea]}"), []);
    assert_eq!(wrong(&host, "sudoers_files: safe"), [(Status::Unknown, "file".into())]);
}

#[test]
fn users_of_a_directory_are_unknown_and_hide_nothing_that_is_here() {
    let directory =
        host().file("/etc/nsswitch.conf", "passwd: files sss\ngroup: files [SUCCESS=merge] systemd\nsudoers: files\n");
    assert_eq!(wrong(&directory, "uid0: [root]"), [(Status::Unknown, "directory:passwd".into())]);
    assert!(facts(&directory).items.gap_for("uid0:toor").is_none());
    let compat = Recorded::new().file("/etc/passwd", "root:x:0:0::/:\n+::::::\n").file("/etc/group", GROUP);
    assert_eq!(wrong(&compat, "uid0: [root]"), [(Status::Unknown, "directory:passwd".into())]);
    let plain = host().file("/etc/nsswitch.conf", "passwd: files systemd\ngroup: files systemd\nhosts: files dns\n");
    assert_eq!(wrong(&plain, "uid0: [root]"), []);
}

#[test]
fn a_malformed_account_hides_the_others() {
    for line in ["toor:x", "toor:x:zero:0::/:", "toor:x:0x0:0::/:", "toor:x:4294967296:0::/:", ":x:0:0::/:"] {
        let host = Recorded::new().file("/etc/passwd", format!("{PASSWD}{line}\n")).file("/etc/group", GROUP);
        assert_eq!(wrong(&host, "uid0: [root]"), [(Status::Unknown, "uid0".into())], "{line}");
    }
    let host = Recorded::new().file("/etc/passwd", PASSWD).file("/etc/group", "sudo:x:27:ava:otto\n");
    assert_eq!(wrong(&host, "group_members: {sudo: []}"), [(Status::Unknown, "group".into())]);
}

#[test]
fn another_policy_named_in_sudo_conf_is_a_gap() {
    let other = with("").file("/etc/sudo.conf", "# x\nPlugin sudoers_policy sudoers.so sudoers_file=/opt/rules\n");
    assert!(why_hidden(&other).contains("names another policy"));
    let usual = with("").file("/etc/sudo.conf", "Plugin sudoers_policy sudoers.so\nPlugin sudoers_io sudoers.so\n");
    assert_eq!(why_hidden(&usual), "");
}

#[test]
fn a_host_whose_sudoers_is_sound_passes_and_says_what_was_looked_at() {
    let host = with("root ALL=(ALL) ALL\n");
    assert_eq!(judge(&host, "sudoers_files: safe"), [(Status::Pass, "file".into(), "/etc/sudoers".into())]);
}

#[test]
fn expectations_that_say_nothing_or_nonsense_are_refused() {
    let check = |yaml: &str| Erased::<Admins>::new().expectation(serde_yaml::from_str(yaml).unwrap()).map(|_| ());
    for right in ["uid0: [root]", "nopasswd: forbidden", "nopasswd: [deploy]", "only: []"] {
        assert_eq!(check(right), Ok(()), "{right}");
    }
    for wrong in
        ["{}", "onyl: [root]", "nopasswd: allowed", "nopasswd: 3", "uid0: ['%sudo']", "only: ['!ava']", "only: ['']"]
    {
        assert!(check(wrong).is_err(), "{wrong}");
    }
    assert!(check("nopasswd: forbiden").unwrap_err().message.contains("forbidden"));
}

#[test]
fn long_hostile_lines_stay_linear() {
    // Each of these is quadratic in a lexer that forgets what it has searched. Read once it is a moment's work;
    // read quadratically this test does not end.
    for piece in [
        "^,",
        "! ",
        "\\\n",
        "NOPASSWD ",
        "%,",
        "a:",
        "#include x\n",
        "1.1.1.1,",
        "f:,",
        "\"",
        "Defaults@",
        "(",
        "sha224:",
    ] {
        let text = piece.repeat(250_000 / piece.len());
        let _ = super::grammar::parse(text.as_bytes());
        let _ = super::grammar::parse(format!("ava ALL=/bin/x {text}").as_bytes());
    }
}

proptest! {
    // Without optimisation a case costs 50 ms: a quarter of the usual number keeps the suite quick.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(sudoers in proptest::collection::vec(any::<u8>(), 0..400), passwd in proptest::collection::vec(any::<u8>(), 0..200)) {
        let host = Recorded::new().file("/etc/sudoers", &sudoers).file("/etc/passwd", &passwd).file("/etc/group", &passwd);
        let _ = facts(&host);
    }

    #[test]
    fn no_words_of_the_language_make_it_panic(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "ALL", "=", "(", ")", ":", ",", "!", "\\", "\n", "\\\n", "#", "#1", "%", "%a", "+", "\"", "\"x\"", " ", "\t", "Defaults", "Defaults:",
            "@include", "@includedir", "/etc/sudoers", "/bin/x", "^a$", "sudoedit", "NOPASSWD:", "CWD=", "sha224:", "User_Alias", "Cmnd_Alias",
            "A", "B", "1.2.3.4", "fe80::1", "\u{202e}", "\0", "x", "+=", "-=", "env_keep",
        ]), 0..60)) {
        let text = words.concat();
        let facts = facts(&with(&text));
        // Whatever it held, the judgement says something.
        prop_assert!(facts.items.seen.contains_key("uid0:root"));
        let _ = judge(&with(&text), "only: [root]");
    }
}
