//! The requests received, and how many requests and connections were open at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::call::Call;
use crate::lock::lock;

/// A benchmark may send a million requests: the oldest are dropped, and counted.
const CAPACITY: usize = 65_536;
const CAPACITY_BYTES: usize = 256 << 20;

/// A received request. Requests that met a fault are recorded, control calls are not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Counts from 0. Clearing the log does not reset it.
    pub number: u64,
    /// The method, as sent.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, decoded. If a name is repeated, its last value.
    pub query: BTreeMap<String, String>,
    /// The headers, with names in lower case. The values of a repeated name are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// The body, decoded if its `Content-Encoding` is gzip and it is valid. Empty for events that are only counted.
    pub body: Vec<u8>,
    /// The length of the body as sent, before decoding.
    pub body_length: usize,
    /// When the request had been read, as time since the server started.
    pub at: Duration,
    /// The number of its connection. Numbers are never reused.
    pub connection: u64,
    /// The status of the response. `None` until it is sent, and for good if a fault sent none.
    pub status: Option<u16>,
}

/// The requests since the start, or since the log was last cleared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Requests {
    /// The requests, oldest first.
    pub requests: Vec<Request>,
    /// Requests dropped because the log holds at most 65,536, and 256 MiB of bodies.
    pub dropped: u64,
    /// Requests in flight now.
    pub in_flight: u64,
    /// The most requests in flight at once, including delayed and hanging ones.
    pub in_flight_max: u64,
    /// Connections opened. A connection counts from its first request other than a control call.
    pub connections_opened: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// The most connections open at once.
    pub connections_max: u64,
}

#[derive(Default)]
struct Inner {
    /// The bodies are kept beside the requests, because they share their memory with the events.
    requests: VecDeque<(Request, Bytes)>,
    bytes: usize,
    /// The number of the first request held. Clearing does not reset it, so that a late response finds its request.
    first: u64,
    dropped: u64,
    in_flight: u64,
    in_flight_max: u64,
    opened: u64,
    open: u64,
    open_max: u64,
}

pub(crate) struct Log {
    started: Instant,
    inner: Mutex<Inner>,
    arrived: Notify,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), inner: Mutex::default(), arrived: Notify::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// The time since the server started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Records the call and sets its number, which `set_status` takes.
    pub(crate) fn record(&self, call: &mut Call, connection: u64, keep_body: bool) {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in &call.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|held| {
                    held.push_str(", ");
                    held.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        call.at = self.started.elapsed();
        let mut request = Request {
            number: 0,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone(),
            headers,
            body: Vec::new(),
            body_length: call.body_length,
            at: call.at,
            connection,
            status: None,
        };
        let body = if keep_body { call.body.clone() } else { Bytes::new() };
        {
            let mut inner = self.inner();
            call.number = inner.first + inner.requests.len() as u64;
            request.number = call.number;
            inner.bytes += body.len();
            inner.requests.push_back((request, body));
            while inner.requests.len() > CAPACITY || inner.bytes > CAPACITY_BYTES {
                let Some((_, body)) = inner.requests.pop_front() else { break };
                inner.bytes -= body.len();
                inner.first += 1;
                inner.dropped += 1;
            }
        }
        self.arrived.notify_waiters();
    }

    /// Called before the first byte of the response leaves, so that a client that has read it finds the status here.
    pub(crate) fn set_status(&self, number: u64, status: StatusCode) {
        let mut inner = self.inner();
        let index = number.checked_sub(inner.first).and_then(|index| usize::try_from(index).ok());
        if let Some((request, _)) = index.and_then(|index| inner.requests.get_mut(index)) {
            request.status = Some(status.as_u16());
        }
    }

    pub(crate) fn snapshot(&self) -> Requests {
        self.newest(usize::MAX)
    }

    /// The newest `limit` requests, oldest first, and the counts of all.
    pub(crate) fn newest(&self, limit: usize) -> Requests {
        let inner = self.inner();
        let older = inner.requests.len().saturating_sub(limit);
        let whole = |(request, body): &(Request, Bytes)| Request { body: body.to_vec(), ..request.clone() };
        Requests {
            requests: inner.requests.iter().skip(older).map(whole).collect(),
            dropped: inner.dropped,
            in_flight: inner.in_flight,
            in_flight_max: inner.in_flight_max,
            connections_opened: inner.opened,
            connections_open: inner.open,
            connections_max: inner.open_max,
        }
    }

    /// Returns once at least `count` requests are held. The caller sets the time limit.
    pub(crate) async fn at_least(&self, count: usize) {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            // Before the check, or a request that arrives between check and wait is missed.
            arrived.as_mut().enable();
            if self.inner().requests.len() >= count {
                return;
            }
            arrived.await;
        }
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.inner();
        inner.first += inner.requests.len() as u64;
        inner.requests.clear();
        inner.bytes = 0;
        inner.dropped = 0;
        inner.opened = 0;
        inner.in_flight_max = inner.in_flight;
        inner.open_max = inner.open;
    }
}

/// Counts a request as in flight until it is dropped.
pub(crate) struct InFlight(Arc<Log>);

impl InFlight {
    pub(crate) fn new(log: &Arc<Log>) -> Self {
        let mut inner = log.inner();
        inner.in_flight += 1;
        inner.in_flight_max = inner.in_flight_max.max(inner.in_flight);
        drop(inner);
        Self(Arc::clone(log))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.inner().in_flight -= 1;
    }
}

/// Counts a connection as open, from its first counted request until just before its socket closes: a client that
/// reconnects when it sees the end must not count as two at once.
pub(crate) struct Seat {
    log: Arc<Log>,
    taken: Mutex<Option<bool>>,
}

impl Seat {
    pub(crate) fn new(log: &Arc<Log>) -> Self {
        Self { log: Arc::clone(log), taken: Mutex::new(None) }
    }

    pub(crate) fn take(&self) {
        let mut taken = lock(&self.taken);
        if taken.is_none() {
            *taken = Some(true);
            let mut inner = self.log.inner();
            inner.opened += 1;
            inner.open += 1;
            inner.open_max = inner.open_max.max(inner.open);
        }
    }

    pub(crate) fn leave(&self) {
        let mut taken = lock(&self.taken);
        if taken.replace(false) == Some(true) {
            self.log.inner().open -= 1;
        }
    }
}

impl Requests {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "requests": self.requests.iter().map(Request::to_json).collect::<Vec<_>>(),
            "dropped": self.dropped,
            "in_flight": self.in_flight,
            "in_flight_max": self.in_flight_max,
            "connections_opened": self.connections_opened,
            "connections_open": self.connections_open,
            "connections_max": self.connections_max,
        })
    }
}

impl Request {
    fn to_json(&self) -> Value {
        let (name, body) = match std::str::from_utf8(&self.body) {
            Ok(text) => ("body", text.to_owned()),
            Err(_) => ("body_base64", STANDARD.encode(&self.body)),
        };
        json!({
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            name: body,
            "body_length": self.body_length,
            "at_ms": u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX),
            "connection": self.connection,
            "status": self.status,
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;
    use crate::call::Coding;

    #[test]
    fn the_oldest_requests_are_dropped_when_their_bodies_are_too_large() {
        let log = Log::new();
        let mut call = Call {
            method: Method::POST,
            path: "/track".to_owned(),
            query: BTreeMap::new(),
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b' '; 60 << 20]),
            body_length: 5,
            coding: Coding::Readable,
            number: 0,
            at: Duration::ZERO,
        };
        for _ in 0..6 {
            log.record(&mut call, 1, true);
        }
        log.record(&mut call, 1, false);
        assert_eq!(call.number, 6);
        log.set_status(0, StatusCode::OK);
        log.set_status(6, StatusCode::OK);
        let seen = log.snapshot();
        assert_eq!((seen.dropped, seen.requests.len()), (2, 5));
        let last = seen.requests.last().unwrap();
        assert_eq!((last.number, last.body.len(), last.body_length, last.status), (6, 0, 5, Some(200)));
        log.clear();
        log.record(&mut call, 1, true);
        assert_eq!((call.number, log.snapshot().dropped), (7, 0));
    }
}
