//! Signals: the library's threads handle none.

use std::mem::MaybeUninit;
use std::ptr;

use libc::{SIG_SETMASK, pthread_sigmask, sigfillset, sigset_t};

/// Runs `start`, which starts threads, with all signals blocked. The threads inherit the mask.
pub(crate) fn blocked(start: &mut dyn FnMut()) {
    let _restored = block_all().map(Restored);
    start();
}

/// Returns the previous mask, or `None` if the system refused; the threads then inherit that.
fn block_all() -> Option<sigset_t> {
    let mut all = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: it writes the set that it is given.
    let filled = unsafe { sigfillset(all.as_mut_ptr()) };
    if filled != 0 {
        return None;
    }
    let mut before = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: it reads the set that `sigfillset` wrote and writes the other one.
    let set = unsafe { pthread_sigmask(SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: it returned 0, so it wrote the mask.
    (set == 0).then(|| unsafe { before.assume_init() })
}

/// Restores the mask when dropped, even by a panic.
struct Restored(sigset_t);

impl Drop for Restored {
    fn drop(&mut self) {
        // SAFETY: it reads a set that `pthread_sigmask` wrote, and writes nothing.
        unsafe { pthread_sigmask(SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}
