//! The language: what is refused and where that is said, what extending does, to whom rules speak.

mod policies;

use std::collections::BTreeMap;

use chrono::DateTime;

use super::applies::Traits;
use super::*;
use crate::evaluate::{evaluate_for, observe};
use crate::finding::{Finding, Status};
use crate::host::Recorded;
use crate::lifecycle::Lifecycles;
use crate::probe::Context;

const HEAD: &str = "baseline: b\nversion: 1\ntitle: t\nrules:\n";
const RULE: &str = "  - id: one\n    title: t\n    severity: low\n    why: w\n    fix: f\n";

fn complaint(text: &str) -> String {
    Baseline::parse("b.yaml", text.as_bytes()).err().expect("refused").to_string()
}

#[test]
fn an_unknown_probe_is_pointed_at_with_the_nearest_name() {
    let said = complaint(&format!("{HEAD}{RULE}    package:\n      present: [x]\n"));
    assert!(said.starts_with("b.yaml:10:5: `package` is neither"), "{said}");
    assert!(said.ends_with("did you mean `packages`?"), "{said}");
}

#[test]
fn a_mistake_inside_an_expectation_is_pointed_at() {
    let said = complaint(&format!("{HEAD}{RULE}    packages:\n      presnt: [x]\n"));
    assert!(said.starts_with("b.yaml:11:7: unknown field `presnt`"), "{said}");
    let said = complaint(&format!("{HEAD}{RULE}    packages:\n      present: 3\n"));
    assert!(said.starts_with("b.yaml:11:16: "), "{said}");
}

#[test]
fn a_duplicate_id_names_the_rule_that_had_it_first() {
    let rule = format!("{RULE}    packages: {{present: [x]}}\n");
    let said = complaint(&format!("{HEAD}{rule}{rule}"));
    assert!(said.starts_with("b.yaml:11:9: the id `one` is already that of rule 1"), "{said}");
}

#[test]
fn a_rule_without_expectation_or_with_two_is_refused() {
    assert!(complaint(&format!("{HEAD}{RULE}")).contains("expects nothing"));
}

#[test]
fn an_unknown_severity_suggests_the_nearest() {
    let text = format!("{HEAD}{RULE}    packages: {{present: [x]}}\n").replace("severity: low", "severity: hihg");
    let said = complaint(&text);
    assert!(said.starts_with("b.yaml:7:15: unknown variant `hihg`"), "{said}");
    assert!(said.contains("did you mean `high`?"), "{said}");
}

#[test]
fn the_shipped_baselines_are_accepted() {
    for (_, text) in crate::shipped::BASELINES {
        let parsed = Baseline::parse("shipped", text.as_bytes());
        assert!(parsed.is_ok(), "{}", parsed.err().map_or_else(String::new, |error| error.to_string()));
    }
}

/// Files beside the first.
struct Folder(BTreeMap<&'static str, String>);

impl Library for Folder {
    fn beside(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or("there is no such file".into())
    }
}

fn load(text: &str, files: &[(&'static str, String)]) -> Result<Baseline, String> {
    let folder = Folder(files.iter().cloned().collect());
    Baseline::load("b.yaml", text.as_bytes(), &folder).map_err(|complaint| complaint.to_string())
}

fn refused(text: &str, files: &[(&'static str, String)]) -> String {
    load(text, files).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

fn named(name: &str, rest: &str) -> String {
    format!("baseline: {name}\nversion: 1\ntitle: t\n{rest}")
}

fn parent() -> (&'static str, String) {
    ("base.yaml", named("base", &format!("rules:\n{RULE}    packages: {{present: [bash], absent: [telnetd]}}\n")))
}

/// What each rule answers on a Debian 12 with bash.
fn findings(baseline: &Baseline, traits: &Traits) -> Vec<Finding> {
    let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5\n\n";
    let host =
        Recorded::new().file("/var/lib/dpkg/status", status).file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    let facts = observe(&host, &baseline.probes(), &baseline.expectations());
    let lifecycles = Lifecycles::parse("e", b"updated: 2026-11-22\nproducts: {}\n").unwrap();
    evaluate_for(baseline, &Context { now: DateTime::UNIX_EPOCH, facts: &facts, lifecycles: &lifecycles }, traits)
}

fn statuses(baseline: &Baseline, traits: &Traits) -> Vec<(String, Status)> {
    let mut all: Vec<(String, Status)> =
        findings(baseline, traits).into_iter().map(|finding| (finding.rule, finding.status)).collect();
    all.dedup();
    all
}

fn known(environment: &str, roles: &[&str]) -> Traits {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Traits { environment: Some(environment.into()), roles: Some(roles), labels: None }
}

#[test]
fn a_rule_is_changed_key_by_key_and_removed_by_id() {
    let change = "extends: base.yaml\nrules:\n  - id: one\n    severity: critical\n    packages: {absent: null, \"present+\": [zsh]}\n";
    let baseline = load(&named("b", change), &[parent()]).unwrap();
    assert_eq!(baseline.rules.len(), 1);
    assert_eq!((baseline.rules[0].severity, baseline.rules[0].title.as_str()), (Severity::Critical, "t"));
    let said: Vec<(String, Status)> =
        findings(&baseline, &Traits::default()).into_iter().map(|one| (one.subject, one.status)).collect();
    assert_eq!(said, [("bash:amd64".to_owned(), Status::Pass), ("zsh".to_owned(), Status::Deviation)]);
    let other =
        "rules:\n  - id: two\n    title: t\n    severity: low\n    why: w\n    fix: f\n    packages: {intact: true}\n";
    let baseline = load(&named("b", &format!("extends: [base.yaml]\nremove: [one]\n{other}")), &[parent()]).unwrap();
    assert_eq!(baseline.rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[test]
fn a_shipped_baseline_is_extended_by_its_name() {
    let baseline = load(&named("b", "extends: linux-server\n"), &[]).unwrap();
    let own = Baseline::parse("linux-server", crate::shipped::LINUX_SERVER.as_bytes()).unwrap();
    assert_eq!(baseline.rules.len(), own.rules.len());
    assert_ne!(baseline.digest, own.digest);
    assert_eq!(baseline.control, own.control);
}

#[test]
fn a_mistake_in_a_change_is_pointed_at_in_its_own_file() {
    let wrong = "extends: base.yaml\nrules:\n  - id: one\n    packages:\n      \"present+\": [zsh, 3]\n";
    let said = refused(&named("b", wrong), &[parent()]);
    assert!(said.starts_with("b.yaml:8:25: "), "{said}");
    let (name, text) = parent();
    let said = refused(&named("b", "extends: base.yaml\n"), &[(name, text.replace("telnetd", "\"[\""))]);
    assert!(said.starts_with("base.yaml:10:"), "{said}");
    let said = refused(&named("b", "extends: base.yaml\nrules:\n  - id: onne\n    severity: low\n"), &[parent()]);
    assert!(said.starts_with("b.yaml:6:9: ") && said.ends_with("did you mean `one`?"), "{said}");
    let said = refused(&named("b", "extends: base.yaml\nremove: [two, onne]\n"), &[parent()]);
    assert!(said.starts_with("b.yaml:5:10: there is no rule `two` to remove"), "{said}");
}

#[test]
fn circles_depth_and_ways_out_of_the_folder_are_refused() {
    let said = refused(&named("b", "extends: base.yaml\n"), &[("base.yaml", named("base", "extends: b.yaml\n"))]);
    assert!(said.contains("in a circle: b.yaml → base.yaml → b.yaml"), "{said}");
    let names = ["0.yaml", "1.yaml", "2.yaml", "3.yaml", "4.yaml", "5.yaml", "6.yaml", "7.yaml", "8.yaml"];
    let (base, base_text) = parent();
    let chain = |deep: usize| -> Vec<(&'static str, String)> {
        let mut files: Vec<(&'static str, String)> = names[..deep]
            .iter()
            .zip(&names[1..])
            .map(|(name, next)| (*name, named(name, &format!("extends: {next}\n"))))
            .collect();
        files.push((names[deep], base_text.clone()));
        files.push((base, base_text.clone()));
        files
    };
    assert!(load(&named("b", "extends: 0.yaml\n"), &chain(6)).is_ok());
    assert!(refused(&named("b", "extends: 0.yaml\n"), &chain(7)).contains("more than 8 baselines"));
    for bad in ["/etc/shadow.yaml", "../b.yaml", "a/../../x.yaml"] {
        let said = refused(&named("b", &format!("extends: [base.yaml, {bad}]\n")), &[parent()]);
        assert!(said.starts_with("b.yaml:4:22: ") && said.contains("leads out"), "{said}");
    }
    let said = refused(&named("b", "extends: none.yaml\n"), &[]);
    assert!(said.contains("`none.yaml`: there is no such file"), "{said}");
}

#[test]
fn the_digest_covers_all_that_was_read_and_not_where_it_stood() {
    let text = named("b", "extends: base.yaml\n");
    let (name, base) = parent();
    let one = load(&text, &[(name, base.clone())]).unwrap().digest;
    assert_ne!(one, load(&text, &[(name, base.replace("telnetd", "rshd"))]).unwrap().digest);
    let elsewhere = Folder([(name, base)].into());
    assert_eq!(one, Baseline::load("/etc/plumbline/other.yaml", text.as_bytes(), &elsewhere).unwrap().digest);
    let alone = parent().1;
    assert_eq!(load(&alone, &[]).unwrap().digest, Digest::of(alone.as_bytes()));
}

#[test]
fn a_parameter_is_a_value_of_its_type() {
    let text = |kind: &str, default: &str, used: &str| {
        let head = format!("parameters:\n  shells: {{type: {kind}, default: {default}, why: w}}\n");
        named("b", &format!("{head}rules:\n{RULE}    packages: {{present: {used}}}\n"))
    };
    for (used, subjects) in [("\"${shells}\"", 2), ("[dash, \"${shells}\"]", 3)] {
        let baseline = load(&text("list", "[bash, zsh]", used), &[]).unwrap();
        assert_eq!(findings(&baseline, &Traits::default()).len(), subjects);
    }
    let (good, child) =
        (text("list", "[bash]", "\"${shells}\""), "extends: base.yaml\nset: {shells: [bash, zsh, fish]}\n");
    let baseline = load(&named("c", child), &[("base.yaml", good.clone())]).unwrap();
    assert_eq!(findings(&baseline, &Traits::default()).len(), 3);
    let said = refused(&named("c", "extends: base.yaml\nset: {shels: [a]}\n"), &[("base.yaml", good.clone())]);
    assert!(said.starts_with("b.yaml:5:7: ") && said.ends_with("did you mean `shells`?"), "{said}");
    let said = refused(&named("c", "extends: base.yaml\nset: {shells: 3}\n"), &[("base.yaml", good)]);
    assert!(said.starts_with("b.yaml:5:15: a value of type list"), "{said}");
    let said = refused(&text("list", "[bash]", "[\"${shels}\"]"), &[]);
    assert!(said.starts_with("b.yaml:12:26: ") && said.ends_with("did you mean `shells`?"), "{said}");
    assert!(refused(&text("list", "[bash]", "[\"x-${shells}\"]"), &[]).contains("stands alone"));
    assert!(
        refused(&text("list", "[bash]", "[zsh]"), &[])
            .starts_with("b.yaml:5:3: the parameter `shells` is used nowhere")
    );
    assert!(refused(&text("list", "null", "\"${shells}\""), &[]).contains("has no default"));
    assert!(refused(&text("integer", "3", "\"${shells}\""), &[]).starts_with("b.yaml:12:"));
    for (kind, good, bad) in [
        ("integer", "3", "three"),
        ("string", "x", "3"),
        ("boolean", "true", "\"true\""),
        ("date", "2027-01-31", "2027-02-31"),
        ("duration", "90d", "90"),
    ] {
        let with = |value: &str| {
            let head = format!("parameters:\n  p: {{type: {kind}, default: {value}, why: w}}\n");
            let rule = "    assert: \"string(params.p) != 'x' || 'a' in packages.items\"\n";
            load(&named("b", &format!("{head}rules:\n{RULE}{rule}")), &[])
        };
        assert!(with(good).is_ok(), "{kind} {good}");
        assert!(with(bad).err().is_some_and(|said| said.contains(&format!("of type {kind}"))), "{kind} {bad}");
    }
}

#[test]
fn a_rule_that_does_not_apply_says_why_and_what_is_not_known_is_unknown() {
    let rule = |applies: &str| {
        named("b", &format!("rules:\n{RULE}    applies_to: {applies}\n    packages: {{present: [bash]}}\n"))
    };
    let answer = |applies: &str, traits: &Traits| {
        let finding = findings(&load(&rule(applies), &[]).unwrap(), traits).remove(0);
        (finding.status, finding.observed)
    };
    let web = known("staging", &["web"]);
    for applies in
        ["{os: debian}", "{os: [fedora, \"debian >= 11 < 13\"]}", "{environment: staging}", "{role: [db, web]}"]
    {
        assert_eq!(answer(applies, &web).0, Status::Pass, "{applies}");
    }
    let (status, why) = answer("{os: \"debian >= 13\"}", &web);
    assert_eq!(
        (status, why.as_str()),
        (Status::NotApplicable, "this host is debian 12, and it applies to debian >= 13")
    );
    assert_eq!(answer("{environment: production}", &web).0, Status::NotApplicable);
    assert_eq!(answer("{role: db}", &known("staging", &[])).1, "this host has no role, and it applies to db");
    let (status, why) = answer("{role: web}", &Traits::default());
    assert_eq!(status, Status::Unknown);
    assert!(why.contains("only the collector's inventory says"), "{why}");
    assert_eq!(answer("{role: web, os: fedora}", &Traits::default()).0, Status::NotApplicable);
    assert_eq!(answer("{labels: {tier: gold}}", &web).0, Status::Unknown);
    let said = refused(&rule("{environment: prodction}"), &[]);
    assert!(said.starts_with("b.yaml:10:31: ") && said.ends_with("did you mean `production`?"), "{said}");
}

#[test]
fn roles_add_and_change_rules_for_their_hosts_alone() {
    let role = |package: &str| {
        named(
            "role",
            &format!(
                "rules:\n  - id: one\n    packages: {{\"present+\": [{package}]}}\n  - id: only-{package}\n    title: t\n    severity: low\n    why: w\n    fix: f\n    packages: {{present: [{package}]}}\n"
            ),
        )
    };
    let files = [parent(), ("web.yaml", role("nginx")), ("db.yaml", role("postgresql"))];
    let text = named(
        "b",
        "extends:\n  - base.yaml\n  - {name: web.yaml, applies_to: {role: web}}\n  - {name: db.yaml, applies_to: {role: db}}\n",
    );
    let baseline = load(&text, &files).unwrap();
    let subjects = |roles: &[&str]| -> Vec<String> {
        let found = findings(&baseline, &known("production", roles)).into_iter();
        found.filter(|one| one.rule == "one").map(|one| one.subject).collect()
    };
    assert_eq!(subjects(&[]), ["bash:amd64", "telnetd"]);
    assert_eq!(subjects(&["web"]), ["bash:amd64", "nginx", "telnetd"]);
    assert_eq!(subjects(&["db", "web"]), ["bash:amd64", "nginx", "postgresql", "telnetd"]);
    let of = |roles: &[&str]| {
        statuses(&baseline, &known("production", roles))
            .into_iter()
            .skip_while(|(id, _)| id == "one")
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of(&["web"]),
        [("only-nginx".into(), Status::Deviation), ("only-postgresql".into(), Status::NotApplicable)]
    );
    assert!(baseline.asks_inventory());
    assert_eq!(statuses(&baseline, &Traits::default())[0], ("one".into(), Status::Unknown));
}

#[test]
fn a_control_of_no_known_standard_is_refused_with_a_suggestion() {
    let with = |controls: &str, head: &str| {
        load(
            &named("b", &format!("{head}rules:\n{RULE}    controls: [{controls}]\n    packages: {{intact: true}}\n")),
            &[],
        )
    };
    let said = with("NIST 800-53 CM-7, HIPPA 164.312(b)", "").err().unwrap();
    assert!(said.starts_with("b.yaml:10:34: ") && said.ends_with("did you mean `HIPAA`?"), "{said}");
    assert!(with("ACME-7", "policies: {ACME: our own policy}\n").is_ok());
}

#[test]
fn the_merged_baseline_says_where_each_line_came_from_and_is_one_itself() {
    let change =
        "extends: base.yaml\nrules:\n  - id: one\n    severity: critical\n    packages: {\"present+\": [zsh]}\n";
    let folder = Folder([parent()].into());
    let (baseline, lines) = origin::show("b.yaml", named("b", change).as_bytes(), &folder).unwrap();
    let from = |start: &str| {
        lines.iter().find(|line| line.text.trim_start().starts_with(start)).and_then(|line| line.from.clone())
    };
    assert_eq!(from("title: t"), Some(("b.yaml".into(), 3)));
    assert_eq!(from("severity: critical"), Some(("b.yaml".into(), 7)));
    assert_eq!(from("why"), Some(("base.yaml".into(), 8)));
    assert_eq!(from("present"), Some(("base.yaml".into(), 10)));
    let text: String = lines.iter().map(|line| format!("{}\n", line.text)).collect();
    let again = Baseline::parse("merged", text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let of = |baseline: &Baseline| findings(baseline, &Traits::default());
    assert_eq!(of(&again), of(&baseline));
    for (name, shipped) in crate::shipped::BASELINES {
        let (_, lines) = origin::show(name, shipped.as_bytes(), &Shipped).unwrap();
        let text: String = lines.iter().map(|line| format!("{}\n", line.text)).collect();
        assert!(
            Baseline::parse(name, text.as_bytes()).is_ok(),
            "{name}: {}",
            Baseline::parse(name, text.as_bytes()).err().unwrap()
        );
    }
}
