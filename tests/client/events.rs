//! Exposures and events, through real sockets: what is sent, how often, and what becomes of it when sending fails.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, ErrorKind, EvaluateOptions, Item, ValueType};
use mpflags_dev::{Endpoint, Event, Fault, Kind, Options, RetryAfter, Server};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

const DEFINITIONS: &str = r#"{"flags": [
    {"key": "plain", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}},
    {"key": "experiment", "context": "distinct_id", "experiment_id": "11111111-2222-3333-4444-555555555555",
     "is_experiment_active": true,
     "ruleset": {"variants": [{"key": "a \"quoted\"", "value": "x"}], "rollout": [{"rollout_percentage": 1}],
                 "test": {"users": {"qa-1": "a \"quoted\""}}}},
    {"key": "no-rollout", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 0}]}},
    {"key": "off", "context": "distinct_id", "status": "disabled",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}},
    {"key": "by-company", "context": "company",
     "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}
]}"#;

fn server() -> Server {
    Server::start(Options { token: Some("T0KEN".to_owned()), ..Options::default() }).unwrap()
}

fn client(server: &Server, more: &str) -> Client {
    let config = format!(
        r#"{{"token": "T0KEN", "api_host": "{}", "enable_polling": false, "definitions": {DEFINITIONS},
            "event_retry_base_ms": 10, "event_retry_max_ms": 20 {more}}}"#,
        server.url()
    );
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

fn started(server: &Server, more: &str) -> Client {
    let client = client(server, more);
    client.start().unwrap();
    client
}

fn user(id: &str) -> Context {
    Context::from_json(&format!(r#"{{"distinct_id": "{id}"}}"#)).unwrap()
}

fn flushed(client: &Client) {
    assert_eq!(client.flush(LONG).unwrap(), 0, "{}", client.statistics());
}

fn statistics(client: &Client) -> Value {
    serde_json::from_str(&client.statistics()).unwrap()
}

fn names(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| event.json["properties"]["Experiment name"].as_str().unwrap_or("-").to_owned())
        .collect()
}

fn insert_ids(events: &[Event]) -> HashSet<String> {
    events.iter().map(|event| event.json["properties"]["$insert_id"].as_str().unwrap().to_owned()).collect()
}

/// The event without what differs from run to run, which is checked for its form.
#[track_caller]
fn stable(event: &Event) -> Value {
    let mut json = event.json.clone();
    let properties = json["properties"].as_object_mut().unwrap();
    let id = properties.remove("$insert_id").unwrap();
    let id = id.as_str().unwrap();
    assert!(
        id.len() == 36 && id.as_bytes()[14] == b'4' && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'),
        "{id}"
    );
    let time = properties.remove("time").unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(now - time.as_u64().expect("an integer") < 60_000, "{time}");
    json
}

#[test]
fn every_property_of_an_exposure() {
    let server = server();
    let client = started(&server, "");
    client.evaluate("plain", &user("u1"), EvaluateOptions::new());
    client.evaluate_json("experiment", r#"{"distinct_id": "qa-1"}"#, EvaluateOptions::new());
    client.evaluate(
        "experiment",
        &Context::from_json(r#"{"distinct_id": 5}"#).unwrap(),
        EvaluateOptions::new(),
    );
    flushed(&client);
    let mut events: Vec<Value> = server.events().iter().map(stable).collect();
    events.sort_by_key(|event| event["properties"]["distinct_id"].to_string());
    let version = env!("CARGO_PKG_VERSION");
    let experiment = |user: Value, tester: bool| {
        json!({"event": "$experiment_started", "properties": {
            "token": "T0KEN", "distinct_id": user, "mp_lib": "mpflags", "$lib_version": version,
            "Experiment name": "experiment", "Variant name": "a \"quoted\"", "$experiment_type": "feature_flag",
            "Flag evaluation mode": "local", "$experiment_id": "11111111-2222-3333-4444-555555555555",
            "$is_experiment_active": true, "$is_qa_tester": tester}})
    };
    let plain = json!({"event": "$experiment_started", "properties": {
        "token": "T0KEN", "distinct_id": "u1", "mp_lib": "mpflags", "$lib_version": version,
        "Experiment name": "plain", "Variant name": "on", "$experiment_type": "feature_flag",
        "Flag evaluation mode": "local", "$is_qa_tester": false}});
    assert_eq!(events, [experiment(json!("qa-1"), true), plain, experiment(json!(5), false)]);
    let seen = server.requests();
    let request = seen.requests.iter().find(|request| request.path == "/track").unwrap();
    let query: Vec<(&str, &str)> = request.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(query, [("ip", "0"), ("verbose", "1")]);
    assert_eq!(request.headers["content-type"], "application/json");
}

#[test]
fn once_per_session() {
    let server = server();
    let client = started(&server, r#", "exposure_window_ms": 400"#);
    let first = Instant::now();
    for _ in 0..100 {
        assert!(client.boolean("plain", &user("u1"), false));
    }
    flushed(&client);
    assert_eq!(server.event_counts().total, 1);
    for _ in 0..100 {
        client.evaluate_json("plain", r#"{"distinct_id": "u2"}"#, EvaluateOptions::new());
    }
    flushed(&client);
    assert_eq!(server.event_counts().total, 2);
    // Asked again and again, the user is reported again when the window is over, and not before.
    let (second, window) = (Instant::now(), Duration::from_millis(400));
    while server.event_counts().total < 3 {
        assert!(second.elapsed() < LONG);
        client.boolean("plain", &user("u1"), false);
        flushed(&client);
    }
    assert!(first.elapsed() >= window, "{:?}", first.elapsed());
    assert_eq!(server.event_counts().total, 3);
    // The same text in quotes and without is not the same user.
    client.evaluate_json("plain", r#"{"distinct_id": 7}"#, EvaluateOptions::new());
    client.evaluate_json("plain", r#"{"distinct_id": "7"}"#, EvaluateOptions::new());
    flushed(&client);
    assert_eq!(server.event_counts().total, 5);
    let statistics = statistics(&client);
    assert_eq!(&statistics["sent"], &json!(5));
    assert!(statistics["deduplicated"].as_u64().unwrap() >= 198, "{statistics}");
}

#[test]
fn without_deduplication() {
    for more in [r#", "exposure_window_ms": 0"#, r#", "exposure_dedupe_capacity": 0"#] {
        let server = server();
        let client = started(&server, more);
        for _ in 0..100 {
            client.boolean("plain", &user("u1"), false);
        }
        flushed(&client);
        assert_eq!((server.event_counts().total, server.event_counts().distinct_insert_ids), (100, 100));
    }
}

#[test]
fn the_memory_is_bounded() {
    let server = server();
    let client = started(&server, r#", "exposure_dedupe_capacity": 2"#);
    for id in ["a", "b", "c", "a"] {
        client.boolean("plain", &user(id), false);
    }
    flushed(&client);
    assert_eq!(server.event_counts().total, 4, "the third made the first one leave");
    client.boolean("plain", &user("a"), false);
    flushed(&client);
    assert_eq!(server.event_counts().total, 4);
}

#[test]
fn what_is_no_exposure() {
    let server = server();
    let client = started(&server, r#", "overrides": {"over": 1}"#);
    for key in ["no-rollout", "off", "missing", "over"] {
        client.evaluate(key, &user("u1"), EvaluateOptions::new());
    }
    client.evaluate("plain", &user("u1"), EvaluateOptions::new().without_exposure());
    client.evaluate_json("plain", r#"{"distinct_id": "u1"}"#, EvaluateOptions::new().without_exposure());
    client.evaluate_all(&user("u1"), EvaluateOptions::new());
    flushed(&client);
    assert_eq!(server.event_counts().total, 0);
    let quiet = started(&server, r#", "report_exposures": false"#);
    quiet.boolean("plain", &user("u9"), false);
    flushed(&quiet);
    assert_eq!(server.event_counts().total, 0);
}

#[test]
fn without_distinct_id() {
    let server = server();
    let client = started(&server, "");
    let company = Context::from_json(r#"{"company": 7}"#).unwrap();
    for _ in 0..5 {
        assert!(client.boolean("by-company", &company, false));
        client.evaluate_json("by-company", r#"{"company": 7, "distinct_id": null}"#, EvaluateOptions::new());
        client.evaluate_json("by-company", r#"{"company": 7, "distinct_id": ""}"#, EvaluateOptions::new());
    }
    flushed(&client);
    assert_eq!(server.event_counts().total, 0);
    assert_eq!(statistics(&client)["without_distinct_id"], 15);
    let items: Vec<Item> = std::iter::from_fn(|| client.next_item(Duration::ZERO).unwrap()).collect();
    let [Item::Log { message, .. }] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!(
        message,
        "flag `by-company`: exposures without a distinct_id in the context cannot be reported"
    );
}

#[test]
fn by_hand() {
    let server = server();
    let client = started(&server, "");
    let kept = client.evaluate("experiment", &user("qa-1"), EvaluateOptions::new().without_exposure());
    client.track_exposure(&kept).unwrap();
    client.track_exposure(&kept).unwrap();
    flushed(&client);
    let by_hand = server.events();
    assert_eq!(by_hand.len(), 1);
    server.clear_events();
    // The same exposure as an evaluation reports.
    let other = started(&server, "");
    other.evaluate("experiment", &user("qa-1"), EvaluateOptions::new());
    flushed(&other);
    assert_eq!(stable(&server.events()[0]), stable(&by_hand[0]));

    let none = client.evaluate("no-rollout", &user("u1"), EvaluateOptions::new());
    let error = client.track_exposure(&none).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(
        error.to_string(),
        "flag `no-rollout`: the evaluation assigned no variant, so there is no exposure"
    );
    let nameless = client.evaluate(
        "by-company",
        &Context::from_json(r#"{"company": 7}"#).unwrap(),
        EvaluateOptions::new(),
    );
    let error = client.track_exposure(&nameless).unwrap_err();
    assert_eq!(
        error.to_string(),
        "flag `by-company`: the context had no distinct_id, so there is no exposure"
    );
}

#[test]
fn track_and_people() {
    let server = server();
    let client = started(&server, "");
    client
        .track("Purchase", "u1", r#"{"amount": 12.50, "token": "theirs", "distinct_id": "x", "é\n": [1]}"#)
        .unwrap();
    client.track("Old", "u1", r#"{"time": 1700000000000, "$insert_id": "abc-1"}"#).unwrap();
    client.track("Bare", "u1", "").unwrap();
    client.people_update("$set", "u1", r#"{"plan": "pro"}"#).unwrap();
    client.people_update("$unset", "u1", r#"["plan"]"#).unwrap();
    client.people_update("$delete", "u1", "null").unwrap();
    flushed(&client);
    let events = server.events();
    assert!(events.iter().all(|event| event.rejected.is_none()), "{events:?}");
    let tracked: Vec<&Event> = events.iter().filter(|event| event.endpoint == Endpoint::Track).collect();
    let purchase = tracked.iter().find(|event| event.json["event"] == "Purchase").unwrap();
    assert_eq!(
        stable(purchase),
        json!({"event": "Purchase", "properties": {"token": "T0KEN", "distinct_id": "u1", "mp_lib": "mpflags",
            "$lib_version": env!("CARGO_PKG_VERSION"), "amount": 12.5, "é\n": [1]}})
    );
    let old = tracked.iter().find(|event| event.json["event"] == "Old").unwrap();
    assert_eq!(
        (&old.json["properties"]["time"], &old.json["properties"]["$insert_id"]),
        (&json!(1_700_000_000_000_u64), &json!("abc-1"))
    );
    let mut profiles: Vec<String> = events
        .iter()
        .filter(|event| event.endpoint == Endpoint::Engage)
        .map(|event| event.json.to_string())
        .collect();
    profiles.sort();
    assert_eq!(
        profiles,
        [
            r#"{"$distinct_id":"u1","$delete":"","$token":"T0KEN"}"#,
            r#"{"$distinct_id":"u1","$set":{"plan":"pro"},"$token":"T0KEN"}"#,
            r#"{"$distinct_id":"u1","$token":"T0KEN","$unset":["plan"]}"#,
        ]
        .map(|text| serde_json::from_str::<Value>(text).unwrap().to_string())
    );
}

#[test]
fn profile_updates_stay_in_order() {
    let server = server();
    let client = started(&server, "");
    for n in 0..100 {
        client.people_update("$set", "u1", &format!(r#"{{"n": {n}}}"#)).unwrap();
        client.track("E", "u1", "{}").unwrap();
    }
    flushed(&client);
    let seen: Vec<u64> =
        server.events().iter().filter_map(|event| event.json["$set"]["n"].as_u64()).collect();
    assert_eq!(seen, (0..100).collect::<Vec<u64>>());
}

#[test]
fn updates_of_groups() {
    let server = server();
    let client = started(&server, "");
    client.track("E", "u1", "{}").unwrap();
    client.people_update("$set", "u1", r#"{"plan": "pro"}"#).unwrap();
    let updates = [
        ("$set", r#"{"seats": 5}"#),
        ("$set_once", r#"{"since": 2026}"#),
        ("$union", r#"{"apps": ["a"]}"#),
        ("$remove", r#"{"apps": "a"}"#),
        ("$unset", r#"["seats"]"#),
        ("$delete", "null"),
    ];
    for (operation, value) in updates {
        client.group_update(operation, "company", "a\"cme", value).unwrap();
    }
    flushed(&client);
    let events = server.events();
    assert!(events.iter().all(|event| event.rejected.is_none()), "{events:?}");
    let groups: Vec<&Value> =
        events.iter().filter(|event| event.endpoint == Endpoint::Groups).map(|event| &event.json).collect();
    let expected = updates.map(|(operation, value)| {
        let value: Value =
            if operation == "$delete" { json!("") } else { serde_json::from_str(value).unwrap() };
        json!({"$token": "T0KEN", "$group_key": "company", "$group_id": "a\"cme", operation: value})
    });
    assert_eq!(groups, expected.iter().collect::<Vec<_>>());
    assert_eq!(events.len(), 8);

    for (result, message) in [
        (
            client.group_update("$set", "", "a", "{}"),
            "group_key: expected a non-empty string, such as company",
        ),
        (client.group_update("$set", "company", "", "{}"), "group_id: expected a non-empty string"),
        (
            client.group_update("$add", "company", "a", r#"{"n": 1}"#),
            "operation: expected one of $set, $set_once, $union, $remove, $unset, $delete",
        ),
        (client.group_update("$set", "company", "a", "[]"), "$set: expected an object: found an array"),
    ] {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidArgument, message));
    }
}

#[test]
fn wrong_events() {
    let server = server();
    let client = client(&server, "");
    for (result, message) in [
        (client.track("", "u", "{}"), "event: expected a non-empty name"),
        (client.track("E", "u", "[]"), "event `E`: properties: expected a JSON object, found an array"),
        (
            client.track("E", "u", "{"),
            "event `E`: properties: EOF while parsing an object at line 1 column 1",
        ),
        (
            client.track("E", "u", r#"{"a": 1e400}"#),
            "event `E`: properties: a: number out of range at line 1 column 5",
        ),
        (
            client.people_update("$increment", "u", "{}"),
            "operation: expected one of $set, $set_once, $union, $remove, $unset, $delete, $add, $append",
        ),
        (client.people_update("$set", "u", "5"), "$set: expected an object: found an integer"),
        (
            client.people_update("$add", "u", r#"{"n": "1"}"#),
            "$add: expected an object of numbers: a value in it has another type",
        ),
        (
            client.people_update("$delete", "u", "{}"),
            "$delete: expected null: it deletes the whole profile and takes no value",
        ),
    ] {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidArgument, message));
    }
    let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(1 << 20));
    let error = client.track("E", "u", &large).unwrap_err();
    assert_eq!(error.to_string(), "event `E`: properties: larger than 1048576 bytes");
}

#[test]
fn batches() {
    let server = server();
    // A full batch starts a request long before the interval has passed.
    let client = started(&server, r#", "event_batch_size": 50, "event_flush_interval_ms": 3600000"#);
    for n in 0..50 {
        client.boolean("plain", &user(&format!("u{n}")), false);
    }
    assert_eq!(server.wait_events(50, LONG).len(), 50);
    // Fewer wait for the interval.
    let soon = started(&server, r#", "event_flush_interval_ms": 50"#);
    soon.boolean("plain", &user("later"), false);
    assert_eq!(server.wait_events(51, LONG).len(), 51);
    // One request holds 2,000.
    server.clear_requests();
    for n in 0..4100 {
        client.track("E", "u", &format!(r#"{{"n": {n}}}"#)).unwrap();
    }
    flushed(&client);
    assert_eq!(server.event_counts().total, 4151);
    let sizes: Vec<usize> = server.requests().requests.iter().map(|r| r.body.len()).collect();
    assert!(sizes.len() >= 3, "{sizes:?}");
    let seen = server.requests();
    let gzipped = seen
        .requests
        .iter()
        .find(|r| r.headers.contains_key("content-encoding"))
        .expect("a large body is gzipped");
    assert_eq!(gzipped.headers["content-encoding"], "gzip");
    assert_eq!(seen.connections_max, 2, "one connection per client");
    // And 1 MiB.
    server.clear_requests();
    for _ in 0..5 {
        client.track("Large", "u", &format!(r#"{{"a": "{}"}}"#, "x".repeat(400_000))).unwrap();
    }
    flushed(&client);
    assert!(server.requests().requests.len() >= 3);
}

#[test]
fn import_with_a_service_account() {
    let options = Options {
        token: Some("T0KEN".to_owned()),
        service_account: Some(mpflags_dev::ServiceAccount {
            username: "user".into(),
            secret: "S3CRET".into(),
        }),
        project_id: Some("77".to_owned()),
        ..Options::default()
    };
    let server = Server::start(options).unwrap();
    let account = r#", "service_account": {"username": "user", "secret": "S3CRET", "project_id": "77"}"#;
    let client = started(&server, account);
    for n in 0..10 {
        client.track("E", &format!("u{n}"), "{}").unwrap();
    }
    flushed(&client);
    let events = server.events();
    assert!(
        events.iter().all(|event| event.endpoint == Endpoint::Import && event.rejected.is_none()),
        "{events:?}"
    );
    let request = &server.requests().requests[0];
    assert_eq!((request.query["strict"].as_str(), request.query["project_id"].as_str()), ("1", "77"));
    assert_eq!(request.headers["authorization"], "Basic dXNlcjpTM0NSRVQ=");

    // 3 of 10 are rejected: 7 are accepted, 3 are counted and logged, none is sent twice.
    server.clear_events();
    server.clear_requests();
    let faults = r#"[{"path": "/import", "kind": "reject_records", "indexes": [1, 4, 9], "times": 1}]"#;
    server.set_faults_json(faults).unwrap();
    for n in 0..10 {
        client.track("E", &format!("v{n}"), "{}").unwrap();
    }
    flushed(&client);
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.rejected, counts.duplicates), (7, 3, 0));
    assert_eq!(server.requests().requests.len(), 1);
    let statistics = statistics(&client);
    assert_eq!((&statistics["sent"], &statistics["dropped"]["rejected"]), (&json!(17), &json!(3)));
    let lines: Vec<String> = std::iter::from_fn(|| client.next_item(Duration::ZERO).unwrap())
        .filter_map(|item| match item {
            Item::Log { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("Mixpanel rejected event 2 of 10, which is dropped: "), "{lines:?}");
}

#[test]
fn too_large_is_halved() {
    let server = server();
    let client = client(&server, "");
    let too_large = Fault { status: Some(413), times: Some(2), ..Fault::new("/track", Kind::Status) };
    server.set_faults(vec![too_large]).unwrap();
    for n in 0..100 {
        client.track("E", &format!("u{n}"), "{}").unwrap();
    }
    client.start().unwrap();
    flushed(&client);
    let counts = server.event_counts();
    assert_eq!((counts.total, counts.duplicates, counts.distinct_insert_ids), (100, 0, 100));
    assert!(server.requests().requests.len() >= 5);
    assert_eq!(statistics(&client)["sent"], 100);
}

#[test]
fn a_single_event_too_large_is_dropped_and_counted() {
    let server = server();
    let client = client(&server, "");
    server.set_faults(vec![Fault { status: Some(413), ..Fault::new("/track", Kind::Status) }]).unwrap();
    client.track("E", "u", "{}").unwrap();
    client.start().unwrap();
    flushed(&client);
    assert_eq!(statistics(&client)["dropped"]["rejected"], 1);
}

#[test]
fn plain_after_gzip_was_refused() {
    for status in [415, 400] {
        let server = server();
        let client = client(&server, "");
        let refusal = Fault {
            status: Some(status),
            body: Some("no".into()),
            times: Some(1),
            ..Fault::new("/track", Kind::Status)
        };
        server.set_faults(vec![refusal]).unwrap();
        for n in 0..100 {
            client.track("E", &format!("u{n}"), "{}").unwrap();
        }
        client.start().unwrap();
        flushed(&client);
        for n in 0..100 {
            client.track("E", &format!("v{n}"), "{}").unwrap();
        }
        flushed(&client);
        let coded: Vec<bool> =
            server.requests().requests.iter().map(|r| r.headers.contains_key("content-encoding")).collect();
        assert!(coded[0] && coded[1..].iter().all(|coded| !coded), "{coded:?}");
        assert_eq!((server.event_counts().total, server.event_counts().duplicates), (200, 0));
    }
}

#[test]
fn a_refusal_is_final() {
    let server = server();
    let client = started(&server, "");
    let refusal = Fault {
        status: Some(400),
        body: Some(r#"{"status": 0, "error": "something is wrong"}"#.into()),
        times: Some(1),
        ..Fault::new("/track", Kind::Status)
    };
    server.set_faults(vec![refusal]).unwrap();
    client.track("E", "u", "{}").unwrap();
    flushed(&client);
    let statistics = statistics(&client);
    assert_eq!((&statistics["dropped"]["rejected"], &statistics["sent"]), (&json!(1), &json!(0)));
    let message = "1 event was dropped because Mixpanel rejected the request: something is wrong";
    assert_eq!(statistics["last_error"]["message"], message);
    assert!(statistics["last_error"]["time"].is_u64());
    assert_eq!(server.requests().requests.len(), 1);
}

#[test]
fn responses_that_are_not_quite_mixpanels() {
    for (status, body, end) in [
        (400, r#"{"status": "Bad Request", "error": {"why": 1}, "failed_records": null}"#, "rejected"),
        (400, r#"{"status": "Bad Request", "error": "no", "failed_records": [{"field": null}]}"#, "rejected"),
        (
            400,
            r#"{"status": "x", "error": "no", "failed_records": [{"index": 0, "message": null}, {"index": 99}]}"#,
            "rejected",
        ),
        (200, r#"{"status": "error"}"#, "sent"),
        (200, r#"{"status": 2}"#, "sent"),
        (200, r#"{"status": 0, "error": "two\nlines"}"#, "rejected"),
    ] {
        let server = server();
        let client = client(&server, "");
        let fault = Fault {
            status: Some(status),
            body: Some(body.into()),
            times: Some(1),
            ..Fault::new("/track", Kind::Status)
        };
        server.set_faults(vec![fault]).unwrap();
        client.track("E", "u", "{}").unwrap();
        client.start().unwrap();
        flushed(&client);
        let statistics = statistics(&client);
        let count = if end == "sent" { &statistics["sent"] } else { &statistics["dropped"]["rejected"] };
        assert_eq!(count, 1, "{body}: {statistics}");
        assert!(!statistics.to_string().contains("\\n"), "{statistics}");
    }
}

#[test]
fn a_failing_server_is_never_hammered() {
    let server = server();
    let at_once = Some(RetryAfter::Seconds(0));
    server
        .set_faults(vec![Fault {
            status: Some(503),
            retry_after: at_once,
            ..Fault::new("/track", Kind::Status)
        }])
        .unwrap();
    let client = started(&server, r#", "event_flush_interval_ms": 10"#);
    client.track("E", "u", "{}").unwrap();
    let seen = server.wait_requests(6, LONG);
    // The base is 10 ms here, and the server's clock may see a little less.
    for pair in seen.requests.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= Duration::from_millis(9), "{gap:?}");
    }
    server.clear_faults();
    flushed(&client);
}

#[test]
fn batches_grow_again_after_one_that_was_too_large() {
    let server = server();
    let client = client(&server, r#", "event_batch_size": 2000"#);
    server
        .set_faults(vec![Fault { status: Some(413), times: Some(6), ..Fault::new("/track", Kind::Status) }])
        .unwrap();
    for n in 0..2000 {
        client.track("E", &format!("u{n}"), "{}").unwrap();
    }
    client.start().unwrap();
    flushed(&client);
    assert_eq!(server.event_counts().accepted, 2000);
    server.clear_requests();
    for n in 0..2000 {
        client.track("E", &format!("v{n}"), "{}").unwrap();
    }
    flushed(&client);
    let requests = server.requests().requests.len();
    assert!(requests <= 4, "{requests}");
}

#[test]
fn a_flush_waits_for_profiles_too() {
    let server = server();
    let client = started(&server, "");
    for n in 0..50 {
        client.people_update("$set", &format!("u{n}"), "{}").unwrap();
        client.track("E", "u", "{}").unwrap();
        flushed(&client);
        assert_eq!(server.event_counts().accepted, 2 * (n + 1));
    }
}

#[test]
fn failed_batches_are_sent_again_unchanged() {
    let faults = [
        Fault { status: Some(503), ..Fault::new("/track", Kind::Status) },
        Fault { status: Some(500), ..Fault::new("/track", Kind::Status) },
        Fault {
            status: Some(429),
            retry_after: Some(RetryAfter::Seconds(0)),
            ..Fault::new("/track", Kind::Status)
        },
        Fault { status: Some(401), ..Fault::new("/track", Kind::Status) },
        Fault { status: Some(302), ..Fault::new("/track", Kind::Status) },
        Fault { status: Some(200), body: Some("<html>".into()), ..Fault::new("/track", Kind::Status) },
        Fault::new("/track", Kind::Reset),
        Fault { at_byte: Some(10), ..Fault::new("/track", Kind::Cut) },
        Fault::new("/track", Kind::Garbage),
        Fault::new("/track", Kind::Hang),
    ];
    for fault in faults {
        let server = server();
        let client = client(&server, r#", "request_timeout_ms": 300"#);
        let name = format!("{fault:?}");
        server.set_faults(vec![Fault { times: Some(2), ..fault }]).unwrap();
        for n in 0..10 {
            client.track("E", &format!("u{n}"), "{}").unwrap();
        }
        client.start().unwrap();
        flushed(&client);
        let counts = server.event_counts();
        // If the server accepted them and its response said otherwise, it recognises the repeats by their ids.
        assert_eq!((counts.distinct_insert_ids, counts.accepted - counts.duplicates), (10, 10), "{name}");
        assert_eq!(statistics(&client)["sent"], 10, "{name}");
        let lines: Vec<Item> = std::iter::from_fn(|| client.next_item(Duration::ZERO).unwrap()).collect();
        assert_eq!(lines.len(), 1, "one line per problem: {name} {lines:?}");
    }
}

#[test]
fn taken_twice_has_the_same_insert_ids() {
    let server = server();
    let client = client(&server, "");
    // Mixpanel accepts the events, but its response is lost: they are sent again, and recognised by their ids.
    server
        .set_faults(vec![Fault { at_byte: Some(5), times: Some(1), ..Fault::new("/track", Kind::Cut) }])
        .unwrap();
    for n in 0..10 {
        client.boolean("plain", &user(&format!("u{n}")), false);
    }
    client.start().unwrap();
    flushed(&client);
    let events = server.wait_events(20, LONG);
    assert_eq!(insert_ids(&events).len(), 10);
    assert!(names(&events).iter().all(|name| name == "plain"));
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.duplicates, counts.distinct_insert_ids), (20, 10, 10));
}

#[test]
fn a_full_queue_loses_nothing_silently() {
    let server = server();
    let client = client(&server, r#", "event_queue_capacity": 10"#);
    for n in 0..25 {
        client.boolean("plain", &user(&format!("u{n}")), false);
    }
    let before = statistics(&client);
    assert_eq!(
        (&before["enqueued"], &before["dropped"]["queue_full"], &before["queue_length"]),
        (&json!(10), &json!(15), &json!(10))
    );
    assert_eq!(client.track("E", "u", "{}").unwrap_err().kind(), ErrorKind::QueueFull);
    client.start().unwrap();
    flushed(&client);
    // What was dropped is offered again by the next evaluation; what was taken is not.
    for n in 0..25 {
        client.boolean("plain", &user(&format!("u{n}")), false);
        if n % 5 == 0 {
            flushed(&client);
        }
    }
    flushed(&client);
    let users: HashSet<String> =
        server.events().iter().map(|event| event.json["properties"]["distinct_id"].to_string()).collect();
    assert_eq!((users.len(), server.event_counts().total), (25, 25));
}

#[test]
fn many_threads_never_lose_a_first_one() {
    let server = server();
    let client = Arc::new(started(&server, r#", "event_queue_capacity": 100000"#));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                for n in 0..2000 {
                    client.evaluate_json(
                        "plain",
                        &format!(r#"{{"distinct_id": "u{n}"}}"#),
                        EvaluateOptions::new(),
                    );
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    flushed(&client);
    let users: HashSet<String> =
        server.events().iter().map(|event| event.json["properties"]["distinct_id"].to_string()).collect();
    assert_eq!(users.len(), 2000);
    assert_eq!(server.event_counts().total, 2000, "and none twice, since one lock decides");
}

#[test]
fn a_hanging_server_blocks_no_call() {
    let server = server();
    server.set_faults(vec![Fault::new("/track", Kind::Hang)]).unwrap();
    let client = started(&server, "");
    for n in 0..7 {
        client.boolean("plain", &user(&format!("u{n}")), false);
    }
    let before = Instant::now();
    assert_eq!(client.flush(Duration::from_millis(300)).unwrap(), 7);
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(client.shutdown(Duration::from_millis(500)).unwrap(), 7);
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    let statistics = statistics(&client);
    assert_eq!((&statistics["dropped"]["shutdown"], &statistics["queue_length"]), (&json!(7), &json!(0)));
    // After shutdown evaluations go on, and what they expose is counted.
    assert!(client.boolean("plain", &user("u99"), false));
    assert_eq!(client.track("E", "u", "{}").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.flush(LONG).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn flush_and_shutdown_cut_a_pause_short() {
    for by_shutdown in [false, true] {
        let server = server();
        let after = Some(RetryAfter::Seconds(500));
        let fault = Fault {
            status: Some(503),
            retry_after: after,
            times: Some(1),
            ..Fault::new("/track", Kind::Status)
        };
        server.set_faults(vec![fault]).unwrap();
        let client = started(&server, r#", "event_flush_interval_ms": 10"#);
        client.track("E", "u", "{}").unwrap();
        server.wait_requests(1, LONG);
        let before = Instant::now();
        let left = if by_shutdown { client.shutdown(LONG).unwrap() } else { client.flush(LONG).unwrap() };
        assert_eq!((left, server.event_counts().accepted), (0, 1));
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    }
}

#[test]
fn shutdown_delivers() {
    let server = server();
    let client = started(&server, r#", "event_flush_interval_ms": 3600000"#);
    for n in 0..100 {
        client.boolean("plain", &user(&format!("u{n}")), false);
    }
    assert_eq!(client.shutdown(LONG).unwrap(), 0);
    assert_eq!(server.event_counts().total, 100);
    assert_eq!(client.shutdown(LONG).unwrap(), 0);
    // Dropping does the same.
    let client = started(&server, r#", "event_flush_interval_ms": 3600000"#);
    client.boolean("plain", &user("dropped"), false);
    drop(client);
    assert_eq!(server.event_counts().total, 101);
}

#[test]
fn the_sink() {
    let server = server();
    let client = started(&server, r#", "event_sink": true, "event_batch_size": 3"#);
    for n in 0..8 {
        client.boolean("plain", &user(&format!("u{n}")), false);
    }
    let mut users = HashSet::new();
    while users.len() < 7 {
        match client.next_item(LONG).unwrap() {
            Some(Item::Event { json }) => {
                let event: Value = serde_json::from_str(&json).unwrap();
                assert_eq!(event["event"], "$experiment_started");
                assert_eq!(event["properties"]["token"], "T0KEN");
                users.insert(event["properties"]["distinct_id"].to_string());
            }
            other => panic!("{other:?}"),
        }
    }
    // Events that are not pulled keep waiting, even after shutdown.
    assert_eq!(client.flush(Duration::from_millis(50)).unwrap(), 1);
    assert_eq!(client.shutdown(Duration::from_millis(100)).unwrap(), 0);
    assert_eq!(server.requests().requests.len(), 0);
    assert_eq!(statistics(&client)["queue_length"], json!(1));
    assert!(matches!(client.next_item(LONG).unwrap(), Some(Item::Event { .. })));
    assert_eq!(client.next_item(LONG).unwrap_err().kind(), ErrorKind::Closed);
    let statistics = statistics(&client);
    assert_eq!((&statistics["sent"], &statistics["dropped"]["shutdown"]), (&json!(8), &json!(0)));
}

/// A flag with one variant, which everybody gets; `more` adds members.
fn everybody(key: &str, context: &str, value: &str, more: &str) -> String {
    format!(
        r#"{{"key": "{key}", "context": "{context}" {more},
            "ruleset": {{"variants": [{{"key": "v", "value": {value}}}], "rollout": [{{"rollout_percentage": 1}}]}}}}"#
    )
}

fn document(flags: &[String]) -> String {
    format!("{{\"flags\": [{}]}}", flags.join(","))
}

/// A client that follows the server's definitions.
fn polling(server: &Server) -> Client {
    let config = format!(
        r#"{{"token": "T0KEN", "api_host": "{}", "polling_interval_ms": 50, "retry_base_ms": 10}}"#,
        server.url()
    );
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    client
}

/// Waits until the definitions are those that it holds for.
#[track_caller]
fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "the definitions did not arrive");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn context(json: &str) -> Context {
    Context::from_json(json).unwrap()
}

#[test]
fn an_experiment_that_starts_or_ends_makes_another_exposure() {
    let server = server();
    let flag = |more: &str| document(&[everybody("f", "distinct_id", "true", more)]);
    server.set_definitions(flag(""));
    let client = polling(&server);
    let evaluated = |id: Option<&str>, active: Option<bool>| {
        until(|| {
            let quiet = client.evaluate("f", &user("u1"), EvaluateOptions::new().without_exposure());
            (quiet.experiment_id(), quiet.is_experiment_active()) == (id, active)
        });
        for _ in 0..3 {
            assert!(client.boolean("f", &user("u1"), false));
            client.evaluate_json("f", r#"{"distinct_id": "u1"}"#, EvaluateOptions::new());
            // By hand it is the same exposure.
            let kept = client.evaluate("f", &user("u1"), EvaluateOptions::new().without_exposure());
            client.track_exposure(&kept).unwrap();
        }
        flushed(&client);
    };
    evaluated(None, None);
    server.set_definitions(flag(r#", "experiment_id": "e-1", "is_experiment_active": true"#));
    evaluated(Some("e-1"), Some(true));
    server.set_definitions(flag(r#", "experiment_id": "e-1", "is_experiment_active": false"#));
    evaluated(Some("e-1"), Some(false));
    server.set_definitions(flag(r#", "experiment_id": "e-2", "is_experiment_active": false"#));
    evaluated(Some("e-2"), Some(false));
    // As it was before: the first exposure is within its window.
    server.set_definitions(flag(""));
    evaluated(None, None);
    let experiments: Vec<(Value, Value)> = server
        .events()
        .iter()
        .map(|event| {
            let properties = &event.json["properties"];
            (properties["$experiment_id"].clone(), properties["$is_experiment_active"].clone())
        })
        .collect();
    assert_eq!(
        experiments,
        [
            (Value::Null, Value::Null),
            (json!("e-1"), json!(true)),
            (json!("e-1"), json!(false)),
            (json!("e-2"), json!(false))
        ]
    );
}

#[test]
fn what_was_bucketed_belongs_to_the_exposure() {
    let server = server();
    let client = started(&server, "");
    let exposures = |json: &str, count: u64| {
        server.clear_events();
        for _ in 0..3 {
            assert!(client.boolean("by-company", &context(json), false));
            client.evaluate_json("by-company", json, EvaluateOptions::new());
            let kept = client.evaluate_json("by-company", json, EvaluateOptions::new().without_exposure());
            client.track_exposure(&kept).unwrap();
            let all = client.evaluate_all(&context(json), EvaluateOptions::new());
            client.track_exposure(all.get("by-company").unwrap()).unwrap();
        }
        flushed(&client);
        assert_eq!(server.event_counts().total, count, "{json}");
    };
    exposures(r#"{"distinct_id": "u1", "company": "acme"}"#, 1);
    exposures(r#"{"distinct_id": "u1", "company": "initech"}"#, 1);
    exposures(r#"{"distinct_id": "u1", "company": 7}"#, 1);
    // The text is what is bucketed.
    exposures(r#"{"company": "7", "distinct_id": "u1"}"#, 0);
    exposures(r#"{"distinct_id": "u2", "company": "acme"}"#, 1);
    exposures(r#"{"distinct_id": "u1", "company": "acme", "custom_properties": {"plan": "pro"}}"#, 0);
    // What the flag does not bucket by is nothing to it.
    server.clear_events();
    for company in ["acme", "initech"] {
        client.boolean(
            "plain",
            &context(&format!(r#"{{"distinct_id": "u1", "company": "{company}"}}"#)),
            false,
        );
    }
    flushed(&client);
    assert_eq!(server.event_counts().total, 1);
}

#[test]
fn the_key_that_is_bucketed_by_belongs_to_the_exposure() {
    let server = server();
    let flag = |key: &str| document(&[everybody("f", key, "true", "")]);
    server.set_definitions(flag("team"));
    let client = polling(&server);
    let one = context(r#"{"distinct_id": "u1", "team": "x", "company": "x"}"#);
    assert!(client.boolean("f", &one, false));
    server.set_definitions(flag("company"));
    until(|| !client.boolean("f", &context(r#"{"distinct_id": "u1", "team": "x"}"#), false));
    assert!(client.boolean("f", &one, false));
    flushed(&client);
    assert_eq!(server.event_counts().total, 2);
}

#[test]
fn a_tester_mark_belongs_to_the_exposure() {
    let server = server();
    let flag = |users: &str| {
        format!(
            r#"{{"flags": [{{"key": "f", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "v", "value": true}}],
                "rollout": [{{"rollout_percentage": 1}}], "test": {{"users": {users}}}}}}}]}}"#
        )
    };
    server.set_definitions(flag("{}"));
    let client = polling(&server);
    for (users, tester) in [("{}", false), (r#"{"u1": "v"}"#, true), ("{}", false)] {
        server.set_definitions(flag(users));
        until(|| {
            client.evaluate("f", &user("u1"), EvaluateOptions::new().without_exposure()).is_qa_tester()
                == tester
        });
        client.boolean("f", &user("u1"), false);
        client
            .track_exposure(&client.evaluate("f", &user("u1"), EvaluateOptions::new().without_exposure()))
            .unwrap();
        flushed(&client);
    }
    let marks: Vec<Value> =
        server.events().iter().map(|event| event.json["properties"]["$is_qa_tester"].clone()).collect();
    assert_eq!(marks, [json!(false), json!(true)]);
}

#[test]
fn a_read_of_the_wrong_type_is_no_exposure() {
    let server = server();
    let flags = [
        everybody("boolean", "distinct_id", "true", ""),
        everybody("text", "distinct_id", "\"x\"", ""),
        everybody("integer", "distinct_id", "7", ""),
        everybody("double", "distinct_id", "0.5", ""),
        everybody("object", "distinct_id", "{\"a\": 1}", ""),
        everybody("array", "distinct_id", "[1]", ""),
        everybody("null", "distinct_id", "null", ""),
    ];
    let config = format!(
        r#"{{"token": "T0KEN", "api_host": "{}", "enable_polling": false, "definitions": {}}}"#,
        server.url(),
        document(&flags)
    );
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    client.start().unwrap();
    let keys = ["boolean", "text", "integer", "double", "object", "array", "null"];
    let wrong = |wanted: ValueType, fits: &[&str]| {
        for (n, key) in keys.iter().filter(|key| !fits.contains(key)).enumerate() {
            let id = format!("{wanted}-{key}-{n}");
            let json = format!(r#"{{"distinct_id": "{id}"}}"#);
            match wanted {
                ValueType::Boolean => assert!(client.boolean(key, &user(&id), true)),
                ValueType::Integer => assert_eq!(client.integer(key, &user(&id), -1), -1),
                ValueType::Double => assert_eq!(client.double(key, &user(&id), -1.5), -1.5),
                ValueType::String => assert_eq!(client.string(key, &user(&id), "mine"), "mine"),
                _ => {}
            }
            let ask = EvaluateOptions::new().value_type(wanted);
            for evaluation in [client.evaluate(key, &user(&id), ask), client.evaluate_json(key, &json, ask)] {
                assert_eq!(evaluation.error_code(), Some(mpflags::ErrorCode::TypeMismatch), "{key} {wanted}");
                let error = client.track_exposure(&evaluation).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert_eq!(
                    error.to_string(),
                    format!(
                        "flag `{key}`: the variant's value has another type than the one asked for, and the default was \
                         shown, so there is no exposure"
                    )
                );
            }
            let json = mpflags::unversioned::Encoded::Json(&json);
            mpflags::unversioned::evaluate_packed(&client, key, json, ask);
        }
    };
    wrong(ValueType::Boolean, &["boolean"]);
    wrong(ValueType::String, &["text"]);
    wrong(ValueType::Integer, &["integer"]);
    wrong(ValueType::Double, &["integer", "double"]);
    wrong(ValueType::Object, &["object", "array", "null"]);
    wrong(ValueType::ObjectOrArray, &["object", "array"]);
    flushed(&client);
    assert_eq!(names(&server.events()), [""; 0]);
    // The right type is one, and so is a read of any.
    assert!(client.boolean("boolean", &user("u1"), false));
    assert_eq!(client.integer("integer", &user("u1"), -1), 7);
    assert_eq!(client.double("integer", &user("u2"), -1.0), 7.0);
    assert_eq!(client.string("text", &user("u1"), ""), "x");
    client.evaluate("object", &user("u1"), EvaluateOptions::new().value_type(ValueType::Object));
    client.evaluate("null", &user("u1"), EvaluateOptions::new());
    flushed(&client);
    assert_eq!(server.event_counts().total, 6);
}

#[test]
fn an_event_without_a_user_needs_a_device() {
    let server = server();
    let client = started(&server, "");
    client.track("Opened", "", r#"{"$device_id": "d-1"}"#).unwrap();
    for properties in ["", "{}", r#"{"$device_id": ""}"#, r#"{"$device_id": 7}"#, r#"{"$device_id": null}"#] {
        let error = client.track("Opened", "", properties).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(
            error.to_string(),
            "event `Opened`: distinct_id: expected a non-empty string; an event without a user needs a `$device_id` \
             among its properties, a non-empty string",
            "{properties}"
        );
    }
    let error = client.people_update("$set", "", "{}").unwrap_err();
    assert_eq!(error.to_string(), "distinct_id: expected a non-empty string");
    flushed(&client);
    let events = server.events();
    assert_eq!(events.len(), 1);
    let properties = &events[0].json["properties"];
    assert_eq!((&properties["distinct_id"], &properties["$device_id"]), (&json!(""), &json!("d-1")));
    assert!(events[0].rejected.is_none());
}

#[test]
fn a_time_that_mixpanel_would_refuse_is_refused_at_once() {
    let service_account =
        r#", "service_account": {"username": "user", "secret": "S3CRET", "project_id": "77"}"#;
    for account in ["", service_account] {
        let server = Server::start(Options::default()).unwrap();
        let client = started(&server, account);
        for time in [
            "\"yesterday\"",
            "\"2026-07-16\"",
            "\"2026-07-16T00:00:00\"",
            "\"1700000000\"",
            "\"\"",
            "null",
            "true",
            "{}",
            "[1700000000]",
            "-1",
            "0",
            "31535999",
            // Microseconds, and nanoseconds.
            "1700000000000000",
            "1700000000000000000",
            "1e300",
            "\"1969-07-20T20:17:40Z\"",
        ] {
            let error = client.track("E", "u", &format!(r#"{{"a": 1, "time": {time}}}"#)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert_eq!(
                error.to_string(),
                "event `E`: properties: time: expected seconds or milliseconds since 1970 as a number, or RFC 3339 as in \
                 2026-01-31T12:00:00Z, from 1971 on",
                "{time}"
            );
        }
        // What was given, and what is sent.
        let good = [
            ("1700000000", "1700000000"),
            ("1700000000.25", "1700000000.25"),
            ("1700000000123", "1700000000123"),
            ("\"2023-11-14T22:13:20Z\"", "1700000000000"),
            ("\"2023-11-15T00:13:20.1239+02:00\"", "1700000000123"),
            ("\"1971-01-01t00:00:00.5z\"", "31536000500"),
        ];
        for (given, _) in good {
            client.track("E", "u", &format!(r#"{{"time": {given}}}"#)).unwrap();
        }
        flushed(&client);
        let events = server.events();
        let mut sent: Vec<String> =
            events.iter().map(|event| event.json["properties"]["time"].to_string()).collect();
        let mut want: Vec<&str> = good.iter().map(|(_, want)| *want).collect();
        sent.sort();
        want.sort_unstable();
        assert_eq!(sent, want);
        assert!(events.iter().all(|event| event.rejected.is_none()), "{events:?}");
        assert_eq!(statistics(&client)["dropped"]["rejected"], 0);
    }
}

#[test]
fn an_insert_id_that_mixpanel_would_refuse_is_refused_at_once() {
    let server = server();
    let client = started(&server, "");
    let long = format!("\"{}\"", "a".repeat(37));
    for id in ["\"\"", "7", "null", "true", "[]", "{}", "\"a b\"", "\"a_b\"", "\"é\"", &long] {
        let error = client.track("E", "u", &format!(r#"{{"$insert_id": {id}}}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(
            error.to_string(),
            "event `E`: properties: $insert_id: expected a string of 1 to 36 ASCII letters, digits or `-`",
            "{id}"
        );
    }
    for id in ["a", &"Z9-".repeat(12)] {
        client.track("E", "u", &format!(r#"{{"$insert_id": "{id}"}}"#)).unwrap();
    }
    flushed(&client);
    let sent = insert_ids(&server.events());
    assert_eq!(sent, HashSet::from(["a".to_owned(), "Z9-".repeat(12)]));
}
