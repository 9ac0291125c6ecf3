//! The scalars of a context, which flags can be bucketed by, as text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::engine::identity::Identity;
use crate::engine::rules::number_text;
use crate::json::{Checked, Text};

/// A value that can be a subject, or [`Unusable`](Scalar::Unusable).
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    String(Cow<'a, str>),
    Unusable,
}

impl<'a> Scalar<'a> {
    pub(crate) fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Bool(b) => Some(if *b { "true".into() } else { "false".into() }),
            Scalar::Signed(n) => Some(n.to_string().into()),
            Scalar::Unsigned(n) => Some(n.to_string().into()),
            Scalar::Double(n) => Some(number_text(*n).as_ref().to_owned().into()),
            Scalar::String(s) if s.is_empty() => None,
            Scalar::String(s) => Some(s.clone()),
            Scalar::Unusable => None,
        }
    }

    pub(crate) fn user(&self) -> Option<User<'a>> {
        let text = self.text()?;
        // The official SDKs look a tester up only if distinct_id is truthy, which 0 and false are not.
        let names_tester = match self {
            Scalar::Bool(b) => *b,
            Scalar::Signed(0) | Scalar::Unsigned(0) => false,
            Scalar::Double(n) => *n != 0.0,
            _ => true,
        };
        let identity = Identity { text, quoted: matches!(self, Scalar::String(_)) };
        Some(User { identity, names_tester })
    }
}

/// The user, and whether a tester can have this name.
#[derive(Debug)]
pub(crate) struct User<'a> {
    pub(crate) identity: Identity<'a>,
    names_tester: bool,
}

impl User<'_> {
    pub(super) fn into_owned(self) -> User<'static> {
        User { identity: self.identity.into_owned(), names_tester: self.names_tester }
    }

    pub(crate) fn tester(&self) -> Option<&str> {
        self.names_tester.then_some(&*self.identity.text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

pub(super) struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Unusable)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Signed(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Unsigned(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Double(v))
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::String(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::String(Cow::Owned(v.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
        while seq.next_element::<Checked>()?.is_some() {}
        Ok(Scalar::Unusable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<Text<'de>, Checked>()?.is_some() {}
        Ok(Scalar::Unusable)
    }
}
