//! A server on this machine that sends the bytes it is given, whatever they are.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
pub(crate) struct Exchanges {
    /// What it sends next.
    pub(crate) responses: VecDeque<Vec<u8>>,
    /// What it sends when there is nothing else.
    pub(crate) otherwise: Vec<u8>,
    /// The bodies of the requests that it got, and the response to each.
    pub(crate) requests: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) exchanges: Arc<Mutex<Exchanges>>,
}

/// A response with this body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The status and the body of a response that every client reads in the same way. `None` if it may be another.
pub(crate) fn plain(response: &[u8]) -> Option<(u16, &[u8])> {
    let at = response.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (str::from_utf8(&response[..at]).ok()?, &response[at + 4..]);
    let (first, length) = head.split_once("\r\n")?;
    let (status, reason) = first.strip_prefix("HTTP/1.1 ")?.split_at_checked(3)?;
    let length = length.strip_prefix("Content-Length: ")?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_plain = digits(status)
        && reason.strip_prefix(' ').is_some_and(|reason| reason.bytes().all(|b| b.is_ascii_alphabetic()))
        && digits(length)
        && length.parse() == Ok(body.len());
    let status = status.parse().ok()?;
    // Other statuses have no body, or are not the last.
    (is_plain && status >= 200 && status != 204 && status != 304).then_some((status, body))
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let exchanges: Arc<Mutex<Exchanges>> = Arc::default();
        let shared = exchanges.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || serve(connection, &shared));
            }
        });
        Server { url, exchanges }
    }
}

fn serve(mut connection: TcpStream, exchanges: &Mutex<Exchanges>) {
    let _ = connection.set_nodelay(true);
    while let Some(body) = request(&mut connection) {
        let response = {
            let mut exchanges = exchanges.lock().unwrap();
            let response = exchanges.responses.pop_front().unwrap_or_else(|| exchanges.otherwise.clone());
            exchanges.requests.push((body, response.clone()));
            response
        };
        // After any other response, the client cannot know where the next one begins.
        if connection.write_all(&response).is_err() || plain(&response).is_none() {
            return;
        }
    }
}

/// The body of the next request. `None` when the connection is closed.
fn request(connection: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut got, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&got[..at]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
            if got.len() >= at + 4 + length.trim().parse::<usize>().unwrap() {
                return Some(got.split_off(at + 4));
            }
        }
        match connection.read(&mut chunk) {
            Ok(count) if count > 0 => got.extend(&chunk[..count]),
            _ => return None,
        }
    }
}
