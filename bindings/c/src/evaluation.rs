//! What an evaluation came to, read piece by piece.

use mpflags_core::{ErrorCode, Evaluation, Reason, ValueKind};

use crate::guard;
use crate::handle;
use crate::strings::mpflags_str;

/// What a flag gave for one context. It owns everything that it tells, in one allocation, and pins no definitions.
/// Immutable; any thread may read it.
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

/// There is no value: the default applies.
pub const MPFLAGS_KIND_NONE: i32 = 0;
/// The value is `true` or `false`.
pub const MPFLAGS_KIND_BOOLEAN: i32 = 1;
/// The value is a string.
pub const MPFLAGS_KIND_STRING: i32 = 2;
/// The value is an integer within `int64_t`.
pub const MPFLAGS_KIND_INT64: i32 = 3;
/// The value is any other number.
pub const MPFLAGS_KIND_DOUBLE: i32 = 4;
/// The value is a JSON object.
pub const MPFLAGS_KIND_OBJECT: i32 = 5;
/// The value is a JSON array.
pub const MPFLAGS_KIND_ARRAY: i32 = 6;
/// The value is null.
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

/// No reason: the evaluation is NULL.
pub const MPFLAGS_REASON_UNKNOWN: i32 = 0;
/// The same for everybody: neither rule nor chance was involved; or an override.
pub const MPFLAGS_REASON_STATIC: i32 = 1;
/// Nothing applied, or the group for everybody after the groups with rules.
pub const MPFLAGS_REASON_DEFAULT: i32 = 2;
/// A tester, or a rollout whose rule matched.
pub const MPFLAGS_REASON_TARGETING_MATCH: i32 = 3;
/// The bucket decided.
pub const MPFLAGS_REASON_SPLIT: i32 = 4;
/// The flag is disabled or archived.
pub const MPFLAGS_REASON_DISABLED: i32 = 5;
/// Something is wrong; the error code says what.
pub const MPFLAGS_REASON_ERROR: i32 = 6;

fn reason_of(reason: Reason) -> i32 {
    match reason {
        Reason::Static => MPFLAGS_REASON_STATIC,
        Reason::Default => MPFLAGS_REASON_DEFAULT,
        Reason::TargetingMatch => MPFLAGS_REASON_TARGETING_MATCH,
        Reason::Split => MPFLAGS_REASON_SPLIT,
        Reason::Disabled => MPFLAGS_REASON_DISABLED,
        Reason::Error => MPFLAGS_REASON_ERROR,
        // A reason that the core learns before this file does.
        _ => MPFLAGS_REASON_UNKNOWN,
    }
}

/// Nothing is wrong.
pub const MPFLAGS_ERROR_NONE: i32 = 0;
/// No definitions have arrived yet.
pub const MPFLAGS_ERROR_PROVIDER_NOT_READY: i32 = 1;
/// No definition has this key.
pub const MPFLAGS_ERROR_FLAG_NOT_FOUND: i32 = 2;
/// The flag's definition does not fit the model.
pub const MPFLAGS_ERROR_PARSE_ERROR: i32 = 3;
/// The value has another type than the one asked for.
pub const MPFLAGS_ERROR_TYPE_MISMATCH: i32 = 4;
/// The context lacks the key that the flag is bucketed by.
pub const MPFLAGS_ERROR_TARGETING_KEY_MISSING: i32 = 5;
/// The context cannot be read.
pub const MPFLAGS_ERROR_INVALID_CONTEXT: i32 = 6;
/// Mixpanel refused the credentials, and no definitions are held.
pub const MPFLAGS_ERROR_PROVIDER_FATAL: i32 = 7;
/// Anything else.
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
        // `General`, and whatever the core learns before this file does.
        _ => MPFLAGS_ERROR_GENERAL,
    }
}

/// The flag belongs to no experiment, or its definition does not say.
pub const MPFLAGS_EXPERIMENT_UNKNOWN: i32 = 0;
/// The flag's experiment is not active.
pub const MPFLAGS_EXPERIMENT_INACTIVE: i32 = 1;
/// The flag's experiment is active.
pub const MPFLAGS_EXPERIMENT_ACTIVE: i32 = 2;

/// Every accessor: `default` for NULL, and where there is nothing to tell.
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

/// Tells whether there is a value of the type asked for. If not, the caller's default applies.
///
/// Nothing to free. Cannot fail: false for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_has_value(evaluation: Option<&mpflags_evaluation>) -> bool {
    get(evaluation, false, |evaluation| Some(evaluation.has_value()))
}

/// Tells what kind of JSON the value is: one of `MPFLAGS_KIND_*`.
///
/// Nothing to free. Cannot fail: `MPFLAGS_KIND_NONE` without a value. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_kind(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_KIND_NONE, |evaluation| evaluation.kind().and_then(kind_of))
}

/// Tells the value, if it is a boolean.
///
/// Nothing to free. Cannot fail: false for any other. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_boolean(evaluation: Option<&mpflags_evaluation>) -> bool {
    get(evaluation, false, Evaluation::boolean)
}

/// Tells the value, if it is an integer, or a whole number, within `int64_t`.
///
/// Nothing to free. Cannot fail: 0 for any other. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_int64(evaluation: Option<&mpflags_evaluation>) -> i64 {
    get(evaluation, 0, Evaluation::integer)
}

/// Tells the value, if it is a number.
///
/// Nothing to free. Cannot fail: 0 for any other. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_double(evaluation: Option<&mpflags_evaluation>) -> f64 {
    get(evaluation, 0.0, Evaluation::double)
}

/// Tells the value, if it is a string.
///
/// Nothing to free: the string is the evaluation's. Cannot fail: no string for any other. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_string(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::string)
}

/// Tells the value, whatever it is, as compact JSON.
///
/// Nothing to free: the string is the evaluation's. Cannot fail: no string without a value. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_json(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::json)
}

/// Tells the variant's key; `override` for an override.
///
/// Nothing to free: the string is the evaluation's. Cannot fail: no string without a value. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_variant(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::variant)
}

/// Tells why the evaluation gave what it gave: one of `MPFLAGS_REASON_*`, which are OpenFeature's.
///
/// Nothing to free. Cannot fail: `MPFLAGS_REASON_UNKNOWN` for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_reason(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_REASON_UNKNOWN, |evaluation| Some(reason_of(evaluation.reason())))
}

/// Tells what is wrong when the reason is `MPFLAGS_REASON_ERROR`: one of `MPFLAGS_ERROR_*`, which are OpenFeature's.
///
/// Nothing to free. Cannot fail: `MPFLAGS_ERROR_NONE` where nothing is wrong. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_error_code(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_ERROR_NONE, |evaluation| evaluation.error_code().map(code_of))
}

/// Tells what is wrong, for a person or a log.
///
/// Nothing to free: the string is the evaluation's. Cannot fail: no string where nothing is wrong. Any thread. Costs
/// nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_message(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::message)
}

/// Tells the key of the flag.
///
/// Nothing to free: the string is the evaluation's. Cannot fail: no string for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_key(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, |evaluation| Some(evaluation.key()))
}

/// Tells the experiment that the flag belongs to.
///
/// Nothing to free: the string is the evaluation's. Cannot fail: no string without an experiment or a value. Any thread.
/// Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_experiment_id(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, Evaluation::experiment_id)
}

/// Tells whether that experiment is active: one of `MPFLAGS_EXPERIMENT_*`.
///
/// Nothing to free. Cannot fail: `MPFLAGS_EXPERIMENT_UNKNOWN` where nothing is known. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_is_experiment_active(evaluation: Option<&mpflags_evaluation>) -> i32 {
    get(evaluation, MPFLAGS_EXPERIMENT_UNKNOWN, |evaluation| {
        let active = evaluation.is_experiment_active()?;
        Some(if active { MPFLAGS_EXPERIMENT_ACTIVE } else { MPFLAGS_EXPERIMENT_INACTIVE })
    })
}

/// Tells whether the user got the variant as a QA tester.
///
/// Nothing to free. Cannot fail: false for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_is_qa_tester(evaluation: Option<&mpflags_evaluation>) -> bool {
    get(evaluation, false, |evaluation| Some(evaluation.is_qa_tester()))
}

/// Tells the flag's metadata as a JSON object: `experiment_id` and `is_experiment_active` where the flag has them,
/// `is_qa_tester` where it is true, and `unsupported` where the definition uses what the library does not know or cannot check: the
/// names of those operators and fields, separated by commas.
///
/// Nothing to free: the string is the evaluation's. Cannot fail: no string for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_metadata_json(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    text(evaluation, |evaluation| Some(evaluation.metadata_json()))
}

/// Frees an evaluation; NULL does nothing.
///
/// Its strings go with it. Cannot fail. Any thread, when no other uses it. Costs little.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_evaluation_free(evaluation: *mut mpflags_evaluation) {
    guard::nothing(|| {
        // SAFETY: the header demands a handle of this type that nobody uses or has freed, or NULL.
        unsafe { handle::free(evaluation) };
    });
}
