//! Faults: their fields, their checks, and which one a request meets.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard};

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ingestion::Rejection;
use crate::lock::lock;
use crate::names::meant;

/// The paths that `handlers` serves. A fault for any other would never be met.
pub(crate) const PATHS: [&str; 7] =
    ["/flags/definitions", "/flags", "/track", "/import", "/engage", "/groups", OFREP];
/// Followed by a slash and a flag's key, too.
const OFREP: &str = "/ofrep/v1/evaluate/flags";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Nothing. With `times`, lets that many requests through before the next fault applies.
    Pass,
    /// Responds with `status`, and an error in Mixpanel's format unless `body` is set.
    Status,
    /// Sends the normal response `delay_ms` late.
    Delay,
    /// Reads the request and never responds.
    Hang,
    /// Responds 200 with a body that is neither JSON nor UTF-8, or with `body`.
    Garbage,
    /// Sends `body` as the whole response, including the head, and closes the connection. With `repeat`, sends that text
    /// again and again instead of closing, at `bytes_per_second` or as fast as possible.
    Raw,
    /// Closes the connection after `at_byte` bytes of the response, or `at_body_byte` bytes of its body.
    Cut,
    /// Announces `content_length`, by default ten bytes too many, sends the true body and closes the connection.
    WrongLength,
    /// Sends the response at `bytes_per_second`.
    SlowLoris,
    /// Sends a small gzip body that decodes to `decoded_bytes` (default 200 MiB): `{"flags":[`, then spaces.
    GzipBomb,
    /// Resets the connection, after `at_byte` bytes of the response (default 0).
    Reset,
    /// After `at_byte` bytes of the response (default 0), a TLS alert, as a device on the way can send one. Needs https.
    TlsAlert,
    /// Resets the connection and stops the server: clients are refused for `down_ms`, or until it is restarted.
    Refuse,
    /// Accepts a batch of events except for the selected records, and responds like `/import?strict=1`.
    RejectRecords,
}

/// The part of the response that a slow loris slows down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// The whole response, from its first byte. The default.
    Head,
    /// The body; the head is sent at once.
    Body,
}

/// A `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// Any other text, sent unchanged: a date, for example.
    Text(String),
}

/// A fault for a path. `dev/README.md` lists the fields of each kind; any other is an error.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The exact path; or a prefix followed by `*`.
    pub path: String,
    /// What goes wrong.
    pub kind: Kind,
    /// How many requests meet it. By default all, until it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The status of the response, 200 to 599.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long to wait before responding, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfter>,
    /// The body of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Headers to add or replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// How many bytes of the response to send, counting the head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_byte: Option<usize>,
    /// How many bytes of the body to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_body_byte: Option<usize>,
    /// The announced length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
    /// The pace, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u32>,
    /// The part sent at that pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// What follows the body, for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// The decoded size of a gzip bomb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_bytes: Option<u64>,
    /// How long the server is down, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_ms: Option<u64>,
    /// Selects records by their index in the batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<Vec<usize>>,
    /// Selects records that have all of these properties, with equal values; for profile updates, their fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<BTreeMap<String, Value>>,
    /// The field reported as wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The reported reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An invalid fault. The message names its index in the list, and the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFault(String);

impl fmt::Display for InvalidFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidFault {}

impl From<InvalidFault> for io::Error {
    fn from(error: InvalidFault) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// The fields that change the response before the fault sends it.
const RESPONSE: [&str; 5] = ["status", "delay_ms", "retry_after", "body", "headers"];

impl Fault {
    /// A fault for every request to `path`, with no other field set.
    pub fn new(path: impl Into<String>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            times: None,
            status: None,
            delay_ms: None,
            retry_after: None,
            body: None,
            headers: None,
            at_byte: None,
            at_body_byte: None,
            content_length: None,
            bytes_per_second: None,
            part: None,
            repeat: None,
            decoded_bytes: None,
            down_ms: None,
            indexes: None,
            properties: None,
            field: None,
            message: None,
        }
    }

    /// Parses the JSON list that `PUT /__dev/faults` takes.
    pub fn list_from_json(json: &[u8]) -> Result<Vec<Self>, InvalidFault> {
        let list: Vec<Value> = serde_json::from_slice(json)
            .map_err(|error| InvalidFault(format!("faults: expected a JSON list: {error}")))?;
        let parse = |(index, value)| {
            serde_json::from_value(value).map_err(|error| InvalidFault(format!("faults[{index}]: {error}")))
        };
        list.into_iter().enumerate().map(parse).collect()
    }

    fn check(&self) -> Result<(), String> {
        if !self.path.starts_with('/') && self.path != "*" {
            return Err(format!("`path` must begin with `/`, not {:?}", self.path));
        }
        if self.path.starts_with("/__dev") {
            return Err("`path`: faults never apply to control calls".to_owned());
        }
        let one_flag = self.path.strip_prefix(OFREP).is_some_and(|rest| rest.starts_with('/'));
        if !one_flag && !PATHS.iter().any(|path| self.meets(path)) {
            let advice = match meant(&self.path, PATHS) {
                Some(path) => format!("did you mean {path}?"),
                None => format!("the paths are {}", PATHS.join(", ")),
            };
            return Err(format!("`path`: nothing is served at {:?}: {advice}", self.path));
        }
        let (own, plain): (&[&str], &[&str]) = match self.kind {
            Kind::Pass | Kind::Hang => (&[], &[]),
            Kind::Status | Kind::Delay | Kind::Garbage => (&[], &RESPONSE),
            Kind::Raw => (&["body", "repeat", "bytes_per_second", "delay_ms"], &[]),
            Kind::Cut => (&["at_byte", "at_body_byte"], &RESPONSE),
            Kind::WrongLength => (&["content_length"], &RESPONSE),
            Kind::SlowLoris => (&["bytes_per_second", "part"], &RESPONSE),
            Kind::GzipBomb => (&["decoded_bytes", "status", "delay_ms", "headers"], &[]),
            Kind::Reset | Kind::TlsAlert => (&["at_byte"], &RESPONSE),
            Kind::Refuse => (&["down_ms"], &[]),
            Kind::RejectRecords => {
                (&["indexes", "properties", "field", "message", "delay_ms", "retry_after", "headers"], &[])
            }
        };
        let set = self.set_fields();
        if let Some(field) = set.iter().find(|field| !own.contains(*field) && !plain.contains(*field)) {
            return Err(format!("`{field}` has no effect for this `kind`"));
        }
        let missing = match self.kind {
            Kind::Status if self.status.is_none() => "status",
            Kind::Delay if self.delay_ms.is_none() => "delay_ms",
            Kind::Raw if self.body.is_none() && self.repeat.is_none() => "body` or `repeat",
            Kind::Cut if self.at_byte.is_some() == self.at_body_byte.is_some() => "at_byte` or `at_body_byte",
            Kind::SlowLoris if self.bytes_per_second.unwrap_or(0) == 0 => "bytes_per_second",
            Kind::RejectRecords if self.indexes.is_none() && self.properties.is_none() => {
                "indexes` or `properties"
            }
            Kind::Raw if self.bytes_per_second.is_some() && self.repeat.is_none() => "repeat",
            _ => return self.check_values(),
        };
        Err(format!("this `kind` needs `{missing}`"))
    }

    fn check_values(&self) -> Result<(), String> {
        if self.bytes_per_second == Some(0) {
            return Err("`bytes_per_second` must be at least 1".to_owned());
        }
        if self.repeat.as_deref() == Some("") {
            return Err("`repeat` must not be empty".to_owned());
        }
        if let Some(status) = self.status
            && !(200..=599).contains(&status)
        {
            return Err(format!("`status` must be 200 to 599, not {status}"));
        }
        for (name, value) in self.headers.iter().flatten() {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                return Err(format!("`headers`: {name:?} is not a valid header, or its value is not"));
            }
        }
        if let Some(RetryAfter::Text(text)) = &self.retry_after
            && HeaderValue::try_from(text).is_err()
        {
            return Err(format!("`retry_after`: {text:?} is not a valid header value"));
        }
        Ok(())
    }

    fn set_fields(&self) -> Vec<&'static str> {
        [
            ("status", self.status.is_some()),
            ("delay_ms", self.delay_ms.is_some()),
            ("retry_after", self.retry_after.is_some()),
            ("body", self.body.is_some()),
            ("headers", self.headers.is_some()),
            ("at_byte", self.at_byte.is_some()),
            ("at_body_byte", self.at_body_byte.is_some()),
            ("content_length", self.content_length.is_some()),
            ("bytes_per_second", self.bytes_per_second.is_some()),
            ("part", self.part.is_some()),
            ("repeat", self.repeat.is_some()),
            ("decoded_bytes", self.decoded_bytes.is_some()),
            ("down_ms", self.down_ms.is_some()),
            ("indexes", self.indexes.is_some()),
            ("properties", self.properties.is_some()),
            ("field", self.field.is_some()),
            ("message", self.message.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect()
    }

    fn meets(&self, path: &str) -> bool {
        match self.path.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == self.path,
        }
    }

    /// Whether the server fails before it accepts the events. Otherwise it accepts them and spoils the response, and a
    /// retry sends them again.
    pub(crate) fn comes_before_events(&self) -> bool {
        matches!(self.kind, Kind::Hang | Kind::Raw | Kind::Refuse)
            || self.status.is_some_and(|status| status >= 400)
    }

    /// The rejection of a record, if this fault selects it.
    pub(crate) fn rejection(&self, index: usize, record: &Value) -> Option<Box<Rejection>> {
        let has = |of: &Value| {
            self.properties.as_ref().is_some_and(|wanted| {
                wanted.iter().all(|(name, value)| of.get(name).is_some_and(|found| found == value))
            })
        };
        let properties = record.get("properties");
        let listed = self.indexes.as_ref().is_some_and(|indexes| indexes.contains(&index));
        if !listed && !has(properties.unwrap_or(record)) {
            return None;
        }
        let first = self.properties.iter().flat_map(BTreeMap::keys).next();
        let field = match (&self.field, first) {
            (Some(field), _) => field.clone(),
            (None, Some(name)) if properties.is_some() => format!("properties.{name}"),
            (None, Some(name)) => name.clone(),
            (None, None) => "event".to_owned(),
        };
        let message = self.message.as_deref().unwrap_or("Injected fault");
        let insert_id =
            properties.and_then(|properties| properties.get("$insert_id")).and_then(Value::as_str);
        Some(Rejection::by_fault(&field, message, insert_id))
    }

    /// The status, if set; it was checked to be valid.
    pub(crate) fn status_code(&self) -> Option<StatusCode> {
        self.status.and_then(|status| StatusCode::from_u16(status).ok())
    }
}

/// The faults in effect.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        lock(&self.0)
    }

    /// Replaces the list, unless one of the faults is invalid.
    pub(crate) fn set(&self, faults: Vec<Fault>) -> Result<(), InvalidFault> {
        for (index, fault) in faults.iter().enumerate() {
            fault.check().map_err(|why| InvalidFault(format!("faults[{index}]: {why}")))?;
        }
        *self.list() = faults;
        Ok(())
    }

    /// The faults not used up yet.
    pub(crate) fn current(&self) -> Vec<Fault> {
        self.list().clone()
    }

    /// The first fault for this path that is not used up. Counts it as met once more.
    pub(crate) fn take(&self, path: &str) -> Option<Fault> {
        let mut list = self.list();
        list.retain(|fault| fault.times != Some(0));
        let index = list.iter().position(|fault| fault.meets(path))?;
        let fault = list.get_mut(index)?;
        let taken = fault.clone();
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                list.remove(index);
            }
        }
        Some(taken)
    }
}
