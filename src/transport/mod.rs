//! HTTP, as an argument: requests and answers in the terms of this library.

pub(crate) mod http;
mod proxy;
mod refusal;
mod resolver;
mod tls;

use std::fmt;
use std::time::{Duration, SystemTime};

/// Sends requests. One per start of a client: after [`Transport::shutdown`] every request fails.
pub(crate) trait Transport: Send + Sync {
    /// Fetches `path` with the query and headers that every request carries.
    fn get(&self, request: &Get<'_>) -> Result<Answer, Failure>;
    /// Sends `body` to `path`, with the credentials and without the query that other requests carry.
    fn post(&self, request: &Post<'_>) -> Result<Answer, Failure>;
    /// Ends the requests under way and closes the connections that are kept. Later requests open new ones.
    fn renew(&self);
    /// Ends the requests under way, and every later one, at once.
    fn shutdown(&self);
}

/// A GET request.
#[derive(Debug)]
pub(crate) struct Get<'a> {
    pub(crate) path: &'a str,
    /// Behind the query that every request carries.
    pub(crate) parameters: &'a [(&'a str, &'a str)],
    pub(crate) etag: Option<&'a str>,
    /// Whether a connection of its own is opened, instead of using one that was kept.
    pub(crate) fresh: bool,
    /// For the whole request, from the look-up of the name to the last byte of the answer.
    pub(crate) timeout: Duration,
    /// Decoded bytes of the body beyond which the answer is refused.
    pub(crate) limit: u64,
}

/// A POST request of JSON.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    /// Whether to send it gzipped.
    pub(crate) compressed: bool,
    pub(crate) timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    /// The header, as it came.
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer. The text holds no URL, token or secret.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// Whether the same request may succeed in a moment.
    pub(crate) transient: bool,
    /// The connection ended before the head of an answer was complete.
    pub(crate) ended_early: bool,
    /// The parameters do not fit into a URL.
    pub(crate) too_long: bool,
}

impl Failure {
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Failure { message: message.into(), transient: true, ended_early: false, too_long: false }
    }

    pub(crate) fn lasting(message: impl Into<String>) -> Self {
        Failure { message: message.into(), transient: false, ended_early: false, too_long: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Answer {
    /// How long the server asks to be left alone, from `now` on; up to ten minutes are honoured.
    pub(crate) fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        const LIMIT: Duration = Duration::from_secs(600);
        let text = self.retry_after.as_deref()?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
        };
        Some(wait.min(LIMIT))
    }
}
