//! What fallible functions return.

use mpflags_core::ErrorKind;

/// What a function came to: 0, or one of the numbers below. A number that is retired is never used again; a program
/// treats one that it does not know as a failure.
pub type mpflags_status = i32;

/// Success.
pub const MPFLAGS_OK: mpflags_status = 0;
/// A pointer that must not be NULL is NULL.
pub const MPFLAGS_NULL_ARGUMENT: mpflags_status = 10;
/// A string is not UTF-8.
pub const MPFLAGS_INVALID_UTF8: mpflags_status = 11;
/// An argument is not what the function takes, or not in the state that the client is in.
pub const MPFLAGS_INVALID_ARGUMENT: mpflags_status = 12;
/// An option bit is set that this library does not know.
pub const MPFLAGS_UNKNOWN_BIT: mpflags_status = 13;
/// The configuration has an unknown key, a wrong type, a value out of range or a file that cannot be read.
pub const MPFLAGS_INVALID_CONFIG: mpflags_status = 20;
/// The context is not a JSON object.
pub const MPFLAGS_INVALID_CONTEXT: mpflags_status = 21;
/// The definitions are unreadable as a whole.
pub const MPFLAGS_INVALID_DEFINITIONS: mpflags_status = 22;
/// Mixpanel refused the credentials: HTTP 401 or 403.
pub const MPFLAGS_CREDENTIALS_REFUSED: mpflags_status = 30;
/// Mixpanel could not be reached, or its answer was of no use.
pub const MPFLAGS_BACKEND: mpflags_status = 31;
/// The event queue is full; the event was dropped and counted.
pub const MPFLAGS_QUEUE_FULL: mpflags_status = 32;
/// The time given has passed.
pub const MPFLAGS_TIMEOUT: mpflags_status = 40;
/// The client is shut down.
pub const MPFLAGS_CLOSED: mpflags_status = 41;
/// The operating system refused a thread, a file or memory.
pub const MPFLAGS_SYSTEM: mpflags_status = 50;
/// The library failed in a way that is a bug of it. The call had no effect that can be relied on; other calls work.
pub const MPFLAGS_PANIC: mpflags_status = 60;
/// Anything else; the error's message tells.
pub const MPFLAGS_GENERAL: mpflags_status = 90;

/// The core may learn kinds before this file does: those are general.
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
