//! TLS and proxies: which certificates are trusted, what is told of one that is not, and which way requests go.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mpflags::{Ask, Client, Config, Context, ErrorKind};
use mpflags_dev::{Options, Proxy, Server, Tls};

const LONG: Duration = Duration::from_secs(10);

const DEFINITIONS: &str = r#"{"flags": [{"key": "gate", "context": "distinct_id",
    "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}"#;

fn server(tls: Option<Tls>) -> Server {
    let server =
        Server::start(Options { token: Some("T0KEN".to_owned()), tls, ..Options::default() }).unwrap();
    server.set_definitions(DEFINITIONS);
    server
}

fn ca_file(server: &Server) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("mpflags-ca-{}-{n}.pem", std::process::id()));
    fs::write(&path, server.ca_pem().unwrap()).unwrap();
    path
}

fn client(host: &str, more: &str) -> Client {
    let config = format!(
        r#"{{"token": "T0KEN", "api_host": "{host}", "polling_interval_ms": 50, "retry_base_ms": 10 {more}}}"#
    );
    let client = Client::new(Config::from_json(&config).unwrap()).unwrap();
    client.start().unwrap();
    client
}

fn user() -> Context {
    Context::from_json(r#"{"distinct_id": "u1"}"#).unwrap()
}

/// The last error of a client that gets nothing.
fn error(client: &Client) -> String {
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let error = client.wait_ready(Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let text = error.to_string();
        if !text.ends_with("no answer yet") {
            return text.trim_start_matches("no definitions within the time given: ").to_owned();
        }
        assert!(std::time::Instant::now() < deadline, "{text}");
    }
}

#[test]
fn a_trusted_certificate() {
    let server = server(Some(Tls::Good));
    let trusted = format!(r#", "ca_file": "{}""#, ca_file(&server).display());
    let local = client(&server.url(), &trusted);
    local.wait_ready(LONG).unwrap();
    assert!(local.boolean("gate", &user(), false));
    local.flush(LONG).unwrap();
    assert_eq!(server.event_counts().accepted, 1);
    let remote = client(&server.url(), &format!(r#"{trusted}, "mode": "remote""#));
    assert!(remote.boolean("gate", &user(), false));
    // No scheme means https.
    let host = server.url().trim_start_matches("https://").to_owned();
    client(&host, &trusted).wait_ready(LONG).unwrap();
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    for (tls, why) in
        [(Tls::Expired, "expired"), (Tls::WrongName, "not valid for"), (Tls::SelfSigned, "UnknownIssuer")]
    {
        let server = server(Some(tls));
        let trusted = format!(r#", "ca_file": "{}""#, ca_file(&server).display());
        let text = error(&client(&server.url(), &trusted));
        assert!(text.starts_with("TLS: invalid peer certificate: ") && text.contains(why), "{tls:?}: {text}");
        let remote = client(&server.url(), &format!(r#"{trusted}, "mode": "remote""#));
        let evaluation = remote.evaluate("gate", &user(), Ask::new());
        assert!(evaluation.message().unwrap().contains(why), "{tls:?}: {evaluation:?}");
    }
    // Good, but of an authority that nobody here knows.
    let server = server(Some(Tls::Good));
    let text = error(&client(&server.url(), ""));
    assert!(text.contains("UnknownIssuer"), "{text}");
    assert!(server.requests().requests.is_empty(), "nothing was sent");
}

#[test]
fn tls_meets_no_tls() {
    let plain = server(None);
    let text = error(&client(&plain.url().replace("http://", "https://"), ""));
    assert!(text.contains("TLS") || text.contains("ended") || text.contains("corrupt"), "{text}");
}

#[test]
fn ca_files() {
    for (content, why) in [("", "no certificate in it"), ("-----BEGIN CERTIFICATE-----\nAA", "")] {
        let path = std::env::temp_dir().join(format!("mpflags-bad-{}.pem", std::process::id()));
        fs::write(&path, content).unwrap();
        let json = format!(r#"{{"token": "t", "ca_file": "{}"}}"#, path.display());
        let error = Client::new(Config::from_json(&json).unwrap()).unwrap_err();
        assert!(
            error.to_string().starts_with("config: ca_file: ") && error.to_string().contains(why),
            "{error}"
        );
    }
}

#[test]
fn a_proxy_of_the_configuration() {
    let server = server(Some(Tls::Good));
    let proxy = Proxy::start().unwrap();
    let more = format!(r#", "ca_file": "{}", "proxy": "{}""#, ca_file(&server).display(), proxy.url());
    let client = client(&server.url(), &more);
    client.wait_ready(LONG).unwrap();
    assert!(client.boolean("gate", &user(), false));
    let authority = server.url().trim_start_matches("https://").to_owned();
    assert!(
        proxy.requests().iter().all(|request| *request == format!("CONNECT {authority}")),
        "{:?}",
        proxy.requests()
    );
    assert!(!proxy.requests().is_empty());
    client.shutdown(LONG).unwrap();
    proxy.stop();
}

#[test]
fn a_proxy_with_a_password() {
    let server = server(Some(Tls::Good));
    let proxy = Proxy::start().unwrap();
    proxy.ask_for("user", "pa:ss");
    let address = proxy.url().trim_start_matches("http://").to_owned();
    let ca = ca_file(&server);
    let more = format!(r#", "ca_file": "{}", "proxy": "http://user:pa%3Ass@{address}""#, ca.display());
    client(&server.url(), &more).wait_ready(LONG).unwrap();
    let more = format!(r#", "ca_file": "{}", "proxy": "http://user:wr0ng@{address}""#, ca.display());
    let text = error(&client(&server.url(), &more));
    assert!(!text.contains("wr0ng") && text.contains("proxy"), "{text}");
}

#[test]
fn a_proxy_that_is_down() {
    let server = server(Some(Tls::Good));
    let proxy = Proxy::start().unwrap();
    let url = proxy.url();
    proxy.stop();
    let more = format!(r#", "ca_file": "{}", "proxy": "{url}""#, ca_file(&server).display());
    let text = error(&client(&server.url(), &more));
    assert_eq!(text, "connection refused");
}

/// The environment belongs to the process, so each case runs in one of its own: this test again, with `CASE` set.
#[test]
fn the_environment() {
    if std::env::var("MPFLAGS_TEST_HOST").is_ok() {
        return in_the_environment();
    }
    let proxy = Proxy::start().unwrap();
    let url = proxy.url();
    // The name is looked up by the proxy, which refuses it: that it was asked is the proof.
    let outside = "https://mpflags.invalid";
    for (host, variables, asked) in [
        (outside, vec![("HTTPS_PROXY", url.as_str())], true),
        (outside, vec![("https_proxy", url.as_str())], true),
        (outside, vec![("ALL_PROXY", url.as_str())], true),
        (outside, vec![("all_proxy", url.as_str())], true),
        (outside, vec![("HTTP_PROXY", url.as_str())], false),
        (outside, vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "other.example, mpflags.invalid")], false),
        (outside, vec![("HTTPS_PROXY", url.as_str()), ("no_proxy", "*.invalid")], false),
        (outside, vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "example.com")], true),
        // This machine never uses a proxy of the environment.
        ("http://127.0.0.1:9", vec![("HTTPS_PROXY", url.as_str()), ("ALL_PROXY", url.as_str())], false),
    ] {
        let before = proxy.requests().len();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["network::the_environment", "--exact", "--nocapture"]).env("MPFLAGS_TEST_HOST", host);
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
            "HTTP_PROXY",
            "http_proxy",
            "NO_PROXY",
            "no_proxy",
        ] {
            command.env_remove(name);
        }
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(proxy.requests().len() > before, asked, "{host} {variables:?}");
    }
}

fn in_the_environment() {
    let host = std::env::var("MPFLAGS_TEST_HOST").unwrap();
    let client = client(&host, "");
    error(&client);
    client.shutdown(LONG).unwrap();
}

#[test]
fn ipv6() {
    let Ok(server) = Server::start(Options { ipv6: true, ..Options::default() }) else {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    };
    server.set_definitions(DEFINITIONS);
    client(&format!("http://[::1]:{}/", server.addr().port()), "").wait_ready(LONG).unwrap();
}

#[test]
fn names_are_looked_up() {
    let server = server(None);
    let named = server.url().replace("127.0.0.1", "localhost");
    client(&named, "").wait_ready(LONG).unwrap();
    let text = error(&client("https://mpflags.invalid", r#", "proxy": """#));
    assert!(text == "host not found" || text == "name look-up timed out", "{text}");
}
