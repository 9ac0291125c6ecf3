//! Reading options from JSON: one [`Kind`] per kind of value. Errors name a value by its type and never quote it, because
//! it may be a token.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::Deserialize;
use serde_json::value::RawValue;

use crate::engine::variant::FlagValue;
use crate::error::{Error, nearest};
use crate::items::Level;
use crate::json::{RawPairs, json_kind, not_an_object, syntax, without_position};

/// Where flags are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// In this process, from definitions that are polled.
    Local,
    /// By Mixpanel, with one request per evaluation.
    Remote,
}

pub(crate) struct ServiceAccount {
    pub(crate) username: Box<str>,
    pub(crate) secret: Box<str>,
    pub(crate) project_id: Box<str>,
}

/// A JSON object whose keys are known to be distinct and allowed.
pub(super) struct Reader<'a> {
    /// The path of the object, for messages; empty for the configuration itself.
    place: &'static str,
    pairs: Vec<(String, &'a RawValue)>,
}

impl<'a> Reader<'a> {
    /// `known`: the allowed keys; `None` allows any.
    pub(super) fn new(place: &'static str, json: &'a str, known: Option<Vec<&str>>) -> Result<Self, Error> {
        let (prefix, example) = match place {
            "" => (String::new(), r#"{"token": "…"}"#),
            "service_account" => {
                (format!("{place}: "), r#"{"username": "…", "secret": "…", "project_id": "…"}"#)
            }
            _ => (format!("{place}: "), "{}"),
        };
        if !json.trim_start().starts_with('{') {
            // serde_json's own message would quote the value.
            return Err(Error::config(format!("config: {prefix}{}", not_an_object(json, example))));
        }
        let RawPairs(pairs) = serde_json::from_str(json)
            .map_err(|e| Error::config(format!("config: {prefix}{}", syntax(json, &e))))?;
        let mut reader = Reader { place, pairs: Vec::with_capacity(pairs.len()) };
        for (key, value) in pairs {
            let field = reader.field(&key);
            if field.json.is_some() || reader.pairs.iter().any(|(other, _)| *other == key) {
                return Err(field.error("given twice"));
            }
            if let Some(known) = known.as_ref().filter(|known| !known.contains(&&*key)) {
                let path = field.path();
                let hint = match nearest(&key, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", known.join(", ")),
                };
                return Err(Error::config(format!("config: unknown key `{path}`; {hint}")));
            }
            reader.pairs.push((key.into_owned(), value));
        }
        Ok(reader)
    }

    pub(super) fn field<'f>(&'f self, key: &'f str) -> Field<'f, 'a> {
        let json = self.pairs.iter().find(|(other, _)| other == key).map(|(_, json)| *json);
        Field { place: self.place, key, json: json.filter(|json| json.get() != "null") }
    }
}

/// One value, if it is given: null counts as absent.
pub(crate) struct Field<'f, 'a> {
    place: &'static str,
    key: &'f str,
    json: Option<&'a RawValue>,
}

impl<'a> Field<'_, 'a> {
    /// The elements of an array, each with its place. None if the value is not an array, or not given.
    pub(super) fn elements(&self) -> Option<Vec<(String, &'a RawValue)>> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.json?.get()).ok()?;
        let places = (0..).map(|at: usize| format!("{}[{at}]", self.key));
        Some(places.zip(elements).collect())
    }

    /// One of the [`elements`](Self::elements).
    pub(super) fn element<'f>(&self, place: &'f str, json: &'a RawValue) -> Field<'f, 'a> {
        Field { place: self.place, key: place, json: Some(json) }
    }

    fn path(&self) -> String {
        if self.place.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.place, self.key) }
    }

    pub(super) fn error(&self, problem: impl std::fmt::Display) -> Error {
        Error::config(format!("config: {}: {problem}", self.path()))
    }

    pub(super) fn parse<T: Deserialize<'a>>(&self, expected: &str) -> Result<Option<T>, Error> {
        let Some(json) = self.json.map(RawValue::get) else { return Ok(None) };
        let wrong = || self.error(format_args!("expected {expected}, found {}", json_kind(json)));
        serde_json::from_str(json).map(Some).map_err(|_| wrong())
    }

    fn string(&self) -> Result<Option<Box<str>>, Error> {
        self.parse("a string")
    }

    /// A string without the white space around it, which must leave something.
    fn text(&self) -> Result<Option<Box<str>>, Error> {
        let Some(text) = self.string()? else { return Ok(None) };
        match text.trim() {
            "" => Err(self.error("expected a non-empty string, found an empty one")),
            text => Ok(Some(text.into())),
        }
    }

    fn integer(&self, min: u64, max: u64) -> Result<Option<u64>, Error> {
        let Some(json) = self.json.map(RawValue::get) else { return Ok(None) };
        match serde_json::from_str(json) {
            Ok(integer) if (min..=max).contains(&integer) => Ok(Some(integer)),
            _ => {
                // Quoting a number helps, and it is not a secret.
                let found = if json_kind(json) == "a number" { json } else { json_kind(json) };
                Err(self.error(format_args!("expected {}, found {found}", range(min, max))))
            }
        }
    }

    fn object(&self) -> Result<Option<&'a str>, Error> {
        match self.json.map(RawValue::get) {
            Some(json) if !json.starts_with('{') => {
                Err(self.error(format_args!("expected an object, found {}", json_kind(json))))
            }
            json => Ok(json),
        }
    }
}

fn range(min: u64, max: u64) -> String {
    format!("an integer from {min} to {max}")
}

/// A kind of value: how it is read, and how the page describes it.
pub(crate) trait Kind {
    type Value;

    fn read(&self, field: &Field<'_, '_>) -> Result<Self::Value, Error>;
    /// The allowed values and the default.
    fn described(&self) -> (String, String);
}

fn optional(allowed: &str) -> (String, String) {
    (allowed.to_owned(), "none".to_owned())
}

/// A string that must be given.
pub(crate) struct Token;

impl Kind for Token {
    type Value = Box<str>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Box<str>, Error> {
        field.text()?.ok_or_else(|| field.error("required"))
    }
    fn described(&self) -> (String, String) {
        ("a non-empty string".to_owned(), "required".to_owned())
    }
}

pub(crate) struct ModeName;

impl Kind for ModeName {
    type Value = Mode;

    fn read(&self, field: &Field<'_, '_>) -> Result<Mode, Error> {
        match field.string()?.as_deref() {
            None | Some("local") => Ok(Mode::Local),
            Some("remote") => Ok(Mode::Remote),
            Some(_) => {
                Err(field.error(format_args!("expected {}, found another string", self.described().0)))
            }
        }
    }
    fn described(&self) -> (String, String) {
        ("\"local\" or \"remote\"".to_owned(), "\"local\"".to_owned())
    }
}

/// The least serious log lines that the program gets.
pub(crate) struct LevelName;

impl Kind for LevelName {
    type Value = Level;

    fn read(&self, field: &Field<'_, '_>) -> Result<Level, Error> {
        match field.string()?.as_deref() {
            None => Ok(Level::Info),
            Some(name) => Level::named(name).ok_or_else(|| {
                field.error(format_args!("expected {}, found another string", self.described().0))
            }),
        }
    }
    fn described(&self) -> (String, String) {
        (r#""debug", "info", "warning" or "error""#.to_owned(), r#""info""#.to_owned())
    }
}

pub(crate) struct Account;

impl Kind for Account {
    type Value = Option<ServiceAccount>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Option<ServiceAccount>, Error> {
        let Some(json) = field.json else { return Ok(None) };
        let known = vec!["username", "secret", "project_id"];
        let reader = Reader::new("service_account", json.get(), Some(known))?;
        let required = |key| {
            let field = reader.field(key);
            field.text()?.ok_or_else(|| field.error("required together with the other two"))
        };
        Ok(Some(ServiceAccount {
            username: required("username")?,
            secret: required("secret")?,
            project_id: required("project_id")?,
        }))
    }
    fn described(&self) -> (String, String) {
        optional("an object with `username`, `secret` and `project_id`")
    }
}

/// True or false. Holds the default.
pub(crate) struct Switch(pub(super) bool);

impl Kind for Switch {
    type Value = bool;

    fn read(&self, field: &Field<'_, '_>) -> Result<bool, Error> {
        Ok(field.parse(&self.described().0)?.unwrap_or(self.0))
    }
    fn described(&self) -> (String, String) {
        ("true or false".to_owned(), self.0.to_string())
    }
}

/// A number of things. Holds the smallest, the largest and the default.
pub(crate) struct Count(pub(super) u64, pub(super) u64, pub(super) u64);

impl Kind for Count {
    type Value = usize;

    fn read(&self, field: &Field<'_, '_>) -> Result<usize, Error> {
        // Every range ends far below the largest usize.
        Ok(field.integer(self.0, self.1)?.unwrap_or(self.2) as usize)
    }
    fn described(&self) -> (String, String) {
        (range(self.0, self.1), self.2.to_string())
    }
}

/// A duration. Holds the smallest, the largest and the default.
pub(crate) struct Milliseconds(pub(super) u64, pub(super) u64, pub(super) u64);

impl Kind for Milliseconds {
    type Value = Duration;

    fn read(&self, field: &Field<'_, '_>) -> Result<Duration, Error> {
        Ok(Duration::from_millis(field.integer(self.0, self.1)?.unwrap_or(self.2)))
    }
    fn described(&self) -> (String, String) {
        (range(self.0, self.1), self.2.to_string())
    }
}

/// A JSON object, kept as text. Holds its description.
pub(crate) struct Object(pub(super) &'static str);

impl Kind for Object {
    type Value = Option<Box<str>>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Option<Box<str>>, Error> {
        Ok(field.object()?.map(Box::from))
    }
    fn described(&self) -> (String, String) {
        optional(self.0)
    }
}

/// A path. Holds its description.
pub(crate) struct FilePath(pub(super) &'static str);

impl Kind for FilePath {
    type Value = Option<PathBuf>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Option<PathBuf>, Error> {
        Ok(field.text()?.map(|text| PathBuf::from(text.into_string())))
    }
    fn described(&self) -> (String, String) {
        optional(self.0)
    }
}

/// A non-empty string. Holds its description.
pub(crate) struct Text(pub(super) &'static str);

impl Kind for Text {
    type Value = Option<Box<str>>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Option<Box<str>>, Error> {
        field.text()
    }
    fn described(&self) -> (String, String) {
        optional(self.0)
    }
}

pub(crate) struct Overrides;

impl Kind for Overrides {
    type Value = HashMap<Box<str>, FlagValue>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Self::Value, Error> {
        let Some(json) = field.object()? else { return Ok(HashMap::new()) };
        let reader = Reader::new("overrides", json, None)?;
        let values = reader.pairs.iter().map(|(key, json)| {
            let error = |e| reader.field(key).error(without_position(&e));
            Ok((key.as_str().into(), FlagValue::parse(json.get()).map_err(error)?))
        });
        values.collect()
    }
    fn described(&self) -> (String, String) {
        optional("an object of flag keys and values")
    }
}

/// The URL is parsed when a client is made, as is the proxy of the environment.
pub(crate) struct ProxyUrl;

impl Kind for ProxyUrl {
    type Value = Option<Box<str>>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Option<Box<str>>, Error> {
        field.string()
    }
    fn described(&self) -> (String, String) {
        ("the URL of a proxy, or \"\" for none".to_owned(), "from HTTPS_PROXY or ALL_PROXY".to_owned())
    }
}

pub(crate) struct Wrapper;

impl Kind for Wrapper {
    type Value = Option<Box<str>>;

    fn read(&self, field: &Field<'_, '_>) -> Result<Option<Box<str>>, Error> {
        match field.string()? {
            Some(text) if text.len() > 64 || !text.bytes().all(|b| b.is_ascii_graphic()) => {
                Err(field.error(format_args!("expected {}", self.described().0)))
            }
            text => Ok(text),
        }
    }
    fn described(&self) -> (String, String) {
        optional("a string of at most 64 visible ASCII characters")
    }
}
