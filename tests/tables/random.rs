//! Random tables, with every type of column, compared row by row with single evaluations of JSON. `MPFLAGS_ROWS` sets how many.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int64Builder, LargeStringBuilder, ListBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder,
    StringViewBuilder, TimestampMillisecondBuilder, UInt64Builder,
};
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, RecordBatch};
use mpflags::{Client, EvaluateOptions, TableOptions};
use serde_json::json;

use crate::{batch, client, outcome, outcomes};

/// Xorshift, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const PLANS: &[&str] = &["pro", "PRO", "free", "Enterprise ÄÖ", ""];
const DAYS: &[(i32, &str)] = &[(0, "1970-01-01"), (19844, "2024-05-01"), (-1, "1969-12-31")];
const TIMES: &[(i64, &str)] = &[
    (1_714_564_800_000, "2024-05-01T12:00:00Z"),
    (1_714_564_800_500, "2024-05-01T12:00:00.500Z"),
    (-1, "1969-12-31T23:59:59.999Z"),
];
const PRICES: &[(i128, &str)] =
    &[(1250, "12.5"), (1200, "12"), (-1, "-0.01"), (922_337_203_685_477_580_700, "9223372036854775807")];

/// The value as JSON, or nothing in one row of eight.
fn maybe<T>(random: &mut Random, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
    (random.below(8) > 0).then(|| value(random))
}

/// A batch, and each of its rows as the JSON that `docs/tables.md` says it is.
fn table(random: &mut Random, rows: usize) -> (RecordBatch, Vec<String>) {
    let mut cells: Vec<Vec<(&str, Option<String>)>> = vec![Vec::new(); rows];
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    macro_rules! column {
        ($name:literal, $builder:expr, $make:expr, $json:expr) => {{
            let mut builder = $builder;
            for row in &mut cells {
                let value = maybe(random, $make);
                row.push(($name, value.as_ref().map($json)));
                builder.append_option(value.map(|value| value.0));
            }
            columns.push(($name, Arc::new(builder.finish())));
        }};
    }
    let quoted = |text: &str| json!(text).to_string();
    column!("distinct_id", StringBuilder::new(), |r| (format!("u{}", r.below(40)),), |v| quoted(&v.0));
    column!("company", Int64Builder::new(), |r| (r.pick(&[0, 7, -3, i64::MIN, i64::MAX]),), |v| v
        .0
        .to_string());
    column!("account", UInt64Builder::new(), |r| (r.pick(&[0, u64::MAX]),), |v| v.0.to_string());
    column!(
        "targetingKey",
        StringViewBuilder::new(),
        |r| (r.pick(&["", "t", "a longer targeting key"]),),
        |v| quoted(v.0)
    );
    column!("Plan", StringDictionaryBuilder::<Int8Type>::new(), |r| (r.pick(PLANS),), |v| quoted(v.0));
    column!("country", LargeStringBuilder::new(), |r| (r.pick(&["DE", "fr", "É"]),), |v| quoted(v.0));
    column!("age", Int8Builder::new(), |r| (r.below(90) as i8,), |v| v.0.to_string());
    column!(
        "score",
        Float64Builder::new(),
        |r| (r.pick(&[0.5, -0.0, 3.0, 1e300, f64::NAN, f64::INFINITY]),),
        |v| { if v.0.is_finite() { format!("{:?}", v.0) } else { "1e999".to_owned() } }
    );
    column!("ratio", Float32Builder::new(), |r| (r.pick(&[0.1_f32, 2.0]),), |v| format!(
        "{:?}",
        f64::from(v.0)
    ));
    column!("beta", BooleanBuilder::new(), |r| (r.below(2) == 0,), |v| v.0.to_string());
    column!("born", Date32Builder::new(), |r| r.pick(DAYS), |v| quoted(v.1));
    column!("seen", TimestampMillisecondBuilder::new(), |r| r.pick(TIMES), |v| quoted(v.1));
    column!(
        "price",
        Decimal128Builder::new().with_precision_and_scale(38, 2).unwrap(),
        |r| r.pick(PRICES),
        |v| v.1.to_owned()
    );
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in &mut cells {
        let value: Option<Vec<Option<&str>>> =
            maybe(random, |r| (0..r.below(3)).map(|_| r.pick(&[Some("A"), Some("b"), None])).collect());
        row.push(("tags", value.as_ref().map(|value| json!(value).to_string())));
        tags.append_option(value);
    }
    columns.push(("tags", Arc::new(tags.finish())));
    // A map as custom_properties: its members replace the properties that columns give.
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    let mut members = Vec::new();
    for _ in 0..rows {
        let mut own = Vec::new();
        let is_there = maybe(random, |r| {
            for _ in 0..r.below(3) {
                let (name, value) = (r.pick(&["seats", "AGE", "plan"]), r.pick(&[Some(1), Some(50), None]));
                map.keys().append_value(name);
                map.values().append_option(value);
                own.extend(value.map(|value: i64| (name, value.to_string())));
            }
        });
        map.append(is_there.is_some()).unwrap();
        members.push(own);
    }
    columns.push(("custom_properties", Arc::new(map.finish())));
    let contexts = cells.iter().zip(&members).map(|(cells, members)| context(cells, members)).collect();
    (batch(columns), contexts)
}

fn context(cells: &[(&str, Option<String>)], members: &[(&str, String)]) -> String {
    let mut json = String::from("{");
    let columns: Vec<(&str, &String)> =
        cells.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?))).collect();
    for (name, value) in &columns {
        write!(json, "{}:{value},", json!(name)).unwrap();
    }
    json.push_str("\"custom_properties\":{");
    let properties = columns.iter().filter(|(name, _)| *name != "distinct_id").copied();
    let own = members.iter().map(|(name, value)| (*name, value));
    let properties: Vec<String> =
        properties.chain(own).map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    json + &properties.join(",") + "}}"
}

fn flag(key: &str, context: &str, rollouts: &str, more: &str) -> String {
    format!(
        r#"{{"key": "{key}", "context": "{context}", "ruleset": {{"variants": [
            {{"key": "a", "value": {{"x": [1, "{key}"]}}, "split": 0.5}}, {{"key": "b", "value": null, "split": 0.5}}],
            "rollout": [{rollouts}] {more}}}}}"#
    )
}

fn rule(rule: &str) -> String {
    format!(r#"{{"rollout_percentage": 0.7, "runtime_evaluation_rule": {rule}}}"#)
}

fn config(options: &str) -> String {
    let all = r#"{"rollout_percentage": 1}"#;
    let flags = [
        flag("split", "distinct_id", all, r#", "test": {"users": {"u1": "b", "u2": "a"}}"#),
        flag("eq", "distinct_id", &rule(r#"{"==": [{"var": "plan"}, "pro"]}"#), ""),
        flag(
            "and",
            "company",
            &[
                rule(r#"{"and": [{"in": [{"var": "country"}, ["de", "é"]]}, {">": [{"var": "age"}, 21]}]}"#),
                rule(r#"{"or": [{"===": [{"var": "beta"}, true]}, {">": [{"var": "score"}, 0]}]}"#),
            ]
            .join(","),
            "",
        ),
        flag("account", "account", &rule(r#"{"missing": ["seats", "ratio"]}"#), ""),
        flag(
            "time",
            "targetingKey",
            &rule(r#"{"datetime_compare": [{"var": "seen"}, ">=", 1714564800000]}"#),
            "",
        ),
        flag("date", "born", &rule(r#"{"<": [{"var": "born"}, "2000"]}"#), ""),
        flag("price", "price", &rule(r#"{">=": [{"var": "price"}, 12]}"#), ""),
        flag("list", "ratio", &rule(r#"{"in": ["a", {"var": "tags"}]}"#), ""),
        flag("any", "beta", &rule(r#"{"var": {"cat": ["sea", "ts"]}}"#), ""),
        flag("score", "score", all, ""),
        flag("tags", "tags", all, ""),
    ];
    let disabled = r#"{"key": "off", "context": "distinct_id", "status": "disabled", "ruleset": {"variants": [], "rollout": []}}"#;
    format!(
        r#"{{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false, {options}
            "overrides": {{"over": [1, 2]}}, "definitions": {{"flags": [{}, {disabled}, {{"key": "bad"}}]}}}}"#,
        flags.join(",")
    )
}

fn check(client: &Client, keys: &[&str], rows: usize, seed: u64) {
    let mut random = Random(seed);
    let options = TableOptions::new().flags(keys.iter().copied());
    let mut left = rows;
    while left > 0 {
        let size = (random.below(4000) as usize).min(left);
        left -= size;
        let (batch, contexts) = table(&mut random, size);
        // Half of the batches are a part of a larger one, whose arrays have an offset.
        let (from, count) = if random.below(2) == 0 { (0, size) } else { (size / 3, size / 2) };
        let results = client
            .evaluate_table(&batch.schema(), &options)
            .unwrap()
            .evaluate(&batch.slice(from, count))
            .unwrap();
        for key in keys {
            let table = outcomes(&results, key);
            assert_eq!(table.len(), count);
            for (table, context) in table.iter().zip(&contexts[from..]) {
                let single = client.evaluate_json(key, context, EvaluateOptions::new().without_exposure());
                assert_eq!(*table, outcome(&single), "{key} for {context}: {single:?}");
            }
        }
    }
}

fn rows(default: usize) -> usize {
    std::env::var("MPFLAGS_ROWS").map_or(default, |rows| rows.parse().unwrap())
}

#[test]
fn every_row_is_a_single_evaluation() {
    let client = client(&config(""));
    let first = ["split", "eq", "and"];
    check(&client, &first, rows(100_000), 7);
    let others =
        ["account", "time", "date", "price", "list", "any", "score", "tags", "off", "bad", "over", "none"];
    check(&client, &others, rows(100_000) / 10, 8);
}

#[test]
fn the_options_of_a_client_apply() {
    for options in [
        r#""attributes_as_custom_properties": true,"#,
        r#""targeting_key_as": "distinct_id", "attributes_as_custom_properties": true,"#,
        r#""targeting_key_as": "plan", "attributes_as_custom_properties": true,"#,
        r#""targeting_key_as": "company","#,
    ] {
        let keys = ["split", "eq", "and", "account", "any"];
        check(&client(&config(options)), &keys, rows(100_000) / 20, 9);
    }
}
