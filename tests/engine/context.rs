//! What a context must be, and what one is told that is not. Messages are tested verbatim; none quotes a value.

use mpflags::{Ask, Client, Config, Context, ErrorCode, ErrorKind};

#[track_caller]
fn refused(json: &str, message: &str) {
    let error = Context::from_json(json).expect_err(json);
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidContext, message));
    // Read once, it is the same.
    let config = r#"{"token": "t", "enable_polling": false, "definitions": {"flags": []}}"#;
    let client = Client::new(Config::from_json(config).unwrap()).unwrap();
    let evaluation = client.evaluate_json("f", json, Ask::new());
    assert_eq!(
        (evaluation.error_code(), evaluation.message()),
        (Some(ErrorCode::InvalidContext), Some(message))
    );
}

#[test]
fn not_an_object() {
    refused("", "context: expected a JSON object, found nothing");
    refused("null", "context: expected a JSON object, found null");
    refused("[1]", "context: expected a JSON object, found an array");
    refused("\"user@example.com\"", "context: expected a JSON object, found a string");
    refused("42", "context: expected a JSON object, found a number");
    refused("nonsense", "context: expected a JSON object, found null");
}

#[test]
fn broken() {
    refused("{", "context: EOF while parsing an object at line 1 column 1");
    refused("{\"a\": 1,}", "context: trailing comma at line 1 column 9");
    refused("{\"a\": 1} x", "context: trailing characters at line 1 column 10");
    refused("{\"a\": NaN}", "context: a: expected value at line 1 column 7");
    refused("{\"a\": 1e400}", "context: a: number out of range at line 1 column 11");
    refused(
        "{\"a\": \"\u{1}\"}",
        "context: a: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 8",
    );
    refused(
        r#"{"custom_properties": {"plan": ["x", "\ud800"]}}"#,
        "context: custom_properties.plan[1]: unexpected end of hex escape at line 1 column 45",
    );
    refused("{\"\\ud800\": 1}", "context: unexpected end of hex escape at line 1 column 9");
}

#[test]
fn nested_too_deep() {
    let nested = |levels: usize| format!("{{\"x\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
    Context::from_json(&nested(126)).unwrap();
    let message =
        format!("context: x{}…: recursion limit exceeded at line 1 column 133", "[0]".repeat(66) + "[");
    refused(&nested(127), &message);
    Context::from_json(&nested(1_000_000)).unwrap_err();
}
