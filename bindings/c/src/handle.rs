//! Handles: boxes that C holds as pointers.
//!
//! A handle comes in as `Option<&T>`: NULL is `None`, and nothing here ever makes a `&mut T` of one. An out-parameter
//! is an `Option<&mut MaybeUninit<*mut T>>`, since what C declared without a value may not be read.

use std::mem::MaybeUninit;

use crate::error::Failure;
use crate::status::MPFLAGS_NULL_ARGUMENT;

/// Where a function puts a new handle.
pub(crate) type Out<'a, T> = Option<&'a mut MaybeUninit<*mut T>>;

/// Asked first, so that nothing is done that cannot be handed over.
pub(crate) fn required<'a, T: ?Sized>(name: &'static str, argument: Option<&'a T>) -> Result<&'a T, Failure> {
    argument.ok_or_else(|| null(name))
}

pub(crate) fn required_out<'a, T>(
    name: &'static str,
    argument: Out<'a, T>,
) -> Result<&'a mut MaybeUninit<*mut T>, Failure> {
    argument.ok_or_else(|| null(name))
}

fn null(name: &'static str) -> Failure {
    Failure::new(MPFLAGS_NULL_ARGUMENT, format!("{name} is NULL"))
}

/// Makes `value` the caller's: who frees it calls [`free`].
pub(crate) fn give<T>(out: &mut MaybeUninit<*mut T>, value: T) {
    out.write(Box::into_raw(Box::new(value)));
}

/// Ends a handle; NULL is fine.
///
/// # Safety
///
/// `handle` is NULL, or came from [`give`], is not freed yet and not in use.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: `give` made it of a box of this type, and the caller has it no longer.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Fails to compile unless every thread may use a `T` at once, which the header promises of handles.
pub(crate) const fn shared<T: Send + Sync>() {}
