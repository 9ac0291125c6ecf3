//! A context's JSON, read strictly.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::engine::identity::CUSTOM_PROPERTIES;
use crate::engine::rules::Properties;
use crate::engine::rules::value::{Folded, Object, fold};
use crate::error::{Error, ErrorKind};
use crate::json::{Checked, Text, not_an_object, place, syntax};

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
                    let custom = map.next_value_seed(CustomSeed(None))?;
                    parsed.subjects.push((key, custom.scalar));
                    parsed.properties = custom.properties;
                }
                Ok(parsed)
            }
        }
        deserializer.deserialize_map(ParsedVisitor)
    }
}

/// `custom_properties`: an object for rules, or a scalar that a flag may be bucketed by, as under any other
/// key.
pub(super) struct Custom<'a> {
    pub(super) scalar: Scalar<'a>,
    pub(super) properties: Option<Object<'a>>,
}

/// Reads `custom_properties`. Keeps the given properties, or all of them.
pub(super) struct CustomSeed<'f>(pub(super) Option<&'f Properties>);

impl<'de> DeserializeSeed<'de> for CustomSeed<'_> {
    type Value = Custom<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> From<Scalar<'de>> for Custom<'de> {
    fn from(scalar: Scalar<'de>) -> Self {
        Custom { scalar, properties: None }
    }
}

impl<'de> Visitor<'de> for CustomSeed<'_> {
    type Value = Custom<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ScalarVisitor.expecting(f)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        ScalarVisitor.visit_unit().map(Custom::from)
    }

    fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<Self::Value, E> {
        ScalarVisitor.visit_bool(v).map(Custom::from)
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_i64(v).map(Custom::from)
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_u64(v).map(Custom::from)
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_f64(v).map(Custom::from)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, v: &'de str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_borrowed_str(v).map(Custom::from)
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_str(v).map(Custom::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        ScalarVisitor.visit_seq(seq).map(Custom::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::with_capacity(self.0.map_or(0, Properties::count));
        while let Some(Text(key)) = map.next_key()? {
            let key = fold(key);
            if self.0.is_none_or(|wanted| wanted.includes(&key)) {
                let Folded(value) = map.next_value()?;
                pairs.push((key, value));
            } else {
                map.next_value::<Checked>()?;
            }
        }
        Ok(Custom { scalar: Scalar::Unusable, properties: Some(Object::from_pairs(pairs)) })
    }
}

/// The error for a context that is not a JSON object, with the path to what is wrong.
pub(super) fn invalid(json: &str, error: &serde_json::Error) -> Error {
    if !json.trim_start().starts_with('{') {
        // serde_json's message would quote the value, which may be personal.
        let message = format!("context: {}", not_an_object(json, r#"{"distinct_id": "…"}"#));
        return Error::new(ErrorKind::InvalidContext, message);
    }
    let message = match place(json, error) {
        Some(place) => format!("context: {place}: {}", syntax(json, error)),
        None => format!("context: {}", syntax(json, error)),
    };
    Error::new(ErrorKind::InvalidContext, message)
}
