//! What a context must be, and what one is told that is not. Messages are tested verbatim; none quotes a value.

use std::time::Duration;

use mpflags::{Client, Config, Context, ErrorCode, ErrorKind, EvaluateOptions, Item, Level};

#[track_caller]
fn refused(json: &str, message: &str) {
    let error = Context::from_json(json).expect_err(json);
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidContext, message));
    // Read once, it is the same.
    let config = r#"{"token": "t", "enable_polling": false, "definitions": {"flags": []}}"#;
    let client = Client::new(Config::from_json(config).unwrap()).unwrap();
    let evaluation = client.evaluate_json("f", json, EvaluateOptions::new());
    assert_eq!(
        (evaluation.error_code(), evaluation.message()),
        (Some(ErrorCode::InvalidContext), Some(message))
    );
}

#[test]
fn not_an_object() {
    refused("", r#"context: expected a JSON object, such as {"distinct_id": "…"}, found nothing"#);
    refused("null", r#"context: expected a JSON object, such as {"distinct_id": "…"}, found null"#);
    refused("[1]", r#"context: expected a JSON object, such as {"distinct_id": "…"}, found an array"#);
    refused(
        "\"user@example.com\"",
        r#"context: expected a JSON object, such as {"distinct_id": "…"}, found a string"#,
    );
    refused("42", r#"context: expected a JSON object, such as {"distinct_id": "…"}, found a number"#);
    refused(
        "nonsense",
        r#"context: expected a JSON object, such as {"distinct_id": "…"}, found text that is not JSON"#,
    );
}

#[test]
fn broken() {
    refused("{", "context: EOF while parsing an object at line 1 column 1");
    refused("{\"a\": 1,}", "context: trailing comma at line 1 column 9");
    refused("{\"a\": 1} x", "context: trailing characters at line 1 column 10");
    refused("{\"a\": NaN}", "context: a: expected value at line 1 column 7");
    refused(
        "{\"a\": \"\u{1}\"}",
        "context: a: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 8",
    );
    // What cannot be used is no excuse for what is not JSON.
    refused(r#"{"a": 1e400, "b": }"#, "context: a: number out of range at line 1 column 11");
    refused(r#"{"a": "\ud8"}"#, "context: a: invalid escape at line 1 column 13");
}

const DEFINITIONS: &str = r#"{"flags": [
    {"key": "plain", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}},
    {"key": "ruled", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}],
                 "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}},
    {"key": "by-company", "context": "company",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}
]}"#;

fn client(more: &str) -> Client {
    let config = format!(
        r#"{{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false, "definitions": {DEFINITIONS} {more}}}"#
    );
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

fn warnings(client: &Client) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(item) = client.next_item(Duration::ZERO).unwrap() {
        if let Item::Log { level, message } = item {
            assert_eq!(level, Level::Warning, "{message}");
            lines.push(message);
        }
    }
    lines
}

/// The vectors of group `context` say which flag is spoiled by what. This is about the others, and about what is said.
#[test]
fn an_attribute_that_cannot_be_used_spoils_the_flags_that_read_it() {
    let client = client("");
    let json = r#"{"distinct_id": "u1", "company": 1e999, "custom_properties": {"plan": "pro", "tags": ["\udead"]}}"#;
    let context = Context::from_json(json).unwrap();
    assert!(client.boolean("plain", &context, false) && client.boolean("ruled", &context, false));
    assert!(client.evaluate_json("ruled", json, EvaluateOptions::new()).has_value());
    let all = client.evaluate_all(&context, EvaluateOptions::new());
    assert_eq!(all.failure(), None);
    let said: Vec<_> = all.as_slice().iter().map(|each| (each.key(), each.message())).collect();
    assert_eq!(
        said,
        [("by-company", Some("context: company: number out of range")), ("plain", None), ("ruled", None)]
    );
    let told = client.explain("by-company", &context).unwrap();
    assert!(told.contains(r#""step":"invalid_context""#) && told.contains("context: company: "), "{told}");
    // Once per attribute, however often it comes.
    assert_eq!(
        warnings(&client),
        [
            "context: attribute `company` cannot be used (number out of range): flags that read it give INVALID_CONTEXT",
            "context: attribute `custom_properties.tags` cannot be used (a lone surrogate is not text): flags that read it \
             give INVALID_CONTEXT",
        ]
    );
    let statistics: serde_json::Value = serde_json::from_str(&client.statistics()).unwrap();
    assert_eq!(statistics["unusable_attributes"], 4);
    // An override is read before the context.
    client.set_override("by-company", "5").unwrap();
    assert_eq!(client.integer("by-company", &context, 0), 5);
    // Names come from outside: they are bounded.
    for number in 0..400 {
        let _ = client.evaluate_json(
            "plain",
            &format!(r#"{{"distinct_id": "u", "a{number}": 1e999}}"#),
            EvaluateOptions::new(),
        );
    }
    assert_eq!(warnings(&client).len(), 254);
}

#[test]
fn an_attribute_that_cannot_be_used_through_options() {
    let client = client(r#", "targeting_key_as": "company", "attributes_as_custom_properties": true"#);
    let json = r#"{"distinct_id": "u1", "targetingKey": 1e999, "plan": "pro", "\ud800": 1, "custom_properties": {"\ud800": 1}}"#;
    for evaluation in [
        client.evaluate_json("ruled", json, EvaluateOptions::new()),
        client.evaluate("ruled", &Context::from_json(json).unwrap(), EvaluateOptions::new()),
    ] {
        assert_eq!((evaluation.boolean(), evaluation.message()), (Some(true), None));
    }
    let spoiled = client.evaluate_json("by-company", json, EvaluateOptions::new());
    assert_eq!(spoiled.message(), Some("context: company: number out of range"));
    // Attributes do not take the place of properties that cannot be used as a whole.
    let too_deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    for (properties, why) in [
        ("1e999", "number out of range"),
        (r#""\ud800""#, "a lone surrogate is not text"),
        (&too_deep, "nested more than 127 levels deep"),
    ] {
        let json = format!(r#"{{"distinct_id": "u1", "plan": "pro", "custom_properties": {properties}}}"#);
        for evaluation in [
            client.evaluate_json("ruled", &json, EvaluateOptions::new()),
            client.evaluate("ruled", &Context::from_json(&json).unwrap(), EvaluateOptions::new()),
        ] {
            let message = format!("context: custom_properties: {why}");
            assert_eq!(
                (evaluation.error_code(), evaluation.message()),
                (Some(ErrorCode::InvalidContext), Some(&*message))
            );
        }
        assert!(client.evaluate_json("plain", &json, EvaluateOptions::new()).has_value(), "{json}");
    }
}

#[test]
fn nested_too_deep() {
    let client = client("");
    let nested = |levels: usize| format!("{{\"company\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
    let message = |levels: usize| {
        let json = nested(levels);
        let once = client.evaluate_json("by-company", &json, EvaluateOptions::new());
        let kept = client.evaluate("by-company", &Context::from_json(&json).unwrap(), EvaluateOptions::new());
        assert_eq!(once, kept);
        once.message().map(str::to_owned)
    };
    assert_eq!(message(126).unwrap(), "the context has no usable `company`");
    let deep = Some("context: company: nested more than 127 levels deep".to_owned());
    assert_eq!(message(127), deep);
    // Nothing is followed down: neither the stack nor the time is at the mercy of the input.
    assert_eq!(message(1_000_000), deep);
}

/// Whatever the type is and wherever it stands: what is said names the place, in the words of JSON.
#[test]
fn no_message_speaks_of_rust() {
    const KINDS: [&str; 8] =
        ["null", "true", "5", "1.5", "-9999999999999999999", "\"x\"", "[1]", r#"{"a": 1}"#];
    const PHRASES: [&str; 10] = [
        "invalid type",
        "invalid value",
        "invalid length",
        "missing field",
        "duplicate field",
        "unknown variant",
        "struct",
        "sequence",
        "a map",
        "unit",
    ];
    let plain = |text: &str, of: &str| {
        for phrase in PHRASES {
            assert!(!text.contains(phrase), "{of}: {text}");
        }
        for name in ["i64", "u64", "f64", "Wire", "Option", "Vec", "Raw", "Cow", "serde"] {
            assert!(!text.contains(name), "{of}: {text}");
        }
    };
    let flag = r#"{"key": "f", "context": "c", "hash_salt": "s", "status": "x", "experiment_id": "e", "is_experiment_active": true,
        "ruleset": {"variants": [{"key": "on", "value": 1, "split": 1, "is_sticky": true}], "test": {"users": {"u": "on"}},
        "rollout": [{"rollout_percentage": 1, "variant_splits": {"on": 1}, "variant_override": {"key": "on"},
            "runtime_evaluation_rule": {"==": [1, 1]}, "runtime_evaluation_definition": {"a": "b"}, "cohort_hash": "x"}]}}"#;
    let whole: serde_json::Value = serde_json::from_str(&format!(r#"{{"flags": [{flag}]}}"#)).unwrap();
    let mut places = Vec::new();
    pointers(&whole, String::new(), &mut places);
    assert!(places.len() > 25, "{}", places.len());
    let mut said = 0;
    for place in &places {
        for kind in KINDS.into_iter().map(Some).chain([None]) {
            let mut document = whole.clone();
            *document.pointer_mut(place).unwrap() = "@@".into();
            // Without a kind, the member is given twice or, in an array, once more.
            let json = match kind {
                Some(kind) => document.to_string().replacen("\"@@\"", kind, 1),
                None => document.to_string().replacen("\"@@\"", "1,1,\"x\":1", 1),
            };
            let of = format!("{place}: {kind:?}");
            let config = format!(r#"{{"token": "t", "enable_polling": false, "definitions": {json}}}"#);
            match Config::from_json(&config).and_then(Client::new) {
                Err(error) => plain(&error.to_string(), &of),
                Ok(client) => {
                    warnings(&client).iter().for_each(|line| plain(line, &of));
                    if let Some(message) =
                        client.evaluate_json("f", r#"{"c": "u"}"#, EvaluateOptions::new()).message()
                    {
                        plain(message, &of);
                        said += 1;
                    }
                }
            }
        }
    }
    assert!(said > 100, "{said}");
    for option in mpflags::OPTIONS {
        for kind in KINDS {
            let config = format!(r#"{{"token": "t", "mode": "local", "{}": {kind}}}"#, option.key);
            if let Err(error) = Config::from_json(&config).and_then(Client::new) {
                plain(&error.to_string(), option.key);
            }
        }
    }
    let client = client("");
    for kind in KINDS {
        let evaluation = client.evaluate_json("plain", kind, EvaluateOptions::new());
        plain(evaluation.message().unwrap_or_default(), kind);
        for error in [
            client.track("e", "u", kind).err(),
            client.people_update("$set", "u", kind).err(),
            client.people_update("$add", "u", kind).err(),
            client.people_update("$union", "u", kind).err(),
            client.people_update("$unset", "u", kind).err(),
            client.set_override("f", &format!("{kind} {kind}")).err(),
        ] {
            plain(&error.map_or_else(String::new, |error| error.to_string()), kind);
        }
    }
}

/// The place of every value within `value`.
fn pointers(value: &serde_json::Value, at: String, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                pointers(value, format!("{at}/{key}"), into);
            }
        }
        serde_json::Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, format!("{at}/{index}"), into);
            }
        }
        _ => {}
    }
    if !at.is_empty() {
        into.push(at);
    }
}

#[test]
fn debug_output_is_for_people() {
    let context = Context::from_json(r#"{"distinct_id": "u1"}"#).unwrap();
    assert_eq!(
        format!("{context:?} {:?}", Context::default()),
        r#"Context({"distinct_id": "u1"}) Context({})"#
    );
    let built = Context::builder().set("distinct_id", "u1").property("seats", 12).build().unwrap();
    assert_eq!(format!("{built:?}"), r#"Context({"distinct_id":"u1","custom_properties":{"seats":12}})"#);
    let config = r#"{"token": "t", "enable_polling": false, "definitions": {"flags": [{"key": "f", "context": "distinct_id",
        "ruleset": {"variants": [{"key": "on", "value": {"a": 1}}], "rollout": [{"rollout_percentage": 1}]}}]}}"#;
    let client = Client::new(Config::from_json(config).unwrap()).unwrap();
    let shown = |key| format!("{:?}", client.evaluate(key, &context, EvaluateOptions::new()));
    let metadata = r#"{"contextId":"u1"}"#;
    assert_eq!(
        shown("f"),
        format!(
            r#"Evaluation {{ flag: f, variant: on, value: {{"a":1}}, reason: STATIC, metadata: {metadata} }}"#
        )
    );
    assert_eq!(
        shown("g"),
        "Evaluation { flag: g, reason: ERROR, error: FLAG_NOT_FOUND, message: flag `g` is not among the definitions }"
    );
}
