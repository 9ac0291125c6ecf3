//! `in`, `merge`, `cat` and `substr`: searching and making lists and text.

use super::budget::Failure;
use super::ecma::integer;
use super::evaluate::{Evaluated, Evaluator};
use super::operand::Operand;
use super::tree::Node;

impl Evaluator {
    pub(super) fn contains<'v>(&self, whole: &Operand<'v>, part: &Operand<'v>) -> Result<bool, Failure> {
        if let Some(items) = whole.items() {
            for item in items.iter() {
                self.budget.spend(1)?;
                if item.strict_equals(part, &self.budget)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        match (whole, part) {
            (Operand::Str(""), _) => Ok(false),
            (Operand::Str(whole), Operand::Str(part)) => {
                self.budget.scan(whole.len())?;
                Ok(whole.contains(*part))
            }
            (Operand::Str(_) | Operand::Text(_), _) if whole.truthy() => self.contains_units(whole, part),
            // A property of this name shadows the method, and calling its value is a TypeError.
            (Operand::Object(object), _) if object.get("indexOf").is_some() => Err(Failure::NotConvertible),
            _ => Ok(false),
        }
    }

    fn contains_units(&self, whole: &Operand<'_>, part: &Operand<'_>) -> Result<bool, Failure> {
        let (whole, part) = (whole.units(&self.budget)?, part.units(&self.budget)?);
        if let (Ok(whole), Ok(part)) = (String::from_utf16(&whole), String::from_utf16(&part)) {
            return Ok(whole.contains(&part));
        }
        // A lone surrogate may match half of a pair, which a search in UTF-8 would miss.
        self.budget.scan(whole.len().saturating_mul(part.len()))?;
        Ok(part.is_empty() || whole.windows(part.len()).any(|window| window == part))
    }

    pub(super) fn merge<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let mut merged = Vec::new();
        for node in operands {
            let operand = self.look(node, data)?;
            match operand.items() {
                Some(items) => {
                    self.budget.make(items.len().saturating_mul(size_of::<Operand<'_>>()))?;
                    merged.extend(items.iter());
                }
                None => merged.push(operand),
            }
        }
        Operand::list(merged, &self.budget)
    }

    pub(super) fn cat<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let mut text = Vec::new();
        for node in operands {
            match self.look(node, data)? {
                Operand::Undefined | Operand::Null => {}
                operand => operand.write(&mut text, &self.budget, 0)?,
            }
        }
        Ok(Operand::Text(text.into()))
    }

    pub(super) fn substr<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [source, start, end] = self.seen(operands, data)?;
        let budget = &self.budget;
        let text = source.units(budget)?;
        let (start, length) = (integer(start.number(budget)?), end.number(budget)?);
        let size = text.len() as f64;
        let start = if start < 0.0 { (size + start).max(0.0) } else { start.min(size) };
        let rest = size - start;
        let length = match end {
            Operand::Undefined => rest,
            Operand::Number(_) if length < 0.0 => integer(rest + length),
            // json-logic-js adds the end to the length here, which concatenates if the end is text.
            _ if length < 0.0 => 0.0,
            _ => integer(length),
        };
        let length = length.clamp(0.0, rest);
        let units = text.iter().skip(start as usize).take(length as usize).copied().collect();
        budget.make((length as usize).saturating_mul(2))?;
        Ok(Operand::Text(units))
    }
}
