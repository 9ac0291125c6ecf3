//! Strings passed in and returned.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::slice;
use std::str;

use crate::failure::Failure;
use crate::status::{MPFLAGS_INVALID_ARGUMENT, MPFLAGS_INVALID_UTF8, MPFLAGS_NULL_ARGUMENT};

/// A string returned by a function: UTF-8, valid until the handle that it was read from is freed.
///
/// A NUL follows the last byte, but use `len`: the string may contain U+0000. If there is no string, `ptr` is
/// NULL and `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct mpflags_str {
    /// The first byte, or NULL.
    pub ptr: *const c_char,
    /// The number of bytes, the NUL not counted.
    pub len: usize,
}

impl mpflags_str {
    /// No string.
    pub(crate) const NONE: Self = mpflags_str { ptr: ptr::null(), len: 0 };

    /// A string that is part of the library.
    pub(crate) const fn of_static(text: &'static CStr) -> Self {
        mpflags_str { ptr: text.as_ptr(), len: text.count_bytes() }
    }

    /// `text` ends with a NUL, which does not count.
    pub(crate) const fn of_terminated(text: &str) -> Self {
        mpflags_str { ptr: text.as_ptr().cast(), len: text.len() - 1 }
    }

    /// A string of an evaluation. The core stores each with a NUL after it.
    pub(crate) fn of_evaluation(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, |text| mpflags_str { ptr: text.as_ptr().cast(), len: text.len() })
    }
}

/// A string stored for C, with a NUL after it.
pub(crate) struct Text(Box<str>);

impl Text {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        text.reserve_exact(1);
        text.push('\0');
        Text(text.into_boxed_str())
    }

    pub(crate) fn view(&self) -> mpflags_str {
        mpflags_str::of_terminated(&self.0)
    }
}

/// Reads the argument called `name`. NULL with length 0 is the empty string.
///
/// # Safety
///
/// `ptr` is NULL, or `len` bytes at it are readable and do not change during `'a`.
pub(crate) unsafe fn text<'a>(
    name: &'static str,
    ptr: *const c_char,
    len: usize,
) -> Result<&'a str, Failure> {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { bytes(name, ptr, len) }?;
    // Most texts are ASCII, and `from_utf8` reads short ones byte by byte.
    let text = if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    } else {
        std::str::from_utf8(bytes).map_err(|e| {
            Failure::new(MPFLAGS_INVALID_UTF8, format!("{name} is not UTF-8 at byte {}", e.valid_up_to()))
        })?
    };
    #[cfg(mpflags_panic)]
    crate::planted::arm_if(text);
    Ok(text)
}

/// Reads an argument that need not be text.
///
/// # Safety
///
/// The same as for [`text`].
#[inline]
pub(crate) unsafe fn bytes<'a>(
    name: &'static str,
    ptr: *const c_char,
    len: usize,
) -> Result<&'a [u8], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if ptr.is_null() || isize::try_from(len).is_err() {
        return Err(unreadable(name, ptr, len));
    }
    // SAFETY: the pointer is not NULL, a slice may have this length, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(ptr.cast(), len) })
}

#[cold]
fn unreadable(name: &'static str, ptr: *const c_char, len: usize) -> Failure {
    if ptr.is_null() {
        Failure::new(MPFLAGS_NULL_ARGUMENT, format!("{name} is NULL but its length is {len}"))
    } else {
        Failure::new(MPFLAGS_INVALID_ARGUMENT, format!("{name} is too long: {len} bytes"))
    }
}
