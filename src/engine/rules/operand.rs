//! The values that rules compute with, converted and compared as in ECMAScript.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::engine::rules::value::{Object, Value};

use super::budget::{Budget, Failure};
use super::ecma::{self, number_text};

/// An operand or result of an operator: borrowed from the data or the rule, or made while evaluating.
#[derive(Clone, Debug)]
pub(crate) enum Operand<'v> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Str(&'v str),
    /// Made text. In UTF-16, because `substr` and indexes may split a surrogate pair.
    Text(Rc<[u16]>),
    /// A [`Value::Array`]. Not its slice: arrays are compared by address, and that of an empty slice means
    /// nothing.
    Array(&'v Value<'v>),
    Object(&'v Object<'v>),
    List(Rc<List<'v>>),
    Scope(Rc<Scope<'v>>),
}

/// A made array.
#[derive(Debug)]
pub(crate) struct List<'v> {
    pub(super) items: Box<[Operand<'v>]>,
    depth: u32,
}

/// The data of the body of `reduce`.
#[derive(Debug)]
pub(crate) struct Scope<'v> {
    pub(super) current: Operand<'v>,
    pub(super) accumulator: Operand<'v>,
    depth: u32,
}

/// Levels of made arrays. A rule can add one with each element of the data, and dropping them recurses.
const MAX_DEPTH: u32 = 512;
/// Levels of arrays that are walked, for example to convert them to text, including those of the data.
pub(super) const MAX_WALK_DEPTH: u32 = 600;

impl<'v> From<&'v Value<'v>> for Operand<'v> {
    fn from(value: &'v Value<'v>) -> Self {
        match value {
            Value::Null => Operand::Null,
            Value::Bool(b) => Operand::Bool(*b),
            Value::Number(n) => Operand::Number(*n),
            Value::String(s) => Operand::Str(s),
            Value::Array(_) => Operand::Array(value),
            Value::Object(object) => Operand::Object(object),
        }
    }
}

/// The elements of an array, borrowed or made.
pub(crate) enum Items<'o, 'v> {
    Borrowed(&'v [Value<'v>]),
    Made(&'o [Operand<'v>]),
}

impl<'v> Items<'_, 'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Items::Borrowed(items) => items.len(),
            Items::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Operand<'v>> {
        match self {
            Items::Borrowed(items) => items.get(index).map(Operand::from),
            Items::Made(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Operand<'v>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'v> Operand<'v> {
    pub(super) fn list(items: Vec<Operand<'v>>, budget: &Budget) -> Result<Self, Failure> {
        budget.make(items.len().saturating_add(1).saturating_mul(size_of::<Operand<'_>>()))?;
        let depth = deeper(items.iter())?;
        Ok(Operand::List(Rc::new(List { items: items.into_boxed_slice(), depth })))
    }

    pub(super) fn scope(
        current: Operand<'v>,
        accumulator: Operand<'v>,
        budget: &Budget,
    ) -> Result<Self, Failure> {
        budget.make(size_of::<Scope<'_>>())?;
        let depth = deeper([&current, &accumulator].into_iter())?;
        Ok(Operand::Scope(Rc::new(Scope { current, accumulator, depth })))
    }

    /// The elements, if it is an array.
    pub(super) fn items(&self) -> Option<Items<'_, 'v>> {
        match self {
            Operand::Array(Value::Array(items)) => Some(Items::Borrowed(items)),
            Operand::List(list) => Some(Items::Made(&list.items)),
            _ => None,
        }
    }

    /// Truthiness in JSON Logic. Unlike in ECMAScript an empty array is false.
    pub(super) fn truthy(&self) -> bool {
        match self {
            Operand::Undefined | Operand::Null => false,
            Operand::Bool(b) => *b,
            Operand::Number(n) => *n != 0.0 && !n.is_nan(),
            Operand::Str(text) => !text.is_empty(),
            Operand::Text(units) => !units.is_empty(),
            Operand::Array(_) | Operand::List(_) => self.items().is_some_and(|items| items.len() > 0),
            Operand::Object(_) | Operand::Scope(_) => true,
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Operand::Str(_) | Operand::Text(_))
    }

    fn is_composite(&self) -> bool {
        matches!(self, Operand::Array(_) | Operand::List(_) | Operand::Object(_) | Operand::Scope(_))
    }

    /// `ToPrimitive`: arrays and objects become text.
    pub(super) fn primitive(&self, budget: &Budget) -> Result<Operand<'v>, Failure> {
        if !self.is_composite() {
            return Ok(self.clone());
        }
        let mut units = Vec::new();
        self.write(&mut units, budget, 0)?;
        Ok(Operand::Text(units.into()))
    }

    /// `String(x)`, in UTF-16.
    pub(super) fn units(&self, budget: &Budget) -> Result<Vec<u16>, Failure> {
        let mut units = Vec::new();
        self.write(&mut units, budget, 0)?;
        Ok(units)
    }

    /// `String(x)`, unless it has lone surrogates.
    pub(super) fn text(&self, budget: &Budget) -> Result<Option<String>, Failure> {
        Ok(String::from_utf16(&self.units(budget)?).ok())
    }

    /// Appends `String(x)`.
    pub(super) fn write(&self, to: &mut Vec<u16>, budget: &Budget, depth: u32) -> Result<(), Failure> {
        let number;
        let text = match self {
            Operand::Undefined => "undefined",
            Operand::Null => "null",
            Operand::Bool(true) => "true",
            Operand::Bool(false) => "false",
            Operand::Number(n) => {
                number = number_text(*n);
                number.as_str()
            }
            Operand::Str(text) => text,
            Operand::Text(units) => {
                budget.make(units.len().saturating_mul(2))?;
                to.extend_from_slice(units);
                return Ok(());
            }
            Operand::Array(_) | Operand::List(_) => return self.join(to, budget, depth),
            // A property of this name shadows the method, and calling its value is a TypeError.
            Operand::Object(object) if object.get("toString").is_some() => {
                return Err(Failure::NotConvertible);
            }
            Operand::Object(_) | Operand::Scope(_) => "[object Object]",
        };
        budget.make(text.len().saturating_mul(2))?;
        to.extend(text.encode_utf16());
        Ok(())
    }

    /// The elements, separated by commas. Null and undefined are empty.
    fn join(&self, to: &mut Vec<u16>, budget: &Budget, depth: u32) -> Result<(), Failure> {
        if depth == MAX_WALK_DEPTH {
            return Err(Failure::Exhausted);
        }
        for (index, item) in self.items().iter().flat_map(Items::iter).enumerate() {
            budget.spend(1)?;
            if index > 0 {
                budget.make(2)?;
                to.push(u16::from(b','));
            }
            if !matches!(item, Operand::Undefined | Operand::Null) {
                item.write(to, budget, depth + 1)?;
            }
        }
        Ok(())
    }

    /// `Number(x)`.
    pub(super) fn number(&self, budget: &Budget) -> Result<f64, Failure> {
        Ok(match self {
            Operand::Undefined => f64::NAN,
            Operand::Null | Operand::Bool(false) => 0.0,
            Operand::Bool(true) => 1.0,
            Operand::Number(n) => *n,
            Operand::Str(text) => {
                budget.scan(text.len())?;
                ecma::number(text)
            }
            _ => ecma::number(&String::from_utf16_lossy(&self.units(budget)?)),
        })
    }

    /// `parseFloat(x)`.
    pub(super) fn parse_float(&self, budget: &Budget) -> Result<f64, Failure> {
        Ok(match self {
            // The conversion is through text, which drops the sign of zero.
            Operand::Number(n) => *n + 0.0,
            Operand::Undefined | Operand::Null | Operand::Bool(_) => f64::NAN,
            Operand::Str(text) => {
                budget.scan(text.len())?;
                ecma::parse_float(text)
            }
            _ => ecma::parse_float(&String::from_utf16_lossy(&self.units(budget)?)),
        })
    }

    /// `===`. Arrays and objects are equal only to themselves.
    pub(super) fn strict_equals(&self, other: &Operand<'v>, budget: &Budget) -> Result<bool, Failure> {
        Ok(match (self, other) {
            (Operand::Str(a), Operand::Str(b)) => {
                budget.scan(a.len().min(b.len()))?;
                a == b
            }
            (Operand::Number(a), Operand::Number(b)) => a == b,
            (Operand::Bool(a), Operand::Bool(b)) => a == b,
            (Operand::Undefined, Operand::Undefined) | (Operand::Null, Operand::Null) => true,
            (Operand::Array(a), Operand::Array(b)) => std::ptr::eq(*a, *b),
            (Operand::Object(a), Operand::Object(b)) => std::ptr::eq(*a, *b),
            (Operand::List(a), Operand::List(b)) => Rc::ptr_eq(a, b),
            (Operand::Scope(a), Operand::Scope(b)) => Rc::ptr_eq(a, b),
            (Operand::Text(a), Operand::Text(b)) => {
                budget.scan(a.len().min(b.len()))?;
                a == b
            }
            (Operand::Str(text), Operand::Text(units)) | (Operand::Text(units), Operand::Str(text)) => {
                budget.scan(text.len().min(units.len()))?;
                text.encode_utf16().eq(units.iter().copied())
            }
            _ => false,
        })
    }

    /// `==`.
    pub(super) fn loose_equals(&self, other: &Operand<'v>, budget: &Budget) -> Result<bool, Failure> {
        match (self, other) {
            (Operand::Undefined | Operand::Null, Operand::Undefined | Operand::Null) => Ok(true),
            (Operand::Undefined | Operand::Null, _) | (_, Operand::Undefined | Operand::Null) => Ok(false),
            (Operand::Bool(_), Operand::Bool(_)) => self.strict_equals(other, budget),
            (Operand::Bool(b), _) => Operand::Number(f64::from(*b)).loose_equals(other, budget),
            (_, Operand::Bool(b)) => self.loose_equals(&Operand::Number(f64::from(*b)), budget),
            (Operand::Number(n), text) if text.is_text() => Ok(*n == text.number(budget)?),
            (text, Operand::Number(n)) if text.is_text() => Ok(*n == text.number(budget)?),
            _ => match (self.is_composite(), other.is_composite()) {
                (true, false) => self.primitive(budget)?.loose_equals(other, budget),
                (false, true) => self.loose_equals(&other.primitive(budget)?, budget),
                _ => self.strict_equals(other, budget),
            },
        }
    }

    /// The order of two values for `<` and `>`. `None` with NaN, which makes every comparison false.
    pub(super) fn compare(&self, other: &Operand<'v>, budget: &Budget) -> Result<Option<Ordering>, Failure> {
        Ok(match (self, other) {
            (Operand::Number(a), Operand::Number(b)) => a.partial_cmp(b),
            (Operand::Str(a), Operand::Str(b)) => {
                budget.scan(a.len().min(b.len()))?;
                Some(ecma::compare(a, b))
            }
            _ => {
                let (a, b) = (self.primitive(budget)?, other.primitive(budget)?);
                if a.is_text() && b.is_text() {
                    Some(a.units(budget)?.cmp(&b.units(budget)?))
                } else {
                    a.number(budget)?.partial_cmp(&b.number(budget)?)
                }
            }
        })
    }
}

fn deeper<'o, 'v: 'o>(parts: impl Iterator<Item = &'o Operand<'v>>) -> Result<u32, Failure> {
    let inner = parts.map(|part| match part {
        Operand::List(list) => list.depth,
        Operand::Scope(scope) => scope.depth,
        _ => 0,
    });
    let depth = inner.max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH { Err(Failure::Exhausted) } else { Ok(depth) }
}
