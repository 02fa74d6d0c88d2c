//! Rules over recorded hosts.

use super::*;
use crate::baseline::Baseline;
use crate::evaluate::{evaluate, observe};
use crate::facts::FactSet;
use crate::finding::Status;
use crate::host::{Attribute, GapKind, Recorded};
use crate::lifecycle::Lifecycles;

fn baseline(rules: &[&str]) -> Baseline {
    let mut text = String::from("baseline: b\nversion: 1\ntitle: t\nrules:\n");
    for (number, rule) in rules.iter().enumerate() {
        text += &format!("  - {{id: r{number}, title: t, severity: low, why: w, fix: f, files: {rule}}}\n");
    }
    Baseline::parse("b.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refused(rule: &str) -> String {
    let text = format!(
        "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: r, title: t, severity: low, why: w, fix: f, files: {rule}}}\n"
    );
    Baseline::parse("b.yaml", text.as_bytes()).err().unwrap_or_else(|| panic!("accepted: {rule}")).to_string()
}

fn judged_by(other: &Baseline, facts: &FactSet) -> Vec<(String, Status, String, String)> {
    let lifecycles = Lifecycles::shipped().unwrap();
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let findings = evaluate(other, &Context { now, facts, lifecycles: &lifecycles });
    findings.into_iter().map(|f| (f.subject, f.status, f.expected, f.observed)).collect()
}

fn seen(host: &Recorded, rules: &[&str]) -> FactSet {
    observe(host, &["files"], &baseline(rules).expectations())
}

fn judged(host: &Recorded, rule: &str) -> Vec<(String, Status, String, String)> {
    judged_by(&baseline(&[rule]), &seen(host, &[rule]))
}

/// The one finding's status and what was observed.
#[track_caller]
fn one(host: &Recorded, rule: &str) -> (Status, String) {
    let findings = judged(host, rule);
    let [(_, status, _, observed)] = findings.as_slice() else { panic!("{findings:?}") };
    (*status, observed.clone())
}

fn host() -> Recorded {
    Recorded::new()
        .file("/etc/passwd", "root:x:0:0::/:/bin/sh\nava:x:1000:1000::/:/bin/sh\n")
        .file("/etc/group", "root:x:0:\nshadow:x:42:\n")
        .file("/etc/shadow", "root:*:1:::::\n")
        .with_stat("/etc/shadow", |stat| (stat.mode, stat.gid) = (0o640, 42))
        .file("/etc/conf.d/a", "# PermitRootLogin yes\nPermitRootLogin no\n")
        .file("/etc/conf.d/b", "x\n")
        .with_stat("/etc/conf.d/b", |stat| (stat.mode, stat.uid) = (0o666, 1000))
        .folder("/etc/conf.d/sub")
}

#[test]
fn owner_group_and_mode_are_judged_of_each_file() {
    let rule = r#"{paths: [/etc/shadow], owner: root, group: [root, shadow], at_most: "0640", mode: ["0600", "0640"], acl: none}"#;
    assert_eq!(one(&host(), rule), (Status::Pass, "0640 root:shadow".into()));
    let findings = judged(&host(), r#"{paths: ["/etc/conf.d/*"], owner: root, at_most: "0644"}"#);
    let said: Vec<_> = findings.iter().map(|(s, st, e, o)| (s.as_str(), *st, e.as_str(), o.as_str())).collect();
    let bad = Status::Deviation;
    assert_eq!(
        said,
        [("/etc/conf.d/b", bad, "at most mode 0644", "0666"), ("/etc/conf.d/b", bad, "owner root", "ava")]
    );
}

#[test]
fn what_is_not_there_does_not_apply_unless_it_must_be_there() {
    for (rule, status) in [
        (r#"{paths: [/etc/none], owner: root}"#, Status::NotApplicable),
        (r#"{paths: ["/etc/none/*"], owner: root}"#, Status::NotApplicable),
        (r#"{paths: [/etc/none], present: true}"#, Status::Deviation),
        (r#"{paths: ["/etc/none/*"], present: true}"#, Status::Deviation),
        (r#"{paths: [/etc/none], contains: x}"#, Status::Deviation),
        (r#"{paths: [/etc/none], present: false}"#, Status::Pass),
        (r#"{paths: [/etc/shadow], present: false}"#, Status::Deviation),
        (r#"{paths: [/etc/shadow], present: true}"#, Status::Pass),
        (r#"{paths: ["/etc/conf.d/*"], kind: folder, present: false}"#, Status::Deviation),
        (r#"{paths: [/etc/shadow], kind: folder}"#, Status::Deviation),
    ] {
        assert_eq!(one(&host(), rule).0, status, "{rule}");
    }
}

#[test]
fn lines_are_searched_one_by_one() {
    for (rule, status) in [
        (
            r#"{paths: [/etc/conf.d/a], contains: '^PermitRootLogin\s+no$', lacks: '^PermitRootLogin\s+yes'}"#,
            Status::Pass,
        ),
        (r#"{paths: [/etc/conf.d/a], lacks: 'yes$'}"#, Status::Deviation),
        (r#"{paths: [/etc/conf.d/a], contains: 'yes[^x]*no'}"#, Status::Deviation),
        (r#"{paths: [/etc/conf.d/sub], contains: 'x'}"#, Status::Deviation),
    ] {
        assert_eq!(one(&host(), rule).0, status, "{rule}");
    }
    let large = Recorded::new().file("/etc/large", vec![b'x'; 1024 * 1024 + 1]);
    assert_eq!(one(&large, r#"{paths: [/etc/large], contains: y}"#).0, Status::Unknown);
}

#[test]
fn a_sum_is_compared_and_tracked_content_is_an_item() {
    let sum = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac";
    let host = Recorded::new().file("/etc/x", "x\n");
    assert_eq!(one(&host, &format!("{{paths: [/etc/x], sha256: {sum}}}")).0, Status::Pass);
    assert_eq!(one(&host, &format!("{{paths: [/etc/x], sha256: {}}}", "0".repeat(64))).0, Status::Deviation);
    let facts = seen(&host, &["{paths: [/etc/x], tracked: true}"]);
    assert_eq!(facts.of::<Files>().unwrap().items.seen.get("sha256:/etc/x"), Some(&Item::Sha256(sum.into())));
}

#[test]
fn what_the_hosts_own_baseline_does_not_name_is_unknown() {
    let own = seen(&host(), &[r#"{paths: ["/etc/conf.d/*"], owner: root}"#]);
    for (rule, status) in [
        ("{paths: [/etc/shadow], owner: root}", Status::Unknown),
        ("{paths: [\"/etc/*\"], owner: root}", Status::Unknown),
        ("{paths: [/etc/conf.d/a], owner: root}", Status::Pass),
        ("{paths: [/etc/conf.d/none], present: true}", Status::Deviation),
        ("{paths: [/etc/conf.d/a], contains: x}", Status::Unknown),
        (&format!("{{paths: [/etc/conf.d/a], sha256: {}}}", "0".repeat(64)), Status::Unknown),
    ] {
        let findings = judged_by(&baseline(&[rule]), &own);
        assert_eq!(findings.iter().map(|finding| finding.1).collect::<Vec<_>>(), [status], "{rule}: {findings:?}");
    }
}

#[test]
fn links_are_told_with_where_they_lead_and_judged_by_it() {
    let host = host().symlink("/etc/link", "shadow").symlink("/etc/broken", "nowhere");
    let stat = host.clone().with_stat("/etc/shadow", |_| {});
    drop(stat);
    let facts = seen(&host, &["{paths: [/etc/broken], present: true}"]);
    let Some(Item::File(file)) = facts.of::<Files>().unwrap().items.seen.get("/etc/broken") else { panic!() };
    assert_eq!((file.kind, file.link.as_deref()), (crate::host::EntryKind::Link, Some("nowhere")));
    assert_eq!(one(&host, "{paths: [/etc/broken], kind: link}").0, Status::Pass);
    assert_eq!(one(&host, "{paths: [/etc/broken], kind: file}").0, Status::Deviation);
}

#[test]
fn access_control_lists_and_capabilities_are_told_and_judged() {
    let acl: Vec<u8> = [2u32, 1 | 6 << 16, !0, 2 | 4 << 16, 1000, 4 | 4 << 16, !0, 0x10 | 4 << 16, !0, 0x20, !0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let capability: Vec<u8> = [0x0200_0001u32, 1 << 13, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let host = host().with_attribute("/etc/shadow", Attribute::AccessList, &acl).with_attribute(
        "/etc/shadow",
        Attribute::Capability,
        &capability,
    );
    assert_eq!(
        one(&host, "{paths: [/etc/shadow], acl: none}"),
        (Status::Deviation, "user:ava:r--,group::r--,mask::r--".into())
    );
    assert_eq!(one(&host, "{paths: [/etc/shadow], capabilities: []}"), (Status::Deviation, "cap_net_raw=ep".into()));
    assert_eq!(one(&host, "{paths: [/etc/shadow], capabilities: [cap_net_raw]}").0, Status::Pass);
}

#[test]
fn what_cannot_be_seen_is_unknown_and_never_absent() {
    let host = host().gap("/etc/secret", GapKind::Denied);
    for rule in ["{paths: [/etc/secret], present: false}", "{paths: [/etc/secret], owner: root}"] {
        assert_eq!(one(&host, rule).0, Status::Unknown, "{rule}");
    }
    let findings = judged(&host, "{paths: [\"/etc/secret/*\"], present: false}");
    assert!(findings.iter().all(|finding| finding.1 == Status::Unknown), "{findings:?}");
}

#[test]
fn a_path_newly_asked_for_is_no_drift_and_a_file_that_appears_is() {
    let items = |host: &Recorded, rules: &[&str]| {
        let facts = seen(host, rules);
        let topic = crate::probes::find("files").unwrap();
        let encoded = topic.encode(facts.get("files").unwrap()).unwrap();
        serde_json::from_slice::<crate::facts::Observed<serde_json::Value>>(&encoded.items).unwrap()
    };
    let at = |second: i64| chrono::DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
    let one = ["{paths: [\"/etc/conf.d/*\"], owner: root}"];
    let two = [one[0], "{paths: [/etc/shadow, /etc/none], tracked: true}"];
    let (_, known) = crate::drift::advance(None, "files", items(&host(), &one), at(0));
    let (drifts, known) = crate::drift::advance(Some(&known), "files", items(&host(), &two), at(1));
    assert!(drifts.is_empty(), "{drifts:?}");
    let changed = host().file("/etc/none", "").file("/etc/conf.d/new", "");
    let (drifts, known) = crate::drift::advance(Some(&known), "files", items(&changed, &two), at(2));
    let subjects: Vec<&str> = drifts.iter().map(|drift| drift.subject.as_str()).collect();
    assert_eq!(subjects, ["/etc/conf.d/new", "/etc/none", "sha256:/etc/none"]);
    let (drifts, _) = crate::drift::advance(Some(&known), "files", items(&changed, &one), at(3));
    assert!(drifts.is_empty(), "{drifts:?}");
}

#[test]
fn impossible_expectations_are_refused() {
    for (rule, why) in [
        ("{paths: [/etc/x], mode: 640}", "in quotes"),
        ("{paths: [/etc/x], at_most: \"640\"}", "four octal digits"),
        ("{paths: [/etc/x]}", "nothing is asked"),
        ("{owner: root}", "of which files"),
        ("{paths: [], owner: root}", "empty list"),
        ("{paths: [/etc/x], present: false, owner: root}", "besides"),
        ("{paths: [/etc/x], contains: '('}", "not a regular expression"),
        ("{paths: [/etc/x], contains: '(?=x)'}", "not a regular expression"),
        ("{paths: [/etc/x], contains: 'x{1000}{1000}'}", "too large"),
        ("{paths: [/etc/x], capabilities: [cap_all]}", "not a capability"),
        ("{paths: [/proc/1/x], owner: root}", "kernel"),
        ("{paths: [/etc/x], sha256: abc}", "64"),
        ("{paths: [/etc/x], owners: root}", "unknown field"),
    ] {
        let said = refused(rule);
        assert!(said.contains(why), "{rule}: {said}");
    }
}
