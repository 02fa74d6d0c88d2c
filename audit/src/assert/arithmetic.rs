//! Numbers: whole ones that never overflow in silence, and fractions.

use super::eval::{Answer, error};
use super::functions::Function;
use super::value::Value;

/// What `function` makes of two numbers.
pub(super) fn arithmetic<'a>(function: Function, a: &Value<'a>, b: &Value<'a>) -> Answer<'a> {
    let found = match (function, a, b) {
        (Function::Negate, Value::Int(a), _) => a.checked_neg().map(Value::Int),
        (Function::Negate, Value::Double(a), _) => Some(Value::Double(-a)),
        (Function::Add, Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int),
        (Function::Subtract, Value::Int(a), Value::Int(b)) => a.checked_sub(*b).map(Value::Int),
        (Function::Multiply, Value::Int(a), Value::Int(b)) => a.checked_mul(*b).map(Value::Int),
        (Function::Divide, Value::Int(a), Value::Int(b)) => a.checked_div(*b).map(Value::Int),
        (Function::Remainder, Value::Int(a), Value::Int(b)) => a.checked_rem(*b).map(Value::Int),
        (Function::Add, Value::Double(a), Value::Double(b)) => Some(Value::Double(a + b)),
        (Function::Subtract, Value::Double(a), Value::Double(b)) => Some(Value::Double(a - b)),
        (Function::Multiply, Value::Double(a), Value::Double(b)) => Some(Value::Double(a * b)),
        (Function::Divide, Value::Double(a), Value::Double(b)) => Some(Value::Double(a / b)),
        _ => return error(format!("`{}` of {} and {}", function.name(), a.kind(), b.kind())),
    };
    found.map_or_else(|| error(format!("`{}` has no answer that fits 64 bits", function.name())), Ok)
}
