//! A configuration without JSON written by hand.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::Error;

/// Collects options for a [`Config`](crate::Config); [`Config::builder`](crate::Config::builder) makes one. Options
/// that are not set have the defaults of [`OPTIONS`](crate::OPTIONS). If an option is set twice, the later value
/// counts.
///
/// `definitions` and `overrides` take anything that serializes to a JSON object: `serde_json::json!({…})`, a struct, a
/// map, or a [`RawValue`] for text that is JSON already.
#[derive(Clone)]
#[must_use]
pub struct ConfigBuilder {
    options: BTreeMap<&'static str, Box<RawValue>>,
    /// Of the first value that could not be serialized.
    error: Option<Error>,
}

impl ConfigBuilder {
    pub(super) fn new(token: &str) -> Self {
        ConfigBuilder { options: BTreeMap::new(), error: None }.set("token", token)
    }

    /// Sets `service_account`: authenticates with a service account instead of the token alone.
    pub fn service_account(self, username: &str, secret: &str, project_id: &str) -> Self {
        let account =
            BTreeMap::from([("username", username), ("secret", secret), ("project_id", project_id)]);
        self.set("service_account", &account)
    }

    pub(super) fn json(self) -> Result<String, Error> {
        match self.error {
            Some(error) => Err(error),
            None => serde_json::to_string(&self.options).map_err(|e| Error::config(format!("config: {e}"))),
        }
    }

    pub(super) fn set(mut self, key: &'static str, value: &(impl Serialize + ?Sized)) -> Self {
        match to_raw_value(value) {
            Ok(json) => _ = self.options.insert(key, json),
            Err(e) => _ = self.error.get_or_insert(Error::config(format!("config: {key}: {e}"))),
        }
        self
    }
}

impl fmt::Debug for ConfigBuilder {
    /// Without the values: one of them is the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.options.keys()).finish()
    }
}
