//! For bindings: what only they call.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::ptr;

use mpflags_core::unversioned::{self, Answer, Packed};
use mpflags_core::Client;

use crate::client::mpflags_client;
use crate::error::{Failure, mpflags_error};
use crate::evaluate::ask;
use crate::evaluation::mpflags_evaluation;
use crate::evaluations::mpflags_evaluations;
use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_INVALID_ARGUMENT, mpflags_status};
use crate::strings;

/// For bindings: the context is JSON. Other numbers are reserved.
pub const MPFLAGS_ENCODING_JSON: i32 = 1;

/// ---------------------------------------------------------------------------------------------------------------
/// FOR BINDINGS. What stands from here on is called by this project's own bindings. It may change with any revision:
/// call it only if `mpflags_abi_revision()` is exactly the `MPFLAGS_ABI_REVISION` of this header.
/// ---------------------------------------------------------------------------------------------------------------
///
/// Does `mpflags_client_evaluate` for a context that is used once: it is read from its encoding and not kept. `encoding`
/// is `MPFLAGS_ENCODING_JSON`. NULL with length 0 is the empty context. A context that cannot be read is an outcome
/// with `MPFLAGS_ERROR_INVALID_CONTEXT`, unless an override answers before it is read.
///
/// The caller frees `*out` with `mpflags_evaluation_free`; it may outlive the client. On failure, which only misuse and
/// bugs of the library are, `*out` is as it was: `MPFLAGS_INVALID_ARGUMENT` for an unknown type or encoding,
/// `MPFLAGS_UNKNOWN_BIT`. Any thread. Costs what `mpflags_client_evaluate` does and a reading of the whole context, of
/// which only what the flag asks for is kept.
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
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let out = handle::required_out("out", out)?;
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }?;
        // SAFETY: the caller lends `context_len` bytes at `context` for the call, or passes NULL.
        let given = unsafe { strings::text("context", context, context_len) }?;
        if encoding != MPFLAGS_ENCODING_JSON {
            let message = format!("encoding {encoding} is no MPFLAGS_ENCODING_*");
            return Err(Failure::new(MPFLAGS_INVALID_ARGUMENT, message));
        }
        let ask = ask(value_type, options, timeout_ms)?;
        let json = if context.is_null() { "{}" } else { given };
        handle::give(out, client.evaluate_json(key, json, ask).into());
        Ok(())
    })
}

/// For bindings: the packed answer of a flag of which no rollout matched: the default, with `MPFLAGS_REASON_DEFAULT`.
pub const MPFLAGS_ANSWER_NO_MATCH: u64 = 1;
/// For bindings: the packed answer of a flag that is disabled or archived: the default, with `MPFLAGS_REASON_DISABLED`.
pub const MPFLAGS_ANSWER_DISABLED: u64 = 3;

const _: () = assert!(align_of::<mpflags_evaluation>() >= 2);

/// Does `mpflags_client_evaluate_encoded` for a JSON context and tells the outcome in one number. `ask` is the
/// `value_type`, with the options eight bits higher: `MPFLAGS_TYPE_BOOLEAN | MPFLAGS_OPTION_NO_EXPOSURE << 8`. A remote
/// client's request has `request_timeout_ms`.
///
/// An odd number is an answer: `MPFLAGS_ANSWER_NO_MATCH`, `MPFLAGS_ANSWER_DISABLED`, or one that stands for a
/// definition of the flag, variant, reason and tester mark. As long as the client lives, the same answer means the same
/// value, variant, reason and metadata, which `mpflags_client_answer` tells; whether the value is of the type asked for has
/// been looked at. Any other number but 0 is a pointer to an `mpflags_evaluation`, which the caller frees with
/// `mpflags_evaluation_free`: an error, an override, an answer of Mixpanel, or the first call in the child of a fork. A failure is 0: misuse (NULL, no UTF-8, an
/// unknown type or option) or a bug of the library; `mpflags_client_evaluate_encoded` with the same arguments tells which. Any thread. Costs what
/// `mpflags_client_evaluate_encoded` does, without the allocation where there is an answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_evaluate_packed(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    context: *const c_char,
    context_len: usize,
    ask: u32,
) -> u64 {
    guard::value(client, 0, || {
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }.ok()?;
        // SAFETY: the caller lends `context_len` bytes at `context` for the call, or passes NULL.
        let given = unsafe { strings::text("context", context, context_len) }.ok()?;
        packed(client?.core(), key, if context.is_null() { "{}" } else { given }, ask)
    })
}

/// Does `mpflags_client_evaluate_packed` for strings that end with a NUL, since ctypes takes 0.2 µs to pass two
/// lengths. A NULL context is the empty one.
///
/// The caller frees what a number that is no answer points to. Cannot ask for a key that holds U+0000, and fails as
/// `mpflags_client_evaluate_packed` does. Any thread. Costs the same, and the search for the NULs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_evaluate_packed_z(
    client: Option<&mpflags_client>,
    key: *const c_char,
    context: *const c_char,
    ask: u32,
) -> u64 {
    guard::value(client, 0, || {
        // SAFETY: the caller lends a string that ends with a NUL, or passes NULL.
        let key = unsafe { terminated("key", key) }?;
        // SAFETY: the caller lends a string that ends with a NUL, or passes NULL.
        let given = unsafe { terminated("context", context) };
        if given.is_none() && !context.is_null() {
            return None;
        }
        packed(client?.core(), key, given.unwrap_or("{}"), ask)
    })
}

/// # Safety
///
/// `ptr` is NULL, or a string that ends with a NUL and stays as it is for `'a`.
unsafe fn terminated<'a>(name: &'static str, ptr: *const c_char) -> Option<&'a str> {
    if ptr.is_null() {
        return None;
    }
    // SAFETY: the pointer is not NULL, and the caller vouches for the NUL.
    let len = unsafe { CStr::from_ptr(ptr) }.count_bytes();
    // SAFETY: `len` bytes up to the NUL are readable.
    unsafe { strings::text(name, ptr, len) }.ok()
}

fn packed(client: &Client, key: &str, context: &str, asked: u32) -> Option<u64> {
    let ask = ask(asked & 0xff, asked >> 8, 0).ok()?;
    Some(match unversioned::evaluate_packed(client, key, context, ask) {
        Packed::Answer(answer) => answer.number(),
        Packed::Evaluation(evaluation) => {
            let handle = Box::into_raw(Box::new(mpflags_evaluation::from(*evaluation)));
            // At least two bytes apart, as asserted above, so no pointer is odd.
            handle.expose_provenance() as u64
        }
    })
}

/// Tells what `answer`, given for flag `key`, stands for, as an evaluation of any type. The evaluation tells no user:
/// `mpflags_client_track_exposure` refuses it.
///
/// The caller frees it with `mpflags_evaluation_free`. On failure it is NULL: another definition has taken the flag's place
/// since, the arguments are misused, or the library has a bug. Evaluate again then. Any thread. Costs the allocation of
/// the evaluation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_answer(
    client: Option<&mpflags_client>,
    key: *const c_char,
    key_len: usize,
    answer: u64,
) -> *mut mpflags_evaluation {
    guard::value(client, ptr::null_mut(), || {
        // SAFETY: the caller lends `key_len` bytes at `key` for the call, or passes NULL.
        let key = unsafe { strings::text("key", key, key_len) }.ok()?;
        let evaluation = unversioned::recall(client?.core(), key, Answer::from_number(answer)?)?;
        Some(Box::into_raw(Box::new(evaluation.into())))
    })
}

/// Tells the answer that stands for an evaluation; 0 where none does.
///
/// Nothing to free. Cannot fail: 0 for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluation_answer(evaluation: Option<&mpflags_evaluation>) -> u64 {
    guard::value(None, 0, || Some(unversioned::answer(evaluation?.core())?.number()))
}

/// Tells the answers of all evaluations, in the same order, `mpflags_evaluations_count` of them; 0 where there is none.
///
/// Nothing to free: they belong to the evaluations. Cannot fail: NULL where there are none. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_evaluations_answers(evaluations: Option<&mpflags_evaluations>) -> *const u64 {
    // An empty slice has a pointer that leads nowhere.
    guard::value(None, ptr::null(), || Some(evaluations?.answers().first()?))
}
