//! The evaluation context: what is known about a user, as JSON or in the binary form. It is read and folded
//! once for any number of evaluations, or for a single one just as far as its flag needs.

mod builder;
mod encoded;
mod kept;
mod one_shot;
mod one_shot_read;
mod parse;
mod raw;
mod read;
mod recover;
mod scalar;
mod transcode;
mod unusable;
mod view;

use std::fmt;
use std::ops::Deref;

use once_cell::race::{OnceBool, OnceBox};
use serde::Serialize;

use crate::error::{Error, ErrorKind};

pub use builder::{ContextBuilder, ContextValue};
pub use encoded::Encoded;
pub(crate) use kept::KeptContext;
pub(crate) use one_shot::{Needs, OneShotContext};
pub(crate) use read::ReadContext;
#[cfg(feature = "arrow")]
pub(crate) use scalar::{Scalar, User};
pub(crate) use unusable::Unusable;
pub(crate) use view::View;

/// An evaluation context. Immutable: share it between threads freely.
///
/// `distinct_id` names the user, rules see `custom_properties`, and a flag may be bucketed by any top-level key.
/// Rules see the keys and strings of `custom_properties` in lower case. `Context::default()` is the empty
/// context.
///
/// ```
/// use mpflags::Context;
///
/// let context = Context::builder().set("distinct_id", "user-1").property("plan", "pro").build()?;
/// let same = Context::from_json(r#"{"distinct_id": "user-1", "custom_properties": {"plan": "pro"}}"#)?;
/// # Ok::<(), mpflags::Error>(())
/// ```
#[derive(Default)]
pub struct Context {
    /// As given.
    text: Text,
    /// Whether it was evaluated before it was read.
    evaluated: OnceBool,
    /// Read at once, unless it comes from a builder: then at the second evaluation, so that a context that is
    /// used once costs no more than one that is given with the call.
    kept: OnceBox<KeptContext>,
    /// As seen through the view of the first client that has one.
    viewed: OnceBox<(View, Context)>,
}

#[derive(Debug, Default)]
enum Text {
    #[default]
    Empty,
    Json(Box<str>),
    Binary(Vec<u8>),
}

/// A context on its way into an evaluation.
pub(crate) enum Look<'a> {
    Kept(&'a KeptContext),
    /// It is evaluated for the first time, and reading it for this evaluation alone is cheaper.
    Once(Encoded<'a>),
}

impl Context {
    /// Starts a context that is made attribute by attribute, without JSON.
    pub fn builder() -> ContextBuilder {
        ContextBuilder::default()
    }

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
        let kept = KeptContext::read(Encoded::Json(json))?;
        Ok(Context { kept: OnceBox::with_value(Box::new(kept)), ..Context::unread(Text::Json(json.into())) })
    }

    /// Reads a context of either form, as [`Context::from_json`] does.
    pub(crate) fn from_encoded(encoded: Encoded<'_>) -> Result<Self, Error> {
        match encoded {
            Encoded::Json(json) => Context::from_json(json),
            Encoded::Binary(form) => {
                let kept = KeptContext::read(encoded)?;
                let text = Text::Binary(form.to_vec());
                Ok(Context { kept: OnceBox::with_value(Box::new(kept)), ..Context::unread(text) })
            }
        }
    }

    fn unread(text: Text) -> Self {
        Context { text, ..Context::default() }
    }

    fn encoded(&self) -> Encoded<'_> {
        match &self.text {
            Text::Empty => Encoded::EMPTY,
            Text::Json(json) => Encoded::Json(json),
            Text::Binary(form) => Encoded::Binary(form),
        }
    }

    /// The context as compact JSON.
    pub(crate) fn compact_json(&self) -> Box<str> {
        transcode::compact_json(self.encoded())
    }

    /// The context for one evaluation.
    #[inline]
    pub(crate) fn look(&self) -> Look<'_> {
        match self.kept.get() {
            Some(kept) => Look::Kept(kept),
            None if self.evaluated.set(true).is_ok() => Look::Once(self.encoded()),
            None => Look::Kept(self.kept()),
        }
    }

    /// The context for any number of evaluations.
    pub(crate) fn kept(&self) -> &KeptContext {
        // What a builder wrote can be read.
        self.kept.get_or_init(|| Box::new(KeptContext::read(self.encoded()).unwrap_or_default()))
    }

    /// The context as a client with `view` sees it. Made once, unless clients with different views share the
    /// context. Fails if the additions nest it too deeply.
    pub(crate) fn through(&self, view: &View) -> Result<Viewed<'_>, Error> {
        let make = || Context::from_encoded(view.of(self.encoded()).encoded());
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
        match &self.text {
            Text::Json(json) => write!(f, "Context({json})"),
            Text::Empty | Text::Binary(_) => write!(f, "Context({})", self.compact_json()),
        }
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

impl ContextBuilder {
    /// Makes the context. The builder is empty afterwards, and can be used again.
    ///
    /// Fails with [`ErrorKind::InvalidContext`] after a mistake; the message names the attribute.
    pub fn build(&mut self) -> Result<Context, Error> {
        Ok(Context::unread(Text::Binary(self.take()?)))
    }
}
