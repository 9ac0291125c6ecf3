//! What went wrong, and the exact words for it: what happened, where, and what to do. `cargo test --test client messages --
//! --nocapture` prints them.

use std::fmt::Write;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, ErrorKind, EvaluateOptions, Item, Level, State, ValueType};
use mpflags_dev::{Fault, Kind, Options, Proxy, Server, Tls};
use serde_json::Value;

const LONG: Duration = Duration::from_secs(10);
const FLAGS: &str = r#"{"flags": [
    {"key": "new-checkout", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}],
        "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}},
    {"key": "color", "context": "distinct_id", "ruleset": {"variants": [{"key": "red", "value": "red"}],
        "rollout": [{"rollout_percentage": 1}]}}]}"#;

fn server() -> Server {
    let server = Server::start(Options { token: Some("demo".to_owned()), ..Options::default() }).unwrap();
    server.set_definitions(FLAGS);
    server
}

fn config(host: &str, more: &str) -> Result<Config, mpflags::Error> {
    Config::from_json(&format!(
        r#"{{"token": "demo", "api_host": "{host}", "init_timeout_ms": 600, "polling_interval_ms": 50, "retry_base_ms": 10
            {more}}}"#
    ))
}

fn client(host: &str, more: &str) -> Client {
    let client = Client::new(config(host, more).unwrap()).unwrap();
    client.start().unwrap();
    client
}

/// A client that evaluates these flags without a server.
fn local(more: &str) -> Client {
    let more = format!(r#", "enable_polling": false, "definitions": {FLAGS} {more}"#);
    Client::new(config("http://127.0.0.1:9", &more).unwrap()).unwrap()
}

/// The error of waiting for definitions that do not come.
fn waiting(host: &str, more: &str) -> String {
    let client = client(host, more);
    // Until the first failure is known.
    let until = Instant::now() + LONG;
    loop {
        let text = client.wait_ready(Duration::from_millis(300)).unwrap_err().to_string();
        if !text.ends_with("no response yet") || Instant::now() > until {
            return text;
        }
    }
}

fn refused(json: &str) -> String {
    Config::from_json(json).err().map(|error| error.to_string()).unwrap_or_default()
}

fn context(json: &str) -> String {
    Context::from_json(json).err().map(|error| error.to_string()).unwrap_or_default()
}

fn message(client: &Client, key: &str, context: &str) -> String {
    let evaluation = client.evaluate_json(key, context, EvaluateOptions::new());
    evaluation.message().unwrap_or("no message").to_owned()
}

/// What a client logs until it is in `state`, with the level of each line; and the states.
fn lines(client: &Client, state: State) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match client.next_item(LONG).unwrap() {
            Some(Item::Log { level, message }) => lines.push(format!("{level:?}: {message}")),
            Some(Item::State { state: new, .. }) => {
                lines.push(format!("state {new}"));
                if new == state {
                    return lines;
                }
            }
            Some(_) => {}
            None => panic!("no {state} after {lines:?}"),
        }
    }
}

/// Answers every connection with `response`.
fn answering(response: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(response);
        }
    });
    address
}

/// `{at}` in the expected words is the address of the server.
#[test]
fn table() {
    let server = server();
    let (url, at) = (server.url(), server.addr().to_string());
    let encrypted = Server::start(Options { tls: Some(Tls::Good), ..Options::default() }).unwrap();
    let (secure_url, secure) = (encrypted.url(), encrypted.addr().to_string());
    let stopped = {
        let gone = Server::start(Options::default()).unwrap();
        gone.addr().to_string()
    };
    let proxy = {
        let proxy = Proxy::start().unwrap();
        let url = proxy.url();
        proxy.stop();
        url
    };
    let faulty = |fault: Fault| {
        let server = Server::start(Options::default()).unwrap();
        server.set_faults(vec![fault]).unwrap();
        server
    };
    const PATH: &str = "/flags/definitions";
    let page = faulty(Fault {
        status: Some(200),
        body: Some("<html>Sign in</html>".to_owned()),
        ..Fault::new(PATH, Kind::Status)
    });
    let moved = faulty(Fault { status: Some(302), ..Fault::new(PATH, Kind::Status) });
    let hangs = faulty(Fault::new(PATH, Kind::Hang));
    let down = faulty(Fault { status: Some(503), ..Fault::new(PATH, Kind::Status) });
    let text = answering(b"SSH-2.0-OpenSSH_9.2\r\n");
    let (page_at, moved_at, hangs_at, down_at) = (page.addr(), moved.addr(), hangs.addr(), down.addr());

    let flags = local("");
    let idle = Client::new(config(&url, "").unwrap()).unwrap();
    let never =
        Client::new(config(&url, r#", "enable_polling": false, "overrides": {"a": 1}"#).unwrap()).unwrap();
    let user = r#"{"distinct_id": "u1"}"#;
    let over = |json: &str| flags.set_override("new-checkout", json).unwrap_err().to_string();

    let in_vain = "no definitions within the timeout: ";
    let known = mpflags::OPTIONS.iter().map(|option| option.key).collect::<Vec<_>>().join(", ");
    let rows: Vec<(&str, String, String)> = vec![
        (
            "wrong token",
            {
                let config = format!(r#"{{"token": "demmo", "api_host": "{url}"}}"#);
                let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
                client.start().unwrap();
                let error = client.wait_ready(LONG).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::CredentialsRefused);
                error.to_string()
            },
            format!(
                "Mixpanel refused the credentials: HTTP 401 from {at}/flags/definitions: Invalid credentials; \
                 check token, service_account and api_host"
            ),
        ),
        (
            "mpflags-dev without http://",
            waiting(&at, ""),
            format!("{at} speaks plain http: write http://{at}"),
        ),
        (
            "http:// for a port that expects TLS",
            waiting(&secure_url.replace("https", "http"), ""),
            format!(
                "{in_vain}{secure}: the response is not HTTP (http parse fail: invalid HTTP version); \
                 if the port expects TLS, write https://{secure}"
            ),
        ),
        (
            "nobody listens",
            waiting(&format!("http://{stopped}"), ""),
            format!("{in_vain}{stopped}: connection refused; check api_host"),
        ),
        (
            "the proxy is down",
            waiting(&secure_url, &format!(r#", "proxy": "{proxy}""#)),
            format!(
                "{in_vain}{secure} through the proxy {}: connection refused; check the option proxy, and HTTPS_PROXY",
                proxy.trim_start_matches("http://")
            ),
        ),
        (
            "a path in api_host",
            waiting(&format!("{url}/flags"), ""),
            format!("{in_vain}HTTP 404 from {at}/flags/flags/definitions; check api_host"),
        ),
        (
            "a redirect",
            waiting(&moved.url(), ""),
            format!(
                "{in_vain}HTTP 302 from {moved_at}/flags/definitions: redirects are not followed, since that would \
                 send the credentials elsewhere; check api_host"
            ),
        ),
        (
            "a server that is down",
            waiting(&down.url(), ""),
            format!("{in_vain}HTTP 503 from {down_at}/flags/definitions"),
        ),
        (
            "a server that does not respond",
            waiting(&hangs.url(), ""),
            format!("{in_vain}{hangs_at}: timed out"),
        ),
        (
            "a page to sign in to the network",
            waiting(&page.url(), ""),
            format!("{in_vain}{page_at}/flags/definitions: not a definitions document: expected value at line 1 column 1"),
        ),
        (
            "another protocol",
            waiting(&format!("http://{text}"), ""),
            format!(
                "{in_vain}{text}: the response is not HTTP (http parse fail: invalid HTTP version); if the port expects TLS, \
                 write https://{text}"
            ),
        ),
        (
            "http:// to a foreign host",
            config("http://flags.example", "").err().unwrap().to_string(),
            "config: api_host: http:// is for hosts on this machine, because the credentials are sent in every request; \
             allow_insecure_http allows it elsewhere"
                .to_owned(),
        ),
        (
            "token=demo as configuration",
            refused("token=demo"),
            r#"config: expected a JSON object, such as {"token": "…"}, found text that is not JSON"#.to_owned(),
        ),
        (
            "an empty configuration",
            refused(""),
            r#"config: expected a JSON object, such as {"token": "…"}, found nothing"#.to_owned(),
        ),
        (
            "a configuration with its NUL",
            refused("{\"token\": \"demo\"}\0"),
            "config: the text ends with a NUL: the length must not include it".to_owned(),
        ),
        (
            "a context with its NUL",
            context("{\"distinct_id\": \"u1\"}\0"),
            "context: the text ends with a NUL: the length must not include it".to_owned(),
        ),
        (
            "a context that is not JSON",
            context("user-1"),
            r#"context: expected a JSON object, such as {"distinct_id": "…"}, found text that is not JSON"#.to_owned(),
        ),
        (
            "a quote in a context that is written by hand",
            context(r#"{"distinct_id": "a"b"}"#),
            "context: distinct_id: expected `,` or `}` at line 1 column 20".to_owned(),
        ),
        (
            "the option `api-host`",
            refused(r#"{"token": "t", "api-host": "h"}"#),
            "config: unknown key `api-host`; did you mean `api_host`?".to_owned(),
        ),
        (
            "the option `polling_interval`",
            refused(r#"{"token": "t", "polling_interval": 5}"#),
            "config: unknown key `polling_interval`; did you mean `polling_interval_ms`?".to_owned(),
        ),
        (
            "an option that resembles none",
            refused(r#"{"token": "t", "colour": 5}"#),
            format!("config: unknown key `colour`; known are {known}"),
        ),
        (
            "an interval in seconds",
            refused(r#"{"token": "t", "polling_interval_ms": 30}"#),
            "config: polling_interval_ms: expected an integer from 50 to 86400000, found 30".to_owned(),
        ),
        (
            "the mode `Local`",
            refused(r#"{"token": "t", "mode": "Local"}"#),
            r#"config: mode: expected "local" or "remote", found another string"#.to_owned(),
        ),
        (
            "a configuration without its quotes",
            refused("{token: demo}"),
            "config: a key must be a string in double quotes at line 1 column 2".to_owned(),
        ),
        (
            "the log level `trace`",
            refused(r#"{"token": "t", "log_level": "trace"}"#),
            r#"config: log_level: expected "debug", "info", "warning" or "error", found another string"#.to_owned(),
        ),
        (
            "a misspelled flag",
            message(&flags, "new-chekout", user),
            "flag `new-chekout` is not among the definitions; did you mean `new-checkout`?".to_owned(),
        ),
        (
            "a flag that resembles none",
            message(&flags, "pricing", user),
            "flag `pricing` is not among the definitions".to_owned(),
        ),
        (
            "a rule, and a context without custom_properties",
            message(&flags, "new-checkout", r#"{"distinct_id": "u1", "plan": "pro"}"#),
            "the context has no custom_properties, the only attributes that rules read; set the option `attributes_as_custom_properties` to use the others".to_owned(),
        ),
        (
            "a rule that does not match",
            message(&flags, "new-checkout", r#"{"distinct_id": "u1", "custom_properties": {"plan": "free"}}"#),
            "no message".to_owned(),
        ),
        (
            "a context without distinct_id",
            message(&flags, "color", r#"{"distinctId": "u1"}"#),
            "the context has no usable `distinct_id`".to_owned(),
        ),
        (
            "a value of another type",
            {
                let options = EvaluateOptions::new().value_type(ValueType::Boolean);
                flags.evaluate_json("color", user, options).message().unwrap().to_owned()
            },
            "expected boolean, the variant holds a string".to_owned(),
        ),
        (
            "an evaluation before the start",
            message(&idle, "color", user),
            "no definitions: the client is not started".to_owned(),
        ),
        (
            "overrides alone, and another flag",
            message(&never, "color", user),
            "no definitions: the client is not started".to_owned(),
        ),
        (
            "waiting before the start",
            idle.wait_ready(LONG).unwrap_err().to_string(),
            "the client is not started".to_owned(),
        ),
        (
            "a malformed flag in the configuration",
            {
                let more = r#", "enable_polling": false, "definitions": {"flags": [{"key": "my-flag"}]}"#;
                let client = Client::new(config(&url, more).unwrap()).unwrap();
                let Some(Item::Log { message, .. }) = client.next_item(LONG).unwrap() else { panic!("no line") };
                message
            },
            "flag `my-flag`: context: required; it is ignored".to_owned(),
        ),
        (
            "the override `yes`",
            over("yes"),
            r#"override of `new-checkout`: not JSON; a string needs quotes, as in "yes""#.to_owned(),
        ),
        (
            "an empty override",
            over(""),
            "override of `new-checkout`: expected a JSON value, found nothing".to_owned(),
        ),
        (
            "an override with its NUL",
            over("true\0"),
            "override of `new-checkout`: the text ends with a NUL: the length must not include it".to_owned(),
        ),
    ];
    let mut printed = String::new();
    let mut wrong = String::new();
    for (what, got, want) in &rows {
        let _ = writeln!(printed, "{what}\n    {got}");
        if got != want {
            let _ = writeln!(wrong, "{what}: want\n    {want}\ngot\n    {got}");
        }
    }
    println!("{printed}");
    assert!(wrong.is_empty(), "{wrong}");
}

/// With each number of milliseconds as N.
fn masked(line: &str) -> String {
    let words = line.split(' ').collect::<Vec<_>>();
    let is_time = |at: usize| words.get(at + 1) == Some(&"ms");
    let word = |(at, word): (usize, &&str)| if is_time(at) { "N".to_owned() } else { (*word).to_owned() };
    words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

/// A failure is logged before the state that it leads to.
#[test]
fn a_failure_comes_before_its_state() {
    for (fault, says) in [
        (
            Fault { status: Some(401), ..Fault::new("/flags/definitions", Kind::Status) },
            "refused the credentials",
        ),
        (Fault { status: Some(500), ..Fault::new("/flags/definitions", Kind::Status) }, "HTTP 500"),
        (Fault::new("/flags/definitions", Kind::Reset), "connection reset"),
        (Fault::new("/flags/definitions", Kind::Hang), "timed out"),
    ] {
        let server = server();
        server.set_faults(vec![fault]).unwrap();
        // No second attempt, which the initialisation time could cut short.
        let config = format!(
            r#"{{"token": "demo", "api_host": "{}", "init_timeout_ms": 600, "polling_interval_ms": 86400000,
                "retry_base_ms": 60000}}"#,
            server.url()
        );
        let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
        client.start().unwrap();
        let lines = lines(&client, State::Error);
        let [logged, state] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(logged.starts_with("Warning: ") && logged.contains(says), "{lines:?}");
        assert_eq!(state, "state ERROR");
    }
}

/// A program that ends at once still learns why.
#[test]
fn what_waits_is_delivered_before_the_end() {
    let server = server();
    server
        .set_faults(vec![Fault { status: Some(401), ..Fault::new("/flags/definitions", Kind::Status) }])
        .unwrap();
    let client = client(&server.url(), "");
    client.wait_ready(LONG).unwrap_err();
    client.shutdown(LONG).unwrap();
    let first = client.next_item(LONG).unwrap();
    assert!(matches!(first, Some(Item::Log { level: Level::Warning, .. })), "{first:?}");
    let second = client.next_item(LONG).unwrap();
    assert!(matches!(second, Some(Item::State { state: State::Error, .. })), "{second:?}");
    assert_eq!(client.next_item(LONG).unwrap_err().kind(), ErrorKind::Closed);
}

fn etag(client: &Client) -> String {
    let statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
    statistics["definitions"]["etag"].as_str().unwrap().to_owned()
}

/// At the default level: one line for each change.
#[test]
fn lines_about_changes() {
    let server = server();
    let at = server.addr();
    let client = client(&server.url(), "");
    client.wait_ready(LONG).unwrap();
    assert_eq!(lines(&client, State::Ready), ["state READY"]);
    let expect = |flags: &str, size: usize| {
        let Some(Item::Log { level, message }) = client.next_item(LONG).unwrap() else { panic!("no line") };
        let size = if size < 1000 { format!("{size} B") } else { format!("{:.1} kB", size as f64 / 1000.0) };
        let line = format!("definitions: {flags}, {size}, ETag {}, from {at}", etag(&client));
        assert_eq!((level, message), (Level::Info, line));
    };
    expect("2 flags", FLAGS.len());
    let one = format!(
        r#"{{"flags": [{{"key": "f", "context": "id", "ruleset": {{"variants": [{{"key": "v", "value": "{}"}}], "rollout": []}}}}]}}"#,
        "x".repeat(3000)
    );
    server.set_definitions(one.as_str());
    expect("1 flag", one.len());
    let change = client.next_item(LONG).unwrap();
    assert!(matches!(change, Some(Item::Change { .. })), "{change:?}");
    // A poll without a change logs nothing.
    server.clear_requests();
    server.wait_requests(3, LONG);
    assert_eq!(client.next_item(Duration::ZERO).unwrap(), None);
}

/// Everything that the client does, in order.
#[test]
fn lines_for_following() {
    let server = server();
    let at = server.addr();
    let definitions = format!("from {at}/flags/definitions");
    server
        .set_faults(vec![Fault {
            status: Some(500),
            body: Some("down".to_owned()),
            times: Some(2),
            ..Fault::new("/flags/definitions", Kind::Status)
        }])
        .unwrap();
    let client = client(&server.url(), r#", "log_level": "debug", "event_flush_interval_ms": 10"#);
    let mut seen = lines(&client, State::Ready);
    // Another thread sends, so the poll has to end before that begins.
    match client.next_item(LONG).unwrap() {
        Some(Item::Log { level, message }) => seen.push(format!("{level:?}: {message}")),
        other => panic!("{other:?}"),
    }
    client.track("E", "u1", "{}").unwrap();
    client.flush(LONG).unwrap();
    client.shutdown(LONG).unwrap();
    while let Ok(Some(item)) = client.next_item(LONG) {
        if let Item::Log { level, message } = item {
            seen.push(format!("{level:?}: {message}"));
        }
    }
    let seen: Vec<String> = seen.iter().map(|line| masked(line)).collect();
    println!("{}", seen.join("\n"));
    let size = FLAGS.len();
    let failed = format!("fetching definitions failed: HTTP 500 {definitions}");
    assert_eq!(
        seen[..10],
        [
            format!("Debug: poll: HTTP 500 {definitions}, 4 B in N ms"),
            format!("Warning: {failed}"),
            "Debug: retry 1 in N ms".to_owned(),
            format!("Debug: poll: HTTP 500 {definitions}, 4 B in N ms"),
            format!("Debug: {failed}"),
            "Debug: retry 2 in N ms".to_owned(),
            format!("Debug: poll: HTTP 200 {definitions}, {size} B in N ms"),
            "Debug: state: NOT_READY to READY".to_owned(),
            "state READY".to_owned(),
            format!("Info: definitions: 2 flags, {size} B, ETag {}, from {at}", etag(&client)),
        ]
    );
    let rest = &seen[10..];
    assert!(rest.contains(&format!("Debug: sent 1 event: HTTP 200 from {at}/track in N ms")), "{rest:#?}");
    let unchanged = format!("Debug: poll: HTTP 304 {definitions}, 0 B in N ms");
    assert!(rest.iter().all(|line| *line == unchanged || line.starts_with("Debug: sent ")), "{rest:#?}");
}

/// Less serious lines are left out.
#[test]
fn levels() {
    for (level, lowest) in
        [("error", Level::Error), ("warning", Level::Warning), ("info", Level::Info), ("debug", Level::Debug)]
    {
        let server = server();
        server
            .set_faults(vec![Fault {
                status: Some(500),
                times: Some(1),
                ..Fault::new("/flags/definitions", Kind::Status)
            }])
            .unwrap();
        let client = client(&server.url(), &format!(r#", "log_level": "{level}""#));
        client.wait_ready(LONG).unwrap();
        client.shutdown(LONG).unwrap();
        let mut seen = Vec::new();
        while let Ok(Some(item)) = client.next_item(LONG) {
            if let Item::Log { level, .. } = item {
                seen.push(level);
            }
        }
        // Nothing here is an error.
        let expected = (level != "error").then_some(lowest);
        assert_eq!(seen.into_iter().min(), expected, "{level}");
    }
}

/// Events and remote evaluations say where, too.
#[test]
fn other_requests() {
    let server = server();
    let at = server.addr();
    let refused = r#", "mode": "remote", "event_retry_base_ms": 10"#;
    let config = format!(r#"{{"token": "demmo", "api_host": "{}" {refused}}}"#, server.url());
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    client.start().unwrap();
    assert_eq!(
        message(&client, "color", r#"{"distinct_id": "u1"}"#),
        format!(
            "Mixpanel refused the credentials: HTTP 401 from {at}/flags: Invalid credentials; \
             check token, service_account and api_host"
        )
    );
    client.track("E", "u1", "{}").unwrap();
    server.set_faults(vec![Fault { status: Some(403), ..Fault::new("/track", Kind::Status) }]).unwrap();
    client.flush(Duration::from_millis(300)).unwrap();
    server.stop().unwrap();
    client.flush(Duration::from_millis(300)).unwrap();
    client.shutdown(Duration::from_millis(100)).unwrap();
    let mut seen = Vec::new();
    while let Ok(Some(item)) = client.next_item(LONG) {
        if let Item::Log { message, .. } = item {
            seen.push(message);
        }
    }
    let sending = "sending events failed: ";
    assert_eq!(
        seen[..2],
        [
            format!("{sending}Mixpanel refused the credentials: HTTP 403 from {at}/track: Injected fault"),
            format!("{sending}{at}: connection refused; check api_host"),
        ]
    );
    println!("{}", seen.join("\n"));
}

#[test]
fn mistakes_are_logged_once_and_counted() {
    let client = local(r#", "overrides": {"forced": "x"}"#);
    let user = Context::from_json(r#"{"distinct_id": "u1", "custom_properties": {"plan": "pro"}}"#).unwrap();
    for _ in 0..3 {
        assert!(!client.boolean("new-chekout", &user, false));
        assert_eq!(client.integer("color", &user, 7), 7);
        assert_eq!(client.string("new-checkout", &user, "none"), "none");
        assert!(!client.boolean("forced", &user, false));
        let once = r#"{"distinct_id": "u1"}"#;
        client.evaluate_json("color", once, EvaluateOptions::new().value_type(ValueType::Boolean));
        client.evaluate_json("forced", once, EvaluateOptions::new().value_type(ValueType::Boolean));
        client.evaluate_json("pricing", once, EvaluateOptions::new());
        // Not mistakes: the value, no match, all flags, and an explanation.
        assert_eq!(client.string("color", &user, "none"), "red");
        client.evaluate_json("new-checkout", once, EvaluateOptions::new());
        client.evaluate_all(&user, EvaluateOptions::new().value_type(ValueType::Integer));
        client.explain("new-chekout", &user).unwrap();
    }
    let mut said = Vec::new();
    while let Some(item) = client.next_item(Duration::ZERO).unwrap() {
        if let Item::Log { level, message } = item {
            assert_eq!(level, Level::Warning, "{message}");
            said.push(message);
        }
    }
    let once = |message: &str| format!("{message} (logged once; evaluations return the default)");
    assert_eq!(
        said,
        [
            once("flag `new-chekout` is not among the definitions; did you mean `new-checkout`?"),
            once("flag `color`: expected integer, the variant holds a string"),
            once("flag `new-checkout`: expected string, the variant holds a boolean"),
            once("flag `forced`: expected boolean, the variant holds a string"),
            once("flag `pricing` is not among the definitions"),
        ]
    );
    let statistics: Value = serde_json::from_str(&client.statistics()).unwrap();
    assert_eq!((&statistics["unknown_flags"], &statistics["type_mismatches"]), (&6.into(), &15.into()));
    // The keys may come from outside.
    for number in 0..400 {
        client.boolean(&format!("flag-{number}"), &user, false);
    }
    let mut lines = 0;
    while client.next_item(Duration::ZERO).unwrap().is_some() {
        lines += 1;
    }
    assert_eq!(lines, 256 - 2);
}
