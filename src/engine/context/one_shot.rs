//! A context that is read for one evaluation, without building a [`Context`](super::Context).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::engine::bucket::Subject;
use crate::engine::identity::{CUSTOM_PROPERTIES, DISTINCT_ID, Identity, TARGETING_KEY};
use crate::engine::rules::Properties;
use crate::engine::rules::text::Folded;
use crate::engine::rules::value::{Object, Value};
use crate::error::Error;
use crate::json::{Checked, TextSeed, sort_and_dedup};

use super::encoded::{Encoded, Read};
use super::parse::{CustomSeed, Keep, Parsed};
use super::read::ReadContext;
use super::scalar::{Scalar, User};
use super::unusable::Unusable;

/// A context for one evaluation of one flag. The whole context is checked, but only what the flag reads is
/// kept: borrowed, and without an allocation if that is little and in lower case.
#[derive(Default)]
pub(crate) struct OneShotContext<'a> {
    subject: Option<Cow<'a, str>>,
    targeting_key: Option<Cow<'a, str>>,
    user: Option<User<'a>>,
    properties: Selection<'a>,
    unusable: Vec<Unusable>,
}

/// What a flag reads of `custom_properties`.
#[derive(Default)]
struct Selection<'a> {
    /// Whether that is an object.
    is_object: bool,
    /// The flag's names if there are few, with the value of each.
    names: &'a [Box<str>],
    few: [Option<Value<'a>>; FEW],
    /// What a flag reads that has more names, or unknown ones.
    many: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// A flag that reads up to this many properties is evaluated without an allocation.
const FEW: usize = 8;

/// What a flag reads of a context.
#[derive(Clone, Copy)]
pub(crate) struct Needs<'f> {
    pub(crate) subject: &'f str,
    pub(crate) properties: &'f Properties,
}

impl<'a> OneShotContext<'a> {
    /// Reads into an empty context, in place: it is too large to move.
    #[inline(never)]
    pub(crate) fn read(&mut self, encoded: Encoded<'a>, needs: Option<Needs<'a>>) -> Result<(), Error> {
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
        OneShotContext {
            subject: needs.and_then(|needs| scalar(needs.subject)?.text()),
            targeting_key: scalar(TARGETING_KEY).and_then(Scalar::text),
            user: scalar(DISTINCT_ID).and_then(Scalar::user),
            properties: Selection {
                is_object: parsed.properties.is_some(),
                many: parsed.properties.unwrap_or_default().into_pairs(),
                ..Selection::default()
            },
            unusable: parsed.unusable,
        }
    }
}

impl Selection<'_> {
    fn object(&self) -> Object<'_> {
        if self.names.is_empty() {
            Object::of_sorted(&self.many)
        } else {
            Object::of_names(self.names, &self.few)
        }
    }
}

/// The selection while it is read.
struct Selecting<'c, 'a> {
    properties: &'a Properties,
    selection: &'c mut Selection<'a>,
}

/// Where a member of the selection is kept.
enum Place<'a> {
    /// Among the few.
    At(usize),
    /// Among the many, under this name.
    Named(Cow<'a, str>),
}

impl<'a> Keep<'a> for Selecting<'_, 'a> {
    type Place = Place<'a>;

    #[inline]
    fn place(&self, name: Cow<'a, str>) -> Option<Place<'a>> {
        let Properties::Only(names) = self.properties else {
            return Some(Place::Named(Folded::new(name).into_cow()));
        };
        let at = Properties::find(names, &name)?;
        if self.selection.names.is_empty() {
            return names.get(at).map(|name| Place::Named(Cow::Borrowed(name)));
        }
        Some(Place::At(at))
    }

    #[inline]
    fn keep(&mut self, place: Place<'a>, value: Value<'a>) {
        match place {
            Place::Named(name) => self.selection.many.push((name, value)),
            Place::At(at) => {
                if let Some(kept) = self.selection.few.get_mut(at) {
                    *kept = Some(value);
                }
            }
        }
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
        self.properties.is_object.then(|| self.properties.object())
    }

    fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }
}

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
                Key::CustomProperties => context.read_properties(needs.properties, &mut map)?,
                _ => Some(map.next_value()?),
            };
            if uses.as_subject {
                context.subject = scalar.as_ref().and_then(Scalar::text);
            }
            match uses.key {
                Key::DistinctId => context.user = scalar.and_then(|scalar| scalar.user()),
                Key::TargetingKey => context.targeting_key = scalar.and_then(|scalar| scalar.text()),
                Key::CustomProperties | Key::Other => {}
            }
        }
        Ok(())
    }
}

/// What an attribute is needed for.
struct Uses {
    key: Key,
    as_subject: bool,
}

enum Key {
    CustomProperties,
    DistinctId,
    TargetingKey,
    Other,
}

impl Uses {
    /// `None` if it is not needed.
    #[inline]
    fn of(key: &str, subject: &str) -> Option<Uses> {
        let as_subject = key == subject;
        let key = match key {
            CUSTOM_PROPERTIES => Key::CustomProperties,
            DISTINCT_ID => Key::DistinctId,
            TARGETING_KEY => Key::TargetingKey,
            _ if as_subject => Key::Other,
            _ => return None,
        };
        Some(Uses { key, as_subject })
    }
}

impl<'a> OneShotContext<'a> {
    /// Reads `custom_properties`. Returns it if it is a scalar.
    fn read_properties<A: MapAccess<'a>>(
        &mut self,
        properties: &'a Properties,
        map: &mut A,
    ) -> Result<Option<Scalar<'a>>, A::Error> {
        let selection = &mut self.properties;
        if selection.is_object {
            // The later of two counts.
            *selection = Selection::default();
        }
        if let Properties::Only(names) = properties
            && names.len() <= FEW
        {
            selection.names = names;
        }
        let scalar = map.next_value_seed(CustomSeed(&mut Selecting { properties, selection }))?;
        sort_and_dedup(&mut selection.many);
        selection.is_object = scalar.is_none();
        Ok(scalar)
    }
}
