//! The configuration: one table of options, and reading and checking them.

mod builder;
pub(crate) mod endpoint;
pub(crate) mod hosts;
mod options;
mod read;

use std::fmt;

pub use builder::ConfigBuilder;
pub use options::{Config, OPTIONS, OptionSpec};
pub use read::Mode;

use read::Reader;

use crate::error::Error;

impl Config {
    /// Builds a configuration for the project with this token.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let config = mpflags::Config::builder("YOUR_PROJECT_TOKEN")
    ///     .api_host("api-eu.mixpanel.com")
    ///     .polling_interval(Duration::from_secs(30))
    ///     .build()?;
    /// # Ok::<(), mpflags::Error>(())
    /// ```
    pub fn builder(token: &str) -> ConfigBuilder {
        ConfigBuilder::new(token)
    }

    /// Reads a configuration from a JSON object, for programs that have their options as JSON. A null value counts as
    /// absent. Opens no file: [`Client::new`](crate::Client::new) does.
    ///
    /// ```
    /// let config = mpflags::Config::from_json(r#"{"token": "…", "polling_interval_ms": 30000}"#)?;
    /// # Ok::<(), mpflags::Error>(())
    /// ```
    ///
    /// Fails with [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) if a key is unknown or given twice, or a
    /// value has the wrong type or is out of range. The message names the key and what is allowed, and never contains the
    /// token or a secret.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let known = OPTIONS.iter().map(|option| option.key).collect();
        let config = Config::read(&Reader::new("", json, Some(known))?)?;
        config.check()?;
        Ok(config)
    }

    /// Checks the rules that involve several options.
    fn check(&self) -> Result<(), Error> {
        let not_allowed =
            |key: &str, why: &str| Err(Error::config(format!("config: {key}: not allowed {why}")));
        if self.is_remote() {
            for (key, given) in [
                ("definitions", self.definitions.is_some()),
                ("definitions_path", self.definitions_path.is_some()),
                ("definitions_cache_dir", self.definitions_cache_dir.is_some()),
            ] {
                if given {
                    return not_allowed(key, "in remote mode, which has no definitions");
                }
            }
        }
        if self.definitions.is_some() && self.definitions_path.is_some() {
            return not_allowed("definitions_path", "together with definitions");
        }
        if self.ready_from_cache {
            if self.definitions_cache_dir.is_none() {
                return not_allowed("ready_from_cache", "without definitions_cache_dir");
            }
            if self.definitions.is_some() || self.definitions_path.is_some() {
                return not_allowed("ready_from_cache", "together with definitions or definitions_path");
            }
        }
        for (place, host) in self.api_host.places() {
            if !host.is_secure() && !host.is_loopback() && !self.allow_insecure_http {
                return Err(Error::config(format!(
                    "config: {place}: http:// is for hosts on this machine, because the credentials are sent in every \
                     request; allow_insecure_http allows it elsewhere",
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.mode == Mode::Remote
    }

    /// The texts that no message may contain, even if a server repeats them.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let secret = self.service_account.as_ref().map(|account| &*account.secret);
        std::iter::once(&*self.token).chain(secret).collect()
    }
}

impl ConfigBuilder {
    /// Checks the options, as [`Config::from_json`] does.
    pub fn build(self) -> Result<Config, Error> {
        Config::from_json(&self.json()?)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("mode", &self.mode)
            .field("api_host", &self.api_host)
            .field("polling_interval", &self.polling_interval)
            .field("enable_polling", &self.enable_polling)
            .finish_non_exhaustive()
    }
}
