//! `assert`: an expression in CEL over the facts of any probe.
//!
//! Decides whether what was observed satisfies an expression: pass, deviation, or unknown where it touches what could not be seen.
//! The grammar is that of the crate `cel` (Common Expression Language, cel-spec); the evaluation is our own, because it must be
//! bounded in steps whatever is observed, and because a gap must not look like an empty list. Every probe is a variable with
//! `items` and `state`, each a map by subject; `params` holds the baseline's parameters. Left out: regular expressions (there is
//! `glob`), time, protocol buffers, and everything that could act.

mod arithmetic;
mod check;
mod eval;
mod functions;
mod tree;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::facts::Observed;
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind};
use crate::probe::Context;
use crate::probes;
use crate::shape::Shape;
use check::Checker;
use eval::{Evaluation, Fail};
use tree::Node;
use value::{Pair, Value};

/// The longest expression, in bytes.
pub const MAX_TEXT: usize = 4096;
/// How deep it may be nested.
pub const MAX_DEPTH: u16 = 32;
/// How many parts it may have.
pub const MAX_PARTS: usize = 1000;
/// How many loops may stand in one another.
pub const MAX_LOOPS: usize = 3;
/// How many steps an evaluation may take, a value compared or looked through counting by its size.
pub const MAX_STEPS: u64 = 2_000_000;
/// The most facts of one probe that an assertion reads, in bytes of JSON: twice what a collector judges. As values they are ten times as large.
pub const MAX_FACTS: usize = 4 * 1024 * 1024;
/// The longest observed text a finding quotes.
const MAX_SAID: usize = 1000;

/// An expression that was understood.
#[derive(Debug, Clone)]
pub struct Assertion {
    text: String,
    root: Node,
    message: Vec<Piece>,
    probes: BTreeSet<&'static str>,
    used: BTreeSet<String>,
    parameters: BTreeMap<String, serde_json::Value>,
}

/// A piece of a message.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Value(Node),
}

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadAssertion {
    message: String,
    /// What was probably meant.
    pub hint: Option<String>,
    /// Whether it is the message that is wrong.
    pub in_message: bool,
}

impl fmt::Display for BadAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl BadAssertion {
    fn new(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { message: message.into(), hint, in_message: false }
    }
}

impl Assertion {
    /// Understands `text`, and the `message` that says what is there where it does not hold: `{expression}` in it is
    /// evaluated, `{{` is a brace.
    pub fn parse(
        text: &str,
        message: Option<&str>,
        parameters: &BTreeMap<String, serde_yaml::Value>,
    ) -> Result<Self, BadAssertion> {
        let json = |value: &serde_yaml::Value| serde_json::to_value(value).unwrap_or_default();
        let parameters: BTreeMap<String, serde_json::Value> =
            parameters.iter().map(|(name, value)| (name.clone(), json(value))).collect();
        let mut checker = Checker::new(&parameters);
        let root = tree::parse(text)?;
        let shape = checker.shape(&root)?;
        if !matches!(shape.inner(), Shape::Boolean | Shape::Any(_)) {
            let said = format!("an assertion is true or false, and this is {}", check::name(&shape));
            return Err(BadAssertion::new(said, None));
        }
        let of_message = |bad| BadAssertion { in_message: true, ..bad };
        let message = pieces(message.unwrap_or_default()).map_err(of_message)?;
        for piece in &message {
            if let Piece::Value(node) = piece {
                checker.shape(node).map_err(of_message)?;
            }
        }
        let (probes, used) = (checker.probes, checker.used);
        if probes.is_empty() {
            return Err(BadAssertion::new("it asks nothing of the host: name a probe", None));
        }
        Ok(Self { text: text.to_owned(), root, message, probes, used, parameters })
    }

    /// The probes it looks at.
    pub fn probes(&self) -> impl Iterator<Item = &'static str> {
        self.probes.iter().copied()
    }

    /// The parameters it uses.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.used.iter().map(String::as_str)
    }

    /// Judges, once: the subject is the probes it looks at.
    pub fn judge(&self, context: &Context<'_>) -> Vec<Judgement> {
        let subject = self.probes().collect::<Vec<_>>().join("+");
        let facts = self.facts(context);
        let mut evaluation = Evaluation::new(&facts, &self.parameters);
        let said =
            |status, observed: String| vec![Judgement::new(status, subject.clone(), self.text.clone(), observed)];
        match evaluation.of(&self.root) {
            Ok(Value::Bool(true)) => said(Status::Pass, "it holds".into()),
            Ok(Value::Bool(false)) => said(Status::Deviation, self.observed(&mut evaluation)),
            Ok(other) => said(Status::Unknown, format!("neither true nor false: {other}")),
            Err(Fail::Gap(gap)) => vec![Judgement::unseen(&gap, subject.clone(), self.text.clone())],
            Err(Fail::Error(why)) => said(Status::Unknown, why),
            Err(Fail::Spent) => said(Status::Unknown, format!("it takes more than {MAX_STEPS} steps")),
        }
    }

    fn observed<'a>(&'a self, evaluation: &mut Evaluation<'a>) -> String {
        if self.message.is_empty() {
            return "it does not hold".into();
        }
        let mut said = String::new();
        for piece in &self.message {
            match piece {
                Piece::Text(text) => said.push_str(text),
                Piece::Value(node) => match evaluation.of(node) {
                    Ok(value) => said.push_str(&value.to_string()),
                    Err(_) => said.push_str("(unknown)"),
                },
            }
        }
        if let Some((end, _)) = said.char_indices().nth(MAX_SAID) {
            said.truncate(end);
            said.push('…');
        }
        said
    }

    /// The facts it looks at, untyped. What cannot be taken apart is a gap.
    fn facts(&self, context: &Context<'_>) -> BTreeMap<&'static str, Pair> {
        let hidden = |name: &str, why: String| {
            let gap = Gap::new(GapKind::Failed, name, why);
            Pair { items: Observed::hidden(gap.clone()), state: Observed::hidden(gap) }
        };
        let of = |name: &'static str| {
            let Some((topic, facts)) = probes::find(name).zip(context.facts.get(name)) else {
                return hidden(name, "the probe gave no answer".into());
            };
            let encoded = topic.encode(facts).map_err(|error| error.to_string());
            let read = encoded.and_then(|encoded| {
                if encoded.items.len() + encoded.state.len() > MAX_FACTS {
                    return Err(format!("more than {} MiB of facts, too many for an assertion", MAX_FACTS >> 20));
                }
                let half = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|error| error.to_string());
                Ok(Pair { items: half(&encoded.items)?, state: half(&encoded.state)? })
            });
            read.unwrap_or_else(|why| hidden(name, why))
        };
        self.probes().map(|name| (name, of(name))).collect()
    }
}

/// A message's pieces.
fn pieces(message: &str) -> Result<Vec<Piece>, BadAssertion> {
    if message.len() > MAX_TEXT {
        return Err(BadAssertion::new(format!("a message of more than {MAX_TEXT} bytes"), None));
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = message;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        if let Some(literal) = after.strip_prefix("{{").map(|_| '{').or(after.strip_prefix("}}").map(|_| '}')) {
            text.push(literal);
            rest = after.get(2..).unwrap_or_default();
            continue;
        }
        let inner = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let Some((expression, after)) = inner else {
            return Err(BadAssertion::new(
                "a brace that is not closed: write `{expression}`, or `{{` for a brace",
                None,
            ));
        };
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Value(tree::parse(expression)?));
        rest = after;
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    Ok(pieces)
}

#[cfg(test)]
mod tests;
