//! Measures how many events the server accepts per second: `cargo run --release -p mpflags-dev --example load -- [gzip] [keep] [tls] [batch]`.
//!
//! The clients send requests built before the clock starts, so it measures the server alone. The processor time of the
//! server's threads is printed beside the rate.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use mpflags_dev::{EventLog, Options, Server, Tls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const CLIENTS: usize = 2;
/// How many different requests there are. After that they repeat, as duplicates.
const REQUESTS: usize = 100;
const DURATION: Duration = Duration::from_secs(5);

fn event(number: u64, now: u128) -> String {
    format!(
        concat!(
            r#"{{"event":"$experiment_started","properties":{{"token":"4d2f2a9f6e7b4b0e8c1d2e3f4a5b6c7d","#,
            r#""distinct_id":"user-{number}","time":{now},"$insert_id":"{id:032x}","mp_lib":"mpflags","#,
            r#""$lib_version":"0.1.0","Experiment name":"new-checkout","Variant name":"On","#,
            r#""$experiment_type":"feature_flag","Flag evaluation mode":"local","#,
            r#""$experiment_id":"dfaddebb-c615-55eb-9a05-5b817e5ace7b","$is_experiment_active":true,"#,
            r#""$is_qa_tester":false}}}}"#
        ),
        number = number,
        now = now,
        id = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    )
}

fn request(first: u64, batch: usize, gzip: bool) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut json = String::from("[");
    for index in 0..batch {
        let comma = if index > 0 { "," } else { "" };
        write!(json, "{comma}{}", event(first + index as u64, now)).unwrap();
    }
    json.push(']');
    let (body, coding) = if gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(json.as_bytes()).unwrap();
        (encoder.finish().unwrap(), "Content-Encoding: gzip\r\n")
    } else {
        (json.into_bytes(), "")
    };
    let mut bytes = format!(
        "POST /import?strict=1&project_id=1 HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n{coding}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

trait Connection: std::io::Read + std::io::Write {}
impl<T: std::io::Read + std::io::Write> Connection for T {}

fn connect(server: &Server) -> Box<dyn Connection> {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    let Some(pem) = server.ca_pem() else { return Box::new(stream) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    Box::new(StreamOwned::new(connection, stream))
}

fn send(server: &Server, requests: &[Vec<u8>], end: Instant) -> u64 {
    let mut stream = connect(server);
    let mut response = [0; 4096];
    let mut sent = 0;
    while Instant::now() < end {
        stream.write_all(&requests[sent as usize % requests.len()]).unwrap();
        let read = stream.read(&mut response).unwrap();
        assert!(
            response[..read].starts_with(b"HTTP/1.1 200 OK"),
            "{}",
            String::from_utf8_lossy(&response[..read])
        );
        sent += 1;
    }
    sent
}

/// The processor time of the server's threads, in seconds.
fn processor_time() -> f64 {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        if stat.contains("(mpflags-dev-io)") {
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    ticks as f64 / 100.0
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let batch = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(2_000);
    let events = if has("keep") { EventLog::Keep } else { EventLog::Count };
    let tls = has("tls").then_some(Tls::Good);
    let server = Server::start(Options { events, tls, ..Options::default() }).unwrap();
    let requests: Vec<Vec<u8>> =
        (0..REQUESTS).map(|index| request((index * batch) as u64, batch, has("gzip"))).collect();
    let bytes: usize = requests.iter().map(Vec::len).sum();
    let start = Instant::now();
    let sent: u64 = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| send(&server, &requests, start + DURATION))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    let seconds = start.elapsed().as_secs_f64();
    let counts = server.event_counts();
    assert_eq!(counts.accepted, sent * batch as u64);
    println!(
        "{:.0} events/s in batches of {batch} ({} bytes each on the wire); the server's threads used {:.2} cores; {counts:?}",
        counts.total as f64 / seconds,
        bytes / REQUESTS / batch,
        processor_time() / seconds,
    );
}
