//! Every option: accepted values, and the message for each wrong one, verbatim.

use std::fs;
use std::path::Path;

use std::time::Duration;

use mpflags::{Client, Config, ErrorKind, Mode, OPTIONS};
use serde_json::json;

#[track_caller]
fn refused(json: &str, message: &str) {
    let error = Config::from_json(json).and_then(Client::new).expect_err(json);
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(error.to_string(), message);
}

#[track_caller]
fn with(field: &str, message: &str) {
    refused(&format!(r#"{{"token": "T0KEN", {field}}}"#), message);
}

#[track_caller]
fn taken(field: &str) {
    let json = format!(r#"{{"token": "T0KEN", {field}}}"#);
    Config::from_json(&json).and_then(Client::new).unwrap_or_else(|e| panic!("{field}: {e}"));
}

#[test]
fn not_an_object() {
    refused("", r#"config: expected a JSON object, such as {"token": "…"}, found nothing"#);
    refused("\"T0KEN\"", r#"config: expected a JSON object, such as {"token": "…"}, found a string"#);
    refused("[1]", r#"config: expected a JSON object, such as {"token": "…"}, found an array"#);
    refused(
        "T0KEN",
        r#"config: expected a JSON object, such as {"token": "…"}, found text that is not JSON"#,
    );
    refused(r#"{"token": "T0KEN""#, "config: EOF while parsing an object at line 1 column 17");
    refused(r#"{"token": "T0KEN"} x"#, "config: trailing characters at line 1 column 20");
}

#[test]
fn token() {
    refused("{}", "config: token: required");
    refused(r#"{"token": null}"#, "config: token: required");
    refused(r#"{"token": 5}"#, "config: token: expected a string, found a number");
    refused(r#"{"token": " "}"#, "config: token: expected a non-empty string, found an empty one");
    refused(r#"{"token": "a", "token": "b"}"#, "config: token: given twice");
}

#[test]
fn unknown_key() {
    let known: Vec<&str> = OPTIONS.iter().map(|option| option.key).collect();
    with(
        "\"poll_interval\": 5",
        &format!("config: unknown key `poll_interval`; known are {}", known.join(", ")),
    );
    with("\"api-host\": 5", "config: unknown key `api-host`; did you mean `api_host`?");
    with(
        "\"polling_interval\": 5",
        "config: unknown key `polling_interval`; did you mean `polling_interval_ms`?",
    );
}

#[test]
fn durations() {
    for (key, low, high) in [
        ("polling_interval_ms", 50, 86_400_000),
        ("request_timeout_ms", 50, 600_000),
        ("retry_base_ms", 10, 60_000),
        ("init_timeout_ms", 50, 600_000),
        ("shutdown_timeout_ms", 0, 600_000),
    ] {
        let wrong =
            |found: &str| format!("config: {key}: expected an integer from {low} to {high}, found {found}");
        taken(&format!("\"{key}\": {low}"));
        taken(&format!("\"{key}\": {high}"));
        taken(&format!("\"{key}\": null"));
        with(&format!("\"{key}\": {}", high + 1), &wrong(&(high + 1).to_string()));
        with(&format!("\"{key}\": -1"), &wrong("-1"));
        with(&format!("\"{key}\": 60.5"), &wrong("60.5"));
        with(&format!("\"{key}\": \"60\""), &wrong("a string"));
        if low > 0 {
            with(&format!("\"{key}\": {}", low - 1), &wrong(&(low - 1).to_string()));
        }
    }
}

#[test]
fn switches() {
    for key in ["enable_polling", "allow_insecure_http", "token_in_query"] {
        taken(&format!("\"{key}\": true"));
        with(&format!("\"{key}\": 1"), &format!("config: {key}: expected true or false, found a number"));
    }
}

#[test]
fn api_host() {
    for host in [
        "api-eu.mixpanel.com",
        "https://api-in.mixpanel.com/",
        "https://api.example.com:8443/mixpanel//",
        "HTTPS://api.example.com",
        "localhost:8080",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "[2001:db8::1]:443",
    ] {
        taken(&format!("\"api_host\": \"{host}\""));
    }
    taken(r#""api_host": "http://api.example.com", "allow_insecure_http": true"#);
    for (host, why) in [
        ("", "expected a host"),
        ("https://", "expected a host"),
        ("ftp://a.example", "expected https:// or http://, or a host alone"),
        ("a.example:99999", "expected a port from 0 to 65535 after the host"),
        ("a b", "a host must be ASCII without white space; write other names in punycode"),
        ("bücher.example", "a host must be ASCII without white space; write other names in punycode"),
        (
            "https://user:pass@a.example",
            "expected a host or a base URL, without credentials, query or fragment",
        ),
        ("a.example?x=1", "expected a host or a base URL, without credentials, query or fragment"),
        ("[::1", "expected `]` after an IPv6 address"),
        ("[a.example]", "expected an IPv6 address between `[` and `]`"),
        (
            "http://api.mixpanel.com",
            "http:// is for hosts on this machine, because the credentials are sent in every request; \
             allow_insecure_http allows it elsewhere",
        ),
    ] {
        with(&format!("\"api_host\": \"{host}\""), &format!("config: api_host: {why}"));
    }
    with(
        "\"api_host\": 5",
        "config: api_host: expected a string, or an array of 1 to 8 strings, found a number",
    );
}

#[test]
fn several_hosts() {
    taken(r#""api_host": ["flags.internal", "api.mixpanel.com"]"#);
    taken(r#""api_host": ["api-eu.mixpanel.com"]"#);
    let many: Vec<String> = (0..9).map(|n| format!("\"h{n}.example\"")).collect();
    taken(&format!("\"api_host\": [{}]", many[..8].join(",")));
    let expected = "config: api_host: expected a string, or an array of 1 to 8 strings, found an array of";
    with(&format!("\"api_host\": [{}]", many.join(",")), &format!("{expected} 9"));
    with(r#""api_host": []"#, &format!("{expected} 0"));
    with(r#""api_host": ["a.example", 5]"#, "config: api_host[1]: expected a string, found a number");
    with(r#""api_host": ["a.example", null]"#, "config: api_host[1]: expected a string, found null");
    with(r#""api_host": ["a.example", ""]"#, "config: api_host[1]: expected a host");
    with(r#""api_host": ["a.example", "https://a.example/"]"#, "config: api_host[1]: given twice");
    with(
        r#""api_host": ["a.example", "http://b.example"]"#,
        "config: api_host[1]: http:// is for hosts on this machine, because the credentials are sent in every request; \
         allow_insecure_http allows it elsewhere",
    );
    let config = Config::builder("t").api_host(["a.example", "b.example"]).build().unwrap();
    assert!(format!("{config:?}").contains("b.example"));
}

#[test]
fn ready_from_cache() {
    taken(r#""ready_from_cache": true, "definitions_cache_dir": "/nowhere""#);
    taken(r#""ready_from_cache": false"#);
    with(
        r#""ready_from_cache": true"#,
        "config: ready_from_cache: not allowed without definitions_cache_dir",
    );
    let together = "config: ready_from_cache: not allowed together with definitions or definitions_path";
    let cache = r#""ready_from_cache": true, "definitions_cache_dir": "/nowhere""#;
    with(&format!(r#"{cache}, "definitions": {{"flags": []}}"#), together);
    with(&format!(r#"{cache}, "definitions_path": "x""#), together);
}

#[test]
fn service_account() {
    taken(r#""service_account": {"username": " u ", "secret": "S3CRET", "project_id": "7"}"#);
    for missing in ["username", "secret", "project_id"] {
        let rest: Vec<String> = ["username", "secret", "project_id"]
            .iter()
            .filter(|key| **key != missing)
            .map(|key| format!("\"{key}\": \"x\""))
            .collect();
        with(
            &format!("\"service_account\": {{{}}}", rest.join(",")),
            &format!("config: service_account.{missing}: required together with the other two"),
        );
    }
    with(
        r#""service_account": {"username": "u", "secret": " ", "project_id": "7"}"#,
        "config: service_account.secret: expected a non-empty string, found an empty one",
    );
    with(
        r#""service_account": {"username": "u", "secret": "s", "project_id": "7", "x": 1}"#,
        "config: unknown key `service_account.x`; known are username, secret, project_id",
    );
    with(
        r#""service_account": "u:s""#,
        r#"config: service_account: expected a JSON object, such as {"username": "…", "secret": "…", "project_id": "…"}, found a string"#,
    );
}

#[test]
fn definitions() {
    taken(r#""definitions": {"flags": []}"#);
    with(r#""definitions": []"#, "config: definitions: expected an object, found an array");
    with(
        r#""definitions": {"flag": []}"#,
        "config: definitions: not a definitions document: flags: required",
    );
    with(
        r#""definitions": {"flags": []}, "definitions_path": "x""#,
        "config: definitions_path: not allowed together with definitions",
    );
    with(
        r#""definitions_path": "/nowhere/at/all.json""#,
        "config: definitions_path: /nowhere/at/all.json: No such file or directory (os error 2)",
    );
}

#[test]
fn overrides() {
    taken(r#""overrides": {"a": null, "b": {"x": [1]}}"#);
    with(r#""overrides": [1]"#, "config: overrides: expected an object, found an array");
    with(r#""overrides": {"a": 1e400}"#, "config: overrides.a: number out of range");
    with(r#""overrides": {"a": 1, "a": 2}"#, "config: overrides.a: given twice");
}

#[test]
fn transport() {
    taken(r#""proxy": """#);
    taken(r#""proxy": "http://user:pass@proxy.example:3128""#);
    let expected = "config: proxy: expected a URL such as http://proxy.example:3128";
    with(r#""proxy": "http://""#, expected);
    with(r#""proxy": "gopher://x:1""#, expected);
    with(r#""proxy": "socks5://x:1""#, &format!("{expected}; SOCKS proxies are not supported"));
    with(
        r#""ca_file": "/nowhere/ca.pem""#,
        "config: ca_file: /nowhere/ca.pem: I/O error: No such file or directory (os error 2)",
    );
    with(r#""wrapper": "a b""#, "config: wrapper: expected a string of at most 64 visible ASCII characters");
    taken(r#""wrapper": "python/0.1""#);
}

#[test]
fn nothing_secret_is_printed() {
    let config = Config::from_json(
        r#"{"token": "T0KEN", "service_account": {"username": "u", "secret": "S3CRET", "project_id": "7"}}"#,
    )
    .unwrap();
    let printed =
        format!("{config:?} {:?}", Client::new(Config::from_json(r#"{"token": "T0KEN"}"#).unwrap()));
    assert!(!printed.contains("T0KEN") && !printed.contains("S3CRET"), "{printed}");
}

/// The builder makes JSON, so it reports the same errors.
#[test]
fn builder() {
    let definitions = json!({"flags": []});
    let config = Config::builder("T0KEN")
        .service_account("u", "S3CRET", "7")
        .polling_interval(Duration::from_millis(50))
        .enable_polling(false)
        .event_batch_size(1)
        .definitions(&definitions)
        .overrides(&json!({"f": 1e300}))
        .ca_file("/nowhere/ca.pem")
        .wrapper("a b")
        .wrapper("a");
    assert!(!format!("{config:?} {:?}", config.clone().build().unwrap()).contains("S3CRET"));
    let refused = |builder: mpflags::ConfigBuilder, message: &str| {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    };
    refused(Config::builder(""), "config: token: expected a non-empty string, found an empty one");
    refused(
        Config::builder("t").polling_interval(Duration::MAX),
        "config: polling_interval_ms: expected an integer from 50 to 86400000, found 18446744073709551615999",
    );
    refused(
        Config::builder("t").mode(Mode::Remote).definitions(&definitions),
        "config: definitions: not allowed in remote mode, which has no definitions",
    );
    refused(Config::builder("t").overrides("f"), "config: overrides: expected an object, found a string");
    // A map whose keys are not strings is not JSON.
    refused(
        Config::builder("t").overrides(&std::collections::BTreeMap::from([((1, 2), 3)])),
        "config: overrides: key must be a string",
    );
}

/// docs/configuration.md is made from [`OPTIONS`]: `MPFLAGS_UPDATE=1 cargo test --test engine` writes it.
#[test]
fn page() {
    let mut page = CONFIGURATION.to_owned();
    for option in OPTIONS {
        let (key, effect) = (option.key, option.effect);
        page += &format!("| `{key}` | {} | {} | {effect} |\n", option.allowed(), option.default());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os("MPFLAGS_UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), page, "MPFLAGS_UPDATE=1 writes docs/configuration.md");
}

const CONFIGURATION: &str = "\
# Configuration

<!-- Generated from src/config/options.rs by tests/engine/config.rs: `MPFLAGS_UPDATE=1 cargo test --test engine` writes it. -->

The configuration is one JSON object. It is checked strictly: an unknown key, a wrong type or a value out of range is an
error that names the key and what is allowed. Durations are integers in milliseconds. null means the default.

Every binding takes the same keys. Python also accepts the names of Mixpanel's own package; Go and Rust have a function for each
option.

| key | allowed | default | effect |
| --- | --- | --- | --- |
";
