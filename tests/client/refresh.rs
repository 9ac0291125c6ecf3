//! Fetches on demand: which fetch serves whom, what a failure leaves, and how they end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, Error, ErrorKind, Item, State};
use mpflags_dev::{Fault, Kind, Options, RetryAfter, Server};

const PATH: &str = "/flags/definitions";
const LONG: Duration = Duration::from_secs(20);

fn document(value: u32) -> String {
    format!(
        r#"{{"flags": [{{"key": "f", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "v", "value": {value}}}],
            "rollout": [{{"rollout_percentage": 1.0}}]}}}}]}}"#
    )
}

fn serve(value: u32) -> Server {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(document(value));
    server
}

/// A client that fetches once by itself, unless `more` says otherwise.
fn client(server: &Server, more: &str) -> Client {
    let comma = if more.is_empty() { "" } else { "," };
    let polling = if more.contains("enable_polling") { "" } else { r#""enable_polling": false,"# };
    let config = format!(
        r#"{{"token": "t", {polling} "retry_base_ms": 60000, "log_level": "warning", "api_host": "{}" {comma} {more}}}"#,
        server.url()
    );
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

fn ready(server: &Server, more: &str) -> Client {
    let client = client(server, more);
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    client
}

fn value(client: &Client) -> i64 {
    client.integer("f", &Context::from_json(r#"{"distinct_id": "u"}"#).unwrap(), -1)
}

fn status(status: u16) -> Fault {
    Fault { status: Some(status), ..Fault::new(PATH, Kind::Status) }
}

fn delay(milliseconds: u64) -> Fault {
    Fault { delay_ms: Some(milliseconds), ..Fault::new(PATH, Kind::Delay) }
}

fn refused(result: Result<(), Error>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

fn requests(server: &Server) -> usize {
    server.requests().requests.len()
}

#[test]
fn without_polling() {
    let server = serve(1);
    let client = ready(&server, "");
    server.set_definitions(document(2));
    client.refresh(LONG).unwrap();
    assert_eq!(value(&client), 2, "the new definitions are in service when the call returns");
    // Unchanged, 304, is a success too.
    client.refresh(LONG).unwrap();
    let seen = server.requests().requests;
    assert_eq!(
        seen.iter().map(|request| request.status).collect::<Vec<_>>(),
        [Some(200), Some(200), Some(304)]
    );
}

#[test]
fn definitions_of_the_configuration_are_replaced() {
    let server = serve(2);
    let client = ready(&server, &format!("\"definitions\": {}", document(1)));
    assert_eq!((value(&client), requests(&server)), (1, 0));
    client.refresh(LONG).unwrap();
    assert_eq!((value(&client), requests(&server)), (2, 1));
    // What fails is not tried again by itself.
    server.set_faults(vec![status(503)]).unwrap();
    assert_eq!(
        refused(client.refresh(LONG)),
        (ErrorKind::Backend, format!("HTTP 503 from {}{PATH}", server.addr()))
    );
    assert_eq!((value(&client), client.state()), (2, State::Ready));
}

#[test]
fn a_failure_says_why_and_leaves_what_is_held() {
    let server = serve(1);
    let client = ready(&server, "");
    server.set_faults(vec![status(500)]).unwrap();
    assert_eq!(
        refused(client.refresh(LONG)),
        (ErrorKind::Backend, format!("HTTP 500 from {}{PATH}", server.addr()))
    );
    server.set_faults(vec![status(401)]).unwrap();
    let (kind, message) = refused(client.refresh(LONG));
    assert_eq!(kind, ErrorKind::CredentialsRefused);
    assert!(message.contains("401"), "{message}");
    assert_eq!((value(&client), client.state()), (1, State::Stale));
    let garbage = Fault { body: Some("<html>".to_owned()), ..Fault::new(PATH, Kind::Garbage) };
    server.set_faults(vec![garbage]).unwrap();
    assert_eq!(refused(client.refresh(LONG)).0, ErrorKind::Backend);
    server.clear_faults();
    client.refresh(LONG).unwrap();
    assert_eq!((value(&client), client.state()), (1, State::Ready));
}

#[test]
fn time_that_runs_out() {
    let server = serve(1);
    let client = ready(&server, "");
    server.set_faults(vec![status(503)]).unwrap();
    client.refresh(LONG).unwrap_err();
    server.set_faults(vec![Fault { times: Some(1), ..delay(1500) }]).unwrap();
    server.set_definitions(document(2));
    let before = Instant::now();
    let (kind, message) = refused(client.refresh(Duration::from_millis(200)));
    assert_eq!(kind, ErrorKind::Timeout);
    assert!(message.contains(": HTTP 503 from "), "the last fetch's error: {message}");
    assert!(before.elapsed() < Duration::from_millis(1400), "{:?}", before.elapsed());
    // The fetch continues without the caller.
    let deadline = Instant::now() + LONG;
    while value(&client) != 2 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_time_starts_a_fetch() {
    let server = serve(1);
    let client = ready(&server, "");
    server.set_definitions(document(2));
    client.refresh(Duration::ZERO).unwrap();
    let deadline = Instant::now() + LONG;
    while value(&client) != 2 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn all_who_wait_share_one_fetch_that_began_after_their_call() {
    let server = serve(1);
    let client = Arc::new(ready(&server, ""));
    server.clear_requests();
    server.set_faults(vec![Fault { times: Some(1), ..delay(700) }]).unwrap();
    let first = thread::spawn({
        let client = client.clone();
        move || client.refresh(LONG)
    });
    // In progress: the delayed response was made before the definitions changed.
    server.wait_requests(1, LONG);
    server.set_definitions(document(2));
    let barrier = Arc::new(Barrier::new(8));
    let others: Vec<_> = (0..8)
        .map(|_| {
            let (client, barrier) = (client.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                client.refresh(LONG).map(|()| value(&client))
            })
        })
        .collect();
    first.join().unwrap().unwrap();
    for other in others {
        assert_eq!(other.join().unwrap().unwrap(), 2);
    }
    assert_eq!(requests(&server), 2, "one for the first, one for all others");
}

#[test]
fn a_pause_between_retries_is_cut_short() {
    let server = serve(1);
    let after = Fault { retry_after: Some(RetryAfter::Seconds(500)), times: Some(1), ..status(429) };
    server.set_faults(vec![after]).unwrap();
    let client = client(&server, r#""enable_polling": true"#);
    client.start().unwrap();
    server.wait_requests(1, LONG);
    // Nothing is held yet: this is the first set, and ends the wait for it too.
    client.refresh(LONG).unwrap();
    client.wait_ready(Duration::ZERO).unwrap();
    assert_eq!(value(&client), 1);
}

#[test]
fn the_next_poll_comes_an_interval_later() {
    let server = serve(1);
    let client = ready(&server, r#""enable_polling": true, "polling_interval_ms": 2000"#);
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(900));
        client.refresh(LONG).unwrap();
    }
    let refreshed = requests(&server);
    assert_eq!(refreshed, 4, "no poll in between: each refresh puts it off");
    let seen = server.wait_requests(5, LONG);
    let gap = seen.requests[4].at - seen.requests[3].at;
    assert!(gap >= Duration::from_millis(1700), "{gap:?}");
}

#[test]
fn a_hanging_fetch_without_callers_is_aborted() {
    let server = serve(1);
    let client =
        ready(&server, r#""enable_polling": true, "polling_interval_ms": 50, "request_timeout_ms": 60000"#);
    server.set_faults(vec![Fault { times: Some(1), ..Fault::new(PATH, Kind::Hang) }]).unwrap();
    server.clear_requests();
    while server.faults().iter().any(|fault| fault.times != Some(0)) {
        thread::sleep(Duration::from_millis(5));
    }
    server.set_definitions(document(2));
    let before = Instant::now();
    client.refresh(LONG).unwrap();
    assert!(before.elapsed() < Duration::from_secs(15), "not after the 60 s of the request");
    assert_eq!((value(&client), client.state()), (2, State::Ready));
    // It was no failure of the server's.
    while let Some(item) = client.next_item(Duration::ZERO).unwrap() {
        assert!(!matches!(item, Item::Log { .. }), "{item:?}");
    }
}

#[test]
fn a_kept_connection_is_not_used() {
    let server = serve(1);
    let client = ready(&server, "");
    client.refresh(LONG).unwrap();
    client.refresh(LONG).unwrap();
    let seen = server.requests().requests;
    let mut connections: Vec<_> = seen.iter().map(|request| request.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), 3, "each has a new one: {connections:?}");
}

#[test]
fn in_which_state_it_is_refused() {
    let server = serve(1);
    let client = client(&server, "");
    let not_started = (ErrorKind::InvalidArgument, "the client is not started".to_owned());
    assert_eq!(refused(client.refresh(LONG)), not_started);
    client.start().unwrap();
    client.refresh(LONG).unwrap();
    client.shutdown(LONG).unwrap();
    assert_eq!(refused(client.refresh(LONG)).0, ErrorKind::Closed);
    client.start().unwrap();
    client.refresh(LONG).unwrap();

    let remote = Client::new(
        Config::from_json(r#"{"token": "t", "mode": "remote", "api_host": "http://127.0.0.1:1"}"#).unwrap(),
    );
    let remote = remote.unwrap();
    assert_eq!(refused(remote.refresh(LONG)), not_started);
    remote.start().unwrap();
    remote.refresh(LONG).unwrap();
}

#[test]
fn shutdown_ends_it() {
    let server = serve(1);
    let client = Arc::new(ready(&server, ""));
    server.set_faults(vec![Fault::new(PATH, Kind::Hang)]).unwrap();
    server.clear_requests();
    let waits = thread::spawn({
        let client = client.clone();
        move || client.refresh(Duration::from_secs(600))
    });
    server.wait_requests(1, LONG);
    client.shutdown(LONG).unwrap();
    assert_eq!(refused(waits.join().unwrap()).0, ErrorKind::Closed);
}

#[test]
fn in_a_callback() {
    let server = serve(1);
    let client = Arc::new(client(&server, ""));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (weak, theirs) = (Arc::downgrade(&client), seen.clone());
    client
        .on_item(Box::new(move |_| {
            let Some(client) = weak.upgrade() else { return };
            let waited = client.refresh(LONG).map_err(|error| error.kind());
            theirs.lock().unwrap().push((waited, client.refresh(Duration::ZERO).is_ok()));
        }))
        .unwrap();
    client.start().unwrap();
    client.wait_ready(LONG).unwrap();
    // The one that did not wait has fetched again.
    server.wait_requests(2, LONG);
    client.shutdown(LONG).unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.first(), Some(&(Err(ErrorKind::InvalidArgument), true)));
}

#[test]
fn a_panic_in_the_callback_ends_it() {
    let server = serve(1);
    let client = client(&server, "");
    client.on_item(Box::new(|_| panic!("armed"))).unwrap();
    client.start().unwrap();
    let before = Instant::now();
    while client.refresh(LONG).is_ok() {
        assert!(before.elapsed() < LONG);
    }
    let (kind, message) = refused(client.refresh(LONG));
    assert_eq!((kind, message.as_str()), (ErrorKind::System, "polling ended by a panic: armed"));
    assert!(before.elapsed() < LONG, "it does not wait for a thread that is gone");
}

#[test]
fn from_many_threads_while_the_definitions_change() {
    let server = serve(1);
    let client = Arc::new(ready(&server, r#""enable_polling": true, "polling_interval_ms": 50"#));
    let published = Arc::new(AtomicU32::new(1));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (client, published) = (client.clone(), published.clone());
            thread::spawn(move || {
                for _ in 0..20 {
                    let before = published.load(Ordering::SeqCst);
                    client.refresh(LONG).unwrap();
                    let seen = value(&client);
                    assert!(seen >= i64::from(before), "{seen} is older than {before}");
                }
            })
        })
        .collect();
    for n in 2..30 {
        server.set_definitions(document(n));
        published.store(n, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(5));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
