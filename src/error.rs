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

/// Where in `json` the value stands that `error` complains of, as in `ruleset.rollout[0].key`; None for the document itself. A place
/// nested a hundred levels deep is cut short.
///
/// serde_json says how many bytes it had read. The keys and indexes of what they leave open lead there, so that only the text of a
/// fault is followed, and no reader exists twice, with and without its path.
pub(crate) fn place(json: &str, error: &serde_json::Error) -> Option<String> {
    const LONGEST: usize = 200;
    let mut text = String::new();
    for step in open_at(read_by(json, error)?) {
        match step {
            Step::Key(None) => break,
            Step::Key(Some(key)) => {
                let key: String = serde_json::from_str(key).ok()?;
                let dot = if text.is_empty() { "" } else { "." };
                text = format!("{text}{dot}{key}");
            }
            Step::Index(index) => text = format!("{text}[{index}]"),
        }
        if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= LONGEST) {
            text.truncate(end);
            text.push('…');
            break;
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The beginning of `json` that was read when `error` came up.
fn read_by<'a>(json: &'a str, error: &serde_json::Error) -> Option<&'a str> {
    let line = match error.line().checked_sub(1)? {
        0 => 0,
        breaks => json.match_indices('\n').nth(breaks - 1)?.0 + 1,
    };
    // Text that is no JSON is complained of with the byte that does not fit, which may close what it stands in.
    let end = line + error.column() - usize::from(!error.is_data() && error.column() > 0);
    Some(json.get(..end).unwrap_or(json))
}

/// One level of what a text leaves open.
enum Step<'a> {
    /// An object, and the quoted key whose value was begun.
    Key(Option<&'a str>),
    Index(usize),
}

fn open_at(text: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut string = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (byte, steps.last_mut()) {
            (b'"', _) => {
                let mut escaped = false;
                let end = bytes.find(|(_, byte)| {
                    let ends = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    ends
                });
                string = end.and_then(|(end, _)| text.get(at..=end));
            }
            (b':', Some(Step::Key(key))) => *key = string,
            (b',', Some(Step::Key(key))) => *key = None,
            (b',', Some(Step::Index(index))) => *index += 1,
            (b'{', _) => steps.push(Step::Key(None)),
            (b'[', _) => steps.push(Step::Index(0)),
            (b'}' | b']', _) => {
                steps.pop();
            }
            _ => {}
        }
    }
    steps
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "read for the errors")]
    struct Whole {
        a: Option<Vec<Part>>,
        b: Option<std::collections::HashMap<String, bool>>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "read for the errors")]
    struct Part {
        n: u8,
    }

    #[test]
    fn places() {
        for (json, want) in [
            (r#"5"#, None),
            (r#"{"a": 5}"#, Some("a")),
            (r#"{"a": {}}"#, Some("a")),
            (r#"{"a": ["]"]}"#, Some("a[0]")),
            (r#"{"a": [{"n": 1}, {}]}"#, Some("a[1]")),
            (r#"{"a": [{"n": 1}, {"n": 300}]}"#, Some("a[1].n")),
            (r#"{"a": [{"n": 1}, {"x": {"n": [0, "\\\"{"]}, "n": []}]}"#, Some("a[1].n")),
            ("{\n \"b\":\n {\"x\": true,\n \"y \\u00fc\\\"\\\\\": 0}}", Some("b.y ü\"\\")),
            (r#"{"b": {"x": true, "y": tru}}"#, Some("b.y")),
            (r#"{"b": {"x": }}"#, Some("b.x")),
            (r#"{"b": {"x": true"#, Some("b.x")),
            (r#"{"b": {"x": true}} 5"#, None),
            (r#"{"a": null, "a": null}"#, None),
        ] {
            let error = serde_json::from_str::<Whole>(json).err().unwrap();
            assert_eq!(place(json, &error).as_deref(), want, "{json}: {error}");
        }
        let deep = format!("{}true", r#"{"é": "#.repeat(120));
        let error = serde_json::from_str::<serde_json::Value>(&deep).unwrap_err();
        assert_eq!(place(&deep, &error).unwrap().chars().count(), 134, "67 keys, 66 dots and the sign");
    }
}
