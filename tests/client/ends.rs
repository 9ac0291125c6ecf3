//! How a client ends: what it says of events that it could not deliver, and how long its end may take.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, ErrorKind, Item, Level};
use mpflags_dev::{Fault, Kind, Options, Server};

const LONG: Duration = Duration::from_secs(20);

const DEFINITIONS: &str = r#"{"flags": [{"key": "f", "context": "distinct_id", "ruleset":
    {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}"#;

fn client(server: &Server, more: &str) -> Client {
    let config = format!(
        r#"{{"token": "t", "api_host": "{}", "enable_polling": false, "definitions": {DEFINITIONS} {more}}}"#,
        server.url()
    );
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

fn started(server: &Server, more: &str) -> Client {
    let client = client(server, more);
    client.start().unwrap();
    client
}

fn server(faults: Vec<Fault>) -> Server {
    let server = Server::start(Options::default()).unwrap();
    server.set_faults(faults).unwrap();
    server
}

fn failing() -> Fault {
    Fault { status: Some(503), ..Fault::new("/track", Kind::Status) }
}

/// The log line about it.
fn failed(server: &Server) -> String {
    format!("sending events failed: HTTP 503 from {}/track", server.addr())
}

fn hanging() -> Fault {
    Fault::new("/track", Kind::Hang)
}

fn track(client: &Client, count: usize) {
    for n in 0..count {
        client.track("E", &format!("u{n}"), "{}").unwrap();
    }
}

/// All that a client that is shut down still has to say.
fn rest(client: &Client) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        match client.next_item(LONG) {
            Ok(Some(item)) => items.push(item),
            Ok(None) => panic!("not closed after {items:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                return items;
            }
        }
    }
}

fn warnings(items: &[Item]) -> Vec<&str> {
    let warnings = items.iter().filter_map(|item| match item {
        Item::Log { level: Level::Warning, message } => Some(message.as_str()),
        _ => None,
    });
    warnings.collect()
}

/// A client whose items go into a list.
fn heard(server: &Server, more: &str) -> (Client, Arc<Mutex<Vec<Item>>>) {
    let client = client(server, more);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let theirs = heard.clone();
    client.on_item(Box::new(move |item| theirs.lock().unwrap().push(item))).unwrap();
    client.start().unwrap();
    (client, heard)
}

#[test]
fn what_a_failing_server_left() {
    let server = server(vec![failing()]);
    let client = started(&server, "");
    track(&client, 50);
    assert_eq!(client.shutdown(Duration::from_millis(1200)).unwrap(), 50);
    let items = rest(&client);
    assert_eq!(
        warnings(&items),
        [failed(&server), format!("50 events were not delivered within 1200 ms: {}", failed(&server)),]
    );
    // Said once.
    assert_eq!(client.shutdown(LONG).unwrap(), 0);
    assert_eq!(rest(&client), []);
}

#[test]
fn what_a_hanging_server_left() {
    let server = server(vec![hanging()]);
    let client = started(&server, "");
    track(&client, 1);
    assert_eq!(client.shutdown(Duration::from_millis(600)).unwrap(), 1);
    assert_eq!(warnings(&rest(&client)), ["1 event was not delivered within 600 ms: no response yet"]);
}

#[test]
fn what_had_no_time_at_all() {
    let server = server(vec![]);
    let client = started(&server, r#", "event_flush_interval_ms": 3600000"#);
    track(&client, 3);
    let lost = client.shutdown(Duration::ZERO).unwrap();
    let items = rest(&client);
    // A fast machine may deliver them still.
    if lost > 0 {
        assert_eq!(
            warnings(&items),
            [format!("{lost} events were not delivered within 0 ms: no response yet")]
        );
    }
}

#[test]
fn what_a_client_held_that_was_never_started() {
    let server = server(vec![]);
    let client = client(&server, "");
    track(&client, 2);
    assert_eq!(client.shutdown(LONG).unwrap(), 2);
    let items = rest(&client);
    assert_eq!(warnings(&items), ["2 events were not delivered within 20000 ms: the client was not started"]);
}

#[test]
fn what_a_full_queue_dropped() {
    let server = server(vec![failing()]);
    let client = started(&server, r#", "event_queue_capacity": 5"#);
    for n in 0..20 {
        let user = Context::from_json(&format!(r#"{{"distinct_id": "u{n}"}}"#)).unwrap();
        assert!(client.boolean("f", &user, false));
    }
    let first = client.next_item(LONG).unwrap();
    let full = "the event queue is full (event_queue_capacity): exposures are dropped and counted until there is room";
    assert_eq!(first, Some(Item::Log { level: Level::Warning, message: full.to_owned() }));
    assert_eq!(client.shutdown(Duration::from_millis(600)).unwrap(), 5);
    let items = rest(&client);
    let last = format!(
        "5 events were not delivered within 600 ms: {}; \
         15 events were dropped earlier because the event queue was full (event_queue_capacity)",
        failed(&server)
    );
    assert_eq!(warnings(&items).last().copied(), Some(last.as_str()));

    // Those alone are worth a line, too.
    server.clear_faults();
    let client = started(&server, r#", "event_queue_capacity": 1, "event_flush_interval_ms": 3600000"#);
    track(&client, 1);
    client.track("E", "u", "{}").unwrap_err();
    assert_eq!(client.shutdown(LONG).unwrap(), 0);
    let items = rest(&client);
    assert_eq!(
        warnings(&items),
        ["1 event was dropped earlier because the event queue was full (event_queue_capacity)"]
    );
}

#[test]
fn nothing_lost_nothing_said() {
    let server = server(vec![]);
    let client = started(&server, "");
    track(&client, 50);
    assert_eq!(client.shutdown(LONG).unwrap(), 0);
    assert_eq!(rest(&client), []);
    assert_eq!(server.event_counts().accepted, 50);
}

#[test]
fn a_callback_hears_it_from_shutdown_and_from_drop() {
    let server = server(vec![failing()]);
    for by_drop in [false, true] {
        let (client, heard) = heard(&server, "");
        track(&client, 7);
        let within = if by_drop {
            drop(client);
            1000
        } else {
            assert_eq!(client.shutdown(Duration::from_millis(700)).unwrap(), 7);
            700
        };
        let items = heard.lock().unwrap();
        let last = format!("7 events were not delivered within {within} ms: {}", failed(&server));
        assert_eq!(warnings(&items), [failed(&server), last]);
        drop(items);
        assert_eq!(Arc::strong_count(&heard), 1, "the callback is dropped after its last item");
    }
}

#[test]
fn items_that_wait_come_before_the_end() {
    let server = server(vec![]);
    server.set_definitions(r#"{"flags": [{"key": "bad"}]}"#);
    let config = format!(r#"{{"token": "t", "api_host": "{}", "enable_polling": false}}"#, server.url());
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    // The log line is pushed right after.
    while client.next_item(LONG).unwrap().is_none_or(|item| !matches!(item, Item::State { .. })) {}
    client.shutdown(LONG).unwrap();
    let items = rest(&client);
    assert!(warnings(&items).iter().any(|line| line.contains("bad")), "{items:?}");
    assert_eq!(client.next_item(Duration::ZERO).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn events_of_a_sink_can_be_pulled_after_the_end() {
    let server = server(vec![]);
    let client = started(&server, r#", "event_sink": true, "event_batch_size": 3"#);
    track(&client, 10);
    assert_eq!(client.shutdown(Duration::ZERO).unwrap(), 0);
    let items = rest(&client);
    let events = items.iter().filter(|item| matches!(item, Item::Event { .. })).count();
    assert_eq!((events, warnings(&items).len()), (10, 0));
    assert!(client.statistics().contains(r#""sent":10"#), "{}", client.statistics());

    let (client, heard) = heard(&server, r#", "event_sink": true, "event_batch_size": 3"#);
    track(&client, 10);
    drop(client);
    let items = heard.lock().unwrap();
    assert_eq!(items.iter().filter(|item| matches!(item, Item::Event { .. })).count(), 10);
}

#[test]
fn a_slow_callback_is_waited_for() {
    let server = server(vec![failing()]);
    let client = client(&server, "");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let theirs = heard.clone();
    client
        .on_item(Box::new(move |item| {
            std::thread::sleep(Duration::from_millis(200));
            theirs.lock().unwrap().push(item);
        }))
        .unwrap();
    client.start().unwrap();
    track(&client, 1);
    client.shutdown(Duration::from_secs(3)).unwrap();
    assert_eq!(warnings(&heard.lock().unwrap()).len(), 2);
}

#[test]
fn dropping_takes_a_second_at_most() {
    let hangs = server(vec![hanging()]);
    let client = started(&hangs, r#", "shutdown_timeout_ms": 60000"#);
    track(&client, 1);
    let before = Instant::now();
    drop(client);
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(4), "{took:?}");

    // What is slow has that second.
    let slow = server(vec![Fault { delay_ms: Some(300), ..Fault::new("/track", Kind::Delay) }]);
    let client = started(&slow, "");
    track(&client, 5);
    drop(client);
    assert_eq!(slow.event_counts().accepted, 5);

    // Less is less.
    let client = started(&hangs, r#", "shutdown_timeout_ms": 0"#);
    track(&client, 1);
    let before = Instant::now();
    drop(client);
    assert!(before.elapsed() < Duration::from_millis(500), "{:?}", before.elapsed());
}
