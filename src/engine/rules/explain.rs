//! A rule told for people: its tree, with the value that every part of it has for one set of data.
//!
//! Each part is evaluated by the engine itself, on its own: operands that `and`, `or` and `if` never came to have a value
//! too. What is applied to the elements of a list has none of its own.

use crate::engine::identity::push_json_string;
use crate::engine::rules::value::{Object, Value};

use super::compile::Node;
use super::custom::Symbol;
use super::ecma::number_text;
use super::evaluate::{Evaluator, Failure};
use super::operand::Operand;
use super::operators::Operator;

/// Parts within each other that are told. What lies deeper is told by its value alone, so that any JSON parser reads it.
const MAX_PARTS: u32 = 24;
/// Arrays and objects within each other in a value; what lies deeper is told as `…`.
const MAX_VALUE: u32 = 32;

/// Bytes that are told of one rule; what comes behind is told as `…`. A list may share its elements, so that little is held
/// and much would be told.
const MAX_BYTES: usize = 64 << 10;

/// Appends the tree of `root` as JSON. `data` are what the rule sees; without them no part has a value.
pub(super) fn tell(out: &mut String, root: &Node, data: Option<&Object<'_>>) {
    // One budget for all: a rule that is cheap to evaluate once is not cheap to evaluate once per part.
    let teller = Teller { evaluator: Evaluator::default() };
    teller.node(out, root, data.map(Operand::Object).as_ref(), 0);
}

struct Teller {
    evaluator: Evaluator,
}

impl Teller {
    fn node<'v>(&self, out: &mut String, node: &'v Node, data: Option<&Operand<'v>>, depth: u32) {
        match node {
            // It is its own value.
            Node::Literal(value) | Node::Literals(value) if holds_object(value) => {
                // Marked, or an object of the rule could be taken for an operator of this tree.
                out.push_str("{\"literal\":");
                push_value(out, &Operand::from(value), 0);
                return out.push('}');
            }
            Node::Literal(value) | Node::Literals(value) => return push_value(out, &Operand::from(value), 0),
            Node::Var(var) => {
                out.push_str("{\"var\":");
                push_json_string(out, &var.path.to_string());
            }
            Node::List(items) => {
                out.push_str("{\"list\":");
                self.nodes(out, items, data, None, depth);
            }
            Node::Apply(operator, operands) => {
                push_operator(out, operator.name());
                self.nodes(out, operands, data, operator.has_body().then_some(1), depth);
            }
            Node::Semver(compare) => {
                push_operator(out, Operator::SemverCompare.name());
                let target = compare.target.as_ref().map(ToString::to_string);
                self.comparison(out, (&compare.actual, compare.symbol), data, depth, |out| match target {
                    Some(target) => push_json_string(out, &target),
                    None => out.push_str("null"),
                });
            }
            Node::Datetime(compare) => {
                push_operator(out, Operator::DatetimeCompare.name());
                self.comparison(out, (&compare.actual, compare.symbol), data, depth, |out| {
                    match compare.target {
                        Some(seconds) => out.push_str(&(i128::from(seconds) * 1000).to_string()),
                        None => out.push_str("null"),
                    }
                });
            }
            Node::Unknown(name) => push_operator(out, name),
        }
        if let Some(data) = data {
            match self.evaluator.eval(node, data) {
                Ok(value) => {
                    out.push_str(",\"value\":");
                    push_value(out, &value, 0);
                    if self.is_missing(node, data) {
                        out.push_str(",\"missing\":true");
                    }
                }
                Err(failure) => {
                    out.push_str(",\"error\":");
                    push_json_string(out, describe(failure));
                }
            }
        }
        out.push('}');
    }

    /// Whether it is a property that the data lack, and so its default, or null.
    fn is_missing<'v>(&self, node: &'v Node, data: &Operand<'v>) -> bool {
        match node {
            Node::Var(var) => matches!(var.path.follow(data, &self.evaluator.budget), Ok(None)),
            _ => false,
        }
    }

    fn nodes<'v>(
        &self,
        out: &mut String,
        nodes: &'v [Node],
        data: Option<&Operand<'v>>,
        body: Option<usize>,
        depth: u32,
    ) {
        if depth == MAX_PARTS {
            return out.push_str("\"…\"");
        }
        out.push('[');
        for (index, node) in nodes.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            if out.len() > MAX_BYTES {
                out.push_str("\"…\"");
                break;
            }
            self.node(out, node, data.filter(|_| body != Some(index)), depth + 1);
        }
        out.push(']');
    }

    fn comparison<'v>(
        &self,
        out: &mut String,
        (actual, symbol): (&'v Node, Symbol),
        data: Option<&Operand<'v>>,
        depth: u32,
        target: impl FnOnce(&mut String),
    ) {
        if depth == MAX_PARTS {
            return out.push_str("\"…\"");
        }
        out.push('[');
        self.node(out, actual, data, depth + 1);
        out.push(',');
        push_json_string(out, symbol.name());
        out.push(',');
        target(out);
        out.push(']');
    }
}

fn holds_object(value: &Value<'_>) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_object),
        _ => false,
    }
}

fn push_operator(out: &mut String, name: &str) {
    out.push_str("{\"operator\":");
    push_json_string(out, name);
    if Operator::named(name).is_some() {
        out.push_str(",\"operands\":");
    }
}

fn describe(failure: Failure) -> &'static str {
    match failure {
        Failure::UnknownOperator => "unknown operator",
        Failure::NotConvertible => "an operand cannot be converted",
        Failure::Exhausted => "too costly to tell",
    }
}

/// Appends a value. What JSON cannot hold, undefined and NaN, is null.
fn push_value(out: &mut String, value: &Operand<'_>, depth: u32) {
    match value {
        Operand::Array(_) | Operand::List(_) | Operand::Object(_) | Operand::Scope(_)
            if depth == MAX_VALUE || out.len() > MAX_BYTES =>
        {
            out.push_str("\"…\"");
        }
        Operand::Undefined | Operand::Null => out.push_str("null"),
        Operand::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Operand::Number(n) if n.is_finite() => out.push_str(number_text(*n).as_str()),
        Operand::Number(_) => out.push_str("null"),
        Operand::Str(text) => push_json_string(out, text),
        Operand::Text(units) => push_json_string(out, &String::from_utf16_lossy(units)),
        Operand::Array(_) | Operand::List(_) => {
            out.push('[');
            let items = value.items();
            for (index, item) in items.iter().flat_map(|items| items.iter()).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if out.len() > MAX_BYTES {
                    out.push_str("\"…\"");
                    break;
                }
                push_value(out, &item, depth + 1);
            }
            out.push(']');
        }
        Operand::Object(object) => push_entries(out, object.iter().map(|(k, v)| (k, v.into())), depth),
        Operand::Scope(scope) => {
            let entries = [("current", scope.current.clone()), ("accumulator", scope.accumulator.clone())];
            push_entries(out, entries.into_iter(), depth);
        }
    }
}

fn push_entries<'k, 'v>(out: &mut String, entries: impl Iterator<Item = (&'k str, Operand<'v>)>, depth: u32) {
    out.push('{');
    for (index, (key, value)) in entries.enumerate() {
        if out.len() > MAX_BYTES {
            break;
        }
        if index > 0 {
            out.push(',');
        }
        push_json_string(out, key);
        out.push(':');
        push_value(out, &value, depth + 1);
    }
    out.push('}');
}

/// Appends the pairs of a legacy definition as JSON: what is expected, and the value.
pub(super) fn tell_pairs<'p>(
    out: &mut String,
    pairs: impl Iterator<Item = (&'p str, Option<&'p str>)>,
    data: Option<&Object<'_>>,
) {
    out.push_str("{\"legacy\":[");
    for (index, (name, expected)) in pairs.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str("{\"property\":");
        push_json_string(out, name);
        out.push_str(",\"expected\":");
        match expected {
            Some(text) => push_json_string(out, text),
            None => out.push_str("null"),
        }
        if let Some(value) = data.and_then(|data| data.get(name)) {
            out.push_str(",\"value\":");
            push_value(out, &Operand::from(value), 0);
        }
        out.push('}');
    }
    out.push_str("]}");
}
