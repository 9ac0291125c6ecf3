//! Reasons and error codes, in OpenFeature's terms.

use std::fmt;

/// Why an evaluation has its result, in OpenFeature's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The same for every context: neither a rule nor a percentage was involved. Also used for overrides.
    Static,
    /// No rollout admitted the user, or one without a rule did after those with rules had not.
    Default,
    /// The user is a QA tester, or a rollout's rule matched. Also every remote evaluation: Mixpanel does not
    /// say why.
    TargetingMatch,
    /// The bucket decided: another subject could have a different result.
    Split,
    /// The flag is disabled or archived.
    Disabled,
    /// The flag could not be evaluated; the error code says why.
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

/// What went wrong when the reason is [`Reason::Error`], in OpenFeature's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No definitions have arrived yet.
    ProviderNotReady,
    /// Mixpanel refused the credentials, and there are no definitions.
    ProviderFatal,
    /// There is no flag with this key. For a remote client also: the user is not in the flag.
    FlagNotFound,
    /// The flag's definition is malformed.
    ParseError,
    /// The variant's value is not of the requested type.
    TypeMismatch,
    /// The context has no usable value under the key that the flag is bucketed by.
    TargetingKeyMissing,
    /// The context cannot be read, or the flag reads an attribute that cannot be used.
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
