//! Attributes that cannot be used, in a context that is valid JSON: numbers beyond a double, lone surrogates,
//! too deep nesting. They affect only the flags that read them.

use crate::engine::identity::CUSTOM_PROPERTIES;

/// A place in a context whose value cannot be used.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    /// The path: a top-level key as written, then names as rules see them, and indexes.
    path: Box<[Box<str>]>,
    /// The path for messages.
    place: Box<str>,
    why: Box<str>,
}

impl Unusable {
    pub(crate) fn new(path: &[Box<str>], place: &str, why: &str) -> Self {
        Unusable { path: path.into(), place: place.into(), why: why.into() }
    }

    /// The top-level key of the attribute.
    pub(crate) fn key(&self) -> &str {
        self.path.first().map_or("", |key| key)
    }

    /// The path below that key.
    pub(crate) fn within(&self) -> &[Box<str>] {
        self.path.get(1..).unwrap_or_default()
    }

    /// The error message of an evaluation that reads it.
    pub(crate) fn message(&self) -> String {
        format!("context: {}: {}", self.place, self.why)
    }

    /// The attribute's name for messages: a top-level key, or one of `custom_properties`.
    pub(crate) fn attribute(&self) -> String {
        match self.within().first() {
            Some(name) if self.key() == CUSTOM_PROPERTIES => format!("{CUSTOM_PROPERTIES}.{name}"),
            _ => self.key().to_owned(),
        }
    }

    pub(crate) fn why(&self) -> &str {
        &self.why
    }
}
