//! What systemd says of a booted host, in the probes' words.

use std::collections::{BTreeMap, BTreeSet};

use plumbline_tests::nspawn::RealHost;
use serde_json::Value;

#[track_caller]
fn rows(host: &RealHost, words: &[&str]) -> Vec<Value> {
    let words = [&["systemctl"], words, &["--no-pager", "--output", "json"]].concat();
    host.run(&words).ok().json().as_array().unwrap().clone()
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}

/// The units that run or failed: of services, sockets, timers and paths all, of other kinds what failed; without what comes and
/// goes with sessions and with the test's own looks.
pub fn states(host: &RealHost) -> BTreeMap<String, String> {
    let mut states = BTreeMap::new();
    for row in rows(host, &["list-units", "--all"]) {
        let (unit, active, sub) = (text(&row, "unit"), text(&row, "active"), text(&row, "sub"));
        let runs_programs = [".service", ".socket", ".timer", ".path"].iter().any(|kind| unit.ends_with(kind));
        let passing = ["run-u", "user@", "user-runtime-dir@"].iter().any(|start| unit.starts_with(start));
        let state = match (active.as_str(), sub.as_str()) {
            (_, "auto-restart") => "restarting",
            ("failed", _) => "failed",
            ("active" | "reloading", "exited") if runs_programs => "exited",
            ("active" | "reloading", _) if runs_programs => "active",
            _ => continue,
        };
        if !passing {
            states.insert(unit, state.to_owned());
        }
    }
    states
}

/// All unit files with their states, but for those a running program made.
pub fn files(host: &RealHost) -> BTreeMap<String, String> {
    let rows = rows(host, &["list-unit-files"]);
    let rows = rows.iter().map(|row| (text(row, "unit_file"), text(row, "state")));
    rows.filter(|(_, state)| state != "transient").collect()
}

/// The timers that wait, and what each starts.
pub fn timers(host: &RealHost) -> BTreeMap<String, String> {
    rows(host, &["list-timers"]).iter().map(|row| (text(row, "unit"), text(row, "activates"))).collect()
}

/// Those of `timers` that systemd did not start because a condition does not hold.
pub fn skipped<'a>(host: &RealHost, timers: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    let is_skipped = |timer: &&String| {
        host.run(&["systemctl", "show", "-P", "ConditionResult", "-P", "ActiveState", timer])
            .stdout
            .contains("inactive")
            && host.run(&["systemctl", "show", "-P", "ConditionResult", timer]).stdout.trim() == "no"
    };
    timers.filter(is_skipped).cloned().collect()
}

/// When a timer runs, as systemd understood its settings: each `KEY=VALUE` in systemd's own form, sorted.
pub fn when(host: &RealHost, timer: &str) -> Vec<String> {
    let shown = host.run(&["systemctl", "show", "-p", "TimersCalendar", "-p", "TimersMonotonic", timer]).ok().stdout;
    // TimersCalendar={ OnCalendar=*-*-* 06:00:00 ; next_elapse=… }
    let settings = shown.lines().filter_map(|line| line.split_once("={ ")?.1.split_once(" ; "));
    let settings = settings.map(|(setting, _)| match setting.split_once("USec=") {
        Some((key, span)) => format!("{key}Sec={span}"),
        None => setting.to_owned(),
    });
    sorted(settings.collect())
}

/// What a probe says of when, in the same form.
pub fn plain(host: &RealHost, when: &str) -> Vec<String> {
    let mut settings: Vec<String> = Vec::new();
    // A value may hold blanks; a key never does.
    for word in when.split(' ') {
        match settings.last_mut() {
            Some(last) if !word.starts_with("On") => last.extend([" ", word]),
            _ => settings.push(word.to_owned()),
        }
    }
    let form = |setting: &String| {
        let (key, value) = setting.split_once('=').unwrap();
        let (verb, label) = if key == "OnCalendar" { ("calendar", "Normalized form:") } else { ("timespan", "Human:") };
        let said = host.run(&["systemd-analyze", verb, value]).ok().stdout;
        let form = said.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap_or(value).trim().to_owned();
        format!("{key}={form}")
    };
    sorted(settings.iter().map(form).collect())
}

fn sorted(mut settings: Vec<String>) -> Vec<String> {
    settings.sort();
    settings
}
