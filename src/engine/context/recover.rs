//! Reads a context that holds something unusable: everything else stays usable.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::engine::identity::CUSTOM_PROPERTIES;
use crate::engine::rules::value::{Folded, Object, Value, fold};
use crate::json::{LossyPairs, cut, without_position};

use super::parse::Parsed;
use super::scalar::Scalar;
use super::unusable::Unusable;

/// Levels of nesting, the context included.
const MAX_LEVELS: u32 = 127;
/// Bytes of a path in a message.
const SHOWN: usize = 200;

/// Reads a context attribute by attribute. `None` if it is not JSON, or not an object.
pub(super) fn recover(json: &str) -> Option<Parsed<'_>> {
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    let LossyPairs(pairs) = serde_json::from_str(json).ok()?;
    let mut reader = Reader::default();
    let mut parsed = Parsed::default();
    for (key, raw) in last_of_each(pairs, |key| key) {
        // No flag reads a key that is not text.
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

/// The later of equal keys counts; the value of an earlier one is ignored, whatever it is.
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

#[derive(Default)]
struct Reader {
    path: Vec<Box<str>>,
    /// The path for messages, and its length before each part.
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
        let shown = cut(&self.place, SHOWN);
        let place = if shown.len() < self.place.len() { format!("{shown}…") } else { shown.to_owned() };
        let why = match why {
            "unexpected end of hex escape" | "lone leading surrogate in hex escape" => {
                "a lone surrogate is not text"
            }
            why => why,
        };
        self.found.push(Unusable::new(&self.path, &place, why));
    }

    /// `custom_properties` without what cannot be used.
    fn properties<'a>(&mut self, raw: &'a RawValue) -> Object<'a> {
        match self.object(raw, 2) {
            Some(Value::Object(object)) => object,
            _ => Object::default(),
        }
    }

    /// The value at level `level`, folded, without what cannot be used.
    fn value<'a>(&mut self, raw: &'a RawValue, level: u32) -> Option<Value<'a>> {
        // Most attributes are fine and read at once.
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
            // A rule that reads the array also reads this element and fails, so it never sees the null in its
            // place.
            kept.push(self.value(raw, level + 1).unwrap_or(Value::Null));
            self.leave();
        }
        Some(Value::Array(kept.into_boxed_slice()))
    }
}

/// The levels of nesting of a JSON text.
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
