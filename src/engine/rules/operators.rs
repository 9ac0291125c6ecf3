//! Dispatches operators, and implements comparisons and arithmetic.

use std::cmp::Ordering;

use crate::engine::rules::value::Value;

use super::budget::{FREE_BYTES, Failure};
use super::evaluate::{Evaluated, Evaluator};
use super::operand::Operand;
use super::tree::{Node, Operator};

/// Searching this many elements is part of the current step. A longer search costs a step per element.
const FREE_ITEMS: usize = 32;

impl Evaluator {
    #[inline]
    pub(super) fn apply<'v>(
        &self,
        operator: Operator,
        operands: &'v [Node],
        data: &Operand<'v>,
    ) -> Evaluated<'v> {
        match operator {
            Operator::If => self.choose(operands, data),
            Operator::And => self.first(false, operands, data),
            Operator::Or => self.first(true, operands, data),
            Operator::Some | Operator::All | Operator::None => self.search(operator, operands, data),
            Operator::Filter => self.filter(operands, data),
            Operator::Map => self.map(operands, data),
            Operator::Reduce => self.reduce(operands, data),
            Operator::Less | Operator::LessOrEqual => match self.quick(operator, operands, data) {
                Some(holds) => Ok(Operand::Bool(holds)),
                None => self.between(operator, operands, data),
            },
            Operator::Add | Operator::Multiply => self.fold(operator, operands, data),
            Operator::Min | Operator::Max => self.extreme(operator, operands, data),
            Operator::Subtract | Operator::Divide | Operator::Remainder => {
                self.arithmetic(operator, operands, data)
            }
            Operator::Var => self.var(operands, data),
            Operator::Missing => self.missing(operands, data),
            Operator::MissingSome => self.missing_some(operands, data),
            Operator::Merge => self.merge(operands, data),
            Operator::Cat => self.cat(operands, data),
            Operator::Substr => self.substr(operands, data),
            Operator::Log => {
                let [operand] = self.kept(operands, data)?;
                Ok(operand)
            }
            Operator::SemverCompare | Operator::DatetimeCompare => self.comparison(operator, operands, data),
            _ => match self.quick(operator, operands, data) {
                Some(holds) => Ok(Operand::Bool(holds)),
                None => self.test(operator, operands, data),
            },
        }
    }

    /// Compares two existing values of one type, which is what most rules do. `None` if [`Self::test`] has to
    /// convert, compute or count.
    #[inline]
    pub(super) fn quick<'v>(
        &self,
        operator: Operator,
        operands: &'v [Node],
        data: &Operand<'v>,
    ) -> Option<bool> {
        let [a, b] = operands else { return None };
        let (a, b) = (self.borrow(a, data)?, self.borrow(b, data)?);
        match (a, b) {
            (Value::String(a), Value::String(b)) if b.len() <= FREE_BYTES => match operator {
                Operator::Equal | Operator::StrictEqual => Some(a == b),
                Operator::NotEqual | Operator::StrictNotEqual => Some(a != b),
                Operator::In => Some(!b.is_empty() && b.contains(&**a)),
                _ => None,
            },
            (Value::Number(a), Value::Number(b)) => match operator {
                Operator::Equal | Operator::StrictEqual => Some(a == b),
                Operator::NotEqual | Operator::StrictNotEqual => Some(a != b),
                Operator::Greater => Some(a > b),
                Operator::GreaterOrEqual => Some(a >= b),
                Operator::Less => Some(a < b),
                Operator::LessOrEqual => Some(a <= b),
                _ => None,
            },
            (Value::Bool(a), Value::Bool(b)) => match operator {
                Operator::Equal | Operator::StrictEqual => Some(a == b),
                Operator::NotEqual | Operator::StrictNotEqual => Some(a != b),
                _ => None,
            },
            (Value::String(a), Value::Array(items)) if items.len() <= FREE_ITEMS && a.len() <= FREE_BYTES => {
                let a: &str = a;
                let equal = |item: &Value<'_>| matches!(item, Value::String(text) if **text == *a);
                (operator == Operator::In).then(|| items.iter().any(equal))
            }
            _ => None,
        }
    }

    /// The first `N` operands, padded with undefined. The others are evaluated as well: they may fail.
    #[inline]
    pub(super) fn seen<'v, const N: usize>(
        &self,
        operands: &'v [Node],
        data: &Operand<'v>,
    ) -> Result<[Operand<'v>; N], Failure> {
        let mut seen = [const { Operand::Undefined }; N];
        for (index, node) in operands.iter().enumerate() {
            let operand = self.look(node, data)?;
            if let Some(place) = seen.get_mut(index) {
                *place = operand;
            }
        }
        Ok(seen)
    }

    /// [`Self::seen`] for operands that the result may contain.
    pub(super) fn kept<'v, const N: usize>(
        &self,
        operands: &'v [Node],
        data: &Operand<'v>,
    ) -> Result<[Operand<'v>; N], Failure> {
        let mut kept = [const { Operand::Undefined }; N];
        for (index, node) in operands.iter().enumerate() {
            let operand = self.eval(node, data)?;
            if let Some(place) = kept.get_mut(index) {
                *place = operand;
            }
        }
        Ok(kept)
    }

    pub(super) fn all<'v>(
        &self,
        operands: &'v [Node],
        data: &Operand<'v>,
    ) -> Result<Vec<Operand<'v>>, Failure> {
        self.budget.make(size_of_val(operands))?;
        operands.iter().map(|node| self.eval(node, data)).collect()
    }

    fn test<'v>(&self, operator: Operator, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [a, b] = self.seen(operands, data)?;
        let budget = &self.budget;
        Ok(Operand::Bool(match operator {
            Operator::Equal => a.loose_equals(&b, budget)?,
            Operator::NotEqual => !a.loose_equals(&b, budget)?,
            Operator::StrictEqual => a.strict_equals(&b, budget)?,
            Operator::StrictNotEqual => !a.strict_equals(&b, budget)?,
            Operator::Greater => a.compare(&b, budget)?.is_some_and(Ordering::is_gt),
            Operator::GreaterOrEqual => a.compare(&b, budget)?.is_some_and(Ordering::is_ge),
            Operator::In => self.contains(&b, &a)?,
            Operator::Not => !a.truthy(),
            _ => a.truthy(),
        }))
    }

    fn between<'v>(&self, operator: Operator, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [a, b, c] = self.seen(operands, data)?;
        let holds = |a: &Operand<'v>, b: &Operand<'v>| {
            let strictly = operator == Operator::Less;
            let order = a.compare(b, &self.budget)?;
            Ok(order.is_some_and(|order| if strictly { order.is_lt() } else { order.is_le() }))
        };
        let alone = matches!(c, Operand::Undefined);
        Ok(Operand::Bool(holds(&a, &b)? && (alone || holds(&b, &c)?)))
    }

    /// `+` and `*`, which convert operands as `parseFloat` does. `+` begins with 0, `*` with its first
    /// operand.
    fn fold<'v>(&self, operator: Operator, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let mut rest = operands.iter();
        let mut result = if operator == Operator::Add {
            Operand::Number(0.0)
        } else {
            self.eval(rest.next().ok_or(Failure::NotConvertible)?, data)?
        };
        for node in rest {
            let left = result.parse_float(&self.budget)?;
            let right = self.look(node, data)?.parse_float(&self.budget)?;
            result = Operand::Number(if operator == Operator::Add { left + right } else { left * right });
        }
        Ok(result)
    }

    fn extreme<'v>(&self, operator: Operator, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        // The minimum is the negated maximum of the negated operands, including the sign of zero.
        let sign = if operator == Operator::Max { 1.0 } else { -1.0 };
        let mut extreme = f64::NEG_INFINITY;
        for node in operands {
            let number = sign * self.look(node, data)?.number(&self.budget)?;
            if number.is_nan() || number > extreme || (number == extreme && number.is_sign_positive()) {
                extreme = if extreme.is_nan() { extreme } else { number };
            }
        }
        Ok(Operand::Number(sign * extreme))
    }

    fn arithmetic<'v>(&self, operator: Operator, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [a, b] = self.seen(operands, data)?;
        let left = a.number(&self.budget)?;
        if operator == Operator::Subtract && matches!(b, Operand::Undefined) {
            return Ok(Operand::Number(-left));
        }
        let right = b.number(&self.budget)?;
        Ok(Operand::Number(match operator {
            Operator::Subtract => left - right,
            Operator::Divide => left / right,
            _ => left % right,
        }))
    }
}
