//! What a rule depends on: the data that it reads, and operators that the engine does not know.

use std::borrow::Cow;

use crate::engine::rules::value::Value;

use super::path::Path;
use super::text::{Folded, is_folded};
use super::tree::{Node, Operator};

/// The top-level properties that a rule reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Properties {
    All,
    /// Folded names, sorted.
    Only(Box<[Box<str>]>),
}

impl Properties {
    /// Where among the names the folded `name` is.
    #[inline]
    fn position(names: &[Box<str>], name: &str) -> Option<usize> {
        // Most rules read a handful, and comparing for equality is faster than for order.
        if names.len() <= 16 {
            return names.iter().position(|known| **known == *name);
        }
        names.binary_search_by(|known| known.as_ref().cmp(name)).ok()
    }

    /// Where among the names that of a member is, which is not folded yet.
    #[inline(always)]
    pub(crate) fn find(names: &[Box<str>], name: &str) -> Option<usize> {
        // Most are in lower case. Folding the names does not change them, so one that is equal needs no check.
        let found = Properties::position(names, name);
        if found.is_none() { Properties::find_folded(names, name) } else { found }
    }

    #[inline(never)]
    fn find_folded(names: &[Box<str>], name: &str) -> Option<usize> {
        if is_folded(name) { None } else { Properties::position(names, &Folded::new(Cow::Borrowed(name))) }
    }
}

/// Notes the name of every unknown operator.
pub(super) fn unknown(node: &Node, note: &mut dyn FnMut(&str)) {
    if let Node::Unknown(name) = node {
        note(name);
    }
    node.parts().iter().for_each(|part| unknown(part, note));
}

/// Whether an unknown operator is evaluated for any data, so that the rule always fails.
pub(super) fn always_fails(node: &Node) -> bool {
    match node {
        Node::Unknown(_) => true,
        Node::Apply(Operator::If | Operator::And | Operator::Or, operands) => {
            operands.first().is_some_and(always_fails)
        }
        // The body is evaluated only if there are elements.
        Node::Apply(operator, operands) if operator.has_body() => {
            let fails = |at: usize| operands.get(at).is_some_and(always_fails);
            fails(0) || (*operator == Operator::Reduce && fails(2))
        }
        _ => node.parts().iter().any(always_fails),
    }
}

/// Whether the rule may read what is at `path`.
pub(super) fn reads(node: &Node, path: &[Box<str>]) -> bool {
    let follows = |key: &Value<'_>| Path::of(key).is_none_or(|key| key.overlaps(path));
    let follow = |node: &Node| match node {
        Node::Literal(key) => follows(key),
        Node::Literals(Value::Array(keys)) => keys.iter().any(follows),
        // A computed path can be any path.
        _ => true,
    };
    let own = match node {
        Node::Var(var) => var.path.overlaps(path),
        Node::Apply(Operator::Var, operands) => operands.first().is_none_or(follow),
        Node::Apply(Operator::Missing, operands) => operands.iter().any(follow),
        Node::Apply(Operator::MissingSome, operands) => operands.get(1).is_none_or(follow),
        _ => false,
    };
    // A body reads elements, which count as read along with their array.
    let body = match node {
        Node::Apply(operator, _) if operator.has_body() => Some(1),
        _ => None,
    };
    own || node.parts().iter().enumerate().any(|(at, part)| Some(at) != body && reads(part, path))
}
