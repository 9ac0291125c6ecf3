//! Items, passed to a function of the program.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mpflags_core::Item;

use crate::client::mpflags_client;
use crate::error::mpflags_error;
use crate::failure::Failure;
use crate::item::mpflags_item;
use crate::status::{MPFLAGS_NULL_ARGUMENT, mpflags_status};

// "C-unwind", so that an exception thrown by the callback, which the header forbids, aborts the process. With
// "C" it would be undefined behaviour.

/// Receives an item, which is valid until the function returns; do not free it. Must not throw or `longjmp`.
pub type mpflags_callback = Option<unsafe extern "C-unwind" fn(item: &mpflags_item, user_data: *mut c_void)>;

/// Releases `user_data`.
pub type mpflags_drop = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// The program's functions and their data.
struct Host {
    callback: unsafe extern "C-unwind" fn(&mpflags_item, *mut c_void),
    user_data: *mut c_void,
    drop: mpflags_drop,
    /// Whether to call `drop`: not if `mpflags_client_on_item` failed.
    ours: AtomicBool,
}

// SAFETY: the header says which threads call both functions with `user_data`.
unsafe impl Send for Host {}
// SAFETY: the callback is called for one item at a time, and `drop` after the last one.
unsafe impl Sync for Host {}

impl Host {
    fn take(&self, item: Item) {
        let item = mpflags_item::from(item);
        // SAFETY: the caller of `mpflags_client_on_item` passed a function of this type, and `user_data` is
        // not dropped yet.
        unsafe { (self.callback)(&item, self.user_data) };
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let (Some(drop), true) = (self.drop, self.ours.load(Ordering::Acquire)) {
            // SAFETY: the caller of `mpflags_client_on_item` passed a function of this type, and only this
            // drop calls it.
            unsafe { drop(self.user_data) };
        }
    }
}

/// Passes every item to `callback`, instead of `mpflags_client_next_item`, once the client is started: one at
/// a time, in order, on the thread `mpflags-poll`, with all signals blocked. Set it once, before the start.
/// The callback may call any function except `mpflags_client_shutdown` and `mpflags_client_free` of this
/// client. The client does not poll while it runs.
///
/// `drop` may be NULL. It is called once with `user_data` after the last item: when the client is shut down
/// or freed, on the thread that does so or on `mpflags-poll`. In the child of a fork it might never be
/// called.
///
/// Fails with `MPFLAGS_INVALID_ARGUMENT` if the client is started or already has a callback. After a failure
/// `drop` is not called and `user_data` is still yours.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_on_item(
    client: Option<&mpflags_client>,
    callback: mpflags_callback,
    user_data: *mut c_void,
    drop: mpflags_drop,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    mpflags_client::status(client, err, |client| {
        let callback = callback.ok_or_else(|| Failure::new(MPFLAGS_NULL_ARGUMENT, "callback is NULL"))?;
        let host = Arc::new(Host { callback, user_data, drop, ours: AtomicBool::new(true) });
        let theirs = host.clone();
        client
            .on_item(Box::new(move |item| theirs.take(item)))
            .inspect_err(|_| host.ours.store(false, Ordering::Release))?;
        Ok(())
    })
}
