//! Rules: JSON Logic as json-logic-js runs it, over folded data. The only place that knows JSON Logic.
//!
//! [`parse`] reads a rule within bounds, [`compile`] turns it into a tree, [`evaluate`] walks the tree, [`explain`] tells it, [`operators`] holds
//! the names of all and, with [`access`], [`text`] and [`custom`], what takes its operands evaluated; [`operand`] has the
//! language's values and [`ecma`] their conversions.

mod access;
mod compile;
mod custom;
mod datetime;
mod ecma;
mod evaluate;
mod explain;
mod legacy;
mod operand;
mod operators;
mod parse;
mod path;
mod reads;
mod semver;
#[cfg(test)]
pub(crate) mod tests;
mod text;
pub(crate) mod value;

pub(crate) use datetime::text_milliseconds;
pub(crate) use ecma::number_text;
pub(crate) use legacy::Legacy;
pub(crate) use parse::RuleError;

use crate::engine::rules::value::{Object, Value};
use crate::json::Writer;
use compile::{Compiler, Node};
use evaluate::Evaluator;
use operand::Operand;

/// A compiled rule: evaluated often, by many threads at once.
#[derive(Debug, PartialEq)]
pub(crate) struct Rule {
    root: Node,
    properties: Properties,
}

/// Which properties a rule reads, at the top level of the data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Properties {
    All,
    /// Folded names, sorted.
    Only(Box<[Box<str>]>),
}

impl Rule {
    /// Compiles a rule; none for `null`, `{}`, `[]`, `false`, `0` and `""`, which are no rule.
    ///
    /// # Errors
    /// More than 64 nested operators, 10,000 values or 512 levels of nesting, and text that is no JSON: numbers beyond a
    /// double and lone surrogates are none.
    pub(crate) fn compile(json: &str) -> Result<Option<Rule>, RuleError> {
        let json = parse::parse(json)?;
        let absent = match &json {
            Value::Null => true,
            Value::Bool(b) => !b,
            Value::Number(n) => *n == 0.0,
            Value::String(s) => s.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(object) => object.is_empty(),
        };
        if absent {
            return Ok(None);
        }
        let mut compiler = Compiler::default();
        let root = compiler.rule(json)?;
        Ok(Some(Rule { root, properties: compiler.properties() }))
    }

    /// Whether the result is truthy by JSON Logic. An error, an exhausted budget included, is no match.
    pub(crate) fn matches(&self, data: &Object<'_>) -> bool {
        let evaluator = Evaluator::default();
        evaluator.eval(&self.root, &Operand::Object(data)).is_ok_and(|result| result.truthy())
    }

    /// Writes the rule with the value of each of its parts for `data`.
    pub(crate) fn explain(&self, data: Option<&Object<'_>>, json: &mut Writer<'_>) {
        explain::rule(json, &self.root, data);
    }

    /// Without the properties that this leaves out, the rule comes out the same.
    pub(crate) fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Hands `note` the names in the place of operators that the engine does not know, as often as they occur.
    pub(crate) fn unknown_operators(&self, note: &mut dyn FnMut(&str)) {
        reads::unknown(&self.root, note);
    }

    /// Whether it ends in an error for all data, because an unknown operator is reached in any case.
    pub(crate) fn always_fails(&self) -> bool {
        reads::always_fails(&self.root)
    }

    /// Whether it may read what lies at `path`, the names of the way from the data's top, folded.
    pub(crate) fn reads(&self, path: &[Box<str>]) -> bool {
        reads::reads(&self.root, path)
    }

    #[cfg(test)]
    pub(crate) fn evaluate<'v>(&'v self, data: &'v Value<'v>) -> Result<Operand<'v>, evaluate::Failure> {
        Evaluator::default().eval(&self.root, &Operand::from(data))
    }
}

impl Properties {
    /// How many are read at most, if that is known.
    pub(crate) fn count(&self) -> usize {
        match self {
            Properties::All => 0,
            Properties::Only(names) => names.len(),
        }
    }

    /// Whether the folded `name` is read.
    pub(crate) fn includes(&self, name: &str) -> bool {
        match self {
            Properties::All => true,
            // Most rules read a handful: comparing for equality is quicker than for order.
            Properties::Only(names) if names.len() <= 16 => names.iter().any(|known| **known == *name),
            Properties::Only(names) => names.binary_search_by(|known| known.as_ref().cmp(name)).is_ok(),
        }
    }
}
