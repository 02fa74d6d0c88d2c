//! A whole probe over a host whose files or answers hold the case: observed, encoded, taken apart again, judged.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::OnceLock;

use audit::baseline::{Baseline, Check};
use audit::evaluate::{MAX_SAID, evaluate, observe};
use audit::facts::{MAX_SUBJECT, Observed};
use audit::host::{Gap, Recorded};
use audit::lifecycle::Lifecycles;
use audit::probe::Context;
use audit::probes;
use audit::shipped;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::engine::{Said, Target};

/// One probe and the host its case makes.
pub struct Probing {
    pub name: &'static str,
    pub probe: &'static str,
    pub host: fn(&[u8]) -> Recorded,
    /// Whether the format tells that it was cut off: then a part of a seed is never just fewer items.
    pub ends: bool,
}

impl Target for Probing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn prepare(&self, bytes: &[u8]) -> Box<dyn Fn() -> Said + '_> {
        let host = (self.host)(bytes);
        let baseline = rules(self.probe);
        Box::new(move || said(self.probe, &host, baseline))
    }

    fn torn(&self, seed: &[u8], cut: &[u8]) -> Result<(), String> {
        let (whole, part) = (self.halves(seed), self.halves(cut));
        if self.ends && gaps(&whole).is_empty() && gaps(&part).is_empty() && part[0].seen != whole[0].seen {
            return Err(format!(
                "cut off, and nothing says so: {} items of {}",
                part[0].seen.len(),
                whole[0].seen.len()
            ));
        }
        Ok(())
    }
}

impl Probing {
    fn halves(&self, bytes: &[u8]) -> [Observed<Value>; 2] {
        let topic = probes::find(self.probe).unwrap();
        let facts = topic.encode(&topic.collect(&(self.host)(bytes), &rules(self.probe).expectations())).unwrap();
        [&facts.items, &facts.state].map(|half| serde_json::from_slice(half).unwrap())
    }
}

fn gaps(halves: &[Observed<Value>; 2]) -> Vec<&Gap> {
    halves.iter().flat_map(|half| half.gaps.values()).collect()
}

/// The moment everything is judged at.
pub fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub fn lifecycles() -> &'static Lifecycles {
    static SHIPPED: OnceLock<Lifecycles> = OnceLock::new();
    SHIPPED.get_or_init(|| Lifecycles::shipped().unwrap())
}

/// Every rule that asks `probe` something: of what ships, and of our own that ask what those do not.
pub fn rules(probe: &str) -> &'static Baseline {
    static ALL: OnceLock<BTreeMap<&'static str, Baseline>> = OnceLock::new();
    &ALL.get_or_init(shared_out)[probe]
}

/// An assertion goes with the first probe it asks.
fn shared_out() -> BTreeMap<&'static str, Baseline> {
    let own = include_str!("rules.yaml");
    let parse = |name: &str, text: &str| Baseline::parse(name, text.as_bytes()).unwrap_or_else(|why| panic!("{why}"));
    let small = "baseline: fuzzed\nversion: 1\ntitle: x\nrules: [{id: x, title: x, severity: low, why: x, fix: x, separation: {apart: true}}]";
    let empty = || Baseline { rules: Vec::new(), ..parse("share.yaml", small) };
    let mut shares: BTreeMap<&str, Baseline> = probes::names().into_iter().map(|probe| (probe, empty())).collect();
    let mut known = BTreeSet::new();
    for (name, text) in shipped::BASELINES.iter().copied().chain([("rules.yaml", own)]) {
        let rules = parse(name, text).rules.into_iter().filter(|rule| !known.contains(&rule.id)).collect::<Vec<_>>();
        known.extend(rules.iter().map(|rule| rule.id.clone()));
        for rule in rules {
            let probe = match &rule.check {
                Check::Probe(topic, _) => topic.name(),
                Check::Assert(assertion) => assertion.probes().next().unwrap(),
            };
            shares.get_mut(probe).unwrap().rules.push(rule);
        }
    }
    for (probe, share) in &shares {
        assert!(!share.rules.is_empty(), "no rule asks {probe} anything");
    }
    shares
}

fn said(probe: &'static str, host: &Recorded, baseline: &Baseline) -> Said {
    let topic = probes::find(probe).unwrap();
    let facts = observe(host, &[probe], &baseline.expectations());
    let encoded = topic.encode(facts.get(probe).unwrap()).unwrap();
    let mut wrong = None;
    match topic.decode(&encoded.items, &encoded.state).and_then(|facts| topic.encode(&facts)) {
        Ok(again) if again == encoded => {}
        Ok(_) => wrong = Some("taken apart and put together, its facts are others".to_owned()),
        Err(error) => wrong = Some(format!("its own facts cannot be taken apart: {error}")),
    }
    let findings = evaluate(baseline, &Context { now: now(), facts: &facts, lifecycles: lifecycles() });
    let mut kind = DefaultHasher::new();
    for half in [&encoded.items, &encoded.state] {
        match serde_json::from_slice::<Observed<Value>>(half) {
            Ok(half) => {
                features(&half, &mut kind);
                wrong = wrong.or(outsized(&half));
            }
            Err(error) => wrong = Some(format!("its facts are no JSON: {error}")),
        }
    }
    let mut judged = BTreeSet::new();
    for finding in &findings {
        judged.insert((&finding.rule, finding.status.name()));
        if finding.observed.len() > MAX_SAID + 3 || finding.subject.len() > MAX_SUBJECT + 256 {
            wrong = Some(format!("{} says {} bytes about one subject", finding.rule, finding.observed.len()));
        }
    }
    judged.hash(&mut kind);
    let findings = serde_json::to_vec(&findings).unwrap();
    Said { bytes: [encoded.items, encoded.state, findings].concat(), kind: kind.finish(), wrong }
}

/// A gap or a subject that is longer than any that says something.
fn outsized(half: &Observed<Value>) -> Option<String> {
    let prefix = half.gaps.keys().chain(half.seen.keys()).find(|subject| subject.len() > MAX_SUBJECT);
    let gap = half.gaps.values().find(|gap| gap.detail.len() > 1_000 || gap.what.len() > 4_200);
    let said = |what: &str| format!("{what} is longer than it may be");
    prefix.map(|_| said("a subject")).or(gap.map(|_| said("a gap")))
}

/// What kind of facts these are: which gaps, roughly how many subjects, which keys their values have.
fn features(half: &Observed<Value>, kind: &mut DefaultHasher) {
    let rough = |count: usize| count.checked_ilog2();
    (rough(half.seen.len()), rough(half.gaps.len())).hash(kind);
    let gaps: BTreeSet<String> =
        half.gaps.values().take(1_000).map(|gap| format!("{:?} {}", gap.kind, words(&gap.detail))).collect();
    gaps.hash(kind);
    let mut keys = BTreeSet::new();
    for value in half.seen.values().take(1_000) {
        shape(value, "", &mut keys);
    }
    keys.hash(kind);
}

/// The first words of a sentence, without what it quotes or counts.
fn words(text: &str) -> String {
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.split(' ').filter(plain).take(6).collect::<Vec<_>>().join(" ")
}

fn shape(value: &Value, at: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if map.len() <= 30 => {
            for (key, value) in map {
                shape(value, &format!("{at}.{key}"), keys);
            }
        }
        Value::Array(list) => {
            keys.insert(format!("{at} {:?}", list.len().checked_ilog2()));
            list.first().into_iter().for_each(|first| shape(first, &format!("{at}[]"), keys));
        }
        Value::Bool(yes) => drop(keys.insert(format!("{at} {yes}"))),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Object(_) => drop(keys.insert(at.to_owned())),
    }
}
