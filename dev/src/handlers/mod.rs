//! Mixpanel's endpoints, a module each.

mod definitions;

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::{ALLOW, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};

use crate::answer::Answer;
use crate::state::State;

/// A request that has been read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a healthy server answers.
pub(crate) fn answer(state: &State, call: &Call) -> Answer {
    match call.path.as_str() {
        "/flags/definitions" => definitions::answer(state, call),
        path => Answer::error(StatusCode::NOT_FOUND, &format!("No such path: {path}")),
    }
}

pub(crate) fn wrong_method(allowed: &'static str) -> Answer {
    Answer::error(StatusCode::METHOD_NOT_ALLOWED, &format!("Use {allowed}"))
        .with(ALLOW, HeaderValue::from_static(allowed))
}
