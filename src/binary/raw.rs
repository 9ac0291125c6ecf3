//! Values of a form left as they are, to find what cannot be used in one, or to copy it.

use serde::Deserialize;

use super::layout::{MAX_LEVELS, tag};
use super::read::{Cursor, Fault, Value};

/// A value that is not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    tag: u8,
    /// What follows the tag and the key.
    content: Cursor<'a>,
}

/// The members of an object in the order of the form. `None` for a key that is not UTF-8.
pub(crate) type Members<'a> = Vec<(Option<&'a str>, Raw<'a>)>;

impl<'a> Raw<'a> {
    /// The attributes of a context. Checks every length and tag, down to the deepest level that can be read.
    pub(crate) fn attributes(form: &'a [u8]) -> Result<Members<'a>, Fault> {
        let attributes = Cursor::of(form)?;
        check(attributes, true, 1)?;
        members(attributes)
    }

    pub(crate) fn is_object(self) -> bool {
        self.tag == tag::OBJECT
    }

    pub(crate) fn is_array(self) -> bool {
        self.tag == tag::ARRAY
    }

    pub(crate) fn is_null(self) -> bool {
        self.tag == tag::NULL
    }

    /// The members of an object. Anything else has none.
    pub(crate) fn members(mut self) -> Result<Members<'a>, Fault> {
        if self.is_object() { members(self.content.counted()?) } else { Ok(Vec::new()) }
    }

    /// The elements of an array. Anything else has none.
    pub(crate) fn elements(mut self) -> Result<Vec<Raw<'a>>, Fault> {
        let mut elements = Vec::new();
        if self.is_array() {
            let mut cursor = self.content.counted()?;
            while !cursor.rest.is_empty() {
                elements.push(Raw::next(cursor.tag()?, &mut cursor)?);
            }
        }
        Ok(elements)
    }

    /// Whether it has more than so many levels of objects and arrays.
    pub(crate) fn is_deeper_than(self, levels: u32) -> bool {
        let Some(below) = levels.checked_sub(1) else { return self.is_object() || self.is_array() };
        self.members().unwrap_or_default().iter().any(|(_, raw)| raw.is_deeper_than(below))
            || self.elements().unwrap_or_default().iter().any(|raw| raw.is_deeper_than(below))
    }

    /// Reads the value. The error says why it cannot be used.
    pub(crate) fn read<T: Deserialize<'a>>(mut self) -> Result<T, &'a str> {
        let mut content = self.content;
        T::deserialize(Value { tag: self.tag, cursor: &mut content, level: 1 }).map_err(|_| match self.tag {
            tag::DOUBLE => "a number that is not finite",
            tag::UNUSABLE => self.content.text().unwrap_or("a value that cannot be used"),
            _ => "a string that is not UTF-8",
        })
    }

    /// The tag, and the bytes that follow the key.
    pub(super) fn bytes(self) -> (u8, &'a [u8]) {
        (self.tag, self.content.rest)
    }

    fn next(tag: u8, cursor: &mut Cursor<'a>) -> Result<Raw<'a>, Fault> {
        let mut after = *cursor;
        match tag {
            tag::NULL | tag::FALSE | tag::TRUE => {}
            tag::INT64 | tag::UINT64 | tag::DOUBLE => _ = after.number()?,
            _ => _ = after.counted()?,
        }
        Ok(Raw { tag, content: cursor.up_to(after) })
    }
}

/// Checks a container at `level`, in the order in which a reader does.
fn check(mut cursor: Cursor<'_>, is_object: bool, level: u32) -> Result<(), Fault> {
    while !cursor.rest.is_empty() {
        let tag = cursor.tag()?;
        if is_object {
            cursor.counted()?;
        }
        let mut value = Raw::next(tag, &mut cursor)?;
        if (value.is_object() || value.is_array()) && level < MAX_LEVELS {
            check(value.content.counted()?, value.is_object(), level + 1)?;
        }
    }
    Ok(())
}

fn members(mut cursor: Cursor<'_>) -> Result<Members<'_>, Fault> {
    let mut members = Vec::new();
    while !cursor.rest.is_empty() {
        let tag = cursor.tag()?;
        let key = std::str::from_utf8(cursor.counted()?.rest).ok();
        members.push((key, Raw::next(tag, &mut cursor)?));
    }
    Ok(members)
}
