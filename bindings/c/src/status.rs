//! Status codes.

use mpflags_core::ErrorKind;

/// The result of a function that can fail: `MPFLAGS_OK` or one of the numbers below. Treat a number that you
/// do not know as a failure. A number that is retired is never reused.
pub type mpflags_status = i32;

/// Success.
pub const MPFLAGS_OK: mpflags_status = 0;
/// A required pointer is NULL.
pub const MPFLAGS_NULL_ARGUMENT: mpflags_status = 10;
/// A string is not valid UTF-8.
pub const MPFLAGS_INVALID_UTF8: mpflags_status = 11;
/// An argument has a value that the function does not accept, or the call does not fit the client's state.
pub const MPFLAGS_INVALID_ARGUMENT: mpflags_status = 12;
/// `options` has a bit set that the function does not know.
pub const MPFLAGS_UNKNOWN_BIT: mpflags_status = 13;
/// The configuration has an unknown key, a value of the wrong type or out of range, or names a file that
/// cannot be read.
pub const MPFLAGS_INVALID_CONFIG: mpflags_status = 20;
/// The context is not a JSON object.
pub const MPFLAGS_INVALID_CONTEXT: mpflags_status = 21;
/// The definitions document as a whole cannot be read.
pub const MPFLAGS_INVALID_DEFINITIONS: mpflags_status = 22;
/// Mixpanel refused the credentials, with HTTP status 401 or 403.
pub const MPFLAGS_CREDENTIALS_REFUSED: mpflags_status = 30;
/// Mixpanel could not be reached, or its response could not be used.
pub const MPFLAGS_BACKEND: mpflags_status = 31;
/// The event queue is full. The event was dropped and counted.
pub const MPFLAGS_QUEUE_FULL: mpflags_status = 32;
/// The timeout has passed.
pub const MPFLAGS_TIMEOUT: mpflags_status = 40;
/// The client is shut down.
pub const MPFLAGS_CLOSED: mpflags_status = 41;
/// The operating system refused a thread, a file or memory.
pub const MPFLAGS_SYSTEM: mpflags_status = 50;
/// Internal error: a bug in the library. Assume that the call had no effect; the client is still usable.
pub const MPFLAGS_PANIC: mpflags_status = 60;
/// Any other failure; see the error's message.
pub const MPFLAGS_GENERAL: mpflags_status = 90;

/// Kinds that the core has and this file does not know yet are general.
pub(crate) fn status_of(kind: ErrorKind) -> mpflags_status {
    match kind {
        ErrorKind::InvalidConfig => MPFLAGS_INVALID_CONFIG,
        ErrorKind::InvalidContext => MPFLAGS_INVALID_CONTEXT,
        ErrorKind::InvalidDefinitions => MPFLAGS_INVALID_DEFINITIONS,
        ErrorKind::InvalidArgument => MPFLAGS_INVALID_ARGUMENT,
        ErrorKind::CredentialsRefused => MPFLAGS_CREDENTIALS_REFUSED,
        ErrorKind::Backend => MPFLAGS_BACKEND,
        ErrorKind::QueueFull => MPFLAGS_QUEUE_FULL,
        ErrorKind::Timeout => MPFLAGS_TIMEOUT,
        ErrorKind::Closed => MPFLAGS_CLOSED,
        ErrorKind::System => MPFLAGS_SYSTEM,
        _ => MPFLAGS_GENERAL,
    }
}
