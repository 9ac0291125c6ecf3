//! The form as a serde format, so that whatever reads a context from JSON reads it from here too.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::layout::{DIGITS, LENGTH_DIGITS, LONG, MAX_LEVELS, VERSION, tag};

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It breaks the specification at this offset.
    Malformed { at: usize, why: &'static str },
    /// It holds a value that cannot be used. The rest may still be malformed.
    Unusable,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Malformed { at, why } => write!(f, "malformed binary form at byte {at}: {why}"),
            Fault::Unusable => f.write_str("a value that cannot be used"),
        }
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    /// Visitors of contexts accept every value, so none of them calls this.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Fault::Malformed { at: 0, why: "a value of another type was expected" }
    }
}

/// Reads a whole form.
pub(crate) fn read<'a, S: DeserializeSeed<'a>>(form: &'a [u8], seed: S) -> Result<S::Value, Fault> {
    seed.deserialize(Root(Cursor::of(form)?))
}

/// The bytes of a container that are left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
    /// The offset in the form at which `rest` ends.
    end: usize,
    /// The whole form, if it is text: then no string in it has to be checked again.
    text: Option<&'a str>,
}

impl<'a> Cursor<'a> {
    /// The members of the context.
    pub(super) fn of(form: &'a [u8]) -> Result<Self, Fault> {
        match form.split_first() {
            Some((&VERSION, rest)) => {
                Ok(Cursor { rest, end: form.len(), text: std::str::from_utf8(form).ok() })
            }
            Some(_) => Err(Fault::Malformed { at: 0, why: "an unknown version" }),
            None => Err(Fault::Malformed { at: 0, why: "it is empty" }),
        }
    }

    #[cold]
    fn malformed(&self, why: &'static str) -> Fault {
        Fault::Malformed { at: self.end - self.rest.len(), why }
    }

    #[inline]
    pub(super) fn tag(&mut self) -> Result<u8, Fault> {
        match self.rest.split_first() {
            Some((&tag, rest)) if tag <= tag::UNUSABLE => {
                self.rest = rest;
                Ok(tag)
            }
            Some(_) => Err(self.malformed("an unknown tag")),
            None => Err(self.malformed("it ends early")),
        }
    }

    /// A number of 64 bits.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let Some((digits, rest)) = self.rest.split_first_chunk::<DIGITS>() else {
            return Err(self.malformed("a number that ends early"));
        };
        let Some(number) = number(digits) else {
            return Err(self.malformed("a digit of a number is too large"));
        };
        self.rest = rest;
        Ok(number)
    }

    #[inline]
    fn double(&mut self) -> Result<f64, Fault> {
        let number = f64::from_bits(self.number()?);
        if number.is_finite() { Ok(number) } else { Err(Fault::Unusable) }
    }

    /// A length and so many bytes.
    #[inline]
    pub(super) fn counted(&mut self) -> Result<Cursor<'a>, Fault> {
        let (length, after) = match self.rest.split_first() {
            Some((&length, rest)) if length < LONG => (usize::from(length), rest),
            Some((&LONG, rest)) => match rest.split_first_chunk::<LENGTH_DIGITS>() {
                Some((digits, rest)) => match number(digits) {
                    Some(length) => (usize::try_from(length).unwrap_or(usize::MAX), rest),
                    None => return Err(self.malformed("a digit of a length is too large")),
                },
                None => return Err(self.malformed("a length that ends early")),
            },
            Some(_) => return Err(self.malformed("a length that is too large")),
            None => return Err(self.malformed("it ends early")),
        };
        let Some((bytes, rest)) = after.split_at_checked(length) else {
            return Err(self.malformed("a length beyond the end"));
        };
        self.rest = rest;
        Ok(Cursor { rest: bytes, end: self.end - rest.len(), text: self.text })
    }

    /// From here to where `after` begins.
    pub(super) fn up_to(&mut self, after: Cursor<'a>) -> Cursor<'a> {
        let length = self.rest.len() - after.rest.len();
        let (passed, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        Cursor { rest: passed, end: self.end - rest.len(), text: self.text }
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        // Nearly always: a short text in a form that is text.
        if let (Some(form), Some((&length @ 0..LONG, after))) = (self.text, self.rest.split_first()) {
            if let Some(rest) = after.get(usize::from(length)..) {
                let from = self.end - after.len();
                self.rest = rest;
                return form.get(from..from + usize::from(length)).ok_or(Fault::Unusable);
            }
        }
        self.any_text()
    }

    #[inline(never)]
    fn any_text(&mut self) -> Result<&'a str, Fault> {
        let Cursor { rest, end, text } = self.counted()?;
        let text = match text {
            Some(form) => form.get(end - rest.len()..end),
            None => std::str::from_utf8(rest).ok(),
        };
        text.ok_or(Fault::Unusable)
    }
}

/// The number of these digits, each of seven bits, the lowest first.
#[inline]
fn number<const N: usize>(digits: &[u8; N]) -> Option<u64> {
    let mut number = 0;
    let mut all = 0;
    for (at, digit) in digits.iter().enumerate() {
        all |= digit;
        number |= u64::from(*digit) << (7 * at);
    }
    let fits = all < 0x80 && (N < DIGITS || digits.last().is_some_and(|last| *last <= 1));
    fits.then_some(number)
}

struct Root<'a>(Cursor<'a>);

impl<'de> Deserializer<'de> for Root<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Container::outermost(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// An object or an array: its keys and values are read in turns.
pub(crate) struct Container<'a> {
    cursor: Cursor<'a>,
    /// Of the member whose key was read last.
    tag: u8,
    level: u32,
}

/// A value of a kind that most are of.
pub(crate) enum Simple<'a> {
    Boolean(bool),
    Number(f64),
    String(&'a str),
}

impl<'a> Container<'a> {
    /// The attributes of a context.
    pub(crate) fn attributes(form: &'a [u8]) -> Result<Self, Fault> {
        Cursor::of(form).map(Container::outermost)
    }

    fn outermost(cursor: Cursor<'a>) -> Self {
        Container { cursor, tag: tag::NULL, level: 1 }
    }

    /// The key of the next member of an object; `None` after the last.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Option<&'a str>, Fault> {
        if self.cursor.rest.is_empty() {
            return Ok(None);
        }
        self.tag = self.cursor.tag()?;
        self.cursor.text().map(Some)
    }

    /// The value of that member.
    #[inline]
    pub(crate) fn value<T: Deserialize<'a>>(&mut self) -> Result<T, Fault> {
        self.next_value_seed(PhantomData)
    }

    /// The value of that member, if it is a simple one. Otherwise it is still to be read.
    #[inline(always)]
    pub(crate) fn simple(&mut self) -> Result<Option<Simple<'a>>, Fault> {
        Ok(Some(match self.tag {
            tag::STRING => Simple::String(self.cursor.text()?),
            tag::INT64 => Simple::Number(self.cursor.number()? as i64 as f64),
            tag::FALSE => Simple::Boolean(false),
            tag::TRUE => Simple::Boolean(true),
            tag::DOUBLE => Simple::Number(self.cursor.double()?),
            _ => return Ok(None),
        }))
    }

    /// The value of that member, if it is an object. Otherwise it is still to be read.
    #[inline]
    pub(crate) fn object(&mut self) -> Result<Option<Container<'a>>, Fault> {
        if self.tag != tag::OBJECT {
            return Ok(None);
        }
        Value { tag: self.tag, cursor: &mut self.cursor, level: self.level + 1 }.container().map(Some)
    }
}

impl<'de> MapAccess<'de> for Container<'de> {
    type Error = Fault;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let key = self.key()?.map(BorrowedStrDeserializer::new);
        key.map(|key| seed.deserialize(key)).transpose()
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(Value { tag: self.tag, cursor: &mut self.cursor, level: self.level + 1 })
    }
}

impl<'de> SeqAccess<'de> for Container<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.cursor.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.cursor.tag()?;
        seed.deserialize(Value { tag, cursor: &mut self.cursor, level: self.level + 1 }).map(Some)
    }
}

/// A value whose tag was read.
pub(super) struct Value<'c, 'a> {
    pub(super) tag: u8,
    pub(super) cursor: &'c mut Cursor<'a>,
    /// The level of nesting, if it is an object or an array.
    pub(super) level: u32,
}

impl<'a> Value<'_, 'a> {
    fn container(self) -> Result<Container<'a>, Fault> {
        let cursor = self.cursor.counted()?;
        if self.level > MAX_LEVELS {
            return Err(Fault::Unusable);
        }
        Ok(Container { cursor, tag: tag::NULL, level: self.level })
    }
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.tag {
            tag::NULL => visitor.visit_unit(),
            tag::FALSE => visitor.visit_bool(false),
            tag::TRUE => visitor.visit_bool(true),
            tag::INT64 => visitor.visit_i64(self.cursor.number()? as i64),
            tag::UINT64 => visitor.visit_u64(self.cursor.number()?),
            tag::DOUBLE => visitor.visit_f64(self.cursor.double()?),
            tag::STRING => visitor.visit_borrowed_str(self.cursor.text()?),
            tag::ARRAY => visitor.visit_seq(self.container()?),
            tag::OBJECT => visitor.visit_map(self.container()?),
            _ => Err(Fault::Unusable),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
