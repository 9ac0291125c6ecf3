//! The accessors of an evaluation.

use mpflags_core::{ErrorCode, Evaluation, Reason, ValueKind};

use crate::guard;
use crate::handle;
use crate::strings::mpflags_str;

/// The outcome of one flag for one context. Immutable. It owns everything that its accessors return, and does
/// not keep the definitions in memory.
pub struct mpflags_evaluation(Evaluation);

const _: () = handle::shared::<mpflags_evaluation>();

impl mpflags_evaluation {
    pub(crate) fn core(&self) -> &Evaluation {
        &self.0
    }
}

impl From<Evaluation> for mpflags_evaluation {
    fn from(evaluation: Evaluation) -> Self {
        mpflags_evaluation(evaluation)
    }
}

/// There is no value: use your default.
pub const MPFLAGS_KIND_NONE: i32 = 0;
/// `true` or `false`.
pub const MPFLAGS_KIND_BOOLEAN: i32 = 1;
/// A string.
pub const MPFLAGS_KIND_STRING: i32 = 2;
/// An integer that fits `int64_t`.
pub const MPFLAGS_KIND_INT64: i32 = 3;
/// Any other number.
pub const MPFLAGS_KIND_DOUBLE: i32 = 4;
/// A JSON object.
pub const MPFLAGS_KIND_OBJECT: i32 = 5;
/// A JSON array.
pub const MPFLAGS_KIND_ARRAY: i32 = 6;
/// JSON null.
pub const MPFLAGS_KIND_NULL: i32 = 7;

fn kind_of(kind: ValueKind) -> Option<i32> {
    Some(match kind {
        ValueKind::Boolean => MPFLAGS_KIND_BOOLEAN,
        ValueKind::String => MPFLAGS_KIND_STRING,
        ValueKind::Integer => MPFLAGS_KIND_INT64,
        ValueKind::Double => MPFLAGS_KIND_DOUBLE,
        ValueKind::Object => MPFLAGS_KIND_OBJECT,
        ValueKind::Array => MPFLAGS_KIND_ARRAY,
        ValueKind::Null => MPFLAGS_KIND_NULL,
        _ => return None,
    })
}

/// Returns the name of the JSON type of a value, `BOOLEAN` for example, or `NONE`. Returns `unknown` for a
/// number that is not one of `MPFLAGS_KIND_*`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_kind_name(kind: i32) -> mpflags_str {
    mpflags_str::of_static(match kind {
        MPFLAGS_KIND_NONE => c"NONE",
        MPFLAGS_KIND_BOOLEAN => c"BOOLEAN",
        MPFLAGS_KIND_STRING => c"STRING",
        MPFLAGS_KIND_INT64 => c"INT64",
        MPFLAGS_KIND_DOUBLE => c"DOUBLE",
        MPFLAGS_KIND_OBJECT => c"OBJECT",
        MPFLAGS_KIND_ARRAY => c"ARRAY",
        MPFLAGS_KIND_NULL => c"NULL",
        _ => c"unknown",
    })
}

/// The evaluation is NULL.
pub const MPFLAGS_REASON_UNKNOWN: i32 = 0;
/// Everyone gets this variant: neither a rule nor a bucket was involved. Also used for overrides.
pub const MPFLAGS_REASON_STATIC: i32 = 1;
/// No rollout admitted the user, or one without a rule did after those with rules had not.
pub const MPFLAGS_REASON_DEFAULT: i32 = 2;
/// The user is a QA tester, or a rollout's rule matched. Also every remote evaluation with a variant, since
/// Mixpanel does not say why.
pub const MPFLAGS_REASON_TARGETING_MATCH: i32 = 3;
/// The bucket decided.
pub const MPFLAGS_REASON_SPLIT: i32 = 4;
/// The flag is disabled or archived.
pub const MPFLAGS_REASON_DISABLED: i32 = 5;
/// The flag could not be evaluated; see the error code.
pub const MPFLAGS_REASON_ERROR: i32 = 6;

fn reason_of(reason: Reason) -> i32 {
    match reason {
        Reason::Static => MPFLAGS_REASON_STATIC,
        Reason::Default => MPFLAGS_REASON_DEFAULT,
        Reason::TargetingMatch => MPFLAGS_REASON_TARGETING_MATCH,
        Reason::Split => MPFLAGS_REASON_SPLIT,
        Reason::Disabled => MPFLAGS_REASON_DISABLED,
        Reason::Error => MPFLAGS_REASON_ERROR,
        // A reason that the core has and this file does not know yet.
        _ => MPFLAGS_REASON_UNKNOWN,
    }
}

/// Returns the name of a reason, which is OpenFeature's: `TARGETING_MATCH` for example. Returns
/// `unknown` for a number that is not one of `MPFLAGS_REASON_*`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_reason_name(reason: i32) -> mpflags_str {
    mpflags_str::of_static(match reason {
        MPFLAGS_REASON_UNKNOWN => c"UNKNOWN",
        MPFLAGS_REASON_STATIC => c"STATIC",
        MPFLAGS_REASON_DEFAULT => c"DEFAULT",
        MPFLAGS_REASON_TARGETING_MATCH => c"TARGETING_MATCH",
        MPFLAGS_REASON_SPLIT => c"SPLIT",
        MPFLAGS_REASON_DISABLED => c"DISABLED",
        MPFLAGS_REASON_ERROR => c"ERROR",
        _ => c"unknown",
    })
}

/// No error.
pub const MPFLAGS_ERROR_NONE: i32 = 0;
/// There are no definitions yet.
pub const MPFLAGS_ERROR_PROVIDER_NOT_READY: i32 = 1;
/// There is no flag with this key. For a remote client also: the user is not in the flag.
pub const MPFLAGS_ERROR_FLAG_NOT_FOUND: i32 = 2;
/// The flag's definition is malformed.
pub const MPFLAGS_ERROR_PARSE_ERROR: i32 = 3;
/// The value is not of the requested type.
pub const MPFLAGS_ERROR_TYPE_MISMATCH: i32 = 4;
/// The context lacks the key that the flag is bucketed by.
pub const MPFLAGS_ERROR_TARGETING_KEY_MISSING: i32 = 5;
/// The context cannot be read, or the flag reads an attribute that cannot be used.
pub const MPFLAGS_ERROR_INVALID_CONTEXT: i32 = 6;
/// There are no definitions, and Mixpanel refused the credentials.
pub const MPFLAGS_ERROR_PROVIDER_FATAL: i32 = 7;
/// Any other error.
pub const MPFLAGS_ERROR_GENERAL: i32 = 8;

pub(crate) fn code_of(code: ErrorCode) -> i32 {
    match code {
        ErrorCode::ProviderNotReady => MPFLAGS_ERROR_PROVIDER_NOT_READY,
        ErrorCode::FlagNotFound => MPFLAGS_ERROR_FLAG_NOT_FOUND,
        ErrorCode::ParseError => MPFLAGS_ERROR_PARSE_ERROR,
        ErrorCode::TypeMismatch => MPFLAGS_ERROR_TYPE_MISMATCH,
        ErrorCode::TargetingKeyMissing => MPFLAGS_ERROR_TARGETING_KEY_MISSING,
        ErrorCode::InvalidContext => MPFLAGS_ERROR_INVALID_CONTEXT,
        ErrorCode::ProviderFatal => MPFLAGS_ERROR_PROVIDER_FATAL,
        // `General`, and codes that the core has and this file does not know yet.
        _ => MPFLAGS_ERROR_GENERAL,
    }
}

/// Returns the name of an error code, which is OpenFeature's: `FLAG_NOT_FOUND` for example, or `NONE`.
/// Returns `unknown` for a number that is not one of `MPFLAGS_ERROR_*`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_error_name(code: i32) -> mpflags_str {
    mpflags_str::of_static(match code {
        MPFLAGS_ERROR_NONE => c"NONE",
        MPFLAGS_ERROR_PROVIDER_NOT_READY => c"PROVIDER_NOT_READY",
        MPFLAGS_ERROR_FLAG_NOT_FOUND => c"FLAG_NOT_FOUND",
        MPFLAGS_ERROR_PARSE_ERROR => c"PARSE_ERROR",
        MPFLAGS_ERROR_TYPE_MISMATCH => c"TYPE_MISMATCH",
        MPFLAGS_ERROR_TARGETING_KEY_MISSING => c"TARGETING_KEY_MISSING",
        MPFLAGS_ERROR_INVALID_CONTEXT => c"INVALID_CONTEXT",
        MPFLAGS_ERROR_PROVIDER_FATAL => c"PROVIDER_FATAL",
        MPFLAGS_ERROR_GENERAL => c"GENERAL",
        _ => c"unknown",
    })
}

/// The flag has no experiment, or its definition does not say.
pub const MPFLAGS_EXPERIMENT_UNKNOWN: i32 = 0;
/// The experiment is not active.
pub const MPFLAGS_EXPERIMENT_INACTIVE: i32 = 1;
/// The experiment is active.
pub const MPFLAGS_EXPERIMENT_ACTIVE: i32 = 2;

/// Reads a field. `default` is returned for NULL and if the evaluation does not have it.
fn get<'a, T>(
    evaluation: Option<&'a mpflags_evaluation>,
    default: T,
    read: impl FnOnce(&'a Evaluation) -> Option<T>,
) -> T {
    guard::value(None, default, || read(&evaluation?.0))
}

fn text<'a>(
    evaluation: Option<&'a mpflags_evaluation>,
    read: impl FnOnce(&'a Evaluation) -> Option<&'a str>,
) -> mpflags_str {
    get(evaluation, mpflags_str::NONE, |evaluation| Some(mpflags_str::of_evaluation(read(evaluation))))
}

/// Returns whether there is a value of the requested type. If not, use your default.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_has_value(evaluation: Option<&mpflags_evaluation>) -> bool {
    get(evaluation, false, |evaluation| Some(evaluation.has_value()))
}

/// Returns the JSON type of the value: one of `MPFLAGS_KIND_*`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_kind(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_KIND_NONE, |evaluation| evaluation.kind().and_then(kind_of))
}

/// Returns the value if it is a boolean.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_boolean(evaluation: Option<&mpflags_evaluation>) -> bool {
    get(evaluation, false, Evaluation::boolean)
}

/// Returns the value if it is a whole number that fits `int64_t`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_int64(evaluation: Option<&mpflags_evaluation>) -> i64 {
    get(evaluation, 0, Evaluation::integer)
}

/// Returns the value if it is a number.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_double(evaluation: Option<&mpflags_evaluation>) -> f64 {
    get(evaluation, 0.0, Evaluation::double)
}

/// Returns the value if it is a string.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_string(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::string)
}

/// Returns the value as compact JSON, whatever its type.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_json(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::json)
}

/// Returns the key of the variant, or `override` for an override.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_variant(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::variant)
}

/// Returns why the flag evaluated as it did: one of `MPFLAGS_REASON_*`, which are OpenFeature's reasons.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_reason(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_REASON_UNKNOWN, |evaluation| Some(reason_of(evaluation.reason())))
}

/// Returns what went wrong if the reason is `MPFLAGS_REASON_ERROR`: one of `MPFLAGS_ERROR_*`, OpenFeature's
/// error codes.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_error_code(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_ERROR_NONE, |evaluation| evaluation.error_code().map(code_of))
}

/// Returns a description of the error for people and logs. With `MPFLAGS_REASON_DEFAULT`, it may say why no
/// rule could match.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_message(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::message)
}

/// Returns the key of the flag.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_key(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, |evaluation| Some(evaluation.key()))
}

/// Returns the id of the flag's experiment.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_experiment_id(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::experiment_id)
}

/// Returns whether that experiment is active: one of `MPFLAGS_EXPERIMENT_*`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_is_experiment_active(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_EXPERIMENT_UNKNOWN, |evaluation| {
        let active = evaluation.is_experiment_active()?;
        Some(if active { MPFLAGS_EXPERIMENT_ACTIVE } else { MPFLAGS_EXPERIMENT_INACTIVE })
    })
}

/// Returns whether the user received the variant as a QA tester.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_is_qa_tester(evaluation: Option<&mpflags_evaluation>) -> bool {
    get(evaluation, false, |evaluation| Some(evaluation.is_qa_tester()))
}

/// Returns the flag's metadata as a JSON object: `experiment_id` and `is_experiment_active` if the flag has
/// them; `is_qa_tester` if true; `unsupported` if the definition uses operators or fields that the library
/// does not know or cannot check: their names, separated by commas; and OpenFeature's `flagSetId`, the id of
/// the Mixpanel project, and `contextId`, the value that decided which variant the user gets, both as
/// strings. A remote evaluation has neither of these two.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_metadata_json(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, |evaluation| Some(evaluation.metadata_json()))
}

/// Frees an evaluation and its strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_evaluation_free(evaluation: *mut mpflags_evaluation) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(evaluation) };
}
