//! Assertions over recorded facts: what holds, what deviates, what is unknown, what is refused.

use std::collections::BTreeMap;

use chrono::DateTime;

use super::*;
use crate::evaluate::observe;
use crate::facts::FactSet;
use crate::host::Recorded;
use crate::lifecycle::Lifecycles;

fn host() -> Recorded {
    let package = |name: &str, version: &str| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
    };
    let status = package("bash", "5.2.15-2+b2") + &package("openssl", "3.0.17-1~deb12u2");
    Recorded::new().file("/var/lib/dpkg/status", status).file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
}

fn judged(text: &str, message: Option<&str>, facts: &FactSet) -> (Status, String) {
    let parameters = BTreeMap::from([
        ("shell".to_owned(), serde_yaml::Value::from("bash")),
        ("least".to_owned(), serde_yaml::Value::from(2)),
    ]);
    let assertion = Assertion::parse(text, message, &parameters).unwrap_or_else(|bad| panic!("{text}: {bad}"));
    let lifecycles = Lifecycles::parse("e", b"updated: 2026-11-22\nproducts: {}\n").unwrap();
    let context = Context { now: DateTime::UNIX_EPOCH, facts, lifecycles: &lifecycles };
    let judgement = assertion.judge(&context).remove(0);
    (judgement.status, judgement.observed)
}

fn on_host(text: &str) -> Status {
    judged(text, None, &observe(&host(), &[], &[])).0
}

fn refused(text: &str) -> String {
    let bad = Assertion::parse(text, None, &BTreeMap::new()).expect_err(text);
    format!("{bad} {}", bad.hint.as_deref().unwrap_or_default())
}

#[test]
fn what_holds_passes_and_what_does_not_deviates() {
    for text in [
        "size(packages.items) == 2",
        "'openssl:amd64' in packages.items && !('telnetd:amd64' in packages.items)",
        "packages.items.all(name, name.endsWith(':amd64'))",
        "packages.items.exists(name, name.glob('open*'))",
        "packages.items.exists_one(name, name.startsWith(params.shell))",
        "packages.items.filter(name, name.contains('ssl')) == ['openssl:amd64']",
        "packages.items.map(name, size(name)).exists(length, length > 10)",
        "compareVersions(packages.items['openssl:amd64'].version, '3.0.9') > 0",
        "eol.state.os.id == 'debian' ? int(eol.state.os.version) >= 12 : true",
        "has(eol.state.os.version) && !has(eol.state.os.support_end)",
        "size(packages.items) >= params.least",
    ] {
        assert_eq!(on_host(text), Status::Pass, "{text}");
        assert_eq!(on_host(&format!("!({text})")), Status::Deviation, "{text}");
    }
}

#[test]
fn what_touches_a_gap_is_unknown_unless_the_answer_does_not_depend_on_it() {
    let blind = observe(&Recorded::new().file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"), &[], &[]);
    let of = |text: &str| judged(text, None, &blind).0;
    assert_eq!(of("!('telnetd:amd64' in packages.items)"), Status::Unknown);
    assert_eq!(of("packages.items.all(name, true)"), Status::Unknown);
    assert_eq!(of("size(packages.items) == 0"), Status::Unknown);
    assert_eq!(of("packages.items == {}"), Status::Unknown);
    assert_eq!(of("eol.state.os.id == 'debian' || size(packages.items) == 0"), Status::Pass);
    assert_eq!(of("size(packages.items) == 0 && eol.state.os.id == 'fedora'"), Status::Deviation);
    assert_eq!(on_host("packages.items['telnetd:amd64'].version == '1'"), Status::Unknown);
}

#[test]
fn a_message_says_what_is_there() {
    let facts = observe(&host(), &[], &[]);
    let message = "{{installed}}: {packages.items.filter(name, name.contains('ssl'))}";
    let (status, said) = judged("size(packages.items) == 0", Some(message), &facts);
    assert_eq!((status, said.as_str()), (Status::Deviation, "{installed}: openssl:amd64"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_suggestion() {
    assert!(refused("packges.items.all(p, true)").contains("no probe `packges` did you mean `packages`?"));
    assert!(refused("packages.item.all(p, true)").contains("did you mean `items`?"));
    assert!(refused("packages.items['x'].versoin == '1'").contains("did you mean `version`?"));
    assert!(refused("packages.items['x'].version > 3").contains("compares numbers or texts"));
    assert!(refused("packages.items['x'].version == 3").contains("never equal"));
    assert!(refused("size(packages.items)").contains("is true or false, and this is a whole number"));
    assert!(refused("packages.items.all(p, p.startWith('a'))").contains("did you mean `startsWith`?"));
    assert!(refused("packages.items.all(p, p.matches('a'))").contains("glob"));
    assert!(refused("params.x == 1 && 'a' in packages.items").contains("no parameter `x`"));
    assert!(refused("1 == 1").contains("asks nothing of the host"));
    assert!(refused("packages.items.all(p,").contains("not an expression"));
    assert!(refused("").contains("not an expression"));
}

#[test]
fn nothing_written_can_make_it_work_without_end() {
    let nested = format!("{}true{}", "(".repeat(5000), ")".repeat(5000));
    for text in [
        nested.get(..4000).unwrap().to_owned(),
        format!("{}true", "!".repeat(4000)),
        format!("packages{}", ".a".repeat(2000)),
        format!("size(packages.items) == 1{}", "+1".repeat(2000)),
        format!("{}true", "true?true:".repeat(390)),
        "-".repeat(4000),
        "[".repeat(4000),
        "\"".repeat(3999),
    ] {
        assert!(Assertion::parse(&text, None, &BTreeMap::new()).is_err(), "{:.40}", text);
    }
    let four = "packages.items.all(a, packages.items.all(b, packages.items.all(c, packages.items.all(d, true))))";
    assert!(refused(four).contains("loops in one another"));
    let many: String = (0..400)
        .map(|n| format!("Package: p{n}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"))
        .collect();
    let facts = observe(&Recorded::new().file("/var/lib/dpkg/status", many), &[], &[]);
    let three = "packages.items.all(a, packages.items.all(b, packages.items.all(c, a + b != c)))";
    let (status, said) = judged(three, None, &facts);
    assert_eq!(status, Status::Unknown);
    assert!(said.contains("more than 2000000 steps"), "{said}");
}
