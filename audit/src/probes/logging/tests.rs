//! Logging on hosts made by hand.

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{Declared, GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probes::services::Services;

fn observed(host: &Recorded) -> Facts<Item, State> {
    Logging::collect(&Declared::new(host, Logging::READS, Logging::ASKS))
}

fn told(host: &Recorded) -> Vec<String> {
    let items = observed(host).items;
    assert_eq!(items.gaps, BTreeMap::new());
    items.seen.iter().map(|(subject, item)| format!("{subject} {}", Logging::say(item))).collect()
}

fn status(yaml: &str, host: &Recorded) -> Status {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Logging::check_expectation(&expect).unwrap();
    let mut facts = FactSet::default();
    facts.insert("services", std::sync::Arc::new(Services::collect(host)));
    let lifecycles = Lifecycles::shipped().unwrap();
    let context = Context { now: chrono::DateTime::UNIX_EPOCH, facts: &facts, lifecycles: &lifecycles };
    let judged = judge::judge(&expect, &observed(host), &context);
    assert_eq!(judged.len(), 1, "{judged:?}");
    judged[0].status
}

fn debian() -> Recorded {
    Recorded::new()
        .file("/usr/lib/systemd/systemd", "")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/systemd/system/systemd-journald.service", "[Unit]\n")
        .file("/usr/lib/systemd/system/rsyslog.service", "[Install]\nWantedBy=multi-user.target\n")
}

#[test]
fn the_last_drop_in_sets_what_journald_does() {
    let host = debian()
        .file(
            "/etc/systemd/journald.conf",
            "[Journal]\n#Storage=auto\nStorage=volatile\nSeal=no\n[Other]\nStorage=none\n",
        )
        .file("/usr/lib/systemd/journald.conf.d/50-a.conf", "[Journal]\nStorage=none\n")
        .file("/etc/systemd/journald.conf.d/50-a.conf", "[Journal]\nStorage=persistent\nSeal=\n")
        .file("/run/systemd/journald.conf.d/40-b.conf", "[Journal]\nStorage=volatile\n");
    assert_eq!(told(&host), ["journald:Storage persistent (/etc/systemd/journald.conf.d/50-a.conf)"]);
    assert_eq!(status("persistent: true", &host), Status::Pass);
}

#[test]
fn auto_keeps_the_journal_where_its_folder_is() {
    assert_eq!(status("persistent: true", &debian()), Status::Deviation);
    assert_eq!(status("persistent: true", &debian().folder("/var/log/journal")), Status::Pass);
    let with = debian()
        .symlink("/etc/systemd/system/multi-user.target.wants/rsyslog.service", "/lib/systemd/system/rsyslog.service");
    assert_eq!(status("persistent: true", &with), Status::Pass, "rsyslog writes them");
    let denied = debian().gap("/etc/systemd/journald.conf", GapKind::Denied);
    assert_eq!(status("persistent: true", &denied), Status::Unknown);
    assert_eq!(status("persistent: true", &Recorded::new()), Status::NotApplicable);
}

const RSYSLOG: &str = r#"
$DefaultNetstreamDriver gtls
*.* @plain.example.org
*.* @@(o)tcp.example.org:1514;RSYSLOG_ForwardFormat
& @[2001:db8::1]:10514
# *.* @commented.example.org
local0.* -/var/log/x
$ActionSendStreamDriverMode 1
*.info @@tls.example.org:6514
action(type="omfwd" target="Modern.example.org" port="514" # why
       protocol="tcp" StreamDriver="ossl" StreamDriverMode="1")
if $programname == 'x' then { action(type="omfwd" target="cond.example.org" protocol="udp") }
action(type="omrelp" target="relp.example.org" port="2514" tls="on")
action(type="omfile" file="/var/log/@nothing")
/* *.* @@block.example.org */
include(file="/etc/rsyslog.d/*.conf")
"#;

#[test]
fn every_form_of_target_is_found_with_its_encryption() {
    let host = debian()
        .file("/etc/rsyslog.conf", RSYSLOG)
        .file("/etc/rsyslog.d/a.conf", "*.* @@included.example.org\n$IncludeConfig /etc/rsyslog.d/a.conf\n")
        .file("/etc/rsyslog.d/a.off", "*.* @off.example.org\n");
    assert_eq!(
        told(&host),
        [
            "target:[2001:db8::1]:10514/udp rsyslog, in clear text",
            "target:cond.example.org:514/udp rsyslog, in clear text",
            "target:included.example.org:514/tcp rsyslog, by TLS",
            "target:modern.example.org:514/tcp rsyslog, by TLS",
            "target:plain.example.org:514/udp rsyslog, in clear text",
            "target:relp.example.org:2514/relp rsyslog, by TLS",
            "target:tcp.example.org:1514/tcp rsyslog, in clear text",
            "target:tls.example.org:6514/tcp rsyslog, by TLS",
        ]
    );
}

#[test]
fn debians_own_include_is_no_comment() {
    let host = debian()
        .file(
            "/etc/rsyslog.conf",
            "$IncludeConfig /etc/rsyslog.d/*.conf\n/* *.* @old.example.org */\n*.* @b.example.org\n",
        )
        .file("/etc/rsyslog.d/a.conf", "*.* @@a.example.org\n");
    let items = observed(&host).items;
    assert_eq!(items.gaps, BTreeMap::new());
    let targets: Vec<&str> = items.seen.keys().filter_map(|subject| subject.strip_prefix("target:")).collect();
    assert_eq!(targets, ["a.example.org:514/tcp", "b.example.org:514/udp"]);
}

#[test]
fn an_include_that_cannot_be_seen_is_unknown_and_never_a_pass() {
    let host = debian().file("/etc/rsyslog.conf", "$IncludeConfig /opt/x.conf\n");
    for rule in ["encrypted: true", "targets: []", "forwarded: true"] {
        assert_eq!(status(rule, &host), Status::Unknown, "{rule}");
    }
}

#[test]
fn logs_leave_the_host_by_a_daemon_that_starts() {
    let host = debian().file("/etc/rsyslog.conf", "*.* @@logs.example.org\n");
    assert_eq!(status("forwarded: true", &host), Status::Deviation, "not enabled");
    assert_eq!(status("encrypted: true", &host), Status::Deviation);
    assert_eq!(status("targets: [\"logs.example.org:514/tcp\"]", &host), Status::Pass);
    assert_eq!(status("targets: [\"other:*\"]", &host), Status::Deviation);
    let host = host
        .symlink("/etc/systemd/system/multi-user.target.wants/rsyslog.service", "/lib/systemd/system/rsyslog.service");
    assert_eq!(status("forwarded: true", &host), Status::Pass);
    assert_eq!(status("encrypted: true", &debian()), Status::Pass, "sent nowhere");
}

#[test]
fn syslog_ng_and_journal_upload_have_targets_too() {
    let host = debian()
        .file(
            "/etc/syslog-ng/syslog-ng.conf",
            "destination d_net { network(\"logs.example.org\" port(6514) transport(\"tls\")); };\n",
        )
        .file("/etc/syslog-ng/conf.d/a.conf", "destination d_u { udp(\"10.0.0.1\"); };\n")
        .file("/etc/systemd/journal-upload.conf", "[Upload]\nURL=https://up.example.org\n");
    assert_eq!(
        told(&host),
        [
            "target:10.0.0.1:514/udp syslog-ng, in clear text",
            "target:logs.example.org:6514/tcp syslog-ng, by TLS",
            "target:up.example.org:19532/https journal-upload, by TLS",
        ]
    );
}

#[test]
fn audit_rules_are_joined_in_the_order_of_versions() {
    let host = debian()
        .file("/etc/audit/rules.d/10-b.rules", "-D\n-b 8192\n-w  /etc/passwd -p wa   -k identity\n")
        .file("/etc/audit/rules.d/9-a.rules", "# x\n-a never,exit -F auid=1000\n-e 1\n")
        .file("/etc/audit/rules.d/99-finalize.rules", "-e 2\n")
        .file("/etc/audit/rules.d/off", "-w /no\n")
        .file("/etc/audit/audit.rules", "-w /old\n");
    assert_eq!(
        told(&host),
        [
            "audit:-D set",
            "audit:-a never,exit -F auid=1000 rule 1",
            "audit:-b 8192 set",
            "audit:-e 2 set",
            "audit:-w /etc/passwd -p wa -k identity rule 2",
        ]
    );
    assert_eq!(status("audit_immutable: true", &host), Status::Pass);
    assert_eq!(status("audit_rules: [\"-w /etc/passwd *\"]", &host), Status::Pass);
    assert_eq!(status("audit_rules: [\"-w /etc/shadow *\"]", &host), Status::Deviation);
    assert_eq!(status("audit_immutable: true", &debian()), Status::Deviation);
}

#[test]
fn a_log_file_has_no_bit_too_many() {
    let host = debian()
        .file("/var/log/auth.log", "")
        .file("/var/log/wtmp", "")
        .file("/var/log/auth.log.1", "")
        .file("/var/log/x-20270101", "")
        .with_stat("/var/log/auth.log", |stat| stat.mode = 0o640);
    assert_eq!(observed(&host).state.seen.len(), 3);
    assert_eq!(status("{files_at_most: \"0640\", files_except: [wtmp]}", &host), Status::Pass);
    assert_eq!(status("files_at_most: \"0640\"", &host), Status::Deviation);
}

#[test]
fn an_expectation_that_asks_nothing_is_refused() {
    for yaml in ["{}", "persistent: false", "audit_rules: []", "files_except: [x]"] {
        assert!(Logging::check_expectation(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
    for yaml in ["files_at_most: \"640x\"", "files_at_most: \"0688\"", "persist: true"] {
        assert!(serde_yaml::from_str::<Expect>(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn an_object_that_never_ends_is_passed_over() {
    for text in [
        "action(type=\"omfwd\" target=\"x",
        "action(",
        "global(a",
        "include(file=\"/etc/rsyslog.d/\\",
        "/* x",
        "\"",
        "é action(\u{0}",
    ] {
        observed(&debian().file("/etc/rsyslog.conf", text));
    }
}
