//! Values that the SDK has no room for, and those at the edges of what it has.

use mpflags::MixpanelProvider;
use serde_json::{Value as Json, json};

use crate::vectors::by_trait;
use crate::{beside_others, block_on, user};

fn provider(value: &str) -> MixpanelProvider {
    let options = format!(
        r#"{{"api_host": "http://127.0.0.1:1", "report_exposures": false, "enable_polling": false, "definitions": {{"flags": [
            {{"key": "f", "context": "distinct_id", "experiment_id": "e",
              "ruleset": {{"variants": [{{"key": "v", "value": {value}}}], "rollout": [{{"rollout_percentage": 1}}]}}}}]}}}}"#
    );
    crate::new_provider("local", &options).unwrap()
}

fn read(value: &str, r#type: &str) -> Json {
    block_on(by_trait(&provider(value), r#type, "f", &user("u")))
}

fn good(value: &Json) -> Json {
    json!({"value": value, "reason": "STATIC", "variant": "v", "metadata": {"contextId": "u", "experiment_id": "e"}})
}

#[test]
fn what_the_sdk_holds() {
    let _beside = beside_others();
    for (value, r#type, want) in [
        ("3.0", "integer", json!(3)),
        ("-9223372036854775808", "integer", json!(i64::MIN)),
        ("9223372036854775807", "integer", json!(i64::MAX)),
        ("9007199254740993", "double", json!(9_007_199_254_740_992.0)),
        ("1e300", "double", json!(1e300)),
        ("\"\"", "string", json!("")),
        ("{}", "object", json!({})),
        // Beyond i64 a number within an object is a double.
        (
            r#"{"i": 1, "whole": 1.0, "big": 18446744073709551615, "list": [[], {"x": false}], "s": "\u0000"}"#,
            "object",
            json!({"i": 1, "whole": 1.0, "big": 18_446_744_073_709_551_615.0, "list": [[], {"x": false}], "s": "\0"}),
        ),
    ] {
        assert_eq!(read(value, r#type), good(&want), "{value} as {type}");
    }
    // 127 levels, as many as a definition may have.
    let deep = format!("{}1{}", "{\"d\":".repeat(126), "}".repeat(126));
    assert_eq!(read(&deep, "object"), good(&serde_json::from_str(&deep).unwrap()));
}

#[test]
fn what_is_not_shown_is_not_reported() {
    let _beside = beside_others();
    for make in [crate::local, crate::remote] {
        let server = crate::server();
        let flag = |key: &str, value: &str| {
            format!(
                r#"{{"key": "{key}", "context": "distinct_id",
                    "ruleset": {{"variants": [{{"key": "v", "value": {value}}}], "rollout": [{{"rollout_percentage": 1}}]}}}}"#
            )
        };
        let flags = [
            flag("text", "\"x\""),
            flag("array", "[1]"),
            flag("null", "null"),
            flag("null inside", "{\"a\": [null]}"),
            flag("object", "{\"a\": 1}"),
        ];
        server.set_definitions(format!(r#"{{"flags": [{}]}}"#, flags.join(",")));
        let provider = make(&server, "");
        provider.client().start().unwrap();
        provider.client().wait_ready(crate::LONG).unwrap();
        let statistic = |name: &str| -> Json {
            assert_eq!(provider.client().flush(crate::LONG).unwrap(), 0);
            serde_json::from_str::<Json>(&provider.client().statistics()).unwrap()[name].clone()
        };
        for (key, r#type) in [
            ("text", "boolean"),
            ("text", "integer"),
            ("text", "double"),
            ("text", "object"),
            ("object", "string"),
            ("array", "object"),
            ("null", "object"),
            ("null inside", "object"),
        ] {
            let read = block_on(by_trait(&provider, r#type, key, &user("u")));
            assert_eq!(read["code"], "TYPE_MISMATCH", "{key} as {type}");
        }
        assert_eq!(statistic("enqueued"), 0);
        for _ in 0..2 {
            block_on(by_trait(&provider, "object", "object", &user("u")));
        }
        assert_eq!(statistic("sent"), 1);
    }
    let options = r#"{"api_host": "http://127.0.0.1:1", "report_exposures": false, "enable_polling": false,
        "definitions": {"flags": [{"key": "f", "context": "distinct_id",
            "ruleset": {"variants": [{"key": "v", "value": {}}], "rollout": [{"rollout_percentage": 1}]}}]}}"#;
    let quiet = crate::new_provider("local", options).unwrap();
    block_on(by_trait(&quiet, "object", "f", &user("u")));
    let statistics: Json = serde_json::from_str(&quiet.client().statistics()).unwrap();
    assert_eq!((&statistics["enqueued"], &statistics["queue_length"]), (&json!(0), &json!(0)));
}

#[test]
fn what_it_does_not_hold() {
    let _beside = beside_others();
    let null = |place: &str| {
        format!("the variant holds null at `{place}`, which OpenFeature's Rust SDK cannot express")
    };
    for (value, r#type, message) in [
        ("null", "object", "expected object, the variant holds null".to_owned()),
        ("null", "boolean", "expected boolean, the variant holds null".to_owned()),
        ("null", "string", "expected string, the variant holds null".to_owned()),
        ("[]", "object", "expected object, the variant holds an array".to_owned()),
        ("[null]", "object", null("[0]")),
        (r#"{"a": null}"#, "object", null("a")),
        (r#"{"a": [1, {"b.c": [[null]]}]}"#, "object", null("a[1].b.c[0][0]")),
        ("18446744073709551615", "integer", "expected integer, the variant holds a number".to_owned()),
        ("0.5", "integer", "expected integer, the variant holds a number".to_owned()),
        ("true", "integer", "expected integer, the variant holds a boolean".to_owned()),
        ("\"1\"", "double", "expected double, the variant holds a string".to_owned()),
    ] {
        let want = json!({"code": "TYPE_MISMATCH", "message": message});
        assert_eq!(read(value, r#type), want, "{value} as {type}");
    }
}
