//! Documents that people write or hosts send: baselines, assertions, dates, statements, facts, recordings, versions.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use audit::assert::Assertion;
use audit::baseline::{Baseline, origin};
use audit::change::{ItemPattern, Pattern};
use audit::evaluate::{evaluate, observe};
use audit::facts::FactSet;
use audit::host::{MAX_TEXT, Recorded};
use audit::instance::Evidence;
use audit::lifecycle::{Lifecycles, import};
use audit::probe::Context;
use audit::probes;
use audit::report::{Enrolment, Manifest, Receipt, Report};
use audit::seal;
use audit::version::{DpkgVersion, RpmVersion, alpm, apk};
use ed25519_dalek::SigningKey;

use crate::databases::{at_most, dpkg_status, pieces, text};
use crate::engine::{Said, Target};
use crate::probing::{lifecycles, now, rules};

/// A reader of documents: what it says of one.
pub struct Reading {
    pub name: &'static str,
    pub read: fn(&[u8]) -> Answer,
}

/// Everything said, and the part of it that tells one kind of answer from another.
pub struct Answer {
    all: String,
    kind: String,
    wrong: Option<String>,
}

impl Answer {
    pub fn new(all: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { all: all.into(), kind: kind.into(), wrong: None }
    }

    /// Of a document that was refused: a complaint is for people, and short.
    pub fn refused(why: impl std::fmt::Display) -> Self {
        let all = why.to_string();
        let kind: String = all
            .lines()
            .next()
            .unwrap_or_default()
            .split(' ')
            .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
            .take(6)
            .collect();
        let wrong = (all.len() > 64 * 1024).then(|| format!("a complaint of {} bytes", all.len()));
        Self { all, kind, wrong }
    }
}

impl Target for Reading {
    fn name(&self) -> &'static str {
        self.name
    }

    fn prepare(&self, bytes: &[u8]) -> Box<dyn Fn() -> Said + '_> {
        let bytes = bytes.to_vec();
        Box::new(move || {
            let Answer { all, kind, wrong } = (self.read)(&bytes);
            let mut hasher = DefaultHasher::new();
            kind.hash(&mut hasher);
            Said { bytes: all.into_bytes(), kind: hasher.finish(), wrong }
        })
    }
}

/// A host with something of most topics.
fn host() -> Recorded {
    dpkg_status(include_bytes!("corpus/dpkg_status/some"))
        .file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        .file("/etc/sudoers", "root ALL=(ALL) ALL\n")
        .file("/etc/passwd", "root:x:0:0::/root:/bin/bash\n")
        .file("/etc/group", "root:x:0:\n")
}

fn judged(baseline: &Baseline) -> String {
    let facts = observe(&host(), &baseline.probes(), &baseline.expectations());
    let findings = evaluate(baseline, &Context { now: now(), facts: &facts, lifecycles: lifecycles() });
    serde_json::to_string(&findings).unwrap()
}

pub fn baseline(case: &[u8]) -> Answer {
    match origin::show("case.yaml", case, &audit::baseline::library::Shipped) {
        Ok((baseline, lines)) => {
            let kinds: Vec<&str> = baseline.rules.iter().map(|rule| rule.check.name()).collect();
            Answer::new(judged(&baseline) + &lines.len().to_string(), format!("{kinds:?}"))
        }
        Err(why) => Answer::refused(why),
    }
}

pub fn assertion(case: &[u8]) -> Answer {
    // It stands in a baseline, which is no larger.
    let [asked, message] = pieces(at_most(case, MAX_TEXT));
    let given = serde_yaml::from_str("{names: [bash, zsh], most: 3, when: 90d}").unwrap();
    match Assertion::parse(&text(asked), Some(&text(message)), &given) {
        Err(why) => Answer::refused(format!("{why:?}")),
        Ok(assertion) => {
            let wanted: Vec<&str> = assertion.probes().collect();
            let facts = observe(&host(), &wanted, &[]);
            let said = assertion.judge(&Context { now: now(), facts: &facts, lifecycles: lifecycles() });
            let kind: Vec<&str> = said.iter().map(|one| one.status.name()).collect();
            let wrong = said.iter().find(|one| one.observed.len() > 256 * 1024);
            let wrong = wrong.map(|one| format!("says {} bytes", one.observed.len()));
            Answer { wrong, ..Answer::new(format!("{said:?}"), format!("{kind:?} {wanted:?}")) }
        }
    }
}

pub fn end_of_life(case: &[u8]) -> Answer {
    match Lifecycles::parse("case.yaml", case) {
        Ok(read) => Answer::new(read.age(now().date_naive()), "read"),
        Err(why) => Answer::refused(why),
    }
}

pub fn end_of_life_import(case: &[u8]) -> Answer {
    match import("case.json", case, lifecycles()) {
        Ok(read) => {
            let again = Lifecycles::parse("written.yaml", read.text.as_bytes()).map(|_| ());
            let wrong = again.err().map(|why| format!("what it writes cannot be read: {why}"));
            Answer { wrong, ..Answer::new(read.text, "read") }
        }
        Err(why) => Answer::refused(why),
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// The case is the envelope.
pub fn envelope(case: &[u8]) -> Answer {
    let key = key().verifying_key();
    let read = seal::verify::<Report>(case, &key).map(|report| serde_json::to_string(report.statement()).unwrap());
    let opened = seal::open(case).and_then(|envelope| envelope.unverified::<Report>()).is_ok();
    match read {
        Ok(all) => Answer::new(all, "verified"),
        Err(why) => Answer { kind: format!("{opened} {why}"), ..Answer::refused(why) },
    }
}

/// The case is what was signed, by the right key: a host that is not honest.
pub fn statement(case: &[u8]) -> Answer {
    let read = [
        serde_json::from_slice::<Report>(case).map(|one| serde_json::to_string(&one).unwrap()),
        serde_json::from_slice::<Enrolment>(case).map(|one| serde_json::to_string(&one).unwrap()),
        serde_json::from_slice::<Receipt>(case).map(|one| serde_json::to_string(&one).unwrap()),
        serde_json::from_slice::<Manifest>(case).map(|one| serde_json::to_string(&one).unwrap()),
    ];
    let kind: Vec<String> =
        read.iter().map(|one| one.as_ref().map_or_else(|why| why.to_string(), |_| "read".into())).collect();
    let kind: String = kind.join(" ").chars().filter(char::is_ascii_lowercase).take(60).collect();
    Answer::new(read.into_iter().map(|one| one.unwrap_or_default()).collect::<String>(), kind)
}

/// What a cloud's metadata service says of an instance: its document and its signature.
pub fn instance_identity(case: &[u8]) -> Answer {
    let [document, signature] = pieces(case);
    match Evidence::new(document.to_vec(), (!signature.is_empty()).then(|| signature.to_vec())) {
        Err(why) => Answer::refused(why),
        Ok(evidence) => {
            let instance = evidence.instance().unwrap();
            Answer::new(serde_json::to_string(&instance).unwrap(), "read")
        }
    }
}

/// Facts as a host sends them, to be judged at the collector: a probe's name, its items, its state.
pub fn facts(case: &[u8]) -> Answer {
    // More is not judged (`collector/src/reconciling/weight.rs`).
    let [name, items, state] = pieces(at_most(case, 2 * 1024 * 1024));
    let Some(topic) = probes::find(&text(name)) else { return Answer::new("", "no probe") };
    match topic.decode(items, state) {
        Err(why) => Answer::refused(why),
        Ok(decoded) => {
            let mut facts = FactSet::default();
            facts.insert(topic.name(), decoded);
            let baseline = rules(topic.name());
            let findings = evaluate(baseline, &Context { now: now(), facts: &facts, lifecycles: lifecycles() });
            let kind: Vec<(&str, &str)> =
                findings.iter().map(|one| (one.rule.as_str(), one.status.name())).take(60).collect();
            let said = serde_json::from_slice::<audit::facts::Observed<serde_json::Value>>(items).unwrap();
            let shown: usize = said.seen.values().map(|item| topic.say_json(&item.to_string()).len()).sum();
            Answer::new(serde_json::to_string(&findings).unwrap() + &shown.to_string(), format!("{kind:?}"))
        }
    }
}

/// A recording, as it is attached to a report of a fault.
pub fn recording(case: &[u8]) -> Answer {
    match Recorded::from_json(case) {
        Err(why) => Answer::refused(why),
        Ok(host) => {
            let facts = observe(&host, &[], &[]);
            let all: Vec<_> =
                probes::ALL.iter().map(|topic| topic.encode(facts.get(topic.name()).unwrap()).unwrap()).collect();
            let kind: Vec<usize> = all.iter().map(|one| one.items.len().ilog2() as usize).collect();
            Answer::new(format!("{all:?}"), format!("{kind:?}"))
        }
    }
}

/// Orders of versions hold together: two ways round, and over three.
pub fn versions(case: &[u8]) -> Answer {
    // What readers keep of a version is far shorter.
    let [a, b, c] = pieces(at_most(case, 256 * 1024)).map(text);
    let mut answer = Answer::new("", "");
    let mut hold = |family: &str, transitive: bool, order: &dyn Fn(&str, &str) -> Option<std::cmp::Ordering>| {
        let said = [order(&a, &b), order(&b, &a), order(&b, &c), order(&a, &c), order(&a, &a)];
        answer.all.push_str(&format!("{family} {said:?}"));
        answer.kind.push_str(&format!("{said:?}"));
        if let [Some(ab), Some(ba), Some(bc), Some(ac), Some(aa)] = said {
            let broken = ab != ba.reverse() || aa.is_ne() || (transitive && ab == bc && ab != ac);
            if broken {
                answer.wrong = Some(format!("{family}: {a:?}, {b:?}, {c:?}: {said:?}"));
            }
        }
    };
    hold("dpkg", true, &|x, y| Some(DpkgVersion::parse(x).ok()?.cmp(&DpkgVersion::parse(y).ok()?)));
    hold("rpm", true, &|x, y| Some(RpmVersion::parse(x).cmp(&RpmVersion::parse(y))));
    hold("apk", true, &|x, y| apk::compare(x, y).ok());
    // alpm's own order goes round: a version without a release equals one with any, and separators before a segment count.
    hold("alpm", false, &|x, y| Some(alpm::compare(x, y)));
    answer
}

/// Patterns over hosts and items, and what they are held against.
pub fn change_record(case: &[u8]) -> Answer {
    let [record, pattern, subject] = pieces(case);
    let read = serde_json::from_slice::<audit::change::ChangeRecord>(record);
    let said = read.as_ref().map_or_else(ToString::to_string, |record| {
        format!("{:?} {:?} {:?}", record.check(), record.approved_at(), record.state(now()))
    });
    let quoted = |bytes: &[u8]| serde_json::to_string(&text(bytes)).unwrap();
    let whole = serde_json::from_str::<Pattern>(&quoted(pattern)).map(|one| one.matches(&text(subject)));
    let item = serde_json::from_str::<ItemPattern>(&quoted(pattern)).map(|one| one.matches("packages", &text(subject)));
    let kind = format!("{} {:?} {:?}", read.is_ok(), whole.as_ref().ok(), item.as_ref().ok());
    Answer::new(format!("{said} {whole:?} {item:?}"), kind)
}
