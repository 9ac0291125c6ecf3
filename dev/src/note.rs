//! What the server says of the definitions, for people.

use std::fmt;

use crate::changes::Change;
use crate::check::Finding;

/// Something that happened to the definitions, for a person to read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Note {
    /// A flag has changed.
    Change(Change),
    /// A mistake in the definitions that was not there before.
    Finding(Finding),
    /// The definitions cannot be used as they are.
    Trouble(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => write!(f, "changed: {change}"),
            Self::Finding(finding) => write!(f, "line {}: {finding}", finding.line),
            Self::Trouble(text) => write!(f, "{text}"),
        }
    }
}
