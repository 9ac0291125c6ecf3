//! Outcomes: the closed list of what an evaluation can come to, which every provider maps.

use std::fmt;
use std::sync::Arc;

use crate::engine::definitions::Flag;
use crate::engine::identity::AssignmentId;
use crate::engine::variant::{FlagValue, ValueType, Variant};
use crate::events::payload::Fetch;

/// Why an evaluation gave what it gave, in OpenFeature's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The same for everybody, whatever the context: no rule and no chance were involved; or an override.
    Static,
    /// Nothing applied, or the group for everybody after the groups with rules.
    Default,
    /// A tester, or a rollout whose rule matched; every remote answer, which does not say why.
    TargetingMatch,
    /// The bucket decided: another subject could have got something else.
    Split,
    /// The flag is disabled or archived.
    Disabled,
    /// The default was given because something is wrong; the error code says what.
    Error,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Static => "STATIC",
            Reason::Default => "DEFAULT",
            Reason::TargetingMatch => "TARGETING_MATCH",
            Reason::Split => "SPLIT",
            Reason::Disabled => "DISABLED",
            Reason::Error => "ERROR",
        })
    }
}

/// What is wrong when the reason is [`Reason::Error`], in OpenFeature's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No definitions have arrived yet.
    ProviderNotReady,
    /// Mixpanel refused the credentials, and no definitions are held.
    ProviderFatal,
    /// No definition has this key.
    FlagNotFound,
    /// The flag's definition does not fit the model.
    ParseError,
    /// The variant's value has another type than the one asked for.
    TypeMismatch,
    /// The context lacks the key that the flag is bucketed by.
    TargetingKeyMissing,
    /// The context cannot be read.
    InvalidContext,
    /// Anything else.
    General,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorCode::ProviderNotReady => "PROVIDER_NOT_READY",
            ErrorCode::ProviderFatal => "PROVIDER_FATAL",
            ErrorCode::FlagNotFound => "FLAG_NOT_FOUND",
            ErrorCode::ParseError => "PARSE_ERROR",
            ErrorCode::TypeMismatch => "TYPE_MISMATCH",
            ErrorCode::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            ErrorCode::InvalidContext => "INVALID_CONTEXT",
            ErrorCode::General => "GENERAL",
        })
    }
}

/// What an evaluation comes to. Borrowed from the snapshot: nothing is made until somebody asks for it.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    Variant(Assignment<'a>),
    /// Mixpanel decided.
    Remote(&'a RemoteVariant),
    Override(&'a FlagValue),
    NoRolloutMatch,
    Disabled,
    FlagNotFound,
    /// Mixpanel's answer lacks the flag.
    NotAnswered,
    Malformed(&'a str),
    /// The context key that is missing, and whether only a `targetingKey` was given.
    MissingContextKey {
        key: &'a str,
        only_targeting_key: bool,
    },
    InvalidContext(String),
    Unavailable(&'a Unavailable),
    /// A remote evaluation brought no answer.
    Failed(&'a str),
}

/// A user's variant, and how they came to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignment<'a> {
    pub(crate) flag: &'a Arc<Flag>,
    pub(crate) variant: &'a Variant,
    /// Where the variant stands among the flag's.
    pub(crate) index: usize,
    pub(crate) reason: Reason,
    pub(crate) is_qa_tester: bool,
}

/// A variant that Mixpanel assigned.
#[derive(Debug)]
pub(crate) struct RemoteVariant {
    /// Absent where Mixpanel names none.
    pub(crate) key: Option<Box<str>>,
    pub(crate) value: FlagValue,
    pub(crate) experiment_id: Option<Box<str>>,
    pub(crate) is_experiment_active: Option<bool>,
    pub(crate) is_qa_tester: Option<bool>,
    pub(crate) fetch: Fetch,
}

impl RemoteVariant {
    /// Mixpanel does not say by which key it buckets.
    pub(crate) fn id(&self, flag: &str) -> AssignmentId {
        AssignmentId::new(
            flag,
            self.key.as_deref(),
            None,
            self.experiment_id.as_deref(),
            self.is_experiment_active,
        )
    }
}

/// Why there is nothing to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// No definitions yet, and the last fetch's error, if there was one.
    NotReady(Option<String>),
    /// Mixpanel answered 401 or 403.
    CredentialsRefused(u16),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::NotReady(None) => f.write_str("no definitions have been fetched yet"),
            Unavailable::NotReady(Some(error)) => write!(f, "no definitions have been fetched yet: {error}"),
            Unavailable::CredentialsRefused(status) => {
                write!(f, "Mixpanel refused the credentials: HTTP {status}")
            }
        }
    }
}

impl<'a> Outcome<'a> {
    /// The value, if the outcome has one of the type asked for.
    pub(crate) fn value(&self, wanted: ValueType) -> Option<&'a FlagValue> {
        let value = match self {
            Outcome::Variant(assignment) => &assignment.variant.value,
            Outcome::Remote(variant) => &variant.value,
            Outcome::Override(value) => value,
            _ => return None,
        };
        value.reads_as(wanted).then_some(value)
    }

    /// The reason and, where something is wrong, its code, for a read of type `wanted`.
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
            Outcome::NoRolloutMatch => (Reason::Default, None),
            Outcome::Disabled => (Reason::Disabled, None),
            Outcome::FlagNotFound | Outcome::NotAnswered => error(ErrorCode::FlagNotFound),
            Outcome::Malformed(_) => error(ErrorCode::ParseError),
            Outcome::MissingContextKey { .. } => error(ErrorCode::TargetingKeyMissing),
            Outcome::InvalidContext(_) => error(ErrorCode::InvalidContext),
            Outcome::Failed(_) => error(ErrorCode::General),
            Outcome::Unavailable(Unavailable::NotReady(_)) => error(ErrorCode::ProviderNotReady),
            Outcome::Unavailable(Unavailable::CredentialsRefused(_)) => error(ErrorCode::ProviderFatal),
        }
    }

    /// What to tell a person, for flag `key` read as `wanted`; nothing where nothing is wrong.
    pub(crate) fn message(&self, key: &str, wanted: ValueType) -> Option<String> {
        match self {
            Outcome::Variant(assignment) => mismatch(&assignment.variant.value, wanted),
            Outcome::Remote(variant) => mismatch(&variant.value, wanted),
            Outcome::Override(value) => mismatch(value, wanted),
            Outcome::NoRolloutMatch | Outcome::Disabled => None,
            Outcome::FlagNotFound => Some(format!("flag `{key}` is not among the definitions")),
            // The server sends only what the user is in, so the two cannot be told apart.
            Outcome::NotAnswered => Some(format!(
                "Mixpanel's answer has no flag `{key}`: there is none, or the user is in none of its groups"
            )),
            Outcome::Malformed(why) => Some((*why).to_owned()),
            Outcome::MissingContextKey { key, only_targeting_key: false } => {
                Some(format!("the context has no usable `{key}`"))
            }
            Outcome::MissingContextKey { key, only_targeting_key: true } => {
                Some(format!("the context has no usable `{key}`, and targetingKey is not used for it"))
            }
            Outcome::InvalidContext(why) => Some(why.clone()),
            Outcome::Unavailable(why) => Some(why.to_string()),
            Outcome::Failed(why) => Some((*why).to_owned()),
        }
    }
}

fn mismatch(value: &FlagValue, wanted: ValueType) -> Option<String> {
    (!value.reads_as(wanted)).then(|| format!("expected {wanted}, the variant holds {}", value.described()))
}
