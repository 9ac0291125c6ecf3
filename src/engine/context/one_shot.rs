//! A context that is read for one evaluation, without building a [`Context`](super::Context).

use std::borrow::Cow;

use crate::engine::bucket::Subject;
use crate::engine::identity::{CUSTOM_PROPERTIES, DISTINCT_ID, Identity, TARGETING_KEY};
use crate::engine::rules::Properties;
use crate::engine::rules::text::Folded;
use crate::engine::rules::value::{Object, Value};
use crate::json::sort_and_dedup;

use super::parse::{Keep, Parsed};
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
    pub(super) properties: Selection<'a>,
    unusable: Vec<Unusable>,
}

/// What a flag reads of `custom_properties`.
#[derive(Default)]
pub(super) struct Selection<'a> {
    /// Whether that is an object.
    pub(super) is_object: bool,
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
    /// Takes what is needed of a context that holds something unusable.
    #[cold]
    pub(super) fn recovered(parsed: Parsed<'a>, needs: Option<Needs<'_>>) -> Self {
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

impl<'a> Selection<'a> {
    /// Begins to read the `custom_properties` of which the flag reads these. Of two the later counts.
    pub(super) fn begin(&mut self, properties: &'a Properties) {
        if self.is_object {
            *self = Selection::default();
        }
        if let Properties::Only(names) = properties {
            if names.len() <= FEW {
                self.names = names;
            }
        }
    }

    /// Ends it. `is_object`: whether they are an object.
    pub(super) fn end(&mut self, is_object: bool) {
        sort_and_dedup(&mut self.many);
        self.is_object = is_object;
    }

    fn object(&self) -> Object<'_> {
        if self.names.is_empty() {
            Object::of_sorted(&self.many)
        } else {
            Object::of_names(self.names, &self.few)
        }
    }
}

/// The selection while it is read.
pub(super) struct Selecting<'c, 'a> {
    pub(super) properties: &'a Properties,
    pub(super) selection: &'c mut Selection<'a>,
}

/// Where a member of the selection is kept.
pub(super) enum Place<'a> {
    /// Among the few.
    At(usize),
    /// Among the many, under this name.
    Named(Cow<'a, str>),
}

impl<'a> Keep<'a> for Selecting<'_, 'a> {
    type Place = Place<'a>;

    #[inline(always)]
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

/// What an attribute is needed for.
pub(super) struct Uses {
    pub(super) key: Attribute,
    as_subject: bool,
}

pub(super) enum Attribute {
    CustomProperties,
    DistinctId,
    TargetingKey,
    Other,
}

impl Uses {
    /// `None` if it is not needed.
    #[inline]
    pub(super) fn of(key: &str, subject: &str) -> Option<Uses> {
        let as_subject = key == subject;
        let key = match key {
            CUSTOM_PROPERTIES => Attribute::CustomProperties,
            DISTINCT_ID => Attribute::DistinctId,
            TARGETING_KEY => Attribute::TargetingKey,
            _ if as_subject => Attribute::Other,
            _ => return None,
        };
        Some(Uses { key, as_subject })
    }
}

impl<'a> OneShotContext<'a> {
    /// Keeps the value of an attribute.
    pub(super) fn keep(&mut self, uses: &Uses, scalar: Option<Scalar<'a>>) {
        if uses.as_subject {
            self.subject = scalar.as_ref().and_then(Scalar::text);
        }
        match uses.key {
            Attribute::DistinctId => self.user = scalar.and_then(|scalar| scalar.user()),
            Attribute::TargetingKey => self.targeting_key = scalar.and_then(|scalar| scalar.text()),
            Attribute::CustomProperties | Attribute::Other => {}
        }
    }
}
