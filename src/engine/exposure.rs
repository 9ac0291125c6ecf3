//! Exposures: which variant was shown to whom, and what makes two exposures the same.

use std::hash::BuildHasher;

use crate::engine::bucket::Hash;
use crate::engine::identity::Identity;
use crate::json::Writer;

/// The experiment that a flag belongs to, if Mixpanel names one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Experiment<S> {
    pub(crate) id: Option<S>,
    pub(crate) is_active: Option<bool>,
}

impl<S: AsRef<str>> Experiment<S> {
    pub(crate) fn as_deref(&self) -> Experiment<&str> {
        Experiment { id: self.id.as_ref().map(AsRef::as_ref), is_active: self.is_active }
    }

    /// Writes the members of a flag's metadata that are about it.
    pub(crate) fn write(&self, json: &mut Writer<'_>) {
        if let Some(id) = &self.id {
            json.field("experiment_id").string(id.as_ref());
        }
        if let Some(active) = self.is_active {
            json.field("is_experiment_active").raw(if active { "true" } else { "false" });
        }
    }
}

/// How long Mixpanel took for a remote evaluation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fetch {
    pub(crate) latency_ms: f64,
    /// UTC, RFC 3339, with milliseconds.
    pub(crate) start: String,
    pub(crate) complete: String,
}

/// What an exposure says about the assigned variant. Borrowed from the evaluation or the flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposure<'a> {
    pub(crate) id: AssignmentId,
    /// As in [`ShownTo`].
    pub(crate) subject: u64,
    pub(crate) flag: &'a str,
    /// `None` where Mixpanel names none.
    pub(crate) variant: Option<&'a str>,
    pub(crate) experiment: Experiment<&'a str>,
    pub(crate) is_qa_tester: Option<bool>,
    /// For remote evaluations.
    pub(crate) fetch: Option<&'a Fetch>,
}

/// Whom an exposure is about: the user, and the bucketed subject.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShownTo<'a> {
    /// `None` if the context has no usable `distinct_id`.
    pub(crate) user: Option<&'a Identity<'a>>,
    /// The hash of the subject, for a flag that is bucketed by another key than `distinct_id`. Otherwise 0:
    /// the user is the subject, or Mixpanel decided and the subject is unknown.
    pub(crate) subject: u64,
    /// The text that was bucketed, if this library did it.
    pub(crate) context_id: Option<&'a str>,
}

/// A hash of everything that an [`Exposure`] says except the tester mark. Computed when the definition is
/// loaded, so that a repeated exposure reads none of it. Equal in every process, because evaluations keep it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AssignmentId(u64);

impl AssignmentId {
    /// `context` is the context key that the flag is bucketed by, `None` where Mixpanel decides.
    pub(crate) fn new(
        flag: &str,
        variant: Option<&str>,
        context: Option<&str>,
        experiment: Experiment<&str>,
    ) -> Self {
        // The length comes before each text, so that no two sequences of texts have the same bytes.
        let with = |hash: Hash, text: &str| hash.with_bytes(&text.len().to_le_bytes()).with(text);
        let with_option = |hash: Hash, text: Option<&str>| match text {
            Some(text) => with(hash.with_bytes(&[1]), text),
            None => hash.with_bytes(&[0]),
        };
        let hash = with_option(with_option(with(Hash::new(), flag), variant), context);
        let hash = with_option(hash, experiment.id);
        AssignmentId(hash.with_bytes(&[known(experiment.is_active)]).state())
    }
}

/// 0 for `None`, otherwise 1 or 2.
fn known(value: Option<bool>) -> u8 {
    value.map_or(0, |value| 1 + u8::from(value))
}

/// Equal for equal exposures: everything that their events say except the time, and the subject.
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
