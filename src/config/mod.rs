//! The configuration: one type, every option with its default, its range and its reason in one place.

pub(crate) mod endpoint;
mod options;
mod read;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use options::{OPTIONS, OptionSpec};

use crate::config::endpoint::Endpoint;
use crate::engine::context::View;
use crate::engine::variant::FlagValue;

/// How a [`Client`](crate::Client) behaves.
///
/// Made from JSON, strictly: an unknown key, a wrong type or a value out of range is an error that names the key and
/// says what is allowed. [`OPTIONS`] lists every key with its default. Printing a `Config` never shows a secret.
///
/// ```
/// let config = mpflags::Config::from_json(r#"{"token": "…", "polling_interval_ms": 30000}"#)?;
/// # Ok::<(), mpflags::Error>(())
/// ```
#[must_use]
pub struct Config {
    pub(crate) remote: bool,
    pub(crate) credentials: Credentials,
    pub(crate) endpoint: Endpoint,
    pub(crate) polling_interval: Duration,
    pub(crate) enable_polling: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) retry_base: Duration,
    pub(crate) init_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) definitions: Option<Box<str>>,
    pub(crate) definitions_path: Option<PathBuf>,
    pub(crate) definitions_cache_dir: Option<PathBuf>,
    pub(crate) overrides: HashMap<Box<str>, FlagValue>,
    /// None where contexts are taken as they come.
    pub(crate) view: Option<View>,
    pub(crate) report_exposures: bool,
    pub(crate) exposure_window: Duration,
    pub(crate) exposure_dedupe_capacity: usize,
    pub(crate) event_queue_capacity: usize,
    pub(crate) event_batch_size: usize,
    pub(crate) event_flush_interval: Duration,
    pub(crate) event_retry_base: Duration,
    pub(crate) event_retry_max: Duration,
    pub(crate) event_sink: bool,
    pub(crate) proxy: Option<Box<str>>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) wrapper: Option<Box<str>>,
}

/// What proves to Mixpanel who asks.
pub(crate) struct Credentials {
    pub(crate) token: Box<str>,
    pub(crate) service_account: Option<ServiceAccount>,
}

pub(crate) struct ServiceAccount {
    pub(crate) username: Box<str>,
    pub(crate) secret: Box<str>,
    pub(crate) project_id: Box<str>,
}

impl Credentials {
    /// What no message may hold, whatever a server repeats.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let secret = self.service_account.as_ref().map(|account| &*account.secret);
        std::iter::once(&*self.token).chain(secret).collect()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("polling_interval", &self.polling_interval)
            .field("enable_polling", &self.enable_polling)
            .finish_non_exhaustive()
    }
}
