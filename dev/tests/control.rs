//! The control API over HTTP, and the same from Rust.

mod raw_client;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mpflags_dev::{Options, Server};
use raw_client::{GET, address, ask, connect, drain, get, receive, send};
use serde_json::json;

fn server() -> (Server, SocketAddr) {
    let server = Server::start(Options { control_port: Some(0), ..Options::default() }).unwrap();
    let control = address(&server.control_url().unwrap());
    (server, control)
}

fn control(addr: SocketAddr, call: &str, body: &str) -> (u16, serde_json::Value) {
    let (method, path) = call.split_once(' ').unwrap();
    let reply = ask(addr, &format!("{method} /__dev/{path} HTTP/1.1"), body.as_bytes());
    (reply.status, reply.json())
}

fn refused(addr: SocketAddr) -> bool {
    matches!(TcpStream::connect(addr), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn requests_are_recorded_and_cleared_and_control_calls_are_not() {
    let (server, dev) = server();
    ask(server.addr(), "GET /__dev/health HTTP/1.1", b"");
    ask(
        server.addr(),
        "POST /track?verbose=1&name=a+b%26c HTTP/1.1\r\nX-One: 1\r\nx-one: 2",
        b"[{\"event\":1}]",
    );
    ask(server.addr(), "POST /import HTTP/1.1", b"\x1f\x8b\xff");
    let (status, seen) = control(dev, "GET requests", "");
    assert_eq!(status, 200);
    let [track, import] = seen["requests"].as_array().unwrap().as_slice() else { panic!("{seen}") };
    assert_eq!((&track["method"], &track["path"]), (&json!("POST"), &json!("/track")));
    assert_eq!(track["query"], json!({ "verbose": "1", "name": "a b&c" }));
    assert_eq!(track["headers"]["x-one"], "1, 2");
    assert_eq!((&track["body"], &track["status"]), (&json!("[{\"event\":1}]"), &json!(400)));
    assert_eq!((&track["number"], &track["body_length"]), (&json!(0), &json!(13)));
    assert_eq!((&import["body"], &import["body_base64"]), (&json!(null), &json!("H4v/")));
    assert!(track["at_ms"].as_u64() <= import["at_ms"].as_u64());
    assert_ne!(track["connection"], import["connection"]);
    assert_eq!((&seen["in_flight_max"], &seen["connections_opened"]), (&json!(1), &json!(2)));

    assert_eq!(control(dev, "DELETE requests", "").0, 200);
    let (_, seen) = control(dev, "GET requests", "");
    assert_eq!(seen["requests"], json!([]));
    assert_eq!((&seen["in_flight_max"], &seen["connections_opened"]), (&json!(0), &json!(0)));
}

#[test]
fn at_least_waits_and_gives_up() {
    let (server, dev) = server();
    let addr = server.addr();
    let asking = std::thread::spawn(move || control(dev, "GET requests?at_least=2&within_ms=10000", "").1);
    get(addr);
    get(addr);
    assert_eq!(asking.join().unwrap()["requests"].as_array().unwrap().len(), 2);
    let start = Instant::now();
    let (status, seen) = control(dev, "GET requests?at_least=3&within_ms=50", "");
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!((status, seen["requests"].as_array().unwrap().len()), (200, 2));
    for (call, why) in [
        ("GET requests?at_lest=3", "unknown parameter `at_lest`"),
        ("GET requests?at_least=x", "`at_least` must be a whole number, not \"x\""),
    ] {
        let (status, error) = control(dev, call, "");
        assert_eq!((status, error["error"].as_str()), (400, Some(why)));
    }
}

#[test]
fn definitions_are_any_bytes() {
    let (server, dev) = server();
    let before = get(server.addr()).header("etag").unwrap().to_owned();
    assert_eq!(control(dev, "PUT definitions", "{\"flags\": nonsense").0, 200);
    let reply = get(server.addr());
    assert_eq!(reply.text(), "{\"flags\": nonsense");
    assert_ne!(reply.header("etag"), Some(before.as_str()));
    assert_eq!(ask(dev, "GET /__dev/definitions HTTP/1.1", b"").text(), "{\"flags\": nonsense");
    assert_eq!(control(dev, "DELETE definitions", "").0, 200);
    assert_eq!(get(server.addr()).header("etag"), Some(before.as_str()));
    server.set_definitions(b"\xff\x00".to_vec());
    assert_eq!(get(server.addr()).body, b"\xff\x00");
    server.reset_definitions();
    assert_eq!(get(server.addr()).json(), json!({ "flags": [] }));
}

#[test]
fn faults_are_set_read_and_cleared() {
    let (server, dev) = server();
    let fault = json!([{ "path": "/flags/definitions", "kind": "status", "status": 503, "times": 3, "retry_after": 2 }]);
    assert_eq!(control(dev, "PUT faults", &fault.to_string()).0, 200);
    assert_eq!(get(server.addr()).status, 503);
    let (_, left) = control(dev, "GET faults", "");
    assert_eq!(left[0]["times"], 2);
    assert_eq!(left[0]["retry_after"], 2);
    let (status, error) = control(dev, "PUT faults", r#"[{"path":"/track","kind":"hang","staus":1}]"#);
    assert_eq!(status, 400);
    assert!(error["error"].as_str().unwrap().starts_with("faults[0]: unknown field `staus`"), "{error}");
    assert_eq!(get(server.addr()).status, 503, "an invalid list leaves the old one");
    assert_eq!(control(dev, "DELETE faults", "").0, 200);
    assert_eq!(get(server.addr()).status, 200);
}

#[test]
fn stop_refuses_and_restart_listens_on_the_same_port() {
    let (server, dev) = server();
    let mut kept = connect(server.addr());
    send(&mut kept, GET, b"");
    receive(&mut kept);
    assert_eq!(control(dev, "POST stop", "").0, 200);
    assert_eq!(drain(&mut kept), (Vec::new(), None));
    assert!(refused(server.addr()));
    assert_eq!(control(dev, "GET health", "").1["listening"], false);
    assert_eq!(control(dev, "POST stop", "").0, 200, "stopping twice has no effect");
    assert_eq!(control(dev, "POST restart", "").0, 200);
    assert_eq!(get(server.addr()).status, 200);

    assert_eq!(control(dev, "POST restart?after_ms=100", "").0, 200);
    assert!(refused(server.addr()));
    let start = Instant::now();
    while refused(server.addr()) {
        assert!(start.elapsed() < Duration::from_secs(10), "still refused");
        std::thread::yield_now();
    }
    assert_eq!(get(server.addr()).status, 200);

    // A later stop cancels the planned restart.
    server.restart_after(Duration::from_millis(50)).unwrap();
    server.stop().unwrap();
    std::thread::sleep(Duration::from_millis(120));
    assert!(refused(server.addr()));
}

#[test]
fn the_main_port_accepts_control_calls_even_those_that_close_it() {
    let server = Server::start(Options::default()).unwrap();
    assert_eq!(server.control_url(), None);
    let reply = ask(server.addr(), "POST /__dev/restart?after_ms=0 HTTP/1.1", b"");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    let mut stream = connect(server.addr());
    send(&mut stream, "POST /__dev/stop HTTP/1.1", b"");
    assert_eq!(receive(&mut stream).status, 200);
    assert_eq!(drain(&mut stream), (Vec::new(), None));
    assert!(refused(server.addr()));
}

#[test]
fn unknown_calls_and_methods_are_errors() {
    let (server, dev) = server();
    assert_eq!(control(dev, "GET nothing", "").0, 404);
    assert_eq!(control(dev, "POST health", "").0, 405);
    assert_eq!(control(dev, "GET stop", "").0, 405);
    assert_eq!(control(dev, "POST restart?after=1", "").0, 400);
    assert_eq!(get(dev).status, 404, "the control port serves no flags");
    assert!(server.requests().requests.is_empty());
}

#[test]
fn dropping_the_server_closes_both_ports() {
    let (server, dev) = server();
    let addr = server.addr();
    drop(server);
    assert!(refused(addr) && refused(dev));
}

#[test]
fn sequential_requests_are_one_in_flight_and_kept_connections_are_one() {
    let (server, _) = server();
    let mut stream = connect(server.addr());
    for _ in 0..200 {
        send(&mut stream, GET, b"");
        receive(&mut stream);
    }
    let seen = server.requests();
    assert_eq!((seen.requests.len(), seen.in_flight_max), (200, 1));
    assert_eq!((seen.connections_opened, seen.connections_open, seen.connections_max), (1, 1, 1));
    for _ in 0..50 {
        let mut stream = connect(server.addr());
        send(&mut stream, &format!("{GET}\r\nConnection: close"), b"");
        drain(&mut stream);
    }
    let seen = server.requests();
    assert_eq!((seen.connections_opened, seen.connections_max, seen.in_flight_max), (51, 2, 1));
}
