//! The evaluation context.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use mpflags_core::Context;

use crate::error::mpflags_error;
use crate::guard;
use crate::handle;
use crate::status::mpflags_status;
use crate::strings;

/// Whom or what a flag is evaluated for. Immutable; any thread may use it, any number at once, with any client.
pub struct mpflags_context(Context);

const _: () = handle::shared::<mpflags_context>();

impl mpflags_context {
    pub(crate) fn core(&self) -> &Context {
        &self.0
    }
}

/// Makes a context of a JSON object. `distinct_id` names the user, `custom_properties` is what rules see, and a flag may
/// be bucketed by any other top-level key. Integers and doubles stay distinct. The text is not kept.
///
/// A number beyond a double (`1e999`), a lone surrogate and nesting beyond 127 levels cannot be used. They spoil the flags that
/// read them, which give INVALID_CONTEXT and name the attribute; the others are evaluated without. A remote client sends the whole
/// context, so there they spoil every flag.
///
/// The caller frees `*out` with `mpflags_context_free`; it may outlive every client. On failure `*out` is as it was:
/// `MPFLAGS_INVALID_CONTEXT` for anything but a JSON object, with a message that says where. Any thread. Costs the
/// parsing of the whole text: worth it for a context that is used more than once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_new_json(
    json: *const c_char,
    json_len: usize,
    out: Option<&mut MaybeUninit<*mut mpflags_context>>,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(None, err, || {
        let out = handle::required_out("out", out)?;
        // SAFETY: the caller lends `json_len` bytes at `json` for the call, or passes NULL.
        let json = unsafe { strings::text("json", json, json_len) }?;
        handle::give(out, mpflags_context(Context::from_json(json)?));
        Ok(())
    })
}

/// Frees a context; NULL does nothing.
///
/// Evaluations made with it stay valid. Cannot fail. Any thread, when no other uses it. Costs little.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_context_free(context: *mut mpflags_context) {
    guard::nothing(|| {
        // SAFETY: the header demands a handle of this type that nobody uses or has freed, or NULL.
        unsafe { handle::free(context) };
    });
}
