//! What a probe is, and its erased form.
//!
//! A probe observes one topic and knows how to judge it. Everything about the topic stands in its one file under
//! `probes/`: what it reads, its items and state, its expectation, how it collects and how it judges.

use std::any::Any;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::facts::{AnyFacts, FactSet, Facts, Observed};
use crate::finding::Judgement;
use crate::host::{Declared, Gap, Host, Question};
use crate::lifecycle::Lifecycles;
use crate::shape::Shape;
use crate::yaml::short;

/// Whether an observation would have shown a subject, had it been there.
pub type Looked = Box<dyn Fn(&str) -> bool>;

/// One topic of a host.
pub trait Probe: Sized + Send + Sync + 'static {
    /// Its name in baselines, facts and reports.
    const NAME: &'static str;
    /// The number of its facts' shape; counts up when the meaning of stored facts changes.
    const SCHEMA: u32;
    /// Absolute paths and globs it may read, list or stat. Nothing else is admitted. `collect` also watches these.
    const READS: &'static [&'static str];
    /// The questions it may ask a live host.
    const ASKS: &'static [Question];
    /// Other probes whose facts its judgement uses.
    const NEEDS: &'static [&'static str];

    /// A configuration item: something somebody decided. No floating point, so that its bytes are stable.
    type Item: Serialize + DeserializeOwned + Send + Sync + PartialEq;
    /// Something that merely is. Rounded so far that noise does not change it.
    type State: Serialize + DeserializeOwned + Send + Sync + PartialEq;
    /// What a rule can ask of it. Must refuse unknown keys (`deny_unknown_fields`).
    type Expect: DeserializeOwned + Send + Sync + 'static;

    /// Observes. `host` admits only the declared reads and questions.
    fn collect(host: &dyn Host) -> Facts<Self::Item, Self::State>;

    /// The paths and globs a rule asks the probe to look at besides its `READS`: how the files that a baseline names come
    /// to be seen. They are admitted, watched and recorded as `READS` are.
    fn asked(_expect: &Self::Expect) -> Vec<String> {
        Vec::new()
    }

    /// Observes, knowing the rules it will be judged by. Only a probe that overrides [`Probe::asked`] has a use for them.
    fn collect_for(host: &dyn Host, _rules: &[&Self::Expect]) -> Facts<Self::Item, Self::State> {
        Self::collect(host)
    }

    /// Which subjects an observation that has `seen` these would have shown, had they been there: where a baseline begins to name
    /// a file, its item is new and the file is not. What this denies is no drift when it shows or is gone.
    fn looked(_seen: &mut dyn Iterator<Item = &str>) -> Looked {
        Box::new(|_| true)
    }

    /// Judges. Says at least one thing, in particular `pass` when all is well, so that silence is never a pass.
    fn judge(expect: &Self::Expect, facts: &Facts<Self::Item, Self::State>, context: &Context<'_>) -> Vec<Judgement>;

    /// A short rendering of one item's value for tables and messages: a package's version, a rule's text. It is also what
    /// a change record's expected value is compared with.
    fn say(item: &Self::Item) -> String;

    /// What is wrong with an expectation that serde could not see: an impossible combination, say. The path is relative
    /// to the expectation, as serde_path_to_error writes it (`openings[2].from`).
    fn check_expectation(_expect: &Self::Expect) -> Result<(), (String, String)> {
        Ok(())
    }
}

/// What a judgement may know besides its own facts.
pub struct Context<'a> {
    /// The instant judged at.
    pub now: DateTime<Utc>,
    /// All facts of the host, for probes that declared `NEEDS`.
    pub facts: &'a FactSet,
    /// When software reaches its end of life.
    pub lifecycles: &'a Lifecycles,
}

/// A rule's expectation, erased.
pub type Expectation = Arc<dyn Any + Send + Sync>;

/// The bytes of both halves of a probe's facts, as hashed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Canonical JSON of the items.
    pub items: Vec<u8>,
    /// Canonical JSON of the state.
    pub state: Vec<u8>,
}

/// Facts that could not be taken apart.
#[derive(Debug, thiserror::Error)]
#[error("facts of {probe} are not of its shape: {cause}")]
pub struct BadFacts {
    probe: &'static str,
    cause: String,
}

impl BadFacts {
    /// serde quotes what it did not expect, however long.
    fn new(probe: &'static str, cause: &serde_json::Error) -> Self {
        Self { probe, cause: short(cause.to_string()) }
    }
}

/// What is wrong with an expectation: the path inside it, and the complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadExpectation {
    /// As serde_path_to_error writes it; empty or `.` for the whole.
    pub path: String,
    /// serde's message.
    pub message: String,
}

/// A probe with its types erased: what lists, loops and stores hold.
pub trait Topic: Sync {
    /// See [`Probe::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Probe::SCHEMA`].
    fn schema(&self) -> u32;
    /// See [`Probe::READS`].
    fn reads(&self) -> &'static [&'static str];
    /// See [`Probe::ASKS`].
    fn asks(&self) -> &'static [Question];
    /// See [`Probe::NEEDS`].
    fn needs(&self) -> &'static [&'static str];
    /// Observes `host`, held to the declared reads and what `rules` ask for. Rules of other probes are passed over.
    fn collect(&self, host: &dyn Host, rules: &[Expectation]) -> AnyFacts;
    /// See [`Probe::asked`]: of all `rules`, sorted, each once.
    fn asked(&self, rules: &[Expectation]) -> Vec<String>;
    /// See [`Probe::looked`].
    fn looked(&self, seen: &mut dyn Iterator<Item = &str>) -> Looked;
    /// All of it hidden behind one gap.
    fn hidden(&self, gap: Gap) -> AnyFacts;
    /// A typed expectation out of YAML.
    fn expectation(&self, yaml: serde_yaml::Value) -> Result<Expectation, BadExpectation>;
    /// Judges; `None` if the types do not belong to this probe.
    fn judge(&self, expect: &Expectation, facts: &AnyFacts, context: &Context<'_>) -> Option<Vec<Judgement>>;
    /// The bytes of both halves.
    fn encode(&self, facts: &AnyFacts) -> Result<Encoded, BadFacts>;
    /// The facts in those bytes.
    fn decode(&self, items: &[u8], state: &[u8]) -> Result<AnyFacts, BadFacts>;
    /// See [`Probe::say`]: of an item's JSON; one of another shape is rendered as it is.
    fn say_json(&self, item: &str) -> String;
    /// What its expectation and its facts are made of.
    fn shapes(&self) -> Shapes;
}

/// The shapes of a probe's types.
pub struct Shapes {
    /// What a rule can ask.
    pub expectation: Shape,
    /// An item's value.
    pub item: Shape,
    /// A state's value.
    pub state: Shape,
}

/// The erasure of `P`.
pub struct Erased<P>(pub std::marker::PhantomData<fn() -> P>);

impl<P> Erased<P> {
    /// The erasure of `P`.
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<P> Default for Erased<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Probe> Topic for Erased<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn schema(&self) -> u32 {
        P::SCHEMA
    }

    fn reads(&self) -> &'static [&'static str] {
        P::READS
    }

    fn asks(&self) -> &'static [Question] {
        P::ASKS
    }

    fn needs(&self) -> &'static [&'static str] {
        P::NEEDS
    }

    fn collect(&self, host: &dyn Host, rules: &[Expectation]) -> AnyFacts {
        let asked = self.asked(rules);
        let reads: Vec<&str> = P::READS.iter().copied().chain(asked.iter().map(String::as_str)).collect();
        let rules: Vec<&P::Expect> = rules.iter().filter_map(|rule| rule.downcast_ref()).collect();
        let Facts { items, state } = P::collect_for(&Declared::new(host, &reads, P::ASKS), &rules);
        Arc::new(Facts { items: items.within_bounds(), state: state.within_bounds() })
    }

    fn asked(&self, rules: &[Expectation]) -> Vec<String> {
        let rules = rules.iter().filter_map(|rule| rule.downcast_ref());
        let mut asked: Vec<String> = rules.flat_map(P::asked).collect();
        asked.sort();
        asked.dedup();
        asked
    }

    fn looked(&self, seen: &mut dyn Iterator<Item = &str>) -> Looked {
        P::looked(seen)
    }

    fn hidden(&self, gap: Gap) -> AnyFacts {
        Arc::new(Facts::<P::Item, P::State>::hidden(gap))
    }

    fn expectation(&self, yaml: serde_yaml::Value) -> Result<Expectation, BadExpectation> {
        let expect: P::Expect = serde_path_to_error::deserialize(yaml)
            .map_err(|error| BadExpectation { path: error.path().to_string(), message: error.inner().to_string() })?;
        P::check_expectation(&expect).map_err(|(path, message)| BadExpectation { path, message })?;
        Ok(Arc::new(expect))
    }

    fn judge(&self, expect: &Expectation, facts: &AnyFacts, context: &Context<'_>) -> Option<Vec<Judgement>> {
        Some(P::judge(expect.downcast_ref()?, facts.downcast_ref()?, context))
    }

    fn encode(&self, facts: &AnyFacts) -> Result<Encoded, BadFacts> {
        let wrong = |cause| BadFacts::new(P::NAME, &cause);
        let facts: &Facts<P::Item, P::State> =
            facts.downcast_ref().ok_or_else(|| wrong(serde::ser::Error::custom("facts of another probe")))?;
        Ok(Encoded {
            items: serde_json::to_vec(&facts.items).map_err(wrong)?,
            state: serde_json::to_vec(&facts.state).map_err(wrong)?,
        })
    }

    fn decode(&self, items: &[u8], state: &[u8]) -> Result<AnyFacts, BadFacts> {
        let wrong = |cause| BadFacts::new(P::NAME, &cause);
        let items: Observed<P::Item> = serde_json::from_slice(items).map_err(wrong)?;
        let state: Observed<P::State> = serde_json::from_slice(state).map_err(wrong)?;
        Ok(Arc::new(Facts::<P::Item, P::State> { items, state }))
    }

    fn say_json(&self, item: &str) -> String {
        match serde_json::from_slice::<P::Item>(item.as_bytes()) {
            Ok(item) => P::say(&item),
            Err(_) => item.to_owned(),
        }
    }

    fn shapes(&self) -> Shapes {
        Shapes { expectation: Shape::of::<P::Expect>(), item: Shape::of::<P::Item>(), state: Shape::of::<P::State>() }
    }
}

#[cfg(test)]
mod tests {
    use crate::probes;

    #[test]
    fn facts_of_another_shape_are_refused_in_few_words_however_long_what_they_hold() {
        let topic = probes::find("protection").unwrap();
        let items = format!("{{\"{}\":{{}}}}", "x".repeat(1 << 20));
        let Err(bad) = topic.decode(items.as_bytes(), b"{}") else { panic!("it was decoded") };
        assert!(bad.to_string().len() < 3_000, "{} bytes", bad.to_string().len());
    }
}
