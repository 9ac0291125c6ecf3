//! The definitions that a client starts with, and the log lines about the flags of any definitions.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use super::cache::Cache;
use super::snapshot::{Definitions, next_serial};
use crate::config::Config;
use crate::engine::definitions::{FlagSet, Report};
use crate::error::Error;
use crate::items::{Items, Level, State};

/// The largest definitions document, in decoded bytes.
pub(super) const DEFINITIONS_LIMIT: u64 = 64 * 1024 * 1024;

/// What a client starts with.
pub(super) struct Start {
    pub(super) state: State,
    pub(super) definitions: Option<Definitions>,
    pub(super) report: Option<Report>,
    pub(super) line: Option<(Level, String)>,
}

/// The definitions of the configuration or, with `ready_from_cache`, of the cache.
pub(super) fn start(config: &mut Config) -> Result<Start, Error> {
    if config.is_remote() {
        return Ok(Start { state: State::Ready, definitions: None, report: None, line: None });
    }
    if let Some((set, report)) = configured(config)? {
        let definitions = Some(Definitions { flags: Arc::new(set), etag: None });
        return Ok(Start { state: State::Ready, definitions, report: Some(report), line: None });
    }
    let none = Start { state: State::NotReady, definitions: None, report: None, line: None };
    let Some(cache) = Cache::new(config).filter(|_| config.ready_from_cache) else { return Ok(none) };
    match cached(&cache) {
        Ok(Some((definitions, report))) => {
            let flags = definitions.flags.iter().len();
            let line = Some((
                Level::Info,
                format!("ready_from_cache: {flags} flags from {}", cache.path().display()),
            ));
            Ok(Start { state: State::Stale, definitions: Some(definitions), report: Some(report), line })
        }
        Ok(None) => {
            let line = format!("ready_from_cache: {} does not exist yet", cache.path().display());
            Ok(Start { line: Some((Level::Info, line)), ..none })
        }
        Err(line) => Ok(Start { line: Some((Level::Warning, line)), ..none }),
    }
}

/// The definitions in the cache, or why they cannot be used.
pub(super) fn cached(cache: &Cache) -> Result<Option<(Definitions, Report)>, String> {
    let cached = cache.read(DEFINITIONS_LIMIT).map_err(|why| format!("definitions_cache_dir: {why}"))?;
    let Some(cached) = cached else { return Ok(None) };
    let (set, report) = FlagSet::parse(&cached.body, None, next_serial)
        .map_err(|error| format!("definitions_cache_dir: {error}"))?;
    Ok(Some((Definitions { flags: Arc::new(set), etag: cached.etag.map(Into::into) }, report)))
}

/// The definitions of the options `definitions` or `definitions_path`.
fn configured(config: &mut Config) -> Result<Option<(FlagSet, Report)>, Error> {
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
