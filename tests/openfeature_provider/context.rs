//! What becomes of a context: a remote provider sends it, so the server shows it.

use std::collections::HashMap;

use open_feature::provider::FeatureProvider;
use open_feature::{
    EvaluationContext, EvaluationContextFieldValue as Field, EvaluationErrorCode, StructValue, Value,
};
use serde_json::json;
use serde_json::value::RawValue;
use time::{Date, Duration, Month, OffsetDateTime, UtcOffset};

use crate::vectors::by_trait;
use crate::{beside_others, block_on, new_provider, remote, server, user};

#[test]
fn every_attribute_goes_through() {
    let _beside = beside_others();
    let server = server();
    let provider = remote(&server, "");
    let time = OffsetDateTime::from_unix_timestamp(1_620_036_000).unwrap();
    let east = UtcOffset::from_hms(5, 30, 0).unwrap();
    let nested = StructValue::default()
        .with_field("B", vec![Value::from(1), Value::from("two"), Value::Array(vec![])])
        .with_field("a", StructValue::default().with_field("x", 0.1));
    for (field, json) in [
        (Field::from(true), "true"),
        (Field::from(i64::MIN), "-9223372036854775808"),
        (Field::from(9_007_199_254_740_993_i64), "9007199254740993"),
        (Field::from(0.1), "0.1"),
        (Field::from(3.0), "3"),
        (Field::from(-0.0), "-0.0"),
        (Field::from(1e21), "1e+21"),
        (Field::from(1e-7), "1e-7"),
        (Field::from("a \"b\"\n\u{1F600}"), r#""a \"b\"\n😀""#),
        (Field::from(""), r#""""#),
        (Field::from(time), r#""2021-05-03T10:00:00Z""#),
        (Field::from(time.to_offset(east)), r#""2021-05-03T15:30:00+05:30""#),
        (Field::from(time + Duration::milliseconds(250)), r#""2021-05-03T10:00:00.25Z""#),
        // Keys in order, which the SDK's maps do not have.
        (Field::new_struct(nested.clone()), r#"{"B":[1,"two",[]],"a":{"x":0.1}}"#),
        (Field::new_struct(Value::Struct(nested)), r#"{"B":[1,"two",[]],"a":{"x":0.1}}"#),
        (Field::new_struct(Value::Bool(false)), "false"),
        (Field::new_struct(vec![Value::from(1.5), Value::from(2)]), "[1.5,2]"),
        (Field::new_struct(HashMap::from([("k".to_owned(), Value::from("v"))])), r#"{"k":"v"}"#),
        (Field::new_struct(Field::from(7)), "7"),
        (Field::new_struct(vec![Field::from(time), Field::from(1)]), r#"["2021-05-03T10:00:00Z",1]"#),
        (
            Field::new_struct(HashMap::from([
                ("since".to_owned(), Field::from(time)),
                ("deep".to_owned(), Field::new_struct(StructValue::default())),
            ])),
            r#"{"deep":{},"since":"2021-05-03T10:00:00Z"}"#,
        ),
        (Field::new_struct(json!(null)), "null"),
        (Field::new_struct(json!({"n": [null, u64::MAX]})), r#"{"n":[null,18446744073709551615]}"#),
        (Field::new_struct(json!({"m": 1}).as_object().unwrap().clone()), r#"{"m":1}"#),
        (
            Field::new_struct(RawValue::from_string(r#"{"b":1.50,"a":1e2}"#.to_owned()).unwrap()),
            r#"{"b":1.50,"a":1e2}"#,
        ),
    ] {
        server.clear_requests();
        let context = user("u1").with_custom_field("x", field.clone());
        let got = block_on(by_trait(&provider, "boolean", "gate", &context));
        assert_eq!(got["variant"], "on", "{field:?}: {got}");
        let requests = server.requests().requests;
        let sent = &requests.last().unwrap().query["context"];
        assert_eq!(sent, &format!(r#"{{"distinct_id":"u1","x":{json}}}"#), "{field:?}");
    }
}

#[test]
fn the_targeting_key_is_one_attribute() {
    let _beside = beside_others();
    let server = server();
    let provider = remote(&server, "");
    let sent = |context: EvaluationContext| {
        server.clear_requests();
        block_on(by_trait(&provider, "boolean", "gate", &context));
        server.requests().requests.last().unwrap().query["context"].clone()
    };
    assert_eq!(sent(user("u1").with_targeting_key("t")), r#"{"targetingKey":"t","distinct_id":"u1"}"#);
    // The key itself counts before an attribute of its name.
    let both = user("u1").with_custom_field("targetingKey", "attribute");
    assert_eq!(sent(both.clone()), r#"{"distinct_id":"u1","targetingKey":"attribute"}"#);
    assert_eq!(sent(both.with_targeting_key("t")), r#"{"targetingKey":"t","distinct_id":"u1"}"#);
    assert_eq!(sent(EvaluationContext::default()), "{}");
}

#[test]
fn what_is_no_json_is_named() {
    let _beside = beside_others();
    struct Opaque;
    let server = server();
    let provider = remote(&server, r#", "overrides": {"over": true}"#);
    let day = Date::from_calendar_date(-1, Month::January, 1).unwrap();
    let offset = UtcOffset::from_hms(1, 0, 30).unwrap();
    let time = OffsetDateTime::UNIX_EPOCH;
    let nested = |value: Value| {
        Field::new_struct(StructValue::default().with_field("list", vec![Value::from(1), value]))
    };
    let mut deep = Value::from(1);
    let mut deep_json = json!(1);
    for _ in 0..200 {
        deep = Value::Struct(StructValue::default().with_field("d", deep));
        deep_json = json!({"d": deep_json});
    }
    let unknown = "cannot read a struct of this type; use StructValue, Value or serde_json::Value";
    for (field, message) in [
        (Field::from(f64::NAN), "context: x: NaN, which JSON cannot hold"),
        (Field::from(f64::NEG_INFINITY), "context: x: -inf, which JSON cannot hold"),
        (nested(Value::from(f64::NAN)), "context: x.list[1]: NaN, which JSON cannot hold"),
        (Field::new_struct(vec![Field::from(f64::INFINITY)]), "context: x[0]: inf, which JSON cannot hold"),
        (Field::new_struct(Opaque), &format!("context: x: {unknown}")),
        (Field::new_struct("a string slice"), &format!("context: x: {unknown}")),
        (
            Field::new_struct(HashMap::from([("in".to_owned(), Field::new_struct(Opaque))])),
            &format!("context: x.in: {unknown}"),
        ),
        (
            Field::from(day.midnight().assume_utc()),
            "context: x: RFC 3339 cannot express the date-time: The year component cannot be formatted into the requested format.",
        ),
        (
            Field::from(time.to_offset(offset)),
            "context: x: RFC 3339 cannot express the date-time: The offset_second component cannot be formatted into the requested format.",
        ),
        (Field::new_struct(deep), "context: x.d.d.d.d.d.d.d.d.d.d.d…: nested too deeply"),
        // Within serde_json's own value the core looks.
        (Field::new_struct(deep_json), "nested more than 127 levels deep"),
        (
            Field::new_struct(RawValue::from_string("1e400".to_owned()).unwrap()),
            "context: x: number out of range",
        ),
    ] {
        let context = user("u1").with_custom_field("x", field);
        let error = block_on(provider.resolve_bool_value("gate", &context)).unwrap_err();
        assert_eq!(error.code, EvaluationErrorCode::InvalidContext);
        let said = error.message.unwrap();
        assert!(said.starts_with("context: x") && said.contains(message), "{said}\nwanted {message}");
        // An override does not need the context.
        assert!(block_on(provider.resolve_bool_value("over", &context)).unwrap().value);
    }
    assert!(server.requests().requests.is_empty(), "nothing is sent");
}

/// Only what a flag reads can spoil its evaluation.
#[test]
fn what_is_no_json_spoils_what_reads_it() {
    let _beside = beside_others();
    let options = r#"{"enable_polling": false, "report_exposures": false, "definitions": {"flags": [
        {"key": "plain", "context": "distinct_id",
         "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}},
        {"key": "ruled", "context": "distinct_id",
         "ruleset": {"variants": [{"key": "on", "value": true}],
                     "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "score"}, 1]}}]}}]}}"#;
    let provider = new_provider("local", options).unwrap();
    let properties = StructValue::default()
        .with_field("score", f64::NAN)
        .with_field("list", vec![Value::from(f64::INFINITY)]);
    let context = user("u1")
        .with_custom_field("x", f64::NAN)
        .with_custom_field("custom_properties", Field::new_struct(properties));
    assert!(block_on(provider.resolve_bool_value("plain", &context)).unwrap().value);
    let error = block_on(provider.resolve_bool_value("ruled", &context)).unwrap_err();
    assert_eq!(error.code, EvaluationErrorCode::InvalidContext);
    assert_eq!(
        error.message.as_deref(),
        Some("context: custom_properties.score: NaN, which JSON cannot hold")
    );
}
