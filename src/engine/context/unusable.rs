//! Attributes that cannot be used, in a context that is JSON all the same: a number beyond a double, a lone surrogate, nesting
//! without end. They spoil the flags that read them, and no other. Only a context that failed to be read strictly comes here.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::engine::rules::value::{Folded, LossyPairs, Object, Value, fold};
use crate::error::without_position;

use super::scalar::Scalar;
use super::{CUSTOM_PROPERTIES, Parsed};

/// Arrays and objects within each other, the context included.
const MAX_LEVELS: u32 = 127;
/// Bytes of a path that a message shows.
const SHOWN: usize = 200;

/// A place in a context that holds nothing usable.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    /// The way to it: a top-level key as it stands, then names as rules see them, then indexes.
    path: Box<[Box<str>]>,
    /// The same for people.
    place: Box<str>,
    why: Box<str>,
}

impl Unusable {
    /// The top-level key that it stands under.
    pub(crate) fn key(&self) -> &str {
        self.path.first().map_or("", |key| key)
    }

    /// Where it is below that key.
    pub(crate) fn within(&self) -> &[Box<str>] {
        self.path.get(1..).unwrap_or_default()
    }

    /// What an evaluation says that needs it.
    pub(crate) fn message(&self) -> String {
        format!("context: {}: {}", self.place, self.why)
    }

    /// The attribute that it is in, for people: a top-level key or one of `custom_properties`.
    pub(crate) fn attribute(&self) -> String {
        match self.within().first() {
            Some(name) if self.key() == CUSTOM_PROPERTIES => format!("{CUSTOM_PROPERTIES}.{name}"),
            _ => self.key().to_owned(),
        }
    }

    pub(crate) fn why(&self) -> &str {
        &self.why
    }
}

/// Reads a context attribute by attribute. Nothing where it is not JSON, or not an object.
pub(super) fn parse(json: &str) -> Option<Parsed<'_>> {
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    let LossyPairs(pairs) = serde_json::from_str(json).ok()?;
    let mut reader = Reader::default();
    let mut parsed = Parsed { subjects: Vec::new(), properties: None, unusable: Vec::new() };
    for (key, raw) in last_of_each(pairs, |key| key) {
        // No flag asks for a name that is not text.
        let Some(key) = key else { continue };
        reader.enter(&key, key.as_ref().into());
        if key == CUSTOM_PROPERTIES && raw.get().starts_with('{') {
            let properties = reader.properties(raw);
            parsed.properties = Some(properties);
            parsed.subjects.push((key, Scalar::Unusable));
        } else {
            let scalar = match reader.value(raw, 2) {
                Some(Value::Array(_) | Value::Object(_)) | None => Scalar::Unusable,
                Some(_) => serde_json::from_str(raw.get()).unwrap_or(Scalar::Unusable),
            };
            parsed.subjects.push((key, scalar));
        }
        reader.leave();
    }
    parsed.unusable = reader.found;
    Some(parsed)
}

/// Of equal names the later one counts, and what stood under an earlier one is never looked at.
fn last_of_each<'a>(
    pairs: Vec<(Option<Cow<'a, str>>, &'a RawValue)>,
    name: impl Fn(Cow<'a, str>) -> Cow<'a, str>,
) -> Vec<(Option<Cow<'a, str>>, &'a RawValue)> {
    let mut known = HashSet::new();
    let mut last: Vec<_> = pairs
        .into_iter()
        .rev()
        .map(|(key, raw)| (key.map(&name), raw))
        .filter(|(key, _)| key.as_ref().is_none_or(|key| known.insert(key.clone())))
        .collect();
    last.reverse();
    last
}

/// Where the reader is, and what it found.
#[derive(Default)]
struct Reader {
    path: Vec<Box<str>>,
    /// The path for people, and how long it was before each of its parts.
    place: String,
    lengths: Vec<usize>,
    found: Vec<Unusable>,
}

impl Reader {
    fn enter(&mut self, shown: &str, name: Box<str>) {
        self.lengths.push(self.place.len());
        if !self.place.is_empty() && !shown.starts_with('[') {
            self.place.push('.');
        }
        self.place.push_str(shown);
        self.path.push(name);
    }

    fn leave(&mut self) {
        self.place.truncate(self.lengths.pop().unwrap_or_default());
        self.path.pop();
    }

    fn unusable(&mut self, why: &str) {
        let mut end = self.place.len().min(SHOWN);
        while !self.place.is_char_boundary(end) {
            end -= 1;
        }
        let mut place = self.place.get(..end).unwrap_or_default().to_owned();
        if end < self.place.len() {
            place.push('…');
        }
        let why = match why {
            "unexpected end of hex escape" | "lone leading surrogate in hex escape" => {
                "a lone surrogate is not text"
            }
            why => why,
        };
        self.found.push(Unusable { path: self.path.clone().into(), place: place.into(), why: why.into() });
    }

    /// `custom_properties`, without what cannot be used.
    fn properties<'a>(&mut self, raw: &'a RawValue) -> Object<'a> {
        match self.object(raw, 2) {
            Some(Value::Object(object)) => object,
            _ => Object::default(),
        }
    }

    /// A value on level `level`, folded, without what cannot be used.
    fn value<'a>(&mut self, raw: &'a RawValue, level: u32) -> Option<Value<'a>> {
        // Most attributes are sound, and read in one go.
        if depth(raw.get()) + level > MAX_LEVELS + 1 {
            self.unusable("nested more than 127 levels deep");
            return None;
        }
        match serde_json::from_str(raw.get()) {
            Ok(Folded(value)) => return Some(value),
            Err(error) if !raw.get().starts_with(['{', '[']) => {
                self.unusable(&without_position(&error));
                return None;
            }
            Err(_) => {}
        }
        if raw.get().starts_with('{') { self.object(raw, level) } else { self.array(raw, level) }
    }

    fn object<'a>(&mut self, raw: &'a RawValue, level: u32) -> Option<Value<'a>> {
        let LossyPairs(pairs) = serde_json::from_str(raw.get()).ok()?;
        let mut kept = Vec::new();
        for (key, raw) in last_of_each(pairs, fold) {
            match key {
                Some(key) => {
                    self.enter(&key, key.as_ref().into());
                    kept.extend(self.value(raw, level + 1).map(|value| (key, value)));
                    self.leave();
                }
                None => {
                    self.enter("\u{fffd}", "\u{fffd}".into());
                    self.unusable("a lone surrogate is not text");
                    self.leave();
                }
            }
        }
        Some(Value::Object(Object::from_pairs(kept)))
    }

    fn array<'a>(&mut self, raw: &'a RawValue, level: u32) -> Option<Value<'a>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(raw.get()).ok()?;
        let mut kept = Vec::with_capacity(items.len());
        for (index, raw) in items.into_iter().enumerate() {
            self.enter(&format!("[{index}]"), index.to_string().into());
            // Whoever reads the array reads what cannot be used: the others keep their places for nobody.
            kept.push(self.value(raw, level + 1).unwrap_or(Value::Null));
            self.leave();
        }
        Some(Value::Array(kept.into_boxed_slice()))
    }
}

/// How many arrays and objects of a JSON text stand within each other.
fn depth(json: &str) -> u32 {
    let (mut deepest, mut level, mut in_string, mut escaped) = (0_u32, 0_u32, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                level = level.saturating_add(1);
                deepest = deepest.max(level);
            }
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
