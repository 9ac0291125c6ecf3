//! Handles: boxes that C holds as pointers.
//!
//! A handle is passed in as `Option<&T>`, where `None` is NULL. Only a context builder, which one thread uses at a
//! time, is an `Option<&mut T>`. An output is `Option<&mut MaybeUninit<*mut T>>`, because a variable that C did not
//! initialise must not be read.

use std::mem::MaybeUninit;

use crate::failure::Failure;
use crate::status::MPFLAGS_NULL_ARGUMENT;

/// Where a function writes a new handle.
pub(crate) type Out<'a, T> = Option<&'a mut MaybeUninit<*mut T>>;

/// Checked before anything is done.
pub(crate) fn required<'a, T: ?Sized>(name: &'static str, argument: Option<&'a T>) -> Result<&'a T, Failure> {
    argument.ok_or_else(|| null(name))
}

pub(crate) fn required_mut<'a, T>(
    name: &'static str,
    argument: Option<&'a mut T>,
) -> Result<&'a mut T, Failure> {
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

/// Gives `value` to the caller, to be freed with [`free`].
pub(crate) fn give<T>(out: &mut MaybeUninit<*mut T>, value: T) {
    out.write(Box::into_raw(Box::new(value)));
}

/// Frees a handle. Does nothing for NULL.
///
/// # Safety
///
/// `handle` is NULL, or came from [`give`] and is neither freed nor in use.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: `give` made it from a box of this type, and the caller does not use it again.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Fails to compile unless threads can share a `T`, which the header promises for handles.
pub(crate) const fn shared<T: Send + Sync>() {}
