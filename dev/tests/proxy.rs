//! The proxy.

mod raw_client;

use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mpflags_dev::{Options, Proxy, Server};
use raw_client::{GET, connect, drain, read_head, receive, send};

/// A tunnel, or the head of the refusal.
fn tunnel(proxy: &Proxy, name: &str, header: &str) -> Result<TcpStream, String> {
    let mut stream = connect(proxy.addr());
    stream.write_all(format!("CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n{header}\r\n").as_bytes()).unwrap();
    let (head, early) = read_head(&mut stream).unwrap();
    assert!(early.is_empty());
    if head.starts_with("HTTP/1.1 200 ") { Ok(stream) } else { Err(head) }
}

fn refused(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn it_connects_to_loopback_and_records_requests() {
    let server = Server::start(Options::default()).unwrap();
    let proxy = Proxy::start().unwrap();
    assert_eq!(proxy.url(), format!("http://{}", proxy.addr()));
    let port = server.addr().port();
    for name in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let mut stream = tunnel(&proxy, &name, "").unwrap();
        for _ in 0..2 {
            send(&mut stream, GET, b"");
            assert_eq!(receive(&mut stream).status, 200);
        }
    }
    assert!(tunnel(&proxy, "192.0.2.1:80", "").unwrap_err().starts_with("HTTP/1.1 403 "));
    assert!(tunnel(&proxy, "api.mixpanel.com:443", "").unwrap_err().starts_with("HTTP/1.1 403 "));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(tunnel(&proxy, &closed.to_string(), "").unwrap_err().starts_with("HTTP/1.1 502 "));
    let mut stream = connect(proxy.addr());
    send(&mut stream, "GET http://127.0.0.1/ HTTP/1.1", b"");
    assert_eq!(receive(&mut stream).status, 405);
    let expected = [
        format!("CONNECT 127.0.0.1:{port}"),
        format!("CONNECT localhost:{port}"),
        "CONNECT 192.0.2.1:80".to_owned(),
        "CONNECT api.mixpanel.com:443".to_owned(),
        format!("CONNECT {closed}"),
        "GET http://127.0.0.1/".to_owned(),
    ];
    assert_eq!(proxy.requests(), expected);
    assert_eq!(server.requests().connections_opened, 2);
}

#[test]
fn it_routes_other_names_to_a_fixed_address() {
    let server = Server::start(Options::default()).unwrap();
    let proxy = Proxy::start().unwrap();
    proxy.route_to(server.addr());
    let mut stream = tunnel(&proxy, "api.mixpanel.test:443", "").unwrap();
    send(&mut stream, GET, b"");
    assert_eq!(receive(&mut stream).status, 200);
    assert_eq!(proxy.requests(), ["CONNECT api.mixpanel.test:443"]);
}

#[test]
fn it_requires_credentials() {
    let server = Server::start(Options::default()).unwrap();
    let proxy = Proxy::start().unwrap();
    proxy.require_credentials("user", "pass:word");
    let name = server.addr().to_string();
    let basic = |text: &str| format!("proxy-authorization: Basic {}\r\n", STANDARD.encode(text));
    for header in [String::new(), basic("user:wrong")] {
        let head = tunnel(&proxy, &name, &header).unwrap_err();
        assert!(head.starts_with("HTTP/1.1 407 ") && head.contains("Proxy-Authenticate: Basic "), "{head}");
    }
    let mut stream = tunnel(&proxy, &name, &basic("user:pass:word")).unwrap();
    send(&mut stream, GET, b"");
    assert_eq!(receive(&mut stream).status, 200);
    assert_eq!(proxy.requests().len(), 3);
}

#[test]
fn stopping_it_ends_its_tunnels() {
    let server = Server::start(Options::default()).unwrap();
    let proxy = Proxy::start().unwrap();
    let mut stream = tunnel(&proxy, &server.addr().to_string(), "").unwrap();
    send(&mut stream, GET, b"");
    receive(&mut stream);
    proxy.stop();
    proxy.stop();
    assert!(drain(&mut stream).0.is_empty());
    assert!(refused(proxy.addr()));
    let addr = Proxy::start().unwrap().addr();
    assert!(refused(addr), "dropping stops as well");
}
