//! A context of either form, read strictly.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::engine::identity::CUSTOM_PROPERTIES;
use crate::engine::rules::text::Folded;
use crate::engine::rules::value::{FoldedValue, Object, Value};
use crate::json::{Checked, Text, TextSeed};

use super::scalar::{Scalar, ScalarVisitor};
use super::unusable::Unusable;

/// A whole context, as read.
#[derive(Default)]
pub(super) struct Parsed<'a> {
    /// In document order.
    pub(super) subjects: Vec<(Cow<'a, str>, Scalar<'a>)>,
    pub(super) properties: Option<Object<'a>>,
    pub(super) unusable: Vec<Unusable>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Parsed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParsedVisitor;
        impl<'de> Visitor<'de> for ParsedVisitor {
            type Value = Parsed<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parsed = Parsed::default();
                while let Some(Text(key)) = map.next_key()? {
                    if key != CUSTOM_PROPERTIES {
                        parsed.subjects.push((key, map.next_value()?));
                        continue;
                    }
                    let mut pairs = Vec::new();
                    let custom = map.next_value_seed(CustomSeed(&mut pairs))?;
                    parsed.properties = custom.is_none().then(|| Object::from_pairs(pairs));
                    parsed.subjects.push((key, custom.unwrap_or(Scalar::Unusable)));
                }
                Ok(parsed)
            }
        }
        deserializer.deserialize_map(ParsedVisitor)
    }
}

/// Keeps members of `custom_properties`.
pub(super) trait Keep<'a> {
    /// Where a member is kept.
    type Place;
    /// The place of the member called `name`, which is not folded yet, if it is needed.
    fn place(&self, name: Cow<'a, str>) -> Option<Self::Place>;
    /// The later of two members with the same name counts.
    fn keep(&mut self, place: Self::Place, value: Value<'a>);
}

/// All of them, in order.
impl<'a> Keep<'a> for Vec<(Cow<'a, str>, Value<'a>)> {
    type Place = Cow<'a, str>;

    fn place(&self, name: Cow<'a, str>) -> Option<Cow<'a, str>> {
        Some(Folded::new(name).into_cow())
    }

    fn keep(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        self.push((name, value));
    }
}

/// Reads `custom_properties`: an object for rules, or a scalar that a flag may be bucketed by, as under any other
/// key.
pub(super) struct CustomSeed<'k, K>(pub(super) &'k mut K);

impl<'de, K: Keep<'de>> DeserializeSeed<'de> for CustomSeed<'_, K> {
    /// `None` for an object.
    type Value = Option<Scalar<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, K: Keep<'de>> Visitor<'de> for CustomSeed<'_, K> {
    type Value = Option<Scalar<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ScalarVisitor.expecting(f)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        ScalarVisitor.visit_unit().map(Some)
    }

    fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<Self::Value, E> {
        ScalarVisitor.visit_bool(v).map(Some)
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_i64(v).map(Some)
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_u64(v).map(Some)
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_f64(v).map(Some)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, v: &'de str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_borrowed_str(v).map(Some)
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_str(v).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        ScalarVisitor.visit_seq(seq).map(Some)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some(place) = map.next_key_seed(TextSeed(|name| self.0.place(name)))? {
            match place {
                Some(place) => {
                    let FoldedValue(value) = map.next_value()?;
                    self.0.keep(place, value);
                }
                None => _ = map.next_value::<Checked>()?,
            }
        }
        Ok(None)
    }
}
