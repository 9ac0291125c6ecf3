//! JSON → [`Config`]. Values are named by kind in errors, never quoted: one of them is a token.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Deserialize;
use serde_json::value::RawValue;

use super::{Config, Credentials, OPTIONS, ServiceAccount};
use crate::config::endpoint::Endpoint;
use crate::engine::context::View;
use crate::engine::variant::FlagValue;
use crate::error::Error;
use crate::json::{RawPairs, json_kind, plain, without_position};

impl Config {
    /// Reads a configuration from a JSON object. Opens no file: [`Client::new`](crate::Client::new) does. null counts as
    /// absent.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig); the message is `config: `, the key at
    /// fault and what is allowed. A key given twice is an error. A token or secret never stands in it.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        config(json)
    }
}

fn config(json: &str) -> Result<Config, Error> {
    let mut fields = Fields::parse("", json)?;
    for key in fields.keys() {
        if !OPTIONS.iter().any(|option| option.key == key) {
            let known: Vec<&str> = OPTIONS.iter().map(|option| option.key).collect();
            return Err(Error::config(format!(
                "config: unknown key `{key}`; known are {}",
                known.join(", ")
            )));
        }
    }
    let token = fields.text("token")?.ok_or_else(|| Error::config("config: token: required"))?;
    let remote = match fields.string("mode")?.as_deref() {
        None | Some("local") => false,
        Some("remote") => true,
        Some(_) => {
            return Err(Error::config(
                "config: mode: expected \"local\" or \"remote\", found another string",
            ));
        }
    };
    if remote {
        for key in ["definitions", "definitions_path", "definitions_cache_dir"] {
            if fields.take(key).is_some() {
                return Err(Error::config(format!(
                    "config: {key}: not allowed in remote mode, which holds none"
                )));
            }
        }
    }
    let service_account = match fields.take("service_account") {
        None => None,
        Some(json) => Some(service_account(json)?),
    };
    let insecure = fields.flag("allow_insecure_http")?.unwrap_or(false);
    let host = fields.string("api_host")?;
    let endpoint = Endpoint::parse(host.as_deref().unwrap_or("api.mixpanel.com"), insecure)
        .map_err(|why| Error::config(format!("config: api_host: {why}")))?;
    let definitions = fields.object("definitions")?;
    let definitions_path = fields.path("definitions_path")?;
    if definitions.is_some() && definitions_path.is_some() {
        return Err(Error::config("config: definitions_path: not allowed beside definitions"));
    }
    Ok(Config {
        remote,
        credentials: Credentials { token, service_account },
        endpoint,
        polling_interval: fields.ms("polling_interval_ms", 50..=86_400_000, 60_000)?,
        enable_polling: fields.flag("enable_polling")?.unwrap_or(true),
        request_timeout: fields.ms("request_timeout_ms", 50..=600_000, 10_000)?,
        retry_base: fields.ms("retry_base_ms", 10..=60_000, 500)?,
        init_timeout: fields.ms("init_timeout_ms", 50..=600_000, 10_000)?,
        shutdown_timeout: fields.ms("shutdown_timeout_ms", 0..=600_000, 5_000)?,
        definitions,
        definitions_path,
        definitions_cache_dir: fields.path("definitions_cache_dir")?,
        overrides: overrides(fields.object("overrides")?)?,
        view: view(&mut fields)?,
        report_exposures: fields.flag("report_exposures")?.unwrap_or(true),
        exposure_window: fields.ms("exposure_window_ms", 0..=604_800_000, 1_800_000)?,
        exposure_dedupe_capacity: fields.count("exposure_dedupe_capacity", 0..=16_777_216, 65_536)?,
        event_queue_capacity: fields.count("event_queue_capacity", 1..=10_000_000, 10_000)?,
        event_batch_size: fields.count("event_batch_size", 1..=2000, 500)?,
        event_flush_interval: fields.ms("event_flush_interval_ms", 10..=3_600_000, 5000)?,
        event_retry_base: fields.ms("event_retry_base_ms", 10..=600_000, 2000)?,
        event_retry_max: fields.ms("event_retry_max_ms", 10..=3_600_000, 60_000)?,
        event_sink: fields.flag("event_sink")?.unwrap_or(false),
        proxy: fields.string("proxy")?,
        ca_file: fields.path("ca_file")?,
        wrapper: wrapper(fields.string("wrapper")?)?,
    })
}

fn service_account(json: &RawValue) -> Result<ServiceAccount, Error> {
    let mut fields = Fields::parse("service_account", json.get())?;
    let mut required = |key: &str| {
        fields.text(key)?.ok_or_else(|| {
            Error::config(format!("config: service_account.{key}: required beside the other two"))
        })
    };
    let account = ServiceAccount {
        username: required("username")?,
        secret: required("secret")?,
        project_id: required("project_id")?,
    };
    match fields.keys().next() {
        None => Ok(account),
        Some(key) => Err(Error::config(format!(
            "config: unknown key `service_account.{key}`; known are username, secret, project_id"
        ))),
    }
}

fn overrides(json: Option<Box<str>>) -> Result<HashMap<Box<str>, FlagValue>, Error> {
    let Some(json) = json else { return Ok(HashMap::new()) };
    let fields = Fields::parse("overrides", &json)?;
    let mut overrides = HashMap::with_capacity(fields.pairs.len());
    for (key, json) in fields.pairs {
        let value = FlagValue::parse(json.get())
            .map_err(|e| Error::config(format!("config: overrides.{key}: {}", without_position(&e))))?;
        overrides.insert(key.into(), value);
    }
    Ok(overrides)
}

fn view(fields: &mut Fields<'_>) -> Result<Option<View>, Error> {
    let targeting_key_as = fields.text("targeting_key_as")?;
    let attributes_as_custom_properties = fields.flag("attributes_as_custom_properties")?.unwrap_or(false);
    let any = targeting_key_as.is_some() || attributes_as_custom_properties;
    Ok(any.then_some(View { targeting_key_as, attributes_as_custom_properties }))
}

fn wrapper(wrapper: Option<Box<str>>) -> Result<Option<Box<str>>, Error> {
    match wrapper {
        Some(text) if text.len() > 64 || !text.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(Error::config("config: wrapper: expected a string of at most 64 visible ASCII characters"))
        }
        other => Ok(other),
    }
}

/// The fields of one object, taken out one by one.
struct Fields<'a> {
    /// Where the object stands, for messages; empty for the configuration itself.
    place: &'static str,
    pairs: Vec<(String, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    fn parse(place: &'static str, json: &'a str) -> Result<Self, Error> {
        let prefix = if place.is_empty() { String::new() } else { format!("{place}: ") };
        if !json.trim_start().starts_with('{') {
            // Not left to serde_json, which would quote the value.
            return Err(Error::config(format!(
                "config: {prefix}expected a JSON object, found {}",
                json_kind(json)
            )));
        }
        let RawPairs(pairs) = serde_json::from_str(json)
            .map_err(|e| Error::config(format!("config: {prefix}{}", plain(&e))))?;
        let mut fields = Fields { place, pairs: Vec::with_capacity(pairs.len()) };
        for (key, value) in pairs {
            if fields.pairs.iter().any(|(known, _)| *known == key) {
                return Err(Error::config(format!("config: {}: given twice", fields.path_of(&key))));
            }
            fields.pairs.push((key.into_owned(), value));
        }
        Ok(fields)
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(key, _)| key.as_str())
    }

    fn path_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// The value under `key`; null counts as absent.
    fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.pairs.iter().position(|(k, _)| k == key)?;
        let (_, value) = self.pairs.remove(at);
        (value.get() != "null").then_some(value)
    }

    fn read<T: Deserialize<'a>>(&mut self, key: &str, expected: &str) -> Result<Option<T>, Error> {
        let Some(json) = self.take(key) else { return Ok(None) };
        serde_json::from_str(json.get()).map(Some).map_err(|_| self.wrong(key, expected, json.get()))
    }

    fn wrong(&self, key: &str, expected: &str, json: &str) -> Error {
        Error::config(format!(
            "config: {}: expected {expected}, found {}",
            self.path_of(key),
            json_kind(json)
        ))
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, Error> {
        self.read(key, "true or false")
    }

    fn string(&mut self, key: &str) -> Result<Option<Box<str>>, Error> {
        self.read(key, "a string")
    }

    /// A string that says something, without the white space around it.
    fn text(&mut self, key: &str) -> Result<Option<Box<str>>, Error> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        match text.trim() {
            "" => Err(Error::config(format!(
                "config: {}: expected a non-empty string, found an empty one",
                self.path_of(key)
            ))),
            text => Ok(Some(text.into())),
        }
    }

    fn path(&mut self, key: &str) -> Result<Option<PathBuf>, Error> {
        Ok(self.text(key)?.map(|text| PathBuf::from(text.into_string())))
    }

    fn object(&mut self, key: &str) -> Result<Option<Box<str>>, Error> {
        let Some(json) = self.take(key) else { return Ok(None) };
        if json.get().starts_with('{') {
            Ok(Some(json.get().into()))
        } else {
            Err(self.wrong(key, "an object", json.get()))
        }
    }

    fn ms(&mut self, key: &str, range: RangeInclusive<u64>, default: u64) -> Result<Duration, Error> {
        self.integer(key, range, default).map(Duration::from_millis)
    }

    fn count(&mut self, key: &str, range: RangeInclusive<u64>, default: u64) -> Result<usize, Error> {
        // The ranges end far below what a usize holds.
        self.integer(key, range, default).map(|count| count as usize)
    }

    fn integer(&mut self, key: &str, range: RangeInclusive<u64>, default: u64) -> Result<u64, Error> {
        let expected = format!("an integer from {} to {}", range.start(), range.end());
        let Some(json) = self.take(key) else { return Ok(default) };
        let wrong = |found: &str| {
            Error::config(format!("config: {}: expected {expected}, found {found}", self.path_of(key)))
        };
        match serde_json::from_str::<u64>(json.get()) {
            Ok(integer) if range.contains(&integer) => Ok(integer),
            // A number is no secret, and seeing it helps.
            _ if json_kind(json.get()) == "a number" => Err(wrong(json.get())),
            _ => Err(wrong(json_kind(json.get()))),
        }
    }
}
