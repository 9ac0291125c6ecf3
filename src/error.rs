//! Errors. Messages are safe to log: they contain no token, secret or URL query.

use std::fmt;

/// Why a call failed. Match on [`kind`](Error::kind) and print the rest: messages are for people and may
/// change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration has an unknown key, a value of the wrong type or out of range, or names a file that
    /// cannot be used.
    InvalidConfig,
    /// The context is not a valid JSON object.
    InvalidContext,
    /// The definitions document cannot be read.
    InvalidDefinitions,
    /// An argument is invalid, or the client is not in a state that allows the call.
    InvalidArgument,
    /// Mixpanel refused the credentials (401 or 403).
    CredentialsRefused,
    /// Mixpanel could not be reached, or its response could not be used.
    Backend,
    /// The event queue is full; the event was dropped and counted.
    QueueFull,
    /// The call timed out.
    Timeout,
    /// The client was shut down.
    Closed,
    /// The operating system refused to create a thread.
    System,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into() }
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidConfig, message)
    }

    pub(crate) fn closed() -> Self {
        Error::new(ErrorKind::Closed, "the client is shut down")
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
