//! Each expectation over packages in every state, and over what a gap hides.

use super::*;
use crate::host::{GapKind, Recorded};

fn items(stanzas: &[(&str, &str, &str)]) -> Facts<Package, Origin> {
    let text: String = stanzas
        .iter()
        .map(|(name, status, version)| {
            format!("Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\n\n")
        })
        .collect();
    Packages::collect(&Recorded::new().file("/var/lib/dpkg/status", text))
}

fn expect(yaml: &str) -> Result<Expect, String> {
    let expect: Expect = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
    check(&expect).map_err(|(at, message)| format!("{at}: {message}"))?;
    Ok(expect)
}

fn said(yaml: &str, items: &Facts<Package, Origin>) -> Vec<String> {
    let told = |judgement: &Judgement| {
        format!("{} {} | {} | {}", judgement.status, judgement.subject, judgement.expected, judgement.observed)
    };
    judge(&expect(yaml).unwrap(), items).iter().map(told).collect()
}

const OK: &str = "install ok installed";

#[test]
fn a_package_is_present_when_it_is_whole_and_new_enough() {
    let items = items(&[
        ("openssl", OK, "3.0.17-1~deb12u2"),
        ("auditd", "install ok unpacked", "1"),
        ("gone", "deinstall ok config-files", "2"),
    ]);
    assert_eq!(said("present: [openssl]", &items), ["pass openssl:amd64 | installed | 3.0.17-1~deb12u2"]);
    assert_eq!(
        said("present: [{name: openssl, version: '>= 3.0.17-1'}]", &items),
        ["deviation openssl:amd64 | installed, >= 3.0.17-1 | 3.0.17-1~deb12u2"]
    );
    assert_eq!(
        said("present: [auditd, gone, none, 'open*']", &items),
        [
            "deviation auditd | installed | 1 (unpacked)",
            "deviation gone | installed | 2 (config-files)",
            "deviation none | installed | not installed",
            "pass openssl:amd64 | installed | 3.0.17-1~deb12u2",
        ]
    );
}

#[test]
fn a_package_half_there_is_not_absent_but_its_leftover_configuration_is() {
    let items = items(&[
        ("telnetd", "install reinstreq half-installed", "1"),
        ("ftp", "deinstall ok config-files", "2"),
        ("sudo", OK, "1.9.13"),
    ]);
    assert_eq!(
        said("absent: [telnetd, ftp, {name: sudo, version: '< 1.9.5p2'}, {name: 'su*', version: '>= 1.9'}]", &items),
        [
            "deviation telnetd:amd64 | not installed | 1 (half-installed, to be reinstalled)",
            "pass ftp | not installed | not installed",
            "pass sudo | not installed in any version < 1.9.5p2 | 1.9.13",
            "deviation sudo:amd64 | not installed in any version >= 1.9 | 1.9.13",
        ]
    );
}

#[test]
fn these_and_no_others() {
    let items = items(&[("a", OK, "1"), ("liba", OK, "1"), ("b", OK, "1"), ("c", "deinstall ok config-files", "1")]);
    assert_eq!(said("only: [a, 'lib*']", &items), ["deviation b:amd64 | no package but those listed | installed, 1"]);
    assert_eq!(
        said("only: ['?', 'lib*:amd64']", &items),
        ["pass packages | no package but those listed | 3 packages, each of them listed"]
    );
}

#[test]
fn intact_finds_what_dpkg_audit_finds() {
    let whole = items(&[("a", OK, "1"), ("b", "deinstall ok config-files", "1")]);
    assert_eq!(said("intact: true", &whole), ["pass packages | installed whole | 2 packages, none between two states"]);
    for status in [
        "install ok half-installed",
        "install ok unpacked",
        "install ok half-configured",
        "install ok triggers-awaited",
        "install ok triggers-pending",
        "install reinstreq installed",
    ] {
        let said = said("intact: true", &items(&[("a", status, "1"), ("b", OK, "1")]));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("deviation a:amd64"), "{said:?}");
    }
}

#[test]
fn what_a_gap_may_hide_is_unknown_and_never_absent_or_listed() {
    let gap = || Gap::new(GapKind::Malformed, "status:1", "torn");
    let mut hidden = items(&[("a", OK, "1")]);
    hidden.items.hide("telnetd:", gap());
    assert_eq!(
        said("absent: [telnetd, 'telnet*', rsh]", &hidden),
        [
            "unknown telnetd | not installed | status:1: torn",
            "unknown telnet* | not installed | status:1: torn",
            "pass rsh | not installed | not installed",
        ]
    );
    assert_eq!(
        said("{present: [a, telnetd], only: [a], intact: true}", &hidden),
        [
            "pass a:amd64 | installed | 1",
            "unknown telnetd | installed | status:1: torn",
            "unknown telnetd | no package but those listed | status:1: torn",
            "unknown telnetd | installed whole | status:1: torn",
        ]
    );
    hidden.items.hide("", gap());
    assert_eq!(
        said("{present: [a, b], absent: [rsh]}", &hidden),
        [
            "pass a:amd64 | installed | 1",
            "unknown b | installed | status:1: torn",
            "unknown rsh | not installed | status:1: torn",
        ]
    );
}

#[test]
fn an_expectation_that_asks_nothing_or_something_impossible_is_refused() {
    for (yaml, why) in [
        ("{}", "at least one"),
        ("present: []", "present: an empty list"),
        ("absent: []", "absent: an empty list"),
        ("only: []", "only: an empty list"),
        ("intact: false", "asks nothing"),
        ("present: ['a b']", "cannot be the name"),
        ("present: ['a[']", "not a pattern"),
        ("present: [3]", "a package's name, or"),
        ("present: [{name: a, version: []}]", "string"),
        ("present: [{name: a, version: '1.2'}]", "does not begin with"),
        ("present: [{name: a, ver: '1'}]", "unknown field `ver`"),
        ("installed: [a]", "unknown field `installed`"),
    ] {
        let said = expect(yaml).unwrap_err();
        assert!(said.contains(why), "{yaml}: {said}");
    }
}

#[test]
fn what_is_held_back_deviates_unless_it_is_listed() {
    let items =
        items(&[("linux-image-amd64", "hold ok installed", "6.1"), ("a", OK, "1"), ("b", "hold ok config-files", "1")]);
    assert_eq!(
        said("held: []", &items),
        ["deviation linux-image-amd64:amd64 | not held back from updates | 6.1 (hold)"]
    );
    assert_eq!(
        said("held: ['linux-*']", &items),
        ["pass packages | not held back from updates | no package is held but those listed"]
    );
}

#[test]
fn a_vendor_that_is_not_listed_deviates_and_without_rpm_nothing_is_asked() {
    let mut facts = items(&[("a", OK, "1")]);
    assert!(said("vendors: [x]", &facts)[0].starts_with("not-applicable packages"));
    for (vendor, package) in [("Example, Inc.", "bash:x86_64"), ("none", "tool:x86_64")] {
        facts.state.seen.insert(format!("vendor:{vendor}"), Origin { packages: vec![package.into()] });
    }
    assert_eq!(
        said("vendors: ['Example*']", &facts),
        ["deviation tool:x86_64 | a vendor that is listed | names no vendor"]
    );
    assert!(said("vendors: ['*']", &facts)[0].starts_with("pass packages"));
    facts.items.hide("", crate::host::Gap::malformed("/x", "torn"));
    assert!(said("vendors: ['*']", &facts)[0].starts_with("unknown packages"));
}
