//! The definitions document as Mixpanel writes it. Fields that are not listed here are skipped; a field of
//! another type makes its flag malformed.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Decoded, Pairs, Text};

#[derive(Deserialize)]
pub(super) struct Flag<'a> {
    #[serde(borrow)]
    pub(super) key: Text<'a>,
    #[serde(borrow)]
    pub(super) context: Text<'a>,
    #[serde(borrow)]
    pub(super) ruleset: Strict<Ruleset<'a>>,
    #[serde(borrow)]
    pub(super) status: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) hash_salt: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) experiment_id: Option<Text<'a>>,
    pub(super) is_experiment_active: Option<bool>,
    #[serde(borrow)]
    pub(super) project_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Ruleset<'a> {
    #[serde(borrow)]
    pub(super) variants: Vec<Strict<Variant<'a>>>,
    #[serde(borrow)]
    pub(super) rollout: Vec<Strict<Rollout<'a>>>,
    #[serde(borrow)]
    pub(super) test: Option<Strict<Test<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Variant<'a> {
    #[serde(borrow)]
    pub(super) key: Text<'a>,
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    pub(super) split: Option<Number>,
    #[serde(borrow)]
    pub(super) is_sticky: Option<&'a RawValue>,
}

pub(super) struct Rollout<'a> {
    pub(super) rollout_percentage: Number,
    pub(super) variant_splits: Option<Pairs<'a, Number>>,
    pub(super) variant_override: Option<Strict<Override<'a>>>,
    pub(super) runtime_evaluation_rule: Option<&'a RawValue>,
    pub(super) runtime_evaluation_definition: Option<&'a RawValue>,
    /// All other fields: one of them may restrict the rollout.
    pub(super) unknown: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Rollout<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RolloutVisitor;
        impl<'de> Visitor<'de> for RolloutVisitor {
            type Value = Rollout<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut percentage, mut splits, mut over, mut rule, mut legacy) =
                    (None, None, None, None, None);
                let mut unknown = Vec::new();
                while let Some(Text(field)) = map.next_key()? {
                    match field.as_ref() {
                        "rollout_percentage" => once(&mut percentage, "rollout_percentage", &mut map)?,
                        "variant_splits" => once(&mut splits, "variant_splits", &mut map)?,
                        "variant_override" => once(&mut over, "variant_override", &mut map)?,
                        "runtime_evaluation_rule" => once(&mut rule, "runtime_evaluation_rule", &mut map)?,
                        "runtime_evaluation_definition" => {
                            once(&mut legacy, "runtime_evaluation_definition", &mut map)?;
                        }
                        _ => unknown.push((field, map.next_value()?)),
                    }
                }
                Ok(Rollout {
                    rollout_percentage: percentage
                        .ok_or_else(|| serde::de::Error::missing_field("rollout_percentage"))?,
                    variant_splits: splits.flatten(),
                    variant_override: over.flatten(),
                    runtime_evaluation_rule: rule.flatten(),
                    runtime_evaluation_definition: legacy.flatten(),
                    unknown,
                })
            }
        }
        deserializer.deserialize_map(RolloutVisitor)
    }
}

/// Reads a field that may occur only once.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut Option<T>,
    name: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if field.is_some() {
        return Err(serde::de::Error::duplicate_field(name));
    }
    *field = Some(map.next_value()?);
    Ok(())
}

#[derive(Deserialize)]
pub(super) struct Override<'a> {
    #[serde(borrow)]
    pub(super) key: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Test<'a> {
    #[serde(borrow)]
    pub(super) users: Option<Pairs<'a, Option<Text<'a>>>>,
}

/// A JSON number as a double. JSON has no infinity, and serde_json refuses `1e400`, so it is finite.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = f64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E>(self, v: f64) -> Result<f64, E> {
                Ok(v)
            }
            fn visit_i64<E>(self, v: i64) -> Result<f64, E> {
                Ok(v as f64)
            }
            fn visit_u64<E>(self, v: u64) -> Result<f64, E> {
                Ok(v as f64)
            }
        }
        deserializer.deserialize_f64(NumberVisitor).map(Number)
    }
}

/// A JSON object read as a `T`. serde's derived structs take arrays too; here an array is the wrong type.
pub(super) struct Strict<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrictVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for StrictVisitor<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(StrictVisitor(PhantomData)).map(Strict)
    }
}

/// The `key` of a malformed flag, if it can be read, for the message.
pub(super) fn key_of_broken_flag(json: &str) -> Option<String> {
    struct KeyVisitor;
    impl<'de> Visitor<'de> for KeyVisitor {
        type Value = Option<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut key = None;
            while let Some(Text(field)) = map.next_key()? {
                if field == "key" {
                    key = match map.next_value()? {
                        Decoded::String(s) => Some(s.into_string()),
                        _ => None,
                    };
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(key)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    (&mut deserializer).deserialize_map(KeyVisitor).ok().flatten()
}
