//! What a collector keeps, checked by `verify`: whole after a real history, and each edit by raw SQL named.
//!
//! Whoever owns the file can drop the triggers, edit, and put the triggers back: that is what is done here.

use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::agent::Agent;
use plumbline_tests::collector::Collector;
use plumbline_tests::processes::{Ran, binary, eventually, run};
use serde_json::Value;

fn verify(data: &Path, words: &[&str]) -> Ran {
    let mut command = Command::new(binary("plumbline-collector"));
    run(command.arg("verify").arg("--data").arg(data).args(words).env_clear())
}

fn sql(database: &Path, script: &str) -> String {
    run(Command::new("sqlite3").arg("-bail").arg(database).arg(script)).ok().stdout
}

/// Does `script` to a database past its triggers, which stand afterwards as they did before.
fn past_the_triggers(database: &Path, script: &str) {
    let listed =
        sql(database, "SELECT json_group_array(json_array(name, sql)) FROM sqlite_master WHERE type = 'trigger'");
    let triggers: Vec<(String, String)> = serde_json::from_str(&listed).unwrap();
    assert!(triggers.len() > 20, "{listed}");
    let dropped: String = triggers.iter().map(|(name, _)| format!("DROP TRIGGER {name};\n")).collect();
    let made: String = triggers.iter().map(|(_, made)| format!("{made};\n")).collect();
    sql(database, &format!("{dropped}{script};\n{made}"));
}

/// Reports, approved and unapproved changes, approval afterwards, an inspection that closes drift: stopped, in a folder.
struct History {
    collector: Collector,
    approved: String,
    waiting: String,
}

impl History {
    fn new() -> Self {
        let collector = Collector::unhurried();
        let people = collector.people();
        let web = Agent::active(&collector, "web-1");
        let new = Agent::pending(&collector, "new-1");
        for agent in [&web, &new] {
            agent.report();
        }
        let approved = collector.ask(&people.rhea, "web-*", "packages/openssl:*");
        collector.approve(&people.ava, &approved).ok();
        let afterwards = collector.ask(&people.rhea, "web-1", "packages/tar:*");
        web.report();
        for (package, version) in [("openssl", "3.9.1-1"), ("bash", "9.9-1"), ("tar", "9.9-1"), ("openssl", "3.9.2-1")]
        {
            web.host.install(package, version);
            web.report();
        }
        new.host.install("bash", "8.8-1");
        new.report();
        collector.drift_until("bash:amd64", |drift| drift["host_name"] == "new-1");
        collector.drift_until("openssl:amd64", |drift| drift["after"]["version"] == "3.9.2-1");
        collector.inspect("new-1");
        collector.approve(&people.otto, &afterwards).ok();
        collector.drift_until("tar:amd64", |drift| drift["reason"] == "approved-afterwards");
        let waiting = collector.ask(&people.rhea, "web-1", "admins/*");
        web.report();
        collector.cli(&["login"]).ok();
        let head = |collector: &Collector| collector.host("web-1")["head_sequence"].clone();
        eventually("all to be judged", || {
            (collector.host("web-1")["judged_sequence"] == head(&collector)).then_some(())
        });
        Self { collector, approved, waiting }
    }

    /// A copy of its data to do harm to.
    fn copy(&self, name: &str) -> PathBuf {
        let folder = self.collector.folder().join(name.replace(' ', "-"));
        std::fs::create_dir(&folder).unwrap();
        for file in ["collector.db", "receipt.key"] {
            std::fs::copy(self.collector.data().join(file), folder.join(file)).unwrap();
        }
        folder
    }
}

#[test]
fn a_real_history_is_whole_and_every_edit_by_raw_sql_is_named() {
    let mut history = History::new();
    let serving = verify(&history.collector.data(), &["--format", "json"]).ok().json();
    let checked = |what: &str| serving["checked"][what].as_u64().unwrap();
    println!("while it serves: {}", serving["checked"]);
    assert!(checked("reports") >= 9 && checked("drifts") >= 5 && checked("verdicts") > checked("drifts"), "{serving}");
    assert_eq!((&serving["notes"], checked("approvals")), (&Value::Array(Vec::new()), 2), "{serving}");
    history.collector.stop();
    let whole = verify(&history.collector.data(), &["--head", serving["head"].as_str().unwrap()]).ok();
    assert!(whole.stdout.contains("whole: nothing is wrong"), "{whole}");

    let web = "host = (SELECT id FROM hosts WHERE name = 'web-1')";
    let bash = format!("subject = 'bash:amd64' AND {web}");
    let (approved, waiting) = (&history.approved, &history.waiting);
    let edits: Vec<(&str, String, &str)> = vec![
        ("a report deleted", format!("DELETE FROM reports WHERE sequence = 4 AND {web}"), "report 4 of web-1"),
        (
            "the newest report deleted",
            format!("DELETE FROM reports WHERE sequence = (SELECT MAX(sequence) FROM reports WHERE {web}) AND {web}"),
            "is not here, and nothing says why",
        ),
        (
            "an envelope edited",
            format!(
                "UPDATE reports SET envelope = CAST(replace(CAST(envelope AS TEXT), '\"sig\":\"', '\"sig\":\"A') AS BLOB)
                 WHERE sequence = 3 AND {web}"
            ),
            "report 3 of web-1",
        ),
        (
            "an envelope exchanged",
            format!(
                "UPDATE reports SET envelope = (SELECT envelope FROM reports WHERE sequence = 2 AND {web})
                 WHERE sequence = 3 AND {web}"
            ),
            "says something else than what stands beside it",
        ),
        (
            "two reports in another order",
            format!("UPDATE reports SET sequence = 7 - sequence WHERE sequence IN (3, 4) AND {web}"),
            "says something else than what stands beside it",
        ),
        (
            "a receipt edited",
            format!("UPDATE reports SET received = received - 1000000 WHERE sequence = 3 AND {web}"),
            "when it came was altered",
        ),
        (
            "facts edited",
            "UPDATE facts SET body = (SELECT body FROM facts ORDER BY digest LIMIT 1)
             WHERE digest = (SELECT MAX(digest) FROM facts)"
                .to_owned(),
            "do not hash to their name",
        ),
        (
            "facts deleted",
            format!("DELETE FROM facts WHERE digest = (SELECT manifest FROM reports WHERE sequence = 4 AND {web})"),
            "facts it names are not here",
        ),
        (
            "needs deleted",
            format!(
                "DELETE FROM manifest_needs WHERE rowid = (SELECT MIN(rowid) FROM manifest_needs WHERE manifest =
                 (SELECT manifest FROM reports WHERE sequence = 4 AND {web}))"
            ),
            "needs other facts than is said",
        ),
        (
            "a drift's verdict edited",
            format!("UPDATE drifts SET verdict = 'authorised', reason = 'definitely-inside' WHERE {bash}"),
            "stands as authorised",
        ),
        (
            "a verdict edited everywhere",
            format!(
                "UPDATE verdicts SET verdict = 'authorised', reason = 'definitely-inside' WHERE drift IN
                 (SELECT seq FROM drifts WHERE {bash});
                 UPDATE drifts SET verdict = 'authorised', reason = 'definitely-inside' WHERE {bash}"
            ),
            "by the records and approvals of then it is unauthorised",
        ),
        (
            "a value edited",
            format!("UPDATE drifts SET value_after = replace(value_after, '9.9-1', '9.8-1') WHERE {bash}"),
            "has another value than the facts",
        ),
        (
            "a value before edited",
            "UPDATE drifts SET value_before = replace(value_before, '3.9.1-1', '3.9.0-1')".to_owned(),
            "begins with another value",
        ),
        ("a drift deleted", format!("DELETE FROM drifts WHERE {bash}"), "deleted"),
        ("a verdict deleted", "DELETE FROM verdicts WHERE seq = 2".to_owned(), "verdicts"),
        ("a drift closed", format!("UPDATE drifts SET closed = 1, closed_by = 'collector' WHERE {bash}"), "does not close"),
        (
            "a drift closed by a person",
            format!("UPDATE drifts SET closed = 1, closed_by = 'ava' WHERE {bash}"),
            "closed by somebody who did not inspect",
        ),
        (
            "a closed drift opened",
            "UPDATE drifts SET closed = NULL, closed_by = NULL WHERE subject = 'tar:amd64'".to_owned(),
            "is open, and its verdict closed it",
        ),
        (
            "an approval by who asked",
            format!("INSERT INTO approvals VALUES ('{waiting}', 'rhea', 1900000000000000)"),
            "cannot also approve",
        ),
        (
            "an approval nobody gave",
            format!("INSERT INTO approvals VALUES ('{waiting}', 'ava', 1900000000000000)"),
            "is not in the log",
        ),
        ("an approval deleted", format!("DELETE FROM approvals WHERE change_id = '{approved}'"), "ava approved it"),
        (
            "a window edited after approval",
            format!(
                "UPDATE changes SET window_to = (created / 1000000 + 86400) * 1000000,
                 record = json_set(record, '$.window.to', strftime('%Y-%m-%dT%H:%M:%SZ', created / 1000000 + 86400, 'unixepoch'))
                 WHERE id = '{approved}'"
            ),
            "was altered after it was approved",
        ),
        ("a window's column edited", "UPDATE changes SET window_to = window_to + 1".to_owned(), "what stands beside it"),
        ("a record deleted", format!("DELETE FROM changes WHERE id = '{waiting}'"), "it is not here: deleted"),
        ("an act deleted", "DELETE FROM audit_log WHERE seq = 5".to_owned(), "the log, act 5"),
        (
            "the last acts deleted",
            "DELETE FROM audit_log WHERE seq > (SELECT MAX(seq) - 2 FROM audit_log)".to_owned(),
            "deleted at its end",
        ),
        ("an act edited", "UPDATE audit_log SET who = 'otto' WHERE did = 'change approve'".to_owned(), "altered"),
        (
            "two acts in another order",
            "UPDATE audit_log SET seq = 0 WHERE seq = 3; UPDATE audit_log SET seq = 3 WHERE seq = 4;
             UPDATE audit_log SET seq = 4 WHERE seq = 0"
                .to_owned(),
            "stood elsewhere",
        ),
        (
            "a token exchanged",
            "UPDATE accounts SET token_hash = replace(hex(zeroblob(32)), '0', 'a') WHERE name = 'ava'".to_owned(),
            "account ava",
        ),
        ("a role added", "INSERT INTO account_roles VALUES ('rhea', 'approver')".to_owned(), "account rhea"),
        ("a host moved", "UPDATE hosts SET environment = 'development'".to_owned(), "enrolled otherwise"),
        ("a host made active", "UPDATE hosts SET inspected_by = 'otto' WHERE name = 'web-1'".to_owned(), "inspected"),
        ("a trigger altered", "DROP VIEW hosts_now; CREATE VIEW hosts_now AS SELECT *, NULL AS silent_since FROM hosts"
            .to_owned(), "view hosts_now"),
    ];
    let count = edits.len();
    for (what, script, due) in edits {
        let data = history.copy(what);
        past_the_triggers(&data.join("collector.db"), &script);
        let ran = verify(&data, &[]).ended(1);
        assert!(ran.stdout.lines().any(|line| line.starts_with("WRONG") && line.contains(due)), "{what}: {ran}");
        let named: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("WRONG")).collect();
        println!("{what}: {}", named.join(" | "));
    }
    println!("{count} of {count} edits were caught and named");

    // What is cut off at the end, the counters with it, shows only where the end is known from elsewhere.
    let data = history.copy("the end cut off");
    let cut =
        "DELETE FROM audit_log WHERE did = 'login'; UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'audit_log'";
    past_the_triggers(&data.join("collector.db"), cut);
    verify(&data, &[]).ok();
    let ran = verify(&data, &["--head", serving["head"].as_str().unwrap()]).ended(1);
    assert!(ran.stdout.contains("it was cut, or written anew"), "{ran}");

    verify(Path::new("/nowhere"), &[]).ended(2);
    let data = history.copy("no key");
    std::fs::remove_file(data.join("receipt.key")).unwrap();
    verify(&data, &[]).ended(2);
}
