//! Protection on hosts made by hand.

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{Declared, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probes::packages::Packages;
use crate::probes::services::Services;

const NOW: i64 = 1_800_000_000;

fn status(yaml: &str, host: &Recorded) -> (Status, String) {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Protection::check_expectation(&expect).unwrap();
    let mut facts = FactSet::default();
    facts.insert("services", std::sync::Arc::new(Services::collect(host)));
    facts.insert("packages", std::sync::Arc::new(Packages::collect(host)));
    let lifecycles = Lifecycles::shipped().unwrap();
    let now = chrono::DateTime::from_timestamp(NOW, 0).unwrap();
    let context = Context { now, facts: &facts, lifecycles: &lifecycles };
    let own = Protection::collect(&Declared::new(host, Protection::READS, Protection::ASKS));
    let judged = judge::judge(&expect, &own, &context);
    assert_eq!(judged.len(), 1, "{judged:?}");
    (judged[0].status, judged[0].observed.clone())
}

fn host(packages: &[&str]) -> Recorded {
    let stanza =
        |name: &&str| format!("Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n");
    Recorded::new()
        .file("/var/lib/dpkg/status", ["base-files"].iter().chain(packages).map(stanza).collect::<String>())
        .file("/usr/lib/systemd/systemd", "")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/systemd/system/x.service", "[Unit]\n")
}

fn falcon(units: &str) -> Recorded {
    host(&["falcon-sensor"])
        .file("/usr/lib/systemd/system/falcon-sensor.service", "[Install]\nWantedBy=multi-user.target\n")
        .symlink(
            "/etc/systemd/system/multi-user.target.wants/falcon-sensor.service",
            "/lib/systemd/system/falcon-sensor.service",
        )
        .answer(Question::Units, units)
}

#[test]
fn an_agent_guards_when_its_unit_starts_and_runs() {
    let running = falcon(r#"[["falcon-sensor.service","active","running"]]"#);
    assert_eq!(status("any_of: [clamav, crowdstrike]", &running).0, Status::Pass);
    assert_eq!(
        status("required: [crowdstrike]", &falcon("[]")),
        (Status::Deviation, "falcon-sensor.service is not active".into())
    );
    let failed = falcon(r#"[["falcon-sensor.service","failed","failed"]]"#);
    assert_eq!(
        status("any_of: [crowdstrike]", &failed),
        (Status::Deviation, "crowdstrike: falcon-sensor.service is failed".into())
    );
    let resting = falcon("[]").refuse(Question::Units, GapKind::NotLive);
    assert_eq!(status("required: [crowdstrike]", &resting).0, Status::Pass);
    let blind = falcon("[]").refuse(Question::Units, GapKind::Denied);
    assert_eq!(status("required: [crowdstrike]", &blind).0, Status::Unknown);
}

#[test]
fn nothing_installed_is_a_deviation_and_a_tool_without_a_unit_counts_by_its_package() {
    assert_eq!(status("any_of: [clamav, defender]", &host(&[])), (Status::Deviation, "none is installed".into()));
    assert_eq!(status("required: [aide]", &host(&["aide"])).0, Status::Pass);
    assert_eq!(status("required: [aide]", &host(&[])).0, Status::Deviation);
    assert_eq!(status("required: [aide]", &Recorded::new()).0, Status::Unknown);
    let idle = host(&["mdatp"]);
    assert_eq!(
        status("required: [defender]", &idle),
        (Status::Deviation, "mdatp is installed, and no unit of it".into())
    );
}

fn definitions(built: i64) -> String {
    format!("{:<512}", format!("ClamAV-VDB:22 Nov 2026 08-34 +0000:27826:2075000:90:aa:bb:builder:{built}"))
}

#[test]
fn definitions_are_dated_by_their_header() {
    let of = |built: i64| host(&[]).file("/var/lib/clamav/daily.cld", definitions(built));
    assert_eq!(
        status("definitions_age: 3d", &of(NOW - 86_400)),
        (Status::Pass, "version 27826, built 1 days ago".into())
    );
    assert_eq!(status("definitions_age: 3d", &of(NOW - 4 * 86_400)).0, Status::Deviation);
    assert_eq!(status("definitions_age: 3d", &of(NOW + 3 * 86_400)).0, Status::Deviation);
    assert_eq!(status("definitions_age: 3d", &host(&[])).0, Status::NotApplicable);
    let without = host(&["clamav-daemon"]);
    assert_eq!(status("definitions_age: 3d", &without).0, Status::Deviation, "ClamAV without definitions");
    let broken = host(&[]).file("/var/lib/clamav/daily.cvd", "nonsense");
    assert_eq!(status("definitions_age: 3d", &broken).0, Status::Unknown);
}

#[test]
fn a_header_without_seconds_is_dated_by_its_text() {
    assert_eq!(clamav::read(b"ClamAV-VDB:01 Jan 1970 00-01 +0000:7:1:1:a:b:c"), Some((7, 60)));
    for wrong in [&b""[..], b"ClamAV-VDB", b"ClamAV-VDB:x:y:z", b"ClamAV-VDB:soon:7:1:1:a:b:c", b"\xff\xff"] {
        assert_eq!(clamav::read(wrong), None);
    }
}

#[test]
fn the_kernel_says_whether_it_enforces() {
    let rule = "mandatory_access: enforced";
    let live = || host(&[]).folder("/sys/kernel");
    assert_eq!(status(rule, &live().file(APPARMOR, "Y\n")).0, Status::Pass);
    assert_eq!(status(rule, &live().file(SELINUX, "0")), (Status::Deviation, "selinux permissive".into()));
    assert_eq!(status(rule, &live()).0, Status::Deviation);
    assert_eq!(status(rule, &live().gap(APPARMOR, GapKind::Denied)).0, Status::Unknown);
    assert_eq!(status(rule, &host(&[])).0, Status::NotApplicable);
    let resting = host(&[]).file("/etc/selinux/config", "# x\nSELINUX=permissive\nSELINUXTYPE=targeted\n");
    assert_eq!(status(rule, &resting), (Status::Deviation, "permissive".into()));
}

#[test]
fn an_agent_nobody_knows_is_refused() {
    for yaml in ["{}", "any_of: []", "required: [norton]"] {
        assert!(Protection::check_expectation(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
    let page = include_str!("../protection.rs");
    for agent in agents::AGENTS {
        assert!(page.contains(agent.name), "{} is not on the page", agent.name);
    }
}
