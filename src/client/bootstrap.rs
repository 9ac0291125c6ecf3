//! Definitions from the configuration, and the log lines about the flags of any definitions.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use super::snapshot::next_serial;
use crate::config::Config;
use crate::engine::definitions::{FlagSet, Report};
use crate::error::Error;
use crate::items::{Items, Level};

/// The largest definitions document, in decoded bytes.
pub(super) const DEFINITIONS_LIMIT: u64 = 64 * 1024 * 1024;

/// The definitions of the options `definitions` or `definitions_path`.
pub(super) fn definitions(config: &mut Config) -> Result<Option<(FlagSet, Report)>, Error> {
    let (place, body) = match (config.definitions.take(), &config.definitions_path) {
        (Some(json), _) => ("definitions".to_owned(), json.into_string().into_bytes()),
        (None, None) => return Ok(None),
        (None, Some(path)) => {
            let place = format!("definitions_path: {}", path.display());
            let too_large = fs::metadata(path).is_ok_and(|meta| meta.len() > DEFINITIONS_LIMIT);
            if too_large {
                return Err(Error::config(format!("config: {place}: larger than {DEFINITIONS_LIMIT} bytes")));
            }
            match fs::read(path) {
                Ok(body) => (place, body),
                Err(error) => return Err(Error::config(format!("config: {place}: {error}"))),
            }
        }
    };
    FlagSet::parse(&body, None, next_serial)
        .map(Some)
        .map_err(|e| Error::config(format!("config: {place}: {e}")))
}

/// The problems of flags that were logged: one line per problem, not per poll.
#[derive(Default)]
pub(super) struct Logged {
    /// Parts of flags that this library cannot check, logged once.
    unchecked: HashSet<(Arc<str>, Box<str>)>,
    /// The malformed flags of the previous document.
    rejected: HashSet<String>,
}

impl Logged {
    pub(super) fn log(&mut self, items: &Items, report: &Report) {
        for line in report.rejected.iter().filter(|line| !self.rejected.contains(*line)) {
            items.log(Level::Warning, line.as_str());
        }
        self.rejected = report.rejected.iter().cloned().collect();
        for (key, warning) in &report.unchecked {
            if self.unchecked.insert((key.clone(), warning.about.clone())) {
                items.log(Level::Warning, warning.line.as_str());
            }
        }
    }
}
