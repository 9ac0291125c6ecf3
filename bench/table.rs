//! Tables: batches of users, and the same users one by one.

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use mpflags::{Client, EvaluateOptions, TableOptions};

use super::Case;

/// Rows of a batch.
const ROWS: usize = 65_536;

const PLANS: [&str; 4] = ["premium", "Premium", "free", "basic"];
const COUNTRIES: [&str; 5] = ["DE", "FR", "US", "JP", "ES"];

/// A scattered choice that is the same in every run.
fn choice<T: Copy>(row: usize, of: &[T]) -> T {
    of[row.wrapping_mul(2_654_435_761) / 64 % of.len()]
}

fn id(row: usize) -> String {
    format!("user-{row:011}")
}

/// `distinct_id` and the properties that `bench-and5` reads.
fn users() -> RecordBatch {
    let rows = || 0..ROWS;
    let mut countries = StringDictionaryBuilder::<Int32Type>::new();
    rows().for_each(|row| countries.append_value(choice(row / 3, &COUNTRIES)));
    let columns: [(&str, ArrayRef); 6] = [
        ("distinct_id", Arc::new(StringArray::from_iter_values(rows().map(id)))),
        ("plan", Arc::new(StringArray::from_iter_values(rows().map(|row| choice(row, &PLANS))))),
        ("country", Arc::new(countries.finish())),
        ("age", Arc::new(Int64Array::from_iter_values(rows().map(|row| row as i64 % 80)))),
        (
            "app_version",
            Arc::new(StringArray::from_iter_values(rows().map(|row| format!("2.{}.0", row % 20)))),
        ),
        ("beta", Arc::new(BooleanArray::from_iter(rows().map(|row| Some(row % 3 > 0))))),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

/// The same rows as contexts.
fn contexts() -> Vec<String> {
    let context = |row: usize| {
        format!(
            r#"{{"distinct_id": "{}", "custom_properties": {{"plan": "{}", "country": "{}", "age": {}, "app_version": "2.{}.0", "beta": {}}}}}"#,
            id(row),
            choice(row, &PLANS),
            choice(row / 3, &COUNTRIES),
            row % 80,
            row % 20,
            row % 3 > 0
        )
    };
    (0..ROWS).map(context).collect()
}

/// Each result is of one row.
pub(super) fn cases(client: &dyn Fn() -> Client) -> Vec<Case> {
    let batch = |key: &'static str, dictionary: bool| -> Box<dyn Fn()> {
        let (client, users) = (client(), users());
        let options = TableOptions::new().flags([key]).dictionary(dictionary);
        let table = client.evaluate_table(&users.schema(), &options).expect("a table");
        Box::new(move || {
            black_box(table.evaluate(black_box(&users)).expect("results"));
        })
    };
    let one_by_one = |key: &'static str| -> Box<dyn Fn()> {
        let (client, contexts) = (client(), contexts());
        Box::new(move || {
            for context in &contexts {
                black_box(client.evaluate_json(key, black_box(context), EvaluateOptions::new()));
            }
        })
    };
    vec![
        ("table-eq", ROWS, batch("bench-eq", true)),
        ("table-eq-plain", ROWS, batch("bench-eq", false)),
        ("table-and5", ROWS, batch("bench-and5", true)),
        ("rows-eq", ROWS, one_by_one("bench-eq")),
        ("rows-and5", ROWS, one_by_one("bench-and5")),
    ]
}
