//! A client behind an HTTP cache, and one that starts from its own cache: the file of `definitions_cache_dir`.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mpflags::{Client, Config, Context, Item, Level, State};
use mpflags_dev::{Fault, Kind, Options, Server};
use serde_json::{Value, json};

use crate::hosts::{document, until};

const LONG: Duration = Duration::from_secs(10);

fn server() -> Server {
    let server = Server::start(Options { token: Some("T".to_owned()), ..Options::default() }).unwrap();
    server.set_definitions(document(1));
    server
}

fn client(server: &Server, more: Value) -> Client {
    let mut config = json!({"token": "T", "api_host": server.url(), "polling_interval_ms": 50, "retry_base_ms": 10,
        "log_level": "debug"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Client::new(Config::from_json(&config.to_string()).unwrap()).unwrap()
}

fn value(client: &Client) -> i64 {
    client.integer("f", &Context::from_json(r#"{"distinct_id": "u1"}"#).unwrap(), -1)
}

fn lines(client: &Client) -> Vec<(Level, String)> {
    let items = std::iter::from_fn(|| client.next_item(Duration::ZERO).unwrap());
    let lines = items.filter_map(|item| match item {
        Item::Log { level, message } => Some((level, message)),
        _ => None,
    });
    lines.collect()
}

fn definitions(client: &Client) -> Value {
    let mut statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
    statistics["definitions"].take()
}

/// Headers that a cache adds to a healthy response.
fn cached(server: &Server, headers: &[(&str, &str)]) {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let fault =
        Fault { delay_ms: Some(0), headers: Some(headers), ..Fault::new("/flags/definitions", Kind::Delay) };
    server.set_faults(vec![fault]).unwrap();
}

#[test]
fn the_age_of_a_response_is_logged_and_counted() {
    let server = server();
    let client = client(&server, json!({}));
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    let direct = definitions(&client);
    assert!(direct["cached_ms"].is_null() && direct["age_ms"].as_u64().unwrap() < 10_000, "{direct}");

    cached(&server, &[("age", "42")]);
    until("the age is in the statistics", || definitions(&client)["cached_ms"] == 42_000);
    let age = definitions(&client)["age_ms"].as_u64().unwrap();
    assert!((42_000..52_000).contains(&age), "{age}");
    let polls: Vec<_> = lines(&client).into_iter().map(|(_, line)| line).collect();
    // A 304 has an age too.
    assert!(
        polls.iter().any(|line| line.starts_with("poll: HTTP 304 ") && line.ends_with(" ms, 42 s old")),
        "{polls:#?}"
    );
    for wrong in ["-1", "x", "99999999999999999999999"] {
        cached(&server, &[("age", wrong)]);
        until("an invalid age counts as none", || definitions(&client)["cached_ms"].is_null());
    }
}

/// A cache that compresses makes the ETag weak. It is sent back as it came, and a 304 from the cache means that the definitions of
/// that ETag are still right.
#[test]
fn a_weak_etag_is_sent_back_as_it_came() {
    let server = server();
    cached(&server, &[("etag", "W/\"e1\"")]);
    let client = client(&server, json!({}));
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    let requests = server.wait_requests(3, LONG).requests;
    let sent = |at: usize| requests[at].headers.get("if-none-match").cloned();
    assert_eq!((sent(0), sent(1)), (None, Some("W/\"e1\"".to_owned())));
    let status = Fault { status: Some(304), ..Fault::new("/flags/definitions", Kind::Status) };
    server.set_faults(vec![status]).unwrap();
    server.clear_requests();
    server.wait_requests(3, LONG);
    assert_eq!((client.state(), value(&client)), (State::Ready, 1));
    assert_eq!(definitions(&client)["etag"], "W/\"e1\"");
}

#[test]
fn the_token_can_be_left_out_of_the_query() {
    let account = json!({"username": "u", "secret": "s", "project_id": "7"});
    for account in [Value::Null, account] {
        for (mode, path) in [("local", "/flags/definitions"), ("remote", "/flags")] {
            for in_query in [true, false] {
                let server = Server::start(Options { header_only: !in_query, ..Options::default() }).unwrap();
                server.set_definitions(document(1));
                let more = json!({"mode": mode, "service_account": account, "token_in_query": in_query});
                let client = client(&server, more);
                client.start().unwrap();
                client.wait_ready(LONG).unwrap();
                assert_eq!(value(&client), 1);
                let request =
                    server.requests().requests.into_iter().find(|request| request.path == path).unwrap();
                let query = |key: &str| request.query.get(key).map(String::as_str);
                assert_eq!(query("token"), in_query.then_some("T"));
                assert_eq!(query("project_id"), account.is_object().then_some("7"));
                assert!(request.headers.contains_key("authorization"));
            }
        }
    }
}

fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("mpflags-ready-{}-{n}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

fn from_cache(folder: &PathBuf) -> Value {
    json!({"definitions_cache_dir": folder, "ready_from_cache": true})
}

#[test]
fn a_client_is_ready_from_the_cache_before_its_first_request() {
    let (server, folder) = (server(), folder("hit"));
    // Without a file, the client starts as usual, and writes one.
    let first = client(&server, from_cache(&folder));
    let (level, line) = lines(&first).remove(0);
    assert_eq!(level, Level::Info);
    assert!(
        line.starts_with("ready_from_cache: ") && line.ends_with(".definitions does not exist yet"),
        "{line}"
    );
    assert_eq!((first.state(), value(&first)), (State::NotReady, -1));
    first.start().unwrap();
    first.wait_ready(LONG).unwrap();
    first.shutdown(LONG).unwrap();

    server.clear_requests();
    let second = client(&server, from_cache(&folder));
    assert_eq!((second.state(), value(&second)), (State::Stale, 1));
    second.wait_ready(Duration::ZERO).unwrap();
    assert_eq!(server.requests().requests.len(), 0);
    let (level, line) = lines(&second).remove(0);
    assert_eq!(level, Level::Info);
    assert!(line.starts_with("ready_from_cache: 1 flags from "), "{line}");
    let etag = definitions(&second)["etag"].as_str().unwrap().to_owned();

    // The first poll asks only for what has changed since.
    second.start().unwrap();
    second.wait_ready(Duration::ZERO).unwrap();
    until("the client is READY", || second.state() == State::Ready);
    let request = &server.requests().requests[0];
    assert_eq!(request.headers["if-none-match"], etag);
    assert_eq!(request.status, Some(304));
    server.set_definitions(document(2));
    until("the client has the new definitions", || value(&second) == 2);
}

#[test]
fn without_polling_a_client_that_is_ready_from_the_cache_fetches_once() {
    let (server, folder) = (server(), folder("once"));
    let mut more = from_cache(&folder);
    more["enable_polling"] = false.into();
    for requests in [1, 2] {
        let client = client(&server, more.clone());
        client.start().unwrap();
        until("the client is READY", || client.state() == State::Ready);
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(server.requests().requests.len(), requests);
    }
}

#[test]
fn a_client_that_is_ready_from_the_cache_stays_so_while_the_server_is_down() {
    let (server, folder) = (server(), folder("down"));
    let first = client(&server, from_cache(&folder));
    first.start().unwrap();
    first.wait_ready(LONG).unwrap();
    first.shutdown(LONG).unwrap();
    server.stop().unwrap();
    let second = client(&server, from_cache(&folder));
    second.start().unwrap();
    let failed = || !definitions(&second)["last_poll_error"].is_null();
    until("a fetch has failed", failed);
    assert_eq!((second.state(), value(&second)), (State::Stale, 1));
    // A restart keeps the definitions, their ETag and the state.
    second.shutdown(LONG).unwrap();
    second.start().unwrap();
    assert_eq!((second.state(), value(&second)), (State::Stale, 1));
    server.clear_requests();
    server.restart_after(Duration::ZERO).unwrap();
    until("the client is READY", || second.state() == State::Ready);
    assert!(server.requests().requests[0].headers.contains_key("if-none-match"));
}

#[test]
fn a_damaged_cache_is_logged_once_and_ignored() {
    let (server, folder) = (server(), folder("damaged"));
    let first = client(&server, from_cache(&folder));
    first.start().unwrap();
    first.wait_ready(LONG).unwrap();
    first.shutdown(LONG).unwrap();
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();

    server.stop().unwrap();
    let second = client(&server, from_cache(&folder));
    assert_eq!((second.state(), value(&second)), (State::NotReady, -1));
    second.start().unwrap();
    until("a fetch has failed", || !definitions(&second)["last_poll_error"].is_null());
    server.restart_after(Duration::ZERO).unwrap();
    second.wait_ready(LONG).unwrap();
    assert_eq!(value(&second), 1);
    let about: Vec<_> = lines(&second).into_iter().filter(|(_, line)| line.contains("cache")).collect();
    let [(Level::Warning, line)] = about.as_slice() else { panic!("{about:#?}") };
    assert!(line.ends_with("it is damaged or of another format; it is ignored"), "{line}");
}
