//! JSON as rules see it: folded once, immutable, borrowed from the input where nothing had to change.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::{Text, sort_and_dedup};

/// A JSON value. JavaScript compares arrays and objects by identity, which is their address here: use
/// `&Value`, never a copy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    String(Cow<'a, str>),
    Array(Box<[Value<'a>]>),
    Object(Object<'a>),
}

/// An object. Keys are unique and sorted, so that a lookup is a short scan or a binary search.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object<'a> {
    entries: Box<[(Cow<'a, str>, Value<'a>)]>,
}

/// Up to this many entries a scan is faster than a binary search.
const SCAN: usize = 8;

impl<'a> Object<'a> {
    pub(crate) fn from_pairs(mut pairs: Vec<(Cow<'a, str>, Value<'a>)>) -> Self {
        sort_and_dedup(&mut pairs);
        Object { entries: pairs.into_boxed_slice() }
    }

    /// The value under `key`, exactly as written.
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'a>> {
        if self.entries.len() <= SCAN {
            return self.entries.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        }
        let at = self.entries.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        self.entries.get(at).map(|(_, v)| v)
    }

    /// Every entry, in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.entries.iter().map(|(k, v)| (k.as_ref(), v))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn into_pairs(self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        self.entries.into_vec()
    }

    pub(crate) fn into_owned(self) -> Object<'static> {
        let owned =
            |(key, value): (Cow<'a, str>, Value<'a>)| (Cow::Owned(key.into_owned()), value.into_owned());
        Object { entries: self.entries.into_iter().map(owned).collect() }
    }
}

impl Value<'_> {
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(b),
            Value::Number(n) => Value::Number(n),
            Value::String(s) => Value::String(Cow::Owned(s.into_owned())),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Object(object) => Value::Object(object.into_owned()),
        }
    }
}

/// Converts to lower case by Unicode's full rules, as JavaScript's `toLowerCase` does. Stays borrowed if
/// nothing changes.
pub(crate) fn fold(text: Cow<'_, str>) -> Cow<'_, str> {
    // Without a branch per byte, the compiler can vectorise this.
    if text.bytes().fold(true, |lower, b| lower & b.is_ascii() & !b.is_ascii_uppercase()) {
        text
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// Deserializes to a [`Value`] with every key and every string folded.
#[derive(Clone, Debug)]
pub(crate) struct Folded<'a>(pub(crate) Value<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Folded<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoldedVisitor).map(Folded)
    }
}

struct FoldedVisitor;

impl<'de> Visitor<'de> for FoldedVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(v))
    }

    // Rules compute in doubles, as JavaScript does; exact integers matter only for subjects
    // (context/scalar.rs).
    fn visit_i64<E>(self, v: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(v as f64))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(v as f64))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(v))
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(fold(Cow::Borrowed(v))))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Value<'de>, E> {
        self.visit_string(v.to_owned())
    }

    fn visit_string<E>(self, v: String) -> Result<Value<'de>, E> {
        Ok(Value::String(fold(Cow::Owned(v))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(Folded(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Text(key), Folded(value))) = map.next_entry()? {
            pairs.push((fold(key), value));
        }
        Ok(Value::Object(Object::from_pairs(pairs)))
    }
}
