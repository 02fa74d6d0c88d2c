//! Updates pending, hidden and applied, over recorded hosts.

use chrono::TimeZone as _;

use super::*;
use crate::facts::FactSet;
use crate::host::Recorded;
use crate::lifecycle::Lifecycles;
use crate::probe::{Erased, Topic as _};
use crate::probes::packages::Packages;

const SECURITY: &str = "/var/lib/apt/lists/sec.example.org_dists_bookworm-security_";
const MAIN: &str = "/var/lib/apt/lists/deb.example.org_dists_bookworm_";
const SOURCES: &str = "deb http://deb.example.org bookworm main\ndeb http://sec.example.org bookworm-security main\n";

fn stanza(name: &str, version: &str) -> String {
    format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n\n")
}

fn installed(packages: &[(&str, &str, &str)]) -> String {
    let stanza = |(name, version, status): &(&str, &str, &str)| {
        format!("Package: {name}\nStatus: {status} installed\nArchitecture: amd64\nVersion: {version}\n\n")
    };
    packages.iter().map(stanza).collect()
}

/// A host with these packages; main offers openssl 2, and security openssl 3 and zlib 2.
fn host(packages: &[(&str, &str, &str)]) -> Recorded {
    let list = |base: &str, what: &str| format!("{base}{what}");
    Recorded::new()
        .file("/var/lib/dpkg/status", installed(packages))
        .file("/etc/apt/sources.list", SOURCES)
        .file(&list(MAIN, "InRelease"), "Origin: Debian\nLabel: Debian\nCodename: bookworm\n")
        .file(&list(MAIN, "main_binary-amd64_Packages"), stanza("openssl", "2") + &stanza("bash", "1"))
        .file(&list(SECURITY, "InRelease"), "Origin: Debian\nLabel: Debian-Security\nCodename: bookworm-security\n")
        .file(&list(SECURITY, "main_binary-amd64_Packages"), stanza("openssl", "3") + &stanza("zlib", "2"))
        .with_stat("/var/lib/apt/lists", |stat| stat.modified = 1_767_225_600)
        .answer(Question::KernelRelease, "6.1.0-28-amd64\n")
        .answer(Question::KernelVersion, "#1 SMP Debian 6.1.119-1 (2024-11-22)\n")
}

fn said(yaml: &str, host: &Recorded) -> Vec<String> {
    let expect: Expect = serde_yaml::from_str(yaml).unwrap();
    Patches::check_expectation(&expect).unwrap();
    let mut facts = FactSet::default();
    facts.insert("packages", Erased::<Packages>::new().collect(host, &[]));
    let collected = Erased::<Patches>::new();
    let observed = collected.collect(host, &[]);
    let bytes = collected.encode(&observed).unwrap();
    let again = collected.decode(&bytes.items, &bytes.state).unwrap();
    let now = Utc.with_ymd_and_hms(2026, 1, 5, 0, 0, 0).unwrap();
    let lifecycles = Lifecycles::shipped().unwrap();
    let context = Context { now, facts: &facts, lifecycles: &lifecycles };
    let expectation: crate::probe::Expectation = std::sync::Arc::new(expect);
    let judgements = collected.judge(&expectation, &again, &context).unwrap();
    judgements.iter().map(|one| format!("{} {} | {}", one.status, one.subject, one.observed)).collect()
}

const OK: &str = "install ok";

#[test]
fn an_update_from_a_security_suite_is_pending_until_it_is_installed() {
    let old = host(&[("dpkg", "1", OK), ("openssl", "1", OK), ("bash", "0", OK), ("zlib", "2", OK)]);
    let openssl = "deviation openssl:amd64 | 1 is installed, 3 is in Debian/Debian-Security/bookworm-security";
    assert_eq!(said("security: applied", &old), [openssl]);
    let bash = "deviation bash:amd64 | 0 is installed, 1 is in Debian/Debian/bookworm";
    assert_eq!(said("updates: applied", &old), [bash, openssl]);
    let new = host(&[("openssl", "3", OK), ("bash", "1", OK)]);
    assert_eq!(said("updates: applied", &new), ["pass updates | none by the lists of 2026-01-01"]);
    let held = host(&[("openssl", "1", "hold ok")]);
    assert!(said("security: applied", &held)[0].ends_with(", held back"));
}

#[test]
fn without_lists_or_with_lists_that_cannot_be_read_nothing_is_known() {
    let bare = Recorded::new().file("/var/lib/dpkg/status", installed(&[("a", "1", OK)]));
    assert_eq!(said("security: applied", &bare), ["unknown updates | no list of what is on offer is on the disk"]);
    let odd = host(&[("a", "1", OK)]).file(&format!("{MAIN}main_binary-i386_Packages.xz"), "x");
    assert!(said("security: applied", &odd)[0].starts_with("unknown updates | /var/lib/apt/lists/deb"));
    let rpm = Recorded::new().file("/lib/apk/db/installed", "P:a\nV:1\n\n");
    assert!(said("security: applied", &rpm)[0].starts_with("unknown updates"));
    let mut only_main = host(&[("bash", "1", OK)]);
    only_main = only_main.file("/etc/apt/sources.list", "deb http://deb.example.org bookworm main\n");
    assert_eq!(said("security: applied", &only_main), ["unknown updates | no list of a security suite is on the disk"]);
}

#[test]
fn lists_age_and_so_does_the_last_upgrade() {
    let host = host(&[("openssl", "1", OK)]);
    assert_eq!(said("lists_age: 5d", &host), ["pass lists | fetched 2026-01-01"]);
    assert_eq!(said("lists_age: 3d", &host), ["deviation lists | fetched 2026-01-01"]);
    assert_eq!(said("upgraded_within: 9d", &host), ["unknown upgraded | no log tells of an upgrade"]);
    let log = "Start-Date: 2025-12-01  10:00:00\nUpgrade: a (1, 2)\nEnd-Date: 2025-12-01  10:00:09\n\n\
               Start-Date: 2026-01-01  10:00:00\nInstall: b (1)\nEnd-Date: 2026-01-01  10:00:09\n";
    let host = host.file("/var/log/apt/history.log", log);
    assert_eq!(said("upgraded_within: 9d", &host), ["deviation upgraded | last upgraded 2025-12-01"]);
    let host = host.file(
        "/var/log/dpkg.log",
        "2026-01-02 10:00:00 upgrade a:amd64 1 2\n2026-01-04 10:00:00 install b:all <none> 2\n",
    );
    assert_eq!(said("upgraded_within: 9d", &host), ["pass upgraded | last upgraded 2026-01-02"]);
}

#[test]
fn a_reboot_is_pending_when_asked_for_or_when_a_newer_kernel_waits() {
    let image = |release: &str, version: &'static str| (format!("linux-image-{release}"), version);
    let with = |images: &[(String, &'static str)]| {
        host(&images.iter().map(|(name, version)| (name.as_str(), *version, OK)).collect::<Vec<_>>())
    };
    let same = with(&[
        image("6.1.0-28-amd64", "6.1.119-1"),
        image("6.1.0-9-amd64", "6.1.1-1"),
        image("6.1.0-30-cloud-amd64", "1"),
    ]);
    assert!(said("reboot: none", &same)[0].starts_with("pass reboot"));
    let newer = with(&[image("6.1.0-28-amd64", "6.1.119-1"), image("6.1.0-30-amd64", "6.1.124-1")]);
    assert_eq!(said("reboot: none", &newer), ["deviation reboot | 6.1.0-28-amd64 runs, 6.1.0-30-amd64 is installed"]);
    let mended = with(&[image("6.1.0-28-amd64", "6.1.119-2")]);
    assert!(said("reboot: none", &mended)[0].starts_with("deviation reboot"));
    let asked = same.file("/run/reboot-required", "").file("/run/reboot-required.pkgs", "libc6\nlibc6\n");
    assert_eq!(said("reboot: none", &asked), ["deviation reboot | asked for by libc6"]);
    let at_rest = asked.refuse(Question::KernelRelease, GapKind::NotLive);
    assert!(said("reboot: none", &at_rest)[0].starts_with("not-applicable reboot"));
}

#[test]
fn automatic_updates_are_on_when_nothing_is_lacking() {
    let with = host(&[("unattended-upgrades", "1", OK)]);
    let off = said("automatic: true", &with);
    assert!(off[0].starts_with("deviation automatic/apt | APT::Periodic::Update-Package-Lists is off"), "{off:?}");
    let conf = "APT::Periodic { Update-Package-Lists \"1\"; Unattended-Upgrade \"1\"; };\n";
    let wants = "/etc/systemd/system/timers.target.wants";
    let on = with
        .file("/etc/apt/apt.conf.d/20auto-upgrades", conf)
        .symlink(&format!("{wants}/apt-daily.timer"), "/lib/systemd/system/apt-daily.timer")
        .symlink(&format!("{wants}/apt-daily-upgrade.timer"), "/lib/systemd/system/apt-daily-upgrade.timer");
    assert_eq!(said("automatic: true", &on), ["pass automatic/apt | on"]);
    let masked = on.symlink("/etc/systemd/system/apt-daily.timer", "/dev/null");
    assert_eq!(said("automatic: true", &masked), ["deviation automatic/apt | apt-daily.timer is not enabled"]);
}

#[test]
fn the_database_is_whole_when_nothing_is_torn_or_left_over() {
    let whole = host(&[("a", "1", OK)]);
    assert_eq!(said("database: whole", &whole), ["pass database | 1 packages"]);
    let torn =
        whole.clone().file("/var/lib/dpkg/status", installed(&[("a", "1", OK)]).replace("ok installed", "ok unpacked"));
    assert_eq!(said("database: whole", &torn), ["deviation database | between two states: a:amd64"]);
    let left = whole.file("/var/lib/dpkg/updates/0001", installed(&[("a", "2", OK)]));
    assert_eq!(
        said("database: whole", &left),
        ["deviation database | dpkg was interrupted: 1 of its notes are not folded in"]
    );
}

#[test]
fn a_package_no_listed_repository_offers_deviates() {
    let host = host(&[("bash", "1", OK), ("zlib", "2", OK), ("own", "1", OK)]);
    assert_eq!(
        said("origins: ['Debian/Debian/*']", &host),
        [
            "deviation zlib:amd64 | from Debian/Debian-Security/bookworm-security",
            "deviation own:amd64 | offered by no list: installed by hand, or no longer offered",
        ]
    );
    assert_eq!(said("origins: ['Debian/*', local]", &host), ["pass origins | 3 packages, each of them"]);
}

#[test]
fn packages_of_another_manager_do_not_pass_with_those_of_dpkg() {
    let applied = host(&[("openssl", "3", OK), ("zlib", "2", OK), ("bash", "1", OK)]);
    let alone = said("security: applied", &applied);
    assert!(alone.iter().all(|line| line.starts_with("pass ")), "{alone:?}");
    let desc = "%NAME%\nother\n\n%VERSION%\n1-1\n\n%ARCH%\nany\n\n";
    let both = said("security: applied", &applied.file("/var/lib/pacman/local/other-1-1/desc", desc));
    assert_eq!(both, ["unknown updates | what is on offer is only read where apt keeps it, and other is not of dpkg"]);
}
