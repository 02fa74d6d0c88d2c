//! The probe on hosts built by hand.

use std::collections::BTreeMap;

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::Recorded;
use crate::lifecycle::Lifecycles;
use crate::probes::packages::Packages;

fn host(config: &str) -> Recorded {
    Recorded::new().file("/etc/ssh/sshd_config", config).file("/usr/sbin/sshd", "")
}

fn values(facts: &SshdFacts, subject: &str) -> Vec<String> {
    match facts.items.seen.get(subject) {
        Some(Item::Setting { values, .. }) => values.clone(),
        other => panic!("{subject}: {other:?}"),
    }
}

fn gap(config: &str) -> Option<String> {
    collect(&host(config)).items.gaps.get("").map(ToString::to_string)
}

fn judged(config: &str, expect: &str) -> Vec<(String, Status, String)> {
    let expect: Expect = serde_yaml::from_str(expect).unwrap();
    expect::check(&expect).unwrap();
    let status = "Package: openssh-server\nStatus: install ok installed\nVersion: 1:9.2p1-2\nArchitecture: amd64\n";
    let host = host(config).file("/var/lib/dpkg/status", status);
    let mut all = FactSet::default();
    all.insert("packages", std::sync::Arc::new(Packages::collect(&host)));
    let lifecycles = Lifecycles::shipped().unwrap();
    let context = Context { now: chrono::DateTime::UNIX_EPOCH, facts: &all, lifecycles: &lifecycles };
    let judgements = Sshd::judge(&expect, &collect(&host), &context);
    judgements.into_iter().map(|judgement| (judgement.subject, judgement.status, judgement.observed)).collect()
}

#[test]
fn the_first_value_counts_and_names_have_one_form() {
    let facts = collect(&host(
        "# a comment\n PermitRootLogin without-password\npermitrootlogin yes\nChallengeResponseAuthentication=NO\n\
         LoginGraceTime 1m30s # a minute and a half\nAllowUsers ava otto\nAllowUsers \"with blank\"\nCiphers = aes256-ctr\n",
    ));
    assert_eq!(facts.items.gaps, BTreeMap::new());
    assert_eq!(values(&facts, "set:permitrootlogin"), ["prohibit-password"]);
    assert_eq!(values(&facts, "set:kbdinteractiveauthentication"), ["no"]);
    assert_eq!(values(&facts, "set:logingracetime"), ["90"]);
    assert_eq!(values(&facts, "set:allowusers"), ["ava", "otto", "with blank"]);
    assert_eq!(values(&facts, "set:ciphers"), ["aes256-ctr"]);
}

#[test]
fn included_files_come_where_they_are_included_in_the_order_of_their_names() {
    let host = host("Include sshd_config.d/*.conf\nPasswordAuthentication yes\nMaxAuthTries 6\n")
        .file("/etc/ssh/sshd_config.d/50-cloud.conf", "PasswordAuthentication no\nX11Forwarding yes\n")
        .file("/etc/ssh/sshd_config.d/10-own.conf", "X11Forwarding no\nMatch User otto\nMaxAuthTries 1\n")
        .file("/etc/ssh/sshd_config.d/.hidden.conf", "MaxAuthTries 2\n")
        .file("/etc/ssh/sshd_config.d/60-old.bak", "MaxAuthTries 3\n");
    let facts = collect(&host);
    assert_eq!(values(&facts, "set:passwordauthentication"), ["no"]);
    assert_eq!(values(&facts, "set:x11forwarding"), ["no"]);
    // The block of the included file ended with it.
    assert_eq!(values(&facts, "set:maxauthtries"), ["6"]);
    assert!(facts.items.seen.contains_key("match:user otto"));
}

#[test]
fn blocks_keep_their_order_and_the_first_that_holds_counts() {
    let facts = collect(&host(
        "X11Forwarding no\nMatch Group staff,!interns Address 10.0.0.0/8\n X11Forwarding yes\n AllowTcpForwarding no\n\
         Match User otto\nX11Forwarding no\nAllowTcpForwarding yes\nMatch User otto\n\tMaxSessions 1\nMatch all\nBanner none\n",
    ));
    assert_eq!(facts.items.gaps, BTreeMap::new());
    let Some(Item::Order { blocks }) = facts.items.seen.get("match-order") else { panic!() };
    assert_eq!(blocks.len(), 4);
    assert_eq!(blocks[2], "match:user otto#2");
    let connection = |groups: &[&str], address: &str| Connection {
        user: Some("otto".into()),
        groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
        address: Some(address.parse().unwrap()),
        ..Connection::default()
    };
    let of = |connection: &Connection, keyword: &str| {
        let all = effective(&facts, Some(Version(9, 2)), Some(connection));
        match all.get(keyword).cloned().unwrap() {
            Value::Set(values) | Value::Default(values) => values.join(" "),
            Value::Unknown(why) => why,
        }
    };
    assert_eq!(of(&connection(&["staff"], "10.1.2.3"), "x11forwarding"), "yes");
    assert_eq!(of(&connection(&["staff"], "192.0.2.1"), "x11forwarding"), "no");
    assert_eq!(of(&connection(&["staff", "interns"], "10.1.2.3"), "allowtcpforwarding"), "yes");
    assert_eq!(of(&connection(&[], "10.1.2.3"), "maxsessions"), "1");
    let nobody = Connection { user: Some("otto".into()), ..Connection::default() };
    assert!(of(&nobody, "x11forwarding").contains("not known"));
}

#[test]
fn what_sshd_refuses_is_a_gap() {
    for (config, why) in [
        ("PermitRootLogin maybe\n", "does not know"),
        ("Banner \"/etc/issue\n", "quote"),
        ("MaxAuthTries\n", "no value"),
        ("Match User otto\nPort 23\n", "not allowed within"),
        ("Match Planet earth\n", "not understood"),
        ("Match all User otto\n", "cannot be combined"),
        ("Match Address 10.0.0.1/8\n", "not understood"),
        ("UsePAM yes no\n", "too many"),
    ] {
        let gap = gap(config).unwrap_or_else(|| panic!("accepted: {config}"));
        assert!(gap.contains(why) && gap.contains("line "), "{config}: {gap}");
    }
    assert_eq!(gap("KeywordOfTomorrow yes\nUsePrivilegeSeparation sandbox\n"), None);
}

#[test]
fn files_that_include_themselves_end() {
    let host =
        host("Include sshd_config.d/*\n").file("/etc/ssh/sshd_config.d/a.conf", "Include sshd_config.d/a.conf\n");
    assert!(collect(&host).items.gaps[""].to_string().contains("too deep"));
}

#[test]
fn an_include_elsewhere_is_a_gap() {
    let facts =
        crate::probe::Topic::collect(&crate::probe::Erased::<Sshd>::new(), &host("Include /srv/sshd.conf\n"), &[]);
    let facts: &SshdFacts = facts.downcast_ref().unwrap();
    assert!(facts.items.gaps[""].to_string().contains("outside what this probe may read"));
}

#[test]
fn a_rule_is_asked_of_defaults_and_of_every_match() {
    let found = judged(
        "PermitRootLogin no\nMatch Address 192.0.2.0/24\nPermitRootLogin yes\n",
        "settings: {PermitRootLogin: no, MaxAuthTries: {at_most: 4}, Ciphers: {none_of: ['*-cbc']}}",
    );
    let told: Vec<(&str, Status, &str)> =
        found.iter().map(|(subject, status, observed)| (subject.as_str(), *status, observed.as_str())).collect();
    assert!(told.contains(&("permitrootlogin", Status::Pass, "no")), "{told:?}");
    assert!(told.contains(&("permitrootlogin under match:address 192.0.2.0/24", Status::Deviation, "yes")), "{told:?}");
    assert!(told.contains(&("maxauthtries", Status::Deviation, "6 (the default)")), "{told:?}");
    assert!(told.iter().any(|(subject, status, _)| *subject == "ciphers" && *status == Status::Pass), "{told:?}");
}

#[test]
fn lists_put_together_with_their_default_are_judged_whole() {
    let ask = "settings: {Ciphers: {none_of: ['*-cbc']}}";
    assert_eq!(judged("Ciphers +aes128-cbc\n", ask)[0].1, Status::Deviation);
    assert_eq!(
        judged("Ciphers -aes128-*\n", ask)[0].2,
        "chacha20-poly1305@openssh.com,aes192-ctr,aes256-ctr,aes256-gcm@openssh.com"
    );
    assert_eq!(judged("Ciphers ^aes256-ctr\n", ask)[0].1, Status::Pass);
    assert_eq!(judged("Ciphers +aes*\n", ask)[0].1, Status::Unknown);
}

#[test]
fn no_limit_is_not_at_most_anything() {
    let ask = "settings: {LoginGraceTime: {at_most: 1m}}";
    assert_eq!(judged("LoginGraceTime 0\n", ask)[0].1, Status::Deviation);
    assert_eq!(judged("LoginGraceTime 45\n", ask)[0].1, Status::Pass);
    assert_eq!(judged("", "settings: {Banner: {set: true}}")[0].1, Status::Deviation);
    assert_eq!(judged("Banner /etc/issue.net\n", "settings: {Banner: {set: true}}")[0].1, Status::Pass);
}

#[test]
fn options_of_the_service_make_settings_unknown_unless_they_are_harmless() {
    let with = |options: &str| collect(&host("UsePAM yes\n").file("/etc/default/ssh", options));
    assert!(with("# nothing\nSSHD_OPTS=\n").items.gaps.is_empty());
    assert!(with("SSHD_OPTS=-4\n").items.gaps.is_empty());
    let facts = with("SSHD_OPTS='-o PermitRootLogin=yes'\n");
    assert!(facts.items.gap_for("set:permitrootlogin").is_some());
    assert!(facts.items.seen.contains_key("options:/etc/default/ssh"));
}

#[test]
fn where_there_is_no_server_nothing_applies() {
    let expect: Expect = serde_yaml::from_str("settings: {UsePAM: yes}").unwrap();
    let (all, lifecycles) = (FactSet::default(), Lifecycles::shipped().unwrap());
    let context = Context { now: chrono::DateTime::UNIX_EPOCH, facts: &all, lifecycles: &lifecycles };
    let judge = |host: &Recorded| Sshd::judge(&expect, &collect(host), &context)[0].status;
    assert_eq!(judge(&Recorded::new().file("/etc/passwd", "")), Status::NotApplicable);
    assert_eq!(judge(&Recorded::new().file("/usr/sbin/sshd", "")), Status::Unknown);
    // Set, so that no version is needed; not set, and no package tells the version.
    assert_eq!(judge(&host("UsePAM yes\n")), Status::Pass);
    assert_eq!(judge(&host("")), Status::Unknown);
}

#[test]
fn expectations_that_cannot_hold_are_refused() {
    for (yaml, at) in [
        ("settings: {}", "settings"),
        ("settings: {PermitRootLgin: no}", "settings.PermitRootLgin"),
        ("settings: {PermitRootLogin: maybe}", "settings.PermitRootLogin"),
        ("settings: {MaxAuthTries: {at_most: few}}", "settings.MaxAuthTries.at_most"),
        ("settings: {Banner: {}}", "settings.Banner"),
        ("settings: {UsePAM: yes}\nfor: {}", "for"),
    ] {
        let expect: Expect = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(expect::check(&expect).unwrap_err().0, at);
    }
}

#[test]
fn a_line_or_a_file_without_end_is_a_gap() {
    for hostile in [format!("Banner {}\n", "x".repeat(70_000)), "# x\n".repeat(300_000)] {
        let gap = Sshd::collect(&host(&hostile)).items.whole_gap().cloned().unwrap();
        assert_eq!(gap.kind, GapKind::TooLarge);
    }
}
