//! A JSON context as a tree, and the tree in the other forms that a context can have. Written from docs/binary.md, not from
//! the library's code.
#![allow(dead_code, reason = "every test uses its part")]

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    /// In WTF-8, as serde_json reads lone surrogates.
    String(Vec<u8>),
    Array(Vec<Tree>),
    Object(Vec<(Vec<u8>, Tree)>),
    /// With the reason that the library states for it in JSON.
    Unusable(&'static str),
}

struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, v: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(v.to_owned()))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// The members in order, equal keys included.
struct Members(Vec<(Bytes, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The members of an object in the order of its text, equal keys included. `None` for anything else.
pub(crate) fn members(json: &str) -> Option<Vec<(Vec<u8>, Box<RawValue>)>> {
    // Reading bytes, serde_json checks less than it does for text.
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    let Members(members) = serde_json::from_str(json).ok()?;
    Some(members.into_iter().map(|(Bytes(key), value)| (key, value)).collect())
}

impl Tree {
    /// `None` for what is not JSON.
    pub(crate) fn parse(json: &str) -> Option<Tree> {
        let json: Box<RawValue> = serde_json::from_str(json).ok()?;
        let json = json.get();
        Some(match json.as_bytes()[0] {
            b'{' => {
                let each = |(key, value): (Vec<u8>, Box<RawValue>)| Some((key, Tree::parse(value.get())?));
                Tree::Object(members(json)?.into_iter().map(each).collect::<Option<_>>()?)
            }
            b'[' => {
                let elements: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
                Tree::Array(elements.iter().map(|element| Tree::parse(element.get())).collect::<Option<_>>()?)
            }
            b'"' => Tree::String(serde_json::from_str::<Bytes>(json).ok()?.0),
            b'n' => Tree::Null,
            b't' | b'f' => Tree::Bool(json == "true"),
            _ => {
                if let Ok(number) = serde_json::from_str(json) {
                    Tree::Signed(number)
                } else if let Ok(number) = serde_json::from_str(json) {
                    Tree::Unsigned(number)
                } else {
                    serde_json::from_str(json).map_or(Tree::Unusable("number out of range"), Tree::Double)
                }
            }
        })
    }

    /// Reads a context in the binary form. `None` if it is malformed.
    pub(crate) fn read(form: &[u8]) -> Option<Tree> {
        let mut rest = form.strip_prefix(&[1])?;
        Some(Tree::Object(read_members(&mut rest, 1)?))
    }

    /// A context in the binary form.
    pub(crate) fn form(&self) -> Vec<u8> {
        let Tree::Object(members) = self else { panic!("a context is an object") };
        let mut form = vec![1];
        push_members(&mut form, members);
        form
    }

    fn tag(&self) -> u8 {
        match self {
            Tree::Null => 0,
            Tree::Bool(false) => 1,
            Tree::Bool(true) => 2,
            Tree::Signed(_) => 3,
            Tree::Unsigned(_) => 4,
            Tree::Double(_) => 5,
            Tree::String(_) => 6,
            Tree::Array(_) => 7,
            Tree::Object(_) => 8,
            Tree::Unusable(_) => 9,
        }
    }

    fn push(&self, form: &mut Vec<u8>) {
        match self {
            Tree::Null | Tree::Bool(_) => {}
            Tree::Signed(number) => push_digits(form, *number as u64, 10),
            Tree::Unsigned(number) => push_digits(form, *number, 10),
            Tree::Double(number) => push_digits(form, number.to_bits(), 10),
            Tree::String(text) => push_text(form, text),
            Tree::Unusable(why) => push_text(form, why.as_bytes()),
            Tree::Array(elements) => {
                let mut content = Vec::new();
                for element in elements {
                    content.push(element.tag());
                    element.push(&mut content);
                }
                push_text(form, &content);
            }
            Tree::Object(members) => {
                let mut content = Vec::new();
                push_members(&mut content, members);
                push_text(form, &content);
            }
        }
    }

    /// Whether a builder makes the same context: it accepts only text and 127 levels of nesting, and merges
    /// `custom_properties` that are set twice.
    pub(crate) fn fits_a_builder(&self) -> bool {
        let Tree::Object(members) = self else { return false };
        let twice = members.iter().filter(|(key, _)| key == b"custom_properties").count() > 1;
        !twice && self.fits_at(1)
    }

    fn fits_at(&self, level: usize) -> bool {
        match self {
            Tree::Array(elements) => level <= 127 && elements.iter().all(|each| each.fits_at(level + 1)),
            Tree::Object(members) => {
                level <= 127
                    && members
                        .iter()
                        .all(|(key, value)| str::from_utf8(key).is_ok() && value.fits_at(level + 1))
            }
            Tree::String(text) => str::from_utf8(text).is_ok(),
            _ => true,
        }
    }

    /// Whether JSON can express it.
    pub(crate) fn fits_json(&self) -> bool {
        match self {
            Tree::Array(elements) => elements.iter().all(Tree::fits_json),
            Tree::Object(members) => {
                members.iter().all(|(key, value)| str::from_utf8(key).is_ok() && value.fits_json())
            }
            Tree::String(text) => str::from_utf8(text).is_ok(),
            Tree::Double(number) => number.is_finite(),
            Tree::Unusable(_) => false,
            _ => true,
        }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> String {
        let text = |text: &[u8]| serde_json::to_string(str::from_utf8(text).unwrap()).unwrap();
        match self {
            Tree::Null => "null".to_owned(),
            Tree::Bool(value) => value.to_string(),
            Tree::Signed(value) => value.to_string(),
            Tree::Unsigned(value) => value.to_string(),
            Tree::Double(value) => serde_json::to_string(value).unwrap(),
            Tree::String(value) => text(value),
            Tree::Array(elements) => {
                format!("[{}]", elements.iter().map(Tree::json).collect::<Vec<_>>().join(","))
            }
            Tree::Object(members) => {
                let members = members.iter().map(|(key, value)| format!("{}:{}", text(key), value.json()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
            Tree::Unusable(_) => "1e999".to_owned(),
        }
    }
}

fn push_members(form: &mut Vec<u8>, members: &[(Vec<u8>, Tree)]) {
    for (key, value) in members {
        form.push(value.tag());
        push_text(form, key);
        value.push(form);
    }
}

pub(crate) fn push_text(form: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        form.push(text.len() as u8);
    } else {
        form.push(127);
        push_digits(form, text.len() as u64, 5);
    }
    form.extend(text);
}

fn push_digits(form: &mut Vec<u8>, mut number: u64, digits: usize) {
    for _ in 0..digits {
        form.push((number % 128) as u8);
        number /= 128;
    }
}

fn read_members(rest: &mut &[u8], level: usize) -> Option<Vec<(Vec<u8>, Tree)>> {
    let mut members = Vec::new();
    while !rest.is_empty() {
        let tag = take(rest, 1)?[0];
        let key = take_text(rest)?.to_owned();
        members.push((key, read_value(tag, rest, level + 1)?));
    }
    Some(members)
}

fn read_value(tag: u8, rest: &mut &[u8], level: usize) -> Option<Tree> {
    Some(match tag {
        0 => Tree::Null,
        1 => Tree::Bool(false),
        2 => Tree::Bool(true),
        3 => Tree::Signed(take_digits(rest, 10)? as i64),
        4 => Tree::Unsigned(take_digits(rest, 10)?),
        5 => Tree::Double(f64::from_bits(take_digits(rest, 10)?)),
        6 => Tree::String(take_text(rest)?.to_owned()),
        7 | 8 => {
            let mut content = take_text(rest)?;
            if level > 127 {
                Tree::Unusable("nested more than 127 levels deep")
            } else if tag == 8 {
                Tree::Object(read_members(&mut content, level)?)
            } else {
                let mut elements = Vec::new();
                while !content.is_empty() {
                    let tag = take(&mut content, 1)?[0];
                    elements.push(read_value(tag, &mut content, level + 1)?);
                }
                Tree::Array(elements)
            }
        }
        9 => {
            take_text(rest)?;
            Tree::Unusable("a reason")
        }
        _ => return None,
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match take(rest, 1)?[0] {
        127 => take_digits(rest, 5)?,
        length @ 0..127 => length.into(),
        128.. => return None,
    };
    take(rest, usize::try_from(length).ok()?)
}

/// The lowest digit comes first. The tenth has one bit.
fn take_digits(rest: &mut &[u8], count: usize) -> Option<u64> {
    let number = take(rest, count)?
        .iter()
        .rev()
        .try_fold(0_u128, |number, digit| (*digit < 128).then_some(number << 7 | u128::from(*digit)))?;
    u64::try_from(number).ok()
}
