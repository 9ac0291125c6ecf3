//! Evaluating, explaining and overriding one flag.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use mpflags_core::{Client, Context, EvaluateOptions, ValueType};

use crate::client::{milliseconds, mpflags_client};
use crate::context::mpflags_context;
use crate::error::mpflags_error;
use crate::evaluation::mpflags_evaluation;
use crate::failure::Failure;
use crate::handle;
use crate::status::{MPFLAGS_INVALID_ARGUMENT, MPFLAGS_UNKNOWN_BIT, mpflags_status};
use crate::strings::{self, mpflags_str};
use crate::text::mpflags_text;

/// Any value; never a mismatch.
pub const MPFLAGS_TYPE_ANY: u32 = 0;
/// `true` or `false`.
pub const MPFLAGS_TYPE_BOOLEAN: u32 = 1;
/// A string.
pub const MPFLAGS_TYPE_STRING: u32 = 2;
/// A whole number that fits `int64_t`, even if it is written with a fraction, as in `2.0`.
pub const MPFLAGS_TYPE_INT64: u32 = 3;
/// Any number.
pub const MPFLAGS_TYPE_DOUBLE: u32 = 4;
/// An object, an array or null.
pub const MPFLAGS_TYPE_OBJECT: u32 = 5;
/// An object or an array, for SDKs in which null means no value.
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
                format!("value_type {other} is not one of MPFLAGS_TYPE_*"),
            ));
        }
    })
}

/// Returns the name of a type, `BOOLEAN` for example. Returns `unknown` for a number that is not one of
/// `MPFLAGS_TYPE_*`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_type_name(value_type: u32) -> mpflags_str {
    mpflags_str::of_static(match value_type {
        MPFLAGS_TYPE_ANY => c"ANY",
        MPFLAGS_TYPE_BOOLEAN => c"BOOLEAN",
        MPFLAGS_TYPE_STRING => c"STRING",
        MPFLAGS_TYPE_INT64 => c"INT64",
        MPFLAGS_TYPE_DOUBLE => c"DOUBLE",
        MPFLAGS_TYPE_OBJECT => c"OBJECT",
        MPFLAGS_TYPE_OBJECT_OR_ARRAY => c"OBJECT_OR_ARRAY",
        _ => c"unknown",
    })
}

/// Report no exposure. Call `mpflags_client_track_exposure` when the variant is shown.
pub const MPFLAGS_OPTION_NO_EXPOSURE: u32 = 1;

/// Refuses bits outside `known`, so that a later library can give them a meaning.
pub(crate) fn check_options(options: u32, known: u32) -> Result<(), Failure> {
    if options & !known == 0 {
        return Ok(());
    }
    Err(Failure::new(
        MPFLAGS_UNKNOWN_BIT,
        format!("options 0x{options:x} has a bit set that this function does not know"),
    ))
}

/// The options of an evaluation, checked.
pub(crate) fn ask(value_type: u32, options: u32, timeout_ms: u32) -> Result<EvaluateOptions, Failure> {
    let ask = EvaluateOptions::new().value_type(type_of(value_type)?).timeout(milliseconds(timeout_ms));
    check_options(options, MPFLAGS_OPTION_NO_EXPOSURE)?;
    Ok(if options & MPFLAGS_OPTION_NO_EXPOSURE == 0 { ask } else { ask.without_exposure() })
}

/// Implements the get functions, which return the value or the default, without details.
///
/// # Safety
///
/// The same as for [`strings::text`].
unsafe fn read<T: Copy>(
    client: Option<&mpflags_client>,
    key: (*const c_char, usize),
    context: Option<&mpflags_context>,
    default: T,
    read: impl FnOnce(&Client, &str, &Context, T) -> T,
) -> T {
    mpflags_client::value(client, default, |client| {
        // SAFETY: the caller vouches for it.
        let key = unsafe { strings::text("key", key.0, key.1) }.ok()?;
        Some(match context {
            Some(context) => read(client, key, context.core(), default),
            None => read(client, key, &Context::default(), default),
        })
    })
}

/// Evaluates the flag `key` and returns its value if that is a boolean, otherwise `default_value != 0`. A
/// NULL context is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_get_boolean(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    default_value: i32,
) -> bool {
    // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
    unsafe { read(client, (key, key_len), context, default_value != 0, Client::boolean) }
}

/// Evaluates the flag `key` and returns its value if that is a whole number that fits `int64_t`, otherwise
/// `default_value`. A NULL context is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_get_int64(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    default_value: i64,
) -> i64 {
    // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
    unsafe { read(client, (key, key_len), context, default_value, Client::integer) }
}

/// Evaluates the flag `key` and returns its value if that is a number, otherwise `default_value`. A NULL
/// context is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_get_double(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    default_value: f64,
) -> f64 {
    // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
    unsafe { read(client, (key, key_len), context, default_value, Client::double) }
}

/// Evaluates the flag `key` and describes the outcome: value, variant, reason, error. `value_type` is one of
/// `MPFLAGS_TYPE_*`; a value of another type is the outcome `MPFLAGS_ERROR_TYPE_MISMATCH`. `options` is 0 or
/// a combination of `MPFLAGS_OPTION_*`. `timeout_ms` limits a remote client's request, name look-up and
/// connect included; 0 means `request_timeout_ms`. A NULL context is empty. Allocates the evaluation.
///
/// Every outcome is a success, including a flag that does not exist.
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
    mpflags_client::status(client, err, |client| {
        let out = handle::required_out("out", out)?;
        // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("key", key, key_len) }?;
        let ask = ask(value_type, options, timeout_ms)?;
        let empty = Context::default();
        let evaluation = client.evaluate(key, context.map_or(&empty, mpflags_context::core), ask);
        handle::give(out, evaluation.into());
        Ok(())
    })
}

/// Explains how the flag `key` is evaluated for `context`, as a JSON object for people and tools: `flag`,
/// `step` (what decided), `subject`, `rollouts` (each one considered: salt, bucket, percentage, and the rule
/// with the values of its parts), `choice` (the split's table and the bucket, or the only variant left), and
/// the outcome: `variant`, `value`, `reason`, `error_code`, `message`, `metadata`. A NULL context is empty.
/// Reports no exposure. Costs many times what an evaluation does.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` for a remote client, since Mixpanel does not say why, unless the
/// flag is overridden.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_explain(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: Option<&mpflags_context>,
    out: Option<&mut MaybeUninit<*mut mpflags_text>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let out = handle::required_out("out", out)?;
        // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("key", key, key_len) }?;
        let empty = Context::default();
        let explanation = client.explain(key, context.map_or(&empty, mpflags_context::core))?;
        handle::give(out, explanation.into());
        Ok(())
    })
}

/// Makes the flag `key` evaluate to `json`, any JSON value, until the override is cleared. Replaces an
/// earlier override, including one from the configuration. Running evaluations see either the old or the new
/// overrides. Copies all overrides, so it is meant for tests and tools.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` if `json` is not a JSON value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_set_override(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("key", key, key_len) }?;
        // SAFETY: as the header requires, NULL or `json_len` bytes that do not change during the call.
        let json = unsafe { strings::text("json", json, json_len) }?;
        Ok(client.set_override(key, json)?)
    })
}

/// Removes the override of the flag `key`, including one from the configuration. Does nothing if there is
/// none. Copies all overrides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_clear_override(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("key", key, key_len) }?;
        client.clear_override(key);
        Ok(())
    })
}
