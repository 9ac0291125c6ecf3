//! JSON → tree: names looked up, paths split, literal versions and times parsed.

use std::collections::BTreeSet;

use crate::engine::rules::value::Value;

use super::datetime;
use super::parse::{MAX_OPERATORS, RuleError};
use super::path::Path;
use super::reads::Properties;
use super::semver::Version;
use super::tree::{Datetime, Node, Operator, Semver, Symbol, Var};

#[derive(Default)]
pub(super) struct Compiler {
    /// Whether the rule may read any property: it has a computed path.
    all: bool,
    names: BTreeSet<Box<str>>,
}

/// Where a node is.
#[derive(Clone, Copy)]
struct Place {
    operators: u32,
    /// Whether it is evaluated over the rule's data, and not over an element of an array.
    root: bool,
}

impl Compiler {
    pub(super) fn rule(&mut self, json: Value<'static>) -> Result<Node, RuleError> {
        self.node(json, Place { operators: 0, root: true })
    }

    pub(super) fn properties(self) -> Properties {
        if self.all { Properties::All } else { Properties::Only(self.names.into_iter().collect()) }
    }

    fn node(&mut self, json: Value<'static>, place: Place) -> Result<Node, RuleError> {
        match json {
            Value::Array(items) if items.iter().all(is_literal) => Ok(Node::Literals(Value::Array(items))),
            Value::Array(items) => Ok(Node::List(self.nodes(items, place)?)),
            Value::Object(object) if object.len() == 1 => {
                let mut pairs = object.into_pairs();
                match pairs.pop() {
                    Some((name, operands)) => self.operator(&name, operands, place),
                    None => Ok(Node::Literal(Value::Null)),
                }
            }
            literal => Ok(Node::Literal(literal)),
        }
    }

    fn nodes(&mut self, items: Box<[Value<'static>]>, place: Place) -> Result<Box<[Node]>, RuleError> {
        items.into_iter().map(|item| self.node(item, place)).collect()
    }

    fn operator(&mut self, name: &str, operands: Value<'static>, place: Place) -> Result<Node, RuleError> {
        if place.operators == MAX_OPERATORS {
            return Err(RuleError::Operators);
        }
        let inner = Place { operators: place.operators + 1, ..place };
        let operands = match operands {
            Value::Array(items) => items,
            single => Box::new([single]),
        };
        let operator = Operator::named(name);
        let mut nodes = Vec::with_capacity(operands.len());
        for (index, operand) in operands.into_iter().enumerate() {
            let element = index == 1 && operator.is_some_and(Operator::has_body);
            let place = Place { root: inner.root && !element, ..inner };
            nodes.push(self.node(operand, place)?);
        }
        let Some(operator) = operator else { return Ok(Node::Unknown(name.into())) };
        if place.root {
            self.note(operator, &nodes);
        }
        Ok(specialised(operator, nodes))
    }

    /// Notes which properties an operator reads.
    fn note(&mut self, operator: Operator, operands: &[Node]) {
        match operator {
            Operator::Var => match operands.first() {
                Some(key) => self.note_key(key),
                None => self.all = true,
            },
            Operator::Missing => operands.iter().for_each(|keys| self.note_keys(keys)),
            Operator::MissingSome => match operands.get(1) {
                Some(keys) => self.note_keys(keys),
                None => self.all = true,
            },
            _ => {}
        }
    }

    fn note_keys(&mut self, node: &Node) {
        match node {
            Node::Literals(Value::Array(keys)) => keys.iter().for_each(|key| self.note_path(key)),
            key => self.note_key(key),
        }
    }

    fn note_key(&mut self, node: &Node) {
        match node {
            Node::Literal(key) => self.note_path(key),
            _ => self.all = true,
        }
    }

    fn note_path(&mut self, key: &Value<'_>) {
        let path = Path::of(key);
        match path.as_ref().and_then(Path::property) {
            Some(name) => {
                self.names.insert(name.into());
            }
            None => self.all = true,
        }
    }
}

/// Whether it evaluates to itself. An operator does not, and neither does an array, which is new each time.
fn is_literal(json: &Value<'_>) -> bool {
    match json {
        Value::Array(_) => false,
        Value::Object(object) => object.len() != 1,
        _ => true,
    }
}

fn specialised(operator: Operator, operands: Vec<Node>) -> Node {
    match operator {
        Operator::Var => var(operands),
        Operator::SemverCompare | Operator::DatetimeCompare => comparison(operator, operands),
        _ => Node::Apply(operator, operands.into_boxed_slice()),
    }
}

fn var(mut operands: Vec<Node>) -> Node {
    let path = match operands.as_slice() {
        [] => Some(Path::new("")),
        [Node::Literal(key)] | [Node::Literal(key), Node::Literal(_)] => Path::of(key),
        _ => None,
    };
    match path {
        Some(path) => {
            operands.truncate(2);
            let default = match (operands.len(), operands.pop()) {
                (2, Some(Node::Literal(default))) => default,
                _ => Value::Null,
            };
            Node::Var(Box::new(Var { path, default }))
        }
        None => Node::Apply(Operator::Var, operands.into_boxed_slice()),
    }
}

fn comparison(operator: Operator, operands: Vec<Node>) -> Node {
    let operands: [Node; 3] = match operands.try_into() {
        Ok(operands) => operands,
        Err(operands) => return Node::Apply(operator, operands.into_boxed_slice()),
    };
    let symbol = match &operands {
        [_, Node::Literal(Value::String(symbol)), Node::Literal(_)] => Symbol::named(symbol),
        _ => None,
    };
    match (symbol, operands) {
        (Some(symbol), [actual, _, Node::Literal(target)]) if operator == Operator::SemverCompare => {
            let target = match &target {
                Value::String(text) => Version::parse(text).map(|version| version.to_owned()),
                _ => None,
            };
            Node::Semver(Box::new(Semver { actual, symbol, target }))
        }
        (Some(symbol), [actual, _, Node::Literal(target)]) => {
            let target = match target {
                Value::Number(milliseconds) => datetime::number_seconds(milliseconds),
                _ => None,
            };
            Node::Datetime(Box::new(Datetime { actual, symbol, target }))
        }
        (_, operands) => Node::Apply(operator, Box::new(operands)),
    }
}
