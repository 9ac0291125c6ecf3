//! The paths of `var`: own properties, array indexes and `length`.

use std::fmt;

use crate::engine::rules::value::Value;

use super::budget::{Budget, Failure};
use super::ecma::number_text;
use super::operand::Operand;

/// A dotted path. Without segments it is the data itself.
#[derive(Debug, PartialEq)]
pub(super) struct Path {
    segments: Box<[Segment]>,
}

/// The value at a path, if it can be borrowed from the data.
pub(super) enum Borrowed<'v> {
    Found(&'v Value<'v>),
    Nothing,
    /// The path leads through something other than objects.
    Unknown,
}

#[derive(Debug, PartialEq)]
pub(super) struct Segment {
    name: Box<str>,
    /// The name as an array index, if ECMAScript would print that index so.
    index: Option<usize>,
}

impl Path {
    pub(super) fn new(text: &str) -> Path {
        if text.is_empty() { Path { segments: Box::default() } } else { Path::converted(text) }
    }

    /// The path of a key that was converted to text: `""` means the data, but `[]` the property named "".
    pub(super) fn converted(text: &str) -> Path {
        Path { segments: text.split('.').map(Segment::new).collect() }
    }

    /// The path of a scalar key. `None` for arrays and objects.
    pub(super) fn of(key: &Value<'_>) -> Option<Path> {
        match key {
            Value::Null => Some(Path::new("")),
            Value::Bool(b) => Some(Path::new(if *b { "true" } else { "false" })),
            Value::Number(n) => Some(Path::new(number_text(*n).as_str())),
            Value::String(s) => Some(Path::new(s)),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The first property of the path. `None` if it is the data itself.
    pub(super) fn property(&self) -> Option<&str> {
        self.segments.first().map(|segment| segment.name.as_ref())
    }

    /// Whether one of the two paths is a prefix of the other.
    pub(super) fn overlaps(&self, other: &[Box<str>]) -> bool {
        self.segments.iter().zip(other).all(|(segment, name)| segment.name == *name)
    }

    /// The value, if no part of the path has to be made: the common case, and a pointer is enough.
    #[inline]
    pub(super) fn borrow<'v>(&self, data: &Operand<'v>) -> Borrowed<'v> {
        let (Operand::Object(object), Some((first, rest))) = (data, self.segments.split_first()) else {
            return Borrowed::Unknown;
        };
        let Some(mut found) = object.get(&first.name) else { return Borrowed::Nothing };
        for segment in rest {
            let Value::Object(object) = found else { return Borrowed::Unknown };
            let Some(inner) = object.get(&segment.name) else { return Borrowed::Nothing };
            found = inner;
        }
        Borrowed::Found(found)
    }

    /// The value; `None` if there is none.
    pub(super) fn follow<'v>(
        &self,
        data: &Operand<'v>,
        budget: &Budget,
    ) -> Result<Option<Operand<'v>>, Failure> {
        let mut segments = self.segments.iter();
        // The first step borrows the data, because cloning it may increment a reference count.
        let Some(first) = segments.next() else { return Ok(Some(data.clone())) };
        let mut found = first.of(data, budget)?;
        for segment in segments {
            let Some(inner) = found else { return Ok(None) };
            budget.spend(1)?;
            found = segment.of(&inner, budget)?;
        }
        // An array that the rule made may contain undefined, which counts as absent.
        Ok(found.filter(|found| !matches!(found, Operand::Undefined)))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&segment.name)?;
        }
        Ok(())
    }
}

impl Segment {
    fn new(name: &str) -> Segment {
        let canonical = name.len() <= 10
            && name.bytes().all(|b| b.is_ascii_digit())
            && (name.len() == 1 || !name.starts_with('0'));
        Segment { name: name.into(), index: canonical.then(|| name.parse().ok()).flatten() }
    }

    #[inline]
    fn of<'v>(&self, data: &Operand<'v>, budget: &Budget) -> Result<Option<Operand<'v>>, Failure> {
        match data {
            Operand::Object(object) => Ok(object.get(&self.name).map(Operand::from)),
            other => self.of_other(other, budget),
        }
    }

    fn of_other<'v>(&self, data: &Operand<'v>, budget: &Budget) -> Result<Option<Operand<'v>>, Failure> {
        Ok(match data {
            Operand::Scope(scope) => match &*self.name {
                "current" => Some(scope.current.clone()),
                "accumulator" => Some(scope.accumulator.clone()),
                _ => None,
            },
            Operand::Array(_) | Operand::List(_) => match (self.index, data.items()) {
                (Some(index), Some(items)) => items.get(index),
                (None, Some(items)) if &*self.name == "length" => Some(Operand::Number(items.len() as f64)),
                _ => None,
            },
            Operand::Str(text) => {
                budget.scan(text.len())?;
                match self.index {
                    Some(index) => text.encode_utf16().nth(index).map(|unit| Operand::Text([unit].into())),
                    None if &*self.name == "length" => {
                        Some(Operand::Number(text.encode_utf16().count() as f64))
                    }
                    None => None,
                }
            }
            Operand::Text(units) => match self.index {
                Some(index) => units.get(index).map(|unit| Operand::Text([*unit].into())),
                None if &*self.name == "length" => Some(Operand::Number(units.len() as f64)),
                None => None,
            },
            _ => None,
        })
    }
}
