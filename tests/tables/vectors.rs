//! Every vector whose context can be a row.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray,
    StructArray, UInt64Array, new_empty_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema};
use mpflags::{Client, Context, EvaluateOptions, TableOptions};
use serde_json::{Map, Value};

use crate::support::{Case, RuleCase, config, vectors};
use crate::{client, evaluated, outcome, outcomes};

/// An array with this value alone. `None` if no type of Arrow holds it: an array of values of several types.
fn array(value: &Value) -> Option<ArrayRef> {
    Some(match value {
        Value::Null => Arc::new(NullArray::new(1)),
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Value::String(text) => Arc::new(StringArray::from(vec![text.as_str()])),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Arc::new(Int64Array::from(vec![number])),
            (None, Some(number)) => Arc::new(UInt64Array::from(vec![number])),
            (None, None) => Arc::new(Float64Array::from(vec![number.as_f64()?])),
        },
        Value::Object(members) => Arc::new(structure(members)?),
        Value::Array(elements) => {
            let arrays = elements.iter().map(array).collect::<Option<Vec<ArrayRef>>>()?;
            let first = arrays.first().map_or_else(|| new_empty_array(&DataType::Null), Clone::clone);
            if arrays.iter().any(|array| array.data_type() != first.data_type()) {
                return None;
            }
            let values = if elements.is_empty() { first } else { concatenated(&arrays)? };
            let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
            Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([elements.len()]), values, None))
        }
    })
}

/// One array of several of the same type. Only scalars, and what has at most one element.
fn concatenated(arrays: &[ArrayRef]) -> Option<ArrayRef> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    Some(match arrays.first()?.data_type() {
        DataType::Utf8 => Arc::new(
            arrays.iter().map(|array| Some(array.as_string::<i32>().value(0))).collect::<StringArray>(),
        ),
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(
            arrays.iter().map(|a| a.as_primitive::<Int64Type>().value(0)),
        )),
        DataType::Float64 => Arc::new(Float64Array::from_iter_values(
            arrays.iter().map(|a| a.as_primitive::<Float64Type>().value(0)),
        )),
        DataType::Boolean => {
            Arc::new(arrays.iter().map(|array| Some(array.as_boolean().value(0))).collect::<BooleanArray>())
        }
        DataType::Null => Arc::new(NullArray::new(arrays.len())),
        _ if arrays.len() == 1 => arrays[0].clone(),
        _ => return None,
    })
}

fn structure(members: &Map<String, Value>) -> Option<StructArray> {
    if members.is_empty() {
        return Some(StructArray::new_empty_fields(1, None));
    }
    let arrays = members.values().map(array).collect::<Option<Vec<ArrayRef>>>()?;
    let named = members.keys().zip(&arrays);
    let fields: Fields =
        named.map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    Some(StructArray::new(fields, arrays, None))
}

/// The context as a row, and the options that put each column where it was. `None` if it cannot be one.
fn row(context: &Value) -> Option<(RecordBatch, TableOptions)> {
    let members = context.as_object()?;
    if members.get("custom_properties").is_some_and(|properties| !properties.is_object()) {
        return None;
    }
    let columns = structure(members)?;
    let options = members.keys().fold(TableOptions::new(), |options, name| options.column(name, name));
    let schema = Arc::new(Schema::new(columns.fields().clone()));
    let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
    Some((RecordBatch::try_new_with_options(schema, columns.columns().to_vec(), &rows).unwrap(), options))
}

/// A null in a table is an absent key.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let there = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}

/// Compares with a single evaluation. `false` if the context cannot be a row.
fn check(name: &str, client: &Client, key: &str, context: &str) -> bool {
    let Ok(context) = serde_json::from_str::<Value>(context) else { return false };
    let Some((batch, options)) = row(&context) else { return false };
    let context = without_nulls(context);
    let (table, single) = (
        evaluated(client, &options.clone().flags([key]), &batch),
        client.evaluate(key, &Context::new(&context).unwrap(), EvaluateOptions::new().without_exposure()),
    );
    assert_eq!(outcomes(&table, key), [outcome(&single)], "{name}: {context}");
    let plain = evaluated(client, &options.flags([key]).dictionary(false), &batch);
    assert_eq!(outcomes(&plain, key), [outcome(&single)], "{name}: {context}");
    true
}

#[test]
fn evaluate() {
    let cases = vectors::<Case>("evaluate");
    let row = |case: &&Case| {
        let client = client(&config(&case.document(), case.overrides()));
        check(&case.name, &client, &case.key, &case.context())
    };
    let rows = cases.iter().filter(row).count();
    println!("evaluate: {rows} of {} vectors are rows", cases.len());
    assert!(rows * 10 > cases.len() * 8, "{rows} of {}", cases.len());
}

#[test]
fn rules() {
    let cases = vectors::<RuleCase>("rules");
    let row = |case: &&RuleCase| {
        check(&case.name, &client(&config(&case.definitions(), "{}")), "f", &case.context())
    };
    let rows = cases.iter().filter(row).count();
    println!("rules: {rows} of {} vectors are rows", cases.len());
    assert!(rows * 10 > cases.len() * 7, "{rows} of {}", cases.len());
}
