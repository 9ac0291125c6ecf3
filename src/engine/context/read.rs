//! What an evaluation reads of a context.

use crate::engine::bucket::Subject;
use crate::engine::identity::Identity;
use crate::engine::rules::value::Object;

use super::unusable::Unusable;

pub(crate) trait ReadContext {
    /// The value under `key` as a subject, if it can be one.
    fn subject(&self, key: &str) -> Option<Subject<'_>>;
    /// `distinct_id`, if it can be a subject.
    fn user(&self) -> Option<&Identity<'_>>;
    /// Its text, if it can name a tester.
    fn tester(&self) -> Option<&str>;
    /// `custom_properties`, folded, if it is an object.
    fn properties(&self) -> Option<Object<'_>>;
    /// The attributes that cannot be used, in document order. Nearly always empty.
    fn unusable(&self) -> &[Unusable];
}
