//! A definitions document as text: finding a value by its path, and replacing it without touching anything else.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Just enough to recognise definitions: tests may put anything into the flags.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    flags: Vec<&'a RawValue>,
}

/// The text of each flag, in the order of the document.
pub(crate) fn flags(document: &[u8]) -> serde_json::Result<Vec<&str>> {
    let document: Document<'_> = serde_json::from_slice(document)?;
    Ok(document.flags.into_iter().map(RawValue::get).collect())
}

/// The key of a flag, if it can be read.
pub(crate) fn key(flag: &str) -> Option<String> {
    serde_json::from_str(member(flag, "key")?).ok()
}

/// The members of an object, in its order and with repetitions; `None` for any other value.
fn members(json: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de str)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(Name(name)) = map.next_key()? {
                members.push((name, map.next_value::<&RawValue>()?.get()));
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Members).ok()
}

/// serde's own `Cow` always copies.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    // The last one counts, as in most parsers.
    members(json)?.into_iter().rev().find(|(found, _)| found == name).map(|(_, value)| value)
}

fn element(json: &str, index: usize) -> Option<&str> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    elements.get(index).map(|value| value.get())
}

/// The steps of a path such as `ruleset.rollout[0].rollout_percentage`.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[']).filter(|step| !step.is_empty())
}

fn step<'a>(json: &'a str, step: &str) -> Option<&'a str> {
    match step.strip_suffix(']') {
        Some(index) => element(json, index.parse().ok()?),
        None => member(json, step),
    }
}

/// The value at a path, or the innermost one that contains it.
fn deepest<'a>(json: &'a str, path: &str) -> &'a str {
    let mut here = json;
    for name in steps(path) {
        match step(here, name) {
            Some(inner) => here = inner,
            None => break,
        }
    }
    here
}

fn value_at<'a>(json: &'a str, path: &str) -> Option<&'a str> {
    steps(path).try_fold(json, step)
}

/// The range of `part`, which was read from `whole` without copying.
fn range(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let range = start..start + part.len();
    whole.get(range.clone()).map(|_| range)
}

/// The line, from 1, on which the value at a path of a flag begins. The flag's text is part of the document.
pub(crate) fn line(document: &str, flag: &str, path: &str) -> usize {
    let before = range(document, deepest(flag, path)).and_then(|range| document.get(..range.start));
    before.unwrap_or_default().matches('\n').count() + 1
}

/// The document with the value at a path of a flag replaced, or added if the object around it exists. An empty path is the
/// flag itself, which is added if there is none with this key. Everything else stays as it is, byte by byte.
pub(crate) fn edited(document: &str, flag: &str, path: &str, value: &str) -> Result<String, String> {
    let all = flags(document.as_bytes()).map_err(|error| format!("not a definitions document: {error}"))?;
    // If two flags have the same key, the later one counts.
    let Some(found) = all.iter().rev().find(|text| key(text).as_deref() == Some(flag)) else {
        if !path.is_empty() {
            return Err(format!("no flag {flag:?}"));
        }
        let list = member(document, "flags").and_then(|list| range(document, list));
        let end = list.map(|list| list.end - 1).ok_or("not a definitions document")?;
        let comma = if all.is_empty() { "" } else { "," };
        return splice(document, end..end, &format!("{comma}\n{value}\n"));
    };
    if let Some(old) = value_at(found, path) {
        return splice(document, range(document, old).ok_or("not found")?, value);
    }
    let (around, name) = path.rsplit_once('.').unwrap_or(("", path));
    let object = value_at(found, around).filter(|object| object.starts_with('{') && !name.ends_with(']'));
    let object = object.ok_or_else(|| format!("{flag}: there is no {path}"))?;
    let start = range(document, object).ok_or("not found")?.start + 1;
    let comma = if members(object).is_some_and(|members| members.is_empty()) { "" } else { ", " };
    splice(document, start..start, &format!("{}: {value}{comma}", serde_json::Value::from(name)))
}

/// The same JSON with two spaces per level, so that a change of one value is a change of one line. Every token stays as it is.
pub fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = characters.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while characters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if characters.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    out.extend(characters.next());
                } else {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                newline(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

fn splice(text: &str, range: Range<usize>, with: &str) -> Result<String, String> {
    let (before, after) = (text.get(..range.start), text.get(range.end..));
    match (before, after) {
        (Some(before), Some(after)) => Ok([before, with, after].concat()),
        _ => Err("not found".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"flags": [
  {"key": "a", "n": 1.0, "ruleset": {"rollout": [{"rollout_percentage": 0.50}]}},
  {"key": "b", "ruleset": {}}
]}"#;

    #[test]
    fn an_edit_changes_nothing_else() {
        let edit = |flag, path, value| edited(DOCUMENT, flag, path, value);
        let percentage = edit("a", "ruleset.rollout[0].rollout_percentage", "0.2").unwrap();
        assert_eq!(percentage, DOCUMENT.replace("0.50", "0.2"));
        let status = edit("a", "status", "\"disabled\"").unwrap();
        assert_eq!(status, DOCUMENT.replace("{\"key\": \"a\"", "{\"status\": \"disabled\", \"key\": \"a\""));
        assert_eq!(edit("b", "ruleset.test", "{}").unwrap(), DOCUMENT.replace("{}}", "{\"test\": {}}}"));
        let added = edit("c", "", "{\"key\": \"c\"}").unwrap();
        assert_eq!(flags(added.as_bytes()).unwrap().len(), 3);
        assert_eq!(edited("{\"flags\":[]}", "c", "", "{}").unwrap(), "{\"flags\":[\n{}\n]}");
        for (flag, path) in [("c", "status"), ("a", "ruleset.rollout[1]"), ("a", "nothing.here")] {
            assert!(edit(flag, path, "1").is_err(), "{flag} {path}");
        }
    }

    #[test]
    fn an_indented_document_has_the_same_tokens() {
        let text = r#"{"a":[1.0,{"b":"x, {\"y\": [\\"}],"c":{ },"d":[ ]}"#;
        let want = "{\n  \"a\": [\n    1.0,\n    {\n      \"b\": \"x, {\\\"y\\\": [\\\\\"\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}\n";
        assert_eq!(indented(text), want);
        assert_eq!(indented(want), want);
    }

    #[test]
    fn lines_are_those_of_the_value() {
        let all = flags(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(line(DOCUMENT, all[0], "ruleset.rollout[0]"), 2);
        assert_eq!(line(DOCUMENT, all[1], "ruleset.rollout[0]"), 3);
    }
}
