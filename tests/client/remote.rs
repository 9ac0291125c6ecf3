//! Remote evaluation: every kind of response, over real sockets.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mpflags::{
    Client, Config, Context, ErrorCode, ErrorKind, EvaluateOptions, Evaluation, Item, Reason, State,
    ValueType,
};
use mpflags_dev::{Fault, Kind, Options, Server};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

const DEFINITIONS: &str = r#"{"flags": [
    {"key": "gate", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}},
    {"key": "size", "context": "distinct_id", "experiment_id": "e-1", "is_experiment_active": true,
     "ruleset": {"variants": [{"key": "large", "value": 50}], "rollout": [{"rollout_percentage": 1}],
                 "test": {"users": {"qa-1": "large"}}}},
    {"key": "no-rollout", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 0}]}}
]}"#;

fn server() -> Server {
    let server = Server::start(Options { token: Some("T0KEN".to_owned()), ..Options::default() }).unwrap();
    server.set_definitions(DEFINITIONS);
    server
}

fn client(server: &Server, more: &str) -> Client {
    let config = format!(r#"{{"token": "T0KEN", "mode": "remote", "api_host": "{}" {more}}}"#, server.url());
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    client.start().unwrap();
    client
}

fn user(id: &str) -> Context {
    Context::from_json(&format!(r#"{{"distinct_id": "{id}", "custom_properties": {{"plan": "Pro"}}}}"#))
        .unwrap()
}

/// Answers every evaluation with this.
fn respond(server: &Server, status: u16, body: &str) {
    let fault =
        Fault { status: Some(status), body: Some(body.to_owned()), ..Fault::new("/flags", Kind::Status) };
    server.set_faults(vec![fault]).unwrap();
}

fn requests(server: &Server) -> Vec<mpflags_dev::Request> {
    server.requests().requests.into_iter().filter(|request| request.path == "/flags").collect()
}

#[track_caller]
fn failed(evaluation: &Evaluation, code: ErrorCode, message: &str) {
    assert_eq!(evaluation.error_code(), Some(code), "{evaluation:?}");
    assert_eq!((evaluation.message(), evaluation.reason()), (Some(message), Reason::Error));
    assert!(!evaluation.has_value());
}

#[test]
fn one_flag() {
    let server = server();
    let client = client(&server, "");
    assert_eq!(client.state(), State::Ready);
    client.wait_ready(Duration::ZERO).unwrap();
    let evaluation = client.evaluate("size", &user("u1"), EvaluateOptions::new());
    assert_eq!((evaluation.integer(), evaluation.variant()), (Some(50), Some("large")));
    assert_eq!((evaluation.reason(), evaluation.error_code()), (Reason::TargetingMatch, None));
    assert_eq!((evaluation.experiment_id(), evaluation.is_experiment_active()), (Some("e-1"), Some(true)));
    assert!(!evaluation.is_qa_tester());
    assert!(client.evaluate("size", &user("qa-1"), EvaluateOptions::new()).is_qa_tester());
    // Every way of asking.
    assert!(client.boolean("gate", &user("u1"), false));
    assert_eq!(client.integer("size", &user("u1"), 0), 50);
    assert_eq!(client.double("size", &user("u1"), 0.0), 50.0);
    assert_eq!(client.string("size", &user("u1"), "default"), "default");
    let once = client.evaluate_json(
        "gate",
        r#"{"distinct_id": "u1"}"#,
        EvaluateOptions::new().value_type(ValueType::String),
    );
    failed(&once, ErrorCode::TypeMismatch, "expected string, the variant holds a boolean");
    for key in ["no-rollout", "missing"] {
        let evaluation = client.evaluate(key, &user("u1"), EvaluateOptions::new());
        failed(
            &evaluation,
            ErrorCode::FlagNotFound,
            &format!(
                "Mixpanel's response has no flag `{key}`: it does not exist, or the user is in none of its rollouts"
            ),
        );
    }
    let invalid = client.evaluate_json("gate", "{", EvaluateOptions::new());
    failed(&invalid, ErrorCode::InvalidContext, "context: EOF while parsing an object at line 1 column 1");
}

#[test]
fn the_request() {
    let server = server();
    let client = client(&server, r#", "wrapper": "go/0.1""#);
    let context =
        Context::from_json("{ \"distinct_id\": \"ü &=+\",\n \"n\": 1.50, \"s\": \"a  b\" }").unwrap();
    client.evaluate("gate", &context, EvaluateOptions::new());
    client.evaluate_all(&context, EvaluateOptions::new());
    let seen = requests(&server);
    assert_eq!(seen[0].query["context"], r#"{"distinct_id":"ü &=+","n":1.50,"s":"a  b"}"#);
    assert_eq!((seen[0].query["flag_key"].as_str(), seen[0].query["token"].as_str()), ("gate", "T0KEN"));
    assert_eq!(seen[0].query["mp_lib"], "mpflags");
    assert!(!seen[1].query.contains_key("flag_key"));
    assert!(seen[0].headers["user-agent"].ends_with(" go/0.1"));
    assert_ne!(seen[0].headers["traceparent"], seen[1].headers["traceparent"]);
    assert_eq!(server.requests().connections_opened, 1);
}

#[test]
fn all_flags() {
    let server = server();
    let client = client(&server, r#", "overrides": {"over": 1, "gate": false}"#);
    let all = client.evaluate_all(&user("u1"), EvaluateOptions::new());
    let keys: Vec<&str> = all.as_slice().iter().map(Evaluation::key).collect();
    assert_eq!(keys, ["gate", "over", "size"]);
    assert_eq!(
        (all.get("gate").unwrap().boolean(), all.get("size").unwrap().integer()),
        (Some(false), Some(50))
    );
    assert_eq!(all.failure(), None);
    assert_eq!(requests(&server).len(), 1, "typed reads need no further request");
    client.flush(LONG).unwrap();
    assert_eq!(server.event_counts().total, 0);
    // What is shown is reported by hand.
    client.track_exposure(all.get("size").unwrap()).unwrap();
    client.flush(LONG).unwrap();
    assert_eq!(server.event_counts().total, 1);
    respond(&server, 500, "");
    let all = client.evaluate_all(&user("u1"), EvaluateOptions::new());
    let message = placed(&server, "HTTP 500");
    assert_eq!(all.failure(), Some((ErrorCode::General, message.as_str())));
    assert_eq!(all.as_slice().len(), 2, "the overrides");
}

#[test]
fn what_makes_two_exposures_the_same() {
    let server = server();
    let client = client(&server, "");
    let says = |members: &str| {
        let body =
            format!(r#"{{"flags": {{"f": {{"variant_key": "v", "variant_value": true {members}}}}}}}"#);
        respond(&server, 200, &body);
        for _ in 0..2 {
            assert!(client.boolean("f", &user("u1"), false));
            let kept = client.evaluate("f", &user("u1"), EvaluateOptions::new().without_exposure());
            client.track_exposure(&kept).unwrap();
        }
        let all = client.evaluate_all(&user("u1"), EvaluateOptions::new());
        client.track_exposure(all.get("f").unwrap()).unwrap();
        assert_eq!(client.flush(LONG).unwrap(), 0);
        server.event_counts().total
    };
    // The time that Mixpanel took is another one each time.
    assert_eq!(says(""), 1);
    assert_eq!(says(r#", "experiment_id": "e-1""#), 2);
    assert_eq!(says(r#", "experiment_id": "e-1", "is_experiment_active": true"#), 3);
    assert_eq!(says(r#", "experiment_id": "e-1", "is_experiment_active": false"#), 4);
    assert_eq!(says(r#", "experiment_id": "e-1", "is_experiment_active": false, "is_qa_tester": true"#), 5);
    assert_eq!(says(r#", "experiment_id": "e-1", "is_experiment_active": false, "is_qa_tester": false"#), 6);
    assert_eq!(says(r#", "experiment_id": "e-1", "is_experiment_active": true"#), 6, "as before");
}

#[test]
fn a_read_of_the_wrong_type_is_no_exposure() {
    let server = server();
    let client = client(&server, "");
    assert!(client.boolean("size", &user("u1"), true));
    assert_eq!(client.string("size", &user("u1"), "mine"), "mine");
    for wanted in [ValueType::Boolean, ValueType::String, ValueType::Object] {
        let mismatch = client.evaluate("size", &user("u1"), EvaluateOptions::new().value_type(wanted));
        assert_eq!(mismatch.error_code(), Some(ErrorCode::TypeMismatch));
        assert_eq!(client.track_exposure(&mismatch).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    client.flush(LONG).unwrap();
    assert_eq!(server.event_counts().total, 0);
    assert_eq!(client.integer("size", &user("u1"), 0), 50);
    client.flush(LONG).unwrap();
    assert_eq!(server.event_counts().total, 1);
}

#[test]
fn exposures_without_distinct_id() {
    let server = server();
    let client = client(&server, "");
    respond(&server, 200, r#"{"flags": {"f": {"variant_key": "v", "variant_value": true}}}"#);
    let company = Context::from_json(r#"{"company_id": "acme"}"#).unwrap();
    for _ in 0..3 {
        assert!(client.boolean("f", &company, false));
    }
    let kept = client.evaluate("f", &company, EvaluateOptions::new().without_exposure());
    let error = client.track_exposure(&kept).unwrap_err();
    assert_eq!(error.to_string(), "flag `f`: the context had no distinct_id, so there is no exposure");
    client.flush(LONG).unwrap();
    assert_eq!(server.event_counts().total, 0);
    let statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
    assert_eq!(statistics["without_distinct_id"], 3);
    let lines: Vec<String> = std::iter::from_fn(|| client.next_item(Duration::ZERO).unwrap())
        .filter_map(|item| match item {
            Item::Log { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(lines, ["flag `f`: exposures without a distinct_id in the context cannot be reported"]);
}

#[test]
fn overrides_come_first() {
    let server = server();
    let client = client(&server, r#", "overrides": {"gate": false}"#);
    let evaluation = client.evaluate("gate", &user("u1"), EvaluateOptions::new());
    assert_eq!(
        (evaluation.boolean(), evaluation.reason(), evaluation.variant()),
        (Some(false), Reason::Static, Some("override"))
    );
    assert!(requests(&server).is_empty());
}

#[test]
fn responses() {
    let server = server();
    let client = client(&server, "");
    let ask = || client.evaluate("f", &user("u1"), EvaluateOptions::new());
    for body in [
        r#"{"flags": {"f": {"variant_key": "v", "variant_value": [1]}}}"#,
        r#"{"code": 200, "flags": {"f": {"variant_key": "v", "variant_value": [1], "unknown": {}}}, "more": 1}"#,
        r#"{"code": 200, "flags": {"bad": 5, "f": {"variant_key": "v", "variant_value": [1]}, "worse": {"variant_key": 1e400}}}"#,
        r#"{"flags": {"f": {"variant_key": "v", "variant_value": [1], "experiment_id": null, "is_experiment_active": null, "is_qa_tester": null}}}"#,
    ] {
        respond(&server, 200, body);
        let evaluation = ask();
        assert_eq!((evaluation.json(), evaluation.variant()), (Some("[1]"), Some("v")), "{body}");
        assert_eq!(evaluation.metadata_json(), "{}");
    }
    respond(&server, 200, r#"{"flags": {"f": {"variant_key": "v", "variant_value": null}}}"#);
    assert_eq!((ask().json(), ask().error_code()), (Some("null"), None));
    respond(&server, 200, r#"{"flags": {"f": {"variant_key": "v"}}}"#);
    assert_eq!(ask().json(), Some("null"));
    respond(&server, 200, r#"{"flags": {}}"#);
    failed(
        &ask(),
        ErrorCode::FlagNotFound,
        "Mixpanel's response has no flag `f`: it does not exist, or the user is in none of its rollouts",
    );
    // Mixpanel's SDKs look at these no further: the value counts.
    for (fields, variant, metadata) in [
        (r#""variant_key": null"#, None, "{}"),
        (r#""variant_key": 5"#, None, "{}"),
        (r#""variant_key": {"a": 1}"#, None, "{}"),
        (r#""more": 1"#, None, "{}"),
        (r#""variant_key": "v", "experiment_id": 7"#, Some("v"), r#"{"experiment_id":"7"}"#),
        (r#""variant_key": "v", "experiment_id": 7.5"#, Some("v"), r#"{"experiment_id":"7.5"}"#),
        (
            r#""variant_key": "v", "experiment_id": 123456789012345678901"#,
            Some("v"),
            r#"{"experiment_id":"123456789012345678901"}"#,
        ),
        (r#""variant_key": "v", "experiment_id": [1]"#, Some("v"), "{}"),
        (r#""variant_key": "v", "experiment_id": true"#, Some("v"), "{}"),
        (r#""variant_key": "v", "is_qa_tester": "yes""#, Some("v"), "{}"),
        (r#""variant_key": "v", "is_qa_tester": 1"#, Some("v"), "{}"),
        (
            r#""variant_key": "v", "is_qa_tester": "yes", "is_experiment_active": true"#,
            Some("v"),
            r#"{"is_experiment_active":true}"#,
        ),
        (r#""variant_key": "v", "is_experiment_active": "true""#, Some("v"), "{}"),
        (r#""variant_key": "v", "is_experiment_active": {"a": []}"#, Some("v"), "{}"),
        (r#""variant_key": "w", "variant_key": "v""#, Some("v"), "{}"),
        (r#""variant_key": "\ud800""#, None, "{}"),
    ] {
        respond(&server, 200, &format!(r#"{{"flags": {{"f": {{{fields}, "variant_value": true}}}}}}"#));
        let evaluation = ask();
        assert_eq!((evaluation.boolean(), evaluation.error_code()), (Some(true), None), "{fields}");
        assert_eq!((evaluation.variant(), evaluation.metadata_json()), (variant, metadata), "{fields}");
        let typed = client.evaluate("f", &user("u1"), EvaluateOptions::new().value_type(ValueType::Boolean));
        assert_eq!((typed.boolean(), typed.reason()), (Some(true), Reason::TargetingMatch), "{fields}");
        assert!(client.boolean("f", &user("u1"), false), "{fields}");
    }
    for (body, why) in [
        ("5", "flag `f`: in the response: expected an object, found a number"),
        ("[]", "flag `f`: in the response: expected an object, found an array"),
        ("\"x\"", "flag `f`: in the response: expected an object, found a string"),
        ("false", "flag `f`: in the response: expected an object, found a boolean"),
        (
            r#"{"variant_key": "v", "variant_value": 1e400}"#,
            "flag `f`: in the response: variant_value: number out of range",
        ),
    ] {
        respond(&server, 200, &format!(r#"{{"flags": {{"f": {body}}}}}"#));
        failed(&ask(), ErrorCode::ParseError, why);
    }
}

#[test]
fn a_flag_that_is_null_is_not_there() {
    let server = server();
    let client = client(&server, "");
    respond(&server, 200, r#"{"flags": {"f": null, "g": {"variant_key": "v", "variant_value": 1}}}"#);
    failed(
        &client.evaluate("f", &user("u1"), EvaluateOptions::new()),
        ErrorCode::FlagNotFound,
        "Mixpanel's response has no flag `f`: it does not exist, or the user is in none of its rollouts",
    );
    let all = client.evaluate_all(&user("u1"), EvaluateOptions::new());
    let keys: Vec<&str> = all.as_slice().iter().map(Evaluation::key).collect();
    assert_eq!(keys, ["g"]);
}

/// Both official SDKs send such an exposure, with a variant name that is null.
#[test]
fn an_exposure_without_a_variant_key() {
    let server = server();
    let client = client(&server, r#", "event_sink": true"#);
    respond(
        &server,
        200,
        r#"{"flags": {"f": {"variant_value": true, "experiment_id": 7, "is_qa_tester": "yes"}}}"#,
    );
    let shown = client.evaluate("f", &user("u1"), EvaluateOptions::new());
    let event = loop {
        if let Some(Item::Event { json, .. }) = client.next_item(LONG).unwrap() {
            break json;
        }
    };
    let event: Value = serde_json::from_str(&event).unwrap();
    let properties = &event["properties"];
    assert_eq!((&properties["Experiment name"], &properties["Variant name"]), (&json!("f"), &Value::Null));
    assert!(properties.as_object().unwrap().contains_key("Variant name"));
    assert_eq!(properties["$experiment_id"], "7");
    assert!(!properties.as_object().unwrap().contains_key("$is_qa_tester"));
    // By hand it is the same exposure, and so a repeat.
    client.track_exposure(&shown).unwrap();
    let statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
    assert_eq!((&statistics["enqueued"], &statistics["deduplicated"]), (&json!(1), &json!(1)));
}

/// The message with the place that the response is from.
fn placed(server: &Server, message: &str) -> String {
    let place = format!("{}/flags", server.addr());
    match message.split_at_checked("HTTP 500".len()) {
        Some((status, rest)) if status.starts_with("HTTP ") => format!("{status} from {place}{rest}"),
        _ => format!("{place}: {message}"),
    }
}

#[test]
fn failures() {
    let server = server();
    let client = client(&server, "");
    let ask = || client.evaluate("gate", &user("u1"), EvaluateOptions::new());
    let long = "x".repeat(5000);
    for (status, body, message) in [
        (
            400,
            r#"{"error": "distinct_id must be provided", "status": "error"}"#,
            "HTTP 400: distinct_id must be provided",
        ),
        (400, "<html>", "HTTP 400"),
        (429, "slow down", "HTTP 429: slow down"),
        (400, "  two\r\n\tlines \u{2028} of it\n", "HTTP 400: two lines of it"),
        (500, r#"{"message": "other form"}"#, r#"HTTP 500: {"message": "other form"}"#),
        (500, r#"{"error": {"code": 5}}"#, r#"HTTP 500: {"error": {"code": 5}}"#),
        (500, r#""text""#, "HTTP 500: text"),
        (
            400,
            "a\u{1b}[31;1mred\u{1b}[0m b\u{1b}]0;title\u{7} c\u{9b}2J d\u{1b}c e\u{202e}f",
            "HTTP 400: ared b c d ef",
        ),
        (400, r#"{"error": "a\u001b[31mred\u0000\u0007"}"#, "HTTP 400: ared"),
        (
            502,
            "<html>\r\n<head><title>502 Bad Gateway</title><style>b {color: red}</style></head>\r\n<body>\n<!-- x > y -->\
             <h1>Oops &amp; sorry</h1><script>if (a < b) {}</script><hr>nginx</body></html>",
            "HTTP 502: 502 Bad Gateway Oops & sorry nginx",
        ),
        (
            400,
            "GET http://api/flags?context=%7B%22a%22%7D&token=T0KEN failed",
            "HTTP 400: GET http://api/flags?… failed",
        ),
        (400, "no project for T0KEN.", "HTTP 400: no project for …."),
        (400, "Basic VDBLRU46 refused", "HTTP 400: Basic … refused"),
        (400, r#"{"error": "no project for T0KEN"}"#, "HTTP 400: no project for …"),
        (
            400,
            r#"bad context {"distinct_id":"u1","custom_properties":{"plan":"Pro"}}"#,
            "HTTP 400: bad context …",
        ),
        (400, &format!("{}é", "x".repeat(1023)), &format!("HTTP 400: {}", "x".repeat(1023))),
        (400, &"é".repeat(5000), &format!("HTTP 400: {}", "é".repeat(512))),
        (404, "", "HTTP 404; check api_host"),
        (429, "", "HTTP 429"),
        (500, r#"{"error": "two\nlines"}"#, "HTTP 500: two lines"),
        (503, "", "HTTP 503"),
        (200, "<html>Sign in</html>", "not a response from Mixpanel: expected value"),
        (200, "", "not a response from Mixpanel: EOF while parsing a value"),
        (200, "{}", "not a response from Mixpanel: flags: required"),
        (200, r#"{"flags": []}"#, "not a response from Mixpanel: expected an object, found an array"),
        (
            302,
            "",
            "HTTP 302: redirects are not followed, since that would send the credentials elsewhere; check api_host",
        ),
        (400, &format!(r#"{{"error": "{long}"}}"#), &format!("HTTP 400: {}", "x".repeat(1024))),
    ] {
        respond(&server, status, body);
        failed(&ask(), ErrorCode::General, &placed(&server, message));
    }
    for status in [401, 403] {
        respond(&server, status, "");
        let response = placed(&server, &format!("HTTP {status}"));
        let why = format!(
            "Mixpanel refused the credentials: {response}; check token, service_account and api_host"
        );
        failed(&ask(), ErrorCode::ProviderFatal, &why);
    }
    server.clear_faults();
    assert!(client.boolean("gate", &user("u1"), false), "it heals");
    server.stop().unwrap();
    let refused = format!("{}: connection refused; check api_host", server.addr());
    failed(&ask(), ErrorCode::General, &refused);
    server.restart_after(Duration::ZERO).unwrap();
    assert!(client.boolean("gate", &user("u1"), false));
    // The server itself insists on a distinct_id that is a string.
    let evaluation = client.evaluate_json("gate", r#"{"distinct_id": 5}"#, EvaluateOptions::new());
    failed(
        &evaluation,
        ErrorCode::General,
        &placed(&server, "HTTP 400: distinct_id must be provided in evalContext as a string"),
    );
}

/// The whole context is sent, so all of it counts.
#[test]
fn contexts_with_what_cannot_be_used() {
    let server = server();
    let client = client(&server, "");
    let json = r#"{"distinct_id": "u1", "unread": 1e999}"#;
    let message = "context: unread: number out of range";
    failed(&client.evaluate_json("gate", json, EvaluateOptions::new()), ErrorCode::InvalidContext, message);
    let context = Context::from_json(json).unwrap();
    failed(&client.evaluate("gate", &context, EvaluateOptions::new()), ErrorCode::InvalidContext, message);
    let all = client.evaluate_all(&context, EvaluateOptions::new());
    assert_eq!((all.failure(), all.as_slice().len()), (Some((ErrorCode::InvalidContext, message)), 0));
    assert!(requests(&server).is_empty());
}

#[test]
fn contexts_too_large() {
    let server = server();
    let client = client(&server, "");
    let large = format!(r#"{{"distinct_id": "{}"}}"#, "x".repeat(64 * 1024));
    let evaluation = client.evaluate_json("gate", &large, EvaluateOptions::new());
    // Less the space, which is not sent.
    let message =
        format!("context: {} bytes of JSON; the limit for remote evaluation is 65536", large.len() - 1);
    failed(&evaluation, ErrorCode::InvalidContext, &message);
    // Within the limit as JSON, but not as part of a URL.
    let encoded = format!(r#"{{"distinct_id": "{}"}}"#, "ü".repeat(20_000));
    let evaluation = client.evaluate_json("gate", &encoded, EvaluateOptions::new());
    assert_eq!(evaluation.error_code(), Some(ErrorCode::InvalidContext));
    assert!(evaluation.message().unwrap().ends_with(" bytes; the limit is 65534"), "{evaluation:?}");
    assert!(requests(&server).is_empty());
}

#[test]
fn one_retry_when_the_connection_ends_early() {
    let server = server();
    let client = client(&server, "");
    client.boolean("gate", &user("u1"), false);
    for fault in
        [Fault::new("/flags", Kind::Reset), Fault { at_byte: Some(5), ..Fault::new("/flags", Kind::Cut) }]
    {
        server.set_faults(vec![Fault { times: Some(1), ..fault.clone() }]).unwrap();
        server.clear_requests();
        assert!(client.boolean("gate", &user("u1"), false), "{fault:?}");
        assert_eq!(requests(&server).len(), 2);
        // Once only.
        server.set_faults(vec![Fault { times: Some(2), ..fault.clone() }]).unwrap();
        server.clear_requests();
        assert!(!client.boolean("gate", &user("u1"), false), "{fault:?}");
        assert_eq!(requests(&server).len(), 2);
    }
    // Never once the head is there, and never on a timeout.
    server.set_faults(vec![Fault { at_body_byte: Some(3), ..Fault::new("/flags", Kind::Cut) }]).unwrap();
    server.clear_requests();
    let evaluation = client.evaluate("gate", &user("u1"), EvaluateOptions::new());
    let closed = format!("{}: the connection was closed before the response was complete", server.addr());
    failed(&evaluation, ErrorCode::General, &closed);
    assert_eq!(requests(&server).len(), 1);
    server.set_faults(vec![Fault::new("/flags", Kind::Hang)]).unwrap();
    server.clear_requests();
    let evaluation =
        client.evaluate("gate", &user("u1"), EvaluateOptions::new().timeout(Duration::from_millis(200)));
    failed(&evaluation, ErrorCode::General, &format!("{}: timed out", server.addr()));
    assert_eq!(requests(&server).len(), 1);
}

#[test]
fn time_limits() {
    let server = server();
    let client = client(&server, r#", "request_timeout_ms": 400"#);
    for fault in [
        Fault::new("/flags", Kind::Hang),
        Fault { bytes_per_second: Some(10), ..Fault::new("/flags", Kind::SlowLoris) },
    ] {
        server.set_faults(vec![fault]).unwrap();
        for (ask, limit) in [
            (EvaluateOptions::new(), 400),
            (EvaluateOptions::new().timeout(Duration::from_millis(100)), 100),
            (EvaluateOptions::new().timeout(Duration::ZERO), 400),
        ] {
            let before = Instant::now();
            let late = format!("{}: timed out", server.addr());
            failed(&client.evaluate("gate", &user("u1"), ask), ErrorCode::General, &late);
            let took = before.elapsed().as_millis();
            assert!((limit..limit + 300).contains(&took), "{took} of {limit}");
        }
    }
}

#[test]
fn shutdown_interrupts() {
    let server = server();
    let client = Arc::new(client(&server, ""));
    server.set_faults(vec![Fault::new("/flags", Kind::Hang)]).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.evaluate("gate", &user("u1"), EvaluateOptions::new()))
        })
        .collect();
    server.wait_requests(4, LONG);
    let before = Instant::now();
    client.shutdown(LONG).unwrap();
    for thread in threads {
        assert_eq!(thread.join().unwrap().error_code(), Some(ErrorCode::General));
    }
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    failed(
        &client.evaluate("gate", &user("u1"), EvaluateOptions::new()),
        ErrorCode::General,
        "the client is shut down",
    );
    server.clear_faults();
    client.start().unwrap();
    assert!(client.boolean("gate", &user("u1"), false));
}

/// A binding's cancelled call: the caller has gone, but its request is still in progress.
#[test]
fn an_abandoned_call_is_counted_and_aborted_by_shutdown() {
    let server = server();
    let client = Arc::new(client(&server, ""));
    server.set_faults(vec![Fault::new("/flags", Kind::Hang)]).unwrap();
    let in_flight = |client: &Client| {
        serde_json::from_str::<Value>(&client.statistics()).unwrap()["remote_in_flight"].as_u64().unwrap()
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let theirs = client.clone();
    let abandoned = std::thread::spawn(move || _ = sender.send(theirs.boolean("gate", &user("u1"), false)));
    server.wait_requests(1, LONG);
    assert!(
        receiver.recv_timeout(Duration::from_millis(10)).is_err(),
        "the caller continues with its default"
    );
    assert_eq!(in_flight(&client), 1);
    let before = Instant::now();
    client.shutdown(LONG).unwrap();
    abandoned.join().unwrap();
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(in_flight(&client), 0);
}

#[test]
fn exposures() {
    let server = server();
    let client = client(&server, "");
    for _ in 0..3 {
        client.evaluate("size", &user("qa-1"), EvaluateOptions::new());
    }
    client.evaluate("gate", &user("u1"), EvaluateOptions::new().without_exposure());
    client.evaluate("no-rollout", &user("u1"), EvaluateOptions::new());
    client.flush(LONG).unwrap();
    let events = server.events();
    assert_eq!(events.len(), 1, "{events:?}");
    let mut event = events[0].json.clone();
    let properties = event["properties"].as_object_mut().unwrap();
    for key in ["$insert_id", "time"] {
        assert!(properties.remove(key).is_some());
    }
    let latency = properties.remove("Variant fetch latency (ms)").unwrap();
    assert!(latency.is_f64() && latency.as_f64().unwrap() > 0.0, "{latency}");
    for key in ["Variant fetch start time", "Variant fetch complete time"] {
        let time = properties.remove(key).unwrap();
        let time = time.as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
    }
    assert_eq!(
        event,
        json!({"event": "$experiment_started", "properties": {
            "token": "T0KEN", "distinct_id": "qa-1", "mp_lib": "mpflags", "$lib_version": env!("CARGO_PKG_VERSION"),
            "Experiment name": "size", "Variant name": "large", "$experiment_type": "feature_flag",
            "Flag evaluation mode": "remote", "$experiment_id": "e-1", "$is_experiment_active": true, "$is_qa_tester": true}})
    );
    // Fields that the response does not have are not made up.
    respond(&server, 200, r#"{"flags": {"f": {"variant_key": "v", "variant_value": 1}}}"#);
    client.evaluate("f", &user("u1"), EvaluateOptions::new());
    client.flush(LONG).unwrap();
    let properties = server.events()[1].json["properties"].clone();
    assert_eq!(properties["Variant name"], "v");
    for key in ["$experiment_id", "$is_experiment_active", "$is_qa_tester"] {
        assert_eq!(properties.get(key), None::<&Value>, "{key}");
    }
}

#[test]
fn many_threads_share_the_connections() {
    let server = server();
    let client = Arc::new(client(&server, r#", "report_exposures": false"#));
    server.set_faults(vec![Fault { delay_ms: Some(20), ..Fault::new("/flags", Kind::Delay) }]).unwrap();
    let threads: Vec<_> = (0..64)
        .map(|thread| {
            let client = client.clone();
            std::thread::spawn(move || {
                for n in 0..200 {
                    assert!(client.boolean("gate", &user(&format!("u{thread}-{n}")), false));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let seen = server.requests();
    // On a busy machine, not all threads have a request under way at the same time.
    assert!(seen.in_flight_max > 32, "{}", seen.in_flight_max);
    assert!(seen.connections_opened <= 64, "{}", seen.connections_opened);
}

#[test]
fn nothing_secret_reaches_the_caller() {
    let secret = r#", "service_account": {"username": "us3rname", "secret": "S3CRET", "project_id": "77"}"#;
    let server = server();
    let mut texts = HashSet::new();
    for more in ["", secret] {
        let client = client(&server, more);
        for status in [302, 400, 401, 404, 500] {
            respond(&server, status, "<html>");
            texts.insert(
                format!("{:?}", client.evaluate("gate", &user("pr1vate"), EvaluateOptions::new()))
                    .replace("pr1vate", ""),
            );
        }
        server.set_faults(vec![Fault::new("*", Kind::Reset)]).unwrap();
        let evaluation = client.evaluate("gate", &user("pr1vate"), EvaluateOptions::new());
        texts.insert(evaluation.message().unwrap().to_owned());
        client.track("E", "pr1vate", "{}").unwrap();
        client.flush(Duration::from_millis(300)).unwrap();
        texts.insert(client.statistics());
        texts.insert(format!("{client:?}").replace(&server.url(), ""));
        while let Ok(Some(item)) = client.next_item(Duration::ZERO) {
            texts.insert(match item {
                Item::Log { message, .. } => message,
                other => format!("{other:?}"),
            });
        }
        server.clear_faults();
    }
    assert!(texts.len() > 8, "{texts:?}");
    for text in texts {
        for secret in ["T0KEN", "S3CRET", "us3rname", "token=", "http://", "VDBLRU46", "pr1vate"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn configuration() {
    for (field, why) in [
        (r#""mode": "both""#, "config: mode: expected \"local\" or \"remote\", found another string"),
        (r#""mode": 1"#, "config: mode: expected a string, found a number"),
        (
            r#""mode": "remote", "definitions": {}"#,
            "config: definitions: not allowed in remote mode, which has no definitions",
        ),
        (
            r#""mode": "remote", "definitions_path": "x""#,
            "config: definitions_path: not allowed in remote mode, which has no definitions",
        ),
    ] {
        let error = Config::from_json(&format!(r#"{{"token": "t", {field}}}"#)).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidConfig, why));
    }
}
