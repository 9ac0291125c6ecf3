//! JSON as rules see it: folded once, immutable, borrowed from the input where nothing had to change.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::{Text, sort_and_dedup};

use super::text::Folded;

/// A JSON value. JavaScript compares arrays and objects by identity, which is their address here: use
/// `&Value`, never a copy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    String(Folded<'a>),
    Array(Box<[Value<'a>]>),
    // In a box, because it would be the largest.
    Object(Box<Object<'a>>),
}

/// An object. Keys are unique.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    entries: Entries<'a>,
}

pub(crate) type Entry<'a> = (Cow<'a, str>, Value<'a>);

#[derive(Clone, Debug)]
enum Entries<'a> {
    /// Sorted by key.
    Own(Box<[Entry<'a>]>),
    Borrowed(&'a [Entry<'a>]),
    /// Names, and the value of each that there is.
    Selected(&'a [Box<str>], &'a [Option<Value<'a>>]),
}

/// Up to this many entries a scan is faster than a binary search.
const SCAN: usize = 8;

impl Default for Object<'_> {
    fn default() -> Self {
        Object { entries: Entries::Borrowed(&[]) }
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> Object<'a> {
    pub(crate) fn from_pairs(mut pairs: Vec<(Cow<'a, str>, Value<'a>)>) -> Self {
        sort_and_dedup(&mut pairs);
        Object { entries: Entries::Own(pairs.into_boxed_slice()) }
    }

    /// An object of entries that are sorted by key already.
    pub(crate) fn of_sorted(entries: &'a [Entry<'a>]) -> Self {
        Object { entries: Entries::Borrowed(entries) }
    }

    /// An object of sorted names, and the value of each that there is.
    pub(crate) fn of_names(names: &'a [Box<str>], values: &'a [Option<Value<'a>>]) -> Self {
        Object { entries: Entries::Selected(names, values) }
    }

    /// The same object, borrowed.
    pub(crate) fn reborrow(&self) -> Object<'_> {
        let entries = match &self.entries {
            Entries::Own(entries) => Entries::Borrowed(entries),
            Entries::Borrowed(entries) => Entries::Borrowed(entries),
            Entries::Selected(names, values) => Entries::Selected(names, values),
        };
        Object { entries }
    }

    /// The value under `key`, exactly as written.
    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'a>> {
        let entries = match &self.entries {
            Entries::Own(entries) => entries,
            Entries::Borrowed(entries) => *entries,
            Entries::Selected(names, values) => {
                return values.get(names.iter().position(|name| **name == *key)?)?.as_ref();
            }
        };
        if entries.len() <= SCAN {
            return entries.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        }
        let at = entries.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        entries.get(at).map(|(_, v)| v)
    }

    /// Every entry, in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        let (entries, names, values): (&[Entry<'a>], &[Box<str>], &[Option<Value<'a>>]) = match &self.entries
        {
            Entries::Own(entries) => (entries, &[], &[]),
            Entries::Borrowed(entries) => (entries, &[], &[]),
            Entries::Selected(names, values) => (&[], names, values),
        };
        let selected = names.iter().zip(values).filter_map(|(name, value)| Some((&**name, value.as_ref()?)));
        entries.iter().map(|(key, value)| (key.as_ref(), value)).chain(selected)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn into_pairs(self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        match self.entries {
            Entries::Own(entries) => entries.into_vec(),
            Entries::Borrowed(entries) => entries.to_vec(),
            Entries::Selected(names, values) => {
                let names = names.iter().map(|name| Cow::Borrowed(&**name));
                names.zip(values).filter_map(|(name, value)| Some((name, value.clone()?))).collect()
            }
        }
    }

    pub(crate) fn into_owned(self) -> Object<'static> {
        let owned =
            |(key, value): (Cow<'a, str>, Value<'a>)| (Cow::Owned(key.into_owned()), value.into_owned());
        Object { entries: Entries::Own(self.into_pairs().into_iter().map(owned).collect()) }
    }
}

impl Value<'_> {
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(b),
            Value::Number(n) => Value::Number(n),
            Value::String(s) => Value::String(s.into_owned()),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Object(object) => Value::Object(Box::new(object.into_owned())),
        }
    }
}

/// Deserializes to a [`Value`] with every key and every string folded.
#[derive(Clone, Debug)]
pub(crate) struct FoldedValue<'a>(pub(crate) Value<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for FoldedValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoldedVisitor).map(FoldedValue)
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
        Ok(Value::String(Folded::new(Cow::Borrowed(v))))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Value<'de>, E> {
        self.visit_string(v.to_owned())
    }

    fn visit_string<E>(self, v: String) -> Result<Value<'de>, E> {
        Ok(Value::String(Folded::new(Cow::Owned(v))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(FoldedValue(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Text(key), FoldedValue(value))) = map.next_entry()? {
            pairs.push((Folded::new(key).into_cow(), value));
        }
        Ok(Value::Object(Box::new(Object::from_pairs(pairs))))
    }
}
