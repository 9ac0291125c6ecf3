//! https: the certificates, and faults under TLS.

mod raw_client;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mpflags_dev::{Fault, Kind, Options, Server, Tls};
use raw_client::{GET, address, ask, connect, drain, read_head, receive, send};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};
use serde_json::json;

type Secure = StreamOwned<ClientConnection, TcpStream>;

fn server(tls: Tls) -> Server {
    Server::start(Options { tls: Some(tls), control_port: Some(0), ..Options::default() }).unwrap()
}

fn config(server: &Server, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn open(server: &Server, name: &str) -> Secure {
    secure(connect(server.addr()), config(server, rustls::ALL_VERSIONS), name)
}

fn secure(stream: TcpStream, config: Arc<ClientConfig>, name: &str) -> Secure {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

/// Why the client does not trust the server.
fn refusal(tls: Tls) -> String {
    let server = server(tls);
    let error = open(&server, "127.0.0.1").write_all(b"GET ").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(server.requests().requests.is_empty());
    error.to_string()
}

fn control(server: &Server, call: &str, body: &str) -> u16 {
    let control: SocketAddr = address(&server.control_url().unwrap());
    ask(control, &format!("{call} HTTP/1.1"), body.as_bytes()).status
}

#[test]
fn a_good_certificate_is_trusted_under_each_name() {
    let server = server(Tls::Good);
    assert!(server.url().starts_with("https://127.0.0.1:"));
    for name in ["localhost", "127.0.0.1", "::1", "mixpanel.test", "api.mixpanel.test"] {
        let mut stream = open(&server, name);
        send(&mut stream, GET, b"");
        assert_eq!(receive(&mut stream).json(), json!({ "flags": [] }), "{name}");
    }
    for version in [&version::TLS12, &version::TLS13] {
        let mut stream = secure(connect(server.addr()), config(&server, &[version]), "localhost");
        send(&mut stream, GET, b"");
        assert_eq!(receive(&mut stream).status, 200);
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
    }
}

#[test]
fn wrong_certificates_are_not() {
    assert!(refusal(Tls::Expired).contains("expired"));
    assert!(refusal(Tls::WrongName).contains("not valid for name"));
    assert!(refusal(Tls::SelfSigned).contains("UnknownIssuer"));
    let other = server(Tls::Good);
    let server = server(Tls::Good);
    let mut stream = secure(connect(server.addr()), config(&other, rustls::ALL_VERSIONS), "localhost");
    assert!(stream.write_all(b"GET ").unwrap_err().to_string().contains("invalid peer certificate"));
}

#[test]
fn plain_http_gets_no_response_and_the_control_port_is_plain() {
    let server = server(Tls::Good);
    let mut plain = connect(server.addr());
    send(&mut plain, GET, b"");
    let (bytes, _) = drain(&mut plain);
    assert!(!bytes.starts_with(b"HTTP"), "{bytes:?}");
    assert_eq!(control(&server, "GET /__dev/health", ""), 200);
    let mut stream = open(&server, "localhost");
    send(&mut stream, "GET /__dev/health HTTP/1.1", b"");
    assert_eq!(receive(&mut stream).json()["listening"], true);
    assert!(server.requests().requests.is_empty());
}

#[test]
fn connections_and_requests_count_as_before() {
    let server = server(Tls::Good);
    let mut stream = open(&server, "localhost");
    for _ in 0..50 {
        send(&mut stream, GET, b"");
        receive(&mut stream);
    }
    let mut other = open(&server, "localhost");
    send(&mut other, GET, b"");
    receive(&mut other);
    let seen = server.requests();
    assert_eq!((seen.requests.len(), seen.in_flight_max), (51, 1));
    assert_eq!((seen.connections_opened, seen.connections_open, seen.connections_max), (2, 2, 2));
    server.restart_after(Duration::ZERO).unwrap();
    assert!(drain(&mut stream).0.is_empty());
    let mut stream = open(&server, "localhost");
    send(&mut stream, GET, b"");
    assert_eq!(receive(&mut stream).status, 200);
    assert_eq!(server.requests().connections_open, 1);
}

#[test]
fn large_bodies_go_both_ways() {
    let server = server(Tls::Good);
    let flags = format!("{{\"flags\":[\"{}\"]}}", "x".repeat(5 << 20));
    server.set_definitions(flags.as_str());
    let mut stream = open(&server, "localhost");
    for _ in 0..3 {
        send(&mut stream, GET, b"");
        assert_eq!(receive(&mut stream).body, flags.as_bytes());
        let events = format!("[{{\"event\":\"e\",\"properties\":{{\"text\":\"{}\"}}}}]", "y".repeat(900_000));
        send(&mut stream, "POST /track HTTP/1.1", events.as_bytes());
        assert_eq!(receive(&mut stream).text(), "1");
    }
    assert_eq!(server.event_counts().accepted, 3);
}

#[test]
fn raw_faults_are_encrypted_like_the_rest() {
    let server = server(Tls::Good);
    let fault = |kind| Fault { times: Some(1), ..Fault::new("/flags/definitions", kind) };
    let meets = |fault: Fault| {
        server.set_faults(vec![fault]).unwrap();
        let mut stream = open(&server, "localhost");
        send(&mut stream, "GET /other HTTP/1.1", b"");
        assert_eq!(receive(&mut stream).status, 404);
        send(&mut stream, GET, b"");
        drain(&mut stream)
    };
    let (bytes, error) = meets(Fault { body: Some("SSH-2.0-no\r\n".into()), ..fault(Kind::Raw) });
    assert_eq!((bytes.as_slice(), error), (&b"SSH-2.0-no\r\n"[..], None));
    let (bytes, error) = meets(Fault { at_byte: Some(20), ..fault(Kind::Cut) });
    assert_eq!((bytes.len(), error), (20, None), "an orderly end, of TLS too");
    let (_, error) = meets(Fault { at_byte: Some(20), ..fault(Kind::TlsAlert) });
    assert_eq!(error, Some(ErrorKind::InvalidData), "an alert that is not encrypted is not TLS");
    assert_eq!(meets(fault(Kind::Reset)), (Vec::new(), Some(ErrorKind::ConnectionReset)));
    let (bytes, _) = meets(fault(Kind::WrongLength));
    assert!(String::from_utf8(bytes).unwrap().contains("content-length: 23\r\n"));
    let (bytes, _) = meets(Fault { bytes_per_second: Some(2_000), ..fault(Kind::SlowLoris) });
    assert!(bytes.ends_with(b"{\"flags\":[]}\n"));
    let (bytes, _) = meets(Fault { decoded_bytes: Some(5 << 20), ..fault(Kind::GzipBomb) });
    assert!(bytes.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(meets(fault(Kind::Refuse)).1, Some(ErrorKind::ConnectionReset));
    assert_eq!(TcpStream::connect(server.addr()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(control(&server, "POST /__dev/restart", ""), 200);
    server.set_faults(vec![fault(Kind::Hang)]).unwrap();
    server.clear_requests();
    let mut stream = open(&server, "localhost");
    send(&mut stream, GET, b"");
    assert_eq!(server.wait_requests(1, Duration::from_secs(5)).in_flight, 1);
    stream.sock.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(matches!(
        stream.read(&mut [0; 1]).unwrap_err().kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
}

#[test]
fn a_client_that_stops_in_the_handshake_harms_nobody() {
    let server = server(Tls::Good);
    let mut half = connect(server.addr());
    half.write_all(&[0x16, 0x03, 0x01, 0x01, 0x00, 0x01]).unwrap();
    let mut stream = open(&server, "localhost");
    send(&mut stream, GET, b"");
    let (head, _) = read_head(&mut stream).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(server.requests().connections_opened, 1, "a connection counts from its first request");
    server.stop().unwrap();
    drain(&mut half);
}
