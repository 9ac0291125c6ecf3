//! Tables: each row gives what a single evaluation of the same context gives.

mod contract;
mod random;
#[path = "../support/vectors.rs"]
mod support;
mod vectors;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, StructArray};
use mpflags::{Client, Config, Evaluation, TableOptions};

fn client(config: &str) -> Client {
    Client::new(Config::from_json(config).unwrap()).unwrap()
}

fn evaluated(client: &Client, options: &TableOptions, batch: &RecordBatch) -> RecordBatch {
    client.evaluate_table(&batch.schema(), options).unwrap().evaluate(batch).unwrap()
}

/// Variant, value, reason and error of a row.
type Outcome = [Option<String>; 4];

/// The outcomes in a flag's column.
fn outcomes(results: &RecordBatch, flag: &str) -> Vec<Outcome> {
    let column = results.column_by_name(flag).unwrap().as_struct();
    let field = |name| strings(column.column_by_name(name).unwrap());
    let [variants, values, reasons, errors] = ["variant", "value", "reason", "error"].map(field);
    let fields = variants.into_iter().zip(values).zip(reasons).zip(errors);
    fields.map(|(((variant, value), reason), error)| [variant, value, reason, error]).collect()
}

fn strings(column: &ArrayRef) -> Vec<Option<String>> {
    let text = |strings: &StringArray, at: usize| strings.is_valid(at).then(|| strings.value(at).to_owned());
    if let Some(plain) = column.as_string_opt::<i32>() {
        return (0..plain.len()).map(|row| text(plain, row)).collect();
    }
    let dictionary = column.as_dictionary::<Int32Type>();
    let values = dictionary.values().as_string::<i32>();
    dictionary.keys().iter().map(|key| text(values, usize::try_from(key?).unwrap())).collect()
}

fn outcome(evaluation: &Evaluation) -> Outcome {
    [
        evaluation.variant().map(str::to_owned),
        evaluation.json().map(str::to_owned),
        Some(evaluation.reason().to_string()),
        evaluation.error_code().map(|code| code.to_string()),
    ]
}

/// A batch of one column of each name.
fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn structure(results: &RecordBatch, flag: &str) -> StructArray {
    results.column_by_name(flag).unwrap().as_struct().clone()
}
