//! Rules: JSON Logic as json-logic-js runs it, over folded data. Nothing else knows JSON Logic.
//!
//! [`parse`] reads a rule within limits, [`compile`] turns it into a [`tree`], [`evaluate`] walks the tree
//! within a [`budget`] and [`explain`] writes it down. [`operators`], [`data`], [`lists_and_text`] and
//! [`comparisons`] implement the operators, [`operand`] the language's values and [`ecma`] their conversions.

mod budget;
mod comparisons;
mod compile;
mod data;
mod datetime;
mod ecma;
mod evaluate;
mod explain;
mod legacy;
mod lists_and_text;
mod operand;
mod operators;
mod parse;
mod path;
mod reads;
mod semver;
#[cfg(any(test, fuzzing))]
pub(crate) mod shown;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod tree;
pub(crate) mod value;

pub(crate) use datetime::text_milliseconds;
pub(crate) use ecma::number_text;
pub(crate) use legacy::Legacy;
pub(crate) use parse::RuleError;
pub(crate) use reads::Properties;

use crate::engine::rules::value::{Object, Value};
use crate::json::Writer;
use compile::Compiler;
use evaluate::Evaluator;
use operand::Operand;
use tree::Node;

/// A compiled rule. Shared by threads.
#[derive(Debug, PartialEq)]
pub(crate) struct Rule {
    root: Node,
    properties: Properties,
}

impl Rule {
    /// Compiles a rule. `None` for `null`, `{}`, `[]`, `false`, `0` and `""`, which mean that there is no
    /// rule.
    ///
    /// # Errors
    /// More than 64 nested operators, 10,000 values or 512 levels of nesting, and invalid JSON, including
    /// numbers beyond a double and lone surrogates.
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

    /// Whether the result is truthy in JSON Logic. A rule that fails or exhausts its budget does not match.
    pub(crate) fn matches(&self, data: &Object<'_>) -> bool {
        let evaluator = Evaluator::default();
        evaluator.holds(&self.root, &Operand::Object(data)) == Ok(true)
    }

    /// Writes the rule with the value of each of its parts for `data`.
    pub(crate) fn explain(&self, data: Option<&Object<'_>>, json: &mut Writer<'_>) {
        explain::rule(json, &self.root, data);
    }

    /// The properties that the rule reads. Others make no difference.
    pub(crate) fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Calls `note` with the name of each operator that the engine does not know, as often as it occurs.
    pub(crate) fn unknown_operators(&self, note: &mut dyn FnMut(&str)) {
        reads::unknown(&self.root, note);
    }

    /// Whether it fails for any data, because it always reaches an unknown operator.
    pub(crate) fn always_fails(&self) -> bool {
        reads::always_fails(&self.root)
    }

    /// Whether it may read what is at `path`: folded names, from the top of the data.
    pub(crate) fn reads(&self, path: &[Box<str>]) -> bool {
        reads::reads(&self.root, path)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn evaluate<'v>(&'v self, data: &'v Value<'v>) -> Result<Operand<'v>, budget::Failure> {
        let (whole, truth, data) = (Evaluator::default(), Evaluator::default(), Operand::from(data));
        let result = whole.eval(&self.root, &data);
        let holds = truth.holds(&self.root, &data);
        assert_eq!(holds, result.as_ref().map(Operand::truthy).map_err(|failure| *failure));
        assert_eq!(truth.budget, whole.budget);
        result
    }
}
