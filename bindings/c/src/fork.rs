//! What the library does to the process, once: the handler of forks, the panic hook, the signals of its threads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Failure;
use crate::guard;
use crate::signals;
use crate::status::MPFLAGS_SYSTEM;

/// Prepares the process. Does so once, without a lock: a child that is forked meanwhile may have to come here, too.
pub(crate) fn prepare_process() -> Result<(), Failure> {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if PREPARED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    if !HOOKED.swap(true, Ordering::AcqRel) {
        guard::install_hook();
        mpflags_core::set_spawn_guard(signals::blocked);
    }
    // SAFETY: the handler is of this library, which is never unloaded, and only adds to an atomic.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    if refused == 0 {
        return Ok(());
    }
    PREPARED.store(false, Ordering::Release);
    let error = io::Error::from_raw_os_error(refused);
    Err(Failure::new(MPFLAGS_SYSTEM, format!("cannot register a fork handler: {error}")))
}

/// Runs in the child between fork's return and anything else.
unsafe extern "C" fn child() {
    mpflags_core::after_fork_in_child();
}
