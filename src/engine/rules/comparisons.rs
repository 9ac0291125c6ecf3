//! `semver_compare` and `datetime_compare`, which json-logic-js lacks.

use crate::engine::rules::value::Value;

use super::budget::Failure;
use super::datetime;
use super::evaluate::{Evaluated, Evaluator};
use super::operand::Operand;
use super::semver::Version;
use super::tree::{Datetime, Node, Operator, Semver, Symbol};

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

    /// Both comparisons if the second or third operand is computed, or if there are not three.
    pub(super) fn comparison<'v>(
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

    /// The text of a string. One with a lone surrogate is neither a version, a time nor a symbol.
    fn text_of(&self, operand: &Operand<'_>) -> Result<Option<String>, Failure> {
        if operand.is_text() { operand.text(&self.budget) } else { Ok(None) }
    }
}
