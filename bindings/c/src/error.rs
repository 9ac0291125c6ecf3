//! Errors: a status and its words.

use std::borrow::Cow;

use mpflags_core::Error;

use crate::guard;
use crate::handle;
use crate::status::{MPFLAGS_OK, mpflags_status, status_of};
use crate::strings::{Text, mpflags_str};

/// Why a function failed. Immutable; any thread may read it.
pub struct mpflags_error {
    status: mpflags_status,
    message: Text,
}

const _: () = handle::shared::<mpflags_error>();

/// A failure on its way to the caller.
#[derive(Debug)]
pub(crate) struct Failure {
    status: mpflags_status,
    message: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(status: mpflags_status, message: impl Into<Cow<'static, str>>) -> Self {
        Failure { status, message: message.into() }
    }

    pub(crate) fn status(&self) -> mpflags_status {
        self.status
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new(status_of(error.kind()), error.to_string())
    }
}

impl From<Failure> for mpflags_error {
    fn from(failure: Failure) -> Self {
        mpflags_error { status: failure.status, message: Text::new(failure.message) }
    }
}

/// Tells the status that the function returned; `MPFLAGS_OK` for NULL.
///
/// Nothing to free. Cannot fail. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_error_status(error: Option<&mpflags_error>) -> mpflags_status {
    guard::value(None, MPFLAGS_OK, || Some(error?.status))
}

/// Tells what is wrong, for a person or a log: no token, secret or URL query is in it.
///
/// Nothing to free: the string is the error's. Cannot fail: no string for NULL. Any thread. Costs nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mpflags_error_message(error: Option<&mpflags_error>) -> mpflags_str {
    guard::value(None, mpflags_str::NONE, || Some(error?.message.view()))
}

/// Frees an error; NULL does nothing.
///
/// Its strings go with it. Cannot fail. Any thread, when no other uses it. Costs little.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_error_free(error: *mut mpflags_error) {
    guard::nothing(|| {
        // SAFETY: the header demands a handle of this type that nobody uses or has freed, or NULL.
        unsafe { handle::free(error) };
    });
}
