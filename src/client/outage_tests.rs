//! Outages in compressed time: a minute of failures at 1,000 events per second; ten minutes without a server for 100 clients.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mpflags_dev::{Fault, Kind, Options, Server};

use crate::sys::clock::Clock;
use crate::{Client, Config, Context};

/// Runs `factor` times as fast as the system clock.
#[derive(Debug)]
struct FastClock {
    start: Instant,
    factor: u32,
}

impl Clock for FastClock {
    fn now(&self) -> Instant {
        self.start + self.start.elapsed() * self.factor
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn wait_for(&self, span: Duration) -> Duration {
        span / self.factor
    }
}

const FACTOR: u32 = 30;

fn client(server: &Server, capacity: usize) -> (Client, Arc<FastClock>) {
    let config = format!(
        r#"{{"token": "T", "api_host": "{}", "enable_polling": false, "event_queue_capacity": {capacity},
            "definitions": {{"flags": [{{"key": "f", "context": "distinct_id", "ruleset":
                {{"variants": [{{"key": "on", "value": true}}], "rollout": [{{"rollout_percentage": 1}}]}}}}]}}}}"#,
        server.url()
    );
    let clock = Arc::new(FastClock { start: Instant::now(), factor: FACTOR });
    let client = Client::with_clock(Config::from_json(&config).unwrap(), clock.clone()).unwrap();
    client.start().unwrap();
    (client, clock)
}

fn expose(client: &Client, user: u64) {
    let context = Context::from_json(&format!(r#"{{"distinct_id": "u{user}"}}"#)).unwrap();
    assert!(client.boolean("f", &context, false), "the events server does not affect evaluations");
}

/// Exposes 1,000 users per second of the clock for a minute, while the server responds with 503.
fn a_minute_of_refusals(client: &Client, clock: &FastClock, server: &Server) {
    server.set_faults(vec![Fault { status: Some(503), ..Fault::new("/track", Kind::Status) }]).unwrap();
    let start = clock.now();
    let mut user = 0;
    while user < 60_000 {
        let due = (clock.now() - start).as_millis() as u64;
        while user < due.min(60_000) {
            expose(client, user);
            user += 1;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    server.clear_faults();
}

#[test]
fn a_queue_sized_for_it_loses_nothing() {
    let server = Server::start(Options::default()).unwrap();
    let (client, clock) = client(&server, 70_000);
    a_minute_of_refusals(&client, &clock, &server);
    assert_eq!(client.flush(Duration::from_secs(20)).unwrap(), 0, "{}", client.statistics());
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.distinct_insert_ids, counts.duplicates), (60_000, 60_000, 0));
    let statistics = client.statistics();
    assert!(statistics.contains(r#""sent":60000"#), "{statistics}");
    assert!(statistics.contains(r#""dropped":{"queue_full":0,"rejected":0,"shutdown":0}"#), "{statistics}");
}

#[test]
fn a_queue_too_small_drops_counted_and_offers_again() {
    let server = Server::start(Options::default()).unwrap();
    let (client, clock) = client(&server, 1_000);
    a_minute_of_refusals(&client, &clock, &server);
    let statistics: serde_json::Value = serde_json::from_str(&client.statistics()).unwrap();
    let dropped = statistics["dropped"]["queue_full"].as_u64().unwrap();
    assert_eq!(statistics["enqueued"].as_u64().unwrap() + dropped, 60_000);
    assert!(dropped >= 59_000, "{dropped}");
    // All users come back: those whose exposure was dropped are reported now, and no one twice.
    for user in 0..60_000 {
        expose(&client, user);
        if user % 500 == 0 {
            assert_eq!(client.flush(Duration::from_secs(20)).unwrap(), 0);
        }
    }
    assert_eq!(client.flush(Duration::from_secs(20)).unwrap(), 0);
    let counts = server.event_counts();
    assert_eq!((counts.accepted, counts.distinct_insert_ids, counts.duplicates), (60_000, 60_000, 0));
}

/// The most requests that arrived within ten seconds of the clock. A busy machine delays them by seconds.
fn peak(requests: &[mpflags_dev::Request], factor: u32) -> usize {
    let times: Vec<Duration> = requests.iter().map(|request| request.at * factor).collect();
    let within = |start: Duration| {
        times.iter().filter(|at| (start..start + Duration::from_secs(10)).contains(*at)).count()
    };
    times.iter().map(|&start| within(start)).max().unwrap_or(0)
}

#[test]
fn a_hundred_clients_come_back_one_by_one() {
    const FACTOR: u32 = 100;
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(
        r#"{"flags": [{"key": "f", "context": "distinct_id", "ruleset":
            {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}"#,
    );
    let clock = Arc::new(FastClock { start: Instant::now(), factor: FACTOR });
    // The options that matter here are the defaults: polls each minute, retries from half a second on. Real time limits, because
    // the requests take real time.
    let config = format!(r#"{{"token": "T", "api_host": "{}"}}"#, server.url());
    let clients: Vec<_> = (0..100)
        .map(|_| Client::with_clock(Config::from_json(&config).unwrap(), clock.clone()).unwrap())
        .collect();
    for client in &clients {
        client.start().unwrap();
    }
    for client in &clients {
        client.wait_ready(Duration::from_secs(20)).unwrap();
    }
    // A busy machine spreads even these.
    println!("the most requests in ten seconds: {} at the start", peak(&server.requests().requests, FACTOR));

    server.stop().unwrap();
    server.clear_requests();
    let outage = clock.now();
    let mut user = 0;
    while clock.now() - outage < Duration::from_secs(600) {
        // Each client has something to report when the server is back.
        for client in &clients {
            expose(client, user);
        }
        user += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    server.restart_after(Duration::ZERO).unwrap();
    // Each client fetches within its longest pause, and sends its exposures.
    let exposures = 100 * user;
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.event_counts().distinct_insert_ids < exposures
        || clients.iter().any(|c| c.state() != crate::State::Ready)
    {
        assert!(
            Instant::now() < deadline,
            "{} of {exposures} exposures",
            server.event_counts().distinct_insert_ids
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let back = server.requests().requests;
    let polls: Vec<_> = back.iter().filter(|request| request.path == "/flags/definitions").cloned().collect();
    let (most, most_polls) = (peak(&back, FACTOR), peak(&polls, FACTOR));
    println!("when the server is back: {most}, of which {most_polls} are polls");
    assert!(polls.len() >= 100, "{}", polls.len());
    // At a start, all clients fetch at once. Spread over a minute, these are 17 in ten seconds, which are a tenth of a second here:
    // a busy machine makes more of them. The pauses themselves are tested without a machine, in `pauses`.
    assert!(most_polls < 75, "{most_polls} polls in ten seconds");
    let counts = server.event_counts();
    assert_eq!((counts.distinct_insert_ids, counts.duplicates), (exposures, 0));
}
