//! Several hosts in `api_host`, such as a cache and then Mixpanel: which one gets a request, and what is logged of a failed one.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, ErrorKind, Item, Level};
use mpflags_dev::{Fault, Kind, Options, Server, Tls};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

pub(crate) fn document(value: u32) -> String {
    format!(
        r#"{{"flags": [{{"key": "f", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "v", "value": {value}}}],
            "rollout": [{{"rollout_percentage": 1}}]}}}}]}}"#
    )
}

fn server(value: u32) -> Server {
    let server = Server::start(Options { token: Some("T".to_owned()), ..Options::default() }).unwrap();
    server.set_definitions(document(value));
    server
}

fn client(hosts: &[&str], more: Value) -> Client {
    let mut config = json!({"token": "T", "api_host": hosts, "polling_interval_ms": 50, "retry_base_ms": 10,
        "event_flush_interval_ms": 10, "event_retry_base_ms": 10, "log_level": "info"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let client = Client::new(Config::from_json(&config.to_string()).unwrap()).unwrap();
    client.start().unwrap();
    client
}

fn user() -> Context {
    Context::from_json(r#"{"distinct_id": "u1"}"#).unwrap()
}

fn value(client: &Client) -> i64 {
    client.integer("f", &user(), -1)
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The lines about hosts so far.
fn lines(client: &Client) -> Vec<(Level, String)> {
    let items = std::iter::from_fn(|| client.next_item(Duration::ZERO).unwrap());
    let lines = items.filter_map(|item| match item {
        Item::Log { level, message } if message.starts_with("api_host: ") => Some((level, message)),
        _ => None,
    });
    lines.collect()
}

fn hosts(client: &Client) -> Vec<(bool, u64)> {
    let statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
    let listed = statistics["hosts"].as_array().unwrap().iter();
    listed.map(|host| (host["failed"].as_bool().unwrap(), host["failures"].as_u64().unwrap())).collect()
}

/// An address where nobody listens.
fn nowhere() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn the_first_host_gets_all_requests_while_it_works() {
    let (cache, mixpanel) = (server(1), server(2));
    let client = client(&[&cache.url(), &mixpanel.url()], json!({}));
    client.wait_ready(LONG).unwrap();
    assert_eq!(value(&client), 1);
    assert_eq!(client.flush(LONG).unwrap(), 0);
    cache.wait_requests(5, LONG);
    assert_eq!((cache.event_counts().accepted, mixpanel.requests().requests.len()), (1, 0));
    assert_eq!((lines(&client), hosts(&client)), (Vec::new(), vec![(false, 0), (false, 0)]));
}

#[test]
fn a_host_that_is_down_is_skipped_and_used_again_when_it_is_back() {
    let (cache, mixpanel) = (server(1), server(2));
    let client = client(&[&cache.url(), &mixpanel.url()], json!({}));
    client.wait_ready(LONG).unwrap();
    cache.stop().unwrap();
    until("the second host is used", || value(&client) == 2);
    let address = cache.addr();
    let (level, line) = lines(&client).pop().unwrap();
    assert_eq!(level, Level::Warning);
    assert_eq!(
        line,
        format!(
            "api_host: {address} has failed, so other hosts are tried: {address}: connection refused; check api_host"
        )
    );
    // Polls go on without another line, and try the first host once in a second.
    mixpanel.wait_requests(15, LONG);
    assert_eq!(lines(&client), []);
    let (failed, failures) = hosts(&client)[0];
    assert!(failed && failures < 8, "{failures}");
    assert_eq!(client.state(), mpflags::State::Ready);

    cache.restart_after(Duration::ZERO).unwrap();
    until("the first host is used again", || value(&client) == 1);
    until("that is logged", || lines(&client) == [(Level::Info, format!("api_host: {address} works again"))]);
    assert!(!hosts(&client)[0].0);
}

#[test]
fn what_is_a_failure_and_what_is_an_answer() {
    for (fault, fails) in [
        (json!({"kind": "status", "status": 500}), true),
        (json!({"kind": "status", "status": 503, "retry_after": 600}), true),
        (json!({"kind": "garbage", "headers": {"content-encoding": "gzip"}}), true),
        (json!({"kind": "cut", "at_byte": 10}), true),
        (json!({"kind": "cut", "at_body_byte": 10}), true),
        (json!({"kind": "reset"}), true),
        (json!({"kind": "raw", "body": "no HTTP\r\n\r\n"}), true),
        (json!({"kind": "status", "status": 401}), false),
        (json!({"kind": "status", "status": 403}), false),
        (json!({"kind": "status", "status": 404}), false),
        (json!({"kind": "status", "status": 408}), false),
        // Another host must not circumvent it.
        (json!({"kind": "status", "status": 429, "retry_after": 600}), false),
        (json!({"kind": "status", "status": 301}), false),
    ] {
        let (cache, mixpanel) = (server(1), server(2));
        let mut faults = json!([{"path": "/flags/definitions"}]);
        faults[0].as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        cache.set_faults_json(&faults.to_string()).unwrap();
        let client = client(&[&cache.url(), &mixpanel.url()], json!({"enable_polling": false}));
        let ready = client.wait_ready(if fails { LONG } else { Duration::from_millis(300) });
        assert_eq!(ready.is_ok(), fails, "{fault}: {ready:?}");
        assert_eq!(mixpanel.requests().requests.len(), usize::from(fails), "{fault}");
    }
}

#[test]
fn a_host_with_an_untrusted_certificate_or_without_tls_is_skipped() {
    let mixpanel = server(2);
    let untrusted = Server::start(Options { tls: Some(Tls::Good), ..Options::default() }).unwrap();
    for host in [untrusted.url(), server(1).url().replace("http://", "https://")] {
        let client = client(&[&host, &mixpanel.url()], json!({}));
        client.wait_ready(LONG).unwrap();
        assert_eq!(value(&client), 2);
    }
    // If no host speaks TLS, waiting does not help.
    let (one, other) = (server(1), server(2));
    let plain = [one.url().replace("http:", "https:"), other.url().replace("http:", "https:")];
    let client = client(&[&plain[0], &plain[1]], json!({}));
    let error = client.wait_ready(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    let (one, other) = (one.addr(), other.addr());
    assert_eq!(
        error.to_string(),
        format!(
            "{one} speaks plain http: write http://{one}; then {other} speaks plain http: write http://{other}"
        )
    );
}

#[test]
fn a_host_that_hangs_takes_its_share_of_the_time() {
    let (cache, mixpanel) = (server(1), server(2));
    cache.set_faults(vec![Fault::new("*", Kind::Hang)]).unwrap();
    let begun = Instant::now();
    let client = client(
        &[&cache.url(), &mixpanel.url()],
        json!({"request_timeout_ms": 1000, "polling_interval_ms": 60_000}),
    );
    client.wait_ready(LONG).unwrap();
    let took = begun.elapsed();
    assert!((500..990).contains(&took.as_millis()), "{took:?}");
    // The next requests do not wait for it.
    let begun = Instant::now();
    client.refresh(LONG).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
}

#[test]
fn all_hosts_are_tried_in_order_if_all_have_failed() {
    let (first, second) = (nowhere(), server(2));
    second.stop().unwrap();
    let client = client(&[&format!("http://{first}"), &second.url()], json!({"polling_interval_ms": 60_000}));
    let error = client.wait_ready(Duration::from_millis(500)).unwrap_err().to_string();
    let second_address = second.addr();
    assert_eq!(
        error,
        format!(
            "no definitions within the timeout: {first}: connection refused; check api_host; then {second_address}: \
             connection refused; check api_host"
        )
    );
    assert_eq!(lines(&client).len(), 2);
    second.restart_after(Duration::ZERO).unwrap();
    client.wait_ready(LONG).unwrap();
}

#[test]
fn a_pause_that_the_last_host_asks_for_is_kept() {
    let mixpanel = server(2);
    mixpanel
        .set_faults_json(
            r#"[{"path": "/flags/definitions", "kind": "status", "status": 503, "retry_after": 600}]"#,
        )
        .unwrap();
    for hosts in
        [[format!("http://{}", nowhere()), mixpanel.url()], [mixpanel.url(), format!("http://{}", nowhere())]]
    {
        mixpanel.clear_requests();
        let client = client(&[&hosts[0], &hosts[1]], json!({}));
        client.wait_ready(Duration::from_millis(300)).unwrap_err();
        assert_eq!(mixpanel.requests().requests.len(), 1);
    }
}

#[test]
fn events_are_not_doubled() {
    let (cache, mixpanel) = (server(1), server(2));
    // The cache forwards the events, and the connection breaks before the response: Mixpanel has got them already.
    let cut = Fault { at_byte: Some(5), ..Fault::new("/track", Kind::Cut) };
    cache.set_faults(vec![cut]).unwrap();
    let client = client(&[&cache.url(), &mixpanel.url()], json!({}));
    for n in 0..20 {
        client.track("e", &format!("u{n}"), "").unwrap();
    }
    assert_eq!(client.flush(LONG).unwrap(), 0);
    let ids = |server: &Server| {
        let events = server.events();
        let ids =
            events.iter().map(|event| event.json["properties"]["$insert_id"].as_str().unwrap().to_owned());
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(&mixpanel).len(), 20);
    assert!(!ids(&cache).is_empty() && ids(&cache).is_subset(&ids(&mixpanel)));
}

#[test]
fn remote_evaluations_and_imports_go_to_the_next_host_too() {
    let (cache, mixpanel) = (server(1), server(2));
    cache.stop().unwrap();
    let hosts = [cache.url(), mixpanel.url()];
    let remote = client(&[&hosts[0], &hosts[1]], json!({"mode": "remote"}));
    for _ in 0..3 {
        assert_eq!(value(&remote), 2);
    }
    assert_eq!(hosts_failed(&remote), 1, "one request found out");
    let importing = client(
        &[&hosts[0], &hosts[1]],
        json!({"service_account": {"username": "u", "secret": "s", "project_id": "7"}, "enable_polling": false}),
    );
    importing.track("e", "u1", "").unwrap();
    importing.flush(LONG).unwrap();
    assert!(mixpanel.requests().requests.iter().any(|request| request.path == "/import"));
}

/// One request tries each host again. The others must not fail because there is none left for them.
#[test]
fn requests_at_the_same_time_do_not_run_out_of_hosts() {
    let (cache, mixpanel) = (server(1), server(1));
    let client =
        client(&[&cache.url(), &mixpanel.url()], json!({"mode": "remote", "polling_interval_ms": 50}));
    cache.stop().unwrap();
    mixpanel.stop().unwrap();
    assert_eq!(value(&client), -1);
    assert_eq!(hosts(&client), [(true, 1), (true, 1)]);
    // They respond slowly, so that all requests are under way at once.
    for server in [&cache, &mixpanel] {
        server.restart_after(Duration::ZERO).unwrap();
        server.set_faults(vec![Fault { delay_ms: Some(300), ..Fault::new("*", Kind::Delay) }]).unwrap();
    }
    // The pause of a second is over for both.
    let failed = Instant::now();
    until("the pause is over", || failed.elapsed() > Duration::from_millis(1100));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| value(&client))).collect();
        let values: Vec<i64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(values, [1; 6]);
    });
}

fn hosts_failed(client: &Client) -> u64 {
    hosts(client)[0].1
}

/// The server closes idle connections, which must not count as a failure.
#[test]
fn an_idle_connection_that_was_closed_is_not_a_failure() {
    let (cache, mixpanel) = (server(1), server(2));
    let client = client(&[&cache.url(), &mixpanel.url()], json!({}));
    client.wait_ready(LONG).unwrap();
    for _ in 0..5 {
        let reset = Fault { times: Some(1), ..Fault::new("/flags/definitions", Kind::Reset) };
        cache.set_faults(vec![reset]).unwrap();
        until("the fault is used up", || cache.faults().is_empty());
        cache.clear_requests();
        cache.wait_requests(2, LONG);
    }
    assert_eq!((hosts(&client), mixpanel.requests().requests.len()), (vec![(false, 0), (false, 0)], 0));
}

#[test]
fn a_single_host_has_no_statistics() {
    let server = server(1);
    for api_host in [json!(server.url()), json!([server.url()])] {
        let config = json!({"token": "T", "api_host": api_host}).to_string();
        let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
        let statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
        assert!(statistics["hosts"].is_null());
    }
}
