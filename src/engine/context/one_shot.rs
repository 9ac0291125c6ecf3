//! A context that is read for one evaluation, without building a [`Context`](super::Context).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::engine::bucket::Subject;
use crate::engine::identity::{CUSTOM_PROPERTIES, DISTINCT_ID, Identity, TARGETING_KEY};
use crate::engine::rules::Properties;
use crate::engine::rules::value::{Gathered, Object};
use crate::error::Error;
use crate::json::{Checked, Text};

use super::encoded::{Encoded, Read};
use super::parse::{CustomSeed, Parsed};
use super::read::ReadContext;
use super::scalar::{Scalar, User};
use super::unusable::Unusable;

/// A context for one evaluation of one flag. The whole context is checked, but only what the flag reads is
/// kept: borrowed, and without an allocation if that is little and needs no folding.
#[derive(Default)]
pub(crate) struct OneShotContext<'a> {
    subject: Option<Cow<'a, str>>,
    targeting_key: Option<Cow<'a, str>>,
    user: Option<User<'a>>,
    /// Whether `custom_properties` is an object.
    has_properties: bool,
    properties: Gathered<'a>,
    unusable: Vec<Unusable>,
}

/// What a flag reads of a context.
#[derive(Clone, Copy)]
pub(crate) struct Needs<'f> {
    pub(crate) subject: &'f str,
    pub(crate) properties: &'f Properties,
}

impl<'a> OneShotContext<'a> {
    /// Reads into an empty context, in place: it is too large to move.
    pub(crate) fn read(&mut self, encoded: Encoded<'a>, needs: Option<Needs<'_>>) -> Result<(), Error> {
        match encoded.read(OneShotSeed { context: self, needs })? {
            Read::Whole(()) => {}
            Read::Recovered(parsed) => *self = OneShotContext::recovered(parsed, needs),
        }
        Ok(())
    }

    /// Takes what is needed of a context that holds something unusable.
    #[cold]
    fn recovered(parsed: Parsed<'a>, needs: Option<Needs<'_>>) -> Self {
        let scalar =
            |name: &str| parsed.subjects.iter().find(|(key, _)| key == name).map(|(_, scalar)| scalar);
        let mut context = OneShotContext {
            subject: needs.and_then(|needs| scalar(needs.subject)?.text()),
            targeting_key: scalar(TARGETING_KEY).and_then(Scalar::text),
            user: scalar(DISTINCT_ID).and_then(Scalar::user),
            has_properties: parsed.properties.is_some(),
            properties: Gathered::default(),
            unusable: parsed.unusable,
        };
        for (key, value) in parsed.properties.map_or_else(Vec::new, Object::into_pairs) {
            context.properties.push(key, value);
        }
        context.properties.finish();
        context
    }
}

/// `subject` is called with the flag's own key, or `targetingKey`: nothing else is kept.
impl ReadContext for OneShotContext<'_> {
    fn subject(&self, key: &str) -> Option<Subject<'_>> {
        let targeting_key = self.targeting_key.as_ref().filter(|_| key == TARGETING_KEY);
        targeting_key.or(self.subject.as_ref()).map(|text| Subject::new(text, None))
    }

    fn user(&self) -> Option<&Identity<'_>> {
        self.user.as_ref().map(|user| &user.identity)
    }

    fn tester(&self) -> Option<&str> {
        self.user.as_ref()?.tester()
    }

    fn properties(&self) -> Option<Object<'_>> {
        self.has_properties.then(|| self.properties.object())
    }

    fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }
}

struct OneShotSeed<'c, 'f, 'a> {
    context: &'c mut OneShotContext<'a>,
    needs: Option<Needs<'f>>,
}

impl<'de> DeserializeSeed<'de> for OneShotSeed<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneShotSeed<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let context = self.context;
        while let Some(Text(key)) = map.next_key()? {
            let Some(needs) = self.needs else {
                map.next_value::<Checked>()?;
                continue;
            };
            if key == CUSTOM_PROPERTIES {
                // The later of two counts.
                context.properties.clear();
                let gathered = &mut context.properties;
                let keep = |name, value| gathered.push(name, value);
                let scalar = map.next_value_seed(CustomSeed { wanted: needs.properties, keep })?;
                context.properties.finish();
                context.has_properties = scalar.is_none();
                if key == needs.subject {
                    context.subject = scalar.and_then(|scalar| scalar.text());
                }
            } else if key == needs.subject || key == DISTINCT_ID || key == TARGETING_KEY {
                let scalar: Scalar<'de> = map.next_value()?;
                if key == DISTINCT_ID {
                    context.user = scalar.user();
                }
                if key == TARGETING_KEY {
                    context.targeting_key = scalar.text();
                }
                if key == needs.subject {
                    context.subject = scalar.text();
                }
            } else {
                map.next_value::<Checked>()?;
            }
        }
        Ok(())
    }
}
