//! Functions for bindings.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::ptr;

use mpflags_core::Client;
use mpflags_core::unversioned::{self, Answer, Encoded, Packed};

use crate::client::mpflags_client;
use crate::context::mpflags_context;
use crate::error::mpflags_error;
use crate::evaluate::ask;
use crate::evaluation::mpflags_evaluation;
use crate::evaluations::mpflags_evaluations;
use crate::failure::Failure;
use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_INVALID_ARGUMENT, mpflags_status};
use crate::strings::{self, mpflags_str};

/// For bindings: the context is JSON.
pub const MPFLAGS_ENCODING_JSON: i32 = 1;
/// For bindings: the context is in the binary form that docs/binary.md specifies. Other numbers are reserved.
pub const MPFLAGS_ENCODING_BINARY: i32 = 2;

/// The context that a binding passes. NULL with length 0 is the empty context.
///
/// # Safety
///
/// The same as for [`strings::bytes`].
unsafe fn encoded<'a>(
    context: *const c_char,
    context_len: usize,
    encoding: i32,
) -> Result<Encoded<'a>, Failure> {
    let binary = match encoding {
        MPFLAGS_ENCODING_JSON => false,
        MPFLAGS_ENCODING_BINARY => true,
        other => {
            let message = format!("encoding {other} is not one of MPFLAGS_ENCODING_*");
            return Err(Failure::new(MPFLAGS_INVALID_ARGUMENT, message));
        }
    };
    Ok(if context.is_null() && context_len == 0 {
        Encoded::EMPTY
    } else if binary {
        // SAFETY: the caller vouches for it.
        Encoded::Binary(unsafe { strings::bytes("context", context, context_len) }?)
    } else {
        // SAFETY: the caller vouches for it.
        Encoded::Json(unsafe { strings::text("context", context, context_len) }?)
    })
}

/// For bindings: reads a context of either form, as `mpflags_context_new_json` does. The binary form of a
/// context that was used before costs less than the attributes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_new_encoded(
    context: *const c_char,
    context_len: usize,
    encoding: i32,
    out: Option<&mut MaybeUninit<*mut mpflags_context>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(None, err, || {
        let out = handle::required_out("out", out)?;
        // SAFETY: as the header requires, NULL or `context_len` bytes that do not change during the call.
        let encoded = unsafe { encoded(context, context_len, encoding) }?;
        handle::give(out, unversioned::context(encoded)?.into());
        Ok(())
    })
}

/// ----------------------------------------------------------------------------------------------------
/// FOR BINDINGS. The functions from here on are for this project's own bindings and may change with any
/// revision. Call them only if `mpflags_abi_revision()` equals the `MPFLAGS_ABI_REVISION` of this header.
/// ----------------------------------------------------------------------------------------------------
///
/// Like `mpflags_client_evaluate`, for a context that is used once: it is read from its encoding and not
/// kept. `encoding` is one of `MPFLAGS_ENCODING_*`. NULL with length 0 is the empty context. A context that
/// cannot be read is the outcome `MPFLAGS_ERROR_INVALID_CONTEXT`, unless the flag is overridden. Reads the
/// whole context and keeps only what the flag needs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_evaluate_encoded(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: *const c_char,
    context_len: usize,
    encoding: i32,
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
        // SAFETY: as the header requires, NULL or `context_len` bytes that do not change during the call.
        let encoded = unsafe { encoded(context, context_len, encoding) }?;
        let ask = ask(value_type, options, timeout_ms)?;
        handle::give(out, unversioned::evaluate_encoded(client, key, encoded, ask).into());
        Ok(())
    })
}

/// For bindings: the packed answer for a flag none of whose rollouts admitted the user
/// (`MPFLAGS_REASON_DEFAULT`).
pub const MPFLAGS_ANSWER_NO_MATCH: u64 = 1;
/// For bindings: the same, for a context without `custom_properties`, which rules need. The evaluation has a
/// message.
pub const MPFLAGS_ANSWER_NO_PROPERTIES: u64 = 5;
/// For bindings: the packed answer for a flag that is disabled or archived (`MPFLAGS_REASON_DISABLED`).
pub const MPFLAGS_ANSWER_DISABLED: u64 = 3;

const _: () = assert!(align_of::<mpflags_evaluation>() >= 2);

/// Like `mpflags_client_evaluate_encoded`, but returns the outcome as one number. `packed_options` is the
/// `value_type`, plus the options shifted by 8 bits, plus the encoding shifted by 24 bits, where 0 means JSON:
/// `MPFLAGS_TYPE_BOOLEAN | MPFLAGS_OPTION_NO_EXPOSURE << 8 | MPFLAGS_ENCODING_BINARY << 24`. A remote client's
/// request is limited by `request_timeout_ms`.
///
/// An odd number is a packed answer: `MPFLAGS_ANSWER_NO_MATCH`, `MPFLAGS_ANSWER_NO_PROPERTIES`,
/// `MPFLAGS_ANSWER_DISABLED`, or a number for one definition of the flag, variant, reason and QA tester mark.
/// As long as the client lives, the same answer means the same value, variant, reason, message and metadata
/// but for `contextId`, which `mpflags_client_answer` returns; the type of the value is already checked.
/// Nothing is allocated for it.
///
/// Any other number but 0 is a pointer to an `mpflags_evaluation` that the caller frees: an error, an
/// override, a remote evaluation, or the first call in the child of a fork. 0 is a failure;
/// `mpflags_client_evaluate_encoded` with the same arguments reports which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_evaluate_packed(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: *const c_char,
    context_len: usize,
    packed_options: u32,
) -> u64 {
    mpflags_client::value(client, 0, |client| {
        // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("key", key, key_len) }.ok()?;
        let encoding = match packed_options >> 24 {
            0 => MPFLAGS_ENCODING_JSON,
            encoding => encoding as i32,
        };
        // SAFETY: as the header requires, NULL or `context_len` bytes that do not change during the call.
        let encoded = unsafe { encoded(context, context_len, encoding) }.ok()?;
        packed(client, key, encoded, packed_options & 0xff_ffff)
    })
}

/// Like `mpflags_client_evaluate_packed` for strings that end with a NUL, because ctypes takes 0.2 µs to pass
/// two lengths. The context is JSON, or NULL for the empty one. The key cannot contain U+0000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_evaluate_packed_z(
    client: Option<&mpflags_client>,
    key: *const c_char,
    context: *const c_char,
    packed_options: u32,
) -> u64 {
    mpflags_client::value(client, 0, |client| {
        // SAFETY: as the header requires, NULL or a string that ends with a NUL.
        let key = unsafe { terminated("key", key) }?;
        if context.is_null() {
            return packed(client, key, Encoded::EMPTY, packed_options);
        }
        // SAFETY: as the header requires, NULL or a string that ends with a NUL.
        let json = unsafe { terminated("context", context) }?;
        packed(client, key, Encoded::Json(json), packed_options)
    })
}

/// # Safety
///
/// `ptr` is NULL, or points to a string that ends with a NUL and does not change during `'a`.
unsafe fn terminated<'a>(name: &'static str, ptr: *const c_char) -> Option<&'a str> {
    if ptr.is_null() {
        return None;
    }
    // SAFETY: the pointer is not NULL, and the caller vouches for the NUL.
    let len = unsafe { CStr::from_ptr(ptr) }.count_bytes();
    // SAFETY: `len` bytes up to the NUL are readable.
    unsafe { strings::text(name, ptr, len) }.ok()
}

fn packed(client: &Client, key: &str, context: Encoded<'_>, asked: u32) -> Option<u64> {
    let ask = ask(asked & 0xff, asked >> 8, 0).ok()?;
    Some(match unversioned::evaluate_packed(client, key, context, ask) {
        Packed::Answer(answer) => answer.number(),
        Packed::Evaluation(evaluation) => {
            let handle = Box::into_raw(Box::new(mpflags_evaluation::from(*evaluation)));
            // Even, because the alignment is at least 2, as asserted above.
            handle.expose_provenance() as u64
        }
    })
}

/// Returns what `answer`, given for the flag `key`, stands for, as an evaluation of any type, which the
/// caller frees. It has no user, so `mpflags_client_track_exposure` refuses it. NULL means that the flag's
/// definition has changed since, or a failure: evaluate again. Allocates the evaluation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_answer(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    answer: u64,
) -> *mut mpflags_evaluation {
    mpflags_client::value(client, ptr::null_mut(), |client| {
        // SAFETY: as the header requires, NULL or `key_len` bytes that do not change during the call.
        let key = unsafe { strings::text("key", key, key_len) }.ok()?;
        let evaluation = unversioned::recall(client, key, Answer::from_number(answer)?)?;
        Some(Box::into_raw(Box::new(evaluation.into())))
    })
}

/// Returns the packed answer that stands for an evaluation, or 0 if none does.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_answer(evaluation: Option<&mpflags_evaluation>) -> u64 {
    guard::value(None, 0, || Some(unversioned::answer(evaluation?.core())?.number()))
}

/// Returns the context key that the flag is bucketed by, of an evaluation with a variant or with
/// `MPFLAGS_ERROR_TARGETING_KEY_MISSING`; nothing for any other, an override or a remote evaluation. The
/// metadata of an evaluation that `mpflags_client_answer` returned lack `contextId`: it is the value of this
/// key in the context, as a string.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_context_key(evaluation: Option<&mpflags_evaluation>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || {
        Some(mpflags_str::of_evaluation(unversioned::context_key(evaluation?.core())))
    })
}

/// Returns the packed answers of all evaluations in the same order, `mpflags_evaluations_count` of them, 0
/// where there is none. They belong to `evaluations`.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_answers(evaluations: Option<&mpflags_evaluations>) -> *const u64 {
    // Not `as_ptr`, which dangles for an empty slice.
    guard::value(None, ptr::null(), || Some(evaluations?.answers().first()?))
}
