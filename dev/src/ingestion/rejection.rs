//! The result of checking a record.

use serde::Serialize;

use crate::seen::Fingerprint;

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
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { field: field.into(), message: message.into(), insert_id: None })
    }

    /// Worded like Mixpanel's documentation.
    pub(super) fn invalid(field: &str, why: &str) -> Box<Self> {
        Self::new(field, format!("'{field}' is invalid: {why}"))
    }

    /// Worded like Mixpanel's responses to `/track`.
    pub(super) fn missing(field: &str, name: &str) -> Box<Self> {
        Self::new(field, format!("{name}, missing or empty"))
    }

    pub(crate) fn by_fault(field: &str, message: &str, insert_id: Option<&str>) -> Box<Self> {
        Box::new(Self { insert_id: insert_id.map(str::to_owned), ..*Self::new(field, message) })
    }
}

/// A valid record's fingerprint, if it has an `$insert_id`; or why the record is rejected.
pub(crate) type Checked = Result<Option<Fingerprint>, Box<Rejection>>;
