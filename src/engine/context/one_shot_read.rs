//! Reads a context for one evaluation.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::binary::{Container, Fault, Simple};
use crate::engine::rules::Properties;
use crate::engine::rules::text::Folded;
use crate::engine::rules::value::{FoldedValue, Value};
use crate::error::Error;
use crate::json::{Checked, TextSeed};

use super::encoded::{Encoded, Read, read_or_recovered};
use super::one_shot::{Attribute, Needs, OneShotContext, Selecting, Uses};
use super::parse::{CustomSeed, Keep};
use super::scalar::Scalar;

impl<'a> OneShotContext<'a> {
    /// Reads into an empty context, in place: it is too large to move.
    #[inline(never)]
    pub(crate) fn read(&mut self, encoded: Encoded<'a>, needs: Option<Needs<'a>>) -> Result<(), Error> {
        let read = match encoded {
            Encoded::Json(_) => encoded.read(OneShotSeed { context: self, needs })?,
            Encoded::Binary(form) => {
                let read =
                    Container::attributes(form).and_then(|attributes| self.read_form(attributes, needs));
                read_or_recovered(form, read)?
            }
        };
        if let Read::Recovered(parsed) = read {
            *self = OneShotContext::recovered(parsed, needs);
        }
        Ok(())
    }

    /// Reads the binary form as [`OneShotSeed`] reads JSON, without serde, because most of it is
    /// skipped.
    fn read_form(&mut self, mut attributes: Container<'a>, needs: Option<Needs<'a>>) -> Result<(), Fault> {
        while let Some(key) = attributes.key()? {
            let uses = needs.and_then(|needs| Some((Uses::of(key, needs.subject)?, needs.properties)));
            match uses {
                None => skip(&mut attributes)?,
                Some((uses @ Uses { key: Attribute::CustomProperties, .. }, properties)) => {
                    self.properties.begin(properties);
                    let scalar = match attributes.object()? {
                        Some(members) => {
                            select(members, Selecting { properties, selection: &mut self.properties })?;
                            None
                        }
                        None => Some(attributes.value()?),
                    };
                    self.properties.end(scalar.is_none());
                    self.keep(&uses, scalar);
                }
                Some((uses, _)) => {
                    let scalar = attributes.value()?;
                    self.keep(&uses, Some(scalar));
                }
            }
        }
        Ok(())
    }
}

/// Keeps the members that are needed.
fn select<'a>(mut members: Container<'a>, mut selecting: Selecting<'_, 'a>) -> Result<(), Fault> {
    while let Some(name) = members.key()? {
        match selecting.place(Cow::Borrowed(name)) {
            Some(place) => {
                let value = match members.simple()? {
                    Some(Simple::String(text)) => Value::String(Folded::new(Cow::Borrowed(text))),
                    Some(Simple::Number(number)) => Value::Number(number),
                    Some(Simple::Boolean(value)) => Value::Bool(value),
                    None => {
                        let FoldedValue(value) = members.value()?;
                        value
                    }
                };
                selecting.keep(place, value);
            }
            None => skip(&mut members)?,
        }
    }
    Ok(())
}

/// Checks a value that is not needed.
#[inline]
fn skip(members: &mut Container<'_>) -> Result<(), Fault> {
    match members.simple()? {
        Some(_) => Ok(()),
        None => members.value().map(|Checked| ()),
    }
}

/// Reads JSON.
struct OneShotSeed<'c, 'a> {
    context: &'c mut OneShotContext<'a>,
    needs: Option<Needs<'a>>,
}

impl<'a> DeserializeSeed<'a> for OneShotSeed<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for OneShotSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let context = self.context;
        let uses = |key: Cow<'a, str>| Uses::of(&key, self.needs?.subject);
        while let Some(uses) = map.next_key_seed(TextSeed(uses))? {
            let (Some(uses), Some(needs)) = (uses, self.needs) else {
                map.next_value::<Checked>()?;
                continue;
            };
            let scalar = match uses.key {
                Attribute::CustomProperties => context.read_properties(needs.properties, &mut map)?,
                _ => Some(map.next_value()?),
            };
            context.keep(&uses, scalar);
        }
        Ok(())
    }
}

impl<'a> OneShotContext<'a> {
    /// Reads `custom_properties`. Returns it if it is a scalar.
    fn read_properties<A: MapAccess<'a>>(
        &mut self,
        properties: &'a Properties,
        map: &mut A,
    ) -> Result<Option<Scalar<'a>>, A::Error> {
        self.properties.begin(properties);
        let mut selecting = Selecting { properties, selection: &mut self.properties };
        let scalar = map.next_value_seed(CustomSeed(&mut selecting))?;
        self.properties.end(scalar.is_none());
        Ok(scalar)
    }
}
