//! A rule explained: its tree, with the value of each part for one set of data.
//!
//! Each part is evaluated by the engine itself, on its own: short-circuited operands are evaluated as well.
//! The body of `map`, `filter` and the like has no value of its own.

use crate::engine::rules::value::{Object, Value};
use crate::json::Writer;

use super::budget::Failure;
use super::ecma::number_text;
use super::evaluate::Evaluator;
use super::operand::{Items, Operand};
use super::tree::{Node, Operator, Symbol};

/// Levels of the tree with their operands. Deeper parts have their value only, so that any JSON parser can
/// read the result.
const MAX_PARTS: u32 = 24;
/// Levels of nesting in a value.
const MAX_VALUE: u32 = 32;
/// Bytes of the explanation of one rule. A list may share its elements, so that a small one is long when
/// written.
const MAX_BYTES: usize = 64 << 10;
/// Stands for what exceeds a limit.
const OMITTED: &str = "…";

/// Writes the tree of `root`. `data` is what the rule sees; without it no part has a value.
pub(super) fn rule(json: &mut Writer<'_>, root: &Node, data: Option<&Object<'_>>) {
    // One budget for all parts: together they cost far more than one evaluation.
    Explainer { evaluator: Evaluator::default() }.node(json, root, data.map(Operand::Object).as_ref(), 0);
}

struct Explainer {
    evaluator: Evaluator,
}

impl Explainer {
    fn node<'v>(&self, json: &mut Writer<'_>, node: &'v Node, data: Option<&Operand<'v>>, depth: u32) {
        match node {
            // Marked as a literal, because its object could be mistaken for an operator of this tree.
            Node::Literal(literal) | Node::Literals(literal) if holds_object(literal) => {
                json.object(|json| value(json.field("literal"), &Operand::from(literal), 0));
            }
            // A literal is its own value, so it is written only once.
            Node::Literal(literal) | Node::Literals(literal) => value(json, &Operand::from(literal), 0),
            _ => json.object(|json| {
                self.part(json, node, data, depth);
                if let Some(data) = data {
                    self.result(json, node, data);
                }
            }),
        }
    }

    fn part<'v>(&self, json: &mut Writer<'_>, node: &'v Node, data: Option<&Operand<'v>>, depth: u32) {
        match node {
            Node::Literal(_) | Node::Literals(_) => {}
            Node::Var(var) => json.field("var").string(&var.path.to_string()),
            Node::List(items) => self.nodes(json.field("list"), items, data, None, depth),
            Node::Apply(operator, operands) => {
                json.field("operator").string(operator.name());
                let body = operator.has_body().then_some(1);
                self.nodes(json.field("operands"), operands, data, body, depth);
            }
            Node::Semver(compare) => {
                json.field("operator").string(Operator::SemverCompare.name());
                let target = compare.target.as_ref().map(ToString::to_string);
                let target = |json: &mut Writer<'_>| json.string_or_null(target.as_deref());
                self.comparison(json, &compare.actual, compare.symbol, target, data, depth);
            }
            Node::Datetime(compare) => {
                json.field("operator").string(Operator::DatetimeCompare.name());
                let target = |json: &mut Writer<'_>| match compare.target {
                    Some(seconds) => json.display(i128::from(seconds) * 1000),
                    None => json.raw("null"),
                };
                self.comparison(json, &compare.actual, compare.symbol, target, data, depth);
            }
            Node::Unknown(name) => json.field("operator").string(name),
        }
    }

    fn result<'v>(&self, json: &mut Writer<'_>, node: &'v Node, data: &Operand<'v>) {
        match self.evaluator.eval(node, data) {
            Ok(result) => {
                value(json.field("value"), &result, 0);
                if self.is_missing(node, data) {
                    json.field("missing").raw("true");
                }
            }
            Err(failure) => json.field("error").string(describe(failure)),
        }
    }

    /// Whether it is a property that the data lacks, so that its value is the default or null.
    fn is_missing<'v>(&self, node: &'v Node, data: &Operand<'v>) -> bool {
        match node {
            Node::Var(var) => matches!(var.path.follow(data, &self.evaluator.budget), Ok(None)),
            _ => false,
        }
    }

    fn nodes<'v>(
        &self,
        json: &mut Writer<'_>,
        nodes: &'v [Node],
        data: Option<&Operand<'v>>,
        body: Option<usize>,
        depth: u32,
    ) {
        if depth == MAX_PARTS {
            return json.string(OMITTED);
        }
        json.array(|json| {
            for (index, node) in nodes.iter().enumerate() {
                if json.len() > MAX_BYTES {
                    return json.string(OMITTED);
                }
                self.node(json, node, data.filter(|_| body != Some(index)), depth + 1);
            }
        });
    }

    fn comparison<'v>(
        &self,
        json: &mut Writer<'_>,
        actual: &'v Node,
        symbol: Symbol,
        target: impl FnOnce(&mut Writer<'_>),
        data: Option<&Operand<'v>>,
        depth: u32,
    ) {
        json.field("operands");
        if depth == MAX_PARTS {
            return json.string(OMITTED);
        }
        json.array(|json| {
            self.node(json, actual, data, depth + 1);
            json.string(symbol.name());
            target(json);
        });
    }
}

fn holds_object(value: &Value<'_>) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_object),
        _ => false,
    }
}

fn describe(failure: Failure) -> &'static str {
    match failure {
        Failure::UnknownOperator => "unknown operator",
        Failure::NotConvertible => "an operand cannot be converted",
        Failure::Exhausted => "too costly to explain",
    }
}

/// Writes a value. Undefined and NaN, which JSON lacks, become null.
fn value(json: &mut Writer<'_>, operand: &Operand<'_>, depth: u32) {
    match operand {
        Operand::Array(_) | Operand::List(_) | Operand::Object(_) | Operand::Scope(_)
            if depth == MAX_VALUE || json.len() > MAX_BYTES =>
        {
            json.string(OMITTED);
        }
        Operand::Undefined | Operand::Null => json.raw("null"),
        Operand::Bool(b) => json.display(b),
        Operand::Number(n) if n.is_finite() => json.raw(number_text(*n).as_str()),
        Operand::Number(_) => json.raw("null"),
        Operand::Str(text) => json.string(text),
        Operand::Text(units) => json.string(&String::from_utf16_lossy(units)),
        Operand::Array(_) | Operand::List(_) => json.array(|json| {
            for item in operand.items().iter().flat_map(Items::iter) {
                if json.len() > MAX_BYTES {
                    return json.string(OMITTED);
                }
                value(json, &item, depth + 1);
            }
        }),
        Operand::Object(object) => members(json, object.iter().map(|(k, v)| (k, v.into())), depth),
        Operand::Scope(scope) => {
            let entries = [("current", scope.current.clone()), ("accumulator", scope.accumulator.clone())];
            members(json, entries.into_iter(), depth);
        }
    }
}

fn members<'k, 'v>(json: &mut Writer<'_>, members: impl Iterator<Item = (&'k str, Operand<'v>)>, depth: u32) {
    json.object(|json| {
        for (key, member) in members {
            if json.len() > MAX_BYTES {
                break;
            }
            value(json.key(key), &member, depth + 1);
        }
    });
}

/// Writes a legacy rule: each property with the text that is expected, and its value.
pub(super) fn legacy<'p>(
    json: &mut Writer<'_>,
    pairs: impl Iterator<Item = (&'p str, Option<&'p str>)>,
    data: Option<&Object<'_>>,
) {
    json.object(|json| {
        json.field("legacy").array(|json| {
            for (name, expected) in pairs {
                json.object(|json| {
                    json.field("property").string(name);
                    json.field("expected").string_or_null(expected);
                    if let Some(found) = data.and_then(|data| data.get(name)) {
                        value(json.field("value"), &Operand::from(found), 0);
                    }
                });
            }
        });
    });
}
