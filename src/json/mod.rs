//! JSON beyond what serde derives: strings and pairs borrowed from the text, values checked to their end,
//! errors in plain words, and a writer.

mod fault;
mod write;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use fault::{json_kind, not_an_object, place, plain, syntax, without_position};
pub(crate) use write::{Writer, compact, cut, push_json_string};

/// A JSON string, borrowed unless it holds an escape.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TextSeed(Text).deserialize(deserializer)
    }
}

/// What a function makes of a JSON string. A key that is only compared need not be moved.
pub(crate) struct TextSeed<F>(pub(crate) F);

impl<'de, T, F: FnOnce(Cow<'de, str>) -> T> DeserializeSeed<'de> for TextSeed<F> {
    type Value = T;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, T, F: FnOnce(Cow<'de, str>) -> T> Visitor<'de> for TextSeed<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    #[inline]
    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<T, E> {
        Ok(self.0(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<T, E> {
        Ok(self.0(Cow::Owned(v.to_owned())))
    }

    fn visit_string<E>(self, v: String) -> Result<T, E> {
        Ok(self.0(Cow::Owned(v)))
    }
}

/// A key that may hold a lone surrogate; `None` if it does. serde_json passes on the bytes of a string
/// without checking that they are text.
struct LossyText<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for LossyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Option<Cow<'de, str>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E>(self, v: &'de [u8]) -> Result<Self::Value, E> {
                Ok(std::str::from_utf8(v).ok().map(Cow::Borrowed))
            }
            fn visit_bytes<E>(self, v: &[u8]) -> Result<Self::Value, E> {
                Ok(std::str::from_utf8(v).ok().map(|text| Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor).map(LossyText)
    }
}

/// The string, or the number as it is written, that `json` holds.
pub(crate) fn text_or_number(json: &str) -> Option<Box<str>> {
    match json_kind(json) {
        "a number" => serde_json::from_str::<f64>(json).ok().map(|_| json.into()),
        _ => serde_json::from_str(json).ok(),
    }
}

/// The members of a JSON object in document order, equal keys included.
pub(crate) struct Pairs<'a, V>(pub(crate) Vec<(Cow<'a, str>, V)>);

/// [`Pairs`] whose values are left as text.
pub(crate) struct RawPairs<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

/// [`RawPairs`] with `None` for each key that is not text, instead of an error.
pub(crate) struct LossyPairs<'a>(pub(crate) Vec<(Option<Cow<'a, str>>, &'a RawValue)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(deserializer, |Text(key)| key).map(Pairs)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawPairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(deserializer, |Text(key)| key).map(RawPairs)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LossyPairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(deserializer, |LossyText(key)| key).map(LossyPairs)
    }
}

fn pairs<'de, D: Deserializer<'de>, K: Deserialize<'de>, T, V: Deserialize<'de>>(
    deserializer: D,
    key: fn(K) -> T,
) -> Result<Vec<(T, V)>, D::Error> {
    struct PairsVisitor<K, T, V>(fn(K) -> T, PhantomData<V>);
    impl<'de, K: Deserialize<'de>, T, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<K, T, V> {
        type Value = Vec<(T, V)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(key) = map.next_key()? {
                pairs.push((self.0(key), map.next_value()?));
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_map(PairsVisitor(key, PhantomData))
}

/// Sorts by key. Of equal keys the last stays, as in JavaScript.
pub(crate) fn sort_and_dedup<K: AsRef<str>, V>(pairs: &mut Vec<(K, V)>) {
    // Stable, so that equal keys stay in document order.
    sort_by_text(pairs, |(key, _)| key.as_ref());
    pairs.dedup_by(|later, kept| {
        let same = later.0.as_ref() == kept.0.as_ref();
        if same {
            std::mem::swap(&mut later.1, &mut kept.1);
        }
        same
    });
}

/// Sorts by a text of each item. Items with equal texts stay in order.
///
/// Sorts references: the code of a sort takes 6 kB for every type that is sorted.
pub(crate) fn sort_by_text<T>(items: &mut Vec<T>, text: impl Fn(&T) -> &str) {
    if items.is_sorted_by(|a, b| text(a) <= text(b)) {
        return;
    }
    let mut order: Vec<(&str, usize)> = items.iter().map(text).zip(0..).collect();
    order.sort_unstable();
    let order: Vec<usize> = order.into_iter().map(|(_, at)| at).collect();
    let mut unsorted: Vec<Option<T>> = std::mem::take(items).into_iter().map(Some).collect();
    items.extend(order.into_iter().filter_map(|at| unsorted.get_mut(at)?.take()));
}

/// A value read to its end, of which only a scalar is kept.
pub(crate) enum Decoded {
    Null,
    Bool(bool),
    Integer(i64),
    Double(f64),
    String(Box<str>),
    Object,
    Array,
}

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DecodedVisitor)
    }
}

struct DecodedVisitor;

impl<'de> Visitor<'de> for DecodedVisitor {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Decoded, E> {
        Ok(Decoded::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Decoded, E> {
        Ok(Decoded::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Decoded, E> {
        Ok(Decoded::Integer(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Decoded, E> {
        Ok(i64::try_from(v).map_or(Decoded::Double(v as f64), Decoded::Integer))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Decoded, E> {
        Ok(Decoded::Double(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Decoded, E> {
        Ok(Decoded::String(v.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Decoded, A::Error> {
        while seq.next_element::<Checked>()?.is_some() {}
        Ok(Decoded::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Decoded, A::Error> {
        while map.next_entry::<CheckedKey, Checked>()?.is_some() {}
        Ok(Decoded::Object)
    }
}

/// A value that is read and dropped. Unlike serde's `IgnoredAny` it refuses what cannot be decoded, so that a
/// text is valid or not whichever part of it is used.
pub(crate) struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CheckedVisitor).map(|()| Checked)
    }
}

struct CheckedKey;

impl<'de> Deserialize<'de> for CheckedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CheckedVisitor).map(|()| CheckedKey)
    }
}

struct CheckedVisitor;

impl<'de> Visitor<'de> for CheckedVisitor {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<Checked>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<CheckedKey, Checked>()?.is_some() {}
        Ok(())
    }
}
