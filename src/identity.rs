//! The user of a context: what testers and exposures know them by.

use std::borrow::Cow;

/// `distinct_id` as the context has it: its text, and whether it stood in quotes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) quoted: bool,
    /// Whether a tester may be called so.
    pub(crate) names_tester: bool,
}

impl<'a> Identity<'a> {
    /// A user named by a string.
    pub(crate) fn named(text: impl Into<Cow<'a, str>>) -> Self {
        Identity { text: text.into(), quoted: true, names_tester: true }
    }

    pub(crate) fn into_owned(self) -> Identity<'static> {
        let Identity { text, quoted, names_tester } = self;
        Identity { text: Cow::Owned(text.into_owned()), quoted, names_tester }
    }

    pub(crate) fn push_json(&self, out: &mut String) {
        if self.quoted {
            push_json_string(out, &self.text);
        } else {
            out.push_str(&self.text);
        }
    }
}

/// Appends `string` as JSON.
pub(crate) fn push_json_string(out: &mut String, string: &str) {
    // Without a branch per byte the compiler looks at many at once.
    if string.bytes().fold(false, |found, b| found | (b < b' ') | (b == b'"') | (b == b'\\')) {
        out.push_str(&serde_json::Value::from(string).to_string());
    } else {
        out.push('"');
        out.push_str(string);
        out.push('"');
    }
}
