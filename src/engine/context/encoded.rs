//! The two forms of a context, JSON and binary. Both are serde formats, so the same code reads either.

use std::marker::PhantomData;

use serde::de::DeserializeSeed;

use crate::binary::{self, Fault};
use crate::error::{Error, ErrorKind};
use crate::json::{not_an_object, place, syntax};

use super::parse::Parsed;
use super::raw;
use super::recover::recover;

/// A context as it is given, in either form.
#[derive(Clone, Copy, Debug)]
pub enum Encoded<'a> {
    /// JSON text.
    Json(&'a str),
    /// The binary form, which `docs/binary.md` specifies.
    Binary(&'a [u8]),
}

/// What reading a context resulted in.
pub(super) enum Read<'a, T> {
    Whole(T),
    /// The context holds something unusable.
    Recovered(Parsed<'a>),
}

impl<'a> Encoded<'a> {
    /// The context without attributes.
    pub const EMPTY: Encoded<'static> = Encoded::Binary(binary::EMPTY);

    /// Reads everything.
    pub(super) fn parse(self) -> Result<Parsed<'a>, Error> {
        match self {
            Encoded::Json(_) => match self.read(PhantomData)? {
                Read::Whole(parsed) | Read::Recovered(parsed) => Ok(parsed),
            },
            // Splitting a form costs little, so what reads attribute by attribute will do for all of them.
            Encoded::Binary(form) => {
                raw::binary_attributes(form).map(recover).map_err(|fault| malformed(&fault))
            }
        }
    }

    /// Reads the context with `seed`, or attribute by attribute if it holds something unusable.
    #[inline]
    pub(super) fn read<S: DeserializeSeed<'a>>(self, seed: S) -> Result<Read<'a, S::Value>, Error> {
        match self {
            Encoded::Json(json) => {
                let mut deserializer = serde_json::Deserializer::from_str(json);
                seed.deserialize(&mut deserializer)
                    .and_then(|value| deserializer.end().map(|()| Read::Whole(value)))
                    .or_else(|error| recovered_json(json).ok_or_else(|| invalid(json, &error)))
            }
            Encoded::Binary(form) => read_or_recovered(form, binary::read(form, seed)),
        }
    }
}

/// What reading `form` resulted in, or its attributes one by one if it holds something unusable.
#[inline]
pub(super) fn read_or_recovered<T>(form: &[u8], read: Result<T, Fault>) -> Result<Read<'_, T>, Error> {
    read.map(Read::Whole).or_else(|fault| recovered_binary(form, fault).map_err(|fault| malformed(&fault)))
}

#[cold]
fn recovered_json<T>(json: &str) -> Option<Read<'_, T>> {
    raw::json_attributes(json).map(recover).map(Read::Recovered)
}

#[cold]
fn recovered_binary<T>(form: &[u8], fault: Fault) -> Result<Read<'_, T>, Fault> {
    match fault {
        Fault::Malformed { .. } => Err(fault),
        Fault::Unusable => raw::binary_attributes(form).map(recover).map(Read::Recovered),
    }
}

/// The error for a context that is not a JSON object, with the path to what is wrong.
fn invalid(json: &str, error: &serde_json::Error) -> Error {
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

fn malformed(fault: &Fault) -> Error {
    Error::new(ErrorKind::InvalidContext, format!("context: {fault}"))
}
