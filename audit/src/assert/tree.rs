//! The tree of an expression: what the crate's parser made, bounded, with its macros named again.
//!
//! The parser expands `all`, `exists`, `exists_one`, `map` and `filter` to one general loop. Here each is itself again, so that
//! evaluation is linear in the list and knows where a gap leaves an answer open.

#![expect(clippy::wildcard_enum_match_arm, reason = "the crate's tree may grow, and what is not understood is refused")]

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::parser::PrattParser;

use super::functions::Function;
use super::{BadAssertion, MAX_DEPTH, MAX_LOOPS, MAX_PARTS, MAX_TEXT};

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

/// One part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Literal(Literal),
    Name(String),
    /// `operand.field`.
    Select(Box<Node>, String),
    /// `has(operand.field)`.
    Has(Box<Node>, String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Call(Function, Vec<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Loop(Box<Loop>),
}

/// What a loop makes of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    All,
    Exists,
    ExistsOne,
    /// `map` and `filter`: a list.
    List,
}

/// A macro over a list or over the keys of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loop {
    pub(super) kind: Kind,
    pub(super) range: Node,
    pub(super) variable: String,
    /// Which items a list takes.
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

/// Reads `text`.
pub(super) fn parse(text: &str) -> Result<Node, BadAssertion> {
    if text.len() > MAX_TEXT {
        return Err(BadAssertion::new(format!("an expression of more than {MAX_TEXT} bytes"), None));
    }
    let parser = PrattParser::new()
        .max_recursion_depth(MAX_DEPTH)
        .max_expression_node_count(MAX_PARTS)
        .error_reporting_limit(1)
        .error_recovery_limit(1);
    let parsed = parser.parse(text).map_err(|errors| {
        let first = errors.errors.first();
        let said = first.map_or("it cannot be read".to_owned(), |error| match error.pos {
            (line, column) if line > 0 && column > 0 => format!("at character {column} of line {line}: {}", error.msg),
            _ => error.msg.clone(),
        });
        BadAssertion::new(format!("not an expression: {said}"), None)
    })?;
    node(parsed, 0, 0)
}

/// Long chains (`a + a + …`, `a.b.c…`) are deep trees too, which the parser's own limit does not count.
const DEEPEST: usize = 100;

fn node(parsed: IdedExpr, depth: usize, loops: usize) -> Result<Node, BadAssertion> {
    if depth > DEEPEST {
        return Err(BadAssertion::new(format!("nested deeper than {DEEPEST}"), None));
    }
    let below = |parsed| node(parsed, depth + 1, loops);
    let boxed = |parsed| node(parsed, depth + 1, loops).map(Box::new);
    match parsed.expr {
        Expr::Unspecified => Err(BadAssertion::new("an empty expression", None)),
        Expr::Ident(name) => Ok(Node::Name(name)),
        Expr::Literal(value) => literal(value).map(Node::Literal),
        Expr::Select(select) if select.test => Ok(Node::Has(boxed(*select.operand)?, select.field)),
        Expr::Select(select) => Ok(Node::Select(boxed(*select.operand)?, select.field)),
        Expr::List(list) if list.optional_indices.is_empty() => {
            list.elements.into_iter().map(below).collect::<Result<_, _>>().map(Node::List)
        }
        Expr::List(_) => Err(BadAssertion::new("optional items are not understood here", None)),
        Expr::Map(map) => {
            let entry = |entry| match entry {
                EntryExpr::MapEntry(entry) if !entry.optional => Ok((below(entry.key)?, below(entry.value)?)),
                EntryExpr::MapEntry(_) | EntryExpr::StructField(_) => {
                    Err(BadAssertion::new("optional entries are not understood here", None))
                }
            };
            map.entries.into_iter().map(|one| entry(one.expr)).collect::<Result<_, _>>().map(Node::Map)
        }
        Expr::Struct(_) => Err(BadAssertion::new("messages are not understood here", None)),
        Expr::Comprehension(one) => comprehension(*one, depth, loops),
        Expr::Call(call) => {
            let mut arguments: Vec<Node> =
                call.target.map(|target| *target).into_iter().chain(call.args).map(below).collect::<Result<_, _>>()?;
            let name = call.func_name.as_str();
            let three = |arguments: &mut Vec<Node>| {
                let mut own = arguments.drain(..).map(Box::new);
                own.next().zip(own.next()).zip(own.next())
            };
            match (name, arguments.len()) {
                (operators::LOGICAL_AND | operators::LOGICAL_OR, 2) => {
                    let mut own = arguments.drain(..).map(Box::new);
                    match own.next().zip(own.next()) {
                        Some((left, right)) if name == operators::LOGICAL_AND => Ok(Node::And(left, right)),
                        Some((left, right)) => Ok(Node::Or(left, right)),
                        None => Err(strange()),
                    }
                }
                (operators::CONDITIONAL, 3) => {
                    let ((test, yes), no) = three(&mut arguments).ok_or_else(strange)?;
                    Ok(Node::If(test, yes, no))
                }
                _ => Function::find(name, arguments.len()).map(|function| Node::Call(function, arguments)),
            }
        }
    }
}

fn strange() -> BadAssertion {
    BadAssertion::new("an operator that is not understood here", None)
}

fn literal(value: LiteralValue) -> Result<Literal, BadAssertion> {
    match value {
        LiteralValue::Null => Ok(Literal::Null),
        LiteralValue::Boolean(value) => Ok(Literal::Bool(value.into_inner())),
        LiteralValue::Int(value) => Ok(Literal::Int(value.into_inner())),
        LiteralValue::UInt(value) => i64::try_from(value.into_inner())
            .map(Literal::Int)
            .map_err(|_| BadAssertion::new("a number larger than 64 bits hold with a sign", None)),
        LiteralValue::Double(value) => Ok(Literal::Double(value.into_inner())),
        LiteralValue::String(value) => Ok(Literal::Text(value.inner().to_owned())),
        LiteralValue::Bytes(_) => Err(BadAssertion::new("bytes are not understood here: facts are text", None)),
    }
}

/// The macro a loop was. What the loop begins with tells which; see the crate's `parser/macros.rs`, which follows cel-spec's.
fn comprehension(one: ComprehensionExpr, depth: usize, loops: usize) -> Result<Node, BadAssertion> {
    if loops >= MAX_LOOPS {
        return Err(BadAssertion::new(format!("more than {MAX_LOOPS} loops in one another"), None));
    }
    let kind = match &one.accu_init.expr {
        Expr::Literal(LiteralValue::Boolean(true_)) if *true_.inner() => Kind::All,
        Expr::Literal(LiteralValue::Boolean(_)) => Kind::Exists,
        Expr::Literal(_) => Kind::ExistsOne,
        _ => Kind::List,
    };
    let (filter, body) = unfold(kind, one.loop_step).ok_or_else(strange)?;
    let inner = |parsed| node(parsed, depth + 1, loops + 1);
    Ok(Node::Loop(Box::new(Loop {
        kind,
        range: node(one.iter_range, depth + 1, loops)?,
        variable: one.iter_var,
        filter: filter.map(inner).transpose()?,
        body: inner(body)?,
    })))
}

fn unfold(kind: Kind, step: IdedExpr) -> Option<(Option<IdedExpr>, IdedExpr)> {
    let Expr::Call(call) = step.expr else { return None };
    let mut arguments = call.args.into_iter();
    match kind {
        // result && p, result || p
        Kind::All | Kind::Exists => arguments.nth(1).map(|body| (None, body)),
        // p ? result + 1 : result
        Kind::ExistsOne => arguments.next().map(|body| (None, body)),
        // result + [f], or p ? result + [f] : result
        Kind::List if call.func_name == operators::ADD => added(arguments.nth(1)?).map(|body| (None, body)),
        Kind::List => {
            let filter = arguments.next()?;
            let Expr::Call(add) = arguments.next()?.expr else { return None };
            added(add.args.into_iter().nth(1)?).map(|body| (Some(filter), body))
        }
    }
}

fn added(list: IdedExpr) -> Option<IdedExpr> {
    let Expr::List(list) = list.expr else { return None };
    list.elements.into_iter().next()
}
