//! A mistake, and the collection of those of one flag.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The flag does something else than what is written, or nothing.
    Error,
    /// It may be meant, but is worth a look.
    Warning,
}

/// A mistake in a definitions document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The key of the flag; `flags[2]` if it has none, and `None` if it is about the whole document.
    pub flag: Option<String>,
    /// The path within the flag, such as `ruleset.rollout[0].rollout_percentage`. Empty for the flag itself.
    pub path: String,
    /// The line of the document that the value is on, from 1.
    pub line: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(flag) = &self.flag {
            write!(f, "{}: ", flag.escape_debug())?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.escape_debug())?;
        }
        f.write_str(&self.message)
    }
}

/// Collects the findings of one flag.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<(Severity, String, String)>);

impl Findings {
    pub(super) fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push((Severity::Error, path.into(), message.into()));
    }

    pub(super) fn warning(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push((Severity::Warning, path.into(), message.into()));
    }
}
