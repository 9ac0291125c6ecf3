//! Walks a compiled rule.

use crate::engine::rules::value::Value;

use super::budget::{Budget, Failure};
use super::operand::{Items, Operand};
use super::path::Borrowed;
use super::tree::{Node, Operator};

pub(super) type Evaluated<'v> = Result<Operand<'v>, Failure>;

#[derive(Default)]
pub(crate) struct Evaluator {
    pub(super) budget: Budget,
}

impl Evaluator {
    pub(super) fn eval<'v>(&self, node: &'v Node, data: &Operand<'v>) -> Evaluated<'v> {
        self.budget.spend(1)?;
        match node {
            Node::Literal(value) => Ok(Operand::from(value)),
            Node::Var(var) => {
                let found = var.path.follow(data, &self.budget)?;
                Ok(found.unwrap_or_else(|| Operand::from(&var.default)))
            }
            Node::Apply(operator, operands) => self.apply(*operator, operands, data),
            Node::Semver(compare) => self.semver(compare, data),
            Node::Datetime(compare) => self.datetime(compare, data),
            Node::Literals(Value::Array(items)) => {
                Operand::list(items.iter().map(Operand::from).collect(), &self.budget)
            }
            Node::Literals(_) => Err(Failure::NotConvertible),
            Node::List(nodes) => {
                let items = nodes.iter().map(|node| self.eval(node, data)).collect::<Result<Vec<_>, _>>()?;
                Operand::list(items, &self.budget)
            }
            Node::Unknown(_) => Err(Failure::UnknownOperator),
        }
    }

    /// Whether the result is truthy. Spends what [`eval`](Self::eval) spends, but most operators need no operand
    /// to say so.
    pub(super) fn holds<'v>(&self, node: &'v Node, data: &Operand<'v>) -> Result<bool, Failure> {
        match node {
            Node::Apply(operator @ (Operator::And | Operator::Or), operands) => {
                self.budget.spend(1)?;
                let until = *operator == Operator::Or;
                for node in operands {
                    if self.holds(node, data)? == until {
                        return Ok(until);
                    }
                }
                Ok(!until && !operands.is_empty())
            }
            Node::Apply(operator, operands) => {
                self.budget.spend(1)?;
                match self.quick(*operator, operands, data) {
                    Some(holds) => Ok(holds),
                    None => Ok(self.apply(*operator, operands, data)?.truthy()),
                }
            }
            node => Ok(self.eval(node, data)?.truthy()),
        }
    }

    /// Evaluates an operand that does not outlive its operator. A constant array is then borrowed instead of
    /// copied: only an operator that keeps it could notice, by comparing it with a later copy.
    #[inline]
    pub(super) fn look<'v>(&self, node: &'v Node, data: &Operand<'v>) -> Evaluated<'v> {
        match node {
            Node::Literals(array) => {
                self.budget.spend(1)?;
                Ok(Operand::Array(array))
            }
            node => self.eval(node, data),
        }
    }

    /// The operand, if it already exists in the rule or the data. Most do, and a pointer is cheaper than an
    /// [`Operand`].
    #[inline]
    pub(super) fn borrow<'v>(&self, node: &'v Node, data: &Operand<'v>) -> Option<&'v Value<'v>> {
        match node {
            Node::Literal(value) | Node::Literals(value) => Some(value),
            Node::Var(var) => match var.path.borrow(data) {
                Borrowed::Found(value) => Some(value),
                Borrowed::Nothing => Some(&var.default),
                Borrowed::Unknown => None,
            },
            _ => None,
        }
    }

    pub(super) fn look_at<'v>(
        &self,
        operands: &'v [Node],
        index: usize,
        data: &Operand<'v>,
    ) -> Evaluated<'v> {
        operands.get(index).map_or(Ok(Operand::Undefined), |node| self.look(node, data))
    }

    fn eval_at<'v>(&self, operands: &'v [Node], index: usize, data: &Operand<'v>) -> Evaluated<'v> {
        operands.get(index).map_or(Ok(Operand::Undefined), |node| self.eval(node, data))
    }

    /// `if`: condition, consequence, condition, consequence, …, otherwise.
    pub(super) fn choose<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let mut pairs = operands.chunks_exact(2);
        for pair in pairs.by_ref() {
            if let [condition, consequence] = pair {
                if self.look(condition, data)?.truthy() {
                    return self.eval(consequence, data);
                }
            }
        }
        pairs.remainder().first().map_or(Ok(Operand::Null), |otherwise| self.eval(otherwise, data))
    }

    /// `and`, `or`: the first operand whose truth is `until`, or else the last.
    pub(super) fn first<'v>(&self, until: bool, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let mut current = Operand::Undefined;
        for node in operands {
            current = self.eval(node, data)?;
            if current.truthy() == until {
                break;
            }
        }
        Ok(current)
    }

    /// `some`, `all`, `none`: a search for an element whose truth is `wanted`.
    pub(super) fn search<'v>(
        &self,
        operator: Operator,
        operands: &'v [Node],
        data: &Operand<'v>,
    ) -> Evaluated<'v> {
        let array = self.look_at(operands, 0, data)?;
        // The results if such an element is found and if none is. An empty array satisfies `none` only.
        let (wanted, found, exhausted) = match operator {
            Operator::Some => (true, true, false),
            Operator::None => (true, false, true),
            _ => (false, false, true),
        };
        let items = match array.items() {
            Some(items) if items.len() > 0 => items,
            _ => return Ok(Operand::Bool(operator == Operator::None)),
        };
        for item in items.iter() {
            if self.eval_at(operands, 1, &item)?.truthy() == wanted {
                return Ok(Operand::Bool(found));
            }
            self.budget.spend(1)?;
        }
        Ok(Operand::Bool(exhausted))
    }

    pub(super) fn filter<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let array = self.look_at(operands, 0, data)?;
        let mut kept = Vec::new();
        for item in array.items().iter().flat_map(Items::iter) {
            self.budget.spend(1)?;
            if self.eval_at(operands, 1, &item)?.truthy() {
                kept.push(item);
            }
        }
        Operand::list(kept, &self.budget)
    }

    pub(super) fn map<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let array = self.look_at(operands, 0, data)?;
        let mut made = Vec::new();
        for item in array.items().iter().flat_map(Items::iter) {
            self.budget.spend(1)?;
            made.push(self.eval_at(operands, 1, &item)?);
        }
        Operand::list(made, &self.budget)
    }

    pub(super) fn reduce<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let array = self.look_at(operands, 0, data)?;
        let mut accumulator = match operands.get(2) {
            Some(initial) => self.eval(initial, data)?,
            None => Operand::Null,
        };
        for current in array.items().iter().flat_map(Items::iter) {
            self.budget.spend(1)?;
            let scope = Operand::scope(current, accumulator, &self.budget)?;
            accumulator = self.eval_at(operands, 1, &scope)?;
        }
        Ok(accumulator)
    }
}
