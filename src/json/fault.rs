//! Errors of serde_json for people: what is wrong, and where.

use std::borrow::Cow;
use std::fmt::Display;

use super::write::cut;

/// A serde_json message in plain words, without names of Rust types and without values, which may be
/// personal.
pub(crate) fn plain(error: &impl Display) -> String {
    let text = error.to_string();
    let (problem, position) = match text.rfind(" at line ").and_then(|at| text.split_at_checked(at)) {
        Some((problem, position)) => (problem, position),
        None => (text.as_str(), ""),
    };
    format!("{}{position}", in_plain_words(problem))
}

/// [`plain`] for a text that may have been passed with the NUL at its end.
pub(crate) fn syntax(json: &str, error: &impl Display) -> String {
    if json.ends_with('\0') {
        return "the text ends with a NUL: the length must not include it".to_owned();
    }
    plain(error)
}

/// What a text is instead of a JSON object, with an example of one.
pub(crate) fn not_an_object(json: &str, example: &str) -> String {
    format!("expected a JSON object, such as {example}, found {}", json_kind(json))
}

/// [`plain`] without the position, for text that the reader does not have at hand.
pub(crate) fn without_position(error: &impl Display) -> String {
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
        "key must be a string" => "a key must be a string in double quotes".into(),
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

/// serde's description of a value of the wrong type, which quotes the value, reduced to its type.
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

/// The path in `json` of the value that caused `error`, as in `ruleset.rollout[0].key`; `None` for the
/// document itself. Cut after 200 bytes.
///
/// serde_json reports how many bytes it had read; the keys and indexes that are open there are the path. So
/// valid text costs nothing, and no reader is needed that tracks its path.
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
        if text.len() > LONGEST {
            text = format!("{}…", cut(&text, LONGEST));
            break;
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The part of `json` that had been read when `error` occurred.
fn read_by<'a>(json: &'a str, error: &serde_json::Error) -> Option<&'a str> {
    let line = match error.line().checked_sub(1)? {
        0 => 0,
        breaks => json.match_indices('\n').nth(breaks - 1)?.0 + 1,
    };
    // A syntax error is reported after the offending byte, which may be the bracket that closes the value.
    let end = line + error.column() - usize::from(!error.is_data() && error.column() > 0);
    Some(json.get(..end).unwrap_or(json))
}

/// A level of nesting that a text leaves open.
enum Step<'a> {
    /// An object, and the quoted key of the member being read.
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

/// The type of the value that `json` begins with, for messages that must not quote it.
pub(crate) fn json_kind(json: &str) -> &'static str {
    let json = json.trim_start();
    match json.bytes().next() {
        None => "nothing",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(_) => match json.split(|c: char| !c.is_ascii_alphanumeric() && c != '=').next() {
            Some("true" | "false") => "a boolean",
            Some("null") => "null",
            _ => "text that is not JSON",
        },
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
