//! Takes events and profile updates out of a request's body, and checks each record as Mixpanel does.

mod payload;
mod profile;
mod record;
mod scalar;

pub(crate) use payload::{Payload, values};
pub(crate) use profile::operation;

use serde::Serialize;

use crate::seen::Fingerprint;

/// Mixpanel's limit for the records of a request,
pub(crate) const MOST_RECORDS: usize = 2_000;
/// for their JSON, decoded,
pub(crate) const MOST_BYTES: usize = 10 << 20;
/// and for the JSON of one record.
const MOST_RECORD_BYTES: usize = 1 << 20;

/// An endpoint that receives records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/track`: events, authenticated by a token.
    #[serde(rename = "/track")]
    Track,
    /// `/import`: events, authenticated by Basic credentials.
    #[serde(rename = "/import")]
    Import,
    /// `/engage`: profile updates, authenticated by a token.
    #[serde(rename = "/engage")]
    Engage,
}

/// Why a record was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rejection {
    /// The field at fault: `event`, `properties.time`, `$set`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// The record's `$insert_id`, if it has one that is a string.
    #[serde(skip)]
    pub insert_id: Option<String>,
}

impl Rejection {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { field: field.into(), message: message.into(), insert_id: None })
    }

    /// Worded like Mixpanel's documentation.
    fn invalid(field: &str, why: &str) -> Box<Self> {
        Self::new(field, format!("'{field}' is invalid: {why}"))
    }

    /// Worded like Mixpanel's responses to `/track`.
    fn missing(field: &str, name: &str) -> Box<Self> {
        Self::new(field, format!("{name}, missing or empty"))
    }

    pub(crate) fn by_fault(field: &str, message: &str, insert_id: Option<&str>) -> Box<Self> {
        Box::new(Self { insert_id: insert_id.map(str::to_owned), ..*Self::new(field, message) })
    }
}

/// A valid record's fingerprint, if it has an `$insert_id`; or why the record is rejected.
pub(crate) type Checked = Result<Option<Fingerprint>, Box<Rejection>>;

/// Checks each record of a JSON array, or a single object. Fails if `json` is neither.
pub(crate) fn check(
    endpoint: Endpoint,
    json: &[u8],
    token: Option<&str>,
) -> Result<Vec<Checked>, serde_json::Error> {
    let mut checked = match endpoint {
        Endpoint::Track => record::each(json, |record| record.check_track(token)),
        Endpoint::Import => {
            let now = record::now();
            record::each(json, |record| record.check_import(now))
        }
        Endpoint::Engage => {
            let updates = payload::split(json)?;
            Ok(updates.into_iter().map(|update| profile::check(update, token)).collect())
        }
    }?;
    if json.len() > MOST_RECORD_BYTES {
        for (checked, record) in checked.iter_mut().zip(payload::split(json)?) {
            if record.get().len() > MOST_RECORD_BYTES {
                *checked = Err(Rejection::new("record", "must be smaller than 1MB"));
            }
        }
    }
    Ok(checked)
}
