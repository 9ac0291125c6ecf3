//! Errors: a status and a message.

use crate::failure::Failure;
use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_OK, mpflags_status};
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
