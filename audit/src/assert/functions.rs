//! The operators and functions of assertions, each with its name, how many arguments it takes and what it answers.

use cel::common::ast::operators;

use super::BadAssertion;
use crate::shape::Shape;
use crate::yaml::did_you_mean;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Not,
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Index,
    Size,
    StartsWith,
    EndsWith,
    Contains,
    Glob,
    Int,
    Text,
    CompareVersions,
}

/// What an argument or answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Anything,
    Bool,
    Int,
    Text,
}

use Function as F;
use Is::{Anything, Bool, Int, Text};

/// Function, name, arguments, answer. What is more than one kind (`+`, `[]`) is looked at apart.
const ALL: [(F, &str, &[Is], Is); 23] = [
    (F::Not, operators::LOGICAL_NOT, &[Bool], Bool),
    (F::Negate, operators::NEGATE, &[Anything], Anything),
    (F::Add, operators::ADD, &[Anything, Anything], Anything),
    (F::Subtract, operators::SUBSTRACT, &[Anything, Anything], Anything),
    (F::Multiply, operators::MULTIPLY, &[Anything, Anything], Anything),
    (F::Divide, operators::DIVIDE, &[Anything, Anything], Anything),
    (F::Remainder, operators::MODULO, &[Int, Int], Int),
    (F::Equal, operators::EQUALS, &[Anything, Anything], Bool),
    (F::NotEqual, operators::NOT_EQUALS, &[Anything, Anything], Bool),
    (F::Less, operators::LESS, &[Anything, Anything], Bool),
    (F::LessOrEqual, operators::LESS_EQUALS, &[Anything, Anything], Bool),
    (F::Greater, operators::GREATER, &[Anything, Anything], Bool),
    (F::GreaterOrEqual, operators::GREATER_EQUALS, &[Anything, Anything], Bool),
    (F::In, operators::IN, &[Anything, Anything], Bool),
    (F::Index, operators::INDEX, &[Anything, Anything], Anything),
    (F::Size, "size", &[Anything], Int),
    (F::StartsWith, "startsWith", &[Text, Text], Bool),
    (F::EndsWith, "endsWith", &[Text, Text], Bool),
    (F::Contains, "contains", &[Text, Text], Bool),
    (F::Glob, "glob", &[Text, Text], Bool),
    (F::Int, "int", &[Anything], Int),
    (F::Text, "string", &[Anything], Text),
    (F::CompareVersions, "compareVersions", &[Text, Text], Int),
];

impl Function {
    /// The function called `name` with so many arguments.
    pub(super) fn find(name: &str, arguments: usize) -> Result<Self, BadAssertion> {
        let Some((function, _, takes, _)) = ALL.iter().find(|(_, own, ..)| *own == name) else {
            let names: Vec<&str> =
                ALL.iter().map(|(_, own, ..)| *own).filter(|own| own.is_ascii() && !own.contains(['_', '@'])).collect();
            let hint = if name == "matches" { Some("use `glob(pattern)`".into()) } else { did_you_mean(name, &names) };
            return Err(BadAssertion::new(format!("there is no function `{name}`"), hint));
        };
        if takes.len() == arguments {
            return Ok(*function);
        }
        Err(BadAssertion::new(format!("`{name}` takes {} values, and {arguments} are given", takes.len()), None))
    }

    fn row(self) -> Option<&'static (F, &'static str, &'static [Is], Is)> {
        ALL.iter().find(|(own, ..)| *own == self)
    }

    /// As written.
    pub(super) fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, ..)| name.trim_matches(['_', '@']))
    }

    /// What each argument may be.
    pub(super) fn takes(self) -> &'static [Is] {
        self.row().map_or(&[], |(_, _, takes, _)| takes)
    }

    /// What it answers.
    pub(super) fn gives(self) -> Is {
        self.row().map_or(Anything, |(.., gives)| *gives)
    }
}

impl Is {
    /// Whether a value of `shape` may be one.
    pub(super) fn admits(self, shape: &Shape) -> bool {
        matches!(
            (self, shape.inner()),
            (Anything, _)
                | (_, Shape::Any(_))
                | (Bool, Shape::Boolean)
                | (Int, Shape::Integer)
                | (Text, Shape::Text(_) | Shape::Choice(_))
        )
    }

    /// As a shape.
    pub(super) fn shape(self) -> Shape {
        match self {
            Anything => Shape::Any("anything".into()),
            Bool => Shape::Boolean,
            Int => Shape::Integer,
            Text => Shape::Text("text".into()),
        }
    }
}
