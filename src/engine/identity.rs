//! The user of a context, and the context keys that have a special meaning.

use std::borrow::Cow;

use crate::json::Writer;

/// Names the user.
pub(crate) const DISTINCT_ID: &str = "distinct_id";
/// OpenFeature's key for the user or another subject.
pub(crate) const TARGETING_KEY: &str = "targetingKey";
/// The properties that rules see.
pub(crate) const CUSTOM_PROPERTIES: &str = "custom_properties";

/// `distinct_id` as in the context: its text, and whether it was a string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) quoted: bool,
}

impl<'a> Identity<'a> {
    /// A user named by a string.
    pub(crate) fn named(text: impl Into<Cow<'a, str>>) -> Self {
        Identity { text: text.into(), quoted: true }
    }

    pub(crate) fn into_owned(self) -> Identity<'static> {
        let Identity { text, quoted } = self;
        Identity { text: Cow::Owned(text.into_owned()), quoted }
    }

    pub(crate) fn write(&self, json: &mut Writer<'_>) {
        if self.quoted {
            json.string(&self.text);
        } else {
            json.raw(&self.text);
        }
    }
}
