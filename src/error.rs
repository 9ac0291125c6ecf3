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

/// The one of `known` that `given` is most likely a misspelling of, if any: they differ in one place, by at most three
/// characters. Ignores case, and the difference between `-` and `_`. Allocates nothing.
pub(crate) fn nearest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let most = (given.len() / 3).min(3);
    let near =
        known.map(|known| (difference(given, known), known)).filter(|(difference, _)| *difference <= most);
    near.min_by_key(|(difference, _)| *difference).map(|(_, known)| known)
}

/// The length of what is left of the longer text without the beginning and the end that both have.
fn difference(a: &str, b: &str) -> usize {
    let same = |(a, b): &(u8, u8)| a == b || folded(*a) == folded(*b);
    let begins = a.bytes().zip(b.bytes()).take_while(same).count();
    let ends = a.bytes().rev().zip(b.bytes().rev()).take_while(same).count();
    let shorter = a.len().min(b.len());
    a.len().max(b.len()) - (begins + ends).min(shorter)
}

fn folded(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings() {
        let known = ["api_host", "polling_interval_ms", "token", "new-checkout", "new-check", "v2", "ü-flag"];
        for (given, want) in [
            ("api-host", Some("api_host")),
            ("apiHost", Some("api_host")),
            ("API_HOST", Some("api_host")),
            ("polling_interval", Some("polling_interval_ms")),
            ("poling_interval_ms", Some("polling_interval_ms")),
            ("tokn", Some("token")),
            ("tkoen", None),
            ("new-chekout", Some("new-checkout")),
            ("new-chcekout", Some("new-checkout")),
            ("mew-checkout", Some("new-checkout")),
            ("new-checks", Some("new-check")),
            ("ue-flag", Some("ü-flag")),
            ("v1", None),
            ("", None),
            ("something else", None),
        ] {
            assert_eq!(nearest(given, known.into_iter()), want, "{given}");
        }
        assert_eq!(nearest("anything", std::iter::empty()), None);
    }
}
