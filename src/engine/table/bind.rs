//! Arrays as columns: what a batch holds is converted once, for all flags that read it.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::{
    date32_to_datetime, date64_to_datetime, timestamp_ms_to_datetime, timestamp_ns_to_datetime,
    timestamp_s_to_datetime, timestamp_us_to_datetime,
};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, OffsetSizeTrait};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
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

/// The column of an array whose type is not [`unreadable`]. One of another type would be null.
pub(super) fn column(array: &dyn Array) -> Column {
    Column { nulls: array.nulls().cloned(), cells: cells(array).unwrap_or(Cells::Null) }
}

fn cells(array: &dyn Array) -> Option<Cells> {
    Some(match array.data_type() {
        DataType::Boolean => Cells::Boolean(array.as_boolean_opt()?.clone()),
        DataType::Int8 => Cells::Signed(widened::<Int8Type, i64>(array)?),
        DataType::Int16 => Cells::Signed(widened::<Int16Type, i64>(array)?),
        DataType::Int32 => Cells::Signed(widened::<Int32Type, i64>(array)?),
        DataType::Int64 => Cells::Signed(array.as_primitive_opt::<Int64Type>()?.values().clone()),
        DataType::UInt8 => Cells::Unsigned(widened::<UInt8Type, u64>(array)?),
        DataType::UInt16 => Cells::Unsigned(widened::<UInt16Type, u64>(array)?),
        DataType::UInt32 => Cells::Unsigned(widened::<UInt32Type, u64>(array)?),
        DataType::UInt64 => Cells::Unsigned(array.as_primitive_opt::<UInt64Type>()?.values().clone()),
        DataType::Float16 => Cells::Double(widened::<Float16Type, f64>(array)?),
        DataType::Float32 => Cells::Double(widened::<Float32Type, f64>(array)?),
        DataType::Float64 => Cells::Double(array.as_primitive_opt::<Float64Type>()?.values().clone()),
        DataType::Decimal128(_, scale) => {
            let array = array.as_primitive_opt::<Decimal128Type>()?;
            Cells::Decimal(array.values().iter().map(|value| number(*value, *scale)).collect())
        }
        DataType::Utf8 => Cells::String(array.as_string_opt::<i32>()?.clone()),
        DataType::LargeUtf8 => Cells::LargeString(array.as_string_opt::<i64>()?.clone()),
        DataType::Utf8View => Cells::StringView(array.as_string_view_opt()?.clone()),
        DataType::Date32 => texts::<Date32Type, _>(array, |days| Some(date32_to_datetime(days)?.date()), "")?,
        DataType::Date64 => texts::<Date64Type, _>(array, |ms| Some(date64_to_datetime(ms)?.date()), "")?,
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => texts::<TimestampSecondType, _>(array, timestamp_s_to_datetime, "Z")?,
            TimeUnit::Millisecond => {
                texts::<TimestampMillisecondType, _>(array, timestamp_ms_to_datetime, "Z")?
            }
            TimeUnit::Microsecond => {
                texts::<TimestampMicrosecondType, _>(array, timestamp_us_to_datetime, "Z")?
            }
            TimeUnit::Nanosecond => {
                texts::<TimestampNanosecondType, _>(array, timestamp_ns_to_datetime, "Z")?
            }
        },
        DataType::Dictionary(..) => {
            let array = array.as_any_dictionary_opt()?;
            let values = array.values();
            if values.is_empty() {
                return None;
            }
            let (rows, column) = (array.keys().len(), column(values));
            let folded = if values.len() <= rows / 4 { column.folded(values.len()) } else { Vec::new() };
            Cells::Dictionary { keys: array.normalized_keys(), values: Box::new(column), folded }
        }
        DataType::List(_) => {
            let list = array.as_list_opt::<i32>()?;
            elements(list.offsets(), list.values().as_ref())
        }
        DataType::LargeList(_) => {
            let list = array.as_list_opt::<i64>()?;
            elements(list.offsets(), list.values().as_ref())
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list_opt()?;
            let size = usize::try_from(*size).ok()?;
            let offsets = (0..=list.len()).map(|row| row * size).collect();
            Cells::List { offsets, elements: Box::new(column(list.values().as_ref())) }
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct_opt()?.columns();
            let named = fields.iter().zip(columns);
            Cells::Struct(
                named.map(|(field, values)| (folded(field.name()), column(values.as_ref()))).collect(),
            )
        }
        DataType::Map(..) => {
            let map = array.as_map_opt()?;
            let (offsets, from, length) = from_first(map.offsets());
            let part = |array: &dyn Array| Box::new(column(array.slice(from, length).as_ref()));
            Cells::Map { offsets, keys: part(map.keys().as_ref()), values: part(map.values().as_ref()) }
        }
        _ => return None,
    })
}

/// A property's name as rules see it.
pub(super) fn folded(name: &str) -> Box<str> {
    Folded::new(name.into()).into_cow().into()
}

fn widened<T: ArrowPrimitiveType, W: From<T::Native> + arrow_buffer::ArrowNativeType>(
    array: &dyn Array,
) -> Option<ScalarBuffer<W>> {
    let wide = array.as_primitive_opt::<T>()?.values().iter().map(|value| W::from(*value));
    Some(ScalarBuffer::from(wide.collect::<Vec<W>>()))
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

/// Made by `Debug`, which is ISO 8601 for dates and times, with as many digits of a second as there are.
fn texts<T: ArrowPrimitiveType, M: fmt::Debug>(
    array: &dyn Array,
    moment: impl Fn(T::Native) -> Option<M>,
    zone: &str,
) -> Option<Cells> {
    let mut texts = Texts::default();
    for value in array.as_primitive_opt::<T>()?.iter() {
        texts.push(value.and_then(&moment), zone);
    }
    Some(Cells::Texts(texts))
}

fn elements<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, values: &dyn Array) -> Cells {
    let (offsets, from, length) = from_first(offsets);
    Cells::List { offsets, elements: Box::new(column(values.slice(from, length).as_ref())) }
}

/// The offsets counted from the first, that one, and the number of elements.
fn from_first<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (Vec<usize>, usize, usize) {
    let first = offsets.first().map_or(0, |first| first.as_usize());
    let last = offsets.last().map_or(0, |last| last.as_usize());
    let from_first = offsets.iter().map(|offset| offset.as_usize().saturating_sub(first)).collect();
    (from_first, first, last.saturating_sub(first))
}
