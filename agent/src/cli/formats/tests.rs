//! Every format holds what a hostile host says, and says of each finding what its readers understand.

use super::*;

fn finding(rule: &str, status: Status, severity: Severity, subject: &str) -> Finding {
    Finding {
        rule: rule.into(),
        probe: "packages".into(),
        subject: subject.into(),
        status,
        severity,
        title: "No <telnet> & \"co\"".into(),
        expected: "none".into(),
        observed: "=1+1|x, \"y\" # \u{1b}[2J\nz".into(),
        why: "w".into(),
        fix: "-f".into(),
        controls: vec!["NIST 800-53 CM-7".into()],
    }
}

fn all() -> Vec<Finding> {
    vec![
        finding("no-clear-text-login", Status::Deviation, Severity::High, "=cmd|' /C calc'!A0"),
        finding("packages-intact", Status::Unknown, Severity::Medium, "packages"),
        finding("os-supported", Status::Pass, Severity::High, "debian:12"),
        finding("time-source-configured", Status::NotApplicable, Severity::Low, "time"),
    ]
}

fn written(output: Output, findings: &[Finding], fail_on: Severity) -> (String, u8) {
    let baseline = Baseline::parse("b", audit::shipped::LINUX_SERVER.as_bytes()).unwrap();
    let found = Found { host: "web\"1", baseline: &baseline, findings, fail_on, at: 7 };
    (write(output, &found).unwrap(), nagios_status(&found))
}

#[test]
fn no_format_passes_on_what_acts_on_a_terminal() {
    for output in [Output::Junit, Output::Sarif, Output::Nagios, Output::Tap, Output::Prometheus, Output::Csv] {
        let (text, _) = written(output, &all(), Severity::Low);
        assert!(!text.is_empty() && !text.contains('\u{1b}'), "{output:?}: {text}");
    }
}

#[test]
fn csv_has_as_many_cells_in_every_row_and_no_formula() {
    let (text, _) = written(Output::Csv, &all(), Severity::Low);
    let rows: Vec<Vec<String>> = text.split_terminator("\r\n").map(cells).collect();
    assert_eq!(rows.len(), 5);
    for row in &rows {
        assert_eq!(row.len(), 14, "{row:?}");
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{row:?}");
    }
    assert_eq!(rows[1][5], "'=cmd|' /C calc'!A0");
    assert_eq!(rows[1][12], "'-f");
}

/// A row's cells, by RFC 4180.
fn cells(row: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = row.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => cell.extend(chars.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => cells.push(std::mem::take(&mut cell)),
            (c, _) => cell.push(c),
        }
    }
    assert!(!quoted, "{row}");
    cells.push(cell);
    cells
}

#[test]
fn nagios_answers_with_its_own_states() {
    let (text, status) = written(Output::Nagios, &all(), Severity::Low);
    assert_eq!(status, 2);
    assert!(text.starts_with(
        "PLUMBLINE CRITICAL - 1 deviations, 1 unknown, 1 passed by linux-server: no-clear-text-login (deviation)"
    ));
    assert_eq!(text.matches('|').count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1);
    assert_eq!(written(Output::Nagios, &all(), Severity::Critical).1, 0);
    let [high, unknown, pass, _] = all().try_into().unwrap();
    assert_eq!(written(Output::Nagios, &[Finding { severity: Severity::Low, ..high }], Severity::Low).1, 1);
    assert_eq!(written(Output::Nagios, &[unknown, pass], Severity::Low).1, 3);
}

#[test]
fn tap_counts_what_it_announces() {
    let (text, _) = written(Output::Tap, &all(), Severity::Low);
    assert!(text.starts_with("TAP version 13\n1..4\nnot ok 1 - no-clear-text-login "), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("not ok")).count(), 2);
    assert!(text.contains("\nok 4 - time-source-configured time # SKIP "), "{text}");
    assert_eq!(text.matches("\n  ---\n").count(), text.matches("\n  ...\n").count());
}

#[test]
fn prometheus_has_a_type_before_each_metric_and_quotes_labels() {
    let (text, _) = written(Output::Prometheus, &all(), Severity::Low);
    let mut typed = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed.push(rest.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with('#') {
            let (name, value) = (line.split('{').next().unwrap().to_owned(), line.rsplit(' ').next().unwrap());
            assert!(typed.contains(&name) && value.parse::<f64>().is_ok(), "{line}");
            assert!(line.contains("{host=\"web\\\"1\",baseline=\"linux-server\""), "{line}");
        }
    }
    assert!(text.contains("status=\"deviation\",severity=\"high\"} 1\n"), "{text}");
}

#[test]
fn sarif_gives_every_result_a_rule_and_no_level_to_what_is_no_failure() {
    let (text, _) = written(Output::Sarif, &all(), Severity::Low);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let run = &value["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!((value["version"].as_str(), results.len()), (Some("2.1.0"), 4));
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        assert_eq!(result["kind"] == "fail", result["level"] != "none", "{result}");
    }
}

#[test]
fn junit_counts_add_up_and_its_xml_is_well_formed() {
    let (text, _) = written(Output::Junit, &all(), Severity::Low);
    assert!(text.contains("tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\""), "{text}");
    for (tag, count) in [("<testcase ", 4), ("<failure ", 1), ("<error ", 1), ("<skipped ", 1), ("</testcase>", 4)] {
        assert_eq!(text.matches(tag).count(), count, "{tag}");
    }
    assert!(!text.contains("<telnet>") && text.contains("&lt;telnet&gt; &amp; &quot;co&quot;"), "{text}");
}
