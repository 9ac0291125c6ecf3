//! Faults by path: what they are, which fields each takes, and which one a request meets.

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

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Nothing: with `times`, it lets requests by before the next fault.
    Pass,
    /// Answers with `status`, and an error in Mixpanel's form unless there is a `body`.
    Status,
    /// Answers as ever, `delay_ms` later.
    Delay,
    /// Reads the request and never answers.
    Hang,
    /// Answers 200 with a body that is no JSON and no UTF-8, or with `body`.
    Garbage,
    /// Sends `body` as the whole answer, head included, and closes.
    Raw,
    /// Closes after `at_byte` bytes of the answer, or `at_body_byte` of its body.
    Cut,
    /// Announces `content_length`, or ten bytes too many, sends the true body and closes.
    WrongLength,
    /// Sends the answer at `bytes_per_second`.
    SlowLoris,
    /// Sends a small gzip body that decodes to `decoded_bytes` (200 MiB) of `{"flags":[` and spaces.
    GzipBomb,
    /// Resets the connection, after `at_byte` bytes of the answer if given.
    Reset,
    /// Resets the connection and stops the server: refused from then, for `down_ms` or until it is restarted.
    Refuse,
    /// Takes a batch of events but for the records that are named, and answers as `/import?strict=1` does then.
    RejectRecords,
}

/// What a slow loris is slow with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// All of the answer, from its first byte. The default.
    Head,
    /// The body; the head comes at once.
    Body,
}

/// A `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// As it is sent: a date, or anything.
    Text(String),
}

/// A fault of a path. Which fields a kind takes is in `dev/README.md`; another one is an error.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path, exactly; with a `*` at its end, every path that begins so.
    pub path: String,
    /// What goes wrong.
    pub kind: Kind,
    /// How many requests meet it. Absent: all, until it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long to wait before the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The answer's `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfter>,
    /// The answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Headers that the answer has besides, or instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// The byte of the whole answer, head included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_byte: Option<usize>,
    /// The byte of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_body_byte: Option<usize>,
    /// The length that is announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
    /// The pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u32>,
    /// What is sent at that pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The size of a bomb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_bytes: Option<u64>,
    /// How long the server is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_ms: Option<u64>,
    /// The records' places in their batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<Vec<usize>>,
    /// Properties that a record has, all of them and equal; of a profile update, its own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<BTreeMap<String, Value>>,
    /// The field that is said to be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A fault that makes no sense. The text names the fault's place in the list and the field.
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

const ANSWER: [&str; 5] = ["status", "delay_ms", "retry_after", "body", "headers"];

impl Fault {
    /// A fault that every request to `path` meets, with no field set.
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
            .map_err(|error| InvalidFault(format!("faults: a JSON list is wanted: {error}")))?;
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
        let (own, plain): (&[&str], &[&str]) = match self.kind {
            Kind::Pass | Kind::Hang => (&[], &[]),
            Kind::Status | Kind::Delay | Kind::Garbage => (&[], &ANSWER),
            Kind::Raw => (&["body", "delay_ms"], &[]),
            Kind::Cut => (&["at_byte", "at_body_byte"], &ANSWER),
            Kind::WrongLength => (&["content_length"], &ANSWER),
            Kind::SlowLoris => (&["bytes_per_second", "part"], &ANSWER),
            Kind::GzipBomb => (&["decoded_bytes", "status", "delay_ms", "headers"], &[]),
            Kind::Reset => (&["at_byte"], &ANSWER),
            Kind::Refuse => (&["down_ms"], &[]),
            Kind::RejectRecords => {
                (&["indexes", "properties", "field", "message", "delay_ms", "retry_after", "headers"], &[])
            }
        };
        let set = self.set_fields();
        if let Some(field) = set.iter().find(|field| !own.contains(*field) && !plain.contains(*field)) {
            return Err(format!("`{field}` means nothing for this `kind`"));
        }
        let missing = match self.kind {
            Kind::Status if self.status.is_none() => "status",
            Kind::Delay if self.delay_ms.is_none() => "delay_ms",
            Kind::Raw if self.body.is_none() => "body",
            Kind::Cut if self.at_byte.is_some() == self.at_body_byte.is_some() => "at_byte` or `at_body_byte",
            Kind::SlowLoris if self.bytes_per_second.unwrap_or(0) == 0 => "bytes_per_second",
            Kind::RejectRecords if self.indexes.is_none() && self.properties.is_none() => {
                "indexes` or `properties"
            }
            _ => return self.check_values(),
        };
        Err(format!("this `kind` needs `{missing}`"))
    }

    fn check_values(&self) -> Result<(), String> {
        if let Some(status) = self.status
            && !(200..=599).contains(&status)
        {
            return Err(format!("`status` must be 200 to 599, not {status}"));
        }
        for (name, value) in self.headers.iter().flatten() {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                return Err(format!("`headers`: {name:?} is no header"));
            }
        }
        if let Some(RetryAfter::Text(text)) = &self.retry_after
            && HeaderValue::try_from(text).is_err()
        {
            return Err(format!("`retry_after`: {text:?} is no header value"));
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

    /// Whether the server fails before it takes the events. Otherwise it takes them and spoils the answer, and a retry
    /// brings them again.
    pub(crate) fn comes_before_events(&self) -> bool {
        matches!(self.kind, Kind::Hang | Kind::Raw | Kind::Refuse)
            || self.status.is_some_and(|status| status >= 400)
    }

    /// What this fault has against a record.
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

    /// The status, as far as it was checked.
    pub(crate) fn status_code(&self) -> Option<StatusCode> {
        self.status.and_then(|status| StatusCode::from_u16(status).ok())
    }
}

/// The list in force.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        lock(&self.0)
    }

    /// Replaces the list, or leaves it when one fault is wrong.
    pub(crate) fn set(&self, faults: Vec<Fault>) -> Result<(), InvalidFault> {
        for (index, fault) in faults.iter().enumerate() {
            fault.check().map_err(|why| InvalidFault(format!("faults[{index}]: {why}")))?;
        }
        *self.list() = faults;
        Ok(())
    }

    /// What is left.
    pub(crate) fn current(&self) -> Vec<Fault> {
        self.list().clone()
    }

    /// The first fault that is for this path and not used up. Counts it down.
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
