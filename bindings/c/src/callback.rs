//! The item stream, handed to a function of the host.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mpflags_core::Item;

use crate::client::mpflags_client;
use crate::error::{Failure, mpflags_error};
use crate::guard;
use crate::handle;
use crate::item::mpflags_item;
use crate::status::{MPFLAGS_NULL_ARGUMENT, mpflags_status};

// C-unwind: an exception of the host, which the header forbids, ends the process where panics are caught. With plain C it
// would be undefined.

/// Takes an item, which it may use until it returns and does not free. It throws and jumps nowhere.
pub type mpflags_callback = Option<unsafe extern "C-unwind" fn(item: &mpflags_item, user_data: *mut c_void)>;

/// Ends the use of `user_data`.
pub type mpflags_drop = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// A host's function with what belongs to it.
struct Host {
    callback: unsafe extern "C-unwind" fn(&mpflags_item, *mut c_void),
    user_data: *mut c_void,
    drop: mpflags_drop,
    /// Whether `user_data` is ours to drop.
    ours: AtomicBool,
}

// SAFETY: the header says on which threads both functions are called, and that `user_data` is used there.
unsafe impl Send for Host {}
// SAFETY: items come one at a time, and nothing but the functions, which the host has made for it, is shared.
unsafe impl Sync for Host {}

impl Host {
    fn take(&self, item: Item) {
        let item = mpflags_item::from(item);
        // SAFETY: the host has given a function of this type, and keeps `user_data` until it is dropped.
        unsafe { (self.callback)(&item, self.user_data) };
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let (Some(drop), true) = (self.drop, self.ours.load(Ordering::Acquire)) {
            // SAFETY: the host has given a function of this type for this, and it is called here alone.
            unsafe { drop(self.user_data) };
        }
    }
}

/// Hands every item to `callback` instead of `mpflags_client_next_item`, from `mpflags_client_start` on: one at a time, in
/// order, on the thread `mpflags-poll`, with all signals blocked. The callback may call every function of this library
/// but `mpflags_client_shutdown` and `mpflags_client_free` with this client. While it runs nothing is polled. Set it
/// once, before the client is started.
///
/// `drop` may be NULL. It is called once with `user_data` when nothing will be handed over any more: by the shutdown or
/// the freeing of the client, after the items that waited, on that thread or on `mpflags-poll`. In the child of a fork it need not be called. On
/// failure nothing has changed, `drop` is not called and `user_data` stays the caller's: `MPFLAGS_INVALID_ARGUMENT` when
/// the client is started or has a callback. Any thread. Costs little.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpflags_client_on_item(
    client: Option<&mpflags_client>,
    callback: mpflags_callback,
    user_data: *mut c_void,
    drop: mpflags_drop,
    err: Option<&mut MaybeUninit<*mut mpflags_error>>,
) -> mpflags_status {
    guard::status(client, err, || {
        let client = handle::required("client", client)?.core();
        let callback = callback.ok_or_else(|| Failure::new(MPFLAGS_NULL_ARGUMENT, "callback is NULL"))?;
        let host = Arc::new(Host { callback, user_data, drop, ours: AtomicBool::new(true) });
        let theirs = host.clone();
        client
            .on_item(Box::new(move |item| theirs.take(item)))
            .inspect_err(|_| host.ours.store(false, Ordering::Release))?;
        Ok(())
    })
}
