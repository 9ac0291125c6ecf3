//! A response before it is sent, by hyper or byte by byte by `raw`.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
};
use serde::Serialize;
use serde_json::json;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What `--verbose` prints below the line of the request.
    pub(crate) lines: Vec<String>,
}

impl Response {
    pub(crate) fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into(), lines: Vec::new() }
    }

    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        // Only maps whose keys are not strings fail, and there are none.
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        Self::new(status, body).with(CONTENT_TYPE, JSON)
    }

    /// An error in Mixpanel's format.
    pub(crate) fn error(status: StatusCode, message: &str) -> Self {
        Self::json(status, &json!({ "error": message, "status": "error" }))
    }

    pub(crate) fn wrong_method(allowed: &'static str) -> Self {
        Self::error(StatusCode::METHOD_NOT_ALLOWED, &format!("Use {allowed}"))
            .with(ALLOW, HeaderValue::from_static(allowed))
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn into_hyper(self) -> hyper::Response<Full<Bytes>> {
        let mut response = hyper::Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// The head as sent on the wire. `content_length` may be wrong on purpose; `None` announces chunks. It always says
    /// `connection: close`, because raw responses end their connection.
    pub(crate) fn raw_head(&self, content_length: Option<u64>) -> Vec<u8> {
        let reason = self.status.canonical_reason().unwrap_or("Unknown");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16()).into_bytes();
        let mut line = |name: &[u8], value: &[u8]| {
            head.extend_from_slice(name);
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        };
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
            line(name.as_ref(), value.as_bytes());
        }
        match content_length {
            Some(length) => line(b"content-length", length.to_string().as_bytes()),
            None => line(b"transfer-encoding", b"chunked"),
        }
        line(b"connection", b"close");
        head.extend_from_slice(b"\r\n");
        head
    }

    pub(crate) fn replace_body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
        // Both described the old body.
        self.headers.remove(CONTENT_ENCODING);
        self.headers.remove(ETAG);
    }
}
