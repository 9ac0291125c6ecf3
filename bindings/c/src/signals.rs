//! Signals: those of the host are not for our threads.

use std::mem::MaybeUninit;
use std::ptr;

use libc::{SIG_SETMASK, pthread_sigmask, sigfillset, sigset_t};

/// Runs `start`, which starts threads, with all signals blocked: threads inherit the mask.
pub(crate) fn blocked(start: &mut dyn FnMut()) {
    let _restored = block_all().map(Restored);
    start();
}

/// The mask before. None: the system refuses, and the threads have the host's mask.
fn block_all() -> Option<sigset_t> {
    let mut all = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: it writes the set that the pointer is to.
    let filled = unsafe { sigfillset(all.as_mut_ptr()) };
    if filled != 0 {
        return None;
    }
    let mut before = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: it reads the set that `sigfillset` wrote, and writes the other.
    let set = unsafe { pthread_sigmask(SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: it has returned 0, and so has written the mask.
    (set == 0).then(|| unsafe { before.assume_init() })
}

/// Puts the mask back when it goes, by a panic too.
struct Restored(sigset_t);

impl Drop for Restored {
    fn drop(&mut self) {
        // SAFETY: it reads a set that `pthread_sigmask` wrote, and is asked to write none.
        unsafe { pthread_sigmask(SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}
