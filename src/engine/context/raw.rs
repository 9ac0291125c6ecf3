//! Values of a context left as they are, in either form.

use std::borrow::Cow;

use serde::de::{Deserialize, IgnoredAny};
use serde_json::value::RawValue;

use crate::binary::{self, Fault};
use crate::json::{LossyPairs, without_position};

/// A value that has not been read.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    Json(&'a RawValue),
    Binary(binary::Raw<'a>),
}

/// Keys and values in the order of the context. A key that is not text is an error: no flag can read it.
pub(super) type Members<'a> = Vec<(Result<Cow<'a, str>, &'static str>, Raw<'a>)>;

const LONE_SURROGATE: &str = "a lone surrogate is not text";

/// The attributes of a context. `None` if it is not a JSON object.
pub(super) fn json_attributes(json: &str) -> Option<Members<'_>> {
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    Some(of_json(serde_json::from_str(json).ok()?))
}

/// The attributes of a context in the binary form.
pub(super) fn binary_attributes(form: &[u8]) -> Result<Members<'_>, Fault> {
    binary::Raw::attributes(form).map(of_binary)
}

fn of_json(LossyPairs(pairs): LossyPairs<'_>) -> Members<'_> {
    pairs.into_iter().map(|(key, value)| (key.ok_or(LONE_SURROGATE), Raw::Json(value))).collect()
}

fn of_binary<'a>(members: binary::Members<'a>) -> Members<'a> {
    let each = |(key, value): (Option<&'a str>, _)| {
        (key.map(Cow::Borrowed).ok_or("a key that is not UTF-8"), Raw::Binary(value))
    };
    members.into_iter().map(each).collect()
}

impl<'a> Raw<'a> {
    pub(super) fn is_object(self) -> bool {
        match self {
            Raw::Json(value) => value.get().starts_with('{'),
            Raw::Binary(value) => value.is_object(),
        }
    }

    pub(super) fn is_array(self) -> bool {
        match self {
            Raw::Json(value) => value.get().starts_with('['),
            Raw::Binary(value) => value.is_array(),
        }
    }

    pub(super) fn is_null(self) -> bool {
        match self {
            Raw::Json(value) => value.get() == "null",
            Raw::Binary(value) => value.is_null(),
        }
    }

    /// The members of an object.
    pub(super) fn members(self) -> Members<'a> {
        match self {
            Raw::Json(value) => serde_json::from_str(value.get()).map(of_json).unwrap_or_default(),
            Raw::Binary(value) => value.members().map(of_binary).unwrap_or_default(),
        }
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> Vec<Raw<'a>> {
        match self {
            Raw::Json(value) => {
                let elements: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
                elements.into_iter().map(Raw::Json).collect()
            }
            Raw::Binary(value) => value.elements().unwrap_or_default().into_iter().map(Raw::Binary).collect(),
        }
    }

    /// Whether it has more than so many levels of objects and arrays.
    pub(super) fn is_deeper_than(self, levels: u32) -> bool {
        match self {
            Raw::Json(value) => depth(value.get()) > levels,
            Raw::Binary(value) => value.is_deeper_than(levels),
        }
    }

    /// Reads the value. The error says why it cannot be used.
    pub(super) fn read<T: Deserialize<'a>>(self) -> Result<T, Cow<'a, str>> {
        match self {
            Raw::Json(value) => {
                serde_json::from_str(value.get()).map_err(|error| match without_position(&error).as_str() {
                    "unexpected end of hex escape" | "lone leading surrogate in hex escape" => {
                        LONE_SURROGATE.into()
                    }
                    why => why.to_owned().into(),
                })
            }
            Raw::Binary(value) => value.read().map_err(Cow::Borrowed),
        }
    }
}

/// The levels of nesting of a JSON text.
fn depth(json: &str) -> u32 {
    let (mut deepest, mut level, mut in_string, mut escaped) = (0_u32, 0_u32, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                level = level.saturating_add(1);
                deepest = deepest.max(level);
            }
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
