//! Events and profile updates on their way in: out of the request's body, record by record, checked as Mixpanel
//! checks them.

mod payload;
mod profile;
mod record;
mod scalar;

pub(crate) use payload::{Payload, values};
pub(crate) use profile::operation;

use serde::Serialize;

use crate::seen::Fingerprint;

/// Mixpanel takes so many records in a request,
pub(crate) const MOST_RECORDS: usize = 2_000;
/// so many bytes of JSON, decoded,
pub(crate) const MOST_BYTES: usize = 10 << 20;
/// and so many of them in one record.
const MOST_RECORD_BYTES: usize = 1 << 20;

/// Where a record came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/track`: events, by token.
    #[serde(rename = "/track")]
    Track,
    /// `/import`: events, by credentials.
    #[serde(rename = "/import")]
    Import,
    /// `/engage`: profile updates, by token.
    #[serde(rename = "/engage")]
    Engage,
}

/// Why a record was not taken.
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

    /// In the words of Mixpanel's documentation.
    fn invalid(field: &str, why: &str) -> Box<Self> {
        Self::new(field, format!("'{field}' is invalid: {why}"))
    }

    /// In the words of its answers to `/track`.
    fn missing(field: &str, name: &str) -> Box<Self> {
        Self::new(field, format!("{name}, missing or empty"))
    }

    pub(crate) fn by_fault(field: &str, message: &str, insert_id: Option<&str>) -> Box<Self> {
        Box::new(Self { insert_id: insert_id.map(str::to_owned), ..*Self::new(field, message) })
    }
}

/// A record that is good, with what tells it from others if it has an `$insert_id`; or why it is not.
pub(crate) type Checked = Result<Option<Fingerprint>, Box<Rejection>>;

/// Checks every record of a JSON array, or the one of an object. Fails when this is no such JSON.
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
