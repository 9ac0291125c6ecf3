//! Mixpanel's endpoints, a module each.

mod definitions;
mod flags;
mod ingestion;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ALLOW, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};

use crate::answer::Answer;
use crate::faults::Fault;
use crate::ingestion::Endpoint;
use crate::state::State;

/// A request that has been read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    /// Decoded, if it can be.
    pub(crate) body: Bytes,
    /// As it came.
    pub(crate) body_length: usize,
    pub(crate) coding: Coding,
    /// Where it is in the log: its number, and its time since the start.
    pub(crate) number: u64,
    pub(crate) at: Duration,
}

/// What a body was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Nothing, or a gzip that is whole.
    Readable,
    /// A gzip that is broken.
    Broken,
    /// Something else.
    Unknown,
}

/// What a healthy server answers, and does. The fault that the request meets may keep it from that.
pub(crate) fn answer(state: &State, call: &Call, fault: Option<&Fault>) -> Answer {
    match call.path.as_str() {
        "/flags/definitions" => definitions::answer(state, call),
        "/flags" => flags::answer(state, call),
        "/track" => ingestion::answer(state, call, fault, Endpoint::Track),
        "/import" => ingestion::answer(state, call, fault, Endpoint::Import),
        "/engage" => ingestion::answer(state, call, fault, Endpoint::Engage),
        path => Answer::error(StatusCode::NOT_FOUND, &format!("No such path: {path}")),
    }
}

/// Whether the bodies sent there are events.
pub(crate) fn takes_events(path: &str) -> bool {
    matches!(path, "/track" | "/import" | "/engage")
}

pub(crate) fn wrong_method(allowed: &'static str) -> Answer {
    Answer::error(StatusCode::METHOD_NOT_ALLOWED, &format!("Use {allowed}"))
        .with(ALLOW, HeaderValue::from_static(allowed))
}
