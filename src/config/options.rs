//! The table of options, one row each. Everything else is made from it: the fields of [`Config`], how they are read and
//! checked, the methods of [`ConfigBuilder`], and docs/configuration.md.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::builder::ConfigBuilder;
use super::hosts::Hosts;
use super::read::{
    Account, Count, FilePath, Kind, LevelName, Milliseconds, Mode, ModeName, Object, Overrides, ProxyUrl,
    Reader, Switch, Text, Token, Wrapper,
};
use crate::error::Error;
use crate::items::Level;

/// An option of the configuration, as docs/configuration.md describes it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The key in the JSON object.
    pub key: &'static str,
    /// What the option does.
    pub effect: &'static str,
    described: fn() -> (String, String),
}

impl OptionSpec {
    /// The allowed values, in words.
    pub fn allowed(&self) -> String {
        (self.described)().0
    }

    /// The value if the key is absent or null, in words.
    pub fn default(&self) -> String {
        (self.described)().1
    }
}

/// A row is the field of `Config` and the method of the builder; the key; the kind of value, with its range and default;
/// the effect.
macro_rules! options {
    ($($field:ident $key:literal $kind:ident $(($($limit:expr),*))? $effect:literal;)*) => {
        /// All options, in the order of docs/configuration.md.
        pub const OPTIONS: &[OptionSpec] = &[$(OptionSpec {
            key: $key,
            effect: $effect,
            described: || ($kind $(($($limit),*))?).described(),
        }),*];

        /// How a [`Client`](crate::Client) behaves.
        ///
        /// Made by [`Config::builder`], or from JSON by [`Config::from_json`]. [`OPTIONS`] lists all options with their
        /// defaults. A `Config` never prints a token or secret.
        #[must_use]
        pub struct Config {
            $(pub(crate) $field: <$kind as Kind>::Value,)*
        }

        impl Config {
            pub(super) fn read(reader: &Reader<'_>) -> Result<Self, Error> {
                Ok(Config { $($field: ($kind $(($($limit),*))?).read(&reader.field($key))?,)* })
            }
        }

        impl ConfigBuilder {
            $(setter! { $kind $field $key $effect })*
        }
    };
}

/// The builder's method for a row: its argument depends on the kind of value.
macro_rules! setter {
    (as $value:ident: $type:ty => $json:expr; $name:ident $key:literal $effect:literal) => {
        #[doc = concat!("Sets `", $key, "`: ", $effect, ".")]
        pub fn $name(self, $value: $type) -> Self {
            self.set($key, $json)
        }
    };
    // `Config::builder` takes the token, and three parts make an account.
    (Token $($row:tt)*) => {};
    (Account $($row:tt)*) => {};
    (ModeName $($row:tt)*) => { setter! { as mode: Mode => &mode; $($row)* } };
    (LevelName $($row:tt)*) => { setter! { as level: Level => level.name(); $($row)* } };
    (Switch $($row:tt)*) => { setter! { as on: bool => &on; $($row)* } };
    (Hosts $($row:tt)*) => { setter! { as hosts: impl Serialize => &hosts; $($row)* } };
    (Milliseconds $($row:tt)*) => { setter! { as time: Duration => &time.as_millis(); $($row)* } };
    (Count $($row:tt)*) => { setter! { as count: usize => &count; $($row)* } };
    (FilePath $($row:tt)*) => { setter! { as path: impl AsRef<Path> => path.as_ref(); $($row)* } };
    (Object $($row:tt)*) => { setter! { as object: &(impl Serialize + ?Sized) => object; $($row)* } };
    (Overrides $($row:tt)*) => { setter! { as object: &(impl Serialize + ?Sized) => object; $($row)* } };
    ($other:ident $($row:tt)*) => { setter! { as text: &str => text; $($row)* } };
}

options! {
    token "token" Token
        "the project token";
    mode "mode" ModeName
        "remote: Mixpanel decides, with one request per evaluation; nothing is polled";
    service_account "service_account" Account
        "authenticates with a service account instead of the token alone";
    api_host "api_host" Hosts("api.mixpanel.com")
        "where requests go: `api-eu.mixpanel.com` for projects in the EU, `api-in.mixpanel.com` for India; of several hosts, \
         the first one that works, such as a cache and then Mixpanel";
    allow_insecure_http "allow_insecure_http" Switch(false)
        "allows http:// to hosts other than this machine; the credentials then travel unencrypted";
    token_in_query "token_in_query" Switch(true)
        "false: the token is sent in the Authorization header only, because a query ends up in access logs";
    polling_interval "polling_interval_ms" Milliseconds(50, 86_400_000, 60_000)
        "time from the end of one poll to the start of the next, ± 10 %";
    enable_polling "enable_polling" Switch(true)
        "false: definitions are fetched once, or never if `definitions` or `definitions_path` is given";
    request_timeout "request_timeout_ms" Milliseconds(50, 600_000, 10_000)
        "time limit of one request";
    retry_base "retry_base_ms" Milliseconds(10, 60_000, 500)
        "upper bound of the random pause before a failed fetch is retried; it doubles up to the polling interval";
    init_timeout "init_timeout_ms" Milliseconds(50, 600_000, 10_000)
        "time after which a client without definitions is in the state ERROR";
    shutdown_timeout "shutdown_timeout_ms" Milliseconds(0, 600_000, 5_000)
        "time to deliver events at a shutdown without a timeout; freeing a running client takes at most 1,000 ms";
    definitions "definitions" Object("a definitions document, `{\"flags\": […]}`")
        "definitions to start with, so that the client is ready without a request";
    definitions_path "definitions_path" FilePath("the path of a file")
        "a file of definitions to start with, instead of `definitions`";
    definitions_cache_dir "definitions_cache_dir" FilePath("the path of a directory")
        "stores the last good definitions there, to start from when Mixpanel cannot be reached";
    ready_from_cache "ready_from_cache" Switch(false)
        "true: a client starts with the definitions in `definitions_cache_dir`, if there are any, and is ready before its first \
         request";
    overrides "overrides" Overrides
        "fixed values for these flags, which take precedence over their definitions";
    targeting_key_as "targeting_key_as" Text("the name of a context key, usually \"distinct_id\"")
        "a context in which this key is absent or null gets its value from `targetingKey`";
    attributes_as_custom_properties "attributes_as_custom_properties" Switch(false)
        "true: rules also see the context's top-level attributes, unless `custom_properties` has the same key; remote \
         requests then send them twice";
    proxy "proxy" ProxyUrl
        "the proxy for all requests; NO_PROXY applies";
    report_exposures "report_exposures" Switch(true)
        "false: evaluations report no exposures; `track_exposure` still does";
    exposure_window "exposure_window_ms" Milliseconds(0, 604_800_000, 1_800_000)
        "an exposure is not repeated within this time; 0 reports every evaluation";
    exposure_dedupe_capacity "exposure_dedupe_capacity" Count(0, 16_777_216, 65_536)
        "number of exposures remembered so that they are not repeated; 0 reports every evaluation";
    event_queue_capacity "event_queue_capacity" Count(1, 10_000_000, 10_000)
        "number of events that may wait, including those to be retried; further ones are dropped and counted";
    event_batch_size "event_batch_size" Count(1, 2000, 500)
        "a request is sent as soon as this many events wait; it holds up to 2,000 events or 1 MiB";
    event_flush_interval "event_flush_interval_ms" Milliseconds(10, 3_600_000, 5_000)
        "the longest time that an event waits for others before it is sent";
    event_retry_base "event_retry_base_ms" Milliseconds(10, 600_000, 2_000)
        "pause after the first failed request; it doubles with each further failure, plus jitter";
    event_retry_max "event_retry_max_ms" Milliseconds(10, 3_600_000, 60_000)
        "upper bound of the pause between failed requests, before jitter";
    event_sink "event_sink" Switch(false)
        "true: events are handed to the program as items instead of being sent to Mixpanel";
    log_level "log_level" LevelName
        "the least serious log lines that the program gets; at \"debug\" there is one for each poll, retry, state and request";
    ca_file "ca_file" FilePath("the path of a PEM file")
        "certificates to trust in addition to the system's and the bundled ones; each may be an authority or a server's \
         own certificate";
    wrapper "wrapper" Wrapper
        "appended to the User-Agent; bindings set it";
}
