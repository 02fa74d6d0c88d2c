//! The two policies, clause by clause: none is silently out. And what the documentation shows is what the language takes.

use std::collections::BTreeSet;

use super::super::library::{Library, Shipped};
use super::*;

const J: &str = "J-1 J-2 J-4 J-5 J-6 J-7 J-8 J-9 J-10 J-11 J-SoD J-CM J-PM-1 J-PM-2 J-PM-3 J-PM-4";
const L: &str = "L-9.2-1 L-9.2-2 L-9.2-3 L-9.2-4 L-9.2-5 L-9.2-6 L-9.2-7 L-9.2-8 L-9.2-9 L-9.2-10 L-9.2-11 L-9.2-12 \
                 L-9.2-13 L-9.2-14 L-9.2-15 L-9.2-16 L-9.2-17 L-9.3 L-9.4 L-9.5 L-9.6 L-9.7 L-9.8-1 L-9.8-2 L-9.8-3 L-9.8-4 \
                 L-9.8-5 L-9.8-6 L-9.8-7 L-9.8-8 L-9.8-9";

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
