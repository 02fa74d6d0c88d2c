//! Each format of `plumbline check`, as a command, read by what reads it at work: promtool, prove, and Python's readers of XML, CSV and JSON with a schema of
//! what SARIF 2.1.0 demands. And the JSON Schema of baselines, held by a validator against its own metaschema and what ships.
//!
//! The host has all four statuses, and names that would break each format if they were not quoted.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use plumbline_tests::agent::plumbline;
use plumbline_tests::debian::Debian;
use plumbline_tests::processes::{Ran, run};
use serde_json::Value;
use tempfile::TempDir;

/// A pass, a deviation for each hostile name, what cannot be determined, and what only a running system could tell.
const BASELINE: &str = "baseline: formats
version: 7
title: Something of each
rules:
  - {id: passes, title: 'It is <installed> & \"well\"', severity: low, why: 'a|b', fix: '=x', packages: {intact: true}}
  - {id: deviates, title: Nothing there, severity: high, why: w, fix: f, controls: [NIST 800-53 CM-7], files: {paths: ['/srv/*'], present: false}}
  - {id: unseen, title: Passwords, severity: medium, why: w, fix: f, accounts: {empty_passwords: forbidden}}
  - {id: beside, title: The clock, severity: critical, why: w, fix: f, time: {synchronised: true}}
";

const HOSTILE: [&[u8]; 12] = [
    b"=cmd|' calc'!A0",
    b"+x,\"y\"; z",
    b"-<b>&amp;]]>",
    b"@a\\b\\\"c",
    b"# SKIP all",
    b"a|b=1;;",
    b"a{b=\"c\"} 1",
    b"a\nb\rc\td",
    b"\x1b[31mred",
    b"\xff\xfe",
    b"\xe2\x80\xaeexe.txt",
    b"\xef\xbf\xbf\xef\xbf\xbe",
];

struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = TempDir::with_prefix("plumbline-formats-").unwrap();
        let debian = Debian::write(&folder.path().join("root"), "web-1");
        debian.file("etc/shadow", "root:*\n");
        std::fs::create_dir_all(debian.root().join("srv")).unwrap();
        for name in HOSTILE {
            std::fs::write(debian.root().join("srv").join(OsStr::from_bytes(name)), "").unwrap();
        }
        std::fs::write(folder.path().join("formats.yaml"), BASELINE).unwrap();
        Self { folder }
    }

    fn check(&self, words: &[&str]) -> Ran {
        let mut command = plumbline(&["check", "--baseline"]);
        command.arg(self.folder.path().join("formats.yaml"));
        run(command.arg("--root").arg(self.folder.path().join("root")).args(words))
    }

    fn format(&self, format: &str) -> Ran {
        self.check(&["--format", format])
    }

    /// How many findings have which status, as the JSON says.
    fn counted(&self) -> BTreeMap<String, usize> {
        let said = self.format("json").ended(1).json();
        let mut counts = BTreeMap::new();
        for finding in said["findings"].as_array().unwrap() {
            *counts.entry(finding["status"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["deviation", "not-applicable", "pass", "unknown"], "{said:#}");
        assert!(counts["deviation"] >= HOSTILE.len(), "{counts:?}");
        counts
    }
}

/// `program` with `text` as its standard input.
#[track_caller]
fn fed(program: &str, arguments: &[&str], text: &str) -> Ran {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    run(Command::new(program).args(arguments).stdin(Stdio::from(file)))
}

/// What a few lines of Python print, as JSON, of `text` on standard input.
#[track_caller]
fn python(script: &str, text: &str) -> Value {
    fed("/usr/bin/python3", &["-c", script], text).ok().json()
}

#[test]
fn each_format_ends_as_its_reader_expects() {
    let host = Host::new();
    for format in ["human", "json", "junit", "sarif", "tap", "prometheus", "csv"] {
        let ran = host.format(format).ended(1);
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran}");

        host.check(&["--format", format, "--fail-on", "critical"]).ended(0);
    }
    // Nagios: 2 critical, 1 warning, 3 unknown, 0 well.
    let nagios = |words: &[&str]| host.check(&[&["--format", "nagios"], words].concat());
    let said = nagios(&[]).ended(2).stdout;
    assert!(said.starts_with("PLUMBLINE CRITICAL - ") && said.lines().count() == 1, "{said}");
    assert_eq!(said.matches('|').count(), 1, "{said}");
    nagios(&["--fail-on", "critical"]).ended(0);
    let milder = |from: &str, to: &str| {
        let text = BASELINE.replace(from, to);
        assert_ne!(text, BASELINE);
        std::fs::write(host.folder.path().join("formats.yaml"), text).unwrap();
    };
    milder("severity: high", "severity: medium");
    assert!(nagios(&[]).ended(1).stdout.starts_with("PLUMBLINE WARNING"));
    milder("present: false", "present: true");
    assert!(nagios(&[]).ended(3).stdout.starts_with("PLUMBLINE UNKNOWN"));
    host.format("json").ended(3);
    milder("baseline: formats", "bsaeline: formats");
    for format in ["human", "json", "junit", "sarif", "nagios", "tap", "prometheus", "csv"] {
        let ran = host.format(format).ended(2);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("did you mean"), "{ran}");
    }
}

#[test]
fn nothing_that_is_piped_or_asked_not_to_be_is_coloured_and_no_name_acts() {
    let host = Host::new();
    for format in ["human", "json", "junit", "sarif", "nagios", "tap", "prometheus", "csv"] {
        for words in [&[][..], &["--color", "never"]] {
            let said = host.check(&[&["--format", format], words].concat()).stdout;
            let acts = |c: char| matches!(c, '\u{1b}' | '\u{202e}' | '\t') || (c == '\r' && format != "csv");
            assert!(!said.chars().any(acts), "{format}: {said:?}");
        }
    }
    // On a terminal: coloured, unless NO_COLOR or --color says otherwise.
    let on_terminal = |settings: &str| {
        let call = format!(
            "{} check --baseline {} --root {} {settings}",
            plumbline(&[]).get_program().display(),
            host.folder.path().join("formats.yaml").display(),
            host.folder.path().join("root").display()
        );
        let mut script = Command::new("script");
        run(script.args(["-qec", &call, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null())).stdout
    };
    assert!(on_terminal("").contains("\u{1b}["), "a terminal has colours");
    assert!(!on_terminal("--color never").contains('\u{1b}'));
    let mut without = Command::new("script");
    let call = format!(
        "NO_COLOR=1 {} check --baseline {} --root {}",
        plumbline(&[]).get_program().display(),
        host.folder.path().join("formats.yaml").display(),
        host.folder.path().join("root").display()
    );
    let said = run(without.args(["-qec", &call, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null())).stdout;
    assert!(!said.contains('\u{1b}') && said.contains("deviates"), "{said:?}");
    assert!(host.check(&["--color", "always"]).stdout.contains("\u{1b}["));
}

#[test]
fn promtool_reads_the_metrics_and_finds_nothing_to_lint() {
    let host = Host::new();
    let counts = host.counted();
    let text = host.format("prometheus").stdout;
    let ran = fed("promtool", &["check", "metrics"], &text).ok();
    assert_eq!(ran.stderr.trim(), "", "{ran}");
    let total = |status: &str| -> usize {
        let of = text
            .lines()
            .filter(|line| line.starts_with("plumbline_findings{") && line.contains(&format!("\"{status}\"")));
        of.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    };
    for (status, count) in &counts {
        assert_eq!(total(status), *count, "{status}");
    }
    println!("promtool: {} lines, none complained of", text.lines().count());
}

#[test]
fn prove_reads_the_plan_and_counts_what_is_not_ok() {
    let host = Host::new();
    let counts = host.counted();
    let text = host.format("tap").stdout;
    let folder = TempDir::with_prefix("plumbline-tap-").unwrap();
    let file = folder.path().join("check.t");
    std::fs::write(&file, &text).unwrap();
    let ran = run(Command::new("prove").args(["--exec", "cat", "--verbose"]).arg(&file)).ended(1);
    let failed = counts["deviation"] + counts["unknown"];
    let all: usize = counts.values().sum();
    assert!(ran.stdout.contains(&format!("Failed {failed}/{all} subtests")), "{ran}");
    assert!(ran.stdout.contains(&format!("(less {} skipped subtest", counts["not-applicable"])), "{ran}");
    assert!(!ran.stdout.contains("Parse errors"), "{ran}");
    println!("prove: {all} of {all} points understood, {failed} of them not ok");
}

#[test]
fn pythons_reader_of_xml_finds_each_finding() {
    let host = Host::new();
    let counts = host.counted();
    let read = python(
        "import sys, json, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
suite = root[0]
cases = suite.findall('testcase')
count = lambda tag: sum(case.find(tag) is not None for case in cases)
json.dump({'tag': root.tag, 'said': suite.attrib, 'cases': len(cases), 'failures': count('failure'), 'errors': count('error'),
  'skipped': count('skipped'), 'names': [case.get('name') for case in cases]}, sys.stdout)",
        &host.format("junit").stdout,
    );
    let all: usize = counts.values().sum();
    assert_eq!((read["tag"].as_str(), &read["cases"]), (Some("testsuites"), &all.into()), "{read:#}");
    for (key, status) in [("failures", "deviation"), ("errors", "unknown"), ("skipped", "not-applicable")] {
        assert_eq!(
            (&read[key], read["said"][key].as_str().unwrap()),
            (&counts[status].into(), &*counts[status].to_string())
        );
    }
    let names = read["names"].as_array().unwrap();
    assert!(names.iter().any(|name| name.as_str().unwrap().contains("-<b>&amp;]]>")), "{names:?}");
    println!("xml.etree: {all} of {all} cases");
}

#[test]
fn pythons_reader_of_csv_finds_each_finding_and_no_formula() {
    let host = Host::new();
    let counts = host.counted();
    let read = python(
        "import sys, csv, io, json
text = io.TextIOWrapper(sys.stdin.buffer, encoding='utf-8', newline='')
json.dump(list(csv.DictReader(text, strict=True)), sys.stdout)",
        &host.format("csv").stdout,
    );
    let rows = read.as_array().unwrap();
    assert_eq!(rows.len(), counts.values().sum::<usize>());
    for row in rows {
        let cells = row.as_object().unwrap();
        assert_eq!(cells.len(), 14, "{row:#}");
        let formula = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert!(cells.values().all(|cell| !formula(cell.as_str().unwrap())), "{row:#}");
    }
    let quoted = rows.iter().any(|row| row["subject"].as_str().unwrap().contains("+x,\"y\"; z"));
    assert!(quoted && rows.iter().any(|row| row["fix"] == "'=x"), "{rows:#?}");
    println!("csv: {} rows of 14 cells", rows.len());
}

/// What SARIF 2.1.0 demands of a log like ours (sections 3.13 to 3.27), in our own words: the standard's schema is not ours to copy.
const SARIF: &str = r##"{
  "type": "object", "required": ["version", "runs"], "additionalProperties": false,
  "properties": {"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"}, "runs": {"type": "array", "minItems": 1, "items": {
    "type": "object", "required": ["tool", "results"], "additionalProperties": false,
    "properties": {
      "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]}, "properties": {"type": "object"},
      "tool": {"type": "object", "required": ["driver"], "additionalProperties": false, "properties": {"driver": {
        "type": "object", "required": ["name", "rules"], "additionalProperties": false,
        "properties": {"name": {"type": "string", "minLength": 1}, "version": {"type": "string"}, "informationUri": {"type": "string", "format": "uri"},
          "rules": {"type": "array", "uniqueItems": true, "items": {"type": "object", "required": ["id"], "additionalProperties": false, "properties": {
            "id": {"type": "string"}, "shortDescription": {"$ref": "#/$defs/message"}, "fullDescription": {"$ref": "#/$defs/message"},
            "help": {"$ref": "#/$defs/message"}, "properties": {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": true, "items": {"type": "string"}}}},
            "defaultConfiguration": {"type": "object", "additionalProperties": false, "properties": {"level": {"$ref": "#/$defs/level"}}}}}}}}}},
      "results": {"type": "array", "items": {"type": "object", "required": ["message", "ruleId", "ruleIndex"], "additionalProperties": false,
        "properties": {
          "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": 0}, "message": {"$ref": "#/$defs/message"},
          "kind": {"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]}, "level": {"$ref": "#/$defs/level"},
          "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
          "locations": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"logicalLocations": {"type": "array", "items": {
            "type": "object", "additionalProperties": false, "properties": {"name": {"type": "string"}, "fullyQualifiedName": {"type": "string"}, "kind": {"type": "string"}}}}}}}},
        "if": {"properties": {"kind": {"not": {"const": "fail"}}}}, "then": {"properties": {"level": {"const": "none"}}}}}}}}},
  "$defs": {"message": {"type": "object", "required": ["text"], "additionalProperties": false, "properties": {"text": {"type": "string", "minLength": 1}}},
    "level": {"enum": ["none", "note", "warning", "error"]}}
}"##;

const VALIDATE: &str = "import sys, json, jsonschema
asked = json.load(sys.stdin)
kind = jsonschema.Draft202012Validator
kind.check_schema(asked['schema'])
checker = kind(asked['schema'])
json.dump([[error.message[:300] for error in checker.iter_errors(one)] for one in asked['documents']], sys.stdout)";

/// The complaints about each document.
#[track_caller]
fn validated(schema: &Value, documents: &[Value]) -> Vec<Vec<String>> {
    let asked = serde_json::json!({"schema": schema, "documents": documents});
    serde_json::from_value(python(VALIDATE, &asked.to_string())).unwrap()
}

#[test]
fn sarif_is_what_the_standard_demands() {
    let host = Host::new();
    let counts = host.counted();
    let schema: Value = serde_json::from_str(SARIF).unwrap();
    let log = host.format("sarif").json();
    let mut torn = log.clone();
    torn["runs"][0]["results"][0]["kind"] = "passed".into();
    let said = validated(&schema, &[log.clone(), torn]);
    assert_eq!((said[0].as_slice(), said[1].len()), ([].as_slice(), 1), "{said:#?}");
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), counts.values().sum::<usize>());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
    println!("sarif: {} results of {} rules", results.len(), run["tool"]["driver"]["rules"].as_array().unwrap().len());
}

#[test]
fn the_schema_of_baselines_takes_what_ships_and_refuses_a_slip() {
    let schema = run(&mut plumbline(&["baseline", "schema"])).ok().json();
    let documents: Vec<(&str, Value)> = audit::shipped::BASELINES
        .iter()
        .map(|(name, text)| {
            (*name, serde_json::to_value(serde_yaml::from_str::<serde_yaml::Value>(text).unwrap()).unwrap())
        })
        .collect();
    let all: Vec<Value> = documents.iter().map(|(_, document)| document.clone()).collect();
    for (complaints, (name, _)) in validated(&schema, &all).iter().zip(&documents) {
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
    let good = &all[0];
    let slip = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let slips = [
        slip(&|bad| bad["rule"] = bad["rules"].take()),
        slip(&|bad| bad["version"] = "one".into()),
        slip(&|bad| bad["rules"][0]["severity"] = "hihg".into()),
        slip(&|bad| bad["rules"][0]["packges"] = serde_json::json!({"absent": ["x"]})),
        slip(&|bad| bad["rules"][0]["packages"] = serde_json::json!({"abesnt": ["x"]})),
    ];
    for (number, complaints) in validated(&schema, &slips).iter().enumerate() {
        assert!(!complaints.is_empty(), "slip {number} was taken");
    }
    println!("schema: {} of {} shipped baselines taken, {} slips refused", all.len(), all.len(), slips.len());
}
