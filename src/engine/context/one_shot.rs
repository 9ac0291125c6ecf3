//! A context that is read for one evaluation, without building a [`Context`](super::Context).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::engine::bucket::Subject;
use crate::engine::identity::{CUSTOM_PROPERTIES, DISTINCT_ID, Identity, TARGETING_KEY};
use crate::engine::rules::Properties;
use crate::engine::rules::value::Object;
use crate::error::Error;
use crate::json::{Checked, Text};

use super::parse::{CustomSeed, invalid};
use super::read::ReadContext;
use super::recover::recover;
use super::scalar::{Scalar, User};
use super::unusable::Unusable;

/// A context for one evaluation of one flag. The whole text is checked, but only what the flag reads is kept.
#[derive(Default)]
pub(crate) struct OneShotContext<'a> {
    subject: Option<Cow<'a, str>>,
    targeting_key: Option<Cow<'a, str>>,
    user: Option<User<'a>>,
    properties: Option<Object<'a>>,
    unusable: Vec<Unusable>,
}

/// What a flag reads of a context.
#[derive(Clone, Copy)]
pub(crate) struct Needs<'f> {
    pub(crate) subject: &'f str,
    pub(crate) properties: &'f Properties,
}

impl<'a> OneShotContext<'a> {
    pub(crate) fn parse(json: &'a str, needs: Option<Needs<'_>>) -> Result<Self, Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        OneShotContextSeed(needs)
            .deserialize(&mut deserializer)
            .and_then(|context| deserializer.end().map(|()| context))
            .or_else(|error| OneShotContext::recovered(json, needs).ok_or_else(|| invalid(json, &error)))
    }

    /// Reads a context that holds something unusable.
    #[cold]
    fn recovered(json: &'a str, needs: Option<Needs<'_>>) -> Option<Self> {
        let parsed = recover(json)?;
        let scalar =
            |name: &str| parsed.subjects.iter().find(|(key, _)| key == name).map(|(_, scalar)| scalar);
        Some(OneShotContext {
            subject: needs.and_then(|needs| scalar(needs.subject)?.text()),
            targeting_key: scalar(TARGETING_KEY).and_then(Scalar::text),
            user: scalar(DISTINCT_ID).and_then(Scalar::user),
            properties: parsed.properties,
            unusable: parsed.unusable,
        })
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

    fn properties(&self) -> Option<&Object<'_>> {
        self.properties.as_ref()
    }

    fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }
}

struct OneShotContextSeed<'f>(Option<Needs<'f>>);

impl<'de> DeserializeSeed<'de> for OneShotContextSeed<'_> {
    type Value = OneShotContext<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<OneShotContext<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneShotContextSeed<'_> {
    type Value = OneShotContext<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneShotContext<'de>, A::Error> {
        let mut context = OneShotContext::default();
        while let Some(Text(key)) = map.next_key()? {
            let Some(needs) = self.0 else {
                map.next_value::<Checked>()?;
                continue;
            };
            if key == CUSTOM_PROPERTIES {
                let custom = map.next_value_seed(CustomSeed(Some(needs.properties)))?;
                context.properties = custom.properties;
                if key == needs.subject {
                    context.subject = custom.scalar.text();
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
        Ok(context)
    }
}
