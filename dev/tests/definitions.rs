//! `GET /flags/definitions` of a healthy server: the file, ETag, gzip, credentials.

mod raw_client;

use std::fs;
use std::io::Read as _;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mpflags_dev::{Options, Server, ServiceAccount};
use raw_client::{GET, ask, get};

/// A file that no other test uses.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.json", std::process::id()));
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_file_is_read_again_when_it_changes() {
    let path = file("changes", "{\"flags\":[]}");
    let server = Server::start(Options { definitions: Some(path.clone()), ..Options::default() }).unwrap();
    let first = get(server.addr());
    assert_eq!((first.status, first.text()), (200, "{\"flags\":[]}"));
    fs::write(&path, "{\"flags\":[1]}").unwrap();
    let second = get(server.addr());
    assert_eq!(second.text(), "{\"flags\":[1]}");
    assert_ne!(first.header("etag"), second.header("etag"));
    fs::remove_file(&path).unwrap();
    // Editors rename, truncate and write: what was good is served meanwhile.
    assert_eq!(get(server.addr()).text(), "{\"flags\":[1]}");
    fs::write(&path, "{\"flags\":[1,").unwrap();
    assert_eq!(get(server.addr()).text(), "{\"flags\":[1]}");
    fs::write(&path, "{\"flags\":[1,2]}").unwrap();
    assert_eq!(get(server.addr()).text(), "{\"flags\":[1,2]}");
}

#[test]
fn an_etag_that_matches_is_304() {
    let server = Server::start(Options::default()).unwrap();
    let tag = get(server.addr()).header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for sent in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let reply = ask(server.addr(), &format!("{GET}\r\nIf-None-Match: {sent}"), b"");
        assert_eq!((reply.status, reply.header("etag"), reply.body.len()), (304, Some(tag.as_str()), 0));
    }
    assert_eq!(ask(server.addr(), &format!("{GET}\r\nIf-None-Match: \"x\""), b"").status, 200);
    server.set_definitions("{\"flags\":[2]}");
    assert_eq!(ask(server.addr(), &format!("{GET}\r\nIf-None-Match: {tag}"), b"").status, 200);
}

#[test]
fn gzip_is_sent_to_clients_that_accept_it() {
    let server = Server::start(Options::default()).unwrap();
    let reply = ask(server.addr(), &format!("{GET}\r\nAccept-Encoding: br, gzip;q=0.5"), b"");
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "{\"flags\":[]}\n");
    let tag = reply.header("etag").unwrap();
    let again = ask(server.addr(), &format!("{GET}\r\nAccept-Encoding: gzip\r\nIf-None-Match: {tag}"), b"");
    assert_eq!((again.status, again.header("etag")), (304, Some(tag)));
    let plain = ask(server.addr(), &format!("{GET}\r\nAccept-Encoding: gzip;q=0"), b"");
    assert_eq!(plain.header("content-encoding"), None);
    assert_ne!(plain.header("etag"), Some(tag), "a strong ETag identifies bytes");
}

fn status(server: &Server, query: &str, credentials: &str) -> u16 {
    let authorization = match credentials {
        "" => String::new(),
        text => format!("\r\nAuthorization: Basic {}", STANDARD.encode(text)),
    };
    let reply = ask(server.addr(), &format!("GET /flags/definitions{query} HTTP/1.1{authorization}"), b"");
    if reply.status == 401 {
        let json = reply.json();
        assert_eq!(json["status"], "error");
        let text = json["error"].as_str().unwrap();
        assert!(!text.contains("tok") || text == "Invalid token", "{text}");
    }
    reply.status
}

#[test]
fn a_token_is_required_in_the_header_and_optional_in_the_query() {
    let server = Server::start(Options { token: Some("tok".into()), ..Options::default() }).unwrap();
    assert_eq!(status(&server, "?token=tok", "tok:"), 200);
    assert_eq!(status(&server, "?token=tok", ""), 401);
    assert_eq!(status(&server, "?token=tok", "tik:"), 401);
    assert_eq!(status(&server, "?token=tik", "tok:"), 401);
    assert_eq!(status(&server, "", "tok:"), 200);
    assert_eq!(status(&server, "", ""), 401);
}

#[test]
fn a_token_in_the_query_can_be_refused() {
    let token = Some("tok".to_owned());
    let server = Server::start(Options { token, header_only: true, ..Options::default() }).unwrap();
    assert_eq!(status(&server, "", "tok:"), 200);
    assert_eq!(status(&server, "", "tik:"), 401);
    let authorization = STANDARD.encode("tok:");
    let head = format!("GET /flags/definitions?token=tok HTTP/1.1\r\nAuthorization: Basic {authorization}");
    let reply = ask(server.addr(), &head, b"");
    assert_eq!((reply.status, &reply.json()["error"]), (401, &"the token is in the query".into()));
}

#[test]
fn a_service_account_names_its_project() {
    let account = ServiceAccount { username: "robot".into(), secret: "s3".into() };
    assert!(!format!("{account:?}").contains("s3"));
    let server = Server::start(Options {
        token: Some("tok".into()),
        service_account: Some(account),
        project_id: Some("7".into()),
        ..Options::default()
    })
    .unwrap();
    assert_eq!(status(&server, "?token=tok&project_id=7", "robot:s3"), 200);
    assert_eq!(status(&server, "?token=tok&project_id=8", "robot:s3"), 401);
    assert_eq!(status(&server, "?token=tok", "robot:s3"), 401);
    assert_eq!(status(&server, "?token=tok&project_id=7", "robot:s4"), 401);
    assert_eq!(status(&server, "?token=tok", "tok:"), 200, "the token is accepted as well");
}

#[test]
fn only_get_and_only_known_paths() {
    let server = Server::start(Options::default()).unwrap();
    let reply = ask(server.addr(), "POST /flags/definitions HTTP/1.1", b"x");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET")));
    let reply = ask(server.addr(), "GET /flag/definitions HTTP/1.1", b"");
    assert_eq!((reply.status, reply.json()["status"].as_str()), (404, Some("error")));
}

#[test]
fn ipv6_listens_on_the_same_port() {
    let server = match Server::start(Options { ipv6: true, ..Options::default() }) {
        Ok(server) => server,
        Err(error) if std::net::TcpListener::bind("[::1]:0").is_err() => {
            return println!("skipped: this machine has no IPv6 loopback: {error}");
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(get(SocketAddr::from((Ipv6Addr::LOCALHOST, server.addr().port()))).status, 200);
    assert_eq!(get(server.addr()).status, 200);
}

#[test]
fn a_file_without_definitions_is_named() {
    for (text, why) in
        [("{", "EOF"), ("{}", "missing field `flags`"), ("{\"flags\":{}}", "expected a sequence")]
    {
        let path = file("broken", text);
        let error =
            Server::start(Options { definitions: Some(path.clone()), ..Options::default() }).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains(why), "{text}");
    }
}

#[test]
fn malformed_flags_do_not_invalidate_the_file() {
    let text = format!("{{\"flags\":[1e400,\"\\ud800\",{}{}]}}", "[".repeat(2000), "]".repeat(2000));
    let path = file("odd", &text);
    let server = Server::start(Options { definitions: Some(path), ..Options::default() }).unwrap();
    assert_eq!(get(server.addr()).text(), text);
}

#[test]
fn the_sample_is_served() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/definitions.json");
    let server = Server::start(Options { definitions: Some(path), ..Options::default() }).unwrap();
    let json = get(server.addr()).json();
    let keys: Vec<_> =
        json["flags"].as_array().unwrap().iter().map(|flag| flag["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"new-checkout") && keys.contains(&"button-color"), "{keys:?}");
}
