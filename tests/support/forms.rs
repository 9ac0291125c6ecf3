//! A JSON context as a tree, and the tree in the other forms that a context can have. Written from docs/binary.md, not from
//! the library's code.
#![allow(dead_code, reason = "every test uses its part")]

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
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

impl Tree {
    /// `None` for what is not JSON.
    pub(crate) fn parse(json: &str) -> Option<Tree> {
        let json: Box<RawValue> = serde_json::from_str(json).ok()?;
        let json = json.get();
        Some(match json.as_bytes()[0] {
            b'{' => {
                let Members(members) = serde_json::from_str(json).ok()?;
                let each =
                    |(Bytes(key), value): (Bytes, Box<RawValue>)| Some((key, Tree::parse(value.get())?));
                Tree::Object(members.into_iter().map(each).collect::<Option<_>>()?)
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
