//! The legacy form of a rule: properties and the values they must have.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::engine::rules::value::{Object, Value};
use crate::json::Writer;

use super::budget::Budget;
use super::ecma::number_text;
use super::explain;
use super::operand::Operand;
use super::parse::{self, RuleError};
use super::reads::Properties;
use super::text::Folded;

/// A compiled legacy rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Legacy {
    pairs: Box<[Pair]>,
    properties: Properties,
}

#[derive(Debug, PartialEq)]
struct Pair {
    name: Box<str>,
    /// `String(expected)`, folded; `None` if that fails.
    expected: Option<Box<str>>,
}

impl Legacy {
    /// Compiles a legacy rule. `None` for `{}`.
    ///
    /// # Errors
    /// Anything but an object, and what is beyond the limits of a rule.
    pub(crate) fn compile(json: &str) -> Result<Option<Legacy>, RuleError> {
        let Value::Object(object) = parse::parse(json)? else { return Err(RuleError::NotAnObject) };
        if object.is_empty() {
            return Ok(None);
        }
        let pairs: Box<[Pair]> = object
            .iter()
            .map(|(name, expected)| Pair {
                name: Folded::new(Cow::Borrowed(name)).into_cow().into(),
                expected: text(expected).map(|text| Folded::new(Cow::Owned(text)).into_cow().into()),
            })
            .collect();
        let names: BTreeSet<_> = pairs.iter().map(|pair| pair.name.clone()).collect();
        Ok(Some(Legacy { pairs, properties: Properties::Only(names.into_iter().collect()) }))
    }

    /// Whether every property exists and has the expected text, ignoring case.
    pub(crate) fn matches(&self, data: &Object<'_>) -> bool {
        self.pairs.iter().all(|pair| pair.holds(data))
    }

    /// Writes the rule with the properties of `data` that it reads.
    pub(crate) fn explain(&self, data: Option<&Object<'_>>, json: &mut Writer<'_>) {
        let pairs = self.pairs.iter().map(|pair| (&*pair.name, pair.expected.as_deref()));
        explain::legacy(json, pairs, data);
    }

    /// Whether it reads what is at `path`: the text of a property depends on everything in it.
    pub(crate) fn reads(&self, path: &[Box<str>]) -> bool {
        path.first().is_none_or(|name| self.pairs.iter().any(|pair| pair.name == *name))
    }

    /// The properties that the rule reads. Others make no difference.
    pub(crate) fn properties(&self) -> &Properties {
        &self.properties
    }
}

impl Pair {
    fn holds(&self, data: &Object<'_>) -> bool {
        let (Some(actual), Some(expected)) = (data.get(&self.name), self.expected.as_deref()) else {
            return false;
        };
        match actual {
            // The data is folded already.
            Value::String(text) => **text == *expected,
            Value::Null => expected == "null",
            Value::Bool(b) => expected == if *b { "true" } else { "false" },
            Value::Number(n) => number_text(*n).as_str().eq_ignore_ascii_case(expected),
            Value::Array(_) | Value::Object(_) => {
                text(actual).is_some_and(|text| *Folded::new(Cow::Owned(text)) == *expected)
            }
        }
    }
}

fn text(value: &Value<'_>) -> Option<String> {
    Operand::from(value).text(&Budget::default()).ok().flatten()
}
