//! Roles of hosts made by hand.

use super::*;
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;
use crate::probe::{Erased, Topic};
use crate::probes::packages::Packages;
use crate::probes::services::Services;

/// A Debian host at rest with these packages.
fn host(packages: &[&str]) -> Recorded {
    let mut status = String::from("Package: base\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n");
    for name in packages {
        status.push_str(&format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"));
    }
    Recorded::new().file("/var/lib/dpkg/status", status).file("/usr/lib/systemd/systemd", "ELF")
}

fn judged(yaml: &str, host: &Recorded) -> (Status, String) {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Separation::check_expectation(&expect).unwrap();
    let mut facts = FactSet::default();
    facts.insert("packages", Erased::<Packages>::new().collect(host, &[]));
    facts.insert("services", Erased::<Services>::new().collect(host, &[]));
    let lifecycles = Lifecycles::parse("dates", crate::shipped::END_OF_LIFE.as_bytes()).unwrap();
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    let context = Context { now, facts: &facts, lifecycles: &lifecycles };
    let told = Separation::judge(&expect, &Separation::collect(host), &context);
    assert_eq!(told.len(), 1, "{told:?}");
    (told[0].status, told[0].observed.clone())
}

#[test]
fn a_host_that_is_both_deviates_and_says_by_what() {
    let both = host(&["nginx", "php8.2-fpm", "postgresql-15", "postgresql-client-15"]);
    let (status, observed) = judged("apart: true", &both);
    assert_eq!(status, Status::Deviation);
    assert_eq!(
        observed,
        "front end: nginx (package nginx), php-fpm (package php8.2-fpm); back end: postgresql (package postgresql-15)"
    );
    assert_eq!(judged("{apart: true, not_counted: [postgresql]}", &both).0, Status::Pass);
}

#[test]
fn one_role_or_none_is_well() {
    assert_eq!(judged("apart: true", &host(&["nginx", "postgresql-client-15"])).0, Status::Pass);
    assert_eq!(judged("apart: true", &host(&["redis-server", "mariadb-server"])).0, Status::Pass);
    assert_eq!(judged("roles: []", &host(&[])), (Status::Pass, "neither front end nor back end".into()));
    assert_eq!(judged("roles: [front-end]", &host(&["redis-server"])).0, Status::Deviation);
    assert_eq!(judged("roles: [back-end]", &host(&["redis-server"])).0, Status::Pass);
}

#[test]
fn a_unit_tells_what_no_package_does() {
    let host = host(&["postgresql-15"])
        .file("/etc/systemd/system/nginx.service", "[Install]\nWantedBy=multi-user.target\n")
        .symlink("/etc/systemd/system/multi-user.target.wants/nginx.service", "/etc/systemd/system/nginx.service");
    let (status, observed) = judged("apart: true", &host);
    assert_eq!(status, Status::Deviation);
    assert!(observed.contains("nginx (nginx.service)"), "{observed}");
}

#[test]
fn what_was_not_seen_is_no_pass() {
    let blind = host(&["nginx"]).gap("/var/lib/dpkg/status", GapKind::Denied);
    assert_eq!(judged("apart: true", &blind).0, Status::Unknown);
}

#[test]
fn an_expectation_that_asks_nothing_or_names_the_unknown_is_refused() {
    for yaml in ["{}", "apart: false", "{apart: true, not_counted: [nothing]}", "not_counted: [nginx]"] {
        assert!(Separation::check_expectation(&serde_yaml::from_str(yaml).unwrap()).is_err(), "{yaml}");
    }
    assert!(serde_yaml::from_str::<Expect>("roles: [middle]").is_err());
}
