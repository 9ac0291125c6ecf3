//! A server in this process that sends the bytes it is given, whatever they are.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use mpflags::fuzzing;

pub(crate) struct Exchanges {
    /// What it sends next.
    pub(crate) responses: VecDeque<Vec<u8>>,
    /// What it sends when there is nothing else.
    pub(crate) otherwise: Vec<u8>,
    /// The bodies of the requests that it got, and the response to each.
    pub(crate) requests: Vec<(Vec<u8>, Vec<u8>)>,
}

static EXCHANGES: Mutex<Exchanges> =
    Mutex::new(Exchanges { responses: VecDeque::new(), otherwise: Vec::new(), requests: Vec::new() });

pub(crate) fn exchanges() -> MutexGuard<'static, Exchanges> {
    EXCHANGES.lock().unwrap()
}

/// From now on, every connection is to the server.
pub(crate) fn start() {
    fuzzing::serve(respond);
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

fn respond(received: &[u8]) -> Option<(Vec<u8>, bool)> {
    let at = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..at]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
    let body = received[at + 4..].get(..length.trim().parse::<usize>().unwrap())?;
    let mut exchanges = exchanges();
    let response = exchanges.responses.pop_front().unwrap_or_else(|| exchanges.otherwise.clone());
    exchanges.requests.push((body.to_owned(), response.clone()));
    // After any other response, the client cannot know where the next one begins.
    let is_open = plain(&response).is_some();
    Some((response, is_open))
}
