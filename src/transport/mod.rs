//! HTTP behind a trait: requests and responses in the terms of this library.

mod error_text;
pub(crate) mod hosts;
mod http;
#[cfg(fuzzing)]
pub(crate) mod memory;
mod proxy;
mod punctual;
mod refusal;
mod resolver;
mod roots;
mod settings;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::items::Items;

/// Sends requests. Each start of a client makes new ones: after [`Transport::shutdown`] every request fails.
pub(crate) trait Transport: Send + Sync {
    /// Fetches `path`, with the credentials in a header and, unless `token_in_query` is off, the token in the query.
    fn get(&self, request: &Get<'_>) -> Result<Response, Failure>;
    /// Sends `body` to `path`, with the credentials in a header. The request brings its own query.
    fn post(&self, request: &Post<'_>) -> Result<Response, Failure>;
    /// Aborts the requests in progress and closes the idle connections. Later requests open new ones.
    fn renew(&self);
    /// Aborts the requests in progress. Later ones fail at once.
    fn shutdown(&self);
}

/// Makes a transport with its own connections, which logs to the items.
pub(crate) type Connect = dyn Fn(&Arc<Items>) -> Arc<dyn Transport> + Send + Sync;

/// A GET request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Get<'a> {
    pub(crate) path: &'a str,
    /// Appended to the query.
    pub(crate) parameters: &'a [(&'a str, &'a str)],
    pub(crate) etag: Option<&'a str>,
    /// Whether to open a new connection even if an idle one could be used.
    pub(crate) fresh: bool,
    /// Of the whole request, from the name look-up to the last byte of the response.
    pub(crate) timeout: Duration,
    /// The largest body that is accepted, in decoded bytes.
    pub(crate) limit: u64,
}

/// A POST request of JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    /// Whether to send it gzipped.
    pub(crate) compressed: bool,
    /// As in [`Get`].
    pub(crate) fresh: bool,
    pub(crate) timeout: Duration,
}

/// A response of any status.
#[derive(Debug)]
pub(crate) struct Response {
    /// Which host, port and path it is from.
    pub(crate) from: String,
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    /// The header as the server sent it.
    pub(crate) retry_after: Option<String>,
    /// How old the response is, in seconds, if a cache sent it.
    pub(crate) age: Option<u64>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no response. The message names host and port, and contains no query, token or secret.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// Whether the same request may succeed soon.
    pub(crate) transient: bool,
    /// Whether the cause is the host or the way to it, so that another host may respond.
    pub(crate) of_host: bool,
    /// The connection was closed before the status line and headers of a response were complete.
    pub(crate) ended_early: bool,
    /// The parameters do not fit into a URL.
    pub(crate) too_long: bool,
    /// The configuration has to change, so waiting does not help.
    pub(crate) misconfigured: bool,
}

impl Failure {
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Failure { transient: true, ..Failure::lasting(message) }
    }

    pub(crate) fn of_host(message: impl Into<String>) -> Self {
        Failure { of_host: true, ..Failure::transient(message) }
    }

    pub(crate) fn lasting(message: impl Into<String>) -> Self {
        Failure {
            message: message.into(),
            transient: false,
            of_host: false,
            ended_early: false,
            too_long: false,
            misconfigured: false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Response {
    /// The status and its source, for a message, with what a redirect or a missing page is usually due to.
    pub(crate) fn described(&self) -> String {
        let why = match self.status {
            300..=399 => {
                ": redirects are not followed, since that would send the credentials elsewhere; check api_host"
            }
            404 => "; check api_host",
            _ => "",
        };
        format!("HTTP {} from {}{why}", self.status, self.from)
    }

    /// [`described`](Self::described), and the server's own words. `private`: texts to leave out, such as credentials.
    pub(crate) fn explained(&self, private: &[&str]) -> String {
        let text = match self.status {
            300..=399 => None,
            _ => error_text::error_text(&self.body, private),
        };
        let text = text.map_or_else(String::new, |text| format!(": {text}"));
        format!("{}{text}", self.described())
    }

    /// The pause that the server asks for, from `now` on; at most ten minutes.
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
