//! The evaluation context.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use mpflags_core::Context;

use crate::error::mpflags_error;
use crate::guard;
use crate::handle;
use crate::status::mpflags_status;
use crate::strings;

/// The user, or other subject, to evaluate flags for. Immutable; works with any client.
pub struct mpflags_context(Context);

const _: () = handle::shared::<mpflags_context>();

impl From<Context> for mpflags_context {
    fn from(context: Context) -> Self {
        mpflags_context(context)
    }
}

impl mpflags_context {
    pub(crate) fn core(&self) -> &Context {
        &self.0
    }
}

/// Parses a context from a JSON object. `distinct_id` identifies the user, `custom_properties` are what rules
/// see, and a flag may be bucketed by any other top-level key. Integers and doubles stay distinct. Parses the
/// whole text, which is worth it if the context is used more than once.
///
/// A number that does not fit a double (`1e999`), a lone surrogate and nesting beyond 127 levels are
/// unusable. Flags that read such an attribute evaluate to `MPFLAGS_ERROR_INVALID_CONTEXT`, with a message
/// that names it; other flags ignore it. A remote client sends the whole context, so every flag evaluates to
/// that error.
///
/// Fails with `MPFLAGS_INVALID_CONTEXT` for anything but a JSON object, with a message that says where.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_new_json(
    json: *const c_char,
    json_len: usize,
    out: Option<&mut MaybeUninit<*mut mpflags_context>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(None, err, || {
        let out = handle::required_out("out", out)?;
        // SAFETY: as the header requires, NULL or `json_len` bytes that do not change during the call.
        let json = unsafe { strings::text("json", json, json_len) }?;
        handle::give(out, mpflags_context(Context::from_json(json)?));
        Ok(())
    })
}

/// Frees a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_free(context: *mut mpflags_context) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(context) };
}
