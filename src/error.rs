//! What went wrong, in words a log can carry: no token, no secret, no URL query.

use std::fmt;

/// Why a call failed. Opaque: match on [`kind`](Error::kind), print the rest. Messages are for people and may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration has an unknown key, a wrong type, a value out of range, or names a file that cannot be used.
    InvalidConfig,
    /// The context is not a JSON object, or its JSON is broken.
    InvalidContext,
    /// The definitions document is unreadable as a whole.
    InvalidDefinitions,
    /// An argument is not what the call takes, or the client is not in the state for it.
    InvalidArgument,
    /// Mixpanel refused the credentials (401 or 403).
    CredentialsRefused,
    /// Mixpanel could not be reached, or its answer was of no use.
    Backend,
    /// The event queue is full; the event was dropped and counted.
    QueueFull,
    /// The time given to the call ran out.
    Timeout,
    /// The client was shut down.
    Closed,
    /// The operating system refused a thread.
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

    /// What kind of failure it is.
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
