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
    // In a box, because it would be the largest.
    Object(Box<Object<'a>>),
}

/// An object. Keys are unique, and sorted unless there are few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<'a> {
    entries: Entries<'a>,
}

type Entry<'a> = (Cow<'a, str>, Value<'a>);

#[derive(Clone, Debug)]
enum Entries<'a> {
    Own(Box<[Entry<'a>]>),
    Borrowed(&'a [Entry<'a>]),
}

/// Up to this many entries a scan is faster than a binary search.
const FEW: usize = 8;

impl Default for Entries<'_> {
    fn default() -> Self {
        Entries::Borrowed(&[])
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl<'a> Object<'a> {
    pub(crate) fn from_pairs(mut pairs: Vec<(Cow<'a, str>, Value<'a>)>) -> Self {
        sort_and_dedup(&mut pairs);
        Object { entries: Entries::Own(pairs.into_boxed_slice()) }
    }

    /// The same object, borrowed.
    pub(crate) fn reborrow(&self) -> Object<'_> {
        Object { entries: Entries::Borrowed(self.entries()) }
    }

    fn entries(&self) -> &[Entry<'a>] {
        match &self.entries {
            Entries::Own(entries) => entries,
            Entries::Borrowed(entries) => entries,
        }
    }

    /// The value under `key`, exactly as written.
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'a>> {
        let entries = self.entries();
        if entries.len() <= FEW {
            return entries.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        }
        let at = entries.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        entries.get(at).map(|(_, v)| v)
    }

    /// Every entry.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.entries().iter().map(|(k, v)| (k.as_ref(), v))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    pub(crate) fn into_pairs(self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        match self.entries {
            Entries::Own(entries) => entries.into_vec(),
            Entries::Borrowed(entries) => entries.to_vec(),
        }
    }

    pub(crate) fn into_owned(self) -> Object<'static> {
        let owned =
            |(key, value): (Cow<'a, str>, Value<'a>)| (Cow::Owned(key.into_owned()), value.into_owned());
        Object { entries: Entries::Own(self.into_pairs().into_iter().map(owned).collect()) }
    }
}

/// The properties that one evaluation reads. Few of them take no allocation.
pub(crate) struct Gathered<'a> {
    few: [Entry<'a>; FEW],
    count: usize,
    /// All of them, if there are more.
    many: Vec<Entry<'a>>,
}

impl Default for Gathered<'_> {
    fn default() -> Self {
        Gathered { few: [const { NOTHING }; FEW], count: 0, many: Vec::new() }
    }
}

const NOTHING: Entry<'static> = (Cow::Borrowed(""), Value::Null);

impl<'a> Gathered<'a> {
    /// Adds a property. The later of equal keys counts.
    pub(crate) fn push(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        if self.many.is_empty() {
            if let Some((_, known)) = self.few.iter_mut().take(self.count).find(|(known, _)| *known == key) {
                *known = value;
                return;
            }
            if let Some(free) = self.few.get_mut(self.count) {
                *free = (key, value);
                self.count += 1;
                return;
            }
            self.many.extend(self.few.iter_mut().map(|entry| std::mem::replace(entry, NOTHING)));
        }
        self.many.push((key, value));
    }

    /// After the last property.
    pub(crate) fn finish(&mut self) {
        if !self.many.is_empty() {
            sort_and_dedup(&mut self.many);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.many.clear();
    }

    pub(crate) fn object(&self) -> Object<'_> {
        let few = self.few.get(..self.count).unwrap_or_default();
        Object { entries: Entries::Borrowed(if self.many.is_empty() { few } else { &self.many }) }
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
            Value::Object(object) => Value::Object(Box::new(object.into_owned())),
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
        Ok(Value::Object(Box::new(Object::from_pairs(pairs))))
    }
}
