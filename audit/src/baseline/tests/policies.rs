//! The two policies, clause by clause: none is silently out. And what the documentation shows is what the language takes.

use std::collections::BTreeSet;

use super::super::library::{Library, Shipped};
use super::*;

const J: &str = "J-1 J-2 J-4 J-5 J-6 J-7 J-8 J-9 J-10 J-11 J-SoD J-CM J-PM-1 J-PM-2 J-PM-3 J-PM-4";
const L: &str = "L-9.2-1 L-9.2-2 L-9.2-3 L-9.2-4 L-9.2-5 L-9.2-6 L-9.2-7 L-9.2-8 L-9.2-9 L-9.2-10 L-9.2-11 L-9.2-12 \
                 L-9.2-13 L-9.2-14 L-9.2-15 L-9.2-16 L-9.2-17 L-9.3 L-9.4 L-9.5 L-9.6 L-9.7 L-9.8-1 L-9.8-2 L-9.8-3 L-9.8-4 \
                 L-9.8-5 L-9.8-6 L-9.8-7 L-9.8-8 L-9.8-9";

/// Clause by clause, the rules without which it would no longer be shown. What is not here, a host cannot show.
const SHOWN: [(&str, &str, &str); 27] = [
    ("policy-j", "J-2", "administrators-only polkit-administrators sudo-rules-limited package-files-unchanged"),
    ("policy-j", "J-4", "firewall-denies-by-default firewall-openings firewall-after-reboot"),
    ("policy-j", "J-6", "clock-synchronised one-time-daemon clock-setters sudoers-files-safe"),
    ("policy-j", "J-7", "front-end-apart-from-data no-database-beside-the-front-end no-front-end-beside-the-database"),
    ("policy-j", "J-CM", "package-files-unchanged"),
    ("policy-j", "J-PM-1", "security-updates-applied package-database-whole patched-within-a-month"),
    ("policy-j", "J-PM-2", "patch-manager-runs update-lists-fresh"),
    ("policy-j", "J-PM-3", "updates-come-by-themselves no-reboot-pending"),
    ("policy-j", "J-PM-4", "administrators-only one-root-account sudo-asks-for-a-password privileged-programs-known"),
    ("policy-l", "L-9.2-6", "firewall-denies-by-default log-is-kept endpoint-protection-runs virus-definitions-fresh"),
    ("policy-l", "L-9.2-7", "firewall-openings"),
    ("policy-l", "L-9.2-8", "administrators-only sudo-rules-limited privileged-programs-known nothing-world-writable"),
    ("policy-l", "L-9.2-9", "os-supported software-supported"),
    ("policy-l", "L-9.2-10", "shared-folders-sticky links-protected nothing-world-writable"),
    ("policy-l", "L-9.2-12", "front-end-apart-from-data containers-not-root"),
    ("policy-l", "L-9.2-17", "clock-synchronised clock-setters"),
    ("policy-l", "L-9.4", "os-support-ends-soon ssh-strong-ciphers"),
    ("policy-l", "L-9.5", "security-updates-applied updates-come-by-themselves virus-definitions-fresh"),
    ("policy-l", "L-9.6", "log-is-kept actions-leave-audit-entries"),
    ("policy-l", "L-9.8-1", "firewall-denies-by-default firewall-openings"),
    ("policy-l", "L-9.8-2", "no-database-beside-the-front-end"),
    ("policy-l", "L-9.8-3", "firewall-openings"),
    ("policy-l", "L-9.8-4", "firewall-denies-by-default firewall-openings"),
    ("policy-l", "L-9.8-6", "vpn-takes-all-traffic"),
    ("policy-l", "L-9.8-7", "firewall-denies-by-default firewall-after-reboot"),
    ("policy-l", "L-9.8-8", "machine-has-an-id"),
    ("policy-l", "L-9.8-9", "firewall-openings"),
];

#[test]
fn each_clause_a_host_can_show_is_held_by_the_rules_that_show_it() {
    for name in ["policy-j", "policy-l"] {
        let baseline = Baseline::parse(name, crate::shipped::baseline(name).unwrap().as_bytes()).unwrap();
        let prefix = if name == "policy-j" { "J-" } else { "L-" };
        let ruled = |clause: &str| -> BTreeSet<&str> {
            let rules = baseline.rules.iter().filter(|rule| rule.controls.iter().any(|one| one == clause));
            rules.map(|rule| rule.id.as_str()).collect()
        };
        for (_, clause, rules) in SHOWN.iter().filter(|(of, _, _)| *of == name) {
            for rule in rules.split(' ') {
                assert!(ruled(clause).contains(rule), "{name}: {rule} no longer names {clause}");
            }
        }
        let clauses = [J, L].join(" ");
        for clause in clauses.split_whitespace().filter(|clause| clause.starts_with(prefix)) {
            let shown = SHOWN.iter().any(|(of, one, _)| *of == name && *one == clause);
            let cannot = baseline.cannot_show.iter().any(|one| one.clause == clause);
            assert!(shown || cannot, "{clause}: neither shown by a rule nor named as what a host cannot show");
            assert_eq!(shown, !ruled(clause).is_empty(), "{clause}: the table and the rules disagree");
        }
        assert!(baseline.to_come.is_empty(), "{name} still waits for something");
    }
}

#[test]
fn every_clause_of_the_policies_has_a_rule_or_says_why_not() {
    for (name, clauses) in [("policy-j", J), ("policy-l", L)] {
        let text = crate::shipped::baseline(name).unwrap();
        let baseline = Baseline::parse(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let ruled: BTreeSet<&str> =
            baseline.rules.iter().flat_map(|rule| rule.controls.iter().map(String::as_str)).collect();
        let cannot: BTreeSet<&str> = baseline.cannot_show.iter().map(|one| one.clause.as_str()).collect();
        let later: BTreeSet<&str> = baseline.to_come.iter().map(|one| one.clause.as_str()).collect();
        let known: BTreeSet<&str> = clauses.split_whitespace().collect();
        for clause in &known {
            assert!(
                [&ruled, &cannot, &later].iter().any(|set| set.contains(clause)),
                "{name} says nothing of {clause}"
            );
        }
        for clause in cannot.iter().chain(&later) {
            assert!(known.contains(clause), "{name}: there is no clause {clause}");
        }
        assert!(!cannot.is_empty() && ruled.iter().filter(|clause| known.contains(**clause)).count() >= 5);
        assert!(baseline.rules.iter().all(|rule| !rule.controls.is_empty()));
    }
}

#[test]
fn what_ships_for_roles_can_be_laid_together_for_a_host_of_both() {
    let text = "baseline: b\nversion: 1\ntitle: t\nextends:\n  - linux-server\n  - {name: web-server, applies_to: {role: web}}\n  - {name: database-server, applies_to: {role: database}}\n";
    let baseline = Baseline::parse("b", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let forms = baseline.rules.iter().filter(|rule| rule.id == "firewall-openings").count();
    assert_eq!(forms, 4);
    assert_eq!(baseline.rules.iter().filter(|rule| rule.id == "clock-synchronised").count(), 1);
}

/// The documents in docs/baseline.md that name themselves in a comment, `# site.yaml`.
struct Shown(Vec<(String, String)>);

impl Library for Shown {
    fn beside(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| Shipped.beside(path).unwrap_err())
    }
}

#[test]
fn every_example_in_the_documentation_is_accepted() {
    const PAGE: &str = include_str!("../../../../docs/baseline.md");
    let blocks: Vec<String> =
        PAGE.split("\n```").skip(1).filter_map(|block| block.strip_prefix("yaml\n")).map(str::to_owned).collect();
    let named = |text: &String| {
        let name = text.strip_prefix("# ")?.split_once('\n')?.0;
        name.ends_with(".yaml").then(|| (name.to_owned(), text.clone()))
    };
    let library = Shown(blocks.iter().filter_map(named).collect());
    let rule = "  - id: one\n    title: t\n    severity: low\n    why: w\n    fix: f\n";
    let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let (mut whole, mut parts) = (0, 0);
    for block in &blocks {
        let body = block.split_once('\n').filter(|_| block.starts_with("# ")).map_or(block.as_str(), |(_, rest)| rest);
        let key = body.split(':').next().unwrap_or_default();
        let text = if key == "baseline" {
            whole += 1;
            block.clone()
        } else if key == "cases" {
            continue;
        } else if crate::probes::find(key).is_some() || key == ASSERT {
            parts += 1;
            format!("{HEAD}{rule}{}", indented(body))
        } else {
            parts += 1;
            let rules = format!("rules:\n{rule}    packages: {{intact: true}}\n");
            let rules = if body.contains("rules:") { "" } else { rules.as_str() };
            format!("baseline: b\nversion: 1\ntitle: t\n{body}\n{rules}")
        };
        let read = Baseline::load("example.yaml", text.as_bytes(), &library);
        assert!(read.is_ok(), "{}\n{text}", read.err().map_or_else(String::new, |error| error.to_string()));
    }
    assert!(whole >= 4 && parts >= 8, "{whole} {parts}");
}
