//! Arrays as columns: what a batch holds is converted once, for all flags that read it.

use std::fmt;

use arrow_array::temporal_conversions::{
    date32_to_datetime, date64_to_datetime, timestamp_ms_to_datetime, timestamp_ns_to_datetime,
    timestamp_s_to_datetime, timestamp_us_to_datetime,
};
use arrow_array::{BooleanArray, LargeStringArray, StringArray, StringViewArray};
use arrow_buffer::{ArrowNativeType, NullBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, TimeUnit};

use super::column::{Cells, Column, Texts};
use crate::engine::context::Scalar;
use crate::engine::rules::text::Folded;

/// Levels of nested types. Contexts may have 127, and reading a value recurses.
const LEVELS: u32 = 64;

/// The type, or the part of it, that contexts cannot hold.
pub(super) fn unreadable(data_type: &DataType) -> Option<String> {
    fn part(data_type: &DataType, levels: u32) -> Option<String> {
        let Some(levels) = levels.checked_sub(1) else {
            return Some(format!("nested more than {LEVELS} levels deep"));
        };
        match data_type {
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                part(element.data_type(), levels)
            }
            DataType::Struct(fields) => fields.iter().find_map(|field| part(field.data_type(), levels)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => match &**fields {
                    [key, value] if is_text(key.data_type()) => part(value.data_type(), levels),
                    _ => Some("a map whose keys are not strings".to_owned()),
                },
                other => Some(format!("a map of {other}")),
            },
            DataType::Dictionary(_, values) => part(values, levels),
            DataType::Null
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..) => None,
            other => Some(other.to_string()),
        }
    }
    part(data_type, LEVELS)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        _ => false,
    }
}

/// Rows `from` to `from + rows` of an array whose type is not [`unreadable`]. One of another type would be null.
///
/// This reads the data of arrays, and not arrays of any type: those bring the code of every type, half a megabyte.
pub(super) fn column(data: &ArrayData, from: usize, rows: usize) -> Column {
    Column { nulls: nulls(data, from, rows), cells: cells(data, from, rows).unwrap_or(Cells::Null) }
}

pub(super) fn nulls(data: &ArrayData, from: usize, rows: usize) -> Option<NullBuffer> {
    data.nulls().map(|nulls| nulls.slice(from, rows))
}

fn cells(data: &ArrayData, from: usize, rows: usize) -> Option<Cells> {
    let part = Part { data, from, rows };
    Some(match data.data_type() {
        DataType::Boolean => Cells::Boolean(BooleanArray::from(data.slice(from, rows))),
        DataType::Int8 => Cells::Signed(part.widened::<i8, i64>()?),
        DataType::Int16 => Cells::Signed(part.widened::<i16, i64>()?),
        DataType::Int32 => Cells::Signed(part.widened::<i32, i64>()?),
        DataType::Int64 => Cells::Signed(part.values()?),
        DataType::UInt8 => Cells::Unsigned(part.widened::<u8, u64>()?),
        DataType::UInt16 => Cells::Unsigned(part.widened::<u16, u64>()?),
        DataType::UInt32 => Cells::Unsigned(part.widened::<u32, u64>()?),
        DataType::UInt64 => Cells::Unsigned(part.values()?),
        DataType::Float16 => Cells::Double(part.widened::<half::f16, f64>()?),
        DataType::Float32 => Cells::Double(part.widened::<f32, f64>()?),
        DataType::Float64 => Cells::Double(part.values()?),
        DataType::Decimal128(_, scale) => {
            Cells::Decimal(part.values()?.iter().map(|value| number(*value, *scale)).collect())
        }
        DataType::Utf8 => Cells::String(StringArray::from(data.slice(from, rows))),
        DataType::LargeUtf8 => Cells::LargeString(LargeStringArray::from(data.slice(from, rows))),
        DataType::Utf8View => Cells::StringView(StringViewArray::from(data.slice(from, rows))),
        DataType::Date32 => part.texts(|days| Some(date32_to_datetime(days)?.date()), "")?,
        DataType::Date64 => part.texts(|ms| Some(date64_to_datetime(ms)?.date()), "")?,
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => part.texts(timestamp_s_to_datetime, "Z")?,
            TimeUnit::Millisecond => part.texts(timestamp_ms_to_datetime, "Z")?,
            TimeUnit::Microsecond => part.texts(timestamp_us_to_datetime, "Z")?,
            TimeUnit::Nanosecond => part.texts(timestamp_ns_to_datetime, "Z")?,
        },
        DataType::Dictionary(of_keys, _) => {
            let values = data.child_data().first()?;
            let last = values.len().checked_sub(1)?;
            let keys = match **of_keys {
                DataType::Int8 => part.keys::<i8>(last)?,
                DataType::Int16 => part.keys::<i16>(last)?,
                DataType::Int32 => part.keys::<i32>(last)?,
                DataType::Int64 => part.keys::<i64>(last)?,
                DataType::UInt8 => part.keys::<u8>(last)?,
                DataType::UInt16 => part.keys::<u16>(last)?,
                DataType::UInt32 => part.keys::<u32>(last)?,
                _ => part.keys::<u64>(last)?,
            };
            let count = values.len();
            let values = column(values, 0, count);
            let folded = if count <= rows / 4 { values.folded(count) } else { Vec::new() };
            Cells::Dictionary { keys, values: Box::new(values), folded }
        }
        DataType::List(_) => part.elements::<i32>()?,
        DataType::LargeList(_) => part.elements::<i64>()?,
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).ok()?;
            let elements = column(data.child_data().first()?, (data.offset() + from) * size, rows * size);
            let offsets = (0..=rows).map(|row| row * size).collect();
            Cells::List { offsets, elements: Box::new(elements) }
        }
        DataType::Struct(fields) => {
            let named = fields.iter().zip(data.child_data());
            let from = data.offset() + from;
            Cells::Struct(
                named.map(|(field, child)| (folded(field.name()), column(child, from, rows))).collect(),
            )
        }
        DataType::Map(..) => {
            let entries = data.child_data().first()?;
            let [keys, values] = entries.child_data() else { return None };
            let (offsets, first, count) = part.offsets::<i32>()?;
            let part = |child: &ArrayData| Box::new(column(child, entries.offset() + first, count));
            Cells::Map { offsets, keys: part(keys), values: part(values) }
        }
        _ => return None,
    })
}

/// A property's name as rules see it.
pub(super) fn folded(name: &str) -> Box<str> {
    Folded::new(name.into()).into_cow().into()
}

/// Some rows of an array.
struct Part<'d> {
    data: &'d ArrayData,
    from: usize,
    rows: usize,
}

impl Part<'_> {
    fn values<T: ArrowNativeType>(&self) -> Option<ScalarBuffer<T>> {
        let buffer = self.data.buffers().first()?.clone();
        Some(ScalarBuffer::new(buffer, self.data.offset() + self.from, self.rows))
    }

    fn widened<T: ArrowNativeType, W: ArrowNativeType + From<T>>(&self) -> Option<ScalarBuffer<W>> {
        let wide: Vec<W> = self.values::<T>()?.iter().map(|value| W::from(*value)).collect();
        Some(ScalarBuffer::from(wide))
    }

    /// The keys of a dictionary. One beneath a null may be anything.
    fn keys<T: ArrowNativeType>(&self, last: usize) -> Option<Vec<usize>> {
        Some(self.values::<T>()?.iter().map(|key| key.as_usize().min(last)).collect())
    }

    /// Made by `Debug`, which is ISO 8601 for dates and times, with as many digits of a second as there are.
    fn texts<T: ArrowNativeType, M: fmt::Debug>(
        &self,
        moment: impl Fn(T) -> Option<M>,
        zone: &str,
    ) -> Option<Cells> {
        let mut texts = Texts::default();
        for value in self.values::<T>()?.iter() {
            texts.push(moment(*value), zone);
        }
        Some(Cells::Texts(texts))
    }

    fn elements<O: ArrowNativeType>(&self) -> Option<Cells> {
        let (offsets, first, count) = self.offsets::<O>()?;
        let elements = column(self.data.child_data().first()?, first, count);
        Some(Cells::List { offsets, elements: Box::new(elements) })
    }

    /// The offsets of lists, counted from the first, that one, and the number of elements.
    fn offsets<O: ArrowNativeType>(&self) -> Option<(Vec<usize>, usize, usize)> {
        if self.rows == 0 {
            // Then there may be none.
            return Some((vec![0], 0, 0));
        }
        let buffer = self.data.buffers().first()?.clone();
        let offsets: ScalarBuffer<O> =
            ScalarBuffer::new(buffer, self.data.offset() + self.from, self.rows + 1);
        let (first, last) = (offsets.first()?.as_usize(), offsets.last()?.as_usize());
        let from_first = offsets.iter().map(|offset| offset.as_usize().saturating_sub(first)).collect();
        Some((from_first, first, last.saturating_sub(first)))
    }
}

/// A whole number is exact within 64 bits, because it may be an identifier. Any other is the nearest double.
fn number(value: i128, scale: i8) -> Scalar<'static> {
    let one = u32::try_from(scale).ok().and_then(|scale| 10_i128.checked_pow(scale));
    if let Some(one) = one.filter(|one| value % one == 0) {
        let whole = value / one;
        if let Ok(number) = i64::try_from(whole) {
            return Scalar::Signed(number);
        }
        if let Ok(number) = u64::try_from(whole) {
            return Scalar::Unsigned(number);
        }
    }
    // 38 digits and an exponent of three at most: always a double.
    format!("{value}e{}", -i32::from(scale)).parse().map_or(Scalar::Unusable, Scalar::Double)
}
