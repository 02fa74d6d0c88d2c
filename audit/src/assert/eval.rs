//! Evaluation, bounded in steps, in which a gap is neither an empty list nor a missing key.
//!
//! As in CEL, `&&` is false where either side is, and `||` true where either is, whatever becomes of the other: so an answer
//! that does not depend on what could not be seen is still an answer. `all` over a list with gaps is false where one
//! of those seen fails, and unknown where all hold; `exists` the other way about.

#![expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is complained of by its name")]

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::MAX_STEPS;
use super::arithmetic::arithmetic;
use super::functions::Function;
use super::tree::{Kind, Literal, Loop, Node};
use super::value::{Pair, Value};
use crate::change::Pattern;
use crate::facts::Observed;
use crate::host::Gap;
use crate::version::DpkgVersion;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum Fail {
    /// It depends on what could not be seen.
    Gap(Gap),
    /// What was asked makes no sense of what is there.
    Error(String),
    /// Too much work.
    Spent,
}

pub(super) type Answer<'a> = Result<Value<'a>, Fail>;

/// One evaluation: the facts, the loops' variables, the steps left.
pub(super) struct Evaluation<'a> {
    facts: &'a BTreeMap<&'static str, Pair>,
    parameters: &'a BTreeMap<String, Json>,
    variables: Vec<(&'a str, Value<'a>)>,
    left: u64,
}

pub(super) fn error<T>(message: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::Error(message.into()))
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(facts: &'a BTreeMap<&'static str, Pair>, parameters: &'a BTreeMap<String, Json>) -> Self {
        Self { facts, parameters, variables: Vec::new(), left: MAX_STEPS }
    }

    /// Pays for work: a step, and one for each 32 bytes looked through.
    fn pay(&mut self, bytes: usize) -> Result<(), Fail> {
        self.left = self.left.checked_sub(1 + bytes as u64 / 32).ok_or(Fail::Spent)?;
        Ok(())
    }

    /// What `node` is.
    pub(super) fn of<'n: 'a>(&mut self, node: &'n Node) -> Answer<'a> {
        self.pay(0)?;
        match node {
            Node::Literal(literal) => Ok(match literal {
                Literal::Null => Value::Null,
                Literal::Bool(value) => Value::Bool(*value),
                Literal::Int(value) => Value::Int(*value),
                Literal::Double(value) => Value::Double(*value),
                Literal::Text(text) => Value::Text(Cow::Borrowed(text)),
            }),
            Node::Name(name) => self.name(name),
            Node::Select(operand, field) => {
                if let (Node::Name(name), Some(value)) = (&**operand, self.parameters.get(field))
                    && name == "params"
                {
                    return Value::of(value);
                }
                let operand = self.of(operand)?;
                self.get(&operand, field)?
                    .map_or_else(|| error(format!("there is no `{field}` in it: ask with has()")), Ok)
            }
            Node::Has(operand, field) => {
                let operand = self.of(operand)?;
                self.get(&operand, field).map(|found| Value::Bool(found.is_some()))
            }
            Node::List(items) => {
                let items: Vec<Value<'a>> = items.iter().map(|item| self.of(item)).collect::<Result<_, _>>()?;
                Ok(Value::List(Rc::new(items)))
            }
            Node::Map(entries) => {
                let mut made = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    made.push((self.of(key)?, self.of(value)?));
                }
                Ok(Value::Map(Rc::new(made)))
            }
            Node::And(left, right) => self.join(left, right, false),
            Node::Or(left, right) => self.join(left, right, true),
            Node::If(test, yes, no) => match self.of(test)? {
                Value::Bool(true) => self.of(yes),
                Value::Bool(false) => self.of(no),
                other => error(format!("`?` asks whether something is true, and this is {}", other.kind())),
            },
            Node::Call(function, arguments) => {
                let values: Vec<Value<'a>> = arguments.iter().map(|one| self.of(one)).collect::<Result<_, _>>()?;
                self.call(*function, values)
            }
            Node::Loop(one) => self.each(one),
        }
    }

    fn name(&self, name: &str) -> Answer<'a> {
        if let Some((_, value)) = self.variables.iter().rev().find(|(own, _)| *own == name) {
            return Ok(value.clone());
        }
        let known = self.facts.iter().find(|(own, _)| **own == name || own.replace('-', "_") == name);
        known.map_or_else(|| error(format!("there is no probe `{name}`")), |(_, pair)| Ok(Value::Probe(pair)))
    }

    /// `&&` (decided by false) and `||` (decided by true).
    fn join<'n: 'a>(&mut self, left: &'n Node, right: &'n Node, decides: bool) -> Answer<'a> {
        let truth = |answer: Answer<'a>| match answer {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(other) => error(format!("`&&` and `||` join what is true or false, and this is {}", other.kind())),
            Err(fail) => Err(fail),
        };
        let left = truth(self.of(left));
        if matches!(left, Ok(value) if value == decides) || matches!(left, Err(Fail::Spent)) {
            return left.map(Value::Bool);
        }
        let right = truth(self.of(right));
        match (left, right) {
            (_, Ok(value)) if value == decides => Ok(Value::Bool(decides)),
            (Err(fail), _) | (Ok(_), Err(fail)) => Err(fail),
            (Ok(_), Ok(value)) => Ok(Value::Bool(value)),
        }
    }

    /// The value at a key; `None` where there certainly is none.
    fn get(&mut self, operand: &Value<'a>, key: &str) -> Result<Option<Value<'a>>, Fail> {
        self.pay(key.len())?;
        match operand {
            Value::Probe(pair) if key == "items" => Ok(Some(Value::Half(&pair.items))),
            Value::Probe(pair) if key == "state" => Ok(Some(Value::Half(&pair.state))),
            Value::Half(half) => match (half.seen.get(key), half.gap_for(key)) {
                (Some(value), _) => Value::of(value).map(Some),
                (None, Some(gap)) => Err(Fail::Gap(gap.clone())),
                (None, None) => Ok(None),
            },
            Value::Json(Json::Object(object)) => object.get(key).map(Value::of).transpose(),
            Value::Map(entries) => {
                self.pay(entries.len() * 32)?;
                Ok(entries
                    .iter()
                    .find(|(own, _)| matches!(own, Value::Text(own) if own == key))
                    .map(|(_, value)| value.clone()))
            }
            other => error(format!("`{key}` is asked of {}", other.kind())),
        }
    }

    fn each<'n: 'a>(&mut self, one: &'n Loop) -> Answer<'a> {
        let range = self.of(&one.range)?;
        let gap = match &range {
            Value::Half(half) => half.gaps.values().next(),
            _ => None,
        };
        let items = self.items(&range)?;
        let mut made = Vec::new();
        let mut count = 0_u64;
        let mut unsure = None;
        for item in items {
            self.variables.push((&one.variable, item.clone()));
            let taken = one.filter.as_ref().map_or(Ok(Value::Bool(true)), |filter| self.of(filter));
            let body = match taken {
                Ok(Value::Bool(true)) => self.of(&one.body).map(Some),
                Ok(Value::Bool(false)) => Ok(None),
                Ok(other) => error(format!("a filter is true or false, and this is {}", other.kind())),
                Err(fail) => Err(fail),
            };
            self.variables.pop();
            match (one.kind, body) {
                (_, Err(Fail::Spent)) => return Err(Fail::Spent),
                // Another item may decide it nevertheless.
                (Kind::All | Kind::Exists, Err(fail)) => unsure = unsure.or(Some(fail)),
                (Kind::ExistsOne | Kind::List, Err(fail)) => return Err(fail),
                (_, Ok(None)) => {}
                (Kind::List, Ok(Some(value))) => made.push(value),
                (Kind::All, Ok(Some(Value::Bool(false)))) => return Ok(Value::Bool(false)),
                (Kind::Exists, Ok(Some(Value::Bool(true)))) => return Ok(Value::Bool(true)),
                (Kind::ExistsOne, Ok(Some(Value::Bool(true)))) => count += 1,
                (Kind::All | Kind::Exists | Kind::ExistsOne, Ok(Some(Value::Bool(_)))) => {}
                (_, Ok(Some(other))) => {
                    unsure = unsure
                        .or(error::<()>(format!("a loop asks what is true or false, not {}", other.kind())).err());
                }
            }
        }
        if let Some(fail) = gap.map(|gap| Fail::Gap(gap.clone())).or(unsure) {
            return Err(fail);
        }
        Ok(match one.kind {
            Kind::All => Value::Bool(true),
            Kind::Exists => Value::Bool(false),
            Kind::ExistsOne => Value::Bool(count == 1),
            Kind::List => Value::List(Rc::new(made)),
        })
    }

    /// What is looked through: a list's items, a map's keys.
    fn items(&mut self, range: &Value<'a>) -> Result<Vec<Value<'a>>, Fail> {
        let text = |key: &'a String| Value::Text(Cow::Borrowed(key.as_str()));
        let items: Vec<Value<'a>> = match range {
            Value::List(items) => items.as_ref().clone(),
            Value::Map(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            Value::Half(half) => half.seen.keys().map(text).collect(),
            Value::Json(Json::Array(items)) => items.iter().map(Value::of).collect::<Result<_, _>>()?,
            Value::Json(Json::Object(object)) => object.keys().map(text).collect(),
            other => return error(format!("only a list or a map is looked through, and this is {}", other.kind())),
        };
        self.pay(items.len() * 32)?;
        Ok(items)
    }

    fn call(&mut self, function: Function, values: Vec<Value<'a>>) -> Answer<'a> {
        let mut values = values.into_iter();
        let (first, second) = (values.next().unwrap_or(Value::Null), values.next().unwrap_or(Value::Null));
        match function {
            Function::Equal => self.equal(&first, &second).map(Value::Bool),
            Function::NotEqual => self.equal(&first, &second).map(|same| Value::Bool(!same)),
            Function::Less => self.order(&first, &second).map(|order| Value::Bool(order == Some(Ordering::Less))),
            Function::LessOrEqual => {
                self.order(&first, &second).map(|o| Value::Bool(matches!(o, Some(Ordering::Less | Ordering::Equal))))
            }
            Function::Greater => self.order(&first, &second).map(|order| Value::Bool(order == Some(Ordering::Greater))),
            Function::GreaterOrEqual => {
                self.order(&first, &second).map(|o| Value::Bool(matches!(o, Some(Ordering::Greater | Ordering::Equal))))
            }
            Function::In => self.contains(&second, &first).map(Value::Bool),
            Function::Index => match (&first, &second) {
                (_, Value::Text(key)) => self
                    .get(&first, key)?
                    .map_or_else(|| error(format!("there is no `{key}` in it: ask with `in`")), Ok),
                (Value::List(_) | Value::Json(Json::Array(_)), Value::Int(at)) => {
                    let items = self.items(&first)?;
                    let found = usize::try_from(*at).ok().and_then(|at| items.get(at).cloned());
                    found.map_or_else(|| error(format!("there is no item {at} in a list of {}", items.len())), Ok)
                }
                _ => error(format!("{} is no key of {}", second.kind(), first.kind())),
            },
            Function::Not => match first {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                other => error(format!("`!` turns true and false about, and this is {}", other.kind())),
            },
            Function::Negate | Function::Subtract | Function::Multiply | Function::Divide | Function::Remainder => {
                arithmetic(function, &first, &second)
            }
            Function::Add => self.add(first, second),
            Function::Size => self.size(&first),
            Function::StartsWith
            | Function::EndsWith
            | Function::Contains
            | Function::Glob
            | Function::CompareVersions => {
                let (Value::Text(text), Value::Text(other)) = (&first, &second) else {
                    return error(format!("`{}` is asked of {}", function.name(), first.kind()));
                };
                self.pay(text.len() + other.len())?;
                self.of_texts(function, text, other)
            }
            Function::Int => match &first {
                Value::Int(value) => Ok(Value::Int(*value)),
                Value::Text(text) => {
                    text.trim().parse().map(Value::Int).or_else(|_| error(format!("`{text}` is no whole number")))
                }
                other => error(format!("{} is no whole number", other.kind())),
            },
            Function::Text => match first {
                value @ (Value::Bool(_) | Value::Int(_) | Value::Double(_)) => {
                    Ok(Value::Text(Cow::Owned(value.to_string())))
                }
                text @ Value::Text(_) => Ok(text),
                other => error(format!("{} is not made text", other.kind())),
            },
        }
    }

    fn of_texts(&mut self, function: Function, text: &str, other: &str) -> Answer<'a> {
        Ok(match function {
            Function::StartsWith => Value::Bool(text.starts_with(other)),
            Function::EndsWith => Value::Bool(text.ends_with(other)),
            Function::Contains => Value::Bool(text.contains(other)),
            Function::Glob => {
                // A pattern is compiled each time, which costs far more than matching.
                self.pay(64 * (32 + other.len()))?;
                let pattern: Pattern = other.parse().map_err(Fail::Error)?;
                Value::Bool(pattern.matches(text))
            }
            _ => {
                let version = |text| DpkgVersion::parse(text).map_err(|bad| Fail::Error(bad.to_string()));
                Value::Int(match version(text)?.cmp(&version(other)?) {
                    Ordering::Less => -1,
                    Ordering::Equal => 0,
                    Ordering::Greater => 1,
                })
            }
        })
    }

    fn add(&mut self, first: Value<'a>, second: Value<'a>) -> Answer<'a> {
        match (first, second) {
            (Value::Text(a), Value::Text(b)) => {
                // Made anew, and so paid by the byte: doubling would grow without bound.
                self.pay(32 * (a.len() + b.len()))?;
                Ok(Value::Text(Cow::Owned(format!("{a}{b}"))))
            }
            (
                a @ (Value::List(_) | Value::Json(Json::Array(_))),
                b @ (Value::List(_) | Value::Json(Json::Array(_))),
            ) => {
                let mut items = self.items(&a)?;
                items.extend(self.items(&b)?);
                Ok(Value::List(Rc::new(items)))
            }
            (a, b) => arithmetic(Function::Add, &a, &b),
        }
    }

    fn size(&mut self, of: &Value<'a>) -> Answer<'a> {
        let size = match of {
            Value::Text(text) => {
                self.pay(text.len())?;
                text.chars().count()
            }
            Value::List(items) => items.len(),
            Value::Map(entries) => entries.len(),
            Value::Half(half) => whole(half)?.seen.len(),
            Value::Json(Json::Array(items)) => items.len(),
            Value::Json(Json::Object(object)) => object.len(),
            other => return error(format!("{} has no size", other.kind())),
        };
        Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }

    fn contains(&mut self, range: &Value<'a>, item: &Value<'a>) -> Result<bool, Fail> {
        if let (Value::Half(_) | Value::Json(Json::Object(_)), Value::Text(key)) = (range, item) {
            return self.get(range, key).map(|found| found.is_some());
        }
        for one in self.items(range)? {
            if self.equal(&one, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn equal(&mut self, a: &Value<'a>, b: &Value<'a>) -> Result<bool, Fail> {
        self.pay(0)?;
        Ok(match (a, b) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => {
                self.pay(a.len().min(b.len()))?;
                a == b
            }
            (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
                self.order(a, b)? == Some(Ordering::Equal)
            }
            (Value::Half(a), Value::Half(b)) => {
                let (a, b) = (whole(a)?, whole(b)?);
                self.pay(a.seen.len() * 320)?;
                a.seen == b.seen
            }
            (Value::List(_) | Value::Json(Json::Array(_)), Value::List(_) | Value::Json(Json::Array(_))) => {
                let (a, b) = (self.items(a)?, self.items(b)?);
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(&b) {
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Json(_) | Value::Map(_) | Value::Half(_), Value::Json(_) | Value::Map(_) | Value::Half(_)) => {
                for half in [a, b] {
                    if let Value::Half(half) = half {
                        whole(half)?;
                    }
                }
                self.same_keys(a, b)?
            }
            _ => false,
        })
    }

    fn same_keys(&mut self, a: &Value<'a>, b: &Value<'a>) -> Result<bool, Fail> {
        let (keys, others) = (self.items(a)?, self.items(b)?);
        if keys.len() != others.len() {
            return Ok(false);
        }
        for key in keys {
            let Value::Text(key) = key else { return Ok(false) };
            let (Some(one), Some(other)) = (self.get(a, &key)?, self.get(b, &key)?) else { return Ok(false) };
            if !self.equal(&one, &other)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn order(&mut self, a: &Value<'a>, b: &Value<'a>) -> Result<Option<Ordering>, Fail> {
        #[expect(clippy::cast_precision_loss, reason = "comparing a whole number with a fraction")]
        let ordered = match (a, b) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
            (Value::Int(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
            (Value::Double(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Value::Text(a), Value::Text(b)) => {
                self.pay(a.len().min(b.len()))?;
                Some(a.cmp(b))
            }
            _ => return error(format!("{} and {} have no order", a.kind(), b.kind())),
        };
        Ok(ordered)
    }
}

/// A half without gaps.
fn whole(half: &Observed<Json>) -> Result<&Observed<Json>, Fail> {
    half.gaps.values().next().map_or(Ok(half), |gap| Err(Fail::Gap(gap.clone())))
}
