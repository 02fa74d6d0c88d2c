//! Answers of surveys as items, and rules over them.

use super::*;
use crate::baseline::Baseline;
use crate::evaluate::{evaluate, observe};
use crate::facts::FactSet;
use crate::host::Recorded;
use crate::lifecycle::Lifecycles;
use crate::probe::Context;

fn rules(files: &str) -> Baseline {
    let text = format!(
        "baseline: b\nversion: 1\ntitle: t\nrules:\n  - {{id: r, title: t, severity: low, why: w, fix: f, files: {files}}}\n"
    );
    Baseline::parse("b.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn judged_by(rule: &str, facts: &FactSet) -> Vec<(Status, String, String)> {
    let lifecycles = Lifecycles::shipped().unwrap();
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let findings = evaluate(&rules(rule), &Context { now, facts, lifecycles: &lifecycles });
    findings.into_iter().map(|finding| (finding.status, finding.subject, finding.observed)).collect()
}

fn seen(host: &Recorded, rule: &str) -> FactSet {
    observe(host, &["files"], &rules(rule).expectations())
}

fn judged(host: &Recorded, rule: &str) -> Vec<(Status, String, String)> {
    judged_by(rule, &seen(host, rule))
}

fn row(path: &str, mode: u32) -> Row {
    Row { path: path.into(), kind: EntryKind::File, mode, uid: 0, gid: 42, capability: None }
}

fn changed(path: &str, missing: bool, configuration: bool) -> (String, Changed) {
    (path.into(), Changed { package: "tool".into(), missing, configuration })
}

fn host(unusual: &Unusual, packaged: &Packaged) -> Recorded {
    Recorded::new()
        .file("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .file("/etc/group", "root:x:0:\nshadow:x:42:\n")
        .answer(Question::UnusualFiles, serde_json::to_vec(unusual).unwrap())
        .answer(Question::ChangedPackageFiles, serde_json::to_vec(packaged).unwrap())
}

fn usual() -> Recorded {
    let ping: Vec<u8> = [0x0200_0001u32, 1 << 13, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let ping = Row { capability: Some(ping), ..row("/usr/bin/ping", 0o755) };
    let unusual = Unusual {
        privileged: vec![ping, row("/usr/bin/su", 0o4755)],
        writable: vec![row("/srv/drop", 0o666)],
        unseen: Vec::new(),
    };
    let files = vec![changed("/etc/tool.conf", false, true), changed("/usr/bin/tool", true, false)];
    host(&unusual, &Packaged { files, unseen: Vec::new() })
}

#[test]
fn these_and_no_others() {
    let bad = |path: &str, said: &str| vec![(Status::Deviation, path.to_owned(), said.to_owned())];
    for (rule, expected) in [
        ("{privileged: [/usr/bin/su]}", bad("/usr/bin/ping", "0755 root:shadow, cap_net_raw=ep")),
        ("{privileged: [/usr/bin/ping]}", bad("/usr/bin/su", "4755 root:shadow")),
        ("{world_writable: []}", bad("/srv/drop", "0666 root:shadow")),
        ("{changed: []}", bad("/usr/bin/tool", "missing, of tool")),
        ("{changed_configuration: []}", bad("/etc/tool.conf", "changed, of tool")),
    ] {
        assert_eq!(judged(&usual(), rule), expected, "{rule}");
    }
    for rule in [
        "{privileged: [\"/usr/bin/*\", /usr/bin/none]}",
        "{world_writable: [\"/srv/**\"]}",
        "{changed: [/usr/bin/tool]}",
        "{changed_configuration: [\"/etc/*\"]}",
    ] {
        let findings = judged(&usual(), rule);
        assert_eq!(
            findings.iter().map(|finding| finding.0).collect::<Vec<_>>(),
            [Status::Pass],
            "{rule}: {findings:?}"
        );
    }
}

#[test]
fn nothing_is_surveyed_unless_a_rule_asks() {
    let nothing = Recorded::new();
    let facts = seen(&nothing, "{paths: [/etc/passwd], present: true}");
    assert!(facts.of::<Files>().unwrap().items.gaps.is_empty());
    for rule in ["{privileged: []}", "{world_writable: []}", "{changed: []}", "{changed_configuration: []}"] {
        let other = judged_by(rule, &facts);
        assert_eq!(other.iter().map(|finding| finding.0).collect::<Vec<_>>(), [Status::Unknown], "{rule}");
    }
}

#[test]
fn what_could_not_be_looked_at_is_unknown_and_never_a_pass() {
    let gaps = |count: usize| -> Vec<Gap> {
        (0..count).map(|at| Gap::new(GapKind::Denied, format!("/srv/{at:02}"), "permission denied")).collect()
    };
    let few = host(&Unusual { unseen: gaps(2), ..Unusual::default() }, &Packaged::default());
    let findings = judged(&few, "{privileged: [], world_writable: []}");
    assert_eq!(findings.len(), 4, "each place, for each list: {findings:?}");
    assert!(findings.iter().all(|finding| finding.0 == Status::Unknown));
    let many = host(&Unusual { unseen: gaps(MAX_UNSEEN + 1), ..Unusual::default() }, &Packaged::default());
    assert_eq!(judged(&many, "{privileged: []}").len(), 1);
    let more = (0..=MAX_TOLD).map(|at| row(&format!("/x/{at:05}"), 0o4755)).collect();
    let more = host(&Unusual { privileged: more, ..Unusual::default() }, &Packaged::default());
    let findings = judged(&more, "{privileged: [\"/x/*\"]}");
    assert_eq!(findings.iter().map(|finding| finding.0).collect::<Vec<_>>(), [Status::Unknown], "{findings:?}");
    for rule in ["{privileged: []}", "{changed: []}"] {
        assert_eq!(judged(&Recorded::new(), rule)[0].0, Status::NotApplicable, "{rule}: nothing was recorded");
    }
    let rubbish = Recorded::new().answer(Question::UnusualFiles, "{\"privileged\": 1}");
    assert_eq!(judged(&rubbish, "{privileged: []}")[0].0, Status::Unknown);
}

#[test]
fn the_least_are_kept_whatever_the_order() {
    let mut least = Least::of(2);
    for number in [5, 1, 4, 1, 3, 2] {
        least.put(number);
    }
    assert_eq!(least.into_sorted(), [1, 2, 3]);
}
