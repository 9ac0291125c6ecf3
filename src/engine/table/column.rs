//! A column of a batch as values of contexts: exactly what reading the same value from JSON would give.

use std::borrow::Cow;
use std::fmt::Write;

use arrow_array::{BooleanArray, LargeStringArray, StringArray, StringViewArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};

use crate::engine::context::{Scalar, Unusable};
use crate::engine::rules::text::Folded;
use crate::engine::rules::value::{Object, Value};

/// A column, or a field of one.
pub(super) struct Column {
    pub(super) nulls: Option<NullBuffer>,
    pub(super) cells: Cells,
}

/// The values of a column by what JSON would make of them. What is cheap to convert is converted for the whole batch.
pub(super) enum Cells {
    /// All of them are null.
    Null,
    Boolean(BooleanArray),
    Signed(ScalarBuffer<i64>),
    Unsigned(ScalarBuffer<u64>),
    Double(ScalarBuffer<f64>),
    /// Numbers that are not all of one kind.
    Decimal(Vec<Scalar<'static>>),
    String(StringArray),
    LargeString(LargeStringArray),
    StringView(StringViewArray),
    Texts(Texts),
    Dictionary {
        /// Below the number of values.
        keys: Vec<usize>,
        values: Box<Column>,
        /// Each string in lower case, if that saves work.
        folded: Vec<Box<str>>,
    },
    List {
        /// One more than rows.
        offsets: Vec<usize>,
        elements: Box<Column>,
    },
    /// Names in lower case, and their values.
    Struct(Vec<(Box<str>, Column)>),
    Map {
        offsets: Vec<usize>,
        keys: Box<Column>,
        values: Box<Column>,
    },
}

/// Strings that were made for a batch: one text, and where each of them ends.
#[derive(Default)]
pub(super) struct Texts {
    text: String,
    /// `None` for a value that cannot be expressed.
    ends: Vec<Option<usize>>,
    starts: Vec<usize>,
}

impl Texts {
    /// Adds a value as `Debug` shows it, and `end`.
    pub(super) fn push(&mut self, value: Option<impl std::fmt::Debug>, end: &str) {
        let start = self.text.len();
        self.starts.push(start);
        let written = value.is_some_and(|value| write!(self.text, "{value:?}{end}").is_ok())
            // A year that does not have four digits begins with its sign.
            && self.text.get(start..).is_some_and(|text| !text.starts_with(['+', '-']));
        self.ends.push(written.then_some(self.text.len()));
    }

    fn get(&self, row: usize) -> Option<&str> {
        self.text.get(*self.starts.get(row)?..(*self.ends.get(row)?)?)
    }
}

/// The values of a row that cannot be used.
#[derive(Default)]
pub(super) struct Faults {
    /// The path of each, innermost first, and why.
    found: Vec<(Vec<Box<str>>, Box<str>)>,
}

impl Faults {
    #[cold]
    fn add(&mut self, why: impl Into<Box<str>>) {
        self.found.push((Vec::new(), why.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Calls `read`, whose faults are within `step`.
    fn within<T>(&mut self, step: impl Fn() -> Box<str>, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.found.len();
        let value = read(self);
        for (path, _) in self.found.iter_mut().skip(before) {
            path.push(step());
        }
        value
    }

    /// Moves the faults to `unusable`, as those of what is at `outer` of the context.
    #[cold]
    pub(super) fn take(&mut self, outer: &[&str], unusable: &mut Vec<Unusable>) {
        for (path, why) in self.found.drain(..) {
            let outer = outer.iter().map(|&step| Box::from(step));
            let path: Vec<Box<str>> = outer.chain(path.into_iter().rev()).collect();
            unusable.push(Unusable::new(&path, &path.join("."), &why));
        }
    }
}

const NO_TEXT: &str = "a date or time that RFC 3339 cannot express";

impl Column {
    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.cells {
            Cells::Null => true,
            Cells::Dictionary { keys, values, .. } => keys.get(row).is_none_or(|key| values.is_null(*key)),
            _ => false,
        }
    }

    /// The value as what a flag is bucketed by. `None` for null.
    #[inline]
    pub(super) fn scalar<'s>(&'s self, row: usize, faults: &mut Faults) -> Option<Scalar<'s>> {
        if self.is_null(row) {
            return None;
        }
        let text = |text: &'s str| Scalar::String(Cow::Borrowed(text));
        Some(match &self.cells {
            Cells::String(array) => text(array.value(row)),
            Cells::LargeString(array) => text(array.value(row)),
            Cells::StringView(array) => text(array.value(row)),
            Cells::Boolean(array) => Scalar::Bool(array.value(row)),
            Cells::Signed(numbers) => Scalar::Signed(*numbers.get(row)?),
            Cells::Unsigned(numbers) => Scalar::Unsigned(*numbers.get(row)?),
            Cells::Double(numbers) => match *numbers.get(row)? {
                number if number.is_finite() => Scalar::Double(number),
                number => {
                    faults.add(format!("{number}, which JSON cannot hold"));
                    Scalar::Unusable
                }
            },
            Cells::Decimal(numbers) => match numbers.get(row)? {
                Scalar::Signed(number) => Scalar::Signed(*number),
                Scalar::Unsigned(number) => Scalar::Unsigned(*number),
                Scalar::Double(number) => Scalar::Double(*number),
                _ => Scalar::Unusable,
            },
            Cells::Texts(texts) => match texts.get(row) {
                Some(found) => text(found),
                None => {
                    faults.add(NO_TEXT);
                    Scalar::Unusable
                }
            },
            Cells::Dictionary { keys, values, .. } => values.scalar(*keys.get(row)?, faults)?,
            Cells::List { .. } | Cells::Struct(_) | Cells::Map { .. } => {
                // What is in it cannot be used either, if that is so.
                _ = self.value(row, faults);
                Scalar::Unusable
            }
            Cells::Null => return None,
        })
    }

    /// The value as rules see it. `None` for null, and if it cannot be used.
    #[inline]
    pub(super) fn value<'s>(&'s self, row: usize, faults: &mut Faults) -> Option<Value<'s>> {
        if self.is_null(row) {
            return None;
        }
        let text = |text: &'s str| Some(Value::String(Folded::new(Cow::Borrowed(text))));
        match &self.cells {
            Cells::String(array) => text(array.value(row)),
            Cells::LargeString(array) => text(array.value(row)),
            Cells::StringView(array) => text(array.value(row)),
            Cells::Dictionary { keys, values, folded } => {
                let key = *keys.get(row)?;
                match folded.get(key) {
                    Some(text) => Some(Value::String(Folded::Borrowed(text))),
                    None => values.value(key, faults),
                }
            }
            Cells::List { offsets, elements } => {
                let range = range(offsets, row);
                let start = range.start;
                let element = |at: usize| {
                    let step = || (at - start).to_string().into();
                    faults.within(step, |faults| elements.value(at, faults)).unwrap_or(Value::Null)
                };
                Some(Value::Array(range.map(element).collect()))
            }
            Cells::Struct(fields) => {
                let pair = |(name, column): &'s (Box<str>, Column)| {
                    let value = faults.within(|| name.clone(), |faults| column.value(row, faults))?;
                    Some((Cow::Borrowed(&**name), value))
                };
                Some(Value::Object(Box::new(Object::from_pairs(fields.iter().filter_map(pair).collect()))))
            }
            Cells::Map { .. } => {
                let mut pairs = Vec::new();
                self.members(row, faults, |name, value| {
                    pairs.push((Folded::new(Cow::Borrowed(name)).into_cow(), value));
                });
                Some(Value::Object(Box::new(Object::from_pairs(pairs))))
            }
            _ => Some(match self.scalar(row, faults)? {
                Scalar::Bool(value) => Value::Bool(value),
                Scalar::Signed(number) => Value::Number(number as f64),
                Scalar::Unsigned(number) => Value::Number(number as f64),
                Scalar::Double(number) => Value::Number(number),
                Scalar::String(text) => Value::String(Folded::new(text)),
                Scalar::Unusable => return None,
            }),
        }
    }

    /// Calls `member` with each member of a map that is not null.
    pub(super) fn members<'s>(
        &'s self,
        row: usize,
        faults: &mut Faults,
        mut member: impl FnMut(&'s str, Value<'s>),
    ) {
        let Cells::Map { offsets, keys, values } = &self.cells else { return };
        if self.is_null(row) {
            return;
        }
        for at in range(offsets, row) {
            let Some(Scalar::String(Cow::Borrowed(name))) = keys.scalar(at, faults) else { continue };
            let step = || Folded::new(Cow::Borrowed(name)).into_cow().into();
            if let Some(value) = faults.within(step, |faults| values.value(at, faults)) {
                member(name, value);
            }
        }
    }

    /// Its strings in lower case. Empty if it has other values.
    pub(super) fn folded(&self, rows: usize) -> Vec<Box<str>> {
        let fold = |text: &str| Folded::new(Cow::Borrowed(text)).into_cow().into();
        match &self.cells {
            Cells::String(array) => (0..rows).map(|row| fold(array.value(row))).collect(),
            Cells::LargeString(array) => (0..rows).map(|row| fold(array.value(row))).collect(),
            Cells::StringView(array) => (0..rows).map(|row| fold(array.value(row))).collect(),
            _ => Vec::new(),
        }
    }
}

fn range(offsets: &[usize], row: usize) -> std::ops::Range<usize> {
    match (offsets.get(row), offsets.get(row + 1)) {
        (Some(&start), Some(&end)) => start..end,
        _ => 0..0,
    }
}
