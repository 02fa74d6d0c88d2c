//! Services on hosts made by hand.

use super::*;
use crate::finding::Status;
use crate::host::{Declared, Recorded};

const TARGET: &str = "[Install]\nWantedBy=multi-user.target\n";

fn debian() -> Recorded {
    Recorded::new()
        .file("/usr/lib/systemd/systemd", "ELF")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/systemd/system/ssh.service", format!("[Unit]\n{TARGET}Alias=sshd.service\n"))
        .file("/usr/lib/systemd/system/debug-shell.service", TARGET)
        .file("/usr/lib/systemd/system/quiet.service", "[Service]\nExecStart=/bin/true\n")
        .file("/usr/lib/systemd/system/getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n")
        .symlink("/usr/lib/systemd/system/sysinit.target.wants/quiet.service", "../quiet.service")
        .symlink("/usr/lib/systemd/system/autovt@.service", "getty@.service")
        .symlink("/etc/systemd/system/multi-user.target.wants/ssh.service", "/lib/systemd/system/ssh.service")
        .symlink("/etc/systemd/system/sshd.service", "/lib/systemd/system/ssh.service")
        .symlink("/etc/systemd/system/getty.target.wants/getty@tty1.service", "/lib/systemd/system/getty@.service")
}

/// Held to what the probe declared.
fn observed(host: &Recorded) -> Facts<Unit, Running> {
    Services::collect(&Declared::new(host, Services::READS, Services::ASKS))
}

fn enablement(host: &Recorded, name: &str) -> &'static str {
    let facts = observed(host);
    assert_eq!(facts.items.gaps, BTreeMap::new());
    facts.items.seen.get(name).and_then(|unit| unit.enablement).map_or("", Enablement::name)
}

fn judged(yaml: &str, host: &Recorded) -> Vec<(Status, String, String)> {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    check(&expect).unwrap();
    let told = judge::judge(&expect, &observed(host));
    told.into_iter().map(|one| (one.status, one.subject, one.observed)).collect()
}

fn check(expect: &Expect) -> Result<(), (String, String)> {
    Services::check_expectation(expect)
}

fn only_status(yaml: &str, host: &Recorded) -> (Status, String) {
    let judged = judged(yaml, host);
    assert_eq!(judged.len(), 1, "{judged:?}");
    (judged[0].0, judged[0].1.clone())
}

#[test]
fn enablement_is_decided_by_links() {
    let host = debian();
    for (name, expected) in [
        ("ssh.service", "enabled"),
        ("sshd.service", "alias"),
        ("debug-shell.service", "disabled"),
        ("quiet.service", "static"),
        ("getty@.service", "enabled"),
        ("getty@tty1.service", "enabled"),
        ("autovt@.service", "alias"),
    ] {
        assert_eq!(enablement(&host, name), expected, "{name}");
    }
}

#[test]
fn a_mask_is_a_link_to_nothing_and_an_empty_file_is_one() {
    let host = debian()
        .symlink("/etc/systemd/system/debug-shell.service", "/dev/null")
        .file("/etc/systemd/system/quiet.service", "")
        .symlink("/run/systemd/system/other.service", "/dev/null");
    assert_eq!(enablement(&host, "debug-shell.service"), "masked");
    assert_eq!(enablement(&host, "quiet.service"), "masked");
    assert_eq!(enablement(&host, "other.service"), "masked-runtime");
}

#[test]
fn an_own_unit_takes_an_installed_ones_place_and_says_where_it_stands() {
    let host = debian().file("/etc/systemd/system/quiet.service", "[Service]\nEnvironment=TOKEN=hunter2\n");
    let facts = observed(&host);
    let unit = &facts.items.seen["quiet.service"];
    assert_eq!(unit.file.as_deref(), Some("/etc/systemd/system/quiet.service"));
    assert!(unit.digest.is_some());
    assert!(!serde_json::to_string(&facts.items).unwrap().contains("hunter2"));
    assert_eq!(judged("overrides: []", &host).iter().map(|one| one.1.as_str()).collect::<Vec<_>>(), ["quiet.service"]);
    assert_eq!(only_status("overrides: [quiet]", &host).0, Status::Pass);
}

#[test]
fn drop_ins_belong_to_their_unit_and_the_strongest_of_a_name_counts() {
    let host = debian()
        .file("/etc/systemd/system/ssh.service.d/a.conf", "[Service]\nUser=x\n")
        .file("/usr/lib/systemd/system/ssh.service.d/a.conf", "[Service]\n")
        .file("/usr/lib/systemd/system/service.d/b.conf", "[Service]\n")
        .file("/etc/systemd/system/gone.service.d/c.conf", "[Service]\n");
    let facts = observed(&host);
    let ssh = &facts.items.seen["ssh.service"];
    assert_eq!(ssh.drop_ins.keys().collect::<Vec<_>>(), ["/etc/systemd/system/ssh.service.d/a.conf"]);
    assert_eq!(facts.items.seen["service.d"].drop_ins.len(), 1);
    assert_eq!(Services::say(&facts.items.seen["gone.service"]).split(',').next(), Some("not installed"));
    let changed = judged("overrides: [ssh]", &host);
    assert_eq!(changed.iter().map(|one| one.1.as_str()).collect::<Vec<_>>(), ["gone.service"]);
}

#[test]
fn an_install_section_in_a_drop_in_counts() {
    let host = debian().file("/etc/systemd/system/quiet.service.d/a.conf", TARGET);
    assert_eq!(enablement(&host, "quiet.service"), "disabled");
}

#[test]
fn a_link_to_what_is_gone_is_bad_and_starts_nothing() {
    let host = debian().symlink("/etc/systemd/system/gone.service", "/opt/gone.service");
    assert_eq!(enablement(&host, "gone.service"), "bad");
    assert_eq!(only_status("enabled: [gone]", &host).0, Status::Deviation);
}

#[test]
fn a_link_to_the_same_name_in_a_weaker_folder_is_bad() {
    let host = debian().symlink("/etc/systemd/system/ssh.service", "/lib/systemd/system/ssh.service");
    assert_eq!(enablement(&host, "ssh.service"), "bad");
    let other_kind = debian().symlink("/etc/systemd/system/a.socket", "/lib/systemd/system/ssh.service");
    assert_eq!(enablement(&other_kind, "a.socket"), "bad");
}

#[test]
fn what_is_wanted_and_not_installed_starts_nothing() {
    let host =
        debian().symlink("/etc/systemd/system/a.target.wants/gone@x.service", "/lib/systemd/system/gone@.service");
    let facts = observed(&host);
    let gone = &facts.items.seen["gone@x.service"];
    assert_eq!((gone.enablement, gone.by.len()), (None, 1));
    assert_eq!(only_status("enabled: [gone@x]", &host).0, Status::Deviation);
}

#[test]
fn a_wants_link_to_nothing_hides_weaker_ones_of_its_name() {
    let host = debian().symlink("/etc/systemd/system/sysinit.target.wants/quiet.service", "/dev/null");
    assert!(observed(&host).items.seen["quiet.service"].by.is_empty());
    assert_eq!(observed(&debian()).items.seen["quiet.service"].by.len(), 1);
}

#[test]
fn a_drop_in_may_be_hidden_and_one_that_leads_nowhere_makes_the_unit_bad() {
    let hidden = debian()
        .symlink("/etc/systemd/system/ssh.service.d/a.conf", "/dev/null")
        .file("/usr/lib/systemd/system/ssh.service.d/a.conf", "[Install]\nAlso=nonsense\n");
    assert_eq!(enablement(&hidden, "ssh.service"), "enabled");
    let facts = observed(&hidden);
    assert_eq!(facts.items.seen["ssh.service"].drop_ins["/etc/systemd/system/ssh.service.d/a.conf"], Digest::of(b""));
    let chained = debian()
        .symlink("/etc/systemd/system/ssh.service.d/a.conf", "../other.service")
        .symlink("/etc/systemd/system/other.service", "/dev/null")
        .file("/usr/lib/systemd/system/ssh.service.d/a.conf", "[Install]\nAlso=nonsense\n");
    assert_eq!(enablement(&chained, "ssh.service"), "enabled");
    let astray = debian().symlink("/etc/systemd/system/ssh.service.d/a.conf", "/opt/none");
    assert_eq!(enablement(&astray, "ssh.service"), "bad");
}

#[test]
fn an_instance_with_drop_ins_of_its_own_is_decided_by_its_template() {
    let host = debian().file("/etc/systemd/system/getty@tty9.service.d/a.conf", "[Service]\n");
    assert_eq!(enablement(&host, "getty@tty9.service"), "disabled");
}

#[test]
fn a_loop_of_links_ends() {
    let host = debian()
        .symlink("/etc/systemd/system/a.service", "b.service")
        .symlink("/etc/systemd/system/b.service", "a.service");
    assert_eq!(enablement(&host, "a.service"), "bad");
}

#[test]
fn a_unit_from_elsewhere_is_linked() {
    let host = debian()
        .symlink("/etc/systemd/system/own.service", "/opt/own.service")
        .file("/etc/systemd/system/own.service", TARGET);
    assert_eq!(enablement(&host, "own.service"), "linked");
}

#[test]
fn required_services_start_and_run() {
    let host =
        debian().answer(Question::Units, r#"[["ssh.service","active","running"],["x.service","failed","failed"]]"#);
    assert_eq!(only_status("enabled: [sshd]", &host), (Status::Pass, "ssh.service".into()));
    assert_eq!(only_status("enabled: [quiet]", &host).0, Status::Pass, "wanted by an installed folder");
    assert_eq!(only_status("enabled: [debug-shell]", &host).0, Status::Deviation);
    assert_eq!(only_status("enabled: [\"{rsyslog,ssh}.service\"]", &host).0, Status::Pass);
    assert_eq!(only_status("running: [ssh]", &host).0, Status::Pass);
    assert_eq!(only_status("running: [sshd]", &host), (Status::Pass, "ssh.service".into()));
    assert_eq!(only_status("running: [x]", &host), (Status::Deviation, "x.service".into()));
    assert_eq!(only_status("failed: []", &host), (Status::Deviation, "x.service".into()));
    assert_eq!(only_status("failed: [x]", &host).0, Status::Pass);
    assert_eq!(only_status("only_running: [\"*d.service\"]", &host), (Status::Deviation, "ssh.service".into()));
}

#[test]
fn what_is_forbidden_neither_starts_nor_runs() {
    let host = debian().answer(Question::Units, r#"[["debug-shell.service","active","running"]]"#);
    assert_eq!(only_status("forbidden: [debug-shell]", &host), (Status::Deviation, "debug-shell.service".into()));
    assert_eq!(only_status("forbidden: [ssh]", &host), (Status::Deviation, "ssh.service".into()));
    assert_eq!(only_status("forbidden: [telnet.socket]", &host).0, Status::Pass);
    let blind = debian().refuse(Question::Units, GapKind::Denied);
    assert_eq!(only_status("forbidden: [telnet.socket]", &blind).0, Status::Unknown);
    let resting = debian().refuse(Question::Units, GapKind::NotLive);
    assert_eq!(only_status("forbidden: [telnet.socket]", &resting).0, Status::Pass);
    assert_eq!(only_status("running: [ssh]", &resting).0, Status::NotApplicable);
    assert_eq!(only_status("failed: []", &resting).0, Status::NotApplicable);
}

#[test]
fn these_and_no_others_are_enabled() {
    assert_eq!(only_status("only: [ssh]", &debian()).1, "getty@tty1.service");
    let judged = judged("only: [ssh, \"getty@*\"]", &debian());
    assert_eq!(judged.len(), 1);
    assert_eq!(judged[0].0, Status::Pass, "{judged:?}");
}

#[test]
fn an_unreadable_folder_is_unknown_and_never_a_pass() {
    let host = debian().gap("/etc/systemd/system", GapKind::Denied);
    for rule in ["forbidden: [telnet.socket]", "only: [\"*\"]", "overrides: []", "masked: [debug-shell]"] {
        assert_eq!(only_status(rule, &host).0, Status::Unknown, "{rule}");
    }
}

#[test]
fn an_unreadable_unit_hides_itself_alone() {
    let host = debian().gap("/usr/lib/systemd/system/debug-shell.service", GapKind::Denied);
    assert_eq!(only_status("enabled: [debug-shell]", &host).0, Status::Unknown);
    assert_eq!(only_status("enabled: [ssh]", &host).0, Status::Pass);
}

#[test]
fn scripts_count_where_systemd_is_not_or_has_no_unit_of_the_name() {
    let host = Recorded::new()
        .file("/etc/init.d/ssh", "#!/bin/sh\n")
        .file("/etc/init.d/idle", "#!/bin/sh\n")
        .symlink("/etc/rc2.d/S01ssh", "../init.d/ssh")
        .symlink("/etc/rc0.d/K01ssh", "../init.d/ssh");
    assert_eq!(only_status("enabled: [ssh]", &host), (Status::Pass, "sysv:ssh".into()));
    assert_eq!(only_status("enabled: [idle]", &host).0, Status::Deviation);
    assert_eq!(only_status("only: [cron]", &host), (Status::Deviation, "sysv:ssh".into()));
    let both = debian().file("/etc/init.d/ssh", "#!/bin/sh\n").file("/etc/init.d/old", "#!/bin/sh\n");
    let facts = observed(&both);
    assert!(facts.items.seen.contains_key("sysv:old") && !facts.items.seen.contains_key("sysv:ssh"));
}

#[test]
fn without_systemd_and_scripts_nothing_applies() {
    assert_eq!(only_status("failed: []", &Recorded::new()).0, Status::NotApplicable);
}

#[test]
fn an_expectation_that_asks_nothing_is_refused() {
    for yaml in ["{}", "enabled: []", "only: []"] {
        assert!(check(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
    for yaml in ["enabled: [\"a b\"]", "enable: [ssh]", "forbidden: [\"[\"]"] {
        assert!(serde_yaml::from_str::<Expect>(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn an_answer_that_is_no_list_of_units_is_a_gap() {
    let facts = observed(&debian().answer(Question::Units, "nonsense"));
    assert_eq!(facts.state.whole_gap().unwrap().kind, GapKind::Malformed);
}

#[test]
fn sessions_and_what_is_being_started_are_no_state() {
    let answer = r#"[["user@0.service","active","running"],["a.service","activating","start"],["b.service","activating","auto-restart"],["c.service","active","exited"]]"#;
    let facts = observed(&debian().answer(Question::Units, answer));
    let seen: Vec<_> = facts.state.seen.iter().map(|(name, state)| (name.as_str(), state.name())).collect();
    assert_eq!(seen, [("b.service", "restarting"), ("c.service", "exited")]);
}
