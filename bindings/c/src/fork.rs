//! What the library does to the process, once: the handler of forks, the panic hook, the signals of its threads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Failure;
use crate::guard;
use crate::signals;
use crate::status::MPFLAGS_SYSTEM;

/// Prepares the process. Takes no lock: a child that is forked meanwhile may have to come here, too. Two threads that come
/// first together both register the handler, which then adds 2 instead of 1: any change tells of a fork.
pub(crate) fn prepare_process() -> Result<(), Failure> {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if !HOOKED.swap(true, Ordering::AcqRel) {
        guard::install_hook();
        mpflags_core::unversioned::set_spawn_guard(signals::blocked);
    }
    if REGISTERED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the handler is of this library, which is never unloaded, and only adds to an atomic.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    if refused != 0 {
        let error = io::Error::from_raw_os_error(refused);
        return Err(Failure::new(MPFLAGS_SYSTEM, format!("cannot register a fork handler: {error}")));
    }
    REGISTERED.store(true, Ordering::Release);
    Ok(())
}

/// Runs in the child between fork's return and anything else.
unsafe extern "C" fn child() {
    mpflags_core::after_fork_in_child();
}
