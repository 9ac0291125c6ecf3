//! Columns, options and errors.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, BinaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use mpflags::{Client, ErrorKind, Item, TableOptions};

use crate::{batch, client, evaluated, outcomes, structure, text};

const FLAGS: &str = r#"{"flags": [
    {"key": "all", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": "yes"}],
        "rollout": [{"rollout_percentage": 0}, {"rollout_percentage": 1}], "test": {"users": {"t": "on"}}}},
    {"key": "plan", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [
        {"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}}]}"#;

fn new_client(more: &str) -> Client {
    client(&format!(
        r#"{{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false, "definitions": {FLAGS} {more}}}"#
    ))
}

fn users() -> RecordBatch {
    batch(vec![
        ("distinct_id", text(&[Some("u1"), Some("t"), None])),
        ("plan", text(&[Some("Pro"), None, Some("pro")])),
    ])
}

fn fails(client: &Client, batch: &RecordBatch, options: &str) -> String {
    let options =
        TableOptions::from_json(options).and_then(|options| client.evaluate_table(&batch.schema(), &options));
    let error = options.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.to_string()
}

#[test]
fn a_column_for_each_flag() {
    let results = evaluated(&new_client(r#", "overrides": {"z": 1}"#), &TableOptions::new(), &users());
    let names: Vec<&str> = results.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["all", "plan", "z"]);
    let row = |fields: [&str; 4]| fields.map(|field| (!field.is_empty()).then(|| field.to_owned()));
    assert_eq!(
        outcomes(&results, "plan"),
        [
            row(["on", "true", "TARGETING_MATCH", ""]),
            row(["", "", "DEFAULT", ""]),
            row(["", "", "ERROR", "TARGETING_KEY_MISSING"])
        ]
    );
    assert_eq!(outcomes(&results, "z")[2], row(["override", "1", "STATIC", ""]));
}

#[test]
fn rollouts_and_kept_columns() {
    let options = TableOptions::from_json(
        r#"{"flags": ["all"], "keep": ["plan"], "rollouts": true, "dictionary": false}"#,
    );
    let results = evaluated(&new_client(""), &options.unwrap(), &users());
    assert_eq!(results.num_columns(), 2);
    assert_eq!(results.column(0), users().column(1));
    let column = structure(&results, "all");
    assert_eq!(column.column(0).data_type(), &DataType::Utf8);
    let rollouts = column.column_by_name("rollout").unwrap().as_primitive::<Int32Type>().clone();
    assert_eq!(rollouts, Int32Array::from(vec![Some(1), None, None]), "a rollout, a tester, no distinct_id");
}

#[test]
fn columns_are_put_in_their_place() {
    let table = batch(vec![("id", text(&[Some("u1")])), ("tier", text(&[Some("pro")]))]);
    let options = TableOptions::new().flags(["plan"]).column("id", "distinct_id");
    let plan =
        |options: &TableOptions| outcomes(&evaluated(&new_client(""), options, &table), "plan")[0][0].clone();
    assert_eq!(plan(&options), None);
    assert_eq!(plan(&options.clone().column("tier", "custom_properties.plan")).as_deref(), Some("on"));
    assert_eq!(plan(&options.clone().column("tier", "plan")), None, "a top-level key only");
    assert_eq!(plan(&options.ignore("tier")), None);
}

#[test]
fn mistakes_in_options() {
    let (client, users) = (new_client(""), users());
    for (options, message) in [
        ("[1]", r#"options: expected a JSON object, such as {"flags": ["…"]}, found an array"#),
        (
            r#"{"flag": []}"#,
            "options: unknown field `flag`, expected one of `flags`, `columns`, `keep`, `report_exposures`, `dictionary`, `rollouts`",
        ),
        (r#"{"keep": ["Plan"]}"#, "options: keep: the table has no column `Plan`; did you mean `plan`?"),
        (r#"{"columns": {"x": null}}"#, "options: columns: the table has no column `x`"),
        (
            r#"{"keep": ["plan"], "flags": ["plan"]}"#,
            "flag `plan` cannot become a column: a kept column has the same name; rename the column, or do not keep it",
        ),
        (r#"{"flags": ["all", "all"]}"#, "flag `all` cannot become a column: it is there twice"),
        (
            r#"{"columns": {"plan": "custom_properties"}}"#,
            "column `plan`: custom_properties can only be a struct, or a map with strings as keys, not Utf8",
        ),
    ] {
        let got = fails(&client, &users, options);
        assert!(got.starts_with(message), "{got}");
    }
}

#[test]
fn a_column_that_cannot_be_read() {
    let bytes = || Arc::new(BinaryArray::from_vec(vec![b"x"]));
    let table = batch(vec![("distinct_id", text(&[Some("u")])), ("plan", bytes())]);
    let message = "column `plan`: values of type Binary cannot be read, and flag `plan` reads them; convert or ignore the column";
    assert_eq!(fails(&new_client(""), &table, "{}"), message);
    // No flag among these reads it.
    evaluated(&new_client(""), &TableOptions::new().flags(["all", "none"]).keep(["plan"]), &table);
    evaluated(&new_client(""), &TableOptions::new().ignore("plan"), &table);
}

#[test]
fn a_batch_of_another_table() {
    let client = new_client("");
    let table = client.evaluate_table(&users().schema(), &TableOptions::new()).unwrap();
    let other = |fields: Vec<Field>| {
        let empty = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
        table.evaluate(&empty).unwrap_err().to_string()
    };
    let field = |name: &str, of| Field::new(name, of, true);
    assert_eq!(other(vec![]), "a batch has 0 columns, the table 2");
    assert_eq!(
        other(vec![field("distinct_id", DataType::Utf8), field("plan", DataType::Int8)]),
        "column `plan` is Int8 in a batch, and Utf8 in the table"
    );
    assert_eq!(
        other(vec![field("distinct_id", DataType::Utf8), field("tier", DataType::Utf8)]),
        "a batch has column `tier` in place of `plan`"
    );
}

#[test]
fn a_remote_client_refuses() {
    let client = client(r#"{"token": "t", "mode": "remote"}"#);
    let got = fails(&client, &users(), "{}");
    assert_eq!(got, "tables: a remote client would send a request for each row; use a local client");
}

#[test]
fn definitions_are_those_of_the_call() {
    let client = new_client("");
    let table = client.evaluate_table(&users().schema(), &TableOptions::new().flags(["all"])).unwrap();
    client.set_override("all", "7").unwrap();
    drop(client);
    assert_eq!(outcomes(&table.evaluate(&users()).unwrap(), "all")[0][0].as_deref(), Some("on"));
}

/// The users of the exposures that evaluating a table reports.
fn exposed(config: &str, options: &TableOptions) -> Vec<String> {
    let client = new_client(&format!(r#", "event_sink": true {config}"#));
    client.start().unwrap();
    evaluated(&client, options, &users());
    client.shutdown(Duration::from_secs(5)).unwrap();
    let mut users = Vec::new();
    while let Ok(Some(item)) = client.next_item(Duration::ZERO) {
        if let Item::Event { json, .. } = item {
            let event: serde_json::Value = serde_json::from_str(&json).unwrap();
            users.push(event["properties"]["distinct_id"].as_str().unwrap().to_owned());
        }
    }
    users.sort();
    users
}

#[test]
fn exposures() {
    let options = TableOptions::new().flags(["all", "plan"]);
    assert_eq!(exposed("", &options), [""; 0]);
    let options = options.report_exposures(true);
    assert_eq!(exposed("", &options), ["t", "u1", "u1"], "two flags for u1");
    assert_eq!(exposed(r#", "report_exposures": false"#, &options), [""; 0]);
}

#[test]
fn the_same_dictionary_in_every_batch() {
    let client = new_client("");
    let table = client.evaluate_table(&users().schema(), &TableOptions::new().flags(["plan"])).unwrap();
    let values = |rows| {
        let results = table.evaluate(&users().slice(0, rows)).unwrap();
        let variants = structure(&results, "plan").column(0).clone();
        variants.as_dictionary::<Int32Type>().values().as_string::<i32>().clone()
    };
    assert_eq!(values(0), StringArray::from(vec!["on"]));
    assert_eq!(values(3), values(0));
}
