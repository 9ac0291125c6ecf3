//! The evaluation context: a JSON object, parsed and folded once, read by any number of evaluations.

mod one_shot;
mod parse;
mod read;
mod recover;
mod scalar;
mod unusable;
mod view;

use std::fmt;
use std::ops::Deref;

use once_cell::race::OnceBox;
use serde::Serialize;

use crate::engine::bucket::{Hash, Subject};
use crate::engine::identity::{DISTINCT_ID, Identity};
use crate::engine::rules::value::Object;
use crate::error::{Error, ErrorKind};
use crate::json::{compact, sort_and_dedup};

pub(crate) use one_shot::{Needs, OneShotContext};
use parse::{Parsed, invalid};
pub(crate) use read::ReadContext;
use recover::recover;
use scalar::User;
pub(crate) use unusable::Unusable;
pub(crate) use view::View;

/// An evaluation context. Immutable: share it between threads freely.
///
/// Made from a JSON object. `distinct_id` names the user, rules see `custom_properties`, and a flag may be
/// bucketed by any top-level key. Rules see the keys and strings of `custom_properties` in lower case.
/// `Context::default()` is the empty context.
///
/// ```
/// let context = mpflags::Context::from_json(r#"{"distinct_id": "user-1", "custom_properties": {"plan": "pro"}}"#)?;
/// # Ok::<(), mpflags::Error>(())
/// ```
#[derive(Default)]
pub struct Context {
    /// Sorted by key.
    subjects: Box<[Named]>,
    user: Option<User<'static>>,
    properties: Option<Object<'static>>,
    unusable: Box<[Unusable]>,
    /// As given, for remote evaluation.
    json: Box<str>,
    /// As seen through the view of the first client that has one.
    viewed: OnceBox<(View, Context)>,
}

/// A top-level value that can be a subject.
#[derive(Debug)]
struct Named {
    key: Box<str>,
    text: Box<str>,
    /// Of the text: the beginning of every bucket's hash.
    hash: Hash,
}

impl Context {
    /// Parses a context.
    ///
    /// Fails with [`ErrorKind::InvalidContext`] if `json` is not a JSON object; the message has the position.
    /// Of two equal keys the later counts. Copies the whole text: make a context once per user or request,
    /// not per evaluation.
    ///
    /// JSON can hold values that cannot be used: a number beyond a double (`1e999`), a lone surrogate,
    /// nesting beyond 127 levels. Such an attribute affects the flags that read it: those bucketed by it,
    /// those with testers if it is `distinct_id`, and those with a rule about it. Their evaluations fail with
    /// INVALID_CONTEXT, and the message names the attribute. Other flags are evaluated as if it were absent.
    /// A remote evaluation sends the whole context, so there every flag fails.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let mut parsed: Parsed<'_> =
            serde_json::from_str(json).or_else(|error| recover(json).ok_or_else(|| invalid(json, &error)))?;
        sort_and_dedup(&mut parsed.subjects);
        let user = parsed.subjects.iter().find(|(key, _)| key == DISTINCT_ID).and_then(|(_, s)| s.user());
        let named = parsed.subjects.iter().filter_map(|(key, scalar)| {
            let text: Box<str> = scalar.text()?.as_ref().into();
            Some(Named { key: key.as_ref().into(), hash: Hash::new().with(&text), text })
        });
        Ok(Context {
            user: user.map(User::into_owned),
            subjects: named.collect(),
            properties: parsed.properties.map(Object::into_owned),
            unusable: parsed.unusable.into(),
            json: json.into(),
            viewed: OnceBox::new(),
        })
    }

    /// The context as compact JSON.
    pub(crate) fn compact_json(&self) -> Box<str> {
        compact(self.json())
    }

    fn json(&self) -> &str {
        if self.json.is_empty() { "{}" } else { &self.json }
    }

    /// The context as a client with `view` sees it. Made once, unless clients with different views share the
    /// context. Fails if the additions nest it too deeply.
    pub(crate) fn through(&self, view: &View) -> Result<Viewed<'_>, Error> {
        let make = || Context::from_json(&view.of(self.json()));
        if self.viewed.get().is_none() {
            // Another thread may have set it meanwhile, to this view or to another.
            let _ = self.viewed.set(Box::new((view.clone(), make()?)));
        }
        match self.viewed.get() {
            Some((known, context)) if known == view => Ok(Viewed::Shared(context)),
            _ => Ok(Viewed::Own(Box::new(make()?))),
        }
    }
}

impl fmt::Debug for Context {
    /// The context as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.json())
    }
}

/// A context seen through a view.
pub(crate) enum Viewed<'a> {
    Shared(&'a Context),
    Own(Box<Context>),
}

impl Deref for Viewed<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        match self {
            Viewed::Shared(context) => context,
            Viewed::Own(context) => context,
        }
    }
}

impl ReadContext for Context {
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
