//! The operators that take their operands evaluated, and the names of all.

use std::cmp::Ordering;

use super::compile::{Datetime, Node, Semver};
use super::ecma::integer;
use super::evaluate::{Evaluator, Failure};
use super::operand::{Items, Operand};
use super::path::Path;
use super::semver::Version;
use super::datetime;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Var,
    Missing,
    MissingSome,
    If,
    And,
    Or,
    Equal,
    StrictEqual,
    NotEqual,
    StrictNotEqual,
    Not,
    Truthy,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Max,
    Min,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Map,
    Reduce,
    Filter,
    All,
    None,
    Some,
    Merge,
    In,
    Cat,
    Substr,
    Log,
    SemverCompare,
    DatetimeCompare,
}

impl Operator {
    pub(super) fn named(name: &str) -> Option<Operator> {
        Some(match name {
            "var" => Operator::Var,
            "missing" => Operator::Missing,
            "missing_some" => Operator::MissingSome,
            "if" | "?:" => Operator::If,
            "and" => Operator::And,
            "or" => Operator::Or,
            "==" => Operator::Equal,
            "===" => Operator::StrictEqual,
            "!=" => Operator::NotEqual,
            "!==" => Operator::StrictNotEqual,
            "!" => Operator::Not,
            "!!" => Operator::Truthy,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            "max" => Operator::Max,
            "min" => Operator::Min,
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "*" => Operator::Multiply,
            "/" => Operator::Divide,
            "%" => Operator::Remainder,
            "map" => Operator::Map,
            "reduce" => Operator::Reduce,
            "filter" => Operator::Filter,
            "all" => Operator::All,
            "none" => Operator::None,
            "some" => Operator::Some,
            "merge" => Operator::Merge,
            "in" => Operator::In,
            "cat" => Operator::Cat,
            "substr" => Operator::Substr,
            "log" => Operator::Log,
            "semver_compare" => Operator::SemverCompare,
            "datetime_compare" => Operator::DatetimeCompare,
            _ => return None,
        })
    }

    /// Whether its second operand is evaluated over elements instead of the data.
    pub(super) fn has_body(self) -> bool {
        matches!(
            self,
            Operator::Map | Operator::Reduce | Operator::Filter | Operator::All | Operator::None | Operator::Some
        )
    }
}

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

type Evaluated<'v> = Result<Operand<'v>, Failure>;

impl Evaluator {
    #[inline]
    pub(super) fn apply<'v>(&self, operator: Operator, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        match operator {
            Operator::If => self.choose(operands, data),
            Operator::And => self.first(false, operands, data),
            Operator::Or => self.first(true, operands, data),
            Operator::Some | Operator::All | Operator::None => self.search(operator, operands, data),
            Operator::Filter => self.filter(operands, data),
            Operator::Map => self.map(operands, data),
            Operator::Reduce => self.reduce(operands, data),
            Operator::Less | Operator::LessOrEqual => self.between(operator, operands, data),
            Operator::Add | Operator::Multiply => self.fold(operator, operands, data),
            Operator::Min | Operator::Max => self.extreme(operator, operands, data),
            Operator::Subtract | Operator::Divide | Operator::Remainder => self.arithmetic(operator, operands, data),
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
            Operator::SemverCompare | Operator::DatetimeCompare => self.custom(operator, operands, data),
            _ => self.test(operator, operands, data),
        }
    }

    /// The first `N` operands, undefined where there are fewer. The others are evaluated too: they may be errors.
    #[inline]
    fn seen<'v, const N: usize>(&self, operands: &'v [Node], data: &Operand<'v>) -> Result<[Operand<'v>; N], Failure> {
        let mut seen = [const { Operand::Undefined }; N];
        for (index, node) in operands.iter().enumerate() {
            let operand = self.look(node, data)?;
            if let Some(place) = seen.get_mut(index) {
                *place = operand;
            }
        }
        Ok(seen)
    }

    /// The same for operands that the result may hold.
    fn kept<'v, const N: usize>(&self, operands: &'v [Node], data: &Operand<'v>) -> Result<[Operand<'v>; N], Failure> {
        let mut kept = [const { Operand::Undefined }; N];
        for (index, node) in operands.iter().enumerate() {
            let operand = self.eval(node, data)?;
            if let Some(place) = kept.get_mut(index) {
                *place = operand;
            }
        }
        Ok(kept)
    }

    fn all<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Result<Vec<Operand<'v>>, Failure> {
        self.budget.make(size_of_val(operands))?;
        operands.iter().map(|node| self.eval(node, data)).collect()
    }

    #[inline]
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

    fn contains<'v>(&self, whole: &Operand<'v>, part: &Operand<'v>) -> Result<bool, Failure> {
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
            // An own property of that name is found in place of the method, and a value is not callable.
            (Operand::Object(object), _) if object.get("indexOf").is_some() => Err(Failure::NotConvertible),
            _ => Ok(false),
        }
    }

    fn contains_units(&self, whole: &Operand<'_>, part: &Operand<'_>) -> Result<bool, Failure> {
        let (whole, part) = (whole.units(&self.budget)?, part.units(&self.budget)?);
        if let (Ok(whole), Ok(part)) = (String::from_utf16(&whole), String::from_utf16(&part)) {
            return Ok(whole.contains(&part));
        }
        // Half a pair of surrogates may be found within a pair, which text in UTF-8 does not have.
        self.budget.scan(whole.len().saturating_mul(part.len()))?;
        Ok(part.is_empty() || whole.windows(part.len()).any(|window| window == part))
    }

    /// `+` and `*`. They read numbers as `parseFloat` does, from text; `+` begins with 0, `*` with its first operand.
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
        // Written in terms of max: min is the negated max of the negated, the sign of zero included.
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

    fn var<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [key, default] = self.kept(operands, data)?;
        let found = self.follow(&key, data)?;
        Ok(found.unwrap_or_else(|| or_null(Some(default))))
    }

    /// What a computed path leads to.
    fn follow<'v>(&self, key: &Operand<'v>, data: &Operand<'v>) -> Result<Option<Operand<'v>>, Failure> {
        match key {
            Operand::Undefined | Operand::Null => Ok(Some(data.clone())),
            Operand::Str(text) => {
                self.budget.make(text.len())?;
                Path::new(text).follow(data, &self.budget)
            }
            // No property has a lone surrogate in its name: data that hold one are refused when they are read.
            _ => match key.text(&self.budget)? {
                Some(text) if key.is_text() => Path::new(&text).follow(data, &self.budget),
                Some(text) => Path::converted(&text).follow(data, &self.budget),
                None => Ok(None),
            },
        }
    }

    fn missing<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let keys = self.all(operands, data)?;
        self.missing_of(keys, data)
    }

    /// The keys, or those that the first of them lists, whose value is null or "".
    fn missing_of<'v>(&self, keys: Vec<Operand<'v>>, data: &Operand<'v>) -> Evaluated<'v> {
        let listed = keys.first().and_then(Operand::items).map(|items| items.iter().collect());
        let mut missing: Vec<Operand<'v>> = listed.unwrap_or(keys);
        let mut failure = Ok(());
        missing.retain(|key| {
            let is_missing = self.is_missing(key, data);
            is_missing.unwrap_or_else(|error| {
                failure = Err(error);
                false
            })
        });
        failure?;
        Operand::list(missing, &self.budget)
    }

    /// json-logic-js makes a rule of each key here, `{"var": key}`, so that a listed array is a path and a default.
    fn is_missing<'v>(&self, key: &Operand<'v>, data: &Operand<'v>) -> Result<bool, Failure> {
        self.inert(key)?;
        let (path, default) = match key.items() {
            Some(items) => (items.get(0).unwrap_or(Operand::Undefined), items.get(1)),
            None => (key.clone(), None),
        };
        let found = self.follow(&path, data)?.unwrap_or_else(|| or_null(default));
        Ok(matches!(found, Operand::Null) || (found.is_text() && !found.truthy()))
    }

    /// Refuses what json-logic-js would now run as a rule: data are never one.
    fn inert(&self, operand: &Operand<'_>) -> Result<(), Failure> {
        self.inert_within(operand, 0)
    }

    fn inert_within(&self, operand: &Operand<'_>, depth: u32) -> Result<(), Failure> {
        self.budget.spend(1)?;
        match operand {
            Operand::Object(object) if object.len() == 1 => Err(Failure::UnknownOperator),
            _ if depth > 400 => Err(Failure::Exhausted),
            _ => operand
                .items()
                .iter()
                .flat_map(Items::iter)
                .try_for_each(|item| self.inert_within(&item, depth + 1)),
        }
    }

    fn missing_some<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let [needed, options] = self.kept(operands, data)?;
        self.inert(&options)?;
        let keys = match options.items() {
            Some(items) => items.iter().collect(),
            None => vec![options.clone()],
        };
        let missing = self.missing_of(keys, data)?;
        if matches!(options, Operand::Undefined | Operand::Null) {
            return Err(Failure::NotConvertible);
        }
        let length = Path::new("length").follow(&options, &self.budget)?.unwrap_or(Operand::Undefined);
        let count = missing.items().map_or(0, |items| items.len()) as f64;
        let present = Operand::Number(length.number(&self.budget)? - count);
        if present.compare(&needed, &self.budget)?.is_some_and(Ordering::is_ge) {
            return Operand::list(Vec::new(), &self.budget);
        }
        Ok(missing)
    }

    fn merge<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
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

    fn cat<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
        let mut text = Vec::new();
        for node in operands {
            match self.look(node, data)? {
                Operand::Undefined | Operand::Null => {}
                operand => operand.write(&mut text, &self.budget, 0)?,
            }
        }
        Ok(Operand::Text(text.into()))
    }

    fn substr<'v>(&self, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
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
            // There json-logic-js adds the end to a length, which appends it if it is text.
            _ if length < 0.0 => 0.0,
            _ => integer(length),
        };
        let length = length.clamp(0.0, rest);
        let units = text.iter().skip(start as usize).take(length as usize).copied().collect();
        budget.make((length as usize).saturating_mul(2))?;
        Ok(Operand::Text(units))
    }

    pub(super) fn semver<'v>(&self, compare: &'v Semver, data: &Operand<'v>) -> Evaluated<'v> {
        let actual = self.look(&compare.actual, data)?;
        let holds = |text: &str| {
            let order = Version::parse(text)?.compare(compare.target.as_ref()?);
            Some(compare.symbol.holds(order))
        };
        self.on_text(&actual, |text| holds(text).unwrap_or(false))
    }

    pub(super) fn datetime<'v>(&self, compare: &'v Datetime, data: &Operand<'v>) -> Evaluated<'v> {
        let actual = self.look(&compare.actual, data)?;
        let holds = |text: &str| {
            let order = datetime::text_seconds(text)?.cmp(&compare.target?);
            Some(compare.symbol.holds(order))
        };
        self.on_text(&actual, |text| holds(text).unwrap_or(false))
    }

    /// Both comparisons where an operand beside the first is computed, and where the count is wrong.
    fn custom<'v>(&self, operator: Operator, operands: &'v [Node], data: &Operand<'v>) -> Evaluated<'v> {
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

    fn on_text<'v>(&self, operand: &Operand<'v>, holds: impl Fn(&str) -> bool) -> Evaluated<'v> {
        Ok(Operand::Bool(match operand {
            Operand::Str(text) => {
                self.budget.scan(text.len())?;
                holds(text)
            }
            other => self.text_of(other)?.is_some_and(|text| holds(&text)),
        }))
    }

    /// The text of a string; lone surrogates are in none that the comparisons accept.
    fn text_of(&self, operand: &Operand<'_>) -> Result<Option<String>, Failure> {
        if operand.is_text() { operand.text(&self.budget) } else { Ok(None) }
    }
}

/// The default of `var`.
fn or_null(default: Option<Operand<'_>>) -> Operand<'_> {
    match default {
        None | Some(Operand::Undefined) => Operand::Null,
        Some(default) => default,
    }
}
