//! Who an exposure is about, and what makes it the same as another.

use std::borrow::Cow;
use std::hash::BuildHasher;

use crate::engine::bucket::Hash;
use crate::json::push_json_string;

/// The context key of the user.
pub(crate) const DISTINCT_ID: &str = "distinct_id";

/// `distinct_id` as the context has it: its text, and whether it stood in quotes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) quoted: bool,
}

impl<'a> Identity<'a> {
    /// A user named by a string.
    pub(crate) fn named(text: impl Into<Cow<'a, str>>) -> Self {
        Identity { text: text.into(), quoted: true }
    }

    pub(crate) fn into_owned(self) -> Identity<'static> {
        let Identity { text, quoted } = self;
        Identity { text: Cow::Owned(text.into_owned()), quoted }
    }

    pub(crate) fn push_json(&self, out: &mut String) {
        if self.quoted {
            push_json_string(out, &self.text);
        } else {
            out.push_str(&self.text);
        }
    }
}

/// Who an exposure is about: the user, and the subject that was bucketed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShownTo<'a> {
    /// Nothing where the context has no usable `distinct_id`.
    pub(crate) user: Option<&'a Identity<'a>>,
    /// The hash of the subject's text where a flag buckets by another key than `distinct_id`, otherwise 0: the user says
    /// it then, or Mixpanel has decided and the subject is not known.
    pub(crate) subject: u64,
}

/// What an exposure says of an assignment, the tester mark aside, as a number. Made when a definition is loaded, so that
/// an exposure that repeats reads none of it. The same in every process: an evaluation that is kept holds it too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AssignmentId(u64);

impl AssignmentId {
    /// Of a flag that is bucketed by the context key `context`; by no key where Mixpanel decides.
    pub(crate) fn new(
        flag: &str,
        variant: Option<&str>,
        context: Option<&str>,
        experiment_id: Option<&str>,
        is_experiment_active: Option<bool>,
    ) -> Self {
        // A length before each text, so that no two sequences of texts read alike.
        let with = |hash: Hash, text: &str| hash.with_bytes(&text.len().to_le_bytes()).with(text);
        let with_option = |hash: Hash, text: Option<&str>| match text {
            Some(text) => with(hash.with_bytes(&[1]), text),
            None => hash.with_bytes(&[0]),
        };
        let hash = with_option(with_option(with(Hash::new(), flag), variant), context);
        let hash = with_option(hash, experiment_id);
        AssignmentId(hash.with_bytes(&[known(is_experiment_active)]).state())
    }
}

/// 0 where nothing is known, otherwise 1 or 2.
fn known(value: Option<bool>) -> u8 {
    value.map_or(0, |value| 1 + u8::from(value))
}

/// What makes two exposures the same: all that their events say, and what was bucketed; not the time.
pub(crate) fn exposure_tag(
    hasher: &impl BuildHasher,
    assignment: AssignmentId,
    is_qa_tester: Option<bool>,
    subject: u64,
    user: &Identity<'_>,
) -> u64 {
    let marks = known(is_qa_tester) | u8::from(user.quoted) << 2;
    hasher.hash_one((assignment.0, subject, marks, &*user.text))
}
