//! For bindings: what only they call.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use crate::client::mpflags_client;
use crate::error::{Failure, mpflags_error};
use crate::evaluate::ask;
use crate::evaluation::mpflags_evaluation;
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
