//! A rule about the kernel against what was seen.

use super::{CoreDumps, Expect, Kernel, Setting, Value, Values, modprobe, mounts, sysctl};
use crate::facts::{Facts, Observed};
use crate::finding::{Judgement, Status};
use crate::host::Gap;
use crate::probe::Probe as _;

type Seen = Facts<Setting, String>;

pub(super) fn judge(expect: &Expect, facts: &Seen) -> Vec<Judgement> {
    let mut told = Vec::new();
    for (key, values) in &expect.sysctls {
        told.extend(sysctls(&sysctl::canonical(key), values, facts));
    }
    for module in &expect.loaded {
        told.push(with_modules(module, "loaded", facts, |loaded| loaded.contains(&modprobe::name(module).as_str())));
    }
    told.extend(expect.disabled.iter().map(|module| disabled(module, facts)));
    if let Some(allowed) = &expect.only_modules {
        told.extend(only_modules(allowed, facts));
    }
    told.extend(expect.parameters.iter().map(|(name, value)| parameter(name, value, facts)));
    told.extend(expect.forbidden_parameters.iter().map(|name| forbidden_parameter(name, facts)));
    told.extend(expect.mounts.iter().map(|(point, options)| mount(point, options, facts)));
    if let Some(modes) = &expect.lockdown {
        let modes: Vec<&str> = modes.iter().map(|mode| mode.name()).collect();
        told.push(state("lockdown", &modes.join(" or "), facts, |mode| {
            modes.contains(&mode) || (mode == "absent" && modes.contains(&"none"))
        }));
    }
    if let Some(on) = expect.secure_boot {
        let expected = if on { "enabled" } else { "disabled" };
        told.push(state("secure-boot", expected, facts, |seen| (seen == "enabled") == on));
    }
    if expect.untainted.is_some() {
        told.push(state("taint", "0", facts, |seen| seen == "0"));
    }
    if let Some(CoreDumps::Forbidden) = expect.core_dumps {
        told.extend(core_dumps(facts));
    }
    told
}

fn state(subject: &str, expected: &str, facts: &Seen, holds: impl Fn(&str) -> bool) -> Judgement {
    match facts.state.seen.get(subject) {
        Some(seen) => Judgement::when(holds(seen), subject, expected, seen),
        None => unseen(&facts.state, subject, expected),
    }
}

/// Neither seen nor, it seems, hidden: then it is not there, which is no pass.
fn unseen<T>(seen: &Observed<T>, subject: &str, expected: &str) -> Judgement {
    match seen.gap_for(subject) {
        Some(gap) => Judgement::unseen(gap, subject, expected),
        None => Judgement::new(Status::Deviation, subject, expected, "not there"),
    }
}

fn sysctls(key: &str, values: &Values, facts: &Seen) -> Vec<Judgement> {
    if !sysctl::is_glob(key) {
        return vec![one_sysctl(key, values, facts)];
    }
    let gaps = facts.state.gaps.iter().filter(|(prefix, _)| prefix.starts_with("sysctl:"));
    let mut told: Vec<Judgement> = gaps
        .filter(|(prefix, _)| prefix.strip_prefix("sysctl:").is_some_and(|at| at.is_empty() || sysctl::means(key, at)))
        .map(|(prefix, gap)| Judgement::unseen(gap, prefix, values.texts().join(" or ")))
        .collect();
    let keys = facts.state.seen.keys().filter_map(|subject| subject.strip_prefix("sysctl:"));
    let keys = keys.filter(|own| !sysctl::is_glob(own) && sysctl::means(key, own));
    told.extend(keys.map(|own| one_sysctl(own, values, facts)));
    if !sysctl::was_looked_at(key, &facts.state) || told.is_empty() {
        told.push(one_sysctl(key, values, facts));
    }
    told
}

fn one_sysctl(key: &str, values: &Values, facts: &Seen) -> Judgement {
    let subject = format!("sysctl:{key}");
    let texts = values.texts();
    let expected = texts.join(" or ");
    let configured = sysctl::configured_for(&facts.items, key);
    let hidden = facts.items.gap_for(&subject);
    let now = facts.state.seen.get(&subject).filter(|value| *value != sysctl::ABSENT && !sysctl::is_glob(key));
    match (now, configured) {
        (Some(now), _) if !texts.contains(now) => {
            let observed = match configured {
                Some(setting) if setting.value != *now => format!("{now}, and configured as {}", Kernel::say(setting)),
                Some(setting) => format!("{now}, as {} says", setting.file),
                None => format!("{now}, and not configured"),
            };
            Judgement::new(Status::Deviation, subject, expected, observed)
        }
        (Some(now), Some(setting)) if !texts.contains(&setting.value) => {
            let observed = format!("{now} now, but {} from the next boot on", Kernel::say(setting));
            Judgement::new(Status::Deviation, subject, expected, observed)
        }
        (Some(now), Some(setting)) => {
            Judgement::new(Status::Pass, subject, expected, format!("{now}, configured in {}", setting.file))
        }
        (Some(now), None) => {
            // What cannot be seen of the configuration may hold another value.
            let observed = format!("{now}, and not configured");
            hidden.map_or_else(
                || Judgement::new(Status::Pass, &subject, &expected, observed),
                |gap| Judgement::unseen(gap, &subject, &expected),
            )
        }
        (None, setting) => at_rest(key, &expected, &texts, setting, facts),
    }
}

/// Of a root at rest what is configured is judged; of a running kernel without the key nothing can be.
fn at_rest(key: &str, expected: &str, texts: &[String], setting: Option<&Setting>, facts: &Seen) -> Judgement {
    let subject = format!("sysctl:{key}");
    match (facts.state.gap_for(&subject), setting) {
        (Some(gap), Some(setting)) if gap.is_not_live() => {
            Judgement::when(texts.contains(&setting.value), subject, expected, Kernel::say(setting))
        }
        (Some(gap), None) if gap.is_not_live() => {
            let hidden = facts.items.gap_for(&subject).unwrap_or(gap);
            Judgement::unseen(hidden, subject, expected)
        }
        (Some(gap), _) => Judgement::unseen(gap, subject, expected),
        (None, _) if sysctl::was_looked_at(key, &facts.state) => {
            Judgement::new(Status::NotApplicable, subject, expected, "this kernel has no such key")
        }
        // A rule that only the collector knows.
        (None, _) => Judgement::new(Status::Unknown, subject, expected, "the host was not asked to look at it"),
    }
}

fn loaded(facts: &Seen) -> Result<Vec<&str>, &Gap> {
    match (facts.state.gap_for("modules"), facts.state.seen.get("modules")) {
        (Some(gap), _) => Err(gap),
        (None, names) => Ok(names.map(|names| names.split_ascii_whitespace().collect()).unwrap_or_default()),
    }
}

fn with_modules(module: &str, expected: &str, facts: &Seen, holds: impl Fn(&[&str]) -> bool) -> Judgement {
    let subject = format!("module:{}", modprobe::name(module));
    match loaded(facts) {
        Ok(names) if holds(&names) => Judgement::new(Status::Pass, subject, expected, "loaded"),
        Ok(_) => Judgement::new(Status::Deviation, subject, expected, "not loaded"),
        Err(gap) => Judgement::unseen(gap, subject, expected),
    }
}

fn disabled(module: &str, facts: &Seen) -> Judgement {
    let expected = "not loaded, and kept from being loaded";
    let name = modprobe::name(module);
    let subject = format!("module:{name}");
    let names = loaded(facts);
    if names.as_ref().is_ok_and(|names| names.contains(&name.as_str())) {
        return Judgement::new(Status::Deviation, subject, expected, "loaded");
    }
    if let Some(gap) = names.err().filter(|gap| !gap.is_not_live()) {
        return Judgement::unseen(gap, subject, expected);
    }
    let on_line = ["parameter:module_blacklist", "boot:module_blacklist"].iter().find_map(|key| {
        let setting = facts.items.seen.get(*key)?;
        setting.value.split([',', ' ']).any(|own| modprobe::name(own) == name).then_some(setting)
    });
    if let Some(setting) = on_line {
        return Judgement::new(Status::Pass, subject, expected, Kernel::say(setting));
    }
    if facts.state.seen.get("sysctl:kernel.modules_disabled").is_some_and(|value| value == "1") {
        return Judgement::new(Status::Pass, subject, expected, "no module can be loaded any more");
    }
    match (facts.items.seen.get(&subject), facts.items.gap_for(&subject)) {
        (_, Some(gap)) => Judgement::unseen(gap, subject, expected),
        (Some(setting), None) => {
            Judgement::when(modprobe::is_disabled(setting), subject, expected, Kernel::say(setting))
        }
        (None, None) => Judgement::new(Status::Deviation, subject, expected, "not loaded, but can be"),
    }
}

fn only_modules(allowed: &[crate::change::Pattern], facts: &Seen) -> Vec<Judgement> {
    let expected = "loaded only if the baseline lists it";
    let names = match loaded(facts) {
        Ok(names) => names,
        Err(gap) => return vec![Judgement::unseen(gap, "modules", expected)],
    };
    let is_listed = |name: &str| allowed.iter().any(|one| one.matches(name) || modprobe::name(one.as_str()) == name);
    let strangers = names.iter().filter(|name| !is_listed(name));
    let mut told: Vec<Judgement> =
        strangers.map(|name| Judgement::new(Status::Deviation, format!("module:{name}"), expected, "loaded")).collect();
    if told.is_empty() {
        told.push(Judgement::new(Status::Pass, "modules", expected, format!("{} loaded, all listed", names.len())));
    }
    told
}

/// What is on the command line; of a root at rest what is configured.
fn on_line<'a>(name: &str, facts: &'a Seen) -> Result<Option<&'a Setting>, &'a Gap> {
    let (running, next) = (format!("parameter:{name}"), format!("boot:{name}"));
    match facts.items.gap_for(&running) {
        None => Ok(facts.items.seen.get(&running)),
        Some(gap) if gap.is_not_live() => {
            let any = facts.items.seen.keys().any(|subject| subject.starts_with("boot:"));
            match facts.items.gap_for(&next) {
                None if any => Ok(facts.items.seen.get(&next)),
                None => Err(gap),
                Some(hidden) => Err(hidden),
            }
        }
        Some(gap) => Err(gap),
    }
}

fn parameter(name: &str, value: &Value, facts: &Seen) -> Judgement {
    let subject = format!("parameter:{name}");
    let expected = value.text();
    match on_line(name, facts) {
        Ok(Some(setting)) => Judgement::when(setting.value == expected, subject, expected, Kernel::say(setting)),
        Ok(None) => Judgement::new(Status::Deviation, subject, expected, "not on the command line"),
        Err(gap) => Judgement::unseen(gap, subject, expected),
    }
}

fn forbidden_parameter(unwanted: &str, facts: &Seen) -> Judgement {
    let (name, value) = unwanted.split_once('=').map_or((unwanted, None), |(name, value)| (name, Some(value)));
    let subject = format!("parameter:{name}");
    let expected = format!("no `{unwanted}` on the command line");
    match on_line(name, facts) {
        Ok(Some(setting)) => {
            let bad = value.is_none_or(|value| setting.value.split(' ').any(|own| own == value));
            Judgement::when(!bad, subject, expected, Kernel::say(setting))
        }
        Ok(None) => Judgement::new(Status::Pass, subject, expected, "not there"),
        Err(gap) => Judgement::unseen(gap, subject, expected),
    }
}

fn mount(point: &str, wanted: &[String], facts: &Seen) -> Judgement {
    let subject = format!("mount:{point}");
    let expected = if wanted.is_empty() { "a mount of its own".to_owned() } else { wanted.join(",") };
    let value = match facts.state.gap_for(&subject) {
        None => facts.state.seen.get(&subject),
        Some(gap) if gap.is_not_live() => {
            let planned = format!("fstab:{point}");
            match (facts.items.seen.get(&planned), facts.items.gap_for(&planned)) {
                (Some(setting), None) => Some(&setting.value),
                (_, hidden) => return Judgement::unseen(hidden.unwrap_or(gap), subject, expected),
            }
        }
        Some(gap) => return Judgement::unseen(gap, subject, expected),
    };
    match value {
        Some(value) => {
            let holds = wanted.iter().all(|option| mounts::options(value).any(|own| own == option));
            Judgement::when(holds, subject, expected, value)
        }
        None => Judgement::new(Status::Deviation, subject, expected, "not a mount of its own"),
    }
}

fn core_dumps(facts: &Seen) -> Vec<Judgement> {
    let suid = one_sysctl("fs.suid_dumpable", &Values::One(Value::Number(0)), facts);
    let expected = "none is kept";
    let item = |key: &str| facts.items.seen.get(key);
    let pattern = facts.state.seen.get("sysctl:kernel.core_pattern").map(String::as_str);
    let pattern =
        pattern.or_else(|| sysctl::configured_for(&facts.items, "kernel.core_pattern").map(|own| own.value.as_str()));
    let piped = pattern.and_then(|pattern| pattern.strip_prefix('|')).map(str::trim_start);
    let program = piped.and_then(|piped| piped.split(' ').next()).and_then(|path| path.rsplit('/').next());
    let storage = item("core:Storage").map(|own| own.value.as_str());
    let limit = item("core:limit:*:hard");
    // A program behind a pipe is run whatever the limit is: core(5).
    let (holds, observed) = match (program, storage, limit) {
        (Some("false" | "true"), ..) => (true, format!("core_pattern is {}", pattern.unwrap_or_default())),
        (Some("systemd-coredump"), Some("none"), _) => (true, "systemd-coredump with Storage=none".to_owned()),
        (Some("systemd-coredump"), kept, _) => {
            (false, format!("systemd-coredump with Storage={}", kept.unwrap_or("external, its default")))
        }
        (Some(other), ..) => (false, format!("core_pattern runs {other}")),
        (None, _, Some(limit)) if limit.value == "0" => (true, format!("the hard limit is 0 in {}", limit.file)),
        (None, ..) => {
            (false, format!("core_pattern is {}, and no hard limit of 0 for `*`", pattern.unwrap_or("not set")))
        }
    };
    let hidden = facts.items.gap_for("core:Storage").or(facts.items.gap_for("core:limit:*:hard"));
    let kept = match (hidden, facts.state.gap_for("sysctl:kernel.core_pattern")) {
        (Some(gap), _) if !holds => Judgement::unseen(gap, "core", expected),
        (None, Some(gap)) if pattern.is_none() => Judgement::unseen(gap, "core", expected),
        _ => Judgement::when(holds, "core", expected, observed),
    };
    vec![kept, suid]
}
