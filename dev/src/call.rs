//! A request, read to its end.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

const BODY_LIMIT: usize = 64 << 20;

/// The port that a connection came in on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Main,
    Control,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    /// Decoded, if possible.
    pub(crate) body: Bytes,
    /// The length before decoding.
    pub(crate) body_length: usize,
    pub(crate) coding: Coding,
    /// Assigned by the log: the request's number, and its time since the server started.
    pub(crate) number: u64,
    pub(crate) at: Duration,
}

/// The state of a body after decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// It was not encoded, or was valid gzip.
    Readable,
    /// It is not valid gzip.
    Broken,
    /// Its `Content-Encoding` is not supported.
    Unknown,
}

pub(crate) enum ReadError {
    TooLarge,
    Disconnected,
}

impl Call {
    pub(crate) async fn read(request: hyper::Request<Incoming>) -> Result<Self, ReadError> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { ReadError::TooLarge } else { ReadError::Disconnected }
        })?;
        let body = body.to_bytes();
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        Ok(Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            headers: head.headers,
            body_length: body.len(),
            body,
            coding: Coding::Readable,
            number: 0,
            at: Duration::ZERO,
        })
    }

    /// Decodes the body, or leaves it as it is and sets `coding`.
    pub(crate) fn decoded(mut self) -> Result<Self, ReadError> {
        let coding = self.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        if coding.eq_ignore_ascii_case(b"gzip") {
            let mut body = Vec::with_capacity(self.body.len().saturating_mul(4));
            let mut decoder = MultiGzDecoder::new(self.body.as_ref()).take(BODY_LIMIT as u64 + 1);
            match decoder.read_to_end(&mut body) {
                Ok(length) if length > BODY_LIMIT => return Err(ReadError::TooLarge),
                Ok(_) => self.body = Bytes::from(body),
                Err(_) => self.coding = Coding::Broken,
            }
        } else if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
            self.coding = Coding::Unknown;
        }
        Ok(self)
    }
}
