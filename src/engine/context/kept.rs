//! A context that was read and folded once, for any number of evaluations.

use crate::engine::bucket::{Hash, Subject};
use crate::engine::identity::{DISTINCT_ID, Identity};
use crate::engine::rules::value::Object;
use crate::error::Error;
use crate::json::sort_and_dedup;

use super::encoded::Encoded;
use super::read::ReadContext;
use super::scalar::User;
use super::unusable::Unusable;

#[derive(Debug, Default)]
pub(crate) struct KeptContext {
    /// Sorted by key.
    subjects: Box<[Named]>,
    user: Option<User<'static>>,
    properties: Option<Object<'static>>,
    unusable: Box<[Unusable]>,
}

/// A top-level value that can be a subject.
#[derive(Debug)]
struct Named {
    key: Box<str>,
    text: Box<str>,
    /// Of the text: the beginning of every bucket's hash.
    hash: Hash,
}

impl KeptContext {
    pub(super) fn read(encoded: Encoded<'_>) -> Result<Self, Error> {
        let mut parsed = encoded.parse()?;
        sort_and_dedup(&mut parsed.subjects);
        let user = parsed.subjects.iter().find(|(key, _)| key == DISTINCT_ID).and_then(|(_, s)| s.user());
        let named = parsed.subjects.iter().filter_map(|(key, scalar)| {
            let text: Box<str> = scalar.text()?.as_ref().into();
            Some(Named { key: key.as_ref().into(), hash: Hash::new().with(&text), text })
        });
        Ok(KeptContext {
            user: user.map(User::into_owned),
            subjects: named.collect(),
            properties: parsed.properties.map(Object::into_owned),
            unusable: parsed.unusable.into(),
        })
    }
}

impl ReadContext for KeptContext {
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

    fn properties(&self) -> Option<Object<'_>> {
        self.properties.as_ref().map(Object::reborrow)
    }

    fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }
}
