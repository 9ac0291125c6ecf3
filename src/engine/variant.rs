//! A variant and its value: any JSON, decoded once when it is loaded, read by type afterwards.

use std::fmt;

use crate::engine::exposure::AssignmentId;
use crate::json::{Decoded, compact};

/// One of a flag's variants.
#[derive(Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) key: Box<str>,
    pub(crate) value: FlagValue,
    /// For its exposures.
    pub(crate) id: AssignmentId,
}

/// The type that a value is requested as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// Any type; never a mismatch.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A string.
    String,
    /// A whole number within `i64`.
    Integer,
    /// Any number.
    Double,
    /// An object, an array or null.
    Object,
    /// An object or an array, for SDKs in which null means no value.
    ObjectOrArray,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueType::Any => "any",
            ValueType::Boolean => "boolean",
            ValueType::String => "string",
            ValueType::Integer => "integer",
            ValueType::Double => "double",
            ValueType::Object | ValueType::ObjectOrArray => "object",
        })
    }
}

/// A value. Keeps its JSON text if that is not cheap to make again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FlagValue {
    Null,
    Bool(bool),
    String(Box<str>),
    Integer(i64),
    /// A number that is not an `i64`. `text` is as in the document, so that printing loses nothing.
    Double {
        number: f64,
        text: Box<str>,
    },
    Object(Box<str>),
    Array(Box<str>),
}

/// The number as an integer, if it is one within `i64`.
pub(crate) fn whole(number: f64) -> Option<i64> {
    // 2^63 is the first double above every i64; -2^63 is an i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number)).then_some(number as i64)
}

impl FlagValue {
    /// Decodes `json`, one complete value. Lone surrogates, numbers beyond a double and nesting beyond
    /// serde_json's 127 levels are errors here, so that reading the value cannot fail later.
    pub(crate) fn parse(json: &str) -> serde_json::Result<Self> {
        let scalar = match serde_json::from_str(json)? {
            Decoded::Null => FlagValue::Null,
            Decoded::Bool(b) => FlagValue::Bool(b),
            Decoded::Integer(i) => FlagValue::Integer(i),
            Decoded::Double(number) => FlagValue::Double { number, text: json.trim().into() },
            Decoded::String(s) => FlagValue::String(s),
            Decoded::Object => FlagValue::Object(compact(json)),
            Decoded::Array => FlagValue::Array(compact(json)),
        };
        Ok(scalar)
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match self {
            FlagValue::Bool(b) => Some(*b),
            _ => None,
        }
    }

    pub(crate) fn string(&self) -> Option<&str> {
        match self {
            FlagValue::String(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            FlagValue::Integer(i) => Some(*i),
            FlagValue::Double { number, .. } => whole(*number),
            _ => None,
        }
    }

    pub(crate) fn double(&self) -> Option<f64> {
        match self {
            FlagValue::Integer(i) => Some(*i as f64),
            FlagValue::Double { number, .. } => Some(*number),
            _ => None,
        }
    }

    /// Whether the value can be read as `wanted`.
    pub(crate) fn reads_as(&self, wanted: ValueType) -> bool {
        match wanted {
            ValueType::Any => true,
            ValueType::Boolean => self.boolean().is_some(),
            ValueType::String => self.string().is_some(),
            ValueType::Integer => self.integer().is_some(),
            ValueType::Double => self.double().is_some(),
            ValueType::Object => {
                matches!(self, FlagValue::Object(_) | FlagValue::Array(_) | FlagValue::Null)
            }
            ValueType::ObjectOrArray => matches!(self, FlagValue::Object(_) | FlagValue::Array(_)),
        }
    }

    /// The type of the value with its article, for messages.
    pub(crate) fn described(&self) -> &'static str {
        match self {
            FlagValue::Null => "null",
            FlagValue::Bool(_) => "a boolean",
            FlagValue::String(_) => "a string",
            FlagValue::Integer(_) => "an integer",
            FlagValue::Double { .. } => "a number",
            FlagValue::Object(_) => "an object",
            FlagValue::Array(_) => "an array",
        }
    }
}
