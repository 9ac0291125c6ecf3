//! The client against a real server that fails in every way a server can. For each fault: the evaluations, the state and
//! the items meanwhile, and the recovery.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mpflags::{
    Client, Config, Context, ErrorCode, ErrorKind, EvaluateOptions, Item, Level, State, ValueType,
};
use mpflags_dev::{Fault, Kind, Options, RetryAfter, Server};

const PATH: &str = "/flags/definitions";
const LONG: Duration = Duration::from_secs(10);

fn flag(key: &str, value: &str) -> String {
    format!(
        r#"{{"key": "{key}", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "v", "value": {value}}}],
            "rollout": [{{"rollout_percentage": 1.0}}]}}}}"#
    )
}

fn document(flags: &[String]) -> String {
    format!("{{\"flags\": [{}]}}", flags.join(","))
}

fn one(value: &str) -> String {
    document(&[flag("f", value)])
}

fn serve(document: &str) -> Server {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(document);
    server
}

/// A client with polls and retries of 50 ms at most; `more` adds to its configuration.
fn client(server: &Server, more: &str) -> Client {
    let comma = if more.is_empty() { "" } else { "," };
    let config = format!(
        r#"{{"token": "T0KEN", "api_host": "{}", "polling_interval_ms": 50, "retry_base_ms": 10, "log_level": "warning"
            {comma} {more}}}"#,
        server.url()
    );
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

/// Where the responses of `server` are from.
fn place(server: &Server) -> String {
    format!("{}{PATH}", server.addr())
}

fn started(server: &Server, more: &str) -> Client {
    let client = client(server, more);
    client.start().unwrap();
    client
}

fn ready(server: &Server, more: &str) -> Client {
    let client = started(server, more);
    client.wait_ready(LONG).unwrap();
    client
}

fn user() -> Context {
    Context::from_json(r#"{"distinct_id": "u1"}"#).unwrap()
}

fn value(client: &Client) -> i64 {
    client.integer("f", &user(), -1)
}

/// Waits for what comes by itself; the deadline only ends a broken test.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Pulls items until the wanted state; gives back all of them.
#[track_caller]
fn items_until(client: &Client, state: State) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        let item = client.next_item(LONG).unwrap().unwrap_or_else(|| panic!("no {state} among {items:?}"));
        items.push(item);
        if matches!(items.last(), Some(Item::State { state: seen, .. }) if *seen == state) {
            return items;
        }
    }
}

fn logs(items: &[Item]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Log { message, .. } => Some(message.as_str()),
            _ => None,
        })
        .collect()
}

fn message_of(items: &[Item]) -> &str {
    match items.last() {
        Some(Item::State { message, .. }) => message.as_deref().unwrap_or(""),
        other => panic!("{other:?}"),
    }
}

fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("mpflags-{}-{n}-{name}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn fetch_and_poll() {
    let server = serve(&one("1"));
    let client = ready(&server, "");
    assert_eq!((client.state(), value(&client)), (State::Ready, 1));
    let items = items_until(&client, State::Ready);
    assert_eq!(items.len(), 1, "{items:?}");

    server.set_definitions(document(&[flag("f", "2"), flag("g", "1")]));
    assert_eq!(
        client.next_item(LONG).unwrap(),
        Some(Item::Change { keys: vec!["f".to_owned(), "g".to_owned()] })
    );
    assert_eq!(value(&client), 2);

    server.set_definitions(document(&[flag("g", "1")]));
    assert_eq!(client.next_item(LONG).unwrap(), Some(Item::Change { keys: vec!["f".to_owned()] }));
    assert_eq!(
        client.evaluate("f", &user(), EvaluateOptions::new()).error_code(),
        Some(ErrorCode::FlagNotFound)
    );
    client.shutdown(LONG).unwrap();
}

#[test]
fn the_request() {
    let server = serve(&one("1"));
    let client = ready(&server, r#""wrapper": "python/0.1""#);
    let seen = server.wait_requests(2, LONG);
    let (first, second) = (&seen.requests[0], &seen.requests[1]);
    assert_eq!((first.method.as_str(), first.path.as_str()), ("GET", PATH));
    let query: Vec<(&str, &str)> = first.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        query,
        [("lib_version", env!("CARGO_PKG_VERSION")), ("mp_lib", "mpflags"), ("token", "T0KEN")]
    );
    assert_eq!(first.headers["authorization"], "Basic VDBLRU46");
    assert_eq!(first.headers["accept-encoding"], "gzip");
    assert_eq!(first.headers["user-agent"], concat!("mpflags/", env!("CARGO_PKG_VERSION"), " python/0.1"));
    let trace = &first.headers["traceparent"];
    assert!(trace.len() == 55 && trace.starts_with("00-") && trace.ends_with("-01"), "{trace}");
    assert_ne!(*trace, second.headers["traceparent"]);
    assert!(!first.headers.contains_key("if-none-match"));
    assert_eq!(second.status, Some(304));
    assert_eq!(seen.connections_opened, 1, "the connection is kept");
    client.shutdown(LONG).unwrap();
}

#[test]
fn service_account() {
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
    server.set_definitions(one("1"));
    let account = r#""service_account": {"username": "user", "secret": "S3CRET", "project_id": "77"}"#;
    let client = ready(&server, account);
    assert_eq!(value(&client), 1);
    let request = &server.requests().requests[0];
    assert_eq!(request.headers["authorization"], "Basic dXNlcjpTM0NSRVQ=");
    assert_eq!(request.query["project_id"], "77");
}

#[test]
fn not_modified_keeps_the_set_and_tells_nothing() {
    let server = serve(&one("1"));
    let client = ready(&server, "");
    server.wait_requests(5, LONG);
    client.next_item(LONG).unwrap();
    assert_eq!(client.next_item(Duration::ZERO).unwrap(), None);
    let statuses: Vec<_> = server.requests().requests.iter().filter_map(|r| r.status).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    assert_eq!((client.state(), value(&client)), (State::Ready, 1));
}

#[test]
fn the_same_content_is_no_change() {
    let server = serve(&one("1"));
    let client = ready(&server, "");
    client.next_item(LONG).unwrap();
    // Other bytes and another ETag, the same flags.
    server.set_definitions(one("1").replace("\"key\": \"f\"", "\"name\": \"renamed\", \"key\": \"f\""));
    server.clear_requests();
    server.wait_requests(3, LONG);
    assert_eq!(client.next_item(Duration::ZERO).unwrap(), None);
}

/// What a fault does to a client that holds nothing, and to one that holds definitions.
struct Case {
    name: &'static str,
    fault: fn() -> Fault,
    /// Part of the message that evaluations and the stale state carry.
    says: &'static str,
}

impl Case {
    /// Short only where the time is what ends the request: a busy machine may need seconds to unpack a bomb.
    fn options(&self) -> &'static str {
        if self.says == "timed out" {
            r#""request_timeout_ms": 300"#
        } else {
            r#""request_timeout_ms": 30000"#
        }
    }
}

fn status(status: u16) -> Fault {
    Fault { status: Some(status), ..Fault::new(PATH, Kind::Status) }
}

const CASES: &[Case] = &[
    Case { name: "500", fault: || status(500), says: "HTTP 500" },
    Case { name: "503", fault: || status(503), says: "HTTP 503" },
    Case { name: "408", fault: || status(408), says: "HTTP 408" },
    Case { name: "404", fault: || status(404), says: "HTTP 404" },
    Case { name: "204", fault: || status(204), says: "HTTP 204" },
    Case { name: "302", fault: || status(302), says: ": redirects are not followed" },
    Case {
        name: "garbage",
        fault: || Fault::new(PATH, Kind::Garbage),
        says: "/flags/definitions: not a definitions document: expected value",
    },
    Case {
        name: "html",
        fault: || Fault {
            status: Some(200),
            body: Some("<html>Sign in</html>".into()),
            ..Fault::new(PATH, Kind::Status)
        },
        says: "/flags/definitions: not a definitions document",
    },
    Case {
        name: "no flags",
        fault: || Fault { status: Some(200), body: Some("{}".into()), ..Fault::new(PATH, Kind::Status) },
        says: "/flags/definitions: not a definitions document: flags: required",
    },
    Case {
        name: "null flags",
        fault: || Fault {
            status: Some(200),
            body: Some("{\"flags\": null}".into()),
            ..Fault::new(PATH, Kind::Status)
        },
        says: "/flags/definitions: not a definitions document: expected an array of flags, found null",
    },
    Case {
        name: "empty body",
        fault: || Fault { status: Some(200), body: Some("".into()), ..Fault::new(PATH, Kind::Status) },
        says: "/flags/definitions: not a definitions document: EOF",
    },
    Case {
        name: "cut in the head",
        fault: || Fault { at_byte: Some(20), ..Fault::new(PATH, Kind::Cut) },
        says: "the connection was closed before the response was complete",
    },
    Case {
        name: "cut in the body",
        fault: || Fault { at_body_byte: Some(10), ..Fault::new(PATH, Kind::Cut) },
        says: "the connection was closed before the response was complete",
    },
    Case { name: "reset", fault: || Fault::new(PATH, Kind::Reset), says: "connection reset" },
    Case { name: "hang", fault: || Fault::new(PATH, Kind::Hang), says: "timed out" },
    Case {
        name: "slow loris",
        fault: || Fault { bytes_per_second: Some(20), ..Fault::new(PATH, Kind::SlowLoris) },
        says: "timed out",
    },
    Case {
        name: "gzip bomb",
        fault: || Fault { decoded_bytes: Some(200 << 20), ..Fault::new(PATH, Kind::GzipBomb) },
        says: "larger than 67108864 bytes",
    },
];

#[test]
fn faults_with_nothing_held() {
    for case in CASES {
        let server = serve(&one("1"));
        server.set_faults(vec![(case.fault)()]).unwrap();
        let client = started(&server, case.options());
        until(case.name, || {
            let evaluation = client.evaluate("f", &user(), EvaluateOptions::new());
            assert_eq!(evaluation.error_code(), Some(ErrorCode::ProviderNotReady), "{}", case.name);
            let message = evaluation.message().unwrap();
            message != "no definitions have been fetched yet" && message.contains(case.says)
        });
        let error = client.wait_ready(Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{}", case.name);
        assert_eq!((value(&client), client.state()), (-1, State::NotReady), "{}", case.name);
        server.clear_faults();
        client.wait_ready(LONG).unwrap();
        let items = items_until(&client, State::Ready);
        let logged = logs(&items);
        assert!(logged.iter().any(|line| line.contains(case.says)), "{}: {logged:?}", case.name);
        assert!(logged.iter().all(|line| !line.contains("T0KEN")), "{}: {logged:?}", case.name);
        assert_eq!(value(&client), 1, "{}", case.name);
        client.shutdown(LONG).unwrap();
    }
}

#[test]
fn faults_with_definitions_held() {
    for case in CASES {
        let server = serve(&one("1"));
        let client = ready(&server, case.options());
        items_until(&client, State::Ready);
        server.set_faults(vec![(case.fault)()]).unwrap();
        let items = items_until(&client, State::Stale);
        assert!(message_of(&items).contains(case.says), "{}: {items:?}", case.name);
        assert_eq!((value(&client), client.state()), (1, State::Stale), "{}", case.name);
        client.wait_ready(Duration::ZERO).unwrap();
        server.set_definitions(one("2"));
        server.clear_faults();
        items_until(&client, State::Ready);
        until(case.name, || value(&client) == 2);
        client.shutdown(LONG).unwrap();
    }
}

#[test]
fn stale_takes_three_failures_in_a_row() {
    let server = serve(&one("1"));
    let client = ready(&server, "");
    items_until(&client, State::Ready);
    server.set_faults(vec![Fault { times: Some(2), ..status(500) }]).unwrap();
    server.clear_requests();
    server.wait_requests(4, LONG);
    let items: Vec<Item> = std::iter::from_fn(|| client.next_item(Duration::ZERO).unwrap()).collect();
    let logged = format!("fetching definitions failed: HTTP 500 from {}", place(&server));
    assert_eq!(logs(&items), [logged], "logged once");
    assert_eq!(client.state(), State::Ready);
}

#[test]
fn refused() {
    let server = serve(&one("1"));
    let client = ready(&server, "");
    items_until(&client, State::Ready);
    server.stop().unwrap();
    let items = items_until(&client, State::Stale);
    assert_eq!(message_of(&items), format!("{}: connection refused; check api_host", server.addr()));
    assert_eq!(value(&client), 1);
    server.restart_after(Duration::ZERO).unwrap();
    items_until(&client, State::Ready);
}

/// The message of a response with this status.
fn refusal(server: &Server, code: u16) -> String {
    let from = place(server);
    format!(
        "Mixpanel refused the credentials: HTTP {code} from {from}: Injected fault; \
         check token, service_account and api_host"
    )
}

#[test]
fn credentials_refused_with_nothing_held() {
    for code in [401, 403] {
        let server = serve(&one("1"));
        server.set_faults(vec![status(code)]).unwrap();
        let client = started(&server, "");
        let logged = refusal(&server, code);
        let error = client.wait_ready(LONG).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::CredentialsRefused, logged.clone()));
        let items = items_until(&client, State::Error);
        assert_eq!(message_of(&items), logged);
        let evaluation = client.evaluate("f", &user(), EvaluateOptions::new());
        assert_eq!(evaluation.error_code(), Some(ErrorCode::ProviderFatal));
        assert_eq!(evaluation.message(), Some(logged.as_str()));
        assert_eq!(client.state(), State::Error);
        // A repaired credential heals without a restart.
        server.clear_faults();
        items_until(&client, State::Ready);
        assert_eq!(value(&client), 1);
    }
}

#[test]
fn credentials_refused_with_definitions_held() {
    for code in [401, 403] {
        let server = serve(&one("1"));
        let client = ready(&server, "");
        items_until(&client, State::Ready);
        server.set_faults(vec![Fault { times: Some(1), ..status(code) }]).unwrap();
        let items = items_until(&client, State::Stale);
        assert_eq!(message_of(&items), refusal(&server, code));
        assert_eq!(value(&client), 1);
        items_until(&client, State::Ready);
    }
}

#[test]
fn refused_credentials_are_tried_at_the_plain_interval() {
    let server = serve(&one("1"));
    server.set_faults(vec![status(401)]).unwrap();
    let config = format!(
        r#"{{"token": "T0KEN", "api_host": "{}", "polling_interval_ms": 400, "retry_base_ms": 10}}"#,
        server.url()
    );
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    client.start().unwrap();
    let seen = server.wait_requests(3, LONG);
    let gap = seen.requests[2].at - seen.requests[1].at;
    // The interval less a tenth of jitter, and a little for the server's clock.
    assert!(gap >= Duration::from_millis(350), "{gap:?}");
    drop(client);
}

#[test]
fn retry_after() {
    let server = serve(&one("1"));
    let seconds = Fault { retry_after: Some(RetryAfter::Seconds(1)), times: Some(1), ..status(429) };
    server.set_faults(vec![seconds]).unwrap();
    let client = started(&server, "");
    let seen = server.wait_requests(2, LONG);
    let gap = seen.requests[1].at - seen.requests[0].at;
    assert!(gap >= Duration::from_millis(995), "{gap:?}");
    client.wait_ready(LONG).unwrap();
    client.shutdown(LONG).unwrap();

    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3));
    let dated = Fault { retry_after: Some(RetryAfter::Text(date)), times: Some(1), ..status(503) };
    server.set_faults(vec![dated]).unwrap();
    server.clear_requests();
    let client = started(&server, "");
    let seen = server.wait_requests(2, LONG);
    let gap = seen.requests[1].at - seen.requests[0].at;
    // Dates have whole seconds.
    assert!(gap >= Duration::from_millis(1500), "{gap:?}");
    drop(client);
}

#[test]
fn shutdown_interrupts_a_wait_and_a_request() {
    let server = serve(&one("1"));
    let after = Fault { retry_after: Some(RetryAfter::Seconds(500)), ..status(429) };
    for fault in [after, Fault::new(PATH, Kind::Hang)] {
        server.set_faults(vec![fault]).unwrap();
        server.clear_requests();
        let client = started(&server, "");
        server.wait_requests(1, LONG);
        let before = Instant::now();
        client.shutdown(LONG).unwrap();
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    }
}

#[test]
fn the_initialisation_time() {
    let server = serve(&one("1"));
    server.set_faults(vec![status(500)]).unwrap();
    let client = started(&server, r#""init_timeout_ms": 1500"#);
    let items = items_until(&client, State::Error);
    assert_eq!(message_of(&items), format!("HTTP 500 from {}", place(&server)));
    let evaluation = client.evaluate("f", &user(), EvaluateOptions::new());
    assert_eq!(evaluation.error_code(), Some(ErrorCode::ProviderNotReady));
    let message = format!("no definitions have been fetched yet: HTTP 500 from {}", place(&server));
    assert_eq!(evaluation.message(), Some(message.as_str()));
    server.clear_faults();
    items_until(&client, State::Ready);
    assert_eq!(value(&client), 1);
}

#[test]
fn one_bad_flag_among_good_ones() {
    let nested = "{\"!\":".repeat(200) + "1" + &"}".repeat(200);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let rule = |rule: &str| {
        flag("bad", "1").replace(
            "\"rollout_percentage\": 1.0",
            &format!("\"rollout_percentage\": 1.0, \"runtime_evaluation_rule\": {rule}"),
        )
    };
    for (bad, why) in [
        (flag("bad", "1e400"), "flag `bad`: ruleset.variants[0].value: number out of range"),
        (flag("bad", r#""\ud800""#), "flag `bad`: ruleset.variants[0].value: unexpected end of hex escape"),
        (
            rule(&nested),
            "flag `bad`: ruleset.rollout[0].runtime_evaluation_rule: more than 64 nested operators",
        ),
        (rule(&deep), "flag `bad`: ruleset.rollout[0].runtime_evaluation_rule: more than"),
        (
            flag("bad", "1").replace("1.0", "true"),
            "flag `bad`: ruleset.rollout[0].rollout_percentage: expected a number, found a boolean",
        ),
        (r#"{"key": "bad"}"#.to_owned(), "flag `bad`: context: required"),
        ("5".to_owned(), "flags[1]: expected an object, found a number"),
    ] {
        let server = serve(&document(&[flag("f", "1"), bad, flag("g", "2")]));
        let client = ready(&server, "");
        let items = items_until(&client, State::Ready);
        assert_eq!(client.state(), State::Ready);
        let item = client.next_item(LONG).unwrap();
        let Some(Item::Log { level: Level::Warning, message }) = &item else { panic!("{items:?} {item:?}") };
        assert!(message.starts_with(why), "want {why}\n got {message}");
        assert!(message.ends_with("; it is ignored"), "{message}");
        assert_eq!((value(&client), client.integer("g", &user(), 0)), (1, 2), "{why}");
        let evaluation = client.evaluate("bad", &user(), EvaluateOptions::new());
        if why.starts_with("flag ") {
            assert_eq!(evaluation.error_code(), Some(ErrorCode::ParseError));
            assert!(evaluation.message().unwrap().starts_with(why));
        } else {
            assert_eq!(evaluation.error_code(), Some(ErrorCode::FlagNotFound));
        }
    }
}

#[test]
fn a_byte_that_is_no_utf8_spoils_one_flag() {
    let server = serve("");
    let mut bytes = document(&[flag("bad", "\"?\""), flag("f", "1")]).into_bytes();
    let at = bytes.iter().position(|b| *b == b'?').unwrap();
    bytes[at] = 0xff;
    server.set_definitions(bytes);
    let client = ready(&server, "");
    assert_eq!(value(&client), 1);
    assert_eq!(
        client.evaluate("bad", &user(), EvaluateOptions::new()).error_code(),
        Some(ErrorCode::ParseError)
    );
}

#[test]
fn the_last_good_version_stays() {
    let server = serve(&document(&[flag("f", "1"), flag("g", "1")]));
    let client = ready(&server, "");
    items_until(&client, State::Ready);
    server.set_definitions(document(&[flag("f", "2").replace("1.0", "\"all\""), flag("g", "2")]));
    let items: Vec<Item> = (0..2).map(|_| client.next_item(LONG).unwrap().unwrap()).collect();
    assert_eq!(logs(&items).len(), 1, "{items:?}");
    assert!(logs(&items)[0].ends_with("; its last good version stays in service"), "{items:?}");
    assert_eq!(items[1], Item::Change { keys: vec!["g".to_owned()] });
    assert_eq!((value(&client), client.integer("g", &user(), 0)), (1, 2));
    // The same fault is not logged again, and the repaired flag is in use.
    server.set_definitions(one("3"));
    until("repaired", || value(&client) == 3);
}

#[test]
fn an_empty_document_is_a_document() {
    let server = serve(&one("1"));
    let client = ready(&server, "");
    items_until(&client, State::Ready);
    server.set_definitions("{\"flags\": []}");
    assert_eq!(client.next_item(LONG).unwrap(), Some(Item::Change { keys: vec!["f".to_owned()] }));
    assert_eq!(
        client.evaluate("f", &user(), EvaluateOptions::new()).error_code(),
        Some(ErrorCode::FlagNotFound)
    );
    assert_eq!(client.state(), State::Ready);
}

#[test]
fn what_cannot_be_checked_locally_is_told_once() {
    let cohort =
        one("1").replace("\"rollout_percentage\"", "\"cohort_hash\": \"abc\", \"rollout_percentage\"");
    let server = serve(&cohort);
    let client = ready(&server, "");
    items_until(&client, State::Ready);
    let item = client.next_item(LONG).unwrap();
    let Some(Item::Log { message, .. }) = &item else { panic!("{item:?}") };
    assert_eq!(
        message,
        "flag `f`: ruleset.rollout[0].cohort_hash cannot be checked locally and does not restrict; remote evaluation honours it"
    );
    server.set_definitions(cohort.replace("\"value\": 1", "\"value\": 2"));
    assert_eq!(client.next_item(LONG).unwrap(), Some(Item::Change { keys: vec!["f".to_owned()] }));
    assert_eq!(client.next_item(Duration::from_millis(150)).unwrap(), None);
}

#[test]
fn every_field_that_cannot_be_checked_locally_is_named() {
    let definitions = r#"{"flags": [
        {"key": "f", "context": "distinct_id", "ruleset": {
            "variants": [{"key": "a", "is_sticky": false}, {"key": "b", "is_sticky": true}, {"key": "c", "is_sticky": null}],
            "rollout": [{"rollout_percentage": 1}, {"rollout_percentage": 1, "cohort_hash": "abc", "runtime_event_rule": {}}]}},
        {"key": "g", "context": "distinct_id", "ruleset": {
            "variants": [{"key": "a", "is_sticky": false}], "rollout": [{"rollout_percentage": 1}]}}]}"#;
    let config = format!(r#"{{"token": "t", "enable_polling": false, "definitions": {definitions}}}"#);
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    let Some(Item::Log { message, .. }) = client.next_item(Duration::ZERO).unwrap() else {
        panic!("nothing was logged")
    };
    assert_eq!(
        message,
        "flag `f`: ruleset.rollout[1].cohort_hash, ruleset.rollout[1].runtime_event_rule, ruleset.variants[1].is_sticky \
         cannot be checked locally and does not restrict; remote evaluation honours it"
    );
    assert_eq!(client.next_item(Duration::ZERO).unwrap(), None);
}

/// One warning per flag and operator, and restrictions by field; also in `statistics`, `explain` and the flag's metadata.
#[test]
fn what_is_unknown_is_said_when_it_is_loaded() {
    let flag = |key: &str, rollout: &str| {
        format!(
            r#"{{"key": "{key}", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "a", "value": 1}}], "rollout": [{rollout}]}}}}"#
        )
    };
    let ruled = |rule: &str| format!(r#"{{"rollout_percentage": 1, "runtime_evaluation_rule": {rule}}}"#);
    let geo = r#"{"geo_within": [{"var": "x"}, "eu"]}"#;
    let everybody = r#"{"rollout_percentage": 1}"#;
    let definitions = [
        flag("x", &format!("{}, {everybody}", ruled(geo))),
        flag("lazy", &ruled(&format!(r#"{{"or": [{{"==": [{{"var": "y"}}, 1]}}, {geo}]}}"#))),
        flag(
            "twice",
            &format!(
                "{}, {}",
                ruled(&format!(r#"{{"and": [{geo}, {geo}]}}"#)),
                ruled(&format!(r#"{{"!": {geo}}}"#))
            ),
        ),
        flag("body", &ruled(&format!(r#"{{"some": [{{"var": "x"}}, {geo}]}}"#))),
        flag(
            "cohort",
            r#"{"rollout_percentage": 1, "cohort_definition": {"id": 5}, "name": "n", "geo_filter": ["eu"]}"#,
        ),
        flag(
            "none",
            r#"{"rollout_percentage": 1, "cohort_definition": {}, "geo_filter": null, "cohort_id": 0, "x": 5}"#,
        ),
        flag("plain", &ruled(r#"{"==": [1, {"a": 1, "b": 2}]}"#)),
    ];
    let config = format!(
        r#"{{"token": "t", "enable_polling": false, "definitions": {{"flags": [{}]}}}}"#,
        definitions.join(", ")
    );
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    let mut lines = Vec::new();
    while let Some(Item::Log { level, message }) = client.next_item(Duration::ZERO).unwrap() {
        assert_eq!(level, Level::Warning);
        lines.push(message);
    }
    let unknown = |key: &str, what: &str, places: &str| {
        format!("flag `{key}`: unknown operator `geo_within`: {what}; a newer mpflags may know it ({places})")
    };
    assert_eq!(
        lines,
        [
            unknown("x", "this rollout never matches", "ruleset.rollout[0]"),
            unknown("lazy", "this rollout does not match when its rule reaches the operator", "ruleset.rollout[0]"),
            unknown("twice", "these rollouts never match", "ruleset.rollout[0], ruleset.rollout[1]"),
            unknown("body", "this rollout does not match when its rule reaches the operator", "ruleset.rollout[0]"),
            "flag `cohort`: ruleset.rollout[0].cohort_definition, ruleset.rollout[0].geo_filter cannot be checked locally and \
             does not restrict; remote evaluation honours it"
                .to_owned(),
        ]
    );
    // What the lines say is so.
    let user = Context::from_json(r#"{"distinct_id": "u", "custom_properties": {"y": 1}}"#).unwrap();
    let metadata = |key: &str| {
        let evaluation = client.evaluate(key, &user, EvaluateOptions::new());
        (evaluation.variant().map(str::to_owned), evaluation.metadata_json().to_owned())
    };
    let named =
        |names: &str| (Some("a".to_owned()), format!(r#"{{"unsupported":"{names}","contextId":"u"}}"#));
    assert_eq!(metadata("x"), named("geo_within"));
    assert_eq!(metadata("lazy"), named("geo_within"));
    assert_eq!(metadata("cohort"), named("cohort_definition, geo_filter"));
    assert_eq!(metadata("none"), (Some("a".to_owned()), r#"{"contextId":"u"}"#.to_owned()));
    assert_eq!(metadata("twice"), (None, "{}".to_owned()));
    let explained =
        |key: &str| serde_json::from_str::<serde_json::Value>(&client.explain(key, &user).unwrap()).unwrap();
    assert_eq!(explained("twice")["unsupported"], serde_json::json!(["geo_within"]));
    assert_eq!(explained("twice")["rollouts"][1]["rule"]["error"], "unknown operator");
    assert_eq!(explained("cohort")["unsupported"], serde_json::json!(["cohort_definition", "geo_filter"]));
    assert!(explained("none").get("unsupported").is_none());
    let statistics: serde_json::Value = serde_json::from_str(&client.statistics()).unwrap();
    assert_eq!(statistics["unsupported"]["count"], 5);
    assert_eq!(statistics["unsupported"]["flags"]["lazy"], serde_json::json!(["geo_within"]));
    assert!(statistics["unsupported"]["flags"].get("plain").is_none());
}

/// Names come from the document: many and long ones are cut.
#[test]
fn what_is_unknown_is_bounded() {
    let operators: Vec<String> =
        (0..100).map(|n| format!(r#"{{"op{n:03}\u001b{}": 1}}"#, "x".repeat(500))).collect();
    let flags: Vec<String> = (0..80)
        .map(|n| {
            format!(
                r#"{{"key": "f{n:02}", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "a"}}],
                    "rollout": [{{"rollout_percentage": 1, "runtime_evaluation_rule": [{}]}}, {{"rollout_percentage": 1}}]}}}}"#,
                operators.join(", ")
            )
        })
        .collect();
    let config = format!(
        r#"{{"token": "t", "enable_polling": false, "definitions": {{"flags": [{}]}}}}"#,
        flags.join(", ")
    );
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    let metadata = client.evaluate("f00", &user(), EvaluateOptions::new()).metadata_json().to_owned();
    assert!(
        metadata.len() < 1500
            && metadata.ends_with(", …\",\"contextId\":\"u1\"}")
            && !metadata.contains('\u{1b}'),
        "{metadata}"
    );
    let statistics: serde_json::Value = serde_json::from_str(&client.statistics()).unwrap();
    assert_eq!(statistics["unsupported"]["count"], 80);
    assert_eq!(statistics["unsupported"]["flags"].as_object().unwrap().len(), 64);
}

/// A warning is about a flag and an operator: it comes once, and again for another operator.
#[test]
fn what_is_unknown_is_said_once() {
    let ruled = |operator: &str, value: u32| {
        one(&value.to_string()).replace(
            "\"rollout_percentage\"",
            &format!("\"runtime_evaluation_rule\": {{\"{operator}\": 1}}, \"rollout_percentage\""),
        )
    };
    let server = serve(&ruled("geo_within", 1));
    let client = ready(&server, "");
    items_until(&client, State::Ready);
    let next = || client.next_item(LONG).unwrap();
    let is_about = |item: &Option<Item>, operator: &str| matches!(item, Some(Item::Log { message, .. }) if message.contains(operator));
    assert!(is_about(&next(), "unknown operator `geo_within`"));
    server.set_definitions(ruled("geo_within", 2));
    assert_eq!(next(), Some(Item::Change { keys: vec!["f".to_owned()] }));
    server.set_definitions(ruled("other_new", 2));
    let (first, second) = (next(), next());
    assert!(is_about(&first, "`other_new`") || is_about(&second, "`other_new`"), "{first:?} {second:?}");
    assert_eq!(client.next_item(Duration::from_millis(150)).unwrap(), None);
}

#[test]
fn bootstrap() {
    let server = serve(&one("2"));
    let bootstrap = format!("\"definitions\": {}", one("1"));
    let early = client(&server, &bootstrap);
    assert_eq!((early.state(), value(&early)), (State::Ready, 1));
    early.wait_ready(Duration::ZERO).unwrap();
    early.start().unwrap();
    until("fetched", || value(&early) == 2);
    assert_eq!(early.next_item(LONG).unwrap(), Some(Item::Change { keys: vec!["f".to_owned()] }));

    server.clear_requests();
    let offline = client(&server, &format!("{bootstrap}, \"enable_polling\": false"));
    offline.start().unwrap();
    assert_eq!(value(&offline), 1);
    offline.shutdown(LONG).unwrap();
    drop(early);

    let path = folder("bootstrap").join("definitions.json");
    fs::write(&path, one("7")).unwrap();
    let from_file =
        client(&server, &format!("\"definitions_path\": \"{}\", \"enable_polling\": false", path.display()));
    assert_eq!(value(&from_file), 7);
}

#[test]
fn without_polling_one_successful_fetch() {
    let server = serve(&one("1"));
    server.set_faults(vec![Fault { times: Some(2), ..status(500) }]).unwrap();
    let client = ready(&server, "\"enable_polling\": false");
    assert_eq!(value(&client), 1);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.requests().requests.len(), 3);
    client.shutdown(LONG).unwrap();
}

#[test]
fn overrides() {
    let server = serve(&one("1"));
    let client = client(&server, r#""overrides": {"f": 9, "other": "x"}"#);
    // Before anything is ready.
    assert_eq!((value(&client), client.string("other", &user(), "")), (9, "x".to_owned()));
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    assert_eq!(value(&client), 9);
    let evaluation = client.evaluate("f", &user(), EvaluateOptions::new().value_type(ValueType::Boolean));
    assert_eq!(evaluation.message(), Some("expected boolean, the variant holds an integer"));
    client.clear_override("f");
    assert_eq!(value(&client), 1);
    client.set_override("f", "10").unwrap();
    assert_eq!(value(&client), 10);
    let error = client.set_override("f", "{").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().starts_with("override of `f`: "), "{error}");
    assert_eq!(value(&client), 10);
}

#[test]
fn warm_start() {
    let server = serve(&one("1"));
    let directory = folder("cache");
    let cached = format!("\"definitions_cache_dir\": \"{}\"", directory.display());
    drop(ready(&server, &cached));
    let file = fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(!name.contains("T0KEN") && !name.contains("127"), "{name}");

    server.set_faults(vec![status(500)]).unwrap();
    let client = ready(&server, &cached);
    assert_eq!((client.state(), value(&client)), (State::Stale, 1));
    let items = items_until(&client, State::Stale);
    let logged = format!("fetching definitions failed: HTTP 500 from {}", place(&server));
    assert_eq!(logs(&items), [logged], "before what follows from it");
    server.clear_faults();
    items_until(&client, State::Ready);
    // The cached ETag is asked with: nothing changed, so nothing was sent.
    let last = server.requests().requests.into_iter().rfind(|r| r.status == Some(304));
    assert!(last.is_some());
    drop(client);

    for torn in ["cut", "flipped", "old", "empty"] {
        let whole = {
            drop(ready(&server, &cached));
            fs::read(&file).unwrap()
        };
        let bytes = match torn {
            "cut" => whole[..whole.len() - 5].to_vec(),
            "flipped" => {
                whole.iter().enumerate().map(|(i, b)| if i + 9 == whole.len() { b ^ 1 } else { *b }).collect()
            }
            "old" => b"mpflags definitions 0\n".to_vec(),
            _ => Vec::new(),
        };
        fs::OpenOptions::new().write(true).truncate(true).open(&file).unwrap().write_all(&bytes).unwrap();
        server.set_faults(vec![status(500)]).unwrap();
        let client = started(&server, &cached);
        let line = loop {
            match client.next_item(LONG).unwrap() {
                Some(Item::Log { message, .. }) if message.contains("definitions_cache_dir") => {
                    break message;
                }
                Some(_) => {}
                None => panic!("{torn}: no line"),
            }
        };
        assert!(line.ends_with("it is damaged or of another format; it is ignored"), "{torn}: {line}");
        assert_eq!((client.state(), value(&client)), (State::NotReady, -1), "{torn}");
        server.clear_faults();
        client.wait_ready(LONG).unwrap();
        assert_eq!((client.state(), value(&client)), (State::Ready, 1), "{torn}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_told() {
    let server = serve(&one("1"));
    let file = folder("nowrite").join("file");
    fs::write(&file, "").unwrap();
    let client = ready(&server, &format!("\"definitions_cache_dir\": \"{}\"", file.join("below").display()));
    let item = client.next_item(LONG).unwrap();
    assert!(
        matches!(&item, Some(Item::Log { message, .. }) if message.starts_with("definitions_cache_dir: ")),
        "{item:?}"
    );
    assert_eq!(value(&client), 1);
}

#[test]
fn lifetimes() {
    let server = serve(&one("1"));
    let client = client(&server, "");
    let error = client.wait_ready(Duration::ZERO).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::InvalidArgument, "the client is not started")
    );
    assert_eq!(client.state(), State::NotReady);
    client.shutdown(LONG).unwrap();
    client.shutdown(LONG).unwrap();
    assert_eq!(client.next_item(LONG).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.wait_ready(LONG).unwrap_err().kind(), ErrorKind::Closed);
    client.start().unwrap();
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    assert_eq!(value(&client), 1);
    client.shutdown(LONG).unwrap();
    // What is held is still served.
    assert_eq!(value(&client), 1);
    server.set_definitions(one("2"));
    client.start().unwrap();
    until("restarted", || value(&client) == 2);
}

#[test]
fn shutdown_ends_waits_in_other_threads() {
    let server = serve(&one("1"));
    server.set_faults(vec![Fault::new(PATH, Kind::Hang)]).unwrap();
    let client = Arc::new(started(&server, ""));
    server.wait_requests(1, LONG);
    let waits: Vec<_> = [true, false]
        .into_iter()
        .map(|ready| {
            let client = client.clone();
            std::thread::spawn(move || {
                loop {
                    let ended =
                        if ready { client.wait_ready(LONG).err() } else { client.next_item(LONG).err() };
                    if let Some(error) = ended {
                        return error.kind();
                    }
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    let before = Instant::now();
    client.shutdown(LONG).unwrap();
    for wait in waits {
        assert_eq!(wait.join().unwrap(), ErrorKind::Closed);
    }
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_callback_takes_the_items() {
    let server = serve(&one("1"));
    let client = client(&server, "");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let theirs = seen.clone();
    client
        .on_item(Box::new(move |item| {
            assert_eq!(std::thread::current().name(), Some("mpflags-poll"));
            theirs.lock().unwrap().push(item);
        }))
        .unwrap();
    assert_eq!(client.on_item(Box::new(|_| {})).unwrap_err().kind(), ErrorKind::InvalidArgument);
    client.start().unwrap();
    assert_eq!(client.next_item(LONG).unwrap_err().kind(), ErrorKind::InvalidArgument);
    client.wait_ready(LONG).unwrap();
    server.set_definitions(one("2"));
    let change = Item::Change { keys: vec!["f".to_owned()] };
    until("the change", || seen.lock().unwrap().contains(&change));
    client.shutdown(LONG).unwrap();
    assert_eq!(Arc::strong_count(&seen), 1, "the callback is dropped");
    assert_eq!(*seen.lock().unwrap(), [Item::State { state: State::Ready, message: None }, change]);
}

#[test]
fn items_that_are_not_pulled_are_bounded() {
    let server = serve(&one("1"));
    let client = ready(&server, "");
    for n in 0..50 {
        server.set_definitions(document(&[flag("f", "1"), flag(&format!("g{n}"), "1")]));
        let key = format!("g{n}");
        let all = || client.evaluate_all(&user(), EvaluateOptions::new());
        until("the flag", || all().as_slice().iter().any(|flag| flag.key() == key));
    }
    // A poll reports its changes before the next one begins.
    server.clear_requests();
    until("another poll", || !server.requests().requests.is_empty());
    items_until(&client, State::Ready);
    let Some(Item::Change { keys }) = client.next_item(LONG).unwrap() else { panic!("no change") };
    assert_eq!(keys.len(), 50, "changes are merged");
    assert!(keys.is_sorted());
    assert_eq!(client.next_item(Duration::ZERO).unwrap(), None);
}

#[test]
fn evaluation_goes_on_while_definitions_are_swapped() {
    let server = serve(&one("1"));
    let client = Arc::new(ready(&server, ""));
    let stop = Arc::new(AtomicU32::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (client, stop) = (client.clone(), stop.clone());
            std::thread::spawn(move || {
                let user = user();
                let mut last = 0;
                while stop.load(Ordering::Relaxed) == 0 {
                    let value = client.integer("f", &user, -1);
                    assert!(value >= last, "{value} after {last}");
                    last = value;
                }
            })
        })
        .collect();
    for n in 2..20 {
        server.set_definitions(one(&n.to_string()));
        until("swapped", || value(&client) == n);
    }
    stop.store(1, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

/// What a health page needs.
#[test]
fn statistics_of_definitions() {
    let statistics =
        |client: &Client| -> serde_json::Value { serde_json::from_str(&client.statistics()).unwrap() };
    let server = serve(&document(&[flag("f", "1"), r#"{"key": "bad"}"#.to_owned()]));
    server.set_faults(vec![Fault { times: Some(1), ..status(500) }]).unwrap();
    let client = client(&server, "");
    let none = serde_json::json!({
        "flags": null, "malformed": {"count": 0, "reasons": []}, "etag": null, "last_poll": null, "age_ms": null, "cached_ms": null,
        "last_poll_error": null
    });
    let first = statistics(&client);
    assert_eq!((&first["state"], &first["definitions"]), (&serde_json::json!("NOT_READY"), &none));
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let ready = statistics(&client);
    let definitions = &ready["definitions"];
    assert_eq!((&ready["state"], definitions["flags"].as_u64()), (&serde_json::json!("READY"), Some(2)));
    let malformed =
        serde_json::json!({"count": 1, "reasons": ["flag `bad`: context: required; it is ignored"]});
    assert_eq!(definitions["malformed"], malformed);
    assert!(definitions["etag"].as_str().unwrap().starts_with('"'), "{definitions}");
    let error = &definitions["last_poll_error"];
    assert_eq!(error["message"].as_str().unwrap(), format!("HTTP 500 from {}", place(&server)));
    let (failed, polled) = (error["time"].as_u64().unwrap(), definitions["last_poll"].as_u64().unwrap());
    assert!(failed <= polled && polled <= now && now - polled < 60_000, "{failed} {polled} {now}");
    assert!(definitions["age_ms"].as_u64().unwrap() < 60_000, "{definitions}");
    // Without polls the definitions age.
    server.stop().unwrap();
    until("older", || statistics(&client)["definitions"]["age_ms"].as_u64().unwrap() > 300);
    let remote = Client::new(Config::from_json(r#"{"token": "t", "mode": "remote"}"#).unwrap()).unwrap();
    assert_eq!(statistics(&remote)["definitions"], serde_json::Value::Null);
}
