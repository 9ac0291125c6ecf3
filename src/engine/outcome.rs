//! Outcomes: everything that an evaluation can result in. Providers map each of them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::engine::definitions::{Flag, FlagSet};
use crate::engine::exposure::{AssignmentId, Experiment, Exposure, Fetch};
use crate::engine::reason::{ErrorCode, Reason};
use crate::engine::variant::{FlagValue, ValueType, Variant};

/// The result of an evaluation. Borrows from the snapshot: values and messages are copied only when they are
/// read.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    Variant(Assignment<'a>),
    /// Assigned by Mixpanel.
    Remote(&'a RemoteVariant),
    Override(&'a FlagValue),
    NoRolloutMatch {
        /// Whether a rollout that admits the user has a rule, and there are no `custom_properties` for it to read.
        no_properties: bool,
    },
    Disabled,
    /// It is not among these.
    FlagNotFound(&'a FlagSet),
    /// Mixpanel's response lacks the flag.
    NotAnswered,
    Malformed(&'a str),
    /// The context key that is missing, and whether the context has a `targetingKey`.
    MissingContextKey {
        key: &'a str,
        only_targeting_key: bool,
    },
    InvalidContext(String),
    Unavailable(&'a Unavailable),
    /// A remote evaluation failed.
    Failed(&'a str),
}

/// The variant that a user gets, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignment<'a> {
    pub(crate) flag: &'a Arc<Flag>,
    /// As in [`Entry::Flag`](crate::engine::definitions::Entry::Flag).
    pub(crate) serial: u64,
    pub(crate) variant: &'a Variant,
    /// The index of the variant in the flag.
    pub(crate) index: usize,
    pub(crate) reason: Reason,
    pub(crate) is_qa_tester: bool,
}

/// A variant that Mixpanel assigned.
#[derive(Debug)]
pub(crate) struct RemoteVariant {
    /// `None` where Mixpanel names none.
    pub(crate) key: Option<Box<str>>,
    pub(crate) value: FlagValue,
    pub(crate) experiment: Experiment<Box<str>>,
    pub(crate) is_qa_tester: Option<bool>,
    pub(crate) fetch: Fetch,
}

impl RemoteVariant {
    pub(crate) fn exposure<'a>(&'a self, flag: &'a str, subject: u64) -> Exposure<'a> {
        let (variant, experiment) = (self.key.as_deref(), self.experiment.as_deref());
        Exposure {
            // Mixpanel does not say which key it buckets by.
            id: AssignmentId::new(flag, variant, None, experiment),
            subject,
            flag,
            variant,
            experiment,
            is_qa_tester: self.is_qa_tester,
            fetch: Some(&self.fetch),
        }
    }
}

/// Why there are no definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Nothing fetches them, because the client was never started.
    NotStarted,
    /// None have been fetched yet. With the error of the last fetch, if it failed.
    NotReady(Option<String>),
    /// Mixpanel's response was a 401 or 403, as described.
    CredentialsRefused(String),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::NotStarted => f.write_str("no definitions: the client is not started"),
            Unavailable::NotReady(None) => f.write_str("no definitions have been fetched yet"),
            Unavailable::NotReady(Some(error)) => write!(f, "no definitions have been fetched yet: {error}"),
            Unavailable::CredentialsRefused(response) => {
                write!(
                    f,
                    "Mixpanel refused the credentials: {response}; check token, service_account and api_host"
                )
            }
        }
    }
}

impl<'a> Outcome<'a> {
    /// The value, if there is one and it can be read as `wanted`.
    pub(crate) fn value(&self, wanted: ValueType) -> Option<&'a FlagValue> {
        let value = match self {
            Outcome::Variant(assignment) => &assignment.variant.value,
            Outcome::Remote(variant) => &variant.value,
            Outcome::Override(value) => value,
            _ => return None,
        };
        value.reads_as(wanted).then_some(value)
    }

    /// The reason and, with ERROR, the error code, if the value is read as `wanted`.
    pub(crate) fn verdict(&self, wanted: ValueType) -> (Reason, Option<ErrorCode>) {
        let error = |code| (Reason::Error, Some(code));
        match self {
            Outcome::Variant(_) | Outcome::Remote(_) | Outcome::Override(_)
                if self.value(wanted).is_none() =>
            {
                error(ErrorCode::TypeMismatch)
            }
            Outcome::Variant(assignment) => (assignment.reason, None),
            Outcome::Remote(_) => (Reason::TargetingMatch, None),
            Outcome::Override(_) => (Reason::Static, None),
            Outcome::NoRolloutMatch { .. } => (Reason::Default, None),
            Outcome::Disabled => (Reason::Disabled, None),
            Outcome::FlagNotFound(_) | Outcome::NotAnswered => error(ErrorCode::FlagNotFound),
            Outcome::Malformed(_) => error(ErrorCode::ParseError),
            Outcome::MissingContextKey { .. } => error(ErrorCode::TargetingKeyMissing),
            Outcome::InvalidContext(_) => error(ErrorCode::InvalidContext),
            Outcome::Failed(_) => error(ErrorCode::General),
            Outcome::Unavailable(Unavailable::NotStarted | Unavailable::NotReady(_)) => {
                error(ErrorCode::ProviderNotReady)
            }
            Outcome::Unavailable(Unavailable::CredentialsRefused(_)) => error(ErrorCode::ProviderFatal),
        }
    }

    /// What an exposure of the variant says, if one was assigned. `subject` is that of
    /// [`ShownTo`](crate::engine::exposure::ShownTo).
    pub(crate) fn exposure<'s>(&'s self, key: &'s str, subject: u64) -> Option<Exposure<'s>> {
        match self {
            Outcome::Variant(Assignment { flag, variant, is_qa_tester, .. }) => {
                Some(flag.exposure(variant, *is_qa_tester, subject))
            }
            Outcome::Remote(variant) => Some(variant.exposure(key, subject)),
            _ => None,
        }
    }

    /// The message for flag `key`, if the value is read as `wanted`: of an error, or why no rule matched, if it can be said.
    pub(crate) fn message(&self, key: &str, wanted: ValueType) -> Option<Cow<'_, str>> {
        match self {
            Outcome::Variant(assignment) => mismatch(&assignment.variant.value, wanted),
            Outcome::Remote(variant) => mismatch(&variant.value, wanted),
            Outcome::Override(value) => mismatch(value, wanted),
            Outcome::NoRolloutMatch { no_properties: true } => Some(NO_PROPERTIES.into()),
            Outcome::NoRolloutMatch { no_properties: false } | Outcome::Disabled => None,
            Outcome::FlagNotFound(flags) => Some(match flags.nearest(key) {
                Some(near) => {
                    format!("flag `{key}` is not among the definitions; did you mean `{near}`?").into()
                }
                None => format!("flag `{key}` is not among the definitions").into(),
            }),
            // The server sends only flags that have a variant for the user, so the two causes look alike.
            Outcome::NotAnswered => {
                let why = "it does not exist, or the user is in none of its rollouts";
                Some(format!("Mixpanel's response has no flag `{key}`: {why}").into())
            }
            Outcome::Malformed(why) | Outcome::Failed(why) => Some((*why).into()),
            Outcome::MissingContextKey { key, only_targeting_key: false } => {
                Some(format!("the context has no usable `{key}`").into())
            }
            Outcome::MissingContextKey { key, only_targeting_key: true } => {
                let instead = "set the option `targeting_key_as` to use targetingKey instead";
                Some(format!("the context has no usable `{key}`; {instead}").into())
            }
            Outcome::InvalidContext(why) => Some(why.into()),
            Outcome::Unavailable(why) => Some(why.to_string().into()),
        }
    }
}

/// Why no rule matches a context without `custom_properties`.
pub(crate) const NO_PROPERTIES: &str = "the context has no custom_properties, the only attributes that rules read; \
                                        set the option `attributes_as_custom_properties` to use the others";

fn mismatch(value: &FlagValue, wanted: ValueType) -> Option<Cow<'static, str>> {
    let message = || format!("expected {wanted}, the variant holds {}", value.described());
    (!value.reads_as(wanted)).then(|| message().into())
}
