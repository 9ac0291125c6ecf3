//! Every fault, byte by byte, through a raw socket.

mod raw_client;

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use mpflags_dev::{Fault, Kind, Options, Part, RetryAfter, Server};
use raw_client::{GET, connect, drain, get, read_head, receive, send};

const PATH: &str = "/flags/definitions";
const DOCUMENT: &str = "{\"flags\":[]}\n";

fn server() -> Server {
    Server::start(Options::default()).unwrap()
}

fn with(fault: Fault) -> Server {
    let server = server();
    server.set_faults(vec![fault]).unwrap();
    server
}

fn fault(kind: Kind) -> Fault {
    Fault::new(PATH, kind)
}

/// Sends one request, and reads to the end.
fn bytes(server: &Server) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = connect(server.addr());
    send(&mut stream, GET, b"");
    drain(&mut stream)
}

fn body_at(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4
}

#[test]
fn status_carries_retry_after_body_and_headers() {
    let server = with(Fault {
        status: Some(503),
        retry_after: Some(RetryAfter::Text("Sun, 22 Nov 2026 10:00:00 GMT".into())),
        body: Some("busy".into()),
        headers: Some([("X-Trace".to_owned(), "7".to_owned())].into()),
        ..fault(Kind::Status)
    });
    let reply = get(server.addr());
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("Sun, 22 Nov 2026 10:00:00 GMT"));
    assert_eq!(reply.header("x-trace"), Some("7"));
    assert_eq!(reply.text(), "busy");
    server
        .set_faults(vec![Fault {
            status: Some(429),
            retry_after: Some(RetryAfter::Seconds(3)),
            ..fault(Kind::Status)
        }])
        .unwrap();
    let reply = get(server.addr());
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    assert_eq!(reply.json()["status"], "error");
}

#[test]
fn delay_delays_and_counts_as_in_flight() {
    let server = with(Fault { delay_ms: Some(700), ..fault(Kind::Delay) });
    let start = Instant::now();
    let mut streams: Vec<TcpStream> = (0..3).map(|_| connect(server.addr())).collect();
    streams.iter_mut().for_each(|stream| send(stream, GET, b""));
    assert_eq!(server.wait_requests(3, Duration::from_secs(5)).in_flight, 3);
    for stream in &mut streams {
        assert_eq!(receive(stream).text(), DOCUMENT);
    }
    assert!(start.elapsed() >= Duration::from_millis(700));
    let seen = server.requests();
    assert_eq!((seen.in_flight, seen.in_flight_max, seen.connections_max), (0, 3, 3));
}

#[test]
fn hang_sends_nothing_and_ends_with_the_client_or_the_server() {
    let server = with(fault(Kind::Hang));
    let mut stream = connect(server.addr());
    send(&mut stream, GET, b"");
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    let seen = server.requests();
    assert_eq!((seen.in_flight, seen.requests[0].status), (1, None));
    drop(stream);
    let start = Instant::now();
    while server.requests().in_flight > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "the request outlives its client");
        std::thread::yield_now();
    }
    let mut stream = connect(server.addr());
    send(&mut stream, GET, b"");
    server.wait_requests(2, Duration::from_secs(5));
    server.stop().unwrap();
    assert_eq!(drain(&mut stream), (Vec::new(), None));
}

#[test]
fn garbage_is_neither_json_nor_text() {
    let server = with(fault(Kind::Garbage));
    let reply = get(server.addr());
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert!(std::str::from_utf8(&reply.body).is_err());
}

#[test]
fn raw_sends_its_bytes_and_nothing_else() {
    let server = with(Fault { body: Some("SSH-2.0-no\r\n".into()), ..fault(Kind::Raw) });
    assert_eq!(bytes(&server), (b"SSH-2.0-no\r\n".to_vec(), None));
}

#[test]
fn raw_repeats_until_the_client_disconnects() {
    let server =
        with(Fault { body: Some("HTTP/1.1 ".into()), repeat: Some("ab".into()), ..fault(Kind::Raw) });
    let mut stream = connect(server.addr());
    send(&mut stream, GET, b"");
    let mut read = vec![0; 1_000_009];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(&read[..9], b"HTTP/1.1 ");
    assert!(read[9..].chunks(2).all(|pair| pair == b"ab"), "another text");
    drop(stream);
    let start = Instant::now();
    while server.requests().connections_open > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "it is sent to nobody");
        std::thread::yield_now();
    }

    let slow = Fault { bytes_per_second: Some(20), repeat: Some("ab".into()), ..fault(Kind::Raw) };
    server.set_faults(vec![slow]).unwrap();
    let mut stream = connect(server.addr());
    send(&mut stream, GET, b"");
    let start = Instant::now();
    stream.read_exact(&mut read[..11]).unwrap();
    assert_eq!(&read[..11], b"abababababa");
    assert!(start.elapsed() >= Duration::from_millis(490), "{:?}", start.elapsed());
}

#[test]
fn cut_ends_exactly_at_the_byte() {
    for at in [0, 1, 20, 60] {
        let server = with(Fault { at_byte: Some(at), ..fault(Kind::Cut) });
        let (bytes, error) = bytes(&server);
        assert_eq!((bytes.len(), error), (at, None));
        assert!(b"HTTP/1.1 200 OK\r\n".starts_with(&bytes[..at.min(17)]));
    }
    let server = with(Fault { at_body_byte: Some(5), ..fault(Kind::Cut) });
    let (bytes, error) = bytes(&server);
    let head = String::from_utf8(bytes[..body_at(&bytes)].to_vec()).unwrap();
    assert!(head.contains("content-length: 13\r\n"), "{head}");
    assert_eq!((&bytes[body_at(&bytes)..], error), (&DOCUMENT.as_bytes()[..5], None));
}

#[test]
fn a_fault_meets_a_later_request_of_a_kept_connection() {
    let server = server();
    let pass = Fault { times: Some(2), ..fault(Kind::Pass) };
    let cut = Fault { at_byte: Some(9), times: Some(1), ..fault(Kind::Cut) };
    server.set_faults(vec![pass, cut]).unwrap();
    let mut stream = connect(server.addr());
    for _ in 0..2 {
        send(&mut stream, GET, b"");
        assert_eq!(receive(&mut stream).text(), DOCUMENT);
    }
    send(&mut stream, GET, b"");
    assert_eq!(drain(&mut stream), (b"HTTP/1.1 ".to_vec(), None));
    let seen = server.requests();
    assert_eq!((seen.requests.len(), seen.connections_opened, seen.connections_open), (3, 1, 0));
    assert_eq!(get(server.addr()).status, 200);
    assert!(server.faults().is_empty());
}

#[test]
fn wrong_length_announces_too_much_or_too_little() {
    let server = with(fault(Kind::WrongLength));
    let (long, error) = bytes(&server);
    assert!(String::from_utf8_lossy(&long).contains("content-length: 23\r\n"));
    assert_eq!((&long[body_at(&long)..], error), (DOCUMENT.as_bytes(), None));
    server.set_faults(vec![Fault { content_length: Some(4), ..fault(Kind::WrongLength) }]).unwrap();
    let (short, _) = bytes(&server);
    assert!(String::from_utf8_lossy(&short).contains("content-length: 4\r\n"));
    assert_eq!(&short[body_at(&short)..], DOCUMENT.as_bytes());
}

#[test]
fn slow_loris_keeps_its_pace() {
    let server = with(Fault { bytes_per_second: Some(400), ..fault(Kind::SlowLoris) });
    let start = Instant::now();
    let (all, _) = bytes(&server);
    let least = (all.len() - 4) as f64 / 400.0;
    assert!(start.elapsed().as_secs_f64() >= least, "{:?} for {} bytes", start.elapsed(), all.len());
    assert!(all.ends_with(DOCUMENT.as_bytes()));

    let part = Some(Part::Body);
    server.set_faults(vec![Fault { bytes_per_second: Some(40), part, ..fault(Kind::SlowLoris) }]).unwrap();
    let mut stream = connect(server.addr());
    let start = Instant::now();
    send(&mut stream, GET, b"");
    read_head(&mut stream).unwrap();
    drain(&mut stream);
    assert!(start.elapsed() >= Duration::from_millis(300), "13 bytes at 40 a second: {:?}", start.elapsed());
}

/// Reads the body of a chunked response as it arrives.
struct Chunks {
    stream: TcpStream,
    held: Vec<u8>,
    left: usize,
    wire_bytes: usize,
}

impl Chunks {
    fn byte(&mut self) -> std::io::Result<u8> {
        if self.held.is_empty() {
            self.held.resize(4096, 0);
            let read = self.stream.read(&mut self.held)?;
            self.held.truncate(read);
            self.held.reverse();
            self.wire_bytes += read;
        }
        self.held.pop().ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

impl std::io::Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") || line == b"\r\n" {
                if line == b"\r\n" {
                    line.clear();
                }
                line.push(self.byte()?);
            }
            let digits = std::str::from_utf8(&line).unwrap().trim();
            self.left = usize::from_str_radix(digits, 16).unwrap();
        }
        let count = self.left.min(buffer.len());
        for slot in &mut buffer[..count] {
            *slot = self.byte()?;
        }
        self.left -= count;
        Ok(count)
    }
}

#[test]
fn gzip_bomb_decodes_past_the_limit_from_few_bytes() {
    let server = with(fault(Kind::GzipBomb));
    let mut stream = connect(server.addr());
    let start = Instant::now();
    send(&mut stream, GET, b"");
    let (head, mut held) = read_head(&mut stream).unwrap();
    assert!(head.contains("content-encoding: gzip") && head.contains("transfer-encoding: chunked"), "{head}");
    held.reverse();
    let wire_bytes = held.len();
    let mut decoder = GzDecoder::new(Chunks { stream, held, left: 0, wire_bytes });
    let mut buffer = vec![0; 64 * 1024];
    let mut decoded = 0;
    loop {
        let read = decoder.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        if decoded == 0 {
            assert!(buffer.starts_with(b"{\"flags\":[ "));
        }
        decoded += read;
    }
    let wire = decoder.get_ref().wire_bytes;
    println!("gzip bomb: {decoded} bytes decoded from {wire} in {:?}", start.elapsed());
    assert_eq!(decoded, 200 << 20);
    assert!(wire < 4 << 20, "{wire}");
}

#[test]
fn a_client_that_leaves_the_bomb_ends_it() {
    let server = with(Fault { decoded_bytes: Some(u64::MAX), ..fault(Kind::GzipBomb) });
    let mut stream = connect(server.addr());
    send(&mut stream, GET, b"");
    read_head(&mut stream).unwrap();
    drop(stream);
    let start = Instant::now();
    while server.requests().in_flight > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "the bomb outlives its client");
        std::thread::yield_now();
    }
}

#[test]
fn reset_resets() {
    let server = with(fault(Kind::Reset));
    assert_eq!(bytes(&server), (Vec::new(), Some(ErrorKind::ConnectionReset)));
    server.set_faults(vec![Fault { at_byte: Some(12), ..fault(Kind::Reset) }]).unwrap();
    let (bytes, error) = bytes(&server);
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    assert!(b"HTTP/1.1 200".starts_with(&bytes), "{bytes:?}");
}

#[test]
fn refuse_resets_and_then_refuses_until_the_server_is_back() {
    let server = with(Fault { times: Some(1), ..fault(Kind::Refuse) });
    let mut kept = connect(server.addr());
    send(&mut kept, "GET /other HTTP/1.1", b"");
    assert_eq!(receive(&mut kept).status, 404);
    assert_eq!(bytes(&server), (Vec::new(), Some(ErrorKind::ConnectionReset)));
    assert_eq!(drain(&mut kept), (Vec::new(), None));
    for _ in 0..3 {
        let error = TcpStream::connect(server.addr()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    server.restart_after(Duration::ZERO).unwrap();
    assert_eq!(get(server.addr()).status, 200);

    server.set_faults(vec![Fault { down_ms: Some(100), times: Some(1), ..fault(Kind::Refuse) }]).unwrap();
    assert_eq!(bytes(&server).1, Some(ErrorKind::ConnectionReset));
    let start = Instant::now();
    while TcpStream::connect(server.addr()).is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "still refused");
        std::thread::yield_now();
    }
    assert_eq!(get(server.addr()).status, 200);
}

#[test]
fn the_first_match_wins_and_is_used_up() {
    let server = server();
    let status =
        |path: &str, status, times| Fault { status: Some(status), times, ..Fault::new(path, Kind::Status) };
    let list = vec![status("/track", 500, None), status(PATH, 502, Some(2)), status("/flags*", 504, Some(1))];
    server.set_faults(list).unwrap();
    let statuses: Vec<u16> = (0..4).map(|_| get(server.addr()).status).collect();
    assert_eq!(statuses, [502, 502, 504, 200]);
    assert_eq!(server.faults().len(), 1);
    let recorded: Vec<_> = server.requests().requests.iter().map(|request| request.status).collect();
    assert_eq!(recorded, [Some(502), Some(502), Some(504), Some(200)]);
}

#[test]
fn invalid_faults_are_named() {
    let server = server();
    for (json, why) in [
        (
            r#"[{"path":"/track","kind":"hang"},{"path":"/track","kind":"hang","tims":1}]"#,
            "faults[1]: unknown field `tims`",
        ),
        (r#"[{"path":"/track","kind":"explode"}]"#, "faults[0]: unknown variant `explode`"),
        (r#"[{"path":"/track"}]"#, "faults[0]: missing field `kind`"),
        (
            r#"[{"path":"/flags/definitons","kind":"hang"}]"#,
            "faults[0]: `path`: nothing is served at \"/flags/definitons\": did you mean /flags/definitions?",
        ),
        (
            r#"[{"path":"/v2*","kind":"hang"}]"#,
            "faults[0]: `path`: nothing is served at \"/v2*\": the paths are /flags/definitions, /flags, /track, /import, /engage, /groups, \
             /ofrep/v1/evaluate/flags",
        ),
        (r#"[{"path":"a","kind":"hang"}]"#, "faults[0]: `path` must begin with `/`"),
        (
            r#"[{"path":"/__dev/stop","kind":"hang"}]"#,
            "faults[0]: `path`: faults never apply to control calls",
        ),
        (
            r#"[{"path":"/track","kind":"hang","at_byte":1}]"#,
            "faults[0]: `at_byte` has no effect for this `kind`",
        ),
        (r#"[{"path":"/track","kind":"status"}]"#, "faults[0]: this `kind` needs `status`"),
        (
            r#"[{"path":"/track","kind":"status","status":99}]"#,
            "faults[0]: `status` must be 200 to 599, not 99",
        ),
        (r#"[{"path":"/track","kind":"cut"}]"#, "faults[0]: this `kind` needs `at_byte` or `at_body_byte`"),
        (r#"[{"path":"/track","kind":"slow_loris","bytes_per_second":0}]"#, "needs `bytes_per_second`"),
        (r#"[{"path":"/track","kind":"raw"}]"#, "needs `body` or `repeat`"),
        (r#"[{"path":"/track","kind":"raw","body":"x","bytes_per_second":1}]"#, "needs `repeat`"),
        (r#"[{"path":"/track","kind":"raw","repeat":""}]"#, "`repeat` must not be empty"),
        (r#"[{"path":"/track","kind":"raw","repeat":"x","bytes_per_second":0}]"#, "must be at least 1"),
        (r#"{"path":"/track"}"#, "faults: expected a JSON list"),
    ] {
        let error = server.set_faults_json(json).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
