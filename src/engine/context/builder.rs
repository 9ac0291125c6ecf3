//! Makes a context attribute by attribute. It is written in the binary form, so no name or value can be mistaken
//! for syntax.

use std::borrow::Cow;
use std::mem;

use serde::de::DeserializeSeed;

use crate::binary::{self, MAX_LEVELS, TooLong};
use crate::engine::identity::CUSTOM_PROPERTIES;
use crate::error::{Error, ErrorKind};
use crate::json::{cut, plain};

use super::transcode::{TOO_DEEP, ToBinary};

/// Makes a [`Context`](crate::Context) attribute by attribute; [`Context::builder`](crate::Context::builder) starts one.
///
/// A mistake is kept and reported by [`build`](ContextBuilder::build), with the name of the attribute: a number
/// that is not finite, JSON that cannot be read, more than 127 levels of nesting, an object or array without its
/// end. If a name is set twice, the later value counts.
///
/// ```
/// use mpflags::Context;
///
/// let context = Context::builder()
///     .set("distinct_id", "user-1")
///     .property("plan", "pro")
///     .property("seats", 12)
///     .build()?;
/// # Ok::<(), mpflags::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ContextBuilder {
    attributes: binary::Writer,
    /// The members of `custom_properties`, which come last in the form.
    properties: binary::Writer,
    /// Whether there are `custom_properties`, which may be empty.
    has_properties: bool,
    /// The objects and arrays that are not ended, outermost first.
    open: Vec<Open>,
    /// The first mistake.
    error: Option<Error>,
}

#[derive(Debug)]
struct Open {
    name: Box<str>,
    is_array: bool,
    /// `None` for `custom_properties`.
    container: Option<binary::Open>,
}

/// Where a value is set.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In the object or array that was begun last, or at the top.
    Here,
    /// In `custom_properties`.
    Property,
}

/// Bytes that most contexts fit in.
const CAPACITY: usize = 256;

/// The value of an attribute or property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ContextValue<'a> {
    /// Null, which most rules treat like an absent value.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A signed integer, exact if it is what a flag is bucketed by.
    Signed(i64),
    /// An unsigned integer, exact if it is what a flag is bucketed by.
    Unsigned(u64),
    /// A number, which must be finite.
    Double(f64),
    /// A string.
    String(&'a str),
    /// A value that cannot be used, and why. An evaluation that reads it fails with INVALID_CONTEXT and this reason;
    /// others are as if it were absent.
    Unusable(&'a str),
}

impl From<bool> for ContextValue<'_> {
    fn from(value: bool) -> Self {
        ContextValue::Boolean(value)
    }
}

impl From<i32> for ContextValue<'_> {
    fn from(value: i32) -> Self {
        ContextValue::Signed(value.into())
    }
}

impl From<i64> for ContextValue<'_> {
    fn from(value: i64) -> Self {
        ContextValue::Signed(value)
    }
}

impl From<u32> for ContextValue<'_> {
    fn from(value: u32) -> Self {
        ContextValue::Unsigned(value.into())
    }
}

impl From<u64> for ContextValue<'_> {
    fn from(value: u64) -> Self {
        ContextValue::Unsigned(value)
    }
}

impl From<f64> for ContextValue<'_> {
    fn from(value: f64) -> Self {
        ContextValue::Double(value)
    }
}

impl<'a> From<&'a str> for ContextValue<'a> {
    fn from(value: &'a str) -> Self {
        ContextValue::String(value)
    }
}

impl<'a> From<&'a String> for ContextValue<'a> {
    fn from(value: &'a String) -> Self {
        ContextValue::String(value)
    }
}

impl<'a, V: Into<ContextValue<'a>>> From<Option<V>> for ContextValue<'a> {
    fn from(value: Option<V>) -> Self {
        value.map_or(ContextValue::Null, Into::into)
    }
}

impl ContextBuilder {
    /// Sets an attribute, or a member of the object that was begun last. In an array the name is empty, and the
    /// value is the next element.
    pub fn set<'v>(&mut self, name: &str, value: impl Into<ContextValue<'v>>) -> &mut Self {
        self.value(Place::Here, name, value.into())
    }

    /// Sets one of the `custom_properties`, which rules see.
    pub fn property<'v>(&mut self, name: &str, value: impl Into<ContextValue<'v>>) -> &mut Self {
        self.value(Place::Property, name, value.into())
    }

    fn value(&mut self, place: Place, name: &str, value: ContextValue<'_>) -> &mut Self {
        self.write(place, name, |form, key, _| push(form, key, value))
    }

    /// [`set`](ContextBuilder::set) for a value that is JSON. The members of an object that is set as
    /// `custom_properties` are added to the properties.
    pub fn json(&mut self, name: &str, json: &str) -> &mut Self {
        if self.open.is_empty() && name == CUSTOM_PROPERTIES && json.trim_start().starts_with('{') {
            return self.write(Place::Property, "", |form, _, levels| {
                let mut object = binary::Writer::default();
                transcode(&mut object, None, levels + 1, json)?;
                form.append(object.members());
                Ok(())
            });
        }
        self.write(Place::Here, name, |form, key, levels| transcode(form, key, levels, json))
    }

    /// [`property`](ContextBuilder::property) for a value that is JSON.
    pub fn property_json(&mut self, name: &str, json: &str) -> &mut Self {
        self.write(Place::Property, name, |form, key, levels| transcode(form, key, levels, json))
    }

    /// Begins an object. What is set until [`end`](ContextBuilder::end) are its members. Those of
    /// `custom_properties` are added to the properties.
    pub fn begin_object(&mut self, name: &str) -> &mut Self {
        if self.open.is_empty() && name == CUSTOM_PROPERTIES {
            self.has_properties = true;
            self.open.push(Open { name: name.into(), is_array: false, container: None });
            return self;
        }
        self.begin(name, false)
    }

    /// Begins an array. What is set until [`end`](ContextBuilder::end) are its elements.
    pub fn begin_array(&mut self, name: &str) -> &mut Self {
        self.begin(name, true)
    }

    fn begin(&mut self, name: &str, is_array: bool) -> &mut Self {
        let mut begun = None;
        self.write(Place::Here, name, |form, key, levels| {
            if levels == 0 {
                return Err(TOO_DEEP.into());
            }
            begun = Some(if is_array { form.open_array(key)? } else { form.open_object(key)? });
            Ok(())
        });
        if begun.is_some() {
            self.open.push(Open { name: name.into(), is_array, container: begun });
        }
        self
    }

    /// Ends the object or array that was begun last.
    pub fn end(&mut self) -> &mut Self {
        // After a mistake nothing is begun.
        if self.error.is_some() {
            return self;
        }
        let in_properties = self.in_properties();
        let Some(Open { name, container, .. }) = self.open.pop() else {
            self.error = Some(invalid("end", "no object or array was begun"));
            return self;
        };
        let form = if in_properties { &mut self.properties } else { &mut self.attributes };
        if let Some(Err(error)) = container.map(|container| form.close(container)) {
            self.fail(Place::Here, &name, &error.to_string());
        }
        self
    }

    /// Takes the form out of the builder, which is empty afterwards.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, Error> {
        if let Some(open) = self.open.pop() {
            self.fail(Place::Here, &open.name, "begun, but not ended");
        }
        let form = self.form();
        let error = self.error.take();
        self.reset();
        match error {
            Some(error) => Err(error),
            None => form.map_err(|error| invalid(CUSTOM_PROPERTIES, &error.to_string())),
        }
    }

    fn form(&mut self) -> Result<Vec<u8>, TooLong> {
        let mut form = mem::take(&mut self.attributes);
        if form.is_empty() {
            form = binary::Writer::context(CAPACITY);
        }
        if self.has_properties {
            let open = form.open_object(Some(CUSTOM_PROPERTIES))?;
            form.append(self.properties.as_bytes());
            form.close(open)?;
        }
        Ok(form.into_bytes())
    }

    /// Removes everything that was set, and mistakes.
    pub fn reset(&mut self) -> &mut Self {
        self.attributes.clear();
        self.properties.clear();
        self.has_properties = false;
        self.open.clear();
        self.error = None;
        self
    }

    fn in_properties(&self) -> bool {
        self.open.first().is_some_and(|open| open.container.is_none())
    }

    /// Writes a value under `name`, unless there was a mistake. `write` gets the key, which elements of an array
    /// do not have, and the levels of nesting that are left.
    #[inline]
    fn write(
        &mut self,
        place: Place,
        name: &str,
        write: impl FnOnce(&mut binary::Writer, Option<&str>, u32) -> Result<(), Cow<'static, str>>,
    ) -> &mut Self {
        if self.error.is_some() {
            return self;
        }
        let begun = self.open.len() + usize::from(place == Place::Property);
        let levels = u32::try_from(begun).map_or(0, |begun| (MAX_LEVELS - 1).saturating_sub(begun));
        let in_array = self.open.last().is_some_and(|open| open.is_array);
        let in_properties = place == Place::Property || self.in_properties();
        let written = if place == Place::Property && !self.open.is_empty() {
            Err("a property is set before the object or array that was begun is ended".into())
        } else if in_array && !name.is_empty() {
            Err("an element of an array has no name".into())
        } else {
            let form = if in_properties {
                if !self.has_properties {
                    self.has_properties = true;
                    // A builder that is used again has the room already.
                    self.properties.reserve(CAPACITY);
                }
                &mut self.properties
            } else {
                if self.attributes.is_empty() {
                    self.attributes = binary::Writer::context(CAPACITY);
                }
                &mut self.attributes
            };
            write(form, (!in_array).then_some(name), levels)
        };
        if let Err(why) = written {
            self.fail(place, name, &why);
        }
        self
    }

    #[cold]
    fn fail(&mut self, place: Place, name: &str, why: &str) {
        let mut path: Vec<&str> = self.open.iter().map(|open| &*open.name).collect();
        if place == Place::Property {
            path.push(CUSTOM_PROPERTIES);
        }
        path.push(name);
        path.retain(|name| !name.is_empty());
        let path = path.join(".");
        let shown = cut(&path, SHOWN);
        let error = invalid(&format!("{shown}{}", if shown.len() < path.len() { "…" } else { "" }), why);
        self.error.get_or_insert(error);
    }
}

/// Bytes of a path in a message.
const SHOWN: usize = 200;

fn invalid(place: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidContext, format!("context: {place}: {why}"))
}

fn push(
    form: &mut binary::Writer,
    key: Option<&str>,
    value: ContextValue<'_>,
) -> Result<(), Cow<'static, str>> {
    match value {
        ContextValue::Null => form.null(key)?,
        ContextValue::Boolean(value) => form.boolean(key, value)?,
        ContextValue::Signed(value) => form.signed(key, value)?,
        ContextValue::Unsigned(value) => form.unsigned(key, value)?,
        ContextValue::Double(value) if value.is_finite() => form.double(key, value)?,
        ContextValue::Double(_) => return Err("a number that is not finite".into()),
        ContextValue::String(value) => form.string(key, value)?,
        ContextValue::Unusable(why) => form.unusable(key, why)?,
    }
    Ok(())
}

fn transcode(
    form: &mut binary::Writer,
    key: Option<&str>,
    levels: u32,
    json: &str,
) -> Result<(), Cow<'static, str>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    ToBinary { form, key, levels }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| plain(&error).into())
}
