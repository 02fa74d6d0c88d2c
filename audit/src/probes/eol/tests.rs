//! Systems and software at their end, by dates made for it.

use chrono::{DateTime, Utc};

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Erased, Topic};
use crate::probes::packages::Packages;

const DATA: &str = r#"
updated: 2026-11-22
foreign: ["*pgdg*"]
products:
  debian:
    name: Debian
    kind: os
    source: https://example.org
    cycles:
      - {cycle: "12", codename: bookworm, ends: {regular: 2026-07-11, lts: 2028-06-30, extended: 2033-06-30}, ships: {postgresql: ["15"], perl: ["5.36"]}}
      - {cycle: "11", codename: bullseye, ends: {regular: 2024-08-14, lts: 2026-08-31}, ships: {postgresql: ["13"]}}
  postgresql:
    name: PostgreSQL
    kind: software
    source: https://example.org
    packages: ["postgresql-{cycle}"]
    cycles:
      - {cycle: "15", ends: {regular: 2027-11-11}}
      - {cycle: "14", ends: {regular: 2026-11-12}}
      - {cycle: "13", ends: {regular: 2025-11-13}}
  perl:
    name: Perl
    kind: software
    source: https://example.org
    packages: [perl-base]
    cycles: [{cycle: "5.36", ends: {regular: 2025-05-27}}]
  httpd:
    name: httpd
    kind: software
    source: https://example.org
    packages: [apache2]
    cycles: [{cycle: "2.4"}]
"#;

const NOW: &str = "2026-11-22T12:00:00Z";
const BOOKWORM: &str = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";
const BULLSEYE: &str = "ID=debian\nVERSION_ID=\"11\"\nVERSION_CODENAME=bullseye\n";

fn host(os: &str, packages: &[(&str, &str)]) -> Recorded {
    let mut status = String::from("Package: base\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n");
    for (name, version) in packages {
        status.push_str(&format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
        ));
    }
    Recorded::new().file("/etc/os-release", os).file("/var/lib/dpkg/status", status)
}

fn judged(yaml: &str, host: &Recorded, now: &str) -> Vec<Judgement> {
    let lifecycles = Lifecycles::parse("test", DATA.as_bytes()).unwrap_or_else(|complaint| panic!("{complaint}"));
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    let mut facts = FactSet::default();
    facts.insert("packages", Erased::<Packages>::new().collect(host, &[]));
    let now: DateTime<Utc> = now.parse().unwrap();
    Eol::judge(&expect, &Eol::collect(host), &Context { now, facts: &facts, lifecycles: &lifecycles })
}

/// `status subject` of each, and the data's date said by each.
fn said(yaml: &str, host: &Recorded) -> Vec<String> {
    let judgements = judged(yaml, host, NOW);
    assert!(!judgements.is_empty());
    judgements.iter().map(|judgement| format!("{} {}", judgement.status, judgement.subject)).collect()
}

#[test]
fn support_is_judged_by_the_channel_one_has() {
    let host = host(BOOKWORM, &[]);
    assert_eq!(said("{products: os, channel: regular}", &host), ["deviation debian:12"]);
    assert_eq!(said("{products: os, channel: lts}", &host), ["pass debian:12"]);
    assert_eq!(said("{products: os}", &host), ["pass debian:12"]);
    let judgement = judged("{products: os}", &host, NOW).remove(0);
    assert_eq!(judgement.expected, "supported, channel lts");
    assert_eq!(
        judgement.observed,
        "Debian 12 (bookworm): lts support ends on 2028-06-30; dates of 2026-11-22, less than a month old"
    );
}

#[test]
fn what_is_past_its_last_day_deviates_and_on_it_does_not() {
    let host = host(BULLSEYE, &[]);
    for (now, status) in [
        ("2026-08-31T23:59:59Z", Status::Pass),
        ("2026-09-01T00:00:00Z", Status::Deviation),
        ("2030-01-01T00:00:00Z", Status::Deviation),
    ] {
        assert_eq!(judged("{products: os}", &host, now)[0].status, status, "{now}");
    }
    let judgement = judged("{products: os}", &host, NOW).remove(0);
    assert!(judgement.observed.starts_with("Debian 11 (bullseye): lts support ended on 2026-08-31"), "{judgement:?}");
}

#[test]
fn a_warning_reaches_further_than_today() {
    let host = host(BULLSEYE, &[]);
    for (now, status) in [
        ("2026-06-01T00:00:00Z", Status::Pass),
        ("2026-06-02T00:00:00Z", Status::Pass),
        ("2026-06-03T00:00:00Z", Status::Deviation),
        ("2026-09-01T00:00:00Z", Status::Deviation),
    ] {
        assert_eq!(judged("{products: os, warn: 90d}", &host, now)[0].status, status, "{now}");
    }
    assert_eq!(
        judged("{products: os, warn: 90d}", &host, NOW)[0].expected,
        "supported for another 90 days, channel lts"
    );
}

#[test]
fn a_system_nobody_has_dates_for_is_unknown() {
    for os in [
        "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux forky/sid\"\n",
        "ID=debian\nVERSION_ID=14\n",
        "ID=raspbian\nID_LIKE=debian\nVERSION_ID=12\n",
        "ID=postgresql\nVERSION_ID=15\n",
        "ID=x\nSUPPORT_END=soon\n",
    ] {
        let judgement = judged("{products: os}", &host(os, &[]), NOW).remove(0);
        assert_eq!(judgement.status, Status::Unknown, "{os}: {judgement:?}");
        assert!(judgement.observed.contains("dates of 2026-11-22"), "{judgement:?}");
    }
    let unseen = judged("{products: os}", &Recorded::new(), NOW).remove(0);
    assert_eq!((unseen.status, unseen.subject.as_str()), (Status::Unknown, "os"));
    let denied = Recorded::new().gap("/etc/os-release", GapKind::Denied).file("/usr/lib/os-release", BOOKWORM);
    assert_eq!(judged("{products: os}", &denied, NOW)[0].status, Status::Unknown);
}

#[test]
fn a_system_that_states_its_own_end_is_judged_by_it() {
    let host = host("ID=fedora\nVERSION_ID=44\nSUPPORT_END=2027-05-19\n", &[]);
    let judgement = judged("{products: os}", &host, NOW).remove(0);
    assert_eq!((judgement.status, judgement.subject.as_str()), (Status::Pass, "fedora:44"));
    assert!(judgement.observed.contains("as its os-release says"), "{judgement:?}");
    assert_eq!(judged("{products: os}", &host, "2027-05-20T00:00:00Z")[0].status, Status::Deviation);
}

#[test]
fn the_data_decides_and_the_host_is_heard_where_it_is_silent() {
    let csv = "version,codename,series,created,release,eol,eol-lts,eol-elts\n\
        12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-07-11,2040-06-30,2033-06-30\n\
        14,Forky,forky,2025-08-09,2027-08-01,2030-08-01,2032-06-30,2037-06-30\n";
    let with = |os: &str| host(os, &[]).file("/usr/share/distro-info/debian.csv", csv);
    let known = judged("{products: os}", &with(BOOKWORM), "2029-01-01T00:00:00Z").remove(0);
    assert_eq!(known.status, Status::Deviation, "{known:?}");
    let differs =
        "Debian 12 (bookworm) (its distro-info-data says 2040-06-30 for lts): lts support ended on 2028-06-30";
    assert!(known.observed.starts_with(differs), "{known:?}");
    let forky = "ID=debian\nVERSION_ID=14\nSUPPORT_END=2030-08-02\n";
    for (channel, status) in [("regular", Status::Deviation), ("lts", Status::Pass)] {
        let newer =
            judged(&format!("{{products: os, channel: {channel}}}"), &with(forky), "2031-01-01T00:00:00Z").remove(0);
        assert_eq!((newer.status, newer.subject.as_str()), (status, "debian:14"), "{newer:?}");
        assert!(newer.observed.contains("as the host's distro-info-data says"), "{newer:?}");
    }
    let agreed =
        judged("{products: os}", &host("ID=debian\nVERSION_ID=12\nSUPPORT_END=2028-06-30\n", &[]), NOW).remove(0);
    assert!(agreed.observed.starts_with("Debian 12 (bookworm): "), "{agreed:?}");
}

#[test]
fn distro_info_that_cannot_be_read_is_a_gap_and_the_data_still_decides() {
    let csv = "/usr/share/distro-info/debian.csv";
    let host = host(BOOKWORM, &[]).file(csv, "version,eol\n12,soon\n");
    let facts = Eol::collect(&host);
    assert_eq!(facts.state.gaps["distro-info"].what, format!("{csv}:2"));
    assert_eq!(judged("{products: os}", &host, NOW)[0].status, Status::Pass);
}

#[test]
fn software_nobody_said_who_maintains_is_not_called_ended() {
    let host = host(BULLSEYE, &[("perl-base", "5.36.0-7"), ("apache2", "2.4.65-1")]);
    assert_eq!(said("products: software", &host), ["pass httpd:2.4", "unknown perl:5.36"]);
    let judgement = judged("products: [perl]", &host, NOW).remove(0);
    assert!(
        judgement.observed.contains("ended on 2025-05-27; whether Debian 11 (bullseye) maintains it"),
        "{judgement:?}"
    );
    assert_eq!(said("{products: [perl], software: maker}", &host), ["deviation perl:5.36"]);
    assert_eq!(judged("products: [perl]", &host, "2025-01-01T00:00:00Z")[0].status, Status::Pass);
}

#[test]
fn the_names_packages_have_say_product_and_cycle() {
    let lifecycles = Lifecycles::shipped().unwrap();
    for (name, version, expected) in [
        ("postgresql-16", "16.4-1", "postgresql:16"),
        ("postgresql16-server", "16.4-1PGDG.rhel9", "postgresql:16"),
        ("postgresql16", "16.4-r0", "postgresql:16"),
        ("php8.2-common", "8.2.29-1~deb12u1", "php:8.2"),
        ("php8.2", "8.2.29-1~deb12u1", "php:8.2"),
        ("php83", "8.3.20-r0", "php:8.3"),
        ("php-cli", "2:8.2+93", "php:8.2"),
        ("python3.11-minimal", "3.11.2-6+deb12u6", "python:3.11"),
        ("python3.11", "3.11.2-6+deb12u6", "python:3.11"),
        ("python3", "3.11.2-1+b1", "python:3.11"),
        ("python39", "3.9.20-1.module+el8", "python:3.9"),
        ("openjdk-17-jre-headless", "17.0.15+6-1~deb12u1", "openjdk:17"),
        ("openjdk17-jre", "17.0.15_p6-r0", "openjdk:17"),
        ("java-17-openjdk-headless", "1:17.0.15.0.6-2.el9", "openjdk:17"),
        ("java-1.8.0-openjdk", "1:1.8.0.452.b09-2.el9", "openjdk:8"),
        ("temurin-21-jre", "21.0.7.0.0+6-0", "openjdk:21"),
        ("nodejs", "20.20.2-1nodesource1", "nodejs:20"),
        ("libssl3", "3.0.17-1~deb12u2", "openssl:3.0"),
        ("libssl1.1", "1.1.1w-0+deb11u3", "openssl:1.1.1"),
        ("openssl-libs", "1:3.0.7-28.el9", "openssl:3.0"),
        ("linux-image-6.1.0-18-amd64", "6.1.76-1", "linux:6.1"),
        ("linux-image-6.12.100+deb12-amd64", "6.12.100-1", "linux:6.12"),
        ("linux-lts", "6.12.40-r0", "linux:6.12"),
        ("docker-ce", "5:27.5.1-1~debian.12~bookworm", "docker:27"),
        ("containerd.io", "1.7.27-1", "containerd:1.7"),
        ("dotnet-runtime-8.0", "8.0.19-1", "dotnet:8"),
        ("mariadb-server", "1:10.11.11-0+deb12u1", "mariadb:10.11"),
        ("mysql-community-server", "8.4.6-1debian12", "mysql:8.4"),
        ("golang-1.19-go", "1.19.8-2", "go:1.19"),
        ("ruby3.1", "3.1.2-7+deb12u1", "ruby:3.1"),
        ("ceph-common", "16.2.15+ds-0+deb12u2", "ceph:16"),
        ("salt-minion", "3006.9", "salt:3006"),
        ("httpd", "2.4.62-4.el9", "apache:2.4"),
    ] {
        let mut facts = FactSet::default();
        let package = host(BOOKWORM, &[(name, version)]);
        facts.insert("packages", Erased::<Packages>::new().collect(&package, &[]));
        let expect: Expect = serde_yaml::from_str("products: software").unwrap();
        let context = Context { now: NOW.parse().unwrap(), facts: &facts, lifecycles: &lifecycles };
        let judgements = Eol::judge(&expect, &Eol::collect(&package), &context);
        let subjects: Vec<&str> = judgements.iter().map(|judgement| judgement.subject.as_str()).collect();
        assert_eq!(subjects, [expected], "{name} {version}");
    }
}

#[test]
fn what_the_distribution_ships_lives_as_long_as_its_channel() {
    let host =
        host(BOOKWORM, &[("postgresql-15", "15.14-0+deb12u1"), ("perl-base", "5.36.0-7"), ("apache2", "2.4.65-1")]);
    assert_eq!(said("products: software", &host), ["pass httpd:2.4", "pass perl:5.36", "pass postgresql:15"]);
    let judgements = judged("products: software", &host, NOW);
    assert!(
        judgements[1].observed.starts_with(
            "Perl 5.36 (perl-base), maintained by Debian 12 (bookworm), its maker's support ended on 2025-05-27: lts support ends on 2028-06-30"
        ),
        "{judgements:?}"
    );
    assert_eq!(
        said("{products: software, channel: regular}", &host),
        ["pass httpd:2.4", "deviation perl:5.36", "deviation postgresql:15"]
    );
}

#[test]
fn the_makers_end_of_life_can_be_asked_for() {
    let host = host(BOOKWORM, &[("postgresql-15", "15.14-0+deb12u1"), ("perl-base", "5.36.0-7")]);
    assert_eq!(said("{products: software, software: maker}", &host), ["deviation perl:5.36", "pass postgresql:15"]);
}

#[test]
fn what_comes_from_elsewhere_is_judged_by_its_maker() {
    let shipped = host(BULLSEYE, &[("postgresql-13", "13.22-0+deb11u1")]);
    let judgement = judged("products: software", &shipped, "2026-01-01T00:00:00Z").remove(0);
    assert_eq!(judgement.status, Status::Pass, "{judgement:?}");
    let foreign = host(BULLSEYE, &[("postgresql-13", "13.22-1.pgdg110+1")]);
    let judgement = judged("products: software", &foreign, "2026-01-01T00:00:00Z").remove(0);
    assert_eq!(judgement.status, Status::Deviation, "{judgement:?}");
    let other = host(BULLSEYE, &[("postgresql-14", "14.1-1")]);
    assert!(judged("products: software", &other, NOW)[0].observed.contains("by its maker"));
}

#[test]
fn a_version_nobody_has_dates_for_is_unknown_and_each_cycle_is_said_once() {
    let host = host(BOOKWORM, &[("postgresql-14", "14.1-1"), ("postgresql-99", "99.1-1"), ("perl-base", "5.99.1-1")]);
    assert_eq!(
        said("products: software", &host),
        ["unknown perl:5.99", "deviation postgresql:14", "unknown postgresql:99"]
    );
}

#[test]
fn products_can_be_asked_for_by_name() {
    let host = host(BOOKWORM, &[("postgresql-14", "14.1-1"), ("perl-base", "5.36.0-7")]);
    assert_eq!(said("products: [os, postgresql]", &host), ["pass debian:12", "deviation postgresql:14"]);
    assert_eq!(said("products: [httpd]", &host), ["not-applicable httpd"]);
    let judgement = judged("products: [postgres]", &host, NOW).remove(0);
    assert_eq!(judgement.status, Status::Unknown);
    assert!(judgement.observed.contains("did you mean `postgresql`?"), "{judgement:?}");
}

#[test]
fn packages_that_cannot_be_seen_leave_software_unknown() {
    let hidden = Recorded::new().file("/etc/os-release", BOOKWORM);
    assert_eq!(said("{}", &hidden), ["pass debian:12", "unknown software"]);
    assert_eq!(said("products: [httpd]", &hidden), ["unknown software"]);
    let bare = host(BOOKWORM, &[]);
    assert_eq!(said("products: software", &bare), ["pass software"]);
}

#[test]
fn old_dates_are_a_finding_of_their_own() {
    let host = host(BOOKWORM, &[]);
    let asked = "{products: [], data_age: 180d}";
    for (now, status) in [("2027-05-21T00:00:00Z", Status::Pass), ("2027-05-22T00:00:00Z", Status::Deviation)] {
        let judgements = judged(asked, &host, now);
        assert_eq!((judgements.len(), judgements[0].status), (1, status), "{now}");
        assert_eq!(judgements[0].observed, "dates of 2026-11-22, 6 months old");
    }
}

#[test]
fn facts_say_what_the_system_calls_itself_and_nothing_of_today() {
    let facts = Eol::collect(&host(BOOKWORM, &[]));
    assert!(facts.items.seen.is_empty() && facts.items.gaps.is_empty());
    assert_eq!(
        serde_json::to_string(&facts.state).unwrap(),
        r#"{"seen":{"os":{"id":"debian","version":"12","codename":"bookworm"}}}"#
    );
    let shared = Recorded::new().file("/usr/lib/os-release", BOOKWORM);
    assert_eq!(Eol::collect(&shared).state, facts.state);
}
