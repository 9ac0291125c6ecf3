//! Keeps the library loaded where the linker has no flag for it: its threads and its fork handler need its code after
//! `dlclose`.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use libc::{Dl_info, RTLD_LAZY, RTLD_NODELETE, RTLD_NOLOAD};

/// Has no effect in a program that is linked statically, which is never unloaded.
pub(crate) fn keep_loaded() {
    let address: *const c_void = (keep_loaded as fn()) as *const c_void;
    let mut info = MaybeUninit::<Dl_info>::zeroed();
    // SAFETY: it looks the address up, and writes the structure that it is given.
    if unsafe { libc::dladdr(address, info.as_mut_ptr()) } == 0 {
        return;
    }
    // SAFETY: dladdr succeeded, so it filled the structure.
    let info = unsafe { info.assume_init() };
    // The handle is kept: that alone would keep the library.
    // SAFETY: the name comes from the loader, and a library that is already loaded runs nothing when it is opened again.
    unsafe { libc::dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) };
}
