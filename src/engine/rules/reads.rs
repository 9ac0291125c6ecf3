//! What a rule needs, read off its tree: operators that nobody knows, and the data that it looks at.

use crate::engine::rules::value::Value;

use super::compile::Node;
use super::operators::Operator;
use super::path::Path;

/// Notes the name of every unknown operator.
pub(super) fn unknown(node: &Node, note: &mut dyn FnMut(&str)) {
    if let Node::Unknown(name) = node {
        note(name);
    }
    parts(node).iter().for_each(|part| unknown(part, note));
}

/// Whether an unknown operator is evaluated whatever the data are, which ends the whole rule.
pub(super) fn always_fails(node: &Node) -> bool {
    match node {
        Node::Unknown(_) => true,
        Node::Apply(Operator::If | Operator::And | Operator::Or, operands) => {
            operands.first().is_some_and(always_fails)
        }
        // The body is evaluated where there are elements.
        Node::Apply(operator, operands) if operator.has_body() => {
            let fails = |at: usize| operands.get(at).is_some_and(always_fails);
            fails(0) || (*operator == Operator::Reduce && fails(2))
        }
        _ => parts(node).iter().any(always_fails),
    }
}

/// Whether the rule may look at what lies at `path`.
pub(super) fn reads(node: &Node, path: &[Box<str>]) -> bool {
    let follows = |key: &Value<'_>| Path::of(key).is_none_or(|key| key.overlaps(path));
    let follow = |node: &Node| match node {
        Node::Literal(key) => follows(key),
        Node::Literals(Value::Array(keys)) => keys.iter().any(follows),
        // Which path it is, is known only when it is evaluated.
        _ => true,
    };
    let own = match node {
        Node::Var(var) => var.path.overlaps(path),
        Node::Apply(Operator::Var, operands) => operands.first().is_none_or(follow),
        Node::Apply(Operator::Missing, operands) => operands.iter().any(follow),
        Node::Apply(Operator::MissingSome, operands) => operands.get(1).is_none_or(follow),
        _ => false,
    };
    // A body reads elements: what its array is made of is read with the array.
    let body = match node {
        Node::Apply(operator, _) if operator.has_body() => Some(1),
        _ => None,
    };
    own || parts(node).iter().enumerate().any(|(at, part)| Some(at) != body && reads(part, path))
}

fn parts(node: &Node) -> &[Node] {
    match node {
        Node::List(nodes) | Node::Apply(_, nodes) => nodes,
        Node::Semver(compare) => std::slice::from_ref(&compare.actual),
        Node::Datetime(compare) => std::slice::from_ref(&compare.actual),
        Node::Literal(_) | Node::Literals(_) | Node::Var(_) | Node::Unknown(_) => &[],
    }
}
