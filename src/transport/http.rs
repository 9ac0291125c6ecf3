//! HTTP with ureq, which only this folder names.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, Read, Write as _};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{self, header};
use ureq::{Agent, Body};

use super::refusal::{Refusal, words};
use super::resolver::OneLookup;
use super::settings::{Settings, percent_encoded};
use super::{Failure, Get, Post, Response, Transport};
use crate::sys::lock::lock;
use crate::sys::sync::Mutex;

/// The longest URI that the http crate accepts.
const URL_LIMIT: usize = 65_534;

/// The largest response to events, in bytes. Mixpanel lists failed records with some 100 bytes each.
const RESPONSE_LIMIT: u64 = 4 * 1024 * 1024;

/// The connections to one host.
pub(super) struct Http {
    settings: Arc<Settings>,
    lookup: OneLookup,
    /// None after shutdown.
    agent: Mutex<Option<Agent>>,
}

impl Http {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        let lookup = OneLookup::default();
        let agent = Mutex::new(Some(settings.agent(&lookup)));
        Http { settings: settings.clone(), lookup, agent }
    }

    fn agent(&self) -> Result<Agent, Failure> {
        let agent = { lock(&self.agent).clone() };
        agent.ok_or_else(|| Failure::transient(INTERRUPTED))
    }
}

/// The message of a request that a shutdown aborted.
const INTERRUPTED: &str = "interrupted by shutdown";

impl Transport for Http {
    fn get(&self, request: &Get<'_>) -> Result<Response, Failure> {
        let mut url = format!("{}{}?{}", self.settings.base, request.path, self.settings.query);
        for (name, value) in request.parameters {
            let _ = write!(url, "&{name}={}", percent_encoded(value));
        }
        if url.len() > URL_LIMIT {
            let message =
                format!("the request's URL would have {} bytes; the limit is {URL_LIMIT}", url.len());
            return Err(Failure { too_long: true, ..Failure::lasting(message) });
        }
        let mut call = self
            .agent()?
            .get(url)
            .header(header::AUTHORIZATION, &self.settings.authorization)
            .header("traceparent", traceparent()?);
        if let Some(etag) = request.etag {
            call = call.header(header::IF_NONE_MATCH, etag);
        }
        let mut config = call.config().timeout_global(Some(request.timeout));
        if request.fresh {
            config = config.max_idle_age(Duration::ZERO);
        }
        let response = config.build().call();
        let response = response.map_err(|e| self.settings.no_response(&e))?;
        self.settings.read(response, request.path, request.limit)
    }

    fn post(&self, request: &Post<'_>) -> Result<Response, Failure> {
        let project = if request.path == "/import" { self.settings.project.as_str() } else { "" };
        let url = format!("{}{}?{}{project}", self.settings.base, request.path, request.query);
        let mut call = self
            .agent()?
            .post(url)
            .header(header::AUTHORIZATION, &self.settings.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .header("traceparent", traceparent()?);
        let body = if request.compressed {
            call = call.header(header::CONTENT_ENCODING, "gzip");
            Cow::Owned(gzip(request.body)?)
        } else {
            Cow::Borrowed(request.body)
        };
        let mut config = call.config().timeout_global(Some(request.timeout));
        if request.fresh {
            config = config.max_idle_age(Duration::ZERO);
        }
        let response = config.build().send(&*body).map_err(|e| self.settings.no_response(&e))?;
        self.settings.read(response, request.path, RESPONSE_LIMIT)
    }

    fn renew(&self) {
        let old = {
            let mut agent = lock(&self.agent);
            let new = agent.is_some().then(|| self.settings.agent(&self.lookup));
            std::mem::replace(&mut *agent, new)
        };
        old.into_iter().for_each(Agent::shutdown);
    }

    fn shutdown(&self) {
        let agent = { lock(&self.agent).take() };
        agent.into_iter().for_each(Agent::shutdown);
    }
}

fn gzip(body: &[u8]) -> Result<Vec<u8>, Failure> {
    // The fastest level: a batch shrinks to a tenth at every level.
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 8), flate2::Compression::fast());
    let done = encoder.write_all(body).and_then(|()| encoder.finish());
    done.map_err(|e| Failure::lasting(format!("gzip: {e}")))
}

impl Settings {
    fn read(&self, mut response: http::Response<Body>, path: &str, limit: u64) -> Result<Response, Failure> {
        let text = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let status = response.status().as_u16();
        let (etag, retry_after) = (text(header::ETAG), text(header::RETRY_AFTER));
        let age = text(header::AGE).and_then(|age| age.trim().parse().ok());
        let gzip = text(header::CONTENT_ENCODING).is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let mut raw = io::BufReader::new(response.body_mut().as_reader());
        let mut body = Vec::new();
        // A response without a body, such as a 304, may still say that its body is gzip.
        let gzip = gzip && !raw.fill_buf().map_err(|e| self.read_failure(e, false))?.is_empty();
        // One byte more than the limit tells a body that fits from one that does not.
        let read = if gzip {
            flate2::read::MultiGzDecoder::new(raw).take(limit + 1).read_to_end(&mut body)
        } else {
            raw.take(limit + 1).read_to_end(&mut body)
        };
        match read {
            Err(error) => Err(self.read_failure(error, gzip)),
            Ok(_) if body.len() as u64 > limit => {
                Err(Failure::lasting(self.at_peer(&format!("the response is larger than {limit} bytes"))))
            }
            Ok(_) => {
                let from = format!("{}{path}", self.place);
                Ok(Response { from, status, etag, retry_after, age, body })
            }
        }
    }

    fn at_peer(&self, what: &str) -> String {
        format!("{}: {what}", self.peer)
    }

    fn read_failure(&self, error: io::Error, gzip: bool) -> Failure {
        if gzip && matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) {
            let failure = Failure::lasting(self.at_peer("the response is not gzip"));
            return Failure { of_host: true, ..failure };
        }
        // While a body is read, ureq wraps its own errors in io errors.
        self.failure(&ureq::Error::from(error))
    }

    /// The failure of a request before the head of a response was complete.
    fn no_response(&self, error: &ureq::Error) -> Failure {
        Failure { ended_early: ended(error), ..self.failure(error) }
    }

    fn failure(&self, error: &ureq::Error) -> Failure {
        let failed = |what: &str| Failure::of_host(self.at_peer(what));
        let no_connection = |what: &str| failed(&format!("{what}; check {}", self.check));
        match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve) => failed("name look-up timed out"),
            ureq::Error::Timeout(ureq::Timeout::Connect) => failed("connect timed out"),
            ureq::Error::Timeout(_) => failed("timed out"),
            ureq::Error::HostNotFound => no_connection("host not found"),
            ureq::Error::Io(error) => match (error.kind(), error.get_ref()) {
                (_, Some(inner)) if inner.is::<Refusal>() => Failure::of_host(inner.to_string()),
                (io::ErrorKind::ConnectionRefused, _) => no_connection("connection refused"),
                (io::ErrorKind::ConnectionReset, _) => failed("connection reset"),
                (io::ErrorKind::UnexpectedEof, _) => {
                    failed("the connection was closed before the response was complete")
                }
                // Only a shutdown causes this.
                (io::ErrorKind::NotConnected, _) => Failure::transient(INTERRUPTED),
                _ => failed(&error.to_string()),
            },
            ureq::Error::ConnectionFailed => failed("connection failed"),
            ureq::Error::Rustls(error) => failed(&format!("TLS: {}", words(error))),
            ureq::Error::Other(error) => match error.downcast_ref::<Refusal>() {
                Some(refusal) => Failure {
                    misconfigured: refusal.is_plain_http(),
                    ..Failure::of_host(refusal.to_string())
                },
                None => failed(&error.to_string()),
            },
            // Without the size, which differs each time, while a failure that repeats is logged once.
            ureq::Error::LargeResponseHeader(_, limit) => {
                failed(&format!("the response's headers are larger than {limit} bytes"))
            }
            ureq::Error::BodyStalled => failed("the response is not HTTP (the size of a chunk has no end)"),
            ureq::Error::Protocol(error) => {
                let text = error.to_string();
                let hint = match self.base.split_once("://") {
                    // Later parts of a response would not be reached.
                    Some(("http", rest)) if text.starts_with("http parse fail") => {
                        format!("; if the port expects TLS, write https://{rest}")
                    }
                    _ => String::new(),
                };
                failed(&format!("the response is not HTTP ({text}){hint}"))
            }
            // The rest may quote a URL.
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::Http(_) => {
                Failure::lasting(self.at_peer("the request could not be formed"))
            }
            other => failed(&other.to_string()),
        }
    }
}

/// Whether the connection was closed, as happens to idle connections.
fn ended(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error, ureq::Error::Io(e) if matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// The header of W3C's Trace Context: version, trace id, parent id, sampled.
fn traceparent() -> Result<String, Failure> {
    let mut random = [0_u8; 24];
    getrandom::fill(&mut random).map_err(|e| Failure::lasting(format!("no random bytes: {e}")))?;
    let mut text = "00-".to_owned();
    for (i, byte) in random.iter().enumerate() {
        if i == 16 {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str("-01");
    Ok(text)
}
