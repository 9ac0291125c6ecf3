//! Reads a context that holds something unusable: everything else stays usable.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::binary::MAX_LEVELS;
use crate::engine::identity::CUSTOM_PROPERTIES;
use crate::engine::rules::text::Folded;
use crate::engine::rules::value::{FoldedValue, Object, Value};
use crate::json::cut;

use super::parse::Parsed;
use super::raw::{Members, Raw};
use super::scalar::Scalar;
use super::unusable::Unusable;

/// Bytes of a path in a message.
const SHOWN: usize = 200;

/// Reads a context attribute by attribute.
pub(super) fn recover(attributes: Members<'_>) -> Parsed<'_> {
    let mut reader = Reader::default();
    let mut parsed = Parsed::default();
    for (key, raw) in last_of_each(attributes, |key| key) {
        // No flag reads a key that is not text.
        let Ok(key) = key else { continue };
        reader.enter(&key, key.as_ref().into());
        if key == CUSTOM_PROPERTIES && raw.is_object() {
            parsed.properties = Some(reader.object(raw, 2));
            parsed.subjects.push((key, Scalar::Unusable));
        } else {
            let scalar = match reader.value(raw, 2) {
                Some(Value::Array(_) | Value::Object(_)) | None => Scalar::Unusable,
                Some(_) => raw.read().unwrap_or(Scalar::Unusable),
            };
            parsed.subjects.push((key, scalar));
        }
        reader.leave();
    }
    parsed.unusable = reader.found;
    parsed
}

/// Whether nothing of the attribute can be used.
pub(super) fn is_unusable(attribute: Raw<'_>) -> bool {
    Reader::default().value(attribute, 2).is_none()
}

/// The later of equal keys counts; the value of an earlier one is ignored, whatever it is.
fn last_of_each<'a>(members: Members<'a>, name: impl Fn(Cow<'a, str>) -> Cow<'a, str>) -> Members<'a> {
    let mut known = HashSet::new();
    let mut last: Vec<_> = members
        .into_iter()
        .rev()
        .map(|(key, raw)| (key.map(&name), raw))
        .filter(|(key, _)| key.as_ref().map_or(true, |key| known.insert(key.clone())))
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
        self.found.push(Unusable::new(&self.path, &place, why));
    }

    /// The value at level `level`, folded, without what cannot be used.
    fn value<'a>(&mut self, raw: Raw<'a>, level: u32) -> Option<Value<'a>> {
        if raw.is_deeper_than((MAX_LEVELS + 1).saturating_sub(level)) {
            self.unusable("nested more than 127 levels deep");
            return None;
        }
        // Most attributes are fine and read at once.
        match raw.read() {
            Ok(FoldedValue(value)) => Some(value),
            Err(_) if raw.is_object() => Some(Value::Object(Box::new(self.object(raw, level)))),
            Err(_) if raw.is_array() => Some(self.array(raw, level)),
            Err(why) => {
                self.unusable(&why);
                None
            }
        }
    }

    fn object<'a>(&mut self, raw: Raw<'a>, level: u32) -> Object<'a> {
        let mut kept = Vec::new();
        for (key, raw) in last_of_each(raw.members(), |key| Folded::new(key).into_cow()) {
            match key {
                Ok(key) => {
                    self.enter(&key, key.as_ref().into());
                    kept.extend(self.value(raw, level + 1).map(|value| (key, value)));
                    self.leave();
                }
                Err(why) => {
                    self.enter("\u{fffd}", "\u{fffd}".into());
                    self.unusable(why);
                    self.leave();
                }
            }
        }
        Object::from_pairs(kept)
    }

    fn array<'a>(&mut self, raw: Raw<'a>, level: u32) -> Value<'a> {
        let elements = raw.elements();
        let mut kept = Vec::with_capacity(elements.len());
        for (index, raw) in elements.into_iter().enumerate() {
            self.enter(&format!("[{index}]"), index.to_string().into());
            // A rule that reads the array also reads this element and fails, so it never sees the null in its
            // place.
            kept.push(self.value(raw, level + 1).unwrap_or(Value::Null));
            self.leave();
        }
        Value::Array(kept.into_boxed_slice())
    }
}
