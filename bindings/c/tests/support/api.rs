//! The shared library, loaded at run time.
#![allow(dead_code, reason = "every test uses its part")]

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::ptr;

use libloading::Library;

/// A handle of any type.
pub(crate) type Handle = *mut c_void;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Str {
    pub(crate) ptr: *const c_char,
    pub(crate) len: usize,
}

impl Str {
    /// The string, checked for its NUL.
    pub(crate) fn text(self) -> Option<String> {
        if self.ptr.is_null() {
            assert_eq!(self.len, 0);
            return None;
        }
        // SAFETY: the header promises `len` bytes and a NUL, and the handle is not freed yet.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr.cast::<u8>(), self.len + 1) };
        assert_eq!(bytes[self.len], 0, "a NUL follows every string");
        Some(str::from_utf8(&bytes[..self.len]).expect("strings are UTF-8").to_owned())
    }
}

pub(crate) struct Api(Library);

macro_rules! function {
    ($api:expr, $name:expr, fn($($argument:ty),* $(,)?) $(-> $result:ty)?) => {{
        // SAFETY: tests/header.rs compares the names with the header, and the types are the header's.
        let function = unsafe { $api.library().get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>($name) };
        *function.unwrap_or_else(|error| panic!("{error}"))
    }};
}
pub(crate) use function;

impl Api {
    pub(crate) fn load(library: &Path) -> Self {
        // SAFETY: loading the library runs no code.
        Api(unsafe { Library::new(library) }.unwrap_or_else(|error| panic!("{}: {error}", library.display())))
    }

    pub(crate) fn library(&self) -> &Library {
        &self.0
    }

    pub(crate) fn client(&self, config: &str) -> Result<Handle, String> {
        self.of_text(b"mpflags_client_new", config)
    }

    pub(crate) fn context(&self, json: &str) -> Result<Handle, String> {
        self.of_text(b"mpflags_context_new_json", json)
    }

    fn of_text(&self, name: &[u8], text: &str) -> Result<Handle, String> {
        type New = unsafe extern "C" fn(*const c_char, usize, *mut Handle, *mut Handle) -> i32;
        // SAFETY: both functions have this type.
        let new = unsafe { self.0.get::<New>(name) }.unwrap();
        let (mut out, mut err) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the text lives during the call, and both outputs are variables.
        let status = unsafe { new(text.as_ptr().cast(), text.len(), &mut out, &mut err) };
        if status == 0 { Ok(out) } else { Err(self.failure(err)) }
    }

    /// Frees an error and returns its message.
    pub(crate) fn failure(&self, err: Handle) -> String {
        let message = self.text(b"mpflags_error_message", err).expect("every error has a message");
        self.free(b"mpflags_error_free", err);
        message
    }

    pub(crate) fn text(&self, accessor: &[u8], handle: Handle) -> Option<String> {
        self.get::<Str>(accessor, handle).text()
    }

    /// What an accessor returns, which is a `T` by the header.
    pub(crate) fn get<T>(&self, accessor: &[u8], handle: Handle) -> T {
        // SAFETY: the caller names an accessor that returns a `T`.
        let accessor = unsafe { self.0.get::<unsafe extern "C" fn(Handle) -> T>(accessor) }.unwrap();
        // SAFETY: the caller has a handle that is not freed.
        unsafe { accessor(handle) }
    }

    pub(crate) fn free(&self, name: &[u8], handle: Handle) {
        // SAFETY: all functions that free have this type.
        let free = unsafe { self.0.get::<unsafe extern "C" fn(Handle)>(name) }.unwrap();
        // SAFETY: the caller has a handle that is not freed, and does not use it again.
        unsafe { free(handle) };
    }
}
