//! The evaluation context: a JSON object, parsed once, folded once, read by any number of evaluations.

mod scalar;
mod unusable;
mod view;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use once_cell::race::OnceBox;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::engine::bucket::{Hash, Subject};
use crate::engine::identity::{CUSTOM_PROPERTIES, DISTINCT_ID, Identity, TARGETING_KEY};
use crate::engine::rules::Properties;
use crate::engine::rules::value::{Folded, Object, fold};
use crate::error::{Error, ErrorKind};
use crate::json::{Checked, Text, compact, json_kind, place, plain};

use scalar::{Scalar, ScalarVisitor};
pub(crate) use unusable::Unusable;
pub(crate) use view::View;

/// What an evaluation asks of a context.
pub(crate) trait Facts {
    /// `context[key]` as a subject; nothing where it is unusable.
    fn subject(&self, key: &str) -> Option<Subject<'_>>;
    /// `context["distinct_id"]`, where it can be a subject.
    fn user(&self) -> Option<&Identity<'_>>;
    /// Its text, where a tester may be called so.
    fn tester(&self) -> Option<&str>;
    /// `context["custom_properties"]`, folded, if it is an object.
    fn properties(&self) -> Option<&Object<'_>>;
    /// What the context holds and cannot be used, in its order; nearly always nothing.
    fn unusable(&self) -> &[Unusable];
}

/// An evaluation context. Immutable; share it between threads freely.
///
/// Made from a JSON object. `distinct_id` names the user, `custom_properties` is what rules see, and a flag may be
/// bucketed by any other top-level key. Rules see the keys and strings of `custom_properties` in lower case.
/// `Context::default()` is the empty context.
///
/// ```
/// let context = mpflags::Context::from_json(r#"{"distinct_id": "user-1", "custom_properties": {"plan": "pro"}}"#)?;
/// # Ok::<(), mpflags::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Context {
    /// Sorted by key.
    subjects: Box<[Named]>,
    user: Option<User<'static>>,
    properties: Option<Object<'static>>,
    unusable: Box<[Unusable]>,
    /// As it came, for Mixpanel to evaluate.
    json: Box<str>,
    /// As the first client with a view sees it.
    seen: OnceBox<(View, Context)>,
}

/// The user, and whether a tester may be called so.
#[derive(Debug)]
struct User<'a> {
    identity: Identity<'a>,
    names_tester: bool,
}

impl User<'_> {
    fn into_owned(self) -> User<'static> {
        User { identity: self.identity.into_owned(), names_tester: self.names_tester }
    }

    fn tester(&self) -> Option<&str> {
        self.names_tester.then_some(&*self.identity.text)
    }
}

/// A top-level value that can be a subject.
#[derive(Debug)]
struct Named {
    key: Box<str>,
    text: Box<str>,
    /// Of the text: what a bucket's hash begins with.
    hash: Hash,
}

impl Context {
    /// Parses a context.
    ///
    /// Fails with [`ErrorKind::InvalidContext`] when `json` is not a JSON object; the error says where. Of two equal keys the
    /// later one counts. Copies the whole text: make it once per user or request, not per evaluation.
    ///
    /// JSON can hold what cannot be used: a number beyond a double (`1e999`), a lone surrogate, nesting beyond 127 levels. It
    /// spoils what reads it: a flag that is bucketed by it, a flag with testers if it is the `distinct_id`, a flag with a rule
    /// about it. Those give INVALID_CONTEXT, which names the attribute; the other flags are evaluated as if it were not there.
    /// A remote evaluation sends the whole context, so there every flag gives INVALID_CONTEXT.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let parsed = Parsed::read(json)?;
        let user =
            parsed.subjects.iter().rev().find(|(key, _)| key == DISTINCT_ID).and_then(|(_, s)| s.user());
        let mut subjects = parsed.subjects;
        // Stable, so the later of two equal keys is the one that a search from the end finds first.
        subjects.sort_by(|a, b| a.0.cmp(&b.0));
        subjects.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(&mut later.1, &mut kept.1);
            }
            same
        });
        let named = subjects.iter().filter_map(|(key, scalar)| {
            let text: Box<str> = scalar.text()?.as_ref().into();
            Some(Named { key: key.as_ref().into(), hash: Hash::new().with(&text), text })
        });
        Ok(Context {
            user: user.map(User::into_owned),
            subjects: named.collect(),
            properties: parsed.properties.map(Object::into_owned),
            unusable: parsed.unusable.into(),
            json: json.into(),
            seen: OnceBox::new(),
        })
    }

    /// The context as compact JSON.
    pub(crate) fn compact_json(&self) -> Box<str> {
        compact(self.json())
    }

    fn json(&self) -> &str {
        if self.json.is_empty() { "{}" } else { &self.json }
    }

    /// The context as a client with this view sees it: made once, unless clients with several views share it. Fails when
    /// what is added nests it too deeply.
    pub(crate) fn seen_through(&self, view: &View) -> Result<Seen<'_>, Error> {
        let make = || Context::from_json(&view.of(self.json()));
        if self.seen.get().is_none() {
            // Another thread may be first, with this view or another.
            let _ = self.seen.set(Box::new((view.clone(), make()?)));
        }
        match self.seen.get() {
            Some((known, context)) if known == view => Ok(Seen::Kept(context)),
            _ => Ok(Seen::Made(Box::new(make()?))),
        }
    }
}

/// A context through a view.
pub(crate) enum Seen<'a> {
    Kept(&'a Context),
    Made(Box<Context>),
}

impl Deref for Seen<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        match self {
            Seen::Kept(context) => context,
            Seen::Made(context) => context,
        }
    }
}

impl Facts for Context {
    fn subject(&self, key: &str) -> Option<Subject<'_>> {
        let at = self.subjects.binary_search_by(|named| named.key.as_ref().cmp(key)).ok()?;
        self.subjects.get(at).map(|named| Subject::new(&named.text, Some(named.hash)))
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

/// A context read for one flag: the whole text is checked, and only what this flag reads is kept.
#[derive(Default)]
pub(crate) struct Glance<'a> {
    subject: Option<Cow<'a, str>>,
    targeting_key: Option<Cow<'a, str>>,
    user: Option<User<'a>>,
    properties: Option<Object<'a>>,
    unusable: Vec<Unusable>,
}

/// What a flag reads.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'f> {
    pub(crate) subject: &'f str,
    pub(crate) properties: &'f Properties,
}

impl<'a> Glance<'a> {
    pub(crate) fn parse(json: &'a str, wanted: Option<Wanted<'_>>) -> Result<Self, Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        GlanceSeed(wanted)
            .deserialize(&mut deserializer)
            .and_then(|glance| deserializer.end().map(|()| glance))
            .or_else(|error| Glance::read_again(json, wanted).ok_or_else(|| invalid(json, &error)))
    }

    /// The same for a context that holds what cannot be used.
    #[cold]
    fn read_again(json: &'a str, wanted: Option<Wanted<'_>>) -> Option<Self> {
        let parsed = unusable::parse(json)?;
        let scalar =
            |name: &str| parsed.subjects.iter().find(|(key, _)| key == name).map(|(_, scalar)| scalar);
        Some(Glance {
            subject: wanted.and_then(|wanted| scalar(wanted.subject)?.text()),
            targeting_key: scalar(TARGETING_KEY).and_then(Scalar::text),
            user: scalar(DISTINCT_ID).and_then(Scalar::user),
            properties: parsed.properties,
            unusable: parsed.unusable,
        })
    }
}

/// The subject asked for is the flag's own: a glance holds no other, `targetingKey` aside.
impl Facts for Glance<'_> {
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

/// Says where the context is broken, by the path of its keys.
fn invalid(json: &str, first: &serde_json::Error) -> Error {
    if !json.trim_start().starts_with('{') {
        // Not left to serde_json, which would quote what may be a user's name.
        let message = format!("context: expected a JSON object, found {}", json_kind(json));
        return Error::new(ErrorKind::InvalidContext, message);
    }
    let message = match place(json, first) {
        Some(place) => format!("context: {place}: {}", plain(first)),
        None => format!("context: {}", plain(first)),
    };
    Error::new(ErrorKind::InvalidContext, message)
}

/// A whole context, as read.
struct Parsed<'a> {
    /// In document order.
    subjects: Vec<(Cow<'a, str>, Scalar<'a>)>,
    properties: Option<Object<'a>>,
    unusable: Vec<Unusable>,
}

impl<'a> Parsed<'a> {
    fn read(json: &'a str) -> Result<Self, Error> {
        serde_json::from_str(json).or_else(|error| unusable::parse(json).ok_or_else(|| invalid(json, &error)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parsed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParsedVisitor;
        impl<'de> Visitor<'de> for ParsedVisitor {
            type Value = Parsed<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parsed = Parsed { subjects: Vec::new(), properties: None, unusable: Vec::new() };
                while let Some(Text(key)) = map.next_key()? {
                    if key != CUSTOM_PROPERTIES {
                        parsed.subjects.push((key, map.next_value()?));
                        continue;
                    }
                    let custom = map.next_value_seed(CustomSeed(None))?;
                    parsed.subjects.push((key, custom.scalar));
                    parsed.properties = custom.properties;
                }
                Ok(parsed)
            }
        }
        deserializer.deserialize_map(ParsedVisitor)
    }
}

struct GlanceSeed<'f>(Option<Wanted<'f>>);

impl<'de> DeserializeSeed<'de> for GlanceSeed<'_> {
    type Value = Glance<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Glance<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for GlanceSeed<'_> {
    type Value = Glance<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Glance<'de>, A::Error> {
        let mut glance = Glance::default();
        while let Some(Text(key)) = map.next_key()? {
            let Some(wanted) = self.0 else {
                map.next_value::<Checked>()?;
                continue;
            };
            if key == CUSTOM_PROPERTIES {
                let custom = map.next_value_seed(CustomSeed(Some(wanted.properties)))?;
                glance.properties = custom.properties;
                if key == wanted.subject {
                    glance.subject = custom.scalar.text();
                }
            } else if key == wanted.subject || key == DISTINCT_ID || key == TARGETING_KEY {
                let scalar: Scalar<'de> = map.next_value()?;
                if key == DISTINCT_ID {
                    glance.user = scalar.user();
                }
                if key == TARGETING_KEY {
                    glance.targeting_key = scalar.text();
                }
                if key == wanted.subject {
                    glance.subject = scalar.text();
                }
            } else {
                map.next_value::<Checked>()?;
            }
        }
        Ok(glance)
    }
}

/// `custom_properties`: an object for rules, or a scalar that a flag may be bucketed by as by any other key's.
struct Custom<'a> {
    scalar: Scalar<'a>,
    properties: Option<Object<'a>>,
}

/// Reads `custom_properties`, keeping what the rules of one flag read, or everything.
struct CustomSeed<'f>(Option<&'f Properties>);

impl<'de> DeserializeSeed<'de> for CustomSeed<'_> {
    type Value = Custom<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> From<Scalar<'de>> for Custom<'de> {
    fn from(scalar: Scalar<'de>) -> Self {
        Custom { scalar, properties: None }
    }
}

impl<'de> Visitor<'de> for CustomSeed<'_> {
    type Value = Custom<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ScalarVisitor.expecting(f)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        ScalarVisitor.visit_unit().map(Custom::from)
    }

    fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<Self::Value, E> {
        ScalarVisitor.visit_bool(v).map(Custom::from)
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_i64(v).map(Custom::from)
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_u64(v).map(Custom::from)
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Self::Value, E> {
        ScalarVisitor.visit_f64(v).map(Custom::from)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, v: &'de str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_borrowed_str(v).map(Custom::from)
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Self::Value, E> {
        ScalarVisitor.visit_str(v).map(Custom::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        ScalarVisitor.visit_seq(seq).map(Custom::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::with_capacity(self.0.map_or(0, Properties::count));
        while let Some(Text(key)) = map.next_key()? {
            let key = fold(key);
            if self.0.is_none_or(|wanted| wanted.includes(&key)) {
                let Folded(value) = map.next_value()?;
                pairs.push((key, value));
            } else {
                map.next_value::<Checked>()?;
            }
        }
        Ok(Custom { scalar: Scalar::Unusable, properties: Some(Object::from_pairs(pairs)) })
    }
}

impl Context {
    /// Makes a context of anything that serializes to a JSON object: a struct of the program's own, a map, or
    /// `serde_json::json!({…})`.
    ///
    /// ```
    /// #[derive(serde::Serialize)]
    /// struct User<'a> {
    ///     distinct_id: &'a str,
    /// }
    ///
    /// let context = mpflags::Context::new(&User { distinct_id: "user-1" })?;
    /// # Ok::<(), mpflags::Error>(())
    /// ```
    ///
    /// Fails with [`ErrorKind::InvalidContext`] when the attributes do not serialize, or not to an object.
    /// [`Context::from_json`] takes text that is JSON already.
    pub fn new(attributes: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let json = serde_json::to_string(attributes)
            .map_err(|e| Error::new(ErrorKind::InvalidContext, format!("context: {e}")))?;
        Context::from_json(&json)
    }
}
