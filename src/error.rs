//! What went wrong, in words a log can carry: no token, no secret, no URL query.

use std::borrow::Cow;
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

/// A serde_json message in plain words: no name of a Rust type, and no value, which may be somebody's name.
pub(crate) fn plain(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let (problem, position) = match text.rfind(" at line ").and_then(|at| text.split_at_checked(at)) {
        Some((problem, position)) => (problem, position),
        None => (text.as_str(), ""),
    };
    format!("{}{position}", in_plain_words(problem))
}

/// The same without its position in a text that the reader does not have at hand.
pub(crate) fn without_position(error: &impl fmt::Display) -> String {
    let mut text = plain(error);
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    text
}

fn in_plain_words(problem: &str) -> Cow<'_, str> {
    let field = |start: &str| problem.strip_prefix(start)?.strip_suffix('`');
    if let Some(name) = field("missing field `") {
        return format!("{name}: required").into();
    }
    if let Some(name) = field("duplicate field `") {
        return format!("{name}: given twice").into();
    }
    let wrong = problem.strip_prefix("invalid type: ").or_else(|| problem.strip_prefix("invalid value: "));
    if let Some((found, expected)) = wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        return format!("expected {}, found {}", kind_expected(expected), kind_found(found)).into();
    }
    match problem {
        "recursion limit exceeded" => "nested more than 127 levels deep".into(),
        other => other.into(),
    }
}

fn kind_expected(expected: &str) -> &str {
    match expected {
        "a map" => "an object",
        "a sequence" => "an array",
        "a borrowed string" => "a string",
        name if name.starts_with("struct ") => "an object",
        name if name.starts_with("tuple ") => "an array",
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => "an integer",
        other => other,
    }
}

/// What serde calls a value of the wrong type, which it quotes.
fn kind_found(found: &str) -> &'static str {
    match found.split([' ', '`']).next() {
        Some("boolean") => "a boolean",
        Some("integer" | "floating" | "number") => "a number",
        Some("string" | "character") => "a string",
        Some("map" | "struct") => "an object",
        Some("sequence" | "tuple") => "an array",
        Some("null" | "unit" | "Option") => "null",
        _ => "another type",
    }
}

/// Where in a document something is wrong, if that is known. A place nested a hundred levels deep is cut short.
pub(crate) fn place(path: &serde_path_to_error::Path) -> Option<String> {
    const LONGEST: usize = 200;
    let text = path.to_string();
    let text = text.trim_end_matches(['?', '.']);
    match text.char_indices().find(|(at, _)| *at >= LONGEST) {
        _ if text.is_empty() => None,
        Some((end, _)) => Some(format!("{}…", text.get(..end)?)),
        None => Some(text.to_owned()),
    }
}

/// What JSON begins with, by name: for messages that must not quote it.
pub(crate) fn json_kind(json: &str) -> &'static str {
    match json.trim_start().bytes().next() {
        None => "nothing",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(_) => "something that is no JSON",
    }
}
