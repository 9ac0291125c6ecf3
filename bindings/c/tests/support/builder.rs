//! Contexts made by the builder's functions.

use std::ffi::c_char;
use std::ptr;

use crate::api::{Api, Handle, function};
use crate::forms::Tree;

pub(crate) struct Builder<'a> {
    api: &'a Api,
    handle: Handle,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(api: &'a Api) -> Self {
        let new = function!(api, b"mpflags_context_builder_new", fn() -> Handle);
        // SAFETY: it takes nothing.
        Builder { api, handle: unsafe { new() } }
    }

    /// Makes a context. Scalar properties are set by the functions for properties, all others in an object.
    pub(crate) fn build(&self, context: &Tree) -> Result<Handle, String> {
        let Tree::Object(members) = context else { panic!("a context is an object") };
        for (key, value) in members {
            match value {
                Tree::Object(properties) if key == b"custom_properties" => {
                    self.nest("begin_object", key, || ());
                    for (name, property) in properties {
                        match property {
                            Tree::Array(_) | Tree::Object(_) | Tree::Unusable(_) => {
                                self.nest("begin_object", key, || self.set("set_", name, property));
                            }
                            _ => self.set("set_property_", name, property),
                        }
                    }
                }
                _ => self.set("set_", key, value),
            }
        }
        let build = function!(
            self.api,
            b"mpflags_context_builder_build",
            fn(Handle, *mut Handle, *mut Handle) -> i32
        );
        let (mut out, mut err) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the builder is alive, and both outputs are variables.
        let status = unsafe { build(self.handle, &mut out, &mut err) };
        if status == 0 { Ok(out) } else { Err(self.api.failure(err)) }
    }

    fn set(&self, setter: &str, name: &[u8], value: &Tree) {
        match value {
            Tree::Null => self.plain(&format!("{setter}null"), name),
            Tree::Bool(value) => self.number(&format!("{setter}boolean"), name, i32::from(*value)),
            Tree::Signed(value) => self.number(&format!("{setter}int64"), name, *value),
            Tree::Unsigned(value) => self.text(&format!("{setter}json"), name, value.to_string().as_bytes()),
            Tree::Double(value) => self.number(&format!("{setter}double"), name, *value),
            Tree::String(text) => self.text(&format!("{setter}string"), name, text),
            Tree::Unusable(why) => self.text("set_unusable", name, why.as_bytes()),
            Tree::Array(elements) => self.nest("begin_array", name, || {
                elements.iter().for_each(|element| self.set("set_", b"", element));
            }),
            Tree::Object(members) => self.nest("begin_object", name, || {
                members.iter().for_each(|(key, value)| self.set("set_", key, value));
            }),
        }
    }

    fn nest(&self, begin: &str, name: &[u8], fill: impl FnOnce()) {
        self.plain(begin, name);
        fill();
        self.api.free(b"mpflags_context_builder_end", self.handle);
    }

    fn plain(&self, setter: &str, name: &[u8]) {
        let set = function!(self.api, symbol(setter).as_bytes(), fn(Handle, *const c_char, usize));
        // SAFETY: the builder is alive, and the name lives during the call.
        unsafe { set(self.handle, name.as_ptr().cast(), name.len()) };
    }

    fn number<T>(&self, setter: &str, name: &[u8], value: T) {
        let set = function!(self.api, symbol(setter).as_bytes(), fn(Handle, *const c_char, usize, T));
        // SAFETY: the builder is alive, the name lives during the call, and the setter takes a `T`.
        unsafe { set(self.handle, name.as_ptr().cast(), name.len(), value) };
    }

    fn text(&self, setter: &str, name: &[u8], text: &[u8]) {
        let set = function!(
            self.api,
            symbol(setter).as_bytes(),
            fn(Handle, *const c_char, usize, *const c_char, usize)
        );
        // SAFETY: the builder is alive, and both texts live during the call.
        unsafe { set(self.handle, name.as_ptr().cast(), name.len(), text.as_ptr().cast(), text.len()) };
    }
}

fn symbol(setter: &str) -> String {
    format!("mpflags_context_builder_{setter}")
}

impl Drop for Builder<'_> {
    fn drop(&mut self) {
        self.api.free(b"mpflags_context_builder_free", self.handle);
    }
}
