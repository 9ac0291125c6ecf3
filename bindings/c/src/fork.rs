//! What the library sets up once per process: the fork handler, the panic hook, and the signal mask of its
//! threads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;
use crate::guard;
use crate::signals;
use crate::status::MPFLAGS_SYSTEM;

/// Prepares the process. Takes no lock, because a process may be forked during the call, and the child calls
/// it again. If two threads make the first call at the same time, both register the handler, and a fork then
/// adds 2 to the counter instead of 1, which does no harm: only a change matters.
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
    // SAFETY: the handler only adds to an atomic, and the library that has it is never unloaded.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    if refused != 0 {
        let error = io::Error::from_raw_os_error(refused);
        return Err(Failure::new(MPFLAGS_SYSTEM, format!("cannot register a fork handler: {error}")));
    }
    REGISTERED.store(true, Ordering::Release);
    Ok(())
}

/// Runs in the child before `fork` returns.
unsafe extern "C" fn child() {
    mpflags_core::after_fork_in_child();
}
