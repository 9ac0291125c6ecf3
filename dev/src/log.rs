//! What came in: the requests, and the high-water marks of those in flight and of connections.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::handlers::Call;

/// A benchmark may ask a million times; the oldest requests go first, and are counted.
const CAPACITY: usize = 65_536;

/// One request that came, faults included, control calls not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, decoded. Of a repeated name the last value.
    pub query: BTreeMap<String, String>,
    /// The headers, names in lower case; the values of a repeated name are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// The body, as sent: a compressed one is compressed here.
    pub body: Vec<u8>,
    /// When the request had been read, since the server started.
    pub at: Duration,
    /// The connection it came on; numbers are never used twice.
    pub connection: u64,
    /// The status of the answer. `None` while there is none, and for good when a fault sent none.
    pub status: Option<u16>,
}

/// What came since the start or the last clearing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Requests {
    /// The requests, oldest first.
    pub requests: Vec<Request>,
    /// Requests that were forgotten because more than 65,536 came.
    pub dropped: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// The most requests that were being answered at one moment, delays and hangs included.
    pub in_flight_max: u64,
    /// Connections that were opened. One counts from its first request that is no control call.
    pub connections_opened: u64,
    /// Connections that are open now.
    pub connections_open: u64,
    /// The most connections that were open at one moment.
    pub connections_max: u64,
}

#[derive(Default)]
struct Inner {
    requests: VecDeque<Request>,
    /// The number of the first request held; numbers go on across clearing, so that a late answer finds its own.
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
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number by which the answer is noted later.
    pub(crate) fn record(&self, call: &Call, connection: u64) -> u64 {
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
        let request = Request {
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone(),
            headers,
            body: call.body.to_vec(),
            at: self.started.elapsed(),
            connection,
            status: None,
        };
        let number = {
            let mut inner = self.inner();
            if inner.requests.len() >= CAPACITY {
                inner.requests.pop_front();
                inner.first += 1;
                inner.dropped += 1;
            }
            inner.requests.push_back(request);
            inner.first + inner.requests.len() as u64 - 1
        };
        self.arrived.notify_waiters();
        number
    }

    /// Called before the first byte of the answer leaves, so that whoever has the answer finds its status here.
    pub(crate) fn answered(&self, number: u64, status: StatusCode) {
        let mut inner = self.inner();
        let index = number.checked_sub(inner.first).and_then(|index| usize::try_from(index).ok());
        if let Some(request) = index.and_then(|index| inner.requests.get_mut(index)) {
            request.status = Some(status.as_u16());
        }
    }

    pub(crate) fn snapshot(&self) -> Requests {
        let inner = self.inner();
        Requests {
            requests: inner.requests.iter().cloned().collect(),
            dropped: inner.dropped,
            in_flight: inner.in_flight,
            in_flight_max: inner.in_flight_max,
            connections_opened: inner.opened,
            connections_open: inner.open,
            connections_max: inner.open_max,
        }
    }

    /// Returns when at least `count` requests are held. The caller sets the time limit.
    pub(crate) async fn at_least(&self, count: usize) {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            // Before the look, or a request between look and wait is missed.
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
        inner.dropped = 0;
        inner.opened = 0;
        inner.in_flight_max = inner.in_flight;
        inner.open_max = inner.open;
    }
}

/// A request being answered, until this is dropped.
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

/// A connection's place in the marks: taken at its first counted request, left before the socket closes, so that a
/// client that sees the end and comes again is one connection and not two.
pub(crate) struct Seat {
    log: Arc<Log>,
    taken: Mutex<Option<bool>>,
}

impl Seat {
    pub(crate) fn new(log: &Arc<Log>) -> Self {
        Self { log: Arc::clone(log), taken: Mutex::new(None) }
    }

    pub(crate) fn take(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.is_none() {
            *taken = Some(true);
            let mut inner = self.log.inner();
            inner.opened += 1;
            inner.open += 1;
            inner.open_max = inner.open_max.max(inner.open);
        }
    }

    pub(crate) fn leave(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
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
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            name: body,
            "at_ms": u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX),
            "connection": self.connection,
            "status": self.status,
        })
    }
}
