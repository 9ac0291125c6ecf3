//! Errors: a status and a message.

use crate::failure::Failure;
use crate::guard;
use crate::handle;
use crate::status::*;
use crate::strings::{Text, mpflags_str};

/// Why a call failed. Immutable.
pub struct mpflags_error {
    status: mpflags_status,
    message: Text,
}

const _: () = handle::shared::<mpflags_error>();

impl From<Failure> for mpflags_error {
    fn from(failure: Failure) -> Self {
        mpflags_error { status: failure.status, message: Text::new(failure.message) }
    }
}

/// Returns the status that the failed function returned, or `MPFLAGS_OK` for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_error_status(error: Option<&mpflags_error>) -> mpflags_status {
    guard::value(None, MPFLAGS_OK, || Some(error?.status))
}

/// Returns the name of a status, `INVALID_CONFIG` for example, or `OK`. Returns `unknown` for a number that is
/// not an `mpflags_status`. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_status_name(status: mpflags_status) -> mpflags_str {
    mpflags_str::of_static(match status {
        MPFLAGS_OK => c"OK",
        MPFLAGS_NULL_ARGUMENT => c"NULL_ARGUMENT",
        MPFLAGS_INVALID_UTF8 => c"INVALID_UTF8",
        MPFLAGS_INVALID_ARGUMENT => c"INVALID_ARGUMENT",
        MPFLAGS_UNKNOWN_BIT => c"UNKNOWN_BIT",
        MPFLAGS_INVALID_CONFIG => c"INVALID_CONFIG",
        MPFLAGS_INVALID_CONTEXT => c"INVALID_CONTEXT",
        MPFLAGS_INVALID_DEFINITIONS => c"INVALID_DEFINITIONS",
        MPFLAGS_CREDENTIALS_REFUSED => c"CREDENTIALS_REFUSED",
        MPFLAGS_BACKEND => c"BACKEND",
        MPFLAGS_QUEUE_FULL => c"QUEUE_FULL",
        MPFLAGS_TIMEOUT => c"TIMEOUT",
        MPFLAGS_CLOSED => c"CLOSED",
        MPFLAGS_SYSTEM => c"SYSTEM",
        MPFLAGS_PANIC => c"PANIC",
        MPFLAGS_GENERAL => c"GENERAL",
        _ => c"unknown",
    })
}

/// Returns a description for people and logs. It never contains a token, a secret or the query of a URL.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_error_message(error: Option<&mpflags_error>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(error?.message.view()))
}

/// Frees an error and its message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_error_free(error: *mut mpflags_error) {
    // SAFETY: as the header requires, NULL or a handle of this type that is not in use and not freed.
    unsafe { guard::free(error) };
}
