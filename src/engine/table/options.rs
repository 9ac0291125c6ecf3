//! What a program wants to know about a table.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, ErrorKind};
use crate::json::{not_an_object, syntax};

/// How to evaluate a table: which flags, and what its columns are.
///
/// ```
/// use mpflags::TableOptions;
///
/// let options = TableOptions::new().flags(["new-checkout"]).column("id", "distinct_id").keep(["id"]);
/// let same = TableOptions::from_json(
///     r#"{"flags": ["new-checkout"], "columns": {"id": "distinct_id"}, "keep": ["id"]}"#,
/// )?;
/// # Ok::<(), mpflags::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[must_use]
pub struct TableOptions {
    pub(crate) flags: Option<Vec<String>>,
    /// `None` ignores the column.
    pub(super) columns: BTreeMap<String, Option<String>>,
    pub(super) keep: Vec<String>,
    pub(crate) report_exposures: bool,
    pub(super) dictionary: bool,
    pub(super) rollouts: bool,
}

impl Default for TableOptions {
    fn default() -> Self {
        TableOptions {
            flags: None,
            columns: BTreeMap::new(),
            keep: Vec::new(),
            report_exposures: false,
            dictionary: true,
            rollouts: false,
        }
    }
}

impl TableOptions {
    /// The default options: every flag, every column, no column kept, no exposures, strings as dictionaries.
    pub fn new() -> Self {
        TableOptions::default()
    }

    /// Reads the options from a JSON object with the keys `flags`, `columns`, `keep`, `report_exposures`,
    /// `dictionary` and `rollouts`. The empty text is `{}`.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] for an unknown key, which the message names, and for a value of another
    /// type.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        if json.is_empty() {
            return Ok(TableOptions::default());
        }
        if !json.trim_start().starts_with('{') {
            return Err(invalid(format!("options: {}", not_an_object(json, r#"{"flags": ["…"]}"#))));
        }
        serde_json::from_str(json).map_err(|error| invalid(format!("options: {}", syntax(json, &error))))
    }

    /// Evaluates these flags, in this order. The default is every flag of the definitions, in order of key.
    pub fn flags<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.flags = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Puts the column `name` at a place of the context: `distinct_id` or another top-level key, or a property as in
    /// `custom_properties.plan`.
    pub fn column(mut self, name: impl Into<String>, place: impl Into<String>) -> Self {
        self.columns.insert(name.into(), Some(place.into()));
        self
    }

    /// Ignores the column `name`.
    pub fn ignore(mut self, name: impl Into<String>) -> Self {
        self.columns.insert(name.into(), None);
        self
    }

    /// Passes these columns through, before those of the flags.
    pub fn keep<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.keep = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether to report an exposure for each row that gets a variant. The default is not to.
    pub fn report_exposures(mut self, report: bool) -> Self {
        self.report_exposures = report;
        self
    }

    /// Whether the strings of the results are dictionaries, as they are by default, or plain strings.
    pub fn dictionary(mut self, dictionary: bool) -> Self {
        self.dictionary = dictionary;
        self
    }

    /// Whether each result also has the position of the rollout that was taken, counted from 0, in the field `rollout`. It is
    /// null for a tester, an override, and without a variant. The default is not to.
    pub fn rollouts(mut self, rollouts: bool) -> Self {
        self.rollouts = rollouts;
        self
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
