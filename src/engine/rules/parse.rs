//! Reads a rule's JSON, and refuses what is too deep or too large while reading.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::engine::rules::value::{Object, Value};

use super::text::Folded;
use crate::json::Text;

/// Levels of operators. Arrays between them do not count.
pub(super) const MAX_OPERATORS: u32 = 64;
/// Scalars, arrays and objects together.
const MAX_VALUES: u32 = 10_000;
/// Levels of arrays and objects. Bounds the stack of everything that walks a rule.
const MAX_LEVELS: u32 = 512;

/// Why a rule cannot be compiled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RuleError {
    Operators,
    Values,
    Levels,
    NotAnObject,
    Json(Box<str>),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuleError::Operators => "more than 64 nested operators",
            RuleError::Values => "more than 10,000 values",
            RuleError::Levels => "more than 512 levels of nesting",
            RuleError::NotAnObject => "not an object",
            RuleError::Json(message) => message,
        })
    }
}

impl std::error::Error for RuleError {}

/// Reads a rule. Strings are folded, keys are not. Of two equal keys the later counts.
pub(super) fn parse(json: &str) -> Result<Value<'static>, RuleError> {
    let bounds = Bounds { values: Cell::new(0), exceeded: Cell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    // The seed has a limit of its own, and its message names that limit, which serde_json's does not.
    deserializer.disable_recursion_limit();
    let read = Seed { bounds: &bounds, levels: 0 }.deserialize(&mut deserializer);
    let read = read.and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| bounds.exceeded.take().unwrap_or_else(|| RuleError::Json(error.to_string().into())))
}

struct Bounds {
    values: Cell<u32>,
    exceeded: Cell<Option<RuleError>>,
}

#[derive(Clone, Copy)]
struct Seed<'b> {
    bounds: &'b Bounds,
    levels: u32,
}

impl Seed<'_> {
    fn refuse<E: de::Error>(self, why: RuleError) -> E {
        let error = E::custom(&why);
        self.bounds.exceeded.set(Some(why));
        error
    }

    fn within<E: de::Error>(self) -> Result<Self, E> {
        if self.levels == MAX_LEVELS {
            return Err(self.refuse(RuleError::Levels));
        }
        Ok(Seed { levels: self.levels + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'static>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let values = self.bounds.values.get() + 1;
        if values > MAX_VALUES {
            return Err(self.refuse(RuleError::Values));
        }
        self.bounds.values.set(values);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(v as f64))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(v as f64))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Folded::new(Cow::Borrowed(v)).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let inner = self.within()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items.into_boxed_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.within()?;
        let mut pairs = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            pairs.push((Cow::Owned(key.into_owned()), map.next_value_seed(inner)?));
        }
        Ok(Value::Object(Box::new(Object::from_pairs(pairs))))
    }
}
