//! The type check: what an expression asks for exists, and its parts fit, as far as that can be known without a host.

#![expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is complained of by its name")]

use std::collections::{BTreeMap, BTreeSet};

use super::BadAssertion;
use super::functions::Function;
use super::tree::{Kind, Literal, Loop, Node};
use crate::probes;
use crate::shape::Shape;
use crate::yaml::did_you_mean;

/// Walks a tree, and notes which probes and parameters it names.
pub(super) struct Checker<'a> {
    parameters: &'a BTreeMap<String, serde_json::Value>,
    variables: Vec<(String, Shape)>,
    pub(super) probes: BTreeSet<&'static str>,
    pub(super) used: BTreeSet<String>,
}

fn anything() -> Shape {
    Shape::Any("anything".into())
}

fn text() -> Shape {
    Shape::Text("text".into())
}

/// A shape as a person says it.
pub(super) fn name(shape: &Shape) -> &'static str {
    match shape.inner() {
        Shape::Any(_) | Shape::Maybe(_) => "anything",
        Shape::Null => "nothing",
        Shape::Boolean => "true or false",
        Shape::Integer => "a whole number",
        Shape::Number => "a number",
        Shape::Text(_) => "text",
        Shape::List(_) => "a list",
        Shape::Map(_) => "a map by subject",
        Shape::Struct(_) => "a value with keys",
        Shape::Choice(_) => "one of several words",
    }
}

fn of_json(value: &serde_json::Value) -> Shape {
    match value {
        serde_json::Value::Null => Shape::Null,
        serde_json::Value::Bool(_) => Shape::Boolean,
        serde_json::Value::Number(number) if number.is_f64() => Shape::Number,
        serde_json::Value::Number(_) => Shape::Integer,
        serde_json::Value::String(_) => text(),
        serde_json::Value::Array(_) => Shape::List(Box::new(anything())),
        serde_json::Value::Object(_) => anything(),
    }
}

impl<'a> Checker<'a> {
    pub(super) fn new(parameters: &'a BTreeMap<String, serde_json::Value>) -> Self {
        Self { parameters, variables: Vec::new(), probes: BTreeSet::new(), used: BTreeSet::new() }
    }

    /// What `node` is.
    pub(super) fn shape(&mut self, node: &Node) -> Result<Shape, BadAssertion> {
        match node {
            Node::Literal(literal) => Ok(match literal {
                Literal::Null => Shape::Null,
                Literal::Bool(_) => Shape::Boolean,
                Literal::Int(_) => Shape::Integer,
                Literal::Double(_) => Shape::Number,
                Literal::Text(_) => text(),
            }),
            Node::Name(name) => self.name(name),
            Node::Select(operand, field) => {
                if let Some(shape) = self.parameter(operand, field) {
                    return shape;
                }
                let operand = self.shape(operand)?;
                select(&operand, field)
            }
            Node::Has(operand, field) => {
                let operand = self.shape(operand)?;
                select(&operand, field).map(|_| Shape::Boolean)
            }
            Node::List(items) => {
                let shapes: Vec<Shape> = items.iter().map(|item| self.shape(item)).collect::<Result<_, _>>()?;
                let same = shapes.windows(2).all(|pair| pair.first() == pair.last());
                let of = shapes.into_iter().next().filter(|_| same).unwrap_or_else(anything);
                Ok(Shape::List(Box::new(of)))
            }
            Node::Map(entries) => {
                for (key, value) in entries {
                    self.shape(key)?;
                    self.shape(value)?;
                }
                Ok(Shape::Map(Box::new(anything())))
            }
            Node::And(left, right) | Node::Or(left, right) => {
                self.boolean(left)?;
                self.boolean(right)
            }
            Node::If(test, yes, no) => {
                self.boolean(test)?;
                let (yes, no) = (self.shape(yes)?, self.shape(no)?);
                Ok(if yes == no { yes } else { anything() })
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Loop(one) => self.each(one),
        }
    }

    fn boolean(&mut self, node: &Node) -> Result<Shape, BadAssertion> {
        let shape = self.shape(node)?;
        match shape.inner() {
            Shape::Boolean | Shape::Any(_) => Ok(Shape::Boolean),
            other => {
                let said = format!("`&&`, `||` and `?` join what is true or false, and this is {}", self::name(other));
                Err(BadAssertion::new(said, None))
            }
        }
    }

    fn name(&mut self, name: &str) -> Result<Shape, BadAssertion> {
        if let Some((_, shape)) = self.variables.iter().rev().find(|(own, _)| own == name) {
            return Ok(shape.clone());
        }
        if let Some(topic) =
            probes::ALL.iter().find(|topic| topic.name() == name || topic.name().replace('-', "_") == name)
        {
            self.probes.insert(topic.name());
            let shapes = topic.shapes();
            let halves = [("items", shapes.item), ("state", shapes.state)];
            let halves = halves.map(|(half, shape)| (half.to_owned(), Shape::Map(Box::new(shape))));
            return Ok(Shape::Struct(halves.into()));
        }
        let known: Vec<&str> = probes::names()
            .into_iter()
            .chain(["params"])
            .chain(self.variables.iter().map(|(own, _)| own.as_str()))
            .collect();
        let hint = if name == "params" { Some("write `params.NAME`".into()) } else { did_you_mean(name, &known) };
        Err(BadAssertion::new(format!("there is no probe `{name}`"), hint))
    }

    /// `params.x`.
    fn parameter(&mut self, operand: &Node, field: &str) -> Option<Result<Shape, BadAssertion>> {
        if !matches!(operand, Node::Name(name) if name == "params") {
            return None;
        }
        let Some(value) = self.parameters.get(field) else {
            let known: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
            let hint = if known.is_empty() { None } else { did_you_mean(field, &known) };
            return Some(Err(BadAssertion::new(format!("there is no parameter `{field}`"), hint)));
        };
        self.used.insert(field.to_owned());
        Some(Ok(of_json(value)))
    }

    fn call(&mut self, function: Function, arguments: &[Node]) -> Result<Shape, BadAssertion> {
        let shapes: Vec<Shape> = arguments.iter().map(|argument| self.shape(argument)).collect::<Result<_, _>>()?;
        for (is, shape) in function.takes().iter().zip(&shapes) {
            if !is.admits(shape) {
                let wanted = self::name(&is.shape());
                let said = format!("`{}` takes {wanted}, and this is {}", function.name(), self::name(shape));
                return Err(BadAssertion::new(said, None));
            }
        }
        let (first, second) = (shapes.first().map(Shape::inner), shapes.get(1).map(Shape::inner));
        match (function, first, second) {
            (
                Function::Less | Function::LessOrEqual | Function::Greater | Function::GreaterOrEqual,
                Some(a),
                Some(b),
            ) if !comparable(a, b) => {
                let said = format!(
                    "`{}` compares numbers or texts, and these are {} and {}",
                    function.name(),
                    self::name(a),
                    self::name(b)
                );
                Err(BadAssertion::new(said, None))
            }
            (Function::Equal | Function::NotEqual, Some(a), Some(b)) if !alike(a, b) => {
                let said = format!("{} is never equal to {}", self::name(a), self::name(b));
                Err(BadAssertion::new(said, None))
            }
            (Function::Add, Some(a), Some(b)) if std::mem::discriminant(a) == std::mem::discriminant(b) => {
                Ok(a.clone())
            }
            (Function::Size, Some(Shape::Integer | Shape::Number | Shape::Boolean | Shape::Struct(_)), _) => {
                Err(BadAssertion::new(format!("{} has no size", first.map_or("this", self::name)), None))
            }
            (Function::Index, Some(Shape::Map(of) | Shape::List(of)), _) => Ok((**of).clone()),
            (Function::Index, Some(shape @ Shape::Struct(_)), _) => match arguments.get(1) {
                Some(Node::Literal(Literal::Text(field))) => select(shape, field),
                _ => Ok(anything()),
            },
            _ => Ok(function.gives().shape()),
        }
    }

    fn each(&mut self, one: &Loop) -> Result<Shape, BadAssertion> {
        let range = self.shape(&one.range)?;
        let item = match range.inner() {
            Shape::List(of) => (**of).clone(),
            Shape::Map(_) => text(),
            Shape::Any(_) => anything(),
            other => {
                let said = format!("only a list or a map is looked through, and this is {}", self::name(other));
                return Err(BadAssertion::new(said, None));
            }
        };
        self.variables.push((one.variable.clone(), item));
        let filter = one.filter.as_ref().map(|filter| self.boolean(filter)).transpose();
        let body = match one.kind {
            Kind::All | Kind::Exists | Kind::ExistsOne => self.boolean(&one.body),
            Kind::List => self.shape(&one.body).map(|of| Shape::List(Box::new(of))),
        };
        self.variables.pop();
        filter?;
        body
    }
}

fn comparable(a: &Shape, b: &Shape) -> bool {
    let number = |shape: &Shape| matches!(shape, Shape::Integer | Shape::Number | Shape::Any(_));
    let word = |shape: &Shape| matches!(shape, Shape::Text(_) | Shape::Choice(_) | Shape::Any(_));
    (number(a) && number(b)) || (word(a) && word(b))
}

fn alike(a: &Shape, b: &Shape) -> bool {
    let open = |shape: &Shape| matches!(shape, Shape::Any(_) | Shape::Null);
    let keyed = |shape: &Shape| matches!(shape, Shape::Map(_) | Shape::Struct(_) | Shape::Choice(_));
    open(a)
        || open(b)
        || comparable(a, b)
        || (keyed(a) && keyed(b))
        || std::mem::discriminant(a) == std::mem::discriminant(b)
}

fn select(operand: &Shape, field: &str) -> Result<Shape, BadAssertion> {
    match operand.inner() {
        Shape::Struct(fields) => fields.get(field).cloned().ok_or_else(|| {
            let known: Vec<&str> = fields.keys().map(String::as_str).collect();
            BadAssertion::new(format!("there is no `{field}` in it"), did_you_mean(field, &known))
        }),
        Shape::Choice(variants) => Ok(variants.get(field).cloned().unwrap_or_else(anything)),
        Shape::Map(of) => Ok((**of).clone()),
        Shape::Any(_) => Ok(anything()),
        other => Err(BadAssertion::new(format!("`.{field}` is asked of {}", name(other)), None)),
    }
}
