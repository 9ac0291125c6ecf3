//! What the page at the control port is made of: its files, who may use it, and the calls behind its panels.

mod raw_client;

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mpflags_dev::{Options, Server};
use raw_client::{Reply, address, ask, connect, read_head, send};
use serde_json::{Value, json};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/definitions.json");
const USER: &str = "%7B%22distinct_id%22%3A%22qa-1%22%7D";

fn server(definitions: Option<PathBuf>) -> (Server, SocketAddr) {
    let server = Server::start(Options { definitions, control_port: Some(0), ..Options::default() }).unwrap();
    let control = address(&server.control_url().unwrap());
    (server, control)
}

fn sample() -> (Server, SocketAddr) {
    server(Some(SAMPLE.into()))
}

fn call(addr: SocketAddr, call: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (method, path) = call.split_once(' ').unwrap();
    let reply = ask(addr, &format!("{method} /__dev/{path} HTTP/1.1"), body.as_bytes());
    (reply.status, reply.json())
}

/// A request with these headers alone.
fn bare(addr: SocketAddr, head: &str) -> Reply {
    let mut stream = connect(addr);
    std::io::Write::write_all(&mut stream, format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let (head, mut body) = read_head(&mut stream).unwrap();
    stream.read_to_end(&mut body).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head, body }
}

#[test]
fn its_files_are_served_with_a_policy_and_on_the_control_port_only() {
    let (server, control) = sample();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let reply = ask(control, &format!("GET {path} HTTP/1.1"), b"");
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let tag = reply.header("etag").unwrap();
        let again = ask(control, &format!("GET {path} HTTP/1.1\r\nIf-None-Match: {tag}"), b"");
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(ask(server.addr(), &format!("GET {path} HTTP/1.1"), b"").status, 404);
    }
    assert_eq!(ask(control, "POST / HTTP/1.1", b"").status, 405);
    assert_eq!(ask(control, "GET /no.js HTTP/1.1", b"").status, 404);
    assert!(
        server.requests().requests.iter().all(|request| request.status == Some(404)),
        "only those of the main port"
    );
}

#[test]
fn other_websites_are_refused() {
    let (server, control) = sample();
    let own = format!("127.0.0.1:{}", control.port());
    for (host, status) in [
        (own.as_str(), 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("mixpanel.localhost:80", 200),
        ("[::1]:80", 200),
        ("192.168.1.7", 200),
        ("evil.example", 403),
        ("evil.example:80", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("", 403),
    ] {
        for addr in [control, server.addr()] {
            let reply = bare(addr, &format!("GET /__dev/health HTTP/1.1\r\nHost: {host}"));
            assert_eq!(reply.status, status, "{host}: {}", reply.text());
        }
        assert_eq!(bare(control, &format!("GET / HTTP/1.1\r\nHost: {host}")).status, status, "{host}");
    }
    for (header, status) in [
        (format!("Origin: http://{own}"), 200),
        ("Origin: http://evil.example".to_owned(), 403),
        ("Origin: null".to_owned(), 403),
        (format!("Origin: http://127.0.0.1:{}", server.addr().port()), 403),
        ("Sec-Fetch-Site: same-origin".to_owned(), 200),
        ("Sec-Fetch-Site: none".to_owned(), 200),
        ("Sec-Fetch-Site: cross-site".to_owned(), 403),
        ("Sec-Fetch-Site: same-site".to_owned(), 403),
    ] {
        let head = format!("POST /__dev/restart HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0\r\n{header}");
        assert_eq!(bare(control, &head).status, status, "{header}");
    }
    let link = bare(control, &format!("GET / HTTP/1.1\r\nHost: {own}\r\nSec-Fetch-Site: cross-site"));
    assert_eq!(link.status, 200, "a link from another site may open the page");
    // SDKs in browsers send an Origin to the main port.
    assert_eq!(
        bare(server.addr(), "GET /flags/definitions HTTP/1.1\r\nHost: x\r\nOrigin: http://app.example")
            .status,
        200
    );
}

#[test]
fn on_other_addresses_the_control_api_needs_the_token() {
    let host = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let error = Server::start(Options { host, ..Options::default() }).err().unwrap();
    assert_eq!(error.to_string(), "on 0.0.0.0, other machines reach the server, so it needs a token");
    let options = Options { host, token: Some("tok".into()), control_port: Some(0), ..Options::default() };
    let server = Server::start(options).unwrap();
    assert_eq!(server.url(), format!("http://127.0.0.1:{}", server.addr().port()));
    let control = address(&server.control_url().unwrap());
    for addr in [control, server.addr()] {
        let refused = bare(addr, "GET /__dev/health HTTP/1.1\r\nHost: mixpanel:8080");
        assert_eq!(refused.status, 401);
        assert!(refused.header("www-authenticate").unwrap().starts_with("Basic "));
        for (credentials, status) in [("tok:", 200), ("tok:any", 200), ("tik:", 401), (":tok", 401)] {
            let basic = STANDARD.encode(credentials);
            let head =
                format!("GET /__dev/health HTTP/1.1\r\nHost: mixpanel:8080\r\nAuthorization: Basic {basic}");
            assert_eq!(bare(addr, &head).status, status, "{credentials}");
        }
    }
    assert_eq!(bare(control, "GET / HTTP/1.1\r\nHost: mixpanel:8080").status, 401);
}

#[test]
fn users_are_evaluated_and_explained_without_credentials() {
    let options =
        Options { definitions: Some(SAMPLE.into()), token: Some("tok".into()), ..Options::default() };
    let server = Server::start(options).unwrap();
    let (status, all) = call(server.addr(), &format!("GET evaluate?context={USER}"), &Value::Null);
    assert_eq!((status, all["flags"].as_array().unwrap().len()), (200, 6));
    let (_, one) =
        call(server.addr(), &format!("GET evaluate?context={USER}&flag=new-checkout"), &Value::Null);
    assert_eq!(one["flags"][0]["variant"], "On");
    let (status, why) =
        call(server.addr(), &format!("GET explain?context={USER}&flag=new-checkout"), &Value::Null);
    assert_eq!((status, &why["step"]), (200, &json!("tester")));
    for (path, why) in [
        ("explain?flag=f", "`context` is missing: add ?context={\"distinct_id\":\"user-1\"}"),
        ("explain?context=%7B%7D", "`flag` is missing: add ?flag=new-checkout"),
        ("evaluate?context=u1", "context: expected a JSON object, such as {\"distinct_id\": \"user-1\"}"),
        ("evaluate?contxt=u1", "unknown parameter `contxt`"),
    ] {
        let (status, error) = call(server.addr(), &format!("GET {path}"), &Value::Null);
        assert_eq!((status, error["error"].as_str()), (400, Some(why)));
    }
    assert!(server.requests().requests.is_empty());
}

#[test]
fn one_value_is_edited_saved_and_discarded() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{}.json", std::process::id()));
    let sample = fs::read_to_string(SAMPLE).unwrap();
    fs::write(&path, &sample).unwrap();
    let (server, control) = server(Some(path.clone()));
    let served = || String::from_utf8(raw_client::get(server.addr()).body).unwrap();
    let edit =
        json!({ "flag": "new-checkout", "path": "ruleset.rollout[0].rollout_percentage", "value": 0.25 });
    assert_eq!(call(control, "PATCH definitions", &edit).0, 200);
    let edited = sample.replacen("\"rollout_percentage\": 0.5", "\"rollout_percentage\": 0.25", 1);
    assert_eq!(served(), edited, "nothing else has changed");
    assert_eq!(fs::read_to_string(&path).unwrap(), sample);
    let (_, state) = call(control, "GET state", &Value::Null);
    assert_eq!((&state["in_memory"], &state["file"]), (&json!(true), &json!(path.to_str().unwrap())));
    assert_eq!(call(control, "POST save", &Value::Null).0, 200);
    assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    assert_eq!(call(control, "GET state", &Value::Null).1["in_memory"], false);
    fs::write(&path, &sample).unwrap();
    assert_eq!(served(), sample, "the file is served again");
    for (body, why) in [
        (json!({ "flag": "nope", "path": "status", "value": "x" }), "no flag \"nope\""),
        (
            json!({ "flag": "banner", "path": "ruleset.rollout[7].x", "value": 1 }),
            "banner: there is no ruleset.rollout[7].x",
        ),
    ] {
        let (status, error) = call(control, "PATCH definitions", &body);
        assert_eq!((status, error["error"].as_str()), (400, Some(why)));
    }
    server.set_definitions("{\"flags\": nonsense");
    let (status, error) = call(control, "POST save", &Value::Null);
    assert_eq!(status, 400);
    assert!(
        error["error"].as_str().unwrap().starts_with("not saved, because it is not definitions: "),
        "{error}"
    );
    let (_, found) = call(control, "GET check", &Value::Null);
    assert_eq!(found["findings"].as_array().unwrap().len(), 1);
    let (_, found) = call(control, "POST check", &json!({ "flags": [] }));
    assert_eq!(found["findings"], json!([]));
}

#[test]
fn a_distribution_is_near_its_expectation() {
    let (_server, control) = sample();
    let ask = json!({ "flag": "button-color", "generate": 5000 });
    let (status, found) = call(control, "POST distribution", &ask);
    assert_eq!((status, &found["users"], &found["failed"]), (200, &json!(5000), &json!(0)));
    let blue = &found["variants"][0];
    assert_eq!(blue["variant"], "blue");
    assert!((blue["expected"].as_f64().unwrap() - 0.34).abs() < 1e-9, "{blue}");
    let seen = blue["seen"].as_f64().unwrap() / 5000.0;
    assert!((seen - 0.34).abs() < 0.03, "{seen}");
    assert!(found["p_value"].as_f64().unwrap() > 1e-4, "{found}");
    let pasted = json!({ "flag": "premium-chat", "contexts": [
        { "distinct_id": "qa-1" }, { "distinct_id": "a", "custom_properties": { "plan": "premium", "country": "de" } }, {},
    ]});
    let (_, found) = call(control, "POST distribution", &pasted);
    assert_eq!(
        (&found["users"], &found["failed"], &found["variants"][1]["seen"]),
        (&json!(3), &json!(1), &json!(2))
    );
    for (body, why) in [
        (json!({ "flag": "nope", "generate": 1 }), "no flag \"nope\""),
        (json!({ "flag": "banner", "generate": 100_001 }), "at most 100000 users"),
    ] {
        let (status, error) = call(control, "POST distribution", &body);
        assert_eq!((status, error["error"].as_str()), (400, Some(why)));
    }
}

#[test]
fn what_happens_is_streamed() {
    let (notes, _noted) = std::sync::mpsc::channel();
    let options = Options { control_port: Some(0), notes: Some(notes), ..Options::default() };
    let server = Server::start(options).unwrap();
    let control = address(&server.control_url().unwrap());
    let mut stream = connect(control);
    send(&mut stream, "GET /__dev/live HTTP/1.1", b"");
    let (head, mut text) = read_head(&mut stream).unwrap();
    assert!(head.to_ascii_lowercase().contains("content-type: text/event-stream"), "{head}");
    let event =
        br#"[{"event":"$experiment_started","properties":{"distinct_id":"<script>","Experiment name":"f"}}]"#;
    ask(server.addr(), "POST /track HTTP/1.1\r\nUser-Agent: probe/1", event);
    server.set_definitions(r#"{"flags":[{"key":"f"}]}"#);
    let deadline = Instant::now() + Duration::from_secs(10);
    let found = loop {
        let found = String::from_utf8_lossy(&text).into_owned();
        if [r#""kind":"request""#, r#""kind":"event""#, r#""kind":"definitions""#]
            .iter()
            .all(|kind| found.contains(kind))
        {
            break found;
        }
        assert!(Instant::now() < deadline, "{found}");
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).unwrap();
        text.extend_from_slice(&chunk[..read]);
    };
    for part in
        [r#""user_agent":"probe/1""#, r#""distinct_id":"<script>""#, r#""status":200"#, r#""what":"added""#]
    {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert_eq!(ask(control, "POST /__dev/live HTTP/1.1", b"").status, 405);
}
