//! `semver_compare` and `datetime_compare`, which json-logic-js lacks.

use std::cmp::Ordering;

use crate::engine::rules::value::Value;

use super::compile::{Datetime, Node, Semver};
use super::datetime;
use super::evaluate::{Evaluated, Evaluator, Failure};
use super::operand::Operand;
use super::operators::Operator;
use super::semver::Version;

/// The middle operand of `semver_compare` and `datetime_compare`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Symbol {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Symbol {
    pub(super) fn named(name: &str) -> Option<Symbol> {
        Some(match name {
            "===" => Symbol::Equal,
            "!==" => Symbol::NotEqual,
            "<" => Symbol::Less,
            "<=" => Symbol::LessOrEqual,
            ">" => Symbol::Greater,
            ">=" => Symbol::GreaterOrEqual,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Symbol::Equal => "===",
            Symbol::NotEqual => "!==",
            Symbol::Less => "<",
            Symbol::LessOrEqual => "<=",
            Symbol::Greater => ">",
            Symbol::GreaterOrEqual => ">=",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Symbol::Equal => order.is_eq(),
            Symbol::NotEqual => order.is_ne(),
            Symbol::Less => order.is_lt(),
            Symbol::LessOrEqual => order.is_le(),
            Symbol::Greater => order.is_gt(),
            Symbol::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Evaluator {
    pub(super) fn semver<'v>(&self, compare: &'v Semver, data: &Operand<'v>) -> Evaluated<'v> {
        self.on_text(&compare.actual, data, |text| {
            let order = Version::parse(text)?.compare(compare.target.as_ref()?);
            Some(compare.symbol.holds(order))
        })
    }

    pub(super) fn datetime<'v>(&self, compare: &'v Datetime, data: &Operand<'v>) -> Evaluated<'v> {
        self.on_text(&compare.actual, data, |text| {
            let order = datetime::text_seconds(text)?.cmp(&compare.target?);
            Some(compare.symbol.holds(order))
        })
    }

    fn on_text<'v>(
        &self,
        node: &'v Node,
        data: &Operand<'v>,
        holds: impl Fn(&str) -> Option<bool>,
    ) -> Evaluated<'v> {
        let holds = if let Some(Value::String(text)) = self.borrow(node, data) {
            self.budget.scan(text.len())?;
            holds(text)
        } else {
            self.text_of(&self.look(node, data)?)?.and_then(|text| holds(&text))
        };
        Ok(Operand::Bool(holds.unwrap_or(false)))
    }

    /// Both comparisons where an operand beside the first is computed, and where the count is wrong.
    pub(super) fn custom<'v>(
        &self,
        operator: Operator,
        operands: &'v [Node],
        data: &Operand<'v>,
    ) -> Evaluated<'v> {
        let [actual, symbol, target] = self.seen(operands, data)?;
        let Some(symbol) = self.text_of(&symbol)?.as_deref().and_then(Symbol::named) else {
            return Ok(Operand::Bool(false));
        };
        if operands.len() != 3 {
            return Ok(Operand::Bool(false));
        }
        let order = if operator == Operator::SemverCompare {
            let target = self.text_of(&target)?;
            let target = target.as_deref().and_then(Version::parse);
            let actual = self.text_of(&actual)?;
            let actual = actual.as_deref().and_then(Version::parse);
            actual.zip(target).map(|(actual, target)| actual.compare(&target))
        } else {
            let actual = self.text_of(&actual)?.as_deref().and_then(datetime::text_seconds);
            let target = match target {
                Operand::Number(milliseconds) => datetime::number_seconds(milliseconds),
                _ => None,
            };
            actual.zip(target).map(|(actual, target)| actual.cmp(&target))
        };
        Ok(Operand::Bool(order.is_some_and(|order| symbol.holds(order))))
    }

    /// The text of a string; lone surrogates are in none that the comparisons accept.
    fn text_of(&self, operand: &Operand<'_>) -> Result<Option<String>, Failure> {
        if operand.is_text() { operand.text(&self.budget) } else { Ok(None) }
    }
}
