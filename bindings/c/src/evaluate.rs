//! Evaluating, and overriding what is evaluated.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use mpflags_core::{Client, Context, EvaluateOptions, ValueType};

use crate::client::{milliseconds, mpflags_client};
use crate::context::mpflags_context;
use crate::error::{Failure, mpflags_error};
use crate::evaluation::mpflags_evaluation;
use crate::events::mpflags_text;
use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_INVALID_ARGUMENT, MPFLAGS_UNKNOWN_BIT, mpflags_status};
use crate::strings;

/// Whatever the variant holds; never a mismatch.
pub const MPFLAGS_TYPE_ANY: u32 = 0;
/// `true` or `false`.
pub const MPFLAGS_TYPE_BOOLEAN: u32 = 1;
/// A string.
pub const MPFLAGS_TYPE_STRING: u32 = 2;
/// An integer, or a whole number, within `int64_t`.
pub const MPFLAGS_TYPE_INT64: u32 = 3;
/// Any number.
pub const MPFLAGS_TYPE_DOUBLE: u32 = 4;
/// An object, an array or null.
pub const MPFLAGS_TYPE_OBJECT: u32 = 5;
/// An object or an array, for SDKs that take null for no value at all.
pub const MPFLAGS_TYPE_OBJECT_OR_ARRAY: u32 = 6;

pub(crate) fn type_of(value_type: u32) -> Result<ValueType, Failure> {
    Ok(match value_type {
        MPFLAGS_TYPE_ANY => ValueType::Any,
        MPFLAGS_TYPE_BOOLEAN => ValueType::Boolean,
        MPFLAGS_TYPE_STRING => ValueType::String,
        MPFLAGS_TYPE_INT64 => ValueType::Integer,
        MPFLAGS_TYPE_DOUBLE => ValueType::Double,
        MPFLAGS_TYPE_OBJECT => ValueType::Object,
        MPFLAGS_TYPE_OBJECT_OR_ARRAY => ValueType::ObjectOrArray,
        other => {
            return Err(Failure::new(
                MPFLAGS_INVALID_ARGUMENT,
                format!("value_type {other} is no MPFLAGS_TYPE_*"),
            ));
        }
    })
}

/// Reports no exposure: `mpflags_client_track_exposure` does when the variant is shown.
pub const MPFLAGS_OPTION_NO_EXPOSURE: u32 = 1;

/// Every bit outside `known` is one that a later library may know, or means nothing to the function.
pub(crate) fn check_options(options: u32, known: u32) -> Result<(), Failure> {
    if options & !known == 0 {
        return Ok(());
    }
    Err(Failure::new(
        MPFLAGS_UNKNOWN_BIT,
        format!("options 0x{options:x} has a bit that this function does not know"),
    ))
}

/// How to evaluate, of the arguments that say so.
pub(crate) fn ask(value_type: u32, options: u32, timeout_ms: u32) -> Result<EvaluateOptions, Failure> {
    let ask = EvaluateOptions::new().value_type(type_of(value_type)?).timeout(milliseconds(timeout_ms));
    check_options(options, MPFLAGS_OPTION_NO_EXPOSURE)?;
    Ok(if options & MPFLAGS_OPTION_NO_EXPOSURE == 0 { ask } else { ask.without_exposure() })
}

/// A short read: nothing but the value matters.
///
/// # Safety
///
/// As of [`strings::text`].
unsafe fn read<T: Copy>(
    client: Option<&mpflags_client>,
    key: (*const c_char, usize),
    context: Option<&mpflags_context>,
    default: T,
    read: impl FnOnce(&Client, &str, &Context, T) -> T,
) -> T {
    guard::value(client, default, || {
        let client = client?.core();
        // SAFETY: the caller of this function says so.
        let key = unsafe { strings::text("key", key.0, key.1) }.ok()?;
        let empty = Context::default();
        Some(read(client, key, context.map_or(&empty, mpflags_context::core), default))
    })
}

/// Evaluates flag `key` and gives its value if that is a boolean, and `default_value != 0` in every other case, misuse
/// included. A NULL context is the empty one.
///
/// Nothing to free. Cannot fail. Any thread. Costs no lock, system call or allocation, but for the thread's first
/// evaluation and a first exposure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_get_boolean(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    default_value: i32,
) -> bool {
    // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
    unsafe { read(client, (key, key_len), context, default_value != 0, Client::boolean) }
}

/// Evaluates flag `key` and gives its value if that is an integer or a whole number within `int64_t`, and
/// `default_value` in every other case, misuse included. A NULL context is the empty one.
///
/// Nothing to free. Cannot fail. Any thread. Costs no lock, system call or allocation, but for the thread's first
/// evaluation and a first exposure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_get_int64(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    default_value: i64,
) -> i64 {
    // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
    unsafe { read(client, (key, key_len), context, default_value, Client::integer) }
}

/// Evaluates flag `key` and gives its value if that is a number, and `default_value` in every other case, misuse
/// included. A NULL context is the empty one.
///
/// Nothing to free. Cannot fail. Any thread. Costs no lock, system call or allocation, but for the thread's first
/// evaluation and a first exposure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_get_double(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    default_value: f64,
) -> f64 {
    // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
    unsafe { read(client, (key, key_len), context, default_value, Client::double) }
}

/// Evaluates flag `key` and tells everything about it: value, variant, reason, and what was wrong. `value_type` is one
/// of `MPFLAGS_TYPE_*`: a value of another type is an outcome with `MPFLAGS_ERROR_TYPE_MISMATCH`. `options` is 0 or
/// `MPFLAGS_OPTION_*`, joined by `|`. `timeout_ms` bounds the request of a remote client, look-up and connect included; 0
/// means `request_timeout_ms`. A NULL context is the empty one. Every outcome is a success here, a flag that is not found too.
///
/// The caller frees `*out` with `mpflags_evaluation_free`; it may outlive the client. On failure, which only misuse and
/// bugs of the library are, `*out` is as it was: `MPFLAGS_INVALID_ARGUMENT` for an unknown type, `MPFLAGS_UNKNOWN_BIT`.
/// Any thread. Costs the allocation of the evaluation, and no lock or system call but for a first exposure; of a remote
/// client a request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_evaluate(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    value_type: u32,
    options: u32,
    timeout_ms: u32,
    out: Option<&mut MaybeUninit<*mut mpflags_evaluation>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let out = handle::required_out("out", out)?;
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }?;
        let ask = ask(value_type, options, timeout_ms)?;
        let empty = Context::default();
        let evaluation = client.evaluate(key, context.map_or(&empty, mpflags_context::core), ask);
        handle::give(out, evaluation.into());
        Ok(())
    })
}

/// Tells how flag `key` comes to what it gives for `context`, as a JSON object for people and tools: `flag`, `step` (what
/// decided), `subject`, `rollouts` (each that was asked: salt, bucket, percentage, the rule with the value of its parts),
/// `choice` (the split's table with its bucket, or the one variant that is left), and what came out: `variant`, `value`,
/// `reason`, `error_code`, `message`, `metadata`. Reports no exposure. A NULL context is the empty one.
///
/// The caller frees `*out` with `mpflags_text_free`. On failure `*out` is as it was: `MPFLAGS_INVALID_ARGUMENT` for a remote
/// client, for which Mixpanel decides, unless the flag is overridden. Any thread. Costs many times what an evaluation does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_explain(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    out: Option<&mut MaybeUninit<*mut mpflags_text>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let out = handle::required_out("out", out)?;
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }?;
        let empty = Context::default();
        let explanation = client.explain(key, context.map_or(&empty, mpflags_context::core))?;
        handle::give(out, explanation.into());
        Ok(())
    })
}

/// Gives flag `key` the value `json`, any JSON value, from now on, whatever Mixpanel says. It replaces an earlier
/// override, one of the configuration too.
///
/// Nothing to free. On failure the override is as it was: `MPFLAGS_INVALID_ARGUMENT` when `json` is no JSON value. Any
/// thread; evaluations that run see the old or the new. Costs a copy of all overrides: for tests and tools.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_set_override(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }?;
        // SAFETY: the caller lends `json_len` bytes at `json` for the call, or passes NULL.
        let json = unsafe { strings::text("json", json, json_len) }?;
        Ok(client.set_override(key, json)?)
    })
}

/// Takes back the override of flag `key`, one of the configuration too. Without one it does nothing.
///
/// Nothing to free. On failure, which only misuse is, nothing has changed. Any thread. Costs a copy of all overrides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_clear_override(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }?;
        client.clear_override(key);
        Ok(())
    })
}
