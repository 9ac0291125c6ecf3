//! TLS and proxies: which certificates are trusted, what is said of one that is not, and which way requests go.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mpflags::{Client, Config, Context, ErrorKind, EvaluateOptions, Item, State};
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
        r#"{{"token": "T0KEN", "api_host": "{host}", "polling_interval_ms": 50, "retry_base_ms": 10,
            "log_level": "warning" {more}}}"#
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
        if !text.ends_with("no response yet") {
            return text.trim_start_matches("no definitions within the timeout: ").to_owned();
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

/// A server with a certificate of `tests/certificates`, and the path of that certificate.
fn server_with(name: &str) -> (Server, String) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    let certificate = folder.join(format!("{name}.pem"));
    let server = Server::start(Options {
        token: Some("T0KEN".to_owned()),
        certificate: Some((certificate.clone(), folder.join(format!("{name}.key")))),
        ..Options::default()
    });
    let server = server.unwrap();
    server.set_definitions(DEFINITIONS);
    (server, certificate.display().to_string())
}

/// No Rust debug form, with whom, and the reason.
fn assert_plain(text: &str, server: &Server, why: &str) {
    assert!(text.starts_with(&format!("TLS with {}: ", server.addr())) && text.contains(why), "{text}");
    for mark in ["{", "::", "(\"", "Error", "Other", "Issuer", "Context", "Name("] {
        assert!(!text.contains(mark), "{mark}: {text}");
    }
}

#[test]
fn a_certificate_in_ca_file_is_trusted_for_its_own_names() {
    // `openssl req -x509`; the same that is not an authority; one whose authority is unknown.
    let unknown = "is signed by an authority that is not trusted here; the option ca_file adds one";
    for (name, without) in [
        ("self-signed", "trusted only if ca_file contains this very certificate"),
        ("no-authority", unknown),
        ("issued", unknown),
    ] {
        let (server, path) = server_with(name);
        let more = format!(r#", "ca_file": "{path}""#);
        client(&server.url(), &more).wait_ready(LONG).unwrap_or_else(|e| panic!("{name}: {e}"));
        client(&server.url().replace("127.0.0.1", "localhost"), &more).wait_ready(LONG).unwrap();
        let remote = client(&server.url(), &format!(r#"{more}, "mode": "remote""#));
        assert!(remote.boolean("gate", &user(), false), "{name}");
        assert_plain(&error(&client(&server.url(), "")), &server, without);
    }
}

#[test]
fn a_certificate_in_ca_file_must_be_in_order_all_the_same() {
    for (name, why) in [
        (
            "expired",
            "the server's certificate expired on Thu, 31 Dec 2020 23:59:59 GMT; the clock here says ",
        ),
        ("not-yet-valid", "the server's certificate is not valid before Sun, 01 Jan 2119 00:00:00 GMT; "),
        ("other-name", "is not valid for 127.0.0.1, but for other.example, 192.0.2.1"),
        ("no-name", "names no host, so it is not valid for 127.0.0.1: put the name into subjectAltName"),
        ("for-clients", "is not for servers, but for clients"),
        ("version-1", "is not an X.509 certificate of version 3"),
    ] {
        let (server, path) = server_with(name);
        let more = format!(r#", "ca_file": "{path}""#);
        assert_plain(&error(&client(&server.url(), &more)), &server, why);
        let remote = client(&server.url(), &format!(r#"{more}, "mode": "remote""#));
        let evaluation = remote.evaluate("gate", &user(), EvaluateOptions::new());
        assert_plain(evaluation.message().unwrap(), &server, why);
        assert!(server.requests().requests.is_empty(), "nothing was sent");
    }
}

/// Another certificate of the same subject and names is another one.
#[test]
fn a_certificate_in_ca_file_stands_for_no_other() {
    let (server, _) = server_with("self-signed");
    let (_, issued) = server_with("issued");
    let text = error(&client(&server.url(), &format!(r#", "ca_file": "{issued}""#)));
    assert_plain(&text, &server, "the server's certificate ");
}

#[test]
fn what_is_wrong_with_a_certificate() {
    for (tls, why) in [
        (Tls::Expired, "expired on Thu, 31 Dec 2020 00:00:00 GMT"),
        (Tls::WrongName, "is not valid for 127.0.0.1, but for wrong.mixpanel.invalid"),
        (Tls::SelfSigned, "not trusted here"),
    ] {
        let server = server(Some(tls));
        let trusted = format!(r#", "ca_file": "{}""#, ca_file(&server).display());
        assert_plain(&error(&client(&server.url(), &trusted)), &server, why);
        let remote = client(&server.url(), &format!(r#"{trusted}, "mode": "remote""#));
        let evaluation = remote.evaluate("gate", &user(), EvaluateOptions::new());
        assert_plain(evaluation.message().unwrap(), &server, why);
    }
    // Valid, but of an authority that is unknown here.
    let server = server(Some(Tls::Good));
    assert_plain(&error(&client(&server.url(), "")), &server, "not trusted here");
    assert!(server.requests().requests.is_empty(), "nothing was sent");
}

#[test]
fn tls_meets_no_tls() {
    let plain = server(None);
    let client = client(&plain.url().replace("http://", "https://"), "");
    // At once: only another configuration helps.
    let before = std::time::Instant::now();
    let error = client.wait_ready(LONG).unwrap_err();
    let message = format!("{0} speaks plain http: write http://{0}", plain.addr());
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Backend, message));
    assert!(before.elapsed() < LONG / 2, "{:?}", before.elapsed());
    assert_eq!(client.state(), State::Error);
}

#[test]
fn ca_files() {
    for (content, why) in [
        ("", "no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nAA", "a certificate in it has no end, or is not base64"),
        ("-----BEGIN CERTIFICATE-----\n<>\n-----END CERTIFICATE-----\n", "or is not base64"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate 1 in it is malformed",
        ),
    ] {
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
    proxy.require_credentials("user", "pa:ss");
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
    let (server, proxy) = (server.addr(), url.trim_start_matches("http://"));
    let check = "check the option proxy, and HTTPS_PROXY";
    assert_eq!(text, format!("{server} through the proxy {proxy}: connection refused; {check}"));
}

/// The environment belongs to the process, so each case runs this test in a new process, with `CASE` set.
#[test]
fn the_environment() {
    if std::env::var("MPFLAGS_TEST_HOST").is_ok() {
        return in_the_environment();
    }
    let proxy = Proxy::start().unwrap();
    let url = proxy.url();
    let server = server(Some(Tls::Good));
    let by_option = format!(r#", "ca_file": "{}", "proxy": "{url}""#, ca_file(&server).display());
    let here = server.url();
    // The name is looked up by the proxy, which refuses it: that it was asked is the proof.
    let outside = "https://mpflags.invalid";
    let below = "https://api.mpflags.invalid";
    for (host, more, variables, asked) in [
        (outside, "", vec![("HTTPS_PROXY", url.as_str())], true),
        (outside, "", vec![("https_proxy", url.as_str())], true),
        (outside, "", vec![("ALL_PROXY", url.as_str())], true),
        (outside, "", vec![("all_proxy", url.as_str())], true),
        (outside, "", vec![("HTTP_PROXY", url.as_str())], false),
        (
            outside,
            "",
            vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "other.example, mpflags.invalid")],
            false,
        ),
        (outside, "", vec![("HTTPS_PROXY", url.as_str()), ("no_proxy", "*.invalid")], false),
        (outside, "", vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "example.com")], true),
        // What is below a name, with a port or without; the table is in src/transport/no_proxy.txt.
        (below, "", vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "mpflags.invalid")], false),
        (below, "", vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", ".MPFLAGS.invalid.")], false),
        (below, "", vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "mpflags.invalid:443")], false),
        (below, "", vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "mpflags.invalid:8443")], true),
        (below, "", vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "flags.invalid")], true),
        // This machine never uses a proxy of the environment,
        ("http://127.0.0.1:9", "", vec![("HTTPS_PROXY", url.as_str()), ("ALL_PROXY", url.as_str())], false),
        ("http://localhost.:9", "", vec![("HTTPS_PROXY", url.as_str()), ("ALL_PROXY", url.as_str())], false),
        // but one of the configuration, which NO_PROXY applies to as well.
        (&here, &by_option, vec![("NO_PROXY", "192.0.2.0/24")], true),
        (&here, &by_option, vec![("NO_PROXY", "127.0.0.0/8")], false),
        (&here, &by_option, vec![("NO_PROXY", "*")], false),
    ] {
        let before = proxy.requests().len();
        let output = in_environment(host, more, &variables);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(proxy.requests().len() > before, asked, "{host} {variables:?}");
    }
    for (variables, says) in [
        (
            vec![("ALL_PROXY", "socks5h://127.0.0.1:1")],
            "config: proxy: ALL_PROXY: expected a URL such as http://proxy.example:3128; SOCKS proxies are not supported",
        ),
        (
            vec![("https_proxy", "http://u:s3cret@")],
            "config: proxy: https_proxy: expected a URL such as http://proxy.example:3128",
        ),
        (
            vec![("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "good.example,http://u:s3cret@bad.example/")],
            "NO_PROXY: the entry `bad.example/` is ignored: expected a host name, an address, a range such as 10.0.0.0/8, or `*`",
        ),
    ] {
        let output = in_environment(outside, "", &variables);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(printed.contains(&format!("\n{says}\n")) && !printed.contains("s3cret"), "{printed}");
    }
    // A proxy for other programs does not matter where none is used.
    let variables = [("ALL_PROXY", "socks5h://127.0.0.1:1"), ("NO_PROXY", "invalid")];
    let output = in_environment(outside, "", &variables);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !printed.contains("config"), "{output:?}");
}

fn in_environment(host: &str, more: &str, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // The test's path in its binary, which depends on where this file is included.
    let module = module_path!().split_once("::").map_or(String::new(), |(_, module)| format!("{module}::"));
    command.args([&format!("{module}the_environment"), "--exact", "--nocapture"]);
    command.env("MPFLAGS_TEST_HOST", host).env("MPFLAGS_TEST_MORE", more);
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
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Prints why there is no client, or the lines that it logs until the first request has ended.
fn in_the_environment() {
    let host = std::env::var("MPFLAGS_TEST_HOST").unwrap();
    let more = std::env::var("MPFLAGS_TEST_MORE").unwrap();
    let config = format!(r#"{{"token": "T0KEN", "api_host": "{host}", "retry_base_ms": 10 {more}}}"#);
    let client = match Client::new(Config::from_json(&config).unwrap()) {
        Ok(client) => client,
        Err(error) => return println!("\n{error}"),
    };
    client.start().unwrap();
    // The parent waits for no more than this test does.
    while client
        .wait_ready(Duration::from_millis(50))
        .is_err_and(|e| e.to_string().ends_with("no response yet"))
    {}
    while let Ok(Some(item)) = client.next_item(Duration::ZERO) {
        if let Item::Log { message, .. } = item {
            println!("\n{message}");
        }
    }
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
    let why = text.strip_prefix("mpflags.invalid:443: ");
    assert!(matches!(why, Some("host not found; check api_host" | "name look-up timed out")), "{text}");
}
