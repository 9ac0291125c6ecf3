//! What `var` follows: own properties, array indexes, `length`.

use std::fmt;

use crate::engine::rules::value::Value;

use super::budget::{Budget, Failure};
use super::ecma::number_text;
use super::operand::Operand;

/// A dotted path; without segments it is the data themselves.
#[derive(Debug, PartialEq)]
pub(super) struct Path {
    segments: Box<[Segment]>,
}

/// What a path leads to through objects of the data.
pub(super) enum Borrowed<'v> {
    Found(&'v Value<'v>),
    Nothing,
    /// It leads elsewhere.
    Unknown,
}

#[derive(Debug, PartialEq)]
pub(super) struct Segment {
    name: Box<str>,
    /// The name as an index: decimal digits as ECMAScript prints them.
    index: Option<usize>,
}

impl Path {
    pub(super) fn new(text: &str) -> Path {
        if text.is_empty() { Path { segments: Box::default() } } else { Path::converted(text) }
    }

    /// The path of a key that is not a string: only the string "" stands for the data, `[]` for the property named "".
    pub(super) fn converted(text: &str) -> Path {
        Path { segments: text.split('.').map(Segment::new).collect() }
    }

    /// The path that a scalar names; none for arrays and objects.
    pub(super) fn of(key: &Value<'_>) -> Option<Path> {
        match key {
            Value::Null => Some(Path::new("")),
            Value::Bool(b) => Some(Path::new(if *b { "true" } else { "false" })),
            Value::Number(n) => Some(Path::new(number_text(*n).as_str())),
            Value::String(s) => Some(Path::new(s)),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The property of the data that it begins with; none if it is the data themselves.
    pub(super) fn property(&self) -> Option<&str> {
        self.segments.first().map(|segment| segment.name.as_ref())
    }

    /// Whether what it leads to holds what lies at `other`, or lies within it.
    pub(super) fn overlaps(&self, other: &[Box<str>]) -> bool {
        self.segments.iter().zip(other).all(|(segment, name)| segment.name == *name)
    }

    /// What is there, if nothing has to be made on the way: the common case, which a pointer answers.
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

    /// What is there; none where the path leads to nothing.
    pub(super) fn follow<'v>(
        &self,
        data: &Operand<'v>,
        budget: &Budget,
    ) -> Result<Option<Operand<'v>>, Failure> {
        let mut segments = self.segments.iter();
        // The first step borrows the data: cloning them may count a reference.
        let Some(first) = segments.next() else { return Ok(Some(data.clone())) };
        let mut found = first.of(data, budget)?;
        for segment in segments {
            let Some(inner) = found else { return Ok(None) };
            budget.spend(1)?;
            found = segment.of(&inner, budget)?;
        }
        // A made array may hold undefined, which is nothing.
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
